"""What a supervised run depends on, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .. import _checks
from ..scaling import SCALERS
from .config import Budget, counted
from .loop import OPTIMIZERS, seeded

Batch = tuple[Tensor, Tensor]
Sampler = Callable[[int, torch.Generator], Batch]


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of logits ``(..., classes)`` against classes ``(...)``.

    Example:
        >>> import torch
        >>> from gpcore.training.supervised_config import cross_entropy
        >>> cross_entropy(torch.zeros(2, 5, 4), torch.zeros(2, 5, dtype=torch.int64)).exp()
        tensor(4.)
    """
    # Not PyTorch's own, which takes vmap ten times as long.
    return (output.logsumexp(-1) - output.gather(-1, y.unsqueeze(-1)).squeeze(-1)).mean()


@dataclass(frozen=True, eq=False)
class SupervisedConfig:
    """Everything that a supervised run depends on.

    Attributes:
        model: function without arguments that builds the network. Where the network returns a tuple (recurrent ones
            return their state as well), the first entry is its output.
        data: tensors ``(x, y)``, drawn from with replacement, or a function ``(n, generator) -> (x, y)`` that draws on
            the generator's device.
        held_out: the same, never trained on. None takes ``eval_samples`` fresh samples where ``data`` is a function,
            and evaluates nothing where it is not.
        loss: function ``(output, y) -> number``, the batch's mean; cross-entropy of ``(..., classes)`` by default.
        penalty: function ``(model, x, y) -> number`` added to the loss of a batch while training. One written with
            ``torch.func`` trains many runs at once.
        optimizer: ``"sgd" | "adam" | "adamw" | "rmsprop"``.
        lr: the learning rate, reached linearly over the first ``warmup`` steps (0: from the start).
        momentum: of SGD and RMSprop. betas: of Adam and AdamW.
        weight_decay: added to the gradient after scaling, as PyTorch has it; AdamW shrinks the weights instead.
        scaling, threshold: gradient norm scaling (see :func:`gpcore.make_scaler`).
        steps, batch_size: updates, and samples per update.
        log_every, eval_every: in updates; the last is always logged and evaluated.
        eval_samples: samples drawn for evaluation where held-out data is a function.
        checkpoint_every: updates between checkpoints, where ``resume`` names a file.
        seed: of initial weights, batches and, on the CPU, whatever the model draws itself (dropout).
        device: ``"auto"``, or a device's name.

    Example:
        >>> import gpcore as gp
        >>> x, y = gp.data.digits()
        >>> build = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> gp.SupervisedConfig(build, (x[:1200], y[:1200]), held_out=(x[1200:], y[1200:]), optimizer="adam").lr
        0.01
    """

    model: Callable[[], nn.Module]
    data: Batch | Sampler
    held_out: Batch | Sampler | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None
    optimizer: str = "sgd"
    lr: float = 0.01
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup: int = 0
    scaling: str = "none"
    threshold: float = 1.0
    steps: int = 1000
    batch_size: int = 32
    log_every: int = 1
    eval_every: int = 100
    eval_samples: int = 500
    checkpoint_every: int = 500
    seed: int = 0
    device: str = "auto"

    def __post_init__(self):
        for name in ("model", "loss", "penalty"):
            if not callable(getattr(self, name)) and not (name == "penalty" and self.penalty is None):
                raise TypeError(f"{name} must be a function, got {type(getattr(self, name)).__name__}")
        _check_data("data", self.data)
        if self.held_out is not None:
            _check_data("held_out", self.held_out)
        _checks.one_of("scaling", self.scaling, SCALERS)
        _checks.one_of("optimizer", self.optimizer, (*OPTIMIZERS, "adamw"))
        for name in ("lr", "threshold"):
            _checks.positive(name, getattr(self, name))
        for name in ("momentum", "weight_decay"):
            _checks.non_negative(name, getattr(self, name))
        for name in ("steps", "batch_size", "log_every", "eval_every", "eval_samples", "checkpoint_every", "warmup"):
            value, least = getattr(self, name), int(name != "warmup")
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


@dataclass
class SupervisedHistory:
    """What one supervised run logged.

    ``loss`` is the training loss, a penalty included; ``norm`` and ``norm_scaled`` are the gradient's norm before and
    after scaling. Along ``score_step``, after the update of that step: ``held_out_loss``, and ``error``, the fraction
    of held-out answers whose largest output is not ``y``; ``error`` is None where ``y`` does not hold classes.
    ``diverged_at`` is the first step whose loss or gradient was not finite: nothing was updated there or later.
    ``budget`` says in words what the run was given.

    Example:
        >>> import gpcore as gp
        >>> history = gp.train_supervised(gp.sequence_task("temporal_order", length=10, steps=2, eval_every=1))
        >>> history.step, history.score_step, len(history.error), history.diverged_at
        ([0, 1], [0, 1], 2, None)
    """

    seed: int
    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    norm_scaled: list[float] = field(default_factory=list)
    score_step: list[int] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    error: list[float] | None = field(default_factory=list)
    diverged_at: int | None = None
    model: nn.Module | None = None
    budget: Budget | None = None


def _check_data(name: str, source: Batch | Sampler) -> None:
    if callable(source):
        return
    if not isinstance(source, tuple) or len(source) != 2 or not all(isinstance(t, Tensor) for t in source):
        raise TypeError(f"{name} must be a tuple of two tensors (x, y) or a function, got {type(source).__name__}")
    if not len(source[0]) == len(source[1]) > 0:
        raise ValueError(
            f"{name} must hold as many x as y, and at least one, got {len(source[0])} and {len(source[1])}"
        )


def new_history(config: SupervisedConfig, device: torch.device) -> SupervisedHistory:
    """Return an empty history with the run's network, its initial weights drawn from the seed."""
    model = seeded(config.seed, config.model)
    if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
        raise TypeError(f"model must build a network with parameters to train, got {type(model).__name__}")
    size = counted(sum(p.numel() for p in model.parameters() if p.requires_grad), "parameter")
    budget = Budget(f"networks of {size}", counted(config.steps, "step"), f"batch {config.batch_size}")
    return SupervisedHistory(config.seed, model=model.to(device), budget=budget)
