"""The benchmark's table and picture, from the records that ``make bench`` writes under ``book/benchmarks``."""

from __future__ import annotations

import html
import json

from gpbook import ROOT, directive

from gpcore.page import figures, plots
from gpcore.page.tables import html_table, short

RECORDS = ROOT / "book" / "benchmarks"


def goal_text(row: dict) -> str:
    """Return whether a row's goal was reached; against the floor smaller is better."""
    if row["goal"] is None:
        return ""
    reached = row["ratio"] <= row["goal"] if row["against"] == "floor" else row["ratio"] >= row["goal"]
    return f"{short(row['goal'])}: {'reached' if reached else 'not reached'}"


def cells(row: dict) -> list[str]:
    low, high = map(short, row["quartiles"])
    return [
        html.escape(row["what"]),
        html.escape(row["way"]),
        html.escape(row["against"]),
        f"<strong>{short(row['ratio'])}</strong>",
        f"{low} to {high}",
        short(row["ms"]),
        goal_text(row),
    ]


def picture(record: dict) -> str:
    """Return the rows with a goal as dots with quartiles beside their goals."""
    rows = [row for row in record["rows"] if row["goal"] is not None and row["against"] != "floor"]
    fig, ax = figures.figure(1)
    fig.set_size_inches(7.0, 0.42 * len(rows) + 0.9)
    for y, row in enumerate(reversed(rows)):
        ax.plot(row["quartiles"], [y, y], color=figures.CRITIC, linewidth=3, solid_capstyle="butt")
        ax.plot(row["ratio"], y, "s", color=figures.CRITIC, label="" if y else "measured, median and quartiles")
        ax.plot(row["goal"], y, "X", color=figures.GENERATED, label="" if y else "goal")
    names = [f"{row['what']}\n{row['way']}" for row in reversed(rows)]
    ax.set(xscale="log", xlabel="times as fast as the public way", yticks=range(len(rows)), yticklabels=names)
    ticks = [1, 1.5, 2, 3, 5, 10, 20]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.axvline(1, color=figures.NEUTRAL, linestyle="--", linewidth=1)
    plots.legend(ax)
    said = "; ".join(f"{row['what']}, {row['way']}: {short(row['ratio'])}, goal {short(row['goal'])}" for row in rows)
    return figures.figure_html(figures.to_svg(fig, f"How many times as fast as the public way. {said}."))


def benchmark() -> str:
    """Return every record as a sentence of provenance, a picture and a table."""
    parts = []
    for path in sorted(RECORDS.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        said = f"Measured on {record['date']} on {record['device']}, torch {record['torch']}"
        said += f", gpcore {record['source_hash']}."
        head = ["what", "way", "against", "ratio", "quartiles", "ms", "goal"]
        body = html_table(head, [cells(row) for row in record["rows"]], f"Benchmark on {record['device']}")
        parts.append(f"<p>{html.escape(said)}</p>{picture(record)}{body}")
    if not (RECORDS / "cuda.json").exists():
        parts.append("<p>No GPU has been measured: <code>make bench ARGS='--device cuda'</code> would.</p>")
    return "".join(parts)


def setup(app) -> dict:
    app.add_directive("benchmark", directive(benchmark))
    # Read anew at every build: what it shows does not stand in its own file.
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: ["book/benchmark"])
    return {"parallel_read_safe": True}
