r"""A penalised critic step by hand: loss and penalty with every gradient, without a second pass of autograd.

For a critic ``a_l = sigma(z_l)``, ``z_l = W_l a_{l-1} + b_l``, ``a_0 = x``, whose score is ``z_L``:

1. *Forward.* All samples at once: real, generated, and the penalty's points.
2. *Adjoints, back.* ``r_L`` is the loss's derivative with respect to a score, and 1 at the penalty's points;
   ``u_l = W_{l+1}^T r_{l+1}`` and ``r_l = sigma'(z_l) u_l``. At the points, ``g = W_1^T r_1`` is the score's input
   gradient, ``n = ||g||`` its norm, ``phi(n) = weight (n - target)^2`` the penalty.
3. *Tangents, forward,* at the points: ``t_0 = phi'(n) g / n`` held fixed, ``s_l = W_l t_{l-1}``,
   ``t_l = sigma'(z_l) s_l``. For every parameter, ``d phi = d (t_0 . g)``, a sum of products of ``r`` and ``t``:
4. *Weights.* ``dW_l`` is the sum of ``r_l a_{l-1}^T`` over real and generated samples plus that of ``r_l t_{l-1}^T``
   over the points, whose activations the tangents have overwritten. Biases do not move the input gradient of a
   piecewise-linear critic: the points give them nothing.
5. *Curved activations* (tanh, softplus) move their slopes too: ``e_l = sigma'(z_l) W_{l+1}^T e_{l+1} + u_l s_l
   sigma''(z_l)``, ``e_L = 0``, adds ``e_l a_{l-1}^T`` to ``dW_l`` and ``e_l`` to ``db_l``.

Counted in products of a layer's weights with one batch, that is 10 where autograd takes 12: its derivative of ReLU's
derivative is a batch of zeros that then travels back through the whole network. R1 and R2 take their norms at samples
that the loss has already sent forward: 7 products instead of 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import _checks
from .layers import Convolution, Dense, layers_of
from .losses import wasserstein_critic_loss
from .penalties import dragan_points, finite, interpolate

Layers = list[Dense | Convolution]
AT = ("interpolates", "real", "fake", "around_real")


@dataclass(frozen=True)
class CriticStep:
    """What a penalised critic step measured: the loss without the penalty, the penalty, the norms ``(N,)``."""

    loss: Tensor
    penalty: Tensor
    norms: Tensor


@dataclass(frozen=True)
class Rows:
    """A stretch of the samples, along dimension ``dim``."""

    start: int
    length: int
    dim: int = 0

    def of(self, x: Tensor) -> Tensor:
        return x.narrow(self.dim, self.start, self.length)


def rows(at: str, n: int, dim: int = 0) -> tuple[Rows, Rows]:
    """Where the penalty's points stand among real, generated and any further samples, and where the others do."""
    start = {"real": 0, "fake": n}.get(at, 2 * n)
    others = {"real": (n, n), "fake": (0, n)}.get(at, (0, 2 * n))
    return Rows(start, n, dim), Rows(*others, dim)


def supports(critic: Callable) -> bool:
    """Return whether :func:`penalized_backward_` can take ``critic``.

    It can where the critic is an ``nn.Sequential`` (nested too) of ``Linear``, ``Conv2d`` padded with zeros and
    ``Flatten``, each of the first two followed by ``ReLU``, ``LeakyReLU``, ``Tanh``, ``Softplus`` or nothing; the
    last layer is linear and gives one number a sample; there are no hooks and no parametrisations (spectral norm).
    """
    return _layers_of_critic(critic) is not None


def _layers_of_critic(critic: Callable) -> Layers | None:
    layers = layers_of(critic) if isinstance(critic, nn.Module) else None
    return layers if layers and isinstance(layers[-1], Dense) and layers[-1].is_score else None


def forward(layers: Layers, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Every layer's input ``a_{l-1}`` and output ``a_l``, bottom to top; the last output holds the scores."""
    inputs, outputs = [], []
    for layer in layers:
        inputs.append(x.flatten(1) if layer.flatten else x)
        x = layer.activation.apply_(layer.forward(inputs[-1]))
        outputs.append(x)
    return inputs, outputs


def adjoints(layers: Layers, inputs: list[Tensor], outputs: list[Tensor], r: Tensor) -> tuple[list, list, Tensor]:
    """Step 2: ``r_l`` of every layer and, where it is curved, ``u_l``, bottom to top; and the input's own adjoint.

    ``r`` belongs to the scores or, where another network stands on top, to that network's input.
    """
    down, u = [], []
    r = r.reshape(outputs[-1].shape)
    for index in reversed(range(len(layers))):
        layer = layers[index]
        u.append(r.clone() if layer.activation.curvature else None)
        r = layer.activation.times_slope_(r, outputs[index])
        down.append(r)
        r = layer.pull(r, inputs[index])
        if layer.flatten and index:
            r = r.reshape(outputs[index - 1].shape)
    return down[::-1], u[::-1], r


def plain_backward(layers: Layers, inputs: list[Tensor], outputs: list[Tensor], r: Tensor) -> list[list]:
    """The gradient ``[dW, db]`` of every layer without a penalty."""
    down, _, _ = adjoints(layers, inputs, outputs, r)
    return [_gradients(layer, r, a) for layer, r, a in zip(layers, down, inputs, strict=True)]


def _gradients(layer: Dense | Convolution, r: Tensor, a: Tensor) -> list[Tensor | None]:
    return [layer.weight_gradient(r, a), None if layer.bias is None else layer.bias_gradient(r)]


def _columns(share: Tensor, like: Tensor) -> Tensor:
    """One number a sample, shaped to multiply ``like``."""
    return share.reshape(*share.shape, *[1] * (like.ndim - share.ndim))


def double_backward(
    layers: Layers,
    inputs: list[Tensor],
    outputs: list[Tensor],
    r: Tensor,
    points: Rows,
    others: Rows,
    slope: Callable[[Tensor], Tensor],
) -> tuple[list[list], Tensor]:
    """Steps 2 to 5: the gradient ``[dW, db]`` of loss and penalty for every layer, and the norms at the points.

    Args:
        layers, inputs, outputs: as :func:`forward` takes and gives them; both lists are used up.
        r: the loss's derivative with respect to the scores of real and generated samples, ``(2N,)`` or ``(S, 2N)``.
        points, others: the samples that the penalty is taken at, and those that only the loss wants.
        slope: ``phi'(n)`` over the number of points, as a function of the norms.
    """
    in_loss = points.start < r.shape[points.dim]
    x, x_others = _part(inputs, points, others)
    a, a_others = _part(outputs, points, others)

    # 2. Adjoints of the points: 1 at the scores, for g is the score's own gradient.
    r_points, u, g = adjoints(layers, x, a, torch.ones_like(a[-1]))

    g = g.flatten(points.dim + 1)
    norms = torch.linalg.vector_norm(g, dim=-1)
    # Where a norm is 0 its gradient is taken as 0.
    t = torch.where(norms > 0, slope(norms) / norms, 0.0).unsqueeze(-1) * g
    share = points.of(r) if in_loss else None
    shapes = [x.shape for x in a]
    kept, s = _tangents(layers, x, a, t, share)
    del t

    # 4. Weights, and the adjoints of the other samples on the way down. What is done with is let go.
    r = others.of(r).reshape(a_others[-1].shape)
    gradients = []
    for layer in reversed(layers):
        r = layer.activation.times_slope_(r, a_others.pop())
        a.pop()
        gradients.append(_joint_gradients(layer, r, x_others[-1], r_points.pop(), x.pop(), share))
        if a_others:
            r = layer.pull(r, x_others.pop()).reshape(a_others[-1].shape)
    gradients.reverse()
    if kept:
        _add_curvature(layers, gradients, kept, s, u, shapes)
    return gradients, norms


def _joint_gradients(
    layer: Dense | Convolution, r: Tensor, a: Tensor, r_points: Tensor, t: Tensor, share: Tensor | None
) -> list[Tensor | None]:
    """Step 4 for one layer; ``t`` holds the points' tangents, or those and what the loss wants of their activations."""
    dW, db = _gradients(layer, r, a)
    dW += layer.weight_gradient(r_points, t)
    if share is not None and db is not None:
        db += layer.bias_gradient(_columns(share, r_points) * r_points)
    return [dW, db]


def _part(tensors: list[Tensor], points: Rows, others: Rows) -> tuple[list[Tensor], list[Tensor]]:
    """The points' rows and the others' of every tensor; the list itself is emptied, so that it keeps none alive."""
    parts = [points.of(x) for x in tensors], [others.of(x) for x in tensors]
    tensors.clear()
    return parts


def _tangents(layers: Layers, x: list, a: list, t: Tensor, share: Tensor | None) -> tuple[list, list]:
    """Step 3, at the points: ``t_l`` takes the place of ``a_l``, or joins it where the loss wants its share of ``a_l``.

    Returns what step 5 needs of a critic with curved activations: the ``a_l`` as they were, and ``s_l``.
    """
    curved = any(layer.activation.curvature for layer in layers)
    kept, s = [], []
    for index, layer in enumerate(layers):
        here, t = x[index], t.reshape(x[index].shape)
        if curved:
            kept.append(here.clone())
        if share is None:
            here.copy_(t)
        else:  # the points' adjoints are 1 at the scores: what the loss wants of them is multiplied in here
            here.mul_(_columns(share, here)).add_(t)
        if index + 1 < len(layers):
            t = layer.push(t)
            s.append(t.clone() if layer.activation.curvature else None)
            t = layer.activation.times_slope_(t, a[index])
    return kept, s


def _add_curvature(layers: Layers, gradients: list[list], a: list, s: list, u: list, shapes: list) -> None:
    """Step 5, from the layer below the scores down; ``a``, ``s`` and ``u`` are those of the points."""
    e = None
    for index in reversed(range(len(layers) - 1)):
        layer, out = layers[index], a[index + 1].reshape(shapes[index])
        if e is not None:
            e = layer.activation.times_slope_(layers[index + 1].pull(e, a[index + 1]).reshape(out.shape), out)
        if layer.activation.curvature:
            bend = u[index] * s[index] * layer.activation.curvature(out)
            e = bend if e is None else e + bend
        if e is not None:
            for gradient, more in zip(gradients[index], _gradients(layer, e, a[index]), strict=True):
                if gradient is not None:
                    gradient += more


def _loss_and_slopes(critic_loss: Callable, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The critic's loss, and its derivative with respect to every score."""
    real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
    with torch.enable_grad():
        loss = critic_loss(real, fake)
    return loss.detach(), *torch.autograd.grad(loss, (real, fake))


@torch.no_grad()
def penalized_backward_(
    critic: nn.Module,
    real: Tensor,
    fake: Tensor,
    *,
    critic_loss: Callable[[Tensor, Tensor], Tensor] = wasserstein_critic_loss,
    at: str = "interpolates",
    weight: float = 10.0,
    target: float = 1.0,
    one_sided: bool = False,
    eps: Tensor | float | None = None,
    noise: Tensor | None = None,
) -> CriticStep:
    """Add the gradient of ``critic_loss + mean(weight * (norm - target)^2)`` to the critic's ``.grad``, by hand.

    It stands for two forward passes, a penalty with ``create_graph=True`` and ``backward()``, and gives the same
    gradient to rounding, in less time and memory. Real and generated samples get no gradient. R1 and R2 of weight
    gamma are ``at="real"`` and ``at="fake"`` with ``weight=gamma / 2, target=0``.

    Args:
        critic: a module that :func:`supports` accepts.
        real, fake: samples ``(N, ...)`` of one shape.
        critic_loss: function of real and fake scores, ``(N,)`` each, that returns a scalar.
        at: where the norm is taken: ``"interpolates"`` (WGAN-GP), ``"real"``, ``"fake"``, ``"around_real"`` (DRAGAN).
        weight, target, one_sided: as for :func:`gradient_penalty`.
        eps: as for :func:`interpolate`; for interpolates and around real samples.
        noise: as for :func:`dragan_penalty`; around real samples.

    Returns:
        :class:`CriticStep`; nothing in it carries a graph.

    Raises:
        ValueError: a critic that is not supported, a call under autocast, and as :func:`gradient_penalty`.
        TypeError: samples that are not floating-point tensors.
        FloatingPointError: a norm or the penalty is not finite; the ``.grad`` are then as they were.

    Source: double backpropagation, Drucker and LeCun 1992; the top of this module derives it.
    """
    weight, target = _checks.non_negative("weight", weight), _checks.non_negative("target", target)
    _checks.one_of("at", at, AT)
    _checks.same_shape("real", _checks.batch("real", real), "fake", _checks.batch("fake", fake))
    layers = _layers_of_critic(critic)
    if layers is None:
        raise ValueError(
            "critic must be an nn.Sequential of layers that the hand-derived sweep knows (see gpcore.supports); "
            "add gradient_penalty to the loss and call backward() instead"
        )
    if torch.is_autocast_enabled(real.device.type):
        raise ValueError("penalized_backward_ must run outside autocast: a norm is squared and compared with a target")
    n = len(real)
    batches = [real, fake]
    if at == "interpolates":
        batches.append(interpolate(real, fake, eps))
    elif at == "around_real":
        batches.append(dragan_points(real, noise, eps))

    inputs, outputs = forward(layers, torch.cat(batches))  # 1.
    scores = outputs[-1].reshape(-1)
    loss, *slopes = _loss_and_slopes(critic_loss, scores[:n], scores[n : 2 * n])

    def excess(norms: Tensor) -> Tensor:
        return (norms - target).relu() if one_sided else norms - target

    gradients, norms = double_backward(
        layers, inputs, outputs, torch.cat(slopes), *rows(at, n), lambda norms: 2 * weight / n * excess(norms)
    )
    penalty = weight * excess(norms).square().mean()
    if not math.isfinite(penalty):
        finite("the norm of the critic's gradient", norms)
        finite("the penalty", penalty)
    for layer, of_layer in zip(layers, gradients, strict=True):
        for parameter, gradient in zip((layer.weight, layer.bias), of_layer, strict=True):
            if parameter is not None and parameter.requires_grad:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
    return CriticStep(loss, penalty, norms)
