"""The living page's small form, in the chapters that hold one: it begins when seen, answers, sleeps, and fits."""

import re
from unittest import mock

import pytest
from test_living_page import PIXELS, POLICY, link, press, quiet, settle, step, wait_for_step
from test_pages import SIZES, Visit, browser, drawn, pytestmark, resize, served, turn, until  # noqa: F401

import gpcore as gp

# Chapter: its controls, a value that the first of them is given by the keyboard, and the key for it.
SMALL = {
    "01_adversarial_loss": (["criticSteps", "loss"], "10", "End"),
    "03_mode_collapse": (["constraint", "weight", "criticSteps"], "clip", "ArrowDown"),
    "05_weight_clipping": (["clip"], "0.001", "Home"),
    "06_gradient_penalty": (["constraint", "weight", "criticSteps"], "gp_one_sided", "ArrowDown"),
    "08_family_of_penalties": (["constraint", "every"], "r1", "ArrowUp"),
    "12_gradient_norm_scaling": (["threshold", "lrCritic"], "10", "End"),
    "13_choosing_the_threshold": (["scaling", "threshold", "lrCritic"], "zclip", "ArrowDown"),
}
each_chapter = pytest.mark.parametrize("chapter", SMALL)
# What the pages' one script does is asked of two of them, what a chapter chooses of each.
two_chapters = pytest.mark.parametrize("chapter", ["06_gradient_penalty", "13_choosing_the_threshold"])
ROOT = "[data-living-page]"
OVERFULL = """root => [root, ...root.querySelectorAll('*')].filter(e => !e.matches('option') && e.clientWidth
    && getComputedStyle(e).display !== 'inline' && !e.closest('.pg-still')
    && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)).map(e => e.outerHTML.slice(0, 90))"""


def show(page, block: str = "center"):
    page.locator(ROOT).evaluate(f"root => root.scrollIntoView({{ behavior: 'instant', block: '{block}' }})")


def pictures(page) -> list[str]:
    return page.locator(f"{ROOT} canvas").evaluate_all("all => all.map(canvas => canvas.toDataURL())")


def after_five_steps(page) -> list[str]:
    """Begin anew, go five steps, and return the pictures."""
    press(page, "restart")
    until(page, f"document.querySelector('{ROOT}').dataset.step === '0'")
    for _ in range(5):
        press(page, "step")
    wait_for_step(page, 5)
    drawn(page)
    assert settle(page) == 5
    return pictures(page)


@two_chapters
def test_it_begins_when_seen_repeats_and_sleeps(site, served, browser, chapter):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        page.wait_for_selector(f"{ROOT}.pg")
        page.wait_for_timeout(500)
        assert step(page) == -1 and page.workers == [], "it has begun before anyone could see it"
        show(page)
        wait_for_step(page, 20)
        assert len(page.workers) == 1

        # Out of sight it stands still, and goes on from there.
        page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
        asleep = settle(page)
        show(page)
        wait_for_step(page, asleep + 5)

        # Its seed gives the same run again.
        press(page, "play", "Space")
        settle(page)
        assert after_five_steps(page) == after_five_steps(page)
        quiet(visit)


@each_chapter
def test_its_control_changes_the_run_and_the_whole_page_opens_with_it(site, served, browser, chapter):  # noqa: F811
    controls, value, key = SMALL[chapter]
    with Visit(browser, served) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 1)
        named = page.locator(f"{ROOT} [data-name]").evaluate_all("all => all.map(e => e.dataset.name)")
        assert named == controls
        nameless = page.evaluate(
            f"""() => [...document.querySelectorAll('{ROOT} :is(button, select, input, canvas)')].filter(e =>
            !(e.labels?.[0]?.textContent || e.textContent || e.getAttribute('aria-label') || '').trim())
            .map(e => e.outerHTML)"""
        )
        assert nameless == []

        # By keyboard: its control changes the run and the link, and nothing but the control does.
        press(page, "play", "Space")
        settle(page)
        before = after_five_steps(page)
        control = page.locator(f'{ROOT} [data-name="{controls[0]}"]')
        control.focus()
        page.keyboard.press(key)
        shown = control.get_attribute("aria-valuetext") or control.input_value()
        assert shown == value
        changed = after_five_steps(page)
        assert all(one != other for one, other in zip(before, changed, strict=True))
        anchor = page.locator(f"{ROOT} a.pg-whole")
        address, _, words = anchor.get_attribute("href").partition("#")
        assert address.endswith("book/live.html") and anchor.get_attribute("target") == "_blank"
        assert f"{controls[0]}={value}" in words

        values = "all => all.map(e => [e.dataset.name, e.getAttribute('aria-valuetext') || e.value])"
        small = dict(page.locator(f"{ROOT} [data-name]").evaluate_all(values))
        page = visit.open(f"book/live.html#{words}")
        wait_for_step(page, 5)
        whole = dict(page.locator(f"{ROOT} [data-name]").evaluate_all(values))
        assert {name: whole[name] for name in small} == small
        # Written back by the page itself, so that all that the link says was understood.
        link(page, lambda url: url.endswith(f"#{words}"))
        quiet(visit)


@each_chapter
def test_it_fits_and_does_not_move_the_text(site, served, browser, chapter):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page, "start")
        wait_for_step(page, 10)
        running = {"desktop": page.locator(ROOT).bounding_box()["height"]}
        resize(page, "phone")
        turn(page, "dark")
        drawn(page)
        show(page, "start")
        wait_for_step(page, step(page) + 2)
        running["phone"] = page.locator(ROOT).bounding_box()["height"]
        press(page, "play")
        settle(page)
        for size in ("phone", "desktop"):
            resize(page, size)
            drawn(page)
            fits(page, running[size], SIZES[size][0])
        quiet(visit)


def fits(page, running: float, width: int) -> None:
    """It is as tall as it was while it ran, whatever its keys say; nothing is cut, and its pictures show something."""
    # What the keys say changes with every look, and with it their length. In one go: a new height is painted anew.
    heights = page.locator(ROOT).evaluate(
        """root => ["f from 0 to 1", "f from −0.00012 to −0.00011"].map(words => {
        root.querySelectorAll(':is(.pg-key-value, .pg-key-slope)').forEach(key => key.textContent = words);
        return root.getBoundingClientRect().height})"""
    )
    heights.append(running)
    assert max(heights) - min(heights) <= 1 and max(heights) < 850, heights
    box = page.locator(ROOT).bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.locator(ROOT).evaluate(OVERFULL) == []
    assert page.locator(f"{ROOT} canvas").count() == 2
    for canvas in page.locator(f"{ROOT} canvas").all():
        assert canvas.bounding_box()["width"] >= 140
        assert canvas.evaluate(f"c => new Set(new Uint32Array({PIXELS}.buffer)).size") > 20


BRIGHT = f"c => {PIXELS}.reduce((sum, x, i) => sum + (i % 4 < 3 ? x : 0), 0)"


@two_chapters
def test_it_follows_the_theme_of_the_book(site, served, browser, chapter):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 5)
        press(page, "play")
        settle(page)
        looks = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        ink, paper = page.locator(ROOT).evaluate(looks)
        before = [canvas.evaluate(BRIGHT) for canvas in page.locator(f"{ROOT} canvas").all()]
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.wait_for_selector(f"{ROOT}.pg-dark")
        drawn(page)
        dark_ink, dark_paper = page.locator(ROOT).evaluate(looks)
        after = [canvas.evaluate(BRIGHT) for canvas in page.locator(f"{ROOT} canvas").all()]
        assert luminance(ink) < 60 < 190 < luminance(paper) and luminance(dark_paper) < 60 < 190 < luminance(dark_ink)
        assert all(then > now for now, then in zip(before, after, strict=True))


def luminance(colour: str) -> float:
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_it_waits_where_motion_is_unwanted(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = visit.open("notebooks/12_gradient_norm_scaling.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 0)
        assert settle(page) == 0
        press(page, "play")
        wait_for_step(page, 5)


@each_chapter
def test_a_sentence_and_the_link_stand_in_for_it(site, served, browser, chapter):  # noqa: F811
    with Visit(browser, served, javascript=False) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        assert "here scripts run" in page.locator(f"{ROOT} .pg-still").inner_text()
        assert page.locator(f"{ROOT} a.pg-whole").is_visible()
    with Visit(browser, served) as visit:
        page = visit.open(f"notebooks/{chapter}.html")
        page.wait_for_selector(f"{ROOT}.pg")
        still, bar, views = (page.locator(f"{ROOT} .pg-{name}") for name in ("still", "bar", "views"))
        assert still.is_hidden() and bar.is_visible() and views.is_visible()
        page.emulate_media(media="print")
        # Nothing has been drawn yet.
        assert still.is_visible() and bar.is_hidden() and views.is_hidden()


def test_it_lives_under_a_strict_policy(site, served, browser):  # noqa: F811
    """Its script stands inside the page, so its worker is a blob."""
    policy = POLICY.replace("worker-src 'self'", "worker-src blob:")
    assert policy != POLICY
    with Visit(browser, served) as visit:

        def with_policy(route):
            answer = route.fetch()
            route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

        visit.page.route("**/notebooks/*.html", with_policy)
        page = visit.open("notebooks/05_weight_clipping.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 20)
        assert len(page.workers) == 1
        quiet(visit)


# --- outside the book


def outputs(*calls: dict) -> str:
    """What these calls display, one after the other."""
    with mock.patch("IPython.display.display") as display:
        for settings in calls:
            gp.widgets.playground(**settings)
    return "".join(call[0][0].bundle["text/html"] for call in display.call_args_list)


def alone(visit, body: str):
    # An icon of its own: the browser would ask for one, and complain that there is none.
    whole = f"<!doctype html><title>x</title><link rel=icon href='data:,'>{body}"
    visit.page.route("**/alone.html", lambda route: route.fulfill(body=whole, content_type="text/html"))
    return visit.open("alone.html")


def test_it_follows_whatever_holds_it(site, served, browser):  # noqa: F811
    """A host that names its themes in a way of its own, its colours written in another form."""
    small = outputs({"controls": ["clip"], "constraint": "clip"})
    style = "<style>.night { background: #111; color: color-mix(in srgb, white 90%, black) }</style>"
    with Visit(browser, served, theme="dark") as visit:
        page = alone(visit, f"{style}<body>{small}")
        wait_for_step(page, 3)
        assert page.locator(f"{ROOT}.pg-dark").count() == 0, "the host is light, whatever the system is"
        page.evaluate("document.body.className = 'night'")
        page.wait_for_selector(f"{ROOT}.pg-dark")
        assert luminance(page.locator(ROOT).evaluate("e => getComputedStyle(e).backgroundColor")) < 60
        page.evaluate("document.body.className = ''")
        page.wait_for_selector(f"{ROOT}:not(.pg-dark)")
        quiet(visit)


def test_two_of_them_share_a_page(site, served, browser):  # noqa: F811
    both = outputs({"controls": ["loss"], "loss": "minimax"}, {"controls": ["loss", "seed"], "show": ["losses"]})
    with Visit(browser, served) as visit:
        page = alone(visit, both)
        for root in page.locator(ROOT).all():
            root.scroll_into_view_if_needed()
            root.locator("xpath=self::*[@data-step > 5]").wait_for()
        ids = page.locator(f"{ROOT} [id]").evaluate_all("all => all.map(e => e.id)")
        # Each of the three controls and what it says of itself.
        assert len(ids) == 6 and len(set(ids)) == 6
        assert page.locator("select").evaluate_all("all => all.map(e => e.value)") == ["minimax", "wasserstein"]
        quiet(visit)


def test_a_run_that_has_left_the_numbers_begins_anew(site, served, browser):  # noqa: F811
    """As chapter 12 says: without the threshold the run ends, and Play begins it again with what is set then."""
    with Visit(browser, served) as visit:
        page = visit.open("notebooks/12_gradient_norm_scaling.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 30)
        for name in ("threshold", "lrCritic"):
            page.locator(f'{ROOT} [data-name="{name}"]').focus()
            if name == "threshold":
                page.keyboard.press("Home")
                page.wait_for_selector(f"{ROOT} .pg-diverged", timeout=30_000)
                ended = settle(page)
            else:
                page.keyboard.press("ArrowLeft")
                page.keyboard.press("ArrowLeft")
        assert page.locator('[data-do="play"]').inner_text() == "Play"
        press(page, "play")
        page.wait_for_selector(f"{ROOT} .pg-status:not(.pg-diverged)")
        wait_for_step(page, ended + 30)
        quiet(visit)


@pytest.mark.parametrize("size", SIZES)
def test_the_title_page_holds_a_living_picture(site, served, browser, size):  # noqa: F811
    with Visit(browser, served, size) as visit:
        page = visit.open("book/intro.html")
        page.wait_for_selector(f"{ROOT}.pg")
        show(page)
        wait_for_step(page, 20)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= visit.width
        page.locator('[data-name="constraint"]').select_option("clip")
        until(page, "document.querySelector('a.pg-whole').href.includes('live.html#constraint=clip')")
        quiet(visit)
