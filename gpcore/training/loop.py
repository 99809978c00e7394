"""What every training loop needs: devices, seeds, optimisers, progress, divergence, many seeds."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import CodeType, FunctionType, MethodType

import torch
from torch import Tensor, nn
from tqdm import tqdm

OPTIMIZERS = ("adam", "rmsprop", "sgd")


class TrainingDiverged(FloatingPointError):
    """A loss, norm or gradient stopped being finite.

    Attributes:
        step: the step at which it happened, counted from 0.
        history: everything logged before it.

    Example:
        >>> config = gp.Config(constraint="none", optimizer="sgd", lr_critic=1e9, steps=99, width=8, device="cpu")
        >>> try:
        ...     gp.train(config)
        ... except gp.TrainingDiverged as error:
        ...     print(error.step < 99, error.history.diverged_at == error.step)
        True True
    """

    def __init__(self, message: str, step: int, history):
        super().__init__(message)
        self.step, self.history = step, history


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device meant by ``"auto"`` (the first GPU, else the CPU) or by a device's own name."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be 'auto' or 'cpu' on this machine: 'cuda' was asked for and none is available")
    return device


def keep_memory() -> None:
    """Let this process keep the memory of one step for the next.

    The C library of Linux hands large blocks back to the system when they are freed, and the next step pays for every
    page again: a third of the time of 16 replicas. It stops once a block as large as this, never touched, was freed.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def seeded(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """Return ``build()`` with initial weights drawn from ``seed``, the global random state left as it was."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would reseed every GPU as well, outside what fork_rng restores.
        torch.default_generator.manual_seed(seed)
        return build()


def make_optimizer(
    name: str,
    parameters: Iterable[Tensor],
    lr: float,
    betas: tuple[float, float],
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Return PyTorch's Adam or AdamW (fused, the fastest on CPU and GPU alike), RMSprop or SGD."""
    parameters = list(parameters)
    if name in ("adam", "adamw"):
        make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
        return make(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
    make = {"rmsprop": torch.optim.RMSprop, "sgd": torch.optim.SGD}[name]
    return make(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


def check_finite(name: str, value: float) -> float:
    """Return ``value``, or raise ``FloatingPointError`` that names the quantity."""
    if not math.isfinite(value):
        raise FloatingPointError(f"{name} is {value}")
    return value


def fingerprint(config) -> str:
    """Return a digest of a configuration: settings by value, tensors by content, functions by their code."""
    fields = ((f.name, getattr(config, f.name)) for f in dataclasses.fields(config))
    described = "\n".join(f"{name}={_described(value)}" for name, value in fields)
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _described(value, inside: tuple = ()) -> str:
    """A value as text that says what it does and nothing of where it lies: two lambdas have one name."""
    if isinstance(value, Tensor):
        held = value.detach().cpu().contiguous()
        return f"{held.dtype}{tuple(held.shape)}{hashlib.sha256(held.numpy().tobytes()).hexdigest()}"
    if isinstance(value, CodeType):
        parts = [value.co_name, value.co_code, value.co_names, *value.co_consts]
    elif isinstance(value, (tuple, list)):
        parts = value
    elif isinstance(value, (set, frozenset, dict)):  # in an order that is the same in every process
        parts = sorted(value.items() if isinstance(value, dict) else value, key=repr)
    elif isinstance(value, MethodType):
        parts = [value.__func__, vars(value.__self__) if hasattr(value.__self__, "__dict__") else value.__self__]
    elif isinstance(value, functools.partial):
        parts = [value.func, value.args, value.keywords]
    elif isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = [value.__module__, value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    elif isinstance(value, type) or not callable(value) or not hasattr(value, "__dict__"):
        return getattr(value, "__qualname__", repr(value))
    else:  # an object that can be called
        parts = [type(value).__qualname__, sorted(vars(value).items(), key=str)]
    if any(value is outer for outer in inside):  # a function that names itself
        return "itself"
    return f"({', '.join(_described(part, (*inside, value)) for part in parts)})"


def progress_bar(steps: int, start: int, description: str) -> tqdm:
    """Return a progress bar, on stderr; ``GPCORE_PROGRESS=0`` switches it off.

    In a notebook it is on stdout, where a bar that has been wiped out leaves nothing: stderr keeps an empty red strip.
    """
    off, file = os.environ.get("GPCORE_PROGRESS") == "0", sys.stdout if "ipykernel" in sys.modules else sys.stderr
    return tqdm(total=steps, initial=start, desc=description, disable=off, leave=False, mininterval=0.5, file=file)


def check_seeds(seeds: Iterable[int]) -> list[int]:
    """Return the seeds as a list, or raise ``ValueError`` if there is none or one twice."""
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must name at least one seed, and each once, got {seeds}")
    return seeds


def run_seeds(train: Callable, config, seeds: Iterable[int], resume: Path | None) -> list:
    """Run ``train`` once per seed; a seed that diverges gives the history up to there and stops no other."""
    histories = []
    for seed in check_seeds(seeds):
        path = None if resume is None else Path(resume).with_name(f"{Path(resume).name}-seed{seed}")
        try:
            histories.append(train(dataclasses.replace(config, seed=seed), resume=path))
        except TrainingDiverged as diverged:
            histories.append(diverged.history)
    return histories
