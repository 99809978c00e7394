"""The checker of norm scaling on steps with a memory: thresholds that follow, counted micro-batches, scalers."""

import torch
from step_kinds import accumulate, clip, in_mixed_precision, said, scaler_of_the_script, with_scaling
from torch.nn.utils import clip_grad_norm_

import gpcore as gp
from gpcore.check.step import check_scaling

# ---------------------------------------------------------------- memory


def test_thresholds_that_follow_earlier_norms_are_named():
    history = []

    def by_hand(parameters, max_norm):
        history.append(float(gp.total_norm(parameters)))
        clip_grad_norm_(parameters, sorted(history)[len(history) // 2])

    for scale in (gp.AutoClip(), gp.AutoClip(50.0, window=20), gp.ZClip()):
        before = scale.state_dict()
        report = check_scaling(with_scaling(lambda ps, m, scale=scale: scale(ps)))
        assert report.ok and "a threshold that follows earlier norms" in report.family, str(report)
        assert scale.state_dict() == before  # the reader's own
    report = check_scaling(with_scaling(by_hand))
    assert report.ok and "a threshold that follows earlier norms" in report.family and not history, str(report)


def test_spikes_that_are_left_out_are_named():
    mean = {}

    def running(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = float(gp.total_norm(model.parameters()))
        if norm > 3 * mean.get("norm", norm):
            return
        mean["norm"] = 0.9 * mean.get("norm", norm) + 0.1 * norm
        optimizer.step()

    report = check_scaling(running)
    assert report.ok and "left out where the norm is far above earlier ones" in report.family and not mean, str(report)

    def fixed(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        if clip(model, max_norm) < 500:
            optimizer.step()

    report = check_scaling(fixed)
    assert report.ok and report.family == "norm clipping"
    assert "it took none with a gradient of norm 1000" in said(report)


class Counting:
    """As accelerate and Lightning have it: every call brings one micro-batch, every k-th one steps."""

    def __init__(self, count, each):
        self.count, self.each, self.calls = count, each, 0

    def __call__(self, model, optimizer, loss_fn, batches, max_norm):
        x, y = batches[0]
        (loss_fn(model(x), y) / self.count).backward()
        self.calls += 1
        if self.each or self.calls % self.count == 0:
            clip(model, max_norm)
        if self.calls % self.count == 0:
            optimizer.step()
            optimizer.zero_grad()


calls = 0


def counted_by_a_global(model, optimizer, loss_fn, batches, max_norm):
    global calls
    (loss_fn(model(batches[0][0]), batches[0][1]) / 5).backward()
    calls += 1
    if calls % 5 == 0:
        clip(model, max_norm)
        optimizer.step()
        optimizer.zero_grad()


def test_micro_batches_are_counted_over_calls():
    for count in (3, 4):
        step = Counting(count, each=False)
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)
        assert step.calls == 0
        assert check_scaling(Counting(count, each=True)).names == ("clip-per-micro-batch",)
    report = check_scaling(counted_by_a_global)
    assert report.ok and not report.undecided and calls == 0, str(report)


def test_a_scaler_that_is_never_updated_is_not_ok():
    def given(model, optimizer, loss_fn, batches, max_norm, scaler):
        in_mixed_precision(scaler, True, model, optimizer, loss_fn, batches, max_norm)

    def of_the_script(*arguments):
        in_mixed_precision(scaler_of_the_script, True, *arguments)

    def without_unscaling(model, optimizer, loss_fn, batches, max_norm, scaler):
        in_mixed_precision(scaler, False, model, optimizer, loss_fn, batches, max_norm)

    for step in (given, of_the_script, without_unscaling):
        report = check_scaling(step)
        assert not report.ok and not report.faults and "Call scaler.update()" in said(report), str(report)


def test_what_the_step_holds_comes_back_as_it_was():
    generator, numbers, settings = torch.Generator().manual_seed(3), [1, 2], {"a": 1}
    weight, count = torch.zeros(3), 0
    other = torch.nn.Linear(2, 1)
    held = torch.optim.Adam(other.parameters())

    def step(model, optimizer, loss_fn, batches, max_norm):
        nonlocal count
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        torch.rand(2, generator=generator)
        numbers.append(0), settings.update(b=2), weight.add_(1.0)
        count += 1
        other(torch.ones(1, 2)).sum().backward()
        held.step()
        optimizer.step()

    before = generator.get_state().tolist(), [p.tolist() for p in other.parameters()]
    assert check_scaling(step).ok
    assert before == (generator.get_state().tolist(), [p.tolist() for p in other.parameters()])
    assert (numbers, settings, weight.tolist(), count) == ([1, 2], {"a": 1}, [0.0] * 3, 0)
    assert not held.state_dict()["state"] and all(p.grad is None for p in other.parameters())


# ---------------------------------------------------------------- thresholds that follow the number of calls


def counting(threshold_of):
    """A right step but for its threshold, which depends on how often it was called before."""
    calls = [0]

    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        if not gp.total_norm(model.parameters()).isfinite():
            return
        threshold = threshold_of(calls[0], max_norm)
        if threshold is not None:
            clip(model, threshold)
        calls[0] += 1
        optimizer.step()

    return step, calls


def test_thresholds_that_follow_the_number_of_calls_are_named():
    for threshold_of, last in (
        (lambda calls, limit: limit * 0.99**calls, "0.2994"),
        (lambda calls, limit: limit / (1 + calls / 40), "0.25"),
        (lambda calls, limit: limit * (0.5 if calls > 50 else 1.0), "0.5"),
        (lambda calls, limit: limit * min(5.0, 1 + calls / 10), "5"),
    ):
        step, calls = counting(threshold_of)
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and calls == [0], str(report)
        expected = f"with norm 1 in the first call and with norm {last} in call 121"
        assert "change with the number of calls" in said(report) and expected in said(report), str(report)


def test_calls_that_are_not_scaled_are_not_ok():
    for threshold_of, call in (
        (lambda calls, limit: limit if calls % 2 == 0 else None, 2),
        (lambda calls, limit: limit if calls < 10 else None, 121),
        (lambda calls, limit: limit if calls % 10 == 0 else None, 2),
    ):
        report = check_scaling(counting(threshold_of)[0])
        assert not report.ok and not report.faults, str(report)
        assert f"in call {call}, where it was left whole" in said(report), str(report)


def test_calls_that_are_scaled_now_and_then_after_a_start_are_not_ok():
    for k in (2, 5, 7):  # of which 7 divides no round number of calls
        scaled = counting(lambda calls, limit, k=k: limit if calls >= 5 and calls % k == 0 else None)[0]
        report = check_scaling(scaled)
        assert not report.ok and "only some calls are meant to be scaled: of the calls 121 to 132" in said(report)
    report = check_scaling(counting(lambda calls, limit: limit if calls < 5 or calls % 7 == 0 else None)[0])
    assert not report.ok and "in call 121, where it was left whole" in said(report), str(report)


def test_scaling_that_begins_after_some_calls_is_named():
    for first in (1, 25, 100):
        report = check_scaling(counting(lambda calls, limit, first=first: limit if calls >= first else None)[0])
        assert report.family == "norm clipping that begins after a number of calls", str(report)
        assert "with norm 10 in the first call and with norm 1 in call 121" in said(report), str(report)


# ---------------------------------------------------------------- numbers that are kept, not returned


class Meter:
    def __init__(self):
        self.value, self.total = 0.0, []

    def update(self, value):
        self.value = value
        self.total.append(value)


def keeping(keep):
    """A right step that hands its norm, before and after scaling, to something outside."""

    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = float(clip(model, max_norm))
        keep(norm, min(norm, max_norm))
        optimizer.step()

    return step


def test_norms_that_are_kept_outside_are_found():
    history, last, meter = [], {}, Meter()
    for keep in (
        lambda norm, applied: history.append(applied),
        lambda norm, applied: last.update(grad_norm=torch.tensor(applied)),
        lambda norm, applied: meter.update(applied),
    ):
        (finding,) = check_scaling(keeping(keep)).findings
        assert finding.name == "norm-logged-after" and finding.observed.startswith("it keeps 1 for gradients")
    for keep in (
        lambda norm, applied: history.append(norm),
        lambda norm, applied: meter.update(norm),
        lambda norm, applied: (meter.update(norm), history.append(applied)),
        lambda norm, applied: last.update(factor=applied / norm, limit=1.0),
    ):
        report = check_scaling(keeping(keep))
        assert report.ok and not report.names and not report.undecided, str(report)
    assert (history, last, meter.value, meter.total) == ([], {}, 0.0, [])
