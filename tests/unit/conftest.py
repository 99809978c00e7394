"""What several unit tests set up alike: double precision, and a process that dies once a checkpoint is written."""

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
