"""Which formula explains a penalty's values: a norm, a law and a weight, fitted to what was observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

Norms = Callable[[Tensor], Tensor]


def _partial(*dims: int) -> Norms:
    return lambda g: g.norm(dim=dims) if g.ndim > max(dims) else torch.zeros(0)


def _root_mean_square(g: Tensor) -> Tensor:
    return g.flatten(1).norm(dim=1) / g[0].numel() ** 0.5


# What may stand where the norm of each sample's gradient should; the right one first. All are flattened and averaged.
NORMS: dict[str, Norms] = {
    "sample": lambda g: g.flatten(1).norm(dim=1),
    "dim 1": _partial(1),
    "the last dimension": lambda g: g.norm(dim=-1) if g.ndim > 2 else torch.zeros(0),
    "dims 2 and 3": _partial(2, 3),
    "dims 1 and 2": _partial(1, 2),
    "dim 2": _partial(2),
    "every element": lambda g: g.abs(),
    "every element with its sign": lambda g: g,
    "root mean square": _root_mean_square,
    "whole batch": lambda g: g.norm(),
    "mean norm": lambda g: g.flatten(1).norm(dim=1).mean(),
    "mean gradient": lambda g: g.mean(0).norm(),
    "dim 0": lambda g: g.norm(dim=0),
    "squared norm": lambda g: g.flatten(1).square().sum(1),
    "L1": lambda g: g.flatten(1).abs().sum(1),
    "Linf": lambda g: g.flatten(1).abs().amax(1),
}
# What the score may have been passed through: its derivative, by which every gradient is multiplied.
THROUGH: dict[str, Callable[[Tensor], Tensor]] = {
    "": torch.ones_like,
    "sigmoid": lambda s: s.sigmoid() * (1 - s.sigmoid()),
    "tanh": lambda s: 1 - s.tanh().square(),
    "log sigmoid": lambda s: (-s).sigmoid(),
    "softplus": lambda s: s.sigmoid(),
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
    """One call: the critic's gradients ``(M, ...)`` and scores ``(M,)`` at the points, and the penalty's value."""

    gradients: Tensor
    scores: Tensor
    value: float

    def norms(self, norm: str, through: str) -> Tensor:
        factor = THROUGH[through](self.scores).reshape(-1, *[1] * (self.gradients.ndim - 1))
        return NORMS[norm](self.gradients * factor).flatten()


@dataclass(frozen=True)
class Law:
    """``weight * mean over norms of law(norm - target)``."""

    norm: str
    through: str
    kind: str
    target: float
    weight: float
    exact: bool = True

    def value(self, gradients: Tensor, scores: Tensor) -> Tensor:
        """The penalty that the law gives, differentiable where the gradients are."""
        norms = Observation(gradients, scores, 0.0).norms(self.norm, self.through)
        return self.weight * LAWS[self.kind](norms, self.target).mean()


def _targets(norms: list[Tensor], values: Tensor, kind: str) -> list[float]:
    """Targets worth trying: 1, and the one that a least-squares fit of the law's polynomial gives."""
    m1, m2 = (torch.stack([n.pow(power).mean() for n in norms]) for power in (1, 2))
    ones = torch.ones_like(m1)
    if kind == "two-sided":  # value = w m2 - 2 w t m1 + w t^2
        features, scale = torch.stack([m2, m1, ones], 1), m2 + 1
    elif kind == "difference":
        features, scale = torch.stack([m1, ones], 1), m1.abs() + 1
    else:  # far above the target the one-sided law is its branch: two points of it give the target
        a, b = (len(norms) - 2, len(norms) - 1)
        power = 0.5 if kind == "one-sided" else 1.0
        low, high = float(values[a].clamp(min=0) ** power), float(values[b].clamp(min=0) ** power)
        if high == low:
            return [1.0]
        # Probes are ordered so that the last two are linear: all norms of one sample are then alike.
        slope = (m1[b] - m1[a]) / (high - low)
        return [1.0, float(m1[a] - slope * low)]
    fitted = torch.linalg.lstsq(features / scale[:, None], (values / scale)[:, None], driver="gelsd").solution[:, 0]
    if fitted[0].abs() < 1e-12:
        return [1.0]
    target = float(-fitted[1] / (2 * fitted[0]) if kind == "two-sided" else -fitted[1] / fitted[0])
    return [1.0, 0.0, target] if kind != "difference" else [1.0, target]


def _fits(
    norms: list[Tensor], values: Tensor, kind: str, target: float, tolerance: tuple[float, float]
) -> float | None:
    """The weight with which the law gives every value, or None.

    An error may be ``tolerance[0]`` of the value and ``tolerance[1]`` of the size of what cancels in it.
    """
    bare = torch.stack([LAWS[kind](n, target).mean() for n in norms])
    scale = torch.stack([LAWS[kind](n, -abs(target)).mean() for n in norms])  # the law's size without cancellation
    far = bare.abs() > 1e-3 * scale
    if far.sum() < 4:  # a law that is 0 nearly everywhere explains nothing
        return None
    weight = (values[far] / bare[far]).median()
    allowed = weight.abs() * (tolerance[0] * bare.abs() + tolerance[1] * scale)
    if weight == 0 or ((values - weight * bare).abs() > allowed).any():
        return None
    return float(weight)


def fit(
    observations: list[Observation], among: Iterable[str] = tuple(NORMS), throughs: Iterable[str] = tuple(THROUGH)
) -> Law | None:
    """The first law, in the order of the tables above, that explains all values; None where none does.

    The tolerance is widened only when nothing fits within the narrower one. What has one value for every critic
    follows no law.
    """
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    if not values.isfinite().all() or is_constant(observations):
        return None
    for tolerance in TOLERANCES:
        for through in throughs:
            for norm in among:
                norms = [o.norms(norm, through) for o in observations]
                if not norms[0].numel():
                    continue
                for kind in LAWS:
                    for target in _targets(norms, values, kind):
                        if target < -tolerance[1]:
                            continue
                        # A target within what the tolerance can tell apart is the round one.
                        near = [t for t in (0.0, 1.0) if abs(target - t) < 10 * tolerance[1]]
                        target = near[0] if near else target
                        weight = _fits(norms, values, kind, target, tolerance)
                        if weight is not None:
                            return Law(norm, through, kind, target, weight, tolerance[0] < 1e-3)
    return None


def is_constant(observations: list[Observation]) -> bool:
    """Whether every critic, flat or steep, got the same value."""
    values = [o.value for o in observations]
    return max(values) - min(values) <= 1e-9 * max(map(abs, values))


def refit(observations: list[Observation], law: Law) -> tuple[float, float] | None:
    """Target and weight of the same law on a batch of another size, or None where it no longer holds."""
    values = torch.tensor([o.value for o in observations], dtype=torch.float64)
    norms = [o.norms(law.norm, law.through) for o in observations]
    tolerance = TOLERANCES[1] if law.exact else TOLERANCES[2]
    for target in [law.target, *_targets(norms, values, law.kind)]:
        weight = _fits(norms, values, law.kind, target, tolerance)
        if weight is not None:
            return target, weight
    return None
