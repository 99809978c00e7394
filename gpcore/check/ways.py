"""Ways to call a function, tried one after another; the critic of a method is its object's, or the object itself."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from .calling import adapt, in_parts, parts_of, role, roles, signature, stand_in

_KNOWN = {"real", "fake", "device", "cuda", "size", "weight"}
_STANDS_IN = {"condition", "count", "mix"}


def candidates(function: Callable) -> list[Callable]:
    """Ways to call the function, the likeliest first.

    Raises:
        TypeError: an argument that must be given and whose meaning its name and place do not tell.
    """
    hosted = _hosted(function)
    try:
        found = roles(function) if signature(function) is not None else {}
    except TypeError:
        if not hosted:
            raise
        return hosted
    # An object that holds a critic, and no argument of that name: what comes first is a critic by its place alone.
    own = hosted and _networks(_method(function))[0] and not any(role(name) == "critic" for name in found)
    ways = [*(hosted if own else []), adapt(function)]
    if {"condition", "mix"} & set(found.values()):
        ways.append(adapt(function, attempt=1))
    if "critic" in found.values() and "fake" not in found.values():
        ways.append(adapt(function, critic_as="scores"))
    if any(answer in ("critic", "scores") and name.endswith("s") for name, answer in found.items()):
        ways.append(adapt(function, critic_as="list"))
    return ways


def _method(function: Callable) -> Any:
    """The bound method behind a method, a module or an object that is called; None for a plain function."""
    if isinstance(function, nn.Module):
        return function.forward
    if inspect.isroutine(function) or isinstance(function, (type, functools.partial)):
        return function if inspect.ismethod(function) else None
    return getattr(function, "__call__", None)  # noqa: B004  the method itself is wanted


def _names_in(code: Any) -> list[str]:
    """The names in a function's code, its inner functions' included."""
    return [*code.co_names, *(n for inner in code.co_consts if hasattr(inner, "co_names") for n in _names_in(inner))]


def _networks(method: Any) -> tuple[list[str], list[str]]:
    """The object's attributes that may be its critic: those that the method itself names, and all of them."""
    host = method.__self__
    own = [*vars(host), *vars(host).get("_modules", ())]
    found = []
    for names in (_names_in(method.__func__.__code__), own):
        held = [n for n in names if n in own and callable(getattr(host, n, None))]
        critics = [n for n in held if role(n) == "critic"]
        found.append(list(dict.fromkeys(critics or [n for n in held if isinstance(getattr(host, n), nn.Module)])))
    return found[0], found[1]


def _hosted(function: Callable) -> list[Callable]:
    """Ways to call a method whose critic is an attribute of its object, or the object itself, the likeliest first.

    Each is ``(critic, real, fake) -> penalty``. The reader's object stays as it is: a shallow copy carries the crafted
    critic.
    """
    method = _method(function)
    host = getattr(method, "__self__", None)
    if host is None or isinstance(host, type) or not hasattr(getattr(method, "__func__", None), "__code__"):
        return []
    named, held = _networks(method)
    networks = named or held
    is_network = isinstance(host, nn.Module) and method.__func__ is not type(host).forward
    if len(networks) != 1 and not is_network:
        return []
    bare = _parameters_without_critic(method)
    if bare is None:
        return []

    def call(critic, real, fake, attempt=0):
        other = copy.copy(host)
        if isinstance(other, nn.Module):
            other._modules = dict(other._modules)
        if networks:
            setattr(other, networks[0], critic)
        else:
            other.__dict__["forward"] = critic.forward
        values = {"real": real, "fake": fake, "device": real.device, "cuda": False, "size": len(real), "weight": 1.0}
        given = {n: values[r] if r in values else stand_in(r, n, real, attempt) for n, r in bare.items()}
        given |= parts_of(bare, real, fake)
        return method.__func__(other, **given)

    more = _STANDS_IN & set(bare.values())
    return [call, functools.partial(call, attempt=1)] if more else [call]


def _parameters_without_critic(method: Any) -> dict[str, str] | None:
    needed = [p.name for p in inspect.signature(method).parameters.values() if p.default is p.empty]
    found = {name: role(name) for name in needed}
    # Labels are often called y; two arguments whose names do not tell are real and fake samples, in this order.
    found = {name: "condition" if r == "scores" and name == "y" else r for name, r in found.items()}
    free = [r for r in ("real", "fake") if r not in found.values()]
    blank = (None, "unknown") if len(needed) == len(free) == 2 else (None,)
    found = {name: (free.pop(0) if free else None) if r in blank else r for name, r in found.items()}
    samples = [r for r in found.values() if r not in _STANDS_IN]
    fits = set(samples) <= _KNOWN and {"real", "fake"} & set(samples)
    return found if fits and (len(set(samples)) == len(samples) or in_parts(samples)) else None
