"""What several unit tests set up alike: double precision, a compiler, a process that dies after a checkpoint."""

import shutil

import pytest
import torch

import gpcore as gp


@pytest.fixture
def double():
    """Networks and data in float64, where rounding stays far below Adam's eps and a real difference shows."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def compiler():
    """Skip the test where ``torch.compile`` cannot be judged on the CPU."""
    if shutil.which("c++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 5):
        # Its results are not exact, and numbers below 1e-38 are 0 in this process from then on: other tests see it.
        pytest.skip("this version of torch compiles with -ffast-math")


@pytest.fixture
def dies_after_the_second_checkpoint(monkeypatch):
    """Raise KeyboardInterrupt once the second checkpoint is on disk; the list counts the checkpoints written."""
    save, calls = gp.checkpoint.save, []

    def dies(path, state):
        save(path, state)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(gp.checkpoint, "save", dies)
    return calls
