"""Counted arithmetic against formulas on paper, peak memory against blocks of known size."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gpcore.counting import Arithmetic, PeakMemory

N, H = 7, 5


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: F.linear(torch.ones(N, 3), torch.ones(H, 3), torch.ones(H)), 2 * N * 3 * H),
        (lambda: torch.bmm(torch.ones(2, N, 3), torch.ones(2, 3, H)), 2 * 2 * N * 3 * H),
        (lambda: torch.ones(N, H).relu().sum(), 0),
        (lambda: F.conv2d(torch.ones(N, 2, 6, 6), torch.ones(4, 2, 3, 3)), 2 * N * 4 * 4 * 4 * 2 * 9),
    ],
    ids=["linear", "bmm", "no product", "convolution"],
)
def test_forward(run, expected):
    with Arithmetic() as arithmetic:
        run()
    assert arithmetic.count == expected


def test_backward_and_backward_of_backward():
    """Two layers H to H without biases: what each pass adds, in products of W with a batch."""
    layers = nn.Sequential(nn.Linear(H, H, bias=False), nn.Tanh(), nn.Linear(H, H, bias=False))
    x = torch.randn(N, H, requires_grad=True)
    unit = 2 * N * H * H
    with Arithmetic() as arithmetic:
        out = layers(x).sum()
        assert arithmetic.count == 2 * unit
        (g,) = torch.autograd.grad(out, x, create_graph=True)
        assert arithmetic.count == 4 * unit  # two pulls
        g.square().sum().backward()
    # The lower pull has two inputs, the upper one only its weights (the ones at the scores are constants). What
    # arrives at tanh's input goes down the lower layer's forward pass: to its weights and to x.
    assert arithmetic.count == (4 + 2 + 1 + 2) * unit


def test_peak_is_the_largest_sum_and_not_the_total():
    with PeakMemory() as memory:
        for _ in range(5):
            x = torch.zeros(1000)
            del x
        a, b = torch.zeros(10), torch.zeros(20)
        del a
    assert memory.peak == 4000 and memory.now == 80
    del b
    assert memory.now == 0


def test_views_in_place_and_known_tensors_cost_nothing():
    weight = torch.zeros(1000)
    with PeakMemory([weight]) as memory:
        _ = weight.view(10, 100).mT
        weight.add_(1)
        x = torch.zeros(8)
        _ = x.view(2, 4), x.mul_(2)
    assert memory.peak == 32


def test_autograd_keeps_one_activation_per_layer_until_backward():
    x, layers = torch.randn(1000, 4), [nn.Linear(4, 4) for _ in range(3)]
    with PeakMemory([x, *(p for layer in layers for p in layer.parameters())]) as memory:
        out = x
        for layer in layers:
            out = torch.tanh(layer(out))
        held = memory.now
        out.sum().backward()
        del out
    assert held == 3 * 1000 * 4 * 4
    gradients = sum(p.numel() * 4 for layer in layers for p in layer.parameters())
    assert memory.now == gradients
