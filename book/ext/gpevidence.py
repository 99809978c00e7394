"""Measured numbers and verdicts inside the text of pages: they come from the evidence, and change with it.

``{measured}`06|W1, two-sided, 1``` becomes the median of that measurement of chapter 6, as the chapter recorded it;
``{measured}`06|W1, two-sided, 1|long``` its median in the newest longer run, and ``|both`` the two of them, the longer
run's in brackets where there is one and it reads otherwise.
``{verdict}`gp-stability``` becomes the verdict's word, in both runs, with a link to its box. The directive ``claims``
is the part of the ledger whose claims begin with its argument. A name that no chapter has measured stops the build.
"""

from __future__ import annotations

import html

from docutils import nodes
from docutils.parsers.rst import Directive
from gpbook import EVIDENCE, RUNS, both_words, link, raw

from gpcore.page import evidence, runs
from gpcore.page.tables import html_table, short


def median(chapter: str, name: str, preset: str = "fast") -> str:
    """Return the median of a measurement in the page's run or in the newest longer one, with its unit."""
    found = runs.latest(chapter, "long", RUNS) if preset == "long" else evidence.load_evidence(EVIDENCE).get(chapter)
    names = {m["name"]: m for m in (found or {"measurements": []})["measurements"]}
    if name not in names:
        raise ValueError(f"chapter {chapter} has no measurement {name!r}; it has: {', '.join(names) or 'none'}")
    entry = names[name]
    value = evidence.Measurement(name, entry["values"], entry["band"], entry["unit"])
    return f"{short(value.median)} {value.unit}".strip()


def measured(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role: ``chapter|name of the measurement``, and after another ``|`` the run, ``long`` or ``both``."""
    chapter, what, *run = (part.strip() for part in text.split("|"))
    if run not in ([], ["long"], ["both"]):
        raise ValueError(f"the run must be 'long' or 'both', got {text!r}")
    said = median(chapter, what, "long" if run == ["long"] else "fast")
    recorded = runs.latest(chapter, "long", RUNS) is not None
    if run == ["both"] and recorded and (longer := median(chapter, what, "long")) != said:
        said += f" ({longer})"
    return [nodes.inline("", said, classes=["gp-number"])], []


def verdicts() -> dict[str, dict]:
    """Return claim's id -> verdict of the pages' runs."""
    return {c["id"]: c for record in evidence.load_evidence(EVIDENCE).values() for c in record["claims"]}


def verdict(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role: a claim's id."""
    if text not in (found := verdicts()):
        raise ValueError(f"no chapter has a verdict on {text!r}; there are: {', '.join(found) or 'none'}")
    chapter = evidence.load_claims()[text]["chapter"]
    return [raw(link(chapter, both_words(text, chapter, found[text]["word"]), f"#verdict-{text}"))], []


def claims(prefix: str) -> str:
    """Return the claims whose id begins with ``prefix`` as a table, and how many of them wait for their chapter."""
    rows, found = [], verdicts()
    wanted = [c for c in evidence.load_claims().values() if c["id"].startswith(prefix)]
    for claim in (c for c in wanted if c["id"] in found):
        text = link(claim["chapter"], html.escape(claim["claim"]), f"#verdict-{claim['id']}")
        word = both_words(claim["id"], claim["chapter"], found[claim["id"]]["word"])
        rows.append([text, f"<span>{word}</span>", html.escape(found[claim["id"]]["because"])])
    waiting = len(wanted) - len(rows)
    rest = f" {waiting} more are listed there that this book has not measured yet." if waiting else ""
    table = html_table(["claim", "verdict", "because"], rows, f"Claims whose name begins with {prefix}")
    return (
        f'<div class="gp-claims">{table}</div><p>These are claims of popular texts, in our words; '
        f'<a href="ledger.html">the ledger</a> names the sources.{rest}</p>'
    )


class Claims(Directive):
    required_arguments = 1

    def run(self):
        return [raw(claims(self.arguments[0]))]


def setup(app) -> dict:
    app.add_role("measured", measured)
    app.add_role("verdict", verdict)
    app.add_directive("claims", Claims)
    return {"parallel_read_safe": True}
