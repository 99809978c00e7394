"""Write the repository's address into every file that names it.

    make repository URL=https://github.com/owner/name

The address stands in ``_config.yml`` (repository, url); everything else follows it: links, badges, the notebooks'
install cells, the package's metadata, the address of the site. A test keeps them in agreement.
"""

import re
import sys
from pathlib import Path

import chapters
import execute
import yaml

FORM = re.compile(r"https://github\.com/([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)/([A-Za-z0-9._-]+)")
SUFFIXES = {".md", ".yml", ".toml", ".cff", ".ipynb", ".py", ".json", ".html", ".css", ".js", ".mjs", ".bib"}
PLACES = ("_config.yml", "README.md", "CITATION.cff", "pyproject.toml", "book", "notebooks", "gpcore")


def address(root: Path = chapters.ROOT) -> str:
    """Return the repository's address, from _config.yml."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def forms(url: str) -> list[str]:
    """Return the forms in which the address occurs: on GitHub, in Colab's links, as GitHub Pages."""
    found = FORM.fullmatch(url)
    if not found or url.endswith(".git"):
        raise ValueError(f"URL must read https://github.com/owner/name, got {url!r}")
    owner, name = found.groups()
    return [f"github.com/{owner}/{name}", f"/github/{owner}/{name}", f"{owner.lower()}.github.io/{name}"]


def files(root: Path) -> list[Path]:
    """Return the text files that may name the repository."""
    found = []
    for place in PLACES:
        path = root / place
        found += [path] if path.is_file() else sorted(path.rglob("*"))
    skipped = ("__pycache__", "node_modules", ".ipynb_checkpoints")
    return [p for p in found if p.is_file() and p.suffix in SUFFIXES and not any(part in skipped for part in p.parts)]


def rewrite(root: Path, url: str) -> list[Path]:
    """Replace the present address by ``url`` in every file under ``root``; return the files that changed."""
    changed = []
    pairs = list(zip(forms(address(root)), forms(url), strict=True))
    for path in files(root):
        text = new = path.read_text(encoding="utf-8")
        for old, to in pairs:
            new = re.sub(rf"{re.escape(old)}(?![\w-])", to, new)
        if new != text:
            chapters.write_atomically(path, new)
            changed.append(path)
    return changed


def main() -> None:
    url = sys.argv[1].rstrip("/") if len(sys.argv) == 2 else ""
    fresh = [path for path in chapters.all_chapters() if path not in execute.stale(chapters.all_chapters())]
    try:
        changed = rewrite(chapters.ROOT, url)
    except ValueError as error:
        chapters.stop(str(error))
    # The install cell is code, but where it installs from changes no output: what was fresh stays so.
    for path in fresh:
        execute.remember(path, execute.inputs(path))
    print(f"book: {url} written into {len(changed)} files" if changed else f"book: {url} stands everywhere already")


if __name__ == "__main__":
    main()
