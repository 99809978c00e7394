"""What a piece of code can reach of ``gpcore``, definition by definition: a function that nobody names stales nothing.

Read from the source alone, and rather too much than too little: a module that is used other than as ``module.name``
counts whole, and what a file does when it is imported counts as soon as one of its names does.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["reached"]

PACKAGE = Path(__file__).parents[1]
WHOLE = "*"  # of a file: all of its definitions
ON_IMPORT = ""  # of a file: what it does when it is imported
Definition = tuple[Path, str]
# A line of code that names what it takes from a module, and nothing else.
_IMPORT = re.compile(r"^[ \t]*from gpcore\.([\w.]+) import (\w+(?:, *\w+)*)[ \t]*$", re.MULTILINE)
# Decorators that leave no trace beyond the function that they wrap.
_PLAIN = {"contextlib", "contextmanager", "dataclass", "functools", "torch"}


@dataclass(eq=False)
class _File:
    """The top level of one file."""

    path: Path
    statements: list[ast.stmt]
    binding: dict[str, list[ast.stmt]] = field(default_factory=dict)  # name -> the statements that give it a value
    imported: dict[str, Definition] = field(default_factory=dict)  # name -> what it is elsewhere in the package
    effects: list[ast.stmt] = field(default_factory=list)  # done on import, for others to see


def tree(node) -> str:
    """A syntax tree as text, the same in every Python: ``ast.dump`` writes empty fields that only newer ones have."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={tree(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(fields)})"
    return f"[{', '.join(map(tree, node))}]" if isinstance(node, list) else repr(node)


def without_docstrings(source: str) -> ast.Module:
    """The syntax tree of a file without docstrings: comments, layout and documentation change no number."""
    parsed = ast.parse(source)
    for node in ast.walk(parsed):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
                if isinstance(node.body[0].value.value, str):
                    node.body = node.body[1:]
    return parsed


def reached(code: str) -> set[Definition]:
    """Return the definitions that code can reach: those of the names ``gp.…`` in it, and what these use in their turn.

    Each is a file and a name in it; the name ``"*"`` stands for all of the file. A name that is not one of the
    package's, ``getattr(gp, ...)`` and an import that does not name what it takes reach every file.

    Example:
        >>> sorted(name for path, name in gp.runs.reached("gp.interpolate(real, fake)") if path.stem == "penalties")
        ['', 'Tensor', 'interpolate', 'shares', 'torch']
    """
    everything = {(path, WHOLE) for path in PACKAGE.rglob("*.py")}
    package, named = importlib.import_module("gpcore"), set()
    for module, names in _IMPORT.findall(code):
        file = _file(PACKAGE.joinpath(*module.split(".")))
        if file is None:
            return everything
        named |= {(file, name.strip()) for name in names.split(",")}
    if re.search(r"getattr\(\s*gp\b|\bfrom gpcore\b|\bimport gpcore\.", _IMPORT.sub("", code)):
        return everything
    for name, attribute in re.findall(r"\bgp\.(\w+)(?:\.(\w+))?", code):
        value = getattr(package, name, None)
        module = value if inspect.ismodule(value) else inspect.getmodule(value)
        if module is None or not module.__name__.startswith("gpcore."):
            return everything
        named.add((Path(module.__file__), (attribute or WHOLE) if value is module else value.__name__))
    return closure(named, PACKAGE)


def closure(named: set[Definition], folder: Path) -> set[Definition]:
    """Return definitions of the package in ``folder`` together with all that they use."""
    todo, found = set(named), set()
    while todo:
        path, name = todo.pop()
        file = _read(path, path.read_text(encoding="utf-8"))
        if name and name not in file.binding:
            name = WHOLE
        if (path, name) in found:
            continue
        found.add((path, name))
        todo |= _used(file, name) | {(path, ON_IMPORT)}
        # The files of the folders on the way are run too.
        todo |= {(parent / "__init__.py", ON_IMPORT) for parent in path.parents if folder in parent.parents}
    return found


def code_of(definitions: set[Definition], folder: Path) -> str:
    """Return the code of definitions as text that changes where they do, and with nothing else."""
    parts = []
    for path, name in sorted(definitions):
        code = _code(_read(path, path.read_text(encoding="utf-8")), name)
        parts.append(f"{path.relative_to(folder).as_posix()} {name}\n{code}")
    return "\n".join(parts)


@functools.cache
def _read(path: Path, source: str) -> _File:
    file = _File(path, without_docstrings(source).body)
    for statement in file.statements:
        names = set(_bound(statement))
        for name in names:
            file.binding.setdefault(name, []).append(statement)
        if not names or any(_root(decorator) not in _PLAIN for decorator in getattr(statement, "decorator_list", ())):
            file.effects.append(statement)
        file.imported |= _imports(path, statement)
    return file


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds where it stands, functions and classes not entered."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    else:
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _root(decorator: ast.expr) -> str | None:
    while not isinstance(decorator, ast.Name):
        decorator = getattr(decorator, "func", None) or getattr(decorator, "value", None)
        if decorator is None:
            return None
    return decorator.id


def _imports(path: Path, node: ast.AST) -> dict[str, Definition]:
    """What the imports below a node bring in from the package, by the name that they give it."""
    found = {}
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and part.level:
            base = path.parents[part.level - 1].joinpath(*(part.module or "").split("."))
            for alias in part.names:
                inner = _file(base / alias.name)
                found[alias.asname or alias.name] = (inner, WHOLE) if inner else (_file(base), alias.name)
    return found


def _file(place: Path) -> Path | None:
    return next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)


def _statements(file: _File, name: str) -> list[ast.stmt]:
    """What gives a name its value, of an import its own part alone; and what the file does on import."""
    if name in (WHOLE, ON_IMPORT):
        return file.statements if name == WHOLE else file.effects
    return [_part(statement, name) for statement in file.binding.get(name, ())]


def _part(statement: ast.stmt, name: str) -> ast.stmt:
    if not isinstance(statement, (ast.Import, ast.ImportFrom)):
        return statement
    kept = [alias for alias in statement.names if name in (alias.asname, alias.name.split(".")[0])]
    if isinstance(statement, ast.Import):
        return ast.Import(kept)
    return ast.ImportFrom(statement.module, kept, statement.level)


@functools.cache
def _code(file: _File, name: str) -> str:
    return "\n".join(map(tree, _statements(file, name)))


@functools.cache
def _used(file: _File, name: str) -> frozenset[Definition]:
    """The definitions of the package that one of them uses."""
    found = set()
    for statement in _statements(file, name):
        known = file.imported | _imports(file.path, statement)
        if isinstance(statement, ast.ImportFrom) and name in known:
            found.add(known[name])
        found |= set(_uses(file, known, statement))
    return frozenset(found | set(file.imported.values()) if name == WHOLE else found)


def _uses(file: _File, known: dict[str, Definition], node: ast.AST) -> Iterator[Definition]:
    if isinstance(node, ast.Attribute):
        words = _dotted(node)
        if words and words[0] in known and known[words[0]][1] == WHOLE:
            path = known[words[0]][0]
            while len(words) > 1:
                words = words[1:]
                inner = _file(path.parent / words[0]) if path.name == "__init__.py" else None
                if inner is None:
                    yield path, words[0]
                    return
                path = inner
            yield path, WHOLE
            return
    if isinstance(node, ast.Name):
        if node.id in known:
            yield known[node.id]
        elif node.id in file.binding:
            yield file.path, node.id
    for child in ast.iter_child_nodes(node):
        yield from _uses(file, known, child)


def _dotted(node: ast.AST) -> list[str]:
    """``a.b.c`` as its words, or nothing."""
    words = []
    while isinstance(node, ast.Attribute):
        words.insert(0, node.attr)
        node = node.value
    return [node.id, *words] if isinstance(node, ast.Name) else []
