"""Adversarial training that also keeps the moving average of every generator, and samples from along the way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint
from .adversarial import _critic_step, _generate, _generator_step, _loop
from .config import Config, History, adversarial_budget
from .loop import check_seeds, fingerprint, keep_memory, progress_bar, run_seeds
from .replicas import _Replicas, supports_replicas, train_step
from .run import Run

Judges = Mapping[str, Callable[[Tensor], float]]
_OWN = ("critic", "generator", "budget")  # what a checkpoint holds elsewhere, or not at all


@dataclass
class AveragedHistory(History):
    """The average over one run's generators: what :func:`train_averaged` returns beside the run itself.

    ``generator`` has the averaged weights, and ``scores`` are those of its samples. ``sheets`` maps a generator step to
    samples ``(2, n, ...)`` drawn from one noise: of the generator as it was then, and of the average. Of what a run
    logs at every step it has nothing.

    Example:
        >>> config = gp.Config(steps=3, n_critic=1, batch_size=8, width=8, eval_every=2, device="cpu")
        >>> _, (average,) = gp.train_averaged(config, [0], decay=0.5, sheet=4)
        >>> {step: tuple(sheet.shape) for step, sheet in average.sheets.items()}
        {0: (2, 4, 2), 2: (2, 4, 2)}
    """

    sheets: dict[int, Tensor] = field(default_factory=dict)


@torch.no_grad()
def update_average_(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an exponential moving average of weights: ``average <- decay * average + (1 - decay) * network``.

    Call it after every optimiser step. After ``H`` calls with ``decay = 2 ** (-1 / H)`` half of the weight lies on what
    the network was during them. Buffers, such as the running moments of batch norm, are copied and not averaged.

    Args:
        average: changed in place; a copy of ``network`` to begin with.
        network: of the same architecture.
        decay: at least 0 and below 1.

    Raises:
        ValueError: ``decay`` is not in [0, 1).

    Example:
        >>> average, network = (torch.nn.Linear(1, 1, bias=False) for _ in range(2))
        >>> average.weight.data, network.weight.data = torch.tensor([[0.0]]), torch.tensor([[1.0]])
        >>> for _ in range(2):
        ...     gp.update_average_(average, network, decay=0.5)
        >>> average.weight.item()
        0.75
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay!r}")
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for kept, value in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(value)


class _Averages:
    """The averages of one run or of several replicas."""

    def __init__(self, runs: list[History], decay: float):
        self.decay, self.runs = decay, runs
        self.histories = [
            AveragedHistory(
                run.seed,
                run.backward,
                critic=run.critic,
                generator=copy.deepcopy(run.generator),
                noise_dim=run.noise_dim,
                budget=run.budget,
            )
            for run in runs
        ]

    def update(self) -> None:
        for run, history in zip(self.runs, self.histories, strict=True):
            if run.diverged_at is None:
                update_average_(history.generator, run.generator, self.decay)

    def judge(self, step: int, config: Config, evaluate: Judges, sheet: int) -> None:
        """Evaluate every run that is alive and its average, on samples from the same noise, and keep some of them."""
        for run, history in zip(self.runs, self.histories, strict=True):
            if run.diverged_at is not None:
                continue
            both = [each.sample(config.eval_samples).cpu() for each in (run, history)]
            history.sheets[step] = torch.stack([samples[:sheet] for samples in both])
            for each, samples in zip((run, history), both, strict=True):
                each.score_step.append(step)
                for name, score in evaluate.items():
                    each.scores.setdefault(name, []).append(float(score(samples)))

    def state(self) -> dict:
        logged = [{k: v for k, v in vars(history).items() if k not in _OWN} for history in self.histories]
        weights = [history.generator.state_dict() for history in self.histories]
        return {"decay": self.decay, "weights": weights, "logged": logged}

    def restore(self, state: dict) -> None:
        if state["decay"] != self.decay:
            raise ValueError(
                f"resume names a checkpoint of another run: it has decay {state['decay']!r}, expected {self.decay!r}"
            )
        for history, weights, logged in zip(self.histories, state["weights"], state["logged"], strict=True):
            history.generator.load_state_dict(weights)
            for name, value in logged.items():
                setattr(history, name, value)
            history.sheets = {step: sheet.cpu() for step, sheet in history.sheets.items()}


class _AveragedRun(Run):
    def __init__(self, config: Config, decay: float):
        super().__init__(config, adversarial_budget(config))
        self.averages = _Averages([self.history], decay)

    def state(self, mark: str) -> dict:
        return super().state(mark) | {"averages": self.averages.state()}

    def restore(self, state: dict) -> None:
        super().restore(state)
        self.averages.restore(state["averages"])


class _AveragedReplicas(_Replicas):
    def __init__(self, config: Config, seeds: list[int], decay: float):
        super().__init__(config, seeds)
        self.averages = _Averages(self.histories, decay)

    def state(self, mark: str) -> dict:
        return super().state(mark) | {"averages": self.averages.state()}

    def restore(self, state: dict) -> None:
        super().restore(state)
        self.averages.restore(state["averages"])


def _one_by_one(config: Config, seeds: list[int], decay: float, judges: Judges, sheet: int, resume: Path | None):
    averages = []

    def train(config: Config, resume: Path | None) -> History:
        run = _AveragedRun(config, decay)
        averages.extend(run.averages.histories)

        def step(run: _AveragedRun, last: bool) -> dict[str, Tensor]:
            for _ in range(config.n_critic):
                critic_step = _critic_step(run, run.draw(config.batch_size, run.rng), _generate(run))
            generator_step = _generator_step(run)
            run.averages.update()
            if run.step % config.eval_every == 0 or last:
                run.averages.judge(run.step, config, judges, sheet)
            return critic_step | generator_step

        return _loop(run, step, resume)

    return run_seeds(train, config, seeds, resume), averages


def _at_once(config: Config, seeds: list[int], decay: float, judges: Judges, sheet: int, resume: Path | None):
    keep_memory()
    run, mark = _AveragedReplicas(config, seeds, decay), f"{fingerprint(config)}-{seeds}"
    if resume is not None and (saved := checkpoint.load(resume, mark, run.device)):
        run.restore(saved)
    with progress_bar(config.steps, run.step, f"{len(seeds)} seeds") as bar:
        while run.step < config.steps and run.alive:
            last = run.step + 1 == config.steps
            train_step(run, last)
            run.averages.update()
            if run.step % config.eval_every == 0 or last:
                run.averages.judge(run.step, config, judges, sheet)
            run.step += 1
            bar.update()
            if resume is not None and (last or run.step % config.checkpoint_every == 0):
                checkpoint.save(resume, run.state(mark))
    for stack in run.stacks.values():
        stack.bind(torch.clone)
    return run.histories, run.averages.histories


def train_averaged(
    config: Config,
    seeds: Iterable[int],
    *,
    decay: float,
    evaluate: Judges | None = None,
    sheet: int = 16,
    resume: Path | None = None,
) -> tuple[list[History], list[AveragedHistory]]:
    """Train as :func:`gpcore.train_many` does, and keep the moving average of every generator's weights.

    The average starts at the initial weights and moves after every generator step (see :func:`update_average_`). It
    takes part in nothing: the runs are those of ``train_many`` to the last bit.

    Args:
        config, seeds, resume: as for ``train_many``.
        decay: of the average, at least 0 and below 1.
        evaluate: name -> function of generated samples ``(eval_samples, ...)`` on the CPU, asked of the generator and
            of its average, every ``eval_every`` generator steps.
        sheet: how many samples of each evaluation are kept.

    Returns:
        The runs, and the averages of the same runs in the same order.

    Raises:
        ValueError: as ``train_many``; ``decay`` is not in [0, 1); ``resume`` holds a run with another decay.

    Example:
        >>> config = gp.Config(steps=20, n_critic=1, batch_size=8, width=8, device="cpu")
        >>> runs, averages = gp.train_averaged(config, range(2), decay=0.9, evaluate={"mean": lambda x: x.mean()})
        >>> [average.seed for average in averages], averages[0].score_step
        ([0, 1], [0, 19])
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay!r}")
    seeds = check_seeds(seeds)
    train = _at_once if len(seeds) > 1 and supports_replicas(config) else _one_by_one
    runs, averages = train(config, seeds, decay, evaluate or {}, sheet, resume)
    for run, average in zip(runs, averages, strict=True):
        average.diverged_at = run.diverged_at
    return runs, averages
