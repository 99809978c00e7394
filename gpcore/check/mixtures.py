"""Penalties that weigh their places differently: R1 and R2 with two weights, a gradient penalty with R1 beside it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from .laws import LAWS, TOLERANCES, Law, Norm, Observation, is_constant, norms_of

# What the rows of ``Observation.places`` stand for.
PLACES = ("the real samples", "the fake samples", "the points between")
_KINDS = (("two-sided", 0.0), ("two-sided", 1.0), ("one-sided", 1.0))


@dataclass(frozen=True)
class Mixture:
    """A sum of laws, one for each place, all of the same norm."""

    norm: Norm
    laws: dict[int, Law]  # place -> law
    exact: bool
    through: str = ""

    @property
    def target(self) -> float:
        return max(law.target for law in self.laws.values())

    def value(self, observation: Observation) -> Tensor:
        """The penalty that the laws give, differentiable where the gradients are."""
        return sum(law.value(_at(observation, place)) for place, law in self.laws.items())

    def __str__(self) -> str:
        kinds = {0: "R1", 1: "R2", 2: "zero-centred between them"}
        said = []
        for place, law in sorted(self.laws.items(), reverse=True):
            name = kinds[place] if law.target == 0 else f"{law.kind} at {PLACES[place]}"
            said.append(name.replace("the points between", "interpolates"))
        return f"{' + '.join(sorted(said) if self.target == 0 else said)}, each with its own weight"


def _at(o: Observation, place: int) -> Observation:
    return Observation(o.gradients[o.places == place], o.value)


def _features(observations: list[Observation], norm: Norm, kinds: dict[int, tuple[str, float]]) -> Tensor | None:
    """For each observation the mean of each place's law, without its weight."""
    rows = []
    with torch.no_grad():
        for o in observations:
            if any(not (o.places == place).any() for place in kinds):
                return None
            rows.append([float(LAWS[kind](norm.of(_at(o, p)), t).mean()) for p, (kind, t) in kinds.items()])
    return torch.tensor(rows, dtype=torch.float64)


def _weights(features: Tensor, values: Tensor, tolerance: tuple[float, float]) -> Tensor | None:
    """The weights with which the laws add up to every value, or None."""
    scale = features.sum(1) + 1e-12 * features.max()
    scaled = features / scale[:, None]
    weights = torch.linalg.lstsq(scaled, (values / scale)[:, None], driver="gelsd").solution[:, 0]
    size = weights.abs()
    # A place without a weight takes no part; with the norms of all places alike their weights cannot be told apart.
    if size.min() < 1e-3 * size.max() or torch.linalg.svdvals(scaled)[-1] < 1e-3:
        return None
    off = (values - features @ weights).abs()
    return weights if (off <= 10 * tolerance[0] * (features @ size) + 1e-12 * values.abs().max()).all() else None


def fit_mixture(observations: list[Observation], through: str) -> Mixture | None:
    """The sum of laws, one a place, that explains all values; None where none does."""
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    if len(observations) < 8 or any(o.places is None or o.parts for o in observations) or is_constant(observations):
        return None
    places = observations[0].places.unique().tolist()
    if len(places) < 2 or not values.isfinite().all():
        return None
    norms = [n for n in norms_of(observations[0]) if n.kind in ("sample", "channels", "element")]
    made = []
    for norm, kinds in product(norms, product(_KINDS, repeat=len(places))):
        chosen = dict(zip(places, kinds, strict=True))
        features = _features(observations, norm, chosen)
        if features is not None:
            made.append((norm, chosen, features))
    for tolerance in TOLERANCES:
        for norm, chosen, features in made:
            weights = _weights(features, values, tolerance)
            if weights is not None:
                pairs = zip(chosen.items(), weights.tolist(), strict=True)
                laws = {p: Law(norm, kind, t, w, tolerance[0] < 1e-3) for (p, (kind, t)), w in pairs}
                return Mixture(norm, laws, tolerance[0] < 1e-3, through)
    return None


def refit_mixture(observations: list[Observation], mixture: Mixture) -> dict[int, float] | None:
    """The weights of the same laws on a batch of another size, or None where they no longer hold."""
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    kinds = {place: (law.kind, law.target) for place, law in mixture.laws.items()}
    features = _features(observations, mixture.norm, kinds)
    if features is None or not values.isfinite().all():
        return None
    weights = _weights(features, values, TOLERANCES[1] if mixture.exact else TOLERANCES[2])
    return None if weights is None else dict(zip(kinds, weights.tolist(), strict=True))
