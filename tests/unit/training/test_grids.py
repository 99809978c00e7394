"""Many supervised runs at once: each is the single run, whatever the others do."""

import dataclasses

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.training.grids import Rows, stack_runs

# Double precision, so that a run whose optimiser amplifies rounding still shows any real difference.
X = torch.randn(60, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = (X[:, 0, 0, 0] > 0).long() + (X[:, 0, 0, 1] > 0).long()


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).double()


def conv():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).double()


def batch_norm():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


class Transformer(nn.Module):
    """One encoder layer over the rows of an image, a buffer drawn with the weights, a frozen and a scalar parameter."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.embed, self.readout = nn.Linear(4, 8), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=dropout, batch_first=True)
        self.gain, self.frozen = nn.Parameter(torch.ones(())), nn.Parameter(torch.randn(8), requires_grad=False)
        self.register_buffer("positions", torch.randn(4, 8))
        self.double()

    def forward(self, x):
        return self.readout(self.gain * self.layer(self.embed(x.squeeze(1)) + self.positions).mean(1) * self.frozen)


class OutsideState(nn.Module):
    """A network that keeps random numbers where no state dict sees them."""

    def __init__(self):
        super().__init__()
        self.layer, self.numbers = nn.Linear(16, 3), torch.randn(16)
        self.double()

    def forward(self, x):
        return self.layer(x.flatten(1) * self.numbers)


class PyTorchsOwn(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent, self.readout = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)
        self.double()

    def forward(self, x):
        return self.readout(self.recurrent(x.squeeze(1))[0][:, -1])


def dropout():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(), nn.Linear(8, 3)).double()


SMALL = gp.SupervisedConfig(
    mlp, (X[:40], Y[:40]), (X[40:], Y[40:]), lr=0.1, steps=8, batch_size=4, eval_every=3, device="cpu"
)
SERIES = ("loss", "norm", "norm_scaled", "held_out_loss", "error")


def small(**settings):
    return dataclasses.replace(SMALL, **settings)


def recurrent(task="temporal_order", **settings):
    settings = {"length": 10, "hidden": 8, "lr": 0.1, "steps": 8, "batch_size": 4, "eval_every": 3} | settings
    config = gp.sequence_task(task, text="the cat sat on the mat. " * 10, device="cpu", **settings)

    def wide(draw):
        return lambda n, rng: tuple(t.double() if t.is_floating_point() else t for t in draw(n, rng))

    held_out = config.held_out and wide(config.held_out)
    return dataclasses.replace(config, model=lambda: config.model().double(), data=wide(config.data), held_out=held_out)


def single(config, **settings):
    try:
        return gp.train_supervised(dataclasses.replace(config, **settings))
    except gp.TrainingDiverged as diverged:
        return diverged.history


def assert_same_run(run, alone):
    assert (run.seed, run.step, run.score_step, run.diverged_at) == (
        alone.seed,
        alone.step,
        alone.score_step,
        alone.diverged_at,
    )
    assert run.budget == alone.budget
    for name in SERIES:
        assert getattr(run, name) == pytest.approx(getattr(alone, name), rel=1e-6, abs=1e-9), name
    for mine, theirs in zip(run.model.state_dict().values(), alone.model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def assert_grid_is_single_runs(config, seeds=(0, 3), lr=(0.03, 0.3), threshold=(0.2, 2.0)):
    grid = gp.train_grid(config, seeds, lr=lr, threshold=threshold)
    assert list(grid) == [(rate, tau) for rate in lr for tau in threshold]
    for (rate, tau), runs in grid.items():
        assert [run.seed for run in runs] == list(seeds)
        for run in runs:
            assert_same_run(run, single(config, lr=rate, threshold=tau, seed=run.seed))
    return grid


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("more", [{}, {"momentum": 0.9, "weight_decay": 0.1, "warmup": 5, "betas": (0.7, 0.9)}])
def test_every_optimiser_keeps_the_state_of_each_run(optimizer, more):
    grid = assert_grid_is_single_runs(small(optimizer=optimizer, scaling="clip_norm", **more))
    first, *others = ([run.norm for run in runs] for runs in grid.values())
    assert all(other != first for other in others)  # the settings do something


@pytest.mark.parametrize("scaling", gp.scaling.SCALERS)
def test_every_scaling_has_its_threshold_in_each_run(scaling):
    thresholds = (10.0, 90.0) if scaling == "autoclip" else (0.01, 0.2)
    assert stack_runs([small(scaling=scaling), small(scaling=scaling, seed=1)])
    assert_grid_is_single_runs(small(scaling=scaling, steps=30), threshold=thresholds)


OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 5)
ENCODER = pytest.param(Transformer, marks=pytest.mark.skipif(OLD, reason="torch 2.4's vmap has no rule for attention"))


@pytest.mark.parametrize("model", [conv, batch_norm, ENCODER])
def test_networks_that_train_at_once(model):
    assert stack_runs([small(model=model), small(model=model, seed=1)])
    assert_grid_is_single_runs(small(model=model, scaling="clip_norm"))


@pytest.mark.parametrize("task", ["temporal_order", "text"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_recurrent_networks_train_at_once(task, cell):
    config = recurrent(task, cell=cell, scaling="clip_norm")
    assert stack_runs([config, dataclasses.replace(config, seed=1)])
    assert_grid_is_single_runs(config)


@pytest.mark.parametrize("model", [PyTorchsOwn, dropout, OutsideState, lambda: Transformer(0.1)])
def test_what_vmap_refuses_trains_one_after_another(model):
    assert stack_runs([small(model=model), small(model=model, seed=1)]) is None
    assert_grid_is_single_runs(small(model=model, scaling="clip_norm"))


def test_networks_of_different_sizes_train_one_after_another():
    def width_by_seed():
        width = 5 + torch.initial_seed() % 2
        return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.Linear(width, 3)).double()

    assert_grid_is_single_runs(small(model=width_by_seed))


def test_a_regression_trains_at_once():
    target = X[:, 0, 0, :1]
    config = small(data=(X[:40], target[:40]), held_out=(X[40:], target[40:]), loss=nn.functional.mse_loss,
                   model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 1)).double())  # fmt: skip
    for run in gp.train_supervised_many(config, seeds=(0, 1)):
        alone = single(config, seed=run.seed)
        assert run.error is None is alone.error
        assert run.held_out_loss == pytest.approx(alone.held_out_loss)


def by_autograd(model, x, y):
    x = x.clone().requires_grad_()
    output = model(x)
    (slope,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()


def by_torch_func(model, x, y):
    slope = torch.func.grad(lambda x: model(x).square().sum())(x)
    return slope.square().flatten(1).sum(1).mean()


@pytest.mark.parametrize(("penalty", "at_once"), [(by_autograd, False), (by_torch_func, True)])
def test_a_penalty_of_ones_own_is_added(penalty, at_once):
    config = small(penalty=penalty, scaling="clip_norm")
    assert (stack_runs([config, dataclasses.replace(config, seed=1)]) is not None) == at_once
    grid = assert_grid_is_single_runs(config)
    plain, model = single(SMALL, steps=1), mlp()
    model.load_state_dict(single(config, steps=1, lr=1e-300).model.state_dict())
    rows = torch.randint(40, (4,), generator=torch.Generator().manual_seed(0))
    assert grid[0.03, 0.2][0].loss[0] == pytest.approx(plain.loss[0] + penalty(model, X[rows], Y[rows]).item())


def test_a_run_that_diverges_ends_alone():
    """Rates from harmless to absurd: each run ends where it ends alone, with the weights that it has alone."""
    config = small(steps=60, optimizer="sgd", momentum=0.5, loss=lambda output, y: output.square().square().mean())
    grid = assert_grid_is_single_runs(config, seeds=(0, 1, 2), lr=(0.01, 30.0, 1e9), threshold=(1.0,))
    ends = {rate: [run.diverged_at for run in runs] for (rate, _), runs in grid.items()}
    assert ends[0.01] == [None] * 3 and None not in ends[1e9]
    assert len({*ends[30.0], *ends[1e9]}) > 2  # several ends, so that rows are dropped more than once
    assert all(len(run.step) == run.diverged_at for run in grid[1e9, 1.0])


def test_when_every_run_diverges_training_ends():
    config = small(steps=10**9, loss=lambda output, y: output.square().square().mean(), lr=1e9)
    assert all(run.diverged_at < 100 for run in gp.train_supervised_many(config, seeds=(0, 1)))


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"scaling": "zclip"}, {"model": batch_norm}])
def test_an_interrupted_grid_ends_like_an_uninterrupted_one(tmp_path, dies_after_the_second_checkpoint, settings):
    config = small(checkpoint_every=3, lr=1e9, steps=12, optimizer="sgd", momentum=0.5) if not settings else small(
        checkpoint_every=3, steps=12, **settings
    )  # fmt: skip
    config = dataclasses.replace(config, loss=lambda output, y: output.square().square().mean())
    axes = dict(lr=(0.01, 0.02, config.lr), threshold=(1.0, 2.0))
    whole = gp.train_grid(config, (0, 1), **axes)
    with pytest.raises(KeyboardInterrupt):
        gp.train_grid(config, (0, 1), resume=tmp_path / "grid", **axes)
    resumed = gp.train_grid(config, (0, 1), resume=tmp_path / "grid", **axes)
    assert len(dies_after_the_second_checkpoint) == 4 and [p.name for p in tmp_path.iterdir()] == ["grid"]
    for key, runs in whole.items():
        for one, other in zip(runs, resumed[key], strict=True):
            for field in dataclasses.fields(one):
                if field.name != "model":
                    assert getattr(one, field.name) == getattr(other, field.name), field.name
            for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
                assert torch.equal(a, b)
    if not settings:
        assert any(run.diverged_at is not None for runs in whole.values() for run in runs)
    with pytest.raises(ValueError, match="another run"):
        gp.train_grid(config, (0, 2), resume=tmp_path / "grid", **axes)


def test_other_settings_are_trained_group_by_group(tmp_path):
    grid = gp.train_grid(small(steps=2), (0, 1), lr=[0.1, 0.2], optimizer=["sgd", "adam"], resume=tmp_path / "grid")
    assert list(grid) == [(0.1, "sgd"), (0.1, "adam"), (0.2, "sgd"), (0.2, "adam")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grid-adam", "grid-sgd"]
    for (rate, optimizer), runs in grid.items():
        for run in runs:
            assert_same_run(run, single(SMALL, steps=2, lr=rate, optimizer=optimizer, seed=run.seed))
    alone = gp.train_grid(small(steps=2), (0, 1), lr=[0.1, 0.2])
    assert list(alone) == [0.1, 0.2] and alone[0.2][1].loss == pytest.approx(grid[0.2, "sgd"][1].loss)


def test_runs_one_after_another_have_a_file_each(tmp_path):
    gp.train_grid(small(model=dropout, steps=2), (0, 1), lr=[0.1, 0.2], resume=tmp_path / "grid")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["grid-0.1-seed0", "grid-0.1-seed1", "grid-0.2-seed0", "grid-0.2-seed1"]


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    for model in (mlp, dropout):
        gp.train_supervised_many(small(model=model, steps=2), seeds=(0, 1))
    assert torch.equal(before, torch.get_rng_state())


def test_an_error_of_the_readers_own_is_the_single_runs():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        gp.train_supervised_many(small(model=lambda: nn.Linear(7, 3).double()), seeds=(0, 1))
    with pytest.raises(ValueError, match="loss must return one number"):
        gp.train_supervised_many(small(loss=lambda output, y: output), seeds=(0, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "settings must name fields"),
        ({"seed": [1]}, "settings must name fields"),
        ({"rate": [1.0]}, "settings must name fields .*rate"),
        ({"lr": []}, "lr must name at least one value"),
        ({"lr": [0.1, 0.1]}, "lr must name at least one value, and each once"),
        ({"lr": [0.1, -1.0]}, "lr must be finite"),
    ],
)
def test_bad_grids_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        gp.train_grid(SMALL, (0, 1), **settings)
    with pytest.raises(ValueError, match="seeds"):
        gp.train_grid(SMALL, (0, 0), lr=[0.1])


def test_rows_are_checked_against_the_networks_one_by_one():
    with pytest.raises(Exception, match="do not give at once what they give one by one"):
        Rows([small(model=OutsideState), small(model=OutsideState, seed=1)])
