"""The one training loop: every adversarial loss, every constraint on the critic, every gradient scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from .. import penalties
from ..lipschitz import clip_weights_
from ..losses import LOSSES
from ..scaling import total_norm
from ..sweep.critic_step import penalized_backward_
from . import checkpoint
from .config import Config, History, adversarial_budget, critic_budget
from .constraints import autograd_penalty, random_points, sweep_settings
from .loop import (
    TrainingDiverged,
    check_finite,
    check_seeds,
    fingerprint,
    keep_memory,
    progress_bar,
    run_seeds,
)
from .replicas import supports_replicas, train_replicas
from .run import Run


def _update(run: Run, name: str) -> Tensor:
    """Scale the gradients and step. Returns their norm before scaling."""
    norm = run.scalers[name](getattr(run, name).parameters())
    run.optimizers[name].step()
    return norm


def _generate(run: Run) -> Tensor:
    """A batch of generated samples that carries no gradient: the critic's loss must not reach the generator."""
    with torch.no_grad(), run.autocast():
        return run.full(run.generator(run.noise()))


def _critic_gradients(run: Run, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Fill the critic's gradients; return its loss and its penalty."""
    config, critic, critic_loss = run.config, run.critic, LOSSES[run.config.loss][0]
    if run.history.backward == "hand-derived":
        points = random_points(config, real, run.rng)
        step = penalized_backward_(critic, real, fake, compile=config.compile, **sweep_settings(config), **points)
        check_finite("the critic's loss", (step.loss + step.penalty).item())
        return step.loss, step.penalty
    with run.autocast():
        loss = critic_loss(run.full(critic(real)), run.full(critic(fake)))
    penalty = autograd_penalty(config, critic, real, fake, run.rng)
    check_finite("the critic's loss", (loss + penalty).item())
    (loss + penalty).backward()
    return loss, penalty


def _critic_step(run: Run, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    if run.whole_step is not None:
        update = run.whole_step(real, fake, **random_points(run.config, real, run.rng))
        check_finite("the critic's loss", (update.loss + update.penalty).item())
        check_finite("the norm of the critic's gradient", update.gradient_norm.item())
        norm = update.gradient_norm
        return dict(critic_loss=update.loss, penalty=update.penalty, critic_norm=norm, real=real, fake=fake)
    run.optimizers["critic"].zero_grad(set_to_none=True)
    loss, penalty = _critic_gradients(run, real, fake)
    norm = _update(run, "critic")
    if run.config.constraint == "clip":
        clip_weights_(run.critic, run.config.clip)
    return dict(critic_loss=loss, penalty=penalty, critic_norm=norm, real=real, fake=fake)


def _generator_step(run: Run) -> dict[str, Tensor]:
    config = run.config
    run.critic.requires_grad_(False)  # its weights' gradients are not needed here: a third of the work saved
    real = run.draw(config.batch_size, run.rng)
    with run.autocast():
        fake_scores = run.full(run.critic(run.full(run.generator(run.noise()))))
        real_scores = run.full(run.critic(real)) if config.loss == "relativistic" else fake_scores
        loss = LOSSES[config.loss][1](real_scores, fake_scores)
    check_finite("the generator's loss", loss.item())
    run.optimizers["generator"].zero_grad(set_to_none=True)
    loss.backward()
    norm = _update(run, "generator")
    run.critic.requires_grad_(True)
    return dict(generator_loss=loss, generator_norm=norm)


def _log(run: Run, real: Tensor, fake: Tensor, **measured: Tensor) -> None:
    """Append one row to the history; the gradients of the step just made still stand in the parameters."""
    history = run.history
    history.step.append(run.step)
    for name, value in measured.items():
        getattr(history, name).append(float(value.detach()))
    for name in ("critic", "generator"):
        if f"{name}_norm" in measured:
            whole = name == "critic" and run.whole_step is not None  # scales nothing, and leaves no gradients behind
            scaled = measured["critic_norm"] if whole else total_norm(getattr(run, name).parameters())
            getattr(history, f"{name}_norm_scaled").append(float(scaled))
    # Logging more or less often must not change the run: these points have a generator of their own.
    eps = torch.rand(len(real), generator=torch.Generator(run.device).manual_seed(run.step), device=run.device)
    points = penalties.interpolate(real, fake, eps).requires_grad_()
    # Plain autograd and not gradient_norms, which refuses critics with batch norm: those are logged as well.
    (slope,) = torch.autograd.grad(run.critic(points).sum(), points)
    history.input_norm.append(float(slope.flatten(1).norm(dim=1).mean()))


def _loop(run: Run, step: Callable[[Run, bool], dict[str, Tensor]], resume: Path | None) -> History:
    """Repeat ``step`` to the end of the run: progress, logging, checkpoints, and a clear stop at what is not finite."""
    config, mark = run.config, fingerprint(run.config)
    keep_memory()
    if resume is not None and (saved := checkpoint.load(resume, mark, run.device)):
        run.restore(saved)
    try:
        with progress_bar(config.steps, run.step, f"seed {config.seed}") as bar:
            while run.step < config.steps:
                last = run.step + 1 == config.steps
                measured = step(run, last)
                if run.step % config.log_every == 0 or last:
                    _log(run, **measured)
                run.step += 1
                bar.update()
                if resume is not None and (last or run.step % config.checkpoint_every == 0):
                    checkpoint.save(resume, run.state(mark))
    except FloatingPointError as error:
        run.critic.requires_grad_(True)
        run.history.diverged_at = run.step
        raise TrainingDiverged(
            f"training stopped at step {run.step} of {config.steps} (seed {config.seed}): {error}",
            run.step,
            run.history,
        ) from error
    return run.history


def train(
    config: Config, *, evaluate: Mapping[str, Callable[[Tensor], float]] | None = None, resume: Path | None = None
) -> History:
    """Train a generator against a critic and return what was logged, with both networks.

    Every random number comes from generators seeded by ``config.seed``; the global random state is left alone. On one
    machine and device type the same configuration gives the same run bit for bit, whether or not it was interrupted.
    What your own functions and modules draw (dropout; a penalty without ``eps``) comes from the global generator.

    Args:
        config: see :class:`Config`.
        evaluate: name -> function of generated samples ``(eval_samples, ...)`` on the CPU; its numbers become
            ``history.scores[name]``, every ``eval_every`` generator steps.
        resume: checkpoint file. Written every ``checkpoint_every`` steps and at the end; where it exists already, the
            run goes on from it (a finished run returns at once).

    Raises:
        TrainingDiverged: (a ``FloatingPointError``) a loss, norm or gradient is not finite. Its ``step`` says when, its
            ``history`` holds what came before.
        ValueError: ``resume`` holds a run with other settings.

    Example:
        >>> history = gp.train(gp.Config(steps=20, n_critic=1, batch_size=8, width=8, log_every=10, device="cpu"))
        >>> history.step
        [0, 10, 19]
    """

    def step(run: Run, last: bool) -> dict[str, Tensor]:
        for _ in range(config.n_critic):
            critic_step = _critic_step(run, run.draw(config.batch_size, run.rng), _generate(run))
        generator_step = _generator_step(run)
        if evaluate and (run.step % config.eval_every == 0 or last):
            samples = run.history.sample(config.eval_samples).cpu()
            run.history.score_step.append(run.step)
            for name, score in evaluate.items():
                run.history.scores.setdefault(name, []).append(float(score(samples)))
        return critic_step | generator_step

    return _loop(Run(config, adversarial_budget(config)), step, resume)


def train_critic(
    config: Config, fake: Callable[[int, torch.Generator], Tensor], *, resume: Path | None = None
) -> History:
    """Train a critic alone, ``config.steps`` steps, against a generator that is frozen.

    Args:
        config: see :class:`Config`; what concerns the generator, and ``n_critic``, is not used.
        fake: function ``(n, generator) -> (n, ...)`` that draws generated samples with the given random generator.
        resume: checkpoint file, as for :func:`train`.

    Raises:
        TrainingDiverged: as for :func:`train`.

    Example:
        >>> config = gp.Config(data="8_gaussians", steps=20, batch_size=8, width=8, device="cpu")
        >>> history = gp.train_critic(config, lambda n, rng: torch.randn(n, 2, generator=rng))
        >>> history.critic(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def step(run: Run, last: bool) -> dict[str, Tensor]:
        real = run.draw(config.batch_size, run.rng)
        return _critic_step(run, real, fake(config.batch_size, run.rng))

    return _loop(Run(config, critic_budget(config)), step, resume)


def train_many(
    config: Config,
    seeds: Iterable[int],
    *,
    evaluate: Mapping[str, Callable[[Tensor], float]] | None = None,
    resume: Path | None = None,
) -> list[History]:
    """Train once per seed, all seeds at once where the networks are small MLPs (see :mod:`gpcore.replicas`).

    Replica s is the run of :func:`train` with seed s to rounding. A seed that diverges is returned with ``diverged_at``
    set and touches no other.

    Args:
        config, evaluate: as for :func:`train`; ``config.seed`` is not used.
        seeds: at least one, each once.
        resume: as for :func:`train`; where the seeds run one after another the file's name gets ``-seed0``, ...

    Raises:
        ValueError: no seed, or one twice; ``resume`` holds a run with other settings.

    Example:
        >>> config = gp.Config(steps=20, n_critic=1, batch_size=8, width=8, device="cpu")
        >>> [history.seed for history in gp.train_many(config, range(4))]
        [0, 1, 2, 3]
    """
    seeds = check_seeds(seeds)
    if len(seeds) > 1 and supports_replicas(config):
        return train_replicas(config, seeds, evaluate or {}, resume)
    return run_seeds(lambda config, resume: train(config, evaluate=evaluate, resume=resume), config, seeds, resume)
