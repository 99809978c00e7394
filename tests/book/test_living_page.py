"""The living page in a real browser: it trains, answers to the keyboard, fits a phone, needs nothing from outside."""

import time

import pytest
from test_pages import SIZES, Visit, browser, drawn, pytestmark, served, until  # noqa: F401

PAGE = "book/live.html"
# What a strict site could send along: no script, image or connection from elsewhere, nothing evaluated. The theme has
# small scripts inside its pages, so those are allowed.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'self'"
)
PIXELS = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"


def step(page) -> int:
    return int(page.locator("[data-living-page]").get_attribute("data-step") or -1)


def wait_for_step(page, n: int) -> None:
    end = time.monotonic() + 30
    while step(page) < n:
        assert time.monotonic() < end, f"step {step(page)} after half a minute, and not {n}"
        page.wait_for_timeout(50)


def press(page, name: str, key: str = "Enter") -> None:
    page.locator(f'[data-do="{name}"]').focus()
    page.keyboard.press(key)


def settle(page) -> int:
    """The step at which the page comes to stand still, which it must soon."""
    looks = [step(page)]
    while len(looks) < 100:
        page.wait_for_timeout(200)
        looks.append(step(page))
        # Several, for a busy machine may leave the worker without its turn for a moment.
        if len(looks) >= 5 and len(set(looks[-5:])) == 1:
            return looks[-1]
    pytest.fail(f"still training at step {looks[-1]}")


def link(page, wanted) -> str:
    """The page's address, once ``wanted`` holds of it: Chromium may take its time."""
    end = time.monotonic() + 10
    while not wanted(page.evaluate("location.href")):
        assert time.monotonic() < end, page.evaluate("location.href")
        page.wait_for_timeout(50)
    return page.evaluate("location.href")


def quiet(visit) -> None:
    assert visit.complaints == [] and visit.outside == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_trains_and_fits(site, served, browser, size, theme):  # noqa: F811
    with Visit(browser, served, size, theme) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 30)
        until(page, "/[1-9] steps per second/.test(document.querySelector('.pg-speed').textContent)")
        assert page.locator(".pg-speed").get_attribute("title") == "WebAssembly, float32"
        # Every picture holds more than one colour, and says what it shows.
        for canvas in page.locator(".pg canvas").all():
            colours = canvas.evaluate(f"c => new Set(new Uint32Array({PIXELS}.buffer)).size")
            assert colours > 20
            assert len(canvas.get_attribute("aria-label")) > 40
        page.locator('[data-do="compare"]').click()
        page.locator(".pg-panel").evaluate("panel => panel.open = true")
        assert page.locator(".pg-view").count() == 2
        assert page.evaluate("document.scrollingElement.scrollWidth") <= visit.width
        quiet(visit)


def test_the_pictures_follow_the_theme(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        press(page, "play")
        settle(page)
        ink = f"c => {PIXELS}.reduce((sum, x, i) => sum + (i % 4 < 3 ? x : 0), 0)"
        canvas = page.locator(".pg-wide").first
        before = canvas.evaluate(ink)
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        drawn(page)
        assert canvas.evaluate(ink) > 1.2 * before


def test_the_keyboard_drives_it(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 10)
        press(page, "play", "Space")
        paused = settle(page)
        assert page.locator('[data-do="play"]').inner_text() == "Play"
        press(page, "step")
        wait_for_step(page, paused + 1)
        assert settle(page) == paused + 1
        # Start again: the same seed gives the same pictures, bit for bit.
        pictures = []
        for _ in range(2):
            press(page, "restart")
            until(page, "document.querySelector('[data-living-page]').dataset.step === '0'")
            for _ in range(5):
                press(page, "step")
            wait_for_step(page, 5)
            drawn(page)
            pictures.append(page.locator(".pg canvas").evaluate_all("all => all.map(c => c.toDataURL())"))
        assert step(page) == 5 and pictures[0] == pictures[1]
        # Sliders, choices and buttons: all native, all with a name.
        page.locator('[data-name="weight"]').focus()
        page.keyboard.press("End")
        assert page.locator('[data-name="weight"]').get_attribute("aria-valuetext") == "100"
        link(page, lambda url: "weight=100" in url)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('.pg :is(button, select, input)')].filter(e =>
            !(e.labels?.[0]?.textContent || e.textContent).trim()).map(e => e.outerHTML)"""
        )
        assert nameless == []
        quiet(visit)


def test_presets_and_links(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        for preset in page.locator(".pg-preset").all():
            preset.click()
            assert preset.get_attribute("aria-pressed") == "true" and len(page.locator(".pg-said").inner_text()) > 60
        page.locator('[data-preset="exploding step"]').click()
        # It may have ended once already, above, and say so until the new run is drawn.
        until(page, "document.querySelector('[data-do=play]').textContent === 'Play'")
        page.wait_for_selector(".pg-diverged")
        assert "no longer a number" in page.locator(".pg-status").inner_text()
        # Scaled, the same run goes on.
        page.locator('[data-preset="scale the norms"]').click()
        wait_for_step(page, 40)
        page.locator('[data-do="compare"]').click()
        shared = link(page, lambda url: "b.threshold=1" in url and url.count("threshold=1") == 2)
        quiet(visit)
    with Visit(browser, served) as visit:
        page = visit.open(shared.removeprefix(served))
        wait_for_step(page, 5)
        assert page.locator(".pg-view").count() == 2
        assert page.locator('[data-name="optimizer"]').input_value() == "sgd"
        assert page.locator('[data-name="threshold"]').get_attribute("aria-valuetext") == "1"
        page = visit.open(PAGE + "?again#weight=-5&data=nonsense&lrCritic=abc&points=x&seed=7")
        wait_for_step(page, 5)
        assert page.locator('[data-name="seed"]').get_attribute("aria-valuetext") == "7"
        assert page.locator('[data-name="data"]').input_value() == "8_gaussians"
        quiet(visit)


STEPS = """() => [...document.querySelectorAll('.pg-status')].map(e => Number(/step (\\d+)/.exec(e.textContent)[1]))"""


def test_two_runs_are_compared_at_one_step(site, served, browser):  # noqa: F811
    """One has sixteen times the work of the other. They also begin anew together, and go single steps together."""
    with Visit(browser, served) as visit:
        page = visit.open(PAGE + "#batch=16&b.batch=256")
        wait_for_step(page, 20)
        looks = []
        while len(looks) < 20 or looks[-1][0] == looks[0][0]:
            looks.append(page.evaluate(STEPS))
            page.wait_for_timeout(50)
            assert len(looks) < 600
        assert all(first == second for first, second in looks), looks
        page.locator('[data-name="seed"]').focus()
        page.keyboard.press("End")
        press(page, "play")
        paused = settle(page)
        press(page, "step")
        wait_for_step(page, paused + 1)
        drawn(page)
        assert page.evaluate(STEPS) == [paused + 1] * 2
        quiet(visit)


def test_the_experiments_in_the_text_set_the_page(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        experiments = page.locator('article li p > a[href*="="]')
        assert experiments.count() == 7
        for experiment in experiments.all():
            words = set(experiment.get_attribute("href")[1:].split("&"))
            experiment.click()
            until(page, "document.querySelectorAll('.pg-view').length === 2")
            wait_for_step(page, 2)
            # Written back by the page itself, which leaves out what is a first value anyway.
            said = link(page, lambda url: "#" in url).partition("#")[2].split("&")
            assert words - {"b.weight=1"} <= set(said) | {"b.seed=0"} and len(said) >= 1
            assert page.locator(".pg-bar").bounding_box()["y"] < 200
        quiet(visit)


def test_arrows_can_be_shown(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        press(page, "play")
        settle(page)
        drawn(page)
        canvas, key = page.locator(".pg-game canvas"), page.locator(".pg-key-arrow")
        before = canvas.evaluate("c => c.toDataURL()")
        assert key.is_hidden()
        press(page, "arrows")
        drawn(page)
        assert key.is_visible() and canvas.evaluate("c => c.toDataURL()") != before
        press(page, "arrows")
        drawn(page)
        assert key.is_hidden() and canvas.evaluate("c => c.toDataURL()") == before


# When the page came to which step, for six steps in a row.
NEXT_STEPS = """() => new Promise(done => {
    const root = document.querySelector('[data-living-page]'), seen = [];
    new MutationObserver((_, self) => {
        seen.push([performance.now(), Number(root.dataset.step)]);
        if (seen.length === 6) { self.disconnect(); done(seen); }
    }).observe(root, { attributes: true, attributeFilter: ['data-step'] });
})"""


@pytest.mark.parametrize("pace", [10, 2])
def test_it_goes_slowly_step_by_step(site, served, browser, pace):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 20)
        page.get_by_label("Speed").select_option(f"{pace} steps per second")
        # The first of them may have been on its way.
        _, *seen = page.evaluate(NEXT_STEPS)
        times, steps = zip(*seen, strict=True)
        assert [step - steps[0] for step in steps] == [0, 1, 2, 3, 4]
        # A busy machine only takes longer.
        assert times[-1] - times[0] >= 0.95 * 4 * 1000 / pace
        page.get_by_label("Speed").select_option("full speed")
        wait_for_step(page, steps[-1] + 100)
        quiet(visit)


def test_everything_is_in_sight_on_a_desktop(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        for part in (*page.locator(".pg canvas").all(), page.locator('[data-name="seed"]')):
            box = part.bounding_box()
            assert box["y"] + box["height"] <= 900, part


def test_every_control_has_its_help(site, served, browser):  # noqa: F811
    """On a desktop below the panel, for what is pointed at or has the focus; on a phone under each control."""
    with Visit(browser, served) as visit:
        page = visit.open(PAGE + "#constraint=r1_r2&every=4&scaling=zclip&z=3")
        wait_for_step(page, 5)
        page.mouse.move(5, 5)
        assert page.locator(".pg-help:visible").count() == 0
        panel = page.locator(".pg-panel").bounding_box()
        said = set()
        for control in page.locator(".pg-row:visible [data-name]").all():
            control.focus()
            (shown,) = page.locator(".pg-help:visible").all()
            box = shown.bounding_box()
            assert box["y"] + box["height"] <= min(panel["y"] + panel["height"] + 1, 900)
            assert control.get_attribute("aria-describedby") == shown.get_attribute("id")
            said.add(shown.inner_text())
        assert len(said) == page.locator(".pg-row:visible").count() == 14 and min(map(len, said)) > 20
        page.locator('[data-name="seed"]').hover()
        assert page.locator(".pg-help:visible").last.inner_text().startswith("Of the first weights")
        quiet(visit)
    with Visit(browser, served, "phone") as visit:
        page = visit.open(PAGE)
        page.locator(".pg-panel > summary").click()
        assert page.locator(".pg-help:visible").count() == page.locator(".pg-row:visible").count() == 14


def test_a_control_is_shown_where_it_says_something(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        shown = "all => all.filter(e => e.offsetParent).map(e => e.dataset.name)"
        depend = {
            ("constraint", "none"): set(),
            ("constraint", "clip"): {"clip"},
            ("constraint", "r1_r2"): {"weight", "every"},
            ("scaling", "autoclip"): {"percentile"},
            ("scaling", "zclip"): {"z"},
            ("scaling", "clip_norm"): {"threshold"},
        }
        for (name, value), wanted in depend.items():
            page.locator(f'[data-name="{name}"]').select_option(value)
            there = set(page.locator(".pg-row [data-name]").evaluate_all(shown))
            of_this = {"weight", "every", "clip"} if name == "constraint" else {"percentile", "z", "threshold"}
            assert there & of_this == wanted
            link(page, lambda url, name=name, value=value: (f"{name}={value}" in url) == (value != "clip_norm"))
        # The dashed line of norms after scaling is named where there is one.
        assert page.locator(".pg-key-after").is_hidden()
        page.locator('[data-name="scaling"]').select_option("autoclip")
        page.wait_for_selector(".pg-key-after", state="visible")
        quiet(visit)


def test_samples_can_be_drawn(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        page = visit.open(PAGE + "#data=drawn")
        wait_for_step(page, 5)
        # The example is not written into the link, and the first point takes its place.
        link(page, lambda url: url.endswith("#data=drawn"))
        pad = page.locator(".pg-pad")
        pad.focus()
        for key in ("ArrowLeft", "ArrowLeft", "Space", "ArrowUp", "Space"):
            page.keyboard.press(key)
        link(page, lambda url: len(url.partition("points=")[2]) == 8)
        page.get_by_role("button", name="Clear the drawing").click()
        link(page, lambda url: "points" not in url)
        box = pad.bounding_box()
        page.mouse.move(box["x"] + 50, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 150, box["y"] + 50, steps=10)
        page.mouse.up()
        link(page, lambda url: len(url.partition("points=")[2]) > 30)
        wait_for_step(page, step(page) + 20)
        quiet(visit)


def test_it_sleeps_out_of_sight(site, served, browser):  # noqa: F811
    with Visit(browser, served, "phone") as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 10)
        # Again and again: what is laid out late may bring it back into sight.
        down = "scrollTo({ top: document.scrollingElement.scrollHeight, behavior: 'instant' })"
        until(page, f"({down}, document.querySelector('.pg').getBoundingClientRect().bottom < 0)")
        asleep = settle(page)
        page.locator(".pg-bar").scroll_into_view_if_needed()
        wait_for_step(page, asleep + 10)


def test_it_lives_under_a_strict_policy(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:

        def with_policy(route):
            answer = route.fetch()
            route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

        visit.page.route("**/book/live.html", with_policy)
        page = visit.open(PAGE)
        wait_for_step(page, 30)
        assert page.locator(".pg-speed").get_attribute("title") == "WebAssembly, float32"
        quiet(visit)


@pytest.mark.parametrize("lost", ["Worker", "Worker and WebAssembly"])
def test_it_lives_without(site, served, browser, lost):  # noqa: F811
    with Visit(browser, served) as visit:
        for name in lost.split(" and "):
            visit.page.add_init_script(f"delete globalThis.{name}")
        page = visit.open(PAGE)
        wait_for_step(page, 5)
        kernel = page.locator(".pg-speed").get_attribute("title")
        assert kernel == ("JavaScript, float32" if "Assembly" in lost else "WebAssembly, float32")
        press(page, "play")
        settle(page)
        quiet(visit)


def test_a_worker_that_does_not_start_is_replaced(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        elsewhere = "class extends Worker { constructor() { super('/none.js'); } }"
        visit.page.add_init_script(f"globalThis.Worker = {elsewhere}")
        page = visit.open(PAGE)
        wait_for_step(page, 10)


def test_it_lives_from_a_file(site, browser):  # noqa: F811
    with Visit(browser, site.as_uri() + "/") as visit:
        page = visit.open(PAGE)
        wait_for_step(page, 10)
        assert visit.outside == []


def test_it_waits_where_motion_is_unwanted(site, served, browser):  # noqa: F811
    with Visit(browser, served) as visit:
        visit.page.emulate_media(reduced_motion="reduce")
        page = visit.open(PAGE)
        wait_for_step(page, 0)
        assert settle(page) == 0
        press(page, "play")
        wait_for_step(page, 5)


def test_a_still_image_stands_in_for_it(site, served, browser):  # noqa: F811
    with Visit(browser, served, javascript=False) as visit:
        page = visit.open(PAGE)
        still = page.locator("[data-living-page] + .gp-still svg")
        assert still.is_visible() and len(still.get_attribute("aria-label")) > 60
        assert "JavaScript" in page.locator(".gp-still figcaption").inner_text()


def test_it_lives_inside_a_notebook_s_output(site, served, browser):  # noqa: F811
    """What gpcore.widgets.playground displays, in a page that has nothing else."""
    from unittest import mock

    import gpcore as gp

    with mock.patch("IPython.display.display") as display:
        gp.widgets.playground(loss="minimax", n_critic=2)
    markup = display.call_args[0][0].bundle["text/html"]
    with Visit(browser, served) as visit:
        whole = f"<!doctype html><title>x</title><link rel=icon href='data:,'>{markup}"
        visit.page.route("**/alone.html", lambda route: route.fulfill(body=whole, content_type="text/html"))
        page = visit.open("alone.html")
        wait_for_step(page, 20)
        assert page.locator('[data-name="loss"]').input_value() == "minimax"
        assert page.locator('[data-name="criticSteps"]').get_attribute("aria-valuetext") == "2"
        assert page.locator('[data-do="share"]').is_hidden()
        quiet(visit)
