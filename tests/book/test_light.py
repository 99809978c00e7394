"""Light: a chapter weighs little beyond what all pages share, appears at once, and the site holds nothing unused."""

import pytest
from test_pages import Visit, browser, pages, pytestmark, served, until  # noqa: F401

MEGABYTE = 1_000_000
CHAPTER = "notebooks/06_gradient_penalty.html"  # the heaviest
PAINT = """new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.painted = entry.startTime;
}).observe({type: 'largest-contentful-paint', buffered: true})"""


@pytest.fixture(scope="module")
def loaded(site, served, browser):  # noqa: F811
    """What every page asks for, as paths in the site: name -> set of paths."""
    found = {}
    with Visit(browser, served) as visit:
        asked = []
        visit.page.on("request", lambda request: asked.append(request.url))
        for name in [*pages(site), "search.html?q=penalty", "genindex.html"]:
            asked.clear()
            page = visit.open(name)
            until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
            page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
            page.evaluate("document.querySelectorAll('img.toggler').forEach(e => e.click())")
            # What has come was asked for before; what is still on its way may not have been told of.
            until(page, "document.fonts.status === 'loaded' && [...document.images].every(e => e.complete)")
            found[name] = {url.removeprefix(served).partition("?")[0] for url in asked if url.startswith(served)}
    return found


def test_a_chapter_weighs_little_beyond_what_all_share(site, loaded):
    shared = set.intersection(*(loaded[name] for name in pages(site)))
    # Each formula brings the fonts of its letters; the book's other chapters bring the same.
    shared |= {path for paths in loaded.values() for path in paths if path.startswith("_static/mathjax/")}
    weights = {}
    for name in (p for p in pages(site) if p.startswith("notebooks/")):
        weights[name] = sum((site / path).stat().st_size for path in loaded[name] - shared)
        assert weights[name] >= (site / name).stat().st_size
    heavy = {name: weight for name, weight in weights.items() if weight > 1.5 * MEGABYTE}
    assert heavy == {}
    # And what they share is loaded once.
    assert sum((site / path).stat().st_size for path in shared) < 3 * MEGABYTE


def test_a_chapter_appears_at_once(served, browser):  # noqa: F811
    """The largest contentful paint of a cold loading; a busy machine only adds to it, so the shortest counts."""
    times = []
    while not times or min(times) > 1500 and len(times) < 10:
        with Visit(browser, served) as visit:
            visit.page.add_init_script(PAINT)
            page = visit.open(CHAPTER)
            until(page, "window.painted > 0")
            page.wait_for_timeout(300)
            times.append(page.evaluate("window.painted"))
    assert min(times) <= 1500, f"{[round(t) for t in times]} ms"


def test_nothing_unused_is_in_the_site(site, loaded):
    """Scripts, styles, fonts and pictures that no page asks for."""
    asked = set.union(*loaded.values())
    kinds = {".js", ".mjs", ".css", ".woff", ".woff2", ".ttf", ".eot", ".map", ".png", ".jpg", ".svg", ".po", ".mo"}
    there = {p.relative_to(site).as_posix() for p in site.rglob("*") if p.suffix in kinds}
    # How tall a bracket is, and so which font has it, is only known in the browser.
    unused = sorted(path for path in there - asked if "/MathJax_Size" not in path)
    assert not unused, f"add to book/ext/gplight.py: {unused}"
    assert len(there) > 15
    assert not list(site.rglob("*.map"))
