"""What no page of the book loads is not part of the site."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

# Files and folders of the theme and of Sphinx that nothing asks for; a test finds what is missing here, and another
# one a page that asks for what is gone.
UNUSED = [
    "_sources/book/runs",
    "_static/check-solid.svg",
    "_static/copy-button.svg",
    "_static/copybutton_funcs.js",
    "_static/file.png",
    "_static/images/logo_[!c]*",
    "_static/language_data.js",
    "_static/locales",
    "_static/minus.png",
    "_static/plus.png",
    "_static/scripts/fontawesome.js*",
    "_static/searchtools.js",
    "_static/sbt-webpack-macros.html",
    "_static/vendor",
    "_static/webpack-macros.html",
    "searchindex.js",
    "**/*.map",
]
# MathJax's fonts for letters of one make, and what asks for them in a formula. The others, upright, italic, symbols and
# tall brackets, every formula may need.
LETTERS = {
    "Calligraphic-Regular": r"\\(mathcal|cal|oldstyle)\b",
    "Calligraphic-Bold": r"\\(mathbfcal|boldsymbol\{\\mathcal)",
    "Fraktur-Regular": r"\\(mathfrak|frak)\b",
    "Fraktur-Bold": r"\\mathbffrak\b",
    "Main-Bold": r"\\(mathbf|bf|textbf|boldsymbol|bm)\b",
    "Main-Italic": r"\\(mathit|it|textit)\b",
    "Math-BoldItalic": r"\\(boldsymbol|bm|mathbfit)\b",
    "Math-Regular": r"\\mathnormal\b",
    "SansSerif-Regular": r"\\(mathsf|sf|textsf)\b",
    "SansSerif-Bold": r"\\mathbfsf\b",
    "SansSerif-Italic": r"\\mathsfit\b",
    "Script-Regular": r"\\(mathscr|scr)\b",
    "Typewriter-Regular": r"\\(mathtt|tt|texttt)\b",
    "Vector-Regular": r"\\vec\b",
    "Vector-Bold": r"\\boldsymbol\{\\vec",
}
FORMULA = re.compile(r'class="math [^"]*">(.*?)</(?:span|div)>', re.DOTALL)


def unused_letters(pages: list[str]) -> list[str]:
    """Return the fonts that no formula of these pages asks for."""
    formulas = "\n".join(formula for page in pages for formula in FORMULA.findall(page))
    return [font for font, command in LETTERS.items() if not re.search(command, formulas)]


def lighten(out: Path) -> None:
    """Delete from the site in ``out`` what no page loads."""
    pages = [path.read_text(encoding="utf-8") for path in out.rglob("*.html")]
    fonts = [f"_static/mathjax/**/MathJax_{font}.woff" for font in unused_letters(pages)]
    for pattern in UNUSED + fonts:
        for path in sorted(out.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
