"""The checker of norm scaling against optimiser steps that are wrong, each in one known way, and against right ones."""

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import gpcore as gp
from gpcore.check.step import check_scaling

WRONG = []  # (function, faults)
RIGHT = []


def wrong(*faults):
    def keep(function):
        WRONG.append(pytest.param(function, set(faults), id=function.__name__))
        return function

    return keep


def right(function):
    RIGHT.append(pytest.param(function, id=function.__name__))
    return function


def accumulate(model, optimizer, loss_fn, batches):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()


def clip(model, max_norm):
    return clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)


@wrong("clip-by-value", "non-finite-passed-on")
def by_value(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    clip_grad_value_(model.parameters(), max_norm)
    optimizer.step()


@wrong("clip-by-value")
def by_value_with_a_guard(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    gp.clip_value_(model.parameters(), max_norm)
    optimizer.step()


@wrong("clip-after-step", "non-finite-passed-on")
def after_the_step(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    optimizer.step()
    clip_grad_norm_(model.parameters(), max_norm)


@wrong("clip-after-step", "non-finite-passed-on")
def after_the_step_and_cleared(model, optimizer, loss_fn, batches, max_norm):
    for x, y in batches:
        loss_fn(model(x), y).backward()
    optimizer.step()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.zero_grad()


@wrong("clip-before-unscale")
def before_unscaling(model, optimizer, loss_fn, batches, max_norm, scaler):
    optimizer.zero_grad()
    for x, y in batches:
        scaler.scale(loss_fn(model(x), y)).backward()
    clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()


@wrong("clip-before-unscale")
def never_unscaled(model, optimizer, loss_fn, batches, max_norm, scaler):
    optimizer.zero_grad()
    for x, y in batches:
        scaler.scale(loss_fn(model(x), y)).backward()
    clip(model, max_norm)
    optimizer.step()


@wrong("clip-per-micro-batch")
def each_micro_batch_as_it_comes(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        loss_fn(model(x), y).backward()
        clip(model, max_norm)  # clips what has been gathered so far
    optimizer.step()


@wrong("clip-per-micro-batch")
def each_micro_batch_by_itself(model, optimizer, loss_fn, batches, max_norm):
    gathered = [torch.zeros_like(p) for p in model.parameters()]
    for x, y in batches:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        clip(model, max_norm)
        for total, p in zip(gathered, model.parameters(), strict=True):
            total += p.grad / len(batches)
    for total, p in zip(gathered, model.parameters(), strict=True):
        p.grad = total
    optimizer.step()


@wrong("norm-logged-after")
def logged_by_a_second_call(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    clip(model, max_norm)
    norm = clip(model, max_norm)
    optimizer.step()
    return norm


@wrong("norm-logged-after")
def logged_beside_the_loss(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    clip(model, max_norm)
    optimizer.step()
    return {"loss": 37.0, "norm": torch.cat([p.grad.flatten() for p in model.parameters()]).norm().item()}


@wrong("non-finite-passed-on")
def unguarded(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()


@wrong("never-scales", "non-finite-passed-on")
def clipping_forgotten(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    optimizer.step()


@wrong("never-scales")
def clips_a_copy(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    if not norm.isfinite():
        return
    for p in model.parameters():
        gradient = p.grad * min(1.0, max_norm / norm)
        del gradient
    optimizer.step()


@wrong("scales-up")
def always_to_max_norm(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    gp.normalize_norm_(model.parameters(), max_norm)
    optimizer.step()


@wrong("clip-by-value", "clip-per-micro-batch", "non-finite-passed-on")
def three_at_once(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        loss_fn(model(x), y).backward()
        clip_grad_value_(model.parameters(), max_norm)
    optimizer.step()


@pytest.mark.parametrize(("step", "faults"), WRONG)
def test_every_mutant_is_named_and_nothing_else(step, faults):
    report = check_scaling(step)
    assert set(report.names) == faults and not report.ok, str(report)


# ---------------------------------------------------------------- right ones


@right
def as_in_the_manual(model, optimizer, loss_fn, batches, max_norm):
    accumulate(model, optimizer, loss_fn, batches)
    norm = clip(model, max_norm)
    optimizer.step()
    return norm


@right
def with_gpcore(model, optimizer, loss_fn, batches, max_norm):
    for x, y in batches:
        loss_fn(model(x), y).backward()
    norm = gp.clip_norm_(model.parameters(), max_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    return {"norm": norm}


@right
def in_mixed_precision(model, optimizer, loss_fn, batches, max_norm, scaler):
    optimizer.zero_grad()
    for x, y in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_fn(model(x), y) / len(batches)
        scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    norm = clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return float(norm)


@(right if hasattr(torch.nn.utils, "get_total_norm") else lambda step: step)  # torch 2.4 has none
def leaves_bad_steps_out(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    total = sum(loss_fn(model(x), y) for x, y in batches)
    total.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
    if norm.isfinite():
        for p in model.parameters():
            p.grad = p.grad * min(1.0, max_norm / float(norm))
        optimizer.step()
    return total.item(), norm.item()


@right
def batches_of_x_alone(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x in batches:
        loss_fn(model(x.float())).backward()
    clip(model, max_norm)
    optimizer.step()


@right
def loss_of_the_model(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad(set_to_none=True)
    for batch in batches:
        loss_fn(model, batch).backward()
    clip(model, max_norm)
    optimizer.step()


class Trainer:
    def __call__(self, model, optimizer, loss_fn, batches, max_norm):
        return as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)


RIGHT.append(pytest.param(Trainer(), id="an_object"))


@pytest.mark.parametrize("step", RIGHT)
def test_right_steps_pass_clean(step):
    report = check_scaling(step)
    assert report.ok and not report.names and not report.undecided, str(report)
    assert report.family == "norm clipping"


def test_there_are_enough_of_both():
    assert len(WRONG) >= 8 and len(RIGHT) >= 4


# ---------------------------------------------------------------- calling, deciding, reporting


def test_the_random_states_stay_as_they_were():
    torch.rand(1), np.random.rand()  # no seed's first state
    before = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()

    def noisy(model, optimizer, loss_fn, batches, max_norm):
        torch.rand(3), np.random.rand(3)
        return as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)

    with torch.no_grad():
        assert check_scaling(noisy).ok
    assert before == (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())


def test_what_cannot_be_decided_is_said():
    def each_parameter(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        for p in model.parameters():
            clip_grad_norm_(p, max_norm, error_if_nonfinite=True)
        optimizer.step()

    def its_own_threshold(model, optimizer, loss_fn, batches, max_norm):
        return as_in_the_manual(model, optimizer, loss_fn, batches, 1.0)

    def largest_element(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip_grad_norm_(model.parameters(), max_norm, norm_type=float("inf"), error_if_nonfinite=True)
        optimizer.step()

    def without_the_optimiser(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)

    def never_cleared(model, optimizer, loss_fn, batches, max_norm):
        for x, y in batches:
            loss_fn(model(x), y).backward()
        clip(model, max_norm)
        optimizer.step()

    def a_step_each(model, optimizer, loss_fn, batches, max_norm):
        for batch in batches:
            as_in_the_manual(model, optimizer, loss_fn, [batch], max_norm)

    for step, said in [
        (each_parameter, "each is clipped by itself"),
        (its_own_threshold, "0.5 and 1 gave the same step"),
        (largest_element, "how it scales"),
        (without_the_optimiser, "took no step"),
        (never_cleared, "who clears the gradients"),
        (a_step_each, "it took 4 steps"),
    ]:
        report = check_scaling(step)
        assert not report.names and any(said in sentence for sentence in report.undecided), str(report)


def test_it_says_what_was_scaled_in_the_loop():
    for step, said in [
        (each_micro_batch_by_itself, "each was scaled by itself"),
        (each_micro_batch_as_it_comes, "the sum so far was scaled after each"),
    ]:
        (finding,) = check_scaling(step).findings
        assert said in finding.observed


def test_bad_steps_are_refused():
    with pytest.raises(TypeError, match="my_step must be a function, got str"):
        check_scaling("step")
    with pytest.raises(ValueError, match=r"^Run it by itself first:(.|\n)*AttributeError: .* no attribute 'nothing'"):
        check_scaling(lambda model, optimizer, loss_fn, batches, max_norm: optimizer.nothing)


def test_reading_it():
    report = check_scaling(three_at_once)
    assert str(report).startswith("three_at_once: 3 faults.")
    for finding in report.findings:
        assert finding.room in report._repr_html_() and finding.room.endswith(finding.name)
    for step in (before_unscaling, always_to_max_norm, each_micro_batch_by_itself, after_the_step):
        for finding in check_scaling(step).findings:
            compile(finding.mend, finding.name, "exec")
