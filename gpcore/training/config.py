"""What a training run depends on, and what it leaves behind."""

from __future__ import annotations

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
        betas: Adam's; WGAN-GP's Algorithm 1 has (0, 0.9), its released code (0.5, 0.9).
        noise_dim: dimension of the generator's Gaussian input.
        width, depth, activation: of both MLPs, which serve 2-D data.
        critic, generator: functions without arguments that build other networks.
        log_every, eval_every: in generator steps; the last step is always logged and evaluated.
        eval_samples: generated samples given to ``evaluate``.
        checkpoint_every: generator steps between checkpoints, where ``resume`` names a file.
        precision: ``"float32"`` or ``"bf16"``. Under bf16 the networks' forward passes run in autocast; the penalty
            and the weights stay in float32, because a norm squared and compared with 1 has no digits to spare.
        compile: compile the hand-derived critic step (see :func:`gpcore.penalized_backward_`). It asks for a critic and
            a penalty that the sweep knows.
        device: ``"auto"``, or a device's name.
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
        for name in ("weight", "target"):
            _checks.non_negative(name, getattr(self, name))
        for name in ("clip", "threshold", "lr_critic", "lr_generator"):
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
    several seeds at once).
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

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return ``n`` generated samples ``(n, ...)``, from noise drawn with ``seed``."""
        device = next(self.generator.parameters()).device
        noise = torch.randn(n, self.noise_dim, generator=torch.Generator().manual_seed(seed)).to(device)
        with torch.no_grad():
            return self.generator(noise)


def build_networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Return the critic and the generator of a run, with initial weights drawn from its seed."""
    dim = sampler(config.data)(1, torch.Generator().manual_seed(0)).flatten(1).shape[1]
    mlp = dict(width=config.width, depth=config.depth, activation=config.activation)
    build_critic = config.critic or (lambda: models.mlp_critic(dim, **mlp))
    build_generator = config.generator or (lambda: models.mlp_generator(config.noise_dim, dim, **mlp))
    # Two streams of seeds, so that a wider critic does not change the generator's initial weights.
    return seeded(2 * config.seed, build_critic), seeded(2 * config.seed + 1, build_generator)


def stack(histories: Iterable[History], name: str) -> np.ndarray:
    """Return the series ``name`` (a field, or a score's name) of S runs as ``(S, T)``, NaN after a divergence.

    Raises:
        ValueError: no run, or a name that none of them has.
    """
    histories = list(histories)
    is_score = any(name in h.scores for h in histories)  # of a run that diverged at once there is no score
    if not is_score and not (histories and hasattr(histories[0], name)):
        raise ValueError(f"{len(histories)} histories have no series {name!r}")
    rows = [h.scores.get(name, []) if is_score else getattr(h, name) for h in histories]
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table
