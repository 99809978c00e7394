"""``train`` with ``compile=True``: the critic's step and its optimiser's in one, against the run that is not compiled.

All but one test run the traced step without the compiler: what is traced is what is compiled.
"""

import dataclasses

import pytest
import torch
import torch._inductor

import gpcore as gp

SMALL = gp.Config(steps=6, batch_size=16, width=8, depth=2, log_every=1, n_critic=2, device="cpu")
LOGGED = "critic_loss penalty input_norm critic_norm critic_norm_scaled generator_loss generator_norm".split()


@pytest.fixture
def uncompiled(monkeypatch):
    monkeypatch.setattr(torch._inductor, "compile", lambda traced, tensors, options: traced)


def both(train=gp.train, **settings):
    config = dataclasses.replace(SMALL, **settings)
    return train(dataclasses.replace(config, compile=True)), train(config)


def assert_same_run(ours, theirs, atol=1e-4):
    assert ours.step == theirs.step
    for name in LOGGED:
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-3, atol=1e-4, msg=name)
    for a, b in zip(ours.critic.parameters(), theirs.critic.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize(
    "settings",
    [
        dict(one_sided=True),
        dict(constraint="dragan", loss="hinge", target=0.5),
        dict(constraint="r1", loss="non_saturating", weight=3.0),
        dict(constraint="r2", loss="relativistic"),
    ],
    ids=["gp", "dragan", "r1", "r2"],
)
def test_it_is_the_run_that_is_not_compiled(optimizer, settings, uncompiled):
    # RMSprop's first step is ten times its rate in the sign of the gradient, however small that is: 0.01 here.
    atol = 1e-3 if optimizer == "rmsprop" else 1e-4
    assert_same_run(*both(optimizer=optimizer, lr_critic=1e-3, **settings), atol=atol)


def test_gradients_and_updates_are_one_function_unless_gradients_are_scaled(uncompiled, monkeypatch):
    stepped = []
    for name in ("step", "zero_grad"):
        monkeypatch.setattr(torch.optim.Adam, name, lambda self, *_, name=name, **__: stepped.append((name, self)))
    monkeypatch.setattr(gp.training.adversarial, "_generator_step", lambda run: {})
    history = gp.train(dataclasses.replace(SMALL, compile=True))
    assert not stepped and history.critic_norm_scaled == history.critic_norm
    assert all(p.grad is None for p in history.critic.parameters())


def test_scaled_gradients_are_those_of_the_ordinary_step(monkeypatch):
    monkeypatch.setattr(gp.training.run, "compile_critic_step", None)  # is not called
    compiled = []
    critic_step = gp.sweep.critic_step
    monkeypatch.setattr(critic_step, "_compiled_step", lambda: compiled.append(1) or critic_step._step)
    ours, theirs = both(scaling="clip_norm", threshold=0.01)
    assert compiled and max(ours.critic_norm_scaled) < 0.0101 < min(ours.critic_norm)
    assert_same_run(ours, theirs)


def test_an_interrupted_run_goes_on_where_it_stopped(uncompiled, tmp_path, monkeypatch):
    config = dataclasses.replace(SMALL, compile=True, checkpoint_every=2)
    whole = gp.train(config)
    generator_step = gp.training.adversarial._generator_step

    def killed(run):
        if run.step == 3:
            raise KeyboardInterrupt
        return generator_step(run)

    monkeypatch.setattr(gp.training.adversarial, "_generator_step", killed)
    with pytest.raises(KeyboardInterrupt):
        gp.train(config, resume=tmp_path / "run")
    monkeypatch.setattr(gp.training.adversarial, "_generator_step", generator_step)
    resumed = gp.train(config, resume=tmp_path / "run")
    assert resumed.critic_loss == whole.critic_loss and resumed.step == whole.step
    for a, b in zip(resumed.critic.parameters(), whole.critic.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_that_diverges_stops_before_the_weights_are_touched(uncompiled):
    stopped = []
    for compile_ in (True, False):
        config = dataclasses.replace(SMALL, optimizer="sgd", lr_critic=1e9, steps=99, compile=compile_)
        # The sweep names the norm at which it stopped; the whole step looks at what it measured when it is over.
        said = "the critic's loss is" if compile_ else "the critic's gradient must be finite"
        with pytest.raises(gp.TrainingDiverged, match=said) as raised:
            gp.train(config)
        stopped.append((raised.value.step, raised.value.history.diverged_at))
        assert all(p.isfinite().all() for p in raised.value.history.critic.parameters())
    assert stopped[0] == stopped[1]


def test_a_gradient_that_is_not_finite_stops_the_run(uncompiled):
    def overflows():  # scores are 8 for all samples; a weight between two layers has the gradient 1e20 times 1e20
        critic = gp.models.mlp_critic(2, 8, 2)
        with torch.no_grad():
            [p.zero_() for p in critic.parameters()]
            critic[0].bias.fill_(1e20)
            critic[2].bias.fill_(1e-20)
            critic[4].weight.fill_(1e20)
        return critic

    for compile_ in (True, False):
        config = dataclasses.replace(SMALL, critic=overflows, steps=2, constraint="r1", loss="non_saturating")
        with pytest.raises(gp.TrainingDiverged, match="norm"):
            gp.train(dataclasses.replace(config, compile=compile_))


@pytest.mark.filterwarnings("ignore")  # raised inside torch.compile itself
@pytest.mark.usefixtures("compiler")
def test_compiled_in_earnest_it_is_the_same_run():
    assert_same_run(*both(optimizer="sgd"))


@pytest.mark.filterwarnings("ignore")  # raised inside torch.compile itself
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_is_the_same_run():
    assert_same_run(*both(optimizer="sgd", steps=20, device="cuda"))
