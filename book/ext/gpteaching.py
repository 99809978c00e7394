"""The table of the page for teachers: how long each chapter takes, counted from its notebook, and what it asks for."""

from __future__ import annotations

import html
import json

from docutils.parsers.rst import Directive
from gpbook import ROOT, chapters, link, raw

from gpcore.page.tables import html_table

# Per minute: words of prose with formulas in them, and lines of code that are read beside their equation.
WORDS, LINES = 150, 10
HIDDEN = {"hide-input", "hide-cell", "remove-cell", "remove-input"}


def size(number: str) -> tuple[str, int, int]:
    """Return a chapter's title, its minutes of reading in steps of five, and how many exercises it has."""
    cells = json.loads((ROOT / f"{chapters()[number]}.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    shown = [c for c in cells if c["cell_type"] == "code" and not HIDDEN & set(c["metadata"].get("tags", []))]
    lines = sum(bool(line.strip()) for c in shown for line in "".join(c["source"]).splitlines())
    title = next(line for line in prose.splitlines() if line.startswith("# ")).removeprefix("# ")
    minutes = len(prose.split()) / WORDS + lines / LINES
    return title, 5 * round(minutes / 5), prose.count('<div class="gp-exercise">')


def table(asked: dict[str, str]) -> str:
    """Return the table; ``asked`` says of each chapter what its readers must know. A chapter without it is refused."""
    if missing := [number for number in chapters() if number not in asked]:
        raise ValueError(f"book/teaching.md must say what chapter {', '.join(missing)} asks of its readers")
    rows = []
    for number in chapters():
        title, minutes, exercises = size(number)
        name = link(number, f"{int(number)}. {html.escape(title)}")
        rows.append([name, f"{minutes}", link(number, f"{exercises}", "#exercises"), html.escape(asked[number])])
    return html_table(["chapter", "minutes", "exercises", "what it asks for"], rows, "The chapters for teachers")


class Chapters(Directive):
    """Its content has a line for each chapter: ``06: what it asks of its readers``."""

    has_content = True

    def run(self):
        return [raw(table(dict(line.split(": ", 1) for line in self.content if line)))]


def setup(app) -> dict:
    app.add_directive("chapterminutes", Chapters)
    return {"parallel_read_safe": True}
