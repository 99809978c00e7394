"""The few networks that the chapters use. A critic returns one number per sample, ``(N,)``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
}
CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}  # whose parameters and initial weights are taken over


def _mlp(sizes: list[int], activation: str, batch_norm: bool = False) -> list[nn.Module]:
    _checks.one_of("activation", activation, ACTIVATIONS)
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(ACTIVATIONS[activation]())
    return [*layers, nn.Linear(*sizes[-2:])]


def mlp_critic(
    dim: int, width: int = 128, depth: int = 3, activation: str = "relu", batch_norm: bool = False
) -> nn.Sequential:
    """Return a critic ``(N, dim) -> (N,)`` with ``depth`` hidden layers of ``width`` units, PyTorch's initialisation.

    Batch norm is offered for the experiment that shows what it does; a penalty refuses such a critic.

    Example:
        >>> gp.models.mlp_critic(2, width=8)(torch.zeros(4, 2)).shape
        torch.Size([4])
    """
    return nn.Sequential(*_mlp([dim, *[width] * depth, 1], activation, batch_norm), nn.Flatten(0))


def mlp_generator(
    noise_dim: int, dim: int, width: int = 128, depth: int = 3, activation: str = "relu"
) -> nn.Sequential:
    """Return a generator ``(N, noise_dim) -> (N, dim)`` with ``depth`` hidden layers of ``width`` units.

    Example:
        >>> gp.models.mlp_generator(3, 2, width=8)(torch.zeros(4, 3)).shape
        torch.Size([4, 2])
    """
    return nn.Sequential(*_mlp([noise_dim, *[width] * depth, dim], activation))


def gaussian_generator(dim: int, std: float = 1.0) -> nn.Sequential:
    """Return a generator ``(N, dim) -> (N, dim)`` that multiplies its noise by ``std``: ``N(0, std^2 I)``.

    With ``Config(generator=..., noise_dim=dim, lr_generator=0)`` it stays there, and critics are trained alone.

    Raises:
        ValueError: ``std`` is not greater than 0 and finite.

    Example:
        >>> import torch
        >>> gaussian_generator(2, std=3.0)(torch.tensor([[1.0, -2.0]])).tolist()
        [[3.0, -6.0]]
    """
    linear = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(linear.weight).data.mul_(_checks.positive("std", std))
    return nn.Sequential(linear)


def _check_size(size: int) -> None:
    if size not in (8, 28):
        raise ValueError(f"size must be 8 (digits) or 28 (MNIST), got {size!r}")


def conv_critic(size: int, channels: int = 32, batch_norm: bool = False) -> nn.Sequential:
    """Return a critic of grey images ``(N, 1, size, size) -> (N,)``, size 8 or 28: two strided convolutions.

    Example:
        >>> gp.models.conv_critic(8, channels=4)(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4])
    """
    _check_size(size)
    side = size // 4
    norms = [[nn.BatchNorm2d(c)] if batch_norm else [] for c in (channels, 2 * channels)]
    return nn.Sequential(
        nn.Conv2d(1, channels, 4, stride=2, padding=1),
        *norms[0],
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
        *norms[1],
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * channels * side * side, 1),
        nn.Flatten(0),
    )


def conv_generator(size: int, noise_dim: int, channels: int = 32) -> nn.Sequential:
    """Return a generator of grey images in [-1, 1], ``(N, noise_dim) -> (N, 1, size, size)``, size 8 or 28.

    Example:
        >>> gp.models.conv_generator(8, noise_dim=3, channels=4)(torch.zeros(4, 3)).shape
        torch.Size([4, 1, 8, 8])
    """
    _check_size(size)
    side = size // 4
    return nn.Sequential(
        nn.Linear(noise_dim, 2 * channels * side * side),
        nn.ReLU(),
        nn.Unflatten(1, (2 * channels, side, side)),
        nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


class Recurrent(nn.Module):
    """One recurrent layer in plain tensor operations: weights, initial weights and results of ``nn.RNN`` and the like.

    PyTorch's own layers are one operation each, which ``torch.func.vmap`` cannot take apart: many networks of this one
    can be trained at once, and every state along the way can be looked at and differentiated, twice if need be.

    Args:
        inputs, hidden: entries of an input and of the state h.
        cell: ``"rnn"`` (tanh), ``"gru"`` or ``"lstm"``.

    Example:
        >>> import torch, gpcore as gp
        >>> outputs, state = gp.models.Recurrent(6, 50)(torch.zeros(2, 20, 6))
        >>> outputs.shape, torch.equal(outputs[:, -1], state)
        (torch.Size([2, 20, 50]), True)
    """

    def __init__(self, inputs: int, hidden: int, cell: str = "rnn"):
        super().__init__()
        self.cell = _checks.one_of("cell", cell, CELLS)
        for name, parameter in CELLS[cell](inputs, hidden).named_parameters():
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor, state: Tensor | tuple[Tensor, Tensor] | None = None):
        """Return the outputs ``(N, T, hidden)`` and the last state for ``(N, T, inputs)``.

        ``state`` is where to start: ``(N, hidden)``, for an LSTM the pair of h and c; None is 0.
        """
        if state is None:
            zero = x.new_zeros(x.shape[0], self.weight_hh_l0.shape[1])
            state = (zero, zero) if self.cell == "lstm" else zero
        # What does not depend on the state is one product for all steps.
        inputs = nn.functional.linear(x.transpose(0, 1), self.weight_ih_l0, self.bias_ih_l0)
        if self.cell != "gru":  # whose reset gate acts on the recurrent bias as well
            inputs = inputs + self.bias_hh_l0
        step, weight, outputs = (
            {"rnn": _rnn_step, "gru": _gru_step, "lstm": _lstm_step}[self.cell],
            self.weight_hh_l0.T,
            [],
        )
        for given in inputs.unbind(0):
            state = step(given, state, weight, self.bias_hh_l0)
            outputs.append(state[0] if self.cell == "lstm" else state)
        return torch.stack(outputs, dim=1), state


def _rnn_step(given: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (given + h @ weight).tanh()


def _gru_step(given: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    (r, z, n), (r_h, z_h, n_h) = given.chunk(3, dim=1), (h @ weight + bias).chunk(3, dim=1)
    reset, update = (r + r_h).sigmoid(), (z + z_h).sigmoid()
    new = (n + reset * n_h).tanh()
    return new + update * (h - new)


def _lstm_step(given: Tensor, state: tuple[Tensor, Tensor], weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    h, c = state
    i, f, g, o = (given + h @ weight).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class RecurrentClassifier(nn.Module):
    """Reads a sequence ``(N, T, inputs)`` and gives logits ``(N, classes)`` at its last step.

    Example:
        >>> model = gp.models.RecurrentClassifier(inputs=6, hidden=8, classes=4)
        >>> model(torch.zeros(2, 20, 6)).shape
        torch.Size([2, 4])
    """

    def __init__(self, inputs: int, hidden: int, classes: int, cell: str = "rnn"):
        super().__init__()
        self.recurrent = Recurrent(inputs, hidden, cell)
        self.readout = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` for sequences ``(N, T, inputs)``."""
        return self.readout(self.recurrent(x)[0][:, -1])


class CharModel(nn.Module):
    """Predicts the next character: codes ``(N, T)`` -> logits ``(N, T, alphabet_size)`` and the last state.

    Example:
        >>> logits, state = gp.models.CharModel(alphabet_size=30, hidden=8)(torch.zeros(2, 5, dtype=torch.long))
        >>> logits.shape
        torch.Size([2, 5, 30])
    """

    def __init__(self, alphabet_size: int, hidden: int, cell: str = "rnn"):
        super().__init__()
        self.embedding = nn.Embedding(alphabet_size, hidden)
        self.recurrent = Recurrent(hidden, hidden, cell)
        self.readout = nn.Linear(hidden, alphabet_size)

    def forward(self, codes: Tensor, state=None):
        """Return ``(logits, state)`` for codes ``(N, T)``; ``state`` goes on where an earlier call ended."""
        outputs, state = self.recurrent(self.embedding(codes), state)
        return self.readout(outputs), state
