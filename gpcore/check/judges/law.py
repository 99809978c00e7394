"""Judging a penalty's norm, law, target and reduction by its values."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..laws import Law, Observation, fit, is_constant, refit
from ..mends import finding
from ..points import Points
from ..probes import Subject
from ..report import Finding

# (slope, curve) of the critics. The last two are linear and steep: there the one-sided law is a parabola.
_PROBES = ((0.2, 0.0), (0.5, 0.0), (0.9, 0.0), (1.5, 0.0), (0.0, 1.0), (0.4, 0.5), (1.0, 2.0), (3.0, -1.0))
_PROBES += ((6.0, 0.0), (12.0, 0.0), (20.0, 0.0), (35.0, 0.0), (60.0, 0.0))
_OTHER_SIZE = ((0.5, 0.0), (0.4, 0.5), (1.0, 2.0), (12.0, 0.0), (20.0, 0.0), (35.0, 0.0), (60.0, 0.0))

_CHANNELS = {"dim 1", "the last dimension", "dims 2 and 3", "dims 1 and 2", "dim 2"}
_BATCH = {"whole batch": "one norm is taken over the whole batch", "dim 0": "norms are taken along the batch"}
_BATCH |= {"mean norm": "the norms are averaged over the batch before the target is subtracted"}
_BATCH |= {"mean gradient": "the gradients are averaged over the batch before the norm is taken"}
_ELEMENTS = {"every element": "the law is applied to each element's absolute value"}
_ELEMENTS |= {"every element with its sign": "the law is applied to each element of the gradient"}
_ELEMENTS |= {"root mean square": "the squares are averaged over a sample's elements, not summed"}
UNUSUAL = {
    "squared norm": "whether it means to square twice: the law is put on the squared norm, (norm^2 - 1)^2, which has "
    "its minimum at norm 1 too but another pull; is a square root missing?",
    "L1": "whether it means its norm: is the sum of absolute values (L1), not the Euclidean one",
    "Linf": "whether it means its norm: is the largest absolute value (L-infinity), not the Euclidean one",
}


def observe(subject: Subject, probes: tuple, n: int | None = None) -> list[Observation]:
    made = []
    for slope, curve in probes:
        call = subject.call(slope=slope, curve=curve, **({"n": n} if n else {}))
        if call.points is None:
            return []
        with torch.no_grad():
            score = call.critic.score(call.points).double()
            made.append(Observation(call.critic.gradient(call.points), score, call.value))
    return made


def judge_law(law: Law, subject: Subject, undecided: list[str]) -> tuple[list[Finding], float]:
    """What is wrong with the norm, the law, the target and the reduction; and the weight of the mean over samples."""
    found, weight, size = [], law.weight, law.target
    shape = f"(N, {', '.join(map(str, subject.shape))})"
    other, double = None, 2 * subject.size
    try:
        other = refit(observe(subject, _OTHER_SIZE, double), law)
    except Exception as error:
        undecided.append(f"whether it sums over the batch: with {double} samples it raised {error}")
    grows_target = other is not None and law.target > 0.01 and abs(other[0] / law.target - 2) < 0.02
    if other is not None:
        growth = other[1] / law.weight * (4 if grows_target else 1)
        if abs(growth - 2) < 0.02:
            found.append(finding("sum-over-batch", "twice the batch gives twice the penalty: it sums over the samples"))
            weight = law.weight / subject.size
        elif law.target == 0 and abs(growth - 0.25) < 0.01:
            said = "twice the batch gives a quarter of the penalty: the gradient is that of the mean score, 1/N of each"
            found.append(finding("norm-over-batch", said))
    if law.through:
        said = f"the values are those of a critic whose score passes through {law.through} before it is differentiated"
        found.append(finding("penalty-on-probability", said))
    if law.norm in _CHANNELS:
        said = f"for samples of shape {shape} the norm runs over {law.norm} alone, which leaves many norms a sample"
        found.append(finding("norm-over-channels", said))
    elif law.norm in _BATCH:
        found.append(finding("norm-over-batch", _BATCH[law.norm]))
    elif law.norm in _ELEMENTS:
        found.append(finding("norm-per-element", f"{_ELEMENTS[law.norm]} (samples of shape {shape})"))
    elif law.norm in UNUSUAL:
        undecided.append(UNUSUAL[law.norm])
    elements = torch.Size(subject.shape).numel()
    if law.kind in ("absolute", "difference", "hinge"):
        said = {"absolute": "|norm - t|", "difference": "norm - t", "hinge": "max(0, norm - t)"}[law.kind]
        found.append(finding("not-squared", f"the value grows as {said} with t = {size:.3g}, a straight line"))
    if grows_target:
        said = f"the norm is pulled towards {size:.3g} for {subject.size} samples and {other[0]:.3g} for {double}"
        said += ": towards N"
        found.append(finding("wrong-target", said))
    elif (law.norm, law.kind) == ("sample", "two-sided") and abs(size / elements**0.5 - 1) < 0.01:
        why = _ELEMENTS["root mean square"]
        said = f"the norm is pulled towards {size:.3g}, the root of the {elements} elements: {why}"
        found.append(finding("norm-per-element", said))
        weight *= elements
    elif size not in (0.0, 1.0):
        found.append(finding("wrong-target", f"the norm is pulled towards {size:.3g}"))
    if law.target == 0 and law.norm == "sample" and law.kind == "two-sided":
        longer = replace(subject, shape=(*subject.shape[:-1], 2 * subject.shape[-1]))
        try:
            ratio = refit(observe(longer, _OTHER_SIZE), law)[1] / law.weight
        except Exception:
            undecided.append("whether squares are averaged over a sample's elements: it takes one size of sample alone")
        else:
            if abs(ratio - 0.5) < 0.01:
                said = "samples of twice as many elements get half the penalty: squares are averaged, not summed"
                found.append(finding("norm-per-element", said))
    return found, weight


def find_law(subject: Subject, undecided: list[str]) -> tuple[Law | None, list[Observation]]:
    """The law that explains the penalty's values, or None; and these values. A critic that it refuses is left out."""
    observed, refused = [], {}
    for slope, curve in _PROBES:
        try:
            observed += observe(subject, ((slope, curve),))
        except Exception as error:
            refused[slope] = f"{type(error).__name__}: {error}"
    if refused:
        slopes = ", ".join(f"{slope:g}" for slope in refused)
        undecided.append(f"what it does with critics of slope {slopes}: it raised {next(iter(refused.values()))}")
    return fit(observed) if observed else None, observed


def judge_lawless(observed: list[Observation], points: Points, undecided: list[str]) -> list[Finding]:
    """Where no law fits: is it the same for every critic, or was the gradient taken with respect to the samples?"""
    if observed and is_constant(observed):
        undecided.append("why it is constant: are the scores normalised over the batch, or the gradients to length 1?")
        said = f"the penalty is {observed[0].value:.4g} for every critic, flat or steep: it would train nothing"
        return [finding("no-second-order-graph", said)]
    for name, factor in (("real", points.eps), ("fake", None if points.eps is None else 1 - points.eps)):
        if factor is None or not observed or len(factor) != len(observed[0].gradients):
            continue
        shaped = factor.reshape(-1, *[1] * (observed[0].gradients.ndim - 1))
        law = fit([replace(o, gradients=o.gradients * shaped) for o in observed], among=("sample",), throughs=("",))
        if law is not None:
            said = f"it is differentiated with respect to the {name} samples, not to the points between: "
            said += f"each norm is multiplied by {'eps' if name == 'real' else '1 - eps'}"
            return [finding("wrong-points", said)]
    return []
