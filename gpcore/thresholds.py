"""Norm clipping at thresholds that follow the norms seen so far: a percentile of them, or a z-score.

Both are objects with a memory: make one per network, call it once per step on all of the network's parameters, and keep
its ``state_dict()`` in the checkpoint. What :mod:`gpcore.scaling` says of its functions holds for the calls.
"""

from __future__ import annotations

import bisect
import heapq
import math

import torch
from torch import Tensor

from . import _checks
from ._norms import Gradients, Parameters


def _check_state(state: dict, *names: str) -> None:
    """Raise ``ValueError`` unless the state has these entries and its norms are finite: NaN would be the threshold."""
    if not isinstance(state, dict) or not set(names) <= set(state):
        raise ValueError(f"state must have the entries {', '.join(names)}, got {state!r}")
    if not all(math.isfinite(norm) for norm in state[names[0]]):
        raise ValueError(f"state must hold finite norms, but {names[0]!r} does not")


class _Smallest:
    """The k-th smallest and the next of a growing list, for a k that grows with it: two heaps, O(log n) per number."""

    def __init__(self, numbers: list[float]):
        self.low: list[float] = []  # negated, so that the largest comes first
        self.high = list(numbers)
        heapq.heapify(self.high)

    def __len__(self) -> int:
        return len(self.low) + len(self.high)

    def add(self, number: float) -> None:
        if self.low and number < -self.low[0]:
            heapq.heappush(self.low, -number)
        else:
            heapq.heappush(self.high, number)

    def __call__(self, k: int) -> tuple[float, float]:
        while len(self.low) < k:
            heapq.heappush(self.low, -heapq.heappop(self.high))
        while len(self.low) > k:
            heapq.heappush(self.high, -heapq.heappop(self.low))
        return -self.low[0], self.high[0] if self.high else -self.low[0]


class AutoClip:
    """Norm clipping at a percentile of the norms seen so far, the current one included.

    A call takes as long at the millionth step as at the first.

    Args:
        percentile: in [0, 100]; 10 in the paper, so that nine of ten steps are scaled down. Between two norms it is
            interpolated linearly, as ``numpy.percentile`` does.
        window: only the last ``window`` norms count, so that the threshold follows a norm that falls or grows over the
            training, and the history does not grow; None, as in the paper, for all.

    Calling it on parameters clips them and returns the norm before scaling; where none of them has a gradient, nothing
    is remembered. Errors as :func:`gpcore.clip_norm_`.

    Source: Seetharaman et al. 2020, Algorithm 1; the window is not in the paper.

    Example:
        >>> import torch, gpcore as gp
        >>> clip, w = gp.AutoClip(percentile=50.0), torch.nn.Parameter(torch.zeros(1))
        >>> for size in (1.0, 3.0, 8.0):
        ...     w.grad = torch.tensor([size])
        ...     _ = clip([w])
        >>> w.grad  # the median of 1, 3 and 8
        tensor([3.])
    """

    def __init__(self, percentile: float = 10.0, window: int | None = None):
        if _checks.non_negative("percentile", percentile) > 100:
            raise ValueError(f"percentile must lie in [0, 100], got {percentile!r}")
        if window is not None and _checks.positive("window", window) != int(window):
            raise ValueError(f"window must be a whole number of steps, got {window!r}")
        self.percentile, self.window = float(percentile), None if window is None else int(window)
        self.load_state_dict({"history": []})

    def __call__(self, parameters: Parameters) -> Tensor:
        gradients = Gradients(parameters)
        if not gradients.parameters:
            return gradients.norm
        self.history.append(gradients.value)
        position = self.percentile / 100 * (min(len(self.history), self.window or math.inf) - 1)
        low, high = (self._of_all if self.window is None else self._of_last)(int(position) + 1)
        threshold = low + (position - int(position)) * (high - low)
        if gradients.value > threshold:
            gradients.multiply_(threshold / gradients.value)
        return gradients.norm

    def _of_all(self, k: int) -> tuple[float, float]:
        if len(self._smallest) + 1 != len(self.history):  # which was set from outside
            self._smallest = _Smallest(self.history[:-1])
        self._smallest.add(self.history[-1])
        return self._smallest(k)

    def _of_last(self, k: int) -> tuple[float, float]:
        bisect.insort(self._sorted, self.history[-1])
        if len(self.history) > self.window:
            del self._sorted[bisect.bisect_left(self._sorted, self.history.pop(0))]
        return self._sorted[k - 1], self._sorted[min(k, len(self._sorted) - 1)]

    def state_dict(self) -> dict:
        return {"history": list(self.history)}

    def load_state_dict(self, state: dict) -> None:
        _check_state(state, "history")
        self.history = list(state["history"])[-self.window if self.window else None :]
        self._smallest, self._sorted = _Smallest(self.history), sorted(self.history)


class ZClip:
    """Norm clipping by z-score: a norm far above its running mean is pulled back towards it.

    With running mean m and standard deviation s of the norms, ``zeta = (||g|| - m) / s``; where ``zeta > z`` the
    gradient is scaled to the norm ``m + s * z^2 / zeta``. The running values are then updated with the norm after
    scaling. The first ``warmup`` norms only set m and s.

    Args:
        z: threshold in standard deviations.
        alpha: smoothing of the running values, in [0, 1).
        warmup: steps, at least 1.
        max_norm: a fixed maximum beside it, from the first step on; the running values are updated with the norm before
            this cut. None for none.

    Calling it on parameters clips them and returns the norm before scaling; where none of them has a gradient, nothing
    is remembered. Errors as :func:`gpcore.clip_norm_`.

    Source: Kumar et al. 2025 (arXiv 2504.02507), section 3, reciprocal clipping; the fixed maximum is in their code.

    Example:
        >>> import torch, gpcore as gp
        >>> clip, w = gp.ZClip(warmup=2, max_norm=4.0), torch.nn.Parameter(torch.zeros(1))
        >>> for size in (1.0, 3.0, 50.0):  # mean 2, standard deviation 1
        ...     w.grad = torch.tensor([size])
        ...     _ = clip([w])
        >>> w.grad  # 2 + 2.5^2 / 48
        tensor([2.1302])
    """

    def __init__(self, z: float = 2.5, alpha: float = 0.97, warmup: int = 25, max_norm: float | None = None):
        self.z = _checks.positive("z", z)
        if _checks.non_negative("alpha", alpha) >= 1:
            raise ValueError(f"alpha must lie in [0, 1), got {alpha!r}")
        if _checks.positive("warmup", warmup) != int(warmup):
            raise ValueError(f"warmup must be a whole number of steps, got {warmup!r}")
        self.max_norm = math.inf if max_norm is None else _checks.positive("max_norm", max_norm)
        self.alpha, self.warmup, self.seen = float(alpha), int(warmup), []
        self.mean = self.variance = None

    def __call__(self, parameters: Parameters) -> Tensor:
        gradients = Gradients(parameters)
        if not gradients.parameters:
            return gradients.norm
        kept = min(self._follow(gradients.value), self.max_norm)
        if kept < gradients.value:
            gradients.multiply_(kept / gradients.value)
        return gradients.norm

    def _follow(self, value: float) -> float:
        """The norm that the z-score leaves of ``value``, with which the running values are updated."""
        if self.mean is None:
            self.seen.append(value)
            if len(self.seen) == self.warmup:
                seen = torch.tensor(self.seen, dtype=torch.float64)
                self.mean, self.variance = float(seen.mean()), float(seen.var(correction=0))
            return value
        deviation, kept = math.sqrt(self.variance), value
        if value > self.mean + self.z * deviation:
            zeta = (value - self.mean) / max(deviation, 1e-12)
            kept = self.mean + deviation * self.z**2 / zeta
        self.mean = self.alpha * self.mean + (1 - self.alpha) * kept
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (kept - self.mean) ** 2
        return kept

    def state_dict(self) -> dict:
        return {"seen": list(self.seen), "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: dict) -> None:
        _check_state(state, "seen", "mean", "variance")
        self.seen, self.mean, self.variance = list(state["seen"]), state["mean"], state["variance"]
