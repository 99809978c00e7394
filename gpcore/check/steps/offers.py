"""What a step is offered for the arguments beside model, optimiser and loss: batches, options, an accelerator."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .network import RATE

# What an option is by its name, where an object of options is asked for it; any other one is empty and false.
_OPTIONS = {
    "kind": r"(mode|algo|algorithm|type|style)$",  # of clipping; of a norm, its order
    "count": r"accum",
    "max_norm": r"norm|clip|thresh",
    "rate": r"^lr$|learning_rate",
    "device": r"^device$",
}


class Batch(dict):
    """A micro-batch as a dictionary, whose entries are attributes too."""

    def __getattr__(self, name: str) -> Tensor:
        if name not in self:
            raise AttributeError(f"'Batch' object has no attribute {name!r}")
        return self[name]

    def to(self, *_: Any, **__: Any) -> Batch:
        return self


class Batches(list):
    """A list of micro-batches that ``next()`` takes too."""

    def __next__(self) -> Any:
        self.walk = getattr(self, "walk", None) or iter(list(self))
        return next(self.walk)


class Idle:
    """Takes every call and does nothing, as a scheduler, a logger, an average of weights may."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __bool__(self) -> bool:
        return False

    def __getitem__(self, _: Any) -> Any:
        return RATE  # scheduler.get_last_lr()[0]

    def __setitem__(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator:
        return iter(())


class Options:
    """Options as ``args.clip``, ``config["clip"]`` or ``config.train.clip``: the threshold where its name says so.

    ``asked`` gathers the names under which the threshold was read.
    """

    def __init__(self, max_norm: float, count: int, asked: set[str]):
        self._values, self._asked = {"max_norm": max_norm, "count": count, "rate": RATE}, asked
        self._values["device"] = torch.device("cpu")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        role = next((role for role, pattern in _OPTIONS.items() if re.search(pattern, name.lower())), None)
        if role == "kind":
            return 2.0 if "norm_type" in name else "norm"
        if role == "max_norm":
            self._asked.add(name)
        return self if role is None else self._values[role]

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        value = getattr(self, name)
        return default if value is self else value

    def __contains__(self, _: str) -> bool:
        return True

    def __bool__(self) -> bool:
        return False


class Accelerator(Idle):
    """What accelerate and Fabric hand to a step, on one process without mixed precision.

    As in accelerate, ``accumulate`` counts micro-batches: the loss is divided by their number, and only the last one
    lets the optimiser step and clear.
    """

    device, num_processes, process_index, is_main_process, is_local_main_process = torch.device("cpu"), 1, 0, True, True

    def __init__(self, count: int):
        self.gradient_accumulation_steps, self.sync_gradients = count, True
        self._entered, self._divisor = 0, 1

    def __bool__(self) -> bool:
        return True

    @contextlib.contextmanager
    def accumulate(self, *_: Any) -> Iterator[None]:
        self._entered, self._divisor = self._entered + 1, self.gradient_accumulation_steps
        self.sync_gradients = self._entered % self.gradient_accumulation_steps == 0
        yield

    def backward(self, loss: Tensor, *_: Any, **__: Any) -> None:
        (loss / self._divisor).backward()

    def clip_grad_norm_(self, parameters: Any, max_norm: float, norm_type: float = 2) -> Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)

    def clip_grad_value_(self, parameters: Any, clip_value: float) -> None:
        torch.nn.utils.clip_grad_value_(parameters, clip_value)

    def clip_gradients(
        self, module: Any, optimizer: Any, clip_val: float | None = None, max_norm: float | None = None, **_: Any
    ) -> Tensor | None:
        """Fabric's: one of the two, and by default it raises where the norm is not finite."""
        if clip_val is not None:
            return torch.nn.utils.clip_grad_value_(module.parameters(), clip_val)
        return torch.nn.utils.clip_grad_norm_(module.parameters(), max_norm, error_if_nonfinite=True)

    def autocast(self, *_: Any, **__: Any) -> Any:
        return contextlib.nullcontext()

    no_sync = no_backward_sync = join_uneven_inputs = autocast

    def unwrap_model(self, model: Any, *_: Any, **__: Any) -> Any:
        return model

    prepare = gather = gather_for_metrics = reduce = all_reduce = unwrap_model
