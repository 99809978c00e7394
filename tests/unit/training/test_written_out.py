"""Adversarial training against a loop written out with PyTorch alone: no two settings are equal, every term counts."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import gpcore as gp

pytestmark = pytest.mark.usefixtures("double")

DATA = torch.randn(40, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64) + 1
BASE = gp.Config(
    data=DATA, steps=3, n_critic=3, batch_size=8, noise_dim=3, width=6, depth=1, activation="tanh", weight=3.0,
    target=0.4, clip=0.2, threshold=0.05, lr_critic=3e-3, lr_generator=7e-3, betas=(0.3, 0.8), log_every=1, seed=3,
    device="cpu",
)  # fmt: skip
# Real and fake scores -> the critic's loss; the same -> the generator's.
LOSSES = {
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "non_saturating": (lambda r, f: softplus(-r).mean() + softplus(f).mean(), lambda r, f: softplus(-f).mean()),
    "relativistic": (lambda r, f: softplus(f - r).mean(), lambda r, f: softplus(r - f).mean()),
}
OPTIMIZERS = {
    "adam": lambda config, p, lr: torch.optim.Adam(p, lr, betas=config.betas),
    "rmsprop": lambda config, p, lr: torch.optim.RMSprop(p, lr),
    "sgd": lambda config, p, lr: torch.optim.SGD(p, lr),
}


class Unknown(nn.Sequential):
    """The same critic, of a type that the hand-derived sweep does not know."""


def norms_at(critic, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(1).sqrt()


def penalty_of(config, critic, real, fake, rng):
    """By the definitions in the papers; what is drawn comes from the run's generator."""
    n = len(real)
    if config.constraint == "gp":
        eps = torch.rand(n, generator=rng)[:, None]
        excess = norms_at(critic, eps * real + (1 - eps) * fake) - config.target
        return config.weight * (excess.clamp(min=0) if config.one_sided else excess).square().mean()
    if config.constraint == "dragan":
        noise, eps = torch.rand(real.shape, generator=rng), torch.rand(n, generator=rng)[:, None]
        points = real + eps * real.std(correction=0) / 2 * noise
        return config.weight * (norms_at(critic, points) - config.target).square().mean()
    total = torch.zeros(())
    for name, x in (("r1", real), ("r2", fake)):
        if name in config.constraint:
            total = total + config.weight / 2 * norms_at(critic, x).square().mean()
    return total


def written_out(config):
    """What :func:`gpcore.train` logs and the two networks, by a loop of its own."""
    critic, generator = gp.build_networks(config)
    make = OPTIMIZERS[config.optimizer]
    critic_optimizer = make(config, critic.parameters(), config.lr_critic)
    generator_optimizer = make(config, generator.parameters(), config.lr_generator)
    rng = torch.Generator().manual_seed(config.seed)
    critic_loss, generator_loss = LOSSES[config.loss]
    logged = {name: [] for name in ("critic_loss", "penalty", "critic_norm", "generator_loss", "generator_norm")}

    def real():
        return DATA[torch.randint(len(DATA), (config.batch_size,), generator=rng)]

    def noise():
        return torch.randn(config.batch_size, config.noise_dim, generator=rng)

    def clip():
        if config.constraint == "clip":
            for p in critic.parameters():
                p.data.clamp_(-config.clip, config.clip)

    def update(optimizer, network, loss):
        optimizer.zero_grad()
        for p, g in zip(network.parameters(), torch.autograd.grad(loss, [*network.parameters()]), strict=True):
            p.grad = g
        norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        if config.scaling == "clip_norm":
            for p in network.parameters():
                p.grad.mul_(min(1.0, config.threshold / norm))
        optimizer.step()
        return norm.item()

    clip()
    for _ in range(config.steps):
        for _ in range(config.n_critic):
            x = real()
            fake = generator(noise()).detach()
            loss, penalty = critic_loss(critic(x), critic(fake)), penalty_of(config, critic, x, fake, rng)
            # A bias of the last layer has no gradient under some losses: 0 * p makes it a number.
            norm = update(critic_optimizer, critic, loss + penalty + 0 * sum(p.sum() for p in critic.parameters()))
            clip()
        logged["critic_loss"].append(loss.item())
        logged["penalty"].append(penalty.item())
        logged["critic_norm"].append(norm)
        x = real()
        loss = generator_loss(critic(x), critic(generator(noise())))
        logged["generator_norm"].append(update(generator_optimizer, generator, loss))
        logged["generator_loss"].append(loss.item())
    return logged, critic, generator


WAYS = {
    "hand-derived": lambda config: gp.train(config),
    "autograd": lambda config: gp.train(
        dataclasses.replace(config, critic=lambda: Unknown(*gp.models.mlp_critic(2, 6, 1, "tanh")))
    ),
    "replicas": lambda config: gp.train_many(config, (1, config.seed))[1],
}
CASES = [
    dict(constraint="none", loss="non_saturating", optimizer="adam"),
    dict(constraint="none", loss="relativistic", optimizer="adam", scaling="clip_norm"),
    dict(constraint="clip", optimizer="rmsprop"),
    dict(constraint="gp", optimizer="adam"),
    dict(constraint="gp", optimizer="adam", one_sided=True, scaling="clip_norm"),
    dict(constraint="dragan", optimizer="sgd", one_sided=True),  # one_sided concerns gp alone
    dict(constraint="r1", optimizer="adam", one_sided=True),
    dict(constraint="r2", loss="relativistic", optimizer="rmsprop"),
    dict(constraint="r1_r2", loss="relativistic", optimizer="adam"),
]


# R1 and R2 together are taken by autograd alone.
PAIRS = [(case, way) for case in CASES for way in WAYS if case["constraint"] != "r1_r2" or way == "autograd"]


@pytest.mark.parametrize(("case", "way"), PAIRS, ids=[f"{'-'.join(map(str, c.values()))}-{w}" for c, w in PAIRS])
def test_training_is_the_loop_written_out(case, way):
    config = dataclasses.replace(BASE, **case)
    logged, critic, generator = written_out(config)
    run = WAYS[way](config)
    sweeps = case["constraint"] in ("gp", "r1", "r2", "dragan")
    assert run.backward == ("autograd" if way == "hand-derived" and not sweeps else way)
    for name, values in logged.items():
        assert getattr(run, name) == pytest.approx(values, rel=1e-7, abs=1e-12), name
    for mine, theirs in ((critic, run.critic), (generator, run.generator)):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
