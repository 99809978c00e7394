"""The hand-derived sweep against autograd, in float64: every layer, activation, place and shape of penalty."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gpcore as gp
from gpcore.sweep import critic_step as double_backprop
from gpcore.sweep import layers

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "softplus": lambda: nn.Softplus(beta=2.0),
    "inplace": lambda: nn.ReLU(inplace=True),
}


def mlp(act, last=None):
    return nn.Sequential(
        nn.Linear(5, 16), act(), nn.Sequential(nn.Linear(16, 12), (last or act)()), nn.Linear(12, 1), nn.Flatten(0)
    ).double()


def conv(act, last=None):
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        act(),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False),
        (last or act)(),
        nn.Flatten(),
        nn.Linear(6 * 16, 5),
        act(),
        nn.Linear(5, 1, bias=False),
    ).double()


def flat(act, last=None):
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 8), act(), nn.Identity(), nn.Linear(8, 1)).double()


CRITICS = {"mlp": (mlp, (5,)), "conv": (conv, (2, 8, 8)), "flat": (flat, (2, 3, 3))}


def case(kind, act, last=None, n=7, seed=0):
    build, shape = CRITICS[kind]
    torch.manual_seed(seed)
    critic = build(act, last)
    real, fake, noise = (torch.randn(n, *shape, dtype=torch.float64) for _ in range(3))
    return critic, real, fake, torch.rand(n, dtype=torch.float64), noise.sigmoid()


def by_autograd(critic, real, fake, loss, at, weight, target, one_sided, eps, noise):
    points = {
        "interpolates": lambda: gp.interpolate(real, fake, eps),
        "real": lambda: real,
        "fake": lambda: fake,
        "around_real": lambda: gp.penalties.dragan_points(real, noise, eps),
    }[at]()
    norms = gp.gradient_norms(critic, points)
    excess = (norms - target).relu() if one_sided else norms - target
    penalty = weight * excess.square().mean()
    value = loss(critic(real).flatten(), critic(fake).flatten())
    return value, penalty, norms, torch.autograd.grad(value + penalty, list(critic.parameters()))


def assert_equal_to_autograd(critic, real, fake, eps, noise, **settings_):
    given_ = dict(loss=gp.discriminator_loss, at="interpolates", weight=300.0, target=1.0, one_sided=False) | settings_
    value, penalty, norms, expected = by_autograd(critic, real, fake, **given_, eps=eps, noise=noise)
    loss = given_.pop("loss")
    step = gp.penalized_backward_(critic, real, fake, critic_loss=loss, **given_, eps=eps, noise=noise)
    torch.testing.assert_close(step.loss, value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(step.penalty, penalty, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(step.norms, norms, rtol=1e-12, atol=1e-12)
    for parameter, gradient in zip(critic.parameters(), expected, strict=True):
        scale = float(gradient.abs().max())
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-12, atol=1e-12 * max(scale, 1.0))


@pytest.mark.parametrize("at", double_backprop.AT)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", CRITICS)
def test_equals_autograd_with_the_penalty_dominating(kind, activation, at):
    assert_equal_to_autograd(*case(kind, ACTIVATIONS[activation]), at=at)


@pytest.mark.parametrize("at", double_backprop.AT)
@pytest.mark.parametrize("kind", ["mlp", "conv"])
@pytest.mark.parametrize(("first", "last"), [("relu", "tanh"), ("softplus", "leaky_relu")])
def test_straight_and_curved_activations_in_one_critic(kind, first, last, at):
    assert_equal_to_autograd(*case(kind, ACTIVATIONS[first], ACTIVATIONS[last]), at=at)


@pytest.mark.parametrize("shape", [dict(target=0.0), dict(one_sided=True), dict(one_sided=True, target=0.1)])
@pytest.mark.parametrize("loss", [gp.wasserstein_critic_loss, gp.relativistic_discriminator_loss])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_every_shape_of_penalty_and_losses_that_pair_samples(activation, loss, shape):
    assert_equal_to_autograd(*case("mlp", ACTIVATIONS[activation]), loss=loss, **shape)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 9), st.integers(0, 10**6), st.floats(0, 100), st.floats(0, 3), st.sampled_from(double_backprop.AT)
)
def test_any_batch_weight_and_target(n, seed, weight, target, at):
    assert_equal_to_autograd(*case("mlp", nn.Softplus, n=n, seed=seed), weight=weight, target=target, at=at)


@pytest.mark.parametrize("penalty", ["r1", "r2", "dragan", "gp"])
def test_equals_the_penalties_of_the_book(penalty):
    critic, real, fake, eps, noise = case("mlp", nn.ReLU)
    expected, arguments = {
        "r1": (lambda: gp.r1_penalty(critic, real, weight=3.0), dict(at="real", weight=1.5, target=0.0)),
        "r2": (lambda: gp.r2_penalty(critic, fake, weight=3.0), dict(at="fake", weight=1.5, target=0.0)),
        "dragan": (lambda: gp.dragan_penalty(critic, real, eps=eps, noise=noise), dict(at="around_real")),
        "gp": (lambda: gp.gradient_penalty(critic, real, fake, eps=eps), dict()),
    }[penalty]
    step = gp.penalized_backward_(critic, real, fake, eps=eps, noise=noise, **arguments)
    torch.testing.assert_close(step.penalty, expected().detach(), rtol=1e-13, atol=0)


def test_a_gradient_of_zero_gives_no_nan():
    critic, real, fake, eps, noise = case("mlp", nn.ReLU)
    with torch.no_grad():
        critic[-2].weight.zero_()
    step = gp.penalized_backward_(critic, real, fake, eps=eps)
    assert step.norms.eq(0).all() and float(step.penalty) == 10.0
    assert all(p.grad.isfinite().all() for p in critic.parameters())
    assert_equal_to_autograd(*case("mlp", nn.ReLU), loss=lambda real, fake: 0 * (real + fake).sum())


def test_linear_critic_by_hand():
    """f(x) = 3 x_1 + 4 x_2: norm 5, penalty 16, its gradient 2 (5 - 1) (3, 4) / 5 = (4.8, 6.4)."""
    critic = nn.Sequential(nn.Linear(2, 1)).double()
    with torch.no_grad():
        critic[0].weight.copy_(torch.tensor([[3.0, 4.0]]))
    x = torch.randn(6, 2, dtype=torch.float64)
    step = gp.penalized_backward_(critic, x, x, weight=1.0)
    assert float(step.penalty) == pytest.approx(16)
    torch.testing.assert_close(critic[0].weight.grad, torch.tensor([[4.8, 6.4]], dtype=torch.float64))
    assert float(critic[0].bias.grad) == pytest.approx(0)


def test_it_adds_to_gradients_like_backward_and_leaves_samples_and_frozen_weights_alone():
    critic, real, fake, eps, _ = case("mlp", nn.Tanh)
    critic[0].bias.requires_grad_(False)
    kept = real.clone()
    gp.penalized_backward_(critic, real.requires_grad_(), fake, eps=eps)
    once = [None if p.grad is None else p.grad.clone() for p in critic.parameters()]
    gp.penalized_backward_(critic, real, fake, eps=eps)
    for parameter, gradient in zip(critic.parameters(), once, strict=True):
        if gradient is None:
            assert parameter is critic[0].bias and parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, 2 * gradient)
    assert real.grad is None and torch.equal(real, kept)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 1)

    def forward(self, x):
        return self.layer(x).squeeze(1)


def hooked():
    critic = mlp(nn.ReLU)
    critic[0].register_forward_hook(lambda *_: None)
    return critic


UNSUPPORTED = {
    "own module": Own,
    "function": lambda: lambda x: x.sum(1),
    "hook": hooked,
    "spectral norm": lambda: gp.spectral_norm_(mlp(nn.ReLU)),
    "elu": lambda: mlp(nn.ELU),
    "batch norm": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
    "two scores": lambda: nn.Sequential(nn.Linear(5, 2)),
    "activation at the end": lambda: nn.Sequential(nn.Linear(5, 1), nn.ReLU()),
    "negative slope": lambda: nn.Sequential(nn.Linear(5, 4), nn.LeakyReLU(-0.1), nn.Linear(4, 1)),
    "no layer": lambda: nn.Sequential(nn.Flatten()),
    "convolution last": lambda: nn.Sequential(nn.Conv2d(1, 1, 3)),
    "padding by reflection": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(8, 1)
    ),
    "padding by name": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Flatten(), nn.Linear(8, 1)),
    "subclass": lambda: type("Seq", (nn.Sequential,), {})(nn.Linear(5, 1)),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_it_does_not_know_is_refused_and_not_guessed(name):
    critic = UNSUPPORTED[name]()
    assert not gp.supports(critic)
    with pytest.raises(ValueError, match="gradient_penalty"):
        gp.penalized_backward_(critic, torch.randn(3, 5), torch.randn(3, 5))


def test_the_critics_of_the_book_are_known():
    assert gp.supports(gp.models.mlp_critic(2)) and gp.supports(gp.models.conv_critic(8))
    assert layers.layers_of(gp.models.mlp_generator(2, 2)) and not layers.layers_of(gp.models.conv_generator(8, 2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(weight=-1.0), ValueError, "weight"),
        (dict(target=float("nan")), ValueError, "target"),
        (dict(at="nowhere"), ValueError, "at must be one of"),
        (dict(real=torch.zeros(0, 5)), ValueError, "real"),
        (dict(real=torch.zeros(3, 5)), ValueError, "same shape"),
        (dict(real=torch.zeros(7, 5, dtype=torch.int64)), TypeError, "real"),
        (dict(eps=torch.rand(3)), ValueError, "eps"),
        (dict(eps=2.0), ValueError, "eps"),
    ],
)
def test_bad_input_is_named(change, error, message):
    critic, real, fake, eps, _ = case("mlp", nn.ReLU)
    arguments = dict(real=real, fake=fake, eps=eps) | change
    with pytest.raises(error, match=message):
        gp.penalized_backward_(critic, arguments.pop("real"), arguments.pop("fake"), **arguments)
    assert all(p.grad is None for p in critic.parameters())


def test_autocast_is_refused():
    critic, real, fake, _, _ = case("mlp", nn.ReLU)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="autocast"):
        gp.penalized_backward_(critic, real, fake)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_what_is_not_finite_leaves_the_gradients_as_they_were(bad):
    critic, real, fake, eps, _ = case("mlp", nn.ReLU)
    gp.penalized_backward_(critic, real, fake, eps=eps)
    before = [p.grad.clone() for p in critic.parameters()]
    with torch.no_grad():
        critic[0].weight[0, 0] = bad
    with pytest.raises(FloatingPointError, match="finite"):
        gp.penalized_backward_(critic, real, fake, eps=eps)
    assert all(torch.equal(p.grad, g) for p, g in zip(critic.parameters(), before, strict=True))


def peak_bytes(step) -> int:
    """The most memory that stands at once while ``step`` runs, counted from every allocation."""
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_critics_share_their_activations(activation):
    """What is compiled for one critic then serves any other of its architecture, without a look into new functions."""
    first, second = (layers.layers_of(mlp(ACTIVATIONS[activation])) for _ in range(2))
    assert all(a.activation is b.activation for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_no_more_memory_than_autograd(kind):
    if kind == "mlp":
        critic, shape = gp.models.mlp_critic(2, 128, 3), (256, 2)
    else:
        critic, shape = gp.models.conv_critic(28, 16), (32, 1, 28, 28)
    real, fake = torch.randn(shape), torch.randn(shape)

    def public_way():
        critic.zero_grad()
        (gp.wasserstein_critic_loss(critic(real), critic(fake)) + gp.gradient_penalty(critic, real, fake)).backward()

    def by_hand():
        critic.zero_grad()
        gp.penalized_backward_(critic, real, fake)

    assert peak_bytes(by_hand) <= peak_bytes(public_way)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside torch.compile itself
@pytest.mark.usefixtures("compiler")
def test_compiled_it_gives_the_same():
    critic, real, fake, eps, _ = case("mlp", nn.ReLU)
    gradients = []
    for compile in (False, True):
        critic.zero_grad()
        step = gp.penalized_backward_(critic, real, fake, eps=eps, compile=compile)
        gradients.append([step.loss, step.penalty, step.norms, *(p.grad for p in critic.parameters())])
    for plain, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, compiled, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="compile=True"):
        gp.train(gp.Config(constraint="none", steps=1, compile=True, device="cpu"))


@pytest.mark.filterwarnings("ignore")  # raised inside torch.compile itself
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_replayed_as_a_cuda_graph_it_gives_the_same_and_keeps_what_it_gave():
    losses = []
    for compile in (False, True):
        critic, real, fake, eps, _ = case("mlp", nn.ReLU)
        critic, (real, fake, eps) = critic.cuda(), (x.cuda() for x in (real, fake, eps))
        adam = torch.optim.Adam(critic.parameters(), lr=1e-2, fused=True)
        steps = []
        for _ in range(10):  # the first are recorded, the others replayed, with weights that move
            adam.zero_grad()
            steps.append(gp.penalized_backward_(critic, real, fake, eps=eps, compile=compile))
            adam.step()
        losses.append(torch.stack([step.loss + step.penalty for step in steps]))
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)
    assert len(set(losses[1].tolist())) == 10


def test_a_softplus_with_an_early_threshold_is_left_to_autograd():
    assert gp.supports(mlp(nn.Softplus)) and not gp.supports(mlp(lambda: nn.Softplus(threshold=2)))


def test_samples_that_are_not_finite_leave_the_gradients_alone():
    critic, real = mlp(nn.ReLU), torch.randn(3, 5).double()
    for p in critic.parameters():
        p.grad = torch.ones_like(p)
    for batch in ((torch.full_like(real, torch.nan), real), (real, torch.full_like(real, torch.nan))):
        with pytest.raises(FloatingPointError, match="must be finite"):
            gp.penalized_backward_(critic, *batch)
    with pytest.raises(FloatingPointError, match="the loss must be finite"):
        gp.penalized_backward_(critic, real, real, critic_loss=lambda a, b: (a.sum() + b.sum()) * torch.nan)
    assert all((p.grad == 1).all() for p in critic.parameters())
