"""Checkpoints survive being killed at any moment."""

import io
import os
from pathlib import Path

import pytest
import torch

from gpcore.training import checkpoint


def test_what_is_saved_is_loaded(tmp_path):
    state = {"fingerprint": "a", "step": 3, "weights": {"w": torch.arange(4.0)}, "history": [1.5, 2.5]}
    checkpoint.save(tmp_path / "deep" / "run", state)
    loaded = checkpoint.load(tmp_path / "deep" / "run", "a")
    assert loaded["step"] == 3 and loaded["history"] == [1.5, 2.5]
    assert torch.equal(loaded["weights"]["w"], torch.arange(4.0))
    assert checkpoint.load(tmp_path / "absent", "a") is None


def test_another_runs_checkpoint_is_refused(tmp_path):
    checkpoint.save(tmp_path / "run", {"fingerprint": "a"})
    with pytest.raises(ValueError, match="another run: run holds a, expected b"):
        checkpoint.load(tmp_path / "run", "b")


def test_code_hidden_in_a_checkpoint_is_not_run(tmp_path):
    class Malicious:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"fingerprint": "a", "x": Malicious()}, tmp_path / "run")
    with pytest.raises(Exception, match="[Ww]eights"):
        checkpoint.load(tmp_path / "run", "a")
    assert not (tmp_path / "ran").exists()


def test_a_process_killed_at_any_point_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    """The moment is not hoped for but chosen: every call of ``save`` that touches the disk dies once."""
    path, old = tmp_path / "run", {"fingerprint": "a", "step": 1}
    for name, place in (("save", torch), ("fsync", os), ("replace", os)):
        checkpoint.save(path, old)

        def dies(*arguments, **named):
            if isinstance(arguments[-1], io.IOBase):
                arguments[-1].write(b"half of it")
            raise KeyboardInterrupt

        with monkeypatch.context() as context:
            context.setattr(place, name, dies)
            with pytest.raises(KeyboardInterrupt):
                checkpoint.save(path, old | {"step": 2})
        assert checkpoint.load(path, "a") == old, f"killed in {name}"


def test_bytes_are_on_disk_before_the_name_changes(tmp_path, monkeypatch):
    """Renamed first and flushed later, a machine that loses its power would keep the name of an empty file."""
    calls, path = [], tmp_path / "run"
    real = {"fsync": os.fsync, "replace": os.replace}
    for name, function in real.items():
        monkeypatch.setattr(os, name, lambda *a, name=name, function=function: (calls.append((name, a)), function(*a)))
    checkpoint.save(path, {"fingerprint": "a", "x": torch.zeros(1000)})
    (first, _), (second, (part, target)) = calls
    assert (first, second) == ("fsync", "replace")
    assert Path(target) == path and Path(part).parent == path.parent and Path(part) != path
