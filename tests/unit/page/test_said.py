"""What figures and boxes say: the course of every curve, how many seeds a band has, names that hold < and &."""

import re

import matplotlib
import numpy as np
import pytest
import torch

from gpcore import figures, plots
from gpcore.page import tables
from gpcore.page.evidence import Measurement, Verdict
from gpcore.page.study import Study, describe
from gpcore.training.config import Budget, History

ALT = "What a test draws, in a sentence."


@pytest.fixture
def shown(monkeypatch):
    """Show a figure and return (alternative text, caption, the markup)."""
    displayed = []
    monkeypatch.setattr("IPython.display.display", displayed.append)

    def show(fig, caption=""):
        figures.show(fig, ALT, caption)
        markup = displayed[-1].bundle["text/html"]
        alts = re.findall(r'(?:aria-label|alt)="([^"]*)"', markup)
        assert len(set(alts)) == 1 and len(alts) == 2  # the SVG's and the still's
        found = re.search(r"<figcaption>(.*)</figcaption>", markup)
        return alts[0], found and found[1], markup

    with matplotlib.rc_context():
        yield show


def test_a_curve_is_told_by_start_end_and_what_lies_between(shown):
    fig, ax = figures.figure()
    plots.band(ax, [0, 1, 2, 3], [[1.0, 9.0, 0.25, 2.0], [3.0, 7.0, 0.25, 4.0]], figures.CRITIC, "loss")
    ax.set_ylabel("critic loss")
    alt, caption, _ = shown(fig, "A caption.")
    course = "loss starts at 2 and ends at 3 (2 to 4), highest 8, lowest 0.25"
    assert alt == f"{ALT} critic loss: {course}."
    assert caption == "A caption. Line: median; band: range over 2 seeds."


def test_a_single_run_has_no_band_to_explain_and_a_monotone_curve_no_extremes(shown):
    fig, ax = figures.figure()
    plots.band(ax, [0, 1, 2], [1.0, 2.0, 3.0], figures.REAL, "rise")
    alt, caption, _ = shown(fig)
    assert alt == f"{ALT} rise starts at 1 and ends at 3." and caption is None


def test_two_panels_are_told_apart_by_their_titles_or_axes(shown):
    fig, axes = figures.figure(2)
    for ax, name, runs in zip(axes, ("first", "second"), (np.ones((3, 2)), np.ones((5, 2))), strict=True):
        plots.band(ax, [0, 1], runs, figures.REAL, name)
    axes[0].set(title=r"norm $\theta$", ylabel="not said")
    axes[1].set(ylabel="value")
    alt, caption, _ = shown(fig)
    assert "norm theta: first starts at 1" in alt and "value: second starts at 1" in alt and "not said" not in alt
    assert caption == "Line: median; band: range over 5 seeds."


def test_runs_that_have_all_diverged_are_said_to_have_no_value(shown):
    fig, ax = figures.figure()
    plots.band(ax, [0, 1], np.full((2, 2), np.nan), figures.REAL, "gone")
    plots.band(ax, [0, 1, 2], [[1.0, np.nan, np.nan], [2.0, 4.0, np.nan]], figures.CRITIC, "left")
    alt, _, _ = shown(fig)
    assert "gone has no finite value" in alt and "left starts at 1.5 and ends at 4 (1 to 4)" in alt


def test_heat_maps_and_histograms_say_their_numbers(shown):
    fig, axes = figures.figure(3)
    plots.value_surface(axes[0], np.array([[-1.0, 0.0], [0.5, 2.0]]), 1.0)
    plots.norm_map(axes[1], np.array([[0.5, 1.0], [1.5, 2.0]]), 1.0)
    plots.histogram_of_norms(axes[2], {"held out": np.array([0.5, 1.0, 9.0])})
    alt, _, _ = shown(fig)
    assert "values from -1 to 2" in alt and "norms from 0.5 to 2" in alt and "held out: median 1" in alt


def test_the_line_at_one_is_drawn_where_norms_lie_on_both_sides():
    with matplotlib.rc_context():
        for values, lines in (([0.5, 2.0], 1), ([1.5, 2.0], 0), ([0.2, 0.5], 0)):
            fig, ax = figures.figure()
            plots.norm_map(ax, np.array([values, values]), 1.0)
            assert len(ax.collections) == lines, values


def test_a_histogram_reaches_twice_the_target_and_the_99th_percentile():
    with matplotlib.rc_context():
        for values, end in ((np.ones(100), 2.0), (np.linspace(0, 10, 1001), 9.9)):
            fig, ax = figures.figure()
            plots.histogram_of_norms(ax, {"a": values})
            assert ax.patches[0].get_data().edges[-1] == pytest.approx(end)


def box(**changes):
    words = dict(
        id="balance", claim="a < b & c", word="holds if", criterion="x < 3 & y", because="It is 2.5 < 3 at & once.",
        budget="MLPs < 3 layers.", seeds=[0], measurements=[Measurement("p < q & r", [1.0], (0.0, 2.0), "m < s")],
    )  # fmt: skip
    return Verdict(**words | changes)._repr_mimebundle_()["text/html"]


def test_what_a_box_says_is_text_and_never_markup():
    markup = box()
    assert not re.search(r"<(?!/?(?:div|p|strong|span|details|summary|table|thead|tbody|tr|th|td)\b)", markup)
    assert not re.search(r"&(?!lt;|amp;)", markup)
    for text in ("a &lt; b &amp; c", "x &lt; 3 &amp; y", "MLPs &lt; 3 layers.", "p &lt; q &amp; r", "m &lt; s"):
        assert text in markup, text
    assert 'class="gp-verdict gp-holds-if"' in markup
    assert "<summary>1 measurement</summary>" in markup
    assert "<summary>2 measurements</summary>" in box(measurements=[Measurement("a", [1.0], None)] * 2)


def test_a_measurement_without_a_band_says_that_it_must_be_finite():
    assert Measurement("a", [1.0], None).asserted == "finite"
    assert Measurement("a", [1.0], (0.25, 2000.0)).asserted == "0.25 to 2,000"


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("It takes 1,234.5 steps", ["1,234.5"]),
        ("from -2 to 3e-05 and 7%", ["-2", "3e-05", "7"]),
        ("W1 and R1 are names", []),
        ("an escaped &#x27; is no number", []),
    ],
)
def test_every_number_of_a_sentence_is_marked_and_no_name_is(text, marked):
    assert re.findall(r'<span class="measured">([^<]*)</span>', tables.mark_numbers(text)) == marked


def test_budgets_in_words_differ_by_or_and_name_the_seeds():
    one, other = Budget("MLPs", "2 steps", "batch 4"), Budget("CNNs", "2 steps", "")
    both = [one, Budget("CNNs", "2 steps", "batch 4")]
    assert describe(both, [3, 4]) == "MLPs or CNNs; 2 steps; batch 4; 2 seeds, 3 to 4."
    assert describe([one, one], [3]) == "MLPs; 2 steps; batch 4; seed 3."
    assert describe([other], [0, 1, 5]) == "CNNs; 2 steps; 3 seeds, 0 to 5."


def test_names_of_checkpoints_are_ascii(monkeypatch, tmp_path):
    monkeypatch.setenv("GPCORE_CHECKPOINTS", str(tmp_path))
    assert Study().checkpoint("größe 1.5_a-b") == tmp_path / "gr-e-1.5_a-b"


def test_measurements_are_taken_from_what_can_be_walked_once():
    found = Study().measure("gap", (v for v in [1.0, 2.0, 4.0]), fast=(2, 2))
    assert found.values == [1.0, 2.0, 4.0]
    shown = Study().verdict(
        "balance", "holds", (m for m in [found]), criterion="A gap.", because="It is.", runs=(r for r in [])
    )
    assert shown.measurements == [found]
    with matplotlib.rc_context():
        fig, ax = figures.figure()
        histories = [History(s, step=[0, 1], penalty=[1.0 + 2 * s, 2.0 + 2 * s]) for s in (0, 1)]
        plots.curves(ax, (history for history in histories), "penalty", figures.CRITIC, "runs")
        assert ax.lines[0].get_ydata().tolist() == [2.0, 3.0]


def test_a_tensor_that_needs_a_gradient_can_be_drawn():
    with matplotlib.rc_context():
        fig, ax = figures.figure()
        plots.band(ax, torch.arange(2), torch.ones(2, 2, requires_grad=True), figures.REAL, "runs")
        assert ax.lines[0].get_ydata().tolist() == [1, 1]


def test_the_band_of_a_measurement_is_that_of_its_median():
    """The mean of these is 34, their median 2."""
    assert Study().measure("gap", [1.0, 2.0, 99.0], fast=(1.5, 2.5)).median == 2
    with pytest.raises(AssertionError, match="median 2 of"):
        Study().measure("gap", [1.0, 2.0, 99.0], fast=(30, 40))


def test_a_caption_names_the_most_seeds_of_any_band(shown):
    fig, ax = figures.figure()
    plots.band(ax, [0, 1], np.ones((4, 2)), figures.CRITIC, "four")
    plots.band(ax, [0, 1], np.ones((1, 2)), figures.REAL, "one")
    assert shown(fig)[1] == "Line: median; band: range over 4 seeds."
