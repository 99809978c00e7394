"""The page of results: a section per chapter with every number of its run, under names that read by themselves."""

import re
from types import SimpleNamespace

import gpresults
import pytest
from docutils import nodes
from gpbook import EVIDENCE, chapters

from gpcore.page import evidence

FOUND = evidence.load_evidence(EVIDENCE)
NAMES = [(n, m["name"]) for n, record in FOUND.items() for m in record["measurements"]]
# What a chapter's own tables may say and a page by itself may not: a letter that stands for something, a name of code.
SHORT = re.compile(
    r"^(r|[A-L])[,:]|\b[cdw] = \d|_|\bFD\b|^(the same|of these|seen|stray|solved|half way|(energy|bits|norm|slope),)"
    r"|^(R1|0-GP|(one|two)-sided|no penalty|spectral norm|dropout|weight decay|digits|gain in|seeds of 8 with l)"
    r"|points (apart|behind)|steps per episode:|equation"
)


@pytest.fixture(scope="module")
def shown():
    machine = SimpleNamespace(reporter=None)
    return gpresults.Results("results", [], {}, None, 1, 0, "", None, machine).run()


def test_every_chapter_has_a_section_with_all_its_numbers(shown):
    sections = [node for node in shown if isinstance(node, nodes.section)]
    assert [section["ids"] for section in sections] == [[f"chapter-{n}"] for n in FOUND if n in chapters()]
    for number, section in zip(FOUND, sections, strict=True):
        assert section[0].astext() == gpresults.title(number) and section[0].astext().startswith(f"{int(number)}. ")
        markup = section[-1].astext()
        assert markup.count("<tr>") == 1 + len(FOUND[number]["measurements"])
        assert f'aria-label="Measurements of chapter {int(number)}"' in markup


def test_the_box_says_how_many_rows_there_are_and_waits_for_the_script(shown):
    box = shown[0].astext()
    assert f"<output>{len(NAMES)} rows</output>" in box and '<p class="gp-filter" hidden>' in box
    assert re.search(r'<label>Show rows with <input type="search"[^>]*></label>', box), "the box has no label"


@pytest.mark.parametrize(("chapter", "name"), NAMES)
def test_a_name_reads_without_its_chapter(chapter, name):
    assert not SHORT.search(gpresults.full_name(chapter, name)), gpresults.full_name(chapter, name)


def test_names_stay_apart():
    full = [(chapter, gpresults.full_name(chapter, name)) for chapter, name in NAMES]
    assert len(set(full)) == len(full)


def test_no_rule_is_left_over():
    """Each changes the name of a measurement that there is, after those before it."""
    for chapter in set(gpresults.NAMES) & set(FOUND):
        names = [m["name"] for m in FOUND[chapter]["measurements"]]
        for pattern, words in gpresults.NAMES[chapter]:
            changed = [re.sub(pattern, words, name) for name in names]
            assert changed != names, f"chapter {chapter}: {pattern}"
            names = changed


def test_a_name_without_a_rule_is_itself():
    assert gpresults.full_name("06", "norm that is penalised") == gpresults.full_name("99", "norm that is penalised")
    assert gpresults.full_name("05", "r, c = 0.1, 500 steps").startswith("correlation with the perfect critic, weights")
