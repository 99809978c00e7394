"""Set up .venv from requirements.lock, unless it is up to date already. Run by `make`, with the system's Python.

    python3 book/tools/environment.py

Kept to the standard library and to old syntax, so that an old Python gets a message and not a syntax error.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "stamp"
LINUX = sys.platform == "linux" and platform.machine() == "x86_64"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def digest(name):
    """Return a file's digest; a date says nothing here, for a fresh checkout has new dates and the old content."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def stop(message):
    sys.exit("book: " + message)


def say(message):
    print("book: " + message, flush=True)


def pip(*arguments):
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-qq", *arguments]
    if subprocess.run(command, cwd=str(ROOT)).returncode:
        stop("pip could not install what is needed (see above). Run the same command again to go on.")


def create():
    """Make .venv anew and put the locked packages into it."""
    if sys.version_info < (3, 11, 5):
        version = ".".join(map(str, sys.version_info[:3]))
        stop(f"Python 3.11.5 or newer is needed, this is {version}; name another: make ... PYTHON=/path/to/python")
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python cannot make environments. On Debian and Ubuntu: apt-get install python3-venv")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    count = sum("==" in line and not line.startswith("#") for line in lock)
    say(f"setting up .venv with Python {VERSION}")
    # From nothing, so that no package of an older lock stays behind.
    if VENV.exists():
        shutil.rmtree(str(VENV))
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
        stop("python -m venv failed (see above). On Debian and Ubuntu: apt-get install python3-venv")
    size = "about 3 GB, of which CUDA is 2.7 GB: README.md says how to do without" if LINUX else "under 1 GB"
    say(f"installing the {count} packages of requirements.lock ({size}; some minutes) ...")
    pip("-r", "requirements.lock")


def main():
    # An editable installation holds this folder's name, so that a moved folder needs it again.
    wanted = {"lock": f"{digest('requirements.lock')} {VERSION}", "gpcore": f"{digest('pyproject.toml')} {ROOT}"}
    present = dict(line.split("=", 1) for line in STAMP.read_text().splitlines()) if STAMP.exists() else {}
    if present == wanted:
        return
    if present.get("lock") != wanted["lock"]:
        create()
    say("installing gpcore from this folder (editable)")
    pip("--no-deps", "--no-build-isolation", "-e", ".")
    # Last, so that an interrupted installation is never taken for a finished one.
    STAMP.write_text("".join(f"{name}={value}\n" for name, value in wanted.items()))
    say("the environment is ready")


if __name__ == "__main__":
    main()
