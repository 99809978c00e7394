"""Is my step right? Runs one optimiser step on gradients chosen beforehand, and says in words what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from .report import Report
from .steps.calling import Style, find_style
from .steps.calls import judge_calls
from .steps.judges import judge_accumulation, judge_log, judge_non_finite, judge_scaler, judge_weights
from .steps.law import judge_operation
from .steps.memory import Memory
from .steps.network import DIRECTION
from .steps.run import StepSubject
from .steps.scalers import held_scalers
from .steps.short import close, with_rate

_COUNTS = (2, 3, 4, 5, 6, 8, 10, 16, 32)  # numbers of micro-batches tried on a step that takes none on one


def _find_subject(my_step: Callable, undecided: list[str]) -> StepSubject:
    held = held_scalers(my_step)
    subject = StepSubject(my_step, held=tuple(s for s in held if s.is_enabled()), memory=Memory(my_step))

    def attempt(style: Style) -> Exception | None:
        return replace(subject, style=style).run([0.1 * DIRECTION]).error

    subject = replace(subject, style=find_style(my_step, attempt))
    if subject.style.scaler is None and any(not s.is_enabled() for s in held):
        undecided.append(
            "whether it unscales before it clips: the GradScaler that it holds is disabled, as one for the GPU is "
            'where there is none. Give it torch.amp.GradScaler("cpu") for the check'
        )
    return subject


def _find_step(subject: StepSubject, undecided: list[str]) -> StepSubject | None:
    """The subject with as many micro-batches as it takes for one step, or None where it cannot be judged."""
    for copies, over_calls in ((1, False), *[(n, False) for n in _COUNTS], *[(n, True) for n in _COUNTS]):
        more = replace(subject, copies=copies, over_calls=over_calls)
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


def _find_noise(subject: StepSubject) -> StepSubject | None:
    """The subject, noisy where its answers depend on the seed; None where taking noise off leaves a difference."""
    one, other = (subject.run([0.1 * DIRECTION], seed=seed) for seed in (0, 1))
    if close(one.applied, other.applied):
        return subject
    noisy = replace(subject, noisy=True)
    one, other = (noisy.run([0.1 * DIRECTION], seed=seed) for seed in (0, 1))
    return noisy if close(one.applied, other.applied) else None


@torch.enable_grad()
def check_scaling(my_step: Callable) -> Report:
    """Run one optimiser step on gradients chosen beforehand, and report in words what is wrong with its scaling.

    The model is linear, so that its gradients are known; the optimiser is plain gradient descent with learning rate 1,
    so that the update shows the gradient that was applied. Nothing but ``my_step`` is executed, on the CPU, and the
    global random states are left as they were.

    Args:
        my_step: ``my_step(model, optimizer, loss_fn, batches, max_norm)`` does one optimiser step: it accumulates the
            gradients of the micro-batches in the list ``batches``, scales them to a norm of at most ``max_norm`` and
            steps. A micro-batch is ``(x, y)``, and where that fails x alone, a longer or a nested tuple, or a
            dictionary with the keys that the step asks for; ``loss_fn`` takes ``(output, y)``, ``(output)`` or
            ``(model, batch)``. The model returns scores, and where that fails ``.loss`` and ``.logits``, or both as a
            pair.
            Arguments in another order, one batch in place of the list, inputs and labels, two networks with an
            optimiser each, options that hold the threshold (``args.clip``), an ``accelerator`` and what logs or
            schedules are known by their names; a method gets its object's networks, optimisers and loss replaced, on a
            copy. An argument whose name has ``scaler`` in it and that has no value is given a ``torch.amp.GradScaler``
            for the CPU; one that the step holds as a global, in a closure, as a default or as an attribute is given
            other loss scales for the time of the check. If it returns the gradient's norm or keeps it somewhere, alone
            or among other numbers, that is checked too. Where it makes an optimiser by itself, the gradients of that
            one's step are judged; where it moves the parameters without any, along the gradient, this is judged as
            plain gradient descent. Where it counts micro-batches over calls, or its threshold follows earlier norms, it
            is called as often as that takes; what it holds is put back afterwards: counters, lists, tensors,
            generators.

    Returns:
        The report; ``report.ok`` is False where there is a fault, where the step could not be judged, and where it does
        what is known not to be norm clipping at ``max_norm`` although no finding has a name for it.

    Raises:
        TypeError: ``my_step`` is not a function.
        ValueError: it raised on every kind of batch; the message says first what to type.

    Source: norm clipping as Pascanu, Mikolov and Bengio 2013, Algorithm 1.

    Example:
        >>> import torch, gpcore as gp
        >>> def my_step(model, optimizer, loss_fn, batches, max_norm):
        ...     optimizer.zero_grad()
        ...     for x, y in batches:
        ...         loss_fn(model(x), y).backward()
        ...         gp.clip_norm_(model.parameters(), max_norm)  # indented too far
        ...     optimizer.step()
        >>> gp.check_scaling(my_step).faults
        ('clip-per-micro-batch',)
    """
    if not callable(my_step):
        raise TypeError(f"my_step must be a function, got {type(my_step).__name__}")
    name = getattr(my_step, "__name__", type(my_step).__name__)
    undecided: list[str] = []
    subject = _find_step(_find_subject(my_step, undecided), undecided)
    if subject is None:
        return Report(name, "a step without the optimiser", (), tuple(undecided), recognised=False)
    subject = _find_noise(subject)
    if subject is None:
        undecided.append("what it scales: what it makes of one gradient differs from one random seed to the next")
        return Report(name, "a random step", (), tuple(undecided), recognised=False)
    said = len(undecided)
    operation = judge_operation(subject, undecided)
    law = operation.law
    if law is not None:
        if subject.moves_by_itself:  # what comes after clipping is its learning rate
            subject = replace(subject, rate=subject.rate * law.after)
            law = operation.law = law._replace(after=1.0)
        operation.findings += judge_accumulation(subject, operation, undecided)
        named = "clip-before-unscale" in [f.name for f in operation.findings]
        if (subject.style.scaler or subject.held) and not named:
            operation.findings += judge_scaler(subject, operation, undecided)
        operation.findings += judge_log(subject, law)
    if not operation.recognised and not subject.run([0.1 * DIRECTION]).asked:
        undecided[said:] = [  # of a gradient that was never the one meant
            "whether its gradient is the one that was meant: it never called loss_fn. Take the loss of "
            "loss_fn(model(x), y), for the gradient of a loss of its own is not known here"
        ]
    judge_calls(subject, operation, undecided)
    judge_weights(subject, undecided)
    findings = operation.findings + judge_non_finite(subject)
    family = operation.family + ", with noise" * subject.noisy
    given = (name, family, tuple(findings), tuple(undecided))
    return Report(*given, recognised=operation.recognised, sound=operation.sound, notes=tuple(_stood_in(subject)))


def _stood_in(subject: StepSubject) -> list[str]:
    """What it was given in place of objects that only its own program has."""
    notes, read = [], sorted(subject.run([DIRECTION]).read)
    if read:
        notes.append(f"of the options that it takes, {' and '.join(read)} was taken for max_norm")
    if subject.style.has("accelerator"):
        notes.append("its accelerator was a stand-in: one process, and no mixed precision")
    return notes
