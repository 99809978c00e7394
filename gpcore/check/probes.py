"""Crafted critics and batches, and the record of what a penalty function does with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Shapes of a sample: images first, since a wrong norm shows on them; the last two for code with its sizes written in.
SHAPES = ((3, 8, 8), (5,), (7, 4), (1, 28, 28), (3, 32, 32))
# No size of a batch is a size of a sample, so that nothing broadcasts by accident; 64 for code that has it written in.
BATCHES = (6, 64)


class CannotCall(ValueError):
    """The function raised, or returned what is no penalty, on every batch that was tried."""


@dataclass
class Log:
    """The points at which a critic was called, one entry a call, and which calls were differentiated."""

    points: list[Tensor] = field(default_factory=list)
    differentiated: set[int] = field(default_factory=set)


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


class Critic(nn.Module):
    """``slope * <u, x> + curve * |x|^2 / (2 sqrt(D))`` with ``|u| = 1``: its gradient is known at every point."""

    def __init__(self, shape: tuple[int, ...], slope: float, curve: float, *, column: bool, dtype: torch.dtype):
        super().__init__()
        size = int(np.prod(shape))
        direction = torch.randn(size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        self.slope = nn.Parameter(torch.tensor(slope, dtype=dtype))
        self.curve = nn.Parameter(torch.tensor(curve, dtype=dtype))
        self.register_buffer("direction", (direction / direction.norm()).to(dtype))
        self.shape, self.column, self.log = shape, column, Log()

    def score(self, x: Tensor) -> Tensor:
        """The formula, ``(N, ...) -> (N,)``, without the record."""
        x = x.flatten(1).to(self.direction.dtype)
        # linear() so that autocast would find it.
        tilt = nn.functional.linear(x, (self.slope * self.direction)[None])[:, 0]
        return tilt + self.curve * x.square().sum(1) / (2 * x.shape[1] ** 0.5)

    def forward(self, x: Tensor, *conditions: Any, **more: Any) -> Tensor:
        single = x.shape == self.shape
        if tuple(x.shape[1:]) != self.shape and not single:
            raise ValueError(f"the critic was called with shape {tuple(x.shape)}, its samples are {self.shape}")
        x = _Mark.apply(x, self.log)
        score = self.score(x[None] if single else x)
        score = score[:, None] if self.column else score
        return score[0] if single else score

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
    real: Tensor
    fake: Tensor
    result: Tensor | None  # with its graph, reduced to a scalar by the mean
    value: float
    shape: tuple[int, ...]  # of what was returned
    points: Tensor | None  # (M, ...) float64: where the critic was differentiated
    after: dict[str, bytes]  # states of the global generators
    own_backward: bool  # the function ran backward() into the parameters itself


def batch(shape: tuple[int, ...], n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    real, fake = torch.randn(2, n, *shape, generator=generator, dtype=torch.float64)
    return real.to(dtype), (1.5 * fake - 0.5).to(dtype)


def _number(result: Any) -> tuple[Tensor | None, float, tuple[int, ...]]:
    if isinstance(result, (tuple, list)) and result:  # (penalty, norms) and the like
        result = result[0]
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
    column: bool = True
    size: int = BATCHES[0]
    carried: bool = False  # fake samples come with a generator's graph: code that leans on it has no points without

    def call(
        self, *, slope=1.0, curve=0.0, n=None, seed=0, dtype=None, shift=(0.0, 0.0), fake_from=None, same=False
    ) -> Call:
        """Call the function once; ``fake_from`` is a number that the fake samples are multiplied by, as if generated.

        ``shift`` is added to the real and to the fake samples; ``same`` makes the fake samples the real ones.
        """
        dtype, n = dtype or self.dtype, n or self.size
        critic = Critic(self.shape, slope, curve, column=self.column, dtype=dtype)
        real, fake = batch(self.shape, n, dtype)
        real, fake = real + shift[0], fake + shift[1]
        fake = real.clone() if same else fake
        if self.carried and fake_from is None:
            fake_from = torch.ones((), dtype=dtype, requires_grad=True)
        given = fake if fake_from is None else fake * fake_from
        with own_random(seed):
            result, value, shape = _number(self.function(critic, real, given))
            after = random_states()
        log = critic.log
        kept = [log.points[i].reshape(-1, *self.shape) for i in sorted(log.differentiated)]
        points = torch.cat(kept) if kept else None
        own = any(p.grad is not None for p in critic.parameters())
        return Call(critic, real.double(), fake.double(), result, value, shape, points, after, own)


def find_subject(
    function: Callable, shape: tuple[int, ...] | None, size: int | None
) -> tuple[Subject, dict[tuple[int, ...], str]]:
    """The first kind of batch that the function takes, and what it raised on those before.

    Raises:
        CannotCall: it takes none of them.
    """
    sizes, shapes = (size,) if size else BATCHES, (tuple(shape),) if shape else SHAPES
    dtypes = (torch.float64, torch.float32, torch.float16)
    told: list[str] = []  # what it said of samples without a graph, which is what a reader would give it first
    for carried in (False, True):
        refused: dict[tuple[int, ...], str] = {}
        for n, tried, dtype, column in product(sizes, shapes, dtypes, (True, False)):
            subject = Subject(function, tried, dtype, column, n, carried)
            try:
                subject.call(curve=1.0)
                refused.pop(tried, None)  # it was the kind of output or number that it refused, not the shape
                return subject, refused
            except Exception as error:  # anything may come out of foreign code
                refused.setdefault(tried, f"{type(error).__name__}: {error}".splitlines()[0])
        told = told or list(dict.fromkeys(refused.values()))
    hint = ""
    if any("cuda" in text.lower() for text in told):
        hint = "It asks for a GPU by itself; x.to(real.device) works everywhere. "
    elif "'Critic' object" in told[0]:
        hint = "It wants scores where it was given a critic: adapt= can compute them and hand them over. "
    raise CannotCall(
        f"the function could not be called with a critic and two batches of {' or '.join(map(str, sizes))} samples, "
        f"in the shapes {' or '.join('(N, ' + ', '.join(map(str, s)) + ')' for s in shapes)}. "
        f"It raised {' and, last, '.join(dict.fromkeys((told[0], told[-1])))}. {hint}"
        "Pass shape= for samples of another shape, batch_size= for another number of them, or adapt= a function "
        "(critic, real, fake) -> penalty"
    )
