import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import matplotlib
import pytest

from gpcore import figures, widgets

ALT = "A line whose slope is the knob's value"
SVG = "{http://www.w3.org/2000/svg}"


def draw(slope):
    fig, ax = figures.figure()
    ax.plot([0, 1], [0, slope], color=figures.REAL)
    return fig


@pytest.fixture
def explore(monkeypatch):
    """Call ``widgets.explore`` and return the one bundle that it displays."""

    def call(function=draw, name="slope <a>", values=(1, 2, 5), *, start=2, alt=ALT, **options):
        shown = []
        monkeypatch.setattr("IPython.display.display", shown.append)
        widgets.explore(function, name, values, start=start, alt=alt, **options)
        assert len(shown) == 1
        return shown[0]._repr_mimebundle_()

    with matplotlib.rc_context():
        yield call


def parse(bundle):
    """The player as a tree, with the knob that its script makes; what HTML leaves open is closed for the XML parser."""
    markup = bundle["text/html"]
    knob = json.loads(re.search(r"place\.innerHTML = (.*);", markup)[1])
    markup = re.sub(r"<script>.*</script>", "", markup, flags=re.DOTALL)
    markup = markup.replace('<p data-knob hidden="">', f'<p data-knob="" hidden="">{knob}')
    markup = re.sub(r" (hidden|data-still)(?=[ >])", r' \1=""', markup)
    return ET.fromstring(re.sub(r"(<input[^>]*)>", r"\1/>", markup))


def test_bundle_has_a_player_and_plain_text_and_no_widget_that_dies_with_its_kernel(explore):
    bundle = explore()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == f"Interactive figure: {ALT}. slope <a>: 2."


def test_what_sanitisers_leave_of_a_player_is_the_first_figure_and_a_sentence(explore):
    markup = re.sub(r"<(svg|script)\b.*?</\1>", "", explore()["text/html"], flags=re.DOTALL)
    root = ET.fromstring(re.sub(r" (hidden|data-knob|data-still)(?=[ >])", r' \1=""', markup))
    (image,) = root.iter("img")
    assert image.get("alt") == f"{ALT}. slope <a>: 2." and image.get("src").startswith("data:image/png;base64,")
    assert not list(root.iter("input")) and "".join(root.itertext()).strip().startswith("Shown: slope <a> = 2.")


def test_player_holds_every_frame_and_shows_the_start(explore):
    root = parse(explore(caption="Steeper & steeper."))
    frames = [node for node in root.iter("div") if "data-frame" in node.attrib]
    assert [node.get("data-frame") for node in frames] == ["1", "2", "5"]
    assert ["hidden" in node.attrib for node in frames] == [True, False, True]
    assert [node[0].get("aria-label") for node in frames] == [f"{ALT}. slope <a>: {v}." for v in (1, 2, 5)]
    assert all(node[0].tag == f"{SVG}svg" and node[0].get("role") == "img" for node in frames)
    assert root.find("figcaption").text == "Steeper & steeper."


def test_knob_is_a_labelled_native_slider(explore):
    root = parse(explore())
    knob, label, output = root.find(".//input"), root.find(".//label"), root.find(".//output")
    assert knob.get("type") == "range" and "tabindex" not in knob.attrib
    assert (knob.get("min"), knob.get("max"), knob.get("value")) == ("0", "2", "1")
    assert knob.get("aria-valuetext") == output.text == "2"
    assert label.get("for") == output.get("for") == knob.get("id") and label.text == "slope <a>"


def test_without_scripts_a_sentence_stands_for_the_knob(explore):
    root = parse(explore())
    still, knob = root.find(".//p[@data-still]"), root.find(".//p[@data-knob]")
    assert "hidden" in knob.attrib and "hidden" not in still.attrib
    assert still.text.startswith("Shown: slope <a> = 2.") and "1, 5" in still.text


def test_two_players_on_a_page_share_no_id(explore):
    pages = [explore()["text/html"], explore(values=(1, 2, 7))["text/html"], explore(name="rise")["text/html"]]
    ids = [name for page in pages for name in re.findall(r' id="([^"]+)"', page)]
    assert len(ids) == len(set(ids))
    assert all(f'getElementById("{root}")' in page for page in pages for root in re.findall(r'<div id="(\w+)"', page))


def test_player_needs_nothing_from_elsewhere_and_is_reproducible(explore):
    page = explore()["text/html"]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|src=(?!\"data:)|@import", page)
    assert page == explore()["text/html"]


def test_alt_may_depend_on_the_value_and_labels_name_it(explore):
    bundle = explore(alt=lambda v: f"The line climbs from 0 to {v} here", label=lambda v: f"{v} up")
    assert "Interactive figure: The line climbs from 0 to 2 here. slope <a>: 2 up." == bundle["text/plain"]
    assert "The line climbs from 0 to 5 here" in bundle["text/html"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(values=(2,)), "at least two positions"),
        (dict(start=3), "start must be one of the values"),
        (dict(label=lambda v: "x"), "its own name"),
        (dict(alt="short"), "alt must say"),
        (dict(alt=lambda v: ""), "alt must say"),
    ],
)
def test_bad_arguments_are_refused(explore, options, message):
    with pytest.raises(ValueError, match=message):
        explore(**options)


def test_heavy_frames_are_refused(explore, monkeypatch):
    monkeypatch.setattr(widgets, "MAX_BYTES", 20_000)
    with pytest.raises(ValueError, match="frames must stay under 20 kB together"):
        explore()


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
def test_player_turns_in_a_browser(explore, tmp_path):
    turn = "<script>var k = document.querySelector('input'); k.value = 2; k.dispatchEvent(new Event('input'))</script>"
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><meta charset=utf-8>" + explore()["text/html"] + turn)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]  # fmt: skip
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.findall(r'<div data-frame="(\d)"( hidden(?:="")?)?>', seen)[2] == ("5", "")
    assert [bool(hidden) for _, hidden in re.findall(r'<div data-frame="(\d)"( hidden(?:="")?)?>', seen)] == [1, 1, 0]
    assert 'aria-valuetext="5"' in seen and re.search(r"<output[^>]*>5</output>", seen)
    assert re.search(r"<p data-still=\"\" hidden", seen) and not re.search(r"<p data-knob=\"\" hidden", seen)
