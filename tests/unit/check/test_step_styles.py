"""The checker of norm scaling on steps as public scripts write them: scalers, constants and counts of their own."""

import functools

import pytest
import torch
from test_step import accumulate, as_in_the_manual, clip
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from gpcore.check.step import check_scaling
from gpcore.check.steps.scalers import held_scalers

# No power of two, which the checker would know from the step's length alone.
scaler_of_the_script = torch.amp.GradScaler("cpu", init_scale=1000.0)
disabled_scaler = torch.amp.GradScaler("cpu", enabled=False)
grad_accumulation = 4


def said(report):
    return " | ".join(report.undecided)


def clean(step):
    report = check_scaling(step)
    assert report.ok and not report.names and not report.undecided, str(report)
    assert report.family == "norm clipping"


# ---------------------------------------------------------------- A: a scaler that is no argument


def scaled_step(scaler, unscale):
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
        if unscale:
            scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), max_norm)
        scaler.step(optimizer)
        scaler.update()

    return step


def of_the_script(unscale, model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()

    def backward():
        for x, y in batches:
            scaler_of_the_script.scale(loss_fn(model(x), y) / len(batches)).backward()

    backward()
    if unscale:
        scaler_of_the_script.unscale_(optimizer)
    clip_grad_norm_(model.parameters(), max_norm)
    scaler_of_the_script.step(optimizer)
    scaler_of_the_script.update()


class Trainer:
    def __init__(self, unscale):
        self.unscale = unscale
        self.scalers = {"critic": torch.amp.GradScaler("cpu", init_scale=500.0)}

    def train_step(self, *args):
        scaled_step(self.scalers["critic"], self.unscale)(*args)

    def __call__(self, *args):
        self.train_step(*args)


class Native:
    """As timm's NativeScaler: the scaler stands in an object that is called with the loss."""

    def __init__(self):
        self._scaler = torch.amp.GradScaler("cpu", init_scale=1000.0)

    def __call__(self, loss, optimizer, unscale, parameters, max_norm):
        self._scaler.scale(loss).backward()
        if unscale:
            self._scaler.unscale_(optimizer)
        clip_grad_norm_(parameters, max_norm)
        self._scaler.step(optimizer)
        self._scaler.update()


def with_native(unscale):
    native = Native()

    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        loss = sum(loss_fn(model(x), y) for x, y in batches) / len(batches)
        native(loss, optimizer, unscale, model.parameters(), max_norm)

    return step


def made_inside(unscale, scale=2.0**16):
    def step(*args):
        scaled_step(torch.amp.GradScaler("cpu", init_scale=scale), unscale)(*args)

    return step


SCALED = {
    "a global": lambda unscale: functools.partial(of_the_script, unscale),
    "a closure": lambda unscale: scaled_step(torch.amp.GradScaler("cpu", init_scale=1000.0), unscale),
    "an attribute": Trainer,
    "a method's object": lambda unscale: Trainer(unscale).train_step,
    "an attribute of a closure": with_native,
    "made inside": made_inside,
    "made inside, 1024": lambda unscale: made_inside(unscale, 1024.0),
}


@pytest.mark.parametrize("held", SCALED)
def test_a_scaler_that_is_not_given_is_found(held):
    report = check_scaling(SCALED[held](False))
    assert report.names == ("clip-before-unscale",) and not report.undecided, str(report)
    clean(SCALED[held](True))


def test_scalers_are_found_behind_other_functions():
    def outer():
        def inner():
            return scaler_of_the_script

        return inner()

    class Caller:
        def __call__(self):
            return outer()

    for function in (outer, Caller(), functools.partial(outer), Caller().__call__, [outer], staticmethod(outer)):
        assert held_scalers(function) == (scaler_of_the_script,)
    assert held_scalers(as_in_the_manual) == held_scalers(len) == ()


def test_a_scale_that_is_written_in_is_found():
    def step(never, model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            (1024 * loss_fn(model(x), y) / len(batches)).backward()
        clip(model, max_norm)
        for p in model.parameters():
            p.grad.mul_(1.0 if never else 1 / 1024)
        optimizer.step()

    for never in (True, False):
        assert check_scaling(functools.partial(step, never)).names == ("clip-before-unscale",)


def test_a_held_scaler_is_left_as_it_was():
    scaler = torch.amp.GradScaler("cpu", init_scale=4096.0, growth_interval=3)
    step = scaled_step(scaler, True)
    for _ in range(2):  # unused, and then used
        before = scaler.state_dict()
        assert check_scaling(step).ok
        assert scaler.state_dict() == before
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step(model, optimizer, lambda output, _: output.mean(), [(torch.ones(3, 2), None)], 1.0)
    assert scaler.state_dict()["_growth_tracker"] == 2

    def stops(model, optimizer, loss_fn, batches, max_norm):
        scaler.scale(loss_fn(model(batches[0][0]))).backward()
        scaler.unscale_(optimizer)
        clip(model, max_norm)
        scaler.step(optimizer)
        raise RuntimeError("before the update")

    with pytest.raises(ValueError, match="before the update"):
        check_scaling(stops)
    assert not scaler._per_optimizer_states


def test_a_disabled_scaler_is_spoken_of():
    for unscale in (True, False):
        report = check_scaling(scaled_step(disabled_scaler, unscale))
        assert "whether it unscales before it clips" in said(report) and '"cpu"' in said(report)
        assert report.names == ("non-finite-passed-on",)


# ---------------------------------------------------------------- B: a threshold of its own


def with_cut(cut):
    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        cut(model.parameters())
        optimizer.step()

    return step


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.25, 5, 40, 20_000])
def test_a_norm_of_its_own_is_reported(threshold):
    report = check_scaling(with_cut(lambda p: clip_grad_norm_(p, threshold, error_if_nonfinite=True)))
    assert report.ok and not report.names and report.family == "norm clipping", str(report)
    assert report.undecided == (
        "whether it heeds max_norm: 0.5 and 1 gave the same step: it clips by norm at "
        f"{threshold:.4g}, a number of its own",
    )


@pytest.mark.parametrize("threshold", [0.01, 0.5, 100])
def test_values_of_its_own_are_reported(threshold):
    report = check_scaling(with_cut(lambda p: clip_grad_value_(p, threshold)))
    assert report.names == ("clip-by-value", "non-finite-passed-on") and report.family == "value clipping"
    assert f"every element was cut to [-{threshold:g}, {threshold:g}]" in report.findings[0].observed
    assert f"it clips by value at {threshold:g}, a number of its own" in said(report)


def test_a_short_norm_of_its_own_beside_a_count():
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            (loss_fn(model(x), y) / 4).backward()
        clip(model, 0.01)
        optimizer.step()

    report = check_scaling(step)
    assert report.ok and "it clips by norm at 0.01" in said(report), str(report)


def test_its_own_norm_is_judged_as_max_norm_is():
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            (loss_fn(model(x), y) / len(batches)).backward()
            clip(model, 40)
        norm = clip(model, 40)
        optimizer.step()
        return norm

    assert check_scaling(step).names == ("clip-per-micro-batch", "norm-logged-after")
    report = check_scaling(lambda *args: as_in_the_manual(*args[:-1], 40))
    assert report.ok and not report.names, str(report)


# ---------------------------------------------------------------- C and D: a number of micro-batches written in


def counted(count, each, last=True):
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for i, (x, y) in enumerate(batches):
            (loss_fn(model(x), y) / count).backward()
            if each:
                clip(model, max_norm)
            if (i + 1) % count == 0 or (last and i + 1 == len(batches)):
                clip(model, max_norm)
                optimizer.step()
                optimizer.zero_grad()

    return step


@pytest.mark.parametrize("count", [2, 4, 8])
def test_only_every_kth_micro_batch_steps(count):
    clean(counted(count, False, last=False))
    assert check_scaling(counted(count, True, last=False)).names == ("clip-per-micro-batch",)


@pytest.mark.parametrize("count", [4, 8, 32])
def test_a_count_that_is_written_in(count):
    clean(counted(count, False))
    assert check_scaling(counted(count, True)).names == ("clip-per-micro-batch",)


def test_a_count_that_is_written_in_by_a_global():
    def step(each, model, optimizer, loss_fn, batches, max_norm):
        for i, (x, y) in enumerate(batches):
            loss = loss_fn(model(x), y)
            loss = loss / grad_accumulation
            loss.backward()
            norm = clip(model, max_norm) if each or i + 1 == len(batches) else None
        optimizer.step()
        optimizer.zero_grad()
        return norm

    clean(functools.partial(step, False))
    assert check_scaling(functools.partial(step, True)).names == ("clip-per-micro-batch",)


# ---------------------------------------------------------------- E and F: other parameters, and the weights


@pytest.mark.parametrize(("scaled", "whole"), [(0, "second"), (1, "first")])
def test_a_parameter_that_is_left_out_is_named(scaled, whole):
    report = check_scaling(with_cut(lambda p: clip_grad_norm_(list(p)[scaled], 1.0)))
    assert report.names == ("never-scales", "non-finite-passed-on")
    assert f"{whole} left whole" in report.findings[0].observed

    def by_the_norm_of_all(parameters):
        parameters = list(parameters)
        norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
        assert norm.isfinite()
        parameters[scaled].grad.mul_((1 / norm).clamp(max=1.0))

    report = check_scaling(with_cut(by_the_norm_of_all))
    assert report.names == ("never-scales",) and f"{whole} left whole" in report.findings[0].observed


def test_weights_that_are_clamped_are_no_clipped_gradients():
    def step(clips, model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        if clips:
            clip(model, max_norm)
        optimizer.step()
        for p in model.parameters():
            p.data.clamp_(-0.01, 0.01)

    report = check_scaling(functools.partial(step, False))
    assert report.names == ("never-scales", "non-finite-passed-on")
    assert "gradient of norm 10 was applied with norm 10" in report.findings[0].observed
    assert "cut to [-0.01, 0.01], which bounds weights and not gradients" in said(report)
    report = check_scaling(functools.partial(step, True))
    assert report.ok and report.family == "norm clipping" and "cut to [-0.01, 0.01]" in said(report)


def test_weights_that_are_moved_otherwise_are_spoken_of():
    def step(model, optimizer, loss_fn, batches, max_norm):
        as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)
        for p in model.parameters():
            p.data.add_(1.0)

    assert "they were moved by another 3.162" in said(check_scaling(step))


# ---------------------------------------------------------------- G: without the optimiser


def by_hand(cut, rate, count=1):
    def step(model, optimizer, loss_fn, batches, max_norm):
        model.zero_grad()
        for x, y in batches:
            (loss_fn(model(x), y) / count).backward()
        cut(model, max_norm)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-rate)

    return step


@pytest.mark.parametrize("rate", [1.0, 20.0, 0.01, 2.0**-10])
@pytest.mark.parametrize("count", [1, 4])
def test_a_descent_by_hand_is_judged(rate, count):
    clean(by_hand(clip, rate, count))
    for cut, name in [
        (lambda model, _: None, "never-scales"),
        (lambda model, max_norm: clip_grad_value_(model.parameters(), max_norm), "clip-by-value"),
        (lambda model, max_norm: clip_grad_norm_(model.parameters(), max_norm), None),
    ]:
        report = check_scaling(by_hand(cut, rate, count))
        assert report.names == ((name,) if name else ()) + ("non-finite-passed-on",), str(report)


def test_a_descent_by_hand_with_a_norm_of_its_own():
    report = check_scaling(by_hand(lambda model, _: clip(model, 40), 20.0))
    assert report.ok and "it clips by norm at 40, a number of its own" in said(report), str(report)


def test_a_descent_by_hand_that_clips_too_often():
    def step(model, optimizer, loss_fn, batches, max_norm):
        model.zero_grad()
        for x, y in batches:
            loss_fn(model(x), y).backward()
            clip(model, max_norm)
        norm = clip(model, max_norm)
        for p in model.parameters():
            p.data -= 20 * p.grad
        return norm

    assert check_scaling(step).names == ("clip-per-micro-batch", "norm-logged-after")


def test_what_cannot_be_judged_is_not_ok():
    def by_signs(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        for p in model.parameters():
            p.data.add_(p.grad.sign(), alpha=-0.1)

    def no_step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)

    def skips_the_long_ones(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        if torch.cat([p.grad.flatten() for p in model.parameters()]).norm() < max_norm:
            optimizer.step()

    def signs(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        for p in model.parameters():
            p.grad.sign_()
        optimizer.step()

    for step, sentence in [
        (by_signs, "not along the gradient"),
        (no_step, "took no step with the optimiser"),
        (skips_the_long_ones, "took no step with one of norm 10"),
        (signs, "how it scales"),
    ]:
        report = check_scaling(step)
        assert not report.ok and not report.names and sentence in said(report), str(report)


# ---------------------------------------------------------------- neither right nor wrong by the probe's own doing


def test_schedules_and_epochs_do_not_matter():
    def with_a_schedule(model, optimizer, loss_fn, batches, max_norm):
        for group in optimizer.param_groups:
            group["lr"] = 6e-4
        return as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)

    def warming_up(model, optimizer, loss_fn, batches, max_norm):
        optimizer.param_groups[0]["lr"] = 0.0
        return as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)

    clean(with_a_schedule)
    clean(warming_up)

    def epochs(model, optimizer, loss_fn, batches, max_norm):
        for _ in range(4):
            as_in_the_manual(model, optimizer, loss_fn, batches, max_norm)

    report = check_scaling(epochs)
    assert report.ok and "it took 4 steps for 4 micro-batches" in said(report)


@pytest.mark.parametrize("constant", [1e-6, 1e-8])
def test_normalising_with_a_small_constant_is_still_normalising(constant):
    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
        assert norm.isfinite()
        for p in model.parameters():
            p.grad.mul_(max_norm / (norm + constant))
        optimizer.step()

    assert check_scaling(step).names == ("scales-up",)
