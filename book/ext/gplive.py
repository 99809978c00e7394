"""The living page in the book: its own page, the small ones in the text of chapters, and the script of both."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpbook import ROOT, directive

SCRIPT = '<script defer src="../_static/playground.js"></script>'


def living_page() -> str:
    """Return the living page for a document of ``book/``, and after it the still image that it stands in for."""
    still = (ROOT / "book" / "figures" / "live.svg").read_text(encoding="utf-8")
    return (
        f'<div data-living-page data-linked></div><figure class="gp-figure gp-still">{still}<figcaption>A still image: '
        "the page after 1,000 steps. Where JavaScript runs, networks are trained here, in your browser."
        f"</figcaption></figure>{SCRIPT}"
    )


def with_script(body: str) -> str:
    """Put the living page's script behind a page that holds small ones in its text.

    A small page that a cell displays brings its own. One in the text is markup alone, of which a notebook viewer
    shows a sentence and a link.
    """
    places, own = body.count("<div data-living-page"), body.count("(function livingPage()")
    return body + SCRIPT if places > own and SCRIPT not in body else body


def complete_page(app, pagename, templatename, context, doctree) -> None:
    """Add the script where a page needs it."""
    context["body"] = with_script(context.get("body", ""))


def finish(app, error) -> None:
    """Copy the script into the site."""
    if not error and app.builder.format == "html":
        shutil.copy(ROOT / "gpcore" / "page" / "playground.js", Path(app.outdir) / "_static")


def setup(app) -> dict:
    app.add_directive("livingpage", directive(living_page))
    app.connect("html-page-context", complete_page)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True}
