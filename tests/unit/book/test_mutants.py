"""The lists of planted mistakes: every text stands where it is said to, every test is there, and the runner tells."""

import ast
import re

import mutants
import pytest

MISTAKES = mutants.load()


def defined(path):
    """The names of the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_text_is_found_once_and_something_else_is_put_there():
    for mistake in MISTAKES:
        text = (mutants.ROOT / mistake.file).read_text(encoding="utf-8")
        assert text.count(mistake.stands) == 1 and mistake.stands != mistake.wrong, f"{mistake} in {mistake.kind}"


def test_what_is_planted_can_be_read_as_python():
    """A mistake that no interpreter takes would be noticed by every test."""
    for mistake in (m for m in MISTAKES if m.file.endswith(".py")):
        text = (mutants.ROOT / mistake.file).read_text(encoding="utf-8")
        ast.parse(text.replace(mistake.stands, mistake.wrong), str(mistake))


def test_every_mistake_names_tests_that_are_there():
    names = {}
    for mistake in MISTAKES:
        assert mistake.tests, mistake
        for test in mistake.tests:
            file, _, name = test.partition("::")
            path = mutants.ROOT / mutants.UNIT / file
            if path not in names:
                names[path] = defined(path)
            assert not name or name in names[path], f"{mistake}: there is no {test}"


def test_there_are_a_hundred_mistakes_and_none_twice():
    assert len(MISTAKES) >= 100
    places = [(m.file, m.stands, m.wrong) for m in MISTAKES]
    assert len(set(places)) == len(places)
    for path in mutants.LISTS.glob("*.yml"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path.name
    assert all(re.search(r"\w", m.explained) for m in MISTAKES if m.explained)


def mistake(**changes):
    words = dict(kind="k", file="code.py", stands="+ 1", wrong="+ 2", tests=("test_code.py",))
    return mutants.Mistake(**words | changes)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy with one function and one test of it; tests are run by reading which number the code adds."""
    (tmp_path / "code.py").write_text("def f(x):\n    return x + 1\n")

    def run(folder, tests):
        assert tests == ["tests/unit/test_code.py"]
        text = (folder / "code.py").read_text()
        return 2 if "?" in text else None if "while" in text else 0 if "+ 1" in text else 1

    monkeypatch.setattr(mutants, "run", run)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "killed"),
        ({"wrong": "+ 1 + 0"}, "survived"),
        ({"wrong": "+ 1 + 0", "explained": "nothing is added"}, "explained"),
        ({"wrong": "+ ?"}, "not run"),
        ({"wrong": "while"}, "killed"),
    ],
)
def test_a_mistake_is_judged_and_taken_out_again(copy, changes, result):
    path = copy / "code.py"
    before, stat = path.read_bytes(), path.stat()
    assert mutants.judge(copy, mistake(**changes)) == result
    assert path.read_bytes() == before and path.stat().st_mtime_ns == stat.st_mtime_ns


@pytest.mark.parametrize("stands", ["+ 3", "x", "+ 2"])
def test_a_text_that_is_not_there_once_is_said_to_be(copy, stands):
    with pytest.raises(ValueError, match="code.py must hold this text once"):
        mutants.judge(copy, mistake(stands=stands))


def test_the_table_counts_kind_by_kind():
    lines = mutants.table([mistake(), mistake(), mistake(kind="other")], ["killed", "survived", "killed"]).splitlines()
    assert [line.split() for line in lines] == [
        ["killed", "survived", "explained", "not", "run"],
        ["k", "1", "1", "0", "0"],
        ["other", "1", "0", "0", "0"],
        ["all", "2", "1", "0", "0"],
    ]
