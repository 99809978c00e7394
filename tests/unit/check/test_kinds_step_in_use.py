"""Ways of scaling that are in use, each written as others write it."""

import torch
from step_kinds import accumulate, clip, norms, said, with_scaling
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import gpcore as gp
from gpcore.check.step import check_scaling


def assert_named(family, *scales):
    assert len(scales) >= 3
    for scale in scales:
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family.startswith(family), str(report)


def test_clipping_of_each_tensor():
    def by_list(parameters, max_norm):
        for norm, p in zip(norms(parameters), parameters, strict=True):
            if norm > max_norm:
                p.grad = p.grad * (max_norm / norm)

    assert_named(
        "clipping of each parameter by itself",
        lambda ps, m: [clip_grad_norm_([p], m) for p in ps],
        lambda ps, m: [p.grad.mul_((m / (p.grad.norm() + 1e-6)).clamp(max=1.0)) for p in ps],
        by_list,
    )


def test_clipping_of_each_row():
    assert_named(
        "clipping of each row by itself",
        lambda ps, m: [
            p.grad.copy_(torch.renorm(p.grad, 2, 0, m)) if p.ndim > 1 else clip_grad_norm_(p, m) for p in ps
        ],
        lambda ps, m: [p.grad.div_((p.grad.norm(dim=-1, keepdim=True) / m).clamp(min=1.0)) for p in ps],
        lambda ps, m: [[row.mul_((m / row.norm()).clamp(max=1.0)) for row in p.grad.view(-1, p.shape[-1])] for p in ps],
    )


def test_layer_wise_scaling():
    def by_trust(ratio, parameters):
        for p in parameters:
            weight = p.detach().norm()
            if weight > 0:
                p.grad.mul_(ratio * weight / (p.grad.norm() + 1e-9))

    def of_each_row(parameters, max_norm):
        for p in parameters:
            weight, gradient = p.detach().norm(dim=-1, keepdim=True), p.grad.norm(dim=-1, keepdim=True)
            p.grad.mul_(torch.where(weight > 0, 0.02 * weight / gradient, 1.0))

    assert_named(
        "layer-wise scaling, as in LARS and LAMB",
        lambda ps, m: by_trust(0.001, ps),
        lambda ps, m: by_trust(1.0, ps),
        of_each_row,
    )


def test_clipping_by_the_root_mean_square():
    assert_named(
        "clipping by each parameter's root mean square",
        lambda ps, m: [p.grad.div_((p.grad.square().mean().sqrt() / m).clamp(min=1.0)) for p in ps],
        lambda ps, m: [clip_grad_norm_(p, m * p.numel() ** 0.5) for p in ps],
        lambda ps, m: [p.grad.mul_(min(1.0, m / float(p.grad.norm() / p.numel() ** 0.5))) for p in ps],
    )


class Spikes:
    """ZClip by hand: mean and variance of the norms with exponential weights; z-scores above 2.5 are cut."""

    def __init__(self, reset=None):
        self.mean, self.variance, self.norms, self.reset = None, None, [], reset

    def __call__(self, parameters, max_norm):
        norm = float(gp.total_norm(parameters))
        if self.mean is None:
            self.norms.append(norm)
            if len(self.norms) == 10:
                values = torch.tensor(self.norms)
                self.mean, self.variance = float(values.mean()), float(values.var())
            return
        deviation = self.variance**0.5 + 1e-9
        if (norm - self.mean) / deviation > 2.5:
            norm = self.reset if self.reset else self.mean + 2.5**2 / ((norm - self.mean) / deviation) * deviation
            clip_grad_norm_(parameters, norm)
        self.mean = 0.97 * self.mean + 0.03 * norm
        self.variance = 0.97 * self.variance + 0.03 * (norm - self.mean) ** 2


def test_z_scores():
    scales = Spikes(), Spikes(reset=0.2), gp.ZClip(warmup=5)
    family = "norm clipping"
    assert_named(
        family, *(lambda ps, m, scale=scale: scale(ps, m) for scale in scales[:2]), lambda ps, m: scales[2](ps)
    )
    assert scales[0].mean is None and not scales[1].norms


def test_steps_that_leave_spikes_out():
    best = [None]

    def by_the_best(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = float(gp.total_norm(model.parameters()))
        if best[0] is not None and norm > 10 * best[0]:
            optimizer.zero_grad()
            return
        best[0] = min(norm, best[0] or norm)
        clip(model, max_norm)
        optimizer.step()

    report = check_scaling(by_the_best)
    assert "left out where the norm is far above" in report.family + said(report) or "remembers earlier" in said(report)
    assert best == [None] and report.ok, str(report)


def test_noise_of_several_kinds():
    def noise(draw, parameters, max_norm):
        clip_grad_norm_(parameters, max_norm)
        for p in parameters:
            p.grad.add_(draw(p), alpha=0.1)

    for draw in (
        lambda p: torch.randn(p.shape),
        lambda p: torch.empty_like(p).uniform_(-1, 1),
        lambda p: torch.distributions.Laplace(0.0, 1.0).sample(p.shape),
    ):
        report = check_scaling(with_scaling(lambda ps, m, draw=draw: noise(draw, ps, m)))
        assert report.ok and report.family == "norm clipping, with noise", str(report)

    def by_value(parameters, max_norm):
        clip_grad_value_(parameters, max_norm)
        for p in parameters:
            p.grad.add_(torch.randn_like(p), alpha=0.1)

    assert check_scaling(with_scaling(by_value)).faults == ("clip-by-value",)
