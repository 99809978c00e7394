"""Checkpoints that a kill at any moment cannot corrupt: written beside the file, then renamed over it."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def save(path: Path, state: dict) -> None:
    """Write ``state`` (tensors, numbers, strings, lists and dicts of them) to ``path`` atomically.

    The bytes are flushed to disk under a temporary name and then renamed, so that ``path`` always holds either
    the previous checkpoint or the new one, never a part of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + f".part{os.getpid()}")
    with open(part, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def load(path: Path, fingerprint: str, device: torch.device | str = "cpu") -> dict | None:
    """Return the state saved at ``path``, or None where there is none.

    Args:
        path: the file that :func:`save` wrote.
        fingerprint: what identifies the run; the state must hold the same under ``"fingerprint"``.
        device: where tensors are put.

    Raises:
        ValueError: the checkpoint belongs to a run with other settings.
    """
    path = Path(path)
    if not path.exists():
        return None
    # weights_only refuses anything but plain data, so that a checkpoint from elsewhere cannot run code.
    state = torch.load(path, map_location=device, weights_only=True)
    if state["fingerprint"] != fingerprint:
        raise ValueError(
            f"resume names a checkpoint of another run: {path.name} holds {state['fingerprint']}, "
            f"expected {fingerprint}"
        )
    return state
