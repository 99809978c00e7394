"""Training a recurrent network on sequences, with the norm of every gradient watched before and after scaling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .. import _checks, data, models
from ..scaling import SCALERS, make_scaler, total_norm
from . import checkpoint
from .loop import (
    OPTIMIZERS,
    TrainingDiverged,
    check_finite,
    fingerprint,
    make_optimizer,
    progress_bar,
    resolve_device,
    run_seeds,
    seeded,
)

TASKS = ("temporal_order", "text")


@dataclass(frozen=True, eq=False)
class SequenceConfig:
    """Everything that a recurrent run depends on.

    Attributes:
        task: ``"temporal_order"`` (in which order did two marked symbols come?) or ``"text"`` (the next character).
        text: the text to learn, for the task ``"text"``; its last tenth is held out.
        length: T, symbols a sequence.
        cell: ``"rnn" | "gru" | "lstm"``.
        hidden: units of the recurrent layer.
        spectral_radius: largest modulus of the recurrent matrix's eigenvalues at the start; None leaves PyTorch's
            initialisation. Above 1 gradients can explode with T, below 1 they fade.
        optimizer, lr, betas: plain SGD at 0.01 is what Pascanu et al. (2013) used.
        scaling, threshold: gradient norm scaling (see :func:`gpcore.make_scaler`).
        steps, batch_size: updates, and sequences an update.
        log_every, eval_every: in updates; the last is always logged and evaluated.
        eval_sequences: fresh sequences an evaluation.
    """

    task: str = "temporal_order"
    text: str = ""
    length: int = 50
    cell: str = "rnn"
    hidden: int = 50
    spectral_radius: float | None = None
    optimizer: str = "sgd"
    lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    scaling: str = "none"
    threshold: float = 1.0
    steps: int = 1000
    batch_size: int = 20
    log_every: int = 1
    eval_every: int = 100
    eval_sequences: int = 500
    checkpoint_every: int = 500
    seed: int = 0
    device: str = "auto"

    def __post_init__(self):
        _checks.one_of("task", self.task, TASKS)
        _checks.one_of("scaling", self.scaling, SCALERS)
        _checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        _checks.positive("lr", self.lr)
        _checks.positive("threshold", self.threshold)
        if self.task == "text" and len(self.text) < 20 * self.length:
            raise ValueError(
                f"text must hold at least 20 * length = {20 * self.length} characters, got {len(self.text)}"
            )
        for name in ("length", "hidden", "steps", "batch_size", "log_every", "eval_every", "checkpoint_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


@dataclass
class SequenceHistory:
    """What one recurrent run logged.

    ``loss`` is the training loss in nats; ``norm`` and ``norm_scaled`` are the gradient's norm before and after
    scaling. Along ``score_step``: ``held_out_loss`` in nats and ``error``, the fraction of wrong answers, both on
    sequences never trained on.
    """

    seed: int
    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)
    norm_scaled: list[float] = field(default_factory=list)
    score_step: list[int] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    diverged_at: int | None = None
    model: nn.Module | None = None


def set_spectral_radius_(model: nn.Module, radius: float) -> None:
    """Rescale every recurrent matrix of ``model`` so that its largest eigenvalue modulus is ``radius``.

    Raises:
        ValueError: the model has gates (GRU, LSTM), whose stacked matrices have no one spectrum.
    """
    for name, weight in model.named_parameters():
        if "weight_hh" in name:
            if weight.shape[0] != weight.shape[1]:
                raise ValueError("spectral_radius needs cell='rnn': a gated cell has several recurrent matrices")
            with torch.no_grad():
                weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())


class _Task:
    """Batches to train on, and a held-out set."""

    def __init__(self, config: SequenceConfig, device: torch.device):
        self.config, self.device = config, device
        self.alphabet = 6
        if config.task == "text":
            codes, alphabet = data.encode_text(config.text)
            self.alphabet = len(alphabet)
            cut = len(codes) * 9 // 10
            self.codes, self.held_out_codes = codes[:cut].to(device), codes[cut:].to(device)
        held_out = torch.Generator(device).manual_seed(10_000_019)  # one held-out set for all seeds
        self.held_out = self._draw(config.eval_sequences, held_out, held_out=True)

    def _draw(self, n: int, rng: torch.Generator, held_out: bool = False) -> tuple[Tensor, Tensor]:
        if self.config.task == "temporal_order":
            return data.temporal_order(n, self.config.length, rng)
        return data.text_batch(self.held_out_codes if held_out else self.codes, n, self.config.length, rng)

    def model(self) -> nn.Module:
        config = self.config
        if config.task == "text":
            return models.CharModel(self.alphabet, config.hidden, cell=config.cell)
        return models.RecurrentClassifier(6, config.hidden, 4, cell=config.cell)

    def loss_and_error(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = batch
        logits = model(x)[0].flatten(0, 1) if self.config.task == "text" else model(x)
        y = y.flatten()
        return cross_entropy(logits, y), (logits.detach().argmax(1) != y).float().mean()


def train_sequence(config: SequenceConfig, *, resume: Path | None = None) -> SequenceHistory:
    """Train a recurrent network by back-propagation through time, and return what was logged, with the network.

    Args:
        config: see :class:`SequenceConfig`.
        resume: checkpoint file, as for :func:`gpcore.train`.

    Raises:
        TrainingDiverged: (a ``FloatingPointError``) a loss or a gradient is not finite; says at which step.
        ValueError: ``resume`` holds a run with other settings.
    """
    device = resolve_device(config.device)
    task = _Task(config, device)
    model = seeded(config.seed, task.model).to(device)
    if config.spectral_radius is not None:
        set_spectral_radius_(model, config.spectral_radius)
    parameters = list(model.parameters())
    optimizer = make_optimizer(config.optimizer, parameters, config.lr, config.betas)
    scale_ = make_scaler(config.scaling, config.threshold)
    rng = torch.Generator(device).manual_seed(config.seed)
    history, mark, step = SequenceHistory(config.seed, model=model), fingerprint(config), 0

    if resume is not None and (saved := checkpoint.load(resume, mark, device)):
        step = saved["step"]
        rng.set_state(saved["rng"].cpu())
        for part, name in ((model, "model"), (optimizer, "optimizer"), (scale_, "scaler")):
            part.load_state_dict(saved[name])
        for name, value in saved["history"].items():
            setattr(history, name, value)

    try:
        with progress_bar(config.steps, step, f"seed {config.seed}") as bar:
            while step < config.steps:
                optimizer.zero_grad(set_to_none=True)
                loss, _ = task.loss_and_error(model, task._draw(config.batch_size, rng))
                check_finite("the loss", loss.item())
                loss.backward()
                norm = scale_(parameters)
                optimizer.step()
                last = step + 1 == config.steps
                if step % config.log_every == 0 or last:
                    history.step.append(step)
                    history.loss.append(loss.item())
                    history.norm.append(float(norm))
                    history.norm_scaled.append(float(total_norm(parameters)))
                if step % config.eval_every == 0 or last:
                    with torch.no_grad():
                        held_out_loss, error = task.loss_and_error(model, task.held_out)
                    history.score_step.append(step)
                    history.held_out_loss.append(float(held_out_loss))
                    history.error.append(float(error))
                step += 1
                bar.update()
                if resume is not None and (last or step % config.checkpoint_every == 0):
                    checkpoint.save(
                        resume,
                        {
                            "fingerprint": mark,
                            "step": step,
                            "rng": rng.get_state(),
                            "model": model.state_dict(),
                            "optimizer": optimizer.state_dict(),
                            "scaler": scale_.state_dict(),
                            "history": {k: v for k, v in vars(history).items() if k != "model"},
                        },
                    )
    except FloatingPointError as error:
        history.diverged_at = step
        raise TrainingDiverged(
            f"training stopped at step {step} of {config.steps} (seed {config.seed}): {error}", step, history
        ) from error
    return history


def train_sequence_many(
    config: SequenceConfig, seeds: Iterable[int], *, resume: Path | None = None
) -> list[SequenceHistory]:
    """Train once a seed, as :func:`gpcore.train_many` does."""
    return run_seeds(train_sequence, config, seeds, resume)
