"""What a function's code, and the numbers that it is given, say of it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .calling import signature


def code_of(function: Callable) -> Any:
    """The code that runs when the function is called, or None."""
    function = inspect.unwrap(function)
    function = getattr(function, "func", function)  # of functools.partial
    target = getattr(function, "__func__", function)
    if not hasattr(target, "__code__"):
        target = getattr(type(target), "forward" if isinstance(target, nn.Module) else "__call__", None)
    return getattr(target, "__code__", None)


def packs(function: Callable) -> int | None:
    """How many samples its critic takes for one, where an argument says so."""
    for p in signature(function) or []:
        if re.fullmatch(r"pac|pack|packs|packing|pac_?size|pack_?size|n_?pack", p.name) and isinstance(p.default, int):
            return p.default if p.default > 1 else None
    return None


def written_in(function: Callable) -> tuple[int, ...]:
    """Whole numbers in the function's code and among the globals that it names: a batch size may be among them."""
    code, target = code_of(function), inspect.unwrap(getattr(function, "__func__", function))
    if code is None:
        return ()
    space = getattr(target, "__globals__", {})
    found = [*code.co_consts, *(space.get(name) for name in code.co_names)]
    return tuple(dict.fromkeys(n for n in found if type(n) is int and 2 < n <= 512))


def literals(function: Callable) -> frozenset[float]:
    """Numbers that stand in the function's formula; 0, 1 and 2 stand in every one."""

    def within(code: Any) -> Iterator[float]:
        for constant in code.co_consts:
            if isinstance(constant, (int, float)) and not isinstance(constant, bool):
                yield float(constant)
            elif hasattr(constant, "co_consts"):
                yield from within(constant)

    code = code_of(function)
    return frozenset(within(code) if code else ()) - {0.0, 1.0, 2.0}


@contextmanager
def named_numbers(function: Callable):
    """Fills a dictionary with the numbers that the function is given by name while it runs: arguments, attributes."""
    code, found = code_of(function), {}

    def look(name: str, value: Any, deeper: bool) -> None:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found.setdefault(name, float(value))
        elif isinstance(value, Tensor):
            if value.numel() == 1 and not value.requires_grad and not value.is_meta:
                found.setdefault(name, float(value))
        elif deeper:
            inside = dict(value) if isinstance(value, dict) else dict(getattr(value, "__dict__", {}))
            inside |= inside.get("_buffers", {}) if isinstance(value, nn.Module) else {}
            for key, entry in list(inside.items())[:200]:
                look(f"{name}.{key}", entry, False)

    def note(frame, event, argument):
        if event == "call" and frame.f_code is code:
            count = code.co_argcount + code.co_kwonlyargcount
            for name in (*code.co_varnames[:count], *code.co_freevars):
                look(name, frame.f_locals.get(name), True)
            for name in code.co_names:
                look(name, frame.f_globals.get(name), False)

    before = sys.getprofile()
    sys.setprofile(note if code else before)
    try:
        yield found
    finally:
        sys.setprofile(before)
