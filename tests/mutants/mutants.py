"""Plant one mistake after another, and see that the tests named for it notice.

    make mutants                       every mistake of the lists beside this file, two at a time
    make mutants FILTER=training       those whose file, kind or text holds "training"

A list maps kinds of mistake to entries: the ``file``, the text that ``stands`` there exactly once, the ``wrong`` text
put in its place, and the ``tests`` below tests/unit that must notice. Where a mistake changes nothing that a test could
see, ``explained`` says why. Each mistake is planted in a copy of what the tests need, and only its own tests run.
"""

import argparse
import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).parent
UNIT = "tests/unit"
COPIED = ("gpcore", "book/tools", "book/ext", "book/playground", UNIT, "tests/benchmarks", "tests/mutants")
COPIED += ("tests/conftest.py", "pyproject.toml", "requirements.lock")
TIMEOUT = 180  # seconds; a mistake that makes a test run for ever is noticed
# Imported once, in a server that is forked for every run: PyTorch alone takes longer than most of the tests.
WARM = ["torch", "torch.func", "torch._dynamo", "torch.testing", "matplotlib.figure", "matplotlib.colors"]
WARM += ["pytest", "hypothesis", "setuptools", "scipy.stats", "sklearn.datasets", "ot", "nbformat", "nbclient"]
WARM += ["papermill", "IPython.display"]
PASSED, FAILED = 0, 1  # exit codes of pytest
RESULTS = ("killed", "survived", "explained", "not run")


@dataclass(frozen=True)
class Mistake:
    """One place of one file, what stands there and what is put in its place."""

    kind: str
    file: str
    stands: str
    wrong: str
    tests: tuple[str, ...]
    explained: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.wrong.strip() or 'without ' + self.stands.strip()}"


def load() -> list[Mistake]:
    """The mistakes of all lists."""
    found = []
    for path in sorted(LISTS.glob("*.yml")):
        for kind, entries in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            found += [Mistake(kind, **entry | {"tests": tuple(entry["tests"])}) for entry in entries]
    return found


def plant(folder: Path, file: str, stands: str, wrong: str) -> None:
    """Put ``wrong`` in the place of ``stands`` in a file of ``folder``.

    Raises:
        ValueError: the text does not stand there exactly once, or nothing would change.
    """
    path = folder / file
    text = path.read_text(encoding="utf-8")
    if text.count(stands) != 1 or stands == wrong:
        raise ValueError(f"{file} must hold this text once, and another be put there; it is there {text.count(stands)} "
                         f"times: {stands!r}")  # fmt: skip
    path.write_text(text.replace(stands, wrong), encoding="utf-8")


def copy_to(folder: Path) -> None:
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def _pytest(folder: str, tests: list[str], remember: bool) -> None:
    """In a process of its own: run the tests of a copy and end with pytest's exit code."""
    log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    # Of the copy, the processes that a test starts included.
    os.environ |= {"PYTHONPATH": folder, "GPCORE_PROGRESS": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.path[:] = [folder, *(path for path in sys.path if path not in ("", str(ROOT), str(LISTS)))]
    sys.dont_write_bytecode = not remember
    import pytest

    code = pytest.main(["-x", "-q", "--rootdir", folder, *tests])
    sys.stdout.flush()
    os._exit(code)


def run(folder: Path, tests: list[str], *, remember: bool = False, timeout: float = TIMEOUT) -> int | None:
    """Pytest's exit code, None where it had to be stopped."""
    code = _run(folder, tests, remember, timeout)
    # The server may lose the code of a process on a machine under load: once more.
    return code if code in (PASSED, FAILED, None) else _run(folder, tests, remember, timeout)


def _run(folder: Path, tests: list[str], remember: bool, timeout: float) -> int | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    process = context.Process(target=_pytest, args=(str(folder), tests, remember))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def judge(folder: Path, mistake: Mistake) -> str:
    """Plant one mistake in a copy, run its tests, take it out again: one of ``RESULTS``."""
    path = folder / mistake.file
    before, stat = path.read_bytes(), path.stat()
    plant(folder, mistake.file, mistake.stands, mistake.wrong)
    try:
        code = run(folder, [f"{UNIT}/{test}" for test in mistake.tests])
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its compiled form is that of this time
    if code == PASSED:
        return "explained" if mistake.explained else "survived"
    return "killed" if code in (FAILED, None) else "not run"  # the tests could not be collected


def without_mistakes(folder: Path, tests: list[str]) -> None:
    """Stop where the tests fail with nothing planted: they would notice everything."""
    if tests and run(folder, tests, remember=True, timeout=1200) != PASSED:
        sys.exit(f"mutants: a test fails without a mistake:\n{(folder / 'log').read_text(encoding='utf-8')[-3000:]}")


def table(mistakes: list[Mistake], results: list[str]) -> str:
    kinds = dict.fromkeys(mistake.kind for mistake in mistakes)
    rows = [
        (kind, *(sum(m.kind == kind and r == word for m, r in zip(mistakes, results, strict=True)) for word in RESULTS))
        for kind in kinds
    ]
    rows.append(("all", *map(results.count, RESULTS)))
    width = max(len(row[0]) for row in rows)
    lines = [("", *RESULTS), *rows]
    return "\n".join(f"{name:{width}}" + "".join(f"{n:>11}" for n in counts) for name, *counts in lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--filter", default="", help="only mistakes whose file, kind or text holds this")
    wanted = parser.parse_args().filter
    mistakes = [m for m in load() if wanted in f"{m.kind} {m.file} {m.stands} {m.wrong}"]
    if not mistakes:
        sys.exit(f"mutants: no mistake's file, kind or text holds {wanted!r}")
    tests = sorted({f"{UNIT}/{test}" for mistake in mistakes for test in mistake.tests})
    with tempfile.TemporaryDirectory() as top, ThreadPoolExecutor(2) as pool:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        folders = [Path(top) / name for name in ("one", "two")]
        for folder in folders:
            copy_to(folder)
            copies.put(folder)
        print(f"mutants: {len(tests)} tests without a mistake, then {len(mistakes)} mistakes", flush=True)
        list(pool.map(without_mistakes, folders, (tests[::2], tests[1::2])))

        def one(mistake: Mistake) -> str:
            folder = copies.get()
            try:
                return judge(folder, mistake)
            finally:
                copies.put(folder)

        results = []
        with tqdm(total=len(mistakes), disable=os.environ.get("GPCORE_PROGRESS") == "0") as bar:
            for mistake, result in zip(mistakes, pool.map(one, mistakes), strict=True):
                results.append(result)
                if result != "killed":
                    bar.write(f"{result}: {mistake}{mistake.explained and ': ' + mistake.explained}")
                bar.update()
    print(table(mistakes, results))
    if {"survived", "not run"} & set(results):
        sys.exit("mutants: mistakes survived that the lists do not explain")


if __name__ == "__main__":
    main()
