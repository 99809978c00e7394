"""The bug museum: gradient penalties as people write them, each wrong in one way. Nothing here is to be copied.

``ROOMS`` maps the name of a finding to its :class:`~gpcore.Room`: those on penalties below, then those on steps.
``PARALLEL`` holds the rooms for several processes, which the checker does not find.
"""

from __future__ import annotations

import torch
from torch.autograd import grad

from .museum_parallel import PARALLEL as PARALLEL
from .museum_steps import STEPS
from .report import Room


def norm_over_channels(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.norm(2, dim=1) - 1) ** 2).mean()


def norm_over_batch(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return (gradient.norm(2) - 1) ** 2


def norm_per_element(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient - 1) ** 2).mean()


def sum_over_batch(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).sum()


def not_squared(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).mean()


def wrong_target(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).mean(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def one_sided(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).clamp(min=0).square().mean()


def eps_per_element(critic, real, fake):
    eps = torch.rand_like(real)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def eps_shared(critic, real, fake):
    eps = torch.rand(1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def eps_not_uniform(critic, real, fake):
    eps = torch.randn(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def eps_constant(critic, real, fake):
    eps = torch.ones(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def wrong_points(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 + eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def no_second_order_graph(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, retain_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def fake_not_detached(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def nan_at_zero_gradient(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.square().flatten(1).sum(1).sqrt() - 1) ** 2).mean()


def penalty_on_probability(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(torch.sigmoid(critic(x)).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def batch_coupled(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    scores = critic(x)
    scores = scores / (1 + scores.square().mean()).sqrt()  # as a normalisation over the batch would
    (gradient,) = grad(scores.sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def half_precision_overflow(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.half().flatten(1).norm(dim=1) - 1) ** 2).mean()


def global_rng_changed(critic, real, fake):
    torch.manual_seed(0)
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def device_mismatch(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def condition_overwritten(critic, real, fake, alpha=1.0):
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x, alpha).sum(), x, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


PENALTIES = (
    Room(
        *("norm-over-channels", norm_over_channels, "caogang/wgan-gp 25, 27, 56; PyTorch-GAN 20; pytorch-wgan 40"),
        "Each pixel's norm over the channels is pulled to 1, which makes sqrt(H W) of the whole: 8 for 8 by 8 pixels.",
    ),
    Room(
        *("norm-over-batch", norm_over_batch, "torchgan 0.1.0; keras-contrib 232"),
        "The norms of N samples settle near 1 / sqrt(N), and the critic's distance shrinks by as much.",
    ),
    Room(
        *("norm-per-element", norm_per_element, "code without a norm"),
        "Every element is pulled to +1: the norm goes to the root of their number, and to one direction everywhere.",
    ),
    Room(
        *("sum-over-batch", sum_over_batch, "code tuned for one batch size"),
        "The weight grows with the batch: 64 samples with weight 10 are a weight of 640.",
    ),
    Room(
        *("not-squared", not_squared, "a square lost on the way"),
        "The pull is the same at every norm and downwards: the loss can go negative, and the norm goes to 0.",
    ),
    Room(
        *("wrong-target", wrong_target, "the mean score differentiated"),
        "Every gradient is divided by N before it is compared with 1: the norms go towards N.",
    ),
    Room(
        *("one-sided", one_sided, "Petzka et al. 2018"),
        "None: norms below 1 are left alone, which is a law of its own.",
    ),
    Room(
        *("eps-per-element", eps_per_element, "hwalsuklee/tensorflow-generative-model-collections 33"),
        "The points leave the segments for the box around them, and gather near its middle.",
    ),
    Room(
        *("eps-shared", eps_shared, "torchgan 0.1.0"),
        "At one step all points are equally far along: the penalty moves more from step to step.",
    ),
    Room(
        *("eps-not-uniform", eps_not_uniform, "keras-io 624"),
        "With a normal eps, two points of three lie beyond the samples.",
    ),
    Room(
        *("eps-constant", eps_constant, "labml's annotated WGAN-GP"),
        "The norm is held at real samples alone; on the way to the fake ones nothing holds it.",
    ),
    Room(
        *("wrong-points", wrong_points, "a sign lost on the way"),
        "The norm is held where neither real nor fake samples are, nor what lies between them.",
    ),
    Room(
        *("no-second-order-graph", no_second_order_graph, "AiDotNet 1844, mlpack 2891"),
        "The logged penalty is right and trains nothing: the critic is a plain one.",
    ),
    Room(
        *("fake-not-detached", fake_not_detached, "Machine-Learning-Collection, which clears the gradients"),
        "The critic's step leaves a gradient in the generator's parameters, and pays for it.",
    ),
    Room(
        *("nan-at-zero-gradient", nan_at_zero_gradient, "keras-io 910, pytorch 2534"),
        "The first sample at which the critic is flat turns every weight into NaN.",
    ),
    Room(
        *("penalty-on-probability", penalty_on_probability, "hwalsuklee 14"),
        "A sigmoid's slope is at most 1/4: the logit's norm is pulled to 4 or more.",
    ),
    Room(
        *("batch-coupled", batch_coupled, "Keras-GAN 48, 253; hwalsuklee 17: batch norm in the critic"),
        "A sample's gradient holds what it does to the others' scores: no norm belongs to one sample.",
    ),
    Room(
        *("half-precision-overflow", half_precision_overflow, "apex 654, tensorflow 48662"),
        "Above a norm of 256 the penalty is infinite.",
    ),
    Room(
        *("global-rng-changed", global_rng_changed, "a seed left from looking for a bug"),
        "Every step after the first draws the same numbers, the generator's noise among them.",
    ),
    Room(
        *("device-mismatch", device_mismatch, "Machine-Learning-Collection 58; stargan 11 with a bare .cuda()"),
        "On the CPU it is right. On a GPU it stops with an error, which is the best that a mistake can do.",
    ),
    Room(
        *("condition-overwritten", condition_overwritten, "azadis/SB-GAN 9: the factor of a fade-in"),
        "The critic is penalised under a condition that no sample has, and not under its own.",
    ),
)

ROOMS: dict[str, Room] = {room.name: room for room in (*PENALTIES, *STEPS)}
