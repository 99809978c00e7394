"""What a page says of the book as a whole is what the book has: its small pages, its claims, how it names things."""

import re

import gpevidence
import pytest
from sections import TEXTS, links

from gpcore.page import evidence

# A small page stands in the text, or in the output of a cell that asks for one.
SMALL = re.compile(r"data-living-page=|gp\.widgets\.playground\(")


def with_small_pages() -> set[str]:
    found = set()
    for path in (gpevidence.EVIDENCE.parents[1] / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        cells = SMALL.search(path.read_text(encoding="utf-8"))
        found |= {f"notebooks/{path.stem}"} if cells else set()
    return found


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
