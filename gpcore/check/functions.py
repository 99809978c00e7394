"""Penalties that are the mean over samples of one function of each sample's norm, whatever that function is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .laws import Norm
from .observe import Observed
from .probes import Call, Subject

# Slopes of linear critics: there all norms are alike, and the value is the function of the slope.
_SLOPES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 6.0, 12.0, 20.0, 35.0, 60.0)
_CURVED = ((0.4, 0.5), (1.0, 2.0), (3.0, -1.0))
_MOST = 24  # rows; each is one more call
_CLOSE = 2e-4
_STEP = 1e-3


def _huber(delta: float) -> Callable[[float], float]:
    return lambda d: 0.5 * d * d if d < delta else delta * (d - 0.5 * delta)


# Of the distance from the target.
_SHAPES: dict[str, Callable[[float], float]] = {
    "log-cosh": lambda d: d + math.log1p(math.exp(-2 * d)) - math.log(2),
    "pseudo-Huber (Charbonnier)": lambda d: math.sqrt(1 + d * d) - 1,
    "logarithmic, log(1 + |norm - t|)": lambda d: math.log1p(d),
    "logarithmic, log(1 + (norm - t)^2)": lambda d: math.log1p(d * d),
}


@dataclass(frozen=True)
class AnyLaw:
    """``value = mean over samples of f(norm)``, f being known by its values at the slopes that were asked.

    ``target`` is the norm at which f is smallest, ``name`` what it is called where it has a name, ``values`` f at
    ``_SLOPES``.
    """

    norm: Norm
    target: float
    name: str
    values: tuple[float, ...]
    kind: str = "function"
    exact: bool = False
    through: str = ""

    @property
    def pulls(self) -> bool:
        """Whether it is a penalty: never negative, and smallest at the norm 0 or 1, and rising above."""
        above = [v for s, v in zip(_SLOPES, self.values, strict=True) if s >= self.target]
        rising = all(a < b for a, b in zip(above, above[1:], strict=False))
        return min(self.values) >= -1e-9 * max(self.values[1:]) and rising and self.target in (0.0, 1.0)

    def __str__(self) -> str:
        picked = [(s, self.values[_SLOPES.index(s)]) for s in (0.0, 0.5, 1.0, 2.0, 12.0)]
        shown = ", ".join(f"{0.0 if abs(v) < 1e-9 else v:.3g} for the norm {s:g}" for s, v in picked)
        return f"a mean over the samples of a function of each one's norm: {shown}"


def any_law(subject: Subject, seen: Observed) -> AnyLaw | None:
    """The function, where a critic with a different norm at each sample gets the mean of what linear critics get."""
    if not seen.observations or seen.relation.through or seen.observations[0].parts or seen.infinite or seen.refused:
        return None
    found: dict[float, float] = {}

    def f(norm: float) -> float:
        if norm not in found:
            found[norm] = subject.call(slope=norm).value
        return found[norm]

    norm = Norm("sample", "sample", lambda o: o.gradients.flatten(1).norm(dim=1))
    try:
        for slope, curve in _CURVED:
            call = subject.call(slope=slope, curve=curve)
            norms = _norms(call, seen)
            if norms is None or not _ties(call.value, sum(f(n) for n in norms) / len(norms)):
                return None
        values = tuple(f(slope) for slope in _SLOPES)
    except Exception:
        return None
    positive = values[1:]  # a logarithm has no value at 0
    if not all(map(math.isfinite, positive)) or max(positive) - min(positive) <= 1e-9 * max(map(abs, positive)):
        return None
    scale = max(map(abs, positive))
    # Where norms below a target cost nothing, the largest of these.
    target = min(zip(values, _SLOPES, strict=True), key=lambda pair: (round(pair[0] / scale, 12), -pair[1]))[1]
    return AnyLaw(norm, target, _named(values, target) if target in (0.0, 1.0) else "", values)


def _norms(call: Call, seen: Observed) -> list[float] | None:
    if call.layout is None or len(call.layout.gradients) > _MOST:
        return None
    factor = seen.relation.factor
    norms = (call.layout.gradients.detach() / factor).flatten(1).norm(dim=1)
    return norms.tolist()


def _ties(a: float, b: float) -> bool:
    return abs(a - b) <= _CLOSE * max(abs(a), abs(b))


def _named(values: tuple[float, ...], target: float) -> str:
    """The name of the function of the distance from 0 or 1, or "" where it has none here."""
    points = [(s, v - min(values)) for s, v in zip(_SLOPES, values, strict=True)][1:]
    (far, lower), (farther, last) = points[-2:]
    near = next(v for s, v in points if abs(s - target - 0.1) < 1e-9)

    def fits(shape: Callable[[float], float]) -> bool:
        bare = [shape(s) for s, _ in points]
        weight = last / bare[-1] if bare[-1] > 0 else 0.0
        pairs = [(v, weight * b) for (_, v), b in zip(points, bare, strict=True)]
        return weight > 0 and all(abs(v - b) <= 1e-3 * b + 1e-9 * last for v, b in pairs)

    shapes = dict(_SHAPES)
    if near > 0:
        delta = (last - lower) / (farther - far) * 0.5 * 0.1**2 / near  # the far line's slope over the curvature
        shapes[f"Huber (a straight line beyond {delta:.3g} from {target:g})"] = _huber(delta)
    for sides, of in (("", abs), ("one-sided ", lambda d: max(d, 0.0))):
        for name, shape in shapes.items():
            if fits(lambda s, shape=shape, of=of: shape(of(s - target))):
                return sides + name
    return "squared logarithm, log(norm)^2" if target and fits(lambda s: math.log(s) ** 2) else ""


def slopes_by_differences(subject: Subject, call: Call) -> torch.Tensor:
    """The value's derivative in the critic's two parameters, by central differences at the same random numbers."""
    slope, curve = (float(p.detach()) for p in (call.critic.slope, call.critic.curve))

    def value(slope: float, curve: float) -> float:
        return subject.call(slope=slope, curve=curve, seed=call.seed).value

    h = _STEP
    along = (value(slope + h, curve) - value(slope - h, curve)) / (2 * h)
    across = (value(slope, curve + h) - value(slope, curve - h)) / (2 * h)
    return torch.tensor([along, across], dtype=torch.float64)
