"""A model whose gradient is chosen beforehand, an optimiser that keeps what it is given, and their loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .calling import Style

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
        return self[name if name == "loss" else "logits"]

    def __getitem__(self, key: Any) -> Tensor:
        return [*self.values()][key] if isinstance(key, int) else super().__getitem__(key)


class Network(nn.Module):
    """``<w, x>`` over its part of x: the gradient of the mean output is the mean of x, whatever the parameters are.

    What it answers with and which of its methods computes the loss is told by a :class:`Style`; ``loss_fn`` is called
    for it. It is its own attribute ``module``.
    """

    def __init__(self, members: range, weights: Tensor, style: Style, loss_fn: Loss):
        super().__init__()
        self._style, self._loss_fn, self._made_of = style, loss_fn, (members, weights)
        self.__dict__["module"] = self
        parts = weights.split(SIZES)
        for i in members:
            self.register_parameter(NAMES[i], nn.Parameter(parts[i].reshape(SHAPES[i]).to(torch.get_default_dtype())))
        start = sum(SIZES[: members.start])
        self.part = slice(start, start + sum(SIZES[i] for i in members))

    def _scores(self, given: Any) -> Tensor:
        x = next((v for v in _tensors(given) if v.shape[-1:] == (sum(SIZES),)), None)
        if x is None:
            raise TypeError(f"the model was called without an input of shape (N, {sum(SIZES)})")
        return x[..., self.part] @ torch.cat([p.flatten() for p in self.parameters()])

    def forward(self, *inputs: Any, **named: Any) -> Any:
        scores = self._scores((inputs, named))
        answer = self._style.answer
        if answer == "scores" and "labels" not in named:
            return scores
        loss = self._loss_fn(scores)
        if "labels" in named or answer == "fields":
            return Output(loss=loss, logits=scores)
        return {"loss": loss, "scores, loss": (scores, loss)}.get(answer, (loss, scores))

    def __getattr__(self, name: str) -> Any:
        if name and name == self.__dict__["_style"].method:
            return lambda *inputs, **named: self._loss_fn(self._scores((inputs, named)))
        return super().__getattr__(name)

    def no_sync(self) -> Any:
        return contextlib.nullcontext()

    def spare(self) -> Network:
        """Another one like it, whose weights are nobody's business."""
        return Network(*self._made_of, self._style, self._loss_fn)


def _tensors(given: Any) -> Iterator[Tensor]:
    """Tensors within tuples and dictionaries."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, (tuple, list, dict)):
        for part in given.values() if isinstance(given, dict) else given:
            yield from _tensors(part)


class Recorder(torch.optim.SGD):
    """Plain gradient descent, which keeps the gradients of every step.

    With a ``gate``, an accelerator, it steps and clears only where that has seen the last micro-batch.
    """

    gate: Any = None

    def __init__(self, parameters: list[Tensor]):
        self.all = parameters
        groups = [self.all[: _GROUPS[0]], self.all[_GROUPS[0] :]]
        super().__init__([{"params": group} for group in groups if group], lr=RATE)
        self.clear()

    def clear(self) -> None:
        self.kept: list[list[Tensor]] = []
        self.seen: list[Tensor] = []
        self.done = torch.zeros(sum(p.numel() for p in self.all), dtype=torch.float64)  # what all steps together took

    def zero_grad(self, set_to_none: bool = True) -> None:
        if self.gate is None or self.gate.sync_gradients:
            super().zero_grad(set_to_none)

    def step(self, closure=None):
        if self.gate is not None and not self.gate.sync_gradients:
            return None
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


class Loss:
    """The mean output, moved away from 0: as ``loss_fn(output)``, ``(output, y)``, ``(model, batch)``.

    ``called``: whether anything asked for it.
    """

    called = False

    def __call__(self, *given: Any, **named: Any) -> Tensor:
        self.called = True
        values = [*given, *named.values()]
        output = next(
            (v for v in values if isinstance(v, (nn.Module, dict)) or getattr(v, "requires_grad", False)), None
        )
        if output is None:  # what was detached, or computed without a gradient
            output = values[0]
        rest = [v for v in values if v is not output]
        if isinstance(output, nn.Module):
            batch = rest[0]
            batch = [*batch.values()] if isinstance(batch, dict) else batch
            output = output(*batch) if isinstance(batch, (tuple, list)) else output(batch)
        if isinstance(output, dict):
            output = output["logits"]
        return output.mean() + 37.0
