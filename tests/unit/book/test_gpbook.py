"""What the book's extension says on the pages, in words."""

import gpbook
import gplive
import pytest

from gpcore import figures

RECORD = {
    "chapter": "06",
    "parameters": {"preset": "full", "device": "auto", "seed": 0},
    "seeds": [0, 1, 2],
    "date": "2026-11-21T06:53:34+00:00",
    "commit": "0123456789abcdef",
    "source_hash": "fedcba",
    "versions": {"torch": "2.13.0"},
    "device": "CPU, 1 thread",
    "wall_seconds": 412.1,
}


def record(measurements: int, verdicts: int, seeds: int) -> dict:
    claims = [{"seeds": list(range(seeds))}] * verdicts
    return {"measurements": [{"values": [0.0] * seeds}] * measurements, "claims": claims}


@pytest.mark.parametrize(
    ("counts", "used", "held"),
    [
        ((8, 1, 0), "on a CPU, torch ", " every change. 8 measurements, 1 verdict.</p>"),
        ((1, 0, 1), "on a CPU, 1 seed, torch ", " every change. 1 measurement.</p>"),
        ((2, 3, 5), "on a CPU, up to 5 seeds, torch ", " every change. 2 measurements, 3 verdicts.</p>"),
        ((0, 2, 1), "on a CPU, 1 seed, torch ", " every change. 2 verdicts.</p>"),
    ],
)
def test_the_line_under_a_chapter_leaves_out_what_is_nothing(counts, used, held, monkeypatch):
    monkeypatch.setattr(gpbook.evidence, "load_evidence", lambda folder: {"06": record(*counts)})
    line = gpbook.strip
    assert used in line("06") and line("06").endswith(held)
    assert line("99") == ""


def test_a_recorded_run_says_what_it_was():
    text = gpbook.provenance(RECORD)
    assert text.startswith("The full preset, seeds 0 to 2, made on 2026-11-21 on CPU, 1 thread; ")
    assert "<code>0123456789</code>" in text and "with changes" not in text
    long = gpbook.provenance(RECORD | {"parameters": {"preset": "long"}, "seeds": [100, 115], "dirty": True})
    assert long.startswith("A longer run, seeds 100 to 115, made on") and "with changes" in long


def test_a_run_is_out_of_date_by_the_code_that_makes_its_numbers(monkeypatch):
    inputs = {"cells": "a", "gpcore": "b", "lock": "c", "playground": "d"}

    def note(**changes):
        monkeypatch.setattr(gpbook.runs, "chapter_inputs", lambda notebook, lock: inputs | changes)
        return "has changed since" in gpbook.provenance(RECORD | {"inputs": inputs})

    assert not note() and not note(playground="other") and not note(lock="other")
    assert all(note(**{name: "other"}) for name in ("cells", "gpcore"))
    assert "has changed since" in gpbook.provenance(RECORD)


def test_a_small_page_in_the_text_gets_the_script_and_one_in_an_output_has_its_own():
    text, shown = "<p>a</p><div data-living-page='{}'></div>", '<div data-living-page="{}"></div>'
    own = "<script>(function livingPage() {})();</script>"
    assert gplive.with_script(text) == text + gplive.SCRIPT == gplive.with_script(text + gplive.SCRIPT)
    assert gplive.with_script(shown + own) == shown + own
    assert gplive.with_script(shown + own + text).endswith(gplive.SCRIPT)
    assert gplive.with_script("<p>no page</p>") == "<p>no page</p>"


def test_a_measurement_fills_its_row():
    one = gpbook.measured({"name": "a < b", "values": [1.88], "band": [0, 100000.0], "unit": "m"})
    assert one == ["a &lt; b", "1.88 m", "1"]
    three = gpbook.measured({"name": "a", "values": [1.0, 2.0, 4.0], "band": None, "unit": ""})
    assert three == ["a", "2 (1 to 4)", "3"]


def test_the_page_has_the_figure_and_not_the_image_behind_it():
    fig, ax = figures.figure()
    still = figures.to_still(fig, "Two empty axes, a < b > c")
    context = {"body": f'<p>before</p><svg role="img"></svg>{still}<img src="other.png"><figcaption>after</figcaption>'}
    gpbook.drop_stills(None, "page", "page.html", context, None)
    assert context["body"] == '<p>before</p><svg role="img"></svg><img src="other.png"><figcaption>after</figcaption>'


BOX = (
    '<div class="gp-verdict gp-holds" id="verdict-gp-stability" style="border:1px"><p><strong>Claim.</strong> Is.</p>'
    '<p><strong>Verdict: holds.</strong> <span class="gp-long" data-claim="gp-stability"></span> In 1 case.</p>'
    "<p><strong>Criterion.</strong> A count.</p></div>"
)
# The longer run's word, what it and "holds" both carry, and the reason for that.
BOTH = {
    "holds": ("holds", "</span> In 1 case.</p>"),
    "holds if": ("holds if", "</span> In some.</p>"),
    "does not hold": ("not decided", "</span> Here: In 1 case. In the longer run: In some.</p>"),
}


@pytest.mark.parametrize("word", BOTH)
def test_a_verdict_shows_what_became_of_it_in_the_longer_run(word, monkeypatch):
    claim = {"id": "gp-stability", "word": word, "budget": "MLPs; 2,400 steps.", "because": "In some."}
    record = {"claims": [claim, {"id": "balance", "word": "holds if"}]}
    monkeypatch.setattr(gpbook.runs, "latest", lambda chapter, preset, folder: record if preset == "long" else None)
    before = BOX.replace("gp-stability", "other").replace("gp-holds", "gp-other")
    box = gpbook.with_longer_runs(before + BOX, "06").removeprefix(before)
    both, because = BOTH[word]
    assert f"In a longer run (MLPs; 2,400 steps): <strong>{word}</strong>." in box
    assert f"<strong>Verdict: {both}.</strong>" in box and because in box
    assert box.startswith(f'<div class="gp-verdict gp-{both.replace(" ", "-")}" id="verdict-gp-stability" style=')
    assert box.endswith("<p><strong>Criterion.</strong> A count.</p></div>")
    assert ("In the run on this page: holds." in box) == (word != "holds")
    assert ("also in the longer" in gpbook.both_words("gp-stability", "06", "holds")) == (word == "holds")


def test_without_a_longer_run_the_box_says_nothing_about_it(monkeypatch):
    monkeypatch.setattr(gpbook.runs, "latest", lambda *arguments: None)
    assert gpbook.with_longer_runs(BOX, "06") == BOX
    assert "longer" not in gpbook.both_words("gp-stability", "06", "holds")
    assert gpbook.chapter_run("06", "full") == ""
