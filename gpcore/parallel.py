"""Data-parallel training: the gradients of several processes averaged without hooks, and several processes to try it.

``DistributedDataParallel`` averages from within ``backward()``, parameter by parameter as each becomes ready, which is
why it can miss the gradient of a penalty. Here the backward passes are over, whatever they were: one or several, by
autograd or by hand.
"""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import _checks
from ._norms import Parameters, with_gradients


def average_gradients_(parameters: Parameters, samples: float | None = None) -> None:
    """Replace every gradient by its average over the processes: ``g <- sum_r n_r g_r / sum_r n_r``.

    All gradients travel in one buffer, in one reduction. Call it after the last ``backward()`` and before the gradients
    are scaled; every process must call it, with the same parameters in the same order. A parameter without a gradient
    counts as 0 where another process has one, and is left alone where none has. An error on one process, as one that is
    raised here, leaves the others waiting until their process group's timeout.

    Args:
        parameters: those of the network, which each process holds as a whole.
        samples: n_r, over how many samples this process took its mean; the result is then that of one process with
            all samples. 0: this process had none, and its gradients, which may be NaN, do not count. None: every
            process counts the same, as under ``DistributedDataParallel``.

    Raises:
        RuntimeError: ``torch.distributed`` has not been started. TypeError: ``parameters`` hold something else than
            parameters, or a gradient is sparse or complex. ValueError: ``samples`` negative, or 0 in every process.

    Example:
        >>> import torch, gpcore as gp
        >>> store = torch.distributed.HashStore()
        >>> torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        >>> w = torch.nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, 4.0])
        >>> gp.average_gradients_([w], samples=5)
        >>> w.grad
        tensor([3., 4.])
        >>> torch.distributed.destroy_process_group()
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError("average_gradients_ needs torch.distributed.init_process_group(...), and it was not called")
    several = isinstance(parameters, Iterable) and not isinstance(parameters, (Tensor, nn.Module, Mapping))
    parameters = list(parameters) if several else parameters
    with_gradients(parameters)  # refuses what holds no parameters
    trained = [p for p in (parameters if several else [parameters]) if p.requires_grad]
    for p in trained:
        if p.grad is not None and (p.grad.layout != torch.strided or p.grad.is_complex()):
            raise TypeError(f"parameters must have dense real gradients, got {p.grad.layout} of {p.grad.dtype}")
    n = 1.0 if samples is None else _checks.non_negative("samples", samples)

    # Sums in 16 bits would lose what they add. The last numbers say who has a gradient, and how many samples there are.
    kind = functools.reduce(torch.promote_types, (p.dtype for p in trained), torch.float32)
    # Of no samples the mean is NaN, and so is 0 times it.
    gradients = [torch.zeros_like(p) if p.grad is None or n == 0 else p.grad for p in trained]
    known = torch.tensor([*(float(p.grad is not None) for p in trained), 1.0])
    parts = [*(gradient.reshape(-1) for gradient in gradients), known]
    buffer = n * torch.cat([part.to(gradients[0].device if gradients else "cpu", kind) for part in parts])
    dist.all_reduce(buffer)
    if buffer[-1] == 0:
        raise ValueError("samples must be positive in at least one process, got 0 in all of them")
    buffer /= buffer[-1].clone()
    *averages, known = buffer.split([*(p.numel() for p in trained), len(trained) + 1])
    for p, average, has in zip(trained, averages, known.tolist(), strict=False):
        if p.grad is not None:
            p.grad.copy_(average.view_as(p))
        elif has:
            p.grad = average.view_as(p).to(p.dtype, copy=True)


# What each process runs: the function and the results lie in the folder that it is given.
_SCRIPT = """
import contextlib, pathlib, pickle, sys
import torch.distributed as dist

dist.init_process_group("gloo")
folder = pathlib.Path(sys.argv[1])
with open(folder / f"shown-{dist.get_rank()}", "w", 1) as shown, contextlib.redirect_stdout(shown):
    found = pickle.loads((folder / "function").read_bytes())()
(folder / f"found-{dist.get_rank()}").write_bytes(pickle.dumps(found))
dist.barrier()
dist.destroy_process_group()
"""


def on_processes(function: Callable[[], Any], processes: int = 2, timeout: float = 600) -> list:
    """Call ``function()`` in several new processes of ``torch.distributed`` on this machine; what each returned.

    ``torchrun`` starts them with the back end gloo, which needs no GPU, on one thread each. The function is pickled by
    value, so that it may stand in a notebook's cell. It takes some seconds: every process imports PyTorch.
    What the function prints is shown at the end, process by process.

    Args:
        function: without arguments; what it returns is pickled.
        processes: how many.
        timeout: seconds until processes that are not finished, such as those that wait for each other, are ended.

    Raises:
        RuntimeError: a process failed; the message is the end of what it wrote. TimeoutError: they took longer than
            ``timeout``. ValueError: no process, or a timeout that is not positive.

    Example:
        >>> gp.on_processes(lambda: torch.distributed.get_rank())
        [0, 1]
    """
    if not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes must be a whole number of at least 1, got {processes!r}")
    _checks.positive("timeout", timeout)
    import joblib  # comes with scikit-learn

    # Gloo looks up the machine's name, which laptops and containers may not know; the loopback device needs no name.
    environment = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"} | os.environ
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run.py").write_text(_SCRIPT)
        (folder / "function").write_bytes(pickle.dumps(joblib.wrap_non_picklable_objects(function)))
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*torchrun, str(folder / "run.py"), name]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
            try:
                _, problem = run.communicate(timeout=timeout)
            except BaseException as stopped:
                run.terminate()  # torchrun then ends its processes; killed, it would leave them behind
                run.communicate()
                if isinstance(stopped, subprocess.TimeoutExpired):
                    raise TimeoutError(f"processes were not finished within {timeout} seconds") from None
                raise
            finally:
                for shown in (folder / f"shown-{rank}" for rank in range(processes)):
                    print(shown.read_text() if shown.exists() else "", end="")
        if run.returncode:
            raise RuntimeError(f"a process failed:\n{problem.decode(errors='replace')[-4000:]}")
        return [pickle.loads((folder / f"found-{rank}").read_bytes()) for rank in range(processes)]
