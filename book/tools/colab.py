"""Compare ``tests/colab.txt`` with the list of packages that Colab publishes: one sentence for each that moved.

    python book/tools/colab.py pip-freeze.txt

The argument is the file ``pip-freeze.txt`` of googlecolab/backend-info as it is today, which the weekly workflow
fetches. The exit status is 1 where a version differs. Kept to the standard library: nothing is installed for it.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

PINNED = Path(__file__).resolve().parents[2] / "tests" / "colab.txt"
# The version in the name of a wheel, as in `torch @ https://.../torch-2.11.0%2Bcu128-cp313-cp313-linux_x86_64.whl`.
_WHEEL = re.compile(r"/[^/-]+-([^/-]+)-[^/]*\.whl")


def versions(freeze: str) -> dict[str, str]:
    """Return name -> version of what ``pip freeze`` printed, a build's own part such as ``+cu128`` left out.

    Names are those that pip compares: in lower case, with ``-`` for ``_`` and ``.``.
    """
    found = {}
    for line in freeze.splitlines():
        name, _, version = line.partition("==")
        if not version:
            name, _, address = line.partition(" @ ")
            wheel = _WHEEL.search(unquote(address))
            version = wheel[1] if wheel else ""
        if version and not name.startswith("#"):
            found[re.sub(r"[-_.]+", "-", name.strip()).lower()] = version.strip().partition("+")[0]
    return found


def moved(pinned: str, live: str) -> list[str]:
    """Return one sentence for each package of ``pinned`` that Colab has in another version, or no longer."""
    here, there = versions(pinned), versions(live)
    said = {name: f"{there[name]} in Colab today" if name in there else "not in Colab's list today" for name in here}
    return [f"{n} is {said[n]} and {v} in tests/colab.txt." for n, v in here.items() if there.get(n) != v]


def main() -> None:
    live = Path(sys.argv[1]).read_text(encoding="utf-8")
    if not versions(live):
        sys.exit(f"book: {sys.argv[1]} holds no line like name==version: is it Colab's list?")
    if sentences := moved(PINNED.read_text(encoding="utf-8"), live):
        sys.exit("\n".join(f"book: {sentence}" for sentence in sentences))
    print("book: tests/colab.txt has the versions that Colab has")


if __name__ == "__main__":
    main()
