"""Judging a law that is known by its values alone."""

from __future__ import annotations

from ..functions import AnyLaw
from ..mends import finding
from ..probes import Subject
from ..report import Finding

_SLOPES = (0.5, 3.0, 20.0)


def judge_function(law: AnyLaw, subject: Subject, undecided: list[str], notes: list[str]) -> list[Finding]:
    """What is wrong with the reduction of a law that is a function of each sample's norm."""
    if not law.pulls:
        undecided.append(
            f"whether it is a penalty: it is {law}. It is smallest near the norm {law.target:g}; a penalty is never "
            "negative, smallest at 0 or 1, and rises above. Is a square or a sign missing?"
        )
    elif law.name:
        name = law.name.replace("norm - t", f"norm - {law.target:g}")
        notes.append(
            f"the norm is pulled towards {law.target:g} by another formula, {name}: far from there it pulls less than "
            "a square does"
        )
    else:
        notes.append(
            f"it is {law}. No formula of this kind is known here: it is smallest at the norm {law.target:g} and rises "
            "above, and more was not judged. Compare it with the formula that it is from"
        )
    return _judge_sum(subject, undecided)


def _judge_sum(subject: Subject, undecided: list[str]) -> list[Finding]:
    if subject.only:
        return []
    try:
        values = [[subject.call(slope=s, n=n).value for n in (subject.size, 2 * subject.size)] for s in _SLOPES]
    except Exception as error:
        undecided.append(f"whether it sums over the batch: with {2 * subject.size} samples it raised {error}")
        return []
    ratios = [double / one for one, double in values if one]
    if ratios and all(abs(ratio - 2) < 0.02 for ratio in ratios):
        return [finding("sum-over-batch", "twice the batch gives twice the penalty: it sums over the samples")]
    return []
