"""The listings inside Lightning, Accelerate and the Trainer run, and each library does what the page says of it.

They are the extra ``hosts`` of pyproject.toml and not in the lock: `make test` skips what is not installed, and the
weekly workflow installs all of them.
"""

import re

import pytest
import torch
from listings import run
from loops import HOSTS, sections
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

# Warnings of other libraries are theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Some of them write into the current folder."""
    monkeypatch.chdir(tmp_path)


def host(name: str):
    return pytest.importorskip(name, reason=f"{name} is not installed; its extra is: pip install '.[hosts]'")


def norm(parameters) -> float:
    return float(torch.stack([p.grad.norm() for p in parameters]).norm())


@pytest.mark.parametrize("title", HOSTS)
def test_the_page_says_which_version_was_run(title):
    body = sections()[title].split("```")[0]
    assert re.search(r"Run with [A-Z]\w+ \d+\.\d+\.\d+\.$", body.strip()), body


@pytest.fixture
def steps():
    """Whether each step of any optimiser changed its first parameter."""
    changed, before = [], {}

    def remember(optimizer, *_):
        before[optimizer] = optimizer.param_groups[0]["params"][0].detach().clone()

    def compare(optimizer, *_):
        changed.append(not torch.equal(before[optimizer], optimizer.param_groups[0]["params"][0]))

    hooks = register_optimizer_step_pre_hook(remember), register_optimizer_step_post_hook(compare)
    yield changed
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("title", HOSTS)
def test_the_listing_runs_and_trains(title, capsys, steps):
    host(HOSTS[title])
    model = run(title, capsys)["model"]
    assert len(steps) >= 14 and all(steps), "an optimiser's step changed nothing"
    assert all(p.isfinite().all() for p in model.parameters())


# --- Lightning


def lightning_model(clip=None):
    lightning = host("lightning")

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization, self.line, self.seen = False, torch.nn.Linear(1, 1, bias=False), []

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 1.0)

        def training_step(self, batch, index):
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(1000 * self.line(batch).sum())
            self.clip_gradients(optimizer, 1.0, "norm")
            self.seen.append(norm(self.parameters()))
            optimizer.step()

    quiet = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}
    return Line(), torch.utils.data.DataLoader(torch.ones(1, 1)), quiet | {"accelerator": "cpu", "max_epochs": 1}


def test_lightning_refuses_its_own_clip_under_manual_optimisation():
    model, data, settings = lightning_model()
    lightning = host("lightning")
    with pytest.raises(Exception, match="clipping is not supported for manual optimization"):
        lightning.Trainer(gradient_clip_val=1.0, **settings).fit(model, data)


def test_lightning_clips_where_it_is_called():
    model, data, settings = lightning_model()
    host("lightning").Trainer(**settings).fit(model, data)
    assert model.seen == [pytest.approx(1.0, abs=1e-3)]


def test_lightning_clips_before_it_unscales():
    """Once this fails, issue 18089 is solved, and the page's warning can go."""
    model, data, settings = lightning_model()
    from lightning.pytorch.plugins.precision import MixedPrecision

    before = model.line.weight.item()
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=16.0))
    host("lightning").Trainer(plugins=[plugin], **settings).fit(model, data)
    assert model.seen == [pytest.approx(1.0, abs=1e-3)]
    # A step of length 1 was meant. It is that of a gradient which was clipped and then divided by the scale.
    assert abs(model.line.weight.item() - before) == pytest.approx(1 / 16, rel=1e-2)


# --- Accelerate


def accelerated(monkeypatch=None, networks=1, **settings):
    accelerate = host("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, **settings)
    nets = [torch.nn.Linear(1, 1, bias=False) for _ in range(networks)]
    optimizers = [torch.optim.SGD(net.parameters(), 1.0) for net in nets]
    prepared = accelerator.prepare(*nets, *optimizers)
    if monkeypatch is not None:  # mixed precision as on a GPU
        accelerator.scaler, accelerator.native_amp = torch.amp.GradScaler("cpu", init_scale=16.0), True
        monkeypatch.setattr(type(accelerator), "mixed_precision", "fp16")
    return accelerator, prepared[:networks], prepared[networks:]


def test_accelerate_clips_at_every_call():
    accelerator, (net,), _ = accelerated(gradient_accumulation_steps=2)
    with accelerator.accumulate(net):
        accelerator.backward(1000 * net(torch.ones(1, 1)).sum())
        assert not accelerator.sync_gradients
        accelerator.clip_grad_norm_(net.parameters(), 1.0)
    assert norm(net.parameters()) == pytest.approx(1.0, abs=1e-3)


def test_accelerate_unscales_before_it_clips(monkeypatch):
    accelerator, (net,), _ = accelerated(monkeypatch)
    accelerator.scaler.scale(1000 * net(torch.ones(1, 1)).sum()).backward()
    assert norm(net.parameters()) == pytest.approx(16_000)
    assert accelerator.clip_grad_norm_(net.parameters(), 1.0).item() == pytest.approx(1000)


def test_accelerate_unscales_every_optimiser_that_it_prepared(monkeypatch):
    accelerator, (critic, generator), _ = accelerated(monkeypatch, networks=2)
    for net in (critic, generator):
        accelerator.scaler.scale(net(torch.ones(1, 1)).sum()).backward()
    accelerator.clip_grad_norm_(critic.parameters(), 100.0)
    assert norm(generator.parameters()) == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="already been called"):
        accelerator.clip_grad_norm_(generator.parameters(), 100.0)


# --- the Trainer


@pytest.mark.parametrize(("asked", "length"), [({}, 1.0), ({"max_grad_norm": 0}, 1000.0)])
def test_the_trainer_clips_without_being_asked(asked, length):
    transformers = host("transformers")

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.line = torch.nn.Linear(1, 1, bias=False)

        def forward(self, x):
            return {"loss": 1000 * self.line(x).mean()}

    model = Line()
    before = model.line.weight.item()
    settings = dict(max_steps=1, report_to="none", save_strategy="no", use_cpu=True, disable_tqdm=True, logging_steps=1)
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments("runs", **settings, **asked),
        train_dataset=[{"x": torch.ones(1)}],
        optimizers=(torch.optim.SGD(model.parameters(), 1.0), None),
    )
    trainer.train()
    logged = next(entry["grad_norm"] for entry in trainer.state.log_history if "grad_norm" in entry)
    assert float(logged) == pytest.approx(1000), "the log has the norm before clipping"
    assert abs(model.line.weight.item() - before) == pytest.approx(length, rel=1e-3)
