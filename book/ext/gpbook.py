"""What the book adds to Sphinx: the ledger of claims, tables of results, full runs, mathematics without a network.

A plain Sphinx extension: it reads ``gpcore/claims.yml``, ``book/evidence`` and ``book/runs`` and executes nothing.
"""

from __future__ import annotations

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

from gpcore import evidence, runs  # noqa: E402

EVIDENCE, RUNS = ROOT / "book" / "evidence", ROOT / "book" / "runs"


def chapters() -> dict[str, str]:
    """Return number -> document name of every chapter."""
    return {path.name[:2]: f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def table(head: list[str], rows: list[list[str]], label: str) -> str:
    """Return an HTML table that scrolls inside itself; cells are HTML."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    # A region that scrolls must be reachable by keyboard.
    return (
        f'<div class="gp-table" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def measured(entry: dict) -> list[str]:
    """Return the cells of a measurement: name, median, range, number of seeds, band."""
    m = evidence.Measurement(entry["name"], entry["values"], tuple(entry["band"]), entry["unit"])
    low, high = evidence.short(min(m.values)), evidence.short(max(m.values))
    spread = f"{low} to {high}" if len(m.values) > 1 else "one value"
    band = f"{evidence.short(m.band[0])} to {evidence.short(m.band[1])}"
    return [
        html.escape(m.name),
        f"{evidence.short(m.median)} {html.escape(m.unit)}".strip(),
        spread,
        str(len(m.values)),
        band,
    ]


MEASURED = ["measured", "median", "range", "values", "asserted band"]


def link(number: str, text: str) -> str:
    """Return a link to a chapter from a page of ``book/``, or plain text while the chapter does not exist."""
    name = chapters().get(number)
    return f'<a href="../{name}.html">{text}</a>' if name else text


def ledger() -> str:
    """Return the table of all claims with their verdicts."""
    found = {c["id"]: c for record in evidence.load_evidence(EVIDENCE).values() for c in record["claims"]}
    rows = []
    for claim in sorted(evidence.load_claims().values(), key=lambda c: c["chapter"]):
        verdict = found.get(claim["id"])
        word = verdict["word"] if verdict else "not measured yet"
        kind = word.replace(" ", "-") if verdict else "none"
        because = html.escape(verdict["because"]) if verdict else ""
        rows.append(
            [link(claim["chapter"], claim["chapter"]), claim["source"], html.escape(claim["claim"]),
             f'<span class="gp-word gp-{kind}">{word}</span>', because]
        )  # fmt: skip
    counts = [sum(v["word"] == word for v in found.values()) for word in evidence.WORDS]
    summary = ", ".join(f"{n} {word}" for n, word in zip(counts, evidence.WORDS, strict=True))
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
    """Return one sentence on where a full run was made."""
    parameters = ", ".join(f"{k} = {v}" for k, v in record["parameters"].items())
    commit = (record.get("commit") or "none")[:10] + (" with changes" if record.get("dirty") else "")
    versions = ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items())
    minutes = record["wall_seconds"] / 60
    return html.escape(
        f"Run on {record['device']} on {record['date'][:10]}, in {minutes:.1f} minutes, at commit {commit}, gpcore "
        f"{record.get('source_hash', 'unknown')}, with {versions}; parameters: {parameters}."
    )


def full_runs() -> str:
    """Return the newest full run of every chapter, or a sentence that there is none."""
    parts = []
    for number in chapters():
        record = runs.latest(number, RUNS)
        text = (
            provenance(record)
            if record
            else f"No full run of this chapter has been recorded: make full CHAPTER={number}."
        )
        parts.append(f"<p>Chapter {link(number, number)}. {text}</p>")
    return "".join(parts)


def chapter_run(number: str) -> str:
    """Return the newest full run of one chapter as HTML: provenance, numbers, verdicts, figures folded away."""
    record = runs.latest(number, RUNS)
    if record is None:
        return (
            '<div class="gp-run"><p>No full run of this chapter has been recorded yet. '
            f"<code>make full CHAPTER={number}</code> makes one.</p></div>"
        )
    words = "; ".join(f"{c['id']}: {c['word']}" for c in record.get("claims", record.get("verdicts", [])))
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
        + (f"<p>Verdicts of this run: {html.escape(words)}.</p>" if words else "")
        + table(MEASURED, [measured(m) for m in record["measurements"]], "Measurements of the full run")
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
        f'<p class="gp-strip">Outputs: preset fast, on a CPU, {seeds} seeds (0 to {seeds - 1}), torch {lock["torch"]}; '
        f"re-run and compared at every change. {len(record['measurements'])} measurements, "
        f"{len(record['claims'])} verdicts.</p>"
    )


def raw(markup: str) -> nodes.raw:
    return nodes.raw("", markup, format="html")


def directive(make) -> type[Directive]:
    """Return a directive without arguments that puts ``make()`` on the page."""
    return type(make.__name__, (Directive,), {"run": lambda self: [raw(make())]})


def complete_chapter(app, doctree) -> None:
    """Put the strip under a chapter's title and its full run at the end."""
    number = Path(app.env.docname).name[:2]
    if chapters().get(number) != app.env.docname:
        return
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        raise ValueError(f"{app.env.docname} has no title")
    title.parent.insert(title.parent.index(title) + 1, raw(strip(number)))
    section = nodes.section("", nodes.title("", "Full run"), raw(chapter_run(number)), ids=["full-run"])
    title.parent.append(section)


def depend_on_evidence(app, env, added, changed, removed) -> list[str]:
    """Read these pages anew at every build: what they show does not stand in their own files."""
    return [*chapters().values(), "book/ledger", "book/results"]


def finish(app, error) -> None:
    """Copy the mathematics into the site and drop what no page loads."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    mathjax.unpack(out / "_static" / "mathjax")
    for path in out.rglob("*.map"):
        path.unlink()
    shutil.rmtree(out / "_sources" / "book" / "runs", ignore_errors=True)


def setup(app) -> dict:
    for name, make in (("ledger", ledger), ("results", results), ("fullruns", full_runs)):
        app.add_directive(name, directive(make))
    app.connect("doctree-read", complete_chapter)
    app.connect("env-get-outdated", depend_on_evidence)
    app.connect("build-finished", finish)
    if not mathjax.available():
        # The page then needs a network for its formulas, and says so while it is built.
        app.connect("config-inited", lambda app, config: setattr(config, "mathjax_path", mathjax.ELSEWHERE))
    return {"parallel_read_safe": True, "version": json.dumps(1)}
