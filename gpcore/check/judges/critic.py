"""Judging the reader's own critic: coupling between samples, and a sigmoid at its end."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ... import _checks
from ..mends import finding
from ..probes import own_random
from ..report import Finding


def judge_critic(critic: nn.Module | Callable, batch: Tensor) -> list[Finding]:
    """The reader's own critic: coupling between samples, and a sigmoid at its end."""
    if len(_checks.batch("batch", batch)) < 4:
        raise ValueError(f"batch must hold at least 4 samples, got {len(batch)}")

    def score(x: Tensor) -> Tensor:
        # Each time the same random numbers (dropout) and buffers (spectral norm); the reader's own are left alone.
        with own_random(0), torch.no_grad():
            return (copy.deepcopy(critic) if isinstance(critic, nn.Module) else critic)(x)

    found = []
    half = len(batch) // 2
    whole, other = score(batch), score(torch.cat([batch[:half], 2 * batch[half:] + 1]))
    far = (whole[:half] - other[:half]).abs().max()
    if not torch.allclose(whole[:half], other[:half], rtol=1e-3, atol=1e-5 * float(whole.abs().max() + 1)):
        said = f"the critic's scores of the same samples change by up to {far:.3g} with the rest of the batch"
        found.append(finding("batch-coupled", said))
    scores = torch.cat([score(scale * batch).flatten() for scale in (1.0, 10.0, 100.0)])
    if scores.min() >= 0 and scores.max() <= 1 and scores.max() > scores.min():
        said = f"the critic returns values in [{scores.min():.3g}, {scores.max():.3g}], even 100 times further out"
        found.append(finding("penalty-on-probability", said))
    return found
