"""How a step is called: which argument is which, and what a micro-batch looks like to it."""

from __future__ import annotations

import collections
import inspect
import re
import warnings
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
LABEL = re.compile(r"^y|label|target|^gt")
_USUAL = ("network", "optimizer", "loss_fn", "batches", "max_norm")
_TOKENS = ("input_ids", "attention_mask", "labels")  # of models that take their batch as ``model(**batch)``
_ATTEMPTS = 40


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
    ``width`` entries, "inputs" alone, "mapping" with these ``keys``, "nested" ((x, mask), y), or "labelled"
    (mapping, y); ``pairs``: which of the five are pairs; ``answer`` of the model: "scores", "fields" with ``loss`` and
    ``logits``, or two of these as "scores, loss" or "loss, scores".
    """

    roles: tuple[tuple[str, str], ...] = ()
    scaler: str | None = None
    kind: str = "tuple"
    width: int = 2
    keys: tuple[str, ...] = ("x", "y")
    pairs: tuple[str, ...] = ()
    answer: str = "scores"

    def count(self, role: str) -> int:
        """How many networks or optimisers the step takes, 1 or 2."""
        return 2 if role in self.pairs or [r for _, r in self.roles].count(role) == 2 else 1

    def batch(self, x: Tensor) -> Any:
        y = x.new_zeros(len(x))
        if self.kind == "inputs":
            return x
        named = Batch({key: y if LABEL.search(key.lower()) else x for key in self.keys})
        if self.kind == "mapping":
            return named
        if self.kind == "labelled":
            return named, y
        if self.kind == "nested":
            return (x, torch.ones_like(y)), y
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


def _changed(style: Style, error: Exception) -> list[Style]:
    """The styles that the error asks for, the likeliest first."""
    text, mapping = str(error), style.kind in ("mapping", "labelled")
    if isinstance(error, KeyError) and mapping and isinstance(error.args[0], str):
        return [replace(style, keys=(*style.keys, error.args[0]))]
    if missing := re.match(r"'Batch' object has no attribute '(\w+)'", text):
        return [replace(style, keys=(*style.keys, missing[1]))]
    if (single := re.match(r"cannot unpack non-iterable (Network|Recorder) object", text)) and not style.roles:
        return [replace(style, pairs=(*style.pairs, "network" if single[1] == "Network" else "optimizer"))]
    if (expected := re.match(r"not enough values to unpack \(expected (\d+), got 2\)", text)) and style.kind == "tuple":
        return [replace(style, width=int(expected[1]))]
    if "must be a mapping, not tuple" in text:
        return [replace(style, kind="mapping", keys=_TOKENS, answer="fields")]
    if text.startswith("tuple indices must be integers"):
        return [replace(style, kind="mapping", keys=())]
    if "must be a mapping, not Tensor" in text or text.startswith("too many indices for tensor"):
        return [replace(style, kind="labelled", keys=_TOKENS)]
    found = []
    if re.match(r"'Tensor' object has no attribute '\w+'", text) and style.answer == "scores":
        found.append(replace(style, answer="fields"))
    if "too many values to unpack (expected 2)" in text and style.answer == "scores":
        found.append(replace(style, answer="scores, loss"))
        if style.kind == "tuple":
            found.append(replace(style, kind="nested"))
    if "implicitly created only for scalar outputs" in text and style.answer == "scores, loss":
        found.append(replace(style, answer="loss, scores"))
    return found


def find_style(function: Callable, attempt: Callable[[Style], Exception | None]) -> Style:
    """The first style in which the step runs.

    Raises:
        ValueError: in none.
    """
    first, tried, queue = None, [], collections.deque(_all(function))
    while queue and len(tried) < _ATTEMPTS:
        style = queue.popleft()
        if style in tried:
            continue
        tried.append(style)
        with warnings.catch_warnings():  # of a tensor that is asked for the entry of a dictionary
            warnings.filterwarnings("ignore", message="Using a non-tuple sequence for multidimensional indexing")
            error = attempt(style)
        if error is None:
            return style
        first = first or error
        queue.extendleft(reversed(_changed(style, error)))
    raise ValueError(
        "my_step could not be called as my_step(model, optimizer, loss_fn, batches, max_norm), with batches of (x, y), "
        "of x alone or of dictionaries, and loss_fn(output), (output, y) or (model, batch): it raised "
        f"{type(first).__name__}: {first}"
    ) from first


def _all(function: Callable) -> Iterator[Style]:
    for style in styles(function):
        for kind in ("tuple", "inputs", "mapping"):
            yield replace(style, kind=kind)
