"""Networks: shapes, sizes, and samples that do not see each other."""

import pytest
import torch
from torch import nn

from gpcore import models


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
def test_critics_score_each_sample_on_its_own(activation):
    critic = models.mlp_critic(3, width=8, depth=2, activation=activation)
    x = torch.randn(6, 3)
    assert critic(x).shape == (6,)
    torch.testing.assert_close(critic(x)[2:3], critic(x[2:3]))
    assert critic(x[:1]).shape == (1,)


def test_depth_counts_hidden_layers():
    linear = [m for m in models.mlp_critic(2, width=5, depth=12) if isinstance(m, nn.Linear)]
    assert len(linear) == 13
    count = sum(p.numel() for p in models.mlp_critic(2, width=5, depth=2).parameters())
    assert count == (2 * 5 + 5) + (5 * 5 + 5) + (5 + 1)


def test_generators_return_samples():
    assert models.mlp_generator(4, 2, width=8)(torch.randn(3, 4)).shape == (3, 2)


@pytest.mark.parametrize("size", [8, 28])
def test_convolutional_networks_fit_each_other(size):
    generator, critic = models.conv_generator(size, 5, channels=4), models.conv_critic(size, channels=4)
    images = generator(torch.randn(3, 5))
    assert images.shape == (3, 1, size, size) and images.abs().max() <= 1
    assert critic(images).shape == (3,)
    torch.testing.assert_close(critic(images)[1:2], critic(images[1:2]))


def test_batch_norm_couples_samples():
    for critic, x in (
        (models.mlp_critic(3, 8, batch_norm=True), torch.randn(6, 3)),
        (models.conv_critic(8, 4, batch_norm=True), torch.randn(6, 1, 8, 8)),
    ):
        assert not torch.allclose(critic(x)[:3], critic(x[:3]))


@pytest.mark.parametrize("cell", models.CELLS)
def test_recurrent_networks_read_sequences(cell):
    classifier = models.RecurrentClassifier(6, 10, 4, cell)
    x = torch.randn(3, 7, 6)
    assert classifier(x).shape == (3, 4)
    changed = x.clone()
    changed[:, -1] += 1
    assert not torch.allclose(classifier(x), classifier(changed))
    model = models.CharModel(9, 10, cell)
    logits, state = model(torch.randint(9, (3, 7)))
    assert logits.shape == (3, 7, 9)
    # A character may depend on what came before it only.
    codes = torch.randint(9, (2, 7))
    later = codes.clone()
    later[:, 5] = (later[:, 5] + 1) % 9
    assert torch.allclose(model(codes)[0][:, :5], model(later)[0][:, :5])


@pytest.mark.parametrize("cell", models.CELLS)
def test_the_recurrent_layer_is_pytorchs_own(cell):
    """Same seed, same initial weights; outputs, last state and gradients as PyTorch's layer has them."""
    torch.manual_seed(0)
    mine = models.Recurrent(6, 10, cell).double()
    torch.manual_seed(0)
    theirs = models.CELLS[cell](6, 10, batch_first=True).double()
    x = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(3, 10, dtype=torch.float64) for _ in range(2 if cell == "lstm" else 1)]
    for state in (None, start):
        one = state and (tuple(state) if cell == "lstm" else state[0])
        other = state and (tuple(s[None] for s in state) if cell == "lstm" else state[0][None])
        (outputs, last), (expected, expected_last) = mine(x, one), theirs(x, other)
        torch.testing.assert_close(outputs, expected)
        for a, b in zip(*((s if cell == "lstm" else [s]) for s in (last, expected_last)), strict=True):
            torch.testing.assert_close(a, b.squeeze(0))
        grads = [torch.autograd.grad(y.square().sum(), [x, *net.parameters()]) for y, net in
                 ((outputs, mine), (expected, theirs))]  # fmt: skip
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="activation must be one of"):
        models.mlp_critic(2, activation="swish")
    with pytest.raises(ValueError, match="size must be 8"):
        models.conv_critic(16)
    with pytest.raises(ValueError, match="size must be 8"):
        models.conv_generator(16, 2)
    with pytest.raises(ValueError, match="cell must be one of"):
        models.RecurrentClassifier(2, 3, 4, "transformer")


def test_the_gaussian_generator_multiplies_its_noise():
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(models.gaussian_generator(3, std=2.5)(noise), 2.5 * noise)
    with pytest.raises(ValueError, match="std must be"):
        models.gaussian_generator(2, std=0.0)
