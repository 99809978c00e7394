"""What a step does to short gradients: the linear map before any cut, and the learning rates of a step by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .cuts import centralised
from .network import DIRECTION, NAMES, SIZES
from .run import StepSubject

_SHORT = (0.1, 1e-3, 1e-7)


def close(a: Tensor, b: Tensor) -> bool:
    return bool(a.isfinite().all()) and float((a - b).norm()) <= 0.01 * float(b.norm())


def near(number: float, value: float) -> bool:
    return abs(number - value) <= 0.01 * abs(value)


def slope_of(subject: StepSubject, shape: Callable[[Tensor], Tensor] = lambda g: g) -> float | None:
    """The factor between short gradients and what is applied, or None where it is not one factor for all of them."""
    shaped = shape(DIRECTION)
    for length in _SHORT:
        one, half = (subject.run([f * length * DIRECTION]).applied for f in (1.0, 0.5))
        slope = float(one @ shaped) / length / float(shaped @ shaped)
        if one.norm() > 0 and close(2 * half, one) and close(one, slope * length * shaped):
            return slope
    return None


def linear(subject: StepSubject, undecided: list[str]) -> tuple[float | None, Callable[[Tensor], Tensor] | None, str]:
    """What becomes of short gradients: a factor, the linear map before it or None, and its name."""
    slope = slope_of(subject)
    if slope is not None:
        return slope, None, ""
    slope = slope_of(subject, centralised)
    if slope is not None:
        return slope, centralised, "with centralisation"
    factors = subject.run([0.1 * DIRECTION]).applied / (0.1 * DIRECTION)
    parts = [part.mean() for part in factors.split(SIZES)]
    shares = torch.cat([part.expand(size) for part, size in zip(parts, SIZES, strict=True)])
    if not shares.isfinite().all() or shares.norm() == 0:
        return None, None, ""
    slope = slope_of(subject, lambda g: shares * g)
    if slope is None:
        return None, None, ""
    said = ", ".join(f"{float(part):.4g} ({name})" for part, name in zip(parts, NAMES, strict=True))
    undecided.append(f"whether parameters are meant to be scaled apart: short gradients are multiplied by {said}")
    return slope, lambda g: shares * g, "with a factor for each parameter"


def with_rate(subject: StepSubject) -> StepSubject:
    """The subject with the learning rates at which it moves the parameters, where it does so without the optimiser."""
    step = subject.run([0.1 * DIRECTION])
    pieces = list(zip(step.moved.split(SIZES), DIRECTION.split(SIZES), strict=True))
    if step.seen or any(torch.cosine_similarity(a, g, 0) < 0.999 for a, g in pieces):
        return subject
    slope = slope_of(subject)
    rates = torch.cat([torch.full_like(g, float(a.norm() / g.norm() / 0.1)) for a, g in pieces])
    return replace(subject, rate=slope or rates, moves_by_itself=True)
