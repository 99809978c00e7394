"""The command line: ``python -m gpcore check my_file.py:my_penalty``.

Nothing is executed but the file's import and the function. The exit status is 0 where the report is ok, 1 where it is
not, and 2 where the function could not be found or called.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from .penalty import check
from .refusals import Refusal
from .report import WIDTH, Report, short
from .step import check_scaling


def load(target: str) -> Callable:
    """The function that ``file.py:name`` or ``package.module:name`` names; the name may have dots, ``Class.method``.

    Raises:
        ValueError: no colon, no such file or module, no such name in it.

    Example:
        >>> load("math:sqrt")(9.0)
        3.0
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise ValueError(f"what to check must be file.py:function or package.module:function, got {target!r}")
    path = Path(place)
    if place.endswith(".py"):
        if not path.is_file():
            raise ValueError(f"{place} is no file")
        sys.path.insert(0, str(path.resolve().parent))  # so that it finds its neighbours
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, "")
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(f"{place} is no module: {error}") from error
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            has = [n for n, value in vars(module).items() if inspect.isroutine(value) and not n.startswith("_")]
            others = f"; it has {short(', '.join(has), 120)}" if found is module and has else ""
            raise ValueError(f"{place} has no {name}{others}")
        found = getattr(found, part)
    return found


def is_step(function: Callable) -> bool:
    """Whether its arguments are those of an optimiser step: one is called like an optimiser.

    ``opt`` may be short for options too: it is an optimiser beside a loss function.
    """
    try:
        names = [name.lower() for name in inspect.signature(function).parameters]
    except (TypeError, ValueError):
        return False
    short = any(re.match(r"opt($|_)", name) for name in names) and any(re.search("loss|criterion", n) for n in names)
    return short or any("optim" in name for name in names)


def as_dictionary(report: Report) -> dict:
    """The report for ``--json``."""
    findings = [
        {"name": f.name, "fault": f.fault, "where": f.where, "observed": f.observed, "expected": f.expected}
        | {f.remedy.lower(): f.mend, "see": f.room}
        for f in report.findings
    ]
    return {
        "subject": report.subject,
        "ok": report.ok,
        "recognised_as": report.family if report.recognised else None,
        "weight": report.weight,
        "findings": findings,
        "notes": list(report.notes),
        "undecided": list(report.undecided),
    }


def refused(target: str, error: Exception) -> str:
    """What is printed where a function could not be checked: what to type first, then what was tried."""
    if isinstance(error, Refusal):
        return f"{error.command}\n{target} could not be called.\n{error.tried}"
    return textwrap.fill(f"{target} could not be checked. {type(error).__name__}: {short(str(error), 300)}", WIDTH)


def _shape(text: str) -> tuple[int, ...]:
    shape = tuple(int(part) for part in text.split(","))
    if not shape or min(shape) < 1:
        raise ValueError
    return shape


def _size(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gpcore", description="Checks of gradient penalties and steps.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser(
        "check",
        help="run a penalty or an optimiser step on crafted input and say what is wrong with it",
        description="Imports the file and calls the function, and executes nothing else. Exit status: 0 ok, 1 a fault "
        "or a function that is not recognised, 2 it could not be called.",
    )
    checking.add_argument("target", help="file.py:function or package.module:function")
    checking.add_argument("--step", action="store_true", help="it is an optimiser step, whatever its arguments' names")
    checking.add_argument("--shape", type=_shape, help="of one sample, such as 3,64,64")
    checking.add_argument("--batch-size", type=_size, help="where the number of samples is written in")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(arguments)
    try:
        function = load(given.target)
        if given.step or is_step(function):
            report = check_scaling(function)
        else:
            report = check(function, shape=given.shape, batch_size=given.batch_size)
    except Exception as error:  # whatever the file or the function raised
        said = refused(given.target, error)
        print(json.dumps({"subject": given.target, "error": said}) if given.json else said, file=sys.stderr)
        return 2
    print(json.dumps(as_dictionary(report), indent=2) if given.json else report)
    return 0 if report.ok else 1
