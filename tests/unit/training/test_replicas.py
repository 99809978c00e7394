"""Replica s is the single run with seed s: every loss, constraint and scaling, divergence, checkpoints."""

import dataclasses

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.losses import LINEAR, LOSSES
from gpcore.training.replicas import _losses, supports_replicas
from gpcore.training.stacks import scale_rows_

pytestmark = pytest.mark.usefixtures("double")

SMALL = gp.Config(
    steps=4,
    n_critic=2,
    batch_size=16,
    width=8,
    depth=2,
    lr_critic=1e-3,
    lr_generator=1e-3,
    log_every=1,
    eval_every=2,
    eval_samples=10,
    device="cpu",
)
SEEDS = (3, 1, 5)
LOGGED = (
    *("critic_loss", "generator_loss", "penalty", "input_norm"),
    *("critic_norm", "critic_norm_scaled", "generator_norm", "generator_norm_scaled"),
)
EVALUATE = {"mean": lambda x: float(x.mean())}


def small(**changes):
    return dataclasses.replace(SMALL, **changes)


def assert_replicas_are_single_runs(config):
    assert supports_replicas(config)
    for replica, seed in zip(gp.train_many(config, SEEDS, evaluate=EVALUATE), SEEDS, strict=True):
        single = gp.train(dataclasses.replace(config, seed=seed), evaluate=EVALUATE)
        assert replica.backward == "replicas" and replica.seed == seed
        assert replica.step == single.step and replica.score_step == single.score_step
        for name in LOGGED:
            values = (torch.tensor(getattr(history, name)) for history in (replica, single))
            torch.testing.assert_close(*values, rtol=1e-9, atol=1e-9)
        for a, b in zip(replica.generator.parameters(), single.generator.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        assert replica.scores["mean"] == pytest.approx(single.scores["mean"], abs=1e-9)


@pytest.mark.parametrize("constraint", ["none", "clip", "gp", "r1", "r2", "dragan"])
@pytest.mark.parametrize("loss", gp.losses.LOSSES)
def test_every_loss_and_constraint(loss, constraint):
    assert_replicas_are_single_runs(small(loss=loss, constraint=constraint))


@pytest.mark.parametrize("loss", LINEAR)
def test_the_slopes_of_a_linear_loss_are_those_of_autograd(loss, monkeypatch):
    real, fake = torch.randn(2, 3, 7)
    known = _losses(loss, real, fake)
    monkeypatch.setattr("gpcore.training.replicas.LINEAR", {})
    found = _losses(loss, real, fake)
    assert torch.equal(known[0], found[0])
    for ours, theirs in zip(known[1], found[1], strict=True):
        assert ours is theirs is None or torch.equal(ours, theirs)


def test_every_loss_that_is_linear_is_known_to_be():
    x, y = torch.randn(2, 2, 9)
    losses = [loss for pair in LOSSES.values() for loss in pair]
    linear = {loss for loss in losses if torch.allclose(loss(*x) + loss(*y), 2 * loss(*(x + y) / 2))}
    assert linear == set(LINEAR)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("scaling", ["none", "clip_norm", "clip_value", "normalize"])
def test_every_scaling_and_optimizer(scaling, optimizer):
    assert_replicas_are_single_runs(small(scaling=scaling, threshold=0.05, optimizer=optimizer, activation="softplus"))


def test_one_sided_data_of_the_reader_and_networks_of_the_reader():
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    networks = dict(
        critic=lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1, bias=False)),
        generator=lambda: nn.Sequential(nn.Linear(2, 4), nn.LeakyReLU(0.1), nn.Linear(4, 3), nn.Tanh()),
    )
    assert_replicas_are_single_runs(small(data=data, one_sided=True, target=0.2, **networks))


@pytest.mark.parametrize(
    "changes",
    [
        dict(constraint="spectral_norm"),
        dict(constraint="r1_r2"),
        dict(constraint=lambda critic, real, fake: critic(real).sum() * 0),
        dict(scaling="autoclip", threshold=10.0),
        dict(precision="bf16"),
        dict(activation="elu"),
        dict(critic=lambda: nn.Sequential(nn.Flatten(), nn.Linear(2, 1))),
    ],
)
def test_what_cannot_be_stacked_runs_seed_after_seed(changes):
    assert not supports_replicas(small(**changes))
    runs = gp.train_many(small(**changes), (0, 1))
    assert [run.seed for run in runs] == [0, 1] and all(run.backward != "replicas" for run in runs)


def poisoned(fatal_seed):
    """A critic of which one seed's weights are so large that its loss overflows."""

    def build():
        critic = gp.models.mlp_critic(2, 8, 2)
        if torch.initial_seed() == 2 * fatal_seed:
            with torch.no_grad():
                critic[0].weight.fill_(1e308)
        return critic

    return build


def test_a_replica_that_diverges_is_reported_and_touches_no_other():
    config = small(constraint="none", critic=poisoned(1))
    first, lost, last = gp.train_many(config, SEEDS)[0], *gp.train_many(config, SEEDS)[1:]
    assert lost.diverged_at == 0 and lost.step == [] and first.diverged_at is None
    assert float(next(lost.critic.parameters()).detach()[0, 0]) == pytest.approx(1e308)
    for history in (first, last):
        single = gp.train(dataclasses.replace(config, seed=history.seed))
        torch.testing.assert_close(torch.tensor(history.critic_loss), torch.tensor(single.critic_loss))
    with pytest.raises(gp.TrainingDiverged) as error:
        gp.train(dataclasses.replace(config, seed=1))
    assert error.value.step == lost.diverged_at


def test_the_networks_can_be_differentiated_afterwards_those_that_left_too():
    """A tensor that was made without autograd's bookkeeping cannot be."""
    histories = gp.train_many(small(constraint="none", critic=poisoned(1)), SEEDS)
    assert [history.diverged_at for history in histories] == [None, 0, None]
    for history in histories:
        for network in (history.critic, history.generator):
            network(torch.randn(4, 2)).sum().backward()
            assert all(p.grad is not None for p in network.parameters())


def test_a_sum_that_overflows_takes_no_replica_out():
    run = gp.training.replicas._Replicas(small(), [0, 1])
    run.keep_finite(torch.tensor([1e308, 1e308]))
    assert len(run.alive) == 2
    run.keep_finite(torch.tensor([1.0, 2.0]), torch.tensor([torch.inf, -torch.inf]))
    assert run.alive == []


def test_all_replicas_may_diverge():
    runs = gp.train_many(small(constraint="none", optimizer="sgd", lr_critic=1e300), SEEDS)
    assert all(run.diverged_at is not None for run in runs)


class Kill(Exception):
    pass


@pytest.mark.parametrize("critic", [None, poisoned(1)])
def test_an_interrupted_run_gives_the_uninterrupted_one_bit_for_bit(tmp_path, critic):
    config = small(constraint="gp" if critic is None else "none", critic=critic, steps=6, checkpoint_every=2)
    whole = gp.train_many(config, SEEDS, evaluate=EVALUATE)
    calls = []

    def kill(samples):
        calls.append(1)
        if len(calls) > 6:
            raise Kill
        return float(samples.mean())

    with pytest.raises(Kill):
        gp.train_many(config, SEEDS, evaluate={"mean": kill}, resume=tmp_path / "run")
    again = gp.train_many(config, SEEDS, evaluate=EVALUATE, resume=tmp_path / "run")
    for a, b in zip(whole, again, strict=True):
        assert a.critic_loss == b.critic_loss and a.scores == b.scores and a.diverged_at == b.diverged_at
        assert all(torch.equal(p, q) for p, q in zip(a.generator.parameters(), b.generator.parameters(), strict=True))
    assert gp.train_many(config, SEEDS, resume=tmp_path / "run")[0].critic_loss == whole[0].critic_loss
    with pytest.raises(ValueError, match="another run"):
        gp.train_many(config, (3, 1), resume=tmp_path / "run")


def test_seeds_are_checked():
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="seeds"):
            gp.train_many(SMALL, seeds)


@pytest.mark.parametrize("scaling", ["none", "clip_norm", "clip_value", "normalize"])
def test_rows_are_scaled_as_single_gradients(scaling):
    scales = torch.tensor([[0.0], [0.1], [3.0], [1e20]], dtype=torch.float32)
    rows = scales * torch.randn(4, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    expected, norms = [], []
    for row in rows:
        parameter = torch.zeros(9, dtype=torch.float32)
        parameter.grad = row.clone()
        norms.append(float(gp.make_scaler(scaling, 0.7)([parameter])))
        expected.append(parameter.grad)
    before = scale_rows_(rows, scaling, 0.7)
    torch.testing.assert_close(rows, torch.stack(expected))
    assert before.tolist() == pytest.approx(norms, rel=1e-6)


def test_single_runs_take_the_sweep_where_they_can_and_say_so():
    assert gp.train(small(constraint="gp")).backward == "hand-derived"
    for changes in (dict(constraint="none"), dict(activation="elu"), dict(precision="bf16"), dict(constraint="r1_r2")):
        assert gp.train(small(**changes)).backward == "autograd"


@pytest.mark.parametrize("constraint", ["gp", "r1", "r2", "dragan"])
def test_the_sweep_and_autograd_train_alike(constraint):
    class Known(nn.Sequential):
        """The same critic, of a type that the sweep does not know."""

    config = small(constraint=constraint, one_sided=constraint == "gp")
    other = dataclasses.replace(config, critic=lambda: Known(*gp.models.mlp_critic(2, 8, 2)))
    swept, plain = gp.train(config), gp.train(other)
    assert (swept.backward, plain.backward) == ("hand-derived", "autograd")
    for name in LOGGED:
        values = (torch.tensor(getattr(history, name)) for history in (swept, plain))
        torch.testing.assert_close(*values, rtol=1e-9, atol=1e-9)
