"""Gradient penalties: everything that touches the critic's gradient with respect to its *inputs*.

A penalty is taken per sample: the norm of the gradient of one score with respect to one sample, over all dimensions of
that sample. It is then differentiated once more, with respect to the critic's parameters, when ``backward()`` runs.

What all functions refuse: ``TypeError`` for samples that are not floating-point tensors; ``ValueError`` for an empty
batch, for a critic that does not return one number per sample, ``(N,)`` or ``(N, 1)``, for one with batch norm in
training mode, for one wrapped by ``torch.compile``, for one with an operation that PyTorch cannot differentiate twice
(fused attention, recurrent layers on cuDNN), for one whose output is cut off from its input, and for a call under
``torch.no_grad()`` or ``torch.inference_mode()``. Batch norm is found in the modules of a critic that is an
``nn.Module``; coupling between samples that hides in a plain function is not seen. A norm or penalty that is not finite
raises ``FloatingPointError``. float16 overflows above 65,504, which the square of a norm of 256 exceeds: compute
penalties in float32, outside autocast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import _checks
from ._refusals import refuse_compiled, refuse_coupling, refuse_differentiable_once

__all__ = ["dragan_penalty", "gradient_norms", "gradient_penalty", "interpolate", "r1_penalty", "r2_penalty"]

Critic = Callable[[Tensor], Tensor]


def finite(name: str, values: Tensor) -> Tensor:
    if not values.isfinite().all():
        raise FloatingPointError(
            f"{name} must be finite, got {int((~values.isfinite()).sum())} of {values.numel()} values that are not "
            f"(in {values.dtype}; float16 overflows above 65504: compute the penalty in float32)"
        )
    return values


def scores_and_norms(critic: Critic, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scores ``critic(x)``, ``(N,)``, and :func:`gradient_norms`, ``(N,)``, from one forward pass."""
    _checks.batch("x", x)
    if not torch.is_grad_enabled():
        raise ValueError(
            "the gradient with respect to x cannot be taken with gradients switched off; "
            "leave torch.no_grad() or torch.inference_mode() around this call"
        )
    refuse_compiled(critic)
    refuse_coupling(critic)
    # A copy, so that the caller's tensor is left as it was; what carries a graph keeps it.
    x = x if x.requires_grad else x.detach().clone().requires_grad_()
    scores = _checks.scores("critic(x)", critic(x))
    if len(scores) != len(x):
        raise ValueError(f"critic(x) must hold one number a sample, got {len(scores)} for {len(x)} samples")
    finite("critic(x)", scores)  # a sample that is NaN may have the gradient 0
    gradient = None
    if scores.requires_grad:
        refuse_differentiable_once(scores)
        # The sum's gradient holds each score's own gradient in its row, since no score depends on another sample.
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError("critic(x) must depend on x, got an output cut off from it; is there a detach inside?")
    # vector_norm has the subgradient 0 at 0, where an explicit square root would give NaN.
    norms = torch.linalg.vector_norm(gradient.reshape(len(x), -1), dim=1)
    return scores, finite("the norm of the critic's gradient", norms)


def gradient_norms(critic: Critic, x: Tensor) -> Tensor:
    """Norm of the critic's gradient at each sample, ``||d critic(x_n) / d x_n||_2``.

    Differentiable with respect to the critic's parameters, and to ``x`` if ``x`` requires a gradient. Where a gradient
    is exactly 0 the norm's own gradient is taken to be 0 (a subgradient), never NaN.

    Args:
        critic: function or module from ``(N, ...)`` to ``(N,)`` or ``(N, 1)``.
        x: samples ``(N, ...)``; the norm runs over all dimensions but the first.

    Returns:
        ``(N,)``, in units of score over units of ``x``.

    Raises:
        ValueError, TypeError, FloatingPointError: as said at the top of the module.

    Example:
        >>> gp.gradient_norms(lambda x: x @ torch.tensor([3.0, 4.0]), torch.randn(2, 2))
        tensor([5., 5.])
    """
    return scores_and_norms(critic, x)[1]


def _per_sample(eps: Tensor | float, like: Tensor) -> Tensor:
    """``eps`` shaped to multiply ``like``: one number per sample, or one for all."""
    eps = torch.as_tensor(eps, dtype=None if isinstance(eps, Tensor) else like.dtype, device=like.device)
    _checks.floating("eps", eps)
    if eps.ndim and not (eps.shape[0] == eps.numel() == len(like)):
        raise ValueError(
            f"eps must hold one number a sample, shape ({len(like)},) or ({len(like)}, 1, ...), got {tuple(eps.shape)}"
        )
    if not torch.equal(eps, eps.clamp(0, 1)):  # nor is NaN equal to itself
        raise ValueError(f"eps must lie in [0, 1], got values from {eps.min().item()} to {eps.max().item()}")
    return eps.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def shares(like: Tensor, eps: Tensor | float | None) -> Tensor:
    """``eps`` of :func:`interpolate` shaped to multiply ``like``, drawn where it is None."""
    if eps is None:
        return torch.rand(len(like), *[1] * (like.ndim - 1), dtype=like.dtype, device=like.device)
    return _per_sample(eps, like)


def interpolate(real: Tensor, fake: Tensor, eps: Tensor | float | None = None) -> Tensor:
    """Random points between real and fake samples, ``eps * real + (1 - eps) * fake`` (Gulrajani et al. 2017, Alg. 1).

    The n-th real sample is joined with the n-th fake sample: pairs are independent draws, not an optimal coupling.

    Args:
        real, fake: samples ``(N, ...)`` of one shape.
        eps: one number in [0, 1] per sample, ``(N,)`` or ``(N, 1, ...)``, or a single number for all. By default drawn
            uniformly from [0, 1), one per sample, from PyTorch's global generator.

    Returns:
        ``(N, ...)``. Gradients flow to ``real`` and ``fake``.

    Raises:
        TypeError: an argument is not a floating-point tensor.
        ValueError: an empty batch, shapes that differ, ``eps`` of another shape or outside [0, 1].

    Example:
        >>> gp.interpolate(torch.ones(2, 1), torch.zeros(2, 1), eps=torch.tensor([0.25, 1.0]))
        tensor([[0.2500],
                [1.0000]])
    """
    _checks.batch("real", real)
    _checks.batch("fake", fake)
    _checks.same_shape("real", real, "fake", fake)
    eps = shares(real, eps)
    return eps * real + (1 - eps) * fake


def _towards(norms: Tensor, weight: float, target: float, one_sided: bool, reduction: str) -> Tensor:
    """``weight * (norm - target)^2``, reduced."""
    excess = norms - target
    if one_sided:
        excess = excess.relu()
    return _checks.reduce(finite("the penalty", weight * excess.square()), reduction)


def gradient_penalty(
    critic: Critic,
    real: Tensor,
    fake: Tensor,
    *,
    weight: float = 10.0,
    target: float = 1.0,
    one_sided: bool = False,
    eps: Tensor | float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """WGAN-GP's penalty, ``weight * (||d critic(x_n) / d x_n||_2 - target)^2`` at ``x = interpolate(real, fake, eps)``.

    Add it to the critic's loss, which is minimised. Real and fake samples are detached here: the penalty trains the
    critic alone and sends no gradient to the generator.

    Args:
        critic: from ``(N, ...)`` to ``(N,)`` or ``(N, 1)``; its scores before any sigmoid.
        real, fake: samples ``(N, ...)`` of one shape.
        weight: the penalty's weight, lambda; not negative.
        target: the norm to pull towards, in units of score over units of sample; not negative.
        one_sided: penalise norms above the target alone, ``max(0, norm - target)^2``.
        eps: as in :func:`interpolate`.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` over the batch.

    Returns:
        A scalar, or ``(N,)`` for ``"none"``; differentiable with respect to the critic's parameters.

    Raises:
        ValueError: ``weight`` or ``target`` negative or not finite, and as said at the top of the module.
        TypeError, FloatingPointError: as said at the top of the module.

    Source: Gulrajani et al. 2017, eq. 3 and Algorithm 1; one-sided: their appendix C and Petzka et al. 2018.

    Example:
        >>> real, fake = torch.randn(2, 8, 2)
        >>> linear = lambda x: x @ torch.tensor([3.0, 4.0])  # its gradient has norm 5 everywhere
        >>> gp.gradient_penalty(linear, real, fake, weight=1.0).item()  # (5 - 1)^2
        16.0
    """
    weight, target = _checks.non_negative("weight", weight), _checks.non_negative("target", target)
    points = interpolate(real, fake, eps).detach()
    return _towards(gradient_norms(critic, points), weight, target, one_sided, reduction)


def _zero_centred(name: str, critic: Critic, x: Tensor, weight: float, reduction: str) -> Tensor:
    weight = _checks.non_negative("weight", weight)
    norms = gradient_norms(critic, _checks.batch(name, x).detach())
    return _towards(norms, weight / 2, 0.0, False, reduction)


def r1_penalty(critic: Critic, real: Tensor, *, weight: float = 1.0, reduction: str = "mean") -> Tensor:
    """R1, ``weight / 2 * ||d critic(x_n) / d x_n||_2^2`` at the real samples (Mescheder et al. 2018, eq. 9).

    The 1/2 belongs to the definition; the authors' image code multiplies by its weight of 10 without it, which is
    ``weight=20`` here. ``real`` is detached. Arguments, result and errors are those of :func:`gradient_penalty`.

    Example:
        >>> gp.r1_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.randn(8, 2)).item()  # 5^2 / 2
        12.5
    """
    return _zero_centred("real", critic, real, weight, reduction)


def r2_penalty(critic: Critic, fake: Tensor, *, weight: float = 1.0, reduction: str = "mean") -> Tensor:
    """R2, ``weight / 2 * ||d critic(x_n) / d x_n||_2^2`` at the generated samples (Mescheder et al. 2018, eq. 10).

    ``fake`` is detached. Arguments, result and errors are those of :func:`gradient_penalty`.

    Example:
        >>> gp.r2_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.randn(8, 2), weight=2.0).item()
        25.0
    """
    return _zero_centred("fake", critic, fake, weight, reduction)


def dragan_points(real: Tensor, noise: Tensor | None = None, eps: Tensor | float | None = None) -> Tensor:
    """Points around the real samples, as said at :func:`dragan_penalty`; without a graph."""
    real = _checks.batch("real", real).detach()
    noise = torch.rand_like(real) if noise is None else _checks.batch("noise", noise).detach()
    _checks.same_shape("noise", noise, "real", real)
    return interpolate(real + real.std(correction=0) / 2 * noise, real, eps)


def dragan_penalty(
    critic: Critic,
    real: Tensor,
    *,
    weight: float = 10.0,
    target: float = 1.0,
    noise: Tensor | None = None,
    eps: Tensor | float | None = None,
    reduction: str = "mean",
) -> Tensor:
    """DRAGAN's penalty, ``weight * (||d critic(x_n) / d x_n||_2 - target)^2`` around the real samples.

    The points are those of the authors' released code, ``x = real + eps * std(real) / 2 * noise``: noise uniform on
    [0, 1] for every element, eps uniform on [0, 1] for every sample, and the standard deviation taken over all numbers
    of the batch, dividing by their count. The paper's text has Gaussian noise of a fixed variance instead.

    Args:
        critic, weight, target, reduction: as in :func:`gradient_penalty`.
        real: samples ``(N, ...)``; detached.
        noise: of the shape of ``real``; by default drawn uniformly from [0, 1) by PyTorch's global generator.
        eps: as in :func:`interpolate`.

    Returns:
        A scalar, or ``(N,)`` for ``"none"``.

    Raises:
        ValueError: ``noise`` of another shape than ``real``, and as for :func:`gradient_penalty`.
        TypeError, FloatingPointError: as for :func:`gradient_penalty`.

    Source: Kodali et al. 2017, "On convergence and stability of GANs", and its code.

    Example:
        >>> gp.dragan_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.randn(8, 2), weight=1.0).item()
        16.0
    """
    weight, target = _checks.non_negative("weight", weight), _checks.non_negative("target", target)
    points = dragan_points(real, noise, eps)
    return _towards(gradient_norms(critic, points), weight, target, False, reduction)
