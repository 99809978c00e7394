"""What a training run depends on, and what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from .. import _checks, models
from ..data import sampler
from ..losses import LOSSES
from ..scaling import SCALERS
from .loop import OPTIMIZERS, seeded

CONSTRAINTS = ("none", "clip", "gp", "r1", "r2", "r1_r2", "dragan", "spectral_norm", "gradient_normalization")


@dataclass(frozen=True)
class Budget:
    """What a run was given, in words that a verdict can print beside its numbers.

    Attributes:
        networks: which networks, with their size.
        steps: how many updates.
        more: what else the work depends on, such as the batch size.

    Example:
        >>> import gpcore as gp
        >>> config = gp.Config(steps=2, n_critic=1, width=8, depth=2, batch_size=4)
        >>> budget = gp.train(config).budget
        >>> budget.networks, budget.steps
        ('MLPs of 2 hidden layers, width 8', '2 generator steps')
        >>> budget.more
        '1 critic step per generator step, batch 4'
    """

    networks: str
    steps: str
    more: str


@dataclass(frozen=True, eq=False)
class Config:
    """Everything that a run depends on.

    Attributes:
        data: a name of ``gpcore.data.SAMPLERS`` or a tensor of samples ``(M, ...)`` drawn from with replacement.
        loss: a name of ``LOSSES``.
        constraint: what is done to the critic, a name of ``CONSTRAINTS``, or your own function
            ``(critic, real, fake) -> penalty`` whose scalar is added to the critic's loss.
        weight: weight of the penalty (``gp``, ``r1``, ``r2``, ``r1_r2``, ``dragan``).
        target: the norm that ``gp`` and ``dragan`` pull towards.
        one_sided: ``gp`` only: penalise norms above the target alone.
        clip: the bound c of weight clipping; applied at the start and after every critic step.
        scaling: gradient norm scaling of critic and generator, a name of ``gpcore.scaling.SCALERS``.
        threshold: its threshold (see :func:`gpcore.make_scaler`).
        steps: generator steps.
        n_critic: critic steps a generator step.
        optimizer: ``"adam" | "rmsprop" | "sgd"``.
        lr_critic, lr_generator: step sizes; ``lr_generator=0`` freezes the generator at its initial weights.
        betas: Adam's; WGAN-GP's Algorithm 1 has (0, 0.9), its released code (0.5, 0.9).
        noise_dim: dimension of the generator's Gaussian input.
        width, depth, activation: of both MLPs, which serve 2-D data.
        critic, generator: functions without arguments that build other networks.
        log_every, eval_every: in generator steps; the last step is always logged and evaluated.
        eval_samples: generated samples given to ``evaluate``.
        checkpoint_every: generator steps between checkpoints, where ``resume`` names a file.
        precision: ``"float32"`` or ``"bf16"``. Under bf16 the networks' forward passes run in autocast; the penalty
            and the weights stay in float32, because a norm squared and compared with 1 has no digits to spare.
        compile: compile the critic's step: with its optimiser's into one (see :func:`gpcore.compile_critic_step`), or,
            where gradients are scaled, the gradients alone (see :func:`gpcore.penalized_backward_`). It asks for a
            critic and a penalty that the sweep knows.
        device: ``"auto"``, or a device's name.

    Example:
        >>> gp.Config(constraint="r1", weight=0.1, steps=500).n_critic
        5
    """

    data: str | Tensor = "8_gaussians"
    loss: str = "wasserstein"
    constraint: str | Callable[[nn.Module, Tensor, Tensor], Tensor] = "gp"
    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    clip: float = 0.01
    scaling: str = "none"
    threshold: float = 1.0
    steps: int = 1000
    n_critic: int = 5
    batch_size: int = 256
    optimizer: str = "adam"
    lr_critic: float = 1e-4
    lr_generator: float = 1e-4
    betas: tuple[float, float] = (0.5, 0.9)
    noise_dim: int = 2
    width: int = 128
    depth: int = 3
    activation: str = "relu"
    critic: Callable[[], nn.Module] | None = None
    generator: Callable[[], nn.Module] | None = None
    log_every: int = 10
    eval_every: int = 100
    eval_samples: int = 1000
    checkpoint_every: int = 500
    precision: str = "float32"
    compile: bool = False
    seed: int = 0
    device: str = "auto"

    def __post_init__(self):
        _checks.one_of("loss", self.loss, LOSSES)
        if not callable(self.constraint):
            _checks.one_of("constraint", self.constraint, CONSTRAINTS)
        _checks.one_of("scaling", self.scaling, SCALERS)
        _checks.one_of("optimizer", self.optimizer, OPTIMIZERS)
        _checks.one_of("precision", self.precision, ("float32", "bf16"))
        for name in ("weight", "target", "lr_generator"):
            _checks.non_negative(name, getattr(self, name))
        for name in ("clip", "threshold", "lr_critic"):
            _checks.positive(name, getattr(self, name))
        for name in ("steps", "n_critic", "batch_size", "log_every", "eval_every", "checkpoint_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


@dataclass
class History:
    """What one run logged; lists run along ``step`` (scores along ``score_step``).

    ``critic_norm`` and ``generator_norm`` are norms of the parameters' gradients before scaling, the ``_scaled`` ones
    after it. ``input_norm`` is the mean norm of the critic's gradient with respect to its input at random
    interpolates, for every constraint, so that runs can be compared. ``backward`` says which way the critic's gradients
    came: ``"autograd"``, ``"hand-derived"`` (see :mod:`gpcore.sweep`) or ``"replicas"`` (the same for
    several seeds at once). ``budget`` says in words what the run was given.

    Example:
        >>> history = gp.train(gp.Config(steps=3, n_critic=1, batch_size=8, width=8, device="cpu"))
        >>> history.step, history.sample(5).shape
        ([0, 2], torch.Size([5, 2]))
    """

    seed: int
    backward: str = "autograd"
    step: list[int] = field(default_factory=list)
    critic_loss: list[float] = field(default_factory=list)
    generator_loss: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)
    input_norm: list[float] = field(default_factory=list)
    critic_norm: list[float] = field(default_factory=list)
    critic_norm_scaled: list[float] = field(default_factory=list)
    generator_norm: list[float] = field(default_factory=list)
    generator_norm_scaled: list[float] = field(default_factory=list)
    score_step: list[int] = field(default_factory=list)
    scores: dict[str, list[float]] = field(default_factory=dict)
    diverged_at: int | None = None
    critic: nn.Module | None = None
    generator: nn.Module | None = None
    noise_dim: int = 2
    budget: Budget | None = None

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` generated samples ``(n, ...)``, from noise drawn with ``seed``."""
        device = next(self.generator.parameters()).device
        noise = torch.randn(n, self.noise_dim, generator=torch.Generator().manual_seed(seed)).to(device)
        with torch.no_grad():
            return self.generator(noise)


def build_networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Return the critic and the generator of a run, with initial weights drawn from its seed.

    Example:
        >>> critic, generator = gp.build_networks(gp.Config(width=8, seed=3))
        >>> critic(generator(torch.randn(4, 2))).shape
        torch.Size([4])
    """
    dim = sampler(config.data)(1, torch.Generator().manual_seed(0)).flatten(1).shape[1]
    mlp = dict(width=config.width, depth=config.depth, activation=config.activation)
    build_critic = config.critic or (lambda: models.mlp_critic(dim, **mlp))
    build_generator = config.generator or (lambda: models.mlp_generator(config.noise_dim, dim, **mlp))
    # Two streams of seeds, so that a wider critic does not change the generator's initial weights.
    return seeded(2 * config.seed, build_critic), seeded(2 * config.seed + 1, build_generator)


def counted(n: int, thing: str) -> str:
    """Return ``"1 step"`` or ``"1,000 steps"``."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def adversarial_budget(config: Config) -> Budget:
    """Return what :func:`gpcore.train` is given by ``config``."""
    own = config.critic or config.generator
    mlps = f"MLPs of {counted(config.depth, 'hidden layer')}, width {config.width}"
    return Budget(
        "the chapter's own networks" if own else mlps,
        counted(config.steps, "generator step"),
        f"{counted(config.n_critic, 'critic step')} per generator step, batch {config.batch_size}",
    )


def critic_budget(config: Config) -> Budget:
    """Return what :func:`gpcore.train_critic` is given by ``config``."""
    mlp = f"an MLP of {counted(config.depth, 'hidden layer')}, width {config.width}"
    return Budget(
        "the chapter's own network" if config.critic else mlp,
        counted(config.steps, "critic step"),
        f"batch {config.batch_size}",
    )


def _series(histories: list, name: str) -> list[list[float]]:
    """The series ``name`` of every run, a field or a score; of a run that diverged at once there is no score."""
    scores = [getattr(history, "scores", {}) for history in histories]
    if any(name in of_run for of_run in scores):
        return [of_run.get(name, []) for of_run in scores]
    rows = [getattr(history, name, None) for history in histories]
    if not rows or any(not isinstance(row, list) for row in rows):
        raise ValueError(f"{len(histories)} histories have no series {name!r}")
    return rows


def stack(histories: Iterable, name: str) -> np.ndarray:
    """Return the series ``name`` (a field, or a score's name) of S runs as ``(S, T)``, NaN after a divergence.

    Raises:
        ValueError: no run, or a name that none of them has.

    Example:
        >>> import gpcore as gp
        >>> runs = [gp.History(0, penalty=[1.0, 2.0]), gp.History(1, penalty=[3.0], diverged_at=1)]
        >>> gp.stack(runs, "penalty").tolist()
        [[1.0, 2.0], [3.0, nan]]
    """
    rows = _series(list(histories), name)
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def final(histories: Iterable, name: str) -> list[float]:
    """Return the last value of the series ``name`` for each run, NaN for a run that diverged or never logged it.

    Raises:
        ValueError: no run, or a name that none of them has.

    Example:
        >>> import gpcore as gp
        >>> runs = [gp.History(0, penalty=[1.0, 2.0]), gp.History(1, penalty=[3.0], diverged_at=1)]
        >>> gp.final(runs, "penalty")
        [2.0, nan]
    """
    histories = list(histories)
    rows = _series(histories, name)
    ended = [row and history.diverged_at is None for row, history in zip(rows, histories, strict=True)]
    return [row[-1] if whole else math.nan for row, whole in zip(rows, ended, strict=True)]


def median_run(histories: Iterable, name: str) -> int:
    """Return the index of the run whose final value of the series ``name`` is the median.

    Of an even number of runs it is the lower of the two in the middle. A run that diverged counts as larger than all
    others, as the worst value of a loss is.

    Raises:
        ValueError: no run, or a name that none of them has.

    Example:
        >>> import gpcore as gp
        >>> runs = [gp.History(seed, penalty=[last]) for seed, last in enumerate((5.0, 1.0, 3.0))]
        >>> gp.median_run(runs, "penalty")
        2
    """
    values = final(histories, name)
    order = sorted(range(len(values)), key=lambda run: math.inf if math.isnan(values[run]) else values[run])
    return order[(len(order) - 1) // 2]
