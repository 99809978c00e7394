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

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .layers import Convolution, Dense

Layers = list[Dense | Convolution]


@dataclass(frozen=True)
class Rows:
    """Where the penalty's points stand among the samples along dimension ``dim``: first of two stretches, or last."""

    lengths: tuple[int, int]
    points_first: bool
    dim: int = 0

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The points, and the other samples."""
        first, last = x.split_with_sizes(self.lengths, self.dim)
        return (first, last) if self.points_first else (last, first)


def rows(at: str, n: int, dim: int = 0) -> Rows:
    """The rows of real, generated and any further samples, n of each, for a penalty taken ``at`` one of them."""
    return Rows((n, n) if at in ("real", "fake") else (2 * n, n), at == "real", dim)


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
    r = r.reshape_as(outputs[-1])
    for index in reversed(range(len(layers))):
        layer = layers[index]
        u.append(r.clone() if layer.activation.curvature else None)
        r = layer.activation.times_slope_(r, outputs[index])
        down.append(r)
        r = layer.pull(r, inputs[index])
        if layer.flatten and index:
            r = r.reshape_as(outputs[index - 1])
    return down[::-1], u[::-1], r


def plain_backward(layers: Layers, inputs: list[Tensor], outputs: list[Tensor], r: Tensor) -> list[list]:
    """The gradient ``[dW, db]`` of every layer without a penalty."""
    down, _, _ = adjoints(layers, inputs, outputs, r)
    return [_gradients(layer, (r, a)) for layer, r, a in zip(layers, down, inputs, strict=True)]


def _gradients(layer: Dense | Convolution, *pairs: tuple[Tensor, Tensor]) -> list[Tensor | None]:
    """``[dW, db]`` of one layer: the weights from all pairs ``(r, a)``, the bias from the first."""
    return [layer.weight_gradient(*pairs), None if layer.bias is None else layer.bias_gradient(pairs[0][0])]


def _columns(share: Tensor, like: Tensor) -> Tensor:
    """One number per sample, shaped to multiply ``like``."""
    return share.reshape(*share.shape, *[1] * (like.ndim - share.ndim))


def double_backward(
    layers: Layers,
    inputs: list[Tensor],
    outputs: list[Tensor],
    r: Tensor,
    rows: Rows,
    phi: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> tuple[list[list], Tensor, Tensor]:
    """Steps 2 to 5: the gradient ``[dW, db]`` of loss and penalty for every layer; norms and penalty at the points.

    Args:
        layers, inputs, outputs: as :func:`forward` takes and gives them; both lists are used up.
        r: the loss's derivative with respect to the scores of real and generated samples, ``(2N,)`` or ``(S, 2N)``.
        rows: which samples the penalty is taken at; only the loss wants the others.
        phi: function of the norms that gives the penalty's mean, and its derivative with respect to each norm.
    """
    share = None
    if r.shape[rows.dim] == sum(rows.lengths):  # the loss wants the points too
        share, r = rows.parts(r)
    x, x_others = _parts(inputs, rows)
    a, a_others = _parts(outputs, rows)

    # 2. Adjoints of the points: 1 at the scores, for g is the score's own gradient.
    r_points, u, g = adjoints(layers, x, a, torch.ones_like(a[-1]))

    g = g.flatten(rows.dim + 1)
    norms = torch.linalg.vector_norm(g, dim=-1)
    # Where a norm is 0 so is g, and with it the tangent.
    t = g / norms.clamp(min=torch.finfo(norms.dtype).tiny).unsqueeze(-1)
    penalty, slope = phi(norms)
    t = t.mul_(slope.unsqueeze(-1))
    shapes = [x.shape for x in a]
    kept, s = _tangents(layers, x, a, t, share)
    del t

    # 4. Weights, and the adjoints of the other samples on the way down. What is done with is let go.
    r = r.reshape_as(a_others[-1])
    gradients = []
    for layer in reversed(layers):
        r = layer.activation.times_slope_(r, a_others.pop())
        a.pop()
        gradients.append(_joint_gradients(layer, r, x_others[-1], r_points.pop(), x.pop(), share))
        if a_others:
            r = layer.pull(r, x_others.pop()).reshape_as(a_others[-1])
    gradients.reverse()
    if kept:
        _add_curvature(layers, gradients, kept, s, u, shapes)
    return gradients, norms, penalty


def _joint_gradients(
    layer: Dense | Convolution, r: Tensor, a: Tensor, r_points: Tensor, t: Tensor, share: Tensor | None
) -> list[Tensor | None]:
    """Step 4 for one layer; ``t`` holds the points' tangents, or those and what the loss wants of their activations."""
    dW, db = _gradients(layer, (r, a), (r_points, t))
    if share is not None and db is not None:
        db += layer.bias_gradient(_columns(share, r_points) * r_points)
    return [dW, db]


def _parts(tensors: list[Tensor], rows: Rows) -> tuple[list[Tensor], list[Tensor]]:
    """The points' rows and the others' of every tensor; the list itself is emptied, so that it keeps none alive."""
    parts = [rows.parts(x) for x in tensors]
    tensors.clear()
    return [points for points, _ in parts], [others for _, others in parts]


def _tangents(layers: Layers, x: list, a: list, t: Tensor, share: Tensor | None) -> tuple[list, list]:
    """Step 3, at the points: ``t_l`` takes the place of ``a_l``, or joins it where the loss wants its share of ``a_l``.

    Returns what step 5 needs of a critic with curved activations: the ``a_l`` as they were, and ``s_l``.
    """
    curved = any(layer.activation.curvature for layer in layers)
    kept, s = [], []
    for index, layer in enumerate(layers):
        here, t = x[index], t.reshape_as(x[index])
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
            for gradient, more in zip(gradients[index], _gradients(layer, (e, a[index])), strict=True):
                if gradient is not None:
                    gradient += more
