"""What the tests of the page "Use it in your own loop" share: its listings, and how one is run."""

import math
import re

import loops
import torch

LISTINGS = loops.listings()


def run(title: str, capsys) -> dict:
    """Run a listing from a fresh seed and return its names; what it prints must be finite numbers."""
    (source,) = LISTINGS[title]
    torch.manual_seed(0)
    names = {"__name__": "listing"}
    exec(compile(source, title, "exec"), names)  # noqa: S102
    printed = [float(number) for number in re.findall(r"(?<= )-?\d+\.\d+", capsys.readouterr().out)]
    assert all(map(math.isfinite, printed)) and (printed or "test" in title)
    return names
