"""The tools that execute, clean and record chapters, tried on a small notebook in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import chapters
import execute
import nbformat
import pytest
import record
import torch
from nbclient import NotebookClient

import gpcore as gp

ROOT = Path(__file__).resolve().parents[3]
PARAMETERS = 'preset = "fast"\ndevice = "auto"\nseed = 0'
MEASURE = """
import json, os, pathlib
values = [float(x) for x in (1, 2)]
if path := os.environ.get("GPCORE_RECORD"):
    pathlib.Path(path).write_text(json.dumps({"claims": [], "measurements": [{"name": "m", "values": values}]}))
print("exact")
"""
WIDGET = """
from IPython.display import display
view = {"application/vnd.jupyter.widget-view+json": {"model_id": "0", "version_major": 2, "version_minor": 0}}
display({"text/plain": "figure", "text/html": "<p>figure</p>"} | view, raw=True)
"""
TRAIN = """
import gpcore as gp
study = gp.Study(preset, device, seed, n_seeds=3)
config = gp.Config(steps=study.steps(fast=50), n_critic=1, batch_size=8, width=8, depth=1, checkpoint_every=20)
runs = gp.train_many(config, study.seeds, resume=study.checkpoint("toy"))
study.measure("loss", gp.final(runs, "critic_loss"), fast=(-100, 100));
"""


def notebook(*sources: str) -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (PARAMETERS, *sources)]
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    cells[0].metadata["tags"] = ["parameters"]
    return nbformat.v4.new_notebook(cells=cells, metadata=chapters.METADATA)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A book of one chapter: a function that writes it and returns its path."""
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(chapters, "EVIDENCE", tmp_path / "book" / "evidence")
    monkeypatch.setattr(execute, "HASHES", tmp_path / "book" / "evidence" / "hashes.json")
    (tmp_path / "notebooks").mkdir()

    def write(*sources: str) -> Path:
        path = tmp_path / "notebooks" / "06_toy.ipynb"
        nbformat.write(notebook(*sources), path)
        return path

    return write


def test_a_chapter_is_found_by_number_and_name(book):
    path = book("1")
    assert all(chapters.find(name) == path for name in ("6", "06", "06_toy", "06_toy.ipynb"))
    for name in ("7", "", "toy"):
        with pytest.raises(SystemExit, match="there are: 06_toy"):
            chapters.find(name)


def test_execution_writes_outputs_evidence_and_hashes(book):
    path = book(MEASURE, WIDGET)
    assert execute.stale([path]) == [path]
    assert execute.execute(path, execute.Progress()) is None
    executed = nbformat.read(path, as_version=4)
    assert executed.metadata == chapters.METADATA
    assert [cell.id for cell in executed.cells] == ["cell-0", "cell-1", "cell-2"]
    (printed,) = executed.cells[1].outputs
    assert (printed.name, printed.text) == ("stdout", "exact\n")
    (shown,) = executed.cells[2].outputs
    assert shown.data == {"text/plain": "figure", "text/html": "<p>figure</p>"}
    record = json.loads((chapters.EVIDENCE / "06.json").read_text())
    assert record["measurements"] == [{"name": "m", "values": [1.0, 2.0]}]
    assert execute.stale([path]) == []
    # The same again, to the byte.
    before = path.read_bytes()
    assert execute.execute(path, execute.Progress()) is None
    assert path.read_bytes() == before
    # Text stales nothing, code does.
    executed.cells.append(nbformat.v4.new_markdown_cell("more"))
    nbformat.write(executed, path)
    assert execute.stale([path]) == []
    executed.cells[1].source += "\n1"
    nbformat.write(executed, path)
    assert execute.stale([path]) == [path]


def test_a_change_of_gpcore_or_of_the_lock_stales_every_chapter(book, monkeypatch):
    path = book("1")
    for changed in ("gpcore", "lock"):
        execute.remember(path, execute.inputs(path))
        assert execute.stale([path]) == []
        present = execute.inputs(path)
        with monkeypatch.context() as context:
            context.setattr(execute, "inputs", lambda path, now=present | {changed: "other"}: now)
            assert execute.stale([path]) == [path]


def test_a_chapter_that_writes_to_stderr_fails_and_the_text_is_shown(book):
    path = book("print('a')", "import warnings\nwarnings.warn('a scalar is made of a tensor', stacklevel=1)")
    before = path.read_bytes()
    failure = execute.execute(path, execute.Progress())
    assert "cell 2 wrote to stderr" in failure and "UserWarning: a scalar is made of a tensor" in failure
    assert path.read_bytes() == before and not execute.HASHES.exists()


def test_a_progress_bar_leaves_nothing_in_the_file(book):
    bar = "import gpcore\nbar = gpcore.training.loop.progress_bar(3, 0, 'train')\nbar.update(2)\nbar.close()"
    environment = chapters.environment(GPCORE_PROGRESS="1")
    ran = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(bar + "\nprint('done')")])
    NotebookClient(ran, extra_arguments=chapters.KERNEL_ARGUMENTS).execute(env=environment)
    assert {output.name for output in ran.cells[0].outputs} == {"stdout"}
    assert "train" in ran.cells[0].outputs[0].text
    chapters.clean(ran)
    assert [output.text for output in ran.cells[0].outputs] == ["done\n"]


def test_a_failing_chapter_is_left_as_it_was(book):
    path = book("print('a')", "value = 1 / 0")
    before = path.read_bytes()
    failure = execute.execute(path, execute.Progress())
    assert "cell 2 failed" in failure and "value = 1 / 0" in failure and "ZeroDivisionError" in failure
    assert path.read_bytes() == before
    assert not execute.HASHES.exists() and not list(path.parent.glob(".*.part*"))


@pytest.mark.parametrize(
    "source, message", [("print('x' * 1_100_000)", "at most 1 MB"), ("import os; os.getcwd()", "names a folder")]
)
def test_outputs_that_do_not_belong_in_a_repository_are_refused(book, monkeypatch, source, message):
    path = book(source)
    monkeypatch.setattr(chapters, "ROOT", path.parent.parent)
    monkeypatch.setattr(execute, "inputs", lambda path: {})
    before = path.read_bytes()
    assert message in execute.execute(path, execute.Progress())
    assert path.read_bytes() == before


def test_what_a_cell_prints_is_one_output(book):
    path = book("import time; print('a', flush=True); time.sleep(0.5); print('b'); display(1); print('c')")
    assert execute.execute(path, execute.Progress()) is None
    _, *outputs = nbformat.read(path, as_version=4).cells
    kinds = [(output.output_type, output.get("text")) for output in outputs[0].outputs]
    assert kinds == [("stream", "a\nb\n"), ("display_data", None), ("stream", "c\n")]


def test_parameters_of_a_recorded_run_are_checked(book):
    known = record.known_parameters(book("1"))
    assert known == {"preset": "fast", "device": "auto", "seed": 0}
    assert record.parse(["seed=3", "device=cpu"], known) == {"seed": 3, "device": "cpu"}
    for wrong, message in {
        "sed=1": "unknown parameter, 'sed'; this chapter has: preset, device, seed",
        "effort=0.1": "unknown parameter, 'effort'",
        "seed": "must read name=value",
        "seed=": "must read name=value",
        "seed=0.5": "seed must be like 0",
        "preset=fast": "cannot set preset",
    }.items():
        with pytest.raises(SystemExit, match=message):
            record.parse([wrong], known)


def test_an_unfinished_run_goes_on_with_the_same_settings_only(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "RUNS", tmp_path)
    first = record.Partial("06-long", {"parameters": {"seed": 0}, "source_hash": "a"}, fresh=False)
    first.state["wall_seconds"] = 50.0
    chapters.write_atomically(first.file, json.dumps(first.state))
    again = record.Partial("06-long", {"parameters": {"seed": 0}, "source_hash": "a"}, fresh=False)
    assert again.state["starts"] == 2 and again.state["wall_seconds"] >= 50.0
    for other in ({"parameters": {"seed": 1}, "source_hash": "a"}, {"parameters": {"seed": 0}, "source_hash": "b"}):
        with pytest.raises(SystemExit, match="other settings.*FRESH=1 to start anew"):
            record.Partial("06-long", other, fresh=False)
    fresh = record.Partial("06-long", {"parameters": {"seed": 1}, "source_hash": "a"}, fresh=True)
    assert fresh.state["starts"] == 1 and fresh.state["wall_seconds"] < 50.0


def test_a_long_run_that_was_killed_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    """Killed in a process of its own, finished in this one; the uninterrupted numbers are those of the bare loop."""
    for name in ("gpcore", "book/tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "requirements.lock").write_text("a==1\n")
    nbformat.write(notebook(TRAIN), tmp_path / "notebooks" / "06_toy.ipynb")
    partial = tmp_path / "book" / "runs" / ".partial-06-long"

    command = [sys.executable, str(tmp_path / "book" / "tools" / "record.py"), "--preset", "long", "--chapter", "06"]
    killed = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    waited = time.monotonic()
    while not (partial / "checkpoints" / "toy").exists() and time.monotonic() - waited < 120:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert [path.name for path in partial.parent.iterdir()] == [partial.name]
    step = torch.load(partial / "checkpoints" / "toy", weights_only=True)["step"]
    assert 0 < step < 500  # of the five hundred of the long preset
    # What the killed start measured halfway must not be taken for the resumed one's.
    chapters.write_atomically(partial / "measured.json", json.dumps({"claims": [], "measurements": [{"name": "x"}]}))

    for name, value in (("ROOT", ""), ("NOTEBOOKS", "notebooks"), ("RUNS", "book/runs")):
        monkeypatch.setattr(chapters, name, tmp_path / value)
    for name in ("GPCORE_RECORD", "GPCORE_CHECKPOINTS", "PYTHONPATH"):
        monkeypatch.setenv(name, "")  # the tool sets them; afterwards they are as they were
    monkeypatch.setattr(sys, "argv", command[1:])
    record.main()
    (folder,) = partial.parent.iterdir()
    found = json.loads((folder / "record.json").read_text())
    assert found["resumed"] == 1 and found["parameters"] == {"preset": "long", "device": "auto", "seed": 0}
    (measured,) = found["measurements"]
    config = gp.Config(steps=500, n_critic=1, batch_size=8, width=8, depth=1, device="cpu")
    whole = gp.train_many(config, (100, 101, 102))
    assert measured["values"] == gp.final(whole, "critic_loss") and len(measured["values"]) == 3
    executed = nbformat.read(folder / "notebook.ipynb", as_version=4)
    assert executed.cells[1].metadata.tags == ["injected-parameters", "remove-cell"]
    assert executed.metadata == chapters.METADATA and "papermill" not in (folder / "notebook.ipynb").read_text()
