"""What the book adds to Sphinx: the ledger of claims, tables of results, full runs, the living page, mathematics.

A plain Sphinx extension: it reads ``gpcore/page/claims.yml``, ``book/evidence`` and ``book/runs`` and executes nothing.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "book" / "tools")]

import mathjax  # noqa: E402
import nbformat  # noqa: E402
from pybtex.plugin import register_plugin  # noqa: E402
from pybtex.style import template  # noqa: E402
from pybtex.style.formatting.plain import Style as Plain  # noqa: E402

from gpcore import evidence, runs  # noqa: E402

# The widest figure of one panel, in points: gpcore.figures makes it 5 inches wide.
ONE_PANEL = 360
EVIDENCE, RUNS = ROOT / "book" / "evidence", ROOT / "book" / "runs"


def chapters() -> dict[str, str]:
    """Return number -> document name of every chapter."""
    return {path.name[:2]: f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def table(head: list[str], rows: list[list[str]], label: str) -> str:
    """Return an HTML table that scrolls inside itself; cells are HTML. On a phone its rows become cards."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True)) + "</tr>"
        for row in rows
    )
    # A region that scrolls must be reachable by keyboard.
    return (
        f'<div class="gp-table" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def measured(entry: dict) -> list[str]:
    """Return the cells of a measurement: name, median, range, number of seeds, band."""
    m = evidence.Measurement(entry["name"], entry["values"], tuple(entry["band"]), entry["unit"])
    band = f"{evidence.short(m.band[0])} to {evidence.short(m.band[1])}"
    return [
        html.escape(m.name),
        f"{evidence.short(m.median)} {html.escape(m.unit)}".strip(),
        m.spread,
        str(len(m.values)),
        band,
    ]


MEASURED = ["measured", "median", "range", "n", "asserted band"]
# A full run may be made with few steps, so its chapters assert only that a number is sane.
MEASURED_IN_FULL = [*MEASURED[:-1], "sanity range asserted"]


def living_page() -> str:
    """Return the living page for a document of ``book/``, and after it the still image that it stands in for."""
    still = (ROOT / "book" / "figures" / "live.svg").read_text(encoding="utf-8")
    return (
        f'<div data-living-page data-linked></div><figure class="gp-figure gp-still">{still}<figcaption>A still image: '
        "the page after 1,000 steps. Where JavaScript runs, networks are trained here, in your browser."
        '</figcaption></figure><script defer src="../_static/playground.js"></script>'
    )


def link(number: str, text: str) -> str:
    """Return a link to a chapter from a page of ``book/``, or plain text while the chapter does not exist."""
    name = chapters().get(number)
    return f'<a href="../{name}.html">{text}</a>' if name else text


def verdict_word(word: str) -> str:
    """Return a verdict's word in its colour."""
    return f'<span class="gp-word gp-{word.replace(" ", "-")}">{word}</span>'


def tally(words: list[str]) -> str:
    """Return how many verdicts there are of each kind, ``"5 hold, 7 hold if, 1 does not"``."""
    forms = {"holds": ("holds", "hold"), "holds if": ("holds if", "hold if"), "does not hold": ("does not", "do not")}
    return ", ".join(f"{words.count(word)} {forms[word][words.count(word) != 1]}" for word in evidence.WORDS)


def ledger() -> str:
    """Return the table of all claims with their verdicts."""
    found = {c["id"]: c for record in evidence.load_evidence(EVIDENCE).values() for c in record["claims"]}
    rows = []
    for claim in sorted(evidence.load_claims().values(), key=lambda c: c["chapter"]):
        verdict = found.get(claim["id"])
        because = html.escape(verdict["because"]) if verdict else ""
        rows.append(
            [link(claim["chapter"], claim["chapter"]), claim["source"], html.escape(claim["claim"]),
             verdict_word(verdict["word"] if verdict else "not measured yet"), because]
        )  # fmt: skip
    summary = tally([verdict["word"] for verdict in found.values()])
    head = ["chapter", "source", "claim", "verdict", "because"]
    return f"<p>Of {len(rows)} claims, {len(found)} have been measured: {summary}.</p>" + table(
        head, rows, "Ledger of claims"
    )


def results() -> str:
    """Return the table of everything measured by the fast preset."""
    rows = [
        [link(number, number), *measured(m)]
        for number, record in evidence.load_evidence(EVIDENCE).items()
        for m in record["measurements"]
    ]
    return table(["chapter", *MEASURED], rows, "Measurements of the fast preset")


def provenance(record: dict) -> str:
    """Return as HTML what a full run was, where it was made and from which code."""
    effort, seed = record["parameters"].get("effort", 1), record["parameters"].get("seed", 0)
    steps = "all its steps" if effort == 1 else f"{100 * effort:g}% of its steps (<code>effort={effort:g}</code>)"
    commit = (record.get("commit") or "none")[:10] + (" with changes" if record.get("dirty") else "")
    versions = ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items())
    minutes, source = record["wall_seconds"] / 60, record.get("source_hash", "unknown")
    device = html.escape(re.sub(r"\b1 threads\b", "1 thread", record["device"]))  # as older records have it
    return (
        f"The full preset with {steps}, seeds from {seed} on, run on {record['date'][:10]} on {device}, "
        f"in {minutes:.1f} minutes; commit <code>{commit}</code>, gpcore <code>{source}</code>, "
        f"{html.escape(versions)}."
    )


def full_runs() -> str:
    """Return the newest full run of every chapter, or a sentence that there is none."""
    parts = []
    for number in chapters():
        record = runs.latest(number, RUNS)
        text = (
            provenance(record)
            if record
            else f"No full run of this chapter has been recorded; <code>make full CHAPTER={number}</code> makes one."
        )
        parts.append(f"<p>{link(number, f'Chapter {int(number)}')}. {text}</p>")
    return "".join(parts)


def chapter_run(number: str) -> str:
    """Return the newest full run of one chapter as HTML: provenance, numbers, verdicts, figures folded away."""
    record = runs.latest(number, RUNS)
    if record is None:
        return (
            '<div class="gp-run"><p>No full run of this chapter has been recorded yet. '
            f"<code>make full CHAPTER={number}</code> makes one.</p></div>"
        )
    verdicts = "".join(
        f"<li>“{html.escape(c['claim'])}”: {verdict_word(c['word'])}</li>" for c in record.get("claims", [])
    )
    notebook = nbformat.read(RUNS / record["folder"] / "notebook.ipynb", as_version=4)
    figures = [
        re.sub(r"(?<=[\"#(])gp(?=[0-9a-f]{8}-)", "full-gp", output["data"]["text/html"])
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        # A player has the same ids as the one above it on the page, which shows the same.
        if "gp-figure" in (markup := output.get("data", {}).get("text/html", "")) and "gp-player" not in markup
    ]
    return (
        f'<div class="gp-run"><p>{provenance(record)}</p>'
        + (f"<p>Verdicts of this run:</p><ul>{verdicts}</ul>" if verdicts else "")
        + table(MEASURED_IN_FULL, [measured(m) for m in record["measurements"]], "Measurements of the full run")
        + f'<details class="gp-answer"><summary>Figures of the full run</summary>{"".join(figures)}</details></div>'
    )


def strip(number: str) -> str:
    """Return the line under a chapter's title: what its outputs are."""
    record = evidence.load_evidence(EVIDENCE).get(number)
    if record is None:
        return ""
    seeds = max([len(c["seeds"]) for c in record["claims"]] or [len(m["values"]) for m in record["measurements"]])
    lock = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    return (
        f'<p class="gp-strip">Chapter {int(number)}. Outputs: preset fast, on a CPU, {seeds} seeds (0 to {seeds - 1}), '
        f"torch {lock['torch']}; re-run and compared at every change. {len(record['measurements'])} measurements, "
        f"{len(record['claims'])} verdicts.</p>"
    )


class Linked(Plain):
    """The plain style of a bibliography, its addresses short enough for a phone."""

    def format_url(self, entry):
        address = template.field("url", raw=True, apply_func=lambda url: re.sub("^https?://", "", url))
        return template.href[template.field("url", raw=True), address]


def raw(markup: str) -> nodes.raw:
    return nodes.raw("", markup, format="html")


def directive(make) -> type[Directive]:
    """Return a directive without arguments that puts ``make()`` on the page."""
    return type(make.__name__, (Directive,), {"run": lambda self: [raw(make())]})


def complete_chapter(app, doctree) -> None:
    """Put a chapter's number before its title, the strip under it and the full run at the end."""
    number = Path(app.env.docname).name[:2]
    if chapters().get(number) != app.env.docname:
        return
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        raise ValueError(f"{app.env.docname} has no title")
    title.insert(0, nodes.Text(f"{int(number)}. "))
    title.parent.insert(title.parent.index(title) + 1, raw(strip(number)))
    section = nodes.section("", nodes.title("", "Full run"), raw(chapter_run(number)), ids=["full-run"])
    title.parent.append(section)


def depend_on_evidence(app, env, added, changed, removed) -> list[str]:
    """Read these pages anew at every build: what they show does not stand in their own files."""
    return [*chapters().values(), "book/ledger", "book/results"]


def drop_stills(app, pagename, templatename, context, doctree) -> None:
    """Leave out the hidden images, which stand behind the figures for notebook viewers that drop the SVG."""
    context["body"] = re.sub(r'<img hidden=""[^>]*>', "", context.get("body", ""))


def frame_wide_figures(app, pagename, templatename, context, doctree) -> None:
    """Put every figure of two or more panels into a frame that scrolls where the screen is too narrow to read it."""
    frame = '<div class="gp-scroll" tabindex="0" role="group" aria-label="wide figure">{}</div>'
    context["body"] = re.sub(
        r'<svg [^>]*?role="img"[^>]*?viewBox="0 0 (\d+)[^>]*>.*?</svg>',
        lambda svg: frame.format(svg[0]) if int(svg[1]) > ONE_PANEL else svg[0],
        context.get("body", ""),
        flags=re.DOTALL,
    )


def readable_signature(app, what, name, obj, options, signature, returns):
    """Show a field that starts as a new list or dict as such, and not as the dataclass's ``<factory>``."""
    if not dataclasses.is_dataclass(obj) or not signature:
        return None
    for field in dataclasses.fields(obj):
        if field.default_factory is not dataclasses.MISSING:
            signature = signature.replace(f"{field.name}=<factory>", f"{field.name}={field.default_factory()!r}")
    return signature, returns


def finish(app, error) -> None:
    """Copy the mathematics and the living page into the site."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    mathjax.unpack(out / "_static" / "mathjax")
    shutil.copy(ROOT / "gpcore" / "page" / "playground.js", out / "_static")


def setup(app) -> dict:
    register_plugin("pybtex.style.formatting", "linked", Linked)
    for name, make in (("ledger", ledger), ("results", results), ("fullruns", full_runs), ("livingpage", living_page)):
        app.add_directive(name, directive(make))
    # Before the builder's own readers of titles and contents (500), which then know the number and the full run.
    app.connect("doctree-read", complete_chapter, priority=400)
    app.connect("html-page-context", drop_stills)
    app.connect("html-page-context", frame_wide_figures)
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("env-get-outdated", depend_on_evidence)
    app.connect("build-finished", finish)
    if not mathjax.available():
        # The page then needs a network for its formulas, and says so while it is built.
        app.connect("config-inited", lambda app, config: setattr(config, "mathjax_path", mathjax.ELSEWHERE))
    return {"parallel_read_safe": True, "version": json.dumps(1)}
