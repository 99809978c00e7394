"""Judging a penalty's norm, law, target and reduction by its values."""

from __future__ import annotations

import math
from dataclasses import replace

from ..laws import Law, Norm, Observation, is_constant, refit
from ..mends import finding
from ..observe import OTHER_SIZE, Observed, observe
from ..probes import Subject
from ..report import Finding

_BATCH = {"whole batch": "one norm is taken over the whole batch"}
_BATCH |= {"mean norm": "the norms are averaged over the batch before the target is subtracted"}
_BATCH |= {"mean gradient": "the gradients are averaged over the batch before the norm is taken"}
_ELEMENTS = {"every element": "the formula is applied to each element's absolute value"}
_ELEMENTS |= {"every element with its sign": "the formula is applied to each element of the gradient"}
_ELEMENTS |= {"root mean square": "the squares are averaged over a sample's elements, not summed"}
_KINDS = {"absolute": "|norm - t|", "difference": "norm - t", "hinge": "max(0, norm - t)"}
SQUARED = (
    "whether it means to square twice: the formula is applied to the squared norm, (norm^2 - 1)^2, which has its "
    "minimum at norm 1 too but another pull; is a square root missing?"
)


def judge_law(
    seen: Observed,
    subject: Subject,
    named: dict[str, float],
    literals: frozenset[float],
    undecided: list[str],
    notes: list[str],
) -> tuple[list[Finding], float]:
    """What is wrong with the norm, the law, the target and the reduction; and the weight of the mean over samples.

    ``named`` holds the numbers that the function was given by name, ``literals`` those in its formula: a target among
    the former is meant, and one among the latter where the value is divided by its square.
    """
    law = seen.law
    found, weight, size = [], law.weight, law.target
    shape = f"(N, {', '.join(map(str, subject.shape))})"
    other, double = None, 2 * subject.size
    if subject.size > 1 or not subject.only:
        try:
            other = refit(observe(subject, OTHER_SIZE, seen.relation, double), law)
        except Exception as error:
            undecided.append(f"whether it sums over the batch: with {double} samples it raised {error}")
    else:
        notes.append("it was judged on one sample, so that nothing is said of sums, norms and eps over a batch")
    grows_target = other is not None and law.target > 0.01 and abs(other[0] / law.target - 2) < 0.02
    if other is not None:
        growth = other[1] / law.weight * (4 if grows_target else 1)
        if abs(growth - 2) < 0.02:
            found.append(finding("sum-over-batch", "twice the batch gives twice the penalty: it sums over the samples"))
            weight = law.weight / subject.size
        elif law.target == 0 and law.norm.kind != "batch" and _mean_score(growth, law):
            said = f"twice the batch gives {growth:.3g} times the penalty: the gradient is that of the mean score"
            found.append(finding("norm-over-batch", f"{said}, 1/N of each"))
    if law.through:
        name = law.through if law.through != "?" else "a function"
        said = f"the values are those of a critic whose score passes through {name} before it is differentiated"
        found.append(finding("penalty-on-probability", said))
    found += judge_norm(law.norm, size, shape, undecided, notes, law.kind)
    if law.kind in ("absolute", "difference"):
        said = f"the value grows as {_KINDS[law.kind]} with t = {size:.3g}, a straight line"
        found.append(finding("not-squared", said))
    elif law.kind == "hinge":
        notes.append(
            f"the value grows as {_KINDS['hinge']} with t = {size:.3g}, not squared: a published formula in its own "
            "right"
        )
    elif law.kind == "power":
        notes.append(
            f"the norm is raised to the power {law.power:.3g}, as WGAN-div does with 6: a formula in its own right"
        )
    target, more = _judge_target(law, size, other if grows_target else None, subject, named, literals, notes)
    found += target
    weight *= more
    if law.target == 0 and law.norm.kind == "sample" and law.kind == "two-sided":
        found += _judge_squares(seen, subject, undecided)
    return found, weight


def _mean_score(growth: float, law: Law) -> bool:
    power = {"two-sided": 2.0, "power": law.power}.get(law.kind, 1.0)
    return abs(growth - 0.5**power) < 0.04 * 0.5**power


def judge_norm(
    norm: Norm, size: float, shape: str, undecided: list[str], notes: list[str], law: str = "two-sided"
) -> list[Finding]:
    """What is wrong with the norm of a law with this target, for samples of this shape."""
    name, kind = norm.name, norm.kind
    if kind == "channels":
        said = f"for samples of shape {shape} the norm runs over {name} alone, which leaves many norms per sample"
        return [finding("norm-over-channels", said)]
    if kind == "batch":
        return [finding("norm-over-batch", _BATCH.get(name, f"norms are taken over {name}: along the batch"))]
    if kind == "element":
        return [finding("norm-per-element", f"{_ELEMENTS[name]} (samples of shape {shape})")]
    if kind == "first":
        return [finding("norm-over-batch", "the first sample's norm alone counts: is a [0] too many?")]
    if kind == "each input":
        said = f"each of the {norm.count} inputs has its own norm and its own penalty, and these are added"
        if law == "two-sided" and size:
            said += f": together a norm of {size * norm.count**0.5:.3g}, which is another kind of bound"
        notes.append(said)
    if kind == "some inputs":
        notes.append(f"it differentiates by several inputs, and only the norm of {name} counts")
    if name == "squared norm" and not (law == "power" or size == 0):
        undecided.append(SQUARED)
    elif name == "largest":
        notes.append("only the largest norm of the batch counts (MaxGP, Zhou et al. 2019): a formula in its own right")
    elif name in ("L1", "Linf"):
        what = {"L1": "the sum of absolute values (L1)", "Linf": "the largest absolute value (L-infinity)"}[name]
        notes.append(f"its norm is {what}, not the Euclidean one: it bounds the slope by another measure of distance")
    return []


def _judge_target(
    law: Law,
    size: float,
    larger: tuple | None,
    subject: Subject,
    named: dict[str, float],
    literals: frozenset[float],
    notes: list[str],
) -> tuple[list[Finding], float]:
    """What is wrong with the target; and by what the weight is to be multiplied where squares were averaged."""
    elements = math.prod(subject.shape)
    if larger is not None:
        said = f"the norm is pulled towards {size:.3g} for {subject.size} samples and {larger[0]:.3g} for "
        return [finding("wrong-target", f"{said}{2 * subject.size}: towards N")], 1.0
    if size < 0:
        said = f"the norm is pulled towards {size:.4g}, which no norm reaches: a sign is wrong in (norm - {-size:.4g})"
        return [finding("wrong-target", said)], 1.0
    by_name = next((name for name, value in named.items() if size and abs(value / size - 1) < 1e-3), None)
    if (law.norm.kind, law.kind) == ("sample", "two-sided") and abs(size / elements**0.5 - 1) < 0.01:
        said = f"the norm is pulled towards {size:.3g}, the root of the {elements} elements"
        return [finding("norm-per-element", f"{said}: {_ELEMENTS['root mean square']}")], float(elements)
    if size in (0.0, 1.0):
        return [], 1.0
    if by_name is not None:
        notes.append(f"the norm is pulled towards {size:.4g}, which is what it was told ({by_name})")
        return [], 1.0
    scaled = any(abs(law.weight * size**2 / usual - 1) < 1e-3 for usual in (0.5, 1.0, 5.0, 10.0))
    if scaled and any(abs(number / size - 1) < 1e-3 for number in literals):
        said = f"the norm is pulled towards {size:.4g}, which stands in the formula, and the value is divided by its "
        notes.append(f"{said}square, as progressive growing does: a target that is meant")
        return [], 1.0
    return [finding("wrong-target", f"the norm is pulled towards {size:.3g}")], 1.0


def _judge_squares(seen: Observed, subject: Subject, undecided: list[str]) -> list[Finding]:
    """Are squares summed or averaged over a sample's elements? Longer samples tell, one dimension after the other."""
    averaged, summed = [], []
    for d in range(int(subject.packed), len(subject.shape)):
        shape = tuple(2 * s if i == d else s for i, s in enumerate(subject.shape))
        try:
            ratio = refit(observe(replace(subject, shape=shape), OTHER_SIZE, seen.relation), seen.law)[1]
        except Exception:
            continue
        ratio /= seen.law.weight
        if abs(ratio - 0.5) < 0.01:
            averaged.append(d + 1)
        elif abs(ratio - 1) < 0.01:
            summed.append(d + 1)
    if not averaged and not summed:
        undecided.append("whether squares are averaged over a sample's elements: it takes one size of sample alone")
    if not averaged:
        return []
    said = "samples of twice as many elements get half the penalty: squares are averaged, not summed"
    if not summed:
        return [finding("norm-per-element", said)]
    along, over = (f"dim{'s' * (len(d) > 1)} {' and '.join(map(str, d))}" for d in (averaged, summed))
    return [
        finding("norm-over-channels", f"squares are summed over {over} alone, which leaves many norms per sample"),
        finding("norm-per-element", f"over {along} {said.partition(': ')[2]}"),
    ]


def judge_lawless(seen: Observed, undecided: list[str]) -> list[Finding]:
    """Where no law fits: is it the same for every critic?"""
    observed: list[Observation] = seen.observations
    if observed and not seen.infinite and is_constant(observed):
        undecided.append("why it is constant: are the scores normalised over the batch, or the gradients to length 1?")
        said = f"the penalty is {observed[0].value:.4g} for every critic, flat or steep: it would train nothing"
        return [finding("no-second-order-graph", said)]
    return []
