"""Clipping each sample's own gradient before they are summed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import _checks


def per_sample_clip(
    loss_fn: Callable[..., Tensor], model: nn.Module, batch: Tensor | tuple[Tensor, Tensor], max_norm: float
) -> dict[str, Tensor]:
    """Clip each sample's own gradient to ``max_norm``, then sum: one outlier cannot move the step by more than that.

    Args:
        loss_fn: ``loss_fn(output)`` or, for a batch ``(x, y)``, ``loss_fn(output, y)``; called for one sample at a time
            with the batch dimension kept (size 1), returns a scalar.
        model: treats samples one by one.
        batch: samples ``(N, ...)``, or a pair of samples and labels.
        max_norm: the threshold, not negative.

    Returns:
        name of parameter -> ``sum_i g_i * min(1, max_norm / ||g_i||)``, the norm over all parameters together. The
        ``.grad`` of the parameters is not touched.

    Raises:
        ValueError: ``max_norm`` negative or not finite. FloatingPointError: a sample's gradient is not finite.

    Source: Abadi et al. 2016 (DP-SGD), Algorithm 1, without its noise.
    """
    max_norm = _checks.non_negative("max_norm", max_norm)
    samples = batch if isinstance(batch, tuple) else (batch,)
    _checks.batch("batch", samples[0])

    def loss(parameters, x, *y):
        output = torch.func.functional_call(model, parameters, (x[None],))
        return loss_fn(output, *(label[None] for label in y))

    parameters = {name: p.detach() for name, p in model.named_parameters()}
    per_sample = torch.func.vmap(torch.func.grad(loss), (None,) + (0,) * len(samples), randomness="different")
    gradients = per_sample(parameters, *samples)
    norms = torch.stack([g.double().flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
    if not norms.isfinite().all():
        raise FloatingPointError(
            f"{int((~norms.isfinite()).sum())} of {len(norms)} samples have a gradient that is not finite"
        )
    factor = (max_norm / norms.clamp(min=1e-30)).clamp(max=1.0)
    return {name: torch.tensordot(factor.to(g.dtype), g, dims=1) for name, g in gradients.items()}
