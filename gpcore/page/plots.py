"""The book's pictures: functions that draw on an Axes, from plain arrays or tensors.

Functions return nothing, and label the axes where they know what stands on them. A line's style and marker follow from
its colour (see ``gpcore.figures``), so that colour is never the only carrier.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ..norm_log import threshold_report
from ..training.config import History, stack
from .figures import GENERATED, GRADIENT, INK, LINES, MARKERS, NEUTRAL, REAL, SWEEP, say
from .surfaces import MAX_MARKERS, as_array, cloud, norm_map, square, value_surface, vector_field  # noqa: F401  drawn on the plane, named here as well
from .tables import short

MAX_POINTS = 250  # of a line: more than this is finer than a pixel


def legend(ax: Axes, columns: int = 2) -> None:
    """Put the legend above the panel, where it covers nothing.

    Example:
        >>> fig, ax = gp.figure()
        >>> _ = ax.plot([0, 1], label="a line")
        >>> gp.plots.legend(ax)
        >>> ax.get_legend() is not None
        True
    """
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, columnspacing=1.2, borderaxespad=0.2)


def band(ax: Axes, x, runs, color: str, label: str, log: bool = False) -> None:
    """Draw the median of several runs as a line and their range, from minimum to maximum, as a band.

    A run that ends in NaN has diverged: a cross marks its last finite value, and the median is of those that remain.
    A long series is drawn in buckets; the band is the range within each bucket, so that no spike is lost.

    Args:
        x: positions ``(T,)``.
        runs: one row per run, ``(S, T)``, or a single run ``(T,)``.
        color: a colour of ``gpcore.figures``; line style and marker follow from it.
        label: name in the legend.
        log: whether the vertical axis is logarithmic.

    Raises:
        ValueError: where ``runs`` does not have one column for each position.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.band(ax, [0, 1, 2], torch.rand(16, 3), gp.figures.CRITIC, "critic")
    """
    x, runs = as_array(x).astype(float), np.atleast_2d(as_array(runs)).astype(float)
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
    ax.figure.gp_seeds = max(len(runs), getattr(ax.figure, "gp_seeds", 1))
    say(ax, _course(label, middle, runs))


def _course(label: str, middle: Sequence[float], runs: np.ndarray) -> str:
    """The course of a curve in words: its start and end, the range of its runs there, and how far it went between."""
    middle = np.asarray(middle)[np.isfinite(middle)]
    if not len(middle):
        return f"{label} has no finite value"
    first, last, low, high = middle[0], middle[-1], middle.min(), middle.max()
    ends = [run[np.isfinite(run)][-1] for run in runs if np.isfinite(run).any()]
    text = f"{label} starts at {short(first)} and ends at {short(last)}"
    text += f" ({short(min(ends))} to {short(max(ends))})" if len(ends) > 1 else ""
    text += f", highest {short(high)}" if high > max(first, last) + 0.05 * abs(high) else ""
    return text + (f", lowest {short(low)}" if low < min(first, last) - 0.05 * abs(low) else "")


def curves(ax: Axes, histories: Iterable[History], name: str, color: str, label: str, log: bool = False) -> None:
    """Draw one series of several runs with :func:`band`: ``name`` is a field of ``History``, or a score's name.

    Example:
        >>> runs = gp.train_many(gp.Config(steps=3, n_critic=1, batch_size=8, width=8, device="cpu"), [0, 1])
        >>> fig, ax = gp.figure()
        >>> gp.plots.curves(ax, runs, "critic_loss", gp.figures.CRITIC, "critic")
    """
    histories = list(histories)
    steps = "score_step" if any(name in history.scores for history in histories) else "step"
    x = max((getattr(history, steps) for history in histories), key=len)
    band(ax, x, stack(histories, name), color, label, log)
    ax.set(xlabel="generator step", ylabel=name.replace("_", " "))


def samples(ax: Axes, real=None, fake=None, limit: float = 2.0) -> None:
    """Scatter real samples (circles) and generated ones (crosses), each ``(N, 2)`` or None, on ±limit.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.samples(ax, real=gp.data.eight_gaussians(50), fake=torch.randn(50, 2))
    """
    if real is not None:
        cloud(ax, real, "o", REAL, "real", markersize=3.5, alpha=0.6, markeredgewidth=0)
    if fake is not None:
        cloud(ax, fake, "x", GENERATED, "generated", markersize=4, alpha=0.8, markeredgewidth=1.1)
    square(ax, limit)


def _colored(by_label: Mapping[str, object]):
    """Pairs of a sweep colour and an item."""
    if not 0 < len(by_label) <= len(SWEEP):
        raise ValueError(f"the mapping of labels must hold 1 to {len(SWEEP)} series, got {len(by_label)}")
    return zip(SWEEP, by_label.items(), strict=False)


def layer_norms(ax: Axes, norms_by_label: Mapping[str, object]) -> None:
    """Draw the norm of the gradient at every layer, on a log scale: ``(depth,)`` or ``(S, depth)`` for each label.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.layer_norms(ax, {"clipped": torch.logspace(0, -3, 12), "penalised": torch.ones(12)})
    """
    for color, (label, norms) in _colored(norms_by_label):
        norms = np.atleast_2d(as_array(norms))
        band(ax, np.arange(1, norms.shape[1] + 1), norms, color, label, log=True)
    ax.set(xlabel="layer, from the input", ylabel="gradient norm")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax)


def _histogram(ax: Axes, values_by_label: Mapping[str, object], edges: np.ndarray) -> None:
    for color, (label, values) in _colored(values_by_label):
        values = as_array(values).ravel()
        share = np.histogram(values, edges)[0] / len(values)
        say(ax, f"{label}: median {short(float(np.median(values)))}")
        ax.stairs(share, edges, color=color, linestyle=LINES[color], linewidth=1.8, label=label)
    legend(ax)


def weight_histogram(ax: Axes, weights_by_label: Mapping[str, object], clip: float | None = None) -> None:
    """Draw the shares of a network's weights, any shape for each label.

    With ``clip`` there are dotted lines at ±clip, and weights beyond 1.05 times that are counted but not drawn.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.weight_histogram(ax, {"clipped": torch.randn(999).clamp(-1, 1)}, clip=1.0)
    """
    limit = clip or max(np.abs(as_array(weights)).max() for weights in weights_by_label.values())
    # An odd number of bins: ±limit and 0 lie inside a bin, not on an edge where rounding would choose the side.
    _histogram(ax, weights_by_label, np.linspace(-1.05 * limit, 1.05 * limit, 42))
    for bound in (-clip, clip) if clip else ():
        ax.axvline(bound, color=NEUTRAL, linestyle=":", zorder=0)
    ax.set(xlabel="weight", ylabel="share of weights")


def histogram_of_norms(ax: Axes, norms_by_label: Mapping[str, object], target: float = 1.0) -> None:
    """Draw the shares of gradient norms ``(N,)`` for each label, with a line at the target of the penalty.

    The highest percent of each label may lie beyond the right end; the shares count it all the same.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.histogram_of_norms(ax, {"two-sided": 1 + 0.1 * torch.randn(999)})
    """
    highest = max(2 * target, *(np.quantile(as_array(norms), 0.99) for norms in norms_by_label.values()))
    _histogram(ax, norms_by_label, np.linspace(0, highest, 41))
    ax.axvline(target, color=NEUTRAL, linestyle=":", zorder=0)
    ax.set(xlabel="gradient norm", ylabel="share of points")


def thresholds(ax: Axes, norms, taus: Iterable[float]) -> None:
    """Draw logged gradient norms, one per step, on a log scale, and what each threshold would have clipped of them.

    Norms that are not finite are left out. A long log is drawn in buckets: median and range within each.

    Args:
        norms: ``(T,)``, as :func:`gpcore.threshold_report` takes them.
        taus: one to six thresholds, each a line whose label says its share of clipped steps and their stretches.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.thresholds(ax, [1.0, 5.0, 1.0, 1.0, 10.0, 4.0, 1.0, 1.0], taus=[2.0, 6.0])
    """
    norms = np.asarray(as_array(norms), dtype=float)
    finite = np.flatnonzero(np.isfinite(norms))
    band(ax, finite, norms[finite], NEUTRAL, "norm", log=True)
    for color, (tau, report) in _colored({tau: threshold_report(norms, tau) for tau in taus}):
        label = f"{short(tau)}: clips {report.share:.0%}, stretches {report.spikes:,}"
        ax.axhline(tau, color=color, linestyle=LINES[color], label=label)
        say(ax, f"threshold {label}")
    ax.set(xlabel="step", ylabel="norm before scaling")
    legend(ax, columns=1)


def image_grid(ax: Axes, images, columns: int = 8) -> None:
    """Draw images ``(N, 1, H, W)`` with values in [-1, 1] as tiles, black at -1 and white at 1.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.image_grid(ax, gp.data.digits()[0][:16].reshape(-1, 1, 8, 8))
    """
    images = as_array(images)[:, 0]
    n, height, width = images.shape
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)  # NaN: see-through seams
    for i, image in enumerate(images):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    ax.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="none")
    ax.axis("off")


def trajectory(ax: Axes, path, color: str = GRADIENT, label: str | None = None) -> None:
    """Draw a path ``(T, 2)`` of (theta, psi) in the Dirac-GAN: circle at the start, square at the end, cross at 0.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.trajectory(ax, gp.dirac.simulate("gan"))
    """
    path = as_array(path)
    ax.plot(*path.T, color=color, linewidth=1.2, label=label)
    ax.plot(*path[0], "o", color=color, markersize=7, markerfacecolor="none", markeredgewidth=1.6)
    ax.plot(*path[-1], "s", color=color, markersize=6)
    ax.plot(0, 0, "+", color=INK, markersize=10, markeredgewidth=1.6)
    ax.set(xlabel=r"generator $\theta$", ylabel=r"critic $\psi$", aspect="equal")


def arrows(ax: Axes, vectors, labels: Sequence[str], colors: Sequence[str] | None = None) -> None:
    """Draw vectors ``(k, 2)`` from the origin, each with its label in the legend: what scaling does to a gradient.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.arrows(ax, [(3.0, 4.0), (0.6, 0.8)], ["gradient", "scaled to norm 1"])
    """
    vectors = as_array(vectors)
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
