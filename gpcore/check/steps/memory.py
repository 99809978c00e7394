"""What a step keeps from call to call, and how to put it back: every probe starts from the state the reader left."""

from __future__ import annotations

import collections
import copy
import random
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .scalers import filled, names_in, things_held

_BYTES = 50_000_000  # of tensors and arrays that are copied; a data set is not changed by a step
_ENTRIES = 1000  # of a dictionary in which new numbers are looked for


class Memory:
    """A copy of what a function's calls may change in the objects it holds: counters, lists, tensors, generators."""

    def __init__(self, function: Callable):
        self._room = _BYTES
        self._looks: list[Callable[[], Any]] = []
        self._undo = [undo for thing in things_held(function) for undo in self._ways_back(thing)]

    def put_back(self) -> None:
        for undo in self._undo:
            undo()

    def changed(self) -> dict[str, Any]:
        """What is new since: names, attributes and entries with another value, the last entry of a list that grew."""
        return {f"held {i}": look() for i, look in enumerate(self._looks)}

    def _ways_back(self, thing: Any) -> Iterator[Callable[[], None]]:
        """Functions that put back what of this very object may have changed."""
        if isinstance(thing, types.FunctionType):
            for cell in thing.__closure__ or ():
                yield _cell(cell)
            self._looks.append(_new_cells(thing.__closure__ or ()))
            known = thing.__globals__
            names = {name: known[name] for name in names_in(thing.__code__) if name in known}
            self._looks.append(_new_entries(known, names))
            yield lambda: known.update({name: v for name, v in names.items() if known.get(name) is not v})
        if isinstance(thing, type):
            if thing.__module__.split(".")[0] not in ("builtins", "torch", "numpy", "collections"):
                yield _attributes(thing)
        elif isinstance(thing, (Tensor, np.ndarray)):
            size = thing.numel() * thing.element_size() if isinstance(thing, Tensor) else thing.nbytes
            if size <= self._room:
                self._room -= size
                yield _tensor(thing) if isinstance(thing, Tensor) else _array(thing)
        elif isinstance(thing, torch.Generator):
            yield _state(thing.get_state(), thing.set_state)
        elif isinstance(thing, random.Random):
            yield _state(thing.getstate(), thing.setstate)
        elif isinstance(thing, np.random.Generator):
            yield _state(copy.deepcopy(thing.bit_generator.state), lambda s: setattr(thing.bit_generator, "state", s))
        elif isinstance(thing, torch.nn.Module):
            for tensor in (*thing.parameters(), *thing.buffers()):
                yield from self._ways_back(tensor)
            yield _contents(vars(thing))
        elif isinstance(thing, torch.optim.Optimizer):
            yield _state(copy.deepcopy(thing.state_dict()), thing.load_state_dict)
        elif isinstance(thing, (dict, list, set, collections.deque)):
            yield _contents(thing)
            self._looks.append(_new_entries(thing) if isinstance(thing, dict) else _new_last(thing))
        elif hasattr(thing, "__dict__") and not isinstance(thing, torch.amp.GradScaler):  # which at_scale looks after
            yield _contents(vars(thing))
            self._looks.append(_new_entries(vars(thing)))


def _new_entries(thing: dict, names: Iterable | None = None) -> Callable[[], dict]:
    """Looks for entries, or for those of these names, that are new or have another value."""
    held = {name: thing[name] for name in (thing if names is None else names)}

    def look() -> dict:
        looked = list(thing if names is None else held)
        return {name: thing[name] for name in looked if name not in held or thing.get(name) is not held[name]}

    return look if len(held) <= _ENTRIES else dict


def _new_last(thing: Any) -> Callable[[], Any]:
    """Looks for a last entry that was not there."""
    if isinstance(thing, set):
        return dict
    length, last = len(thing), thing[-1] if thing else None
    return lambda: thing[-1] if thing and (len(thing) > length or thing[-1] is not last) else None


def _new_cells(cells: tuple[types.CellType, ...]) -> Callable[[], dict]:
    """Looks for names of an outer function that have another value."""
    held = [filled(cell) for cell in cells]
    return lambda: {i: v for i, c in enumerate(cells) for v in filled(c) if not (held[i] and v is held[i][0])}


def _state(state: Any, restore: Callable[[Any], Any]) -> Callable[[], None]:
    return lambda: restore(copy.deepcopy(state))


def _cell(cell: types.CellType) -> Callable[[], None]:
    try:
        held = cell.cell_contents
    except ValueError:  # a name without a value
        return lambda: None

    def undo() -> None:
        cell.cell_contents = held

    return undo


def _contents(thing: Any) -> Callable[[], None]:
    pairs = isinstance(thing, dict)
    held = list(thing.items()) if pairs else list(thing)

    def undo() -> None:
        now = list(thing.items()) if pairs else list(thing)
        same = len(now) == len(held) and all(
            a[0] is b[0] and a[1] is b[1] if pairs else a is b for a, b in zip(now, held, strict=True)
        )
        if not same:
            thing.clear()
            thing.update(held) if isinstance(thing, (dict, set)) else thing.extend(held)

    return undo


def _attributes(kind: type) -> Callable[[], None]:
    held = {name: value for name, value in vars(kind).items() if not name.startswith("__") and not callable(value)}

    def undo() -> None:
        for name, value in held.items():
            if vars(kind).get(name) is not value:
                setattr(kind, name, value)

    return undo


def _tensor(tensor: Tensor) -> Callable[[], None]:
    held, leaf = tensor.detach().clone(), tensor.is_leaf
    gradient = tensor.grad if leaf else None
    kept = None if gradient is None else gradient.clone()

    def undo() -> None:
        with torch.no_grad():
            if not torch.equal(tensor, held):
                tensor.copy_(held)
            if leaf:
                tensor.grad = gradient
            if kept is not None:
                gradient.copy_(kept)

    return undo


def _array(array: np.ndarray) -> Callable[[], None]:
    held = array.copy()

    def undo() -> None:
        if array.flags.writeable:
            array[...] = held

    return undo
