"""The moving parts of one adversarial run: networks, optimisers, scalers, random numbers, and what is logged."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from ..data import sampler
from ..lipschitz import GradientNormalized, clip_weights_, spectral_norm_
from ..scaling import make_scaler
from ..sweep.critic_step import supports
from ..sweep.whole_step import compile_critic_step
from .config import Budget, Config, History, build_networks
from .constraints import PENALTIES, sweep_settings
from .loop import make_optimizer, resolve_device, seeded


class Run:
    """Networks, optimisers and random numbers of one run, and how they are written to a checkpoint."""

    def __init__(self, config: Config, budget: Budget):
        self.config, self.device = config, resolve_device(config.device)
        self.rng = torch.Generator(self.device).manual_seed(config.seed)
        self.draw = sampler(config.data)
        self.critic, self.generator = (network.to(self.device) for network in build_networks(config))
        if config.constraint == "spectral_norm":
            seeded(2 * config.seed, lambda: spectral_norm_(self.critic))
        elif config.constraint == "gradient_normalization":
            self.critic = GradientNormalized(self.critic)
        elif config.constraint == "clip":
            clip_weights_(self.critic, config.clip)
        self.optimizers = {
            "critic": make_optimizer(config.optimizer, self.critic.parameters(), config.lr_critic, config.betas),
            "generator": make_optimizer(
                config.optimizer, self.generator.parameters(), config.lr_generator, config.betas
            ),
        }
        self.scalers = {name: make_scaler(config.scaling, config.threshold) for name in self.optimizers}
        self.history = History(
            config.seed, critic=self.critic, generator=self.generator, noise_dim=config.noise_dim, budget=budget
        )
        self.step = 0
        self.history.backward = "hand-derived" if _by_hand(self.config, self.critic) else "autograd"
        if config.compile and self.history.backward == "autograd":
            raise ValueError(
                "compile=True needs a penalty and a critic that the hand-derived sweep knows (see gpcore.supports): "
                "PyTorch cannot compile what autograd differentiates twice"
            )
        self.whole_step = None  # the critic's step and its optimiser's in one
        if config.compile and config.scaling == "none":
            self.whole_step = compile_critic_step(self.critic, self.optimizers["critic"], **sweep_settings(config))

    def noise(self) -> Tensor:
        return torch.randn(self.config.batch_size, self.config.noise_dim, generator=self.rng, device=self.device)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.config.precision == "bf16" else nullcontext()

    def full(self, x: Tensor) -> Tensor:
        """Back from autocast's bfloat16 to the precision of the weights, for losses and the other network."""
        return x.to(next(self.generator.parameters()).dtype)

    def state(self, mark: str) -> dict:
        logged = {k: v for k, v in vars(self.history).items() if k not in ("critic", "generator", "budget")}
        return {
            "fingerprint": mark,
            "step": self.step,
            "rng": self.rng.get_state(),
            "critic": self.critic.state_dict(),
            "generator": self.generator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
            "history": logged,
        }

    def restore(self, state: dict) -> None:
        self.step = state["step"]
        self.rng.set_state(state["rng"].cpu())
        self.critic.load_state_dict(state["critic"])
        self.generator.load_state_dict(state["generator"])
        for name in self.optimizers:
            self.optimizers[name].load_state_dict(state["optimizers"][name])
            self.scalers[name].load_state_dict(state["scalers"][name])
        for name, value in state["history"].items():
            setattr(self.history, name, value)


def _by_hand(config: Config, critic) -> bool:
    """Can the hand-derived sweep take this run's critic step?"""
    known = not callable(config.constraint) and config.constraint in PENALTIES
    return known and config.precision == "float32" and supports(critic)
