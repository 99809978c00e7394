"""How a function written elsewhere wants to be called: its arguments, told by their names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from torch import nn

# Whole names, lower case and without underscores.
_NAMES = {
    "critic": "d disc dis netd dnet net model modeld network crit",
    "real": "data images samples batch inputs imgs",
    "fake": "generated gen synthetic xg xtilde",
    "weight": "weight lam lamb lambda lmbda lambd gpweight gplambda lambdagp lambdaterm lmda coeff coef gpcoef gpcoeff "
    "gamma penaltyweight lambdapenalty lamgp lambdacoeff gplam r1gamma lambdaval regparam gpscale",
    "device": "device dev",
    "cuda": "cuda usecuda gpu usegpu iscuda",
    "size": "batchsize bs nbatch bsz",
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names.split()}
_CORE = ("critic", "real", "fake")
# Arguments that no crafted batch can stand for.
_OTHER = re.compile(
    r"pred|logit|score|prob|(?<![a-z])out|epoch|iter|step|label|cond|noise|mask|optim|loss|netg|generator|embed|text"
    r"|alpha|eps|^z$|^i$|^t$"
)


def role(name: str) -> str | None:
    """What an argument of this name stands for, or None where the name does not tell."""
    plain = name.lower().replace("_", "")
    if plain in _ROLES:
        return _ROLES[plain]
    if _OTHER.search(plain):
        return None
    for words, answer in (("real", "real"), ("fake|generated|synth|^gen", "fake"), ("critic|discriminator", "critic")):
        if re.search(words, plain):
            return answer
    return None


def signature(function: Callable) -> list[inspect.Parameter] | None:
    """The function's named parameters; None where there are none to read, or where it takes ``*args``."""
    target = function.forward if isinstance(function, nn.Module) else function
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # built in C: no signature to read
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p for p in parameters if p.kind is not p.VAR_KEYWORD]


def roles(function: Callable) -> dict[str, str]:
    """Parameter name -> role: of all that must be given, and of those optional ones whose name tells.

    Raises:
        TypeError: an argument that must be given and whose meaning its name and place do not tell.
    """
    parameters = signature(function) or []
    needed = [p.name for p in parameters if p.default is p.empty]
    found = {name: role(name) for name in needed}
    # Names that do not tell, such as (f, x, y), are read by their place, in the commonest order: critic, real, fake.
    free = [r for r in _CORE if r not in found.values()]
    for name in needed:
        if found[name] is None and free and not _OTHER.search(name.lower().replace("_", "")):
            found[name] = free.pop(0)
    core = [r for r in found.values() if r in _CORE]
    unclear = [name for name, answer in found.items() if answer is None]
    if unclear or len(core) != len(set(core)) or "critic" not in core or len(core) < 2:
        why = f"; {', '.join(unclear)} could not be told" if unclear else ""
        if "critic" not in core and len(core) == 2 and inspect.ismethod(function):
            why += "; its critic is an attribute of the object, which adapt= can set before it calls"
        elif "critic" not in core and not unclear and len(core) == 2:
            why += "; it takes no critic"
        raise TypeError(
            f"the function must be given ({', '.join(needed) or 'nothing'}), where a critic, real and fake samples "
            f"were looked for{why}. Pass adapt=, a function (critic, real, fake) -> penalty: "
            "check(mine, adapt=lambda critic, real, fake: mine(...))"
        )
    for p in parameters:
        answer = role(p.name)
        if p.name not in found and answer in ("device", "cuda", "weight", "real", "fake") and answer not in core:
            found[p.name] = answer
    return found


def adapt(function: Callable, weight: float | None = None) -> Callable[..., Any]:
    """The function as ``(critic, real, fake) -> penalty``; ``weight`` is passed on where it takes one.

    A weight that must be given is 1 unless told otherwise; one with a default keeps it.
    """
    parameters = signature(function)
    if parameters is None:
        return function
    given = roles(function)

    def call(critic, real, fake):
        values = {"critic": critic, "real": real, "fake": fake, "device": real.device, "cuda": False}
        values |= {"size": len(real), "weight": 1.0 if weight is None else weight}
        arguments, named = [], {}
        for p in parameters:
            kept = p.name not in given or (given[p.name] == "weight" and weight is None and p.default is not p.empty)
            if kept:
                continue
            if p.kind is p.POSITIONAL_ONLY:
                arguments.append(values[given[p.name]])
            else:
                named[p.name] = values[given[p.name]]
        return function(*arguments, **named)

    return call


def described(function: Callable) -> str:
    """How it was called, for a reader whose names were read otherwise than they were meant."""
    if signature(function) is None:
        return ""
    return f". It was called with {', '.join(f'{name} as the {role}' for name, role in roles(function).items())}"


def weight_argument(function: Callable) -> str | None:
    """The name of the function's weight, where it takes one."""
    if signature(function) is None:
        return None
    return next((name for name, answer in roles(function).items() if answer == "weight"), None)
