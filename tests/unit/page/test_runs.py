"""Hashes that see what changes a number and nothing else, checkpoints' names, records."""

import json
import shutil
import subprocess

import pytest

from gpcore import runs


@pytest.fixture
def package(tmp_path):
    (tmp_path / "a.py").write_text('"""Doc."""\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n')
    (tmp_path / "b.py").write_text("y = 2\n")
    return tmp_path


def test_documentation_and_layout_change_no_hash(package):
    before = runs.source_hash(package)
    (package / "a.py").write_text(
        '"""Other."""\n# a comment\ndef f(x):\n    """More."""\n    return (x +\n            1)\n'
    )
    assert runs.source_hash(package) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda p: (p / "a.py").write_text('"""Doc."""\n\ndef f(x):\n    """Doc."""\n    return x + 2\n'),
        lambda p: (p / "b.py").rename(p / "c.py"),
        lambda p: (p / "c.py").write_text("z = 1\n"),
        lambda p: (p / "b.py").write_text("y = '2'\n"),
    ],
)
def test_code_and_names_of_files_change_it(package, change):
    before = runs.source_hash(package)
    change(package)
    assert runs.source_hash(package) != before


def notebook(*cells):
    made = [
        {"cell_type": kind, "source": source, "metadata": {"tags": tags}, "outputs": outputs}
        for kind, source, tags, outputs in cells
    ]
    return json.dumps({"cells": made})


def test_only_code_counts_in_a_notebook(tmp_path):
    path = tmp_path / "n.ipynb"
    hashes = []
    for cells in (
        [("markdown", "text", [], []), ("code", "x = 1", [], [])],
        [("markdown", "other", [], []), ("code", "x = 1", ["hide-input"], [{"text": "1"}])],
        [("code", 'have = find_spec("gpcore")', [], []), ("code", "x = 1", [], [])],
        [("code", "seed = 3", ["injected-parameters"], []), ("code", ["x ", "= 1"], [], [])],
        [("code", "x = 2", [], [])],
    ):
        path.write_text(notebook(*cells))
        hashes.append(runs.notebook_hash(path))
    assert hashes[0] == hashes[1] == hashes[2] == hashes[3] != hashes[4]


def test_of_the_lock_only_what_gpcore_needs_counts(tmp_path):
    """A comment, a tool of the book's builder: nothing. A direct need, and the need of a need (networkx, of torch)."""
    path, lock = tmp_path / "n.ipynb", tmp_path / "lock"
    path.write_text(notebook(("code", "x = 1", [], [])))

    def inputs(text):
        lock.write_text(text)
        return runs.chapter_inputs(path, lock)

    first = inputs("numpy==1\nscikit_learn==1\nnetworkx==1\nsphinx==1\n")
    for same in ("# how\nnumpy==1\nscikit_learn==1\nnetworkx==1\n",
                 "numpy==1\nscikit_learn==1\nnetworkx==1\nsphinx==2\n"):  # fmt: skip
        assert inputs(same) == first
    for other in ("numpy==2\nscikit_learn==1\nnetworkx==1\n", "numpy==1\nscikit_learn==2\nnetworkx==1\n",
                  "numpy==1\nscikit_learn==1\nnetworkx==2\n"):  # fmt: skip
        found = inputs(other)
        assert {key for key in first if first[key] != found[key]} == {"lock"}


def test_the_page_s_script_counts_where_it_is_shown(tmp_path, monkeypatch):
    path, lock, package = tmp_path / "n.ipynb", tmp_path / "lock", tmp_path / "gpcore"
    (package / "page").mkdir(parents=True)
    monkeypatch.setattr(runs, "PACKAGE", package)
    monkeypatch.setattr(runs, "reached", lambda code: set())
    lock.write_text("a==1\n")
    found = {}
    for code in ("x = 1", "gp.widgets.playground(controls=['loss'])"):
        path.write_text(notebook(("code", code, [], [])))
        for script in ("one", "two"):
            (package / "page" / "playground.js").write_text(script)
            found[code[0], script] = runs.chapter_inputs(path, lock)
    assert found["x", "one"] == found["x", "two"]
    assert {key for key in found["g", "one"] if found["g", "one"][key] != found["g", "two"][key]} == {"playground"}


def test_provenance_names_code_and_machine():
    found = runs.provenance("cpu")
    assert found["source_hash"] == runs.source_hash() and found["device"] == "CPU, 1 thread"
    assert found["versions"].keys() >= {"python", "torch"} and "+" not in found["versions"]["torch"]
    if shutil.which("git") and (runs.PACKAGE.parent / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=runs.PACKAGE, capture_output=True, text=True)
        assert found["commit"] == head.stdout.strip()


RECORD = {"chapter": "06", "date": "2026-01-01T00:00:00Z", "device": "CPU", "wall_seconds": 1.0, "parameters": {}}


def test_the_newest_record_of_a_preset_is_found(tmp_path):
    assert runs.latest("06", "long", tmp_path) is None
    for folder, date in (
        ("06-long-a", "2026-01-02"),
        ("06-long-b", "2026-01-03"),
        ("06-long-c", "2026-01-01"),
        ("06-full-a", "2027-01-01"),
        ("07-long-a", "2027-01-01"),
    ):
        (tmp_path / folder).mkdir()
        runs.write_record(tmp_path / folder, RECORD | {"date": date, "measurements": []})
    assert runs.latest("06", "long", tmp_path)["folder"] == "06-long-b"
    assert runs.latest("06", "full", tmp_path)["folder"] == "06-full-a"


def test_an_incomplete_record_is_refused(tmp_path):
    with pytest.raises(ValueError, match="record must name measurements"):
        runs.write_record(tmp_path, RECORD)
