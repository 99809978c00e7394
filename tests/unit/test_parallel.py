"""The average over processes: two of them on this machine against the closed form, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

import gpcore as gp

ROOT = Path(__file__).resolve().parents[2]
# Process r holds the gradients below; what comes out is the weighted mean that can be done in the head.
SCRIPT = """
import json, sys
import torch, torch.distributed as dist
import gpcore as gp

dist.init_process_group("gloo")
rank, found = dist.get_rank(), {}


def average(samples, kind=torch.float64):
    shared, only_first, nowhere = (torch.nn.Parameter(torch.zeros(2, dtype=kind)) for _ in range(3))
    frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    shared.grad = torch.tensor([[3.0, 4.0], [0.0, 0.5]][rank], dtype=kind)
    if rank == 0:
        only_first.grad = torch.tensor([8.0, 0.0], dtype=kind)
    kept = shared.grad
    parameters = [frozen, only_first, nowhere, shared]
    gp.average_gradients_(iter(parameters), samples)
    assert kept is shared.grad and nowhere.grad is None and frozen.grad is None
    assert {p.grad.dtype for p in (shared, only_first)} == {kind}
    return [shared.grad.tolist(), only_first.grad.tolist()]


def network(samples):
    torch.manual_seed(0)
    critic = gp.models.mlp_critic(2, 8).double()
    rng = torch.Generator().manual_seed(1)
    real, fake, eps = *torch.randn(2, 8, 2, generator=rng).double(), torch.rand(8, generator=rng).double()
    mine = [t.split([5, 3])[rank] for t in (real, fake, eps)] if samples else [real, fake, eps]
    loss = gp.wasserstein_critic_loss(critic(mine[0]), critic(mine[1]))
    (loss + gp.gradient_penalty(critic, *mine[:2], eps=mine[2])).backward()
    if samples:
        gp.average_gradients_(critic.parameters(), len(mine[0]))
    return torch.cat([p.grad.flatten() for p in critic.parameters()])


found["equal"], found["weighted"] = average(None), average([3, 1][rank])
found["nothing"] = average([4, 0][rank])
found["half"] = average(None, torch.bfloat16)
found["network"] = float((network(True) - network(False)).abs().max())
try:
    average(0)
except ValueError as error:
    found["no samples"] = str(error)
everyone = [None, None]
dist.all_gather_object(everyone, found)
if rank == 0:
    open(sys.argv[1], "w").write(json.dumps(everyone))
dist.destroy_process_group()
"""


def test_two_processes_hold_the_average(tmp_path):
    script, result = tmp_path / "run.py", tmp_path / "found.json"
    script.write_text(SCRIPT)
    device = "lo0" if sys.platform == "darwin" else "lo"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": device, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script, result]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = json.loads(result.read_text())
    assert first == second
    assert first["equal"] == [[1.5, 2.25], [4.0, 0.0]]
    assert first["weighted"] == [[2.25, 3.125], [6.0, 0.0]]
    assert first["nothing"] == [[3.0, 4.0], [8.0, 0.0]]
    assert first["half"] == [[1.5, 2.25], [4.0, 0.0]]
    assert first["network"] < 1e-14
    assert first["no samples"] == "samples must be positive in at least one process, got 0 in all of them"


@pytest.fixture
def one_process():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def parameter(*gradient, kind=torch.float32):
    p = torch.nn.Parameter(torch.zeros(len(gradient), dtype=kind))
    p.grad = torch.tensor(gradient, dtype=kind)
    return p


def test_one_process_keeps_its_gradients(one_process):
    p = parameter(3.0, 4.0)
    for samples in (None, 1, 7, 0.5, torch.tensor(3)):
        gp.average_gradients_(p, samples)
        assert p.grad.tolist() == [3.0, 4.0]
    gp.average_gradients_([])


def test_what_cannot_be_averaged_is_refused(one_process):
    with pytest.raises(ValueError, match="samples must be finite and not negative, got -1"):
        gp.average_gradients_([parameter(1.0)], samples=-1)
    with pytest.raises(TypeError, match="use model.parameters"):
        gp.average_gradients_(torch.nn.Linear(2, 1))
    with pytest.raises(TypeError, match="use its values"):
        gp.average_gradients_({"w": parameter(1.0)})
    with pytest.raises(TypeError, match="parameters must hold parameters, got int"):
        gp.average_gradients_(3)
    with pytest.raises(TypeError, match="dense real gradients, got torch.strided of torch.complex64"):
        gp.average_gradients_([parameter(1.0, kind=torch.complex64)])
    sparse = torch.nn.Embedding(3, 2, sparse=True)
    sparse(torch.tensor([1])).sum().backward()
    with pytest.raises(TypeError, match="dense real gradients, got torch.sparse_coo"):
        gp.average_gradients_(sparse.parameters())


def test_a_program_that_never_started_its_processes_is_told_so():
    with pytest.raises(RuntimeError, match="init_process_group"):
        gp.average_gradients_([parameter(1.0)])
