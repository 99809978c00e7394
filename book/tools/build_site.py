"""Build the site into _build/html, strictly: a warning is an error."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
STAMP = BUILD / "site.sha256"
SOURCES = ("_config.yml", "_toc.yml", "requirements.lock", "book", "notebooks", "gpcore")


def digest() -> str | None:
    """Return a digest over the names and contents of what the site is made of; None outside a git repository.

    Git names the files, for what it ignores is made by the build itself or belongs to an unfinished run.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *SOURCES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return None
    total = hashlib.sha256()
    for name in sorted(set(listed.stdout.split("\0"))):
        if (ROOT / name).is_file():
            total.update(f"{name}\0".encode())
            total.update(hashlib.sha256((ROOT / name).read_bytes()).digest())
    return total.hexdigest()


def fresh() -> bool:
    """Return whether _build/html shows the present sources."""
    return (BUILD / "html" / "index.html").exists() and STAMP.exists() and STAMP.read_text() == digest()


def build() -> None:
    """Build from nothing: what an earlier build left could hide a missing file or a warning."""
    STAMP.unlink(missing_ok=True)
    for leftover in ("html", ".doctrees", ".jupyter_cache"):
        shutil.rmtree(BUILD / leftover, ignore_errors=True)
    wanted = digest()
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", ".", "-W", "--keep-going", "-n", "-q"]
    finished = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    if finished.returncode:
        sys.exit("book: the build failed; warnings count as errors, and the first of them above is the one to fix")
    if wanted:
        STAMP.write_text(wanted)


def main() -> None:
    print("book: building the site (strict) ...", flush=True)
    build()
    print("book: the site is _build/html/index.html; `make serve` opens it", flush=True)


if __name__ == "__main__":
    main()
