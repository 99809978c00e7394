"""The built book in a real browser, the network cut: every page, at desktop and phone width, in light and dark."""

import functools
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
import repository

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the pages were not opened")
SIZES = {"desktop": (1280, 900), "phone": (360, 740)}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def pages(site: Path) -> list[str]:
    found = [p.relative_to(site).as_posix() for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]
    return [p for p in found if p not in ("genindex.html", "search.html", "py-modindex.html", "index.html")]


@pytest.fixture(scope="module")
def served(site):
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


class Visit:
    """A browser window that may reach the built site alone, and remembers what else it tried and complained of."""

    def __init__(self, browser, base, size="desktop", theme="light", javascript=True):
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, java_script_enabled=javascript
        )
        self.context.add_init_script(
            f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        )
        self.page, self.base, self.width = self.context.new_page(), base, width
        self.outside, self.complaints = [], []
        self.page.route("**/*", self._route)
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _route(self, route):
        if route.request.url.startswith((self.base, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def open(self, name):
        self.page.goto(self.base + name, wait_until="load")
        return self.page

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_ask_for_nothing_and_complain_of_nothing(site, served, browser, size, theme):
    with Visit(browser, served, size, theme) as visit:
        for name in pages(site):
            page = visit.open(name)
            page.wait_for_function("!window.MathJax || !MathJax.startup || document.readyState === 'complete'")
            assert page.evaluate("document.documentElement.dataset.theme") == theme
            cards = page.evaluate(
                "[...document.querySelectorAll('div.text_html')].map(e => getComputedStyle(e).backgroundColor)"
            )
            assert set(cards) <= {"rgba(0, 0, 0, 0)"}, f"{name}: figures stand on paper of another colour"
            scroll = page.evaluate("document.scrollingElement.scrollWidth")
            assert scroll <= visit.width, f"{name} is {scroll} px wide on a screen of {visit.width}"
            assert visit.complaints == [], f"{name}: {visit.complaints}"
            assert visit.outside == [], f"{name} asked for {visit.outside}"


def test_formulas_are_set(site, served, browser):
    with Visit(browser, served) as visit:
        for name in (p for p in pages(site) if p.startswith("notebooks/")):
            page = visit.open(name)
            page.wait_for_selector("mjx-container", timeout=20_000)
            page.wait_for_function("document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
            assert page.locator("mjx-merror").count() == 0, name
            assert not re.search(r"\\(lVert|mathbb|frac)", page.locator("article").inner_text()), name


def test_every_figure_says_what_it_shows(site, served, browser):
    with Visit(browser, served) as visit:
        for name in pages(site):
            page = visit.open(name)
            silent = page.evaluate(
                """() => [...document.querySelectorAll('article img, article svg:not(.sd-octicon), article figure svg')]
                .filter(e => e.closest('figure, article p') && !e.closest('a, button, summary'))
                .map(e => e.getAttribute('alt') || e.getAttribute('aria-label') || '')
                .filter(text => text.trim().length < 20)"""
            )
            assert silent == [], name


def test_links_inside_the_book_lead_somewhere(site):
    for name in pages(site):
        folder = (site / name).parent
        article = (site / name).read_text(encoding="utf-8")
        for target in re.findall(r'<a [^>]*href="([^"#:]+\.html)(?:#[^"]*)?"', article):
            assert (folder / target).exists(), f"{name} links to {target}"


def test_every_chapter_opens_in_colab_and_shows_its_full_run(site, served, browser):
    url = repository.address().removeprefix("https://github.com")
    chapters = [p for p in pages(site) if p.startswith("notebooks/")]
    assert len(chapters) >= 5
    with Visit(browser, served) as visit:
        for name in chapters:
            page = visit.open(name)
            colab = f"https://colab.research.google.com/github{url}/blob/main/{name.replace('.html', '.ipynb')}"
            assert page.locator(f'a[href="{colab}"]').count() == 1, name
            assert page.locator("#full-run .gp-run").count() == 1
            assert page.locator(".gp-strip").count() == 1


def test_sliders_turn_by_keyboard(site, served, browser):
    turned = 0
    with Visit(browser, served) as visit:
        for name in (p for p in pages(site) if p.startswith("notebooks/")):
            page = visit.open(name)
            for knob in page.locator("figure.gp-player input[type=range]").all():
                before = knob.get_attribute("aria-valuetext")
                knob.focus()
                page.keyboard.press("End")
                page.keyboard.press("Home")
                assert knob.get_attribute("aria-valuetext") != before
                shown = "e => e.closest('figure').querySelectorAll('[data-frame]:not([hidden])').length"
                assert knob.evaluate(shown) == 1
                turned += 1
    assert turned >= 4


def test_figures_and_answers_are_there_without_javascript(site, served, browser):
    with Visit(browser, served, javascript=False) as visit:
        page = visit.open("notebooks/06_gradient_penalty.html")
        assert page.locator("figure.gp-player svg:visible").count() >= 1
        page.locator("details.gp-answer summary").first.click()
        assert page.locator("details.gp-answer").first.get_attribute("open") is not None


def test_the_ledger_holds_every_claim_and_every_verdict(site):
    from gpcore import evidence

    text = (site / "book" / "ledger.html").read_text(encoding="utf-8")
    found = [c for record in evidence.load_evidence(Path("book/evidence").resolve()).values() for c in record["claims"]]
    assert len(found) >= 13
    for claim in evidence.load_claims():
        assert evidence.load_claims()[claim]["claim"].replace("'", "&#x27;") in text
    for word in evidence.WORDS:
        assert text.count(f'gp-{word.replace(" ", "-")}">{word}<') == sum(c["word"] == word for c in found)
