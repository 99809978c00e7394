"""Where numbers come from: hashes of what a chapter depends on, checkpoints, and records of long and full runs."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from .reach import PACKAGE, WHOLE, Definition, code_of, reached

__all__ = ["provenance", "source_hash"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def source_hash(folder: Path | None = None, definitions: set[Definition] | None = None) -> str:
    """Return a digest of Python files of ``gpcore`` as syntax trees without docstrings, of the claims and of texts.

    Args:
        folder: where the files are; None is the folder of ``gpcore`` itself.
        definitions: those that count, as :func:`gpcore.runs.reached` returns them; None is all of every file.

    Example:
        >>> len(gp.runs.source_hash())
        16
    """
    folder = Path(folder or PACKAGE)
    if definitions is None:
        definitions = {(path, WHOLE) for path in folder.rglob("*.py")}
    # The claims' wording is part of what the verdicts' boxes show; texts are trained on.
    others = sorted([*folder.rglob("claims.yml"), *folder.rglob("*.txt")])
    return _digest("\n".join([code_of(definitions, folder), *(path.read_text(encoding="utf-8") for path in others)]))


def _code_cells(notebook: Path) -> str:
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    # Where gpcore is installed from changes no output.
    code = [cell for cell in code if 'find_spec("gpcore")' not in cell]
    return "\0".join(code)


def notebook_hash(notebook: Path) -> str:
    """Return a digest of a notebook's code cells, in order; what stands around them does not count.

    Neither do injected parameters and the cell that installs gpcore.
    """
    return _digest(_code_cells(notebook))


def _name(package: str) -> str:
    """A package's name in the one spelling that compares."""
    return re.sub(r"[-_.]+", "-", package).lower()


@functools.cache
def _needed(package: str) -> set[str]:
    """The names of ``package`` and of all installed packages that it needs, extras left out."""
    names, new = set(), {_name(package)}
    while new:
        name = new.pop()
        names.add(name)
        try:
            asked = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system
            continue
        new |= {_name(re.match(r"[\w.-]+", each)[0]) for each in asked if "extra ==" not in each} - names
    return names


def pins(lock: Path) -> list[str]:
    """Return the lock's lines of ``gpcore`` and what it needs: a tool of the book's builder changes no number."""
    lines = [line for line in Path(lock).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    needed = _needed("gpcore")
    return [line for line in lines if _name(line.split("==")[0]) in needed]


def chapter_inputs(notebook: Path, lock: Path) -> dict[str, str]:
    """Return hashes of all that a chapter's outputs depend on: its code, what it reaches of ``gpcore``, its packages.

    To a chapter that shows the living page the page's script belongs as well, for its output holds it.
    """
    code = _code_cells(notebook)
    found = {
        "cells": notebook_hash(notebook),
        "gpcore": source_hash(definitions=reached(code)),
        "lock": _digest("\n".join(pins(lock))),
    }
    if "widgets.playground(" in code:
        found["playground"] = _digest((PACKAGE / "page" / "playground.js").read_text(encoding="utf-8"))
    return found


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def provenance(device: str | torch.device = "auto") -> dict:
    """Return what identifies a run's code and machine: commit, hash, versions and the device's name.

    ``commit`` is None outside a repository; ``dirty`` says that files differed from the commit.

    Example:
        >>> gp.runs.provenance("cpu")["device"].startswith("CPU")
        True
    """
    cuda = torch.cuda.is_available() and str(device) != "cpu"
    threads = torch.get_num_threads()
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "source_hash": source_hash(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__.split("+")[0]},
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {threads} thread{'s' * (threads > 1)}",
    }


def write_record(folder: Path, record: dict) -> Path:
    """Write ``record.json`` of a long or full run into ``folder`` and return its path.

    Raises:
        ValueError: a record without its chapter, date, device, wall time, parameters or measurements.
    """
    missing = {"chapter", "date", "device", "wall_seconds", "parameters", "measurements"} - set(record)
    if missing:
        raise ValueError(f"record must name {', '.join(sorted(missing))}")
    path = Path(folder) / "record.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def latest(chapter: str, preset: str, folder: Path) -> dict | None:
    """Return the newest record of a chapter with that preset, with its own folder as ``"folder"``, or None."""
    records = []
    for path in Path(folder).glob(f"{chapter}-{preset}-*/record.json"):
        records.append(json.loads(path.read_text(encoding="utf-8")) | {"folder": path.parent.name})
    return max(records, key=lambda record: record["date"], default=None)
