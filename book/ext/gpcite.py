"""Back-links of the bibliography: under each paper the pages that link to it.

Chapters cite by plain links, because a role of MyST shows raw in Colab. What a paper's address is linked from is read
off the sources.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from gpbook import ROOT

LINK = re.compile(r"\]\((https?://[^)\s]+)\)")


def texts() -> dict[str, str]:
    """Return the text of every page: document name -> Markdown."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[f"notebooks/{path.stem}"] = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for path in sorted((ROOT / "book").rglob("*.md")):
        found[path.relative_to(ROOT).with_suffix("").as_posix()] = path.read_text(encoding="utf-8")
    return found


def address(url: str) -> str:
    """Return an address without what differs between links to one paper: version, protocol, a PDF's ending."""
    url = re.sub(r"^https?://(www\.)?", "", url).rstrip("/")
    url = re.sub(r"^arxiv\.org/pdf/", "arxiv.org/abs/", url)
    return re.sub(r"(v\d+)?(\.pdf)?$", "", url).lower()


def cited_in() -> dict[str, list[str]]:
    """Return paper's address -> documents that link to it."""
    found: dict[str, list[str]] = {}
    for name, text in texts().items():
        for url in dict.fromkeys(map(address, LINK.findall(text))):
            found.setdefault(url, []).append(name)
    return found


def _name(document: str) -> str:
    stem = Path(document).name
    return f"chapter {int(stem[:2])}" if stem[:2].isdigit() else stem.replace("_", " ")


def add_back_links(app, pagename, templatename, context, doctree) -> None:
    """Put under every entry of the bibliography where it is cited."""
    if pagename != "book/bibliography":
        return
    pages = cited_in()

    def entry(found: re.Match) -> str:
        urls = re.findall(r'href="(https?://[^"]+)"', found[0])
        names = list(dict.fromkeys(name for url in urls for name in pages.get(address(url), [])))
        links = ", ".join(f'<a href="../{name}.html">{_name(name)}</a>' for name in names)
        return found[0] + (f'<p class="gp-cited">Cited in {links}.</p>' if links else "")

    body = context.get("body", "")
    context["body"] = re.sub(r'<div class="citation".*?</p>', entry, body, flags=re.DOTALL)


def setup(app) -> dict:
    app.connect("html-page-context", add_back_links)
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: ["book/bibliography"])
    return {"parallel_read_safe": True}
