"""What the search knows of a page: its sections, terms and functions, each with its own text and nothing twice."""

import json

import gpsearch
import pytest

PAGE = """<html><head></head><body><nav>not this</nav><article class="bd-article"><section id="top">
<h1>A page<a class="headerlink">#</a></h1><p>Before it.</p><svg><text>picture</text></svg>
<section id="part"><h2>A part</h2><p>Its words <b>here</b>.</p><section id="deep"><h3>Deep</h3><p>Deeper.</p></section>
</section><section id="words"><h2>Words</h2><dl class="simple glossary">
<dt id="term-x">x<a class="headerlink">#</a></dt>
<dd><p>A letter.</p></dd></dl><dl class="py function"><dt class="sig" id="gpcore.clip_">gpcore.clip_(p)</dt>
<dd><p>Clips.</p></dd></dl></section></section></article></body></html>"""


def test_each_section_has_its_own_text_and_nothing_twice():
    found = {address: entry for address, *entry in gpsearch.sections(PAGE, "book/page.html")}
    assert found == {
        "book/page.html#top": ["A page", "A page", "Before it."],
        "book/page.html#part": ["A part", "A page", "Its words here ."],
        "book/page.html#deep": ["Deep", "A page", "Deeper."],
        "book/page.html#words": ["Words", "A page", ""],
        "book/page.html#term-x": ["x", "A page", "A letter."],
        "book/page.html#gpcore.clip_": ["clip_", "A page", "Clips."],
    }
    assert gpsearch.sections("<html><body><p>no article</p></body></html>", "search.html") == []


@pytest.mark.parametrize(
    ("latex", "told"),
    [
        (r"(5 - 1)^2 = 16", "(5−1)^2=16"),
        (r"\lVert \nabla f \rVert^2", "‖∇f‖^2"),
        (r"\tfrac{a}{b} + \frac12 10^{-3}", "a/b+1/210^−3"),
        (r"\begin{split} \begin{aligned} x &< 1 \\ y \end{aligned}\end{split}", "x&lt;1y"),
        (r"t = 1, \dots, n", "t=1,…,n"),
        (r"\nosuchcommand{x}", "…"),
    ],
)
def test_a_formula_is_told_in_plain_text(latex, told):
    assert gpsearch.spoken(latex) == told


def test_the_text_of_a_page_holds_no_latex():
    inline = '<span class="math notranslate nohighlight">\\(\\lambda\\)</span>'
    display = '<div class="math notranslate nohighlight" id="e">\n<span class="eqno">(1)</span>\\[\\lambda = 1\\]</div>'
    page = PAGE.replace("Its words", f"Its {inline} and {display} words")
    (entry,) = (entry for entry in gpsearch.sections(page, "a.html") if entry[1] == "A part")
    assert entry[3] == "Its λ and (1)λ=1 words here ."


def test_they_are_written_where_the_search_looks(tmp_path):
    (tmp_path / "_static").mkdir()
    gpsearch.write(tmp_path, {"book/page.html": PAGE, "search.html": "<html></html>"})
    text = (tmp_path / "_static" / "sections.js").read_text(encoding="utf-8")
    assert text.startswith("gpSections = ") and len(json.loads(text.removeprefix("gpSections = ").rstrip(";\n"))) == 6


def test_only_the_page_of_results_loads_them():
    theirs = (
        '<head><script src="../_static/searchtools.js"></script>\n<script src="../searchindex.js?v=1"></script></head>'
    )
    assert gpsearch.exchange(theirs, "book/page.html") == "<head></head>"
    page = gpsearch.exchange(theirs, "search.html")
    assert page.count("<script") == 2 and page.index("sections.js") < page.index("search.js")
