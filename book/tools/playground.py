"""Put the living page into one script that needs nothing else: gpcore/playground.js, from book/playground.

    python book/tools/playground.py

The modules are written one behind the other, those that are imported first, inside one function. Imports and the word
``export`` go, and so do comments and indentation; every name at the top of a module must therefore be the only one of
its kind. The script stands inside the package, so that it can be shown from a notebook wherever gpcore is installed.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET = ROOT / "book" / "playground", ROOT / "gpcore" / "page" / "playground.js"
HEAD = "// Made by book/tools/playground.py from the modules in book/playground, which are written to be read.\n"
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
TOP_LEVEL = re.compile(
    r"^(?:async )?(?:function\*?|const|let|class) (?:\{ ([^}]*) \}|\[([^\]]*)\]|(\w+))", re.MULTILINE
)


def ordered(name: str) -> list[str]:
    """The modules that ``name`` needs, each after those that it imports; itself last."""
    found = []
    for other in IMPORT.findall((SOURCE / name).read_text(encoding="utf-8")):
        found += [module for module in ordered(other) if module not in found]
    return [*found, name]


def module(name: str) -> str:
    """A module's lines without imports, exports, comments, indentation and empty lines."""
    text = IMPORT.sub("", (SOURCE / name).read_text(encoding="utf-8"))
    if re.search(r"^\s*import\b", text, re.MULTILINE):
        raise ValueError(f"{name} imports in a form that is not known here")
    lines = map(str.strip, text.splitlines())
    kept = [line.removeprefix("export ") for line in lines if line and not line.startswith("//")]
    return "\n".join(kept)


def names(text: str) -> list[str]:
    """What a module declares at its top."""
    text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
    groups = (next(filter(None, match)) for match in TOP_LEVEL.findall(text))
    return [name.split(":")[-1].strip() for group in groups for name in group.split(",")]


def bundle() -> str:
    """The whole script."""
    modules = ordered("main.js")
    declared = [name for path in modules for name in names((SOURCE / path).read_text(encoding="utf-8"))]
    twice = sorted({name for name in declared if declared.count(name) > 1})
    if twice:
        raise ValueError(f"two modules declare {', '.join(twice)}")
    content = "\n".join(map(module, modules))
    if "</script" in content:
        raise ValueError("the script must be able to stand inside a page")
    return f'{HEAD}(function livingPage() {{\n"use strict";\n{content}\n}})();\n'


if __name__ == "__main__":
    TARGET.write_text(bundle(), encoding="utf-8")
    print(f"book: {TARGET.name} has {TARGET.stat().st_size / 1000:.1f} kB")
