"""Icons drawn into the pages: the twenty that the book shows, and not the script of 1.5 MB that holds 2,000.

The theme loads Font Awesome's script on every page, which then exchanges each ``<i class="fa-solid fa-bars">`` for a
picture. Here the same pictures are taken out of that script while the book is built. Font Awesome Free's icons are
under CC BY 4.0, so every page says where they come from.
"""

from __future__ import annotations

import re

PLACE = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"([^>]*)>\s*</\1>')
SCRIPT = re.compile(r"\s*<!-- So that users can add custom icons -->\s*<script [^>]*fontawesome\.js[^>]*></script>")
# Classes that say how an icon is set and not which it is.
MANNER = {"fa-solid", "fa-brands", "fa-regular", "fa-lg", "fa-fw"}
CREDIT = "<!-- Icons: Font Awesome Free, fontawesome.com, CC BY 4.0 -->\n"


class Icons:
    """The icons of Font Awesome's script."""

    def __init__(self, script: str):
        self.script = script

    def path(self, name: str) -> tuple[str, str, str]:
        """Return an icon's width, height and outline."""
        shape = rf'[{{,]"?{re.escape(name)}"?:\[(\d+),(\d+),\[[^\]]*\],"[0-9a-f]+","([^"]+)"\]'
        # The packs follow one another: brands, regular, solid. The book uses no regular icon.
        found = re.findall(shape, self.script)
        if not found:
            raise ValueError(f"Font Awesome has no icon named {name!r}")
        return found[-1]

    def svg(self, classes: list[str], more: str = "") -> str:
        """Return the icon that ``classes`` name as an ``<svg>``; its button carries the name, so it is mute itself."""
        name = next(c for c in classes if c.startswith("fa-") and c not in MANNER).removeprefix("fa-")
        width, height, outline = self.path(name)
        kept = [c for c in classes if c not in ("fa-solid", "fa-brands", "fas", "fab")]
        return (
            f'<svg class="svg-inline--fa {" ".join(kept)}"{more} aria-hidden="true" focusable="false" '
            f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{outline}"></path></svg>'
        )

    def draw(self, page: str) -> str:
        """Return a page with its icons drawn and without the script that would draw them."""

        def exchange(place: re.Match) -> str:
            more = re.sub(r'\s*title="[^"]*"', "", place[3])
            return self.svg(place[2].split(), more.rstrip())

        page, drawn = PLACE.subn(exchange, SCRIPT.sub("", page))
        return page.replace("</body>", f"{CREDIT}</body>") if drawn else page
