"""Many adversarial runs that differ in loss, constraint, weight and seed, as the rows of the same products.

:func:`gpcore.train_many` trains the seeds of one configuration at once. Here the rows differ in more, and the penalties
are given by the caller: where a norm is taken, towards which target, and whether norms below it are free; or as a
function of the critic, for what is no norm. Autograd does the rest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .. import _checks
from ..data import sampler
from ..losses import LOSSES
from ..sweep.layers import Dense, layers_of
from .config import Config, History, adversarial_budget, build_networks
from .loop import make_optimizer, resolve_device

WHOLE = ("none", "spectral_norm", "gradient_normalization")


class Setting(NamedTuple):
    """What tells one run of :func:`train_settings` from another.

    ``constraint`` is a name of the family, or ``"none" | "spectral_norm" | "gradient_normalization"``; ``loss`` is a
    name of ``LOSSES``; ``weight`` is the penalty's, which enters with a factor of 1/2; ``seed`` is that of networks,
    data and noise.

    Example:
        >>> gp.Setting("R1", "non_saturating", 10.0, seed=3)[:3]
        ('R1', 'non_saturating', 10.0)
    """

    constraint: str
    loss: str
    weight: float = 0.0
    seed: int = 0


def slopes(critic: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The scores ``(S, N)`` of samples ``(S, N, ...)``, and the norms of their gradients, with a graph."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    scores = critic(x)
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return scores, torch.linalg.vector_norm(gradient, dim=-1)


def _groups(values: list) -> dict:
    """Each value with the rows that have it."""
    return {value: [row for row, other in enumerate(values) if other == value] for value in dict.fromkeys(values)}


def _stacked(networks: list[nn.Module]) -> list[Dense]:
    """The layers of S networks of one architecture as one, each parameter a leaf ``(S, ...)``."""
    known = [layers_of(network) for network in networks]
    if not all(layers and all(type(layer) is Dense and not layer.flatten for layer in layers) for layers in known):
        raise ValueError("config must build MLPs that gpcore.supports, for critic and generator")
    for same in zip(*known, strict=True):
        for name in ("weight", "bias"):
            parts = [getattr(layer, name).detach() for layer in same]
            setattr(same[0], name, torch.stack(parts).requires_grad_())
    return known[0]


def _forward(layers: list[Dense], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer.activation.apply_(layer.forward(x))
    return x


class _Game:
    """Networks, optimisers and random numbers of all rows."""

    def __init__(self, settings: list[Setting], config: Config, family: Mapping):
        self.settings, self.config, self.device = settings, config, resolve_device(config.device)
        self.draw, column = sampler(config.data), lambda name: [getattr(row, name) for row in settings]
        self.losses, self.constraints = _groups(column("loss")), column("constraint")
        self.rngs = {seed: torch.Generator(self.device).manual_seed(seed) for seed in column("seed")}
        pairs = [build_networks(dataclasses.replace(config, seed=row.seed)) for row in settings]
        self.networks = [[network.to(self.device) for network in of_kind] for of_kind in zip(*pairs, strict=True)]
        self.critic_layers, self.generator_layers = map(_stacked, self.networks)
        self.optimizers = [
            make_optimizer(config.optimizer, [p for x in layers for p in (x.weight, x.bias)], lr, config.betas)
            for layers, lr in (
                (self.critic_layers, config.lr_critic),
                (self.generator_layers, config.lr_generator),
            )
        ]
        penalised = {name: rows for name, rows in _groups(self.constraints).items() if name in family}
        self.charged = {name: rows for name, rows in penalised.items() if callable(family[name])}
        self.penalised = {name: rows for name, rows in penalised.items() if name not in self.charged}
        self.family, self.rows = family, sum(self.penalised.values(), [])
        numbers = [[settings[row].weight, *family[self.constraints[row]][1:]] for row in self.rows]
        self.numbers = (
            torch.tensor(numbers, device=self.device, dtype=torch.get_default_dtype()).reshape(-1, 3).T[..., None]
        )
        self.weights = torch.tensor(column("weight"), device=self.device, dtype=torch.get_default_dtype())
        self.spectral, self.normalized = (self._where(name) for name in WHOLE[1:])
        # Where the power iterations start; drawn apart, so that they shift nobody's data.
        rng, rows = torch.Generator(self.device).manual_seed(0), len(settings)
        self.vectors = [
            torch.randn(rows, 1, layer.weight.shape[1], generator=rng, device=self.device)
            for layer in self.critic_layers
        ]

    def _where(self, name: str) -> Tensor:
        return torch.tensor([constraint == name for constraint in self.constraints], device=self.device)

    def each(self, draw: Callable) -> Tensor:
        """What every row draws; rows with one seed draw the same."""
        drawn = {seed: draw(self.config.batch_size, rng) for seed, rng in self.rngs.items()}
        return torch.stack([drawn[row.seed] for row in self.settings])

    def real(self) -> Tensor:
        return self.each(self.draw)

    def fake(self) -> Tensor:
        size = self.config.noise_dim
        noise = self.each(lambda n, rng: torch.randn(n, size, generator=rng, device=self.device))
        return _forward(self.generator_layers, noise)

    def critic(self) -> Callable[[Tensor], Tensor]:
        """The critic of this step, as a function ``(S, N, ...) -> (S, N)``; a power iteration's step for its norms."""
        layers = self.critic_layers
        if self.spectral.any():
            layers = [self._divided(row, layer) for row, layer in enumerate(layers)]

        def plain(x: Tensor) -> Tensor:
            return _forward(layers, x).squeeze(-1)

        def normalized(x: Tensor) -> Tensor:
            scores, norms = slopes(plain, x)
            return torch.where(self.normalized[:, None], scores / (norms + scores.abs()), scores)

        return normalized if self.normalized.any() else plain

    def _divided(self, at: int, layer: Dense) -> Dense:
        weight, left = layer.weight, self.vectors[at]
        with torch.no_grad():
            right = nn.functional.normalize(left @ weight, dim=-1)
            left = self.vectors[at] = nn.functional.normalize(right @ weight.mT, dim=-1)
        size = torch.where(self.spectral[:, None, None], left @ weight @ right.mT, 1.0)
        return dataclasses.replace(layer, weight=weight / size)

    def loss(self, which: int, real: Tensor, fake: Tensor) -> Tensor:
        """The sum over rows of the critic's loss (``which=0``) or the generator's (1): no row sees another."""
        losses = [
            LOSSES[name][which](real[rows].flatten(), fake[rows].flatten()) * len(rows)
            for name, rows in self.losses.items()
        ]
        return torch.stack(losses).sum()

    def critic_of(self, rows: list[int]) -> Callable[[Tensor], Tensor]:
        """The critics of some rows, as a function ``(R, N, ...) -> (R, N)``."""
        layers = [dataclasses.replace(x, weight=x.weight[rows], bias=x.bias[rows]) for x in self.critic_layers]
        return lambda x: _forward(layers, x).squeeze(-1)

    def penalties(self, critic: Callable, real: Tensor, fake: Tensor) -> Iterator[Tensor]:
        """The sums over the rows of each kind: penalties of a norm, all in one backward pass; functions of a critic."""
        if self.rows:
            points = real.clone()  # rows without a penalty have points too, which count nothing
            for name, rows in self.penalised.items():
                points[rows] = self.family[name][0](real[rows], fake[rows])
            weight, target, free_below = self.numbers
            excess = slopes(critic, points)[1][self.rows] - target
            excess = torch.where(free_below > 0, excess.relu(), excess)
            yield (weight / 2 * excess.square()).mean(dim=1).sum()
        for name, rows in self.charged.items():
            charge = self.family[name](self.critic_of(rows), real[rows], fake[rows])
            yield (charge.mean(dim=1) * self.weights[rows]).sum() / 2

    def step(self, which: int, loss: Tensor) -> None:
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    def write(self) -> None:
        """Give every network the parameters of its row."""
        for networks, layers in zip(self.networks, (self.critic_layers, self.generator_layers), strict=True):
            leaves = [leaf for layer in layers for leaf in (layer.weight, layer.bias)]
            for row, network in enumerate(networks):
                for parameter, leaf in zip(network.parameters(), leaves, strict=True):
                    parameter.data.copy_(leaf.detach()[row])


def train_settings(
    settings: Iterable[Setting],
    config: Config,
    family: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], float, bool] | Callable[..., Tensor]],
    *,
    every: int = 1,
    evaluate: Mapping[str, Callable[[Tensor], float]] | None = None,
) -> dict[tuple, list[History]]:
    """Train all settings at once: ``loss + weight / 2 * mean (norm - target)^2``, simultaneously and independently.

    Args:
        settings: at least one, each once.
        config: everything else; its ``loss``, ``constraint``, ``weight``, ``target``, ``scaling`` and ``seed`` are not
            used. Both networks must be MLPs.
        family: name -> (where, target, free_below): ``where`` is a function of real and generated samples
            ``(R, N, d)`` that returns the points ``(R, N, d)`` at which the critic's gradient norm is taken; norms
            below the target cost nothing if ``free_below``. Or name -> charge, a function of the critic, real and
            generated samples that returns ``(R, N)``, the critic a function ``(R, N, d) -> (R, N)``: then
            ``weight / 2 * mean charge`` is added. Both draw from PyTorch's global generator, which is seeded by the
            first setting and put back afterwards.
        every: penalise every so many critic steps, with so many times the weight (lazily).
        evaluate: name -> function of ``config.eval_samples`` generated samples on the CPU; evaluated before the first
            step and after the last.

    Returns:
        The histories, one per seed, under ``(constraint, loss, weight)``. A run whose samples are not finite at the end
        has ``diverged_at`` set.

    Raises:
        ValueError: no setting, one twice, an unknown name; networks that are no MLPs; ``every`` below 1.

    Example:
        >>> config = gp.Config(steps=3, n_critic=1, batch_size=8, width=8, device="cpu")
        >>> r1 = {"R1": (lambda real, fake: real, 0.0, False)}
        >>> settings = [gp.Setting("R1", "wasserstein", 1.0, seed) for seed in range(2)]
        >>> runs = gp.train_settings([*settings, gp.Setting("none", "hinge")], config, r1)
        >>> {key: len(histories) for key, histories in runs.items()}
        {('R1', 'wasserstein', 1.0): 2, ('none', 'hinge', 0.0): 1}
    """
    settings = list(settings)
    if not settings or len(set(settings)) < len(settings):
        raise ValueError(f"settings must hold at least one, and each once, got {settings}")
    for row in settings:
        _checks.one_of("constraint", row.constraint, (*WHOLE, *family))
        _checks.one_of("loss", row.loss, LOSSES)
        _checks.non_negative("weight", row.weight)
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"every must be a whole number of at least 1, got {every!r}")
    game = _Game(settings, config, family)
    budget = adversarial_budget(config)
    histories = [
        History(row.seed, critic=c, generator=g, noise_dim=config.noise_dim, budget=budget)
        for row, c, g in zip(settings, *game.networks, strict=True)
    ]

    def judge(step: int) -> None:
        game.write()
        for history in histories:
            samples = history.sample(config.eval_samples).cpu()
            fine = bool(samples.isfinite().all())
            history.diverged_at = None if fine else step
            history.score_step.append(step)
            for name, score in (evaluate or {}).items():
                history.scores.setdefault(name, []).append(float(score(samples)) if fine else math.nan)

    judge(0)
    with torch.random.fork_rng():
        torch.manual_seed(settings[0].seed)
        for step in range(config.steps * config.n_critic):
            critic, real = game.critic(), game.real()
            with torch.no_grad():
                fake = game.fake()
            loss = game.loss(0, critic(real), critic(fake))
            if step % every == 0:
                loss = loss + every * sum(game.penalties(critic, real, fake))
            game.step(0, loss)
            if (step + 1) % config.n_critic == 0:
                critic, real = game.critic(), game.real()
                game.step(1, game.loss(1, critic(real), critic(game.fake())))
    judge(config.steps)
    found: dict[tuple, list[History]] = {}
    for row, history in zip(settings, histories, strict=True):
        found.setdefault(row[:3], []).append(history)
    return found
