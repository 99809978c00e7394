"""Is my step right? Runs one optimiser step on gradients chosen beforehand, and says in words what it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import Tensor

from ._audit.mends import finding
from ._audit.report import Finding, Report
from ._audit.steps import SCALE, SIZES, Step, StepSubject

# A direction of length 1 with elements on both sides of 0.1, so that clipping values bends it.
_DIRECTION = torch.tensor([0.6, -0.05, 0.3, 0.02, -0.5, 0.04, 0.4, -0.03, 0.2, 0.06])
_DIRECTION = _DIRECTION / _DIRECTION.norm()
# Long and short gradients in several directions: clipping them one by one is not clipping their sum.
_PARTS = [10 * _DIRECTION, 0.3 * _DIRECTION.flip(0), 5 * _DIRECTION.roll(3), 0.2 * _DIRECTION.roll(5)]


def _clip(g: Tensor) -> Tensor:
    return g / g.norm().clamp(min=1.0)


def _normalize(g: Tensor) -> Tensor:
    return g / g.norm()


def _clamp(g: Tensor) -> Tensor:
    return g.clamp(-1, 1)


def _close(a: Tensor, b: Tensor) -> bool:
    return bool(a.isfinite().all()) and float((a - b).norm()) <= 0.01 * float(b.norm())


def _near(numbers: list[float], value: float) -> bool:
    return any(abs(n - value) <= 0.01 * abs(value) for n in numbers)


def _find_subject(my_step: Callable) -> StepSubject:
    try:
        names = inspect.signature(my_step).parameters
    except (TypeError, ValueError):
        names = {}
    scaler = next((name for name in names if "scaler" in name.lower()), None)
    first = None
    for pairs in (True, False):
        subject = StepSubject(my_step, pairs, scaler)
        error = subject.run([0.1 * _DIRECTION]).error
        if error is None:
            return subject
        first = first or error
    raise ValueError(
        "my_step could not be called as my_step(model, optimizer, loss_fn, batches, max_norm), with batches of (x, y) "
        f"or of x alone and loss_fn(output), (output, y) or (model, batch): it raised {type(first).__name__}: {first}"
    ) from first


def _judge_operation(subject: StepSubject, undecided: list[str]) -> tuple[str, Callable | None, list[Finding]]:
    """What the step does to one long and one short gradient: its name, the operation, what is wrong with it."""
    long, short = subject.run([10 * _DIRECTION]), subject.run([0.1 * _DIRECTION])
    norm = f"{long.applied.norm():.4g}"
    if not long.seen:
        undecided.append("what it scales: it took no step with the optimiser that it was given")
        return "a step without the optimiser", None, []
    if _close(long.applied, 10 * _DIRECTION):
        if any((now - seen).norm() > 0.01 * seen.norm() > 0 and now.norm() > 0 for seen, now in _pairs(long)):
            said = f"a gradient of norm 10 was applied whole and cut to {long.after[0].norm():.3g} after its use"
            return "norm clipping", None, [finding("clip-after-step", said)]
        said = f"with max_norm = 1 a gradient of norm 10 was applied with norm {norm}"
        return "no scaling", None, [finding("never-scales", said)]
    if _close(long.applied, _clamp(10 * _DIRECTION)):
        cosine = torch.cosine_similarity(long.applied, _DIRECTION, 0)
        said = f"every element was cut to [-1, 1]: the norm is {norm}, and the cosine with the gradient {cosine:.3f}"
        return "value clipping", _clamp, [finding("clip-by-value", said)]
    if not _close(long.applied, _DIRECTION):
        parts = torch.cat([_clip(part) for part in (10 * _DIRECTION).split(SIZES)])
        if _close(long.applied, parts):
            undecided.append("whether each parameter's own norm is meant: each is clipped by itself, not all together")
        else:
            undecided.append(f"how it scales: max_norm = 1 made of a gradient of norm 10 one of norm {norm}")
        return "another scaling", None, []
    if _close(short.applied, 0.1 * _DIRECTION):
        return "norm clipping", _clip, []
    said = f"with max_norm = 1 a gradient of norm 0.1 was applied with norm {short.applied.norm():.4g}"
    if not _close(short.applied, _DIRECTION):
        undecided.append(f"what it does with short gradients: {said}")
        return "another scaling", None, []
    return "normalisation", _normalize, [finding("scales-up", said)]


def _pairs(step: Step) -> list[tuple[Tensor, Tensor]]:
    """Each step's gradients when it was taken, and the same when the function had returned."""
    return [*zip(step.seen, step.after, strict=False), (step.seen[-1], step.after[-1])]


def _judge_accumulation(subject: StepSubject, operation: Callable, undecided: list[str]) -> list[Finding]:
    step = subject.run(_PARTS)
    if len(step.seen) != 1:
        undecided.append(f"how it accumulates: it took {len(step.seen)} steps for {len(_PARTS)} micro-batches")
        return []
    total = torch.stack(_PARTS).sum(0)
    factors = (1.0, 1 / len(_PARTS))
    if any(_close(step.applied, operation(f * total)) for f in factors):
        return []
    for factor in factors:
        each, running = torch.zeros(10), torch.zeros(10)
        for part in _PARTS:
            each = each + operation(factor * part)
            running = operation(running + factor * part)
        scaled = factor * torch.stack([operation(part) for part in _PARTS]).sum(0)
        if any(_close(step.applied, guess) for guess in (each, running, scaled)):
            said = (
                f"of {len(_PARTS)} micro-batches each was scaled by itself: the norm {step.applied.norm():.4g} was "
                f"applied, and its cosine with their sum is {torch.cosine_similarity(step.applied, total, 0):.3f}"
            )
            return [finding("clip-per-micro-batch", said)]
    undecided.append(
        f"how it accumulates: {len(_PARTS)} micro-batches gave a gradient of norm {step.applied.norm():.4g}, neither "
        "their sum nor their mean, scaled once"
    )
    return []


def _judge_log(subject: StepSubject) -> list[Finding]:
    for norm in (10.0, 20.0):
        step = subject.run([norm * _DIRECTION])
        if _near(step.returned, norm) or not _near(step.returned, float(step.applied.norm())):
            return []
    said = f"it returns {step.applied.norm():.4g} for gradients of norm 10 and of norm 20"
    return [finding("norm-logged-after", said)]


def _judge_non_finite(subject: StepSubject) -> list[Finding]:
    spoilt = []
    for poison in (float("inf"), float("nan")):
        step = subject.run([10 * _DIRECTION], poison=poison)
        if step.error is None and not step.applied.isfinite().all():
            count = int((~step.applied.isfinite()).sum())
            spoilt.append(f"one gradient element of {poison} left {count} of {len(step.applied)} parameters not finite")
    return [finding("non-finite-passed-on", "; ".join(spoilt))] if spoilt else []


def _judge_scaler(subject: StepSubject, operation: Callable) -> list[Finding]:
    for norm in (10.0, 0.1):
        step = subject.run([norm * _DIRECTION], scale=SCALE)
        wrong = (operation(SCALE * norm * _DIRECTION) / SCALE, operation(SCALE * norm * _DIRECTION))
        right = operation(norm * _DIRECTION)
        if not _close(step.applied, right) and any(_close(step.applied, guess) for guess in wrong):
            said = (
                f"with a loss scale of {SCALE:.0f} a gradient of norm {norm:g} was applied with norm "
                f"{step.applied.norm():.3g}: its {SCALE:.0f}-fold was clipped"
            )
            return [finding("clip-before-unscale", said)]
    return []


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
            ``torch.amp.GradScaler`` for the CPU. If it returns the gradient's norm, alone or among other numbers, that
            is checked too.

    Returns:
        The report; ``report.ok`` is False where there is a fault.

    Raises:
        TypeError: ``my_step`` is not a function.
        ValueError: it raised on the simplest batch.

    Source: norm clipping as Pascanu, Mikolov and Bengio 2013, Algorithm 1.
    """
    if not callable(my_step):
        raise TypeError(f"my_step must be a function, got {type(my_step).__name__}")
    subject = _find_subject(my_step)
    undecided: list[str] = []
    family, operation, findings = _judge_operation(subject, undecided)
    if operation is not None:
        findings += _judge_accumulation(subject, operation, undecided)
        half = subject.run([10 * _DIRECTION], 0.5)
        if _close(half.applied, operation(10 * _DIRECTION)):
            undecided.append("whether it heeds max_norm: 0.5 and 1 gave the same step")
        if subject.scaler:
            findings += _judge_scaler(subject, operation)
    if family != "a step without the optimiser":
        again = subject.run([0.1 * _DIRECTION], times=2)
        if _close(again.applied, 0.2 * _DIRECTION):
            undecided.append("who clears the gradients: it does not, so that a second call adds to the first one's")
        findings += _judge_log(subject) + _judge_non_finite(subject)
    name = getattr(my_step, "__name__", type(my_step).__name__)
    return Report(name, family, tuple(findings), tuple(undecided))
