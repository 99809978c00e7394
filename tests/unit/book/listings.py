"""What the tests of the page "Use it in your own loop" share: its listings, and how one is run."""

import math
import re
from pathlib import Path

import torch

TEXT = (Path(__file__).resolve().parents[3] / "book" / "own_loop.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
LISTINGS = {title: re.findall(r"```python\n(.*?)```", body, re.DOTALL) for title, body in SECTIONS}
# Listings inside another library's loop: title -> what must be installed.
HOSTS = {
    "In PyTorch Lightning": "lightning",
    "In Hugging Face Accelerate": "accelerate",
    "In the Hugging Face Trainer": "transformers",
}


def run(title: str, capsys) -> dict:
    """Run a listing from a fresh seed and return its names; what it prints must be finite numbers."""
    (source,) = LISTINGS[title]
    torch.manual_seed(0)
    names = {"__name__": "listing"}
    exec(compile(source, title, "exec"), names)  # noqa: S102
    printed = [float(number) for number in re.findall(r"(?<= )-?\d+\.\d+", capsys.readouterr().out)]
    assert all(map(math.isfinite, printed)) and (printed or "test" in title)
    return names
