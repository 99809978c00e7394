"""What the book's extension says on the pages, in words."""

import gpbook
import pytest

from gpcore import figures

RECORD = {
    "parameters": {"preset": "full", "device": "auto", "seed": 0, "effort": 0.005},
    "date": "2026-11-21T06:53:34+00:00",
    "commit": "0123456789abcdef",
    "source_hash": "fedcba",
    "versions": {"torch": "2.13.0"},
    "device": "CPU, 1 threads",
    "wall_seconds": 412.1,
}


@pytest.mark.parametrize(
    ("counts", "text"),
    [((5, 7, 1), "5 hold, 7 hold if, 1 does not"), ((1, 1, 2), "1 holds, 1 holds if, 2 do not"),
     ((0, 0, 0), "0 hold, 0 hold if, 0 do not")],
)  # fmt: skip
def test_verdicts_are_counted_in_english(counts, text):
    words = [word for n, word in zip(counts, gpbook.evidence.WORDS, strict=True) for _ in range(n)]
    assert gpbook.tally(words) == text


def test_a_full_run_says_what_it_was():
    text = gpbook.provenance(RECORD)
    assert "The full preset with 0.5% of its steps (<code>effort=0.005</code>), seeds from 0 on, " in text
    assert "on CPU, 1 thread, in 6.9 minutes" in text and "<code>0123456789</code>" in text
    whole = gpbook.provenance(RECORD | {"parameters": {"seed": 3}, "device": "CPU, 12 threads", "dirty": True})
    assert "with all its steps, seeds from 3 on" in whole and "CPU, 12 threads" in whole and "with changes" in whole


def test_a_measurement_fills_its_row():
    one = gpbook.measured({"name": "a < b", "values": [1.88], "band": [0, 100000.0], "unit": "m"})
    assert one == ["a &lt; b", "1.88 m", "one value", "1", "0 to 100,000"]
    three = gpbook.measured({"name": "a", "values": [1.0, 2.0, 4.0], "band": [0, 9], "unit": ""})
    assert three == ["a", "2", "1 to 4", "3", "0 to 9"]


def test_cells_know_their_column():
    table = gpbook.table(["first", "second"], [["1", "2"]], "numbers")
    assert '<td data-label="first">1</td><td data-label="second">2</td>' in table
    with pytest.raises(ValueError):
        gpbook.table(["first"], [["1", "2"]], "numbers")


def test_the_page_has_the_figure_and_not_the_image_behind_it():
    fig, ax = figures.figure()
    still = figures.to_still(fig, "Two empty axes, a < b > c")
    context = {"body": f'<p>before</p><svg role="img"></svg>{still}<img src="other.png"><figcaption>after</figcaption>'}
    gpbook.drop_stills(None, "page", "page.html", context, None)
    assert context["body"] == '<p>before</p><svg role="img"></svg><img src="other.png"><figcaption>after</figcaption>'
