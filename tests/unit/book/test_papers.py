"""The page that puts published numbers beside ours: links land, our numbers are the evidence's, each pair is judged."""

import math
import re
from types import SimpleNamespace

import gpevidence
import gppapers
import pytest
from sections import TEXTS, links

PAGE = "book/papers"
TEXT = TEXTS[PAGE]
BLOCKS = re.findall(r"^### (.+)\n\n```\{beside\} (.+)\n((?:- .+\n){4})\n(.+)\n```$", TEXT, re.MULTILINE)
PAIRS = {title: (word, re.findall(r"^- (.+)$", items, re.MULTILINE), why) for title, word, items, why in BLOCKS}
SOURCE = re.compile(r"\]\(https://")


def test_every_pair_is_complete():
    assert len(PAIRS) >= 15 and len(PAIRS) == len(gppapers.pairs(TEXT)) == TEXT.count("\n### ")
    assert {word for word, *_ in PAIRS.values()} == set(gppapers.WORDS)


@pytest.mark.parametrize("title", PAIRS)
def test_each_says_whether_it_can_be_compared_and_why(title):
    word, (paper, its_setting, ours, our_setting), why = PAIRS[title]
    assert word in gppapers.WORDS and len(why.split()) >= 6
    assert SOURCE.search(paper), "the published number has no source"
    assert its_setting.endswith(".") and our_setting.endswith(".")
    assert ours == "none" or "{measured}" in ours, "our number is not the evidence's"
    assert word == "not comparable" or ours != "none"


@pytest.mark.parametrize("title", PAIRS)
def test_no_number_of_ours_is_typed_by_hand(title):
    """What has a decimal point on our side is a measurement, a weight, a bound, a rate or a threshold."""
    ours = PAIRS[title][1][2]
    prose = re.sub(r"\{measured\}`[^`]*`|\]\([^)]*\)|\$[^$]*\$", "", ours)
    assert set(re.findall(r"\d+\.\d+", prose)) <= {"0.3", "0.003", "0.01"}, prose


@pytest.mark.parametrize("role", sorted(set(re.findall(r"\{measured\}`([^`]+)`", TEXT))))
def test_every_number_of_ours_is_in_the_evidence(role):
    (node,), _ = gpevidence.measured("measured", "", role, 1, None)
    assert re.search(r"\d", node.astext())


def test_a_chapter_that_is_spoken_of_is_linked():
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        number = int(re.match(r"Chapter (\d+)", part)[1])
        assert any(f"/{number:02}_" in document for document, _ in links(PAGE, part)), part.splitlines()[0]


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("book/")])
def test_code_of_others_is_linked_as_it_was_read(name):
    """By its commit: what stands on a branch may change. Colab opens branches alone."""
    links = re.findall(r"https://github\.com/[^)\s]+/(?:blob|tree)/[^)\s]+", TEXTS[name])
    assert [link for link in links if not re.search(r"/(blob|tree)/[0-9a-f]{40}(/|$)", link)] == []


def test_the_count_is_that_of_the_page():
    words = ("not comparable", "other direction", "not comparable")
    said = gppapers.count("".join(f"```{{beside}} {word}\n```\n" for word in words))
    assert said == "3 comparisons: 1 “other direction”, 2 “not comparable”."
    assert gppapers.count(TEXT).startswith(f"{len(PAIRS)} comparisons: ")


class Nothing:
    """A state that reads a list of ``size`` items and a paragraph."""

    def __init__(self, size: int):
        self.size = size

    def nested_parse(self, content, offset, node):
        from docutils import nodes

        items = [nodes.list_item("", nodes.paragraph("", f"{k}")) for k in range(self.size)]
        node += [nodes.bullet_list("", *items), nodes.paragraph("", "Because.")]


def beside(word: str, size: int = 4):
    machine = SimpleNamespace(reporter=None)
    return gppapers.Beside("beside", [word], {}, [], 1, 0, "", Nothing(size), machine).run()


def test_a_pair_becomes_a_table_of_two_rows():
    table, reason = beside("other direction")
    text = [entry.astext() for entry in table.findall(lambda node: node.tagname == "entry")]
    assert text == ["whose", "number", "setting", "published", "0", "1", "this book", "2", "3"]
    assert reason.astext() == "Other direction. Because." and reason[0]["classes"] == ["gp-word", "gp-other-direction"]


def test_what_is_not_a_pair_stops_the_build():
    with pytest.raises(ValueError, match="said by one of"):
        beside("roughly the same")
    with pytest.raises(ValueError, match="a list of four"):
        beside("other direction", size=3)


# What the words say of our numbers, in the page's run and in the longer one: the first is the smaller. A number stands
# for itself.
SMALLER = """
    02|generator's gradient, last / first, saturating < 0.00001
    03|effective modes: packing, one sample, twice < 03|effective modes: packing, two samples
    1.2 < 04|reported over true, weight 10, d = 8
    05|r, c = 0.1, 5,000 steps < 05|r, two perfect critics
    05|orders of magnitude per layer, c = 0.001 < 05|orders of magnitude per layer, c = 0.01
    05|orders of magnitude per layer, c = 0.01 < -0.1
    0.1 < 05|orders of magnitude per layer, c = 0.1
    06|W1, 30 critic steps < 06|W1, 3 critic steps
    06|W1, two-sided, 0.1 < 06|W1, two-sided, 10
    06|W1, one-sided, 10 < 06|W1, two-sided, 10
    08|W1, R1 + R2, non-saturating, w = 10 < 08|W1, lazy, R1 + R2, non-saturating, w = 10
    0.55 < 09|Wasserstein loss, two-sided, 20: memory
    09|digits, none, moved: memory < 09|digits, none: memory
    09|digits, none: skill < 09|digits, none, moved: skill
    11|solved: RNN, length 20, rate 0.3, not clipped < 11|solved: RNN, length 20, rate 0.3, clipped
    11|solved: RNN, length 10, rate 1, not clipped < 11|solved: RNN, length 10, rate 1, clipped
    11|bits, rate 2, not clipped < 11|bits, rate 20, clipped
    11|orders of magnitude over 99 steps, nn.LSTM < 11|orders of magnitude over 99 steps, LSTM, forget bias 1
    0.7 < 11|norm at 80 characters over that at 40, mean loss
    11|norm at 80 characters over that at 40, mean loss < 1.4
    12|solved, of 5: SGD, rate 0.1, no clipping < 12|solved, of 5: SGD, rate 0.1, threshold 3
    4 < 12|solved, of 5: Adam, rate 0.003, threshold 0.01
    1 < 13|gain in points at one rate, AdamW
    13|gain in points, AdamW < 1
"""


def number(name: str, preset: str = "fast") -> float:
    if "|" not in name:
        return float(name)
    return float(gpevidence.median(*name.split("|"), preset).split()[0].replace(",", ""))


@pytest.mark.parametrize("preset", ["fast", "long"])
@pytest.mark.parametrize("said", SMALLER.strip().splitlines())
def test_the_directions_hold_in_both_runs(said, preset):
    smaller, larger = said.strip().split(" < ")
    assert number(smaller, preset) < number(larger, preset)


def test_the_same_numbers_are_the_same():
    for preset in ("fast", "long"):
        assert abs(number("01|value where p = q, plus log 4", preset)) < 0.001
    assert number("01|Dirac-GAN in turn, opposed losses, final / initial distance") == pytest.approx(1, abs=0.01)
    predicted = math.exp(-0.3 / 2 * 0.2 * 300)
    assert number("01|Dirac-GAN in turn, R1, final / initial distance") == pytest.approx(predicted, rel=0.3)


def test_the_formula_of_chapter_4_says_what_the_line_says():
    for true, said in ((29.656505584716797, 73.6), (0.8173807263374329, 0.851)):
        assert true + true**2 / 20 == pytest.approx(said, rel=1e-3) and f"{said:g}" in TEXT
