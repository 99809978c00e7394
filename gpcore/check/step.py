"""Is my step right? Runs one optimiser step on gradients chosen beforehand, and says in words what it finds."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .mends import finding
from .report import Finding, Report
from .steps.law import DIRECTION, Law, close, judge_operation, near, with_rate
from .steps.run import SCALE, StepSubject
from .steps.scalers import held_scalers

# Long and short gradients in several directions: clipping them one by one is not clipping their sum.
_PARTS = [10 * DIRECTION, 0.3 * DIRECTION.flip(0), 5 * DIRECTION.roll(3), 0.2 * DIRECTION.roll(5)]
_COPIES = (2, 4, 8)  # numbers of micro-batches tried on a step that takes none on one


def _find_subject(my_step: Callable, undecided: list[str]) -> StepSubject:
    try:
        names = inspect.signature(my_step).parameters
    except (TypeError, ValueError):
        names = {}
    scaler = next((name for name in names if "scaler" in name.lower()), None)
    held = held_scalers(my_step)
    if scaler is None and any(not s.is_enabled() for s in held):
        undecided.append(
            "whether it unscales before it clips: the GradScaler that it holds is disabled, as one for the GPU is "
            'where there is none. Give it torch.amp.GradScaler("cpu") for the check'
        )
    first = None
    for pairs in (True, False):
        subject = StepSubject(my_step, pairs, scaler, tuple(s for s in held if s.is_enabled()))
        error = subject.run([0.1 * DIRECTION]).error
        if error is None:
            return subject
        first = first or error
    raise ValueError(
        "my_step could not be called as my_step(model, optimizer, loss_fn, batches, max_norm), with batches of (x, y) "
        f"or of x alone and loss_fn(output), (output, y) or (model, batch): it raised {type(first).__name__}: {first}"
    ) from first


def _find_step(subject: StepSubject, undecided: list[str]) -> StepSubject | None:
    """The subject with as many micro-batches as it takes for one step, or None where it cannot be judged."""
    for copies in (1, *_COPIES):
        more = replace(subject, copies=copies)
        step = more.run([0.1 * DIRECTION])
        if step.seen:
            return more
        if step.moved.norm() > 0:
            more = with_rate(more)
            if more.moves_by_itself:
                return more
            undecided.append(
                "what it scales: it took no step with the optimiser that it was given, and what it did to the weights "
                "by itself is not along the gradient"
            )
            return None
    undecided.append("what it scales: it took no step with the optimiser that it was given")
    return None


def _judge_accumulation(subject: StepSubject, law: Law, undecided: list[str]) -> list[Finding]:
    count = subject.copies if subject.copies > 1 else len(_PARTS)
    parts = [law.limit / law.before * part for part in itertools.islice(itertools.cycle(_PARTS), count)]
    step = subject.run(parts)
    if len(step.seen) != 1 and not subject.moves_by_itself:
        undecided.append(f"how it accumulates: it took {len(step.seen)} steps for {count} micro-batches")
        return []
    total = torch.stack(parts).sum(0)
    # Of the loss of one micro-batch: a factor that is the same however many there are, or one divided by their number.
    laws = [law._replace(before=f * law.before) for f in (1.0, 1 / count)]
    if any(close(step.applied, guess(total)) for guess in laws):
        return []
    for guess in (g._replace(after=f * g.after) for g in laws for f in (1.0, 1 / count)):
        for how, wrong in _clipped_apart(guess, parts).items():
            if close(step.applied, wrong):
                said = (
                    f"of {count} micro-batches {how}: the norm {step.applied.norm():.4g} was applied, and its cosine "
                    f"with their sum is {torch.cosine_similarity(step.applied, total, 0):.3f}"
                )
                return [finding("clip-per-micro-batch", said)]
    undecided.append(
        f"how it accumulates: {count} micro-batches gave a gradient of norm {step.applied.norm():.4g}, neither "
        "their sum nor their mean, scaled once"
    )
    return []


def _clipped_apart(law: Law, parts: list[Tensor]) -> dict[str, Tensor]:
    """What comes of micro-batches that are clipped each by itself, and of clipping what has been gathered so far."""
    running = torch.zeros_like(parts[0])
    for part in parts:
        running = law.cut(running + law.before * part, law.limit)
    return {
        "each was scaled by itself": torch.stack([law(part) for part in parts]).sum(0),
        "the sum so far was scaled after each": law.after * running,
    }


def _judge_log(subject: StepSubject, law: Law) -> list[Finding]:
    for norm in (10.0, 20.0):
        step = subject.run([law.limit / law.before * norm * DIRECTION])
        applied = float(step.applied.norm())
        if any(near(n, law.limit * norm) for n in step.returned) or not any(near(n, applied) for n in step.returned):
            return []
    said = f"it returns {applied:.4g} for gradients of norm {10 * law.limit:.4g} and of norm {20 * law.limit:.4g}"
    return [finding("norm-logged-after", said)]


def _judge_non_finite(subject: StepSubject) -> list[Finding]:
    spoilt = []
    for poison in (float("inf"), float("nan")):
        step = subject.run([10 * DIRECTION], poison=poison)
        if step.error is None and not step.moved.isfinite().all():
            count = int((~step.moved.isfinite()).sum())
            spoilt.append(f"one gradient element of {poison} left {count} of {len(step.moved)} parameters not finite")
    return [finding("non-finite-passed-on", "; ".join(spoilt))] if spoilt else []


def _judge_scaler(subject: StepSubject, law: Law) -> list[Finding]:
    for norm in (10.0, 0.1):
        gradient = law.limit / law.before * norm * DIRECTION
        step = subject.run([gradient], scale=SCALE)
        wrong = (law(SCALE * gradient) / SCALE, law(SCALE * gradient))
        if not close(step.applied, law(gradient)) and any(close(step.applied, guess) for guess in wrong):
            said = (
                f"with a loss scale of {SCALE:.0f} a gradient of norm {gradient.norm():g} was applied with norm "
                f"{step.applied.norm():.3g}: its {SCALE:.0f}-fold was clipped"
            )
            return [finding("clip-before-unscale", said)]
    return []


def _judge_weights(subject: StepSubject, undecided: list[str]) -> None:
    step = subject.run([10 * DIRECTION])
    rest = (step.moved - step.done).norm()
    if not step.seen or rest <= 0.01 * step.done.norm():
        return
    bound = float(step.moved.abs().max())
    moved = f"moved by another {rest:.4g}"
    if close(step.moved, step.done.clamp(-bound, bound)):
        moved = f"cut to [-{bound:.4g}, {bound:.4g}], which bounds weights and not gradients"
    undecided.append(f"whether the weights are meant to change beside the optimiser's step: they were {moved}")


def _judge_clearing(subject: StepSubject, undecided: list[str]) -> None:
    once = subject.run([0.1 * DIRECTION]).applied
    if once.norm() > 0 and close(subject.run([0.1 * DIRECTION], times=2).applied, 2 * once):
        undecided.append("who clears the gradients: it does not, so that a second call adds to the first one's")


@torch.enable_grad()
def check_scaling(my_step: Callable) -> Report:
    """Run one optimiser step on gradients chosen beforehand, and report in words what is wrong with its scaling.

    The model is linear, so that its gradients are known; the optimiser is plain gradient descent with learning rate 1,
    so that the update shows the gradient that was applied. Nothing but ``my_step`` is executed, on the CPU, and the
    global random states are left as they were.

    Args:
        my_step: ``my_step(model, optimizer, loss_fn, batches, max_norm)`` does one optimiser step: it accumulates the
            gradients of the micro-batches in the list ``batches``, scales them to a norm of at most ``max_norm`` and
            steps. A micro-batch is ``(x, y)``, or x alone where that fails; ``loss_fn`` takes ``(output, y)``,
            ``(output)`` or ``(model, batch)``. Where it has an argument called ``scaler``, it is given a
            ``torch.amp.GradScaler`` for the CPU; one that it holds as a global, in a closure or as an attribute is
            given other loss scales for the time of the check. If it returns the gradient's norm, alone or among other
            numbers, that is checked too. Where it moves the parameters without the optimiser, along the gradient, this
            is judged as plain gradient descent.

    Returns:
        The report; ``report.ok`` is False where there is a fault, and where the step could not be judged at all.

    Raises:
        TypeError: ``my_step`` is not a function.
        ValueError: it raised on the simplest batch.

    Source: norm clipping as Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """
    if not callable(my_step):
        raise TypeError(f"my_step must be a function, got {type(my_step).__name__}")
    name = getattr(my_step, "__name__", type(my_step).__name__)
    undecided: list[str] = []
    subject = _find_step(_find_subject(my_step, undecided), undecided)
    if subject is None:
        return Report(name, "a step without the optimiser", (), tuple(undecided), recognised=False)
    family, law, findings = judge_operation(subject, undecided)
    recognised = law is not None or bool(findings)
    if law is not None:
        if subject.moves_by_itself:  # what comes after clipping is its learning rate
            subject, law = replace(subject, rate=subject.rate * law.after), law._replace(after=1.0)
        findings += _judge_accumulation(subject, law, undecided)
        named = "clip-before-unscale" in [f.name for f in findings]
        if (subject.scaler or subject.held) and not named:
            findings += _judge_scaler(subject, law)
        findings += _judge_log(subject, law)
    _judge_clearing(subject, undecided)
    _judge_weights(subject, undecided)
    findings += _judge_non_finite(subject)
    return Report(name, family, tuple(findings), tuple(undecided), recognised=recognised)
