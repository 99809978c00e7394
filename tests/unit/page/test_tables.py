"""Tables: words are compared by the check of the notebooks, numbers are marked, and every cell knows its column."""

import re

import numpy as np
import pytest
import torch

import gpcore as gp
from gpcore.page.tables import html_table, short, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.123456, "0.123"), (12.345, "12.3"), (999.96, "1,000"), (1234567, "1,234,567"),
     (2.5e-9, "2.5e-09"), (-0.00123, "-0.00123"), (float("nan"), "nan"), (1e8, "1.0e+08")],
)  # fmt: skip
def test_three_digits(value, text):
    assert short(value) == text


def test_several_numbers_are_their_median_and_range():
    assert spread([3, 1, 2]) == "2 (1 to 3)" and spread([0.5]) == "0.5"


def shown(*rows, head=("a", "b")):
    return gp.table(head, rows, "A caption.")._repr_mimebundle_()


def test_numbers_are_marked_and_words_are_not():
    three = [0.4, 0.5, 0.6]
    for cell in (0.5, np.float64(0.5), torch.tensor(0.5), [0.5], np.array(three), torch.tensor(three)):
        markup = shown(["x < 1", cell])["text/html"]
        assert "x &lt; 1" in markup
        assert re.search(r'<span class="measured">0.5( \(0.4 to 0.6\))?</span>', markup), cell
    blank = re.sub(r'<span class="measured">[^<]*</span>', "", shown(["x", 1.5])["text/html"])
    assert not re.search(r"\d", re.sub(r'tabindex="0"', "", blank))


def test_every_cell_carries_its_column_for_the_phone():
    markup = shown(["x", "y"], ["z", True])["text/html"]
    assert markup.count('data-label="a"') == 2 and markup.count('data-label="b"') == 2
    assert ">yes<" in markup and 'role="region"' in markup and 'aria-label="A caption."' in markup


def test_the_plain_text_is_the_caption():
    assert shown(["x", 1.0])["text/plain"] == "Table: A caption."


@pytest.mark.parametrize("rows", [[], [["x"]], [["x", "y", "z"]]])
def test_rows_must_fit_the_head(rows):
    with pytest.raises(ValueError, match="every row must have 2 cells"):
        gp.table(["a", "b"], rows, "A caption.")


def test_a_script_prints_it_with_its_numbers():
    assert repr(gp.table(["a", "b"], [["x", 1.5]], "A caption.")) == "A caption.\na | b\nx | 1.5"


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError):
        html_table(["first"], [["1", "2"]], "numbers")
