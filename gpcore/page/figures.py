"""Figures as themable inline SVG: one picture that reads in light, in dark, on a phone and to a screen reader."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
import sys

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["figure", "show", "to_svg"]

# Okabe-Ito: told apart under every common colour-blindness. A thing keeps its colour through the whole book.
REAL = "#0072b2"
GENERATED = "#d55e00"
CRITIC = "#009e73"
GRADIENT = "#cc79a7"
NEUTRAL = "#7d8590"
# Blue to orange, the axis that colour-blind readers keep; every step has a contrast of 3:1 with white and near-black.
SWEEP = ("#2b74d8", "#6f68d0", "#a45bb5", "#c9527f", "#d65b3c", "#c17a00")
# Stands for the page's own text colour and is unlikely to be anyone's choice.
INK = "#1b1f25"

VARIABLES = {REAL: "--gp-real", GENERATED: "--gp-generated", CRITIC: "--gp-critic", GRADIENT: "--gp-gradient"}
VARIABLES |= {NEUTRAL: "--gp-neutral"} | {color: f"--gp-sweep-{i}" for i, color in enumerate(SWEEP, 1)}

# A line style and a marker for each colour, because colour must not be the only carrier.
LINES = {REAL: "-", GENERATED: "--", CRITIC: "-.", GRADIENT: (0, (1, 1.2)), NEUTRAL: (0, (6, 2))}
LINES |= dict(zip(SWEEP, ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 2)), (0, (4, 1.5, 1, 1.5, 1, 1.5))), strict=True))
MARKERS = {REAL: "o", GENERATED: "X", CRITIC: "s", GRADIENT: "D", NEUTRAL: "P"}
MARKERS |= dict(zip(SWEEP, "os^DvP", strict=True))

STYLE = {
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=SWEEP, linestyle=[LINES[c] for c in SWEEP]),
    "lines.linewidth": 1.8,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "image.composite_image": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}

MAX_BYTES = 400_000
SMOOTH = "smooth"  # the gid of images that are to be drawn without visible pixels
WIDTHS = {1: 5.0, 2: 6.4, 3: 7.0, 4: 7.0}  # inches; 7 inches fill the book's column of 720 px
PIXELS_PER_POINT = 720 / (7.0 * 72)
STILL_DPI, STILL_COLORS = 72, 24


def figure(columns: int = 1, rows: int = 1, *, aspect: float = 0.72, **subplots):
    """Return ``(fig, axes)`` in the book's style, like ``plt.subplots(rows, columns)``.

    The figure is not known to pyplot, so no cell shows it by accident. The style is set in matplotlib's ``rcParams``,
    because an artist reads them when it is made, which is later than this call.

    Args:
        columns, rows: number of panels; one or two columns stay readable on a phone.
        aspect: height of a panel as a fraction of its width.
        subplots: passed on to ``Figure.subplots``, for instance ``sharey=True``.

    Returns:
        The figure, and one Axes or an array of them.

    Raises:
        ValueError: for more than four columns.

    Example:
        >>> fig, axes = gp.figure(2)
        >>> len(axes)
        2
    """
    if columns not in WIDTHS:
        raise ValueError(f"columns must be one of {', '.join(map(str, WIDTHS))}, got {columns!r}")
    matplotlib.rcParams.update(STYLE)
    width = WIDTHS[columns]
    fig = Figure(figsize=(width, width / columns * aspect * rows))
    return fig, fig.subplots(rows, columns, **subplots)


def check_alt(alt: str) -> str:
    """Return ``alt`` without spaces around it, or raise ``ValueError`` if it is too short to describe a figure."""
    if not isinstance(alt, str) or len(alt.strip()) < 20:
        raise ValueError(f"alt must say in a sentence (20 characters or more) what the figure shows, got {alt!r}")
    return alt.strip()


def to_svg(fig: Figure, alt: str, scope: str = "") -> str:
    """Return a figure as one ``<svg>`` element to be put into a page, and close the figure.

    Glyphs are paths, the ink is ``currentColor``, the house colours are CSS variables such as ``--gp-real`` with the
    colour itself to fall back on, the size follows the column. Equal figures give equal bytes, and ids are prefixed
    with a hash of the content, so that figures on one page do not clip one another.

    Args:
        fig: a matplotlib figure, best made by :func:`figure`.
        alt: what the figure shows, for those who cannot see it.
        scope: any text; two copies of one figure on a page need two scopes.

    Raises:
        ValueError: for an alt text under 20 characters, or an SVG above 400 kB.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.figures.to_svg(fig, "An empty panel with two axes.")[:4]
        '<svg'
    """
    alt = check_alt(alt)
    if fig.get_layout_engine() is None:
        fig.set_layout_engine("constrained")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "gpcore"}):
        fig.savefig(buffer, format="svg", transparent=True, dpi=120)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)
    svg = _embeddable(buffer.getvalue(), alt, scope)
    if len(svg.encode()) > MAX_BYTES:
        raise ValueError(
            f"the figure must stay under {MAX_BYTES // 1000} kB, got {len(svg.encode()) // 1000} kB; call "
            "set_rasterized(True) on its heat maps and point clouds, and draw fewer points of long lines"
        )
    return svg


def _embeddable(svg: str, alt: str, scope: str) -> str:
    """Turn matplotlib's stand-alone SVG document into an element of a page."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>|\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    # This rule would reach every icon of the page; as a style of the root it is inherited by the figure alone.
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    # A notebook's file spends a dozen bytes on every line break.
    svg = re.sub(r">\s+<", "><", svg.replace("xlink:href", "href"))
    # Without this style a browser smooths the image where it is drawn larger than it is.
    svg = re.sub(rf'(<image[^>]*? id="{SMOOTH}"[^>]*?) style="image-rendering:[^"]*"', r"\1", svg)
    svg = re.sub(r'(?<=\s)(d|x|y)="[^"]*"', _compact, svg)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable}, {color})")
    svg = _merge_marks(svg.replace(INK, "currentColor"))
    svg = _prefix_ids(svg, "gp" + hashlib.sha256("\n".join((scope, alt, svg)).encode()).hexdigest()[:8] + "-")
    view_box = re.search(r'viewBox="([^"]+)"', svg)[1]
    pixels = round(float(view_box.split()[2]) * PIXELS_PER_POINT)
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{html.escape(alt)}" viewBox="{view_box}" '
        f'style="width:100%;max-width:{pixels}px;height:auto;stroke-linejoin:round;stroke-linecap:butt">'
    )
    return root + svg[svg.index(">") + 1 :]


def _compact(attribute: re.Match) -> str:
    """Round coordinates (matplotlib writes a millionth of a point), drop the spaces around letters.

    To a tenth of a point, but to a hundredth below 10: that is the outline of a marker, which is small.
    """
    rounded = re.sub(r"(?<!\d)-?\d\.\d{3,}", lambda m: f"{round(float(m[0]), 2):g}", attribute[0])
    rounded = re.sub(r"-?\d\d+\.\d{2,}", lambda m: f"{round(float(m[0]), 1):g}", rounded)
    return re.sub(r"\s*([A-Za-z])\s+|\s+(?=\")", r"\1", rounded)


def _merge_marks(svg: str) -> str:
    """Give marks that stand side by side one group with their common style; a point cloud then weighs half."""
    svg = re.sub(r'(<g clip-path="[^"]*">)<use [^>]*/></g>(?:\1<use [^>]*/></g>)+', _one_clip, svg)
    return re.sub(r'<use [^>]*( style="[^"]*")/>(?:<use [^>]*\1/>)+', _one_style, svg)


def _one_clip(groups: re.Match) -> str:
    return groups[1] + "".join(re.findall(r"<use [^>]*/>", groups[0])) + "</g>"


def _one_style(marks: re.Match) -> str:
    return f"<g{marks[1]}>{marks[0].replace(marks[1], '')}</g>"


def _prefix_ids(svg: str, prefix: str) -> str:
    """Drop the ids that are not referred to; number the others, behind the prefix."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    short = {name: f"{prefix}{number}" for number, name in enumerate(used)}
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{short[m[1]]}"' if m[1] in used else "", svg)
    return re.sub(r'(href="|url\()#([^")]+)', lambda m: f"{m[1]}#{short[m[2]]}", svg)


def to_still(fig: Figure, alt: str) -> str:
    """Return a figure as one ``<img>`` that is hidden: black on white, of few colours, to stand behind its SVG.

    A notebook that is opened and not run is not trusted. JupyterLab and other viewers then drop the ``<svg>`` of an
    output, and with it the attribute ``hidden``: the image takes the place of the figure. Its ``alt`` is not read out
    while it is hidden.

    Args:
        fig: a matplotlib figure, best made by :func:`figure`.
        alt: what the figure shows, for those who cannot see it.

    Raises:
        ValueError: for an alt text under 20 characters.

    Example:
        >>> import gpcore as gp
        >>> fig, ax = gp.figure()
        >>> gp.figures.to_still(fig, "An empty pair of axes")[:41]
        '<img hidden="" alt="An empty pair of axes'
    """
    alt, drawn, packed = check_alt(alt), io.BytesIO(), io.BytesIO()
    if fig.get_layout_engine() is None:
        fig.set_layout_engine("constrained")
    fig.savefig(drawn, format="png", dpi=STILL_DPI, facecolor="white")
    Image.open(drawn).convert("RGB").quantize(STILL_COLORS, dither=Image.Dither.NONE).save(packed, "png", optimize=True)
    width = round(72 * fig.get_figwidth() * PIXELS_PER_POINT)
    return (
        f'<img hidden="" alt="{html.escape(alt)}" width="{width}" style="max-width:100%" '
        f'src="data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"/>'
    )


def figure_html(content: str, caption: str = "", kind: str = "gp-figure") -> str:
    """Return ``content`` in a ``<figure>`` with its caption, which is plain text."""
    caption = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}" style="margin:1em 0">{content}{caption}</figure>'


class Output:
    """One output in several formats; in a script, where nothing is displayed, it prints as its plain text."""

    def __init__(self, text: str, markup: str, more: dict | None = None):
        self.bundle = {"text/plain": text, "text/html": markup, **(more or {})}

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.bundle

    def __repr__(self):
        return self.bundle["text/plain"]


def say(ax, text: str) -> None:
    """Keep what was drawn on an Axes, in words, for the alternative text that :func:`show` puts together."""
    ax.figure.__dict__.setdefault("gp_said", []).append((ax, text))


def _said(fig: Figure) -> str:
    """What was drawn, panel by panel; a panel is called by its title or else by its vertical axis."""
    panels: dict = {}
    for ax, text in fig.__dict__.get("gp_said", []):
        panels.setdefault(ax, []).append(text)
    names = {ax: re.sub(r"[$\\{}]", "", ax.get_title() or ax.get_ylabel()) for ax in panels}
    return " ".join(f"{names[ax]}: {'; '.join(texts)}.".lstrip(": ") for ax, texts in panels.items())


def show(fig: Figure, alt: str, caption: str = "") -> None:
    """Display a figure in a notebook as inline SVG, with a still image for viewers that drop it, and close it.

    The alternative text is ``alt`` and what the plotting calls say of what they drew: where each curve starts, ends and
    how far its runs are apart. A figure with bands says in its caption what line and band are.

    Args:
        fig: a matplotlib figure, best made by :func:`figure`.
        alt: a sentence of at least 20 characters on what the figure shows, without measured numbers; it is also the
            output's plain text.
        caption: plain text put under the figure.

    Raises:
        ValueError: as :func:`to_svg`.

    Example:
        >>> fig, ax = gp.figure()
        >>> _ = ax.plot([0, 1], [0, 1])
        >>> gp.show(fig, "A straight line from the origin to (1, 1).")
        Figure: A straight line from the origin to (1, 1).
    """
    from IPython.display import display

    alt = check_alt(alt)
    seeds = fig.__dict__.get("gp_seeds", 1)
    bands = f"Line: median; band: range over {seeds} seeds." if seeds > 1 else ""
    caption = " ".join(filter(None, [caption.strip(), bands]))
    whole = f"{alt} {_said(fig)}".strip()
    display(Output(f"Figure: {alt}", figure_html(to_svg(fig, whole) + to_still(fig, whole), caption)))
