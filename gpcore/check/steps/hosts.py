"""A step that is a method: its object's networks, optimisers and loss are put in place by crafted ones, on a copy."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn, optim

from .offers import Idle

if TYPE_CHECKING:
    from .calling import Supplies

_LOSS = re.compile(r"loss|criterion|objective")
_IDLE = re.compile(r"sched|logger|writer|ema")
_ACCELERATOR = re.compile(r"accelerator|^fabric$")


def _host(function: Callable) -> Any:
    """The object whose bound method it is, where that is not itself the network."""
    host = getattr(function, "__self__", None)
    own = inspect.ismethod(function) and not isinstance(host, (type, nn.Module))
    return host if own and hasattr(host, "__dict__") else None


def _role(name: str, value: Any) -> str | None:
    if isinstance(value, optim.Optimizer):
        return "optimizer"
    if _ACCELERATOR.search(name):
        return "accelerator"
    if _IDLE.search(name) or isinstance(value, optim.lr_scheduler.LRScheduler):
        return "idle"
    if callable(value) and _LOSS.search(name.lower()):
        return "loss_fn"
    return "network" if isinstance(value, nn.Module) else None


def held_roles(function: Callable) -> list[tuple[str, str]]:
    """(attribute's name, what it is) of a method's object; nothing for other functions."""
    found = [(name, _role(name, value)) for name, value in getattr(_host(function), "__dict__", {}).items()]
    return [(name, role) for name, role in found if role is not None]


def bound(function: Callable, held: tuple[tuple[str, str], ...], supplies: Supplies) -> Callable:
    """The method on a shallow copy of its object that holds what is supplied; other functions as they are."""
    if not held:
        return function
    host = copy.copy(_host(function))
    several = {"network": iter(supplies.networks * 2), "optimizer": iter(supplies.optimizers * 2)}
    for name, role in held:
        if role in several:
            value = next(several[role])
        else:
            value = Idle() if role == "idle" else supplies.of(role, supplies.networks[0].spare)
        setattr(host, name, value)
    return function.__func__.__get__(host)


def new_attributes(copied: Callable, function: Callable) -> dict[str, Any]:
    """What the method has set on the copy of its object, apart from what was put there for it."""
    before = vars(_host(function))
    held = dict(held_roles(function))
    now = vars(copied.__self__)
    return {n: v for n, v in now.items() if n not in held and not (n in before and before[n] is v)}
