"""The last step of the build: every page is made fit for every reader, and what no page needs is left out.

Sphinx and its theme have written the site by then. Here their HTML is mended where it keeps readers out, links to the
book's own address become links inside the book, and each page gets the policy under which it runs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import gpicons
import gplight
import gppolicy
import gpsearch
import mathjax
import repository

FIRST = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg" />
<meta http-equiv="refresh" content="0; url={first}" />
</head>
<body><main><h1>{title}</h1><p><a href="{first}">Open the book</a></p></main></body>
</html>
"""
# The theme's markup and what stands for it, with the reason.
MENDS = [
    # A button is called by what stands on it; a second name contradicts the first, and speech control knows one alone.
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # The arrow beside an entry of the sidebar is a picture: who cannot see it is told what it opens.
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Show the pages below">'),
    # The sidebar belongs to no part of the page that a screen reader can jump to: the title and the search are lost.
    (r'(<div id="pst-primary-sidebar" )', r'\1role="complementary" aria-label="The whole book" '),
    # A list of papers is a list; its entries had a role that is no longer one.
    (r'(<div class="citation" id="[^"]*") role="doc-biblioentry"', r'\1 role="listitem"'),
    # Sphinx puts a formula of several lines into "split", where MathJax takes no number; it is aligned by itself.
    (r"(?s)\\begin\{split\}((?:(?!\\end\{split\}).)*?\\tag\{\w+\})\s*\\end\{split\}", r"\1"),
    # Code inside an attribute does not run under the policy; book.js presses instead.
    (r'<button onclick="window\.print\(\)"', '<button data-press="print"'),
    (r'<button onclick="toggleFullScreen\(\)"', '<button data-press="fullscreen"'),
]


def mend(page: str) -> str:
    """Return a page whose theme keeps no reader out."""
    for pattern, replacement in MENDS:
        page = re.sub(pattern, replacement, page)
    return page


def inward(page: str, name: str, address: str) -> str:
    """Return a page whose links to the book's own address lead to its own pages instead.

    The built book then needs no network and no publication. In what a cell has printed the address is mere text; there
    it becomes a link.

    Args:
        page: HTML.
        name: where the page lies in the site, such as ``notebooks/06_gradient_penalty.html``.
        address: the site's, without a protocol, as ``repository.forms`` gives it.
    """
    start = re.escape(f"https://{address}")

    def relative(rest: str) -> str:
        path, mark, anchor = rest.lstrip("/").partition("#")
        path = path + "index.html" if path.endswith("/") or not path else path
        return os.path.relpath(path, os.path.dirname(name) or ".").replace(os.sep, "/") + mark + anchor

    link = re.compile(rf'(<a [^>]*?href="){start}((?:[/#][^"]*)?)"', re.IGNORECASE)
    page = link.sub(lambda m: f'{m[1]}{relative(m[2])}"', page)
    # Not its last full stop, which ends the sentence.
    text = re.compile(rf"(?<![\">]){start}((?:/[\w./-]*\w)?/?(?:#[\w-]+)?)(?![\w-])")

    def linked(block: re.Match) -> str:
        return text.sub(lambda m: f'<a href="{relative(m[1])}">{m[0]}</a>', block[0])

    return re.sub(r'<div class="output[^>]*>.*?</pre>', linked, page, flags=re.DOTALL)


def finish(app, error) -> None:
    """Go over the whole site once it is written."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    address = repository.forms(repository.address())[2]
    icons = gpicons.Icons((out / "_static" / "scripts" / "fontawesome.js").read_text(encoding="utf-8"))
    first = f"{app.config.root_doc}.html"
    (out / "index.html").write_text(FIRST.format(title=app.config.html_title, first=first), encoding="utf-8")
    written = {}
    for path in sorted(out.rglob("*.html")):
        name = path.relative_to(out).as_posix()
        if name.startswith("_static/"):
            continue
        page = gpsearch.exchange(inward(mend(path.read_text(encoding="utf-8")), name, address), name)
        written[name] = page
        page = gppolicy.with_policy(icons.draw(page), "" if mathjax.PACKED.exists() else mathjax.ELSEWHERE)
        path.write_text(page, encoding="utf-8")
    gpsearch.write(out, written)
    gplight.lighten(out)


def setup(app) -> dict:
    # After everything else that writes into the site (500).
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "version": "1"}
