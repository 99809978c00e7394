"""Write requirements.lock: what the environment that runs this file holds, every package pinned.

What tests/cluster.txt pins stays there.

    make lock
"""

import importlib.metadata
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK, CLUSTER = ROOT / "requirements.lock", ROOT / "tests" / "cluster.txt"
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
    found, elsewhere = {}, CLUSTER.read_text(encoding="utf-8").splitlines()
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        version = distribution.version.partition("+")[0]
        found[re.sub(r"[-_.]+", "-", name).lower()] = f"{name}=={version}"
    kept = [name for name in sorted(found) if name not in LEFT_OUT and not name.startswith("nvidia-")]
    return [found[name] for name in kept if found[name] not in elsewhere]


if __name__ == "__main__":
    LOCK.write_text(HEADER + "\n".join(pins()) + "\n", encoding="utf-8")
    print(f"{LOCK.name}: {len(pins())} packages")
