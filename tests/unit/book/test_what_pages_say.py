"""What a page says of the book as a whole is what the book has: its small pages, its claims, how it names things."""

import re

import chapters
import gpevidence
import pytest
from sections import TEXTS, links

from gpcore.page import evidence

# A small page stands in the text, or in the output of a cell that asks for one.
SMALL = re.compile(r"data-living-page=|gp\.widgets\.playground\(")


# What the table of words in book/contributing.md says otherwise, where a pattern can tell.
UNSAID = re.compile(r"(?i)modes (found|held|reached)|per (round|iteration)\b|\bmend(s|ed|ing)?\b|\bdecades?\b")


def with_small_pages() -> set[str]:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in chapters.all_chapters()}
    return {f"notebooks/{name}" for name, text in texts.items() if SMALL.search(text)}


@pytest.mark.parametrize(("name", "about"), [("book/teaching", "Small pages that train"), ("book/live", "small form")])
def test_every_chapter_with_a_small_page_is_listed(name, about):
    (line,) = [line for line in TEXTS[name].splitlines() if about in line]
    listed = {document for document, _ in links(name, line) if document.startswith("notebooks/")}
    assert listed == with_small_pages() and len(listed) >= 7


def test_claims_wait_where_some_wait():
    """Once all are measured no page speaks of others."""
    waiting = set(evidence.load_claims()) - set(gpevidence.verdicts())
    said = [name for name, text in TEXTS.items() if re.search(r"not measured yet|wait for their chapter", text)]
    assert bool(waiting) == bool(said), said


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "book/contributing"])
def test_one_word_is_said_for_one_thing(name):
    assert not UNSAID.search(TEXTS[name])


@pytest.mark.parametrize("name", ["controls", "settings", "style", "ui", "view"])
def test_the_living_page_says_the_same_words(name):
    lines = (chapters.ROOT / "book" / "playground" / f"{name}.js").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if UNSAID.search(line) and not line.strip().startswith("//")]
