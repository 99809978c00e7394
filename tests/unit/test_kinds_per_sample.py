"""Per-sample clipping on what people hand in: frozen parts, tokens, recurrent networks, batch norm, odd losses."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

import gpcore as gp


def by_a_loop(loss, model, x, y, max_norm):
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in trainable.items()}
    for row, label in zip(x.split(1), y.split(1), strict=True):
        gradients = torch.autograd.grad(loss(model(row), label), list(trainable.values()))
        length = float(torch.cat([g.flatten() for g in gradients]).norm())
        for name, g in zip(trainable, gradients, strict=True):
            total[name] += min(1.0, max_norm / length) * g
    return total


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(20, 4), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.words(tokens).mean(1))


def frozen(net):
    net[0].requires_grad_(False)
    return net


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (frozen(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))), torch.randn(6, 4)),
        (frozen(nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3))), torch.randint(9, (6, 2))),
        (Tokens(), torch.randint(20, (6, 7))),
        (nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).eval(), torch.randn(6, 4)),
        (nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4), nn.Linear(4, 3)), torch.randn(6, 4)),
    ],
)
def test_samples_are_clipped_as_in_a_loop(model, x):
    # In float64: a group norm of two channels that happen to be alike enlarges rounding a thousand times.
    model, x, y = model.double(), x.double() if x.is_floating_point() else x, torch.randint(3, (6,))
    for batch in ((x, y), [x, y]):
        found = gp.per_sample_clip(cross_entropy, model, batch, 0.1)
        expected = by_a_loop(cross_entropy, model, x, y, 0.1)
        assert found.keys() == expected.keys()
        for name, g in expected.items():
            torch.testing.assert_close(found[name], g, rtol=1e-8, atol=1e-10)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.out = kind(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_networks_are_refused_by_name(kind):
    with pytest.raises(TypeError, match=f"model holds the {kind.__name__} 'rnn'"):
        gp.per_sample_clip(torch.sum, Recurrent(kind), torch.randn(2, 5, 3), 1.0)


@pytest.mark.parametrize(
    ("norm", "refused"),
    [
        (nn.BatchNorm1d(3), True),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), True),
        (nn.InstanceNorm1d(3, track_running_stats=True), True),
        (nn.InstanceNorm1d(3), False),
        (nn.LayerNorm(4), False),
    ],
)
def test_norms_that_mix_samples_are_refused_by_name(norm, refused):
    model, x = nn.Sequential(nn.Linear(4, 4), norm), torch.randn(5, 3, 4)
    if not refused:
        assert gp.per_sample_clip(torch.sum, model, x, 1.0)
        return
    with pytest.raises(ValueError, match=f"model holds the {type(norm).__name__} '1'"):
        gp.per_sample_clip(torch.sum, model, x, 1.0)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda out: out[:, 0], ValueError, "loss_fn must return one number for one sample.*reduction='none'"),
        (lambda out: out, ValueError, "loss_fn must return one number"),
        (lambda out: (out.sum(), 1), TypeError, "loss_fn must return a tensor, got tuple"),
        (lambda out: out.sum() if out.sum() > 0 else -out.sum(), ValueError, "loss_fn or model cannot be followed"),
        (lambda out: out.sum() * out.detach().sum().item(), ValueError, "loss_fn or model cannot be followed"),
    ],
)
def test_odd_losses_are_refused_by_name(loss, error, message):
    with pytest.raises(error, match=message):
        gp.per_sample_clip(loss, nn.Linear(3, 2), torch.randn(4, 3), 1.0)


@pytest.mark.parametrize(
    ("model", "batch", "error", "message"),
    [
        (nn.Linear(3, 1), (torch.ones(4, 3), torch.ones(5)), ValueError, "batch must have one label per sample"),
        (nn.Linear(3, 1), torch.ones(0, 3), ValueError, "batch must not be empty"),
        (nn.Linear(3, 1), np.ones((4, 3)), TypeError, "batch must hold tensors, got ndarray"),
        (nn.Linear(3, 1), {"x": torch.ones(4, 3)}, TypeError, r"got \w+; hand in x or a tuple"),
        (nn.Linear(3, 1), [3.0], TypeError, "batch must hold tensors, got float"),
        (torch.sum, torch.ones(4, 3), TypeError, "model must be a torch.nn.Module"),
        (nn.DataParallel(nn.Linear(3, 1)), torch.ones(4, 3), TypeError, "wrapped by DataParallel: use model.module"),
        (nn.Linear(3, 1).requires_grad_(False), torch.ones(4, 3), ValueError, "all of its parameters are frozen"),
    ],
)
def test_bad_models_and_batches_are_refused_by_name(model, batch, error, message):
    with pytest.raises(error, match=message):
        gp.per_sample_clip(torch.sum, model, batch, 1.0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 1)), "the Embedding '0' with sparse gradients"),
        (nn.Embedding(5, 3, sparse=True), "the Embedding '' with sparse gradients"),
        (nn.EmbeddingBag(5, 3, sparse=True, mode="sum"), "the EmbeddingBag '' with sparse gradients"),
    ],
)
def test_sparse_gradients_are_refused_by_name(model, message):
    with pytest.raises(TypeError, match=message):
        gp.per_sample_clip(torch.sum, model, torch.tensor([[1, 2], [3, 4]]), 1.0)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return checkpoint(self.layer, x, use_reentrant=False)


def test_checkpointing_is_refused_by_name():
    with pytest.raises(ValueError, match="cannot be followed for all samples at once .*checkpointing"):
        gp.per_sample_clip(torch.sum, Checkpointed(), torch.ones(2, 3), 1.0)
