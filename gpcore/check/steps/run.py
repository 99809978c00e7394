"""A model whose gradient is chosen beforehand, and the record of one optimiser step on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..probes import own_random
from .calling import Style
from .memory import Memory
from .scalers import at_scale

NAMES = ("first", "second", "third")  # the model's parameters: a vector, a matrix, a vector
SHAPES = ((2,), (2, 3), (2,))
SIZES = (2, 6, 2)
_GROUPS = (2, 1)  # parameters in each group of the optimiser
ROWS = 3  # samples a micro-batch
SCALE = 1024.0
# No number of the probes is another one's: max_norm is 1, the learning rate this, the loss is near 37.
RATE = 0.37
# A direction of length 1 with elements on both sides of 0.1, so that clipping values bends it.
DIRECTION = torch.tensor([0.6, -0.05, 0.3, 0.02, -0.5, 0.04, 0.4, -0.03, 0.2, 0.06], dtype=torch.float64)
DIRECTION = DIRECTION / DIRECTION.norm()
# Weights other than 0, at right angles to it so that the output stays as it is.
WEIGHTS = torch.tensor([0.05, 0.6, -0.07, 0.4, 0.1, 0.8, -0.3, 0.5, 0.14, 0.16], dtype=torch.float64)
WEIGHTS = WEIGHTS - (WEIGHTS @ DIRECTION) * DIRECTION


class Output(dict):
    """What models of Hugging Face return where they are given the labels: ``loss`` and ``logits``."""

    def __getattr__(self, name: str) -> Tensor:
        return self[name]

    def __getitem__(self, key: Any) -> Tensor:
        return [*self.values()][key] if isinstance(key, int) else super().__getitem__(key)


class Network(nn.Module):
    """``<w, x>`` over its part of x: the gradient of the mean output is the mean of x, whatever the parameters are."""

    def __init__(self, members: range, weights: Tensor):
        super().__init__()
        parts = weights.split(SIZES)
        for i in members:
            self.register_parameter(NAMES[i], nn.Parameter(parts[i].reshape(SHAPES[i]).to(torch.get_default_dtype())))
        start = sum(SIZES[: members.start])
        self.part = slice(start, start + sum(SIZES[i] for i in members))

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        given = [v for v in (*inputs, *named.values()) if isinstance(v, Tensor) and v.shape[-1:] == (sum(SIZES),)]
        if not given:
            raise TypeError(f"the model was called without an input of shape (N, {sum(SIZES)})")
        scores = given[0][..., self.part] @ torch.cat([p.flatten() for p in self.parameters()])
        return Output(loss=loss_fn(scores), logits=scores) if "labels" in named else scores


class Recorder(torch.optim.SGD):
    """Plain gradient descent, which keeps the gradients of every step."""

    def __init__(self, parameters: list[Tensor]):
        self.all = parameters
        groups = [self.all[: _GROUPS[0]], self.all[_GROUPS[0] :]]
        super().__init__([{"params": group} for group in groups if group], lr=RATE)
        self.clear()

    def clear(self) -> None:
        self.kept: list[list[Tensor]] = []
        self.seen: list[Tensor] = []
        self.done = torch.zeros(sum(p.numel() for p in self.all), dtype=torch.float64)  # what all steps together took

    def step(self, closure=None):
        before = flat(self.all)
        loss = super().step(closure)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.all]
        self.kept.append(gradients)  # the tensors themselves: what is done to them after the step shows in them
        self.seen.append(flat(gradients))
        self.done += before - flat(self.all)
        return loss


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """A copy of all elements, in double precision."""
    return torch.cat([(t.detach().to_dense() if t.is_sparse else t.detach()).flatten().double() for t in tensors])


def loss_fn(output: Any, *rest: Any, **named: Any) -> Tensor:
    """The mean output, moved away from 0: as ``loss_fn(output)``, ``(output, y)``, ``(model, batch)``."""
    if isinstance(output, nn.Module):
        batch = [*rest, *named.values()][0]
        batch = [*batch.values()] if isinstance(batch, dict) else batch
        output = output(*batch) if isinstance(batch, (tuple, list)) else output(batch)
    return output.mean() + 37.0


@dataclass
class Step:
    """What one call did; all tensors are ``(10,)``."""

    applied: Tensor  # the gradient of the optimiser's step; without the optimiser, the update divided by its rate
    moved: Tensor  # what the call took from the parameters
    done: Tensor  # what of that the optimiser did
    seen: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)  # the same gradients when the function had returned
    returned: dict[str, float] = field(default_factory=dict)  # where in the result: the number
    error: Exception | None = None


def _numbers(result: Any, where: str = "") -> dict[str, float]:
    if isinstance(result, Tensor):
        return {where: float(result.detach())} if result.numel() == 1 and result.dtype != torch.bool else {}
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return {where: float(result)}
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = vars(result)
    if isinstance(result, (tuple, list)):
        result = dict(enumerate(result))
    parts = result.items() if isinstance(result, dict) else ()
    return {place: n for key, part in parts for place, n in _numbers(part, f"{where}/{key}").items()}


@dataclass(frozen=True)
class StepSubject:
    """The step under test, and how it is called.

    ``held``: scalers that it has by itself; ``copies``: how many micro-batches it takes before it steps, one per call
    if ``over_calls``; ``rate``: the learning rate of each parameter element where it moves the parameters without the
    optimiser (``moves_by_itself``); ``noisy``: it adds noise, which is taken off again.
    """

    function: Callable
    style: Style = Style()
    held: tuple[torch.amp.GradScaler, ...] = ()
    memory: Memory | None = None
    copies: int = 1
    over_calls: bool = False
    rate: Tensor | float = 1.0
    moves_by_itself: bool = False
    noisy: bool = False

    def run(self, gradients: list[Tensor], max_norm: float = 1.0, **options: Any) -> Step:
        """Run the step on micro-batches with these gradients, ``(10,)`` each, or those of its samples, ``(3, 10)``.

        A single gradient is that of each of ``copies`` micro-batches. Options: ``scale`` of the loss; ``poison``,
        added to one element of each gradient; ``times``, how often it is called, of which the last is recorded;
        ``earlier``, gradients of calls before; ``weights``, whether the parameters start away from 0; ``seed``.
        """
        step = self._run(gradients, max_norm, **options)
        if self.noisy:
            step.applied = step.applied - self._run([0 * g for g in gradients], max_norm, **options).applied
        return step

    def _run(
        self, gradients, max_norm, *, scale=1.0, poison=0.0, times=1, earlier=(), weights=False, seed=0
    ) -> Step:
        members = [range(3)] if self.style.count("network") == 1 else [range(2), range(2, 3)]
        networks = [Network(part, WEIGHTS * weights) for part in members]
        parameters = [p for network in networks for p in network.parameters()]
        parts = [parameters] if self.style.count("optimizer") == 1 else [parameters[:2], parameters[2:]]
        optimizers = [Recorder(part) for part in parts]
        if poison:
            networks[0].first.register_hook(lambda g: g + torch.tensor([0.0, poison]))
        gradients = gradients * self.copies if len(gradients) == 1 else gradients
        scaler = torch.amp.GradScaler("cpu", init_scale=scale) if self.style.scaler else None
        error = result = None
        with at_scale(self.held, scale), own_random(seed):
            for wanted in (*([g] * self.copies for g in earlier), *[gradients] * times):
                before = flat(parameters)
                for optimizer in optimizers:
                    optimizer.clear()
                for batches in self._calls(wanted):
                    arguments, named = self.style.arguments(networks, optimizers, loss_fn, batches, max_norm, scaler)
                    try:
                        result = self.function(*arguments, **named)
                    except Exception as raised:
                        error = raised
                if error:
                    break
        if self.memory:
            self.memory.put_back()
        return self._step(optimizers, before - flat(parameters), parameters, result, error)

    def _calls(self, gradients: list[Tensor]) -> list[list[Any]]:
        spread = torch.linspace(-1, 1, ROWS, dtype=torch.float64)[:, None]
        # Without a dimension of samples, all samples are nearly alike.
        samples = [g if g.ndim == 2 else g + 0.01 * spread * g.flip(0) for g in gradients]
        batches = [self.style.batch(x.to(torch.get_default_dtype())) for x in samples]
        return [[batch] for batch in batches] if self.over_calls else [batches]

    def _step(self, optimizers, moved: Tensor, parameters: list[Tensor], result: Any, error) -> Step:
        count = max(len(optimizer.seen) for optimizer in optimizers)

        def joined(lists: list[list[Tensor]]) -> list[Tensor]:
            """Of each of the optimisers' steps what all of them took; nothing of one that took none."""
            none = [[torch.zeros_like(o.done)] * (count - len(o.seen)) for o in optimizers]
            parts = [held + missing for held, missing in zip(lists, none, strict=True)]
            return [torch.cat(part) for part in zip(*parts, strict=True)]

        # The mean: several steps on one micro-batch, as in PPO's epochs, are the same step several times.
        means = [torch.stack(o.seen).mean(0) if o.seen else torch.zeros_like(o.done) for o in optimizers]
        applied = torch.cat(means) if count else moved / self.rate
        after = joined([[flat(kept) for kept in o.kept] for o in optimizers])
        if all(p.grad is not None for p in parameters):
            after.append(flat(p.grad for p in parameters))
        done = torch.cat([o.done for o in optimizers])
        return Step(applied, moved, done, joined([o.seen for o in optimizers]), after, _numbers(result), error)
