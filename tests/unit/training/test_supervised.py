"""The supervised loop: against autograd and PyTorch's optimisers written out, resuming, diverging, refusing."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

import gpcore as gp
from gpcore.training.loop import seeded
from gpcore.training.supervised_config import cross_entropy
from gpcore.training.tasks import set_spectral_radius_

X = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


def mlp():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


SMALL = gp.SupervisedConfig(mlp, (X[:40], Y[:40]), (X[40:], Y[40:]), steps=6, batch_size=4, eval_every=2, device="cpu")


def small(**settings):
    return dataclasses.replace(SMALL, **settings)


def sequences(task="temporal_order", **settings):
    settings = {"length": 10, "hidden": 8, "steps": 6, "batch_size": 4, "eval_every": 2, "device": "cpu"} | settings
    return gp.sequence_task(task, **settings)


def weights(history):
    return torch.cat([p.detach().flatten() for p in history.model.parameters()])


def exploding(**settings):
    return small(lr=1e30, optimizer="sgd", steps=200, loss=lambda output, y: output.square().mean(), **settings)


def test_the_default_loss_is_pytorchs_cross_entropy():
    logits, y = 50 * torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0)), torch.randint(3, (4, 7))
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    torch.testing.assert_close(cross_entropy(logits, y), expected)


@pytest.mark.parametrize("config", [small, *(lambda c=c, **s: sequences(cell=c, **s) for c in ("rnn", "gru", "lstm"))])
def test_one_step_is_sgd_on_the_cross_entropy(config):
    history = gp.train_supervised(config(steps=1, lr=0.1))
    start = gp.train_supervised(config(steps=1, lr=1e-30))
    rng = torch.Generator().manual_seed(0)
    if config is small:
        rows = torch.randint(40, (4,), generator=rng)
        x, y = X[rows], Y[rows]
    else:
        x, y = gp.data.temporal_order(4, 10, rng)
    loss = nn.functional.cross_entropy(start.model(x), y)
    grads = torch.autograd.grad(loss, list(start.model.parameters()))
    assert history.loss[0] == pytest.approx(loss.item(), rel=1e-5)
    assert history.norm[0] == pytest.approx(float(torch.cat([g.flatten() for g in grads]).norm()), rel=1e-4)
    for mine, g, theirs in zip(start.model.parameters(), grads, history.model.parameters(), strict=True):
        torch.testing.assert_close(mine - 0.1 * g, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "make", "settings"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
        ("adam", torch.optim.Adam, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
        ("adamw", torch.optim.AdamW, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
        ("rmsprop", torch.optim.RMSprop, {"momentum": 0.9, "weight_decay": 0.1}),
    ],
)
def test_the_optimisers_are_pytorchs_with_a_linear_warm_up(name, make, settings):
    history = gp.train_supervised(small(optimizer=name, lr=0.05, warmup=4, **settings))
    model = gp.train_supervised(small(steps=1, lr=1e-30)).model
    optimizer, rng = make(model.parameters(), lr=0.05, **settings), torch.Generator().manual_seed(0)
    for step in range(6):
        rows = torch.randint(40, (4,), generator=rng)
        optimizer.param_groups[0]["lr"] = 0.05 * (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)[step]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[rows]), Y[rows]).backward()
        optimizer.step()
    for mine, theirs in zip(model.parameters(), history.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_clipping_scales_the_step_and_nothing_else():
    plain, clipped = (
        gp.train_supervised(small(steps=1, lr=1.0, **s)) for s in ({}, {"scaling": "clip_norm", "threshold": 0.01})
    )
    start = weights(gp.train_supervised(small(steps=1, lr=1e-30)))
    ratio = 0.01 / plain.norm[0]
    torch.testing.assert_close(weights(clipped) - start, ratio * (weights(plain) - start), rtol=1e-2, atol=1e-6)
    assert clipped.norm == plain.norm and clipped.norm_scaled[0] == pytest.approx(0.01, rel=1e-5)


def test_held_out_loss_and_error_are_those_of_the_network_at_that_step():
    history = gp.train_supervised(small(steps=5))
    assert history.score_step == [0, 2, 4] and history.step == [0, 1, 2, 3, 4]
    output = history.model(X[40:])
    assert history.error[-1] == pytest.approx((output.argmax(1) != Y[40:]).double().mean().item())
    assert history.held_out_loss[-1] == pytest.approx(nn.functional.cross_entropy(output, Y[40:]).item(), rel=1e-5)
    # Without held-out tensors there is nothing to evaluate on; a sampler gives fresh samples.
    assert gp.train_supervised(small(held_out=None)).score_step == []
    assert len(gp.train_supervised(sequences()).error) == 4


def test_a_regression_has_a_held_out_loss_and_no_error():
    regression = small(model=lambda: nn.Linear(5, 1), data=(X[:40], X[:40, :1]), held_out=(X[40:], X[40:, :1]))
    history = gp.train_supervised(dataclasses.replace(regression, loss=mse_loss, lr=0.2, steps=200))
    assert history.error is None and history.held_out_loss[-1] < 1e-4 < history.held_out_loss[0]


def test_evaluation_sees_no_dropout_and_training_does():
    def net():
        return nn.Sequential(nn.Linear(5, 500), nn.Dropout(0.5), nn.Linear(500, 3))

    config = small(model=net, lr=1e-30, steps=2, data=(X[:1], Y[:1]), batch_size=1, eval_every=1)
    history = gp.train_supervised(config)
    assert history.held_out_loss[0] == history.held_out_loss[1] and history.loss[0] != history.loss[1]
    assert history.model.training


def test_the_budget_says_what_a_run_was_given():
    assert gp.train_supervised(SMALL).budget == gp.Budget("networks of 75 parameters", "6 steps", "batch 4")


def test_logging_evaluating_and_the_global_random_state_do_not_change_a_run():
    before = torch.get_rng_state()
    often = gp.train_supervised(SMALL)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    seldom = gp.train_supervised(small(log_every=100, eval_every=100))
    assert torch.equal(weights(often), weights(seldom)) and seldom.step == [0, 5]
    assert not torch.equal(weights(often), weights(gp.train_supervised(small(seed=1))))


def dropout():
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))


@pytest.mark.usefixtures("dies_after_the_second_checkpoint")
@pytest.mark.parametrize(
    "config",
    [small(scaling=name, threshold=2.0) for name in gp.scaling.SCALERS]
    + [small(optimizer=name, momentum=0.9) for name in ("adamw", "rmsprop", "sgd")]
    + [small(model=dropout), sequences(cell="lstm"), sequences("text", text="the cat sat on the mat. " * 10)],
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, config):
    config = dataclasses.replace(config, checkpoint_every=2)
    whole = gp.train_supervised(config)
    with pytest.raises(KeyboardInterrupt):
        gp.train_supervised(config, resume=tmp_path / "run")
    resumed = gp.train_supervised(config, resume=tmp_path / "run")
    assert torch.equal(weights(whole), weights(resumed))
    for field in dataclasses.fields(gp.SupervisedHistory):
        if field.name != "model":
            assert getattr(whole, field.name) == getattr(resumed, field.name), field.name
    with pytest.raises(ValueError, match="another run"):
        gp.train_supervised(dataclasses.replace(config, lr=0.5), resume=tmp_path / "run")


def test_an_exploding_run_stops_and_says_where():
    with pytest.raises(gp.TrainingDiverged, match=r"step \d of 200 \(seed 0\): the .* is not finite") as error:
        gp.train_supervised(exploding(eval_every=1000))
    history = error.value.history
    assert history.diverged_at == error.value.step == len(history.step) > 0
    assert torch.tensor(history.loss).isfinite().all() and torch.tensor(history.norm).isfinite().all()


def test_a_held_out_loss_that_is_not_finite_ends_the_run_and_is_not_logged():
    config = small(loss=lambda output, y: output.square().mean() * (1.0 if len(y) == 4 else float("nan")))
    with pytest.raises(gp.TrainingDiverged, match="step 1 of 6 .*the held-out loss is not finite") as error:
        gp.train_supervised(config)
    assert error.value.history.held_out_loss == [] and error.value.history.step == [0]


# --- the sequence tasks


def test_the_spectral_radius_is_what_was_asked_for():
    model = sequences(hidden=20, spectral_radius=1.5).model()
    (matrix,) = [p for name, p in model.named_parameters() if "weight_hh" in name]
    assert float(torch.linalg.eigvals(matrix.detach().double()).abs().max()) == pytest.approx(1.5, rel=1e-5)
    with pytest.raises(ValueError, match="spectral_radius"):
        sequences(cell="lstm", spectral_radius=1.0)
    with pytest.raises(ValueError, match="spectral_radius"):
        set_spectral_radius_(gp.models.RecurrentClassifier(6, 20, 4, "gru"), 1.0)


def test_text_is_learned_and_its_last_tenth_is_held_out():
    text = "the cat sat on the mat. " * 40 + "z" * 107
    config = sequences("text", text=text, hidden=32, optimizer="adam", lr=0.01, steps=80, batch_size=8)
    history = gp.train_supervised(dataclasses.replace(config, eval_every=100))
    assert history.loss[-1] < history.loss[0] / 2
    assert history.held_out_loss[-1] > history.loss[-1] * 2  # it is nothing but z, never seen while training
    x, y = config.held_out(3, torch.Generator().manual_seed(0))
    assert x.shape == y.shape == (3, 10) and len(x.unique()) == 1
    with pytest.raises(ValueError, match="text must hold at least"):
        sequences("text", text="short")


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scaling": "x"}, ValueError, "scaling must be one of"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of .*'adamw'"),
        ({"lr": -1.0}, ValueError, "lr must be finite"),
        ({"momentum": -0.1}, ValueError, "momentum must be finite and not negative"),
        ({"weight_decay": float("nan")}, ValueError, "weight_decay"),
        ({"steps": 0}, ValueError, "steps must be a whole number of at least 1"),
        ({"warmup": -1}, ValueError, "warmup must be a whole number of at least 0"),
        ({"model": nn.Linear}, TypeError, "__init__"),
        ({"model": "rnn"}, TypeError, "model must be a function, got str"),
        ({"model": lambda: 3}, TypeError, "model must build a network with parameters to train, got int"),
        ({"data": X}, TypeError, "data must be a tuple of two tensors"),
        ({"held_out": (X, Y[:3])}, ValueError, "held_out must hold as many x as y"),
        ({"loss": lambda output, y: output}, ValueError, r"loss must return one number.*\(4, 3\)"),
        ({"penalty": lambda model, x, y: x}, ValueError, r"penalty must return one number.*\(4, 5\)"),
        ({"penalty": 1.0}, TypeError, "penalty must be a function, got float"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, error, message):
    with pytest.raises(error, match=message):
        gp.train_supervised(small(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"task": "copy"}, "task must be one of"), ({"cell": "x"}, "cell"), ({"length": 0}, "length")],
)
def test_bad_sequence_tasks_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        sequences(**settings)


def test_the_earlier_names_of_sequence_runs_go_on_working():
    """Norms before and after, as a loop with PyTorch's own clip gives them."""
    config = gp.SequenceConfig(
        length=10, hidden=8, spectral_radius=1.5, scaling="clip_norm", threshold=3.0, steps=6, batch_size=4,
        eval_every=6, eval_sequences=20, device="cpu",
    )  # fmt: skip
    history = gp.train_sequence(config)
    assert isinstance(history, gp.SequenceHistory) and max(history.norm_scaled) <= 3.0 + 1e-5
    (same,) = gp.train_sequence_many(config, [config.seed])
    torch.testing.assert_close(same.norm, history.norm, rtol=1e-4, atol=1e-6)
    model, draw = seeded(config.seed, config.model), torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
    norms = []
    for _ in range(6):
        x, y = config.data(4, draw)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)))
        optimizer.step()
    assert min(norms) < 3.0 < max(norms)
    torch.testing.assert_close(history.norm, norms, rtol=1e-4, atol=1e-6)
