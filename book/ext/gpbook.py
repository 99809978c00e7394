"""What the book adds to Sphinx: verdicts, tables of results, full runs, mathematics.

A plain Sphinx extension: it reads ``gpcore/page/claims.yml``, ``book/evidence`` and ``book/runs`` and executes nothing.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
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

from gpcore.page import evidence, runs  # noqa: E402
from gpcore.page.tables import html_table, mark_numbers  # noqa: E402

# The widest figure of one panel, in points: gpcore.figures makes it 5 inches wide.
ONE_PANEL = 360
EVIDENCE, RUNS = ROOT / "book" / "evidence", ROOT / "book" / "runs"


def chapters() -> dict[str, str]:
    """Return number -> document name of every chapter."""
    return {path.name[:2]: f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}


def measured(entry: dict) -> list[str]:
    """Return the cells of a measurement: name, median and range, number of seeds."""
    m = evidence.Measurement(entry["name"], entry["values"], entry["band"], entry["unit"])
    return [html.escape(m.name), f"{m.spread} {html.escape(m.unit)}".strip(), str(len(m.values))]


MEASURED = ["measured", "median (range)", "runs"]


def link(number: str, text: str, anchor: str = "") -> str:
    """Return a link to a chapter from a page of ``book/``, or plain text while the chapter does not exist."""
    name = chapters().get(number)
    return f'<a href="../{name}.html{anchor}">{text}</a>' if name else text


def verdict_word(word: str) -> str:
    """Return a verdict's word in its colour."""
    return f'<span class="gp-word gp-{word.replace(" ", "-")}">{word}</span>'


def longer(claim: str, chapter: str) -> dict | None:
    """Return the verdict on a claim in the newest long run of its chapter, or None."""
    record = runs.latest(chapter, "long", RUNS)
    return next((c for c in record["claims"] if c["id"] == claim), None) if record else None


def both_words(claim: str, chapter: str, word: str) -> str:
    """Return the word of the page's run and, where a longer run was recorded, its word."""
    found = longer(claim, chapter)
    if found is None:
        return verdict_word(word)
    if found["word"] == word:
        return f"{verdict_word(word)} <small>(also in the longer run)</small>"
    return f"{verdict_word(word)} <small>(in the longer run: {verdict_word(found['word'])})</small>"


def same_code(inputs: dict | None, notebook: Path) -> bool:
    """Whether a chapter's cells and what they reach of ``gpcore`` are those of a record; its versions stand beside."""
    present = runs.chapter_inputs(notebook, ROOT / "requirements.lock")
    return all((inputs or {}).get(part) == present[part] for part in ("cells", "gpcore"))


def provenance(record: dict) -> str:
    """Return as HTML what a long or full run was, where it was made and from which code."""
    commit = f"<code>{(record.get('commit') or 'none')[:10]}</code>" + (" with changes" if record.get("dirty") else "")
    versions = ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items())
    source, note = record.get("source_hash", "unknown"), html.escape(record.get("note", ""))
    seeds = record["seeds"]
    count = f"seeds {seeds[0]} to {seeds[-1]}, " if seeds else ""
    kind = {"long": "A longer run", "full": "The full preset"}[record["parameters"]["preset"]]
    notebook = next((ROOT / "notebooks").glob(f"{record['chapter']}_*.ipynb"), None)
    same = notebook and same_code(record.get("inputs"), notebook)
    changed = "" if same else " The chapter's code has changed since."
    return (
        f"{kind}, {count}made on {record['date'][:10]} on {html.escape(record['device'])}; "
        f"commit {commit}, gpcore <code>{source}</code>, {html.escape(versions)}.{changed} {note}"
    )


def recorded_runs() -> str:
    """Return the newest long and full run of every chapter that has one."""
    found = [(number, runs.latest(number, preset, RUNS)) for number in chapters() for preset in ("long", "full")]
    parts = [f"<p>{link(n, f'Chapter {int(n)}')}. {provenance(record)}</p>" for n, record in found if record]
    return "".join(parts) or "<p>None has been recorded.</p>"


def chapter_run(number: str, preset: str) -> str:
    """Return the newest run of one chapter as HTML: provenance, verdicts, then numbers and figures folded away."""
    record = runs.latest(number, preset, RUNS)
    if record is None:
        return ""
    verdicts = "".join(
        f"<li>{html.escape(c['claim'])}: {verdict_word(c['word'])}. {html.escape(c['because'])}</li>"
        for c in record["claims"]
    )
    notebook = nbformat.read(RUNS / record["folder"] / "notebook.ipynb", as_version=4)
    figures = [
        re.sub(r"(?<=[\"#(])gp(?=[0-9a-f]{8}-)", f"{preset}-gp", output["data"]["text/html"])
        for cell in (notebook.cells if preset == "full" else [])  # a longer run's figures repeat the page's
        for output in cell.get("outputs", [])
        # A player has the same ids as the one above it on the page, which shows the same.
        if "gp-figure" in (markup := output.get("data", {}).get("text/html", "")) and "gp-player" not in markup
    ]
    numbers = html_table(MEASURED, [measured(m) for m in record["measurements"]], f"Measurements of the {preset} run")
    return (
        f'<div class="gp-run"><p>{provenance(record)}</p>'
        + (f"<p>Verdicts of this run:</p><ul>{verdicts}</ul>" if verdicts else "")
        + f'<details class="gp-answer"><summary>{len(record["measurements"])} measurements</summary>{numbers}</details>'
        + (f'<details class="gp-answer"><summary>Figures</summary>{"".join(figures)}</details>' if figures else "")
        + "</div>"
    )


def carried(short: str, long: str) -> str:
    """Return the word that the run on the page and the longer one both carry."""
    if short == long:
        return short
    return "holds if" if {short, long} == {"holds", "holds if"} else "not decided"


def with_longer_runs(body: str, number: str) -> str:
    """Put into every verdict's box what became of the claim in a longer run, where one was recorded.

    Where the two runs differ, the box's verdict, its edge and its reason are of what both carry, and each run's own
    word follows.
    """

    def said(place: re.Match) -> str:
        between, word, claim, because = place.groups()
        found = longer(claim, number)
        if found is None:
            return place[0]
        both, budget = carried(word, found["word"]), html.escape(found["budget"].rstrip("."))
        here = "" if both == word else f"In the run on this page: {word}. "
        theirs = mark_numbers(html.escape(found["because"]))
        if both != word:
            because = theirs if both == found["word"] else f"Here: {because} In the longer run: {theirs}"
        return (
            f'<div class="gp-verdict gp-{both.replace(" ", "-")}"{between}'
            f'<strong>Verdict: {both}.</strong> <span class="gp-long">{here}In a longer run ({budget}): '
            f'<strong>{found["word"]}</strong>.</span> {because}</p>'
        )

    place = (
        r'<div class="gp-verdict gp-[\w-]+"([^>]*>(?:(?!<div class="gp-verdict).)*?)'
        r'<strong>Verdict: ([\w ]+)\.</strong> <span class="gp-long" data-claim="([\w-]+)"></span> (.*?)</p>'
    )
    return re.sub(place, said, body, flags=re.DOTALL)


def several(count: int, word: str, before: str = "") -> str:
    """Return ``"1 verdict"`` or ``"3 verdicts"``; ``before`` goes before more than one."""
    return f"1 {word}" if count == 1 else f"{before}{count} {word}s"


def strip(number: str) -> str:
    """Return the line under a chapter's title: what its outputs are."""
    record = evidence.load_evidence(EVIDENCE).get(number)
    if record is None:
        return ""
    seeds = max([len(c["seeds"]) for c in record["claims"]] or [len(m["values"]) for m in record["measurements"]])
    lock = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    counts = {"measurement": len(record["measurements"]), "verdict": len(record["claims"])}
    held = ", ".join(several(count, word) for word, count in counts.items() if count)
    used = "on a CPU, " + (f"{several(seeds, 'seed', 'up to ')}, " if seeds else "")
    return (
        f'<p class="gp-strip">Outputs: {used}torch {lock["torch"]}; re-run and compared at every change.'
        f"{f' {held}.' if held else ''}</p>"
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
    """Put a chapter's number before its title, and at the end its recorded runs and what its outputs are."""
    number = Path(app.env.docname).name[:2]
    if chapters().get(number) != app.env.docname:
        return
    title = next(doctree.findall(nodes.title), None)
    if title is None:
        raise ValueError(f"{app.env.docname} has no title")
    title.insert(0, nodes.Text(f"{int(number)}. "))
    for preset, heading in (("long", "A longer run"), ("full", "Full run")):
        if shown := chapter_run(number, preset):
            title.parent.append(nodes.section("", nodes.title("", heading), raw(shown), ids=[f"{preset}-run"]))
    title.parent.append(raw(strip(number)))


def depend_on_evidence(app, env, added, changed, removed) -> list[str]:
    """Read these pages anew at every build: what they show does not stand in their own files."""
    return [*chapters().values(), "book/ledger", "book/results"]


def drop_stills(app, pagename, templatename, context, doctree) -> None:
    """Leave out the hidden images, which stand behind the figures for notebook viewers that drop the SVG."""
    context["body"] = re.sub(r'<img hidden=""[^>]*>', "", context.get("body", ""))


def complete_page(app, pagename, templatename, context, doctree) -> None:
    """Fill the verdicts' longer runs, and put every figure of two or more panels into a frame that scrolls where the
    screen is too narrow to read it."""
    if (number := Path(pagename).name[:2]) in chapters():
        context["body"] = with_longer_runs(context.get("body", ""), number)
    frame = '<div class="gp-scroll" tabindex="0" role="group" aria-label="wide figure">{}</div>'
    context["body"] = re.sub(
        r'<svg [^>]*?role="img"[^>]*?viewBox="0 0 (\d+)[^>]*>.*?</svg>',
        lambda svg: frame.format(svg[0]) if int(svg[1]) > ONE_PANEL else svg[0],
        context.get("body", ""),
        flags=re.DOTALL,
    )


def readable_signature(app, what, name, obj, options, signature, returns):
    """Show a default that is a new list, a dict or a function as it would be typed, and not as Python prints it."""
    if not dataclasses.is_dataclass(obj) or not signature:
        return None
    for field in dataclasses.fields(obj):
        if field.default_factory is not dataclasses.MISSING:
            signature = signature.replace(f"{field.name}=<factory>", f"{field.name}={field.default_factory()!r}")
    signature = re.sub(r"=<function (\w+)>", r"=\1", signature)
    return signature, returns


def finish(app, error) -> None:
    """Copy the mathematics into the site."""
    if error or app.builder.format != "html":
        return
    mathjax.unpack(Path(app.outdir) / "_static" / "mathjax")


def setup(app) -> dict:
    register_plugin("pybtex.style.formatting", "linked", Linked)
    app.add_directive("recordedruns", directive(recorded_runs))
    # Before the builder's own readers of titles and contents (500), which then know the number and the full run.
    app.connect("doctree-read", complete_chapter, priority=400)
    app.connect("html-page-context", drop_stills)
    app.connect("html-page-context", complete_page)
    app.connect("autodoc-process-signature", readable_signature)
    app.connect("env-get-outdated", depend_on_evidence)
    app.connect("build-finished", finish)
    if not mathjax.available():
        # The page then needs a network for its formulas, and says so while it is built.
        app.connect("config-inited", lambda app, config: setattr(config, "mathjax_path", mathjax.ELSEWHERE))
    return {"parallel_read_safe": True, "version": json.dumps(1)}
