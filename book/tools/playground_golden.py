"""Write the numbers that the living page's engine is compared with, from PyTorch: book/playground/golden.json.

    python book/tools/playground_golden.py

The critic's gradient is that of the loss plus that of the penalty, so the two are stored apart; the engine computes
them together, for every loss with every constraint. Autograd makes all of them: no formula of the engine's is used.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import gpcore as gp  # noqa: E402
from gpcore.losses import LOSSES  # noqa: E402

TARGET = ROOT / "book" / "playground" / "golden.json"
BATCH, WIDTH, WEIGHT, CLIP, THRESHOLD, RATE, STEPS = 16, 8, 3.0, 0.2, 0.05, 0.01, 3
ACTIVATIONS = {"leaky_relu": lambda: nn.LeakyReLU(0.2), "relu": nn.ReLU, "tanh": nn.Tanh}
LOSS_NAMES = ("wasserstein", "non_saturating", "minimax", "least_squares")
PENALTIES = {
    "gp": lambda critic, real, fake, eps: gp.gradient_penalty(critic, real, fake, weight=WEIGHT, eps=eps),
    "gp_one_sided": lambda critic, real, fake, eps: gp.gradient_penalty(
        critic, real, fake, weight=WEIGHT, one_sided=True, eps=eps
    ),
    "gp_zero": lambda critic, real, fake, eps: gp.gradient_penalty(
        critic, real, fake, weight=WEIGHT, target=0.0, eps=eps
    ),
    "r1": lambda critic, real, fake, eps: gp.r1_penalty(critic, real, weight=WEIGHT),
    "r1_r2": lambda critic, real, fake, eps: (
        gp.r1_penalty(critic, real, weight=WEIGHT) + gp.r2_penalty(critic, fake, weight=WEIGHT)
    ),
}


def mlp(outputs: int, activation: str) -> nn.Sequential:
    make = ACTIVATIONS[activation]
    layers = [nn.Linear(2, WIDTH), make(), nn.Linear(WIDTH, WIDTH), make(), nn.Linear(WIDTH, outputs)]
    return nn.Sequential(*layers, *([nn.Flatten(0)] if outputs == 1 else [])).double()


def numbers(tensors) -> list[float]:
    """All elements in one list, in the engine's order (weight, bias, layer by layer), to 14 significant digits."""
    return [float(f"{x:.14g}") for tensor in tensors for x in tensor.detach().flatten().tolist()]


def gradients(value: torch.Tensor, net: nn.Module) -> list[float]:
    # The last bias does not reach the input gradient: None there is a gradient of 0.
    found = torch.autograd.grad(value, list(net.parameters()), allow_unused=True)
    return numbers(torch.zeros_like(p) if g is None else g for g, p in zip(found, net.parameters(), strict=True))


def one_activation(activation: str, seed: int) -> dict:
    """Inputs, and what every loss, penalty and step makes of them, for one activation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic, generator = mlp(1, activation), mlp(2, activation)
        with torch.no_grad():
            for p in critic.parameters():  # slopes on both sides of 1, so that no penalty is 0
                p.mul_(2.6)
        real, fake, noise = (torch.randn(BATCH, 2, dtype=torch.float64) for _ in range(3))
        eps = torch.rand(BATCH, dtype=torch.float64)
    start = {k: v.clone() for k, v in critic.state_dict().items()}
    found = {
        "inputs": {
            "critic": numbers(critic.parameters()), "generator": numbers(generator.parameters()),
            "real": numbers([real]), "fake": numbers([fake]), "noise": numbers([noise]), "eps": numbers([eps]),
        },
        "losses": {}, "penalties": {}, "steps": [],
    }  # fmt: skip
    for name in LOSS_NAMES:
        critic_loss, generator_loss = LOSSES[name]
        loss = critic_loss(critic(real), critic(fake))
        judged = generator_loss(None, critic(generator(noise)))
        found["losses"][name] = {
            "critic": loss.item(), "critic_gradient": gradients(loss, critic),
            "generator": judged.item(), "generator_gradient": gradients(judged, generator),
        }  # fmt: skip
    for name, penalty in PENALTIES.items():
        value = penalty(critic, real, fake, eps)
        assert value > 0.01, f"{activation}, {name}: the penalty is as good as 0 and tests nothing"
        found["penalties"][name] = {"value": value.item(), "gradient": gradients(value, critic)}
    norms = gp.penalties.gradient_norms(critic, gp.interpolate(real, fake, eps))
    assert norms.min() < 1 < norms.max(), f"{activation}: all norms lie on one side of 1"
    # A few whole steps: norm scaling, the optimiser, clipping.
    for constraint, optimizer_name in (("none", "adam"), ("clip", "adam"), ("gp", "adam"), ("gp", "sgd")):
        critic.load_state_dict(start)
        make = {
            "adam": lambda p: torch.optim.Adam(p, RATE, betas=(0.5, 0.9)),
            "sgd": lambda p: torch.optim.SGD(p, RATE),
        }
        optimizer = make[optimizer_name](critic.parameters())
        before = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = LOSSES["non_saturating"][0](critic(real), critic(fake))
            if constraint == "gp":
                loss = loss + PENALTIES["gp"](critic, real, fake, eps)
            loss.backward()
            norm = torch.cat([p.grad.flatten() for p in critic.parameters()]).norm()
            for p in critic.parameters():
                p.grad.mul_(min(1.0, THRESHOLD / norm.item()))
            before.append(norm.item())
            optimizer.step()
            if constraint == "clip":
                gp.clip_weights_(critic, CLIP)
        found["steps"].append(
            {"constraint": constraint, "optimizer": optimizer_name, "norms": before,
             "parameters": numbers(critic.parameters())}
        )  # fmt: skip
    critic.load_state_dict(start)
    return found


def text() -> str:
    settings = dict(batch=BATCH, width=WIDTH, weight=WEIGHT, clip=CLIP, threshold=THRESHOLD, rate=RATE, steps=STEPS)
    found = {name: one_activation(name, seed) for seed, name in enumerate(ACTIVATIONS, start=3)}
    return json.dumps({"settings": settings, "activations": found}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"book: {TARGET.name} has {TARGET.stat().st_size // 1000} kB")
