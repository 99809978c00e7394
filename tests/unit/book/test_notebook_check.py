"""That the check of the notebooks sees what it must see: words and exact text, and not the last digit of a run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import chapters
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[3]
BOX = """
from IPython.display import HTML
HTML('<p>Verdict: {}. It fell to <span class="measured">{}</span>.</p>')
"""
# Cells as committed, and as they come out when the check runs them; the last word says what the check must find.
CELLS = {
    "the measured number differs": (BOX.format("holds", 1.25), BOX.format("holds", 1.5), "passes"),
    "the verdict differs": (BOX.format("holds", 1.25), BOX.format("does not hold", 1.25), "fails"),
    "exact text differs": ("print(0.5)", "print(0.25)", "fails"),
    "exact text is the same": ("print(0.5)", "print(1 / 2)", "passes"),
    "an output is missing": ("print(0.5)", "pass", "fails"),
    "a warning appears": ("pass", "import warnings; warnings.warn('late', stacklevel=1)", "fails"),
    "training came out otherwise": ("print(1)  #", "print(2)  #", "passes"),
    "the band is missed": ("assert 1 < 2", "assert 2 < 1", "fails"),
}


def test_the_check_compares_words_and_blanks_what_was_measured(tmp_path):
    committed = nbformat.v4.new_notebook(metadata=chapters.METADATA)
    for name, (was, _, _) in CELLS.items():
        tags = ["nbval-ignore-output"] if name == "training came out otherwise" else []
        committed.cells.append(nbformat.v4.new_code_cell(was.strip(), metadata={"tags": tags}))
    NotebookClient(committed, kernel_name="python3", extra_arguments=chapters.KERNEL_ARGUMENTS).execute()
    for cell, (_, now, _) in zip(committed.cells, CELLS.values(), strict=True):
        cell.source = now.strip()
    nbformat.write(chapters.clean(committed), tmp_path / "toy.ipynb")

    sanitize = str(ROOT / "tests" / "notebooks" / "sanitize.cfg")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-sanitize-with", sanitize]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", ".", "-rA", "toy.ipynb"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    outcomes = re.findall(r"^(PASSED|FAILED) \S*::(Cell \d+)", finished.stdout, re.MULTILINE)
    found = {cell: outcome for outcome, cell in outcomes}
    wanted = {f"Cell {n}": "PASSED" if word == "passes" else "FAILED" for n, (_, _, word) in enumerate(CELLS.values())}
    assert found == wanted, finished.stdout
