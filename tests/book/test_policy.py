"""Every page says in a content-security policy that it needs nothing from elsewhere, and lives under it."""

import html
import re
from unittest import mock

import gppolicy
import pytest
from test_pages import WATCH, Visit, browser, pytestmark, served, until  # noqa: F401

CHAPTER = "notebooks/06_gradient_penalty.html"


def policy(path) -> dict[str, str]:
    (found,) = re.findall(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', path.read_text(encoding="utf-8")
    )
    return {part.split()[0]: part.partition(" ")[2] for part in found.split("; ")}


def test_every_page_states_a_strict_policy(site):
    found = [p for p in sorted(site.rglob("*.html")) if "_static" not in p.parts]
    assert {"index.html", "search.html", "genindex.html", "06_gradient_penalty.html"} <= {p.name for p in found}
    for path in found:
        rules = policy(path)
        assert rules["default-src"] == "'none'" and rules["object-src"] == "'none'" and rules["base-uri"] == "'none'"
        assert rules["connect-src"] == rules["font-src"] == "'self'" and rules["img-src"] == "'self' data:"
        assert rules["worker-src"] == "'self' blob:"
        scripts = [word for word in rules["script-src"].split() if not word.startswith("'sha256-")]
        assert scripts == ["'self'", "'wasm-unsafe-eval'"], path.name
        # Before anything that it is about, and no code in attributes, which it would not run.
        text = path.read_text(encoding="utf-8")
        first = min(text.find(tag) % len(text) for tag in ("<script", "<link", "<style"))
        assert text.index("Content-Security-Policy") < first
        assert not re.search(r"<[a-z][^<>]*\son(click|load|error|input)=", text), path.name


def test_no_page_breaks_its_policy_when_opened_as_a_file(site, browser):  # noqa: F811
    """Over http the tour looks at every page."""
    with Visit(browser, site.as_uri() + "/") as visit:
        visit.page.add_init_script(WATCH)
        for name in [CHAPTER, "book/intro.html", "book/api.html", "genindex.html"]:
            page = visit.open(name)
            until(page, "document.querySelectorAll('.math:not(:has(mjx-container))').length === 0")
            assert page.evaluate("broken") == [], name
            assert visit.complaints == [] and visit.outside == [], f"{name}: {visit.complaints}"


def test_the_first_address_leads_to_the_first_page(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        visit.page.goto(visit.base + "index.html", wait_until="commit")
        visit.page.wait_for_url("**/book/intro.html")
        assert visit.complaints == []


def test_the_search_finds_under_the_policy(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        visit.page.add_init_script(WATCH)
        page = visit.open("search.html?q=interpolates")
        page.locator("#search-results .search li a").first.wait_for()
        # The words around what was found come from the page itself, fetched by the search.
        page.locator("#search-results .search li p.context").first.wait_for()
        assert page.evaluate("broken") == [] and visit.complaints == []


def test_what_is_smuggled_in_does_not_run(served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(CHAPTER)
        page.evaluate(
            """() => {
            const script = document.createElement('script');
            script.textContent = 'window.smuggled = 1';
            document.body.append(script);
            document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="window.smuggled = 2">');
            const elsewhere = document.createElement('script');
            elsewhere.src = 'https://example.org/x.js';
            document.body.append(elsewhere);
            }"""
        )
        assert page.evaluate("fetch('https://example.org/').then(() => 'sent', () => 'stopped')") == "stopped"
        until(page, "performance.now() > 0")
        assert page.evaluate("window.smuggled") is None
        # Stopped by the policy, before the test's own wall round the network.
        assert visit.outside == []
        assert any("Content Security Policy" in text for text in visit.complaints)


def test_a_living_page_in_a_frame_runs_under_the_page_s_policy(served, browser):  # noqa: F811
    """A frame whose page stands in ``srcdoc`` inherits the policy: its script is named there, its worker is a blob."""
    import gpcore as gp

    with mock.patch("IPython.display.display") as display:
        gp.widgets.playground(loss="minimax")
    inner = html.escape(f"<!doctype html><title>x</title>{display.call_args[0][0].bundle['text/html']}")
    frame = f'<iframe srcdoc="{inner}" sandbox="allow-scripts" width="1200" height="800"></iframe>'
    head = "<!doctype html><meta charset='utf-8'><title>x</title><link rel=icon href='data:,'>"
    whole = gppolicy.with_policy(f"{head}{frame}")
    with Visit(browser, served) as visit:
        visit.page.route("**/framed.html", lambda route: route.fulfill(body=whole, content_type="text/html"))
        frame = visit.open("framed.html").frame_locator("iframe")
        root = frame.locator("[data-living-page]")
        frame.locator("[data-step]").wait_for()
        for _ in range(300):
            if int(root.get_attribute("data-step")) >= 20:
                break
            visit.page.wait_for_timeout(100)
        else:
            pytest.fail("the frame does not train")
        assert frame.locator(".pg-speed").get_attribute("title") == "WebAssembly, float32"
        # The test's own script asks for localStorage, which the frame does not have.
        assert [text for text in visit.complaints if "localStorage" not in text] == [] and visit.outside == []


def test_hashes_are_those_of_the_scripts(site):
    page = "<script src='a.js'></script><script>let x = '<1>';</script>"
    frame = f'<iframe srcdoc="{html.escape("<p>text</p><script>let y;</script>")}"></iframe>'
    assert gppolicy.scripts(page + frame) == ["let x = '<1>';", "let y;"]
    # Taken from the specification's own example, with the digest that openssl gives.
    example = gppolicy.policy("<script>alert('Hello, world.');</script>")
    assert "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='" in example
    assert "font-src 'self' https://cdn.example" in gppolicy.policy("", "https://cdn.example/npm/mathjax.js")
    with pytest.raises(ValueError, match="meta charset"):
        gppolicy.with_policy("<html></html>")
