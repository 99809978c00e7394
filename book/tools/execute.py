"""Re-execute chapters in place with the fast preset, and keep what they measured.

    python book/tools/execute.py                  every stale chapter, two at a time
    python book/tools/execute.py --all            every chapter
    python book/tools/execute.py --chapter 06     one chapter, stale or not
    python book/tools/execute.py --check          list the stale chapters; exit status 1 if there are any; write nothing

A chapter is stale when its inputs are not those that its committed outputs were made with: see ``gpcore.runs``.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chapters
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from gpcore import runs

HASHES = chapters.EVIDENCE / "hashes.json"
PROCESSES = 2
CELL_TIMEOUT = 600
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def inputs(path: Path) -> dict[str, str]:
    """Return the hashes of what a chapter's outputs depend on."""
    return runs.chapter_inputs(path, chapters.ROOT / "requirements.lock")


def stale(paths: list[Path]) -> list[Path]:
    """Return the chapters whose inputs are not those recorded when they were last executed."""
    recorded = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    return [path for path in paths if recorded.get(path.stem) != inputs(path)]


def remember(path: Path, made_with: dict[str, str]) -> None:
    """Record the hashes of one chapter; those of chapters that are gone are dropped."""
    recorded = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    present = {chapter.stem for chapter in chapters.all_chapters()}
    kept = {stem: value for stem, value in recorded.items() if stem in present} | {path.stem: made_with}
    chapters.write_atomically(HASHES, json.dumps(kept, indent=1, sort_keys=True) + "\n")


class Progress:
    """One line on stderr that says which cell each chapter is at; plain lines where stderr is not a terminal."""

    def __init__(self):
        self.at: dict[str, str] = {}
        self.lock = threading.Lock()
        self.live = sys.stderr.isatty()

    def cell(self, chapter: str, text: str) -> None:
        with self.lock:
            self.at[chapter] = text
            if self.live:
                line = "  ".join(f"{name}: {where}" for name, where in sorted(self.at.items()))
                print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def done(self, chapter: str, text: str) -> None:
        with self.lock:
            self.at.pop(chapter, None)
            print(f"{chr(13) + chr(27) + '[K' if self.live else ''}book: {text}", file=sys.stderr, flush=True)


def describe(error: Exception, notebook: nbformat.NotebookNode) -> str:
    """Return the failing cell and its traceback as text; the outputs say which cell it was."""
    for index, cell in enumerate(notebook.cells):
        failures = [out for out in cell.get("outputs", []) if out.output_type == "error"]
        if failures:
            traceback = COLOURS.sub("", "\n".join(failures[0].traceback))
            return f"cell {index} failed:\n\n{cell.source}\n\n{traceback}"
    return COLOURS.sub("", str(error))


def refuse_stderr(notebook: nbformat.NotebookNode) -> None:
    """Raise ``ValueError`` where a cell wrote to stderr: a reader sees it in red, and it was not meant."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise ValueError(f"cell {index} wrote to stderr:\n\n{cell.source}\n\n{COLOURS.sub('', output.text)}")


def join_printed(notebook) -> None:
    """Let what a cell printed be one output: when each line came must not decide how the file looks."""
    for cell in notebook.cells:
        joined = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else {}
            if output.output_type == "stream" and output.name == last.get("name"):
                last.text += output.text
            else:
                joined.append(output)
        if joined:
            cell.outputs = joined


def execute(path: Path, progress: Progress) -> str | None:
    """Execute one chapter and write it, its record and its hashes; return what went wrong, or None.

    Until all of it has succeeded the committed files stay as they are.
    """
    name, started = chapters.number(path), time.monotonic()
    before, made_with = path.read_bytes(), inputs(path)
    notebook = nbformat.reads(before.decode(), as_version=4)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    seen = []
    progress.cell(name, "starting")

    def at_cell(cell, cell_index):
        seen.append(cell_index)
        progress.cell(name, f"cell {len(seen)}/{cells}")

    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            extra_arguments=chapters.KERNEL_ARGUMENTS,
            resources={"metadata": {"path": str(path.parent)}},
            store_widget_state=False,
            record_timing=False,
            on_cell_execute=at_cell,
        )
        try:
            client.execute(env=chapters.environment(GPCORE_RECORD=str(record), GPCORE_PROGRESS="0"))
            if path.read_bytes() != before:
                raise ValueError(f"{path.name} was edited while it was executed; run it again")
            refuse_stderr(notebook)
            join_printed(notebook)
            chapters.write(path, notebook)
        except (CellExecutionError, CellTimeoutError, DeadKernelError, ValueError) as error:
            progress.done(name, f"{path.stem} failed")
            return f"notebooks/{path.name}: {describe(error, notebook)}"
        evidence = chapters.EVIDENCE / f"{name}.json"
        if record.exists():
            chapters.write_atomically(evidence, record.read_text(encoding="utf-8").rstrip("\n") + "\n")
        else:
            evidence.unlink(missing_ok=True)
    with progress.lock:
        remember(path, made_with)
    progress.done(name, f"{path.stem} executed in {time.monotonic() - started:.0f} s")
    return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--chapter", metavar="06")
    arguments = parser.parse_args()
    if arguments.chapter is not None:
        wanted = [chapters.find(arguments.chapter)]
    else:
        wanted = chapters.all_chapters() if arguments.all else stale(chapters.all_chapters())
    if arguments.check:
        if wanted:
            chapters.stop("stale: " + ", ".join(path.stem for path in wanted) + "; run: make book")
        print("book: no chapter is stale")
        return
    if not wanted:
        print("book: no chapter is stale, nothing is executed", flush=True)
        return
    print("book: executing " + ", ".join(path.stem for path in wanted), file=sys.stderr, flush=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    progress = Progress()
    with ThreadPoolExecutor(min(PROCESSES, len(wanted))) as pool:
        failures = list(filter(None, pool.map(lambda path: execute(path, progress), wanted)))
    for failure in failures:
        print(f"\nbook: {failure}", file=sys.stderr)
    if failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
