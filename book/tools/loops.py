"""Write the listings of the page "Use it in your own loop" as notebooks that Colab opens: book/loops/SLUG.ipynb.

    make notebooks

A listing stands in book/own_loop.md and is written from there into a notebook, behind the cell that installs gpcore
and, where it runs inside another library's loop, a line that installs that library. Links on the page lead to them.
"""

import re
from pathlib import Path

import chapters
import first_cell
import nbformat
import repository
from docutils.nodes import make_id

PAGE = chapters.ROOT / "book" / "own_loop.md"
FOLDER = chapters.ROOT / "book" / "loops"
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
# Listings inside another library's loop: title -> what must be installed.
HOSTS = {
    "In PyTorch Lightning": "lightning",
    "In Hugging Face Accelerate": "accelerate",
    "In the Hugging Face Trainer": "transformers",
}


def sections() -> dict[str, str]:
    """Return title -> Markdown of the page's sections."""
    return dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))


def listings() -> dict[str, list[str]]:
    """Return title -> the listings of that section."""
    return {title: re.findall(r"```python\n(.*?)```", body, re.DOTALL) for title, body in sections().items()}


def path(title: str) -> Path:
    """Return where a listing's notebook stands; its name is the address of the section."""
    return FOLDER / f"{make_id(title)}.ipynb"


def link(title: str, url: str) -> str:
    """Return the address at which Colab opens a listing of the repository ``url``."""
    _, colab, _ = repository.forms(url)
    return f"https://colab.research.google.com{colab}/blob/main/{path(title).relative_to(chapters.ROOT).as_posix()}"


def notebook(title: str) -> nbformat.NotebookNode:
    """Return a listing as a notebook that has not been run."""
    _, _, site = repository.forms(repository.address())
    (code,) = listings()[title]
    made = nbformat.v4.new_notebook()
    first_cell.put(made)
    page = f"https://{site}/book/own_loop.html#{make_id(title)}"
    made.cells.append(nbformat.v4.new_markdown_cell(f"# {title}\n\nFrom [Use it in your own loop]({page})."))
    if package := HOSTS.get(title):
        (version,) = re.findall(r"Run with \w+ (\d+\.\d+\.\d+)\.", sections()[title])
        made.cells.append(nbformat.v4.new_code_cell(f"%pip install -q {package}=={version}"))
    made.cells.append(nbformat.v4.new_code_cell(code.rstrip("\n")))
    for index, cell in enumerate(made.cells):
        cell.id = f"loop-{index}"
    return made


def main() -> None:
    titles = listings()
    for old in set(FOLDER.glob("*.ipynb")) - set(map(path, titles)):
        old.unlink()
    for title in titles:
        chapters.write(path(title), notebook(title))
    print(f"book: {len(titles)} listings stand in book/loops as notebooks")


if __name__ == "__main__":
    main()
