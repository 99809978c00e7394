"""Judging which samples take part, whether they act on each other, and what else the critic is given."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..mends import finding
from ..points import Points
from ..probes import Call, Subject
from ..report import Finding


def _changed(subject: Subject, rows: dict[int, float]) -> Call:
    """A call in which some samples, real and fake, are others."""

    def change(real: Tensor, fake: Tensor) -> None:
        for row, step in rows.items():
            real[row] += step
            fake[row] += step

    return subject.call(slope=0.5, curve=2.0, change=change)


def judge_samples(subject: Subject, points: Points, lawless: bool, notes: list[str]) -> list[Finding]:
    """Change one sample at a time: which take part at all, and does one act on the gradients of the others?"""
    base = _changed(subject, {})
    if base.layout is None or _changed(subject, {}).value != base.value:
        return []  # a private generator moves the points at every call
    calls = [_changed(subject, {row: 0.7}) for row in range(min(subject.size, 12))]
    if base.layout.recorded:
        for call in calls:
            coupled = _coupling(base, call)
            if coupled:
                said = f"changing one sample changes the gradients of the others by up to {coupled:.3g} of their size"
                return [finding("batch-coupled", said)]
    elif lawless and not points.place.startswith("around"):
        coupled = _not_additive(subject, base)
        if coupled:
            return coupled
    idle = [str(row + 1) for row, call in enumerate(calls) if call.value == base.value]
    if idle and len(idle) < len(calls):
        notes.append(f"of {subject.size} samples those numbered {', '.join(idle)} take no part in the penalty")
    return []


def _coupling(base: Call, call: Call) -> float:
    """By how much gradients change at points that stay where they are, in units of their size."""
    a, b = base.layout, call.layout
    if b is None or a.points.shape != b.points.shape:
        return 0.0
    same = (a.points - b.points).flatten(1).abs().amax(1) == 0
    before, after = (x.gradients.detach().flatten(1)[same] for x in (a, b))
    if not len(before):
        return 0.0
    change = float((after - before).norm(dim=1).max() / before.norm(dim=1).max().clamp(min=1e-300))
    return change if change > 1e-4 else 0.0


def _not_additive(subject: Subject, base: Call) -> list[Finding]:
    """Where gradients could not be recorded: the effects of changing two samples must add up."""
    both, one, other = (_changed(subject, rows).value - base.value for rows in ({0: 0.7, 1: -0.9}, {0: 0.7}, {1: -0.9}))
    if abs(both - one - other) <= 1e-4 * (abs(one) + abs(other)):
        return []
    said = f"changing two samples at once changes the penalty by {both:.4g}, one after the other by {one + other:.4g}"
    return [finding("batch-coupled", said)]


def judge_conditions(subject: Subject, call: Call, points: Points, undecided: list[str]) -> list[Finding]:
    """Is what the critic is given besides samples the penalty's own random number?"""
    again = subject.call(slope=0.7, curve=1.3, seed=call.seed + 1)
    for extra, other in zip(call.critic.log.extras, again.critic.log.extras, strict=False):
        for place, (value, later) in enumerate(zip(extra, other, strict=False)):
            if not isinstance(value, Tensor) or value.numel() < 2 or hasattr(value, "stands_in"):
                continue
            if points.eps is not None and any(_same_rows(value, eps) for eps in (points.eps, 1 - points.eps)):
                said = f"argument {place + 2} of the critic holds the random numbers that the samples are mixed with"
                return [finding("condition-overwritten", said)]
            if value.shape != later.shape or not torch.equal(value.detach(), later.detach()):
                undecided.append(f"whether argument {place + 2} of the critic, which is drawn at every call, is meant")
                return []
    return []


def _same_rows(value: Tensor, eps: Tensor) -> bool:
    flat = value.detach().double().flatten()
    if flat.numel() % len(eps) or not value.is_floating_point():
        return False
    return bool((flat.reshape(len(eps), -1) - eps[:, None]).abs().max() < 1e-3)


def judge_other_shapes(subject: Subject, given: tuple[int, ...] | None, notes: list[str]) -> None:
    """A penalty for images that takes vectors without a word, and mixes every row with every other."""
    if given is not None or len(subject.shape) < 2 or subject.packed:
        return
    try:
        call = replace(subject, shape=(5,)).call()
    except Exception:
        return
    points = call.points
    if points is not None and len(points) > 3 * len(call.real):
        notes.append(
            f"it was checked on samples of shape (N, {', '.join(map(str, subject.shape))}). On vectors (N, D) it makes "
            f"{len(points)} points of {len(call.real)} pairs, without an error: its eps needs the shape "
            "(N, *[1] * (real.ndim - 1))"
        )
