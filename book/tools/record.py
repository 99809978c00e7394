"""Run one chapter with the long or the full preset and record it under book/runs/.

    make long CHAPTER=06 [PARAMS="seed=16"] [FRESH=1]
    make full CHAPTER=06

The run lives in ``book/runs/.partial-NN-PRESET`` until it is finished: its settings, its clock and the checkpoints of
the chapter's training. Killed and started again it goes on from there, with the same settings only. ``FRESH=1`` starts
anew. What remains is ``book/runs/NN-PRESET-YYYYMMDD-HASH/`` with the executed notebook and ``record.json``.
"""

import argparse
import json
import os
import shutil
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import chapters
import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from gpcore import runs

HEARTBEAT = 5.0


def known_parameters(notebook: Path) -> dict:
    """Return the parameters of a chapter's ``parameters`` cell with their defaults."""
    found = papermill.inspect_notebook(str(notebook))
    return {name: yaml.safe_load(about["default"]) for name, about in found.items()}


def parse(assignments: list[str], known: dict) -> dict:
    """Return ``name=value`` texts as a dictionary; stop at a name that the chapter does not have."""
    given = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not value:
            chapters.stop(f"PARAMS must read name=value, got {assignment!r}")
        if name not in known:
            chapters.stop(f"PARAMS names an unknown parameter, {name!r}; this chapter has: {', '.join(known)}")
        if name == "preset":
            chapters.stop("PARAMS cannot set preset: use `make long`, `make full`, or `make run` for the fast one")
        try:
            given[name] = type(known[name])(value)
        except ValueError:
            chapters.stop(f"PARAMS: {name} must be like {known[name]!r}, got {value!r}")
    return given


class Partial:
    """The folder of an unfinished run: the settings it was started with, and the time spent on it so far."""

    def __init__(self, run: str, settings: dict, fresh: bool):
        self.folder = chapters.RUNS / f".partial-{run}"
        self.file = self.folder / "state.json"
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.state = {"settings": settings, "starts": 0, "wall_seconds": 0.0}
        if self.file.exists():
            self.state = json.loads(self.file.read_text())
            was = self.state["settings"]
            if was != settings:
                differ = [name for name in settings if was.get(name) != settings[name]]
                changed = "; ".join(f"{name} was {was.get(name)!r} and is {settings[name]!r}" for name in differ)
                chapters.stop(
                    f"an unfinished run of this chapter has other settings ({changed}). Give the same again to go on "
                    "with it, or FRESH=1 to start anew"
                )
        self.state["starts"] += 1
        self.before, self.since = self.state["wall_seconds"], time.monotonic()
        self.save()

    def save(self) -> None:
        self.state["wall_seconds"] = round(self.before + time.monotonic() - self.since, 1)
        chapters.write_atomically(self.file, json.dumps(self.state, indent=1) + "\n")

    def keep_time(self, finished: threading.Event) -> None:
        """Write the clock down every few seconds: a run that is killed cannot do it at its end."""
        while not finished.wait(HEARTBEAT):
            self.save()


def free_folder(name: str) -> Path:
    """Return a folder of that name under book/runs that is not there yet; a second run of one day gets ``-2``."""
    names = [name] + [f"{name}-{count}" for count in range(2, 1000)]
    return next(chapters.RUNS / each for each in names if not (chapters.RUNS / each).exists())


def finish(partial: Partial, notebook: Path, parameters: dict, measured: dict, provenance: dict) -> Path:
    """Turn the unfinished run into the recorded one."""
    executed = nbformat.read(partial.folder / "notebook.ipynb", as_version=4)
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    done = partial.folder / "done"
    chapters.write(done / "notebook.ipynb", executed, limit=None)
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    runs.write_record(
        done,
        {
            "chapter": chapters.number(notebook),
            "notebook": notebook.name,
            "date": date,
            **provenance,
            "inputs": runs.chapter_inputs(notebook, chapters.ROOT / "requirements.lock"),
            "wall_seconds": partial.state["wall_seconds"],
            "resumed": partial.state["starts"] - 1,
            "parameters": parameters,
            "seeds": sorted({seed for claim in measured["claims"] for seed in claim["seeds"]}),
            **measured,
        },
    )
    name = (chapters.number(notebook), parameters["preset"], date[:10].replace("-", ""), provenance["source_hash"][:8])
    target = free_folder("-".join(name))
    os.replace(done, target)
    shutil.rmtree(partial.folder)
    return target


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chapter", required=True, metavar="06")
    parser.add_argument("--preset", required=True, choices=("long", "full"))
    parser.add_argument("--fresh", action="store_true", help="forget an unfinished run of this chapter")
    parser.add_argument("parameters", nargs="*", metavar="name=value")
    arguments = parser.parse_args()
    notebook = chapters.find(arguments.chapter)
    known = known_parameters(notebook)
    parameters = known | parse(arguments.parameters, known) | {"preset": arguments.preset}

    provenance = runs.provenance(parameters["device"])
    settings = {
        "parameters": parameters,
        "source_hash": provenance["source_hash"],
        "notebook_hash": runs.notebook_hash(notebook),
        "device": provenance["device"],
    }
    partial = Partial(f"{chapters.number(notebook)}-{arguments.preset}", settings, arguments.fresh)
    record = partial.folder / "measured.json"
    record.unlink(missing_ok=True)  # an earlier start may have measured half of it
    if partial.state["starts"] > 1:
        print(f"book: going on with an unfinished run (start {partial.state['starts']})", file=sys.stderr)
    said = f"{notebook.stem}, {arguments.preset} preset, on {provenance['device']}: {parameters}"
    print(f"book: {said}", file=sys.stderr, flush=True)

    os.environ.update(
        chapters.environment(GPCORE_RECORD=str(record), GPCORE_CHECKPOINTS=str(partial.folder / "checkpoints"))
    )
    finished = threading.Event()
    threading.Thread(target=partial.keep_time, args=(finished,), daemon=True).start()
    try:
        papermill.execute_notebook(
            str(notebook),
            str(partial.folder / "notebook.ipynb"),
            parameters=parameters,
            kernel_name="python3",
            extra_arguments=chapters.KERNEL_ARGUMENTS,
            cwd=str(notebook.parent),
            progress_bar=True,
            stdout_file=sys.stdout,  # the training loops' own progress bars
            stderr_file=sys.stderr,
        )
    except PapermillExecutionError as error:
        chapters.stop(f"the run failed at a cell; what it has trained is kept for the next start\n{error}")
    except KeyboardInterrupt:
        chapters.stop("stopped; the same command goes on from here")
    finally:
        finished.set()
        partial.save()
    measured = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {"claims": [], "measurements": []}
    target = finish(partial, notebook, parameters, measured, provenance)
    print(f"book: recorded in {target.relative_to(chapters.ROOT)}", flush=True)


if __name__ == "__main__":
    main()
