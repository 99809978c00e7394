"""How a function written elsewhere wants to be called: its arguments, recognised by their names."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .refusals import CannotTell, call_in_lines
from .report import WIDTH

# Whole names, lower case and without underscores.
_NAMES = {
    "critic": "d disc dis netd dnet net model modeld network crit",
    "real": "data images samples batch inputs imgs ytrue x0 expert",
    "fake": "generated gen synthetic xg xtilde ypred policy",
    "weight": "weight lam lamb lambda lmbda lambd gpweight gplambda lambdagp lambdaterm lmda coeff coef gpcoef gpcoeff "
    "gamma penaltyweight lambdapenalty lamgp lambdacoeff gplam r1gamma lambdaval regparam gpscale",
    "device": "device dev",
    "cuda": "cuda usecuda gpu usegpu iscuda",
    "size": "batchsize bs nbatch bsz",
    "scores": "critics validity output outputs out dout y dx",
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names.split()}
_CORE = ("critic", "real", "fake")
# Parts of names, in this order: scores are computed with the critic, the rest needs a stand-in.
_PARTS = (
    ("scores", r"pred|logit|score|validity|(?<![a-z])out|^d(isc)?(hat|inter)|^critic(hat|inter)"),
    ("condition", r"label|cond|class|attr|mask|length|^c$|^cls$|^(real|fake|gen)[cy]$|^[cy](real|fake|gen)$"),
    ("count", r"epoch|iter|step|stage|depth|level|^i$|^t$"),
    ("mix", r"alpha|eps"),
    ("unknown", r"optim|loss|netg|generator|^z$|config|^opts?$|^args$|^cfg$|hparams"),
    ("real", r"real|^(expert|demo)\w"),
    ("fake", r"fake|generated|synth|^gen|^(policy|agent|learner)(s|a|states?|next\w*|obs\w*|act\w*|data|batch)$"),
    ("unknown", r"prob|noise"),
    ("condition", r"emb|text|caption|^sents?$|sentence|^words?$"),
    ("critic", r"critic|discriminator"),
)


def role(name: str) -> str | None:
    """What an argument of this name stands for, or None where the name does not tell."""
    plain = name.lower().replace("_", "")
    if plain in _ROLES:
        return _ROLES[plain]
    return next((answer for answer, words in _PARTS if re.search(words, plain)), None)


def chosen_by_caller(given: dict[str, str]) -> str:
    """Whether the caller chooses the points: "between" where their name says so, "perhaps" where it says nothing.

    A name that says nothing comes with scores, as in ``(scores, x)``: the caller has made both.
    """
    held = [name.lower().replace("_", "") for name, r in given.items() if r in ("real", "fake")]
    if len(held) != 1:
        return ""
    if re.search("inter|hat|mix", held[0]):
        return "between"
    scored = "scores" in given.values() and "critic" not in given.values()
    return "perhaps" if scored and not re.search("real|fake|gen|data|ima?g", held[0]) else ""


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
    scored = "scores" in found.values() and "critic" not in found.values()
    # Names that do not tell, such as (f, x, y), are read by their place, in the commonest order: critic, real, fake.
    plain = [name for name in needed if found[name] is None or (found[name] == "scores" and name == "y" and not scored)]
    if scored and len(needed) > 2 and found.get("y") == "scores":  # (f, x, y), not (y, x)
        plain, scored = [n for n in needed if found[n] is None or n == "y"], False
    free = [r for r in _CORE if r not in found.values() and not (r == "critic" and scored)]
    for name in plain:
        if free:
            found[name] = free.pop(0)
    core = [r for r in found.values() if r in _CORE]
    unclear = [name for name, answer in found.items() if answer in (None, "unknown")]
    enough = ("critic" in core or "scores" in found.values()) and {"real", "fake"} & set(core)
    if unclear or not (len(core) == len(set(core)) or in_parts(core)) or not enough:
        raise _refusal(function, found, core, unclear)
    for p in parameters:
        answer = role(p.name)
        if p.name not in found and answer in ("device", "cuda", "weight", "real", "fake") and answer not in core:
            found[p.name] = answer
    return found


def in_parts(core: list[str]) -> bool:
    """Whether samples come in several parts, as states and actions do: as many real ones as fake ones."""
    return core.count("real") == core.count("fake") > 1 >= core.count("critic")


def parts_of(given: dict[str, str], real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """For samples in parts, what each of these arguments gets of them; nothing for whole ones."""
    found = {}
    for samples, r in ((real, "real"), (fake, "fake")):
        names = [name for name, answer in given.items() if answer == r]
        if len(names) > 1:
            found |= dict(zip(names, samples.tensor_split(len(names), dim=1), strict=True))
    return found


def _refusal(function: Callable, found: dict[str, str | None], core: list[str], unclear: list[str]) -> CannotTell:
    name = getattr(function, "__name__", "mine")
    name = name if name.isidentifier() else "mine"
    doubled = [n for n, answer in found.items() if core.count(answer) > 1]
    given = {"critic": "critic", "real": "real", "fake": "fake", "device": '"cpu"', "cuda": "False", "weight": "1.0"}
    given |= {"size": "len(real)", "scores": "critic(real)", "count": "0"}
    told = {n: "..." if n in unclear or n in doubled else given.get(answer, "...") for n, answer in found.items()}
    listed = [f"{n}={value}" for n, value in told.items()]
    if unclear:
        why = f"Its names do not tell what to give for {', '.join(unclear)}."
    elif doubled:
        why = f"{' and '.join(doubled)} stand for the same thing."
    elif "critic" not in core and inspect.ismethod(function):
        why = "Its critic is an attribute of its object: set it before the call."
    elif "critic" not in core:
        why = "It takes no critic, and none is an attribute of its object."
    else:
        why = "A critic, real and fake samples were looked for among its arguments."
    lacking = [n for n, value in told.items() if value == "..."]
    fill = f", and fill in {', '.join(lacking)}" if lacking else ""
    python = f"Pass adapt={fill}:\n{call_in_lines('lambda critic, real, fake: ', name, listed)}"
    wrapped = call_in_lines("return ", name, listed, "      ")
    command = f"Check this in its place{fill}:\n  def adapted(critic, real, fake):\n{wrapped}"
    return CannotTell(python, command, why)


def stand_in(role: str, name: str, real: Tensor, attempt: int) -> Any:
    """What is given for a condition, a counter or a factor that is drawn outside."""
    if role == "count":
        return 0
    if role == "mix":
        if attempt:
            return 0.5
        drawn = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        drawn.stands_in = True  # so that nobody is asked why it is drawn at every call
        return drawn
    if "mask" in name.lower():  # nothing is masked
        return torch.ones_like(real) if attempt == 0 else torch.ones_like(real[:, :1])
    if attempt == 0:
        return torch.zeros(len(real), dtype=torch.long, device=real.device)
    return torch.zeros(len(real), 3, dtype=real.dtype, device=real.device)


def adapt(function: Callable, weight: float | None = None, *, critic_as: str = "", attempt: int = 0) -> Callable:
    """The function as ``(critic, real, fake) -> penalty``; ``weight`` is passed on where it takes one.

    A weight that must be given is 1 unless told otherwise; one with a default keeps it. What is named a critic gets
    the real samples' scores where ``critic_as`` is "scores", and a list of one critic where it is "list".
    ``attempt`` chooses among the stand-ins for other arguments.
    """
    parameters = signature(function)
    if parameters is None:
        return function
    given = roles(function)

    def call(critic, real, fake):
        wanted = {"scores": {"critic": "scores"}, "list": {"critic": "list", "scores": "list"}}.get(critic_as, {})
        asked = {name: wanted.get(r, r) for name, r in given.items()}
        if "scores" in asked.values():  # of the very tensors that are handed over
            real, fake = (x.detach().requires_grad_() for x in (real, fake))
        values = {"critic": critic, "real": real, "fake": fake, "device": real.device, "cuda": False}
        values |= {"size": len(real), "weight": 1.0 if weight is None else weight, "list": [critic]}
        if between := chosen_by_caller(asked) == "between":
            eps = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
            points = (eps * real + (1 - eps) * fake).detach().requires_grad_()
            values |= {"real": points, "fake": points}

        parts = parts_of(asked, real, fake)

        def value(name: str) -> Any:
            r = asked[name]
            if name in parts:
                return parts[name]
            if r == "scores" and between:
                return critic(points)
            if r == "scores":
                generated = re.search("fake|gen", name.lower()) or "real" not in asked.values()
                return critic(fake if generated else real)
            return values[r] if r in values else stand_in(r, name, real, attempt)

        arguments, named = [], {}
        for p in parameters:
            kept = p.name not in given or (given[p.name] == "weight" and weight is None and p.default is not p.empty)
            if kept:
                continue
            if p.kind is p.POSITIONAL_ONLY:
                arguments.append(value(p.name))
            else:
                named[p.name] = value(p.name)
        return function(*arguments, **named)

    return call


def points_of_caller(function: Callable) -> str:
    """:func:`chosen_by_caller` of a function."""
    try:
        return chosen_by_caller(roles(function)) if signature(function) is not None else ""
    except TypeError:
        return ""


def takes_vectors(function: Callable) -> bool:
    """Whether the names of its arguments are those of samples that are vectors: observations, features, latents."""
    names = [p.name.lower() for p in signature(function) or []]
    return any(re.search(r"(^|_)(obs|states?|actions?|transitions?|latents?|features?|h|z)(_|\d|$)", n) for n in names)


def described(function: Callable) -> str:
    """How it was called, for a reader whose names were read otherwise than they were meant."""
    try:
        given = roles(function) if signature(function) is not None else {}
    except TypeError:
        return ""
    read = [f"{name} as the {role}" for name, role in given.items() if name != role]
    return textwrap.fill(f"It was called with {', '.join(read)}.", WIDTH) if read else ""


def weight_argument(function: Callable) -> str | None:
    """The name of the function's weight, where it takes one."""
    try:
        given = roles(function) if signature(function) is not None else {}
    except TypeError:
        return None
    return next((name for name, answer in given.items() if answer == "weight"), None)
