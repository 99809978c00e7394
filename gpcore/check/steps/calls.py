"""What a call owes to the calls before it: gradients that stay, errors that come, thresholds that change."""

from __future__ import annotations

import math

from torch import Tensor

from .cuts import Operation
from .judges import raised
from .network import DIRECTION
from .run import Step, StepSubject
from .short import close

_EARLIER = 120  # calls before the one that is looked at; ZClip gathers 25 norms first, others 100
_LONG = 10.0
_ROW = 12
_LATE = "norm clipping that begins after a number of calls"


def judge_calls(subject: StepSubject, operation: Operation, undecided: list[str]) -> None:
    once, twice = (subject.run([0.1 * DIRECTION], times=n) for n in (1, 2))
    if twice.error is not None:
        said = raised(twice.error, "Call scaler.update() after every scaler.step()")
        undecided.append(f"what a second call does: {said}")
        operation.sound = False
        return
    if once.applied.norm() > 0 and close(twice.applied, 2 * once.applied):
        undecided.append("who clears the gradients: it does not, so that a second call adds to the first one's")
        return
    if operation.law is None and not operation.whole:  # weights that earlier calls moved may matter too
        return
    fresh, most = _after(subject, 0), max(_EARLIER // subject.copies, 10)
    # Many calls later: what is done at some calls only is seen in some of a row of them.
    row = subject.run([_LONG * DIRECTION], earlier=_short(most), times=_ROW).series
    first = next((i for i, applied in enumerate(row) if not close(applied, fresh.applied)), 0)
    for calls in (1, 2, 3, most + first) if first else (most, 1, 2, 3):
        late = _after(subject, calls)
        if late.error is None and not close(late.applied, fresh.applied):
            _judge_memory(subject, operation, fresh, late, calls, undecided)
            left = [most + 1 + i for i in range(first, len(row)) if close(row[i], fresh.applied)]
            if operation.family == _LATE and left:
                said = f"of the calls {most + 1} to {most + len(row)} those numbered {_listed(left)} left it whole"
                undecided.append(f"whether only some calls are meant to be scaled: {said}")
                operation.sound = False
            return


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:4])) + (" ..." if len(numbers) > 4 else "")


def _short(calls: int, times: float = 1.0) -> list[Tensor]:
    return [0.1 * times * (1 + 0.1 * math.sin(i)) * DIRECTION for i in range(calls)]


def _after(subject: StepSubject, calls: int, times: float = 1.0, length: float = _LONG) -> Step:
    """What becomes of a long gradient after calls with short ones, of norm about 0.1 or so many times that."""
    return subject.run([length * DIRECTION], earlier=_short(calls, times))


def _judge_memory(
    subject: StepSubject, operation: Operation, fresh: Step, late: Step, calls: int, undecided: list[str]
) -> None:
    count = "one call" if calls == 1 else f"{calls} calls"
    after = f"after {count} with gradients of norm about 0.1, one of norm 10"
    first, kept = float(fresh.applied.norm()), float(late.applied.norm())
    if kept == 0:
        undecided.append(f"whether steps are left out on purpose: it remembers earlier calls, and {after} led to none")
        family = "a step that is left out where the norm is far above earlier ones"
    elif not close(late.applied, kept * DIRECTION):
        undecided.append(f"what it keeps between calls: {after} was applied in another direction")
        return
    elif close(_after(subject, calls, 3.5).applied, late.applied):
        family = _judge_count(subject, operation, first, late, calls, undecided)
    else:
        undecided.append(
            f"whether its threshold suits: it has a memory of earlier calls; {after} was applied with norm {kept:.4g}, "
            f"and with norm {first:.4g} in a first call"
        )
        family = "norm clipping at a threshold that follows earlier norms, as in AutoClip and ZClip"
    if operation.whole and kept < 9:
        operation.family, operation.findings, operation.whole = family, [], False


def _judge_count(
    subject: StepSubject, operation: Operation, first: float, late: Step, calls: int, undecided: list[str]
) -> str:
    """What changes with the number of calls, whatever their gradients were; the family where it was none at first."""
    kept = float(late.applied.norm())
    said = (
        f"a gradient of norm 10 was applied with norm {first:.4g} in the first call and with norm {kept:.4g} in call "
        f"{calls + 1}"
    )
    if operation.whole:
        undecided.append(f"whether the first calls are meant to be left unscaled: {said}")
        return _LATE
    longer = 100 * _LONG
    if close(_after(subject, calls, length=longer).applied, longer / _LONG * late.applied):
        undecided.append(f"whether only some calls are meant to be scaled: {said}, where it was left whole")
        operation.sound = False
    else:
        undecided.append(f"whether its threshold is meant to change with the number of calls: {said}")
    return operation.family
