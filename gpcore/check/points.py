"""Where a penalty was taken: between real and fake samples, at them, around them, or somewhere else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .probes import BATCHES, Call, Subject

# Points are compared in units of the samples' spread, coarsely enough for float32 inside the function.
CLOSE = 2e-3


@dataclass(frozen=True)
class Points:
    """``place`` is "interpolates", "real", "fake", "real and fake", "around real", "around fake", "elsewhere"."""

    place: str
    eps: Tensor | None = None  # one a point, where the place is "interpolates"
    varies_within: bool = False  # eps differs within one sample
    text: str = ""


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() < CLOSE).all())


def _near(points: Tensor, samples: Tensor) -> bool:
    return points.shape == samples.shape and bool(((points - samples).abs() < 10).all())


def _on_segments(points: Tensor, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """For each point the eps and the distance of the nearest line real_i - fake_j; pairs may be shuffled."""
    m, n = len(points), len(real)
    x, r, f = points.reshape(m, -1), real.reshape(n, -1), fake.reshape(n, -1)
    if m == n:  # as a rule the n-th with the n-th
        eps = ((x - f) * (r - f)).sum(1) / (r - f).square().sum(1)
        off = (x - eps[:, None] * r - (1 - eps[:, None]) * f).abs().amax(1)
        if (off < CLOSE).all():
            return eps, off
    if n > 2 * BATCHES[0]:
        return torch.full((m,), torch.nan), torch.full((m,), torch.inf)
    r, f = r[None, :, None], f[None, None, :]
    eps = ((x[:, None, None] - f) * (r - f)).sum(-1) / (r - f).square().sum(-1)
    off = (x[:, None, None] - eps[..., None] * r - (1 - eps[..., None]) * f).abs().amax(-1)
    off = off.nan_to_num(torch.inf)  # from a sample to itself there is no segment
    best = off.reshape(m, -1).argmin(1)
    pick = torch.arange(m)
    return eps.reshape(m, -1)[pick, best], off.reshape(m, -1)[pick, best]


def _between(points: Tensor, samples: Tensor) -> bool:
    """Do all points lie on lines between two of the samples?"""
    if len(samples) > 2 * BATCHES[0] or samples[0].numel() < 2:
        return False
    return bool((_on_segments(points, samples, samples)[1] < CLOSE).all())


def locate(call: Call, subject: Subject) -> Points:
    """Where the critic was differentiated in this call."""
    points, real, fake = call.points, call.real, call.fake
    if _close(points, real):
        return Points("real")
    if _close(points, fake):
        return Points("fake")
    if _close(points, torch.cat([real, fake])) or _close(points, torch.cat([fake, real])):
        return Points("real and fake")
    eps, off = _on_segments(points, real, fake)
    if (off < CLOSE).all():
        return Points("interpolates", eps)
    for name, samples in (("real", real), ("fake", fake)):
        if _between(points, samples):
            said = f"the points lie between {name} samples and {name} samples, as if the others had been mixed up"
            return Points("elsewhere", text=said)
    # Far-off fake samples do not move points around the real ones; real samples carry their points with them.
    try:
        far = [subject.call(n=len(real), shift=shift) for shift in ((0.0, 1000.0), (1000.0, 0.0))]
    except Exception:
        far = []
    for name in ("real", "fake") if far else ():
        if all(_near(moved.points, getattr(moved, name)) for moved in far):
            return Points(f"around {name}")
    if points.shape == real.shape:
        each = (points - fake) / (real - fake)
        inside = ((points - fake).abs() <= (real - fake).abs() + CLOSE) & (each > -CLOSE)
        if (inside | ((real - fake).abs() < CLOSE)).all():
            return Points("interpolates", varies_within=True)
        a = torch.stack([real.flatten(1), fake.flatten(1)], -1)
        mix = torch.linalg.lstsq(a, points.flatten(1)[..., None]).solution[..., 0]
        if ((a @ mix[..., None])[..., 0] - points.flatten(1)).abs().max() < CLOSE:
            pairs = ", ".join(f"{p:.2f} real {q:+.2f} fake" for p, q in mix[:3].tolist())
            return Points("elsewhere", text=f"the first points are {pairs}: the two factors do not add up to 1")
    distance = off[off.isfinite()].max().item() if off.isfinite().any() else float("nan")
    return Points(
        "elsewhere", text=f"{len(points)} points for {len(real)} pairs, up to {distance:.2g} away from every segment"
    )


def distance_to_uniform(eps: Tensor) -> float:
    """Kolmogorov and Smirnov's distance to the uniform distribution on [0, 1], times the root of the size."""
    eps = eps.sort().values
    n = len(eps)
    steps = torch.arange(n + 1, dtype=eps.dtype) / n
    expected = eps.clamp(0, 1)
    return float(torch.maximum(steps[1:] - expected, expected - steps[:-1]).max() * n**0.5)
