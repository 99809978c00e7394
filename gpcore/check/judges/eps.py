"""Judging the points' eps: one per sample, independent, uniform."""

from __future__ import annotations

import torch
from torch import Tensor

from ..mends import finding
from ..points import Points, distance_to_uniform, locate
from ..probes import Subject
from ..report import Finding


def _collect_eps(subject: Subject) -> list[Tensor]:
    """The eps of several calls: three large ones where that works, else many small ones."""
    many = (subject.size, max(3, min(360 // subject.size, 120)))
    for n, count in (many,) if subject.only else ((200, 3), many):
        try:
            calls = [subject.call(n=n, seed=seed) for seed in range(1, count + 1)]
            places = [locate(call, subject) for call in calls]
        except Exception:
            continue
        if all(p.eps is not None for p in places):
            return [p.eps for p in places]
    return []


def _varies_along(subject: Subject) -> str:
    """The dimensions along which eps differs within a sample, in words; nothing where it is all of them."""
    call = subject.call(curve=1.0)
    x, own = call.points, range(1, len(subject.shape) + 1)
    if x is None or x.shape != call.real.shape:
        return ""
    apart = call.real - call.fake
    eps = torch.where(apart.abs() > 0.1, (x - call.fake) / apart, torch.nan)
    alike = [d for d in own if ((eps - eps.nanmean(d, keepdim=True)).abs().nan_to_num() < 1e-2).all()]
    dims = [str(d) for d in own if d not in alike]
    return f"dim{'s' * (len(dims) > 1)} {' and '.join(dims)} alone" if alike and dims else ""


def judge_eps(subject: Subject, points: Points, reseeds: bool, undecided: list[str]) -> list[Finding]:
    if points.varies_within:
        along = _varies_along(subject)
        said = f"eps differs along {along}" if along else "every element has its own eps"
        return [finding("eps-per-element", f"within one sample {said}: points leave the line")]
    drawn = _collect_eps(subject)
    if not drawn:
        undecided.append("how eps is distributed: it could not be read off larger batches")
        return []
    first = ", ".join(f"{e:.3f}" for e in drawn[0][:4].tolist())
    if subject.size == 1 and subject.only:  # of one sample nobody can tell whether others would have their own
        shared = False
    else:
        shared = all(eps.std(correction=0) < 1e-3 for eps in drawn)
    means = torch.stack([eps.mean() for eps in drawn])
    if shared and (means.std() < 1e-3 and (not reseeds or min(abs(means[0] - t) for t in (0, 0.5, 1)) < 1e-3)):
        return [finding("eps-constant", f"eps is {means[0]:.3g} for every sample and at every call")]
    if shared:
        listed = ", ".join(f"{m:.3f}" for m in means[:4].tolist())
        return [finding("eps-shared", f"all samples of a batch have one eps; over calls it was {listed}")]
    if not reseeds and all((eps - drawn[0]).abs().max() < 1e-3 for eps in drawn):
        return [finding("eps-constant", f"every call uses the same numbers: {first}, ...")]
    # A seed set inside makes every call alike: only the first then tells anything.
    eps = drawn[0] if reseeds else torch.cat(drawn)
    values, times = eps.mul(1e5).round().unique(return_counts=True)
    if len(values) > 20 and times.min() > 1:  # each was drawn once and used for several points
        eps = values / 1e5
    distance = distance_to_uniform(eps)
    if distance > 2.2:  # a uniform eps exceeds this once in 8,000 checks
        said = (
            f"eps has mean {eps.mean():.2f} and standard deviation {eps.std():.2f} (uniform: 0.50 and 0.29) "
            f"and lies in [{eps.min():.2f}, {eps.max():.2f}], over {len(eps)} draws"
        )
        return [finding("eps-not-uniform", said)]
    return []
