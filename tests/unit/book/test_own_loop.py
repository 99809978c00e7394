"""Every listing of the page "Use it in your own loop" runs as it stands, learns something, and fits a screen."""

import chapters
import first_cell
import loops
import nbformat
import pytest
import repository
from listings import LISTINGS, run
from loops import HOSTS


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


# --- in Colab


@pytest.mark.parametrize("title", LISTINGS)
def test_its_notebook_is_the_listing(title):
    """Written by `make notebooks`; what else it holds installs something or says where it comes from."""
    notebook = nbformat.read(loops.path(title), as_version=4)
    nbformat.validate(notebook)
    first, *between, last = notebook.cells
    assert first.source == first_cell.text() and last.source == LISTINGS[title][0].rstrip("\n")
    wanted = ["markdown", "code"] if title in HOSTS else ["markdown"]
    assert [cell.cell_type for cell in between] == wanted and title in between[0].source
    if title in HOSTS:
        assert between[1].source.startswith(f"%pip install -q {HOSTS[title]}==")
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_no_notebook_is_left_over():
    assert set(loops.FOLDER.iterdir()) == set(map(loops.path, LISTINGS))


@pytest.mark.parametrize("title", LISTINGS)
def test_it_opens_in_colab(title):
    first = loops.sections()[title].strip().splitlines()[0]
    assert first == f"[Open in Colab]({loops.link(title, repository.address())})"
    _, _, place = first.partition("/blob/main/")
    assert (chapters.ROOT / place.rstrip(")")).exists()
