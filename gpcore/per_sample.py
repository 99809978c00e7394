"""Clipping each sample's own gradient before they are summed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from . import _checks


def per_sample_clip(
    loss_fn: Callable[..., Tensor], model: nn.Module, batch: Tensor | tuple[Tensor, ...], max_norm: float
) -> dict[str, Tensor]:
    """Clip each sample's own gradient to ``max_norm``, then sum: one outlier cannot move the step by more than that.

    Args:
        loss_fn: ``loss_fn(output)`` or, for a batch ``(x, y)``, ``loss_fn(output, y)``; called for one sample at a time
            with the batch dimension kept (size 1), returns a scalar.
        model: treats samples one by one. Frozen parameters are left out, of the norm too.
        batch: samples ``(N, ...)``, of numbers or of tokens, or a pair of samples and labels.
        max_norm: the threshold, not negative.

    Returns:
        name of trainable parameter -> ``sum_i g_i * min(1, max_norm / ||g_i||)``, the norm over all of them together.
        The ``.grad`` of the parameters is not touched.

    Raises:
        ValueError: ``max_norm`` negative or not finite; a batch that is empty or whose parts differ in length; a model
            without trainable parameters, or whose samples are not treated one by one (batch norm in training mode); a
            loss that is not one number, or that cannot be followed for all samples at once.
        TypeError: ``model`` is no module, wrapped for several devices, recurrent or with sparse gradients
            (``torch.func`` cannot differentiate those per sample), a batch or a loss that is no tensor.
            FloatingPointError: a sample's gradient is not finite.

    Source: Abadi et al. 2016 (DP-SGD), Algorithm 1, without its noise.

    Example:
        >>> import torch, gpcore as gp
        >>> x = torch.tensor([[3.0, 4.0], [0.3, 0.4]])  # the gradients of the two samples
        >>> gp.per_sample_clip(torch.sum, torch.nn.Linear(2, 1, bias=False), x, max_norm=1.0)
        {'weight': tensor([[0.9000, 1.2000]])}
    """
    max_norm = _checks.non_negative("max_norm", max_norm)
    parts = _batch(batch)
    trainable, rest = _parameters(model)

    def loss(parameters, x, *labels):
        output = torch.func.functional_call(model, parameters | rest, (x[None],))
        value = loss_fn(output, *(label[None] for label in labels))
        if not isinstance(value, Tensor):
            raise TypeError(f"loss_fn must return a tensor, got {type(value).__name__}")
        if value.ndim:
            raise ValueError(
                f"loss_fn must return one number for one sample, a tensor without dimensions, got shape "
                f"{tuple(value.shape)}; with reduction='none' add .sum()"
            )
        return value

    per_sample = torch.func.vmap(torch.func.grad(loss), (None,) + (0,) * len(parts), randomness="different")
    try:
        gradients = per_sample(trainable, *parts)
    except RuntimeError as error:
        if "vmap" not in str(error) and "torch.func" not in str(error):
            raise
        raise ValueError(
            "loss_fn or model cannot be followed for all samples at once (.item(), a condition on a value, a buffer "
            f"changed in place, checkpointing): {str(error).splitlines()[0]}"
        ) from error
    norms = torch.stack([g.abs().double().flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
    if not norms.isfinite().all():
        raise FloatingPointError(
            f"{int((~norms.isfinite()).sum())} of {len(norms)} samples have a gradient that is not finite"
        )
    factor = (max_norm / norms.clamp(min=1e-30)).clamp(max=1.0)
    return {name: torch.tensordot(factor.to(g.dtype), g, dims=1) for name, g in gradients.items()}


def _batch(batch: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(f"batch must hold tensors, got {type(part).__name__}; hand in x or a tuple (x, y)")
        if part.ndim == 0 or part.numel() == 0:
            raise ValueError(f"batch must not be empty, of shape (N, ...), got shape {tuple(part.shape)}")
    if len({len(part) for part in parts}) != 1:
        raise ValueError(f"batch must have one label per sample, got {' and '.join(str(len(part)) for part in parts)}")
    return parts


def _parameters(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The trainable and the frozen parameters of a model that treats samples one by one."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        raise TypeError(f"model must not be wrapped by {type(model).__name__}: use model.module")
    for name, module in model.named_modules():
        said = f"model holds the {type(module).__name__} {name!r}"
        if isinstance(module, nn.RNNBase):
            raise TypeError(
                f"{said}, whose gradients torch.func cannot take per sample: use {type(module).__name__}Cell in "
                "a loop over time, or a loop over samples with torch.autograd.grad"
            )
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse:
            raise TypeError(f"{said} with sparse gradients, which torch.func cannot take per sample: use sparse=False")
        if isinstance(module, _NormBase) and (module.training or module.running_mean is None):
            if module.track_running_stats or not isinstance(module, nn.modules.instancenorm._InstanceNorm):
                raise ValueError(
                    f"{said}, which mixes samples or keeps running values in training mode, so that a sample has no "
                    "gradient of its own: use nn.GroupNorm or nn.LayerNorm, or call .eval() on it"
                )
    found = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("model must have a trainable parameter, but all of its parameters are frozen")
    return found, {name: p.detach() for name, p in model.named_parameters() if not p.requires_grad}
