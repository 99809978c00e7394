"""Networks of one architecture stacked: their parameters as the rows of one matrix."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

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
        for layer in self.layers:
            for name in ("weight", "bias"):
                if (parameter := getattr(layer, name)) is not None:
                    slot = (slice(start, start + parameter.numel()), parameter.shape)
                    self.slots.append(slot)
                    setattr(layer, name, self._view(self.values, *slot))
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
        for slot, gradient in zip(self.slots, given, strict=True):
            self._view(self.values.grad, *slot).copy_(gradient)

    def only(self, rows: list[int]) -> Stack:
        """The stack of the networks ``rows``, optimiser state and gradient included; the others keep their weights."""
        self.bind(torch.clone)
        kept = Stack([self.networks[row] for row in rows], self.make)
        kept.values.grad = self.values.grad[rows].clone()
        state = self.optimizer.state_dict()
        for values in state["state"].values():
            for name, value in values.items():
                if value.shape == self.values.shape:
                    values[name] = value[rows].clone()
        kept.optimizer.load_state_dict(state)
        return kept


def scale_rows_(gradient: Tensor, scaling: str, threshold: float) -> Tensor:
    """Scale every row of ``(S, P)`` on its own, as :mod:`gpcore.scaling` does; return the norms before, ``(S,)``."""
    norms = torch.linalg.vector_norm(gradient, dim=1)
    if not all(0 < norm < math.inf for norm in norms.tolist()):
        # A sum of squares leaves the range of float32 where its root would not.
        norms = torch.linalg.vector_norm(gradient, dim=1, dtype=torch.float64)
    if scaling == "clip_value":
        gradient.clamp_(-threshold, threshold)
    elif scaling != "none":
        factor = threshold / norms
        factor = factor.clamp(max=1.0) if scaling == "clip_norm" else torch.where(norms > 0, factor, 0.0)
        gradient.mul_(factor.to(gradient.dtype).unsqueeze(1))
    return norms
