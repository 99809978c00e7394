"""The benchmark's tables and picture, from the records that ``make bench`` writes under ``book/benchmarks``."""

from __future__ import annotations

import html
import json
import math

from gpbook import ROOT, directive

from gpcore.page import figures, plots
from gpcore.page.tables import html_table, short

RECORDS = ROOT / "book" / "benchmarks"
# What a plain critic step is compared with, by the columns' names.
COSTS = {
    "public": "penalty by autograd",
    "by hand": "penalty by hand",
    "R1": "R1 by autograd",
    "R1 by hand": "R1 by hand",
    "spectral norm": "spectral norm",
}
LOOP = "loop with .item()"
# Where each record was made, as titles say it.
PLACES = {"cpu": "on one CPU thread", "gpu": "on a GPU"}
TITLE = "# What a penalty costs"


def costs(record: dict) -> dict[str, dict[str, dict]]:
    """Return critic -> way -> row: what a constrained critic step costs, in plain steps."""
    found: dict[str, dict[str, dict]] = {}
    for row in record["rows"]:
        if row["way"] == "plain":
            found.setdefault(row["what"], {})[row["against"]] = row
    return found


def _cell(row: dict | None) -> str:
    if row is None:
        return ""
    low, high = map(short, row["quartiles"])
    return f"<strong>{short(row['ratio'])}</strong> ({low} to {high})"


def matrix(rows: list[dict], label: str, first: str) -> str:
    """Return a table with a row per thing that was timed and a column per way."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    things = list(dict.fromkeys(row["what"] for row in rows))
    found = {(row["what"], row["way"]): row for row in rows}
    body = [[html.escape(thing), *(_cell(found.get((thing, way))) for way in ways)] for thing in things]
    return html_table([first, *map(html.escape, ways)], body, label)


def summary(record: dict, place: str) -> str:
    """Return the result in one sentence."""
    by_way = {way: [rows[way]["ratio"] for rows in costs(record).values() if way in rows] for way in COSTS}
    span = {way: f"{min(values):.2f} to {max(values):.2f}" for way, values in by_way.items() if values}
    if len(span) < len(COSTS):
        return f"{place[0].upper()}{place[1:]}, not every way could be measured."
    return (
        f"{place[0].upper()}{place[1:]}, a critic step with a gradient penalty costs {span['public']} plain critic "
        f"steps by autograd and {span['by hand']} by the hand-derived sweep; with R1 it costs {span['R1']} by autograd "
        f"and {span['R1 by hand']} by hand."
    )


def picture(record: dict) -> str:
    """Return the cost of each way at each critic, in plain steps."""
    found = costs(record)
    fig, ax = figures.figure(1)
    fig.set_size_inches(7.0, 3.6)
    for color, (way, name) in zip(figures.SWEEP, COSTS.items(), strict=False):
        line = [rows[way]["ratio"] if way in rows else math.nan for rows in found.values()]
        style = dict(linestyle=figures.LINES[color], marker=figures.MARKERS[color])
        ax.plot(range(len(line)), line, color=color, label=name, **style)
    names = [name.removeprefix("MLP ").replace(", ", "\n") for name in found]
    ax.set(ylabel="cost, in plain critic steps", xticks=range(len(found)), xticklabels=names, ylim=(0.9, None))
    ax.axhline(1, color=figures.NEUTRAL, linestyle=":", linewidth=1)
    plots.legend(ax, columns=3)
    said = "; ".join(
        f"{thing}: " + ", ".join(f"{COSTS[way]} {short(row['ratio'])}" for way, row in rows.items())
        for thing, rows in found.items()
    )
    caption = "Medians; 1 is a critic step without any constraint."
    return figures.figure_html(figures.to_svg(fig, f"Cost of a critic step in plain steps. {said}."), caption)


def failures(record: dict) -> str:
    """Return what could not be measured, and why, as a paragraph, or nothing."""
    failed = [f"{row['what']}, {row['way']} ({row['failed']})" for row in record["rows"] if "failed" in row]
    return f"<p>Could not be measured: {html.escape('; '.join(failed))}.</p>" if failed else ""


def again(rows: list[dict]) -> str:
    """Return what the second table has no cell for: a row measured several times, and whole runs against ours."""
    said = []
    for row in rows:
        if "in_a_row" in row:
            times = ", ".join(short(ratio) for ratio in row["in_a_row"])
            said.append(f"{html.escape(row['what'])}: measured three times in a row, {times} times as fast.")
        elif row["against"] == "one by one, by hand":
            said.append(f"{html.escape(row['what'])}: {_cell(row)} times as fast as one by one with the step by hand.")
    return f"<p>{' '.join(said)}</p>" if said else ""


def one_place(name: str, record: dict, alone: bool) -> str:
    """Return a record: its result in a sentence, a picture, and three tables, each in its own unit."""
    place, device = PLACES[name], html.escape(record["device"])
    rows = [row for row in record["rows"] if "failed" not in row]
    plain = [row | {"way": COSTS[row["against"]]} for row in rows if row["way"] == "plain"]
    faster = [row for row in rows if "public" in row["against"] and row["way"] != "plain"]
    scaling = [row for row in rows if row["against"] == LOOP]
    where = "" if alone else f", {place}"
    return (
        f"<p><strong>{summary(record, place)}</strong></p>"
        f"<p>Measured on {record['date']} on {device}, torch {record['torch']}, gpcore "
        f"<code>{record['source_hash']}</code>. Each cell: median and quartiles of paired ratios.</p>"
        f"{failures(record)}{picture(record)}"
        f"<h2>What a constraint costs, in plain critic steps{where}</h2>"
        f"{matrix(plain, f'Cost in plain critic steps on {device}', 'critic')}"
        f"<h2>How many times as fast as the public way{where}</h2>"
        f"{matrix(faster, f'Times as fast as the public way on {device}', 'what')}"
        f"{again(rows)}<h2>Scaling gradients: how many times as fast as a loop{where}</h2>"
        f"{matrix(scaling, f'Times as fast as a loop over tensors on {device}', 'tensors x numbers in each')}"
    )


def records() -> dict[str, dict]:
    """Return the records, that of the CPU first."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.json"))}


def benchmark() -> str:
    """Return every record as :func:`one_place` shows it."""
    found = records()
    return "".join(one_place(name, record, len(found) == 1) for name, record in found.items())


def say_where(app, docname: str, source: list[str]) -> None:
    """Let the page's title say where its numbers were measured."""
    if docname == "book/benchmark":
        places = " and ".join(PLACES[name] for name in records())
        source[0] = source[0].replace(TITLE, f"{TITLE}, {places}", 1)


def setup(app) -> dict:
    app.add_directive("benchmark", directive(benchmark))
    app.connect("source-read", say_where)
    # Read anew at every build: what it shows does not stand in its own file.
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: ["book/benchmark"])
    return {"parallel_read_safe": True}
