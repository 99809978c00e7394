r"""Gradient norm scaling: everything that touches *parameter* gradients between ``backward()`` and ``step()``.

Every function takes an iterable of parameters (those without ``.grad`` are skipped), changes their gradients in place
and returns the norm **before** scaling as a tensor without dimensions, the number to log.

What is not finite is never passed on: a NaN or infinite gradient raises ``FloatingPointError`` before anything is
changed, because a scaled NaN is NaN in every parameter, and a scaled infinity is NaN too. Seeing it takes one
synchronisation a step on a GPU; a run that is silently poisoned costs more. Norms are summed so that large finite
gradients do not overflow: float32 gradients of 1e20 have a finite norm here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from . import _checks

_SMALL = 4096  # elements


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [g for p in parameters if (g := p.grad) is not None]


def _norm(gradients: list[Tensor], norm_type: float) -> Tensor:
    if sum(map(Tensor.numel, gradients)) < _SMALL * len(gradients):
        # Copying many small tensors into one takes less time than starting an operation on each.
        return torch.linalg.vector_norm(torch._utils._flatten_dense_tensors(gradients), norm_type)
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients, norm_type)), norm_type)


def _multiply_(gradients: list[Tensor], factor: float) -> None:
    dtype = torch.promote_types(gradients[0].dtype, torch.float32)
    # What is near the ends of float32's range is multiplied in two steps.
    for part in [factor] if 1e-30 < factor < 1e30 else [factor**0.5] * 2:
        # A tensor without dimensions: PyTorch would make one of the number for every gradient anew.
        torch._foreach_mul_(gradients, torch.full((), part, dtype=dtype, device=gradients[0].device))


def _finite_norm(gradients: list[Tensor], norm_type: float = 2.0) -> tuple[Tensor, float]:
    """The norm of all gradients as one vector, on its device and as a number: the only synchronisation of a step."""
    if not gradients:
        return torch.zeros(()), 0.0
    norm = _norm(gradients, norm_type)
    value = float(norm)
    if value < 1e-15 or not math.isfinite(value):
        # Squares leave the range of float32 where the root of their sum would not: divide by the largest element first.
        largest = torch.stack([g.abs().max() for g in gradients]).max()
        value = float(largest)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the gradient's norm is {value}: nothing was scaled. Look at the loss and the step before this one"
            )
        if value > 0:
            norm = largest.double() * _norm(torch._foreach_div(gradients, largest), norm_type)
            value = float(norm)
    return norm, value


def total_norm(parameters: Iterable[Tensor] | Tensor, norm_type: float = 2.0) -> Tensor:
    """Return the norm of all gradients taken as one vector, ``(sum |g|^p)^(1/p)``; 0 where there is none.

    Args:
        norm_type: p, positive or ``float("inf")``.

    Raises:
        FloatingPointError: a gradient is not finite.
    """
    return _finite_norm(_gradients(parameters), norm_type)[0]


def clip_norm_(parameters: Iterable[Tensor] | Tensor, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Norm clipping: ``g <- g * max_norm / ||g||`` where ``||g|| > max_norm``; otherwise g is left bit for bit.

    The direction stays, the length is at most ``max_norm``; nothing is ever enlarged.

    Args:
        max_norm: the threshold, not negative.
        norm_type: as in :func:`total_norm`.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``max_norm`` negative or not finite. FloatingPointError: a gradient is not finite.

    Source: Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """
    max_norm = _checks.non_negative("max_norm", max_norm)
    gradients = _gradients(parameters)
    norm, value = _finite_norm(gradients, norm_type)
    if value > max_norm:
        _multiply_(gradients, max_norm / value)
    return norm


def normalize_norm_(parameters: Iterable[Tensor] | Tensor, target: float = 1.0) -> Tensor:
    """Normalisation: ``g <- g * target / ||g||``, always; small gradients are enlarged. A gradient of 0 stays 0.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``target`` negative or not finite. FloatingPointError: a gradient is not finite.
    """
    target = _checks.non_negative("target", target)
    gradients = _gradients(parameters)
    norm, value = _finite_norm(gradients)
    if value > 0:
        _multiply_(gradients, target / value)
    return norm


def clip_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float) -> Tensor:
    """Value clipping: every element of g is put into ``[-clip_value, clip_value]``, which bends g's direction.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``clip_value`` negative or not finite. FloatingPointError: a gradient is not finite.

    Source: Mikolov 2012, "Statistical language models based on neural networks", section 3.2.2.
    """
    clip_value = _checks.non_negative("clip_value", clip_value)
    gradients = _gradients(parameters)
    norm, _ = _finite_norm(gradients)
    if gradients:
        torch._foreach_clamp_min_(gradients, -clip_value)
        torch._foreach_clamp_max_(gradients, clip_value)
    return norm


def _unit_norms(x: Tensor) -> Tensor:
    """Norm of each unit's incoming weights, kept broadcastable: rows of a matrix, filters of a convolution."""
    x = x.double()  # whose range the squares do not leave
    return x.norm() if x.ndim <= 1 else x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))


def adaptive_clip_(parameters: Iterable[Tensor] | Tensor, clipping: float = 0.01, eps: float = 1e-3) -> Tensor:
    """Adaptive clipping: each unit's gradient is scaled down to ``clipping * max(||w||, eps)`` where it is above.

    A unit is a row of a matrix, a filter of a convolution, or a whole vector (a bias).

    Returns:
        The norm of all gradients before scaling.

    Raises:
        ValueError: ``clipping`` or ``eps`` negative or not finite. FloatingPointError: a gradient is not finite.

    Source: Brock et al. 2021 (NFNets), equation 3.
    """
    clipping, eps = _checks.non_negative("clipping", clipping), _checks.non_negative("eps", eps)
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = total_norm(parameters)
    for p in parameters:
        if p.grad is not None:
            factor = clipping * _unit_norms(p.detach()).clamp(min=eps) / _unit_norms(p.grad).clamp(min=1e-300)
            p.grad.copy_(torch.where(factor < 1, factor * p.grad, p.grad))
    return norm


class AutoClip:
    """Norm clipping at a percentile of the norms seen so far, the current one included.

    Args:
        percentile: in [0, 100]; 10 in the paper, so that nine of ten steps are scaled down.

    Calling it on parameters clips them and returns the norm before scaling. Errors as :func:`clip_norm_`.

    Source: Seetharaman et al. 2020, Algorithm 1.
    """

    def __init__(self, percentile: float = 10.0):
        if _checks.non_negative("percentile", percentile) > 100:
            raise ValueError(f"percentile must lie in [0, 100], got {percentile!r}")
        self.percentile, self.history = percentile, []

    def __call__(self, parameters: Iterable[Tensor] | Tensor) -> Tensor:
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        norm = total_norm(parameters)
        self.history.append(float(norm))
        threshold = torch.tensor(self.history, dtype=torch.float64).quantile(self.percentile / 100)
        return clip_norm_(parameters, float(threshold))

    def state_dict(self) -> dict:
        return {"history": list(self.history)}

    def load_state_dict(self, state: dict) -> None:
        self.history = list(state["history"])


class ZClip:
    """Norm clipping by z-score: a norm far above its running mean is pulled back towards it.

    With running mean m and deviation s of the norms, ``zeta = (||g|| - m) / s``; where ``zeta > z`` the gradient is
    scaled to the norm ``m + s * z^2 / zeta``. The running values are then updated with the norm after scaling. The
    first ``warmup`` norms only set m and s.

    Args:
        z: threshold in deviations. alpha: smoothing of the running values, in [0, 1). warmup: steps, at least 1.

    Calling it on parameters clips them and returns the norm before scaling.

    Source: Kumar et al. 2025 (arXiv 2504.02507), section 3, reciprocal clipping.
    """

    def __init__(self, z: float = 2.5, alpha: float = 0.97, warmup: int = 25):
        self.z = _checks.positive("z", z)
        if _checks.non_negative("alpha", alpha) >= 1:
            raise ValueError(f"alpha must lie in [0, 1), got {alpha!r}")
        if _checks.positive("warmup", warmup) != int(warmup):
            raise ValueError(f"warmup must be a whole number of steps, got {warmup!r}")
        self.alpha, self.warmup, self.seen = alpha, warmup, []
        self.mean = self.variance = None

    def __call__(self, parameters: Iterable[Tensor] | Tensor) -> Tensor:
        parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        norm = total_norm(parameters)
        kept = float(norm)
        if self.mean is None:
            self.seen.append(kept)
            if len(self.seen) == self.warmup:
                seen = torch.tensor(self.seen, dtype=torch.float64)
                self.mean, self.variance = float(seen.mean()), float(seen.var(correction=0))
            return norm
        deviation = math.sqrt(self.variance)
        if kept > self.mean + self.z * deviation:
            zeta = (kept - self.mean) / max(deviation, 1e-12)
            kept = self.mean + deviation * self.z**2 / zeta
            clip_norm_(parameters, kept)
        self.mean = self.alpha * self.mean + (1 - self.alpha) * kept
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (kept - self.mean) ** 2
        return norm

    def state_dict(self) -> dict:
        return {"seen": list(self.seen), "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: dict) -> None:
        self.seen, self.mean, self.variance = list(state["seen"]), state["mean"], state["variance"]


# name: function of the threshold that gives a function of parameters
_MAKERS = {
    "clip_norm": lambda threshold: lambda parameters: clip_norm_(parameters, threshold),
    "clip_value": lambda threshold: lambda parameters: clip_value_(parameters, threshold),
    "normalize": lambda threshold: lambda parameters: normalize_norm_(parameters, threshold),
    "adaptive": lambda threshold: lambda parameters: adaptive_clip_(parameters, threshold),
    "autoclip": AutoClip,
    "zclip": ZClip,
    "none": lambda threshold: total_norm,
}
SCALERS = tuple(_MAKERS)


class Scaler:
    """What :func:`make_scaler` returns: callable on parameters, with a state that a checkpoint can hold."""

    def __init__(self, name: str, threshold: float):
        make = _MAKERS[_checks.one_of("scaling", name, SCALERS)]
        self._scale = make(threshold if name == "none" else _checks.non_negative("threshold", threshold))

    def __call__(self, parameters: Iterable[Tensor] | Tensor) -> Tensor:
        return self._scale(parameters)

    def state_dict(self) -> dict:
        return self._scale.state_dict() if hasattr(self._scale, "state_dict") else {}

    def load_state_dict(self, state: dict) -> None:
        if state:
            self._scale.load_state_dict(state)


def make_scaler(name: str, threshold: float = 1.0) -> Scaler:
    """Return the scaling called ``name``: ``scaler(parameters)`` scales in place and returns the norm before.

    Args:
        name: ``"none"`` (measures only), ``"clip_norm"``, ``"clip_value"``, ``"normalize"``, ``"adaptive"``,
            ``"autoclip"``, ``"zclip"``.
        threshold: the largest norm, the largest element, the target norm, the ratio to the weights, the percentile, the
            z-score, in this order.

    Raises:
        ValueError: an unknown name, or a threshold that the scaling refuses.
    """
    return Scaler(name, threshold)
