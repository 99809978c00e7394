"""Write requirements.lock: what the environment that runs this file holds, every package pinned.

    make lock
"""

import importlib.metadata
import re
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
# The installer and the book's own package are not pinned; torchvision is not needed and has no build for every torch.
LEFT_OUT = {"pip", "gpcore", "torchvision"}
HEADER = """\
# The environment that the book is made and checked with: Python 3.11.5 or newer, every package pinned.
# Made by `make lock` from .venv as it stands. To move a package: .venv/bin/pip install 'name==version', then
# `make lock`, `make book FORCE=1`, `make test`.
# torch stands without a local version: a CPU build and a CUDA build both answer to it. What one system alone needs
# (CUDA libraries, appnope on macOS, colorama on Windows) pip adds by itself.
"""


def pins() -> list[str]:
    """Return ``name==version`` of every installed distribution, sorted by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        version = distribution.version.partition("+")[0]
        found[re.sub(r"[-_.]+", "-", name).lower()] = f"{name}=={version}"
    return [found[name] for name in sorted(found) if name not in LEFT_OUT and not name.startswith("nvidia-")]


if __name__ == "__main__":
    LOCK.write_text(HEADER + "\n".join(pins()) + "\n", encoding="utf-8")
    print(f"{LOCK.name}: {len(pins())} packages")
