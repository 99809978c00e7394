"""Where a call differentiated the critic, and the gradients that it got, one row per sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .trace import Gradient, Trace

if TYPE_CHECKING:
    from .probes import Critic


@dataclass(frozen=True)
class Layout:
    """The tensors that the function differentiated by, as samples ``(M, ...)``, and the gradients there.

    Between them and the critic's door may lie what belongs to the critic as the function sees it: a normaliser, an
    augmentation. ``gradients`` are those that the function got, ``true`` those of the critic's score; both carry the
    graph to the critic's parameters. Where the function differentiated by several tensors for each sample, ``parts``
    holds the gradient of each and the others all of them side by side.
    """

    points: Tensor
    gradients: Tensor
    true: Tensor
    scores: Tensor
    doors: Tensor  # (K, ...) what the critic itself was given
    parts: tuple[Tensor, ...] = ()
    leading: tuple[int, ...] = ()  # dimensions in front of a sample's, where there are several: (3, N)
    recorded: bool = True  # False: read off the critic's door, with the formula of its gradient


def as_rows(x: Tensor, shape: tuple[int, ...], packed: bool) -> Tensor | None:
    """A tensor as whole samples ``(M, *shape)``; None where it holds only a part of each."""
    own, size = len(shape), math.prod(shape)
    if x.ndim >= own and tuple(x.shape[x.ndim - own :]) == shape:
        return x.reshape(-1, *shape)
    if x.ndim and x.numel() == len(x) * size:
        return x.reshape(len(x), *shape)
    if packed and tuple(x.shape[1:]) == shape[1:] and len(x) % shape[0] == 0:
        return x.reshape(-1, *shape)
    return None


def lay_out(critic: Critic, trace: Trace) -> Layout | None:
    """The gradients of one call; None where nothing was differentiated through the critic."""
    log, shape = critic.log, critic.shape
    doors = [log.points[i].reshape(-1, *shape) for i in sorted(log.differentiated)]
    if not doors:
        return None
    doors = torch.cat(doors)
    laid = _of_records(trace.gradients, doors, critic) if trace.gradients else None
    if laid is not None:
        return laid
    with torch.no_grad():
        scores = critic.bare_score(doors).double()
    gradient = critic.gradient(doors)
    return Layout(doors, gradient, gradient, scores, doors, recorded=False)


def _of_records(records: list[Gradient], doors: Tensor, critic: Critic) -> Layout | None:
    def rows(tensors: list[Tensor]) -> list[Tensor | None]:
        return [as_rows(t, critic.shape, critic.packed) for t in tensors]

    leaves, taken, true = ([t for r in records for t in getattr(r, name)] for name in ("leaves", "taken", "true"))
    scores = torch.cat([r.scores for r in records])
    whole = rows(leaves)
    used = [i for i, w in enumerate(whole) if w is not None or bool(true[i].any())]
    if len(used) < len(whole) and any(whole[i] is not None for i in used):  # a condition moves no score here
        leaves, taken, true, whole = ([tensors[i] for i in used] for tensors in (leaves, taken, true, whole))
    if all(w is not None for w in whole):
        own = len(critic.shape)
        leading = tuple(leaves[0].shape[: leaves[0].ndim - own]) if len(leaves) == 1 else ()
        leading = leading if len(leading) > 1 else ()
        joined = (torch.cat(t) for t in (whole, rows(taken), rows(true)))
        return Layout(*joined, scores, doors, leading=leading)
    # Parts of samples: all of one length, the gradients of one call or of one call for each.
    if len({len(x) for x in leaves if x.ndim}) != 1 or any(not x.ndim for x in leaves):
        return None
    scores = records[0].scores
    if len(leaves) == 1:
        return Layout(leaves[0], taken[0], true[0], scores, doors)
    points, gradients, straight = (torch.cat([t.flatten(1) for t in x], 1) for x in (leaves, taken, true))
    if points.shape[1] == math.prod(critic.shape):
        points, gradients, straight = (x.reshape(-1, *critic.shape) for x in (points, gradients, straight))
    return Layout(points, gradients, straight, scores, doors, parts=tuple(taken))
