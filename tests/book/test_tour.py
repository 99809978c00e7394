"""Every page of the built book, opened once in light and once in dark, and asked everything at both widths."""

import re
from types import SimpleNamespace

import pytest
from test_pages import SIZES, Visit, browser, drawn, pages, pytestmark, served, until  # noqa: F401

# What a page looks like as it stands: its width, the paper under its figures, code and printed text that is wider than
# the box that it stands in, and where the glyphs of every display formula begin and where its box does.
LOOK = """() => ({
    theme: document.documentElement.dataset.theme,
    width: document.scrollingElement.scrollWidth,
    arrow: document.querySelector('.right-next > :last-child')?.getBoundingClientRect().right ?? 0,
    papers: [...document.querySelectorAll('div.text_html')].map(e => getComputedStyle(e).backgroundColor),
    cut: [...document.querySelectorAll('article pre')].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
        .map(e => e.textContent.slice(0, 80)),
    formulas: [...document.querySelectorAll('article div.math')].map(box => {
        const glyphs = [...box.querySelectorAll('mjx-c')].map(e => e.getBoundingClientRect());
        const holder = box.querySelector('mjx-container'), place = box.getBoundingClientRect();
        return {box: place.left, end: place.right,
                numbers: box.querySelectorAll('.eqno').length + box.querySelectorAll('mjx-labels mjx-mtd').length,
                first: Math.min(...glyphs.map(r => r.left)), last: Math.max(...glyphs.map(r => r.right)),
                reach: Math.max(holder.scrollWidth - holder.clientWidth, box.scrollWidth - box.clientWidth)}}),
})"""
# What does not depend on the width: formulas that failed, text that should have become one, figures without words.
READ = """() => ({
    wrong: document.querySelectorAll('mjx-merror').length,
    text: document.querySelector('article').innerText,
    silent: [...document.querySelectorAll('article img, article svg:not(.sd-octicon), article figure svg')]
        .filter(e => e.closest('figure, article p') && !e.closest('a, button, summary'))
        .map(e => e.getAttribute('alt') || e.getAttribute('aria-label') || '').filter(t => t.trim().length < 20),
})"""


@pytest.fixture(scope="module", params=["light", "dark"])
def tour(request, site, served, browser):  # noqa: F811
    """What was seen of every page: name -> looks at both widths, what it says, what it asked for and complained of."""
    found = {}
    with Visit(browser, served, "desktop", request.param) as visit:
        for name in pages(site):
            visit.complaints.clear()
            visit.outside.clear()
            visit.page.set_viewport_size(dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
            page = visit.open(name)
            until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
            looks = {"desktop": page.evaluate(LOOK)}
            read = page.evaluate(READ)
            page.set_viewport_size(dict(zip(("width", "height"), SIZES["phone"], strict=True)))
            drawn(page)
            looks["phone"] = page.evaluate(LOOK)
            found[name] = SimpleNamespace(
                looks=looks, **read, complaints=[*visit.complaints], outside=[*visit.outside], theme=request.param
            )
    assert len(found) > 20
    return found


def test_pages_fit(tour):
    for name, page in tour.items():
        for size, look in page.looks.items():
            width = SIZES[size][0]
            assert look["width"] <= width, f"{name} is {look['width']} px wide on a screen of {width}"
            assert look["arrow"] <= width - 4, f"{name}, {size}: the arrow to the next page is cut"
            assert look["cut"] == [], f"{name}, {size}: code or output is cut at its box"


def test_pages_ask_for_nothing_and_complain_of_nothing(tour):
    for name, page in tour.items():
        assert page.complaints == [], f"{name}: {page.complaints}"
        assert page.outside == [], f"{name} asked for {page.outside}"


def test_figures_stand_on_the_paper_of_the_theme(tour):
    for name, page in tour.items():
        for look in page.looks.values():
            assert look["theme"] == page.theme
            assert set(look["papers"]) <= {"rgba(0, 0, 0, 0)"}, f"{name}: figures stand on paper of another colour"


def test_every_figure_says_what_it_shows(tour):
    for name, page in tour.items():
        assert page.silent == [], name


def test_formulas_are_set(tour):
    assert sum(len(page.looks["phone"]["formulas"]) for page in tour.values()) > 20
    for name, page in tour.items():
        assert page.wrong == 0, name
        if name.startswith("notebooks/"):
            assert not re.search(r"\\(lVert|mathbb|frac)", page.text), name


@pytest.mark.parametrize("size", SIZES)
def test_formulas_are_read_from_their_beginning(tour, size):
    wide = 0
    for name, page in tour.items():
        for formula in page.looks[size]["formulas"]:
            assert formula["numbers"] <= 1, f"{name}: a formula has {formula['numbers']} numbers"
            assert formula["first"] >= formula["box"] - 1, f"{name}: the beginning lies outside: {formula}"
            # What lies beyond the right edge can be scrolled to.
            hidden = formula["last"] - formula["end"]
            assert hidden <= formula["reach"] + 1, f"{name}: the end cannot be reached: {formula}"
            wide += hidden > 0
    assert wide or size == "desktop", "no formula is wide enough for this test to say something"
