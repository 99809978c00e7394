"""Finding the kind of batch, of critic and of call that a function takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from .probes import BATCHES, SHAPES, CannotCall, Subject
from .report import short

_UNPACKS = re.compile(
    r"unpack|indices|not enough values|KeyError|IndexError|no attribute|not subscriptable|iterate|iterable|str"
)
_TYPES = re.compile(r"Float|Double|Half|dtype|float")
_GRAPH = re.compile(r"require grad|does not have a grad_fn|requires_grad")
_LONGEST = 100  # calls until a lazy penalty answers


def _attempts(
    functions: list[Callable], shape: tuple[int, ...] | None, size: int | None, pack: int | None, told: list[str]
) -> Iterator[Subject]:
    """Kinds of batches to try, those that what was raised so far speaks for last and only then."""
    sizes, shapes = (size,) if size else BATCHES, (tuple(shape),) if shape else SHAPES
    plain = [(f, n, s) for f in functions for n in sizes for s in shapes]
    if pack:
        yield from (
            Subject(f, (pack, 5), size=n, packed=True, carried=c)
            for f in functions
            for n in (6,)
            for c in (False, True)
        )
    types = [torch.float64]
    for function, n, s in plain:
        yield from (Subject(function, s, answer=a, size=n) for a in ("column", "flat"))
    if any(_TYPES.search(text) for text in told):
        types += [torch.float32, torch.float16]
        for dtype in types[1:]:
            yield from (Subject(f, s, dtype, a, n) for f, n, s in plain for a in ("column", "flat"))
    if any(_UNPACKS.search(text) for text in told):
        answers = ("pair", "triple", "list", "dictionary")
        yield from (
            Subject(f, s, t, a, n, c) for c in (False, True) for a in answers for t in types for f, n, s in plain
        )
    if any(_GRAPH.search(text) for text in told):
        yield from (Subject(f, s, t, a, n, True) for t in types for f, n, s in plain for a in ("column", "flat"))
    if size is None:  # the number that is written in stands in the message
        known = {*BATCHES, *(length for s in shapes for length in s), 0, 1}
        numbers = {int(number) for text in told for number in re.findall(r"(?<![\w.])\d{1,4}(?![\w.])", text)} - known
        for n in sorted(number for number in numbers if number <= 1024)[:8]:
            for c in (False, True):
                yield from (
                    Subject(f, s, torch.float64, a, n, c, only=True)
                    for f, _, s in plain[: len(shapes)]
                    for a in ("column", "flat")
                )
    for k in (2, 3, 4, 8, 10):  # a critic that takes several samples for one
        if size is None or size % k == 0:
            for c in (False, True):
                yield from (
                    Subject(f, (k, *s), size=size // k if size else 6, packed=True, carried=c)
                    for f in functions
                    for s in shapes[:2]
                )


def find_subject(
    functions: list[Callable], shape: tuple[int, ...] | None, size: int | None, pack: int | None = None
) -> tuple[Subject, dict[tuple[int, ...], str]]:
    """The first kind of batch that one of the functions takes, and what was raised on the shapes before.

    Raises:
        CannotCall: none of them takes any.
    """
    told: list[str] = []
    refused: dict[tuple[int, ...], str] = {}
    for subject in _attempts(functions, shape, size, pack, told):
        try:
            subject = _answering(subject)
        except Exception as error:  # anything may come out of foreign code
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            refused.setdefault(subject.shape, text)
            told.append(text)
            continue
        subject = replace(_of_pairs(subject), only=subject.only or size is not None)
        refused.pop(subject.shape, None)  # it was the kind of output or number that it refused, not the shape
        return subject, {} if subject.packed else refused
    raise CannotCall(_refusal(told, shape, size))


def _answering(subject: Subject) -> Subject:
    """The subject, with the number of calls after which a lazy penalty answers."""
    try:
        first = subject.call(curve=1.0)
    except TypeError as error:
        if "NoneType" not in str(error) or replace(subject, every=_LONGEST).call().layout is None:
            raise
        return replace(subject, every=_LONGEST)
    for _ in range(2):  # two in a row: the first may be its turn
        if subject.call(curve=1.0).layout is None or first.layout is None:
            lazy = replace(subject, every=_LONGEST)
            return lazy if lazy.call(curve=1.0).layout is not None else subject
    return subject


def _of_pairs(subject: Subject) -> Subject:
    """Where ``critic(x)[0]`` takes the first sample's score: the critic answers with a pair, as it was meant."""
    call = subject.call(curve=1.0)
    if (
        call.layout is None
        or not call.layout.recorded
        or len(call.points) < 2
        or subject.answer not in ("column", "flat")
    ):
        return subject
    moved = call.layout.gradients.detach().flatten(1).abs().sum(1) > 0
    for chosen in (0, -1):
        if moved[chosen] and moved.sum() == 1:
            try:
                other = replace(subject, answer="pair")
                if (other.call(curve=1.0).layout.gradients.detach().flatten(1).abs().sum(1) > 0).all():
                    return other
            except Exception:
                return subject
    return subject


def _refusal(told: list[str], shape: tuple[int, ...] | None, size: int | None) -> str:
    sizes, shapes = (size,) if size else BATCHES, (tuple(shape),) if shape else SHAPES
    text = " ".join(told)
    hint = "Pass shape= for samples of another shape, batch_size= for another number of them"
    hint += ", or adapt= a function (critic, real, fake) -> penalty. "
    if "cuda" in text.lower():
        hint = f"It asks for a GPU by itself; x.to(real.device) works everywhere. {hint}"
    elif "'Critic' object" in text:
        hint = f"It wants scores where it was given a critic: adapt= can compute them and hand them over. {hint}"
    elif any(_UNPACKS.search(t) for t in told):
        hint += "It may expect a critic that answers with something else than one score a sample. "
    kinds = list(dict.fromkeys(short(t) for t in told))
    raised = "; ".join(kinds[:3]) + (f"; and {len(kinds) - 3} more" if len(kinds) > 3 else "")
    listed = " or ".join("(N, " + ", ".join(map(str, s)) + ")" for s in shapes)
    return (
        f"{hint}The function could not be called with a critic and two batches of {' or '.join(map(str, sizes))} "
        f"samples, in the shapes {listed}. It raised {raised}"
    )
