"""Every listing of the page "Use it in your own loop" runs as it stands, learns something, and fits a screen."""

import math
import re

import chapters
import pytest
import torch

TEXT = (chapters.ROOT / "book" / "own_loop.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
LISTINGS = {title: re.findall(r"```python\n(.*?)```", body, re.DOTALL) for title, body in SECTIONS}


def test_every_section_has_one_listing():
    assert len(LISTINGS) >= 8 and all(len(found) == 1 for found in LISTINGS.values())


@pytest.mark.parametrize("title", LISTINGS)
def test_it_runs_as_it_stands(title, capsys):
    (source,) = LISTINGS[title]
    assert len(source.splitlines()) <= 32 and max(map(len, source.splitlines())) <= 88
    torch.manual_seed(0)
    names = {}
    exec(compile(source, title, "exec"), names)  # noqa: S102
    printed = [float(number) for number in re.findall(r"(?<= )-?\d+\.\d+", capsys.readouterr().out)]
    assert all(map(math.isfinite, printed)) and (printed or "test" in title)
    network = names.get("critic", names.get("model"))
    if network is not None:  # it was trained: no parameter is where a fresh network of the seed would have it
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.ndim > 1)
