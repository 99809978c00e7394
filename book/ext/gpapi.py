"""The reference of ``gpcore``: a table per module with each name as it is typed, then its documentation and source."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import gpbook
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

# How a module is called where it is typed; the others are named by their path.
MODULES = {f"gpcore.page.{name}": f"gpcore.{name}" for name in ("figures", "plots", "widgets", "evidence", "runs")}
MODULES["gpcore.page.surfaces"] = "gpcore.plots"

# The modules of which every public name is documented, besides the names of the package itself.
ROOMS = {"losses", "penalties", "lipschitz", "scaling", "per_sample", "dirac", "data", "datasets", "models", "metrics"}
ROOMS |= {"blocks", "thresholds", "norm_log"}
ROOMS |= {"figures", "plots", "widgets", "evidence", "runs"}


def public(module: str) -> dict[str, object]:
    """Return the public functions and classes that a module defines, by the names under which they are typed.

    A module may say in ``__all__`` which of its names are for readers. Of a folder's files, those of ``ROOMS`` apart,
    only what can be typed as ``gp.name`` is.
    """
    package, found = importlib.import_module("gpcore"), importlib.import_module(module)
    home, names = MODULES.get(module, module), {}
    for name, value in vars(found).items():
        here = getattr(value, "__module__", None) == module
        if name.startswith("_") or not here or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if name not in getattr(found, "__all__", [name]):
            continue
        if getattr(package, name, None) is value:
            names[f"gpcore.{name}"] = value
        elif home.split(".")[1] in ROOMS:
            names[f"{home}.{name}"] = value
    return dict(sorted(names.items(), key=lambda item: inspect.getsourcelines(item[1])[1]))


def first_sentence(value) -> str:
    """Return the first sentence of a docstring."""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.:!?]) (?=[A-Z`(])", text)[0]


def _directive(name: str, value) -> str:
    """Return the directive that documents an object; the fields of a record stand in its docstring already."""
    if not inspect.isclass(value):
        return f".. autofunction:: {name}\n"
    fields = getattr(value, "__dataclass_fields__", getattr(value, "_fields", ()))
    leave_out = f"\n   :exclude-members: {', '.join(fields)}" if fields else ""
    return f".. autoclass:: {name}\n   :members:{leave_out}\n"


class Reference(Directive):
    """``{reference} gpcore.losses``: the names of one or several modules, separated by spaces."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list:
        rows, documented = [], []
        for module in self.arguments[0].split():
            for name, value in public(module).items():
                typed = name.replace("gpcore.", "gp.", 1)
                rows.append(f"   * - :py:obj:`{typed} <{name}>`\n     - {first_sentence(value)}")
                documented.append(_directive(name, value))
        table = ".. list-table::\n   :widths: 35 65\n   :header-rows: 1\n\n   * - name\n     - what it does\n"
        text = "```{eval-rst}\n" + table + "\n".join(rows) + "\n\n" + "\n".join(documented) + "\n```"
        return self.parse(text)

    def parse(self, text: str) -> list:
        from docutils import nodes

        holder = nodes.section()
        holder.document = self.state.document
        self.state.nested_parse(StringList(text.splitlines(), source="reference"), self.content_offset, holder)
        return holder.children


def source_link(app, domain: str, info: dict) -> str | None:
    """Return the address of an object's source in the repository."""
    if domain != "py" or not info["module"]:
        return None
    value = importlib.import_module("gpcore")
    for part in f"{info['module']}.{info['fullname']}".split(".")[1:]:
        value = getattr(value, part, None)
    value = inspect.unwrap(value.fget if isinstance(value, property) else value) if value is not None else None
    try:
        path, (lines, start) = Path(inspect.getsourcefile(value)), inspect.getsourcelines(value)
    except (TypeError, OSError):
        return None
    place = path.resolve().relative_to(gpbook.ROOT).as_posix()
    return f"{app.config.html_theme_options['repository_url']}/blob/main/{place}#L{start}-L{start + len(lines) - 1}"


def as_typed(app, pagename, templatename, context, doctree) -> None:
    """Show names as a reader types them after ``import gpcore as gp``."""
    if pagename.startswith("book/api"):
        prefix = r'(<span class="sig-prename descclassname"><span class="pre">)gpcore\.'
        context["body"] = re.sub(prefix, r"\1gp.", context.get("body", ""))


def configure(app, config) -> None:
    config.linkcode_resolve = lambda domain, info: source_link(app, domain, info)


def setup(app) -> dict:
    app.add_directive("reference", Reference)
    app.connect("config-inited", configure, priority=100)
    app.connect("html-page-context", as_typed)
    return {"parallel_read_safe": True}
