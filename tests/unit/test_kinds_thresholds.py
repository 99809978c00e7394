"""AutoClip and ZClip on what people have: windows, long histories, checkpoints, steps without gradients."""

import math
import time

import numpy as np
import pytest
import torch
from torch import nn

import gpcore as gp


def parameter(gradient):
    gradient = torch.as_tensor(gradient)
    p = nn.Parameter(torch.zeros_like(gradient))
    p.grad = gradient.clone()
    return p


@pytest.mark.parametrize("window", [None, 1, 7])
@pytest.mark.parametrize("percentile", [0.0, 10.0, 50.0, 100.0])
def test_autoclip_follows_numpys_percentile_of_its_window(window, percentile):
    clip, norms, rng = gp.AutoClip(percentile, window=window), [], np.random.default_rng(0)
    for step in range(60):
        norms.append(float(np.float32(rng.lognormal())))
        p = parameter([norms[-1]])
        clip(p)
        threshold = np.percentile(norms[-window:] if window else norms, percentile)
        assert float(p.grad) == pytest.approx(min(norms[-1], threshold), rel=1e-6)
        if step == 30:  # from a checkpoint
            state, clip = clip.state_dict(), gp.AutoClip(percentile, window=window)
            clip.load_state_dict(state)
    assert clip.history == (norms[-window:] if window else norms)


def test_autoclip_costs_the_same_after_a_million_steps():
    def seconds(clip):
        p = parameter([1.0])
        clip(p)
        start = time.process_time()
        for _ in range(300):
            clip(p)
        return time.process_time() - start

    norms = np.random.default_rng(0).lognormal(size=1_000_000).tolist()
    young, old, windowed = gp.AutoClip(), gp.AutoClip(), gp.AutoClip(window=1000)
    old.load_state_dict({"history": norms})
    windowed.load_state_dict({"history": norms})
    assert len(windowed.history) == 1000
    fresh = seconds(young)
    assert seconds(old) < 5 * fresh and seconds(windowed) < 5 * fresh


@pytest.mark.parametrize("window", [0, -3, 2.5, math.nan])
def test_windows_that_are_none_are_refused(window):
    with pytest.raises(ValueError, match="window must be"):
        gp.AutoClip(window=window)


def test_zclips_fixed_maximum_is_a_cut_beside_it():
    free, capped = gp.ZClip(warmup=4), gp.ZClip(warmup=4, max_norm=2.5)
    for norm in (1.0, 3.0, 2.0, 4.0, 2.6, 30.0, 2.0, 3.0):
        a, b = parameter([norm]), parameter([norm])
        assert free(a) == capped(b) == pytest.approx(norm)
        assert float(b.grad) == pytest.approx(min(float(a.grad), 2.5), rel=1e-6)
    assert free.state_dict() == capped.state_dict()
    with pytest.raises(ValueError, match="max_norm must be greater than 0"):
        gp.ZClip(max_norm=0.0)


@pytest.mark.parametrize("make", [gp.AutoClip, lambda: gp.AutoClip(window=3), lambda: gp.ZClip(warmup=2)])
def test_a_step_without_gradients_is_not_remembered(make):
    clip, before = make(), make().state_dict()
    assert clip(nn.Linear(2, 1).parameters()) == clip([]) == 0
    assert clip.state_dict() == before


@pytest.mark.parametrize(
    ("clip", "state", "message"),
    [
        (gp.AutoClip(), gp.ZClip().state_dict(), "entries history"),
        (gp.ZClip(), gp.AutoClip().state_dict(), "entries seen, mean, variance"),
        (gp.AutoClip(), None, "entries history, got None"),
        (gp.AutoClip(), {"history": [1.0, math.nan]}, "finite norms, but 'history'"),
        (gp.ZClip(), {"seen": [math.inf], "mean": None, "variance": None}, "finite norms, but 'seen'"),
    ],
)
def test_states_of_other_objects_are_refused_by_name(clip, state, message):
    before = clip.state_dict()
    with pytest.raises(ValueError, match=f"state must h(ave|old) .*{message}"):
        clip.load_state_dict(state)
    assert clip.state_dict() == before
