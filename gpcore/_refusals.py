"""Critics that no penalty can be taken of, refused by name and with what to do instead."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


def refuse_coupling(critic: Callable) -> None:
    if not isinstance(critic, nn.Module):
        return
    for name, module in critic.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (module.training or module.running_mean is None):
            raise ValueError(
                f"critic must score every sample on its own, but its module {name!r} is {type(module).__name__} with "
                "the statistics of the batch: the penalty is per sample, and here a score depends on the other samples "
                "too; use layer norm or no normalisation"
            )


def refuse_compiled(critic: Callable) -> None:
    if hasattr(critic, "_orig_mod"):
        raise ValueError(
            "critic must not be wrapped by torch.compile: a penalty differentiates its gradient once more, and "
            "compiled code can be differentiated only once (aot_autograd does not support double backward); pass the "
            "module inside the wrapper, critic._orig_mod, which shares its weights"
        )


# Operations without a double backward, by the start of their node's name, and what to do.
_DIFFERENTIABLE_ONCE = {
    "ScaledDotProduct": (
        "torch.nn.functional.scaled_dot_product_attention in its fused form",
        "call it inside `with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):`",
    ),
    "CudnnRnn": (
        "a recurrent layer on cuDNN",
        "call it inside `with torch.backends.cudnn.flags(enabled=False):`",
    ),
    "MiopenRnn": (
        "a recurrent layer on MIOpen",
        "call it inside `with torch.backends.cudnn.flags(enabled=False):`",
    ),
}


def refuse_differentiable_once(scores: Tensor) -> None:
    """Fused operations have a gradient, and none of it: the error would come later, out of ``backward()``."""
    waiting, seen = [scores.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for start, (what, remedy) in _DIFFERENTIABLE_ONCE.items():
            if node.name().startswith(start):
                raise ValueError(
                    f"critic must consist of operations that can be differentiated twice, but it uses {what} "
                    f"({node.name()}), which has no double backward: {remedy}"
                )
        waiting += [earlier for earlier, _ in node.next_functions]
