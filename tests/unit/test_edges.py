"""Numerics at the edges of thresholds, norms and samples: a deviation of 0, mixed precisions, orders, huge and tiny."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.metrics import norm_statistics


def parameter(*numbers, dtype=torch.float32):
    p = nn.Parameter(torch.zeros(len(numbers), dtype=dtype))
    p.grad = torch.tensor(numbers, dtype=dtype)
    return p


def pull(clip, *norms):
    """The norms after ``clip``, one call each."""
    left = []
    for norm in norms:
        p = parameter(norm, dtype=torch.float64)
        assert float(clip([p])) == pytest.approx(norm)
        left.append(p.grad.abs().item())
    return left


def test_zclip_after_norms_that_were_all_equal_pulls_a_larger_one_to_their_mean():
    """A deviation of 0: m + s z^2 / zeta is the mean, and nothing is divided by 0."""
    assert pull(gp.ZClip(warmup=3), 2.0, 2.0, 2.0, 2.0, 50.0, 1.0) == pytest.approx([2, 2, 2, 2, 2, 1])


def test_zclip_leaves_what_lies_within_z_deviations():
    """Mean 2 and standard deviation 1 of the first two; the third lies 2.4 above, the fourth far above."""
    assert pull(gp.ZClip(warmup=2), 1.0, 3.0, 4.4)[-1] == 4.4
    assert pull(gp.ZClip(warmup=2, z=2.0), 1.0, 3.0, 4.4)[-1] == pytest.approx(2 + 2.0**2 / 2.4)


def test_zclip_goes_on_where_its_state_was_written():
    norms = np.random.default_rng(0).lognormal(size=40).tolist()
    for cut in (3, 20):  # within the warm-up and after it
        whole, first = gp.ZClip(warmup=8), gp.ZClip(warmup=8)
        expected, begun = pull(whole, *norms), pull(first, *norms[:cut])
        second, state = gp.ZClip(warmup=8), first.state_dict()
        pull(first, 1e3, 1e3)  # the state is a copy
        second.load_state_dict(state)
        assert begun + pull(second, *norms[cut:]) == pytest.approx(expected)


@pytest.mark.parametrize("window", [None, 7])
def test_autoclip_goes_on_where_its_state_was_written(window):
    norms = np.random.default_rng(1).lognormal(size=40).tolist()
    for cut in (3, 20):
        whole, first = (gp.AutoClip(40.0, window=window) for _ in range(2))
        expected, begun = pull(whole, *norms), pull(first, *norms[:cut])
        second, state = gp.AutoClip(40.0, window=window), first.state_dict()
        pull(first, 1e-3, 1e-3)
        second.load_state_dict(state)
        assert begun + pull(second, *norms[cut:]) == pytest.approx(expected)
        kept = len(second.state_dict()["history"])
        assert kept == (len(norms) if window is None else window)


@pytest.mark.parametrize("order", [1.0, 3.0, math.inf])
@pytest.mark.parametrize("sizes", [(3, 4), (3, 6000), (9000, 9000)])
def test_every_order_of_norm_in_every_branch(sizes, order):
    """Small tensors are joined, large ones measured one by one; the result is NumPy's norm of the whole vector."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=n) for n in sizes]
    parameters = [parameter(*part, dtype=torch.float64) for part in parts]
    expected = np.linalg.norm(np.concatenate(parts), order)
    assert float(gp.total_norm(parameters, order)) == pytest.approx(expected, rel=1e-12)
    gp.clip_norm_(parameters, 1.0, order)
    scaled = np.concatenate([p.grad.numpy() for p in parameters])
    assert np.linalg.norm(scaled, order) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("pair", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_float64_beside_float32_in_either_order(pair):
    """1 + 1e-9 is told apart from 1 in float64 alone; each gradient keeps its own type and precision."""
    first, second = parameter(3.0, dtype=pair[0]), parameter(4.0, dtype=pair[1])
    wide = first if pair[0] == torch.float64 else second
    wide.grad.mul_(1 + 1e-9)
    norm = math.hypot(float(first.grad), float(second.grad))
    expected = float(wide.grad) / norm
    assert float(gp.total_norm([first, second])) == pytest.approx(norm, rel=1e-6)
    gp.clip_norm_([first, second], 1.0)
    assert float(wide.grad) == pytest.approx(expected, rel=1e-12)
    assert (first.grad.dtype, second.grad.dtype) == pair
    assert float(first.grad) == pytest.approx(0.6, rel=1e-6) and float(second.grad) == pytest.approx(0.8, rel=1e-6)


def test_one_sample_of_a_batch_is_shortened_and_none_is_lengthened():
    x = torch.tensor([[30.0, 40.0], [0.3, 0.4], [0.0, 0.0]])
    total = gp.per_sample_clip(torch.sum, nn.Linear(2, 1, bias=False), x, max_norm=1.0)["weight"]
    torch.testing.assert_close(total, torch.tensor([[0.9, 1.2]]))
    for i, expected in enumerate(([0.6, 0.8], [0.3, 0.4], [0.0, 0.0])):
        alone = gp.per_sample_clip(torch.sum, nn.Linear(2, 1, bias=False), x[i : i + 1], max_norm=1.0)["weight"]
        torch.testing.assert_close(alone, torch.tensor([expected]))


def test_a_sample_without_a_gradient_adds_nothing_whatever_the_threshold():
    model = nn.Linear(2, 1, bias=False)
    for max_norm in (0.0, 1.0):
        total = gp.per_sample_clip(torch.sum, model, torch.zeros(1, 2), max_norm=max_norm)["weight"]
        assert torch.equal(total, torch.zeros(1, 2))


def test_units_below_their_limit_are_left_bit_for_bit():
    w = nn.Parameter(torch.full((3, 4), 2.0))  # each unit's limit is 0.1 * 4
    w.grad = torch.tensor([[0.1] * 4, [0.3] * 4, [0.0] * 4])
    before = w.grad.clone()
    gp.adaptive_clip_([w], clipping=0.1)
    assert torch.equal(w.grad[[0, 2]], before[[0, 2]])
    assert w.grad[1].norm().item() == pytest.approx(0.4)


def test_the_limit_of_a_unit_whose_weights_are_small_is_that_of_eps():
    w = nn.Parameter(torch.zeros(2, 3))
    w.data[1] = 2.0
    w.grad = torch.ones(2, 3)
    gp.adaptive_clip_([w], clipping=0.1, eps=0.5)
    expected = [0.1 * 0.5, 0.1 * 2 * 3**0.5]
    torch.testing.assert_close(w.grad.norm(dim=1), torch.tensor(expected))


def test_statistics_of_one_norm_and_of_norms_near_one():
    one = norm_statistics(torch.tensor([3.0]))
    assert (one.mean, one.std, one.median, one.min, one.max, one.near_one) == (3, 0, 3, 3, 3, 0)
    assert norm_statistics(torch.tensor([0.85, 0.95, 1.05, 1.15])).near_one == 0.5


def test_a_number_that_is_not_finite_is_named():
    for value in (math.nan, math.inf, -math.inf):
        with pytest.raises(FloatingPointError, match=f"the loss is {value}"):
            gp.training.loop.check_finite("the loss", value)
    assert gp.training.loop.check_finite("the loss", -1e300) == -1e300


def test_seeded_networks_leave_the_global_random_state_alone_and_come_back():
    build = lambda: nn.Linear(3, 3)  # noqa: E731
    before = torch.get_rng_state()
    first, again, other = (gp.training.loop.seeded(seed, build).weight for seed in (4, 4, 5))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again) and not torch.equal(first, other)
