"""The critic's loss and penalty with all their gradients at once, by the hand-derived sweep of :mod:`gpcore.sweep`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import _checks
from ..losses import wasserstein_critic_loss
from ..penalties import dragan_points, finite, shares
from .layers import Dense, layers_of
from .passes import Layers, double_backward, forward, rows

AT = ("interpolates", "real", "fake", "around_real")


@dataclass(frozen=True)
class CriticStep:
    """What a penalised critic step measured: the loss without the penalty, the penalty, the norms ``(N,)``.

    Example:
        >>> critic, (real, fake) = gp.models.mlp_critic(2), torch.randn(2, 8, 2)
        >>> step = gp.penalized_backward_(critic, real, fake)
        >>> step.norms.shape, bool(step.penalty >= 0)
        (torch.Size([8]), True)
    """

    loss: Tensor
    penalty: Tensor
    norms: Tensor


def supports(critic: Callable) -> bool:
    """Return whether :func:`penalized_backward_` can take ``critic``.

    It can where the critic is an ``nn.Sequential`` (nested too) of ``Linear``, ``Conv2d`` padded with zeros and
    ``Flatten``, each of the first two followed by ``ReLU``, ``LeakyReLU``, ``Tanh``, ``Softplus`` (of the default
    threshold or a larger one) or nothing; the last layer is linear and gives one number per sample; there are no hooks
    and no parametrisations (spectral norm).

    Example:
        >>> gp.supports(gp.models.mlp_critic(2)), gp.supports(torch.nn.LSTM(2, 2))
        (True, False)
    """
    return _layers_of_critic(critic) is not None


def _layers_of_critic(critic: Callable) -> Layers | None:
    layers = layers_of(critic) if isinstance(critic, nn.Module) else None
    return layers if layers and isinstance(layers[-1], Dense) and layers[-1].is_score else None


def _loss_and_slopes(critic_loss: Callable, scores: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The critic's loss of n real and n generated scores, and its derivative with respect to each of them."""
    if critic_loss is wasserstein_critic_loss:  # linear: its slopes are known, and autograd takes longer than a layer
        slopes = torch.full_like(scores, 1 / n)
        slopes[:n] = -1 / n
        return slopes @ scores, slopes
    scores = scores.detach().requires_grad_()
    with torch.enable_grad():
        loss = critic_loss(scores[:n], scores[n:])
    return loss.detach(), *torch.autograd.grad(loss, scores)


def _step(
    layers: Layers,
    batches: list[Tensor],
    eps: Tensor | None,
    critic_loss: Callable,
    at: str,
    weight: float,
    target: float,
    one_sided: bool,
) -> tuple[Tensor, Tensor, Tensor, list[list]]:
    """Loss, penalty, norms and the gradients of every layer: tensors in, tensors out, so that it can be compiled."""
    real, fake, *_ = batches
    n = len(real)
    if at == "interpolates":
        batches = [real, fake, torch.lerp(fake, real, eps)]
    inputs, outputs = forward(layers, torch.cat(batches))
    loss, slopes = _loss_and_slopes(critic_loss, outputs[-1].reshape(-1)[: 2 * n], n)

    def phi(norms: Tensor) -> tuple[Tensor, Tensor]:
        excess = (norms - target).relu() if one_sided else norms - target
        return weight * excess.square().mean(), 2 * weight / n * excess

    gradients, norms, penalty = double_backward(layers, inputs, outputs, slopes, rows(at, n), phi)
    return loss, penalty, norms, gradients


@functools.cache
def _compiled_step() -> Callable:
    # This mode replays the step as one CUDA graph; on the CPU it changes nothing.
    compiled = torch.compile(_step, mode="reduce-overhead")

    def step(*arguments) -> tuple[Tensor, Tensor, Tensor, list[list]]:
        torch.compiler.cudagraph_mark_step_begin()
        loss, penalty, norms, gradients = compiled(*arguments)
        if norms.is_cuda:  # the next replay writes where this one did, while the optimiser and the log still read
            loss, penalty, norms = (x.clone() for x in (loss, penalty, norms))
            gradients = [[x if x is None else x.clone() for x in of_layer] for of_layer in gradients]
        return loss, penalty, norms, gradients

    return step


@torch.no_grad()
def penalized_backward_(
    critic: nn.Module,
    real: Tensor,
    fake: Tensor,
    *,
    critic_loss: Callable[[Tensor, Tensor], Tensor] = wasserstein_critic_loss,
    at: str = "interpolates",
    weight: float = 10.0,
    target: float = 1.0,
    one_sided: bool = False,
    eps: Tensor | float | None = None,
    noise: Tensor | None = None,
    compile: bool = False,
) -> CriticStep:
    """Add the gradient of ``critic_loss + mean(weight * (norm - target)^2)`` to the critic's ``.grad``, by hand.

    It stands for two forward passes, a penalty with ``create_graph=True`` and ``backward()``, and gives the same
    gradient to rounding, in less time and memory. Real and generated samples get no gradient. R1 and R2 of weight
    gamma are ``at="real"`` and ``at="fake"`` with ``weight=gamma / 2, target=0``.

    Args:
        critic: a module that :func:`supports` accepts.
        real, fake: samples ``(N, ...)`` of one shape.
        critic_loss: function of real and fake scores, ``(N,)`` each, that returns a scalar.
        at: where the norm is taken: ``"interpolates"`` (WGAN-GP), ``"real"``, ``"fake"``, ``"around_real"`` (DRAGAN).
        weight, target, one_sided: as for :func:`gradient_penalty`.
        eps: as for :func:`interpolate`; for interpolates and around real samples.
        noise: as for :func:`dragan_penalty`; around real samples.
        compile: run the sweep through ``torch.compile``: on the CPU with a C++ compiler, on a GPU as one CUDA graph.
            The first call takes some 10 to 40 s; on the CPU small critics gain, wide ones do not (see the benchmark).
            :func:`compile_critic_step` compiles the optimiser's update as well.

    Returns:
        :class:`CriticStep`; nothing in it carries a graph.

    Raises:
        ValueError: a critic that is not supported, a call under autocast, and as :func:`gradient_penalty`.
        TypeError: samples that are not floating-point tensors.
        FloatingPointError: a norm, the penalty or the loss is not finite; the ``.grad`` are then as they were.

    Source: double backpropagation, Drucker and LeCun 1992; the top of :mod:`gpcore.sweep` derives it.

    Example:
        >>> critic, (real, fake) = gp.models.mlp_critic(2), torch.randn(2, 8, 2)
        >>> step = gp.penalized_backward_(critic, real, fake, weight=10.0, eps=torch.full((8,), 0.5))  # fills .grad
        >>> autograd = gp.gradient_penalty(critic, real, fake, weight=10.0, eps=0.5)
        >>> torch.allclose(step.penalty, autograd.detach(), atol=1e-5)
        True
    """
    weight, target = _checks.non_negative("weight", weight), _checks.non_negative("target", target)
    _checks.one_of("at", at, AT)
    _checks.same_shape("real", _checks.batch("real", real), "fake", _checks.batch("fake", fake))
    layers = _layers_of_critic(critic)
    if layers is None:
        raise ValueError(
            "critic must be an nn.Sequential of layers that the hand-derived sweep knows (see gpcore.supports); "
            "add gradient_penalty to the loss and call backward() instead"
        )
    if torch.is_autocast_enabled(real.device.type):
        raise ValueError("penalized_backward_ must run outside autocast: a norm is squared and compared with a target")
    batches = [real, fake]
    if at == "interpolates":
        eps = shares(real, eps)
    elif at == "around_real":
        batches.append(dragan_points(real, noise, eps))
        eps = None

    step = _compiled_step() if compile else _step
    loss, penalty, norms, gradients = step(layers, batches, eps, critic_loss, at, weight, target, one_sided)
    if not math.isfinite(loss + penalty):
        finite("the norm of the critic's gradient", norms)
        finite("the penalty", penalty)
        finite("the loss", loss)
    for layer, of_layer in zip(layers, gradients, strict=True):
        for parameter, gradient in zip((layer.weight, layer.bias), of_layer, strict=True):
            if parameter is not None and parameter.requires_grad:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
    return CriticStep(loss, penalty, norms)
