"""Judging a sum of laws, one for each place."""

from __future__ import annotations

from dataclasses import replace

from ..mends import finding
from ..mixtures import PLACES, Mixture, refit_mixture
from ..observe import OTHER_SIZE, Observed, observe
from ..probes import Subject
from ..report import Finding
from .law import judge_norm


def judge_mixture(seen: Observed, subject: Subject, undecided: list[str], notes: list[str]) -> list[Finding]:
    """What is wrong with the norm and the reduction of penalties that weigh their places differently."""
    mixture = seen.mixture
    shape = f"(N, {', '.join(map(str, subject.shape))})"
    found = judge_norm(mixture.norm, mixture.target, shape, undecided, notes)
    if mixture.through:
        name = mixture.through if mixture.through != "?" else "a function"
        said = f"the values are those of a critic whose score passes through {name} before it is differentiated"
        found.append(finding("penalty-on-probability", said))
    size = subject.size
    growth = _growth(seen, subject, mixture, n=2 * size)
    divided = 1.0
    if growth is None:
        undecided.append("whether it sums over the batch: its values on a larger one follow another formula")
    elif abs(growth - 2) < 0.02:
        found.append(finding("sum-over-batch", "twice the batch gives twice the penalty: it sums over the samples"))
        divided = size
    elif abs(growth - 0.25) < 0.01 and mixture.target == 0:
        said = f"twice the batch gives {growth:.3g} times the penalty: the gradient is that of the mean score"
        found.append(finding("norm-over-batch", f"{said}, 1/N of each"))
    if mixture.target == 0 and mixture.norm.kind == "sample":
        longer = [s * 2 if i == len(subject.shape) - 1 else s for i, s in enumerate(subject.shape)]
        growth = _growth(seen, replace(subject, shape=tuple(longer)), mixture)
        if growth is not None and abs(growth - 0.5) < 0.01:
            said = "samples of twice as many elements get half the penalty: squares are averaged, not summed"
            found.append(finding("norm-per-element", said))
    each = ", ".join(f"{law.weight / divided:.4g} at {PLACES[p]}" for p, law in mixture.laws.items())
    notes.append(f"it adds penalties, each with its own weight: {each}")
    return found


def _growth(seen: Observed, subject: Subject, mixture: Mixture, n: int | None = None) -> float | None:
    """By how much all weights grow on other batches; None where they do not grow alike."""
    try:
        weights = refit_mixture(observe(subject, (*OTHER_SIZE, (3.0, -1.0), (20.0, 25.0)), seen.relation, n), mixture)
    except Exception:
        return None
    if weights is None:
        return None
    ratios = [weights[place] / law.weight for place, law in mixture.laws.items()]
    return ratios[0] if max(ratios) - min(ratios) < 0.01 * abs(ratios[0]) else None
