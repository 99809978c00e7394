"""Draw the pictures of the entries "Gradient penalty" and "Gradient norm scaling".

python book/figures/entries.py      writes gradient_penalty.html and gradient_norm_scaling.html beside itself
"""

import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import gpcore as gp  # noqa: E402

BLUE, VIOLET, ORANGE = gp.figures.SWEEP[0], gp.figures.SWEEP[2], gp.figures.SWEEP[4]


def line(ax, x, y, color, label):
    ax.plot(x, y, color=color, linestyle=gp.figures.LINES[color], label=label)


def gradient_penalty() -> str:
    """A critic's value between a generated and a real sample, and three penalties as functions of its slope."""
    fig, (left, right) = gp.figure(2, aspect=0.95)
    x = torch.linspace(0, 2, 81)
    steep = 2 * torch.sigmoid(8 * (x - 1))
    line(left, x, x, BLUE, "slope 1: no charge")
    line(left, x, steep, ORANGE, "a jump: charged")
    line(left, x, 0.15 * x, VIOLET, "flat: charged too")
    places = torch.tensor([0.25, 0.6, 0.95, 1.3, 1.75])
    left.plot(places, 0 * places - 0.25, "|", color=gp.figures.GRADIENT, markersize=10, label="where it is asked")
    left.plot([0], [-0.25], gp.figures.MARKERS[gp.figures.GENERATED], color=gp.figures.GENERATED, clip_on=False)
    left.plot([2], [-0.25], gp.figures.MARKERS[gp.figures.REAL], color=gp.figures.REAL, clip_on=False)
    left.set(xlabel="from a generated to a real sample", ylabel="critic's value", xticks=[0, 2], ylim=(-0.45, 2.3))
    left.set_xticklabels(["generated", "real"])
    norm = torch.linspace(0, 2.5, 101)
    line(right, norm, (norm - 1).square(), BLUE, "two-sided")
    line(right, norm, (norm - 1).clamp(min=0).square(), ORANGE, "one-sided")
    line(right, norm, norm.square() / 2, VIOLET, "zero-centred (R1)")
    right.set(xlabel="gradient norm at one point", ylabel="penalty, weight 1", ylim=(-0.1, 2.6))
    for ax in (left, right):
        gp.plots.legend(ax, columns=1)
    alt = (
        "Left: a critic's value from a generated to a real sample, once with slope one, once as a steep jump, once "
        "almost flat; ticks mark the points at which its slope is asked for. Right: the penalty over the gradient "
        "norm. The two-sided one is zero at norm one and rises on both sides, the one-sided one rises above one only, "
        "the zero-centred one rises from zero."
    )
    caption = (
        "Left: what is charged is the slope of the critic's value, at points between the samples. A two-sided penalty "
        "charges the steep critic and the flat one. Right: three penalties of weight 1 as functions of the gradient "
        "norm at one point."
    )
    return gp.figures.figure_html(gp.figures.to_svg(fig, alt), caption)


def gradient_norm_scaling() -> str:
    """Two gradients before and after three operations, and the norm after them over the norm before."""
    fig, (left, right) = gp.figure(2, aspect=0.95)
    g = torch.tensor([3.0, 1.5])
    turn = torch.linspace(0, torch.pi / 2, 60)
    left.plot(turn.cos(), turn.sin(), color=gp.figures.NEUTRAL, linewidth=1)
    left.plot([1, 1, 0], [0, 1, 1], color=gp.figures.NEUTRAL, linewidth=1, linestyle=":")
    ends = [("gradient", g, gp.figures.NEUTRAL, (2.95, 1.62)), ("norm clipped to 1", g / g.norm(), BLUE, (1.1, 0.22))]
    ends.append(("values clipped to 1", g.clamp(-1, 1), ORANGE, (0.04, 1.12)))
    for name, end, color, place in ends:
        arrow = dict(arrowstyle="-|>", color=color, linewidth=2, shrinkA=0, shrinkB=0, mutation_scale=14)
        left.annotate("", xy=end, xytext=(0, 0), arrowprops=arrow)
        left.text(*place, name, color=color, ha="right" if color == gp.figures.NEUTRAL else "left")
    left.set(xlabel="first component", ylabel="second component", xlim=(-0.05, 3.2), ylim=(-0.05, 2.2))
    norm = torch.linspace(0, 3, 91)
    line(right, norm, norm.clamp(max=1), BLUE, "norm clipping")
    line(right, norm[1:], torch.ones(90), VIOLET, "normalisation")
    line(right, norm, norm, ORANGE, "no scaling")
    right.set(xlabel="norm before", ylabel="norm after, threshold 1", ylim=(-0.1, 3.1))
    gp.plots.legend(right, columns=1)
    alt = (
        "Left: a gradient as an arrow; clipped by its norm it has the same direction and ends on the circle of radius "
        "one; clipped by values it ends in the corner of a box and points elsewhere. Right: the norm after scaling "
        "over the norm before. Norm clipping follows the diagonal up to one and is level from there, normalisation is "
        "one everywhere, and without scaling the line is the diagonal."
    )
    caption = (
        "Left: clipping the norm keeps the direction and clipping the values turns it. Right: norm clipping leaves "
        "short gradients alone, normalisation lengthens them."
    )
    return gp.figures.figure_html(gp.figures.to_svg(fig, alt), caption)


if __name__ == "__main__":
    for make in (gradient_penalty, gradient_norm_scaling):
        (HERE / f"{make.__name__}.html").write_text(make() + "\n", encoding="utf-8")
