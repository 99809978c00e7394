"""Which formula explains a penalty's values: a norm, a law and a weight, fitted to what was observed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# What the score may have been passed through: its derivative, by which every gradient is multiplied.
THROUGH: dict[str, Callable[[Tensor], Tensor]] = {
    "": torch.ones_like,
    "sigmoid": lambda s: s.sigmoid() * (1 - s.sigmoid()),
    "tanh": lambda s: 1 - s.tanh().square(),
    "log sigmoid": lambda s: (-s).sigmoid(),
    "softplus": lambda s: s.sigmoid(),
    "exp": torch.exp,
    "the hinge loss": lambda s: (s < 1).double(),
    "the hinge loss of generated samples": lambda s: (s > -1).double(),
    "a square": lambda s: s,
    "the squared error to 1": lambda s: s - 1,
}
LAWS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "two-sided": lambda n, t: (n - t).square(),
    "one-sided": lambda n, t: (n - t).relu().square(),
    "absolute": lambda n, t: (n - t).abs(),
    "difference": lambda n, t: n - t,
    "hinge": lambda n, t: (n - t).relu(),
}
# For float64, for float32 or a guarded root, and for float16 and bfloat16 inside.
TOLERANCES = ((1e-7, 1e-7), (1e-4, 1e-4), (5e-3, 1e-3))


@dataclass(frozen=True)
class Observation:
    """One call: the gradients ``(M, ...)`` that the function got, and the penalty's value.

    ``parts`` are the gradients with respect to the several inputs of each sample, ``leading`` the dimensions that
    the function's own tensor had in front of a sample's, where there were several. ``places`` says for each row
    where it was taken: 0 at a real sample, 1 at a fake one, 2 elsewhere.
    """

    gradients: Tensor
    value: float
    parts: tuple[Tensor, ...] = ()
    leading: tuple[int, ...] = ()
    places: Tensor | None = None


@dataclass(frozen=True)
class Norm:
    """A way to make norms of gradients; ``kind`` says what it is in relation to the right one."""

    name: str
    kind: str  # sample, each input, some inputs, channels, element, batch, unusual
    of: Callable[[Observation], Tensor]
    count: int = 1  # laws that are added rather than averaged


def _dims(dims: tuple[int, ...]) -> str:
    if len(dims) == 1:
        return f"dim {dims[0]}"
    return f"dims {', '.join(map(str, dims[:-1]))} and {dims[-1]}"


def _over(dims: tuple[int, ...], shape: tuple[int, ...] = ()) -> Callable[[Observation], Tensor]:
    def of(o: Observation) -> Tensor:
        g = o.gradients if not shape else o.gradients.reshape(shape)
        return torch.linalg.vector_norm(g, dim=dims).flatten()

    return of


def norms_of(o: Observation) -> list[Norm]:
    """All ways to make norms of these gradients, the right one first."""
    flat = lambda o: o.gradients.flatten(1)  # noqa: E731
    made = [Norm("sample", "sample", lambda o: flat(o).norm(dim=1))]
    if o.parts:
        count = len(o.parts)
        each = lambda o: torch.cat([p.flatten(1).norm(dim=1) for p in o.parts])  # noqa: E731
        made.append(Norm("each input", "each input", each, count))
        for i in range(count):
            made.append(Norm(f"input {i + 1}", "some inputs", lambda o, i=i: o.parts[i].flatten(1).norm(dim=1)))
    shapes = [(tuple(o.gradients.shape), 1, "")]
    if o.leading:
        shapes.append(((*o.leading, *o.gradients.shape[1:]), len(o.leading), " of its stacked tensor"))
    for shape, batch, where in shapes:
        own = range(len(shape))
        for dims in itertools.chain(*(itertools.combinations(own, length + 1) for length in own)):
            samples = [d for d in dims if d >= batch]
            if len(dims) == len(shape):
                name, kind = "whole batch", "batch"
            elif len(samples) == len(dims):
                if len(samples) == len(shape) - batch:
                    continue  # the right one
                name, kind = _dims(dims) + where, "channels"
            else:
                name, kind = _dims(dims) + where, "batch"
            made.append(Norm(name, kind, _over(dims, shape if where else ())))
    made += [
        Norm("every element", "element", lambda o: o.gradients.abs().flatten()),
        Norm("every element with its sign", "element", lambda o: o.gradients.flatten()),
        Norm("root mean square", "element", lambda o: flat(o).norm(dim=1) / flat(o).shape[1] ** 0.5),
        Norm("mean norm", "batch", lambda o: flat(o).norm(dim=1).mean()[None]),
        Norm("mean gradient", "batch", lambda o: o.gradients.mean(0).norm()[None]),
        Norm("squared norm", "unusual", lambda o: flat(o).square().sum(1)),
        Norm("L1", "unusual", lambda o: flat(o).abs().sum(1)),
        Norm("Linf", "unusual", lambda o: flat(o).abs().amax(1)),
        Norm("largest", "unusual", lambda o: flat(o).norm(dim=1).amax()[None]),
    ]
    if len(o.gradients) > 1:
        made.append(Norm("the first sample", "first", lambda o: flat(o)[:1].norm(dim=1)))
    return made


@dataclass(frozen=True)
class Law:
    """``weight * mean over norms of law(norm - target)``; ``power`` is the exponent where the kind is "power"."""

    norm: Norm
    kind: str
    target: float
    weight: float
    exact: bool = True
    power: float = 2.0
    through: str = ""

    def value(self, observation: Observation) -> Tensor:
        """The penalty that the law gives, differentiable where the gradients are."""
        norms = self.norm.of(observation)
        return self.weight * self.norm.count * _law(self.kind, self.power)(norms, self.target).mean()


def _law(kind: str, power: float) -> Callable[[Tensor, float], Tensor]:
    return LAWS[kind] if kind != "power" else (lambda n, t: n.abs() ** power)


def _targets(norms: Tensor, values: Tensor, kind: str) -> list[float]:
    """Targets worth trying: 1, and the one that a least-squares fit of the law's polynomial gives."""
    m1, m2 = norms.mean(1), norms.square().mean(1)
    ones = torch.ones_like(m1)
    if kind == "power":
        return [0.0]
    if kind == "two-sided":  # value = w m2 - 2 w t m1 + w t^2
        features, scale = torch.stack([m2, m1, ones], 1), m2 + 1
    elif kind == "difference":
        features, scale = torch.stack([m1, ones], 1), m1.abs() + 1
    else:  # far above the target the one-sided law is its branch: two points of it give the target
        power = 0.5 if kind == "one-sided" else 1.0
        low, high = (float(v.clamp(min=0) ** power) for v in values[-2:])
        if high == low:
            return [1.0]
        # Probes are ordered so that the last two are linear: all norms of one sample are then alike.
        slope = (m1[-1] - m1[-2]) / (high - low)
        return [1.0, float(m1[-2] - slope * low)]
    fitted = torch.linalg.lstsq(features / scale[:, None], (values / scale)[:, None], driver="gelsd").solution[:, 0]
    if fitted[0].abs() < 1e-12:
        return [1.0]
    target = float(-fitted[1] / (2 * fitted[0]) if kind == "two-sided" else -fitted[1] / fitted[0])
    return [1.0, 0.0, target] if kind != "difference" else [1.0, target]


def _power(norms: Tensor, values: Tensor) -> float | None:
    """The exponent that two steep linear critics give, where it is neither 1 nor 2."""
    low, high = values[-2:].tolist()
    n = norms.mean(1)[-2:].tolist()
    if low * high <= 0 or min(n) <= 0 or n[0] == n[1]:
        return None
    power = math.log(high / low) / math.log(n[1] / n[0])
    power = round(2 * power) / 2 if abs(2 * power - round(2 * power)) < 1e-3 else power
    return power if 0.1 < power < 20 and power not in (1.0, 2.0) else None


def _fits(
    norms: Tensor, values: Tensor, law: Callable[[Tensor, float], Tensor], target: float, tolerance: tuple
) -> float | None:
    """The weight with which the law gives every value, or None.

    An error may be ``tolerance[0]`` of the value and ``tolerance[1]`` of the size of what cancels in it.
    """
    bare, scale = (law(norms, t).mean(1) for t in (target, -abs(target)))  # and the law's size without cancellation
    scale = scale + 1e-12 * scale.max()  # what a saturated score leaves has no digits
    far = bare.abs() > 1e-3 * scale
    if far.sum() < min(4, len(values)):  # a law that is 0 nearly everywhere explains nothing
        return None
    weight = (values[far] / bare[far]).median()
    allowed = weight.abs() * (tolerance[0] * bare.abs() + tolerance[1] * scale)
    if weight == 0 or not ((values - weight * bare).abs() <= allowed).all():
        return None
    return float(weight)


def _stacked(observations: list[Observation], norm: Norm) -> Tensor | None:
    with torch.no_grad():
        made = [norm.of(o).detach() for o in observations]
    return torch.stack(made) if len({m.shape for m in made}) == 1 else None


def fit(observations: list[Observation], only: str = "") -> Law | None:
    """The first law, in the order of the tables above, that explains all values; None where none does.

    The tolerance is widened only when nothing fits within the narrower one. What has one value for every critic
    follows no law.
    """
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    if len(observations) < 4 or not values.isfinite().all() or is_constant(observations):
        return None
    candidates = []
    for norm in norms_of(observations[0]):
        if only and norm.name != only:
            continue
        norms = _stacked(observations, norm)
        if norms is not None and norms.isfinite().all():
            candidates.append((norm, norms, {kind: _targets(norms, values, kind) for kind in LAWS}))
    for tolerance in TOLERANCES:
        for norm, norms, targets in candidates:
            for kind in LAWS:
                for target in targets[kind] if norm.name != "root mean square" else [1.0, 0.0]:
                    # A target below 0 is a wrong sign, as in (norm + 1)^2; what only comes close to it is another law.
                    if not target >= -tolerance[1] and (kind != "two-sided" or tolerance[0] > 1e-3):
                        continue
                    # A target within what the tolerance can tell apart is the round one.
                    near = [t for t in (0.0, 1.0) if abs(target - t) < 10 * tolerance[1]]
                    target = near[0] if near else target
                    weight = _fits(norms, values, LAWS[kind], target, tolerance)
                    if weight is not None:
                        return Law(norm, kind, target, weight / norm.count, tolerance[0] < 1e-3)
        for norm, norms, _ in candidates:
            if norm.kind in ("sample", "each input", "some inputs"):
                power = _power(norms, values)
                weight = power and _fits(norms, values, _law("power", power), 0.0, tolerance)
                if weight is not None:
                    return Law(norm, "power", 0.0, weight / norm.count, tolerance[0] < 1e-3, power)
    return None


def is_constant(observations: list[Observation]) -> bool:
    """Whether every critic, flat or steep, got the same value."""
    values = [o.value for o in observations]
    return max(values) - min(values) <= 1e-9 * max(map(abs, values))


def refit(observations: list[Observation], law: Law) -> tuple[float, float] | None:
    """Target and weight of the same law on a batch of another size, or None where it no longer holds."""
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    norms = _stacked(observations, law.norm)
    if norms is None or not values.isfinite().all():
        return None
    tolerance = TOLERANCES[1] if law.exact else TOLERANCES[2]
    for target in [law.target, *_targets(norms, values, law.kind)]:
        weight = _fits(norms, values, _law(law.kind, law.power), target, tolerance)
        if weight is not None:
            return target, weight / law.norm.count
    return None
