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
        _check_item(i, item)
    if items and all(p.grad is None and not p.requires_grad and not isinstance(p, nn.Parameter) for p in items):
        raise TypeError(
            "parameters must hold parameters, got tensors that neither have a gradient nor require one: hand in the "
            "parameters and not their gradients"
        )
    return [p for p in {id(p): p for p in items}.values() if p.grad is not None and p.grad.numel()]


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


def _norm(tensors: list[Tensor], order: float) -> Tensor:
    alike = len({(t.dtype, t.device) for t in tensors}) == 1
    if alike and sum(map(Tensor.numel, tensors)) < _SMALL * len(tensors):
        # Copying many small tensors into one takes less time than starting an operation on each.
        return torch.linalg.vector_norm(torch._utils._flatten_dense_tensors(tensors), order)
    norms = torch._foreach_norm(tensors, order)
    if not alike:
        norms = [n.to(norms[0].device, torch.promote_types(n.dtype, torch.float32)) for n in norms]
    return torch.linalg.vector_norm(torch.stack(norms), order)


def measured(parameters: Parameters, norm_type: float = 2.0) -> tuple[list[Tensor], Tensor, float]:
    """The parameters that have a gradient, the norm of all gradients as one vector, and this norm as a number.

    The number is the only synchronisation of a step.

    Raises:
        TypeError, ValueError: ``parameters`` are none, ``norm_type`` is none. FloatingPointError: a gradient is not
            finite.
    """
    if isinstance(norm_type, bool) or not isinstance(norm_type, numbers.Real):
        raise TypeError(f"norm_type must be a number, positive or float('inf'), got {norm_type!r}")
    if not norm_type > 0:
        raise ValueError(f"norm_type must be positive or float('inf'), got {norm_type!r}")
    order = float(norm_type)
    found = with_gradients(parameters)
    if not found:
        return [], torch.zeros(()), 0.0
    tensors = [summed(p.grad, order) for p in found]
    norm = _norm(tensors, order)
    value = float(norm)
    if value < 1e-15 or not math.isfinite(value):
        # Squares leave the range of float32 where the root of their sum would not: divide by the largest element first.
        largest = torch.stack([t.abs().max().to(tensors[0].device, torch.float64) for t in tensors if t.numel()]).max()
        value = float(largest)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the gradient's norm is {value}: nothing was scaled. Look at the loss and the step before this one"
            )
        if value > 0:
            norm = largest * _norm([t.double() / largest.to(t.device) for t in tensors], order)
            value = float(norm)
    return found, norm, value


def multiply_(parameters: list[Tensor], factor: float) -> None:
    """Multiply the gradients of these parameters in place."""
    # One tensor without dimensions per device and type: PyTorch would make one of the number for every gradient anew.
    kinds: dict[tuple, list[Tensor]] = {}
    for gradient in (dense(p.grad) for p in parameters):
        kinds.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    for (device, dtype), gradients in kinds.items():
        # What is near the ends of float32's range is multiplied in two steps.
        for part in [factor] if 1e-30 < factor < 1e30 else [factor**0.5] * 2:
            number = torch.full((), part, dtype=torch.promote_types(dtype, torch.float32), device=device)
            torch._foreach_mul_(gradients, number)
