"""What is asked of every step whose law is known: accumulation, logging, what is not finite, scalers, memory."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from ..mends import finding
from ..report import Finding
from .cuts import Law, Operation
from .network import DIRECTION, SCALE
from .run import StepSubject
from .short import close, near

# Long and short gradients in several directions: clipping them one by one is not clipping their sum.
_PARTS = [10 * DIRECTION, 0.3 * DIRECTION.flip(0), 5 * DIRECTION.roll(3), 0.2 * DIRECTION.roll(5)]


def judge_accumulation(subject: StepSubject, operation: Operation, undecided: list[str]) -> list[Finding]:
    law = operation.law
    if subject.style.single and subject.copies == 1:
        return []  # a call is one step on one batch
    count = subject.copies if subject.copies > 1 else len(_PARTS)
    parts = [law.limit / law.before * part for part in itertools.islice(itertools.cycle(_PARTS), count)]
    step = subject.run(parts)
    if step.error is not None:
        said = raised(step.error, "Call scaler.unscale_() once, after the last backward()")
        undecided.append(f"how it accumulates: with {count} micro-batches {said}")
        operation.sound = False
        return []
    if len(step.seen) != 1 and not subject.moves_by_itself:
        undecided.append(f"how it accumulates: it took {len(step.seen)} steps for {count} micro-batches")
        return []
    total = torch.stack(parts).sum(0)
    # Of the loss of one micro-batch: a factor that is the same however many there are, or one divided by their number.
    laws = [law._replace(before=f * law.before) for f in (1.0, 1 / count)]
    apart = [(how, wrong) for guess in laws for how, wrong in _clipped_apart(guess, parts, count)]
    if operation.per_sample:
        if not any(close(step.applied, wrong) for _, wrong in apart):
            undecided.append(_neither(count, step.applied))
            operation.sound = False
        return []
    if any(close(step.applied, guess(total)) for guess in laws):
        return []
    for guess, i in itertools.product(laws, (0, -1)):
        if close(step.applied, guess(parts[i])):
            undecided.append(f"how it accumulates: of {count} micro-batches it used the {('first', 'last')[i]} alone")
            if guess is not law and guess.before != law.before:  # and yet it divides by their number
                undecided[-1] += f", divided by {count}. Look for a zero_grad() inside the loop"
                operation.sound = False
            return []
    for how, wrong in apart:
        if close(step.applied, wrong):
            said = (
                f"of {count} micro-batches {how}: the norm {step.applied.norm():.4g} was applied, and its cosine "
                f"with their sum is {torch.cosine_similarity(step.applied, total, 0):.3f}"
            )
            return [finding("clip-per-micro-batch", said)]
    operation.sound = False
    for guess in laws:
        if close(count * step.applied, guess(total)):
            undecided.append(
                f"whether the division comes too late on purpose: the sum over {count} micro-batches was scaled and "
                f"then divided by {count}, so that the norm {step.applied.norm():.4g} was applied: the threshold falls "
                "with their number"
            )
            return []
    undecided.append(_neither(count, step.applied))
    return []


def raised(error: Exception, hint: str) -> str:
    """What was raised, with the hint where it is a GradScaler's error."""
    why = f"{type(error).__name__}: {error}".rstrip(".")
    scales = any(word in why for word in ("update()", "unscale_()", "step()"))
    return f"it raised {why}" + f". {hint}" * scales


def _neither(count: int, applied: Tensor) -> str:
    return (
        f"how it accumulates: {count} micro-batches gave a gradient of norm {applied.norm():.4g}, neither their sum "
        "nor their mean, scaled once"
    )


def _clipped_apart(law: Law, parts: list[Tensor], count: int) -> list[tuple[str, Tensor]]:
    """What comes of micro-batches that are clipped each by itself, and of clipping what has been gathered so far."""
    found = []
    for guess in (law._replace(after=f * law.after) for f in (1.0, 1 / count)):
        running = torch.zeros_like(parts[0])
        for part in parts:
            running = guess.cut(running + guess.before * part, guess.limit)
        found.append(("each was scaled by itself", torch.stack([guess(part) for part in parts]).sum(0)))
        found.append(("the sum so far was scaled after each", guess.after * running))
    return found


def judge_log(subject: StepSubject, law: Law) -> list[Finding]:
    """A returned number that is the applied norm for long and for short gradients: no threshold, rate or count is."""
    candidates, before = None, set()
    for norm in (10.0, 20.0, 0.3):
        step = subject.run([law.limit / law.before * norm * DIRECTION])
        applied = float(step.applied.norm())
        same = {place for place, n in step.returned.items() if near(n, applied)}
        candidates = same if candidates is None else candidates & same
        before |= {place for place, n in step.returned.items() if norm > 1 and near(n, law.limit * norm)}
    if not candidates or before:
        return []
    how = "keeps" if all(place.startswith("/held") for place in candidates) else "returns"
    said = f"it {how} {law.limit:.4g} for gradients of norm {10 * law.limit:.4g} and of norm {20 * law.limit:.4g}"
    return [finding("norm-logged-after", said)]


def judge_non_finite(subject: StepSubject) -> list[Finding]:
    spoilt = []
    for poison in (math.inf, math.nan):
        step = subject.run([10 * DIRECTION], poison=poison)
        if step.error is None and not step.moved.isfinite().all():
            count = int((~step.moved.isfinite()).sum())
            spoilt.append(f"one gradient element of {poison} left {count} of {len(step.moved)} parameters not finite")
    return [finding("non-finite-passed-on", "; ".join(spoilt))] if spoilt else []


def judge_scaler(subject: StepSubject, operation: Operation, undecided: list[str]) -> list[Finding]:
    law = operation.law
    for norm in (10.0, 0.1):
        gradient = law.limit / law.before * norm * DIRECTION
        step = subject.run([gradient], scale=SCALE)
        if close(step.applied, law(gradient)) or not step.applied.norm() > 0:
            continue
        said = (
            f"with a loss scale of {SCALE:.0f} a gradient of norm {gradient.norm():g} was applied with norm "
            f"{step.applied.norm():.3g}"
        )
        if any(close(step.applied, guess) for guess in (law(SCALE * gradient) / SCALE, law(SCALE * gradient))):
            return [finding("clip-before-unscale", f"{said}: its {SCALE:.0f}-fold was clipped")]
        undecided.append(
            f"what the loss scale is for: {said}, and with one of 1 with norm {law(gradient).norm():.3g}. Multiply the "
            "loss by it as often as the gradient is divided by it"
        )
        operation.sound = False
        break
    return []


def judge_weights(subject: StepSubject, undecided: list[str]) -> None:
    step = subject.run([10 * DIRECTION])
    rest = (step.moved - step.done).norm()
    if not step.seen or rest <= 0.01 * step.done.norm():
        return
    bound = float(step.moved.abs().max())
    moved = f"moved by another {rest:.4g}"
    if close(step.moved, step.done.clamp(-bound, bound)):
        moved = f"cut to [-{bound:.4g}, {bound:.4g}], which bounds weights and not gradients"
    undecided.append(f"whether the weights are meant to change beside the optimiser's step: they were {moved}")
