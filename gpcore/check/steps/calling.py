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

from ..refusals import CannotCall, attempts, call_in_lines
from .hosts import held_roles
from .network import Loss, Network, Recorder
from .offers import Accelerator, Batch, Batches, Idle, Options

# What an argument is by its name, where it is not one of five in the usual order; any other name is a network's.
_ROLES = {
    "options": r"^(args|cfg|conf|config|hparams|hps|options)$|_(args|cfg|config)$",
    "accelerator": r"accelerator|^fabric$",
    "scaler": r"scaler",
    "optimizer": r"opt",
    "idle": r"sched|logger|writer|wandb|tracker|meter|metric|pbar|progress|^ema$|^averag",
    "spare": r"ema|teacher|target_(net|model|critic|actor|q)",  # a network that is no part of the step
    "loss_fn": r"loss|criterion|objective",
    "count": r"accum",
    "device": r"device",
    "number": r"^(i|it|step|epoch|iteration|(global|train|current)_step|(batch|step)_idx|n_iter|rank|local_rank)$",
    "max_norm": r"norm|clip|thresh",
    "labels": r"^y(_|s|b|$)|label|^targets?$|^gt|^tgt",
    "inputs": r"^(x|xs|xb|x_(batch|train)|inputs?|images?|imgs?|input_ids|tokens|src|features)$",
    "mask": r"mask",
    "batches": r"batch|data|loader|micro|samples",
}
LABEL = re.compile(r"^y|label|target|^gt")
_USUAL = ("network", "optimizer", "loss_fn", "batches", "max_norm")
_TOKENS = ("input_ids", "attention_mask", "labels")  # of models that take their batch as ``model(**batch)``
_ATTEMPTS = 60


@dataclass(frozen=True)
class Supplies:
    """What one run of a step is made of."""

    networks: list[Network]
    optimizers: list[Recorder]
    loss_fn: Loss
    max_norm: float
    scaler: torch.amp.GradScaler | None
    accelerator: Accelerator
    options: Options

    def of(self, role: str, spare: Callable[[], Network]) -> Any:
        """The thing of a role of which a step takes one."""
        simple = {"loss_fn": self.loss_fn, "max_norm": self.max_norm, "scaler": self.scaler, "options": self.options}
        simple |= {"accelerator": self.accelerator, "device": torch.device("cpu"), "number": 0}
        simple["count"] = self.accelerator.gradient_accumulation_steps
        if role == "spare":
            return spare()
        return Idle() if role == "idle" else simple[role]


@dataclass(frozen=True)
class Style:
    """One way to call a step.

    ``roles``: (argument's name, what it is), or () for the five in order; ``held``: the same of the attributes of the
    object whose method it is; ``single``: whether a call takes one micro-batch and no list; ``kind`` of a micro-batch:
    "tuple" of ``width`` entries, "inputs" alone, "mapping" with these ``keys``, "nested" ((x, mask), y), or "labelled"
    (mapping, y); ``pairs``: which of the five are pairs; ``answer`` of the model: "scores", "fields" with ``loss`` and
    ``logits``, "loss" alone, or two of these as "scores, loss" or "loss, scores"; ``method``: of the model, that
    computes the loss.
    """

    roles: tuple[tuple[str, str], ...] = ()
    scaler: str | None = None
    held: tuple[tuple[str, str], ...] = ()
    single: bool = False
    kind: str = "tuple"
    width: int = 2
    keys: tuple[str, ...] = ("x", "y")
    pairs: tuple[str, ...] = ()
    answer: str = "scores"
    method: str = ""

    def has(self, role: str) -> bool:
        return any(r == role for _, r in (*self.roles, *self.held))

    @property
    def told_threshold(self) -> bool:
        return not (self.roles or self.held) or self.has("max_norm") or self.has("options")

    def count(self, role: str) -> int:
        """How many networks or optimisers the step takes, 1 or 2."""
        return 2 if role in self.pairs or [r for _, r in (*self.roles, *self.held)].count(role) == 2 else 1

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

    def arguments(self, supplies: Supplies, samples: list[Tensor]) -> tuple[list, dict[str, Any]]:
        """Of one call, on micro-batches with these samples."""
        extra = {self.scaler: supplies.scaler} if self.scaler else {}
        batches = Batches(self.batch(x) for x in samples)
        networks, optimizers = supplies.networks, supplies.optimizers
        if not self.roles and not self.held:
            first = [tuple(found) if len(found) == 2 else found[0] for found in (networks, optimizers)]
            return [*first, supplies.loss_fn, batches, supplies.max_norm], extra
        own = {"batches": batches[0] if self.single else batches, "inputs": samples[0]}
        own |= {"labels": samples[0].new_zeros(len(samples[0])), "mask": samples[0].new_ones(len(samples[0]))}
        several = {"network": iter(networks * 2), "optimizer": iter(optimizers * 2)}
        named = {}
        for name, role in self.roles:
            if role in several:
                named[name] = next(several[role])
            else:
                named[name] = own[role] if role in own else supplies.of(role, networks[0].spare)
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
    by_name = tuple((p.name, role_of(p.name)) for p in needed)
    kinds = [role for _, role in by_name]
    found = []
    offered = {"options", "accelerator", "idle", "spare", "inputs", "labels", "mask", "number"} & set(kinds)
    if any(p.kind is p.VAR_POSITIONAL for p in rest) or (len(placed) >= 5 >= len(needed) and not offered):
        between = scaler in names[:5] and all(p.kind is p.POSITIONAL_OR_KEYWORD for p in placed[:5])
        roles = tuple(zip([p.name for p in placed], _USUAL, strict=False)) if between else ()
        found.append(Style(roles, scaler))
    held = tuple((name, role) for name, role in held_roles(function) if role not in kinds)
    kinds += [role for _, role in held]
    if {"network", "optimizer"} <= set(kinds) and max(kinds.count("network"), kinds.count("optimizer")) <= 2:
        found.append(Style(by_name, scaler, held))
    return found or [Style((), scaler)]


def role_of(name: str) -> str:
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
    if (method := re.match(r"'Network' object has no attribute '(\w+)'", text)) and not style.method:
        return [replace(style, method=method[1])]
    found = []
    if re.match(r"'Tensor' object has no attribute '\w+'", text) and style.answer == "scores":
        found.append(replace(style, answer="fields"))
    if "too many values to unpack (expected 2)" in text and style.answer == "scores":
        found.append(replace(style, answer="scores, loss"))
        if style.kind == "tuple":
            found.append(replace(style, kind="nested"))
    if "implicitly created only for scalar outputs" in text:
        other = {"scores, loss": "loss, scores", "scores": "loss"}.get(style.answer)
        found += [replace(style, answer=other)] if other else []
    return found


def find_style(function: Callable, attempt: Callable[[Style], Exception | None]) -> Style:
    """The first style in which the step runs.

    Raises:
        ValueError: in none.
    """
    first, tried, told, queue = None, [], [], collections.deque(_all(function))
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
        told.append(f"{type(error).__name__}: {error}".splitlines()[0])
        queue.extendleft(reversed(_changed(style, error)))
    raise _refusal(function, told) from first


def _all(function: Callable) -> Iterator[Style]:
    """A list of micro-batches first, unless the argument's name is of one; only one where the inputs come alone."""
    for style in styles(function):
        named = [name.lower() for name, role in style.roles if role == "batches"]
        orders = (True, False) if any(re.search("batch$", name) for name in named) else (False, True)
        orders = (True,) if style.has("inputs") or style.has("labels") else orders if named else (False,)
        for single in orders:
            for kind in ("tuple", "inputs", "mapping"):
                yield replace(style, kind=kind, single=single)


_NETWORK = re.compile(r"model|net|critic|gen|disc|actor|policy|coder")
_GIVEN = {"network": "model", "optimizer": "optimizer", "loss_fn": "loss_fn", "batches": "batches"}
_GIVEN |= {"max_norm": "max_norm", "count": "len(batches)", "device": '"cpu"', "number": "0"}


def _refusal(function: Callable, told: list[str]) -> CannotCall:
    name = getattr(function, "__name__", "mine")
    name = name if name.isidentifier() else "mine"
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    known = {n: _GIVEN.get(role_of(n), "...") for n in needed}
    networks = [n for n, value in known.items() if value == "model"]
    for n in networks:  # any name may be one, but only some say so
        known[n] = "model" if len(networks) == 1 and _NETWORK.search(n.lower()) else "..."
    lacking = [n for n, value in known.items() if value == "..."]
    head = "  def step(model, optimizer, loss_fn, batches, max_norm):"
    call = call_in_lines("return ", name, [f"{n}={value}" for n, value in known.items()], "      ")
    if lacking:
        text = f"Check this in its place, and fill in {', '.join(lacking)}:\n{head}\n{call}"
    elif {"model", "optimizer"} <= set(known.values()):
        text = "Run it by itself first: what was tried is a linear model, and batches of (x, y), of x, or dictionaries."
    else:
        text = f"Check a function that is given its model and its optimiser, and does what it does:\n{head}"
    return CannotCall(text, text, attempts(told))
