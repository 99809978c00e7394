"""The ways of scaling that are known: what each makes of a gradient, and what a report says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from ..report import Finding
from .network import NAMES, SHAPES, SIZES


def _by_norm(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.norm()).clamp(max=1.0)


def to_norm(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.norm())


def _by_value(g: Tensor, limit: float) -> Tensor:
    return g.clamp(-limit, limit)


def _by_largest(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.abs().max()).clamp(max=1.0)


def _by_absolute(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.abs().sum()).clamp(max=1.0)


def _by_sum_of_norms(g: Tensor, limit: float) -> Tensor:
    return g * (limit / _norms(g).sum()).clamp(max=1.0)


def _by_square(g: Tensor, limit: float) -> Tensor:
    return g * (limit / g.square().sum()).clamp(max=1.0)


def rows(g: Tensor) -> list[Tensor]:
    """The units of the parameters: rows of the matrix, whole vectors."""
    parts = zip(g.split(SIZES), SHAPES, strict=True)
    return [row for part, shape in parts for row in (part.reshape(shape) if len(shape) > 1 else part[None])]


def _each_row(g: Tensor, limit: float) -> Tensor:
    return torch.cat([_by_norm(row, limit) for row in rows(g)])


def each_alone(g: Tensor, limit: float) -> Tensor:
    return torch.cat([_by_norm(part, limit) for part in g.split(SIZES)])


def _each_then_all(g: Tensor, limit: float) -> Tensor:
    return _by_norm(each_alone(g, limit), limit)


def _each_by_rms(g: Tensor, limit: float) -> Tensor:
    return torch.cat([_by_norm(part, limit * math.sqrt(len(part))) for part in g.split(SIZES)])


def _norms(g: Tensor) -> Tensor:
    return torch.stack([part.norm() for part in g.split(SIZES)])


def _largest_rms(g: Tensor, _: Tensor) -> float:
    return max(float(part.norm()) / math.sqrt(len(part)) for part in g.split(SIZES))


def _together(*members: int) -> Callable[[Tensor, float], Tensor]:
    """Clip these parameters by their norm together, and leave the others."""

    def cut(g: Tensor, limit: float) -> Tensor:
        factor = _by_norm(torch.cat([g.split(SIZES)[i] for i in members]), limit).norm()
        factor = factor / torch.cat([g.split(SIZES)[i] for i in members]).norm()
        return torch.cat([factor * part if i in members else part for i, part in enumerate(g.split(SIZES))])

    return cut


def _groups(*members: int) -> Callable[[Tensor, float], Tensor]:
    """Clip these parameters by their norm together, and the others by theirs."""
    others = [i for i in range(len(SIZES)) if i not in members]
    return lambda g, limit: _together(*others)(_together(*members)(g, limit), limit)


def _norm_of(*members: int) -> Callable[..., float]:
    return lambda g, *_: float(torch.cat([g.split(SIZES)[i] for i in members]).norm())


@dataclass(frozen=True)
class Cut:
    """A way of scaling.

    Attributes:
        family: its name in the report.
        apply: ``(gradient, limit) -> gradient``.
        limit_of: ``(what was made of a long gradient, this gradient) -> limit``.
        question: what the report asks about it, or "".
        sound: False where it is known not to be what ``max_norm`` promises.
        bends: what is done to elements one by one, with ``{limit}``, or "".
    """

    family: str
    apply: Callable[[Tensor, float], Tensor]
    limit_of: Callable[[Tensor, Tensor], float]
    question: str = ""
    sound: bool = True
    bends: str = ""

    @property
    def kind(self) -> str:
        """Of what the limit is one."""
        return "value" if "{limit" in self.bends else "norm"


def _all(g: Tensor, _: Tensor) -> float:
    return float(g.norm())


def _largest(g: Tensor, _: Tensor) -> float:
    return float(g.abs().max())


NORM = Cut("norm clipping", _by_norm, _all)
VALUE = Cut("value clipping", _by_value, _largest, bends="every element was cut to [-{limit:.4g}, {limit:.4g}]")
CUTS = (
    NORM,
    VALUE,
    Cut(
        *("clipping by the largest element", _by_largest, _largest),
        "whether this is how it scales on purpose: the largest element was cut to the threshold and the direction kept",
    ),
    Cut(
        *("clipping by the sum of absolute values", _by_absolute, lambda a, _: float(a.abs().sum())),
        "whether this norm is meant: the sum of absolute values was cut to the threshold and the direction kept",
    ),
    Cut(
        *("clipping of each parameter by itself", each_alone, lambda a, _: float(_norms(a).max())),
        "whether each parameter's own norm is meant: each is clipped by itself, not all together",
    ),
    *[
        Cut(
            *("clipping of parameter groups, each by itself", _groups(*members)),
            lambda a, _, members=members: max(_norm_of(*members)(a), _norm_of(*{0, 1, 2} - {*members})(a)),
            f"whether groups are meant: {NAMES[members[0]]} and {NAMES[members[1]]} are clipped by their norm, "
            "the other parameter by its own, not all together",
        )
        for members in combinations(range(3), 2)
    ],
    Cut(
        *("clipping of every parameter alone, then of all together", _each_then_all, _all),
        "whether the first of two cuts is meant: every parameter is clipped alone, which bends the direction, and "
        "then all together",
    ),
    Cut(
        *("clipping of each row by itself", _each_row, lambda a, _: max(float(row.norm()) for row in rows(a))),
        "whether each row's own norm is meant: each row of a matrix is clipped by itself, not all together",
    ),
    Cut(
        *("clipping by each parameter's root mean square, as Adafactor clips its update", _each_by_rms, _largest_rms),
        "whether each parameter's root mean square is meant: it is cut to the threshold, not the norm of all together",
    ),
    *[
        Cut("norm clipping of some of the parameters", _together(*members), _norm_of(*members))
        for size in (1, 2)
        for members in combinations(range(3), size)
    ],
    Cut(
        *("clipping by the sum of the parameters' norms", _by_sum_of_norms, lambda a, _: float(_norms(a).sum())),
        "whether the sum of the parameters' norms is meant, or their mean: the norm of the gradient is the root of the "
        "sum of squares",
        sound=False,
    ),
    Cut(
        *("clipping by the square of the norm", _by_square, lambda a, g: float(a.norm() * g.norm())),
        "whether the square of the norm is meant: it was compared with the threshold in place of the norm",
        sound=False,
    ),
)


def value_then_norm(value: float) -> Cut:
    return Cut(
        "value clipping, then norm clipping",
        lambda g, limit: _by_norm(g.clamp(-value, value), limit),
        _all,
        bends=f"elements beyond {value:.4g} were cut, then the norm",
    )


def norm_then_value(limit: float) -> Cut:
    return Cut(
        "norm clipping, then value clipping",
        lambda g, value: _by_norm(g, limit).clamp(-value, value),
        _largest,
        bends=f"the norm was cut to {limit:.4g}, then every element to {{limit:.4g}}",
    )


def centralised(g: Tensor) -> Tensor:
    """The matrix' rows without their mean, as gradient centralisation has them; vectors as they are."""
    first, second, third = g.split(SIZES)
    matrix = second.reshape(SHAPES[1])
    return torch.cat([first, (matrix - matrix.mean(1, keepdim=True)).flatten(), third])


class Law(NamedTuple):
    """``after * cut(before * g, limit)``: what the step makes of the gradient g."""

    cut: Callable[[Tensor, float], Tensor]
    limit: float = 1.0
    before: float = 1.0  # a factor of the loss: of accumulation, or a loss scale
    after: float = 1.0

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.after * self.cut(self.before * gradient, self.limit)


@dataclass
class Operation:
    """What a step does to one gradient.

    Attributes:
        family: its name. law: where it is known. findings: what is wrong with it.
        recognised: whether it is any of the known ways. sound: False where it is one that is known to be wrong.
        per_sample: whether it scales each sample's gradient. whole: whether a long gradient went through whole.
    """

    family: str
    law: Law | None = None
    findings: list[Finding] = field(default_factory=list)
    recognised: bool = True
    sound: bool = True
    per_sample: bool = False
    whole: bool = False
