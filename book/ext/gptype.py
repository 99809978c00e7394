"""What a page's text needs so that its lines break where they may: numbers and formulas stay whole."""

from __future__ import annotations

import re

# An inline formula is a box of its own, before and behind which a browser may break the line: at "(" and "." as well.
TIED = re.compile(r'([(\[“‘]*)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:!?)\]”’%]*)')
MEASURED = re.compile(r'(?<=<span class="measured">)[^<]*')


def tied(body: str) -> str:
    """Keep every inline formula on one line with the brackets before it and the punctuation behind it."""

    def tie(place: re.Match) -> str:
        return f'<span class="gp-tie">{place[0]}</span>' if place[1] or place[3] else place[0]

    return TIED.sub(tie, body)


def with_minus_signs(body: str) -> str:
    """Give measured numbers a minus sign in place of the hyphen, at which a line would break: 1.2e-07."""
    return MEASURED.sub(lambda text: re.sub(r"(?<![A-Za-z\d])-(?=\d)|(?<=\de)-(?=\d)", "−", text[0]), body)


def set_type(app, pagename, templatename, context, doctree) -> None:
    """Do both to a page's body."""
    context["body"] = with_minus_signs(tied(context.get("body", "")))


def setup(app) -> dict:
    app.connect("html-page-context", set_type, priority=900)  # behind what puts numbers into the body
    return {"parallel_read_safe": True, "version": "1"}
