"""Scaling of parts of the gradient: the units of layers, tensors by their root mean square, parameter groups."""

import math

import pytest
import torch
from torch import nn

import gpcore as gp


def parameter(gradient):
    gradient = torch.as_tensor(gradient)
    p = nn.Parameter(torch.zeros_like(gradient))
    p.grad = gradient.clone()
    return p


def by_units(weight, gradient, unit, clipping, eps=1e-3):
    """Adaptive clipping of one unit after the other, in float64."""
    result = gradient.double().clone()
    for i in range(weight.shape[unit]):
        w, g = weight.detach().double().select(unit, i), result.select(unit, i)
        g.mul_(min(1.0, clipping * max(float(w.norm()), eps) / float(g.norm())))
    return result.to(gradient.dtype)


@pytest.mark.parametrize(
    ("make", "unit"),
    [
        (lambda: nn.Conv3d(2, 3, 2), 0),
        (lambda: nn.Conv2d(4, 6, 3, groups=2), 0),
        (lambda: nn.ConvTranspose1d(2, 5, 3), 1),
        (lambda: nn.ConvTranspose2d(3, 3, 2), 1),
        (lambda: nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(2, 4, 3)), 1),
    ],
)
def test_units_of_convolutions_lead_to_one_output(make, unit):
    net = make()
    weight = max(net.parameters(), key=torch.numel)
    gradient = torch.randn(weight.shape)
    expected = by_units(weight, gradient, unit, 0.02)
    for _ in range(2):  # looked up, and remembered
        weight.grad = gradient.clone()
        gp.adaptive_clip_([weight], 0.02)
        torch.testing.assert_close(weight.grad, expected)


def test_units_of_attention_are_rows_and_of_vectors_the_whole():
    attention = nn.MultiheadAttention(4, 2)
    weight = attention.in_proj_weight
    gradient = torch.randn(12, 4)
    weight.grad = gradient.clone()
    gp.adaptive_clip_([weight], 0.05)
    torch.testing.assert_close(weight.grad, by_units(weight, gradient, 0, 0.05))
    for shape in ((4,), (4, 1, 1, 1), (1, 4), (1, 1, 4, 1)):
        gain = nn.Parameter(torch.tensor([1.0, 2.0, 2.0, 0.0]).reshape(shape))  # of norm 3
        gain.grad = torch.full(shape, 5.0)  # of norm 10
        gp.adaptive_clip_([gain], 0.1)
        torch.testing.assert_close(gain.grad, torch.full(shape, 0.15))
    number = parameter(torch.tensor(5.0))
    gp.adaptive_clip_([number], 0.1, eps=0.2)
    assert number.grad == pytest.approx(0.02)


def test_clipping_by_the_root_mean_square_is_adafactors_formula():
    made = [parameter(torch.randn(size) * 3) for size in ((3,), (4, 5), (1,))]
    expected = [p.grad / max(1.0, float(p.grad.square().mean().sqrt()) / 0.7) for p in made]
    norm = gp.total_norm(made)
    assert gp.clip_rms_(made, 0.7) == norm
    for p, g in zip(made, expected, strict=True):
        torch.testing.assert_close(p.grad, g)
    small = parameter([0.1, 0.2])
    gp.clip_rms_([small])
    assert torch.equal(small.grad, torch.tensor([0.1, 0.2]))
    large = parameter([1e30, 1e30])
    gp.clip_rms_([large])
    torch.testing.assert_close(large.grad, torch.ones(2))


def test_groups_are_clipped_as_pytorch_clips_each():
    ours, theirs = ([parameter(torch.arange(1.0, n + 1)) for n in (2, 3, 4)] for _ in range(2))
    optimizer = torch.optim.SGD([{"params": ours[:2]}, {"params": ours[2:], "max_norm": 0.5}], lr=1.0)
    found = gp.clip_group_norms_(optimizer.param_groups, max_norm=2.0)
    expected = [nn.utils.clip_grad_norm_(group, m) for group, m in ((theirs[:2], 2.0), (theirs[2:], 0.5))]
    torch.testing.assert_close(found, torch.stack(expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)


def test_bad_groups_are_refused_and_nothing_is_changed():
    good, bad = parameter([3.0]), parameter([math.nan])
    with pytest.raises(FloatingPointError):
        gp.clip_group_norms_([{"params": [good]}, {"params": [bad]}], 1.0)
    with pytest.raises(TypeError, match="max_norm must be a number where a group has none: group 1"):
        gp.clip_group_norms_([{"params": [good], "max_norm": 1.0}, {"params": [bad]}])
    with pytest.raises(TypeError, match="groups must be dictionaries with 'params', but item 0 is a Parameter"):
        gp.clip_group_norms_([good], 1.0)
    with pytest.raises(ValueError, match="max_norm must be finite"):
        gp.clip_group_norms_([{"params": [good], "max_norm": -1.0}])
    assert good.grad == 3.0


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (lambda net: torch.optim.SGD(net.parameters(), lr=1.0), TypeError, "got a SGD: use optimizer.param_groups"),
        (lambda net: net, TypeError, "got a Linear: use optimizer.param_groups"),
        (lambda net: {"params": [net.weight]}, TypeError, "got a dict: use optimizer.param_groups"),
        (lambda net: 3.0, TypeError, "got a float"),
        (lambda net: [{"params": [net.weight]}, {"params": net.parameters()}], ValueError, "must not share a param"),
        (lambda net: [{"params": net.weight}] * 2, ValueError, "must not share a parameter"),
    ],
)
def test_what_are_no_groups_is_refused_by_name(groups, error, message):
    net = nn.Linear(2, 1)
    net(torch.full((1, 2), 9.0)).sum().backward()
    with pytest.raises(error, match=f"groups .*{message}"):
        gp.clip_group_norms_(groups(net), 1.0)
    assert net.weight.grad.tolist() == [[9.0, 9.0]]


def test_a_group_without_a_threshold_takes_the_one_of_all():
    for own in ({}, {"max_norm": None}):
        p = parameter([3.0, 4.0])
        gp.clip_group_norms_([{"params": [p]} | own], 1.0)
        torch.testing.assert_close(p.grad, torch.tensor([0.6, 0.8]))
