"""The museum's rooms for several processes: a loop each, wrong in one way. Nothing here is to be copied.

Each trains a critic on this process's part of every batch, with norm clipping: ``(critic, optimizer, batches,
max_norm)``, where a batch is ``(real, fake, eps)``. ``torch.distributed`` has been started. The checker runs in one
process and finds none of them; the test is to compare the weights with those of one process that has the whole batches.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from .report import Room


def wasserstein(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """The critic's loss without a penalty."""
    return critic(fake).mean() - critic(real).mean()


def penalty(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    """A right gradient penalty on vectors: what is wrong in these rooms is where it is taken."""
    x = (eps[:, None] * real + (1 - eps[:, None]) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return 10 * ((gradient.norm(dim=1) - 1) ** 2).mean()


def static_graph(critic, optimizer, batches, max_norm):
    ddp = DistributedDataParallel(critic, static_graph=True)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        loss = wasserstein(ddp, real, fake)
        (loss + penalty(ddp, real, fake, eps)).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        optimizer.step()


def everything_on_module(critic, optimizer, batches, max_norm):
    ddp = DistributedDataParallel(critic)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        loss = wasserstein(ddp.module, real, fake)
        (loss + penalty(ddp.module, real, fake, eps)).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        optimizer.step()


def second_backward_on_module(critic, optimizer, batches, max_norm):
    ddp = DistributedDataParallel(critic)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        wasserstein(ddp, real, fake).backward()
        penalty(ddp.module, real, fake, eps).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        optimizer.step()


def second_backward(critic, optimizer, batches, max_norm):
    ddp = DistributedDataParallel(critic)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        wasserstein(ddp, real, fake).backward()
        penalty(ddp, real, fake, eps).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        optimizer.step()


def clip_before_average(critic, optimizer, batches, max_norm):
    for real, fake, eps in batches:
        optimizer.zero_grad()
        loss = wasserstein(critic, real, fake)
        (loss + penalty(critic, real, fake, eps)).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        for p in critic.parameters():
            dist.all_reduce(p.grad)
            p.grad /= dist.get_world_size()
        optimizer.step()


def norm_summed_again(critic, optimizer, batches, max_norm):
    ddp = DistributedDataParallel(critic)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        loss = wasserstein(ddp, real, fake)
        (loss + penalty(ddp, real, fake, eps)).backward()
        squares = sum(p.grad.square().sum() for p in critic.parameters())
        dist.all_reduce(squares)  # as would be right for parts of the parameters
        for p in critic.parameters():
            p.grad *= (max_norm / squares.sqrt()).clamp(max=1)
        optimizer.step()


PARALLEL = (
    Room(
        *("static-graph", static_graph, "Lightning 18086, without a penalty; recommended by an error of PyTorch"),
        "No gradient is averaged: every process trains a critic of its own on its own part of the batch.",
    ),
    Room(
        *("everything-on-module", everything_on_module, "openvla-oft 160, minimind 853, RAE 40, without a penalty"),
        "No gradient is averaged: every process trains a critic of its own on its own part of the batch.",
    ),
    Room(
        *("second-backward-on-module", second_backward_on_module, "NetPranav/Humanoid-Face-3D, every sixteenth step"),
        "The loss's gradient is averaged and the penalty's is not: the critics drift apart.",
    ),
    Room(
        *("second-backward", second_backward, "pytorch 47562; why code for StyleGAN adds 0 * real_pred[0]"),
        "The same in the first step. The second stops with an error, for the last bias was never ready.",
    ),
    Room(
        *("clip-before-average", clip_before_average, "horovod 1346, mindcv 603"),
        "The step is shorter than the threshold allows and points elsewhere, in all processes alike.",
    ),
    Room(
        *("norm-summed-again", norm_summed_again, "modelscope/twinkle 290"),
        "On W processes a norm sqrt(W) times too large is logged, and steps are cut to max_norm / sqrt(W).",
    ),
)
