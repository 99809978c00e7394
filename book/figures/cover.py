"""Draw the picture of the title page: what a clipped critic sees, what a penalised one sees, and what there is to see.

python book/figures/cover.py      writes cover.html (for the book) and cover.svg (for the README) beside itself
"""

import re
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import gpcore as gp  # noqa: E402

ALT = (
    "Three value surfaces over the plane, with real samples at eight points on a ring. The perfect critic, from "
    "optimal transport, peaks at every point. The critic with clipped weights is one broad hill. The critic with a "
    "one-sided gradient penalty follows the ring and its hollow."
)
CAPTION = (
    "The same task, three critics: real data at eight points on a ring, generated data scattered around them. Left: "
    "the critic that optimal transport computes. Middle: a critic trained with its weights clipped to ±0.01. Right: "
    "one trained with a one-sided gradient penalty. Seed 0."
)


def blurred(n: int, rng: torch.Generator) -> torch.Tensor:
    x = gp.data.eight_gaussians(n, rng)
    return x + torch.randn(x.shape, generator=rng)


def perfect_critic():
    """The Kantorovich potential between two samples, extended with slope 1 (chapter 5 derives it)."""
    import ot

    rng = torch.Generator().manual_seed(0)
    real, fake = gp.data.eight_gaussians(1000, rng), blurred(1000, rng)
    _, log = ot.emd([], [], torch.cdist(fake.double(), real.double()), log=True, numItermax=1_000_000)
    return lambda x: (-log["u"] + torch.cdist(x.double(), fake.double())).min(dim=1).values


def main() -> None:
    torch.set_num_threads(1)
    common = dict(steps=1500, width=64, batch_size=256, lr_critic=1e-3, log_every=100, device="cpu")
    critics = {
        "perfect": perfect_critic(),
        "clipped": gp.train_critic(gp.Config(constraint="clip", clip=0.01, **common), blurred).critic,
        "penalised": gp.train_critic(gp.Config(constraint="gp", one_sided=True, **common), blurred).critic,
    }
    fig, axes = gp.figure(3, aspect=1.12)
    for ax, (label, critic) in zip(axes, critics.items(), strict=True):
        gp.plots.value_surface(ax, critic, extent=2.6, real=gp.data.CENTERS["8_gaussians"], n=64)
        ax.images[0].colorbar.remove()
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
        ax.set_title(label, pad=8)
    svg = gp.figures.to_svg(fig, ALT)
    (HERE / "cover.html").write_text(gp.figures.figure_html(svg, CAPTION) + "\n", encoding="utf-8")
    # Alone in a file there is no page to take colours from: a grey that reads on white and on black.
    alone = re.sub(r"var\(--[\w-]+, (#\w+)\)", r"\1", svg).replace("currentColor", "#7d8590")
    (HERE / "cover.svg").write_text(alone.replace("<svg ", '<svg width="720" ', 1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
