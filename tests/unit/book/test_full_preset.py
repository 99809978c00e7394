"""The full preset of the chapter on images as a GPU will run it, on the CPU: narrow networks, few images, six steps."""

import ast
import json

import chapters
import nbformat
import pytest
import torch

import gpcore as gp
from gpcore.training import averages

STEPS = 6
NARROWER = {"w=64": "w=2", "full=(5_000, 2_500, 2_500)": "full=(900, 450, 447)", "full=1_000)": "full=100)"}


def cells() -> list[str]:
    """The chapter's code after its parameters, with small numbers in place of those that ask for a GPU."""
    notebook = nbformat.read(chapters.NOTEBOOKS / "10_images.ipynb", as_version=4)
    code = "\0".join(cell.source for cell in notebook.cells[2:] if cell.cell_type == "code")
    for large, small in NARROWER.items():
        assert large in code, f"the chapter does not say {large} any more"
        code = code.replace(large, small)
    return code.split("\0")


def run(preset: str) -> dict:
    names = {"preset": preset, "device": "cpu", "seed": 0}
    for number, source in enumerate(cells()):
        exec(compile(ast.parse(source), f"cell {number}", "exec"), names)
    return names


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """MNIST's shape without its file, budgets of six steps, a folder for checkpoints and one for the record."""
    images, labels = gp.data.digits()
    large = torch.nn.functional.interpolate(images, size=(28, 28))
    monkeypatch.setattr(gp.datasets, "mnist_test", lambda: (large, labels))
    monkeypatch.setattr(gp.Study, "steps", lambda study, *, fast, long=None, full: STEPS if full else 0)
    monkeypatch.setenv("GPCORE_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("GPCORE_RECORD", str(tmp_path / "record.json"))
    return tmp_path


def test_it_trains_the_published_networks_to_the_end_and_is_not_trained_twice(tiny, monkeypatch, capsys):
    first = run("full")
    runs, means = first["trained"]["WGAN-GP"]
    assert [history.seed for history in runs] == [0] and runs[0].backward == "hand-derived"
    assert runs[0].step[-1] == means[0].score_step[-1] == STEPS - 1
    assert means[0].sample(3).shape == (3, 1, 28, 28)

    measured = {entry["name"]: entry for entry in json.loads((tiny / "record.json").read_text())["measurements"]}
    assert measured["FD of the average, WGAN-GP"]["values"] == gp.final(means, "FD")
    assert "peak memory of the GPU" not in measured  # asked for where there is one

    def again(*_):
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(averages, "_critic_step", again)
    second = run("full")
    for name, both in first["trained"].items():
        for some, others in zip(both, second["trained"][name], strict=True):
            assert [history.scores for history in some] == [history.scores for history in others]
            assert [getattr(h, "sheets", {}).keys() for h in some] == [getattr(h, "sheets", {}).keys() for h in others]
    capsys.readouterr()
