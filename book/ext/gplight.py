"""What no page of the book loads is not part of the site."""

from __future__ import annotations

import shutil
from pathlib import Path

# Files and folders of the theme and of Sphinx that nothing asks for; a test finds what is missing here, and another
# one a page that asks for what is gone.
UNUSED = [
    "_sources/book/runs",
    "_static/locales",
    "_static/vendor",
    "_static/scripts/fontawesome.js",
]


def lighten(out: Path) -> None:
    """Delete from the site in ``out`` what no page loads."""
    for pattern in (*UNUSED, "**/*.map"):
        for path in sorted(out.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
