"""The book's pictures: functions that draw on an Axes, from plain arrays or tensors.

Functions return nothing, and label the axes where they know what stands on them. A line's style and marker follow from
its colour (see ``gpcore.figures``), so that colour is never the only carrier.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from ..penalties import gradient_norms
from ..training.config import History, stack
from .figures import GENERATED, GRADIENT, INK, LINES, MARKERS, NEUTRAL, REAL, SMOOTH, SWEEP

MAX_POINTS = 250  # of a line: more than this is finer than a pixel
MAX_MARKERS = 300  # of a cloud that stays vector graphics


def _array(values) -> np.ndarray:
    """A NumPy array of a tensor on any device, or of anything else that NumPy takes."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _box(extent: float | tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """(left, right, bottom, top), of which a number is the half-width."""
    return (-extent, extent, -extent, extent) if isinstance(extent, (int, float)) else tuple(extent)


def _square(ax: Axes, extent) -> None:
    box = _box(extent)
    ax.set(xlim=box[:2], ylim=box[2:], aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def _points(extent, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coordinates of an n by n grid, and its points (n * n, 2) row by row from the bottom."""
    left, right, bottom, top = _box(extent)
    x, y = np.linspace(left, right, n), np.linspace(bottom, top, n)
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _on_grid(critic, extent, n: int, measure: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates and values (rows, columns): of ``measure(critic, points)``, or given already as a grid."""
    if not callable(critic):
        values = _array(critic)
        left, right, bottom, top = _box(extent)
        return np.linspace(left, right, values.shape[1]), np.linspace(bottom, top, values.shape[0]), values
    x, y, points = _points(extent, n)
    parameter = next(critic.parameters(), None) if isinstance(critic, torch.nn.Module) else None
    points = torch.as_tensor(points, dtype=torch.float32)
    points = points if parameter is None else points.to(parameter)  # its device and its precision
    return x, y, _array(measure(critic, points)).reshape(n, n)


def legend(ax: Axes, columns: int = 2) -> None:
    """Put the legend above the panel, where it covers nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, columnspacing=1.2, borderaxespad=0.2)


def band(ax: Axes, x, runs, color: str, label: str, log: bool = False) -> None:
    """Draw the median of several runs as a line and their range, from minimum to maximum, as a band.

    A run that ends in NaN has diverged: a cross marks its last finite value, and the median is of those that remain.
    A long series is drawn in buckets; the band is the range within each bucket, so that no spike is lost.

    Args:
        x: positions ``(T,)``.
        runs: one row a run, ``(S, T)``, or a single run ``(T,)``.
        color: a colour of ``gpcore.figures``; line style and marker follow from it.
        label: name in the legend.
        log: whether the vertical axis is logarithmic.

    Raises:
        ValueError: where ``runs`` does not have one column for each position.
    """
    x, runs = _array(x).astype(float), np.atleast_2d(_array(runs)).astype(float)
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(f"runs must have shape (S, {len(x)}), one column for each x, got {runs.shape}")
    buckets = np.array_split(np.arange(len(x)), min(len(x), MAX_POINTS))
    center, blocks = [x[b].mean() for b in buckets], [runs[:, b][~np.isnan(runs[:, b])] for b in buckets]
    # Where every run has diverged there is nothing to summarise.
    low, middle, high = ([f(v) if v.size else np.nan for v in blocks] for f in (np.min, np.median, np.max))
    ax.fill_between(center, low, high, color=color, alpha=0.22, linewidth=0)
    # A marker on every eighth of the line tells curves apart where dashes do not.
    every = max(1, len(center) // 8)
    style = dict(linestyle=LINES.get(color, "-"), marker=MARKERS.get(color), markersize=4.5, markevery=every)
    ax.plot(center, middle, color=color, label=label, **style)
    for run in runs:
        last = np.flatnonzero(np.isfinite(run))
        if len(last) and last[-1] < len(x) - 1:
            ax.plot(x[last[-1]], run[last[-1]], "x", color=color, markersize=8, markeredgewidth=2)
    if log:
        ax.set_yscale("log")


def curves(ax: Axes, histories: Iterable[History], name: str, color: str, label: str, log: bool = False) -> None:
    """Draw one series of several runs with :func:`band`: ``name`` is a field of ``History``, or a score's name."""
    histories = list(histories)
    steps = "score_step" if any(name in history.scores for history in histories) else "step"
    x = max((getattr(history, steps) for history in histories), key=len)
    band(ax, x, stack(histories, name), color, label, log)
    ax.set(xlabel="generator step", ylabel=name.replace("_", " "))


def _cloud(ax: Axes, points, marker: str, color: str, label: str, **style) -> None:
    points = _array(points)
    ax.plot(*points.T, marker, color=color, label=label, rasterized=len(points) > MAX_MARKERS, **style)


def samples(ax: Axes, real=None, fake=None, limit: float = 2.0) -> None:
    """Scatter real samples (circles) and generated ones (crosses), each ``(N, 2)`` or None, on ±limit."""
    if real is not None:
        _cloud(ax, real, "o", REAL, "real", markersize=3.5, alpha=0.6, markeredgewidth=0)
    if fake is not None:
        _cloud(ax, fake, "x", GENERATED, "generated", markersize=4, alpha=0.8, markeredgewidth=1.1)
    _square(ax, limit)


def _heat_map(ax: Axes, x, y, values, **style):
    """A smooth image of values on a grid, whose points are the centres of its pixels.

    It is stored with one pixel a grid point, a tenth of what a smooth image takes; who draws the figure smooths it.
    """
    dx, dy = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
    box = (x[0] - dx, x[-1] + dx, y[0] - dy, y[-1] + dy)
    image = ax.imshow(values, extent=box, origin="lower", interpolation="none", **style)
    image.set_gid(SMOOTH)
    return image


def value_surface(ax: Axes, critic, extent, real=None, n: int = 64) -> None:
    """Draw a critic's value over the plane as a heat map with contour lines, dashed where the value is negative.

    Args:
        critic: a function of points ``(N, 2)`` that returns ``(N,)``, or its values ``(rows, columns)`` on a grid over
            ``extent``, the bottom row first.
        extent: half-width, or (left, right, bottom, top).
        real: real samples ``(N, 2)`` to put on top.
        n: points a side.
    """
    with torch.no_grad():
        x, y, values = _on_grid(critic, extent, n, lambda critic, points: critic(points))
    image = _heat_map(ax, x, y, values, cmap="cividis")
    if np.ptp(values) > 0:
        ax.contour(x, y, values, levels=8, colors="white", linewidths=0.8, alpha=0.7)
    if real is not None:
        _cloud(ax, real, "o", REAL, "real", markersize=4, markeredgecolor="white", markeredgewidth=0.6)
    ax.figure.colorbar(image, ax=ax, label="critic value")
    _square(ax, extent)


def norm_map(ax: Axes, critic, extent, n: int = 64) -> None:
    """Draw the norm of a critic's gradient with respect to its input: orange below 1, purple above, a line at 1.

    Args:
        critic: a differentiable function of points ``(N, 2)`` that returns ``(N,)``, or the norms ``(rows, columns)``.
        extent: half-width, or (left, right, bottom, top).
        n: points a side.
    """
    x, y, values = _on_grid(critic, extent, n, gradient_norms)
    finite = np.abs(np.log10(values[np.isfinite(values) & (values > 0)]))
    # The same distance up and down keeps the middle of the colours at 1; beyond a factor of 100 all look alike.
    span = 10 ** min(2.0, max(0.3, finite.max(initial=0.3)))
    image = _heat_map(ax, x, y, np.clip(values, 1 / span, span), cmap="PuOr", norm=LogNorm(1 / span, span))
    if values.min() < 1 < values.max():
        ax.contour(x, y, values, levels=[1.0], colors="black", linewidths=1.4)
    bar = ax.figure.colorbar(image, ax=ax, label="gradient norm")
    ticks = (0.01, 0.1, 1, 10, 100) if span > 11 else (0.1, 0.2, 0.5, 1, 2, 5, 10)
    ticks = [tick for tick in ticks if 1 / span <= tick <= span]
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
    _square(ax, extent)


def _colored(by_label: Mapping[str, object]):
    """Pairs of a sweep colour and an item."""
    if not 0 < len(by_label) <= len(SWEEP):
        raise ValueError(f"the mapping of labels must hold 1 to {len(SWEEP)} series, got {len(by_label)}")
    return zip(SWEEP, by_label.items(), strict=False)


def layer_norms(ax: Axes, norms_by_label: Mapping[str, object]) -> None:
    """Draw the norm of the gradient at every layer, on a log scale: ``(depth,)`` or ``(S, depth)`` for each label."""
    for color, (label, norms) in _colored(norms_by_label):
        norms = np.atleast_2d(_array(norms))
        band(ax, np.arange(1, norms.shape[1] + 1), norms, color, label, log=True)
    ax.set(xlabel="layer, from the input", ylabel="gradient norm")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)


def _histogram(ax: Axes, values_by_label: Mapping[str, object], edges: np.ndarray) -> None:
    for color, (label, values) in _colored(values_by_label):
        values = _array(values).ravel()
        share = np.histogram(values, edges)[0] / len(values)
        ax.stairs(share, edges, color=color, linestyle=LINES[color], linewidth=1.8, label=label)
    legend(ax)


def weight_histogram(ax: Axes, weights_by_label: Mapping[str, object], clip: float | None = None) -> None:
    """Draw the shares of a network's weights, any shape for each label.

    With ``clip`` there are dotted lines at ±clip, and weights beyond 1.05 times that are counted but not drawn.
    """
    limit = clip or max(np.abs(_array(weights)).max() for weights in weights_by_label.values())
    # An odd number of bins: ±limit and 0 lie inside a bin, not on an edge where rounding would choose the side.
    _histogram(ax, weights_by_label, np.linspace(-1.05 * limit, 1.05 * limit, 42))
    for bound in (-clip, clip) if clip else ():
        ax.axvline(bound, color=NEUTRAL, linestyle=":", zorder=0)
    ax.set(xlabel="weight", ylabel="share of weights")


def histogram_of_norms(ax: Axes, norms_by_label: Mapping[str, object], target: float = 1.0) -> None:
    """Draw the shares of gradient norms ``(N,)`` for each label, with a line at the target of the penalty.

    The highest percent of each label may lie beyond the right end; the shares count it all the same.
    """
    highest = max(2 * target, *(np.quantile(_array(norms), 0.99) for norms in norms_by_label.values()))
    _histogram(ax, norms_by_label, np.linspace(0, highest, 41))
    ax.axvline(target, color=NEUTRAL, linestyle=":", zorder=0)
    ax.set(xlabel="gradient norm", ylabel="share of points")


def image_grid(ax: Axes, images, columns: int = 8) -> None:
    """Draw images ``(N, 1, H, W)`` with values in [-1, 1] as tiles, black at -1 and white at 1."""
    images = _array(images)[:, 0]
    n, height, width = images.shape
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)  # NaN: see-through seams
    for i, image in enumerate(images):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    ax.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="none")
    ax.axis("off")


def vector_field(ax: Axes, field: Callable, extent, n: int = 11) -> None:
    """Draw arrows of ``field``, a function of an array of points ``(N, 2)`` that returns ``(N, 2)``, on an n by n grid.

    For the Dirac-GAN: ``lambda p: gp.dirac.vector_field("r1", *p.T)``.
    """
    left, right, bottom, top = _box(extent)
    x, y = 0.04 * (right - left), 0.04 * (top - bottom)  # a margin, or the outer arrows are cut
    _, _, points = _points((left + x, right - x, bottom + y, top - y), n)
    vectors = _array(field(points))
    # Lengths grow as the square root: near an equilibrium the arrows would be dots otherwise.
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.sqrt(np.maximum(length, 1e-12))
    ax.quiver(*points.T, *vectors.T, color=NEUTRAL, angles="xy", width=0.005, pivot="mid")
    _square(ax, extent)


def trajectory(ax: Axes, path, color: str = GRADIENT, label: str | None = None) -> None:
    """Draw a path ``(T, 2)`` of (theta, psi) in the Dirac-GAN: circle at the start, square at the end, cross at 0."""
    path = _array(path)
    ax.plot(*path.T, color=color, linewidth=1.2, label=label)
    ax.plot(*path[0], "o", color=color, markersize=7, markerfacecolor="none", markeredgewidth=1.6)
    ax.plot(*path[-1], "s", color=color, markersize=6)
    ax.plot(0, 0, "+", color=INK, markersize=10, markeredgewidth=1.6)
    ax.set(xlabel=r"generator $\theta$", ylabel=r"critic $\psi$", aspect="equal")


def arrows(ax: Axes, vectors, labels: Sequence[str], colors: Sequence[str] | None = None) -> None:
    """Draw vectors ``(k, 2)`` from the origin, each with its label in the legend: what scaling does to a gradient."""
    vectors = _array(vectors)
    colors = SWEEP[: len(vectors)] if colors is None else colors
    for vector, label, color in zip(vectors, labels, colors, strict=True):
        style = dict(color=color, linewidth=2.2, linestyle=LINES.get(color, "-"))
        head = dict(arrowstyle="-|>", mutation_scale=14, shrinkA=0, shrinkB=0)
        ax.annotate("", xy=vector, xytext=(0, 0), arrowprops=head | style)
        ax.plot([], [], label=label, **style)  # for the legend: labels at the tips would collide
    reach = 1.15 * np.abs(vectors).max()
    ax.plot(0, 0, ".", color=INK)
    left, bottom = (reach if (vectors[:, i] < 0).any() else 0.1 * reach for i in (0, 1))
    ax.set(xlim=(-left, reach), ylim=(-bottom, reach), aspect="equal")
    ax.set(xlabel="first component", ylabel="second component")
    legend(ax)
