"""Finding the kind of batch, of critic and of call that a function takes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch

from .points import locate
from .probes import ANSWERS, BATCHES, SHAPES, Call, Subject
from .refusals import CannotCall, attempts

_UNPACKS = re.compile(
    r"unpack|indices|not enough values|KeyError|IndexError|no attribute|not subscriptable|iterate|iterable|string|"
    r"points were made of"
)
_TYPES = re.compile(r"Float|Double|Half|dtype|float")
_GRAPH = re.compile(r"require grad|does not have a grad_fn|requires_grad")
_LONGEST = 100  # calls until a lazy penalty answers
_PATIENCE = 3.0  # seconds of computing after which no more kinds are tried


@dataclass(frozen=True)
class Given:
    """What is known of a function before it is called: ways to call it, what the reader said, numbers in its code."""

    functions: list[Callable]
    shape: tuple[int, ...] | None = None
    size: int | None = None
    pack: int | None = None
    numbers: tuple[int, ...] = ()
    vectors: bool = False  # samples are vectors, by the names of its arguments
    read_as: str = ""  # what its arguments were taken for, in words

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.size,) if self.size else BATCHES

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        if self.shape:
            return (tuple(self.shape),)
        return tuple(sorted(SHAPES, key=lambda shape: self.vectors and len(shape) > 1))

    def kinds(self, types, answers=("column", "flat"), sizes=None, carried=(False,), **options) -> Iterator[Subject]:
        for c, t, n in product(carried, types, self.sizes if sizes is None else sizes):
            for s, function, a in product(self.shapes, self.functions, answers):
                yield Subject(function, s, t, a, n, c, **options)

    def packs(self, sizes: tuple[int, ...]) -> Iterator[Subject]:
        for c, k, function, s in product((False, True), sizes, self.functions, self.shapes[:2]):
            if self.size is None or self.size % k == 0:
                n = self.size // k if self.size else BATCHES[0]
                yield Subject(function, (k, *s), size=n, carried=c, packed=True)


def _asked(told: list[str]) -> list[str]:
    """Names under which the function looked for the critic in the critic: ``model.discriminator(x)``."""
    names = re.findall(r"'Critic' object has no attribute '(\w+)'", " ".join(told))
    return [name for name in dict.fromkeys(names) if not hasattr(torch.Tensor, name)]


def _attempts(given: Given, told: list[str]) -> Iterator[Subject]:
    """Kinds of batches to try; behind the plain ones, those that speak from what was raised."""

    def said(pattern: re.Pattern) -> bool:
        return any(pattern.search(text) for text in told)

    if given.pack:
        yield from given.packs((given.pack,))
    types = [torch.float64]
    for sizes in (given.sizes[:1], given.sizes[1:]):
        yield from given.kinds(types, sizes=sizes)
        if said(_TYPES):
            yield from given.kinds([torch.float32, torch.float16], sizes=sizes)
            types.append(torch.float32)
        if said(_GRAPH):
            yield from given.kinds(types, sizes=sizes, carried=(True,))
        if said(_UNPACKS):
            yield from given.kinds(types, tuple(ANSWERS), sizes=sizes, carried=(False, True))
        for name in _asked(told)[:2]:
            yield from given.kinds(types, sizes=sizes, alias=name)
    if given.size is None:  # the number that is written in stands in the message or in the code
        known = {*BATCHES, *(length for s in given.shapes for length in s), 0, 1}
        found = [int(number) for text in told for number in re.findall(r"(?<![\w.])\d{1,4}(?![\w.])", text)]
        numbers = [n for n in dict.fromkeys((*given.numbers, *found)) if n not in known and n <= 512]
        if numbers:
            yield from given.kinds(types, sizes=tuple(numbers[:6]), carried=(False, True), only=True)
    yield from given.packs((2, 3, 4, 8, 10))  # a critic that takes several samples for one


def find_subject(given: Given) -> tuple[Subject, dict[tuple[int, ...], str]]:
    """The first kind of batch that one of the functions takes, and what was raised on the shapes before.

    Raises:
        CannotCall: none of them takes any.
    """
    told: list[str] = []
    refused: dict[tuple[int, ...], str] = {}
    start = time.process_time()
    for subject in _attempts(given, told):
        try:
            subject = _answering(subject)
            points = subject.call(curve=1.0).points
            if given.shape is None and points is not None and len(points) > 5 * subject.size:
                raise ValueError(f"{len(points)} points were made of {subject.size} pairs by broadcasting")
        except Exception as error:  # anything may come out of foreign code
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            refused.setdefault(subject.shape, text)
            told.append(text)
            if time.process_time() - start > _PATIENCE:
                break
            continue
        subject = replace(_of_several(subject), only=subject.only or given.size is not None)
        # What it raised on later shapes, or on this one, was for the kind of critic or number.
        before = [] if subject.packed or subject.only else given.shapes[: given.shapes.index(subject.shape)]
        return subject, {shape: why for shape, why in refused.items() if shape in before}
    raise _refusal(told, given)


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


def better_size(subject: Subject, numbers: tuple[int, ...]) -> Subject:
    """Where eps seems to differ within a sample: the batch with a number of the code for its size, if that is cured."""
    call = subject.call(curve=1.0)
    if not numbers or call.layout is None or not locate(call, subject).varies_within:
        return subject
    for n in numbers:
        other = replace(subject, size=n, only=True)
        try:
            if locate(other.call(curve=1.0), other).eps is not None:
                return other
        except Exception:
            continue
    return subject


def _of_several(subject: Subject) -> Subject:
    """Where ``critic(x)[0]`` takes one sample's score, or scores are looped over: the critic answers with several."""
    call = subject.call(curve=1.0)
    if call.layout is None or not call.layout.recorded or len(call.points) < 2:
        return subject
    moved = _moved(call)
    if not (call.trace.iterated or 0 < moved.sum() <= max(1, len(moved) // subject.size)):
        return subject
    for answer in {"column": ("pair", "scales"), "flat": ("pair", "scales")}.get(subject.answer, ("scales",)):
        try:
            other = replace(subject, answer=answer)
            again = other.call(curve=1.0)
            if _moved(again).all() and not again.trace.iterated:
                return other
        except Exception:
            continue
    return subject


def _moved(call: Call) -> torch.Tensor:
    """Which rows have a gradient at all."""
    return call.layout.gradients.detach().flatten(1).abs().sum(1) > 0


_TYPE = "Pass adapt=, a function (critic, real, fake) -> penalty"
_WRITE = "Write a function (critic, real, fake) -> penalty that calls it, and check that one"
_NO_TENSOR = re.compile(r"a penalty is a floating-point tensor, the function returned")


def _refusal(told: list[str], given: Given) -> CannotCall:
    """The error that says what to type, by what was raised."""
    text = " ".join(told)
    undefined = re.search(r"NameError: (?:global )?name '(\w+)' is not defined", text)
    why = ""
    if "cuda" in text.lower():
        python = "Write x.to(real.device) in place of x.cuda(): it asks for a GPU, and there is none."
    elif undefined:
        python = f"Define {undefined[1]} before the check: the function reads it as a global."
    elif _NO_TENSOR.search(text):
        python = "Let it return the penalty, a floating-point tensor."
    elif _asked(told):
        python, why = "", f"it asks its critic for .{_asked(told)[0]}, so hand it an object that has it"
    elif "'Critic' object" in text:
        python, why = "", "it wants scores where it was given a critic, so compute them and hand them over"
    elif any(_UNPACKS.search(t) for t in told):
        python, why = "", "it may want a critic that answers with something else than one score per sample"
    else:
        python = "Pass shape=(3, 64, 64), the shape of one of your samples, or batch_size=64."
    command = python.replace("Pass shape=(3, 64, 64)", "Add --shape 3,64,64").replace("batch_size=", "--batch-size ")
    if why:
        python, command = f"{_TYPE}: {why}.", f"{_WRITE}: {why}."
    shapes = ", ".join(f"({', '.join(map(str, s))}{',' * (len(s) == 1)})" for s in given.shapes)
    on = f", on {' or '.join(map(str, given.sizes))} samples of shape {shapes}"
    return CannotCall(python, command, attempts(told, on) + (f"\n{given.read_as}" if given.read_as else ""))
