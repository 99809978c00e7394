"""What the tools share: where the chapters are, and what a notebook may hold when it is written."""

import os
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
EVIDENCE = ROOT / "book" / "evidence"
RUNS = ROOT / "book" / "runs"
MAX_BYTES = 1_000_000
METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
# A widget's id lives as long as its kernel; the still figure beside it in the same output is what stays.
VOLATILE_TYPES = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")

# ipykernel 7 warns on stderr that it talks over TCP; here it does so with the machine itself.
KERNEL_ARGUMENTS = ["--log-level=ERROR"]

# The tools use the gpcore of their own checkout, whatever is installed.
sys.path.insert(0, str(ROOT))


def stop(message: str) -> None:
    """End with a message and exit status 1."""
    sys.exit(f"book: {message}")


def all_chapters() -> list[Path]:
    """Return the chapters' notebooks, in order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def number(notebook: Path) -> str:
    """Return a chapter's number, ``"06"``."""
    return notebook.name[:2]


def find(chapter: str) -> Path:
    """Return the notebook of a chapter named by number (``6``, ``06``) or slug, or stop with a list of them."""
    wanted = chapter.zfill(2) if chapter.isdigit() else chapter
    for path in all_chapters():
        if wanted in (number(path), path.stem, path.name):
            return path
    names = ", ".join(path.stem for path in all_chapters()) or "none"
    stop(f"CHAPTER must name a chapter, got {chapter!r}; there are: {names}")


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a kernel: this checkout's gpcore, and no settings of an earlier run."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GPCORE_RECORD", "GPCORE_CHECKPOINTS")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path} | more


def _after_returns(text: str) -> str:
    """What a terminal shows of text that was written over; not by a pattern, which takes minutes on a long line."""
    *lines, last = text.split("\n")
    shown = [line if line.endswith("\r") else line.rpartition("\r")[2] for line in lines]  # "\r\n" ends a line
    return "\n".join([*shown, last.rpartition("\r")[2]])


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip in place what changes from run to run: timings, widget ids and state, stderr, progress, other metadata."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in ("tags", "jupyter") if k in cell.metadata})
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.get("name") == "stderr":
                continue
            if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
                kept[-1].text += output.text
                continue
            if "data" in output:
                for kind in VOLATILE_TYPES:
                    output.data.pop(kind, None)
                if not output.data:
                    continue
                output.metadata = nbformat.from_dict({})
            kept.append(output)
        for output in kept:
            if output.output_type == "stream":
                # A progress bar writes over itself: what stands before a carriage return is seen no more.
                output.text = _after_returns(output.text)
        cell.outputs = [output for output in kept if output.get("text") != ""]
    return notebook


def write(path: Path, notebook: nbformat.NotebookNode, limit: int | None = MAX_BYTES) -> None:
    """Write a cleaned notebook atomically; ``ValueError`` where it is too heavy or names a folder of this machine."""
    text = nbformat.writes(clean(notebook), indent=1).rstrip("\n") + "\n"
    if limit is not None and len(text.encode()) > limit:
        raise ValueError(f"{path.name} weighs {len(text.encode()) / 1e6:.1f} MB; at most {limit / 1e6:.0f} MB is kept")
    for folder in (ROOT, Path.home()):
        if folder != folder.parent and f"{folder}/" in text:
            raise ValueError(f"{path.name}: an output names a folder of this machine, {folder}")
    write_atomically(path, text)


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file, then rename over it: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
