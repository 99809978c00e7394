"""Probing a penalty with critics of known gradients; what lies between a score and the gradient that was taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .laws import THROUGH, Law, Observation, fit, is_constant
from .layout import Layout
from .mixtures import Mixture, fit_mixture
from .points import places_of
from .probes import Call, Subject

if TYPE_CHECKING:
    from .functions import AnyLaw

# (slope, curve) of the critics: flat, curved and steep. The last two are linear and steep, for there the one-sided law
# is a parabola in the slope.
PROBES = ((0.2, 0.0), (0.5, 0.0), (0.9, 0.0), (1.5, 0.0), (0.0, 1.0), (0.4, 0.5), (1.0, 2.0), (3.0, -1.0))
PROBES += ((6.0, 0.0), (12.0, 0.0), (9.0, 8.0), (20.0, 25.0), (20.0, 0.0), (35.0, 0.0), (60.0, 0.0))
OTHER_SIZE = ((0.5, 0.0), (0.4, 0.5), (1.0, 2.0), (12.0, 0.0), (9.0, 8.0), (20.0, 0.0), (35.0, 0.0), (60.0, 0.0))


@dataclass(frozen=True)
class Relation:
    """What the score went through before it was differentiated.

    ``through`` is the name of a function, "" for none and "?" for one that is not known; ``factor`` a number that the
    score was multiplied by besides, as 1/N by a mean.
    """

    through: str = ""
    factor: float = 1.0


@dataclass
class Observed:
    """All probes of one subject."""

    observations: list[Observation]
    relation: Relation
    law: Law | None
    refused: dict[float, str]  # slope -> what it raised
    infinite: list[float]  # slopes of the critics whose value was not finite
    values: list[float]
    mixture: Mixture | None = None  # where no one law explains the values
    function: AnyLaw | None = None  # where no mixture does either

    @property
    def known(self) -> Law | Mixture | AnyLaw | None:
        return self.law or self.mixture or self.function


def _ratio(layout: Layout) -> tuple[Tensor, Tensor] | None:
    """For each sample the gradient taken over that of its score, and the score; None where they are not parallel."""
    with torch.no_grad():
        taken, true = (g.reshape(len(g), -1) for g in (layout.gradients, layout.true))
        size = true.square().sum(1)
        ratio = (taken * true).sum(1) / size
        if not ((taken - ratio[:, None] * true).norm(dim=1) <= 0.02 * taken.norm(dim=1) + 1e-12)[size > 0].all():
            return None
    return ratio, layout.scores


def _steady(ratios: Tensor) -> bool:
    kept = ratios[ratios.isfinite()]
    return len(kept) > 0 and bool(((kept - kept.median()).abs() <= 0.02 * kept.median().abs()).all())


def relate(layouts: list[Layout]) -> Relation:
    """How the gradients that were taken follow from those of the scores, over all probes."""
    if not all(layout.recorded for layout in layouts):
        return Relation()
    pairs = [_ratio(layout) for layout in layouts]
    if any(pair is None for pair in pairs):
        return Relation("?")
    ratios = torch.cat([ratio for ratio, _ in pairs])
    if _steady(ratios):
        factor = float(ratios[ratios.isfinite()].median())
        return Relation("", 1.0 if abs(factor - 1) < 0.02 else factor)
    if any(len(ratio) != len(scores) for ratio, scores in pairs):
        return Relation("?")
    for name, derivative in THROUGH.items():
        bare = torch.cat([derivative(scores) for _, scores in pairs])
        kept = bare.abs() > 1e-6
        off = ratios[~kept].abs().max() < 1e-5 if (~kept).any() else True
        if name and kept.any() and off and _steady(ratios[kept] / bare[kept]):
            return Relation(name, float((ratios[kept] / bare[kept]).median()))
    return Relation("?")


def observation(call: Call, relation: Relation) -> Observation:
    """The call's gradients in units of the score that was differentiated, however many samples its mean is over."""
    layout, factor = call.layout, 1.0
    if relation.through != "?" and layout.recorded:
        ratio, scores = _ratio(layout) or (torch.ones(1), torch.ones(1))
        bare = THROUGH[relation.through](scores) if relation.through else torch.ones_like(ratio)
        kept = ratio.isfinite() & (bare.abs() > 0.5 * bare.abs().max())  # a saturated function leaves no digits
        factor = float((ratio[kept] / bare[kept]).median()) if kept.any() else 1.0
        factor = 1.0 if abs(factor - 1) < 0.02 or factor == 0 else factor
    elif relation.through and not layout.recorded:
        shaped = THROUGH[relation.through](layout.scores).reshape(-1, *[1] * (layout.gradients.ndim - 1))
        return Observation(layout.gradients * shaped, call.value)
    parts = tuple(part / factor for part in layout.parts)
    return Observation(layout.gradients / factor, call.value, parts, layout.leading, places_of(call))


def observe(subject: Subject, probes: tuple, relation: Relation, n: int | None = None) -> list[Observation]:
    """Observations of other probes, or on another number of samples."""
    calls = [subject.call(slope=slope, curve=curve, n=n) for slope, curve in probes]
    return [observation(call, relation) for call in calls if call.layout is not None]


def probe(subject: Subject) -> Observed:
    """Call the function with every critic and find the law; what a critic makes it refuse or overflow is left out."""
    calls, refused, infinite, values = [], {}, [], []
    for slope, curve in PROBES:
        try:
            call = subject.call(slope=slope, curve=curve)
        except Exception as error:
            refused[slope] = f"{type(error).__name__}: {error}"
            continue
        values.append(call.value)
        if not torch.tensor(call.value).isfinite():
            infinite.append(slope)
        elif call.layout is not None:
            calls.append(call)
    relation, law, observations = Relation(), None, []
    if calls:
        relation = relate([call.layout for call in calls])
        observations = [observation(call, relation) for call in calls]
        law = fit(observations)
        if law is None and not calls[0].layout.recorded and not is_constant(observations):
            for name in THROUGH:
                tried = [observation(call, Relation(name)) for call in calls]
                law = fit(tried, only="sample")
                if law is not None:
                    relation, observations = Relation(name), tried
                    break
    mixture = fit_mixture(observations, relation.through) if law is None else None
    law = law and replace(law, through=relation.through)
    return Observed(observations, relation, law, refused, infinite, values, mixture)


def repacked(subject: Subject, seen: Observed) -> tuple[Subject, Observed]:
    """Where no law fits: the samples taken several at a time, as a critic of packs takes them, if a law fits then."""
    for k in range(2, subject.size // 2 + 1):
        if subject.size % k or subject.packed:
            continue
        packs = replace(subject, shape=(k, *subject.shape), size=subject.size // k, packed=True)
        try:
            again = probe(packs)
        except Exception:
            continue
        if again.law is not None and again.law.norm.kind == "sample":
            return packs, again
    return subject, seen
