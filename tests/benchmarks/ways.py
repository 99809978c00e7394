"""Ways to take one penalised critic step, and one scaling of gradients. Parity first: all give the same gradients.

The public ways are written anew from their published form: the critic step of Gulrajani et al. 2017 as its PyTorch
ports take it (three forward passes, ``autograd.grad`` with ``create_graph=True``, default Adam), and the loop over
``.item()`` by which gradient norms were clipped before ``torch.nn.utils`` had it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import gpcore as gp


def public(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    points = (eps * real + (1 - eps) * fake).requires_grad_()
    scores = critic(points)
    (slope,) = torch.autograd.grad(scores, points, torch.ones_like(scores), create_graph=True, retain_graph=True)
    penalty = 10 * ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    (critic(fake).mean() - critic(real).mean() + penalty).backward()


def two_forwards(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    """Real and generated samples in one forward pass, the points in another."""
    real_scores, fake_scores = critic(torch.cat([real, fake])).chunk(2)
    penalty = gp.gradient_penalty(critic, real, fake, eps=eps)
    (fake_scores.mean() - real_scores.mean() + penalty).backward()


def one_forward(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    """All three in one forward pass: the input gradient then covers three times the rows."""
    x = torch.cat([real, fake, eps * real + (1 - eps) * fake]).requires_grad_()
    scores = critic(x)
    n = len(real)
    (slope,) = torch.autograd.grad(scores[2 * n :].sum(), x, create_graph=True)
    penalty = 10 * (slope[2 * n :].flatten(1).norm(dim=1) - 1).square().mean()
    (scores[n : 2 * n].mean() - scores[:n].mean() + penalty).backward()


def by_hand(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    gp.penalized_backward_(critic, real, fake, eps=eps)


def plain(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    """The critic step without a penalty: what the penalty's cost is measured against."""
    (critic(fake).mean() - critic(real).mean()).backward()


def r1(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    (critic(fake).mean() - critic(real).mean() + gp.r1_penalty(critic, real)).backward()


def r1_by_hand(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    gp.penalized_backward_(critic, real, fake, at="real", weight=0.5, target=0.0)


def compiled(critic: nn.Module, real: Tensor, fake: Tensor, eps: Tensor) -> None:
    gp.penalized_backward_(critic, real, fake, eps=eps, compile=True)


def clip_by_loop(parameters: list[Tensor], max_norm: float) -> None:
    total = sum(p.grad.norm(2).item() ** 2 for p in parameters) ** 0.5
    if total > max_norm:
        for p in parameters:
            p.grad.mul_(max_norm / (total + 1e-6))
