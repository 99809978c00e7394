"""The gradients of parameters and their norm: what every function that scales them starts from."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

Parameters = Iterable[Tensor] | Tensor

_SMALL = 4096  # elements


def with_gradients(parameters: Parameters) -> list[Tensor]:
    """The parameters that have a gradient, each once.

    Raises:
        TypeError: ``parameters`` are none; the message says what to hand in.
    """
    if isinstance(parameters, nn.Module) and not isinstance(parameters, nn.ParameterList):
        raise TypeError(f"parameters must hold parameters, got a {type(parameters).__name__}: use model.parameters()")
    if isinstance(parameters, torch.optim.Optimizer):
        raise TypeError(
            f"parameters must hold parameters, got a {type(parameters).__name__}: use [p for group in "
            "optimizer.param_groups for p in group['params']]"
        )
    if isinstance(parameters, Mapping):
        raise TypeError("parameters must hold parameters, got a dictionary: use its values()")
    if not isinstance(parameters, Iterable):
        raise TypeError(f"parameters must hold parameters, got {type(parameters).__name__}")
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not items and isinstance(parameters, Iterator):
        warnings.warn(
            "parameters is an iterator with nothing left, so that no gradient was scaled: a generator such as "
            "model.parameters() can be walked once only",
            stacklevel=4,
        )
    for i, item in enumerate(items):
        if type(item) is not nn.Parameter:  # nearly all are, and this runs at every step
            _check_item(i, item)
    if len(set(map(id, items))) < len(items):
        items = list({id(p): p for p in items}.values())
    found = [p for p in items if p.grad is not None]
    if items and not found and not any(p.requires_grad or isinstance(p, nn.Parameter) for p in items):
        raise TypeError(
            "parameters must hold parameters, got tensors that neither have a gradient nor require one: hand in the "
            "parameters and not their gradients"
        )
    return found


def _check_item(i: int, item: object) -> None:
    if isinstance(item, Tensor) and (item.is_leaf or item.retains_grad):
        return
    kind = "a tensor that was computed" if isinstance(item, Tensor) else f"a {type(item).__name__}"
    instead = ""
    if isinstance(item, Tensor):
        instead = ": hand in the parameters and not their gradients"
    if isinstance(item, nn.Module):
        instead = ": use module.parameters() of each"
    if isinstance(item, tuple):
        instead = ": use model.parameters() and not named_parameters()"
    if isinstance(item, dict):
        instead = ": use group['params'] of each group"
    raise TypeError(f"parameters must hold parameters, but item {i} is {kind}{instead}")


def dense(gradient: Tensor) -> Tensor:
    """A real dense tensor that shares its memory with the gradient, so that scaling it scales the gradient."""
    if gradient.layout == torch.sparse_coo:
        gradient = gradient._values()
    elif gradient.layout != torch.strided:
        raise TypeError(f"parameters hold a sparse gradient of layout {gradient.layout}, not torch.sparse_coo")
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


def summed(gradient: Tensor, order: float = 2.0) -> Tensor:
    """A real dense tensor whose norm of this order is the gradient's; not to be changed."""
    if gradient.layout == torch.sparse_coo:
        gradient = gradient.coalesce()  # entries of one place are added, before they are squared
    if gradient.is_complex() and order != 2:
        return (gradient.values() if gradient.is_sparse else gradient).abs()
    return dense(gradient)


def alike(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Real dense tensors, those of one type and device together."""
    kinds: dict[tuple, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(kinds.values())


def _norm(groups: list[list[Tensor]], order: float) -> Tensor:
    if len(groups) == 1:
        return _norm_of_alike(groups[0], order)
    norms = [_norm_of_alike(g, order, torch.promote_types(g[0].dtype, torch.float32)) for g in groups]
    widest = torch.float64 if any(n.dtype == torch.float64 for n in norms) else torch.float32
    return torch.linalg.vector_norm(torch.stack([n.to(norms[0].device, widest) for n in norms]), order)


def _norm_of_alike(tensors: list[Tensor], order: float, dtype: torch.dtype | None = None) -> Tensor:
    if sum(map(Tensor.numel, tensors)) < _SMALL * len(tensors):
        # Copying many small tensors into one takes less time than starting an operation on each.
        return torch.linalg.vector_norm(torch._utils._flatten_dense_tensors(tensors), order, dtype=dtype)
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors, order, dtype=dtype)), order)


class Gradients:
    """The gradients of parameters, measured as one vector.

    Attributes:
        parameters: those that have a gradient.
        norm, value: the norm as a tensor and as a number, which is the only synchronisation of a step.

    A gradient whose elements share memory, as ``expand`` leaves them, is replaced by a copy that can be scaled.

    Raises:
        TypeError, ValueError: ``parameters`` are none, ``norm_type`` is none, a gradient has no values.
        FloatingPointError: a gradient is not finite.
    """

    def __init__(self, parameters: Parameters, norm_type: float = 2.0):
        if isinstance(norm_type, bool) or not isinstance(norm_type, numbers.Real):
            raise TypeError(f"norm_type must be a number, positive or float('inf'), got {norm_type!r}")
        if not norm_type > 0:
            raise ValueError(f"norm_type must be positive or float('inf'), got {norm_type!r}")
        self.parameters = with_gradients(parameters)
        gradients = [p.grad for p in self.parameters]
        kinds = {(g.dtype, g.device, g.layout) for g in gradients}
        if any(device.type == "meta" for _, device, _ in kinds):
            raise TypeError("parameters hold a gradient on the device 'meta', which has a shape and no values")
        # Whether all are real, dense and of one type and device, as in most networks.
        self._plain = [(t.is_complex, layout) for t, _, layout in kinds] == [(False, torch.strided)]
        if not (self._plain and all(map(Tensor.is_contiguous, gradients))):
            _unfold(self.parameters)
            gradients = [p.grad for p in self.parameters]
        self._gradients = gradients
        self.norm, self.value = self._measure(float(norm_type))

    @torch.no_grad()  # gradients may have a graph of their own, from backward(create_graph=True)
    def _measure(self, order: float) -> tuple[Tensor, float]:
        tensors = self._gradients if self._plain else [summed(g, order) for g in self._gradients]
        sizes = list(map(Tensor.numel, tensors))
        if 0 in sizes:
            tensors = [t for t in tensors if t.numel()]
        if not tensors:
            return torch.zeros(()), 0.0
        groups = [tensors] if self._plain else alike(tensors)
        norm = _norm(groups, order)
        value = float(norm)
        if value >= 1e-15 and math.isfinite(value):
            return norm, value
        # Squares leave the range of float32 where the root of their sum would not: divide by the largest element first.
        largest = torch.stack([t.abs().max().to(tensors[0].device, torch.float64) for t in tensors]).max()
        value = float(largest)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the gradient's norm is {value}: nothing was scaled. Look at the loss and the step before this one"
            )
        if value > 0:
            norm = largest * _norm([[t.double() / largest.to(t.device) for t in group] for group in groups], order)
        return norm, float(norm)

    @torch.no_grad()
    def multiply_(self, factor: float) -> None:
        """Multiply all of them in place; one that two parameters share, once."""
        own = self._gradients
        if len(set(map(id, own))) < len(own):
            own = list({id(g): g for g in own}.values())
        # What is near the ends of float32's range is multiplied in two steps.
        parts = [factor] if 1e-30 < factor < 1e30 else [factor**0.5] * 2
        for gradients in [own] if self._plain else alike(map(dense, own)):
            dtype = torch.promote_types(gradients[0].dtype, torch.float32)
            for part in parts:
                # A tensor without dimensions: PyTorch would make one of the number for every gradient anew.
                torch._foreach_mul_(gradients, torch.full((), part, dtype=dtype, device=gradients[0].device))


def _unfold(parameters: list[Tensor]) -> None:
    """Copy the gradients whose elements share memory: what is written to one of these is written to several."""
    for p in parameters:
        if p.grad.layout == torch.strided and torch._debug_has_internal_overlap(p.grad) == 1:
            p.grad = p.grad.clone()
