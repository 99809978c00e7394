"""Crafted critics and batches, and the record of what a penalty function does with them."""

from __future__ import annotations

import math
import random
import re
import weakref
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .layout import Layout, lay_out
from .trace import Trace, Tracer

# Shapes of a sample: images first, since a wrong norm shows on them; then for code with its sizes written in.
SHAPES = ((3, 8, 8), (5,), (7, 4), (1, 28, 28), (3, 32, 32), (2, 4, 5, 7))
# No size of a batch is a size of a sample, so that nothing broadcasts by accident; 64 for code that has it written in.
BATCHES = (6, 64)
# How the critic may answer where it is not by (N, 1) or (N,), and what a report says of it.
ANSWERS = {kind: f"a {kind}, and was given one that does" for kind in ("map", "pair", "triple", "list")}
ANSWERS["map"] = "a map of scores (patches), and was given one that has a single patch"
ANSWERS["scales"] = "a list for each of several scales, and was given one of two scales that score alike"
ANSWERS["dictionary"] = "a dictionary, and was given one that does"
_PENALTY = re.compile(r"gp|penal|r1|r2|reg")


@dataclass
class Log:
    """The points at which a critic was called, one entry a call, and which calls were differentiated."""

    points: list[Tensor] = field(default_factory=list)
    doors: list[Tensor] = field(default_factory=list)  # the same with their graphs
    extras: list[tuple] = field(default_factory=list)  # what else the critic was given
    answers: list[weakref.ref] = field(default_factory=list)  # held, their graphs would hold this log in turn
    differentiated: set[int] = field(default_factory=set)

    def calls_behind(self, outputs: tuple[Tensor, ...]) -> list[int]:
        """The calls of the critic that some outputs were computed from."""
        waiting, seen, found = [o.grad_fn for o in outputs], set(), set()
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if getattr(node, "log", None) is self:
                found.add(node.call)
            waiting += [earlier for earlier, _ in node.next_functions]
        return sorted(found)


class _Mark(torch.autograd.Function):
    """The identity, which notes its input and whether a derivative passes through; sees through ``torch.func``."""

    @staticmethod
    def forward(x, log):
        log.points.append(x.detach().double().clone())
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.log, ctx.call = inputs[1], len(inputs[1].points) - 1

    @staticmethod
    def backward(ctx, gradient):
        ctx.log.differentiated.add(ctx.call)
        return gradient, None

    @staticmethod
    def jvp(ctx, tangent, _):
        ctx.log.differentiated.add(ctx.call)
        return tangent.clone()

    @staticmethod
    def vmap(info, in_dims, x, log):
        return _Mark.apply(x.movedim(in_dims[0], 0), log), 0


class _Answer(dict):
    """A critic's answer that gives its scores under every key and attribute."""

    def __missing__(self, key):
        return self["scores"]

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self["scores"]


class Critic(nn.Module):
    """``slope * <u, x> + curve * |x|^2 / (2 sqrt(D))`` with ``|u| = 1``: its gradient is known at every point.

    It takes samples with any leading dimensions, flattened samples, and a single one; ``packed`` critics take the
    rows of several samples for one. It is its own attribute ``alias``.
    """

    def __init__(self, shape: tuple[int, ...], slope: float, curve: float, answer: str, dtype, packed, alias):
        super().__init__()
        self.__dict__[alias] = self
        size = math.prod(shape)
        direction = torch.randn(size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        self.slope = nn.Parameter(torch.tensor(slope, dtype=dtype))
        self.curve = nn.Parameter(torch.tensor(curve, dtype=dtype))
        self.register_buffer("direction", (direction / direction.norm()).to(dtype))
        self.shape, self.answer, self.packed, self.log = shape, answer, packed, Log()

    def bare_score(self, x: Tensor) -> Tensor:
        """The formula, ``(N, ...) -> (N,)``, without the record."""
        x = x.flatten(1).to(self.direction.dtype)
        # linear() so that autocast would find it.
        tilt = nn.functional.linear(x, (self.slope * self.direction)[None])[:, 0]
        return tilt + self.curve * x.square().sum(1) / (2 * x.shape[1] ** 0.5)

    def _leading(self, x: Tensor) -> tuple[int, ...]:
        """The dimensions in front of a sample's."""
        own = len(self.shape)
        if x.ndim >= own and tuple(x.shape[x.ndim - own :]) == self.shape:
            return tuple(x.shape[: x.ndim - own])
        if x.ndim == 2 and x.shape[1] == math.prod(self.shape):
            return (len(x),)
        if self.packed and tuple(x.shape[1:]) == self.shape[1:] and len(x) % self.shape[0] == 0:
            return (len(x) // self.shape[0],)
        raise ValueError(f"the critic was called with shape {tuple(x.shape)}, its samples are {self.shape}")

    def forward(self, x: Tensor, *conditions: Any, **more: Any) -> Any:
        parts = [x, *conditions]  # of a sample, as a state and an action are
        widths = [p.shape[1] if isinstance(p, Tensor) and p.ndim == 2 else 0 for p in parts]
        if len(self.shape) == 1 and all(widths) and sum(widths) == self.shape[0]:
            x, conditions = torch.cat(parts, 1), ()
        leading = self._leading(x)
        self.log.extras.append((*conditions, *more.values()))
        count = len(self.log.points)
        marked = _Mark.apply(x, self.log)
        # Under vmap one call makes no entry of its own here; what is wrapped has no graph to be followed either.
        self.log.doors += [x] * (len(self.log.points) - count)
        scores = self.bare_score(marked.reshape(-1, *self.shape)).reshape(leading)
        for condition in (*conditions, *more.values()):
            if isinstance(condition, Tensor) and condition.requires_grad:  # some penalties differentiate by it too
                scores = scores + 0 * condition.sum()
        scores = scores if self.answer == "flat" else scores[..., None]
        self.log.answers.append(weakref.ref(scores))
        if self.answer in ("pair", "triple"):
            return (scores,) * (2 if self.answer == "pair" else 3)
        several = {"list": [scores], "scales": [[scores], [scores]], "dictionary": _Answer(scores=scores)}
        return several.get(self.answer, scores[..., None, None] if self.answer == "map" else scores)

    def gradient(self, x: Tensor) -> Tensor:
        """Its gradient at points ``x``, differentiable in the parameters."""
        direction = self.direction.double().reshape(self.shape)
        return self.slope.double() * direction + self.curve.double() * x.double() / direction.numel() ** 0.5


@contextmanager
def own_random(seed: int):
    """Seed the global generators of PyTorch, NumPy and Python, and leave them afterwards as they were found."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed would reach the GPU's too
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def random_states() -> dict[str, bytes]:
    return {
        "torch.manual_seed": torch.get_rng_state().numpy().tobytes(),
        "numpy.random.seed": np.random.get_state()[1].tobytes() + bytes(np.random.get_state()[2]),
        "random.seed": repr(random.getstate()).encode(),
    }


@dataclass
class Call:
    """One call of the function and what came of it."""

    critic: Critic
    real: Tensor  # (N, ...) float64
    fake: Tensor
    result: Tensor | None  # with its graph, reduced to a scalar by the mean
    rest: Any  # what it returned besides
    value: float
    shape: tuple[int, ...]  # of what was returned
    layout: Layout | None  # where it differentiated and what it got; None where it differentiated nothing
    after: dict[str, bytes]  # states of the global generators
    own_backward: bool  # the function ran backward() into the parameters itself
    trace: Trace
    seed: int

    @property
    def points(self) -> Tensor | None:
        return None if self.layout is None else self.layout.points


def batch(shape: tuple[int, ...], n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    real, fake = torch.randn(2, n, *shape, generator=generator, dtype=torch.float64)
    return real.to(dtype), (1.5 * fake - 0.5).to(dtype)


def number(result: Any) -> tuple[Tensor | None, float, tuple[int, ...]]:
    if isinstance(result, (int, float, np.number, np.ndarray)):
        array = np.asarray(result, dtype=float)
        return None, float(array.mean()), array.shape
    if not isinstance(result, Tensor) or not result.is_floating_point() or not result.numel():
        raise TypeError(f"a penalty is a floating-point tensor, the function returned {type(result).__name__}")
    mean = result.mean()
    return mean, float(mean.detach()), tuple(result.shape)


@dataclass(frozen=True)
class Subject:
    """The function under test as ``(critic, real, fake) -> penalty``, and the kind of batch it takes."""

    function: Callable[[Critic, Tensor, Tensor], Any]
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float64
    answer: str = "column"
    size: int = BATCHES[0]
    carried: bool = False  # fake samples come with a generator's graph: code that leans on it has no points without
    packed: bool = False  # shape is that of a pack: its first dimension counts rows
    every: int = 1  # it answers at every so many calls, and differentiates nothing on the others
    only: bool = False  # the reader said how many samples a batch has
    alias: str = "module"  # where code finds the critic in the critic: what is wrapped for several GPUs

    def critic(self, slope: float, curve: float, dtype: torch.dtype) -> Critic:
        return Critic(self.shape, slope, curve, self.answer, dtype, self.packed, self.alias)

    def given(self, samples: Tensor) -> Tensor:
        """Samples as the function is handed them: the rows of packs one after another."""
        return samples.flatten(0, 1) if self.packed else samples

    def call(
        self,
        *,
        slope=1.0,
        curve=0.0,
        n=None,
        seed=0,
        dtype=None,
        shift=(0.0, 0.0),
        fake_from: Callable[[Tensor], Tensor] | None = None,
        same=False,
        change: Callable[[Tensor, Tensor], None] | None = None,
        lines=False,
    ) -> Call:
        """Call the function once; with ``every``, until it answers.

        ``shift`` is added to the real and to the fake samples; ``same`` makes the fake samples the real ones;
        ``change(real, fake)`` alters them in place. ``fake_from`` gives the fake samples a graph, as a generator does.
        """
        for _ in range(self.every):
            call = self._call(slope, curve, n, seed, dtype, shift, fake_from, same, change, lines)
            if call.layout is not None or self.every == 1:
                break
        return call

    def _call(self, slope, curve, n, seed, dtype, shift, fake_from, same, change, lines) -> Call:
        dtype, n = dtype or self.dtype, n or self.size
        critic = self.critic(slope, curve, dtype)
        real, fake = batch(self.shape, n, dtype)
        real, fake = real + shift[0], fake + shift[1]
        fake = real.clone() if same else fake
        if change is not None:
            change(real, fake)
        if self.carried and fake_from is None:
            theta = torch.ones((), dtype=dtype, requires_grad=True)
            fake_from = lambda samples: samples * theta  # noqa: E731
        # Copies, for a function may write into what it is given.
        given = [self.given(x.clone()) for x in (real, fake)]
        given[1] = given[1] if fake_from is None else fake_from(given[1])
        tracer = Tracer(critic, lines=lines)
        with own_random(seed):
            with tracer:
                result = self.function(critic, *given)
            after = random_states()
        rest = None
        if isinstance(result, dict):  # losses by name
            result = (*(v for k, v in result.items() if _PENALTY.search(str(k).lower())), *result.values())
        if isinstance(result, (tuple, list)) and result:
            result, rest = result[0], result[1:]  # (penalty, norms) and the like
        if result is None and tracer.trace.backward is not None:  # it trains the critic itself and returns nothing
            result = tracer.trace.backward
        if result is None and self.every > 1:
            result = 0.0
        result, value, shape = number(result)
        layout = lay_out(critic, tracer.trace)
        own = any(p.grad is not None for p in critic.parameters())
        samples = real.double(), fake.double()
        return Call(critic, *samples, result, rest, value, shape, layout, after, own, tracer.trace, seed)
