"""Tables of measured numbers as HTML: they stack on a phone, and the check of the notebooks compares their words."""

from __future__ import annotations

import html
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from numbers import Real


def short(value: float) -> str:
    """Return a number with three significant digits (two before a power of ten); whole ones from 1,000 with all.

    Example:
        >>> short(0.123456), short(1234.5), short(2.5e-9)
        ('0.123', '1,234', '2.5e-09')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e7:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.1e}"


def spread(values: Iterable[float]) -> str:
    """Return the median of several numbers and, in brackets, their range; of one number, that number.

    Example:
        >>> spread([0.5, 0.6, 0.9])
        '0.6 (0.5 to 0.9)'
    """
    values = [float(value) for value in values]
    middle = short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({short(min(values))} to {short(max(values))})"


def measured(text: str) -> str:
    """Mark what may differ from one machine to the next, so that the check of the notebooks can blank it."""
    return f'<span class="measured">{html.escape(text.strip())}</span>'


def mark_numbers(text: str) -> str:
    """Mark every number of an escaped sentence as measured."""
    return re.sub(r"(?<![\w&#])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", lambda m: measured(m[0]), text)


def _cell(value) -> str:
    """A cell as HTML: words stay words, numbers are measured, several numbers are their median and range."""
    if isinstance(value, bool):
        return measured("yes" if value else "no")
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Real):
        return measured(short(float(value)))
    if hasattr(value, "spread"):  # a Measurement
        return measured(f"{value.spread} {value.unit}")
    return measured(spread(value.flatten().tolist() if hasattr(value, "flatten") else value))


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
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


class Table:
    """A table that a notebook shows as HTML and a script prints with its numbers."""

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence], caption: str):
        self.caption = caption
        self.markup = html_table([html.escape(name) for name in head], [map(_cell, row) for row in rows], caption)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        caption = f'<p class="gp-caption">{html.escape(self.caption)}</p>'
        # The plain text holds no number: nbval compares it to the letter.
        return {"text/plain": f"Table: {self.caption}", "text/html": f"<div>{self.markup}{caption}</div>"}

    def __repr__(self) -> str:
        text = re.sub(r"</t[hd]>", " | ", re.sub(r"</tr>", "\n", self.markup))
        lines = html.unescape(re.sub(r"<[^>]+>", "", text)).strip().split("\n")
        return "\n".join([self.caption, *(line.rstrip("| ") for line in lines)])


def table(head: Sequence[str], rows: Iterable[Sequence], caption: str) -> Table:
    """Return a table to be shown as the last value of a cell.

    Args:
        head: the columns' names.
        rows: one sequence of cells per row. A text is shown as it is, and the check of the notebooks compares it; a
            number is shown with three digits and not compared; several numbers (a list, an array, a measurement) are
            shown as their median and range.
        caption: what the table shows, in one sentence.

    Raises:
        ValueError: no row, or a row without one cell per column.

    Example:
        >>> print(table(["method", "W1"], [["penalty", [0.5, 0.6, 0.9]]], "Final distance."))
        Final distance.
        method | W1
        penalty | 0.6 (0.5 to 0.9)
    """
    rows = [list(row) for row in rows]
    if not rows or any(len(row) != len(head) for row in rows):
        raise ValueError(f"every row must have {len(head)} cells like head, got {[len(row) for row in rows]}")
    return Table(head, rows, caption)
