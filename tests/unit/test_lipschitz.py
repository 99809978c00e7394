"""Lipschitz control against singular values, power iteration on the real convolutions, and piecewise linear theory."""

import math

import pytest
import torch
from torch import nn

from gpcore.lipschitz import GradientNormalized, clip_weights_, lipschitz_bound, lipschitz_estimate, spectral_norm_
from gpcore.penalties import gradient_norms, gradient_penalty


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def seeded(*layers, seed=0):
    """The layers in a row, in float64, with weights that depend on the seed alone."""
    net = nn.Sequential(*layers).double()
    with torch.no_grad():
        for i, parameter in enumerate(net.parameters()):
            parameter.copy_(0.5 * randn(*parameter.shape, seed=seed + i))
    return net


def mlp(activation=nn.ReLU, seed=0):
    layers = [nn.Linear(3, 8), activation(), nn.Linear(8, 6), activation(), nn.Linear(6, 1), nn.Flatten(0)]
    return seeded(*layers, seed=seed)


def linear(*rows):
    layer = nn.Linear(len(rows[0]), len(rows), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def operator_norm(layer, shape, steps=300):
    """Spectral norm of a linear layer without bias on inputs of one shape, by power iteration."""
    x = randn(1, *shape)
    for _ in range(steps):
        x = (x / x.norm()).requires_grad_()
        (x,) = torch.autograd.grad(layer(x).square().sum() / 2, x)  # A^T A x
    return x.norm().sqrt().item()


# ---------------------------------------------------------------- clipping


def test_clipping_clamps_every_parameter_in_place():
    net = mlp()
    before = [p.detach().clone() for p in net.parameters()]
    pointers = [p.data_ptr() for p in net.parameters()]
    assert clip_weights_(net, 0.3) is net
    for parameter, old, pointer in zip(net.parameters(), before, pointers, strict=True):
        expected = [[max(-0.3, min(0.3, value)) for value in row] for row in old.reshape(len(old), -1).tolist()]
        assert parameter.reshape(len(old), -1).tolist() == expected
        assert parameter.data_ptr() == pointer and parameter.requires_grad and parameter.grad is None
    assert max(p.abs().max().item() for p in net.parameters()) == 0.3


@pytest.mark.parametrize("c", [0.0, -0.01, math.nan, math.inf])
def test_the_clip_must_be_positive(c):
    with pytest.raises(ValueError, match="c must be"):
        clip_weights_(mlp(), c)
    with pytest.raises(TypeError, match="c must be a number"):
        clip_weights_(mlp(), "0.01")


def test_the_bound_of_a_clipped_network_falls_as_a_power_of_its_depth():
    bounds = []
    for c in (0.1, 0.01):
        net = seeded(*[layer for _ in range(5) for layer in (nn.Linear(4, 4, bias=False), nn.ReLU())])
        for parameter in net.parameters():
            parameter.data.fill_(1.0)
        bounds.append(lipschitz_bound(clip_weights_(net, c)))
    assert bounds == pytest.approx([0.4**5, 0.04**5])  # c ones(4, 4) has the spectral norm 4 c


# ---------------------------------------------------------------- spectral norm


def test_spectral_norm_makes_every_largest_singular_value_1():
    net = seeded(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Sequential(nn.Linear(16, 5), nn.Linear(5, 1)))
    assert spectral_norm_(net) is net
    x = randn(2, 2, 4, 4)
    for _ in range(100):  # one step of power iteration each
        net(x)
    for layer in (net[0], net[3][0], net[3][1]):
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=1e-6)


def test_spectral_norm_leaves_the_global_random_state_alone():
    net, state = mlp(), torch.get_rng_state()
    spectral_norm_(net)
    assert torch.equal(torch.get_rng_state(), state)


def test_spectral_norm_needs_layers_and_is_applied_once():
    with pytest.raises(ValueError, match="module must contain a Linear or Conv2d layer, got ReLU"):
        spectral_norm_(nn.ReLU())
    with pytest.raises(ValueError, match="module must not have parametrised weights already"):
        spectral_norm_(spectral_norm_(mlp()))


# ---------------------------------------------------------------- gradient normalisation


def test_gradient_normalisation_of_a_linear_critic():
    critic = GradientNormalized(linear([3.0, 4.0]))
    nn.init.zeros_(critic.critic.bias)
    x = torch.tensor([[1.0, 0.5], [0.0, 0.0], [-3.0, -4.0]], dtype=torch.float64)
    assert critic(x).tolist() == pytest.approx([5 / 10, 0, -25 / 30])


def test_gradient_normalisation_agrees_with_torch_func():
    inner, x = mlp(nn.Softplus), randn(6, 3)
    gradients, values = torch.func.vmap(torch.func.grad_and_value(lambda s: inner(s[None]).squeeze()))(x)
    expected = values / (gradients.square().sum(1).sqrt() + values.abs())
    torch.testing.assert_close(GradientNormalized(inner)(x), expected)


def test_a_normalised_piecewise_linear_critic_is_1_lipschitz():
    inner, x = mlp(), 3 * randn(200, 3)
    critic = GradientNormalized(inner)
    norms, values = gradient_norms(inner, x), inner(x).abs()
    torch.testing.assert_close(gradient_norms(critic, x), (norms / (norms + values)) ** 2)
    assert lipschitz_estimate(critic, x) <= 1 < lipschitz_estimate(inner, x)
    assert critic(x).abs().max() < 1
    assert gradient_penalty(critic, x, x, one_sided=True).item() == 0


def test_gradient_normalisation_can_be_trained_through():
    net, x = GradientNormalized(mlp(nn.Tanh)), randn(4, 3)
    parameter = net.critic[0].weight
    (gradient,) = torch.autograd.grad(net(x).sum(), parameter)
    for i, j in [(0, 0), (3, 1), (7, 2)]:
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter[i, j] += step
                values.append(net(x).sum().item())
                parameter[i, j] -= step
        assert gradient[i, j].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)
    assert torch.autograd.gradcheck(net, x.requires_grad_())  # the generator's way


def test_gradient_normalisation_where_no_graph_is_wanted():
    critic, x = GradientNormalized(mlp()), randn(4, 3)
    expected = critic(x).detach()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            value = critic(x)
            fresh = critic(randn(4, 3))
        assert not value.requires_grad and torch.equal(value, expected) and torch.equal(fresh, expected)


def test_gradient_normalisation_at_zero_is_zero():
    critic = GradientNormalized(mlp())
    for parameter in critic.parameters():
        nn.init.zeros_(parameter)
    value = critic(randn(4, 3))
    value.sum().backward()
    assert value.tolist() == [0.0] * 4
    assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


def test_gradient_normalisation_refuses_what_the_norms_refuse():
    with pytest.raises(ValueError, match="the penalty is per sample"):
        GradientNormalized(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)))(torch.ones(2, 3))


# ---------------------------------------------------------------- bounds


def test_the_bound_of_linear_layers_is_exact():
    assert lipschitz_bound(linear([3.0, 0.0], [0.0, -7.0])) == pytest.approx(7)
    assert lipschitz_bound(linear([3.0, 4.0])) == pytest.approx(5)
    assert lipschitz_bound(nn.Sequential(linear([3.0, 4.0]), nn.Flatten(0))) == pytest.approx(5)
    net = mlp()
    expected = math.prod(torch.linalg.svdvals(net[i].weight)[0].item() for i in (0, 2, 4))
    assert lipschitz_bound(net) == pytest.approx(expected)
    assert isinstance(lipschitz_bound(net), float)


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.LeakyReLU(-3.0),
        nn.Tanh(),
        nn.ELU(0.5),
        nn.ELU(2.5),
        nn.Softplus(),
        nn.Softplus(beta=4.0),
        nn.Sigmoid(),
        nn.Identity(),
    ],
    ids=str,
)
def test_the_slope_of_each_activation_is_a_tight_bound(activation):
    x = torch.linspace(-40, 40, 80_001, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(activation(x).sum(), x)
    largest = slopes.abs().max().item()
    assert largest * (1 - 1e-9) <= lipschitz_bound(activation) <= largest + 3e-3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [
        dict(kernel_size=3),
        dict(kernel_size=3, padding=1),
        dict(kernel_size=4, stride=2, padding=1),
        dict(kernel_size=3, stride=2, padding=1),
        dict(kernel_size=(1, 3), stride=(1, 2)),
        dict(kernel_size=2, stride=3),
        dict(kernel_size=3, dilation=2, padding=2),
        dict(kernel_size=3, dilation=2, stride=2, padding=2),
        dict(kernel_size=3, dilation=3, stride=2, padding=3),
        dict(kernel_size=3, groups=2, padding=1),
    ],
    ids=str,
)
def test_a_convolution_never_exceeds_its_bound(options, seed):
    net = seeded(nn.Conv2d(2, 4, bias=False, **options), seed=seed)
    norm, bound = operator_norm(net, (2, 11, 11)), lipschitz_bound(net)
    assert norm <= bound * (1 + 1e-9)
    assert bound <= norm * 4  # a bound of some use


@pytest.mark.parametrize(
    ("options", "overlaps"),
    [
        (dict(kernel_size=3, padding=1), 9),
        (dict(kernel_size=4, stride=2, padding=1), 4),
        (dict(kernel_size=3, stride=2, padding=1), 4),
        (dict(kernel_size=2, stride=3), 1),
        (dict(kernel_size=3, dilation=2, stride=2, padding=2), 9),
        (dict(kernel_size=3, dilation=3, stride=2, padding=3), 4),
    ],
    ids=str,
)
def test_the_convolution_bound_counts_overlapping_patches(options, overlaps):
    layer = nn.Conv2d(1, 1, bias=False, **options)
    # A kernel of ones adds up the patches: its transpose, applied to ones, counts the patches that hold each pixel.
    nn.init.ones_(layer.weight)
    image = torch.zeros(1, 1, 25, 25, requires_grad=True)
    (counts,) = torch.autograd.grad(layer(image).sum(), image)
    assert counts.max().item() == overlaps
    size = layer.weight.detach().norm().item()
    assert lipschitz_bound(layer) == pytest.approx(math.sqrt(overlaps) * size)


def test_the_convolution_bound_is_reached_by_a_constant_kernel_and_image():
    """A k by k kernel of ones stretches a large constant image by k^2, which is sqrt(k^2) times the kernel's norm k."""
    layer = nn.Conv2d(1, 1, 3, bias=False, dtype=torch.float64)
    nn.init.ones_(layer.weight)
    assert lipschitz_bound(layer) == pytest.approx(9)
    assert operator_norm(layer, (1, 60, 60), steps=50) == pytest.approx(9, rel=0.01)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Softplus, nn.Sigmoid, lambda: nn.LeakyReLU(0.2), nn.ELU])
def test_the_estimate_stays_below_the_bound(activation):
    for seed in range(5):
        net = mlp(activation, seed)
        assert 0 < lipschitz_estimate(net, 2 * randn(200, 3)) <= lipschitz_bound(net) * (1 + 1e-9)


def test_the_estimate_is_the_largest_norm():
    x = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
    assert lipschitz_estimate(lambda x: x.square().sum(1) / 2, x) == pytest.approx(5)
    with pytest.raises(ValueError, match="x must be a non-empty batch"):
        lipschitz_estimate(mlp(), torch.ones(0, 3))


def test_the_bound_of_a_spectrally_normalised_network_is_1_and_asking_changes_nothing():
    net = spectral_norm_(mlp())
    x = randn(4, 3)
    for _ in range(200):
        net(x)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    assert lipschitz_bound(net) == pytest.approx(1, abs=1e-6)
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.Dropout(), nn.PReLU(), nn.ReLU6(), nn.GRU(3, 3)])
def test_unknown_layers_are_refused(layer):
    with pytest.raises(ValueError, match=f"module must be made of layers .* got {type(layer).__name__}"):
        lipschitz_bound(nn.Sequential(nn.Linear(3, 3), layer))


def test_what_the_convolution_bound_does_not_cover_is_refused():
    with pytest.raises(ValueError, match="padding_mode='reflect'"):
        lipschitz_bound(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))


def test_weights_that_are_not_finite_are_told():
    with pytest.raises(FloatingPointError, match="weights of Linear.* must be finite"):
        lipschitz_bound(nn.Sequential(linear([math.nan, 1.0])))
