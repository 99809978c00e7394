"""Measure the ways of ``ways.py`` against each other: ``make bench`` [ARGS="--quick --no-compile --device cpu"].

Gradients are compared in float64 before any time is taken. The ways of a row take turns of some 20 ms, on one thread; a
ratio is the median over turns of paired ratios of process CPU time, with quartiles. On a GPU it is wall time, from one
synchronisation before a turn to one after it. The floor of a step is its count of multiplications (10 products per
layer where autograd takes 12) at the rate of one matrix product of the step's own shape, measured in the same turns. A
way that fails is recorded with its message, and the others go on. Writes ``book/benchmarks/cpu.json``, or ``gpu.json``
on a machine with a GPU, and prints the table.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import ways
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

import gpcore as gp
from gpcore.training.loop import keep_memory
from gpcore.training.stacks import Stack, scale_rows_

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "book" / "benchmarks"


def clock(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def repeated(way: Callable[[], None], times: int, device: str) -> float:
    """The mean time of one call among ``times`` in a row."""
    before = clock(device)
    for _ in range(times):
        way()
    return (clock(device) - before) / times


def take_turns(
    ways_: dict[str, Callable[[], None]], seconds: float, device: str, stretch: float = 0.02
) -> dict[str, list[float]]:
    """Run all ways in turn until ``seconds`` have passed, at least 15 turns; the first 5 turns do not count.

    In its turn a way is called again and again for about ``stretch`` seconds, as a training loop calls it: a step of
    a small network that comes once among a dozen other ways finds no code and no data in the processor's caches.
    """
    times = {name: [] for name in ways_}
    calls = dict.fromkeys(ways_, 1)
    start, turn = time.perf_counter(), 0
    while turn < 20 or time.perf_counter() - start < seconds:
        for name, way in ways_.items():
            each = repeated(way, calls[name], device)
            if turn < 5:
                calls[name] = max(1, round(stretch / max(each, 1e-9)))
            else:
                times[name].append(each)
        turn += 1
    return times


def row(what: str, way: str, against: str, times: dict[str, list[float]]) -> dict:
    ratios = [a / b for a, b in zip(times[against], times[way], strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4)
    return {
        "what": what,
        "way": way,
        "against": against,
        "ms": 1e3 * statistics.median(times[way]),
        "ratio": median,
        "quartiles": [low, high],
        "turns": len(ratios),
    }


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]


def measured(what: str, measure: Callable[[], list[dict]]) -> list[dict]:
    """The rows that ``measure`` returns, or one that says why there are none."""
    try:
        return measure()
    except Exception as error:
        return [{"what": what, "way": "all", "failed": said(error)}]


def working(what: str, ways_: dict[str, Callable[[], None]]) -> tuple[dict[str, Callable[[], None]], list[dict]]:
    """The ways that can be called, each called twice, and a row for each of the others."""
    good, failed = {}, []
    for name, way in ways_.items():
        try:
            way()
            way()
            good[name] = way
        except Exception as error:
            failed.append({"what": what, "way": name, "failed": said(error)})
    return good, failed


def critics(device: str) -> list[tuple[str, torch.nn.Module, tuple]]:
    """What is trained, its critic, and the shape of a batch."""
    widths = (512, 128, 64, 32) if device == "cpu" else (512, 128, 32)
    mlps = [(f"MLP 2-{h}-{h}-{h}-1", gp.models.mlp_critic(2, h, 3), (256, 2)) for h in widths]
    conv = ("convolutional, 28 x 28", gp.models.conv_critic(28, 64), (64, 1, 28, 28))
    return [(name, critic.to(device), shape) for name, critic, shape in [*mlps, conv]]


def assert_parity(critic: torch.nn.Module, shape: tuple, candidates: dict[str, Callable]) -> None:
    critic = copy.deepcopy(critic).double()
    device = next(critic.parameters()).device
    real, fake = (torch.randn(shape, dtype=torch.float64, device=device) for _ in range(2))
    eps = torch.rand(shape[0], *[1] * (len(shape) - 1), dtype=torch.float64, device=device)
    expected = None
    for name, way in candidates.items():
        critic.zero_grad()
        way(critic, real, fake, eps)
        gradients = [p.grad.clone() for p in critic.parameters()]
        expected = expected or gradients
        for a, b in zip(gradients, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11, msg=lambda text, name=name: f"{name}: {text}")


def adam(network: torch.nn.Module, fused: bool) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.9), fused=fused or None)


def whole_step(critic: torch.nn.Module, batch: list[torch.Tensor]) -> Callable[[], None]:
    """The step as one compiled function, once it was seen to give Adam the same gradient as the step by hand."""
    hand, whole = copy.deepcopy(critic), copy.deepcopy(critic)
    optimizers = [adam(network, True) for network in (hand, whole)]
    ways.by_hand(hand, *batch)
    optimizers[0].step()
    step = gp.compile_critic_step(whole, optimizers[1])
    step(*batch[:2], eps=batch[2])
    near = 1e-4 if batch[0].ndim == 2 else 2e-2  # on a GPU, convolutions multiply in TF32
    for expected, found in zip(*(optimizer.state.values() for optimizer in optimizers), strict=True):
        error = torch.linalg.vector_norm(found["exp_avg"] - expected["exp_avg"])
        assert error <= near * torch.linalg.vector_norm(expected["exp_avg"]), "the whole step has another gradient"
    return lambda: step(*batch[:2])


def critic_steps(what: str, critic: torch.nn.Module, shape: tuple, device: str, seconds: float, compile_: bool):
    penalised = {"public": ways.public, "two forwards": ways.two_forwards, "one forward": ways.one_forward}
    penalised["by hand"] = ways.by_hand
    others = {"plain": ways.plain, "R1": ways.r1, "R1 by hand": ways.r1_by_hand}
    assert_parity(critic, shape, penalised)
    assert_parity(critic, shape, {k: others[k] for k in ("R1", "R1 by hand")})

    real, fake = (torch.randn(shape, device=device) for _ in range(2))
    eps = torch.rand(shape[0], *[1] * (len(shape) - 1), device=device)
    batch = [real, fake, eps]

    def bare(way, critic=critic):
        critic.zero_grad()
        way(critic, *batch)

    def whole(way, fused):
        own = copy.deepcopy(critic)
        optimizer = adam(own, fused)

        def step():
            optimizer.zero_grad()
            way(own, *batch)
            optimizer.step()

        return step

    spectral = gp.spectral_norm_(copy.deepcopy(critic))
    wide = max((p for p in critic.parameters() if p.ndim == 2), key=torch.numel)
    a, w = torch.randn(3 * shape[0], wide.shape[1], device=device), wide.detach().T.contiguous()
    turns = {name: lambda way=way: bare(way) for name, way in (penalised | others).items()}
    turns["public, with default Adam"] = whole(ways.public, False)
    turns["by hand, with fused Adam"] = whole(ways.by_hand, True)
    if compile_ and "-32-" in what:
        turns["by hand, compiled"] = lambda: bare(ways.compiled)
        turns["by hand, compiled, with fused Adam"] = whole(ways.compiled, True)
    turns["spectral norm"] = lambda: bare(ways.plain, spectral)
    turns["one product"] = lambda: torch.mm(a, w)
    turns, found = working(what, turns)
    if compile_ and (device == "cuda" or "-32-" in what):
        try:
            turns["whole step compiled"] = whole_step(critic, batch)
        except Exception as error:
            found.append({"what": what, "way": "whole step compiled", "failed": said(error)})
    times = take_turns(turns, seconds, device)

    if device == "cpu" and "-32-" in what:  # what a step costs that finds the caches filled with others
        alone = take_turns(turns, seconds / 4, device, stretch=0.0)
        found.append(row(what, "by hand", "public", alone))
        found[-1] |= {"way": "by hand, one step per turn", "against": "public, one step per turn"}
    gradients = ("two forwards", "one forward", "by hand", "by hand, compiled")
    found += [row(what, name, "public", times) for name in gradients if name in turns]
    steps = ("by hand, with fused Adam", "by hand, compiled, with fused Adam", "whole step compiled")
    found += [row(what, name, "public, with default Adam", times) for name in steps if name in turns]
    constraints = ("public", "by hand", "R1", "R1 by hand", "spectral norm")
    found += [row(what, "plain", name, times) for name in constraints if name in turns]
    if len(shape) == 2:
        with FlopCounterMode(display=False) as counter:
            bare(ways.by_hand)
        rate = 2 * a.numel() * w.shape[1] / statistics.median(times["one product"])
        floor = counter.get_total_flops() / rate
        entry = row(what, "by hand", "by hand", times)
        times["by hand"] = [t / floor for t in times["by hand"]]
        low, median, high = statistics.quantiles(times["by hand"], n=4)
        found.append(entry | {"against": "floor", "ratio": median, "quartiles": [low, high], "gflops": rate / 1e9})
    return found


def replicas(device: str, seconds: float) -> list[dict]:
    """Sixteen critic steps with their optimiser, and sixteen whole runs, one after another and at once."""
    seeds, shape = range(16), (256, 2)
    # On a GPU sixteen runs one after another take long, and its host's clock is steady.
    config = gp.Config(width=32, steps=5 if device == "cpu" else 2, n_critic=5, device=device)
    single = [gp.build_networks(dataclasses.replace(config, seed=s))[0].to(device) for s in seeds]
    adams = [torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9)) for critic in single]
    real, fake = (torch.randn(16, *shape, device=device) for _ in range(2))
    eps = torch.rand(16, shape[0], 1, device=device)
    stack = Stack(copy.deepcopy(single), lambda p: torch.optim.Adam(p, lr=1e-4, betas=(0.5, 0.9), fused=True))

    def one_by_one():
        for critic, adam, *batch in zip(single, adams, real, fake, eps, strict=True):
            adam.zero_grad()
            ways.public(critic, *batch)
            adam.step()

    def phi(norms):
        return 10 * (norms - 1).square().mean(dim=1), 20 / shape[0] * (norms - 1)

    @torch.inference_mode()
    def at_once():
        n, sweep = shape[0], gp.passes
        inputs, outputs = sweep.forward(stack.layers, torch.cat([real, fake, eps * real + (1 - eps) * fake], dim=1))
        slopes = torch.cat([real.new_full((16, n), -1 / n), real.new_full((16, n), 1 / n)], dim=1)
        gradients, _, _ = sweep.double_backward(
            stack.layers, inputs, outputs, slopes, sweep.rows("interpolates", n, 1), phi
        )
        stack.set_gradient(gradients)
        stack.step()

    def public_penalty(critic, real, fake):
        return gp.gradient_penalty(critic, real, fake, weight=10.0)

    def each(**changes):
        return [gp.train(dataclasses.replace(config, seed=s, **changes)) for s in seeds]

    what = "16 seeds, MLP 2-32-32-32-1"
    ways_ = {"one by one, public": one_by_one, "at once": at_once}
    thrice = [
        row(f"{what}, critic steps", "at once", "one by one, public", take_turns(ways_, seconds, device))
        for _ in range(3)
    ]
    steps = sorted(thrice, key=lambda entry: entry["ratio"])[1]
    steps["in_a_row"] = [entry["ratio"] for entry in thrice]
    runs = take_turns(
        {
            "one by one, public": lambda: each(constraint=public_penalty),
            "one by one, by hand": each,
            "at once": lambda: gp.train_many(config, seeds),
        },
        seconds,
        device,
    )
    against = ("one by one, public", "one by one, by hand")
    return [steps, *(row(f"{what}, whole runs", "at once", name, runs) for name in against)]


def scaling(device: str, seconds: float) -> list[dict]:
    found = []
    for count, size in ((60, 4000), (500, 1000), (500, 16000)):
        parameters = [torch.zeros(size, device=device) for _ in range(count)]
        for p in parameters:
            p.grad = torch.randn(size, device=device)
        flat = torch.randn(1, count * size, device=device)

        def fill(parameters=parameters):
            torch._foreach_zero_([p.grad for p in parameters])
            torch._foreach_add_([p.grad for p in parameters], 0.1)

        turns = {
            "loop with .item()": lambda p=parameters: ways.clip_by_loop(p, 1e-3),
            "fill 1": fill,
            "torch's clip_grad_norm_": lambda p=parameters: torch.nn.utils.clip_grad_norm_(p, 1e-3),
            "fill 2": fill,
            "clip_norm_": lambda p=parameters: gp.clip_norm_(p, 1e-3),
            "fill 3": fill,
            "fill 4": lambda flat=flat: flat.fill_(0.1),
            "flat buffer": lambda flat=flat: scale_rows_(flat, "clip_norm", 1e-3),
        }
        # Once per turn: what has been scaled needs no second scaling.
        times = take_turns(turns, seconds, device, stretch=0.0)
        for way in ("torch's clip_grad_norm_", "clip_norm_", "flat buffer"):
            found.append(row(f"scaling {count} x {size:,}", way, "loop with .item()", times))
    return found


def write(device: str, rows: list[dict]) -> None:
    record = {
        "date": datetime.date.today().isoformat(),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU, one thread",
        "torch": torch.__version__.partition("+")[0],
        "source_hash": gp.runs.source_hash(),
        "rows": rows,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / {"cpu": "cpu.json", "cuda": "gpu.json"}[device]
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--quick", action="store_true", help="a second a row, and nothing is written")
    parser.add_argument("--no-compile", action="store_true", help="leave out what is compiled (it takes minutes)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_memory()  # as every training run does; all ways profit alike
    device, compile_ = given.device, not given.no_compile
    seconds = 0.2 if given.quick else {"cpu": 12.0, "cuda": 4.0}[device]
    jobs = [
        (what, lambda c=critic, what=what, shape=shape: critic_steps(what, c, shape, device, seconds, compile_))
        for what, critic, shape in critics(device)
    ]
    jobs += [("16 seeds", lambda: replicas(device, seconds)), ("scaling", lambda: scaling(device, seconds / 3))]
    rows = []
    for what, job in tqdm(jobs, desc="benchmark"):
        rows += measured(what, job)
        if not given.quick:  # after each: a run that is cut off has measured something
            write(device, rows)
    for entry in rows:
        if "failed" in entry:
            print(f"{entry['what']:<40} {entry['way']:<26} FAILED  {entry['failed']}")
            continue
        low, high = entry["quartiles"]
        print(
            f"{entry['what']:<40} {entry['way']:<26} {entry['ms']:9.3f} ms  {entry['ratio']:6.2f} "
            f"({low:.2f} to {high:.2f}) against {entry['against']}"
        )


if __name__ == "__main__":
    main()
