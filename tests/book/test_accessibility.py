"""Open to everybody: axe finds nothing on any page, keys reach and drive everything, motion can be declined."""

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from test_pages import SIZES, Visit, browser, drawn, pages, pytestmark, resize, served, turn, until  # noqa: F401

CHAPTER = "notebooks/06_gradient_penalty.html"
ALSO = ["genindex.html", "search.html?q=penalty"]
# Everything that axe knows and switches on by itself but for colours, and a rule that speech control needs.
RULES = "{'label-content-name-mismatch': {enabled: true}, 'color-contrast': {enabled: false}}"
COLOURS = ["color-contrast", "link-in-text-block"]
ON_A_PHONE = ["button-name", "link-name", "region", "scrollable-region-focusable", "summary-name", "target-size"]
FOUND = "results => results.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 200)))"
# Words of one make, in one colour on one paper, are judged once for all pages: contrast is what takes axe its time.
MARK = """([seen, theme]) => {
    const known = new Set(seen), opaque = new Map();
    const seeThrough = e => {
        if (!opaque.has(e)) opaque.set(e, (e.parentElement ? seeThrough(e.parentElement) : 1)
            * getComputedStyle(e).opacity);
        return opaque.get(e);
    };
    document.querySelectorAll(`[data-${theme}]`).forEach(e => delete e.dataset[theme]);
    for (const word of document.querySelectorAll('body *')) {
        if (![...word.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        if (!word.checkVisibility({visibilityProperty: true}) || word.closest('[aria-hidden=true]')) continue;
        const style = getComputedStyle(word), around = getComputedStyle(word.parentElement);
        let paper = word;
        while (getComputedStyle(paper).backgroundColor === 'rgba(0, 0, 0, 0)' && paper.parentElement)
            paper = paper.parentElement;
        const kind = [word.tagName, style.color, style.fontWeight, style.fontSize, seeThrough(word),
            style.textDecorationLine, getComputedStyle(paper).background, around.color].join();
        if (known.has(kind)) continue;
        known.add(kind);
        word.dataset[theme] = 'new';
    }
    return [...known];
}"""
# What is folded is unfolded. A page of 13,000 elements becomes one of 3,000, for axe takes its time for each: the
# inside of a picture and of a formula is hidden from everybody who does not see it, and code without links is text.
# What holds a word whose colours are to be judged stays.
UNFOLD = "document.querySelectorAll('details').forEach(e => e.open = true)"
SIMPLIFY = """() => {
    const judged = e => e.matches('[data-light], [data-dark]') || e.querySelector('[data-light], [data-dark]');
    document.querySelectorAll('svg[role=img] > *').forEach(e => judged(e) || e.remove());
    for (const code of document.querySelectorAll('pre:not(:has(a))')) {
        if (!judged(code)) code.textContent = code.textContent;
    }
    for (const glyphs of document.querySelectorAll('mjx-container > mjx-math')) {
        if (judged(glyphs)) continue;
        const {width, height} = glyphs.getBoundingClientRect();
        glyphs.replaceChildren();
        Object.assign(glyphs.style, {display: 'inline-block', width: `${width}px`, height: `${height}px`});
    }
}"""
ROWS = """() => {
    for (const table of document.querySelectorAll('table')) [...table.rows].slice(9).forEach(row => row.remove());
}"""


def open_whole(visit, name: str):
    """Open a page with all that is folded unfolded, once its formulas stand."""
    page = visit.open(name)
    until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
    page.evaluate(UNFOLD)
    reachable(page)
    return page


def reachable(page) -> None:
    """Wait until the page has seen to what scrolls now; glyphs that are not there yet are too wide."""
    until(page, "document.fonts.status === 'loaded'")
    drawn(page)
    # The theme gathers changes for 300 ms before it looks. A timer of the page itself rings after those set before.
    page.evaluate("new Promise(done => setTimeout(done, 350))")


def run_axe(page, where: str, options: str) -> list[str]:
    """What axe finds there, with these options."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(f"axe.run({where}, {options}).then({FOUND})")


def axe(page) -> list[str]:
    """What axe finds on a page as it stands, colours left out."""
    return run_axe(page, "document", f"{{resultTypes: ['violations'], rules: {RULES}}}")


def mark(page, seen: set[str], theme: str) -> None:
    """Mark a word of each kind that is not among ``seen`` on the page in ``theme``, and add the kinds to it."""
    seen.update(page.evaluate(MARK, [list(seen), theme]))


def colours(page, theme: str) -> list[str]:
    """What axe finds in the colours of the words marked for ``theme``."""
    if not page.locator(f"[data-{theme}]").count():
        return []
    return run_axe(page, f"{{include: [['[data-{theme}]']]}}", f"{{runOnly: {COLOURS}}}")


def test_axe_finds_nothing(site, served, browser):  # noqa: F811
    """Each page in light, then its colours in dark, then on a phone what depends on the layout: one loading for all."""
    found, seen = [], {"light": set(), "dark": set()}
    with Visit(browser, served) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        for count, name in enumerate([*pages(site), *ALSO]):
            resize(visit.page, "desktop")
            page = open_whole(visit, name)
            page.evaluate(ROWS)
            if count:  # the list of all pages is the same on each
                page.evaluate("document.querySelectorAll('.bd-sidebar-primary nav a').forEach(e => e.remove())")
            for theme in seen:
                turn(page, theme)
                mark(page, seen[theme], theme)
            page.evaluate(SIMPLIFY)
            for theme in seen:
                turn(page, theme)
                found += [f"{name}, {theme}: {fault}" for fault in colours(page, theme)]
            found += [f"{name}: {fault}" for fault in axe(page)]
            resize(page, "phone")
            reachable(page)
            faults = run_axe(page, "document", f"{{runOnly: {ON_A_PHONE}}}")
            found += [f"{name}, on a phone: {fault}" for fault in faults]
    assert found == []
    assert all(len(kinds) > 100 for kinds in seen.values())


def test_axe_finds_nothing_in_the_windows_over_a_page(served, browser):  # noqa: F811
    with Visit(browser, served, "phone") as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = open_whole(visit, "book/glossary.html")
        for opener in (".primary-toggle", ".search-button"):
            page.locator(opener).first.focus()
            page.keyboard.press("Enter")
            page.locator("dialog[open]").wait_for()
            mark(page, set(), "light")
            assert axe(page) + colours(page, "light") == [], opener
            page.keyboard.press("Escape")


def test_axe_sees_what_is_wrong(served, browser):  # noqa: F811
    """The checks above would say nothing if axe did not run, or if too much had been taken away before."""
    with Visit(browser, served) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = open_whole(visit, CHAPTER)
        seen = {"light": set(), "dark": set()}
        for theme in seen:
            turn(page, theme)
            mark(page, seen[theme], theme)
            assert page.locator(f"[data-{theme}]").count() == len(seen[theme]) > 50
            assert colours(page, theme) == []
            mark(page, seen[theme], theme)
            assert page.locator(f"[data-{theme}]").count() == 0
        assert axe(page) == []
        # A grey that is too light for white and too dark for black, in code.
        page.evaluate(
            """() => {
            const article = document.querySelector('article');
            article.insertAdjacentHTML('beforeend', '<button></button><img src="x">');
            article.querySelector('svg[role=img]').removeAttribute('aria-label');
            const words = [...article.querySelectorAll('pre span')].filter(e => e.textContent.trim().length > 4);
            words.at(-1).style.color = '#777';
            }"""
        )
        for theme in seen:
            turn(page, theme)
            mark(page, seen[theme], theme)
        page.evaluate(SIMPLIFY)
        for theme in seen:
            turn(page, theme)
            assert any(fault.startswith("color-contrast: ") for fault in colours(page, theme)), theme
        assert {fault.partition(":")[0] for fault in axe(page)} >= {"button-name", "image-alt", "svg-img-alt"}


# --- the keyboard alone

FOCUSED = """() => {
    const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
    const ring = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)
        || /\\b[2-9]px( inset)?(,|$)/.test(style.boxShadow);
    const shown = here.checkVisibility({visibilityProperty: true, opacityProperty: true}) && box.width > 0
        && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const first = !here.dataset.visited;
    here.dataset.visited = 'yes';
    return {what: here.outerHTML.slice(0, 160), ring, shown, first, body: here === document.body};
}"""
# What a reader can use: controls, links, and what scrolls.
USABLE = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, iframe, pre, mjx-container, .gp-table, .gp-scroll')]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width > 1
        && (e.matches('a, button, input, select, textarea, summary, iframe') || e.scrollWidth > e.clientWidth + 1)
        && !e.disabled && !e.matches('a.headerlink') && e.id !== 'pst-back-to-top')
    .filter(e => !e.dataset.visited).map(e => e.outerHTML.slice(0, 160))"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [CHAPTER, "book/live.html", "book/api.html"])
def test_tab_reaches_everything_and_shows_where_it_is(served, browser, name, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = open_whole(visit, name)
        for _ in range(600):
            page.keyboard.press("Tab")
            here = page.evaluate(FOCUSED)
            if here["body"] or not here["first"]:
                break
            # The theme lets its link to the top of the page slide in, and the first one of all.
            assert here["shown"], f"out of sight: {here['what']}"
            assert here["ring"], f"no ring: {here['what']}"
        missed = page.evaluate(USABLE)
        assert missed == [], missed


def test_the_first_stop_leads_past_the_sidebar(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(CHAPTER)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "Skip to main content"
        box = page.locator("#pst-skip-link").bounding_box()
        until(page, "document.activeElement.getBoundingClientRect().top >= 0")
        assert box["width"] > 50
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def press(page, selector: str, key: str = "Enter") -> None:
    page.locator(f"{selector}:visible").first.focus()
    page.keyboard.press(key)


@pytest.mark.parametrize("size", SIZES)
def test_keys_drive_the_theme_the_search_and_the_sidebar(served, browser, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = visit.open(CHAPTER)
        until(page, "'bootstrap' in window")
        # The theme: each press leads on, and the focus stays for the next.
        page.locator(".theme-switch-button").focus()
        modes = set()
        for _ in range(3):
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.matches('.theme-switch-button')")
            modes.add(page.evaluate("document.documentElement.dataset.mode"))
        assert modes == {"auto", "dark", "light"}
        # The sidebar: out of the way and back on a desktop, a window over the page on a phone.
        seen = "document.querySelector('nav.bd-links').checkVisibility({visibilityProperty: true})"
        inside = "document.querySelector('nav.bd-links').getBoundingClientRect().right > 50"
        before = page.evaluate(f"{seen} && {inside}")
        assert before == (size == "desktop")
        press(page, ".primary-toggle")
        until(page, f"({seen} && {inside}) === {str(not before).lower()}", 10)
        if size == "phone":
            assert page.evaluate("document.activeElement.closest('dialog') !== null")
            page.keyboard.press("Escape")
        else:
            page.keyboard.press("Enter")
        until(page, f"({seen} && {inside}) === {str(before).lower()}", 10)
        assert page.evaluate("document.activeElement.matches('.primary-toggle')")
        # The search: from its button, and by its shortcut; Escape leads back.
        press(page, ".search-button__button")
        assert page.evaluate("document.activeElement.name") == "q"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('.search-button__button')")
        page.keyboard.press("Control+k")
        page.keyboard.type("penalty")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=penalty")
        page.locator("#search-results .search li a").first.wait_for()
        assert visit.complaints == [] and visit.outside == []


def test_keys_drive_folds_menus_and_what_scrolls(served, browser):  # noqa: F811
    with Visit(browser, served, "phone") as visit:
        page = visit.open(CHAPTER)
        until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
        for fold in ("details.gp-answer", "details.hide"):
            page.locator(f"{fold} summary").first.focus()
            for wanted in (True, False):
                page.keyboard.press("Space")
                assert page.locator(fold).first.evaluate("e => e.open") == wanted, fold
        until(page, "'bootstrap' in window")
        for menu in (".dropdown-launch-buttons", ".dropdown-download-buttons"):
            press(page, f"{menu} > button")
            page.keyboard.press("ArrowDown")
            assert page.evaluate("document.activeElement.matches('.dropdown-item')"), menu
            page.keyboard.press("Escape")
        # Printing and the full screen are not handlers inside the page, which its policy would not run.
        page.evaluate("() => { window.print = () => { document.title = 'printed' } }")
        press(page, ".dropdown-download-buttons > button")
        page.locator('[data-press="print"]').focus()
        page.keyboard.press("Enter")
        assert page.title() == "printed"
        page.evaluate("() => { window.toggleFullScreen = () => { document.title = 'full' } }")
        press(page, '[data-press="fullscreen"]')
        assert page.title() == "full"
        moved = 0
        page.evaluate(UNFOLD)
        reachable(page)
        for box in page.locator("pre, mjx-container, .gp-scroll").all():
            if box.evaluate("e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 40 && e.checkVisibility()"):
                box.evaluate("e => { e.focus(); e.dataset.tried = 'yes' }")
                page.keyboard.press("ArrowRight")
                until(page, "document.querySelector('[data-tried]').scrollLeft > 0")
                box.evaluate("e => delete e.dataset.tried")
                moved += 1
                if moved == 8:
                    break
        assert moved >= 3


def test_formulas_are_no_row_of_tab_stops(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = open_whole(visit, CHAPTER)
        formulas = page.locator("mjx-container").count()
        stops = page.evaluate("[...document.querySelectorAll('mjx-container')].filter(e => e.tabIndex === 0).length")
        assert formulas > 60 and stops < formulas / 20
        # They are still read out.
        assert page.locator("mjx-container mjx-assistive-mml math").count() == formulas


# --- motion


@pytest.mark.parametrize("name", [CHAPTER, "book/live.html"])
def test_nothing_moves_where_motion_is_unwanted(served, browser, name):  # noqa: F811
    moving = """() => [...document.querySelectorAll('*')].filter(e => {
        const style = getComputedStyle(e);
        return style.animationName !== 'none' || style.scrollBehavior === 'smooth'
            || style.transitionDuration.split(',').some(t => parseFloat(t) > 0)}).map(e => e.outerHTML.slice(0, 100))"""
    with Visit(browser, served) as visit:
        page = visit.open(name)
        page.evaluate(UNFOLD)
        assert len(page.evaluate(moving)) > 5, "this page has no motion to decline, so the test says nothing"
        page.emulate_media(reduced_motion="reduce")
        assert page.evaluate(moving) == []


def test_every_page_says_its_language_and_title(site):
    titles = set()
    for path in sorted(p for p in site.rglob("*.html") if "_static" not in p.parts):
        text = path.read_text(encoding="utf-8")
        assert re.search(r'<html lang="en"', text), path.name
        title = re.search(r"<title>\s*([^<]+?)\s*</title>", text)[1]
        assert title not in titles, f"two pages are called {title!r}"
        titles.add(title)
