"""Networks of one architecture stacked: their parameters as the rows of one matrix."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop

from ..sweep.layers import layers_of

SCALINGS = ("none", "clip_norm", "clip_value", "normalize")


class Stack:
    """S networks of one architecture: their parameters as one matrix, its gradient, their layers, one optimiser."""

    def __init__(self, networks: list[nn.Module], make: Callable):
        self.networks, self.make = networks, make
        self.values = torch.stack([parameters_to_vector(network.parameters()) for network in networks]).detach()
        self.values.grad = torch.zeros_like(self.values)
        self.optimizer = make([self.values])
        self.layers, self.slots, start = layers_of(networks[0]), [], 0
        self.into: list[Tensor] = []  # the views of the gradient, in the order of the slots
        for layer in self.layers:
            for name in ("weight", "bias"):
                if (parameter := getattr(layer, name)) is not None:
                    slot = (slice(start, start + parameter.numel()), parameter.shape)
                    self.slots.append(slot)
                    setattr(layer, name, self._view(self.values, *slot))
                    self.into.append(self._view(self.values.grad, *slot))
                    start += parameter.numel()
        self.bind(lambda view: view)

    def _view(self, matrix: Tensor, columns: slice, shape: tuple) -> Tensor:
        return matrix[:, columns].unflatten(1, shape)

    def bind(self, make: Callable[[Tensor], Tensor]) -> None:
        """Let each network's parameters be ``make`` of their views of the matrix."""
        for row, network in enumerate(self.networks):
            for parameter, slot in zip(network.parameters(), self.slots, strict=True):
                parameter.data = make(self._view(self.values, *slot)[row])

    def set_gradient(self, gradients: list[list[Tensor | None]]) -> None:
        given = [gradient for of_layer in gradients for gradient in of_layer if gradient is not None]
        for view, gradient in zip(self.into, given, strict=True):
            view.copy_(gradient)

    def step(self) -> None:
        """One step of the optimiser; as soon as its state stands, by PyTorch's function of it.

        ``Optimizer.step`` looks after hooks, groups and devices, which takes longer than the update of a small stack.
        """
        state, group = self.optimizer.state.get(self.values), self.optimizer.param_groups[0]
        known = type(self.optimizer) in (torch.optim.Adam, torch.optim.RMSprop)
        if not state or not known or any(group.get(name) for name in ("amsgrad", "momentum", "centered")):
            return self.optimizer.step()
        own = {name: group[name] for name in ("lr", "eps", "weight_decay", "maximize")}
        value, gradient, steps = [self.values], [self.values.grad], [state["step"]]
        if type(self.optimizer) is torch.optim.Adam:
            own |= dict(zip(("beta1", "beta2"), group["betas"], strict=True), amsgrad=False, fused=group["fused"])
            adam(value, gradient, [state["exp_avg"]], [state["exp_avg_sq"]], [], steps, **own)
        else:
            own |= dict(alpha=group["alpha"], momentum=0.0, centered=False)
            rmsprop(value, gradient, [state["square_avg"]], [], [], steps, **own)

    def only(self, rows: list[int]) -> Stack:
        """The stack of the networks ``rows``, optimiser state and gradient included; the others keep their weights."""
        self.bind(torch.clone)
        kept = Stack([self.networks[row] for row in rows], self.make)
        kept.values.grad.copy_(self.values.grad[rows])
        state = self.optimizer.state_dict()
        for values in state["state"].values():
            for name, value in values.items():
                if value.shape == self.values.shape:
                    values[name] = value[rows].clone()
        kept.optimizer.load_state_dict(state)
        return kept


def scale_rows_(gradient: Tensor, scaling: str, threshold: float | Tensor) -> Tensor:
    """Scale every row of ``(S, P)`` on its own, as :mod:`gpcore.scaling` does; return the norms before, ``(S,)``.

    ``threshold`` is one for all rows, or one for each, ``(S,)``.
    """
    norms = torch.linalg.vector_norm(gradient, dim=1)
    if not all(0 < norm < math.inf for norm in norms.tolist()):
        # A sum of squares leaves the range of float32 where its root would not.
        norms = torch.linalg.vector_norm(gradient, dim=1, dtype=torch.float64)
    if scaling == "clip_value":
        bound = torch.as_tensor(threshold, dtype=gradient.dtype, device=gradient.device).reshape(-1, 1)
        gradient.clamp_(-bound, bound)
    elif scaling != "none":
        factor = threshold / norms
        factor = factor.clamp(max=1.0) if scaling == "clip_norm" else torch.where(norms > 0, factor, 0.0)
        gradient.mul_(factor.to(gradient.dtype).unsqueeze(1))
    return norms


class RowOptimizer:
    """PyTorch's SGD, RMSprop, Adam and AdamW on the rows of a matrix, with a learning rate for each row.

    PyTorch's own take one rate for a whole tensor.
    """

    def __init__(self, name: str, betas: tuple[float, float], momentum: float, weight_decay: float):
        self.name, self.betas, self.momentum, self.weight_decay = name, betas, momentum, weight_decay
        self.steps, self.state = 0, {}

    def _running(self, name: str, like: Tensor) -> Tensor:
        return self.state.setdefault(name, torch.zeros_like(like))

    def step(self, values: Tensor, gradient: Tensor, lr: Tensor) -> None:
        """Update ``values`` ``(S, P)`` in place; ``gradient`` is left as it is, ``lr`` is ``(S, 1)`` in float64."""
        self.steps += 1
        if self.weight_decay and self.name == "adamw":
            values.mul_((1 - lr * self.weight_decay).to(values.dtype))
        elif self.weight_decay:
            gradient = gradient.add(values, alpha=self.weight_decay)
        if self.name in ("adam", "adamw"):
            (beta1, beta2), mean, square = self.betas, self._running("mean", values), self._running("square", values)
            mean.lerp_(gradient, 1 - beta1)
            square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            lr = lr / (1 - beta1**self.steps)
            direction = mean / (square.sqrt().div_(math.sqrt(1 - beta2**self.steps)).add_(1e-8))
        else:
            direction = gradient
            if self.name == "rmsprop":
                square = self._running("square", values).mul_(0.99).addcmul_(gradient, gradient, value=0.01)
                direction = gradient / square.sqrt().add_(1e-8)
            if self.momentum:
                direction = self._running("momentum", values).mul_(self.momentum).add_(direction)
        values.addcmul_(direction, lr.to(values.dtype), value=-1)

    def keep(self, rows: list[int]) -> None:
        """Go on with some of the rows."""
        self.state = {name: value[rows] for name, value in self.state.items()}
