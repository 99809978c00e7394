"""Scaling that looks at the weights: adaptive clipping (NFNets), layer-wise scaling (LARS, LAMB)."""

from __future__ import annotations

import torch

from .cuts import Operation, rows
from .network import DIRECTION, NAMES, SIZES, WEIGHTS
from .run import StepSubject
from .short import close, near


def relative_operation(subject: StepSubject, undecided: list[str]) -> Operation | None:
    """A scaling that looks at the weights, or None where they make no difference or are added to the gradient."""
    at_zero, away = ([subject.run([f * DIRECTION], weights=w).applied for f in (0.1, 10.0)] for w in (False, True))
    decay = away[0] - at_zero[0]
    own = float(decay @ WEIGHTS / (WEIGHTS @ WEIGHTS)) * WEIGHTS
    if all(close(a, b) for a, b in zip(away, at_zero, strict=True)) or close(decay, own):
        return None
    longest, longer, short = (subject.run([n * DIRECTION], weights=True).applied for n in (1e4, 1e3, 1e-5))
    parts = list(zip(longer.split(SIZES), short.split(SIZES), DIRECTION.split(SIZES), strict=True))
    whole = [i for i, (a, _, g) in enumerate(parts) if close(a, 1e3 * g)]
    scaled = [i for i in range(len(SIZES)) if i not in whole]
    # However long the gradient is.
    cut = scaled and all(close(longest.split(SIZES)[i], longer.split(SIZES)[i]) for i in scaled)
    for units, owners, kind in ((rows, (0, 1, 1, 2), "row"), (lambda g: g.split(SIZES), (0, 1, 2), "parameter")):
        pieces = zip(owners, units(longer), units(DIRECTION), units(WEIGHTS), strict=True)
        pieces = [piece for owner, *piece in pieces if owner in scaled]
        ratios = [float(a.norm() / w.norm()) for a, _, w in pieces]
        along = all(torch.cosine_similarity(a, g, 0) > 0.999 for a, g, _ in pieces)
        if cut and along and all(near(r, ratios[0]) for r in ratios):
            always = all(close(parts[i][1], parts[i][0]) for i in scaled)
            name = "layer-wise scaling, as in LARS and LAMB" if always else "adaptive clipping, as in NFNets"
            said = f"; the gradient of {' and '.join(NAMES[i] for i in whole)} is left whole" if whole else ""
            undecided.append(
                f"whether {ratios[0]:.4g} is meant: a long gradient of each {kind} is scaled to this multiple of the "
                f"norm of its weights{said}"
            )
            return Operation(f"{name}: each {kind}'s gradient relative to its weights")
    undecided.append("how it scales: what it makes of a gradient depends on the weights, not as AGC or LARS have it")
    return Operation("another scaling", recognised=False)
