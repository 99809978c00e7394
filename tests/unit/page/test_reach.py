"""What code can reach of a package: too much is slow, too little shows outputs that the code no longer gives."""

import pytest

from gpcore import runs
from gpcore.page import reach

FILES = {
    "__init__.py": "from .user import run\n",
    "user.py": """
import math
from math import pi, tau
from . import tools, unused
from .tools import help_me as helper
from .inner import deep
LIMIT = 3
def run(x):
    return helper(x) + LIMIT
def by_module(x):
    return tools.other(x)
def through_folders(x):
    return deep.leaf.bottom(x)
def lazily(x):
    from .inner.deep.leaf import bottom
    return bottom(x)
def lazily_too(x):
    from .tools import other as bottom
    return bottom(x)
def handed_on(x):
    return list(map(str, [tools]))
def handed_on_from_a_folder(x):
    return [deep.leaf]
def circle(x):
    return pi * math.sqrt(x)
class Kept:
    def method(self, x):
        return helper(x)
""",
    "tools.py": """
TABLE = {}
def help_me(x):
    return x
def other(x):
    return TABLE[x]
def listed(function):
    TABLE[function.__name__] = function
@listed
def registered():
    return secret()
def secret():
    return 1
def nobody():
    return 2
""",
    "unused.py": "def f():\n    return 1\n",
    "inner/__init__.py": "print\n",
    "inner/deep/__init__.py": "from . import leaf\n",
    "inner/deep/leaf.py": "def bottom(x):\n    return x\nif True:\n    def other():\n        return 0\n",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def closure(package, name, file="user.py"):
    found = reach.closure({(package / file, name)}, package)
    return {(path.relative_to(package).as_posix(), name) for path, name in found if name}


ON_IMPORT_OF_TOOLS = {("tools.py", name) for name in ("TABLE", "listed", "secret")}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("run", {("user.py", "LIMIT"), ("tools.py", "help_me"), *ON_IMPORT_OF_TOOLS}),
        ("by_module", {("tools.py", "other"), *ON_IMPORT_OF_TOOLS}),
        ("through_folders", {("inner/deep/leaf.py", "bottom")}),
        ("lazily", {("inner/deep/leaf.py", "bottom")}),
        ("lazily_too", {("tools.py", "other"), *ON_IMPORT_OF_TOOLS}),
        ("handed_on", {("tools.py", "*"), *ON_IMPORT_OF_TOOLS}),
        ("handed_on_from_a_folder", {("inner/deep/leaf.py", "*")}),
        ("circle", {("user.py", "pi"), ("user.py", "math")}),
        ("Kept", {("tools.py", "help_me"), *ON_IMPORT_OF_TOOLS}),
        ("tools", {("tools.py", "*"), *ON_IMPORT_OF_TOOLS}),
    ],
)
def test_a_definition_reaches_what_it_uses_and_what_its_files_do_on_import(package, name, more):
    assert closure(package, name) == {("user.py", name), *more}


def hashed(package, name="run"):
    return runs.source_hash(package, reach.closure({(package / "user.py", name)}, package))


@pytest.mark.parametrize(
    ("file", "stands", "put", "counts"),
    [
        ("tools.py", "return 2", "return 3", False),  # nobody names it
        ("tools.py", "return x", "return x + 1", True),
        ("tools.py", "return 1", "return 4", True),  # used by what the file registers when it is imported
        ("tools.py", "@listed\n", "", True),
        ("user.py", "LIMIT = 3", "LIMIT = 4", True),
        ("user.py", "import help_me as helper", "import other as helper", True),
        ("user.py", "pi, tau", "pi, tau, e", False),
        ("unused.py", "return 1", "return 2", False),
        ("inner/__init__.py", "print", "print()", False),
        ("user.py", "def run", "raise_it()\ndef run", True),  # done on import
        ("user.py", "LIMIT = 3", "LIMIT = 3\nLIMIT += 1", True),
        ("user.py", "LIMIT = 3", "LIMIT = 3\nOTHER = 1", False),
    ],
)
def test_a_change_counts_where_it_can_be_reached(package, file, stands, put, counts):
    before = hashed(package)
    text = (package / file).read_text()
    assert text.count(stands) == 1
    (package / file).write_text(text.replace(stands, put))
    assert (hashed(package) != before) == counts


def test_the_folders_on_the_way_are_run_too(package):
    before = hashed(package, "lazily")
    (package / "inner/__init__.py").write_text("print()\n")
    assert hashed(package, "lazily") != before


def test_a_name_that_moves_to_another_file_counts(package):
    definitions = [{(package / file, "f")} for file in ("unused.py", "moved.py")]
    (package / "moved.py").write_text(FILES["unused.py"])
    assert len({runs.source_hash(package, found) for found in definitions}) == 2


def names(code):
    return {(path.relative_to(runs.PACKAGE).with_suffix("").as_posix(), name) for path, name in runs.reached(code)}


def files(code):
    return {file for file, _ in names(code)}


def test_a_chapter_reaches_what_it_names_and_what_that_uses():
    training = files("gp.train_many(config, seeds)")
    assert {"training/adversarial", "training/replicas", "sweep/passes", "penalties", "_checks"} <= training
    assert not {name for name in training if name.startswith(("check", "page"))} and "dirac" not in training
    checker = files("gp.check(mine)")
    assert {"check/penalty", "check/judges/law", "check/report"} <= checker
    assert not {name for name in checker if name.startswith(("training", "sweep", "page"))}
    # A module by name, a function that is imported lazily, and the folders' own files.
    assert "page/surfaces" in files("gp.plots.samples(ax, x)") and "page/figures" in files("gp.show(fig)")
    assert "training/__init__" in training
    # One name of a module, and all of it where the module itself is handed on.
    assert ("data", "digits") in names("gp.data.digits()") and ("data", "swiss_roll") not in names("gp.data.digits()")
    assert ("data", "*") in names("x = gp.data")


def test_an_import_that_names_what_it_takes_reaches_that():
    one = runs.reached("from gpcore.data import digits, swiss_roll\nx = 1")
    assert one == runs.reached("gp.data.digits(gp.data.swiss_roll)")
    inner = {name for path, name in runs.reached("    from gpcore.training.loop import seeded") if path.stem == "loop"}
    assert inner == {"", "Callable", "nn", "seeded", "torch"}


@pytest.mark.parametrize(
    "code",
    ["gp.nothing_of_the_kind()", "getattr(gp, x)", "from gpcore import data", "import gpcore.data",
     "from gpcore.data import *", "from gpcore.data import digits as d", "from gpcore.nowhere import x"],
)  # fmt: skip
def test_what_cannot_be_told_reaches_everything(code):
    assert runs.reached(code) == {(path, "*") for path in runs.PACKAGE.rglob("*.py")}
