"""What a step does to one gradient, found by giving it short and long ones: ``after * cut(before * g, limit)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..mends import finding
from ..report import Finding
from .cuts import CUTS, Cut, Law, Operation, norm_then_value, value_then_norm
from .network import DIRECTION, NAMES, ROWS, SIZES
from .relative import relative_operation
from .run import StepSubject
from .short import close, linear, near
from .unfit import LONG, enlarged, judge_bent, judge_none, judge_skipping, judge_unscaled

_FLAT = torch.full_like(DIRECTION, len(DIRECTION) ** -0.5)  # as long, but its largest element is small


def _uneven(*factors: float) -> Tensor:
    """The direction with the parameters' parts multiplied: nearly all of its norm is one parameter's."""
    g = DIRECTION * torch.cat([torch.full((size,), f) for size, f in zip(SIZES, factors, strict=True)])
    return g / g.norm()


# Samples of one batch whose gradients are long and short, in several directions.
_SAMPLES = torch.stack([20 * DIRECTION, 5 * DIRECTION.roll(3), 0.2 * DIRECTION.flip(0)])
_LEAST_SCALE = 16.0  # a smaller power of two is more likely a number of micro-batches than a loss scale


def _long(subject: StepSubject, expected: Callable[[Tensor], Tensor] | None) -> tuple[list[float], float | None]:
    """The long gradients with which it steps, up to the first one that it scales, and this one's length or None."""
    taken = []
    for length in LONG:
        applied = subject.run([length * DIRECTION]).applied
        if applied.isfinite().all() and applied.norm() > 0:
            taken.append(length)
            if expected is None or not close(applied, expected(length * DIRECTION)):
                return taken, length
    return taken, None


def _shaped(shape: Callable[[Tensor], Tensor] | None) -> Iterator[Callable[[Callable], Callable]]:
    """A cut, with the linear map before it or after it."""
    if shape is None:
        yield lambda cut: cut
        return
    yield lambda cut: lambda g, limit: cut(shape(g), limit)
    yield lambda cut: lambda g, limit: shape(cut(g, limit))


def _fit(subject: StepSubject, slope: float, length: float, shape) -> tuple[Cut, float] | None:
    """The cut that explains what becomes of gradients of about this length, and its limit."""
    about = float(subject.run([length * DIRECTION]).applied.norm() / abs(slope))  # where the cut begins
    probes = [length * DIRECTION, 30 * about * _FLAT, 0.05 * about * DIRECTION]
    probes += [30 * about * _uneven(0.2, 0.1, 4.0), 10 * about * _uneven(0.01, 4.0, 0.02)]
    answers = [(slope * g, subject.run([g]).applied) for g in probes]
    longest = subject.run([LONG[-1] * DIRECTION])
    if longest.seen or longest.moved.norm() > 0:  # it may be left out
        answers.append((slope * LONG[-1] * DIRECTION, longest.applied))
    for around in _shaped(shape):
        for cut in CUTS:
            limit = cut.limit_of(answers[0][1], answers[0][0])
            apply = around(cut.apply)
            if shape is not None:  # the map may have shortened what was cut
                limit *= limit / cut.limit_of(apply(answers[0][0], limit), answers[0][0])
            if all(close(applied, apply(g, limit)) for g, applied in answers):
                return replace(cut, apply=apply), limit
    return _fit_two(subject, slope, answers) if shape is None else None


def _fit_two(subject: StepSubject, slope: float, answers: list[tuple[Tensor, Tensor]]) -> tuple[Cut, float] | None:
    """Two cuts, one by value and one by norm: elements below the value show the factor of the norm."""
    probes = [length * DIRECTION for length in (3.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e5)]
    more = [(slope * g, subject.run([g]).applied) for g in probes]
    norm, value = float(more[-1][1].norm()), float(more[-1][1].abs().max())
    for g, applied in more:
        factor = float((applied / g).max())  # of elements that were not cut
        largest = float(applied.abs().max())
        first, second = value_then_norm(largest / factor), norm_then_value(factor * float(g.norm()))
        for cut, limit in ((first, norm), (second, value)):
            if all(close(a, cut.apply(g, limit)) for g, a in answers + more):
                return cut, limit
    return None


def _is_scale(number: float) -> bool:
    """Whether it may be a loss scale: a power of two, and not a small one."""
    return number >= _LEAST_SCALE and abs(math.log2(number) - round(math.log2(number))) < 1e-3


def _judge_parts(subject: StepSubject, expected: Callable[[Tensor], Tensor]) -> list[Finding]:
    """Parameters that stay whole while others are scaled."""
    gradient = LONG[-1] * DIRECTION
    applied = subject.run([gradient]).applied.split(SIZES)
    whole = [close(part, g) for part, g in zip(applied, expected(gradient).split(SIZES), strict=True)]
    if not any(whole) or all(whole):
        return []
    applied = subject.run([10 * DIRECTION]).applied
    scaled = " and ".join(name for name, left in zip(NAMES, whole, strict=True) if not left)
    left = " and ".join(
        f"{name} left whole, with the norm {part.norm():.4g}"
        for name, part, left in zip(NAMES, applied.split(SIZES), whole, strict=True)
        if left
    )
    said = (
        f"with max_norm = 1 a gradient of norm 10 was applied with norm {applied.norm():.4g}: of the model's three "
        f"parameters, {scaled} {'was' if whole.count(False) == 1 else 'were'} scaled and {left}"
    )
    if whole == [False, False, True]:
        said += " (these are the optimiser's two groups)"
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


def _judge_limit(subject: StepSubject, slope: float, cut: Cut, limit: float, length: float, undecided) -> Operation:
    """What the limit is made of: of max_norm, of a number of the step's own, of a loss scale."""
    applied = subject.run([length * DIRECTION]).applied
    made = f"max_norm = 1 made of a gradient of norm {length:g} one of norm {applied.norm():.4g}"
    if cut.question:
        undecided.append(f"{cut.question}; {made}")
    scale = _loss_scale(slope, limit)
    if scale:
        return Operation(cut.family, Law(cut.apply, 1.0, *scale[:2]), [finding("clip-before-unscale", scale[2])])
    law = Law(cut.apply, 1.0, slope / limit, limit)
    # With short and long samples in one batch: are they scaled before they are averaged?
    samples = limit / slope * _SAMPLES
    mixed = subject.run([samples]).applied
    if not close(mixed, law(samples.mean(0))) and close(mixed, torch.stack([law(g) for g in samples]).mean(0)):
        family = f"{cut.family} of each sample's own gradient, as in DP-SGD"
        many = near(limit, ROWS) or near(limit, 1)
        return Operation(family, law, per_sample=True, sound=cut.sound and (many or _own(subject, cut, limit, length)))
    own = _own(subject, cut, limit, length)
    if own:
        law = Law(cut.apply, limit, slope)
    said, enlarged = _at_other_limits(subject, law, own)
    if enlarged:
        return Operation(cut.family, law, [finding("scales-up", said)])
    if own and not said:
        undecided += _own_number(subject, cut, limit)
        return Operation(cut.family, law, sound=cut.sound)
    differs = not near(limit, 1) and not near(applied.norm(), 1) and not subject.moves_by_itself
    if said:
        undecided.append(f"how it heeds max_norm: {said}")
    elif differs and cut.sound:
        undecided.append(f"how it scales: {made}")
    return Operation(cut.family, law, sound=cut.sound and not differs and not said)


def _own_number(subject: StepSubject, cut: Cut, limit: float) -> list[str]:
    """What is asked of a threshold that stays the same; nothing where it is 1 and the step is told none."""
    number = f"it clips by {cut.kind} at {limit:.4g}, a number of its own"
    if not subject.style.told_threshold:
        return [] if near(limit, 1) else [f"whether its threshold is meant: {number}"]
    said = "whether it heeds max_norm: 0.5 and 1 gave the same step"
    return [said if near(limit, 1) else f"{said}: {number}"]


def _at_other_limits(subject: StepSubject, law: Law, own: bool) -> tuple[str, bool]:
    """What differs from the law where max_norm is not 1, or "", and whether gradients were enlarged by that."""
    found = []
    for max_norm in (0.5, 2.0):
        expected = law if own else law._replace(limit=max_norm * law.limit)
        for length in (0.3, 0.7, 1.5, 10.0):
            gradient = law.limit / law.before * length * DIRECTION
            applied, right = subject.run([gradient], max_norm).applied, expected(gradient)
            if applied.norm() == 0 or close(applied, right):
                continue
            said = (
                f"with max_norm = {max_norm:g} a gradient of norm {gradient.norm():.4g} was applied with norm "
                f"{applied.norm():.4g}"
            )
            whole = abs(law.before * law.after) * gradient.norm()
            found.append((said + f" in place of {right.norm():.4g}", bool(applied.norm() > 1.01 * whole)))
    return max(found, key=lambda pair: pair[1], default=("", False))


def _own(subject: StepSubject, cut: Cut, limit: float, length: float) -> bool:
    """Whether the limit is a number of the step's own: it stays where max_norm is halved."""
    return near(cut.limit_of(subject.run([length * DIRECTION], 0.5).applied, length * DIRECTION), limit)


def judge_operation(subject: StepSubject, undecided: list[str]) -> Operation:
    """What the step does to one gradient: its family, its law where it is known, and what is wrong with it."""
    relative = relative_operation(subject, undecided)
    if relative:
        return relative
    slope, shape, name = linear(subject, undecided)

    def expected(g: Tensor) -> Tensor:
        return slope * (g if shape is None else shape(g))

    lengths, length = _long(subject, None if slope is None else expected)
    if not lengths:
        return judge_none(subject, undecided)
    if length is None:
        return judge_unscaled(subject, lengths)
    applied = subject.run([length * DIRECTION]).applied
    if slope is None:
        return judge_bent(subject, length, applied, undecided)
    fitted = _fit(subject, slope, length, shape)
    parts = _judge_parts(subject, expected)
    if fitted is None:
        parts += enlarged(subject, 10.0, expected(10 * DIRECTION))
        if not parts:
            undecided.append(
                f"how it scales: max_norm = 1 made of a gradient of norm {length:g} one of norm {applied.norm():.4g}"
            )
        return Operation("another scaling", findings=parts, recognised=bool(parts))
    cut, limit = fitted
    if name:
        cut = replace(cut, family=f"{cut.family}, {name}")
    if length == LONG[0]:
        judge_skipping(subject, undecided)
    operation = _judge_limit(subject, slope, cut, limit, length, undecided)
    bends = [_by_value(cut, limit, applied)] if cut.bends else []
    operation.findings = parts + bends + operation.findings
    return operation


def _by_value(cut: Cut, limit: float, applied: Tensor) -> Finding:
    cosine = torch.cosine_similarity(applied, DIRECTION, 0)
    said = f"{cut.bends.format(limit=limit)}: the norm is {applied.norm():.4g}, and the cosine with the gradient"
    return finding("clip-by-value", f"{said} {cosine:.3f}")
