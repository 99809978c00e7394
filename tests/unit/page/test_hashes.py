"""What stales a chapter, and what is written whole or not at all."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gpcore import runs
from gpcore.page import evidence, study

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "pkg"
    (folder / "inner" / "deep").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "inner" / "b.py").write_text("y = 1\n")
    (folder / "inner" / "deep" / "c.py").write_text("async def f():\n    'Doc.'\n    return 1\n")
    (folder / "inner" / "claims.yml").write_text("- claim: a\n")
    (folder / "text.txt").write_text("words\n")
    (folder / "notes.md").write_text("notes\n")
    return folder


@pytest.mark.parametrize(
    ("name", "text", "counts"),
    [
        ("inner/b.py", "y = 2\n", True),
        ("inner/deep/c.py", "async def f():\n    'Doc.'\n    return 2\n", True),
        ("inner/deep/c.py", "async def f():\n    'Other words.'\n    return 1\n", False),
        ("inner/claims.yml", "- claim: b\n", True),
        ("text.txt", "other words\n", True),
        ("notes.md", "other notes\n", False),
        ("inner/new.py", "", True),
        ("a.py", "x = 1  # why\n", False),
        ("a.py", "x = 1.0\n", True),
        ("a.py", "'A string that is no docstring.' + ''\nx = 1\n", True),
    ],
)
def test_folders_within_folders_claims_and_texts_count(package, name, text, counts):
    before = runs.source_hash(package)
    (package / name).write_text(text)
    assert (runs.source_hash(package) != before) == counts


def test_a_file_that_moves_to_another_folder_counts(package):
    before = runs.source_hash(package)
    (package / "inner" / "b.py").rename(package / "b.py")
    assert runs.source_hash(package) != before


def test_of_definitions_that_are_named_the_others_do_not_count(package):
    named = {(package / "a.py", "*")}
    before = runs.source_hash(package, named)
    (package / "inner" / "b.py").write_text("y = 2\n")
    assert runs.source_hash(package, named) == before
    (package / "a.py").write_text("x = 2\n")
    assert runs.source_hash(package, named) != before


def test_the_order_of_cells_counts_and_where_they_end(tmp_path):
    path, seen = tmp_path / "n.ipynb", set()
    for cells in (["a\nb"], ["a", "b"], ["b", "a"], ["a", "b", ""]):
        made = [{"cell_type": "code", "source": source, "metadata": {}} for source in cells]
        path.write_text(json.dumps({"cells": made}))
        seen.add(runs.notebook_hash(path))
    assert len(seen) == 4


def test_what_differs_from_the_commit_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    for words in (["init", "-q"], ["add", "a.py"], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *words], cwd=tmp_path, check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    (tmp_path / "untracked.py").write_text("")
    clean = runs.provenance("cpu")
    assert (clean["commit"], clean["dirty"]) == (head, False)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert runs.provenance("cpu")["dirty"] is True


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "PACKAGE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = runs.provenance("cpu")
    assert (found["commit"], found["dirty"]) == (None, False)


def test_a_record_that_is_being_written_is_never_half_there(tmp_path, monkeypatch):
    """The disk is full in the middle: the older record stays whole."""
    path = tmp_path / "record.json"
    monkeypatch.setenv("GPCORE_RECORD", str(path))
    study.Study().measure("one", 1.0, always=(1, 1))
    before = path.read_text()
    whole = Path.write_text

    def full(self, text, **options):
        whole(self, text[: len(text) // 2], **options)
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        study.Study().measure("two", 2.0, always=(2, 2))
    assert path.read_text() == before
    monkeypatch.undo()
    monkeypatch.setenv("GPCORE_RECORD", str(path))
    study.Study().measure("three", 3.0, always=(3, 3))
    assert [m["name"] for m in json.loads(path.read_text())["measurements"]] == ["one", "three"]


def test_evidence_is_that_of_chapters_alone(tmp_path):
    for name in ("06.json", "12.json", "hashes.json", "006.json"):
        (tmp_path / name).write_text('{"claims": []}')
    assert list(evidence.load_evidence(tmp_path)) == ["06", "12"]


def test_a_record_names_all_that_it_must(tmp_path):
    whole = dict(chapter="06", date="d", device="CPU", wall_seconds=1.0, parameters={}, measurements=[])
    for name in whole:
        with pytest.raises(ValueError, match=f"record must name {name}$"):
            runs.write_record(tmp_path, {key: value for key, value in whole.items() if key != name})
    assert not os.listdir(tmp_path)
    assert json.loads(runs.write_record(tmp_path, whole).read_text()) == whole


def test_the_newest_record_is_that_of_the_latest_date_whatever_its_folder_is_called(tmp_path):
    for folder, date in (("06-long-20260102-b", "2026-01-02"), ("06-long-20260103-a", "2026-01-01")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "record.json").write_text(json.dumps({"date": date}))
    found = runs.latest("06", "long", tmp_path)
    assert found == {"date": "2026-01-02", "folder": "06-long-20260102-b"}
