"""Defaults are what papers and docstrings state: a call that leaves an argument out is the call that writes it."""

import inspect

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.page.study import Study

# Where each number stands: the paper or released code named in the docstring, or the docstring itself.
DEFAULTS = {
    gp.gradient_penalty: dict(weight=10.0, target=1.0, one_sided=False, reduction="mean"),  # Gulrajani et al., Alg. 1
    gp.dragan_penalty: dict(weight=10.0, target=1.0, reduction="mean"),  # Kodali et al., released code
    gp.r1_penalty: dict(weight=1.0, reduction="mean"),
    gp.r2_penalty: dict(weight=1.0, reduction="mean"),
    gp.penalized_backward_: dict(weight=10.0, target=1.0, one_sided=False, at="interpolates", compile=False),
    gp.discriminator_loss: dict(real_target=1.0, reduction="mean"),
    gp.clip_norm_: dict(norm_type=2.0),
    gp.normalize_norm_: dict(target=1.0),
    gp.adaptive_clip_: dict(clipping=0.01, eps=1e-3),  # Brock et al., section 4.1
    gp.AutoClip: dict(percentile=10.0, window=None),  # Seetharaman et al., Algorithm 1
    gp.ZClip: dict(z=2.5, alpha=0.97, warmup=25, max_norm=None),  # Kumar et al.
    gp.mode_coverage: dict(n_std=3.0),  # Lin et al., section 4.1
    gp.dirac.simulate: dict(steps=500, lr=0.2, start=(1.0, 1.0), alternating=False),
    gp.models.mlp_critic: dict(width=128, depth=3, activation="relu", batch_norm=False),
    gp.models.mlp_generator: dict(width=128, depth=3, activation="relu"),
    gp.models.conv_critic: dict(channels=32, batch_norm=False),
    gp.models.conv_generator: dict(channels=32),
    gp.sequence_task: dict(length=50, cell="rnn", hidden=50, spectral_radius=None),
    gp.History.sample: dict(seed=0),
    gp.Config: dict(
        data="8_gaussians", loss="wasserstein", constraint="gp", weight=10.0, target=1.0, one_sided=False, clip=0.01,
        scaling="none", n_critic=5, optimizer="adam", lr_critic=1e-4, lr_generator=1e-4, betas=(0.5, 0.9),
        precision="float32", compile=False, seed=0, device="auto", log_every=10, eval_every=100, checkpoint_every=500,
    ),  # Gulrajani et al.'s released code; c = 0.01 is Arjovsky et al.'s
    gp.SupervisedConfig: dict(
        held_out=None, penalty=None, optimizer="sgd", lr=0.01, momentum=0.0, betas=(0.9, 0.999), weight_decay=0.0,
        warmup=0, scaling="none", log_every=1, eval_every=100, eval_samples=500, checkpoint_every=500, seed=0,
    ),
    Study: dict(preset="fast", device="auto", seed=0, n_seeds=16),
    gp.plots.samples: dict(limit=2.0),
    gp.plots.histogram_of_norms: dict(target=1.0),
    gp.plots.image_grid: dict(columns=8),
}  # fmt: skip


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__qualname__)
def test_defaults_are_those_that_are_stated(function):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in DEFAULTS[function]} == DEFAULTS[function]


def test_every_loss_is_a_mean_unless_asked_otherwise():
    for name in (name for name in vars(gp.losses) if name.endswith("_loss")):
        assert inspect.signature(getattr(gp.losses, name)).parameters["reduction"].default == "mean", name


def test_the_settings_of_the_dirac_gan_are_those_of_the_authors_notebook():
    stated = {"wgan_clip": {"c": 1.0}, "wgan_gp": {"weight": 0.7, "target": 1.0}, "r1": {"weight": 0.3}}
    stated |= {"nsgan_r1": {"weight": 0.3}, "consensus": {"weight": 1.0}, "gan": {}, "nsgan": {}}
    for method, settings in stated.items():
        short, whole = (gp.dirac.simulate(method, steps=30, **given) for given in ({}, settings))
        assert (short == whole).all(), method
    assert set(stated) == set(gp.dirac.METHODS)


def test_activations_have_their_stated_slopes():
    leaky = gp.models.mlp_critic(2, activation="leaky_relu")[1]
    assert isinstance(leaky, nn.LeakyReLU) and leaky.negative_slope == 0.2
    conv = [m for m in gp.models.conv_critic(8) if isinstance(m, nn.LeakyReLU)]
    assert [m.negative_slope for m in conv] == [0.2, 0.2]


def test_optimisers_have_pytorchs_remaining_defaults():
    """Of Adam and RMSprop the eps: with a gradient of 1e-8 it halves the first step of Adam."""
    for name, expected in (("adam", 0.05), ("adamw", 0.05), ("rmsprop", 0.1 * 1e-8 / (1e-9 + 1e-8))):
        p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = gp.training.loop.make_optimizer(name, [p], 0.1, (0.9, 0.999))
        p.grad = torch.full((1,), 1e-8, dtype=torch.float64)
        optimizer.step()
        assert -p.item() == pytest.approx(expected, rel=1e-6), name
        rows, values = gp.training.stacks.RowOptimizer(name, (0.9, 0.999), 0.0, 0.0), torch.zeros(1, 1).double()
        rows.step(values, torch.full((1, 1), 1e-8).double(), torch.full((1, 1), 0.1).double())
        assert -values.item() == pytest.approx(expected, rel=1e-6), name
