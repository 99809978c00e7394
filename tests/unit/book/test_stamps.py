"""When the tools call something done: stamps and hashes of what was there before, and nothing written over an edit."""

import json
import os
import subprocess
import threading

import build_site
import chapters
import execute
import nbformat
import pytest
import record
from nbclient.exceptions import CellTimeoutError

from gpcore import runs

# --- the built site


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A repository of two sources; a function that builds it with a stand-in for Jupyter Book."""
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    monkeypatch.setattr(build_site, "BUILD", tmp_path / "_build")
    monkeypatch.setattr(build_site, "STAMP", tmp_path / "_build" / "site.sha256")
    (tmp_path / "book").mkdir()
    (tmp_path / "_config.yml").write_text("title: a\n")
    (tmp_path / "book" / "page.md").write_text("words\n")
    (tmp_path / ".gitignore").write_text("_build/\n*.tmp\n")
    run = subprocess.run
    for words in (["init", "-q"], ["add", "."]):
        run(["git", *words], cwd=tmp_path, check=True)

    def build(returncode=0, during=lambda: None):
        commands = []

        def stand_in(command, **options):
            if command[0] == "git":
                return run(command, **options)
            commands.append(command)
            during()
            (tmp_path / "_build" / "html").mkdir(parents=True, exist_ok=True)
            (tmp_path / "_build" / "html" / "index.html").write_text("<html>")
            return subprocess.CompletedProcess(command, returncode)

        monkeypatch.setattr(build_site.subprocess, "run", stand_in)
        build_site.build()
        return commands

    build.root = tmp_path
    return build


def test_a_site_is_fresh_until_a_source_changes(site):
    assert not build_site.fresh()
    (command,) = site()
    assert build_site.fresh() and {"-W", "-n", "--keep-going"} <= set(command)
    for name, text, stays in (
        ("_config.yml", "title: b\n", False),
        ("book/new.md", "more\n", False),
        ("book/left.tmp", "ignored\n", True),
        ("README.md", "no part of the site\n", True),
    ):
        site()
        (site.root / name).write_text(text)
        assert build_site.fresh() == stays, name
    site()
    (site.root / "book" / "page.md").rename(site.root / "book" / "other.md")
    assert not build_site.fresh()
    site()
    (site.root / "_build" / "html" / "index.html").unlink()
    assert not build_site.fresh()


def test_what_is_edited_during_the_build_makes_the_site_old(site):
    site(during=lambda: (site.root / "book" / "page.md").write_text("other words\n"))
    assert not build_site.fresh()


def test_a_build_that_failed_leaves_no_stamp_and_nothing_of_an_earlier_one(site):
    site()
    (site.root / "_build" / "html" / "left.html").write_text("<html>")
    with pytest.raises(SystemExit, match="the build failed"):
        site(returncode=1)
    assert not build_site.STAMP.exists() and not build_site.fresh()
    assert not (site.root / "_build" / "html" / "left.html").exists()


def test_a_build_that_was_killed_leaves_no_stamp(site):
    site()

    def kill():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site(during=kill)
    assert not build_site.STAMP.exists()


# --- chapters that are executed


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A chapter, and a function that executes it with a stand-in for the kernel that does what it is told."""
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(chapters, "EVIDENCE", tmp_path / "book" / "evidence")
    monkeypatch.setattr(execute, "HASHES", tmp_path / "book" / "evidence" / "hashes.json")
    monkeypatch.setattr(execute, "inputs", lambda path: {"cells": path.read_text()})
    path = tmp_path / "notebooks" / "06_toy.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="a")]), path)

    def run(action=lambda env: None):
        class StandIn:
            def __init__(self, notebook, **options):
                self.notebook, self.options = notebook, options

            def execute(self, env):
                assert self.options["resources"]["metadata"]["path"] == str(path.parent)
                action(env)
                out = nbformat.v4.new_output("stream", name="stdout", text="new\n")
                self.notebook.cells[0].outputs = [out]

        monkeypatch.setattr(execute, "NotebookClient", StandIn)
        return execute.execute(path, execute.Progress())

    run.path = path
    return run


def test_an_edit_during_execution_is_not_written_over(chapter):
    edited = chapter.path.read_text().replace('"1"', '"2"')
    failure = chapter(lambda env: chapter.path.write_text(edited))
    assert "06_toy.ipynb was edited while it was executed" in failure
    assert chapter.path.read_text() == edited and not execute.HASHES.exists()


def test_the_hashes_kept_are_those_of_before_the_execution(chapter, monkeypatch):
    """A file of gpcore that changes meanwhile stales the chapter."""
    now = {"gpcore": "before"}
    monkeypatch.setattr(execute, "inputs", lambda path: dict(now))
    assert chapter(lambda env: now.update(gpcore="after")) is None
    assert json.loads(execute.HASHES.read_text()) == {"06_toy": {"gpcore": "before"}}
    assert execute.stale([chapter.path]) == [chapter.path]


def test_a_kernel_that_dies_leaves_everything_as_it_was(chapter):
    def too_long(env):
        raise CellTimeoutError("a cell timed out")

    before = chapter.path.read_bytes()
    assert "timed out" in chapter(too_long)
    assert chapter.path.read_bytes() == before and not execute.HASHES.exists()


def test_what_is_measured_no_more_leaves_no_evidence(chapter):
    evidence = chapters.EVIDENCE / "06.json"

    def measure(env):
        with open(env["GPCORE_RECORD"], "w") as file:
            file.write('{"claims": [], "measurements": []}')

    assert chapter(measure) is None
    assert json.loads(evidence.read_text()) == {"claims": [], "measurements": []}
    assert chapter() is None
    assert not evidence.exists()


def test_an_earlier_runs_settings_do_not_reach_the_kernel(chapter, monkeypatch):
    monkeypatch.setenv("GPCORE_RECORD", "of an earlier run")
    monkeypatch.setenv("GPCORE_CHECKPOINTS", "of an earlier run")
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    seen = {}
    assert chapter(seen.update) is None
    assert "GPCORE_CHECKPOINTS" not in seen and seen["GPCORE_RECORD"] != "of an earlier run"
    assert seen["KEPT"] == "yes" and seen["GPCORE_PROGRESS"] == "0"
    assert seen["PYTHONPATH"].split(os.pathsep) == [str(chapters.ROOT), "elsewhere"]


def test_hashes_of_other_chapters_stay_and_of_those_that_are_gone_go(chapter):
    other = chapter.path.with_name("07_other.ipynb")
    other.write_text("{}")
    execute.remember(other, {"cells": "o"})
    gone = chapter.path.with_name("08_gone.ipynb")
    execute.remember(gone, {"cells": "g"})
    execute.remember(chapter.path, {"cells": "t"})
    assert json.loads(execute.HASHES.read_text()) == {"06_toy": {"cells": "t"}, "07_other": {"cells": "o"}}


# --- runs that are recorded


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.json"
    chapters.write_atomically(path, "first")

    def dies(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        chapters.write_atomically(path, "second")
    assert path.read_text() == "first"


def test_the_clock_of_a_run_that_will_be_killed_is_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "RUNS", tmp_path)
    monkeypatch.setattr(record, "HEARTBEAT", 0.01)
    partial, finished, written = record.Partial("06-long", {}, fresh=False), threading.Event(), threading.Event()
    save = partial.save
    monkeypatch.setattr(partial, "save", lambda: (save(), written.set()))
    partial.since -= 100.0
    thread = threading.Thread(target=partial.keep_time, args=(finished,))
    thread.start()
    assert written.wait(10)
    finished.set()
    thread.join()
    assert json.loads(partial.file.read_text())["wall_seconds"] >= 100.0


def test_folders_of_one_day_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "RUNS", tmp_path)
    for name in ("run", "run-2", "run-3"):
        assert record.free_folder("run") == tmp_path / name
        (tmp_path / name).mkdir()


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """An unfinished run in its second start, and what finishing it needs."""
    monkeypatch.setattr(chapters, "RUNS", tmp_path / "runs")
    (tmp_path / "06_toy.ipynb").write_text('{"cells": []}')
    for _ in range(2):
        partial = record.Partial("06-long", {}, fresh=False)
    cell = nbformat.v4.new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), partial.folder / "notebook.ipynb")
    claims = [{"seeds": [101, 100]}, {"seeds": [101, 102]}]
    measured = {"claims": claims, "measurements": []}
    return partial, tmp_path / "06_toy.ipynb", {"preset": "long"}, measured, {"device": "CPU", "source_hash": "0" * 16}


def test_a_finished_run_says_its_seeds_and_how_often_it_was_resumed(unfinished):
    target = record.finish(*unfinished)
    found = json.loads((target / "record.json").read_text())
    assert (found["chapter"], found["resumed"], found["seeds"]) == ("06", 1, [100, 101, 102])
    assert target.name.startswith("06-long-20") and target.name.endswith("-00000000")
    assert [path.name for path in chapters.RUNS.iterdir()] == [target.name]


def test_a_run_that_cannot_be_recorded_is_not_lost(unfinished, monkeypatch):
    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(runs, "write_record", full)
    with pytest.raises(OSError, match="no space"):
        record.finish(*unfinished)
    assert [path.name for path in chapters.RUNS.iterdir()] == [".partial-06-long"]
    assert (unfinished[0].folder / "notebook.ipynb").exists()
