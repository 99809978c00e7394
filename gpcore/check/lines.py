"""Pointing from findings to the lines of the reader's own source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace

from .report import Finding
from .source import code_of
from .trace import Line, Trace, line_of

_SOURCE = {"global-rng-changed": r"\bseed(_all)?\(|manual_seed", "eps-": r"rand|uniform|normal|alpha|eps"}


def point_to_lines(findings: list[Finding], trace: Trace, function: Callable) -> list[Finding]:
    """The findings, each with the line it is about where that can be told."""
    file = getattr(code_of(function), "co_filename", None)
    found = []
    for f in findings:
        line = line_of(trace, f.name) or _in_source(f.name, function)
        where = line.said(file) if line is not None else ""
        found.append(replace(f, where=where))
    return found


def _in_source(name: str, function: Callable) -> Line | None:
    """The first line of the function that looks like what the finding is about, where no operation was seen."""
    pattern = next((p for start, p in _SOURCE.items() if name.startswith(start)), None)
    code = code_of(function)
    if pattern is None or code is None:
        return None
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return None
    number = next((i for i, text in enumerate(lines[1:], 1) if re.search(pattern, text.partition("#")[0])), None)
    return None if number is None else Line(code.co_filename, max(first, 1) + number)
