"""Checks of arguments: every message names the argument, the value and what was expected."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor


def non_negative(name: str, value: float) -> float:
    """Return ``value`` as a float, or raise ``ValueError`` if it is negative or not finite.

    Numbers of Python and NumPy are taken, and tensors without dimensions.
    """
    if isinstance(value, Tensor) and value.ndim == 0 and value.dtype != torch.bool and not value.is_complex():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be finite and not negative, got {value!r}")
    return float(value)


def positive(name: str, value: float) -> float:
    """Return ``value`` as a float, or raise ``ValueError`` if it is zero, negative or not finite."""
    if non_negative(name, value) == 0:
        raise ValueError(f"{name} must be greater than 0, got {value!r}")
    return float(value)


def one_of(name: str, value: str, choices) -> str:
    """Return ``value`` if it is among ``choices``, or raise ``ValueError`` that lists them."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def floating(name: str, value: Tensor) -> Tensor:
    """Return ``value`` if it is a floating-point tensor, or raise ``TypeError``."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor, got {value.dtype}; convert it with .float()")
    return value


def batch(name: str, value: Tensor) -> Tensor:
    """Return ``value`` if it is a floating-point batch ``(N, ...)`` with N > 0, or raise."""
    floating(name, value)
    if value.ndim == 0 or value.numel() == 0:
        raise ValueError(f"{name} must be a non-empty batch of shape (N, ...), got shape {tuple(value.shape)}")
    return value


def same_shape(name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    """Raise ``ValueError`` unless two tensors have one shape."""
    if a.shape != b.shape:
        raise ValueError(f"{name_a} and {name_b} must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")


def scores(name: str, value: Tensor) -> Tensor:
    """Return scores as ``(N,)``, accepting ``(N, 1)``, or raise ``ValueError`` for anything wider."""
    batch(name, value)
    if value.ndim == 2 and value.shape[1] == 1:
        return value.squeeze(1)
    if value.ndim != 1:
        raise ValueError(f"{name} must hold one number a sample, shape (N,) or (N, 1), got {tuple(value.shape)}")
    return value


def reduce(values: Tensor, reduction: str) -> Tensor:
    """Reduce ``(N,)`` to its mean or sum, or leave it: ``reduction`` is ``"mean" | "sum" | "none"``."""
    one_of("reduction", reduction, ("mean", "sum", "none"))
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda v: v}[reduction](values)
