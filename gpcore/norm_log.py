"""What a threshold would have done to a log of gradient norms: how often it acts, on what, and how strongly.

The log is a sequence of norms *before* scaling, one per step, from any program. From a file of comma-separated values
with a header: ``norms = numpy.genfromtxt("log.csv", delimiter=",", names=True)["grad_norm"]``.

A log tells what a threshold would have done to *these* gradients. A run that is clipped takes another path and has
other norms: chapter 13 measures by how much the share of clipped steps then differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from . import _checks

RARELY, MOSTLY = 0.1, 0.9  # shares of clipped steps: up to the first only spikes are cut, from the second it normalises


@dataclass(frozen=True)
class ThresholdReport:
    """What norm clipping at ``threshold`` would have done to logged norms; ``print(report)`` says it in words.

    Attributes:
        threshold: the largest norm that is left as it is, in the units of the log.
        steps: norms in the log that are finite; all shares are of these.
        not_finite: norms that are not, which no threshold helps with.
        share: of the steps, those that would have been clipped.
        quarters: the same share in each quarter of the log, in order. A norm that falls over the training shows here.
        spikes: stretches of clipped steps without a gap. longest: steps of the longest of them.
        kept: the median of ``threshold / norm`` over the clipped steps: what is left of their length; 1 if there are
            none.

    Example:
        >>> gp.threshold_report([1.0, 5.0, 1.0, 1.0, 10.0, 4.0, 1.0, 1.0], threshold=2.0).spikes
        2
    """

    threshold: float
    steps: int
    not_finite: int
    share: float
    quarters: tuple[float, ...]
    spikes: int
    longest: int
    kept: float

    @property
    def kind(self) -> str:
        """``"never acts"``, ``"cuts spikes"`` (up to a tenth of the steps), ``"acts often"``, ``"normalises"`` (0.9).

        Example:
            >>> [gp.threshold_report(range(1, 101), tau).kind for tau in (100, 95, 50, 5)]
            ['never acts', 'cuts spikes', 'acts often', 'normalises']
        """
        if self.share == 0:
            return "never acts"
        if self.share <= RARELY:
            return "cuts spikes"
        return "normalises" if self.share >= MOSTLY else "acts often"

    def __str__(self) -> str:
        lines = [f"threshold {self.threshold:.3g} {self.kind}", f"clips {self.share:.1%} of {self.steps:,} steps"]
        if self.spikes:
            lines.append(f"by quarters of the log {', '.join(f'{share:.0%}' for share in self.quarters)}")
            lines.append(f"stretches of clipped steps: {self.spikes:,}, the longest of {self.longest:,}")
            lines.append(f"left of a clipped step's length, in the median: {self.kept:.2g}")
        if self.not_finite:
            lines.append(f"norms that are not finite: {self.not_finite:,}")
        return "\n  ".join(lines)


def _as_norms(norms: Iterable[float]) -> np.ndarray:
    """The log as float64 ``(T,)``, NaN and infinity among them."""
    try:
        if isinstance(norms, Tensor):
            norms = norms.detach().cpu().resolve_conj()
            norms = norms.double().numpy() if norms.is_floating_point() else norms.numpy()
        numbers = np.asarray(norms) if hasattr(norms, "__array__") else np.array([float(norm) for norm in norms])
    except (TypeError, ValueError) as problem:
        raise TypeError(f"norms must be numbers, one per step, got {type(norms).__name__}: {problem}") from None
    if numbers.dtype.kind not in "iuf":
        raise TypeError(f"norms must be real numbers, got an array of {numbers.dtype}")
    numbers = numbers.astype(np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).any():
        raise ValueError(f"norms must hold one number per step, one of them finite, got shape {numbers.shape}")
    if (numbers < 0).any():
        raise ValueError(f"norms must not be negative, got {numbers[numbers < 0][0]:g}: is it the right column?")
    return numbers


def threshold_report(norms: Iterable[float], threshold: float) -> ThresholdReport:
    """Say what norm clipping at ``threshold`` would have done to these norms.

    A step is clipped where ``norm > threshold``. Norms that are not finite are counted and left out; they end no
    stretch and belong to none.

    Args:
        norms: gradient norms before scaling, one per step, ``(T,)``.
        threshold: in the units of the norms, greater than 0.

    Raises:
        ValueError: no finite norm, a negative one, another shape; a threshold that is not finite or not positive.
        TypeError: norms that are no real numbers, a threshold that is none.

    Example:
        >>> print(gp.threshold_report([1.0, 5.0, 1.0, 1.0, 10.0, 4.0, 1.0, 1.0], threshold=2.0))
        threshold 2 acts often
          clips 37.5% of 8 steps
          by quarters of the log 50%, 0%, 100%, 0%
          stretches of clipped steps: 2, the longest of 2
          left of a clipped step's length, in the median: 0.4
    """
    threshold, norms = _checks.positive("threshold", threshold), _as_norms(norms)
    finite = norms[np.isfinite(norms)]
    clipped = finite > threshold
    edges = np.flatnonzero(np.diff(clipped, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return ThresholdReport(
        threshold=threshold,
        steps=len(finite),
        not_finite=len(norms) - len(finite),
        share=float(clipped.mean()),
        quarters=tuple(float(part.mean()) for part in np.array_split(clipped, 4) if len(part)),
        spikes=len(lengths),
        longest=int(lengths.max(initial=0)),
        kept=float(np.median(threshold / finite[clipped])) if len(lengths) else 1.0,
    )


def suggest_threshold(norms: Iterable[float], share: float = 0.1) -> ThresholdReport:
    """Return the report of the threshold that would have clipped this share of the steps: a quantile of the norms.

    A start for a search and no more. Near a share of 0 it cuts rare spikes, near 1 it is normalisation.

    Args:
        norms: as for :func:`threshold_report`, best from a run without scaling at a learning rate that works.
        share: of the steps, in [0, 1). Between two norms the threshold is interpolated linearly.

    Raises:
        ValueError: a share outside [0, 1), a quantile of 0, and as :func:`threshold_report`.

    Example:
        >>> gp.suggest_threshold(range(1, 101), share=0.25).threshold
        75.25
    """
    if _checks.non_negative("share", share) >= 1:
        raise ValueError(f"share must lie in [0, 1), got {share!r}")
    norms = _as_norms(norms)
    threshold = float(np.quantile(norms[np.isfinite(norms)], 1 - share))
    if threshold == 0:
        raise ValueError(f"norms are 0 in a share of at least {1 - share:g}: no threshold clips {share:g} of them")
    return threshold_report(norms, threshold)
