"""A chapter on paper: no controls, answers open, figures whole, dark ink on white whatever the screen showed."""

import pytest
from test_pages import Visit, browser, pytestmark, served, until  # noqa: F401

CHAPTER = "notebooks/06_gradient_penalty.html"
HIDDEN = (
    ".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer, #pst-back-to-top, "
    "#pst-skip-link, .headerlink, button, input, [data-knob], [data-still], canvas, "
    ".tag_hide-input:not(.tag_hide-output) .cell_input"
)
SHOWN = """e => e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})
    && e.getBoundingClientRect().height > 0"""
# A channel's share of light, as WCAG counts it.
LIGHTNESS = """e => {
    const [r, g, b] = getComputedStyle(e).color.match(/[\\d.]+/g).map(x => x / 255)
        .map(x => x <= 0.04 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


@pytest.fixture(scope="module", params=["light", "dark"])
def paper(request, served, browser):  # noqa: F811
    """The chapter as it goes to paper from a screen in either theme."""
    with Visit(browser, served, theme=request.param) as visit:
        page = visit.open(CHAPTER)
        until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
        page.emulate_media(media="print", reduced_motion="reduce")
        # The width of an A4 page between margins of 18 mm.
        page.set_viewport_size({"width": 658, "height": 987})
        yield page


def test_controls_stay_on_the_screen(paper):
    shown = paper.locator(HIDDEN).evaluate_all(f"all => all.filter({SHOWN}).map(e => e.outerHTML.slice(0, 120))")
    assert shown == []
    assert paper.locator("article h1").is_visible() and paper.locator(".gp-strip").is_visible()


def test_answers_and_solutions_are_open(paper):
    answers = paper.locator(":is(.gp-predict, .gp-fooled, .gp-exercise) details.gp-answer > :not(summary)")
    solutions = paper.locator(".tag_solution .cell_input pre")
    assert answers.count() >= 1 and solutions.count() >= 2
    for found in (answers, solutions):
        assert found.evaluate_all(f"all => all.every({SHOWN})")


def test_code_and_figures_fit_the_page(paper):
    outside = paper.evaluate(
        """() => [...document.querySelectorAll('article :is(pre, svg[role=img], table, figure)')]
        .filter(e => e.checkVisibility({contentVisibilityAuto: true})).filter(e => {
        const box = e.getBoundingClientRect();
        return box.right > innerWidth + 1 || box.left < -1 || e.scrollWidth > e.clientWidth + 1 && e.matches('pre')
            || (e.matches('svg') && box.height > innerHeight)}).map(e => e.outerHTML.slice(0, 100))"""
    )
    assert outside == []
    for kind in ("figure", "pre", ".gp-verdict"):
        assert paper.locator(f"article {kind}").first.evaluate("e => getComputedStyle(e).breakInside") == "avoid", kind
    # Of a player one frame is printed, whichever is shown.
    frames = paper.locator(".gp-player").first.evaluate(f"e => [...e.querySelectorAll('svg')].filter({SHOWN}).length")
    assert frames == 1


def test_ink_is_dark_and_paper_white(paper):
    words = "article :is(h1, h2, p, li, td, th, a, code, pre, pre span, figcaption, .gp-word):not(mjx-container *)"
    found = paper.locator(words).evaluate_all(f"all => all.filter({SHOWN}).map(e => [({LIGHTNESS})(e), e.outerHTML])")
    assert len(found) > 200
    # 0.18 is a contrast of 4.5 with white.
    assert [text[:120] for lightness, text in found if lightness > 0.18] == []
    ground = "getComputedStyle(document.{}).backgroundColor"
    body, root = (paper.evaluate(ground.format(e)) for e in ("body", "documentElement"))
    assert body in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)") and root == "rgb(255, 255, 255)"


def test_a_link_says_where_it_leads(paper):
    link = paper.locator('article p > a.reference.external[href^="http"]').first
    assert "http" in link.evaluate("e => getComputedStyle(e, '::after').content")
    assert "underline" in link.evaluate("e => getComputedStyle(e).textDecorationLine")


def test_a_chapter_makes_a_document(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(CHAPTER)
        until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
        document = page.pdf(format="A4")
        sheets = document.count(b"/Type /Page\n") + document.count(b"/Type /Page ") + document.count(b"/Type /Page/")
        assert document.startswith(b"%PDF") and 8 < sheets < 40


def test_the_living_page_prints_its_still_image_and_a_sentence(served, browser):  # noqa: F811
    with Visit(browser, served, theme="dark") as visit:
        page = visit.open("book/live.html")
        page.locator(".pg canvas").first.wait_for()
        assert page.locator(".gp-still").is_hidden()
        page.emulate_media(media="print")
        assert page.locator(".gp-still svg").is_visible()
        assert "A still image" in page.locator(".gp-still figcaption").inner_text()
        assert page.locator("[data-living-page]").is_hidden()
