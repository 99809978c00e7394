"""One place knows the preset: seeds, budgets, bands and checkpoints follow from it."""

import math

import pytest

from gpcore.page.study import Study


def test_seeds_of_the_long_preset_are_others():
    assert Study("fast").seeds == list(range(16)) == Study("full").seeds
    assert Study("long").seeds == list(range(100, 116))
    assert Study("fast", seed=3, n_seeds=2).seeds == [3, 4]
    assert Study("long", seed=3).first(2) == [103, 104]


def test_the_long_preset_has_ten_times_the_steps_and_the_same_networks():
    budgets = {preset: Study(preset).steps(fast=240, full=40_000) for preset in ("fast", "long", "full")}
    assert budgets == {"fast": 240, "long": 2_400, "full": 40_000}
    assert Study("long").steps(fast=240, long=700) == 700
    assert Study("long").choose(fast=32, full=256) == 32 and Study("full").choose(fast=32, full=256) == 256
    with pytest.raises(ValueError, match="steps needs full="):
        Study("full").steps(fast=240)


@pytest.mark.parametrize("bad", [{"preset": "quick"}, {"n_seeds": 0}, {"n_seeds": 2.0}])
def test_other_settings_are_refused(bad):
    with pytest.raises(ValueError):
        Study(**bad)


def test_a_band_belongs_to_the_fast_preset():
    values = [1.0, 3.0, 2.0]
    assert Study("fast").measure("gap", values, fast=(1.5, 2.5)).band == (1.5, 2.5)
    with pytest.raises(AssertionError, match=r"gap: median 2 of \[1.0, 3.0, 2.0\] is outside \(2.1, 3\)"):
        Study("fast").measure("gap", values, fast=(2.1, 3))
    for preset in ("long", "full"):
        assert Study(preset).measure("gap", values, fast=(2.1, 3)).band is None


@pytest.mark.parametrize("preset", ["fast", "long", "full"])
def test_what_does_not_depend_on_training_is_asserted_always(preset):
    assert Study(preset).measure("norm", 5, always=(5, 5)).values == [5.0]
    with pytest.raises(AssertionError):
        Study(preset).measure("norm", 5.1, always=(5, 5))


@pytest.mark.parametrize("values", [[1.0, math.nan, 2.0], [math.inf], [1.0, 2.0, math.inf]])
@pytest.mark.parametrize("preset", ["fast", "long"])
def test_what_is_not_finite_is_no_measurement(preset, values):
    with pytest.raises(AssertionError, match="not all finite"):
        Study(preset).measure("gap", values, fast=(-1e9, 1e9))


@pytest.mark.parametrize(
    "bad",
    [{}, {"fast": (0, 1), "always": (0, 1)}, {"fast": (2, 1)}, {"fast": (math.nan, 1)}, {"values": [], "fast": (0, 1)}],
)
def test_measurements_need_values_and_one_band(bad):
    with pytest.raises(ValueError, match="needs"):
        Study().measure(**{"name": "gap", "values": [0.5]} | bad)


def test_tensors_and_arrays_are_values():
    torch = pytest.importorskip("torch")
    assert Study().measure("a", torch.tensor([1.0, 2.0, 3.0]), fast=(2, 2)).values == [1, 2, 3]
    assert Study().measure("b", torch.tensor(2.0).item(), fast=(2, 2)).values == [2]


def test_checkpoints_lie_where_the_tools_say(tmp_path, monkeypatch):
    monkeypatch.delenv("GPCORE_CHECKPOINTS", raising=False)
    assert Study().checkpoint("toy") is None
    monkeypatch.setenv("GPCORE_CHECKPOINTS", str(tmp_path))
    assert Study("long").checkpoint("toy, two-sided / 0.1") == tmp_path / "toy-two-sided-0.1"
