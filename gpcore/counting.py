"""What a piece of code costs in arithmetic and in memory: counted, so that no clock and no other load matters."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Arithmetic(TorchDispatchMode):
    """Counts the multiplications and additions of every matrix product and convolution that runs inside it.

    It knows the formulas of PyTorch's own ``FlopCounterMode``, but leaves modules alone, so that it also counts
    ``torch.autograd.grad``, a second backward pass, and a graph that a compiler back end is given.

    Attributes:
        count: multiplications and additions so far; ``(N, K) @ (K, M)`` has ``2 N K M``.

    Example:
        >>> with Arithmetic() as arithmetic:
        ...     _ = torch.ones(4, 3) @ torch.ones(3, 5)
        >>> arithmetic.count
        120
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        if formula := flop_registry.get(operation.overloadpacket):
            self.count += formula(*args, **(kwargs or {}), out_val=out)
        return out


class PeakMemory(TorchDispatchMode):
    """Follows every block of memory that tensors get inside it, from its allocation to its release.

    What an operation uses for itself and frees before it returns is not seen.

    Args:
        known: tensors whose memory is not counted, such as the parameters and the batch.

    Attributes:
        now: bytes held at this moment.
        peak: the largest value that ``now`` had.

    Example:
        >>> with PeakMemory() as memory:
        ...     x = torch.ones(100) + 1.0
        ...     del x
        >>> memory.peak, memory.now
        (800, 0)
    """

    def __init__(self, known: Iterable[Tensor] = ()):
        super().__init__()
        self.now = self.peak = 0
        self._seen = {x.untyped_storage()._cdata for x in known}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        for x in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(x, Tensor):
                self._follow(x.untyped_storage())
        return out

    def _follow(self, block: torch.UntypedStorage) -> None:
        key, size = block._cdata, block.nbytes()
        if key in self._seen:  # a view, or the result of an operation in place
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(block, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size
