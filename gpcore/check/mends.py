"""What was expected and the lines that fix it, for every finding's name."""

from __future__ import annotations

from .report import Finding

_NORM = "norms = gradient.flatten(1).norm(dim=1)  # one number per sample"
_SHAPE = "shape = (len(real), *[1] * (real.ndim - 1))"
_EPS = f"{_SHAPE}\neps = torch.rand(shape, device=real.device)"
_MEAN = "penalty = weight * ((norms - 1) ** 2).mean()"
_POINTS = f"{_EPS}\nx = (eps * real + (1 - eps) * fake).detach().requires_grad_()"
_SEPARATE = "one norm for each sample, over all of its dimensions, and the mean over the batch last"

# name: (expected, mend)
PENALTY: dict[str, tuple[str, str]] = {
    "norm-over-channels": (f"{_SEPARATE}", _NORM),
    "norm-over-batch": (f"{_SEPARATE}", f"{_NORM}\n{_MEAN}"),
    "norm-per-element": (f"{_SEPARATE}; elements are squared and summed, not averaged", _NORM),
    "sum-over-batch": ("the mean over the batch, so that the weight means the same for every batch size", _MEAN),
    "not-squared": ("the square of norm - target, whose pull fades near the target", _MEAN),
    "wrong-target": (
        "a pull towards the norm 1, of the gradient of each score (take the gradient of scores.sum(), not of the mean)",
        f"gradient, = torch.autograd.grad(scores.sum(), x, create_graph=True)\n{_NORM}\n{_MEAN}",
    ),
    "one-sided": (
        "nothing to change if it is meant: Petzka et al. 2018 penalise norms above 1 alone; WGAN-GP pulls both ways",
        f"{_MEAN}  # the two-sided formula",
    ),
    "eps-per-element": ("one eps for each sample: all of its elements move along one straight line", _EPS),
    "eps-shared": ("one eps for each sample, drawn independently", _EPS),
    "eps-not-uniform": ("eps uniform on [0, 1]", f"# rand, not randn\n{_EPS}"),
    "eps-constant": ("eps drawn afresh at every call, so that the points fill the segments", _POINTS),
    "wrong-points": ("points on the segments between real and fake samples, eps * real + (1 - eps) * fake", _POINTS),
    "no-second-order-graph": (
        "a penalty that can be differentiated with respect to the critic's parameters",
        "gradient, = torch.autograd.grad(scores.sum(), x, create_graph=True)\n"
        "# and no .item(), .data, .detach() or numpy() on what follows;\n# the caller runs backward()",
    ),
    "fake-not-detached": (
        "no gradient to the generator in the critic's step. Nothing to change where every caller passes fake.detach(), "
        "and none of what it returns keeps a graph",
        "x = (eps * real + (1 - eps) * fake).detach().requires_grad_()",
    ),
    "nan-at-zero-gradient": (
        "a finite penalty and finite gradients for a flat critic; a bare square root has an infinite slope at 0",
        f"{_NORM}\n# or: gradient.flatten(1).square().sum(1).add(1e-12).sqrt()",
    ),
    "penalty-on-probability": (
        "the gradient of the critic's score as it is, before any sigmoid, logarithm or loss",
        "scores = critic(x)  # the logit\ngradient, = torch.autograd.grad(scores.sum(), x, create_graph=True)",
    ),
    "batch-coupled": (
        "that each sample's score and penalty depend on this sample alone",
        "# in the critic, in place of nn.BatchNorm2d:\n# nn.LayerNorm, nn.InstanceNorm2d or nothing;\n"
        "# in the penalty: no mean over the batch before the last one",
    ),
    "half-precision-overflow": (
        "the penalty of a steep critic in float32: float16 ends at 65,504, which a norm of 256 exceeds when squared",
        "with torch.autocast(real.device.type, enabled=False):\n    penalty = mine(critic, real.float(), fake.float())",
    ),
    "device-mismatch": (
        "that every tensor it makes stands on the samples' own device; as it is, it stops on a GPU",
        f"{_EPS}\n# and torch.ones_like(scores), real.new_zeros(...); no bare .cuda()",
    ),
    "global-rng-changed": (
        "that the function draws random numbers without setting a seed",
        "# take the seed out, or draw from a generator of its own:\n"
        f"{_SHAPE}\neps = torch.rand(shape, generator=generator)",
    ),
    "condition-overwritten": (
        "that the critic is given its own condition; is one name used for two things?",
        f"# a name of its own:\n{_EPS}\nscores = critic(x, labels)",
    ),
    "weight-inside": (
        "nothing to change: add it to the loss as it is, without multiplying again",
        "loss = critic_loss + mine(critic, real, fake)  # the weight is inside",
    ),
}

_CLIP = "norm = torch.nn.utils.clip_grad_norm_(\n    model.parameters(), max_norm, error_if_nonfinite=True\n)"
_STEP = f"{_CLIP}\noptimizer.step()"
_ORDER = "backward of every micro-batch, then unscale, then clip once, then step"

SCALING: dict[str, tuple[str, str]] = {
    "clip-by-value": (
        "one factor for the whole gradient, max_norm / norm where the norm is above it: the direction stays",
        _STEP,
    ),
    "clip-after-step": (f"{_ORDER}: what is clipped after the step is never used", _STEP),
    "clip-before-unscale": (
        f"{_ORDER}: the threshold is meant for the gradient itself, not for its multiple",
        "scaler.unscale_(optimizer)\nnorm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)\n"
        "scaler.step(optimizer)  # skips it where a gradient is not finite\nscaler.update()",
    ),
    "clip-per-micro-batch": (
        f"{_ORDER}: clipping parts of a sum is not clipping the sum",
        f"for x, y in batches:\n    (loss_fn(model(x), y) / len(batches)).backward()\n{_STEP}",
    ),
    "norm-logged-after": (
        "the norm before scaling, which clip_grad_norm_ returns; after it, it is max_norm or less whatever happens",
        _CLIP,
    ),
    "non-finite-passed-on": (
        "that a gradient that is not finite stops the step, by an error or by leaving it out: inf times 0 is NaN. "
        "PyTorch's clip_grad_norm_ raises only with error_if_nonfinite=True; with a GradScaler the flag is left out, "
        "since scaler.step() leaves such a step out",
        _STEP,
    ),
    "never-scales": ("a gradient of norm max_norm where it was longer", _STEP),
    "scales-up": (
        "that no gradient is made longer, and one shorter than max_norm is left alone",
        "factor = (max_norm / norm).clamp(max=1.0)",
    ),
}

_INFORMATION = ("one-sided", "weight-inside", "device-mismatch")


def finding(name: str, observed: str, *, fault: bool | None = None) -> Finding:
    """The finding of this name; a fault unless its name says that it is only information."""
    expected, mend = (PENALTY | SCALING)[name]
    return Finding(name, observed, expected, mend, name not in _INFORMATION if fault is None else fault)
