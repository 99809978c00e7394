"""Runs at once that go on from a checkpoint: with the memory of every row's scaling, and for the same seeds alone."""

import dataclasses

import pytest
import torch
from torch import nn

import gpcore as gp

X = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FIT = gp.SupervisedConfig(
    lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double(), (X, X[:, :1]),
    loss=lambda output, y: (output - y).square().mean(), steps=12, batch_size=4, checkpoint_every=4, device="cpu",
)  # fmt: skip
SMALL = gp.Config(steps=2, n_critic=1, batch_size=8, width=8, depth=1, device="cpu")


@pytest.mark.usefixtures("dies_after_the_second_checkpoint")
@pytest.mark.parametrize("scaling", ["autoclip", "adaptive"])
def test_a_grid_goes_on_with_the_memory_of_each_scaling(tmp_path, scaling):
    config = dataclasses.replace(FIT, scaling=scaling)
    axes = dict(lr=(0.1, 0.2), threshold=(20.0, 60.0))
    whole = gp.train_grid(config, (0, 1), **axes)
    with pytest.raises(KeyboardInterrupt):
        gp.train_grid(config, (0, 1), resume=tmp_path / "grid", **axes)
    resumed = gp.train_grid(config, (0, 1), resume=tmp_path / "grid", **axes)
    for key, runs in whole.items():
        for one, other in zip(runs, resumed[key], strict=True):
            assert one.norm_scaled == other.norm_scaled and one.loss == other.loss and len(one.loss) == 12


def test_other_seeds_or_their_order_are_another_run(tmp_path):
    gp.train_many(SMALL, (0, 1), resume=tmp_path / "run")
    for seeds in ((0, 2), (1, 0)):
        with pytest.raises(ValueError, match="another run"):
            gp.train_many(SMALL, seeds, resume=tmp_path / "run")
    gp.train_supervised_many(FIT, (0, 1), resume=tmp_path / "fit")
    for seeds in ((0, 2), (1, 0)):
        with pytest.raises(ValueError, match="another run"):
            gp.train_supervised_many(FIT, seeds, resume=tmp_path / "fit")
