"""The supervised loop: any model, data and loss, every gradient scaling, with norms watched before and after it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..scaling import Scaler, make_scaler, total_norm
from . import checkpoint
from .loop import TrainingDiverged, fingerprint, keep_memory, make_optimizer, progress_bar, resolve_device
from .supervised_config import Batch, Sampler, SupervisedConfig, SupervisedHistory, new_history


def scaled(scale_: Scaler, parameters: list[Tensor]) -> Tensor:
    """Scale in place and return the norm before, NaN (and nothing scaled) where it is not finite."""
    try:
        return scale_(parameters).double()
    except FloatingPointError:
        return torch.tensor(math.nan, dtype=torch.float64)


def first(output: Tensor | tuple) -> Tensor:
    """The output of a network that may return more than that."""
    return output[0] if isinstance(output, tuple) else output


def is_wrong(output: Tensor, y: Tensor) -> Tensor | None:
    """Return 1.0 where the largest output is not the class ``y`` and 0.0 elsewhere; None if y holds no classes."""
    return None if y.is_floating_point() else (output.argmax(-1) != y).float()


def objective(config: SupervisedConfig, model: Callable, x: Tensor, y: Tensor) -> Tensor:
    """The number whose gradient is taken: the loss, and the penalty where there is one."""
    parts = {"loss": config.loss(first(model(x)), y)}
    if config.penalty is not None:
        parts["penalty"] = config.penalty(model, x, y)
    for name, part in parts.items():
        if not isinstance(part, Tensor) or part.numel() != 1:
            got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"{name} must return one number, the batch's mean, got {got}")
    return sum(part.reshape(()) for part in parts.values())


class SingleRun:
    """One network with PyTorch's own optimiser. What :func:`train_runs` asks of it, ``grids.Rows`` does for many."""

    def __init__(self, config: SupervisedConfig):
        self.config, self.device, self.seeds = config, resolve_device(config.device), [config.seed]
        self.histories = [new_history(config, self.device)]
        self.alive, self.model = list(self.histories), self.histories[0].model
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(
            config.optimizer, self.parameters, config.lr, config.betas, config.momentum, config.weight_decay
        )
        self.scale_ = make_scaler(config.scaling, config.threshold)

    def gradients(self, batches: list[Batch]) -> Tensor:
        """Fill the gradients on a batch for each seed; return the losses ``(R,)``."""
        ((x, y),) = batches
        self.optimizer.zero_grad(set_to_none=True)
        loss = objective(self.config, self.model, x, y)
        loss.backward()
        return loss.detach().reshape(1)

    def scale(self) -> Tensor:
        """Scale the gradients; return their norms before, ``(R,)``, NaN where they are not finite."""
        return scaled(self.scale_, self.parameters).reshape(1)

    def norms(self) -> Tensor:
        """The gradients' norms as they stand, ``(R,)``."""
        return total_norm(self.parameters).reshape(1)

    def update(self, rate: float) -> None:
        """Step with ``rate`` times the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.config.lr
        self.optimizer.step()

    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        """Loss and error on held-out data, each ``(R,)``."""
        self.model.eval()
        with torch.no_grad():
            output = first(self.model(x))
            loss, wrong = self.config.loss(output, y), is_wrong(output, y)
        self.model.train()
        return loss.reshape(1), None if wrong is None else wrong.mean().reshape(1)

    def keep(self, rows: list[int]) -> None:
        """Go on with the runs ``rows`` of those alive; the others keep their weights."""
        self.alive = [self.alive[row] for row in rows]

    def finish(self) -> None:
        """Let the networks in the histories hold the present weights."""

    def state(self) -> dict:
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scale_.state_dict()}

    def restore(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scale_.load_state_dict(state["scaler"])


def sampler(source: Batch | Sampler, device: torch.device) -> Sampler:
    """Return a function ``(n, generator) -> (x, y)``; tensors are drawn from with replacement."""
    if callable(source):
        return source
    x, y = (part.to(device) for part in source)

    def draw(n: int, rng: torch.Generator) -> Batch:
        rows = torch.randint(len(x), (n,), generator=rng, device=device)
        return x[rows], y[rows]

    return draw


def _held_out(config: SupervisedConfig, device: torch.device) -> Batch | None:
    source = config.held_out or (config.data if callable(config.data) else None)
    if callable(source):  # one held-out set for all seeds
        return source(config.eval_samples, torch.Generator(device).manual_seed(10_000_019))
    return source and tuple(part.to(device) for part in source)


# A number that ends a run where it is not finite: how a message calls it.
_CALLED = {"loss": "the loss", "norm": "the gradient's norm", "held_out_loss": "the held-out loss"}


def _drop(runs, measured: dict[str, Tensor], name: str, step: int) -> dict[str, Tensor]:
    """End the runs whose number ``name`` is not finite; return what was measured of the others."""
    finite = measured[name].isfinite()
    if finite.all():
        return measured
    for history, fine in zip(runs.alive, finite.tolist(), strict=True):
        history.diverged_at = history.diverged_at if fine else step
    rows = finite.nonzero().flatten().tolist()
    runs.why = f"{_CALLED[name]} is not finite"
    runs.keep(rows)
    return {key: None if values is None else values[rows] for key, values in measured.items()}


def _step(runs, batches: list[Batch], step: int, log: bool) -> None:
    """One update of every run that is alive."""
    config = runs.config
    measured = _drop(runs, {"loss": runs.gradients(batches)}, "loss", step)
    if runs.alive:
        measured = _drop(runs, {**measured, "norm": runs.scale()}, "norm", step)
    if not runs.alive:
        return
    if log:
        measured["norm_scaled"] = runs.norms()
        for name, values in measured.items():
            for history, value in zip(runs.alive, values.tolist(), strict=True):
                getattr(history, name).append(value)
        for history in runs.alive:
            history.step.append(step)
    runs.update(min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0)


def _evaluate(runs, held_out: Batch, step: int) -> None:
    loss, error = runs.evaluate(*held_out)
    # What the update of this step spoiled ends the run before the next one, as it would without an evaluation.
    measured = _drop(runs, {"held_out_loss": loss, "error": error}, "held_out_loss", step + 1)
    for row, history in enumerate(runs.alive):
        history.score_step.append(step)
        history.held_out_loss.append(measured["held_out_loss"][row].item())
        if error is None:
            history.error = None
        else:
            history.error.append(measured["error"][row].item())


def train_runs(runs, resume: Path | None, mark: str, description: str) -> None:
    """Train ``runs`` to the end: data, logging, evaluation, checkpoints, and the end of what is not finite.

    The batches of a seed come from a generator of its own, so that they depend neither on the other runs nor on what
    is logged.
    """
    config, step = runs.config, 0
    draw, held_out = sampler(config.data, runs.device), _held_out(config, runs.device)
    rngs = [torch.Generator(runs.device).manual_seed(seed) for seed in runs.seeds]
    keep_memory()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        if resume is not None and (saved := checkpoint.load(resume, mark, runs.device)):
            step = _restore(runs, rngs, saved)
        with progress_bar(config.steps, step, description) as bar:
            while step < config.steps and runs.alive:
                last = step + 1 == config.steps
                batches = [draw(config.batch_size, rng) for rng in rngs]
                _step(runs, batches, step, log=step % config.log_every == 0 or last)
                if runs.alive and held_out and (step % config.eval_every == 0 or last):
                    _evaluate(runs, held_out, step)
                step += 1
                bar.update()
                if resume is not None and runs.alive and (last or step % config.checkpoint_every == 0):
                    checkpoint.save(resume, {"fingerprint": mark, "step": step} | _state(runs, rngs))
    runs.finish()


def _state(runs, rngs: list[torch.Generator]) -> dict:
    runs.finish()
    return {
        "rngs": [rng.get_state() for rng in rngs],
        "global_rng": torch.get_rng_state(),
        "models": [history.model.state_dict() for history in runs.histories],
        "histories": [
            {k: v for k, v in vars(history).items() if k not in ("model", "budget")} for history in runs.histories
        ],
        "alive": [runs.histories.index(history) for history in runs.alive],
        "runs": runs.state(),
    }


def _restore(runs, rngs: list[torch.Generator], saved: dict) -> int:
    for rng, state in zip(rngs, saved["rngs"], strict=True):
        rng.set_state(state.cpu())
    torch.set_rng_state(saved["global_rng"].cpu())
    if len(saved["alive"]) < len(runs.alive):
        runs.keep(saved["alive"])
    for history, model, logged in zip(runs.histories, saved["models"], saved["histories"], strict=True):
        history.model.load_state_dict(model)
        for name, value in logged.items():
            setattr(history, name, value)
    runs.restore(saved["runs"])
    return saved["step"]


def train_supervised(config: SupervisedConfig, *, resume: Path | None = None) -> SupervisedHistory:
    """Train one network and return what was logged, with the network.

    Every random number comes from generators seeded by ``config.seed``; the global random state is left alone.

    Args:
        config: see :class:`SupervisedConfig`.
        resume: checkpoint file, as for :func:`gpcore.train`.

    Raises:
        TrainingDiverged: (a ``FloatingPointError``) a loss or a gradient is not finite. Its ``step`` says when, its
            ``history`` holds what came before.
        ValueError: ``resume`` holds a run with other settings.

    Example:
        >>> import torch, gpcore as gp
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [3.0]])
        >>> fit = gp.SupervisedConfig(
        ...     lambda: torch.nn.Linear(1, 1), (x, y), loss=torch.nn.functional.mse_loss, lr=0.3, steps=300
        ... )
        >>> round(gp.train_supervised(fit).model.weight.item(), 3)
        3.0
    """
    runs = SingleRun(config)
    train_runs(runs, resume, fingerprint(config), f"seed {config.seed}")
    (history,) = runs.histories
    if history.diverged_at is not None:
        raise TrainingDiverged(
            f"training stopped at step {history.diverged_at} of {config.steps} (seed {config.seed}): {runs.why}",
            history.diverged_at,
            history,
        )
    return history
