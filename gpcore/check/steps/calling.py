"""How a step is called: which argument is which, and what a micro-batch looks like to it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

# What an argument is by its name, where it is not one of five in the usual order; any other name is a network's.
_ROLES = {
    "scaler": r"scaler",
    "optimizer": r"opt",
    "scheduler": r"sched",
    "loss_fn": r"loss|criterion|objective",
    "count": r"accum",
    "device": r"device",
    "number": r"^(i|it|step|epoch|iteration|global_step|step_idx)$",
    "max_norm": r"norm|clip|thresh",
    "batches": r"batch|data|loader|micro|samples",
}
_LABEL = re.compile(r"^y|label|target|^gt")
_USUAL = ("network", "optimizer", "loss_fn", "batches", "max_norm")
_RETRIES = 8


class _Scheduler:
    def step(self, *_: Any) -> None:
        """Nothing: the learning rate is no matter here."""


class Batch(dict):
    """A micro-batch as a dictionary, whose entries are attributes too."""

    def __getattr__(self, name: str) -> Tensor:
        if name not in self:
            raise AttributeError(f"'Batch' object has no attribute {name!r}")
        return self[name]

    def to(self, *_: Any, **__: Any) -> Batch:
        return self


class Batches(list):
    """A list of micro-batches that ``next()`` takes too."""

    def __next__(self) -> Any:
        self.walk = getattr(self, "walk", None) or iter(list(self))
        return next(self.walk)


@dataclass(frozen=True)
class Style:
    """One way to call a step.

    ``roles``: (argument's name, what it is), or () for the five in order; ``kind`` of a micro-batch: "tuple" of
    ``width`` entries, "inputs" alone, or "mapping" with these ``keys``; ``pairs``: which of the five are pairs.
    """

    roles: tuple[tuple[str, str], ...] = ()
    scaler: str | None = None
    kind: str = "tuple"
    width: int = 2
    keys: tuple[str, ...] = ("x", "y")
    pairs: tuple[str, ...] = ()

    def count(self, role: str) -> int:
        """How many networks or optimisers the step takes, 1 or 2."""
        return 2 if role in self.pairs or [r for _, r in self.roles].count(role) == 2 else 1

    def batch(self, x: Tensor) -> Any:
        y = x.new_zeros(len(x))
        if self.kind == "inputs":
            return x
        if self.kind == "mapping":
            return Batch({key: y if _LABEL.search(key.lower()) else x for key in self.keys})
        return (x, y, *[torch.ones_like(y)] * (self.width - 2))

    def arguments(
        self, networks: list, optimizers: list, loss_fn: Callable, batches: list, max_norm: float, scaler: Any
    ) -> tuple[list, dict[str, Any]]:
        extra = {self.scaler: scaler} if self.scaler else {}
        if not self.roles:
            first = [tuple(found) if len(found) == 2 else found[0] for found in (networks, optimizers)]
            return [*first, loss_fn, Batches(batches), max_norm], extra
        values = {"loss_fn": loss_fn, "batches": Batches(batches), "max_norm": max_norm, "scheduler": _Scheduler()}
        values |= {"device": torch.device("cpu"), "count": len(batches), "number": 0}
        several = {"network": iter(networks * 2), "optimizer": iter(optimizers * 2)}
        named = {name: next(several[role]) if role in several else values[role] for name, role in self.roles}
        return [], named | extra


def styles(function: Callable) -> list[Style]:
    """The ways to try, the usual one first."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [Style()]
    free = [p for p in parameters if p.default is p.empty or p.default is None]  # what has a value keeps it
    scaler = next((p.name for p in free if "scaler" in p.name.lower() and p.kind is not p.VAR_KEYWORD), None)
    rest = [p for p in parameters if p.name != scaler]
    placed = [p for p in rest if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in rest if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = [p.name for p in parameters]
    found = []
    if any(p.kind is p.VAR_POSITIONAL for p in rest) or (len(placed) >= 5 >= len(needed)):
        between = scaler in names[:5] and all(p.kind is p.POSITIONAL_OR_KEYWORD for p in placed[:5])
        roles = tuple(zip([p.name for p in placed], _USUAL, strict=False)) if between else ()
        found.append(Style(roles, scaler))
    by_name = tuple((p.name, _role(p.name)) for p in needed)
    kinds = [role for _, role in by_name]
    if {"network", "optimizer"} <= set(kinds) and max(kinds.count("network"), kinds.count("optimizer")) <= 2:
        found.append(Style(by_name, scaler))
    return found or [Style((), scaler)]


def _role(name: str) -> str:
    return next((role for role, pattern in _ROLES.items() if re.search(pattern, name.lower())), "network")


def _changed(style: Style, error: Exception) -> Style | None:
    """The style that the error asks for, where it says so."""
    text = str(error)
    if isinstance(error, KeyError) and style.kind == "mapping" and isinstance(error.args[0], str):
        return replace(style, keys=(*style.keys, error.args[0]))
    if missing := re.match(r"'Batch' object has no attribute '(\w+)'", text):
        return replace(style, keys=(*style.keys, missing[1]))
    if (single := re.match(r"cannot unpack non-iterable (Network|Recorder) object", text)) and not style.roles:
        return replace(style, pairs=(*style.pairs, "network" if single[1] == "Network" else "optimizer"))
    if (expected := re.match(r"not enough values to unpack \(expected (\d+), got 2\)", text)) and style.kind == "tuple":
        return replace(style, width=int(expected[1]))
    return None


def find_style(function: Callable, attempt: Callable[[Style], Exception | None]) -> Style:
    """The first style in which the step runs.

    Raises:
        ValueError: in none.
    """
    first = None
    for style in _all(function):
        for _ in range(_RETRIES):
            error = attempt(style)
            if error is None:
                return style
            first = first or error
            style = _changed(style, error)
            if style is None:
                break
    raise ValueError(
        "my_step could not be called as my_step(model, optimizer, loss_fn, batches, max_norm), with batches of (x, y), "
        "of x alone or of dictionaries, and loss_fn(output), (output, y) or (model, batch): it raised "
        f"{type(first).__name__}: {first}"
    ) from first


def _all(function: Callable) -> Iterator[Style]:
    for style in styles(function):
        for kind in ("tuple", "inputs", "mapping"):
            yield replace(style, kind=kind)
