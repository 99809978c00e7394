"""A notebook asks for the version of gpcore that has what it names: a new name asks for a new version.

Whoever has an older gpcore gets a new one by the notebooks' first cell, if the version went up, and else an
AttributeError in the middle of a chapter.
"""

import ast
import functools
import inspect
import json
from pathlib import Path

import chapters
import nbformat
import tomllib
import yaml

import gpcore

ROOT = Path(__file__).resolve().parents[3]
LISTED = json.loads(Path(__file__).with_name("names_by_version.json").read_text(encoding="utf-8"))
NOTEBOOKS = [*chapters.all_chapters(), *sorted((ROOT / "book" / "loops").glob("*.ipynb"))]


def dotted(node: ast.expr) -> str:
    """``gp.data.digits`` as ``data.digits``; empty where the names do not begin with ``gp``."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join(reversed(names)) if isinstance(node, ast.Name) and node.id == "gp" else ""


def needed() -> set[str]:
    """The names of gpcore's own that notebooks use, as far as they lead through its modules."""
    found = set()
    for path in NOTEBOOKS:
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        for tree in (ast.parse(source) for source in cells if not source.startswith("%")):
            for name in {dotted(node) for node in ast.walk(tree)} - {""}:
                parts, used, holder = name.split("."), [], gpcore
                while parts and inspect.ismodule(holder):
                    used.append(parts.pop(0))
                    holder = getattr(holder, used[-1])
                found.add(".".join(used))
    return found


def test_what_the_notebooks_name_is_listed_under_a_version():
    missing = sorted(needed() - {name for names in LISTED.values() for name in names})
    assert missing == [], (
        f"notebooks use {missing}, which no version is listed to have. Raise the version in gpcore/__init__.py, "
        "pyproject.toml and CITATION.cff, list them under it in names_by_version.json, and run `make notebooks`"
    )


def test_the_newest_version_of_the_list_is_this_one_everywhere():
    newest = max(LISTED, key=lambda version: tuple(map(int, version.split("."))))
    assert gpcore.__version__.startswith(newest + ".")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"] == gpcore.__version__


def test_every_listed_name_is_there():
    for name in {name for names in LISTED.values() for name in names}:
        functools.reduce(getattr, name.split("."), gpcore)
