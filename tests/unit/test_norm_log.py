"""What a threshold would have done to a log, against clipping itself, and against counting by hand."""

import csv
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gpcore as gp

LOG = [1.0, 5.0, 1.0, 1.0, 10.0, 4.0, 1.0, 1.0]
logs = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60)


def clipped(norm, threshold):
    """The norm that ``clip_norm_`` leaves of a gradient of this norm."""
    p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    p.grad = torch.tensor([0.6, 0.8], dtype=torch.float64) * norm
    gp.clip_norm_([p], threshold)
    return float(p.grad.norm())


def test_a_log_counted_by_hand():
    report = gp.threshold_report(LOG, 2.0)
    assert (report.share, report.spikes, report.longest, report.steps) == (3 / 8, 2, 2, 8)
    assert report.quarters == (0.5, 0.0, 1.0, 0.0)
    assert report.kept == 2 / 5  # the median of 2/5, 2/10 and 2/4


@given(norms=logs, threshold=st.floats(1e-6, 1e6))
def test_it_counts_what_clipping_would_have_shortened(norms, threshold):
    report = gp.threshold_report(norms, threshold)
    after = [clipped(norm, threshold) for norm in norms]
    shorter = [norm > threshold for norm in norms]
    assert report.share == pytest.approx(sum(shorter) / len(norms))
    stretches = [len(list(group)) for is_clipped, group in itertools.groupby(shorter) if is_clipped]
    assert (report.spikes, report.longest) == (len(stretches), max(stretches, default=0))
    factors = [b / a for a, b, cut in zip(norms, after, shorter, strict=True) if cut]
    assert report.kept == pytest.approx(np.median(factors) if factors else 1.0)


@given(norms=logs, share=st.floats(0, 0.99))
def test_the_suggested_threshold_clips_the_share_asked_for(norms, share):
    report = gp.suggest_threshold(norms, share)
    assert report.threshold == pytest.approx(np.percentile(norms, 100 * (1 - share)))
    # No more than that; of distinct norms no less than one step fewer.
    assert report.share <= share + 1 / len(norms)
    if len(set(norms)) == len(norms):
        assert report.share >= share - 1 / len(norms) - 1e-9


def test_a_quantile_of_the_right_end():
    assert gp.suggest_threshold(range(1, 102), share=0.1).threshold == pytest.approx(91)
    assert gp.suggest_threshold(range(1, 102), share=0).kind == "never acts"
    assert gp.suggest_threshold(range(1, 102)).threshold == pytest.approx(91)


@pytest.mark.parametrize(("threshold", "kind"), [
    (100, "never acts"), (99, "cuts spikes"), (90, "cuts spikes"), (89, "acts often"), (11, "acts often"),
    (10, "normalises"), (0.5, "normalises"),
])  # fmt: skip
def test_the_kinds_and_their_edges(threshold, kind):
    report = gp.threshold_report(range(1, 101), threshold)
    assert report.kind == kind and kind in str(report)


def test_a_norm_that_falls_shows_in_the_quarters():
    assert gp.threshold_report(np.linspace(10, 0, 400), 5.0).quarters == (1, 1, 0, 0)
    assert gp.threshold_report([3.0], 1.0).quarters == (1.0,)


def test_what_is_not_finite_is_counted_and_left_out():
    report = gp.threshold_report([float("nan"), 3.0, float("inf"), 3.0, 1.0, -float("inf") * -1], 2.0)
    assert (report.not_finite, report.steps, report.share, report.spikes) == (3, 3, pytest.approx(2 / 3), 1)
    assert "not finite: 3" in str(report)
    assert gp.suggest_threshold([1.0, 2.0, float("inf")], share=0).threshold == 2.0


def test_a_column_of_a_file(tmp_path):
    with open(tmp_path / "log.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["step", "grad_norm"], *enumerate(LOG)])
    column = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)["grad_norm"]
    with open(tmp_path / "log.csv", newline="") as file:
        texts = [row["grad_norm"] for row in csv.DictReader(file)]
    assert gp.threshold_report(column, 2.0) == gp.threshold_report(texts, 2.0) == gp.threshold_report(LOG, 2.0)


@pytest.mark.parametrize("kind", [
    lambda log: torch.tensor(log, requires_grad=True), lambda log: torch.tensor(log, dtype=torch.bfloat16),
    lambda log: [torch.tensor(norm) for norm in log], lambda log: np.array(log, dtype=np.float32),
    lambda log: torch.tensor(log).int(), iter,
])  # fmt: skip
def test_logs_of_other_kinds(kind):
    assert gp.threshold_report(kind(LOG), 2.0) == gp.threshold_report(LOG, 2.0)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: gp.threshold_report([], 1.0), ValueError, "norms must hold one number per step"),
    (lambda: gp.threshold_report([float("nan")], 1.0), ValueError, "one of them finite"),
    (lambda: gp.threshold_report(np.ones((2, 2)), 1.0), ValueError, r"shape \(2, 2\)"),
    (lambda: gp.threshold_report([1.0, -2.0], 1.0), ValueError, "negative, got -2"),
    (lambda: gp.threshold_report("grad_norm", 1.0), TypeError, "norms must be numbers.*str"),
    (lambda: gp.threshold_report([None], 1.0), TypeError, "norms must be numbers"),
    (lambda: gp.threshold_report(3.0, 1.0), TypeError, "norms must be numbers.*float"),
    (lambda: gp.threshold_report(np.array(["a"]), 1.0), TypeError, "real numbers"),
    (lambda: gp.threshold_report(torch.ones(2, dtype=torch.complex64), 1.0), TypeError, "real numbers"),
    (lambda: gp.threshold_report([1.0], 0.0), ValueError, "threshold must be greater than 0"),
    (lambda: gp.threshold_report([1.0], float("nan")), ValueError, "threshold must be finite"),
    (lambda: gp.suggest_threshold([1.0], 1.0), ValueError, r"share must lie in \[0, 1\), got 1"),
    (lambda: gp.suggest_threshold([1.0], -0.1), ValueError, "share must be finite and not negative"),
    (lambda: gp.suggest_threshold([0.0, 0.0, 1.0], 0.9), ValueError, "norms are 0"),
])  # fmt: skip
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
