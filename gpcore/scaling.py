r"""Gradient norm scaling: everything that touches *parameter* gradients between ``backward()`` and ``step()``.

Every function takes an iterable of parameters (those without ``.grad`` are skipped, one that comes twice counts once),
changes their gradients in place and returns the norm **before** scaling as a tensor without dimensions, the number to
log. The gradients may be complex, in any precision, and sparse where the docstring does not say otherwise.

What is not finite is never passed on: a NaN or infinite gradient raises ``FloatingPointError`` before anything is
changed, because a scaled NaN is NaN in every parameter, and a scaled infinity is NaN too. Seeing it takes one
synchronisation per step on a GPU; a run that is silently poisoned costs more. Norms are summed so that large finite
gradients do not overflow: float32 gradients of 1e20 have a finite norm here.

Here the gradient is scaled as one vector. Scaling row by row, tensor by tensor or group by group is in
:mod:`gpcore.blocks`, thresholds that follow the norms seen so far are in :mod:`gpcore.thresholds`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import _checks
from ._norms import Gradients, Parameters, dense
from .blocks import adaptive_clip_
from .thresholds import AutoClip, ZClip


def total_norm(parameters: Parameters, norm_type: float = 2.0) -> Tensor:
    """Return the norm of all gradients taken as one vector, ``(sum |g|^p)^(1/p)``; 0 where there is none.

    Args:
        norm_type: p, positive or ``float("inf")``.

    Raises:
        TypeError: ``parameters`` hold something else than parameters, ``norm_type`` is no number. ValueError:
            ``norm_type`` not positive. FloatingPointError: a gradient is not finite.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> gp.total_norm([w])
        tensor(5.)
    """
    return Gradients(parameters, norm_type).norm


def clip_norm_(parameters: Parameters, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Norm clipping: ``g <- g * max_norm / ||g||`` where ``||g|| > max_norm``; otherwise g is left bit for bit.

    The direction stays, the length is at most ``max_norm``; nothing is ever enlarged. It differs from
    ``torch.nn.utils.clip_grad_norm_`` where the norm is not finite: PyTorch's multiplies by ``max_norm / inf = 0`` or
    by NaN unless it is told ``error_if_nonfinite=True``, and takes a finite gradient of float32 whose squares overflow
    for an infinite one. Under a ``GradScaler``, which relies on infinite gradients to leave a step out, call PyTorch's
    without the flag after ``scaler.unscale_(optimizer)``.

    Args:
        max_norm: the threshold, not negative.
        norm_type: as in :func:`total_norm`.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``max_norm`` negative or not finite. TypeError, FloatingPointError: as :func:`total_norm`.

    Source: Pascanu, Mikolov and Bengio 2013, Algorithm 1.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> gp.clip_norm_([w], max_norm=1.0), w.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    max_norm = _checks.non_negative("max_norm", max_norm)
    gradients = Gradients(parameters, norm_type)
    if gradients.value > max_norm:
        gradients.multiply_(max_norm / gradients.value)
    return gradients.norm


def normalize_norm_(parameters: Parameters, target: float = 1.0) -> Tensor:
    """Normalisation: ``g <- g * target / ||g||``, always; small gradients are enlarged. A gradient of 0 stays 0.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``target`` negative, not finite, or beyond the range of a gradient's type. TypeError,
            FloatingPointError: as :func:`total_norm`.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([0.3, 0.4])
        >>> gp.normalize_norm_([w]), w.grad
        (tensor(0.5000), tensor([0.6000, 0.8000]))
    """
    target = _checks.non_negative("target", target)
    gradients = Gradients(parameters)
    for kind in {p.grad.dtype for p in gradients.parameters}:
        if target > torch.finfo(kind).max:
            raise ValueError(f"target must be in the range of {kind}, up to {torch.finfo(kind).max:g}, got {target!r}")
    if gradients.value > 0:
        gradients.multiply_(target / gradients.value)
    return gradients.norm


def clip_value_(parameters: Parameters, clip_value: float) -> Tensor:
    """Value clipping: every element of g is put into ``[-clip_value, clip_value]``, which bends g's direction.

    Returns:
        The norm before scaling.

    Raises:
        ValueError: ``clip_value`` negative or not finite. TypeError: a gradient is complex, and as :func:`total_norm`.
            FloatingPointError: a gradient is not finite.

    Source: Mikolov 2012, "Statistical language models based on neural networks", section 3.2.2.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, 0.5])
        >>> _ = gp.clip_value_([w], 1.0)
        >>> w.grad
        tensor([1.0000, 0.5000])
    """
    clip_value = _checks.non_negative("clip_value", clip_value)
    gradients = Gradients(parameters)
    if any(p.grad.is_complex() for p in gradients.parameters):
        raise TypeError("parameters hold complex gradients, whose elements have no order to clip by: use clip_norm_")
    for p in gradients.parameters:
        if p.grad.is_sparse:
            p.grad = p.grad.coalesce()  # an element is the sum of all entries of its place
    if gradients.parameters:
        elements = [dense(p.grad.detach()) for p in gradients.parameters]
        torch._foreach_clamp_min_(elements, -clip_value)
        torch._foreach_clamp_max_(elements, clip_value)
    return gradients.norm


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
    """What :func:`make_scaler` returns: callable on parameters, with a state that a checkpoint can hold.

    Example:
        >>> import gpcore as gp
        >>> gp.scaling.Scaler("autoclip", 10.0).state_dict()
        {'history': []}
    """

    def __init__(self, name: str, threshold: float):
        make = _MAKERS[_checks.one_of("scaling", name, SCALERS)]
        self._scale = make(threshold if name == "none" else _checks.non_negative("threshold", threshold))

    def __call__(self, parameters: Parameters) -> Tensor:
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

    Example:
        >>> import torch, gpcore as gp
        >>> scaler = gp.make_scaler("clip_norm", 1.0)
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> scaler([w]), w.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    return Scaler(name, threshold)
