"""The checker of norm scaling on kinds of mistakes: factors the wrong way round, other thresholds, lost gradients."""

import types

import numpy as np
import pytest
import torch
from step_kinds import accumulate, by, clip, norms, returning, said, with_scaling
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import gpcore as gp
from gpcore.check.step import check_scaling


def times(factor_of, parameters, max_norm):
    factor = factor_of(float(gp.total_norm(parameters)), max_norm)
    for p in parameters:
        p.grad.mul_(factor)


# ---------------------------------------------------------------- the factor


@pytest.mark.parametrize(
    ("factor_of", "faults"),
    [
        (lambda norm, limit: limit / norm if norm < limit else 1.0, {"scales-up", "never-scales"}),
        (lambda norm, limit: max(1.0, limit / norm), {"scales-up", "never-scales"}),
        (lambda norm, limit: norm / limit if norm > limit else 1.0, {"scales-up"}),
        (lambda norm, limit: max(1.0, norm / limit), {"scales-up"}),
        (lambda norm, limit: 1.0 + norm if norm > limit else 1.0, {"scales-up"}),
    ],
)
def test_factors_the_wrong_way_round_scale_up(factor_of, faults):
    report = check_scaling(with_scaling(lambda ps, m: times(factor_of, ps, m)))
    assert set(report.faults) == faults and not report.ok, str(report)


@pytest.mark.parametrize(
    ("factor_of", "faults", "sentence"),
    [
        # Right for max_norm = 1 alone.
        (lambda norm, limit: 1 / norm if norm > limit else 1.0, ("scales-up",), ""),
        (lambda norm, limit: limit / max(norm, 1.0), ("scales-up",), ""),
        (lambda norm, limit: limit / norm if norm > 1 else 1.0, ("scales-up",), ""),
        (lambda norm, limit: min(1.0, limit**2 / norm), (), "how it heeds max_norm"),
        (lambda norm, limit: min(limit, limit / norm), ("scales-up",), ""),
    ],
)
def test_thresholds_other_than_1_are_tried(factor_of, faults, sentence):
    report = check_scaling(with_scaling(lambda ps, m: times(factor_of, ps, m)))
    assert report.faults == faults and not report.ok and sentence in said(report), str(report)
    assert "max_norm = " in said(report) + "".join(f.observed for f in report.findings)


@pytest.mark.parametrize(
    "factor_of",
    [
        lambda norm, limit: limit / max(norm, limit),
        lambda norm, limit: min(1.0, limit / (norm + 1e-6)),
        lambda norm, limit: 1.0 if norm <= limit else limit / norm,
    ],
)
def test_right_factors_are_right_at_every_threshold(factor_of):
    report = check_scaling(with_scaling(lambda ps, m: times(factor_of, ps, m)))
    assert report.ok and not report.undecided and report.family == "norm clipping", str(report)


def test_loss_scales_are_tried_on_steps_that_forget_them():
    def unscaled(model, optimizer, loss_fn, batches, max_norm, scaler):
        accumulate(model, optimizer, loss_fn, batches)
        for p in model.parameters():
            p.grad.div_(scaler.get_scale())
        clip(model, max_norm)
        optimizer.step()

    def twice(model, optimizer, loss_fn, batches, max_norm, scaler):
        optimizer.zero_grad()
        for x, y in batches:
            scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
        scaler.unscale_(optimizer)
        for p in model.parameters():
            p.grad.div_(scaler.get_scale())
        clip(model, max_norm)
        scaler.step(optimizer)
        scaler.update()

    def by_the_root(model, optimizer, loss_fn, batches, max_norm, scaler):
        accumulate(model, optimizer, loss_fn, batches)
        for p in model.parameters():
            p.grad.div_(scaler.get_scale() ** 0.5)
        clip(model, max_norm)
        optimizer.step()

    for step in (unscaled, twice, by_the_root):
        report = check_scaling(step)
        assert not report.ok and not report.faults and "what the loss scale is for" in said(report), str(report)


# ---------------------------------------------------------------- gradients that are lost


def cleared(*, after):
    def step(model, optimizer, loss_fn, batches, max_norm):
        for x, y in batches:
            (loss_fn(model(x), y) / len(batches)).backward()
        after(model, optimizer)
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

    return step


def test_gradients_that_are_cleared_before_the_step_are_spoken_of():
    for after in (
        lambda model, optimizer: optimizer.zero_grad(),
        lambda model, optimizer: optimizer.zero_grad(set_to_none=False),
        lambda model, optimizer: [p.grad.zero_() for p in model.parameters()],
    ):
        report = check_scaling(cleared(after=after))
        assert not report.ok and "Look for a zero_grad() between" in said(report), str(report)


def test_gradients_that_are_cleared_inside_the_loop_are_spoken_of():
    def step(clear, model, optimizer, loss_fn, batches, max_norm):
        for x, y in batches:
            clear(model, optimizer)
            (loss_fn(model(x), y) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    for clear in (
        lambda model, optimizer: optimizer.zero_grad(),
        lambda model, optimizer: model.zero_grad(set_to_none=False),
        lambda model, optimizer: [setattr(p, "grad", None) for p in model.parameters()],
    ):
        report = check_scaling(lambda *arguments, clear=clear: step(clear, *arguments))
        assert not report.ok and not report.faults, str(report)
        assert "used the last alone, divided by 4. Look for a zero_grad() inside the loop" in said(report)


def test_a_loss_of_ones_own_is_spoken_of():
    def with_loss(loss_of):
        return lambda model, optimizer, loss_fn, batches, max_norm: as_it_should(
            model, optimizer, lambda output, y: loss_of(output), batches, max_norm
        )

    def as_it_should(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        optimizer.step()

    for loss_of in (
        lambda output: output.square().mean(),
        lambda output: torch.nn.functional.huber_loss(output, torch.zeros_like(output)),
        lambda output: 0.0 * output.sum(),
    ):
        report = check_scaling(with_loss(loss_of))
        assert not report.ok and "it never called loss_fn" in said(report), str(report)


def test_errors_with_several_micro_batches_are_said():
    def unscaled_each(model, optimizer, loss_fn, batches, max_norm, scaler):
        for x, y in batches:
            scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
            scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), max_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()

    def one_only(model, optimizer, loss_fn, batches, max_norm):
        ((x, y),) = batches
        accumulate(model, optimizer, loss_fn, [(x, y)])
        clip(model, max_norm)
        optimizer.step()

    def one_graph(model, optimizer, loss_fn, batches, max_norm):
        loss = loss_fn(model(batches[0][0]), batches[0][1])
        optimizer.zero_grad()
        for _ in batches:
            loss.backward()
        clip(model, max_norm)
        optimizer.step()

    for step, words in (
        (unscaled_each, "unscale_() has already been called"),
        (one_only, "too many values to unpack"),
        (one_graph, "backward through the graph a second time"),
    ):
        report = check_scaling(step)
        assert not report.ok and "with 4 micro-batches it raised" in said(report) and words in said(report), str(report)


# ---------------------------------------------------------------- norms that are returned in other things


def test_norms_are_found_in_what_is_returned():
    class Result:
        def __init__(self, norm):
            self.loss, self.norm = 37.0, norm

    for pack in (
        lambda norm: types.SimpleNamespace(loss=np.float32(37), norm=norm),
        Result,
        lambda norm: {"train": {"gradient": np.float32(norm)}},
        lambda norm: np.array([norm]),
        lambda norm: torch.tensor([[float(norm)]]),
    ):
        after = returning(lambda norm, optimizer, max_norm, pack=pack: pack(min(float(norm), max_norm)))
        assert check_scaling(after).faults == ("norm-logged-after",)
        before = returning(lambda norm, optimizer, max_norm, pack=pack: pack(float(norm)))
        assert check_scaling(before).ok


# ---------------------------------------------------------------- parts that are left out on purpose


def unit_clip(parameters, ratio=0.01):
    for p in parameters:
        dims = tuple(range(1, p.ndim)) or None
        weight, gradient = (torch.linalg.vector_norm(t.detach(), dim=dims, keepdim=True) for t in (p, p.grad))
        p.grad.mul_((ratio * weight.clamp(min=1e-3) / gradient).clamp(max=1.0))


def test_adaptive_clipping_may_spare_parameters():
    for some, spared in ((slice(0, 2), "third"), (slice(1, 2), "first and third"), (slice(1, 3), "first")):
        report = check_scaling(with_scaling(lambda ps, m, some=some: unit_clip(ps[some])))
        assert report.ok and report.family.startswith("adaptive clipping, as in NFNets"), str(report)
        assert f"the gradient of {spared} is left whole" in said(report)
    report = check_scaling(with_scaling(lambda ps, m: gp.adaptive_clip_(ps[:-1])))
    assert report.ok and "third is left whole" in said(report), str(report)


def test_other_dependence_on_the_weights_is_not_recognised():
    for wrong in (
        lambda p: p.grad.mul_(p.detach().norm()),
        lambda p: p.grad.mul_(p.detach().abs()),
        lambda p: p.grad.mul_(0.01 * p.detach().norm(dim=0, keepdim=True) / p.grad.norm(dim=0, keepdim=True)),
    ):
        report = check_scaling(with_scaling(lambda ps, m, wrong=wrong: [wrong(p) for p in ps if p.ndim > 1]))
        assert not report.ok and "depends on the weights" in said(report), str(report)


def test_value_and_norm_of_half_the_threshold_stay_named():
    for scale, faults in (
        (lambda ps, m: clip_grad_value_(ps, 0.5 * m), ("clip-by-value",)),
        (lambda ps, m: by(2 * torch.linalg.vector_norm(norms(ps)), ps, m), ()),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.faults == faults and not report.ok, str(report)
