"""What a strict sanitiser leaves of the chapters' outputs: every figure as an image, every table as a table."""

import re
from pathlib import Path

import bleach
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[3]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# The elements and attributes of html-pipeline (lib/html_pipeline/sanitization_filter.rb), which was written at GitHub,
# as far as our outputs have them: no svg, no script, no style, no class and no `hidden`. Other than there, an image may
# hold its own data: an output has nothing else to show. What GitHub's viewer of notebooks allows is not published.
ELEMENTS = """a b br caption code del details div em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol p pre
samp small span strong sub summary sup table tbody td tfoot th thead tr ul""".split()
ATTRIBUTES = {
    "*": "abbr align alt aria-describedby aria-hidden aria-label aria-labelledby border colspan dir headers height id "
    "label lang name role rows rowspan scope size span start summary tabindex title type valign value width".split(),
    "a": ["href"],
    "img": ["src"],
}


def outputs(path: Path) -> list[str]:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found = [output.get("data", {}).get("text/html") for cell in cells for output in cell.outputs]
    return [html for html in found if html]


def sanitised(html: str) -> str:
    return bleach.clean(html, ELEMENTS, ATTRIBUTES, protocols=["http", "https", "data"], strip=True)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_figure_is_left_as_an_image_that_is_seen_and_described(path):
    figures = [html for html in outputs(path) if "<svg" in html and "<img" in html]
    assert figures, "no output of this chapter has a figure"
    for html in figures:
        left = sanitised(re.sub(r"<(svg|script|style)\b.*?</\1>", "", html, flags=re.DOTALL))
        images = re.findall(r"<img\b[^>]*>", left)
        assert len(images) == 1 and "hidden" not in images[0], images
        assert re.search(r'alt="[^"]{20,}"', images[0]) and 'src="data:image/png;base64,' in images[0]
        assert "<svg" not in left and "<script" not in left


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_table_keeps_its_rows_and_its_caption(path):
    tables = [html for html in outputs(path) if "<table" in html]
    assert any("gp-caption" in html for html in tables)
    for html in tables:
        left = sanitised(html)
        assert left.count("<tr") == html.count("<tr") and left.count("<td") == html.count("<td")
        captions = re.findall(r'<p class="gp-caption">(.*?)</p>', html)
        assert all(f"<p>{bleach.clean(caption)}</p>" in left for caption in captions)
