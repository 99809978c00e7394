"""The recurrent loop: back-propagation through time against autograd written out, resuming, refusing."""

import dataclasses

import pytest
import torch
from torch.nn.functional import cross_entropy

import gpcore as gp
from gpcore.training.supervised import set_spectral_radius_

SMALL = gp.SequenceConfig(length=10, hidden=8, steps=6, batch_size=4, eval_every=2, eval_sequences=50, device="cpu")


def small(**settings):
    return dataclasses.replace(SMALL, **settings)


def weights(history):
    return torch.cat([p.detach().flatten() for p in history.model.parameters()])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_one_step_is_sgd_on_the_cross_entropy(cell):
    history = gp.train_sequence(small(steps=1, lr=0.1, cell=cell))
    start = gp.train_sequence(small(steps=1, lr=1e-30, cell=cell))
    x, y = gp.data.temporal_order(4, 10, torch.Generator().manual_seed(0))
    loss = cross_entropy(start.model(x), y)
    grads = torch.autograd.grad(loss, list(start.model.parameters()))
    assert history.loss[0] == pytest.approx(loss.item(), rel=1e-5)
    assert history.norm[0] == pytest.approx(float(torch.cat([g.flatten() for g in grads]).norm()), rel=1e-4)
    for mine, g, theirs in zip(start.model.parameters(), grads, history.model.parameters(), strict=True):
        torch.testing.assert_close(mine - 0.1 * g, theirs, rtol=1e-5, atol=1e-6)


def test_clipping_scales_the_step_and_nothing_else():
    plain, clipped = (
        gp.train_sequence(small(steps=1, lr=1.0, **s)) for s in ({}, {"scaling": "clip_norm", "threshold": 0.01})
    )
    start = weights(gp.train_sequence(small(steps=1, lr=1e-30)))
    ratio = 0.01 / plain.norm[0]
    torch.testing.assert_close(weights(clipped) - start, ratio * (weights(plain) - start), rtol=1e-2, atol=1e-6)
    assert clipped.norm == plain.norm and clipped.norm_scaled[0] == pytest.approx(0.01, rel=1e-5)


def test_the_spectral_radius_is_what_was_asked_for():
    model = gp.models.RecurrentClassifier(6, 20, 4)
    set_spectral_radius_(model, 1.5)
    (matrix,) = [p for name, p in model.named_parameters() if "weight_hh" in name]
    assert float(torch.linalg.eigvals(matrix.detach().double()).abs().max()) == pytest.approx(1.5, rel=1e-5)
    with pytest.raises(ValueError, match="spectral_radius"):
        gp.train_sequence(small(cell="lstm", spectral_radius=1.0))


@pytest.mark.parametrize("scaling", gp.scaling.SCALERS)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, scaling, monkeypatch):
    config = small(scaling=scaling, threshold=2.0, checkpoint_every=2)
    whole = gp.train_sequence(config)
    save, calls = gp.checkpoint.save, []

    def dies_after_the_second(path, state):
        save(path, state)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(gp.checkpoint, "save", dies_after_the_second)
    with pytest.raises(KeyboardInterrupt):
        gp.train_sequence(config, resume=tmp_path / "run")
    resumed = gp.train_sequence(config, resume=tmp_path / "run")
    assert torch.equal(weights(whole), weights(resumed))
    for field in dataclasses.fields(gp.SequenceHistory):
        if field.name != "model":
            assert getattr(whole, field.name) == getattr(resumed, field.name)


def test_text_is_learned_and_its_last_tenth_is_held_out():
    text = "the cat sat on the mat. " * 40
    history = gp.train_sequence(
        small(task="text", text=text, steps=80, hidden=32, optimizer="adam", lr=0.01, eval_every=100)
    )
    assert history.held_out_loss[-1] < history.held_out_loss[0] / 2
    with pytest.raises(ValueError, match="text must hold at least"):
        small(task="text", text="short")


def test_an_exploding_run_stops_and_says_where():
    with pytest.raises(gp.TrainingDiverged, match=r"training stopped at step \d+ of 200") as error:
        gp.train_sequence(small(steps=200, lr=1e38, spectral_radius=5.0))
    assert len(error.value.history.step) == error.value.step
    (history,) = gp.train_sequence_many(small(steps=200, lr=1e38, spectral_radius=5.0), seeds=[0])
    assert history.diverged_at == error.value.step


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"task": "copy"}, "task"), ({"scaling": "x"}, "scaling"), ({"lr": -1.0}, "lr"), ({"length": 0}, "length")],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)
