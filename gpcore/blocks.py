"""Scaling of parts of the gradient, each by its own norm: units, tensors, parameter groups.

What :mod:`gpcore.scaling` says of its functions holds here too: gradients are changed in place, the norm before scaling
is returned, and a gradient that is not finite raises ``FloatingPointError`` before anything is changed. The direction
of the whole gradient changes wherever the parts are scaled by different factors.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.modules.conv import _ConvTransposeNd
from torch.utils.weak import WeakTensorKeyDictionary

from . import _checks
from ._norms import Gradients, Parameters, dense, summed

_UNIT_AXES = WeakTensorKeyDictionary()  # weight of three dimensions or more: the axis of its units


def _unit_axis(p: Tensor) -> int:
    """The axis of a weight's outputs: 0, or 1 where a transposed convolution holds it.

    The tensor alone cannot tell a transposed convolution's weight, so the modules in memory are searched, once for each
    weight.
    """
    if p.ndim < 3:
        return 0
    if p not in _UNIT_AXES:
        # Of the type and not isinstance(): that would ask the object, and some objects answer with an error.
        transposed = [m for m in gc.get_objects() if issubclass(type(m), _ConvTransposeNd)]
        _UNIT_AXES[p] = int(any(weight is p for m in transposed for weight in m.parameters()))
    return _UNIT_AXES[p]


def _unit_norms(x: Tensor, axis: int) -> Tensor:
    """Norm of each unit's weights, kept broadcastable; of the whole tensor where only one dimension is not 1."""
    x = (x.abs() if x.is_complex() else x).double()  # whose range the squares do not leave
    if sum(size > 1 for size in x.shape) <= 1:
        return x.norm()
    return torch.linalg.vector_norm(x, dim=[d for d in range(x.ndim) if d != axis], keepdim=True)


def adaptive_clip_(parameters: Parameters, clipping: float = 0.01, eps: float = 1e-3) -> Tensor:
    """Adaptive clipping: each unit's gradient is scaled down to ``clipping * max(||w||, eps)`` where it is above.

    A unit is what leads to one output: a row of a matrix (of the stacked projections of an attention too), a filter of
    a convolution, in a transposed convolution the weights ``w[:, i]``. A tensor that is a vector but for dimensions of
    size 1 (a bias, a gain ``(C, 1, 1, 1)``) is one unit. **Leave the last layer's parameters out**, as the paper does:
    clipped, they hold the training back.

    Returns:
        The norm of all gradients before scaling.

    Raises:
        ValueError: ``clipping`` or ``eps`` negative or not finite. TypeError: a gradient is sparse.
            FloatingPointError: a gradient is not finite.

    Source: Brock et al. 2021 (NFNets), equation 3 and section 4.1.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.ones(2, 1, 4))
        >>> w.grad = torch.tensor([[[3.0] * 4], [[0.001] * 4]])
        >>> _ = gp.adaptive_clip_([w], clipping=0.01)  # each filter's norm is 2
        >>> w.grad.norm(dim=2).flatten()
        tensor([0.0200, 0.0020])
    """
    clipping, eps = _checks.non_negative("clipping", clipping), _checks.non_negative("eps", eps)
    gradients = Gradients(parameters)
    for p in gradients.parameters:
        if p.grad.layout != torch.strided:
            raise TypeError(f"parameters hold a sparse gradient of shape {tuple(p.grad.shape)}: it has no units")
    for p in gradients.parameters:
        axis, gradient = _unit_axis(p), p.grad.detach()
        limit = clipping * _unit_norms(p.detach(), axis).clamp(min=eps)
        factor = limit / _unit_norms(gradient, axis).clamp(min=1e-300)
        gradient.copy_(torch.where(factor < 1, factor * gradient, gradient))
    return gradients.norm


def clip_rms_(parameters: Parameters, threshold: float = 1.0) -> Tensor:
    """Clipping by the root mean square of each tensor: ``g <- g / max(1, RMS(g) / threshold)``, tensor by tensor.

    The limit on a tensor's norm grows with the root of its number of elements, so that one threshold suits large and
    small tensors. Adafactor applies it to the update, which the optimiser forms; here it is applied to the gradient.

    Returns:
        The norm of all gradients before scaling.

    Raises:
        ValueError: ``threshold`` negative or not finite. FloatingPointError: a gradient is not finite.

    Source: Shazeer and Stern 2018 (Adafactor), section 6.

    Example:
        >>> import torch, gpcore as gp
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([7.0, 1.0])  # RMS 5
        >>> _ = gp.clip_rms_([w], threshold=1.0)
        >>> w.grad
        tensor([1.4000, 0.2000])
    """
    threshold = _checks.non_negative("threshold", threshold)
    gradients = Gradients(parameters)
    for p in gradients.parameters:
        gradient = p.grad.detach()
        size = torch.linalg.vector_norm(summed(gradient), dtype=torch.float64)
        limit = threshold * math.sqrt(gradient.numel())
        dense(gradient).mul_((limit / size.clamp(min=1e-300)).clamp(max=1.0))
    return gradients.norm


def clip_group_norms_(groups: Iterable[dict], max_norm: float | None = None) -> Tensor:
    """Norm clipping of each parameter group by itself: ``g_k <- g_k * min(1, max_norm_k / ||g_k||)``.

    For networks whose parts have gradients of very different size, such as an encoder and its head: one norm for both
    would let the larger decide about the smaller.

    Args:
        groups: dictionaries with ``"params"``, as in ``optimizer.param_groups``, and the group's own ``"max_norm"``
            where it has one.
        max_norm: the threshold of the groups that have none of their own.

    Returns:
        The norms before scaling, ``(K,)`` for K groups.

    Raises:
        TypeError: ``groups`` are no dictionaries, or a group has no threshold. ValueError: a threshold negative or not
            finite. FloatingPointError: a gradient is not finite; no group was changed then.

    Example:
        >>> import torch, gpcore as gp
        >>> body, head = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
        >>> body.grad, head.grad = torch.tensor([6.0]), torch.tensor([0.5])
        >>> gp.clip_group_norms_([{"params": [body], "max_norm": 2.0}, {"params": [head]}], max_norm=1.0)
        tensor([6.0000, 0.5000])
        >>> body.grad, head.grad
        (tensor([2.]), tensor([0.5000]))
    """
    if isinstance(groups, (torch.optim.Optimizer, torch.nn.Module, dict)) or not isinstance(groups, Iterable):
        raise TypeError(
            f"groups must be a list of dictionaries with 'params', got a {type(groups).__name__}: use "
            "optimizer.param_groups"
        )
    groups, limits = list(groups), []
    for i, group in enumerate(groups):
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"groups must be dictionaries with 'params', but item {i} is a {type(group).__name__}")
        limit = max_norm if group.get("max_norm") is None else group["max_norm"]
        if limit is None:
            raise TypeError(f"max_norm must be a number where a group has none: group {i} has no 'max_norm'")
        limits.append(_checks.non_negative("max_norm", limit))
    parts = [Gradients(group["params"]) for group in groups]
    every = [id(p) for gradients in parts for p in gradients.parameters]
    if len(set(every)) < len(every):
        raise ValueError("groups must not share a parameter, which would be scaled once for each of its groups")
    for gradients, limit in zip(parts, limits, strict=True):
        if gradients.value > limit:
            gradients.multiply_(limit / gradients.value)
    return torch.tensor([gradients.value for gradients in parts])
