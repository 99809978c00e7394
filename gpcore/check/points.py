"""Where a penalty was taken: between real and fake samples, at them, around them, or somewhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .arcs import arc_dims, as_multiples
from .probes import BATCHES, Call, Subject

# Points are compared in units of the samples' spread, coarsely enough for float32 inside the function.
CLOSE = 2e-3
_FAR = 1000.0


@dataclass(frozen=True)
class Points:
    """Where the points are.

    ``place`` is "interpolates", "real", "fake", "real and fake", "mixture" (interpolates and samples), "arcs" (slerp),
    "around real", "around fake", "around both", "around interpolates", "mapped real", "mapped fake", "mapped both",
    "mapped interpolates" (samples that were transformed before), "elsewhere".
    """

    place: str
    eps: Tensor | None = None  # one a point, where points lie on segments
    varies_within: bool = False  # eps differs within one sample
    text: str = ""

    def __str__(self) -> str:
        return {
            "real": "the real samples",
            "fake": "the fake samples",
            "real and fake": "both real and fake samples",
            "mixture": self.text,
            "arcs": f"arcs between real and fake samples (slerp{self.text})",
            "around both": "points around both real and fake samples",
            "mapped real": "real samples that were transformed before",
            "mapped fake": "fake samples that were transformed before",
            "mapped both": "real and fake samples that were transformed before",
            "mapped interpolates": "interpolates of transformed samples",
            "elsewhere": "points of its own",
        }.get(self.place, self.place)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a - b).abs() < CLOSE).all())


def _segments(x: Tensor, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the eps and the distance of the line from the n-th ``f`` to the n-th ``r``."""
    eps = ((x - f) * (r - f)).sum(-1) / (r - f).square().sum(-1)
    off = (x - eps[..., None] * r - (1 - eps[..., None]) * f).abs().amax(-1)
    return eps, off.nan_to_num(torch.inf)  # from a sample to itself there is no segment


def _nearest_segments(x: Tensor, r: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """The same for the nearest of all lines between any two: pairs may be shuffled."""
    if not len(x) or len(r) > 2 * BATCHES[0]:
        return torch.full((len(x),), torch.nan), torch.full((len(x),), torch.inf)
    eps, off = _segments(x[:, None, None], r[None, :, None], f[None, None, :])
    best = off.reshape(len(x), -1).argmin(1)
    pick = torch.arange(len(x))
    return eps.reshape(len(x), -1)[pick, best], off.reshape(len(x), -1)[pick, best]


def _rows_at(x: Tensor, samples: Tensor) -> Tensor:
    if len(samples) <= 2 * BATCHES[0]:
        return (x[:, None] - samples[None]).abs().amax(-1).amin(1) < CLOSE
    blocks = [b for b in x.split(len(samples)) if len(b) == len(samples)]
    if sum(map(len, blocks)) != len(x):
        return torch.zeros(len(x), dtype=torch.bool)
    return torch.cat([((b - samples).abs().amax(1) < CLOSE) for b in blocks])


def places_of(call: Call) -> Tensor | None:
    """For each row where it was taken: 0 at a real sample, 1 at a fake one, 2 elsewhere."""
    x, real, fake = call.layout.points.flatten(1), call.real.flatten(1), call.fake.flatten(1)
    if x.shape[1] != real.shape[1]:
        return None
    return torch.where(_rows_at(x, real), 0, torch.where(_rows_at(x, fake), 1, 2))


def _between(x: Tensor, samples: Tensor) -> bool:
    """Do all points lie on lines between two of the samples?"""
    return samples.shape[1] > 1 and bool((_nearest_segments(x, samples, samples)[1] < CLOSE).all())


def locate(call: Call, subject: Subject) -> Points:
    """Where the critic was differentiated in this call."""
    layout, shape = call.layout, call.real.shape[1:]
    if layout.points.shape[1:].numel() != shape.numel():
        return _locate_part(call)
    found = _locate(layout.points.flatten(1), call, subject)
    if found.place == "elsewhere" and layout.recorded and not _same_values(layout.points, layout.doors):
        return found
    # The same numbers in another order, as in a permuted or flattened tensor: the critic knows which is which.
    again = _locate(layout.doors.flatten(1), call, subject) if found.place == "elsewhere" else found
    return found if again.place == "elsewhere" else again


def _same_values(a: Tensor, b: Tensor) -> bool:
    return a.numel() == b.numel() and _close(a.flatten().sort().values, b.flatten().sort().values)


def _locate_part(call: Call) -> Points:
    """Where a tensor lies that is only a part of each sample, such as the image beside its labels."""
    x, real, fake = call.layout.points.flatten(1), call.real.flatten(1), call.fake.flatten(1)
    width = x.shape[1]
    for first in range(real.shape[1] - width + 1) if len(x) == len(real) else ():
        r, f = (s[:, first : first + width] for s in (real, fake))
        for name, samples in (("real", r), ("fake", f)):
            if _close(x, samples):
                return Points(name)
        eps, off = _segments(x, r, f)
        if width > 1 and (off < CLOSE).all():
            return Points("interpolates", eps)
    shape = tuple(call.layout.points.shape)
    return Points("elsewhere", text=f"the gradient is that by a tensor of shape {shape}, which is no part of a sample")


def _locate(x: Tensor, call: Call, subject: Subject) -> Points:
    real, fake = call.real.flatten(1), call.fake.flatten(1)
    if _close(x, real):
        return Points("real")
    if _close(x, fake):
        return Points("fake")
    if len(x) == len(real):  # as a rule the n-th with the n-th
        eps, off = _segments(x, real, fake)
        if (off < CLOSE).all():
            return Points("interpolates", eps)
    at_real, at_fake = _rows_at(x, real), _rows_at(x, fake)
    rest = ~(at_real | at_fake)
    eps, off = _nearest_segments(x[rest], real, fake)
    if rest.sum() == len(real) < len(x):
        one, away = _segments(x[rest], real, fake)
        eps, off = (one, away) if (away < CLOSE).all() else (eps, off)
    if (off < CLOSE).all():
        return _described(int(at_real.sum()), int(at_fake.sum()), eps)
    if rest.all():
        for name, samples in (("real", real), ("fake", fake)):
            if _between(x, samples):
                said = f"the points lie between {name} samples and {name} samples, as if the others had been mixed up"
                return Points("elsewhere", text=said)
    moved = _by_response(x, call, subject) or _between_images(x, call, subject)
    if moved is not None:
        return moved
    if len(x) == len(real):
        return _by_pair(*(t.reshape(-1, *subject.shape) for t in (x, real, fake)))
    distance = off[off.isfinite()].max().item() if off.isfinite().any() else float("nan")
    text = f"{len(x)} points for {len(real)} pairs, up to {distance:.2g} away from every segment"
    if len(x) == len(real) ** 2:
        text = (
            f"{len(x)} points for {len(real)} pairs: every real row is mixed with every fake one, for the shape of eps"
        )
        text += " does not fit the samples' and was broadcast"
    return Points("elsewhere", text=text)


def _described(at_real: int, at_fake: int, eps: Tensor) -> Points:
    if not len(eps):
        both = at_real and at_fake
        return Points("real and fake" if both else "real" if at_real else "fake")
    if not at_real and not at_fake:
        return Points("interpolates", eps)
    ends = "both real and fake samples" if at_real and at_fake else f"{'real' if at_real else 'fake'} samples"
    return Points("mixture", eps, text=f"interpolates and {ends}")


def _responses(x: Tensor, call: Call, subject: Subject, step: float) -> tuple[Tensor, Tensor] | None:
    """How far each element moves where all real samples move by 1, and where all fake ones do."""
    moved = []
    for shift in ((0.0, 0.0), (step, 0.0), (0.0, step)):
        try:
            layout = subject.call(n=len(call.real), seed=call.seed, shift=shift).layout
        except Exception:
            return None
        if layout is None or layout.points.flatten(1).shape != x.shape:
            return None
        moved.append(layout.points.flatten(1))
    return (moved[1] - moved[0]) / step, (moved[2] - moved[0]) / step


def _drawn(x: Tensor, call: Call, subject: Subject) -> bool:
    """Whether other random numbers give other points."""
    points = subject.call(n=len(call.real), seed=call.seed + 1).points
    return points is not None and not _close(points.flatten(1), x)


def _by_response(x: Tensor, call: Call, subject: Subject) -> Points | None:
    """What carries its points along: samples that points lie around, or that were mapped to them."""
    answer = _responses(x, call, subject, _FAR)
    if answer is None:
        return None
    a, b = answer

    def about(t: Tensor, value: float) -> Tensor:
        return ((t - value).abs() < 0.02).all(1)

    near_real, near_fake = about(a, 1) & about(b, 0), about(a, 0) & about(b, 1)
    if not (near_real | near_fake).all() and _drawn(x, call, subject):
        # The noise may grow with the spread of all samples: move them less.
        small = _responses(x, call, subject, 0.05) or answer
        near_real, near_fake = (
            ((r - 1).abs().amax(1) < 0.2) & (o.abs().amax(1) < 0.2) for r, o in (small, small[::-1])
        )
    if (near_real | near_fake).all():
        return Points(
            "around both" if near_real.any() and near_fake.any() else f"around {'real' if near_real.any() else 'fake'}"
        )
    total = a + b
    within = a.std(1, correction=0) if a.shape[1] > 1 else torch.zeros(len(a))
    if about(total, 1).all():
        if (within < 0.02).all():
            return Points("around interpolates", a.mean(1))
        inside = (a > -0.02) & (a < 1.02)
        on = (x - a * call.real.flatten(1) - b * call.fake.flatten(1)).abs() < 0.5 if len(x) == len(call.real) else None
        return Points("interpolates", varies_within=True) if on is not None and (inside & on).all() else None
    if total.abs().max() < 0.01:  # a map that saturates, or nothing
        answer = _responses(x, call, subject, 0.05)
        a, b = answer if answer else (a, b)
        total = a + b
        if total.abs().max() < 1e-6:
            return None
    if b.abs().max() < 1e-3 * total.abs().max():
        return Points("mapped real")
    if a.abs().max() < 1e-3 * total.abs().max():
        return Points("mapped fake")
    rows_real, rows_fake = b.abs().amax(1) < 1e-3, a.abs().amax(1) < 1e-3
    if (rows_real | rows_fake).all():
        return Points("mapped both")
    usable = total.abs().amin(0) > 1e-3
    if (total - total[0]).abs().max() < 0.01 * total.abs().max() and usable.any():  # one affine map for all points
        eps = (a / total)[:, usable]
        if ((eps - eps.mean(1, keepdim=True)).abs() < 0.02).all():
            return Points("mapped interpolates", eps.mean(1))
        return Points("mapped interpolates", varies_within=True)
    return None


def _between_images(x: Tensor, call: Call, subject: Subject) -> Points | None:
    """Interpolates of what some map, such as an encoder, makes of the samples, found by giving it one kind twice."""

    def image(source: int, seed: int) -> Tensor | None:
        def change(real: Tensor, fake: Tensor) -> None:
            (fake, real)[source].copy_((real, fake)[source])

        layout = subject.call(n=len(call.real), seed=seed, change=change).layout
        return None if layout is None else layout.points.flatten(1)

    try:
        real, fake, again = image(0, call.seed), image(1, call.seed), image(0, call.seed + 1)
    except Exception:
        return None
    if any(t is None or t.shape != x.shape for t in (real, fake, again)) or not _close(real, again):
        return None
    eps, off = _segments(x, real, fake)
    return Points("mapped interpolates", eps) if (off < CLOSE).all() else None


def _by_pair(x: Tensor, real: Tensor, fake: Tensor) -> Points:
    """What the n-th point is made of, in multiples of the n-th real and the n-th fake sample."""
    each = (x - fake) / (real - fake)
    inside = ((x - fake).abs() <= (real - fake).abs() + CLOSE) & (each > -CLOSE)
    if (inside | ((real - fake).abs() < CLOSE)).all():
        return Points("interpolates", varies_within=True)
    dims = arc_dims(x, real, fake, CLOSE)
    if dims is not None:
        own = x.ndim - 1
        along = f" along dim{'s' * (len(dims) > 1)} {' and '.join(map(str, dims))} alone" if len(dims) < own else ""
        return Points("arcs", text=along)
    pairs = as_multiples(x, real, fake, CLOSE)
    if pairs:
        return Points("elsewhere", text=f"the first points are {pairs}: the two factors do not add up to 1")
    return Points("elsewhere", text=f"{len(x)} points, away from every segment between real and fake samples")


def misled(call: Call, points: Points, subject: Subject) -> str:
    """The samples that the function differentiated by where the critic saw points between; or nothing."""
    if points.place not in ("real", "fake") or not call.layout.recorded:
        return ""
    door = locate(replace(call, layout=replace(call.layout, points=call.layout.doors)), subject)
    return points.place if door.place == "interpolates" and door.eps is not None else ""


def distance_to_uniform(eps: Tensor) -> float:
    """Kolmogorov and Smirnov's distance to the uniform distribution on [0, 1], times the root of the size."""
    eps = eps.sort().values
    n = len(eps)
    steps = torch.arange(n + 1, dtype=eps.dtype) / n
    expected = eps.clamp(0, 1)
    return float(torch.maximum(steps[1:] - expected, expected - steps[:-1]).max() * n**0.5)
