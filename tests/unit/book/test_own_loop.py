"""Every listing of the page "Use it in your own loop" runs as it stands, learns something, and fits a screen."""

import pytest
from listings import HOSTS, LISTINGS, run


def test_every_section_has_one_listing():
    assert len(LISTINGS) >= 11 and all(len(found) == 1 for found in LISTINGS.values())
    assert set(HOSTS) < set(LISTINGS)


@pytest.mark.parametrize("title", LISTINGS)
def test_it_fits_a_screen(title):
    lines = LISTINGS[title][0].splitlines()
    assert len(lines) <= 32 and max(map(len, lines)) <= 88


@pytest.mark.parametrize("title", [title for title in LISTINGS if title not in HOSTS])
def test_it_runs_as_it_stands(title, capsys):
    names = run(title, capsys)
    network = names.get("critic", names.get("model"))
    if network is not None:  # it was trained: no parameter is where a fresh network of the seed would have it
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.ndim > 1)
