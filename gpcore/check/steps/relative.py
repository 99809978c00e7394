"""Scaling that looks at the weights: adaptive clipping (NFNets), layer-wise scaling (LARS, LAMB)."""

from __future__ import annotations

import torch

from .cuts import Operation, rows
from .run import DIRECTION, SIZES, WEIGHTS, StepSubject
from .short import close, near


def relative_operation(subject: StepSubject, undecided: list[str]) -> Operation | None:
    """A scaling that looks at the weights, or None where they make no difference or are added to the gradient."""
    at_zero, away = ([subject.run([f * DIRECTION], weights=w).applied for f in (0.1, 10.0)] for w in (False, True))
    decay = away[0] - at_zero[0]
    own = float(decay @ WEIGHTS / (WEIGHTS @ WEIGHTS)) * WEIGHTS
    if all(close(a, b) for a, b in zip(away, at_zero, strict=True)) or close(decay, own):
        return None
    longer = subject.run([1e3 * DIRECTION], weights=True).applied
    for units, kind in ((rows, "row"), (lambda g: g.split(SIZES), "parameter")):
        pieces = list(zip(units(longer), units(DIRECTION), units(WEIGHTS), strict=True))
        ratios = [float(a.norm() / w.norm()) for a, _, w in pieces]
        along = all(torch.cosine_similarity(a, g, 0) > 0.999 for a, g, _ in pieces)
        if along and all(near(r, ratios[0]) for r in ratios):
            short = subject.run([1e-5 * DIRECTION], weights=True).applied
            always = close(short, longer)
            name = "layer-wise scaling, as in LARS and LAMB" if always else "adaptive clipping, as in NFNets"
            undecided.append(
                f"whether {ratios[0]:.4g} is meant: a long gradient of each {kind} is scaled to this multiple of the "
                "norm of its weights"
            )
            return Operation(f"{name}: each {kind}'s gradient relative to its weights")
    undecided.append("how it scales: what it makes of a gradient depends on the weights, not as AGC or LARS have it")
    return Operation("another scaling", recognised=False)
