"""What a step does to one gradient, found by giving it short and long ones: ``after * cut(before * g, limit)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..mends import finding
from ..report import Finding
from .run import SIZES, Step, StepSubject

# A direction of length 1 with elements on both sides of 0.1, so that clipping values bends it.
DIRECTION = torch.tensor([0.6, -0.05, 0.3, 0.02, -0.5, 0.04, 0.4, -0.03, 0.2, 0.06])
DIRECTION = DIRECTION / DIRECTION.norm()
_FLAT = torch.full_like(DIRECTION, len(DIRECTION) ** -0.5)  # as long, but its largest element is small
_NAMES = ("first", "second")  # the model's parameters
_SHORT = (0.1, 1e-3, 1e-7)
_LONG = (10.0, 1e3, 1e5)
_LEAST_SCALE = 16.0  # a smaller power of two is more likely a number of micro-batches than a loss scale


class Law(NamedTuple):
    """``after * cut(before * g, limit)``: what the step makes of the gradient g."""

    cut: Callable[[Tensor, float], Tensor]
    limit: float = 1.0
    before: float = 1.0  # a factor of the loss: of accumulation, or a loss scale
    after: float = 1.0

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.after * self.cut(self.before * gradient, self.limit)


def close(a: Tensor, b: Tensor) -> bool:
    return bool(a.isfinite().all()) and float((a - b).norm()) <= 0.01 * float(b.norm())


def near(number: float, value: float) -> bool:
    return abs(number - value) <= 0.01 * abs(value)


def _by_norm(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.norm()).clamp(max=1.0)


def _to_norm(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.norm())


def _by_value(g: Tensor, limit: float) -> Tensor:
    return g.clamp(-limit, limit)


def _by_largest(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.abs().max()).clamp(max=1.0)


def _each_alone(g: Tensor, limit: float) -> Tensor:
    return torch.cat([_by_norm(part, limit) for part in g.split(SIZES)])


def _first_alone(g: Tensor, limit: float) -> Tensor:
    return torch.cat([_by_norm(g[: SIZES[0]], limit), g[SIZES[0] :]])


def _second_alone(g: Tensor, limit: float) -> Tensor:
    return torch.cat([g[: SIZES[0]], _by_norm(g[SIZES[0] :], limit)])


# cut: (family, the limit as it shows in a long gradient that was cut)
_CUTS = {
    _by_norm: ("norm clipping", torch.norm),
    _by_value: ("value clipping", lambda cut: cut.abs().max()),
    _by_largest: ("clipping by the largest element", lambda cut: cut.abs().max()),
    _each_alone: ("clipping of each parameter by itself", lambda cut: cut[: SIZES[0]].norm()),
    _first_alone: ("norm clipping of one parameter", lambda cut: cut[: SIZES[0]].norm()),
    _second_alone: ("norm clipping of one parameter", lambda cut: cut[SIZES[0] :].norm()),
}


def slope_of(subject: StepSubject) -> float | None:
    """The factor between short gradients and what is applied, or None where it is not one factor for all of them."""
    for length in _SHORT:
        one, half = (subject.run([f * length * DIRECTION]).applied for f in (1.0, 0.5))
        if one.norm() > 0 and close(2 * half, one):
            return float(one @ DIRECTION) / length
    return None


def _long(subject: StepSubject, slope: float | None) -> tuple[list[float], float | None]:
    """The long gradients with which it steps, up to the first one that it scales, and this one's length or None."""
    taken = []
    for length in _LONG:
        applied = subject.run([length * DIRECTION]).applied
        if applied.isfinite().all() and applied.norm() > 0:
            taken.append(length)
            if slope is None or not close(applied, slope * length * DIRECTION):
                return taken, length
    return taken, None


def _fit(subject: StepSubject, slope: float, length: float) -> tuple[Callable, float] | None:
    """The cut that explains what becomes of gradients of about this length, and its limit."""
    answers = [(g, subject.run([g]).applied) for g in (length * DIRECTION, 3 * length * _FLAT, 0.1 * DIRECTION)]
    for cut, (_, limit_of) in _CUTS.items():
        limit = float(limit_of(answers[0][1]))
        if all(close(applied, cut(slope * g, limit)) for g, applied in answers):
            return cut, limit
    return None


def _is_scale(number: float) -> bool:
    """Whether it may be a loss scale: a power of two, and not a small one."""
    return number >= _LEAST_SCALE and abs(math.log2(number) - round(math.log2(number))) < 1e-3


def _pairs(step: Step) -> list[tuple[Tensor, Tensor]]:
    """Each step's gradients when it was taken, and the same when the function had returned."""
    return [*zip(step.seen, step.after, strict=False), *[(seen, step.after[-1]) for seen in step.seen[-1:]]]


def _judge_unscaled(subject: StepSubject, lengths: list[float]) -> tuple[str, None, list[Finding]]:
    for length in lengths:
        step = subject.run([length * DIRECTION])
        if any((now - seen).norm() > 0.01 * seen.norm() > 0 and now.norm() > 0 for seen, now in _pairs(step)):
            said = (
                f"a gradient of norm {length:g} was applied whole and cut to {step.after[0].norm():.3g} after its use"
            )
            return "norm clipping", None, [finding("clip-after-step", said)]
    step = subject.run([10 * DIRECTION])
    said = f"with max_norm = 1 a gradient of norm 10 was applied with norm {step.applied.norm():.4g}"
    return "no scaling", None, [finding("never-scales", said)]


def _judge_parts(subject: StepSubject, slope: float) -> list[Finding]:
    """A parameter that stays whole while the other one is scaled."""
    length = _LONG[-1]
    applied = subject.run([length * DIRECTION]).applied.split(SIZES)
    whole = [close(part, slope * length * g) for part, g in zip(applied, DIRECTION.split(SIZES), strict=True)]
    if sum(whole) != 1:
        return []
    left, other = _NAMES[whole.index(True)], _NAMES[whole.index(False)]
    applied = subject.run([10 * DIRECTION]).applied
    said = (
        f"with max_norm = 1 a gradient of norm 10 was applied with norm {applied.norm():.4g}: of the model's two "
        f"parameters, {other} was scaled and {left} left whole, with the norm "
        f"{applied.split(SIZES)[whole.index(True)].norm():.4g}"
    )
    return [finding("never-scales", said)]


def _loss_scale(slope: float, limit: float) -> tuple[float, float, str] | None:
    """The factors before and after clipping where they are a loss scale's, and what was observed of it."""
    if near(slope, 1) and _is_scale(1 / limit):
        said = (
            f"a gradient of norm 10 was applied with norm {limit:.4g}, which is max_norm / {1 / limit:.0f}: its "
            f"{1 / limit:.0f}-fold was clipped, as a loss scale makes it"
        )
        return 1 / limit, limit, said
    if near(limit, 1) and _is_scale(slope):
        said = (
            f"a gradient of norm 0.1 was applied with norm {limit:.4g}: its {slope:.0f}-fold was clipped, as a loss "
            "scale makes it, and never divided again"
        )
        return slope, 1.0, said
    return None


def _judge_limit(
    subject: StepSubject, slope: float, cut: Callable, limit: float, length: float, undecided: list[str]
) -> tuple[Law, list[Finding]]:
    """What the limit is made of: of max_norm, of a number of the step's own, of a loss scale."""
    scale = _loss_scale(slope, limit)
    if scale:
        return Law(cut, 1.0, *scale[:2]), [finding("clip-before-unscale", scale[2])]
    halved = float(_CUTS[cut][1](subject.run([length * DIRECTION], 0.5).applied))
    if near(halved, limit):
        kind = "value" if cut is _by_value else "norm"
        own = "" if near(limit, 1) else f": it clips by {kind} at {limit:.4g}, a number of its own"
        undecided.append(f"whether it heeds max_norm: 0.5 and 1 gave the same step{own}")
        return Law(cut, limit, slope), []
    if not near(limit, 1) and not subject.moves_by_itself:
        undecided.append(f"how it scales: max_norm = 1 made of a gradient of norm {length:g} one of norm {limit:.4g}")
    return Law(cut, 1.0, slope / limit, limit), []


def judge_operation(subject: StepSubject, undecided: list[str]) -> tuple[str, Law | None, list[Finding]]:
    """What the step does to one gradient: its family, its law where it is known, and what is wrong with it."""
    slope = slope_of(subject)
    lengths, length = _long(subject, slope)
    if not lengths:
        error = subject.run([10 * DIRECTION]).error
        why = f"; it raised {type(error).__name__}: {error}" if error else ""
        undecided.append(f"what it does with long gradients: it took no step with one of norm 10{why}")
        return "another scaling", None, []
    if length is None:
        return _judge_unscaled(subject, lengths)
    fitted = _fit(subject, slope, length) if slope is not None else None
    applied = subject.run([length * DIRECTION]).applied
    short = subject.run([0.1 * DIRECTION]).applied
    if slope is None and close(short, applied) and close(applied, float(applied.norm()) * DIRECTION):
        said = f"with max_norm = 1 a gradient of norm 0.1 was applied with norm {short.norm():.4g}"
        return "normalisation", Law(_to_norm, float(applied.norm())), [finding("scales-up", said)]
    findings = _judge_parts(subject, slope) if slope is not None else []
    if fitted is None:
        if not findings:
            undecided.append(
                f"how it scales: max_norm = 1 made of a gradient of norm {length:g} one of norm {applied.norm():.4g}"
            )
        return "another scaling", None, findings
    cut, limit = fitted
    if cut is _by_value:
        cosine = torch.cosine_similarity(applied, DIRECTION, 0)
        said = (
            f"every element was cut to [-{limit:.4g}, {limit:.4g}]: the norm is {applied.norm():.4g}, and the cosine "
            f"with the gradient {cosine:.3f}"
        )
        findings.append(finding("clip-by-value", said))
    if cut is _each_alone:
        undecided.append("whether each parameter's own norm is meant: each is clipped by itself, not all together")
    if cut is _by_largest:
        undecided.append(
            "whether this is how it scales on purpose: the largest element was cut to the threshold and the direction "
            f"kept, so that a gradient of norm {length:g} was applied with norm {applied.norm():.4g}"
        )
    law, more = _judge_limit(subject, slope, cut, limit, length, undecided)
    return _CUTS[cut][0], law, findings + more


def with_rate(subject: StepSubject) -> StepSubject:
    """The subject with the learning rate at which it moves the parameters, where it does so without the optimiser."""
    step = subject.run([0.1 * DIRECTION])
    if step.seen or torch.cosine_similarity(step.moved, DIRECTION, 0) < 0.999:
        return subject
    return replace(subject, rate=slope_of(subject) or 1.0, moves_by_itself=True)
