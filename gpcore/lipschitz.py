"""How fast a critic can change: ways to limit its Lipschitz constant, and bounds of it from above and below."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from . import _checks
from .penalties import Critic, gradient_norms, scores_and_norms

# Largest slope of each activation that has no settings; those with settings are in lipschitz_bound.
SLOPES = {
    nn.ReLU: 1.0,
    nn.Tanh: 1.0,
    nn.Softplus: 1.0,
    nn.Sigmoid: 0.25,
    nn.Flatten: 1.0,
    nn.Unflatten: 1.0,
    nn.Identity: 1.0,
}


def clip_weights_(module: nn.Module, c: float) -> nn.Module:
    """Clamp every parameter to [-c, c], in place: ``w <- min(max(w, -c), c)``.

    WGAN's way to keep the critic Lipschitz (Arjovsky et al. 2017, Algorithm 1, c = 0.01). Biases are clamped as well,
    as in the authors' code.

    Args:
        module: its parameters are changed.
        c: the bound, greater than 0.

    Returns:
        ``module`` itself.

    Raises:
        ValueError: ``c`` is zero, negative or not finite.

    Example:
        >>> gp.clip_weights_(torch.nn.Linear(64, 1), 0.01).weight.abs().max().item() <= 0.01
        True
    """
    c = _checks.positive("c", c)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.clamp_(-c, c)
    return module


def spectral_norm_(module: nn.Module) -> nn.Module:
    """Divide the weight of every ``Linear`` and ``Conv2d`` by its spectral norm, in place and from now on.

    ``W / sigma(W)``, where sigma is the largest singular value, estimated by power iteration: one step a forward pass
    in training mode (Miyato et al. 2018, eq. 8 and Algorithm 1). A convolution's weight is taken as the matrix
    ``(c_out, c_in * kh * kw)``, as in the paper; the convolution itself can stretch an input by more than that matrix
    (see :func:`lipschitz_bound`).

    Args:
        module: its layers get PyTorch's spectral-norm parametrisation.

    Returns:
        ``module`` itself.

    Raises:
        ValueError: there is no such layer, or one has a parametrised weight already.

    Example:
        >>> layer = gp.spectral_norm_(torch.nn.Linear(8, 8))
        >>> for _ in range(50):  # each pass in training mode improves the estimate of the norm
        ...     _ = layer(torch.zeros(1, 8))
        >>> round(torch.linalg.matrix_norm(layer.weight, ord=2).item(), 2)
        1.0
    """
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    if not layers:
        raise ValueError(f"module must contain a Linear or Conv2d layer, got {type(module).__name__} without any")
    if any(parametrize.is_parametrized(layer, "weight") for layer in layers):
        raise ValueError("module must not have parametrised weights already (was spectral_norm_ called twice?)")
    devices = {layer.weight.device for layer in layers if layer.weight.is_cuda}
    # The power iteration starts from random vectors; the global random state is put back afterwards.
    with torch.random.fork_rng(devices=devices):
        for layer in layers:
            spectral_norm(layer)
    return module


class GradientNormalized(nn.Module):
    """A critic divided by its own gradient norm, ``f(x) / (||d f(x) / d x||_2 + |f(x)|)`` (Wu et al. 2021).

    The result lies in [-1, 1]. Where f is piecewise linear its gradient has the norm
    ``(||grad f|| / (||grad f|| + |f|))^2``, at most 1. Where f and its gradient are both 0 the result is 0.

    Args:
        critic: from ``(N, ...)`` to ``(N,)`` or ``(N, 1)``. Calling the module with samples ``(N, ...)`` returns
            ``(N,)``, differentiable with respect to the critic's parameters and the samples; under ``torch.no_grad()``
            and ``torch.inference_mode()`` it returns values without a graph.

    Raises:
        ValueError, TypeError, FloatingPointError: when called, as for :func:`gpcore.gradient_norms`.

    Example:
        >>> critic = gp.GradientNormalized(gp.models.mlp_critic(2))
        >>> critic(torch.randn(4, 2)).abs().max().item() < 1  # f / (|grad f| + |f|)
        True
    """

    def __init__(self, critic: nn.Module):
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised scores ``(N,)`` of samples ``(N, ...)``."""
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():  # the norm needs a gradient even if the caller does not
            scores, norms = scores_and_norms(self.critic, x)
            size = norms + scores.abs()
            normalized = scores / size.where(size > 0, 1)
        return normalized if wanted else normalized.detach()


def _weight(layer: nn.Module) -> Tensor:
    # In training mode a spectral-norm layer takes a step of its power iteration each time its weight is read.
    training = layer.training
    weight = layer.eval().weight.detach().double()
    layer.train(training)
    return weight


def _convolution_bound(layer: nn.Conv2d) -> float:
    if layer.padding_mode != "zeros":
        raise ValueError(f"module must pad its convolutions with zeros, got padding_mode={layer.padding_mode!r}")
    # One input pixel is read by at most this many output positions along each axis.
    axes = zip(layer.kernel_size, layer.dilation, layer.stride, strict=True)
    overlaps = [math.ceil(k * math.gcd(dilation, stride) / stride) for k, dilation, stride in axes]
    return math.sqrt(math.prod(overlaps)) * float(torch.linalg.matrix_norm(_weight(layer).flatten(1), 2))


def lipschitz_bound(module: nn.Module) -> float:
    """Upper bound of a network's Lipschitz constant (Euclidean norms): the product over its layers.

    A ``Linear`` layer counts with its spectral norm, exactly. A ``Conv2d`` counts with ``sqrt(m) * ||W||_2``, where W
    is the weight as a matrix ``(c_out, c_in * kh * kw)`` and m the largest number of output positions that read one
    input pixel (``kh * kw`` at stride 1): copying the patches out of an image stretches it by at most sqrt(m), whatever
    the image's size. Activations count with their largest slope (1 for ReLU, tanh, softplus; 1/4 for the sigmoid;
    ``max(1, |slope|)`` for leaky ReLU; ``max(1, |alpha|)`` for ELU). The bound is seldom reached: it would need the
    directions that the layers stretch most to line up.

    Args:
        module: one of those layers, ``Flatten``, ``Unflatten``, ``Identity``, or an ``nn.Sequential`` of them.

    Returns:
        The bound, in units of output over units of input.

    Raises:
        ValueError: for another kind of layer, or padding other than zeros.
        FloatingPointError: a weight is not finite.

    Source: Szegedy et al. 2014, section 4.3 (the product); Singla and Feizi 2021, Theorem 1 (convolutions, stride 1).

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> layer.weight.data = torch.tensor([[3.0, 4.0]])
        >>> round(gp.lipschitz_bound(torch.nn.Sequential(layer, torch.nn.ReLU())), 4)
        5.0
    """
    if isinstance(module, nn.Sequential):
        return math.prod(lipschitz_bound(layer) for layer in module)
    if isinstance(module, (nn.Linear, nn.Conv2d)) and not _weight(module).isfinite().all():
        raise FloatingPointError(f"the weights of {module} must be finite")
    if isinstance(module, nn.Linear):
        return float(torch.linalg.matrix_norm(_weight(module), 2))
    if isinstance(module, nn.Conv2d):
        return _convolution_bound(module)
    if isinstance(module, nn.LeakyReLU):
        return max(1.0, abs(module.negative_slope))
    if isinstance(module, nn.ELU):
        return max(1.0, abs(module.alpha))
    if type(module) in SLOPES:
        return SLOPES[type(module)]
    raise ValueError(f"module must be made of layers whose Lipschitz constant is known, got {type(module).__name__}")


def lipschitz_estimate(critic: Critic, x: Tensor) -> float:
    """Lower bound of the Lipschitz constant: the largest gradient norm, ``max_n ||d critic(x_n) / d x_n||_2``.

    Args:
        critic: from ``(N, ...)`` to ``(N,)`` or ``(N, 1)``.
        x: the points ``(N, ...)`` at which to look; more points can only raise the estimate.

    Returns:
        The largest norm, in units of score over units of ``x``.

    Raises:
        ValueError, TypeError, FloatingPointError: as for :func:`gpcore.gradient_norms`.

    Example:
        >>> round(gp.lipschitz_estimate(lambda x: x @ torch.tensor([3.0, 4.0]), torch.randn(8, 2)), 4)
        5.0
    """
    return gradient_norms(critic, x).max().item()
