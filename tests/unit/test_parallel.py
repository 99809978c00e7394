"""The average over processes: two of them on this machine against the closed form, and what is refused."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

import gpcore as gp


def average(samples, kind=torch.float64):
    """What two processes hold in three parameters: one that both have a gradient of, one that one has, one none."""
    rank = dist.get_rank()
    shared, only_first, nowhere = (torch.nn.Parameter(torch.zeros(2, dtype=kind)) for _ in range(3))
    frozen = torch.nn.Parameter(torch.zeros(2), requires_grad=False)
    shared.grad = torch.tensor([[3.0, 4.0], [0.0, 0.5]][rank], dtype=kind)
    if rank == 0:
        only_first.grad = torch.tensor([8.0, 0.0], dtype=kind)
    kept = shared.grad
    gp.average_gradients_(iter([frozen, only_first, nowhere, shared]), samples and samples[rank])
    assert kept is shared.grad and nowhere.grad is None and frozen.grad is None
    assert {p.grad.dtype for p in (shared, only_first)} == {kind}
    return [shared.grad.tolist(), only_first.grad.tolist()]


def network(whole):
    """The gradient of a penalised step: of the whole batch, or averaged over parts of 5 and 3."""
    torch.manual_seed(0)
    critic, rng = gp.models.mlp_critic(2, 8).double(), torch.Generator().manual_seed(1)
    tensors = [*torch.randn(2, 8, 2, generator=rng).double(), torch.rand(8, generator=rng).double()]
    real, fake, eps = tensors if whole else [t.split([5, 3])[dist.get_rank()] for t in tensors]
    loss = gp.wasserstein_critic_loss(critic(real), critic(fake))
    (loss + gp.gradient_penalty(critic, real, fake, eps=eps)).backward()
    if not whole:
        gp.average_gradients_(critic.parameters(), len(real))
    return torch.cat([p.grad.flatten() for p in critic.parameters()])


def test_two_processes_hold_the_average(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # the functions above are found in this file

    def experiment():
        try:
            refused = average([0, 0])
        except ValueError as error:
            refused = str(error)
        gap = float((network(True) - network(False)).abs().max())
        return average(None), average([3, 1]), average([4, 0]), average(None, torch.bfloat16), gap, refused

    everyone = gp.on_processes(experiment)
    for equal, weighted, one_has_all, half, gap, refused in everyone:
        assert equal == half == [[1.5, 2.25], [4.0, 0.0]]
        assert weighted == [[2.25, 3.125], [6.0, 0.0]] and one_has_all == [[3.0, 4.0], [8.0, 0.0]]
        assert gap < 1e-14 and refused == "samples must be positive in at least one process, got 0 in all of them"
    assert len(everyone) == 2


def test_a_process_that_fails_is_reported():
    def fails():
        raise KeyError("something of its own")

    with pytest.raises(RuntimeError, match="KeyError: 'something of its own'"):
        gp.on_processes(fails, 1)
    with pytest.raises(ValueError, match="processes must be a whole number of at least 1, got 0"):
        gp.on_processes(fails, 0)


def test_a_process_without_samples_has_gradients_that_do_not_count():
    """The mean over no samples is NaN, and 0 times it is NaN too."""

    def experiment():
        p, empty = torch.nn.Parameter(torch.zeros(2)), dist.get_rank() == 1
        p.grad = torch.tensor([torch.nan, torch.inf] if empty else [3.0, 4.0])
        gp.average_gradients_([p], samples=0 if empty else 2)
        return p.grad.tolist()

    assert gp.on_processes(experiment) == [[3.0, 4.0], [3.0, 4.0]]


def test_what_the_function_prints_is_shown_process_by_process(capfd, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo,lo")  # the user's own device stays

    def prints():
        print("first", dist.get_rank(), os.environ["GLOO_SOCKET_IFNAME"])
        print("last")

    gp.on_processes(prints)
    assert capfd.readouterr().out == "first 0 lo,lo\nlast\nfirst 1 lo,lo\nlast\n"


def test_processes_that_wait_for_ever_are_ended(tmp_path, monkeypatch):
    def waits():
        (tmp_path / str(os.getpid())).touch()
        if dist.get_rank() == 0:
            time.sleep(1000)
        dist.barrier()

    communicate = subprocess.Popen.communicate

    def once_both_run(run, timeout=None):  # on a busy machine they take longer to start than the test's second
        while timeout and run.poll() is None and len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.1)
        return communicate(run, timeout=timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", once_both_run)
    with pytest.raises(TimeoutError, match="not finished within 1 seconds"):
        gp.on_processes(waits, timeout=1)
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2 and not any(Path("/proc", name).exists() for name in left)
    with pytest.raises(ValueError, match="timeout must be"):
        gp.on_processes(waits, timeout=0)


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
