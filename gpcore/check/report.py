"""What a check found: reads as prose in a terminal and as a table in a notebook."""

from __future__ import annotations

import html
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

# The book's address; `make repository` keeps it in agreement with the others.
_MUSEUM = "https://gradient-penalty-book.github.io/gradient-penalty-book/notebooks/16_bug_museum.html"

# What fits beside the contents on a page of the book, and in half a screen.
WIDTH = 76

# What a penalty is multiplied by is no mistake: the museum has a place for it, but no room with code.
WITHOUT_ROOM = ("weight-inside",)


def short(text: str, length: int = 150) -> str:
    """A message on one line, cut at the end of a word where it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length].rpartition(' ')[0] or text[:length]} ..."


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        name: a fixed word, such as ``"norm-over-channels"``.
        observed, expected: sentences, with the numbers that were measured.
        mend: the few lines that put it right.
        fault: True for a fault, False for what is only good to know.
        where: the line of the reader's source that it is about, where it was found: ``line 10: `norm(2, dim=1)```.

    Example:
        >>> (fault,) = gp.check(gp.museum.ROOMS["norm-over-batch"].code).findings
        >>> fault.name, fault.fault
        ('norm-over-batch', True)
    """

    name: str
    observed: str
    expected: str
    mend: str
    fault: bool = True
    where: str = ""

    @property
    def room(self) -> str:
        """Link to the room of the bug museum that shows it."""
        return f"{_MUSEUM}#room-{self.name}"

    @property
    def remedy(self) -> str:
        """What the lines of ``mend`` are: a fix, or for a note how to use the function."""
        return "Fix" if self.fault else "Use"


@dataclass(frozen=True)
class Room:
    """One mistake of the bug museum, as a function that runs.

    Attributes:
        name: that of the finding with which the checker answers, except in ``museum.PARALLEL``.
        code: the mistake as people write it: ``(critic, real, fake) -> penalty``, a step for ``check_scaling``, or a
            loop for several processes.
        met: where it was met in public code.
        symptom: what follows from it, by the formula.
        also: other findings of the same function.

    Example:
        >>> gp.museum.ROOMS["norm-over-channels"].name
        'norm-over-channels'
    """

    name: str
    code: Callable
    met: str
    symptom: str
    also: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The code as text."""
        return inspect.getsource(self.code)


def _fill(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


@dataclass(frozen=True)
class Report:
    """The result of :func:`gpcore.check` and :func:`gpcore.check_scaling`.

    Attributes:
        subject: the name of the function that was checked.
        family: what kind of penalty or step it was recognised as, judged by that kind's own law.
        findings: faults first.
        undecided: sentences on what could not be told.
        weight: the number that the law was found to be multiplied by, or None.
        recognised: False where no law that is known gives what the function did, so that it could not be judged.
        sound: False where it was recognised as a law that is known to differ from the right one.
        notes: sentences on what is good to know and no fault.

    Example:
        >>> report = gp.check(gp.gradient_penalty)
        >>> report.ok, report.faults
        (True, ())
    """

    subject: str
    family: str
    findings: tuple[Finding, ...] = ()
    undecided: tuple[str, ...] = ()
    weight: float | None = None
    recognised: bool = True
    sound: bool = True
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True where the function was recognised as sound and has no fault; what could not be decided is left."""
        return self.recognised and self.sound and not any(finding.fault for finding in self.findings)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all findings."""
        return tuple(finding.name for finding in self.findings)

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of the faults alone."""
        return tuple(finding.name for finding in self.findings if finding.fault)

    def _verdict(self) -> str:
        count = len(self.faults)
        if count:
            return f"{count} fault{'s' if count > 1 else ''}"
        if not self.recognised:
            return "not recognised, so it could not be judged"
        if not self.sound:
            return "no fault with a name, but not what it should be"
        return "no fault found, but not everything could be decided" if self.undecided else "no fault found"

    def __str__(self) -> str:
        lines = [_fill(f"{self.subject}: {self._verdict()}.", ""), _fill(f"Recognised as: {self.family}.", "")]
        for finding in self.findings:
            lines += ["", f"{'FAULT' if finding.fault else 'Note'}: {finding.name}"]
            lines += [_fill(_capital(finding.where), "  ")] if finding.where else []
            lines += [_fill(f"Observed: {finding.observed}", "  "), _fill(f"Expected: {finding.expected}", "  ")]
            lines += [f"  {finding.remedy}:", textwrap.indent(finding.mend, "      "), f"  See {finding.room}"]
        for sentence in self.notes:
            lines += ["", _fill(f"Note: {sentence}", "")]
        for sentence in self.undecided:
            lines += ["", _fill(f"Cannot decide: {sentence}", "")]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        escape = html.escape

        def row(f: Finding) -> str:
            name = f'<a href="{escape(f.room)}">{escape(f.name)}</a><br>{"fault" if f.fault else "note"}'
            where = f"<br>{_code(f.where)}" if f.where else ""
            code = f'{f.remedy}:<pre style="white-space: pre-wrap">{escape(f.mend)}</pre>'
            cells = (name + where, escape(f.observed), escape(f.expected), code)
            return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"

        rows = "".join(map(row, self.findings))
        head = "<tr><th>Finding</th><th>Observed</th><th>Expected</th><th>What to do</th></tr>"
        table = f"<table>{head}{rows}</table>" if rows else ""
        notes = "".join(f"<p>Note: {escape(sentence)}</p>" for sentence in self.notes)
        notes += "".join(f"<p>Cannot decide: {escape(sentence)}</p>" for sentence in self.undecided)
        return (
            f"<p><strong>{escape(self.subject)}</strong>: {escape(self._verdict())}. "
            f"Recognised as: {escape(self.family)}.</p>{table}{notes}"
        )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(where: str) -> str:
    """``line 10: `code``` as HTML."""
    number, _, code = where.partition(": `")
    return f"{html.escape(number)}: <code>{html.escape(code[:-1])}</code>"
