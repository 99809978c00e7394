"""What the search knows: every section of the site with its text, in one script that the page of the search loads.

Sphinx's own search knows pages, wants every word, and opens a page of twenty screens at its top. This one finds
sections; ``book/assets/search.js`` ranks them.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from bs4 import BeautifulSoup
from docutils.utils.math import MathError, latex2mathml
from docutils.utils.math.mathml_elements import math

# Pictures, and the colours of code: most of a page, and no words.
DROPPED = re.compile(r"(?s)<svg.*?</svg>|<img [^>]*>|<script.*?</script>|<style.*?</style>|</?span[^>]*>")
ARTICLE = re.compile(r'(?s)<article class="bd-article.*?</article>')
# Formulas as they stand in a page before MathJax sets them, and what of LaTeX is there for the setting alone.
FORMULA = re.compile(r'(?s)(class="math notranslate nohighlight"[^>]*>.*?)\\[(\[](.*?)\\[)\]]')
SETTING = re.compile(
    r"\\(?:begin|end|tag|label)\{[^{}]*\}(?:\{[^{}]*\})?|&|\\\\|\\(?:big|Big|bigg|Bigg)[lr]?(?![a-zA-Z])"
)
# Sphinx's search, which the theme puts on every page; and ours, on the page that shows its results.
THEIRS = re.compile(r'\s*<script [^>]*src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"[^>]*></script>')
OURS = '<script defer src="_static/sections.js"></script><script defer src="_static/search.js"></script>'


def spoken(latex: str) -> str:
    """Return a formula as a line of plain text, with / for fractions and ^ for powers; "…" for what docutils cannot."""
    latex = SETTING.sub(" ", latex).replace(r"\dots", r"\ldots")
    latex = re.sub(r"\\[td]?frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)", r"{\1}/{\2}", latex)
    latex = re.sub(r"\^(?=[{\w\-])", r"\\text{^}", latex)
    tree = math()
    try:
        latex2mathml.parse_latex_math(tree, latex)
    except MathError:
        return "…"
    told = html.unescape(re.sub(r"<[^>]*>|\n *", "", tree.toxml()))
    return html.escape(told.replace("\u2061", " ").strip())


def words(tag) -> str:
    return " ".join(tag.get_text(" ").split())


def sections(page: str, name: str) -> list[list[str]]:
    """Return what can be found on a page: address, title, the page's title and text, for each section and term.

    Args:
        page: HTML.
        name: where the page lies in the site.
    """
    article = ARTICLE.search(page)
    if article is None:
        return []
    plain = FORMULA.sub(lambda formula: formula[1] + spoken(html.unescape(formula[2])), article[0])
    article = BeautifulSoup(DROPPED.sub("", plain), "html.parser")
    for link in article.select("a.headerlink"):
        link.decompose()
    title, found = words(article.find("h1")), []
    for term in article.select("dl.glossary > dt[id], dl.py > dt[id]"):
        text = term.find_next_sibling("dd")
        told = term["id"].removeprefix("gpcore.") if "sig" in term.get("class", []) else words(term)
        found.append([f"{name}#{term['id']}", told, title, words(text) if text else ""])
    for old in article.select("dl.glossary, dl.py"):
        old.decompose()
    # From the innermost outwards: what is left of a section is its own text.
    for section in reversed(article.select("section[id]")):
        heading = section.find(re.compile("^h[1-6]$"))
        if heading is not None:
            told = words(heading.extract())
            found.append([f"{name}#{section['id']}", told, title, words(section)])
        section.extract()
    return found


def write(out: Path, pages: dict[str, str]) -> None:
    """Write the sections of the site's pages, name -> HTML, where the search looks for them."""
    found = [entry for name, page in pages.items() for entry in sections(page, name)]
    (out / "_static" / "sections.js").write_text(f"gpSections = {json.dumps(found, ensure_ascii=False)};\n", "utf-8")


def exchange(page: str, name: str) -> str:
    """Return a page without Sphinx's search, and the page of results with this one."""
    page = THEIRS.sub("", page)
    return page.replace("</head>", f"{OURS}</head>", 1) if name == "search.html" else page
