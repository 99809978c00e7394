import base64
import io
import re
import xml.etree.ElementTree as ET

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from gpcore import figures

ALT = 'A line that climbs from 1 to 3, "steeply" & <fast>'
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def keep_style():
    with matplotlib.rc_context():
        yield


def drawing(shift=0.0, color=figures.REAL):
    fig, ax = figures.figure()
    ax.plot([1, 2], [1 + shift, 3], "o-", color=color, label="real")
    ax.set(xlabel="step", ylabel="value", xlim=(1, 2), ylim=(0, 4))
    ax.legend()
    return fig


def luminance(color):
    """Relative luminance, WCAG 2.2."""
    rgb = np.array(matplotlib.colors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("color", figures.VARIABLES)
def test_every_colour_stands_out_on_a_white_and_on_a_dark_page(color):
    light, dark = 1.05, luminance("#14181e") + 0.05
    assert light / (luminance(color) + 0.05) >= 2.95  # of graphics WCAG asks 3; Okabe and Ito's purple has 2.99
    assert (luminance(color) + 0.05) / dark >= 3


def test_every_colour_has_its_own_line_and_marker_within_its_family():
    for family in (figures.SWEEP, (figures.REAL, figures.GENERATED, figures.CRITIC, figures.GRADIENT, figures.NEUTRAL)):
        assert len({figures.LINES[c] for c in family}) == len({figures.MARKERS[c] for c in family}) == len(family)


def test_sweep_colours_differ_for_deuteranopes():
    # Brettel-like simulation with the matrix of Machado, Oliveira and Fernandes 2009 for severity 1, on linear RGB.
    matrix = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
    rgb = np.array([matplotlib.colors.to_rgb(color) for color in figures.SWEEP])
    seen = np.clip((rgb**2.2) @ matrix.T, 0, 1) ** (1 / 2.2)
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + np.eye(len(seen))
    assert distances.min() > 0.1
    blueness = seen[:, 2] - seen[:, 0]
    assert (np.diff(blueness) < 0).all()  # still an order, from blue to yellow


def test_svg_is_an_image_with_a_name_that_scales():
    root = ET.fromstring(figures.to_svg(drawing(), ALT))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img" and root.get("aria-label") == ALT
    assert "width" not in root.attrib and "width:100%" in root.get("style")
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (left, top) == (0, 0) and width == pytest.approx(72 * figures.WIDTHS[1]) and height > 100


def test_svg_takes_its_colours_from_the_page():
    svg = figures.to_svg(drawing(), ALT)
    assert "currentColor" in svg and figures.INK not in svg
    assert f"var(--gp-real, {figures.REAL})" in svg
    assert set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"var\([^)]*\)", "", svg))) == set()
    for color, variable in figures.VARIABLES.items():
        assert f"var({variable}, {color})" in figures.to_svg(drawing(color=color), ALT)


def test_svg_has_nothing_that_reaches_beyond_itself():
    svg = figures.to_svg(drawing(), ALT)
    assert not re.search(r"<\?xml|<!|<style|<metadata|<text|http(?!://www\.w3\.org/2000/svg)|\d{4}-\d\d-\d\d", svg)
    assert not re.search(r"/(home|usr|tmp|root)/", svg)


def test_ids_are_unique_used_and_different_between_figures():
    svgs = [figures.to_svg(drawing(), ALT), figures.to_svg(drawing(0.5), ALT), figures.to_svg(drawing(), ALT + "!")]
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in svgs]
    assert len(set(sum(ids, []))) == len(sum(ids, []))
    for svg, own in zip(svgs, ids, strict=True):
        used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
        assert used == set(own) and any("url(#" + name in svg for name in own)


def test_equal_figures_give_equal_bytes():
    assert figures.to_svg(drawing(), ALT) == figures.to_svg(drawing(), ALT)


def test_coordinates_survive_the_rounding():
    fig = drawing()
    fig.set_layout_engine("none")
    fig.axes[0].set_position([0.2037, 0.3041, 0.6, 0.5])
    width, height = 72 * fig.get_figwidth(), 72 * fig.get_figheight()
    # The line runs from (1, 1) to (2, 3) on axes that span 1 to 2 and 0 to 4; an SVG counts from the top.
    expected = [0.2037 * width, (0.6959 - 0.5 / 4) * height, 0.8037 * width, (0.6959 - 0.5 * 3 / 4) * height]
    svg = figures.to_svg(fig, ALT)
    paths = [np.array(re.findall(r"-?[\d.]+", d), float) for d in re.findall(r' d="(M[^"]*)"', svg)]
    assert any(len(path) == 4 and np.allclose(path, expected, atol=0.06) for path in paths)


@pytest.mark.parametrize("alt", ["", "   ", "loss", None])
def test_an_alt_text_that_says_nothing_is_refused(alt):
    with pytest.raises(ValueError, match="alt must say"):
        figures.to_svg(drawing(), alt)


def test_a_heavy_figure_is_refused_and_rasterising_mends_it():
    def cloud(rasterized):
        fig, ax = figures.figure()
        ax.plot(*np.random.default_rng(0).normal(size=(2, 20_000)), ".", rasterized=rasterized)
        return fig

    with pytest.raises(ValueError, match="set_rasterized"):
        figures.to_svg(cloud(False), ALT)
    svg = figures.to_svg(cloud(True), ALT)
    assert len(svg) < 120_000 and "data:image/png;base64" in svg


def test_two_copies_in_two_scopes_share_no_id():
    first, second = (re.findall(r' id="([^"]+)"', figures.to_svg(drawing(), ALT, scope)) for scope in "ab")
    assert first and not set(first) & set(second)


def test_an_ordinary_figure_is_light():
    assert len(figures.to_svg(drawing(), ALT)) < 20_000


def test_figure_refuses_many_columns_and_passes_options_on():
    with pytest.raises(ValueError, match="columns must be one of"):
        figures.figure(5)
    fig, axes = figures.figure(2, 2, sharey=True)
    assert axes.shape == (2, 2) and axes[0, 0].get_shared_y_axes().joined(axes[0, 0], axes[0, 1])
    assert fig.get_figwidth() <= 7


def still(fig, alt=ALT):
    """The hidden image's attributes, and its pixels ``(height, width, 3)``."""
    image = ET.fromstring(figures.to_still(fig, alt))
    kind, data = image.get("src").split(",")
    assert image.tag == "img" and kind == "data:image/png;base64"
    return image.attrib, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int), data


def test_a_still_is_a_light_hidden_image_of_the_same_picture_on_white():
    about, pixels, data = still(drawing())
    assert about["hidden"] == "" and about["alt"] == ALT
    assert len(data) < 12_000 and (pixels[0] == 255).all() and (pixels[:, 0] == 255).all()
    # It takes the place that the SVG has: as wide, and of the same shape.
    root = ET.fromstring(figures.to_svg(drawing(), ALT))
    assert f"max-width:{about['width']}px" in root.get("style")
    left, top, width, height = map(float, root.get("viewBox").split())
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(width / height, rel=0.01)
    # The line has its colour and climbs: further right its pixels are further up.
    rows, columns = np.nonzero(np.abs(pixels - [0x00, 0x72, 0xB2]).sum(-1) < 40)
    assert len(rows) > 100 and np.corrcoef(rows, columns)[0, 1] < -0.9


def test_a_still_keeps_the_six_colours_of_a_sweep_apart():
    fig, ax = figures.figure()
    for i, color in enumerate(figures.SWEEP):
        ax.axhspan(i, i + 1, color=color)
    _, pixels, _ = still(fig)
    for color in figures.SWEEP:
        rgb = (np.array(matplotlib.colors.to_rgb(color)) * 255).round()
        assert (np.abs(pixels - rgb).max(-1) <= 8).sum() > 1000, color


def test_marks_that_share_a_style_share_a_group_and_stand_where_they_stood():
    fig, ax = figures.figure()
    points = np.random.default_rng(0).uniform(size=(40, 2))
    ax.scatter(*points.T, color=figures.REAL)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    root = ET.fromstring(figures.to_svg(fig, ALT))
    groups = [g for g in root.iter(f"{SVG}g") if sum(child.tag == f"{SVG}use" for child in g) == 40]
    assert len(groups) == 1 and "--gp-real" in groups[0].get("style")
    seen = np.array([[float(use.get("x")), float(use.get("y"))] for use in groups[0]])
    assert not any("style" in use.attrib for use in groups[0])
    expected = points * [1, -1]  # an SVG counts from the top
    for axis in (0, 1):
        assert np.corrcoef(seen[:, axis], expected[:, axis])[0, 1] > 0.9999
    assert len({use.get("href") for use in groups[0]}) == 1


def test_importing_leaves_the_style_alone_and_figures_are_unknown_to_pyplot():
    before = plt.get_fignums()
    figures.figure()
    assert plt.get_fignums() == before


def test_show_displays_one_bundle_and_closes_the_figure(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    fig = plt.figure()
    fig.add_subplot().plot([1, 2])
    figures.show(fig, ALT, "Loss < 1 & falling.")
    bundle = shown[0]._repr_mimebundle_()
    assert len(shown) == 1 and set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == repr(shown[0]) == f"Figure: {ALT}"
    root = ET.fromstring(bundle["text/html"])
    assert root.tag == "figure" and root.get("class") == "gp-figure"
    assert [child.tag for child in root] == [f"{SVG}svg", "img", "figcaption"]
    assert root.find("figcaption").text == "Loss < 1 & falling."
    assert not plt.fignum_exists(fig.number)


def test_a_figure_without_caption_has_no_empty_one(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figures.show(drawing(), ALT)
    assert "figcaption" not in shown[0].bundle["text/html"]
