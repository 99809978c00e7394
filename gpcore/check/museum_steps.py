"""The museum's rooms on norm scaling: one optimiser step each, wrong in one way. Nothing here is to be copied."""

from __future__ import annotations

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from .report import Room


def clip_by_value(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    clip_grad_value_(model.parameters(), max_norm)
    optimizer.step()


def clip_after_step(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    optimizer.step()
    clip_grad_norm_(model.parameters(), max_norm)


def clip_before_unscale(model, optimizer, loss_fn, batches, max_norm, scaler):
    optimizer.zero_grad()
    for x, y in batches:
        scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
    clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()


def clip_per_micro_batch(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
        clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)
    optimizer.step()


def norm_logged_after(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)
    norm = clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return norm


def non_finite_passed_on(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()


def never_scales(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    for p in model.parameters():
        if not p.grad.isfinite().all():
            raise FloatingPointError("the gradient is not finite")
        torch.clamp(p.grad, -max_norm, max_norm)  # returns a new tensor, which nobody takes
    optimizer.step()


def scales_up(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    if not norm.isfinite():
        raise FloatingPointError(f"the gradient's norm is {norm}")
    for p in model.parameters():
        p.grad.mul_(max_norm / norm)
    optimizer.step()


_UNGUARDED = ("non-finite-passed-on",)
STEPS = (
    Room(
        *("clip-by-value", clip_by_value, "from first principles"),
        "The update points elsewhere than the gradient: large elements are cut, small ones stay.",
        also=_UNGUARDED,
    ),
    Room(
        *("clip-after-step", clip_after_step, "from first principles"),
        "The run is the run without clipping; the clipped gradients are thrown away.",
        also=_UNGUARDED,
    ),
    Room(
        *("clip-before-unscale", clip_before_unscale, "Pytorch-UNet 468, pytorch/examples 1196"),
        "Updates are smaller than max_norm by the loss scale, and grow when the scale falls.",
    ),
    Room(
        *("clip-per-micro-batch", clip_per_micro_batch, "lingua 59, tt-metal 17568"),
        "The result depends on the order of the micro-batches; late long gradients push the earlier ones out.",
    ),
    Room(
        *("norm-logged-after", norm_logged_after, "code that calls clip_grad_norm_ twice"),
        "The logged norm never exceeds max_norm: spikes cannot be seen.",
    ),
    Room(
        *("non-finite-passed-on", non_finite_passed_on, "pytorch 46849"),
        "One infinite element makes the norm infinite, the factor 0, and inf times 0 is NaN: the weights are lost.",
    ),
    Room(
        *("never-scales", never_scales, "functions without a trailing underscore"),
        "The run is the run without clipping.",
    ),
    Room(
        *("scales-up", scales_up, "normalisation taken for clipping"),
        "Near a minimum the steps do not become shorter: the loss stops falling and trembles.",
    ),
)
