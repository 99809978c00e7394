"""The layers that the hand-derived sweeps know: what each does to activations, adjoints and tangents.

A layer computes ``z = W a + b`` and then ``sigma(z)``. Around the same weights run the four products of a sweep: the
activations forward (``W a + b``), an adjoint back (``W^T r``), a tangent forward (``W t``), and the weight's gradient
(``sum_n r_n a_n^T``). A dense weight is ``(out, in)`` and its batches are ``(N, in)``; with replicas in front, weights
``(S, out, in)`` and batches ``(S, N, in)``, S networks are computed at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

# One fused pass over the data each, in place, where a mask and a product would take two and a buffer.
_relu_slope = torch.ops.aten.threshold_backward.grad_input
_leaky_slope = torch.ops.aten.leaky_relu_backward.grad_input


@dataclass(frozen=True)
class Activation:
    """``sigma``, in place where it can be; its slope and curvature are functions of its *output* a = sigma(z)."""

    apply_: Callable[[Tensor], Tensor]
    times_slope_: Callable[[Tensor, Tensor], Tensor]  # (r, a) -> sigma'(z) * r, in place of r
    curvature: Callable[[Tensor], Tensor] | None = None  # a -> sigma''(z); None where it is 0 almost everywhere


IDENTITY = Activation(lambda z: z, lambda r, a: r)


RELU = Activation(torch.relu_, lambda r, a: _relu_slope(r, a, 0, grad_input=r))
TANH = Activation(torch.tanh_, lambda r, a: r.mul_(1 - a * a), lambda a: -2 * a * (1 - a * a))


# Made once for each setting: compiled code holds on to an activation and would have to look into every new one.
@functools.cache
def _leaky_relu(slope: float) -> Activation:
    return Activation(lambda z: F.leaky_relu_(z, slope), lambda r, a: _leaky_slope(r, a, slope, True, grad_input=r))


@functools.cache
def _softplus(beta: float, threshold: float) -> Activation:
    def slope_of(a: Tensor) -> Tensor:
        # sigmoid(beta z) = 1 - exp(-beta a); from the threshold on PyTorch's softplus is the identity.
        return torch.where(beta * a > threshold, 1.0, -torch.expm1(-beta * a))

    return Activation(
        lambda z: F.softplus(z, beta, threshold),
        lambda r, a: r.mul_(slope_of(a)),
        lambda a: beta * slope_of(a) * (1 - slope_of(a)),
    )


def _activation(module: nn.Module) -> Activation | None:
    if type(module) is nn.ReLU:
        return RELU
    if type(module) is nn.LeakyReLU and module.negative_slope >= 0:
        return _leaky_relu(module.negative_slope)
    if type(module) is nn.Tanh:
        return TANH
    # Its slope is told from its output, which nothing but the default threshold, or a larger one, allows.
    if type(module) is nn.Softplus and module.threshold >= 20:
        return _softplus(module.beta, module.threshold)
    return None


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a b`` of two matrices or of two stacks of them; ``matmul`` first finds out which, with five operations more."""
    return torch.bmm(a, b) if b.ndim == 3 else a @ b


@dataclass
class Dense:
    """``z = W a + b`` for weights ``(out, in)``, or ``(S, out, in)`` for S replicas."""

    weight: Tensor
    bias: Tensor | None
    activation: Activation = IDENTITY
    flatten: bool = False

    @property
    def is_score(self) -> bool:
        """Does it give one number per sample, and that number as it is?"""
        return self.weight.shape[-2] == 1 and self.activation is IDENTITY

    def forward(self, a: Tensor) -> Tensor:
        if self.weight.ndim == 2:
            return F.linear(a, self.weight, self.bias)
        if self.bias is None:
            return torch.bmm(a, self.weight.mT)
        return torch.baddbmm(self.bias.unsqueeze(-2), a, self.weight.mT)

    def push(self, t: Tensor) -> Tensor:
        return _product(t, self.weight.mT)

    def pull(self, r: Tensor, like: Tensor) -> Tensor:
        # An outer product is a broadcast, several times faster than a product of matrices with an inner size of 1.
        return r * self.weight if self.weight.shape[-2] == 1 else _product(r, self.weight)

    def weight_gradient(self, *pairs: tuple[Tensor, Tensor]) -> Tensor:
        """The sum of ``r_n a_n^T`` over the samples of one or more pairs of batches ``(r, a)``."""
        # The narrow factor to the left: several times faster for the first layer of a critic of 2-D samples.
        narrow = pairs[0][1].shape[-1] < pairs[0][0].shape[-1]
        (left, right), *more = [(a, r) for r, a in pairs] if narrow else pairs
        product = _product(left.mT, right)
        for left, right in more:
            if product.ndim == 2:  # added on the way: a wide layer has no other large matrix to make
                torch.addmm(product, left.mT, right, out=product)  # in this form PyTorch's counter counts it
            else:
                product += torch.bmm(left.mT, right)
        return product.mT.contiguous() if narrow else product

    def bias_gradient(self, r: Tensor) -> Tensor:
        return r.sum(-2)


@dataclass
class Convolution:
    """``z = W * a + b`` for weights ``(out, in / groups, height, width)`` and batches ``(N, in, H, W)``."""

    weight: Tensor
    bias: Tensor | None
    settings: tuple  # stride, padding, dilation, groups
    activation: Activation = IDENTITY
    flatten: bool = False

    def forward(self, a: Tensor) -> Tensor:
        return F.conv2d(a, self.weight, self.bias, *self.settings)

    def push(self, t: Tensor) -> Tensor:
        return F.conv2d(t, self.weight, None, *self.settings)

    def pull(self, r: Tensor, like: Tensor) -> Tensor:
        return conv2d_input((len(r), *like.shape[1:]), self.weight, r, *self.settings)

    def weight_gradient(self, *pairs: tuple[Tensor, Tensor]) -> Tensor:
        (r, a), *more = pairs
        total = conv2d_weight(a, self.weight.shape, r, *self.settings)
        for r, a in more:
            total += conv2d_weight(a, self.weight.shape, r, *self.settings)
        return total

    def bias_gradient(self, r: Tensor) -> Tensor:
        return r.sum((0, 2, 3))


def _watched(m: nn.Module) -> bool:
    """Does anybody listen to this module through hooks, which the sweeps would not call?"""
    return bool(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks)


def _modules(network: nn.Module) -> list[nn.Module]:
    """The modules of nested ``nn.Sequential`` in order; one that is watched is left as it is, for nobody to know."""
    if type(network) is not nn.Sequential or _watched(network):
        return [network]
    found = []
    for module in network:
        found += _modules(module) if type(module) is nn.Sequential else [module]
    return found


def layers_of(network: nn.Module) -> list[Dense | Convolution] | None:
    """Return the layers of a network that the sweeps know, or None for any other.

    Known are ``nn.Sequential`` (nested too) of ``Linear``, ``Conv2d`` padded with zeros, and ``Flatten``, where a
    ``ReLU``, ``LeakyReLU``, ``Tanh`` or ``Softplus`` may follow each of the first two; without hooks or
    parametrisations. A last ``Flatten(0)``, which makes ``(N, 1)`` into ``(N,)``, is left to the caller.
    """
    layers: list[Dense | Convolution] = []
    flatten = False
    modules = _modules(network)
    for module in modules:
        if _watched(module):
            return None
        if type(module) is nn.Linear:
            layers.append(Dense(module.weight, module.bias, flatten=flatten))
            flatten = False
        elif type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            settings = (module.stride, module.padding, module.dilation, module.groups)
            layers.append(Convolution(module.weight, module.bias, settings, flatten=flatten))
            flatten = False
        elif type(module) is nn.Flatten and module is modules[-1] and (module.start_dim, module.end_dim) == (0, -1):
            pass
        elif type(module) is nn.Identity:
            pass
        elif type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
            flatten = True
        elif layers and not flatten and layers[-1].activation is IDENTITY and (activation := _activation(module)):
            layers[-1].activation = activation
        else:
            return None
    return layers or None
