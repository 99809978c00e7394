"""Write the cell that installs gpcore into every notebook, as its first: its text stands here and nowhere else.

    make notebooks

It asks for this checkout's version of gpcore and upgrades nothing else. Where nothing can be installed it ends by
itself and says why: an archive needs no git, which would ask for a name, and pip may not ask for one either.
"""

import chapters
import execute
import nbformat

import gpcore

TEXT = """\
# Installs gpcore where it is missing or too old; where torch is missing as well, that takes minutes.
import importlib.util
import os
import subprocess
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks as small as these are slower on two threads
source = "https://github.com/gradient-penalty-book/gradient-penalty-book/archive/refs/heads/main.zip"
have = importlib.util.find_spec("gpcore") and importlib.import_module("gpcore").__version__
if not have or tuple(map(int, have.split("."))) < NEEDED:
    options = ["-qq", "--upgrade", "--no-input", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, f"gpcore @ {source}"]
    once = os.environ | {"PIP_RETRIES": "1"}  # for the pip that builds gpcore as well
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=once)
    if done.returncode:
        said = map(str.strip, done.stderr.splitlines())
        problem = max(said, key=lambda line: line.startswith("ERROR"))
        raise SystemExit(f"gpcore could not be installed from {source}. {problem}")
    if have:
        raise SystemExit(f"gpcore {have} was too old and has been replaced: restart the kernel.")
"""


def text(version: str = gpcore.__version__) -> str:
    """Return the cell for chapters that need ``version`` of gpcore, whatever its patch number."""
    major, minor = map(int, version.split(".")[:2])
    return TEXT.replace("NEEDED", f"({major}, {minor})").rstrip("\n")


def put(notebook: nbformat.NotebookNode) -> None:
    """Make the cell the first one, in the place of an older form of it; its id and its place in the run stay."""
    if not (notebook.cells and 'find_spec("gpcore")' in notebook.cells[0].source):
        notebook.cells.insert(0, nbformat.v4.new_code_cell(execution_count=None))
    notebook.cells[0].source = text()
    notebook.cells[0].metadata = {"tags": ["remove-cell"]}


def main() -> None:
    paths = chapters.all_chapters()
    stale = execute.stale(paths)
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        put(notebook)
        chapters.write(path, notebook)
        # Where gpcore comes from changes no output: what was fresh stays so.
        if path not in stale:
            execute.remember(path, execute.inputs(path))
    print(f"book: {len(paths)} notebooks begin with the installation of gpcore {gpcore.__version__}")


if __name__ == "__main__":
    main()
