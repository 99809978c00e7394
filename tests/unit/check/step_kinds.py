"""What the tests of kinds of steps share."""

import torch
from torch.nn.utils import clip_grad_norm_

import gpcore as gp


def accumulate(model, optimizer, loss_fn, batches):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()


def clip(model, max_norm):
    return clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)


def with_scaling(scale):
    """A right step but for ``scale(parameters, max_norm)``, which stands where the clipping does."""

    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        parameters = list(model.parameters())
        if not gp.total_norm(parameters).isfinite():
            return
        scale(parameters, max_norm)
        optimizer.step()

    return step


def returning(what):
    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = clip(model, max_norm)
        optimizer.step()
        return what(norm, optimizer, max_norm)

    return step


def by(length, parameters, max_norm):
    """Scale all gradients by ``max_norm / length`` where the length, which should be the norm, is above."""
    for p in parameters:
        p.grad.mul_((max_norm / length).clamp(max=1.0))


def norms(parameters):
    return torch.stack([p.grad.norm() for p in parameters])


def said(report):
    return " | ".join(report.undecided)


def per_sample(total_of):
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        count = sum(len(x) for x, _ in batches)
        for batch in batches:
            for name, g in gp.per_sample_clip(loss_fn, model, batch, max_norm).items():
                p = model.get_parameter(name)
                p.grad = total_of(g, count) + (0 if p.grad is None else p.grad)
        optimizer.step()

    return step


scaler_of_the_script = torch.amp.GradScaler("cpu", init_scale=1000.0)


def in_mixed_precision(scaler, unscale, model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
    if unscale:
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), max_norm)
    else:
        clip_grad_norm_(model.parameters(), max_norm * scaler.get_scale())
    scaler.step(optimizer)
