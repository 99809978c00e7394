"""Of many runs at once the first leave: those that stay keep their own weights, gradients, state and settings."""

import dataclasses

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.training.stacks import RowOptimizer, Stack


def networks(n):
    return [gp.training.loop.seeded(seed, lambda: gp.models.mlp_critic(2, 3, 1)) for seed in range(n)]


def vector(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.parametrize("optimizer", ["adam", "fused", "amsgrad", "rmsprop", "centered", "sgd"])
def test_a_stack_keeps_the_rows_that_were_asked_for(optimizer):
    """Each row is a PyTorch optimiser of its own, which no other row disturbs."""
    make = {
        "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1),
        "fused": lambda p: torch.optim.Adam(p, lr=0.1, fused=True),
        "amsgrad": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9, eps=1e-3, weight_decay=0.1),
        "centered": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    }[optimizer]
    ours, alone = networks(4), networks(4)
    single = [make(network.parameters()) for network in alone]
    stack, rng = Stack(ours, make), torch.Generator().manual_seed(0)
    gradients = torch.randn(5, 4, stack.values.shape[1], generator=rng)

    def step_alone(row, gradient):
        for p, g in zip(
            alone[row].parameters(), gradient.split([p.numel() for p in alone[row].parameters()]), strict=True
        ):
            p.grad = g.reshape(p.shape).clone()
        single[row].step()

    for gradient in gradients[:3]:
        stack.values.grad.copy_(gradient)
        stack.step()
        for row in range(4):
            step_alone(row, gradient[row])
    stack.values.grad.copy_(gradients[3])
    kept = stack.only([3, 1])  # between a gradient and its step, as where a norm is not finite
    kept.step()
    kept.values.grad.copy_(gradients[4, [3, 1]])
    kept.step()
    for row in (3, 1):
        step_alone(row, gradients[3, row])
        step_alone(row, gradients[4, row])
    for mine, theirs in zip(ours, alone, strict=True):
        torch.testing.assert_close(vector(mine), vector(theirs))
    assert kept.networks == [ours[3], ours[1]]


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_the_optimiser_of_rows_keeps_the_state_of_those_that_stay(name):
    """The same rows alone from the start, with their own rates, end at the same values; a gradient may be 0."""
    rng = torch.Generator().manual_seed(0)
    values, gradients = torch.randn(3, 4, generator=rng), torch.randn(6, 3, 4, generator=rng)
    gradients[:, :, 1] = 0.0
    lr = torch.tensor([[0.1], [0.01], [0.3]], dtype=torch.float64)
    ends = []
    for leaving in (True, False):
        optimizer, rows = RowOptimizer(name, (0.7, 0.9), 0.5, 0.1), [0, 1, 2] if leaving else [2]
        x = values[rows].clone()
        for step, gradient in enumerate(gradients):
            if leaving and step == 3:
                optimizer.keep([2])
                x, rows = x[[2]], [2]
            optimizer.step(x, gradient[rows], lr[rows])
        ends.append(x)
    assert ends[0].isfinite().all()
    torch.testing.assert_close(*ends)


DATA = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("scaling", ["none", "clip_norm", "clip_value", "zclip", "autoclip", "adaptive"])
def test_where_the_first_rows_diverge_the_others_are_their_single_runs(scaling):
    """The absurd rate comes first, and each rate has two thresholds and two seeds."""
    thresholds = {"autoclip": (20.0, 80.0)}.get(scaling, (0.3, 3.0))
    config = gp.SupervisedConfig(
        lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double(),
        (DATA, DATA[:, :1]),
        loss=lambda output, y: (output - y).square().mean(),
        optimizer="sgd", momentum=0.6, scaling=scaling, steps=40, batch_size=4, device="cpu",
    )  # fmt: skip
    grid = gp.train_grid(config, (4, 2), lr=(1e300, 0.05, 0.02), threshold=thresholds)
    for (rate, threshold), runs in grid.items():
        for run, seed in zip(runs, (4, 2), strict=True):
            try:
                alone = gp.train_supervised(dataclasses.replace(config, lr=rate, threshold=threshold, seed=seed))
            except gp.TrainingDiverged as diverged:
                alone = diverged.history
            assert (run.diverged_at, run.step) == (alone.diverged_at, alone.step)
            assert run.loss == pytest.approx(alone.loss, rel=1e-6) and run.norm == pytest.approx(alone.norm, rel=1e-6)
            assert run.norm_scaled == pytest.approx(alone.norm_scaled, rel=1e-6)
            torch.testing.assert_close(vector(run.model), vector(alone.model), rtol=1e-6, atol=1e-9)
    assert all(run.diverged_at is not None for run in grid[1e300, thresholds[0]])
    assert all(run.diverged_at is None for run in grid[0.02, thresholds[1]])


@pytest.mark.parametrize("scaling", ["none", "clip_value", "zclip", "autoclip"])
def test_where_the_rows_of_one_seed_leave_the_others_are_their_single_runs(scaling):
    """Every second row goes on: a row of the data that only the first of two seeds draws, in its 31st step, is NaN."""
    seeds, steps, n, size = (4, 2), 40, 4, 3000
    of_seed = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
    of_seed = {s: [torch.randint(size, (n,), generator=g).tolist() for _ in range(steps)] for s, g in of_seed.items()}
    elsewhere = {row for seed, parts in of_seed.items() for i, part in enumerate(parts) if (seed, i) != (4, 30)
                 for row in part}  # fmt: skip
    x = torch.randn(size, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = x[:, :1].clone()
    x[next(row for row in of_seed[4][30] if row not in elsewhere)] = torch.nan
    config = gp.SupervisedConfig(
        lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double(), (x, y),
        loss=lambda output, y: (output - y).square().mean(), optimizer="adam", scaling=scaling, steps=steps,
        batch_size=n, device="cpu",
    )  # fmt: skip
    thresholds = {"autoclip": (20.0, 80.0)}.get(scaling, (0.1, 1.0))
    for (rate, threshold), (gone, stays) in gp.train_grid(config, seeds, lr=(0.1, 0.02), threshold=thresholds).items():
        assert (gone.diverged_at, stays.diverged_at) == (30, None)
        alone = gp.train_supervised(dataclasses.replace(config, lr=rate, threshold=threshold, seed=2))
        assert stays.norm_scaled == pytest.approx(alone.norm_scaled, rel=1e-6)
        torch.testing.assert_close(vector(stays.model), vector(alone.model), rtol=1e-6, atol=1e-9)


def drawn(seed, steps, n_critic, n, size):
    """The rows of the data that a run without a penalty draws, step by step."""
    rng, rows = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        rows.append([])
        for _ in range(n_critic + 1):
            rows[-1] += torch.randint(size, (n,), generator=rng).tolist()
            torch.randn(n, 2, generator=rng, dtype=torch.float64)
    return rows


@pytest.mark.usefixtures("double")
def test_where_the_first_replica_diverges_late_the_others_are_their_single_runs():
    """Adam's state has been filled by then: a row of the data that only seed 5 draws is NaN.

    It draws it for the last critic step of its third step, whose numbers are logged for those that stay.
    """
    steps, n_critic, n, size = 6, 2, 8, 4000
    of_seed = {seed: drawn(seed, steps, n_critic, n, size) for seed in (5, 1, 3)}
    elsewhere = {row for seed, parts in of_seed.items() for i, part in enumerate(parts) if (seed, i) != (5, 2)
                 for row in part}  # fmt: skip
    data = torch.randn(size, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data[next(row for row in of_seed[5][2][n : 2 * n] if row not in elsewhere)] = torch.nan
    config = gp.Config(
        data=data, constraint="none", steps=steps, n_critic=n_critic, batch_size=n, width=4, depth=1, lr_critic=1e-2,
        lr_generator=1e-2, log_every=1, device="cpu",
    )  # fmt: skip
    runs = gp.train_many(config, (5, 1, 3))
    singles = [gp.train(dataclasses.replace(config, seed=seed)) for seed in (1, 3)]
    assert [run.backward for run in runs] == ["replicas"] * 3
    assert [run.diverged_at for run in runs] == [2, None, None]
    for run, alone in zip(runs[1:], singles, strict=True):
        assert run.critic_loss == pytest.approx(alone.critic_loss, rel=1e-9)
        assert run.generator_norm == pytest.approx(alone.generator_norm, rel=1e-9)
        for mine, theirs in ((run.critic, alone.critic), (run.generator, alone.generator)):
            torch.testing.assert_close(vector(mine), vector(theirs), rtol=1e-9, atol=1e-9)
