"""Points on arcs between real and fake samples (slerp), of whole samples or along some of their dimensions alone."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def _multiples(x: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, float]:
    """What each row is in multiples ``(M, 2)`` of its real and its fake row, and how far off the farthest row is."""
    basis = torch.stack([real, fake], -1)
    mix = torch.linalg.lstsq(basis, x[..., None]).solution[..., 0]
    return mix, float(((basis @ mix[..., None])[..., 0] - x).abs().max())


def _on_arcs(x: Tensor, real: Tensor, fake: Tensor, close: float) -> bool:
    mix, off = _multiples(x, real, fake)
    if not off < close or not (mix > -close).all():
        return False
    lengths = torch.stack([real.norm(dim=1), fake.norm(dim=1)], 1)
    cosine = (real * fake).sum(1) / lengths.prod(1)
    for p, q in (mix.T, (mix * lengths).T):
        for angle in (cosine, torch.zeros_like(cosine)):  # spherical interpolation, and cos and sin of one angle
            if ((p.square() + q.square() + 2 * p * q * angle - 1).abs() < close).all():
                return True
    return False


def arc_dims(x: Tensor, real: Tensor, fake: Tensor, close: float) -> tuple[int, ...] | None:
    """The dimensions ``1, 2, ...`` along which points ``(N, ...)`` lie on arcs, all first; None where they do not."""
    own = range(1, x.ndim)
    for count in reversed(own):
        for dims in itertools.combinations(own, count):
            if count < len(own) and torch.Size(x.shape[d] for d in dims).numel() < 3:
                continue  # two numbers are a multiple of any two pairs
            rest = [d for d in range(x.ndim) if d not in dims]
            rows = (t.permute(*rest, *dims).flatten(0, len(rest) - 1).flatten(1) for t in (x, real, fake))
            if _on_arcs(*rows, close):
                return dims
    return None


def as_multiples(x: Tensor, real: Tensor, fake: Tensor, close: float) -> str:
    """The first points as multiples of their samples, in words; nothing where they are none."""
    mix, off = _multiples(x.flatten(1), real.flatten(1), fake.flatten(1))
    return ", ".join(f"{p:.2f} real {q:+.2f} fake" for p, q in mix[:3].tolist()) if off < close else ""
