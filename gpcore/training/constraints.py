"""What the penalties among the constraints draw, where they take the norm, and their value by autograd."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import penalties
from ..losses import LOSSES
from .config import Config

# constraint -> (where the norm is taken, factor of the weight in weight * (norm - target)^2, is the target 0?)
PENALTIES = {
    "gp": ("interpolates", 1.0, False),
    "dragan": ("around_real", 1.0, False),
    "r1": ("real", 0.5, True),
    "r2": ("fake", 0.5, True),
}


def random_points(config: Config, real: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """What a penalty draws, from the run's own generator and not from the global one."""
    drawn = {}
    if config.constraint == "dragan":
        drawn["noise"] = torch.rand(real.shape, generator=rng, device=real.device)
    if config.constraint in ("gp", "dragan"):
        drawn["eps"] = torch.rand(len(real), generator=rng, device=real.device)
    return drawn


def sweep_settings(config: Config) -> dict:
    """The run's loss and penalty as :func:`gpcore.penalized_backward_` takes them."""
    at, factor, centred = PENALTIES[config.constraint]
    return dict(
        critic_loss=LOSSES[config.loss][0],
        at=at,
        weight=config.weight * factor,
        target=0.0 if centred else config.target,
        one_sided=config.one_sided and at == "interpolates",
    )


def autograd_penalty(config: Config, critic: nn.Module, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """The constraint's penalty, by autograd."""
    if callable(config.constraint):
        penalty = config.constraint(critic, real, fake)
        if not isinstance(penalty, Tensor) or penalty.numel() != 1:
            got = tuple(penalty.shape) if isinstance(penalty, Tensor) else type(penalty).__name__
            raise ValueError(f"constraint must return one number, the batch's mean, got {got}")
        return penalty
    drawn = random_points(config, real, rng)
    if config.constraint == "gp":
        return penalties.gradient_penalty(
            critic, real, fake, weight=config.weight, target=config.target, one_sided=config.one_sided, **drawn
        )
    if config.constraint == "dragan":
        return penalties.dragan_penalty(critic, real, weight=config.weight, target=config.target, **drawn)
    penalty = real.new_zeros(())
    if config.constraint in ("r1", "r1_r2"):
        penalty = penalty + penalties.r1_penalty(critic, real, weight=config.weight)
    if config.constraint in ("r2", "r1_r2"):
        penalty = penalty + penalties.r2_penalty(critic, fake, weight=config.weight)
    return penalty
