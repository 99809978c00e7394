"""Two processes: every room of ``museum.PARALLEL`` leaves other weights than one process; the right step does not."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_, parameters_to_vector

import gpcore as gp
from gpcore.check import museum, museum_parallel

MAX_NORM = 1.0


def right(critic, optimizer, batches, max_norm, wrap=DistributedDataParallel, first="sum"):
    """The loop that the rooms should be; ``first``: what has the first ``backward()``, if there are two."""
    f = wrap(critic)
    for real, fake, eps in batches:
        optimizer.zero_grad()
        if first == "penalty":
            gp.gradient_penalty(critic, real, fake, eps=eps).backward()
            gp.wasserstein_critic_loss(f(real), f(fake)).backward()
        else:
            loss = gp.wasserstein_critic_loss(f(real), f(fake))
            (loss + gp.gradient_penalty(f, real, fake, eps=eps)).backward()
        clip_grad_norm_(critic.parameters(), max_norm)
        optimizer.step()


def alone(*arguments):
    right(*arguments, wrap=lambda critic: critic)


def penalty_first(*arguments):
    right(*arguments, first="penalty")


def norm_summed_once(*arguments):
    """The room's own lines without its mistake."""
    source = {room.name: room for room in museum.PARALLEL}["norm-summed-again"].source
    assert source.count("dist.all_reduce(squares)") == 1
    space = dict(vars(museum_parallel))
    exec(source.replace("dist.all_reduce(squares)", "pass"), space)
    space["norm_summed_again"](*arguments)


def weights(code, rank, processes):
    """The weights after each of two steps, with steps of SGD of rate 1: a list of one if the second raised an error."""
    torch.manual_seed(0)
    critic = gp.models.mlp_critic(2, 16).double()
    found, optimizer = [], torch.optim.SGD(critic.parameters(), lr=1.0)
    optimizer.register_step_post_hook(lambda *_: found.append(parameters_to_vector(critic.parameters()).detach()))
    real, fake = torch.randn(2, 2, 16, 2, dtype=torch.float64)
    eps = torch.rand(2, 16, dtype=torch.float64)
    batches = [[t[rank::processes] for t in batch] for batch in zip(real, fake + 1, eps, strict=True)]
    try:
        code(critic, optimizer, batches, MAX_NORM)
    except RuntimeError as error:
        assert "Expected to have finished reduction in the prior iteration" in str(error)
    return found


def everything():
    codes = {room.name: room.code for room in museum.PARALLEL}
    codes |= {each.__name__: each for each in (right, penalty_first, norm_summed_once)}
    return {name: weights(code, dist.get_rank(), dist.get_world_size()) for name, code in codes.items()}


@pytest.fixture(scope="module")
def processes():
    """What both processes hold, by the name of the code."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:  # the functions above are found in this file
        patch.setenv("PYTHONPATH", path)
        return gp.on_processes(everything)


def gaps(processes, name):
    """After each step: the larger distance of a process's weights from those of one process with the whole batch."""
    return [
        max(float((step - one).abs().max()) for step in steps)
        for *steps, one in zip(*(found[name] for found in processes), weights(alone, 0, 1), strict=False)
    ]


def test_the_task_can_tell():
    """The gradient is longer than the threshold: both places of the clipping matter."""
    norms = []

    def unclipped(critic, optimizer, batches, max_norm):
        alone(critic, optimizer, batches, torch.inf)
        norms.extend(p.grad.norm() for p in critic.parameters())

    weights(unclipped, 0, 1)
    assert torch.stack(norms).norm() > 2 * MAX_NORM


@pytest.mark.parametrize("name", ["right", "penalty_first", "norm_summed_once"])
def test_the_right_step_is_that_of_one_process(processes, name):
    found = gaps(processes, name)
    assert len(found) == 2 and max(found) < (1e-5 if name == "norm_summed_once" else 1e-12)


@pytest.mark.parametrize("room", museum.PARALLEL, ids=lambda room: room.name)
def test_every_room_is_wrong_without_an_error(processes, room):
    found = gaps(processes, room.name)
    assert min(found) > 1e-3
    # One stops, but a step too late for a test of one step.
    assert len(found) == (1 if room.name == "second-backward" else 2)


@pytest.mark.parametrize("room", museum.PARALLEL, ids=lambda room: room.name)
def test_the_critics_drift_apart_where_gradients_are_not_averaged(processes, room):
    first, second = (found[room.name][0] for found in processes)
    together = room.name in ("clip-before-average", "norm-summed-again")
    assert bool((first - second).abs().max() < 1e-12) == together


@pytest.mark.parametrize("room", museum.PARALLEL, ids=lambda room: room.name)
def test_every_room_shows_its_code(room):
    assert isinstance(room, type(museum.PENALTIES[0])) and room.name not in museum.ROOMS
    assert room.source.startswith(f"def {room.name.replace('-', '_')}(") and room.met and room.symptom


@pytest.mark.parametrize("room", museum.PARALLEL, ids=lambda room: room.name)
def test_in_one_process_every_room_is_right(room):
    """Which is why a test on one GPU finds none of them."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        found, one = weights(room.code, 0, 1), weights(alone, 0, 1)
    finally:
        dist.destroy_process_group()
    assert float((found[0] - one[0]).abs().max()) < 1e-5


def test_a_penalty_of_the_rooms_is_gpcores():
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 8, 3, generator=rng, dtype=torch.float64)
    eps = torch.rand(8, generator=rng, dtype=torch.float64)
    critic: nn.Module = gp.models.mlp_critic(3, 8).double()
    ours = gp.gradient_penalty(critic, real, fake, eps=eps)
    assert torch.allclose(museum_parallel.penalty(critic, real, fake, eps), ours, rtol=1e-12)
