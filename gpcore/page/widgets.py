"""Interactive figures that need no kernel: a player of drawn frames with one knob, and the living page."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib import resources
from urllib.parse import urlencode

from matplotlib.figure import Figure

from .. import _checks
from .figures import MAX_BYTES, Output, check_alt, figure_html, to_still, to_svg

# A notebook that is not trusted loses its scripts but keeps an <input>, so it is the script that makes the knob.
PLAYER = """<div id="{uid}">
<div>{frames}</div>
<p data-knob hidden=""></p>
<p data-still>Shown: {name} = {shown}. Where JavaScript runs, a slider shows {others} too.</p>
<script>(function () {{
  var root = document.getElementById("{uid}"), place = root.querySelector("[data-knob]");
  place.innerHTML = {knob};
  var frames = root.querySelectorAll("[data-frame]"), knob = root.querySelector("input");
  function turn() {{
    var label = frames[knob.value].getAttribute("data-frame");
    for (var i = 0; i < frames.length; i++) frames[i].hidden = i !== Number(knob.value);
    knob.setAttribute("aria-valuetext", label);
    root.querySelector("output").textContent = label;
  }}
  place.hidden = false;
  root.querySelector("[data-still]").hidden = true;
  knob.addEventListener("input", turn);
  turn();
}})();</script>
</div>"""
# JupyterLab would take the arrow keys for commands of its own; it looks at this attribute of what has the focus.
KNOB = """<label for="{uid}-knob">{name}</label>
<input type="range" id="{uid}-knob" min="0" max="{last}" step="1" value="{start}" aria-valuetext="{shown}" \
style="width:min(20em,60%);vertical-align:middle" data-lm-suppress-shortcuts="true">
<output for="{uid}-knob" aria-live="off">{shown}</output>"""


def explore(
    draw: Callable[[object], Figure],
    name: str,
    values: Sequence,
    *,
    start: object,
    alt: str | Callable[[object], str],
    caption: str = "",
    label: Callable[[object], str] = str,
) -> None:
    """Display one figure with one knob.

    The output is a plain-HTML player of figures that are drawn now: its slider needs no kernel, so it turns in a
    notebook that was saved and opened again, and in a page. Where scripts do not run the figure at ``start`` stands.

    Args:
        draw: returns the figure for one value of the knob.
        name: what the knob turns, in words.
        values: positions of the knob, at least two, in order; every one is drawn.
        start: the value shown first, one of ``values``.
        alt: what the figure shows, or a function of the value that says it; 20 characters or more.
        caption: plain text put under the figure.
        label: turns a value into words.

    Raises:
        ValueError: for fewer than two values, labels that are not distinct, a start that is not among the values, a
            short alt text, or frames of more than 400 kB together.

    Example:
        >>> def line(a):
        ...     fig, ax = gp.figure()
        ...     _ = ax.plot([0, 1], [0, a])
        ...     return fig
        >>> gp.widgets.explore(line, "slope", [1, 2], start=1, alt="A straight line through the origin.")
        Interactive figure: A straight line through the origin. slope: 1.
    """
    values = list(values)
    if len(values) < 2:
        raise ValueError(f"values must hold at least two positions, got {values!r}")
    if start not in values:
        raise ValueError(f"start must be one of the values, got {start!r}, expected one of {values!r}")
    if len({label(value) for value in values}) < len(values):
        raise ValueError(f"label must give every value its own name, got {[label(value) for value in values]!r}")

    def describe(value) -> str:
        # The value belongs to the text: it tells the frames apart, for the ear as for the ids inside the SVG.
        return f"{check_alt(alt(value) if callable(alt) else alt).rstrip('.')}. {name}: {label(value)}."

    # Two players may have a frame in common, and a clip path inside a hidden frame clips nothing elsewhere.
    scope = f"{name} {caption} {[label(value) for value in values]}"
    drawn = {value: draw(value) for value in values}
    frames = {value: to_svg(fig, describe(value), scope) for value, fig in drawn.items()}
    content = to_still(drawn[start], describe(start)) + _player(frames, name, start, label)
    player = figure_html(content, caption, "gp-figure gp-player")
    if len(player.encode()) > MAX_BYTES:
        raise ValueError(
            f"the frames must stay under {MAX_BYTES // 1000} kB together, got {len(player.encode()) // 1000} kB for "
            f"{len(values)} frames; draw fewer or simpler ones"
        )
    from IPython.display import display

    display(Output(f"Interactive figure: {describe(start)}", player))


def _player(frames: dict[object, str], name: str, start: object, label: Callable[[object], str]) -> str:
    """All frames, one of them shown, and a native range input that the keyboard can turn."""
    shown = [
        f'<div data-frame="{html.escape(label(value))}"{"" if value == start else " hidden"}>{svg}</div>'
        for value, svg in frames.items()
    ]
    content = "\n".join(shown)
    words = {
        "uid": "gp" + hashlib.sha256((name + content).encode()).hexdigest()[:10],
        "name": html.escape(name),
        "shown": html.escape(label(start)),
    }
    knob = KNOB.format(last=len(frames) - 1, start=list(frames).index(start), **words)
    others = html.escape(", ".join(label(value) for value in frames if value != start))
    # Inside a script "</" may not stand.
    return PLAYER.format(frames=content, knob=json.dumps(knob).replace("</", "<\\/"), others=others, **words)


_RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
# What the living page can be set to; its own names differ where Python's custom does.
PLAYGROUND = {
    "data": ("8_gaussians", "25_gaussians", "swiss_roll", "two_points", "drawn"),
    "loss": ("wasserstein", "non_saturating", "minimax", "least_squares"),
    "constraint": ("none", "clip", "gp", "gp_one_sided", "gp_zero", "r1"),
    "weight": (0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
    "clip": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
    "threshold": (0, 0.001, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    "n_critic": (1, 2, 3, 4, 5, 6, 8, 10),
    "lr_critic": _RATES,
    "lr_generator": _RATES,
    "optimizer": ("adam", "sgd"),
    "activation": ("leaky_relu", "relu", "tanh"),
    "batch_size": (16, 32, 64, 128, 256),
    "seed": tuple(range(20)),
}
_PAGE_NAMES = {"n_critic": "criticSteps", "lr_critic": "lrCritic", "lr_generator": "lrGenerator", "batch_size": "batch"}
_PICTURES = ("game", "slope", "losses", "gradients")
_ADDRESS = "https://gradient-penalty-book.github.io/gradient-penalty-book/book/live.html"
# The words stand where scripts do not run. JupyterLab would take keys that are pressed here for commands of its own.
_PLACE = """<div data-living-page="{settings}"{small} data-lm-suppress-shortcuts="true">
<p class="pg-still">Where scripts run, two small networks are trained in this place, in the reader's browser{start}.</p>
<p class="pg-open"><a class="pg-whole" href="{address}" target="_blank" rel="noopener">Open the whole page with \
these settings</a> (in a new tab)</p>
</div><script>{script}</script>"""


def playground(*, controls: Sequence[str] | None = None, show: Sequence[str] | None = None, **settings) -> None:
    """Display the book's living page: two networks trained in the browser, with no kernel, server or network needed.

    It keeps living in a notebook that is only looked at. It begins when it is scrolled into view and sleeps out of it.

    Args:
        controls: None for the whole page. Otherwise the page takes a small form, to stand between paragraphs: buttons
            to play, step and start again, these controls in this order (names of settings, as below), the pictures of
            ``show``, and a link to the whole page with the settings of the moment.
        show: the pictures of the small form, in this order: ``"game"`` (the samples on the critic's value), ``"slope"``
            (the map of its input gradient's norm), ``"losses"``, ``"gradients"`` (the norms of the parameters'
            gradients, before and after scaling). None is ``("game",)``. The whole page shows all four.
        settings: what it starts with, as for :class:`Config`: ``data``, ``loss``, ``constraint``, ``weight``, ``clip``,
            ``threshold`` (of gradient norm scaling; 0 is none), ``n_critic``, ``lr_critic``, ``lr_generator``,
            ``optimizer``, ``activation``, ``batch_size``, ``seed``. ``gpcore.widgets.PLAYGROUND`` lists the values of
            each: those that its controls can show.

    Raises:
        TypeError: ``controls`` or ``show`` is one string and not a sequence of them.
        ValueError: a setting, a value, a control or a picture that the page does not have, one that is named twice or
            none at all, or ``show`` without ``controls``.

    Example:
        >>> gp.widgets.playground(controls=["loss"], show=["game"])
        The living page: two networks trained in the browser
    """
    for name, value in settings.items():
        _checks.one_of(name, value, PLAYGROUND[_checks.one_of("setting", name, PLAYGROUND)])
    small, start = "", ""
    if controls is None and show is not None:
        raise ValueError(f"show must come with controls, for it belongs to the small form; got {show!r} alone")
    if controls is not None:
        controls = [_PAGE_NAMES.get(name, name) for name in _names("controls", controls, PLAYGROUND)]
        form = {"controls": controls, "show": _names("show", ("game",) if show is None else show, _PICTURES)}
        small = f' data-small="{html.escape(json.dumps(form))}"'
    if settings:
        start = ", starting with " + ", ".join(f"{name} = {value}" for name, value in settings.items())
    of_page = {_PAGE_NAMES.get(name, name): value for name, value in settings.items()}
    place = _PLACE.format(
        settings=html.escape(json.dumps(of_page)),
        small=small,
        start=html.escape(start),
        address=html.escape(f"{_ADDRESS}#{urlencode(of_page)}" if of_page else _ADDRESS),
        script=resources.files(__package__).joinpath("playground.js").read_text(encoding="utf-8"),
    )
    from IPython.display import display

    display(Output("The living page: two networks trained in the browser", place))


def _names(argument: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The names as a list: at least one, all known and different."""
    if isinstance(names, str):
        raise TypeError(f"{argument} must be a sequence of names, got the string {names!r}; write ({names!r},)")
    names = [_checks.one_of(argument, name, known) for name in names]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{argument} must hold one name or more, each once, got {names!r}")
    return names
