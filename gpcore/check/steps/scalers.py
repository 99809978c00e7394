"""What a step reaches without being given it; among that its GradScalers, and a loss scale of one's choice for them."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch

_DEPTH = 5  # a callable object: its type, __call__, a global, an attribute, the scaler
_THINGS = 1000  # so that a step which holds a whole data set is searched in no time


def names_in(code: types.CodeType) -> Iterator[str]:
    """The global names and attributes in a function's code, and in the code of functions defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # a function defined inside
            yield from names_in(constant)


def filled(cell: types.CellType) -> list[Any]:
    """What a name of an outer function stands for, or nothing."""
    try:
        return [cell.cell_contents]
    except ValueError:  # a name that has no value yet
        return []


def _reached(thing: Any) -> list[Any]:
    if isinstance(thing, types.FunctionType):
        known = thing.__globals__
        held = [known[name] for name in names_in(thing.__code__) if name in known]
        held += [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values(), *vars(thing).values()]
        return held + [part for cell in thing.__closure__ or () for part in filled(cell)]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, (list, tuple)):
        return list(thing)
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (staticmethod, classmethod)):
        return [thing.__func__]
    own = getattr(thing, "__dict__", {})
    return [*own.values(), *([] if isinstance(thing, type) else [type(thing)])]


def things_held(function: Callable) -> Iterator[Any]:
    """The function, its globals, closures, defaults and attributes, and those of what it calls; torch's unopened."""
    known, queue = set(), [(function, 0)]
    while queue and len(known) < _THINGS:
        thing, depth = queue.pop(0)
        if id(thing) in known or isinstance(thing, types.ModuleType):
            continue
        known.add(id(thing))
        yield thing
        home = str(getattr(thing, "__module__", "")).split(".")[0]
        if depth < _DEPTH and home != "torch":
            queue += [(part, depth + 1) for part in _reached(thing)]


def held_scalers(function: Callable) -> tuple[torch.amp.GradScaler, ...]:
    """The scalers among what the function reaches."""
    return tuple(thing for thing in things_held(function) if isinstance(thing, torch.amp.GradScaler))


@contextlib.contextmanager
def at_scale(scalers: tuple[torch.amp.GradScaler, ...], scale: float) -> Iterator[None]:
    """Give the scalers this loss scale, and leave them afterwards as they were found."""
    states = [scaler.state_dict() for scaler in scalers]
    for scaler, state in zip(scalers, states, strict=True):
        scaler.load_state_dict({**state, "scale": scale, "_growth_tracker": 0})
    try:
        yield
    finally:
        for scaler, state in zip(scalers, states, strict=True):
            # A step that an error cut short leaves its optimiser behind: update forgets it. Without a use there is
            # nothing to forget, and update refuses.
            with contextlib.suppress(AssertionError):
                scaler.update(1.0)
            scaler.load_state_dict(state)
