"""Checkpoints survive being killed at any moment."""

import os
import signal
import subprocess
import sys
import textwrap

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


def test_a_process_killed_while_writing_leaves_a_whole_checkpoint(tmp_path):
    """Kill -9 a process that does nothing but save; whatever the moment, the file loads."""
    script = textwrap.dedent(
        """
        import sys, torch
        from pathlib import Path
        from gpcore.training import checkpoint
        step = 0
        while True:
            w = torch.full((200_000,), float(step))
            checkpoint.save(Path(sys.argv[1]), {"fingerprint": "a", "step": step, "w": w})
            step += 1
            print(step, flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "run")], stdout=subprocess.PIPE)
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    state = checkpoint.load(tmp_path / "run", "a")
    assert state["step"] >= 4 and (state["w"] == state["step"]).all()
