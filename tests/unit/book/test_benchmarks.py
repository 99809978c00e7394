"""The benchmark measures ways that give the same gradients, and its page says what came out, in one unit per table."""

import itertools
import json
import statistics

import gpbench
import pytest
import torch
import ways
from bench import assert_parity, measured, row, take_turns, working

import gpcore as gp

PENALISED = {"public": ways.public, "two": ways.two_forwards, "one": ways.one_forward, "hand": ways.by_hand}


@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize("candidates", [PENALISED, {"R1": ways.r1, "by hand": ways.r1_by_hand}])
def test_all_ways_of_a_row_give_the_same_gradients(candidates, kind):
    critic, shape = (
        (gp.models.mlp_critic(2, 8, 2), (5, 2)) if kind == "mlp" else (gp.models.conv_critic(8, 2), (5, 1, 8, 8))
    )
    assert_parity(critic, shape, candidates)


def test_a_way_with_other_gradients_is_not_timed():
    with pytest.raises(AssertionError, match="plain"):
        assert_parity(gp.models.mlp_critic(2, 8, 2), (5, 2), {"public": ways.public, "plain": ways.plain})


def test_the_loop_clips_as_the_library_does():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
    parameters = [torch.zeros_like(g) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = g.clone()
    ways.clip_by_loop(parameters, 1.0)
    assert [p.grad.tolist() for p in parameters] == [pytest.approx([0.6, 0.0]), pytest.approx([0.8])]


def test_a_ratio_is_the_median_of_paired_ratios():
    times = {"old": [4.0, 9.0, 8.0, 2.0, 50.0], "new": [2.0, 3.0, 4.0, 1.0, 5.0]}
    entry = row("step", "new", "old", times)
    assert entry["ratio"] == 2.0 and entry["turns"] == 5 and entry["ms"] == 3000


def test_turns_alternate_and_the_first_do_not_count():
    order = []
    ways_ = {name: lambda name=name: order.append(name) for name in "ab"}
    times = take_turns(ways_, 0.0, "cpu", stretch=0.0)
    assert order == ["a", "b"] * 20 and [len(t) for t in times.values()] == [15, 15]


def test_a_turn_is_a_stretch_of_steps_as_training_makes_them():
    order = []
    ways_ = {name: lambda name=name: order.append(name) for name in "ab"}
    times = take_turns(ways_, 0.0, "cpu", stretch=1e-3)
    turns = [(name, len(list(calls))) for name, calls in itertools.groupby(order)]
    assert [name for name, _ in turns] == ["a", "b"] * 20 and all(count > 1 for _, count in turns[10:])
    # What is kept is the time of one step, and not that of a stretch.
    assert all(0 < statistics.median(of_way) < 1e-4 for of_way in times.values())


def entry(what, way, against, ratio):
    return {"what": what, "way": way, "against": against, "ratio": ratio, "quartiles": [ratio, ratio], "ms": 1.0}


def test_a_way_that_fails_is_recorded_and_ends_nothing():
    calls = []
    good, failed = working("step", {"good": lambda: calls.append(1), "bad": lambda: torch.ones(2) @ torch.ones(3)})
    assert list(good) == ["good"] and calls == [1, 1]
    assert [(entry["way"], entry["failed"][:12]) for entry in failed] == [("bad", "RuntimeError")]
    (entry,) = measured("replicas", lambda: 1 / 0)
    assert entry == {"what": "replicas", "way": "all", "failed": "ZeroDivisionError: division by zero"}


COSTS = {"public": 2.0, "by hand": 1.5, "R1": 2.1, "R1 by hand": 1.1, "spectral norm": 1.2}


def write_record(folder, name, more=()):
    rows = [entry("MLP 2-8-1", "plain", against, ratio) for against, ratio in COSTS.items()]
    rows += [entry("MLP 2-8-1", "by hand", "public", 1.33), entry("scaling 60 x 4", "clip_norm_", gpbench.LOOP, 2.5)]
    record = {"date": "2026-01-01", "device": "CPU", "torch": "2.13.0", "source_hash": "abc", "rows": [*rows, *more]}
    (folder / name).write_text(json.dumps(record))


def title(text="# What a penalty costs\n"):
    source = [text]
    gpbench.say_where(None, "book/benchmark", source)
    return source[0]


def test_the_page_says_its_result_and_gives_each_unit_a_table(monkeypatch, tmp_path):
    write_record(tmp_path, "cpu.json")
    monkeypatch.setattr(gpbench, "RECORDS", tmp_path)
    page = gpbench.benchmark()
    assert page.startswith("<p><strong>On one CPU thread, a critic step with a gradient penalty costs 2.00 to 2.00 ")
    first, second, third = page.split("<table>")[1:]
    assert '<td data-label="R1 by hand"><strong>1.1</strong>' in first and "1.33" not in first
    assert '<td data-label="by hand"><strong>1.33</strong>' in second
    assert '<td data-label="clip_norm_"><strong>2.5</strong>' in third and "goal" not in page
    assert "GPU" not in page and title() == "# What a penalty costs, on one CPU thread\n"


def test_a_gpu_gets_tables_of_its_own_and_what_failed_there_is_said(monkeypatch, tmp_path):
    write_record(tmp_path, "cpu.json")
    write_record(tmp_path, "gpu.json", [{"what": "MLP 2-8-1", "way": "whole step", "failed": "RuntimeError: a < b"}])
    monkeypatch.setattr(gpbench, "RECORDS", tmp_path)
    page = gpbench.benchmark()
    assert page.count("<table>") == 6 and "<strong>On a GPU, a critic step" in page
    assert page.count("Could not be measured: MLP 2-8-1, whole step (RuntimeError: a &lt; b).") == 1
    assert "How many times as fast as the public way, on a GPU</h2>" in page
    assert title() == "# What a penalty costs, on one CPU thread and on a GPU\n"


def test_what_was_measured_again_is_said(monkeypatch, tmp_path):
    seeds = entry("16 seeds, critic steps", "at once", "one by one, public", 5.1) | {"in_a_row": [5.1, 4.9, 5.25]}
    runs = [entry("16 seeds, whole runs", "at once", f"one by one, {way}", 2.2) for way in ("public", "by hand")]
    write_record(tmp_path, "cpu.json", [seeds, *runs])
    monkeypatch.setattr(gpbench, "RECORDS", tmp_path)
    page = gpbench.benchmark()
    assert "16 seeds, critic steps: measured three times in a row, 5.1, 4.9, 5.25 times as fast." in page
    assert "<strong>2.2</strong> (2.2 to 2.2) times as fast as one by one with the step by hand." in page


def test_the_title_of_the_page_is_found():
    text = (gpbench.ROOT / "book" / "benchmark.md").read_text(encoding="utf-8")
    assert title(text).splitlines()[0].startswith("# What a penalty costs, on ")
