"""Measured numbers inside the text of pages: they come from the evidence, and change with it.

``{measured}`06|final W1, two-sided, weight 1``` becomes the median of that measurement of chapter 6, as the chapter
recorded it. A name that no chapter has measured stops the build.
"""

from __future__ import annotations

from docutils import nodes
from gpbook import EVIDENCE

from gpcore.page import evidence
from gpcore.page.tables import short


def median(chapter: str, name: str) -> str:
    """Return the median of a measurement, with its unit."""
    records = evidence.load_evidence(EVIDENCE)
    found = {m["name"]: m for m in records.get(chapter, {"measurements": []})["measurements"]}
    if name not in found:
        raise ValueError(f"chapter {chapter} has no measurement {name!r}; it has: {', '.join(found) or 'none'}")
    entry = found[name]
    value = evidence.Measurement(name, entry["values"], entry["band"], entry["unit"])
    return f"{short(value.median)} {value.unit}".strip()


def measured(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role: ``chapter|name of the measurement``."""
    chapter, _, what = text.partition("|")
    return [nodes.inline("", median(chapter.strip(), what.strip()), classes=["gp-number"])], []


def setup(app) -> dict:
    app.add_role("measured", measured)
    return {"parallel_read_safe": True}
