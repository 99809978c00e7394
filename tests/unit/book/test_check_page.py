"""The page "Check your own penalty": its code runs as it stands there and prints what stands below it."""

import contextlib
import io
import linecache
import re

import chapters

PAGE = (chapters.ROOT / "book" / "check_your_own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(space: dict) -> list[str]:
    """What the page's code prints, block by block, where it prints something."""
    printed = []
    for number, (kind, text) in enumerate(BLOCKS):
        if kind == "python":
            name = f"<block {number} of check_your_own.md>"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)  # as a notebook's cells
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, name, "exec"), space)
            if out.getvalue():
                printed.append(out.getvalue())
    return printed


def test_the_page_prints_what_it_says():
    space = {}
    assert run(space) == [text for kind, text in BLOCKS if kind == "text"]
    space["test_gradient_penalty"]()


def test_its_lines_fit_the_page():
    assert max(len(line) for _, text in BLOCKS for line in text.splitlines() if "https://" not in line) <= 78
