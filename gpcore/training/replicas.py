"""Many seeds of one configuration trained at once: stacked weights, and every product a batched one.

S networks of one architecture keep their parameters as the rows of one matrix ``(S, P)``; the layers' weights are views
of it, ``(S, out, in)``. A small network leaves a processor idle between
operations; S of them in one operation do not. Nothing is shared but the operation: data order, noise, initial weights,
losses, norms, scaling and divergence are each replica's own, and replica s is the single run with seed s to rounding.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..data import sampler
from ..losses import LINEAR, LOSSES
from ..penalties import dragan_points, interpolate
from ..sweep.layers import Dense, layers_of
from ..sweep.passes import adjoints, double_backward, forward, plain_backward, rows
from . import checkpoint
from .config import Config, History, adversarial_budget, build_networks
from .constraints import PENALTIES
from .loop import fingerprint, keep_memory, make_optimizer, progress_bar, resolve_device
from .stacks import SCALINGS, Stack, scale_rows_


def supports_replicas(config: Config) -> bool:
    """Return whether runs of ``config`` can be trained at once: MLPs, in float32, and a constraint known here."""
    if config.constraint not in (*PENALTIES, "none", "clip"):
        return False
    if config.scaling not in SCALINGS or config.precision != "float32" or config.compile:
        return False
    critic, generator = (layers_of(network) for network in build_networks(config))
    dense = all(layers and all(type(x) is Dense and not x.flatten for x in layers) for layers in (critic, generator))
    return dense and critic[-1].is_score


class _Replicas:
    """The moving parts of S runs; row i of everything belongs to ``alive[i]``."""

    def __init__(self, config: Config, seeds: list[int]):
        self.config, self.device, self.step = config, resolve_device(config.device), 0
        self.draw = sampler(config.data)
        self.rngs = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
        pairs = [build_networks(dataclasses.replace(config, seed=seed)) for seed in seeds]
        self.alive = [
            History(
                seed,
                "replicas",
                critic=c.to(self.device),
                generator=g.to(self.device),
                noise_dim=config.noise_dim,
                budget=adversarial_budget(config),
            )
            for seed, (c, g) in zip(seeds, pairs, strict=True)
        ]
        self.histories = list(self.alive)
        self.stacks = {}
        for name, lr in (("critic", config.lr_critic), ("generator", config.lr_generator)):
            networks = [getattr(history, name) for history in self.alive]
            self.stacks[name] = Stack(networks, lambda p, lr=lr: make_optimizer(config.optimizer, p, lr, config.betas))
        self.measured: dict[str, Tensor] = {}
        self.clip()

    def each(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        return torch.stack([draw(rng) for rng in self.rngs])

    def real(self) -> Tensor:
        return self.draw(self.config.batch_size, self.rngs)

    def noise(self) -> Tensor:
        shape = (self.config.batch_size, self.config.noise_dim)
        return self.each(lambda rng: torch.randn(shape, generator=rng, device=self.device))

    def clip(self) -> None:
        if self.config.constraint == "clip":
            self.stacks["critic"].values.clamp_(-self.config.clip, self.config.clip)

    def keep_finite(self, *numbers: Tensor) -> None:
        """Take the replicas out of which a number is not finite; what they logged and their weights stay."""
        if all(math.isfinite(each.sum()) for each in numbers):
            return
        finite = torch.stack(numbers).isfinite().all(dim=0)
        if finite.all():  # and only their sum is not
            return
        for history, fine in zip(self.alive, finite, strict=True):
            if not fine:
                history.diverged_at = self.step
        rows = [row for row, fine in enumerate(finite) if fine]
        self.alive, self.rngs = [self.alive[row] for row in rows], [self.rngs[row] for row in rows]
        self.measured = {name: value[rows] for name, value in self.measured.items()}
        if rows:
            with torch.inference_mode(False):  # the networks are the caller's
                self.stacks = {name: stack.only(rows) for name, stack in self.stacks.items()}

    def update(self, name: str) -> None:
        """Scale, drop what is not finite, step; called with the gradient in its place."""
        norms = scale_rows_(self.stacks[name].values.grad, self.config.scaling, self.config.threshold)
        self.measured[f"{name}_norm"] = norms
        self.keep_finite(norms)
        if self.alive:
            self.stacks[name].step()

    def state(self, mark: str) -> dict:
        return {
            "fingerprint": mark,
            "step": self.step,
            "alive": [self.histories.index(history) for history in self.alive],
            "rngs": [rng.get_state() for rng in self.rngs],
            "optimizers": {name: stack.optimizer.state_dict() for name, stack in self.stacks.items()},
            "networks": [[h.critic.state_dict(), h.generator.state_dict()] for h in self.histories],
            "histories": [
                {k: v for k, v in vars(h).items() if k not in ("critic", "generator", "budget")} for h in self.histories
            ],
        }

    def restore(self, state: dict) -> None:
        self.step = state["step"]
        for history, (critic, generator), logged in zip(
            self.histories, state["networks"], state["histories"], strict=True
        ):
            history.critic.load_state_dict(critic)
            history.generator.load_state_dict(generator)
            for name, value in logged.items():
                setattr(history, name, value)
        self.alive = [self.histories[row] for row in state["alive"]]
        if self.alive:
            self.stacks = {name: stack.only(state["alive"]) for name, stack in self.stacks.items()}
        self.rngs = [torch.Generator(self.device) for _ in self.alive]
        for rng, saved in zip(self.rngs, state["rngs"], strict=True):
            rng.set_state(saved.cpu())
        for name, stack in self.stacks.items():
            stack.optimizer.load_state_dict(state["optimizers"][name])


def _losses(loss: Callable, real: Tensor, fake: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Each replica's mean loss ``(S,)``, and its derivative with respect to real and fake scores ``(S, N)``."""
    shape, both = fake.shape, [scores.reshape(-1) for scores in (real, fake)]
    if (constant := LINEAR.get(loss)) is not None:  # autograd would take as long as a layer
        each = loss(*both, reduction="none").reshape(shape).mean(dim=1)
        return each, [None if slope is None else fake.new_full(shape, slope / shape[1]) for slope in constant]
    with torch.inference_mode(False), torch.enable_grad():  # clones made here are ordinary tensors
        leaves = [scores.clone().requires_grad_() for scores in both]
        each = loss(*leaves, reduction="none").reshape(shape).mean(dim=1)
        slopes = torch.autograd.grad(each, leaves, torch.ones_like(each), allow_unused=True)
    return each.detach(), [None if slope is None else slope.reshape(shape) for slope in slopes]


def _critic_step(run: _Replicas) -> None:
    config, critic, n = run.config, run.stacks["critic"], run.config.batch_size
    real, fake = run.real(), forward(run.stacks["generator"].layers, run.noise())[1][-1]
    batches = [real, fake]
    at, factor, centred = PENALTIES.get(config.constraint, (None, 0.0, False))
    if at == "interpolates":
        eps = run.each(lambda rng: torch.rand(n, generator=rng, device=run.device)).unsqueeze(-1)
        batches.append(eps * real + (1 - eps) * fake)
    elif at == "around_real":
        noise = run.each(lambda rng: torch.rand(real.shape[1:], generator=rng, device=run.device))
        eps = run.each(lambda rng: torch.rand(n, generator=rng, device=run.device))
        batches.append(torch.stack([dragan_points(*one) for one in zip(real, noise, eps, strict=True)]))

    inputs, outputs = forward(critic.layers, torch.cat(batches, dim=1))
    scores = outputs[-1].squeeze(-1)
    loss, slopes = _losses(LOSSES[config.loss][0], scores[:, :n], scores[:, n : 2 * n])
    weight, target = config.weight * factor, 0.0 if centred else config.target

    def phi(norms: Tensor) -> tuple[Tensor, Tensor]:
        excess = norms - target
        if config.one_sided and at == "interpolates":
            excess = excess.relu()
        return weight * excess.square().mean(dim=1), 2 * weight / n * excess

    r = torch.cat(slopes, dim=1)
    if at is None:
        gradients = plain_backward(critic.layers, inputs, outputs, r)
        penalty = torch.zeros_like(loss)
    else:
        gradients, _, penalty = double_backward(critic.layers, inputs, outputs, r, rows(at, n, dim=1), phi)
    critic.set_gradient(gradients)
    run.measured |= dict(critic_loss=loss, penalty=penalty, real=real, fake=fake)
    run.keep_finite(loss + penalty)
    if run.alive:
        run.update("critic")
    run.clip()


def _generator_step(run: _Replicas) -> None:
    critic, generator = run.stacks["critic"].layers, run.stacks["generator"]
    real = run.real()
    inputs, outputs = forward(generator.layers, run.noise())
    critic_inputs, critic_outputs = forward(critic, outputs[-1])
    fake_scores = critic_outputs[-1].squeeze(-1)
    real_scores = forward(critic, real)[1][-1].squeeze(-1) if run.config.loss == "relativistic" else fake_scores
    loss, (_, slope) = _losses(LOSSES[run.config.loss][1], real_scores, fake_scores)
    _, _, r = adjoints(critic, critic_inputs, critic_outputs, slope)
    generator.set_gradient(plain_backward(generator.layers, inputs, outputs, r))
    run.measured["generator_loss"] = loss
    run.keep_finite(loss)
    if run.alive:
        run.update("generator")


def _log(run: _Replicas) -> None:
    """Append a row to every living history: the same numbers as a single run logs."""
    measured = dict(run.measured)
    real, fake = measured.pop("real"), measured.pop("fake")
    eps = torch.rand(real.shape[1], generator=torch.Generator(run.device).manual_seed(run.step), device=run.device)
    points = interpolate(real.transpose(0, 1), fake.transpose(0, 1), eps).transpose(0, 1).contiguous()
    layers = run.stacks["critic"].layers
    inputs, outputs = forward(layers, points)
    _, _, slope = adjoints(layers, inputs, outputs, torch.ones_like(outputs[-1]))
    measured["input_norm"] = slope.norm(dim=-1).mean(dim=1)
    for name, stack in run.stacks.items():
        measured[f"{name}_norm_scaled"] = torch.linalg.vector_norm(stack.values.grad, dim=1)
    for name, values in measured.items():
        for history, value in zip(run.alive, values.tolist(), strict=True):
            getattr(history, name).append(value)
    for history in run.alive:
        history.step.append(run.step)


def train_step(run: _Replicas, last: bool) -> None:
    """The critics' steps, the generators' step, and the row that is logged of them."""
    # Autograd has no part in it, but for a loss that is not linear. Without its bookkeeping a small step takes a
    # quarter less time than under no_grad.
    with torch.inference_mode():
        for step in [_critic_step] * run.config.n_critic + [_generator_step]:
            if run.alive:
                step(run)
        if run.alive and (run.step % run.config.log_every == 0 or last):
            _log(run)


def train_replicas(
    config: Config, seeds: list[int], evaluate: Mapping[str, Callable[[Tensor], float]], resume: Path | None
) -> list[History]:
    """Train all seeds at once; arguments and result are those of :func:`gpcore.train_many`."""
    keep_memory()
    run, mark = _Replicas(config, seeds), f"{fingerprint(config)}-{seeds}"
    if resume is not None and (saved := checkpoint.load(resume, mark, run.device)):
        run.restore(saved)
    with progress_bar(config.steps, run.step, f"{len(seeds)} seeds") as bar:
        while run.step < config.steps and run.alive:
            last = run.step + 1 == config.steps
            train_step(run, last)
            if evaluate and (run.step % config.eval_every == 0 or last):
                for history in run.alive:
                    samples = history.sample(config.eval_samples).cpu()
                    history.score_step.append(run.step)
                    for name, score in evaluate.items():
                        history.scores.setdefault(name, []).append(float(score(samples)))
            run.step += 1
            bar.update()
            if resume is not None and (last or run.step % config.checkpoint_every == 0):
                checkpoint.save(resume, run.state(mark))
    for stack in run.stacks.values():
        stack.bind(torch.clone)
    return run.histories
