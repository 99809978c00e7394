"""Steps of optimisers that the function under test makes by itself: what gradients they were given."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .network import flat


class Watch:
    """While it is entered, keeps the gradients of every step that an optimiser other than ``known`` takes.

    Attributes:
        steps: of each optimiser, the gradients at each of its steps: the tensors themselves, and a flat copy. They are
            zero for parameters that it does not have.
        done: what all of these steps together took from the parameters, flat.
    """

    def __init__(self, parameters: list[Tensor], known: list[torch.optim.Optimizer]):
        self._parameters, self._known = parameters, known
        self.clear()

    def clear(self) -> None:
        self.steps: dict[int, list[tuple[list[Tensor], Tensor]]] = {}
        self.done = torch.zeros(sum(p.numel() for p in self._parameters), dtype=torch.float64)
        self._open: list[list] = []  # of steps that are being taken: the parameters and the gradients before

    def __enter__(self) -> Watch:
        self._hooks = (
            register_optimizer_step_pre_hook(self._before),
            register_optimizer_step_post_hook(self._after),
        )
        return self

    def __exit__(self, *_) -> None:
        for hook in self._hooks:
            hook.remove()

    def joined(self) -> list[tuple[Tensor, Tensor]]:
        """Of each step of all optimisers together, the gradients when it was taken, and the same tensors now."""
        none = [torch.zeros_like(p) for p in self._parameters], torch.zeros_like(self.done)
        turns = zip_longest(*self.steps.values(), fillvalue=none)
        return [(sum(seen for _, seen in turn), sum(flat(kept) for kept, _ in turn)) for turn in turns]

    def _before(self, optimizer: torch.optim.Optimizer, *_) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if any(optimizer is known for known in self._known) or not any(id(p) in held for p in self._parameters):
            return
        gradients = [p.grad if id(p) in held and p.grad is not None else torch.zeros_like(p) for p in self._parameters]
        self._open.append([optimizer, flat(self._parameters), (gradients, flat(gradients))])

    def _after(self, optimizer: torch.optim.Optimizer, *_) -> None:
        if not self._open or self._open[-1][0] is not optimizer:
            return
        _, before, step = self._open.pop()
        if step is None:  # it called another one, whose step it is
            return
        for outer in self._open:
            outer[2] = None
        self.steps.setdefault(id(optimizer), []).append(step)
        self.done += before - flat(self._parameters)
