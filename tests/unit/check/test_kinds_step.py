"""The checker of norm scaling on kinds of steps: what resembles a norm, samples, parts of the gradient, other norms."""

import torch
from step_kinds import accumulate, by, clip, norms, per_sample, returning, said, with_scaling
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import gpcore as gp
from gpcore.check.step import check_scaling

# ---------------------------------------------------------------- numbers that resemble a norm


def test_a_number_that_resembles_a_norm_is_none():
    for what in (
        lambda norm, optimizer, max_norm: optimizer.param_groups[0]["lr"],
        lambda norm, optimizer, max_norm: {"clip": max_norm, "step": 1},
        lambda norm, optimizer, max_norm: (norm > max_norm, 4, 37.0),
        lambda norm, optimizer, max_norm: float(max_norm / norm),  # the factor
        lambda norm, optimizer, max_norm: {"norm": norm, "applied": min(norm, max_norm)},
    ):
        report = check_scaling(returning(what))
        assert report.ok and not report.names and not report.undecided, str(report)


def test_the_applied_norm_is_still_found_among_such_numbers():
    report = check_scaling(
        returning(lambda norm, optimizer, max_norm: [1.0, {"lr": 0.37, "norm": min(float(norm), max_norm)}])
    )
    assert report.names == ("norm-logged-after",)


# ---------------------------------------------------------------- samples, micro-batches


def test_clipping_of_samples_is_told_from_clipping_of_micro_batches():
    for total_of in (lambda g, count: g, lambda g, count: g / count):
        report = check_scaling(per_sample(total_of))
        assert report.ok and not report.names and "each sample's own gradient" in report.family, str(report)

    def noisy(model, optimizer, loss_fn, batches, max_norm):
        per_sample(lambda g, count: (g + 0.1 * max_norm * torch.randn_like(g)) / count)(
            model, optimizer, loss_fn, batches, max_norm
        )

    report = check_scaling(noisy)
    assert report.ok and "each sample's own gradient, as in DP-SGD, with noise" in report.family, str(report)

    def micro_batches(model, optimizer, loss_fn, batches, max_norm):
        total = [torch.zeros_like(p) for p in model.parameters()]
        for batch in batches:
            accumulate(model, optimizer, loss_fn, [batch])
            clip(model, max_norm)
            for t, p in zip(total, model.parameters(), strict=True):
                t += p.grad
        for t, p in zip(total, model.parameters(), strict=True):
            p.grad = t
        optimizer.step()

    assert check_scaling(micro_batches).names == ("clip-per-micro-batch",)


def test_division_after_clipping_is_not_ok():
    def late(divide):
        def step(model, optimizer, loss_fn, batches, max_norm):
            optimizer.zero_grad()
            for x, y in batches:
                loss_fn(model(x), y).backward()
            clip(model, max_norm)
            for p in model.parameters():
                divide(p, len(batches))
            optimizer.step()

        return step

    for divide in (lambda p, n: p.grad.div_(n), lambda p, n: setattr(p, "grad", p.grad / n)):
        report = check_scaling(late(divide))
        assert not report.ok and not report.faults, str(report)
        assert "the norm 0.25 was applied: the threshold falls" in said(report)
    report = check_scaling(late(lambda p, n: p.grad.div_(7)))
    assert not report.ok and "gradient of norm 10 one of norm 0.1429" in said(report), str(report)


def test_one_batch_of_several_may_be_used():
    def first(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches[:1])
        clip(model, max_norm)
        optimizer.step()

    def following(model, optimizer, loss_fn, batches, max_norm):
        first(model, optimizer, loss_fn, [next(batches)], max_norm)

    def last(model, optimizer, loss_fn, batches, max_norm):
        first(model, optimizer, loss_fn, batches[-1:], max_norm)

    for step, which in ((first, "first"), (following, "first"), (last, "last")):
        report = check_scaling(step)
        assert report.ok and f"it used the {which} alone" in said(report), str(report)


# ---------------------------------------------------------------- which norm


def test_norms_that_are_not_the_gradients_are_not_ok():
    for length, number in (
        (lambda ps: norms(ps).sum(), "the sum of the parameters' norms"),
        (lambda ps: norms(ps).square().sum(), "the square of the norm"),
        (lambda ps: norms(ps).mean(), "the sum of the parameters' norms"),
        (lambda ps: norms(ps).max(), "how it scales"),
        (lambda ps: torch.cat([p.grad.flatten() for p in ps]).square().mean().sqrt(), "one of norm 3.162"),
    ):
        report = check_scaling(with_scaling(lambda ps, m, length=length: by(length(ps), ps, m)))
        assert not report.ok and not report.faults and number in said(report), str(report)


def test_parts_that_are_clipped_apart_are_named():
    def each(parameters, max_norm):
        for p in parameters:
            clip_grad_norm_(p, max_norm)

    def groups(parameters, max_norm):
        gp.clip_group_norms_([{"params": parameters[:2]}, {"params": parameters[2:]}], max_norm)

    def rows(parameters, max_norm):
        for p in parameters:
            p.grad.mul_((max_norm / p.grad.norm(dim=-1, keepdim=True)).clamp(max=1.0))

    def each_then_all(parameters, max_norm):
        each(parameters, max_norm)
        clip_grad_norm_(parameters, max_norm)

    for scale, family in (
        (each, "clipping of each parameter by itself"),
        (groups, "clipping of parameter groups, each by itself"),
        (rows, "clipping of each row by itself"),
        (each_then_all, "clipping of every parameter alone, then of all together"),
        (lambda ps, m: gp.clip_rms_(ps, m), "clipping by each parameter's root mean square, as Adafactor clips"),
        (lambda ps, m: gp.clip_norm_(ps, m, 1.0), "clipping by the sum of absolute values"),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family.startswith(family) and "meant" in said(report), str(report)


def test_parameters_that_are_left_out_are_a_fault():
    def first_group(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip_grad_norm_(optimizer.param_groups[0]["params"], max_norm, error_if_nonfinite=True)
        optimizer.step()

    (finding,) = check_scaling(first_group).findings
    assert finding.name == "never-scales" and "third left whole, with the norm 2.19" in finding.observed
    assert "the optimiser's two groups" in finding.observed
    for some in (slice(0, 1), slice(1, 3), slice(2, 3)):
        report = check_scaling(with_scaling(lambda ps, m, some=some: clip_grad_norm_(ps[some], m)))
        assert report.faults == ("never-scales",) and "left whole" in report.findings[0].observed, str(report)


def test_values_and_norms_cut_together_are_named():
    def both(value, parameters, max_norm):
        clip_grad_value_(parameters, value)
        clip_grad_norm_(parameters, max_norm)

    for value in (0.5, 1.0, 30.0):
        report = check_scaling(with_scaling(lambda ps, m, value=value: both(value, ps, m)))
        assert report.family == "value clipping, then norm clipping" and report.faults == ("clip-by-value",)
        assert f"elements beyond {value:g} were cut, then the norm" in report.findings[0].observed

    def other_order(parameters, max_norm):
        clip_grad_norm_(parameters, max_norm)
        clip_grad_value_(parameters, 0.3)

    report = check_scaling(with_scaling(other_order))
    assert report.family == "norm clipping, then value clipping" and report.faults == ("clip-by-value",), str(report)


def test_linear_maps_before_and_after_the_clipping_are_seen():
    def centralise(parameters):
        for p in parameters:
            if p.ndim > 1:
                p.grad -= p.grad.mean(dim=1, keepdim=True)

    for scale in (
        lambda ps, m: (centralise(ps), clip_grad_norm_(ps, m)),
        lambda ps, m: (clip_grad_norm_(ps, m), centralise(ps)),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family == "norm clipping, with centralisation", str(report)
    report = check_scaling(with_scaling(lambda ps, m: centralise(ps)))
    assert report.faults == ("never-scales",)
    report = check_scaling(with_scaling(lambda ps, m: (ps[0].grad.mul_(0.1), clip_grad_norm_(ps, m))))
    assert report.ok and "0.1 (first), 1 (second), 1 (third)" in said(report), str(report)


def test_scaling_relative_to_the_weights_is_named():
    def by_layer(parameters, max_norm):
        for p in parameters:
            if p.detach().norm() > 0:
                p.grad.mul_(0.001 * p.detach().norm() / p.grad.norm())

    def weight_decay(parameters, max_norm):
        for p in parameters:
            p.grad.add_(p.detach(), alpha=0.01)
        clip_grad_norm_(parameters, max_norm)

    for scale, family in (
        (lambda ps, m: gp.adaptive_clip_(ps, 0.01), "adaptive clipping, as in NFNets: each row's"),
        (lambda ps, m: gp.adaptive_clip_(ps, 0.2 * m), "adaptive clipping, as in NFNets: each row's"),
        (by_layer, "layer-wise scaling, as in LARS and LAMB: each parameter's"),
        (weight_decay, "norm clipping"),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family.startswith(family), str(report)


def test_noise_after_clipping_does_not_hide_it():
    def noise(ps, m):
        for p in ps:
            p.grad.add_(torch.randn_like(p), alpha=0.3 * m)

    report = check_scaling(with_scaling(lambda ps, m: (clip_grad_norm_(ps, m), noise(ps, m))))
    assert report.ok and report.family == "norm clipping, with noise" and not report.undecided, str(report)
    report = check_scaling(with_scaling(lambda ps, m: noise(ps, m)))
    assert report.faults == ("never-scales",)
    report = check_scaling(with_scaling(lambda ps, m: [p.grad.mul_(torch.rand(1)) for p in ps]))
    assert not report.ok and "from one random seed to the next" in said(report)
