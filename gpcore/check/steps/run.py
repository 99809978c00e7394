"""The record of one optimiser step on gradients that are chosen beforehand."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..probes import own_random
from .calling import Style, Supplies
from .hosts import bound, new_attributes
from .memory import Memory
from .network import ROWS, WEIGHTS, Loss, Network, Recorder, flat
from .offers import Accelerator, Options
from .scalers import at_scale
from .watch import Watch


@dataclass
class Step:
    """What one call did; all tensors are ``(10,)``."""

    applied: Tensor  # the gradient of the optimiser's step; without the optimiser, the update divided by its rate
    moved: Tensor  # what the call took from the parameters
    done: Tensor  # what of that the optimiser did
    seen: list[Tensor] = field(default_factory=list)
    after: list[Tensor] = field(default_factory=list)  # the same gradients when the function had returned
    returned: dict[str, float] = field(default_factory=dict)  # where in the result or in what it holds: the number
    series: list[Tensor] = field(default_factory=list)  # what was applied in each of the last calls, where asked for
    error: Exception | None = None
    asked: bool = True  # whether it asked for the loss
    read: frozenset[str] = frozenset()  # the names under which it read max_norm from its options


def _numbers(result: Any, where: str = "", depth: int = 4) -> dict[str, float]:
    if isinstance(result, (Tensor, np.ndarray)):
        result = result.tolist() if (result.size if isinstance(result, np.ndarray) else result.numel()) == 1 else None
        while isinstance(result, list):
            (result,) = result
    if isinstance(result, numbers.Real) and not isinstance(result, bool):
        return {where: float(result)}
    if isinstance(result, (tuple, list)):
        result = dict(enumerate(result))
    elif not isinstance(result, (dict, type, nn.Module, torch.optim.Optimizer)):
        result = getattr(result, "__dict__", None)  # of a dataclass, a namespace, an object of the reader's
    parts = result.items() if isinstance(result, dict) and depth else ()
    return {place: n for key, part in parts for place, n in _numbers(part, f"{where}/{key}", depth - 1).items()}


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
        added to one element of each gradient; ``times``, how often it is called, of which the last is recorded and all
        stand in ``series``;
        ``earlier``, gradients of calls before; ``weights``, whether the parameters start away from 0; ``seed``.
        """
        step = self._run(gradients, max_norm, **options)
        if self.noisy:
            step.applied = step.applied - self._run([0 * g for g in gradients], max_norm, **options).applied
        return step

    def _run(self, gradients, max_norm, *, scale=1.0, poison=0.0, times=1, earlier=(), weights=False, seed=0) -> Step:
        members = [range(3)] if self.style.count("network") == 1 else [range(2), range(2, 3)]
        loss_fn = Loss()
        networks = [Network(part, WEIGHTS * weights, self.style, loss_fn) for part in members]
        parameters = [p for network in networks for p in network.parameters()]
        parts = [parameters] if self.style.count("optimizer") == 1 else [parameters[:2], parameters[2:]]
        optimizers = [Recorder(part) for part in parts]
        if poison:
            networks[0].first.register_hook(lambda g: g + torch.tensor([0.0, poison]))
        gradients = gradients * self.copies if len(gradients) == 1 else gradients
        scaler = torch.amp.GradScaler("cpu", init_scale=scale) if self.style.scaler else None
        accelerator = Accelerator(1 if self.over_calls or self.style.single else len(gradients))
        if self.style.has("accelerator"):
            for optimizer in optimizers:
                optimizer.gate = accelerator
        read: set[str] = set()
        options = Options(max_norm, accelerator.gradient_accumulation_steps, read)
        supplies = Supplies(networks, optimizers, loss_fn, max_norm, scaler, accelerator, options)
        function = bound(self.function, self.style.held, supplies)
        error = result = None
        series = []
        watch = Watch(parameters, optimizers)
        with at_scale(self.held, scale), own_random(seed), watch:
            for turn, wanted in enumerate((*([g] * self.copies for g in earlier), *[gradients] * times)):
                before = flat(parameters)
                for record in (*optimizers, watch):
                    record.clear()
                for samples in self._calls(wanted):
                    arguments, named = self.style.arguments(supplies, samples)
                    try:
                        result = function(*arguments, **named)
                    except Exception as raised:
                        error = raised
                if error:
                    break
                if turn >= len(earlier) and times > 1:
                    series.append(self._step(optimizers, watch, before - flat(parameters), parameters).applied)
        returned = _numbers(result)
        if self.style.held:
            returned |= _numbers({"held by it": new_attributes(function, self.function)})
        if self.memory:
            returned |= _numbers(self.memory.changed())
            self.memory.put_back()
        step = self._step(optimizers, watch, before - flat(parameters), parameters)
        return replace(step, returned=returned, error=error, asked=loss_fn.called, read=frozenset(read), series=series)

    def _calls(self, gradients: list[Tensor]) -> list[list[Tensor]]:
        spread = torch.linspace(-1, 1, ROWS, dtype=torch.float64)[:, None]
        # Without a dimension of samples, all samples are nearly alike.
        samples = [g if g.ndim == 2 else g + 0.01 * spread * g.flip(0) for g in gradients]
        samples = [x.to(torch.get_default_dtype()) for x in samples]
        return [[x] for x in samples] if self.over_calls or self.style.single else [samples]

    def _step(self, optimizers: list[Recorder], watch: Watch, moved: Tensor, parameters: list[Tensor]) -> Step:
        count = max(len(optimizer.seen) for optimizer in optimizers)

        def joined(lists: list[list[Tensor]]) -> list[Tensor]:
            """Of each of the optimisers' steps what all of them took; nothing of one that took none."""
            none = [[torch.zeros_like(o.done)] * (count - len(o.seen)) for o in optimizers]
            parts = [held + missing for held, missing in zip(lists, none, strict=True)]
            return [torch.cat(part) for part in zip(*parts, strict=True)]

        # The mean: several steps on one micro-batch, as in PPO's epochs, are the same step several times.
        means = [torch.stack(o.seen).mean(0) if o.seen else torch.zeros_like(o.done) for o in optimizers]
        applied = torch.cat(means) if count else moved / self.rate
        seen, after = (
            joined([o.seen for o in optimizers]),
            joined([[flat(kept) for kept in o.kept] for o in optimizers]),
        )
        done = torch.cat([o.done for o in optimizers])
        if not count and watch.steps:  # it steps with an optimiser that it makes by itself
            seen, after = (list(tensors) for tensors in zip(*watch.joined(), strict=True))
            applied, done = torch.stack(seen).mean(0), watch.done
        if all(p.grad is not None for p in parameters):
            after.append(flat(p.grad for p in parameters))
        return Step(applied, moved, done, seen, after)
