"""Where numbers come from: hashes of what a chapter depends on, checkpoints, and records of long and full runs."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import platform
import re
import subprocess
from pathlib import Path

import torch

__all__ = ["provenance", "reached", "source_hash"]

PACKAGE = Path(__file__).parents[1]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _code(source: str) -> str:
    """The syntax tree of a file without docstrings: comments, layout and documentation change no number."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
                if isinstance(node.body[0].value.value, str):
                    node.body = node.body[1:]
    return _tree(tree)


def _tree(node) -> str:
    """A syntax tree as text, the same in every Python: ``ast.dump`` writes empty fields that only newer ones have."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={_tree(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(_tree, node))}]" if isinstance(node, list) else repr(node)


def source_hash(folder: Path | None = None, modules: set[Path] | None = None) -> str:
    """Return a digest of Python files of ``gpcore`` as syntax trees without docstrings, of the claims and of texts.

    Args:
        folder: where the files are; None is the folder of ``gpcore`` itself.
        modules: the files that count; None is every one.

    Example:
        >>> len(source_hash())
        16
    """
    folder = Path(folder or PACKAGE)
    parts = [
        f"{path.relative_to(folder).as_posix()}\n{_code(path.read_text(encoding='utf-8'))}"
        for path in sorted(folder.rglob("*.py"))
        if modules is None or path in modules
    ]
    # The claims' wording is part of what the verdicts' boxes show; texts are trained on.
    others = sorted([*folder.rglob("claims.yml"), *folder.rglob("*.txt")])
    parts += [path.read_text(encoding="utf-8") for path in others]
    return _digest("\n".join(parts))


def reached(code: str) -> set[Path]:
    """Return the files of ``gpcore`` that code can reach: those of the names ``gp.…`` in it, and what these import.

    A name that is not one of the package's, and ``getattr(gp, ...)``, reach every file.

    Example:
        >>> sorted(path.stem for path in gp.runs.reached("gp.interpolate(real, fake)"))
        ['__init__', '_checks', '_refusals', 'penalties']
    """
    if re.search(r"getattr\(\s*gp\b", code):
        return set(PACKAGE.rglob("*.py"))
    package = importlib.import_module("gpcore")
    todo, found = set(), {PACKAGE / "__init__.py"}
    for name in set(re.findall(r"\bgp\.(\w+)", code)):
        value = getattr(package, name, None)
        module = value if inspect.ismodule(value) else inspect.getmodule(value)
        if module is None or not module.__name__.startswith("gpcore"):
            return set(PACKAGE.rglob("*.py"))
        todo.add(Path(module.__file__))
    while todo:
        path = todo.pop()
        found.add(path)
        todo |= _imports(path) - found
    return found


def _imports(path: Path) -> set[Path]:
    """The files that a file of gpcore imports, wherever in it, with the folders' own ``__init__`` on the way."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            places = [base, *(base / alias.name for alias in node.names)]
            found |= {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")}
    return {file for file in found if file.is_file() and file != PACKAGE / "__init__.py"}


def _code_cells(notebook: Path) -> str:
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    code = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]
    return "\0".join(code)


def notebook_hash(notebook: Path) -> str:
    """Return a digest of a notebook's code cells, in order; text, outputs and injected parameters do not count."""
    return _digest(_code_cells(notebook))


def chapter_inputs(notebook: Path, lock: Path) -> dict[str, str]:
    """Return hashes of all that a chapter's outputs depend on: its code, what it reaches of ``gpcore``, the lock.

    To a chapter that shows the living page the page's script belongs as well, for its output holds it.
    """
    # Comments of the lock change no package.
    pins = [line for line in Path(lock).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    code = _code_cells(notebook)
    found = {
        "cells": notebook_hash(notebook),
        "gpcore": source_hash(modules=reached(code)),
        "lock": _digest("\n".join(pins)),
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
