"""Steps that no known cut explains: nothing is scaled, nothing is left, short gradients do not stay as they are."""

from __future__ import annotations

import torch
from torch import Tensor

from ..mends import finding
from ..report import Finding
from .cuts import Law, Operation, to_norm
from .network import DIRECTION, SIZES
from .run import Step, StepSubject
from .short import close

LONG = (10.0, 1e3, 1e5)


def _pairs(step: Step) -> list[tuple[Tensor, Tensor]]:
    """Each step's gradients when it was taken, and the same when the function had returned."""
    return [*zip(step.seen, step.after, strict=False), *[(seen, step.after[-1]) for seen in step.seen[-1:]]]


def judge_unscaled(subject: StepSubject, lengths: list[float]) -> Operation:
    for length in lengths:
        step = subject.run([length * DIRECTION])
        if any((now - seen).norm() > 0.01 * seen.norm() > 0 and now.norm() > 0 for seen, now in _pairs(step)):
            said = (
                f"a gradient of norm {length:g} was applied whole and cut to {step.after[0].norm():.3g} after its use"
            )
            return Operation("norm clipping", findings=[finding("clip-after-step", said)])
    step = subject.run([10 * DIRECTION])
    said = f"with max_norm = 1 a gradient of norm 10 was applied with norm {step.applied.norm():.4g}"
    return Operation("no scaling", findings=[finding("never-scales", said)], whole=True)


def judge_none(subject: StepSubject, undecided: list[str]) -> Operation:
    """What leaves out all long gradients, or has none at all when it steps."""
    short, step = (subject.run([length * DIRECTION]) for length in (0.1, 10.0))
    if step.seen and short.applied.norm() == 0 and step.applied.norm() == 0:
        undecided.append(
            "what it scales: every gradient was zero when the optimiser stepped. Look for a zero_grad() between "
            "backward() and step(), or for a loss that does not depend on the model's weights"
        )
        return Operation("a step without a gradient", recognised=False)
    why = f"; it raised {type(step.error).__name__}: {step.error}" if step.error else ""
    undecided.append(f"what it does with long gradients: it took no step with one of norm 10{why}")
    return Operation("a step that is left out where the gradient is long", recognised=False)


def judge_skipping(subject: StepSubject, undecided: list[str]) -> None:
    for length in LONG[1:]:
        step = subject.run([length * DIRECTION])
        if step.error is None and step.moved.norm() == 0:
            undecided.append(f"whether it is meant to leave steps out: it took none with a gradient of norm {length:g}")
            return


def judge_bent(subject: StepSubject, length: float, applied: Tensor, undecided: list[str]) -> Operation:
    """What does not treat short gradients linearly: normalisation, of all or of each parameter, or what is unknown."""
    short = subject.run([0.1 * DIRECTION]).applied
    pieces = list(zip(short.split(SIZES), DIRECTION.split(SIZES), strict=True))
    if close(short, applied) and all(torch.cosine_similarity(a, g, 0) > 0.9999 for a, g in pieces):
        said = f"with max_norm = 1 a gradient of norm 0.1 was applied with norm {short.norm():.4g}"
        if close(applied, float(applied.norm()) * DIRECTION):
            law = Law(to_norm, float(applied.norm()))
            return Operation("normalisation", law, [finding("scales-up", said)])
        return Operation("normalisation of each parameter by itself", findings=[finding("scales-up", said)])
    findings = enlarged(subject, 0.1, 0.1 * DIRECTION)
    if all(close(subject.run([n * DIRECTION]).applied, n * DIRECTION) for n in LONG):
        findings += judge_unscaled(subject, list(LONG)).findings
    if not findings:
        undecided.append(
            f"how it scales: max_norm = 1 made of a gradient of norm {length:g} one of norm {applied.norm():.4g}"
        )
    return Operation("another scaling", findings=findings, recognised=bool(findings))


def enlarged(subject: StepSubject, length: float, whole: Tensor) -> list[Finding]:
    """The fault that a gradient of this length becomes longer than it is whole, in its own direction."""
    applied = subject.run([length * DIRECTION]).applied
    if torch.cosine_similarity(applied, whole, 0) < 0.9999 or applied.norm() < 1.01 * whole.norm():
        return []
    said = f"with max_norm = 1 a gradient of norm {length:g} was applied with norm {applied.norm():.4g}"
    return [finding("scales-up", said)]
