"""The content-security policy of every page: what it may load and run, which is what lies in the book and no more.

It stands in the page itself, because a book that anyone may copy to any server, or open from a folder, cannot rely on
what a server sends along. Scripts inside a page run by their hash, so that one smuggled in would not; a frame whose
page stands in ``srcdoc`` inherits the policy, so its scripts are named as well.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from urllib.parse import urlsplit

INLINE = re.compile(r"<script\b(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
FRAME = re.compile(r'<iframe\b[^>]*?\bsrcdoc="([^"]*)"', re.DOTALL | re.IGNORECASE)
HEAD = re.compile(r"<meta charset=[^>]*>")


def scripts(page: str) -> list[str]:
    """Return the text of every script that stands inside a page or inside a frame of it."""
    found = INLINE.findall(page)
    for inner in FRAME.findall(page):
        found += scripts(html.unescape(inner))
    return found


def policy(page: str, elsewhere: str = "") -> str:
    """Return the policy of a page; ``elsewhere`` is the address of MathJax where the book has no copy of it."""
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts(page)}
    hashes = "".join(f" 'sha256-{digest}'" for digest in sorted(digests))
    also = " https://" + urlsplit(elsewhere).netloc if elsewhere else ""
    return "; ".join(
        (
            "default-src 'none'",
            # The living page's arithmetic is WebAssembly, which is compiled and not evaluated.
            f"script-src 'self' 'wasm-unsafe-eval'{hashes}{also}",
            # Figures and formulas bring their own styles, element by element.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            f"font-src 'self'{also}",
            # The search fetches the pages it found.
            "connect-src 'self'",
            # A frame cannot name a file of the book, so it makes its worker from its own text.
            "worker-src 'self' blob:",
            "form-action 'self'",
            "object-src 'none'",
            "base-uri 'none'",
        )
    )


def with_policy(page: str, elsewhere: str = "") -> str:
    """Return a page that states its policy before anything that the policy is about."""
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(page, elsewhere)}" />'
    page, places = HEAD.subn(lambda m: f"{m[0]}\n{meta}", page, count=1)
    if not places:
        raise ValueError("a page without <meta charset> has no place for its policy")
    return page
