"""Published numbers beside this book's: each pair is one small table, and a word that says whether they compare.

The directive ``beside`` takes the word; its content is a list of four (the published number, its setting, this book's
number, its setting) and a paragraph with the reason. ``besidecount`` says how many pairs have which word.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.parsers.rst import Directive
from gpbook import ROOT

WORDS = ("same setting, same number", "smaller, same direction", "other direction", "not comparable")


def pairs(text: str) -> list[str]:
    """Return the word of every pair on a page, in their order."""
    return re.findall(r"^```\{beside\} (.+)$", text, re.MULTILINE)


def count(text: str) -> str:
    """Return how many pairs a page has, and how many of them have each word."""
    found = pairs(text)
    parts = [f"{found.count(word)} “{word}”" for word in WORDS if word in found]
    return f"{len(found)} comparisons: {', '.join(parts)}."


def row(name: str, cells: list[nodes.Node]) -> nodes.row:
    return nodes.row("", nodes.entry("", nodes.paragraph("", name)), *cells)


def table(items: list[nodes.list_item]) -> nodes.table:
    """Return a table of two rows, published and this book's, from number, setting, number and setting."""
    cells = [nodes.entry("", *item.children) for item in items]
    group = nodes.tgroup("", nodes.colspec(colwidth=1, stub=1), *(nodes.colspec(colwidth=1) for _ in "ab"), cols=3)
    head = [nodes.entry("", nodes.paragraph("", name)) for name in ("number", "setting")]
    group += nodes.thead("", row("whose", head))
    group += nodes.tbody("", row("published", cells[:2]), row("this book", cells[2:]))
    return nodes.table("", group, classes=["gp-beside"])


class Beside(Directive):
    required_arguments, final_argument_whitespace, has_content = 1, True, True

    def run(self):
        word, box = self.arguments[0], nodes.container()
        if word not in WORDS:
            raise ValueError(f"whether numbers compare is said by one of {WORDS}, got {word!r}")
        self.state.nested_parse(self.content, self.content_offset, box)
        if not (len(box) == 2 and isinstance(box[0], nodes.bullet_list) and len(box[0]) == 4):
            raise ValueError(f"{word!r} at line {self.lineno} must have a list of four and then a reason")
        said = nodes.inline("", f"{word[0].upper()}{word[1:]}.", classes=["gp-word", f"gp-{word.replace(' ', '-')}"])
        said["classes"] = [name.replace(",", "") for name in said["classes"]]
        reason = nodes.paragraph("", "", said, nodes.Text(" "), *box[1].children, classes=["gp-compared"])
        return [table(box[0].children), reason]


class Count(Directive):
    def run(self):
        return [nodes.paragraph("", count((ROOT / "book" / "papers.md").read_text(encoding="utf-8")))]


def setup(app) -> dict:
    app.add_directive("beside", Beside)
    app.add_directive("besidecount", Count)
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: ["book/papers"])
    return {"parallel_read_safe": True}
