"""What a run logs and leaves: norms of whole images, scalers with memories of their own, evaluation, thawed critics."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

import gpcore as gp

SMALL = gp.Config(steps=5, batch_size=16, width=8, depth=2, log_every=1, eval_every=2, n_critic=1, device="cpu")


def small(**settings):
    return dataclasses.replace(SMALL, **settings)


class Linear(nn.Module):
    """A critic of images whose gradient is its weight, wherever it is taken."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(12.0).reshape(1, 3, 4) / 10)

    def forward(self, x):
        return (x * self.weight).flatten(1).sum(1)


def images(**settings):
    build = dict(critic=Linear, generator=lambda: nn.Sequential(nn.Linear(2, 12), nn.Unflatten(1, (1, 3, 4))))
    return small(data=torch.rand(20, 1, 3, 4), constraint="none", lr_critic=1e-30, lr_generator=0, **build, **settings)


def test_the_input_norm_is_that_of_the_whole_image():
    history = gp.train(images())
    assert history.input_norm == pytest.approx([Linear().weight.norm().item()] * 5)


@pytest.mark.parametrize("many", [False, True])
def test_the_input_norm_is_taken_between_real_and_generated_samples(many):
    """The same in both ways of training, and for a bent critic it depends on the place: an oracle of its own."""
    config = small(steps=1, constraint="none", activation="tanh", lr_critic=1e-30, lr_generator=0, seed=1)
    run = gp.train_many(config, (0, 1))[1] if many else gp.train(config)
    rng = torch.Generator().manual_seed(1)
    real = gp.data.eight_gaussians(16, rng)
    critic, generator = gp.build_networks(config)
    fake = generator(torch.randn(16, 2, generator=rng)).detach()
    eps = torch.rand(16, generator=torch.Generator().manual_seed(0))[:, None]
    points = (eps * real + (1 - eps) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(points).sum(), points)
    assert run.input_norm[0] == pytest.approx(slope.square().sum(1).sqrt().mean().item(), rel=1e-5)


def test_each_network_has_a_scaler_of_its_own():
    """AutoClip's threshold is the percentile of one network's norms: a memory for both would mix them."""
    history = gp.train(small(steps=12, scaling="autoclip", threshold=30.0, lr_critic=1e-2, lr_generator=1e-2))
    for name in ("critic", "generator"):
        before, after = (getattr(history, f"{name}_norm{end}") for end in ("", "_scaled"))
        expected = [min(norm, np.percentile(before[: i + 1], 30)) for i, norm in enumerate(before)]
        assert after == pytest.approx(expected, rel=1e-4)
        assert any(a < 0.99 * b for a, b in zip(after, before, strict=True))


class Overflows(nn.Module):
    """A generator whose samples turn infinite at its third call: the second generator step's loss is not finite."""

    def __init__(self, fatal):
        super().__init__()
        self.layer, self.calls, self.fatal = nn.Linear(2, 2), 0, fatal

    def forward(self, z):
        self.calls += 1
        return self.layer(z) * (math.inf if self.calls == self.fatal else 1.0)


def test_a_run_that_ends_in_a_generator_step_leaves_a_critic_that_can_be_trained():
    with pytest.raises(gp.TrainingDiverged, match="step 1 of 5 .*the generator's loss") as error:
        gp.train(small(constraint="none", generator=lambda: Overflows(4)))
    history = error.value.history
    assert history.diverged_at == 1 and history.step == [0]
    assert all(p.requires_grad for p in history.critic.parameters())


@pytest.mark.parametrize("settings", [{}, {"scaling": "adaptive", "threshold": 0.01}], ids=["at once", "one by one"])
def test_every_seed_is_evaluated_on_as_many_samples_as_were_asked_for(settings):
    seen = []

    def score(samples):
        seen.append((tuple(samples.shape), samples.device.type))
        return samples.mean()

    runs = gp.train_many(small(steps=6, eval_samples=37, **settings), (0, 1), evaluate={"mean": score})
    assert set(seen) == {((37, 2), "cpu")} and len(seen) == 2 * 4
    for run in runs:
        assert run.score_step == [0, 2, 4, 5] and len(run.scores["mean"]) == 4
        assert run.scores["mean"][-1] == pytest.approx(run.sample(37).mean().item())


def test_samples_come_from_the_seed_that_is_given():
    history = gp.train(small(noise_dim=3))
    for seed in (0, 7):
        noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(history.sample(5, seed=seed), history.generator(noise).detach())
    assert torch.equal(history.sample(5), history.sample(5, seed=0))
    assert not history.sample(5).requires_grad


def test_the_networks_of_a_seed_are_drawn_apart():
    """Of one architecture, critic and generator would start alike if their seeds were one."""

    def build():
        return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))

    vectors = []
    for seed in (0, 1, 2):
        for network in gp.build_networks(small(critic=build, generator=build, seed=seed)):
            vectors.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert all(not torch.equal(a, b) for i, a in enumerate(vectors) for b in vectors[:i])
    # A wider critic changes nothing about the generator.
    narrow, wide = (gp.build_networks(small(seed=4, critic=lambda w=w: gp.models.mlp_critic(2, w)))[1] for w in (4, 40))
    assert all(torch.equal(a, b) for a, b in zip(narrow.parameters(), wide.parameters(), strict=True))


def test_what_can_be_walked_once_is_taken_as_a_list():
    """Seeds, settings and histories may come from a generator."""
    runs = gp.train_many(small(steps=1), (seed for seed in (3, 5)))
    assert [run.seed for run in runs] == [3, 5]
    runs = gp.train_many(small(steps=1, scaling="adaptive", threshold=0.1), (seed for seed in (3, 5)))
    assert [run.seed for run in runs] == [3, 5]
    for read in (gp.stack, gp.final, gp.median_run):
        assert np.array_equal(read((run for run in runs), "critic_loss"), read(runs, "critic_loss"))
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    fit = gp.SupervisedConfig(lambda: nn.Linear(2, 1), (x, x[:, :1]), loss=nn.functional.mse_loss, steps=1)
    grid = gp.train_grid(fit, (s for s in (0, 2)), lr=(rate for rate in (0.1, 0.2)), batch_size=(n for n in (2, 4)))
    assert list(grid) == [(0.1, 2), (0.1, 4), (0.2, 2), (0.2, 4)]
    assert all([run.seed for run in runs] == [0, 2] for runs in grid.values())


def test_a_run_that_never_logged_has_no_final_value():
    ended = gp.History(0, penalty=[1.0, 2.0])
    assert math.isnan(gp.final([ended, gp.History(1)], "penalty")[1])
    with pytest.raises(ValueError, match="2 histories have no series 'w1'"):
        gp.final([ended, ended], "w1")


def test_the_held_out_set_is_one_for_all_seeds_and_is_not_trained_on():
    drawn = []

    def draw(n, rng):
        x = torch.randn(n, 2, generator=rng)
        drawn.append(x)
        return x, x[:, :1]

    fit = gp.SupervisedConfig(
        lambda: nn.Linear(2, 1), draw, loss=nn.functional.mse_loss, steps=2, batch_size=4, eval_every=1,
        eval_samples=33, lr=1e-30, device="cpu",
    )  # fmt: skip
    held_out = []
    for seed in (0, 1):
        drawn.clear()
        history = gp.train_supervised(dataclasses.replace(fit, seed=seed))
        (x,) = (x for x in drawn if len(x) == 33)
        held_out.append(x)
        assert sum(len(x) == 4 for x in drawn) == 2
        with torch.no_grad():
            assert history.held_out_loss[-1] == pytest.approx((history.model(x) - x[:, :1]).square().mean().item())
        assert not any((x[:, None] == batch).all(-1).any() for batch in drawn if len(batch) == 4)
    assert torch.equal(*held_out)
