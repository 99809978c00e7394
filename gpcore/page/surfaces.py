"""Pictures over the plane: a critic's values, the norms of its gradient, and fields of arrows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from ..penalties import gradient_norms
from .figures import NEUTRAL, REAL, SMOOTH, say
from .tables import short

__all__ = ["norm_map", "value_surface", "vector_field"]

MAX_MARKERS = 300  # of a cloud that stays vector graphics


def as_array(values) -> np.ndarray:
    """A NumPy array of a tensor on any device, or of anything else that NumPy takes."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _box(extent: float | tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """(left, right, bottom, top), of which a number is the half-width."""
    return (-extent, extent, -extent, extent) if isinstance(extent, (int, float)) else tuple(extent)


def square(ax: Axes, extent) -> None:
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
        values = as_array(critic)
        left, right, bottom, top = _box(extent)
        return np.linspace(left, right, values.shape[1]), np.linspace(bottom, top, values.shape[0]), values
    x, y, points = _points(extent, n)
    parameter = next(critic.parameters(), None) if isinstance(critic, torch.nn.Module) else None
    points = torch.as_tensor(points, dtype=torch.float32)
    points = points if parameter is None else points.to(parameter)  # its device and its precision
    return x, y, as_array(measure(critic, points)).reshape(n, n)


def cloud(ax: Axes, points, marker: str, color: str, label: str, **style) -> None:
    points = as_array(points)
    ax.plot(*points.T, marker, color=color, label=label, rasterized=len(points) > MAX_MARKERS, **style)


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

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.value_surface(ax, gp.models.mlp_critic(2), extent=2.0, n=16)
    """
    with torch.no_grad():
        x, y, values = _on_grid(critic, extent, n, lambda critic, points: critic(points))
    image = _heat_map(ax, x, y, values, cmap="cividis")
    say(ax, f"values from {short(values.min())} to {short(values.max())}")
    if np.ptp(values) > 0:
        ax.contour(x, y, values, levels=8, colors="white", linewidths=0.8, alpha=0.7)
    if real is not None:
        cloud(ax, real, "o", REAL, "real", markersize=4, markeredgecolor="white", markeredgewidth=0.6)
    ax.figure.colorbar(image, ax=ax, label="critic value")
    square(ax, extent)


def norm_map(ax: Axes, critic, extent, n: int = 64) -> None:
    """Draw the norm of a critic's gradient with respect to its input: orange below 1, purple above, a line at 1.

    Args:
        critic: a differentiable function of points ``(N, 2)`` that returns ``(N,)``, or the norms ``(rows, columns)``.
        extent: half-width, or (left, right, bottom, top).
        n: points a side.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.norm_map(ax, gp.models.mlp_critic(2), extent=2.0, n=16)
    """
    x, y, values = _on_grid(critic, extent, n, gradient_norms)
    say(ax, f"norms from {short(np.nanmin(values))} to {short(np.nanmax(values))}")
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
    square(ax, extent)


def vector_field(ax: Axes, field: Callable, extent, n: int = 11) -> None:
    """Draw arrows of ``field``, a function of an array of points ``(N, 2)`` that returns ``(N, 2)``, on an n by n grid.

    For the Dirac-GAN: ``lambda p: gp.dirac.vector_field("r1", *p.T)``.

    Example:
        >>> fig, ax = gp.figure()
        >>> gp.plots.vector_field(ax, lambda p: gp.dirac.vector_field("r1", *p.T), extent=1.5)
    """
    left, right, bottom, top = _box(extent)
    x, y = 0.04 * (right - left), 0.04 * (top - bottom)  # a margin, or the outer arrows are cut
    _, _, points = _points((left + x, right - x, bottom + y, top - y), n)
    vectors = as_array(field(points))
    # Lengths grow as the square root: near an equilibrium the arrows would be dots otherwise.
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.sqrt(np.maximum(length, 1e-12))
    ax.quiver(*points.T, *vectors.T, color=NEUTRAL, angles="xy", width=0.005, pivot="mid")
    square(ax, extent)
