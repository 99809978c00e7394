"""The pages of numbers in a real browser: the results' filter, and published numbers beside ours on every screen."""

import gppapers
import pytest
from test_pages import SIZES, Visit, browser, pytestmark, served  # noqa: F401


@pytest.mark.parametrize("size", SIZES)
def test_results_are_found_by_words(served, browser, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        page = visit.open("book/results.html")
        rows, told = page.locator(".gp-results tbody tr"), page.locator(".gp-filter output")
        sections, whole = page.locator(".gp-results"), rows.count()
        assert told.inner_text() == f"{whole} rows" and rows.filter(visible=True).count() == whole
        page.get_by_label("Show rows with").focus()
        page.keyboard.type("Clipped 0.01")
        left = rows.filter(visible=True)
        assert 3 <= left.count() < whole / 4 and told.inner_text() == f"{left.count()} of {whole} rows"
        for text in left.all_inner_texts():
            assert "clipped" in text.lower() and "0.01" in text
        # A chapter is found by its title, and one without a row has no heading left.
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.type("bug museum")
        assert sections.filter(visible=True).count() == 1
        assert left.count() == sections.filter(visible=True).locator("tbody tr").count() > 20
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.type("nothing is called so")
        assert told.inner_text() == f"0 of {whole} rows" and sections.filter(visible=True).count() == 0
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.press("Delete")
        assert told.inner_text() == f"{whole} rows" and rows.filter(visible=True).count() == whole
        assert page.evaluate("document.scrollingElement.scrollWidth") <= SIZES[size][0]
        assert not visit.outside and not visit.complaints


def test_without_scripts_the_results_are_whole_and_have_no_box(served, browser):  # noqa: F811
    with Visit(browser, served, javascript=False) as visit:
        page = visit.open("book/results.html")
        assert page.locator(".gp-filter").is_hidden()
        assert page.locator(".gp-results tbody tr").filter(visible=True).count() > 200


@pytest.mark.parametrize("size", SIZES)
def test_published_numbers_stand_beside_ours_on_every_screen(served, browser, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        page = visit.open("book/papers.html")
        tables = page.locator("table.gp-beside")
        assert tables.count() == page.locator(".gp-compared > .gp-word").count() >= 15
        words = {word.rstrip(".").lower() for word in page.locator(".gp-compared > .gp-word").all_inner_texts()}
        assert words == set(gppapers.WORDS)
        width = SIZES[size][0]
        for table in tables.all():
            cells = [cell.bounding_box() for cell in table.locator("tbody :is(th, td)").all()]
            assert len(cells) == 6 and all(0 <= c["x"] and c["x"] + c["width"] <= width for c in cells)
            stacked = all(a["y"] + a["height"] <= b["y"] + 1 for a, b in zip(cells, cells[1:], strict=False))
            assert stacked == (size == "phone")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
