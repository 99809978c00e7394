"""A model whose gradient is chosen beforehand, and the record of one optimiser step on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..probes import own_random
from .scalers import at_scale

SIZES = (4, 6)  # of the model's two parameters
ROWS = 3  # samples a micro-batch
SCALE = 1024.0


class Model(nn.Module):
    """``<w, x>``: the gradient of the mean output is the mean of x, whatever the parameters are."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.zeros(SIZES[0]))
        self.second = nn.Parameter(torch.zeros(2, SIZES[1] // 2))

    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.cat([self.first, self.second.flatten()])


class Recorder(torch.optim.SGD):
    """Gradient descent with learning rate 1, which keeps the gradients of every step."""

    def __init__(self, model: Model):
        super().__init__(model.parameters(), lr=1.0)
        self.all = list(model.parameters())
        self.kept: list[list[Tensor]] = []
        self.seen: list[Tensor] = []
        self.done = torch.zeros(sum(SIZES))  # what all steps together took from the parameters

    def step(self, closure=None):
        before = flat(self.all)
        loss = super().step(closure)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.all]
        self.kept.append(gradients)  # the tensors themselves: what is done to them after the step shows in them
        self.seen.append(flat(gradients))
        self.done += before - flat(self.all)
        return loss


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """A copy of all elements, ``(10,)``."""
    return torch.cat([t.detach().flatten() for t in tensors]).clone()


def loss_fn(output: Any, *rest: Any) -> Tensor:
    """The mean output, moved away from 0: as ``loss_fn(output)``, ``(output, y)``, ``(model, batch)``."""
    if isinstance(output, nn.Module):
        batch = rest[0]
        output = output(batch[0] if isinstance(batch, (tuple, list)) else batch)
    return output.mean() + 37.0


@dataclass
class Step:
    """What one call did; all tensors are ``(10,)``."""

    applied: Tensor  # the gradient of the optimiser's step; without the optimiser, the update divided by its rate
    moved: Tensor  # what the call took from the parameters
    done: Tensor  # what of that the optimiser did
    seen: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)  # the same gradients when the function had returned
    returned: list[float] = field(default_factory=list)
    error: Exception | None = None


def _numbers(result: Any) -> list[float]:
    if isinstance(result, Tensor):
        return [float(result.detach())] if result.numel() == 1 else []
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return [float(result)]
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = vars(result)
    if isinstance(result, dict):
        result = list(result.values())
    return [n for part in result for n in _numbers(part)] if isinstance(result, (tuple, list)) else []


@dataclass(frozen=True)
class StepSubject:
    """The step under test, and how it is called.

    ``pairs``: its batches are ``(x, y)`` and not ``x``; ``scaler``: the argument's name; ``held``: scalers that it has
    by itself; ``copies``: how many micro-batches it takes before it steps; ``rate``: the learning rate that it uses
    where it moves the parameters without the optimiser (``moves_by_itself``).
    """

    function: Callable
    pairs: bool = True
    scaler: str | None = None
    held: tuple[torch.amp.GradScaler, ...] = ()
    copies: int = 1
    rate: float = 1.0
    moves_by_itself: bool = False

    def run(self, gradients: list[Tensor], max_norm: float = 1.0, *, scale=1.0, poison=0.0, times=1) -> Step:
        """Run the step on micro-batches with these gradients; ``poison`` is added to one element of each gradient.

        A single gradient is that of each of ``copies`` micro-batches. With ``times`` the step is called so often, and
        the last call is recorded.
        """
        model = Model()
        optimizer = Recorder(model)
        if poison:
            model.first.register_hook(lambda g: g + torch.tensor([0.0, poison, 0.0, 0.0]))
        if len(gradients) == 1:
            gradients = gradients * self.copies
        spread = torch.linspace(-1, 1, ROWS)[:, None]
        inputs = [g + 0.1 * spread * g.flip(0) for g in gradients]
        batches = [(x, torch.zeros(ROWS)) for x in inputs] if self.pairs else inputs
        extra = {self.scaler: torch.amp.GradScaler("cpu", init_scale=scale)} if self.scaler else {}
        error = result = None
        with at_scale(self.held, scale):
            for _ in range(times):
                before = flat(model.parameters())
                optimizer.kept.clear(), optimizer.seen.clear(), optimizer.done.zero_()
                with own_random(0):
                    try:
                        result = self.function(model, optimizer, loss_fn, batches, max_norm, **extra)
                    except Exception as raised:
                        error = raised
        moved = before - flat(model.parameters())
        # The mean: several steps on one micro-batch, as in PPO's epochs, are the same step several times.
        applied = torch.stack(optimizer.seen).mean(0) if optimizer.seen else moved / self.rate
        held = [flat(kept) for kept in optimizer.kept]
        if all(p.grad is not None for p in model.parameters()):
            held.append(flat(p.grad for p in model.parameters()))
        return Step(applied, moved, optimizer.done, optimizer.seen, held, _numbers(result), error)
