"""What the tests of pages share: the sections of every page, and the links that a page has to them."""

import re
from pathlib import PurePosixPath

import gpcite
from docutils.nodes import make_id

TEXTS = gpcite.texts()
LINK = re.compile(r"\]\(([^)\s]+)\)")


def headings(text: str, level: str = "#{1,3}") -> list[str]:
    """The headings of a page's Markdown, without those that are comments in its code."""
    prose = re.sub(r"^\s*```.*?^\s*```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [title.strip() for title in re.findall(rf"^{level} (.+)$", prose, re.MULTILINE)]


def plain(title: str) -> str:
    return re.sub(r"[`*$]", "", title)


SECTIONS = {name: {make_id(plain(title)) for title in headings(text)} for name, text in TEXTS.items()}


def links(name: str, text: str | None = None) -> list[tuple[str, str]]:
    """The links of a page, or of a part of it, into the book: document and section, which may be empty."""
    found = []
    for target in LINK.findall(TEXTS[name] if text is None else text):
        if re.match(r"https?:|#", target):
            continue
        path, _, section = target.partition("#")
        parts = []
        for part in (PurePosixPath(name).parent / path).with_suffix("").parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        found.append(("/".join(parts), section))
    return found
