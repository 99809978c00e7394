"""Every page of the built book, opened once, and asked everything in light and in dark at both widths."""

import re
from types import SimpleNamespace

import pytest
from test_pages import SIZES, WATCH, Visit, browser, drawn, pages, pytestmark, resize, served, turn, until  # noqa: F401

# What a page looks like as it stands: its width, where the list of places to start ends, the paper under its figures,
# code and printed text that is wider than the box that it stands in, and where the glyphs of every display formula
# begin and where its box does.
LOOK = """() => ({
    theme: document.documentElement.dataset.theme,
    width: document.scrollingElement.scrollWidth,
    arrow: document.querySelector('.right-next > :last-child')?.getBoundingClientRect().right ?? 0,
    start: document.querySelector('#where-to-start li:last-child')?.getBoundingClientRect().bottom,
    papers: [...document.querySelectorAll('div.text_html')].map(e => getComputedStyle(e).backgroundColor),
    cut: [...document.querySelectorAll('article pre')].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1)
        .map(e => e.textContent.slice(0, 80)),
    formulas: [...document.querySelectorAll('article div.math')].map(box => {
        const glyphs = [...box.querySelectorAll('mjx-c')].map(e => e.getBoundingClientRect());
        const holder = box.querySelector('mjx-container'), place = box.getBoundingClientRect();
        return {box: place.left, end: place.right,
                numbers: box.querySelectorAll('.eqno').length + box.querySelectorAll('mjx-labels mjx-mtd').length,
                first: Math.min(...glyphs.map(r => r.left)), last: Math.max(...glyphs.map(r => r.right)),
                // What is wider than a box that hides it cannot be scrolled to.
                reach: Math.max(...[holder, box].map(e =>
                    /auto|scroll/.test(getComputedStyle(e).overflowX) ? e.scrollWidth - e.clientWidth : 0))}}),
})"""
# What does not depend on the width: formulas that failed, text that should have become one, figures without words.
READ = """() => ({
    wrong: document.querySelectorAll('mjx-merror').length,
    text: (document.querySelector('article') ?? document.body).innerText,
    silent: [...document.querySelectorAll('article img, article svg:not(.sd-octicon), article figure svg')]
        .filter(e => e.closest('figure, article p') && !e.closest('a, button, summary'))
        .map(e => e.getAttribute('alt') || e.getAttribute('aria-label') || '').filter(t => t.trim().length < 20),
})"""


# What is particular on a phone, all folds open: a number's lines in each cell, the words before a verdict's numbers,
# frames round wide figures, a knob's parts, and whether the dot behind a citation's link stands alone.
PHONE = """() => {
    const all = (query, ask) => [...document.querySelectorAll(query)].map(ask);
    const tops = cell => {
        const words = document.createRange();
        words.selectNodeContents(cell);
        return [...words.getClientRects()].map(r => r.top);
    };
    return {
        width: document.scrollingElement.scrollWidth,
        cells: all(':is(.gp-table, .gp-verdict) td', cell => {
            const box = cell.getBoundingClientRect();
            const number = /^(median|range|sanity|asserted)/.test(cell.dataset.label);
            return [cell.innerText, box.left, box.right, cell.scrollWidth - cell.clientWidth,
                    number ? Math.max(...tops(cell)) - Math.min(...tops(cell)) : 0]}),
        labels: all('.gp-verdict tbody td', cell => getComputedStyle(cell, '::before').content),
        frames: [...document.querySelectorAll('.gp-scroll')].filter(e => e.checkVisibility())
            .map(e => [e.scrollWidth, e.clientWidth]),
        knobs: all('[data-knob]', knob => {
            const [slider, value] = ['input', 'output'].map(part => knob.querySelector(part).getBoundingClientRect());
            return [knob.innerText, value.height, value.top - slider.bottom]}),
        alone: [...document.querySelectorAll('div.citation p')].filter(p => {
            const link = [...p.querySelectorAll('a')].at(-1), dot = document.createRange();
            dot.selectNode(link.nextSibling);
            return dot.getBoundingClientRect().top > link.getBoundingClientRect().bottom - 4}).map(p => p.innerText),
    };
}"""
UNFOLD = """document.querySelectorAll('details').forEach(e => e.open = true)
document.querySelectorAll('img.toggler').forEach(e => e.click())"""
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def tour(site, served, browser):  # noqa: F811
    """What was seen of every page: name -> four looks, what it says, what it asked for and complained of."""
    found, asked = {}, []
    with Visit(browser, served) as visit:
        visit.page.add_init_script(WATCH)
        visit.page.on("request", lambda sent: asked.append(sent.url))
        for name in [*pages(site), "genindex.html", "search.html?q=penalty"]:
            for before in (visit.complaints, visit.outside, asked):
                before.clear()
            resize(visit.page, "desktop")
            page = visit.open(name)
            until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
            read, looks = page.evaluate(READ), {}
            for size, theme in (("desktop", "light"), ("desktop", "dark"), ("phone", "dark"), ("phone", "light")):
                resize(page, size)
                turn(page, theme)
                drawn(page)
                looks[size, theme] = page.evaluate(LOOK)
            page.evaluate(UNFOLD)
            # What has come was asked for before; what is still on its way may not have been told of.
            until(page, "document.fonts.status === 'loaded' && [...document.images].every(e => e.complete)")
            drawn(page)
            found[name] = SimpleNamespace(
                looks=looks,
                **read,
                phone=SimpleNamespace(**page.evaluate(PHONE)),
                asked={url.removeprefix(served).partition("?")[0] for url in asked if url.startswith(served)},
                broken=page.evaluate("broken"),
                complaints=[*visit.complaints],
                outside=[*visit.outside],
            )
    assert len(found) > 20
    return found


def test_pages_fit(tour):
    for name, page in tour.items():
        for (size, _), look in page.looks.items():
            width = SIZES[size][0]
            assert look["width"] <= width, f"{name} is {look['width']} px wide on a screen of {width}"
            assert look["arrow"] <= width - 4, f"{name}, {size}: the arrow to the next page is cut"
            assert look["cut"] == [], f"{name}, {size}: code or output is cut at its box"


def test_the_first_page_says_in_one_screen_where_to_start(tour):
    assert 300 < tour["book/intro.html"].looks["desktop", "light"]["start"] <= SIZES["desktop"][1]


def test_pages_ask_for_nothing_and_complain_of_nothing(tour):
    for name, page in tour.items():
        assert page.complaints == [], f"{name}: {page.complaints}"
        assert page.outside == [], f"{name} asked for {page.outside}"
        assert page.broken == [], f"{name} breaks its policy"


def test_figures_stand_on_the_paper_of_the_theme(tour):
    for name, page in tour.items():
        for (_, theme), look in page.looks.items():
            assert look["theme"] == theme
            assert set(look["papers"]) <= {"rgba(0, 0, 0, 0)"}, f"{name}: figures stand on paper of another colour"


def test_every_figure_says_what_it_shows(tour):
    for name, page in tour.items():
        assert page.silent == [], name


def test_formulas_are_set(tour):
    assert sum(len(page.looks["phone", "light"]["formulas"]) for page in tour.values()) > 20
    for name, page in tour.items():
        assert page.wrong == 0, name
        if name.startswith("notebooks/"):
            assert not re.search(r"\\(lVert|mathbb|frac)", page.text), name


@pytest.mark.parametrize("size", SIZES)
def test_formulas_are_read_from_their_beginning(tour, size):
    wide = 0
    for name, page in tour.items():
        for formula in page.looks[size, "light"]["formulas"]:
            assert formula["numbers"] <= 1, f"{name}: a formula has {formula['numbers']} numbers"
            assert formula["first"] >= formula["box"] - 1, f"{name}: the beginning lies outside: {formula}"
            # What lies beyond the right edge can be scrolled to.
            hidden = formula["last"] - formula["end"]
            assert hidden <= formula["reach"] + 1, f"{name}: the end cannot be reached: {formula}"
            wide += hidden > 0
    assert wide or size == "desktop", "no formula is wide enough for this test to say something"


# --- what a page weighs


def test_a_chapter_weighs_little_beyond_what_all_share(site, tour):
    shared = set.intersection(*(tour[name].asked for name in pages(site)))
    # Each formula brings the fonts of its letters; the book's other chapters bring the same.
    shared |= {path for page in tour.values() for path in page.asked if path.startswith("_static/mathjax/")}
    weights = {}
    for name in (p for p in pages(site) if p.startswith("notebooks/")):
        weights[name] = sum((site / path).stat().st_size for path in tour[name].asked - shared)
        assert weights[name] >= (site / name).stat().st_size
    heavy = {name: weight for name, weight in weights.items() if weight > 1.5 * MEGABYTE}
    assert heavy == {}
    # And what they share is loaded once.
    assert sum((site / path).stat().st_size for path in shared) < 3 * MEGABYTE


def test_nothing_unused_is_in_the_site(site, tour):
    """Scripts, styles, fonts and pictures that no page asks for."""
    asked = set.union(*(page.asked for page in tour.values()))
    kinds = {".js", ".mjs", ".css", ".woff", ".woff2", ".ttf", ".eot", ".map", ".png", ".jpg", ".svg", ".po", ".mo"}
    there = {p.relative_to(site).as_posix() for p in site.rglob("*") if p.suffix in kinds}
    # How tall a bracket is, and so which font has it, is only known in the browser.
    unused = sorted(path for path in there - asked if "/MathJax_Size" not in path)
    assert not unused, f"add to book/ext/gplight.py: {unused}"
    assert len(there) > 15
    assert not list(site.rglob("*.map"))


# --- on a phone


def test_tables_are_cards_on_a_phone(tour):
    cells = 0
    for name, page in tour.items():
        for text, left, right, hidden, drop in page.phone.cells:
            assert 0 <= left and right <= SIZES["phone"][0] and hidden <= 0, f"{name}: {text!r} lies outside"
            assert drop < 10, f"{name}: {text!r} is broken"
            cells += 1
    assert cells > 500


def test_a_verdict_says_on_a_phone_what_its_numbers_are(tour):
    label = re.compile(r'"(measured|median \(range\)|asserted band)"')
    for name, page in tour.items():
        assert all(map(label.fullmatch, page.phone.labels)), f"{name}: {page.phone.labels}"
    assert sum(len(page.phone.labels) for page in tour.values()) >= 30


def test_wide_figures_scroll_on_a_phone(tour):
    framed = 0
    for name, page in tour.items():
        for whole, shown in page.phone.frames:
            assert whole >= 480 > shown, name
            framed += 1
        assert page.phone.width <= SIZES["phone"][0], name
    assert framed >= 10


def test_small_things_stay_whole_on_a_phone(tour):
    for name, page in tour.items():
        for knob, height, drop in page.phone.knobs:
            assert height < 40 and drop < 0, f"{name}: {knob}"
        assert page.phone.alone == [], name
    assert sum(len(page.phone.knobs) for page in tour.values()) >= 4
