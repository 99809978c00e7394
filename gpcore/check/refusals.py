"""What is said where a function cannot be called: first what to type, then what was tried, in lines that fit."""

from __future__ import annotations

import re
import textwrap

from .report import WIDTH, short

_SHOWN = 3  # kinds of errors


class Refusal(Exception):
    """A function that could not be called.

    The message says first what to type in Python; ``command`` says it for the command line, where there are other
    means. ``tried`` is what follows in both: what was tried and what came of it.
    """

    def __init__(self, python: str, command: str, tried: str):
        super().__init__(f"{_filled(python)}\n{tried}")
        self.command, self.tried = _filled(command), tried


class CannotCall(Refusal, ValueError):
    """The function raised, or returned what is no penalty, on every batch that was tried."""


class CannotTell(Refusal, TypeError):
    """An argument that must be given, and whose meaning its name and place do not tell."""


def _filled(text: str) -> str:
    """Sentences within the width; lines that begin with a space are code and stay."""
    parts = text.split("\n")
    return "\n".join(part if part.startswith(" ") else textwrap.fill(part, WIDTH) for part in parts)


def call_in_lines(head: str, name: str, arguments: list[str], indent: str = "  ") -> str:
    """``head name(arguments)`` as code, broken after the bracket where it is too long for one line."""
    whole = f"{indent}{head}{name}({', '.join(arguments)})"
    if len(whole) <= WIDTH:
        return whole
    inside = indent + "    "
    filled = textwrap.fill(", ".join(arguments), WIDTH - 1, initial_indent=inside, subsequent_indent=inside)
    return f"{indent}{head}{name}(\n{filled})"


def attempts(told: list[str], on: str = "") -> str:
    """What the tries raised, each kind of message once; messages that differ in numbers alone are of one kind."""
    kinds: dict[str, list[str]] = {}
    for text in told:
        kinds.setdefault(re.sub(r"\d+", "#", text), []).append(text)
    how = f"in each of {len(told)} tries" if len(told) > 1 else "when it was tried"
    lines = [textwrap.fill(f"It raised {how}{on}:", WIDTH)]
    for texts in list(kinds.values())[:_SHOWN]:
        times = f" ({len(texts)} times)" if 1 < len(texts) < len(told) else ""
        lines.append(textwrap.fill(short(texts[0]) + times, WIDTH, initial_indent="  ", subsequent_indent="    "))
    if len(kinds) > _SHOWN:
        lines.append(f"  and {len(kinds) - _SHOWN} other kinds of errors")
    return "\n".join(lines)
