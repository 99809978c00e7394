"""Adversarial losses against closed forms, PyTorch's cross-entropy and the theory of the optimal discriminator."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from gpcore import losses

REAL, FAKE = torch.tensor([2.0, -0.5, 0.25]), torch.tensor([-3.0, 0.5, 1.5])
OF_FAKE = [
    losses.minimax_generator_loss,
    losses.non_saturating_generator_loss,
    losses.least_squares_generator_loss,
    losses.hinge_generator_loss,
    losses.wasserstein_generator_loss,
]
OF_BOTH = [
    losses.discriminator_loss,
    losses.least_squares_discriminator_loss,
    losses.hinge_discriminator_loss,
    losses.wasserstein_critic_loss,
    losses.relativistic_discriminator_loss,
    losses.relativistic_generator_loss,
]


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


# One real score r and one fake score f, by the textbook formulas.
CLOSED_FORMS = {
    losses.discriminator_loss: lambda r, f: softplus(-r) + softplus(f),
    losses.minimax_generator_loss: lambda r, f: -softplus(f),
    losses.non_saturating_generator_loss: lambda r, f: softplus(-f),
    losses.least_squares_discriminator_loss: lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2,
    losses.least_squares_generator_loss: lambda r, f: 0.5 * (f - 1) ** 2,
    losses.hinge_discriminator_loss: lambda r, f: max(0, 1 - r) + max(0, 1 + f),
    losses.hinge_generator_loss: lambda r, f: -f,
    losses.wasserstein_critic_loss: lambda r, f: f - r,
    losses.wasserstein_generator_loss: lambda r, f: -f,
    losses.relativistic_discriminator_loss: lambda r, f: softplus(f - r),
    losses.relativistic_generator_loss: lambda r, f: softplus(r - f),
}


def call(loss, real, fake, **options):
    return loss(fake, **options) if loss in OF_FAKE else loss(real, fake, **options)


@pytest.mark.parametrize("loss", CLOSED_FORMS)
def test_closed_forms_and_reductions(loss):
    expected = torch.tensor([CLOSED_FORMS[loss](r, f) for r, f in zip(REAL.tolist(), FAKE.tolist(), strict=True)])
    torch.testing.assert_close(call(loss, REAL, FAKE, reduction="none"), expected)
    torch.testing.assert_close(call(loss, REAL, FAKE, reduction="sum"), expected.sum())
    torch.testing.assert_close(call(loss, REAL, FAKE), expected.mean())
    torch.testing.assert_close(call(loss, REAL[:, None], FAKE[:, None], reduction="none"), expected)


@settings(deadline=None, max_examples=50)
@given(st.floats(-700, 700), st.floats(-700, 700))
def test_closed_forms_at_any_score(r, f):
    real, fake = torch.tensor([r], dtype=torch.float64), torch.tensor([f], dtype=torch.float64)
    for loss, closed_form in CLOSED_FORMS.items():
        assert call(loss, real, fake).item() == pytest.approx(closed_form(r, f), rel=1e-12, abs=1e-300)


def test_cross_entropies_agree_with_pytorch():
    ones = torch.ones(3)
    expected = binary_cross_entropy_with_logits(REAL, ones) + binary_cross_entropy_with_logits(FAKE, 0 * ones)
    torch.testing.assert_close(losses.discriminator_loss(REAL, FAKE), expected)
    smoothed = binary_cross_entropy_with_logits(REAL, 0.9 * ones) + binary_cross_entropy_with_logits(FAKE, 0 * ones)
    torch.testing.assert_close(losses.discriminator_loss(REAL, FAKE, 0.9), smoothed)
    torch.testing.assert_close(losses.non_saturating_generator_loss(FAKE), binary_cross_entropy_with_logits(FAKE, ones))
    torch.testing.assert_close(losses.minimax_generator_loss(FAKE), -binary_cross_entropy_with_logits(FAKE, 0 * ones))


def test_the_value_is_minus_log_4_where_the_distributions_are_equal():
    assert -losses.discriminator_loss(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(-math.log(4))


def test_the_optimal_discriminator_is_p_over_p_plus_q():
    p, q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    logits = (p / q).log().requires_grad_()

    def expectation(logits):
        real = losses.discriminator_loss(logits, torch.full_like(logits, -1e3), reduction="none")
        fake = losses.discriminator_loss(torch.full_like(logits, 1e3), logits, reduction="none")
        return (p * real).sum() + (q * fake).sum()

    value = expectation(logits)
    (slope,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope))
    mean = (p + q) / 2
    divergence = ((p * (p / mean).log()).sum() + (q * (q / mean).log()).sum()) / 2
    assert -value.item() == pytest.approx(2 * divergence.item() - math.log(4))


@pytest.mark.parametrize("logit", [-100.0, 100.0])
@pytest.mark.parametrize("loss", CLOSED_FORMS)
def test_float32_is_exact_at_extreme_logits(loss, logit):
    real = torch.tensor([logit], requires_grad=True)
    fake = torch.tensor([-logit], requires_grad=True)
    value = call(loss, real, fake)
    assert value.item() == pytest.approx(CLOSED_FORMS[loss](logit, -logit), rel=1e-6, abs=1e-42)
    value.backward()
    assert fake.grad.isfinite().all() and (loss in OF_FAKE or real.grad.isfinite().all())


def test_the_saturating_gradient_vanishes_and_the_other_does_not():
    logits = torch.tensor([-20.0, 0.0, 20.0], dtype=torch.float64, requires_grad=True)
    discriminator = 1 / (1 + (-logits.detach()).exp())
    for loss, slope in [
        (losses.minimax_generator_loss, -discriminator),
        (losses.non_saturating_generator_loss, discriminator - 1),
    ]:
        (gradient,) = torch.autograd.grad(loss(logits, reduction="sum"), logits)
        torch.testing.assert_close(gradient, slope)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_critic_and_generator_pull_fake_scores_apart(name):
    """The catalogue's commonest slip: a flipped sign."""
    real, fake = torch.tensor([0.3, -0.2], requires_grad=True), torch.tensor([0.1, -0.4], requires_grad=True)
    critic_loss, generator_loss = losses.LOSSES[name]
    real_slope, fake_slope = torch.autograd.grad(critic_loss(real, fake), (real, fake))
    (generator_slope,) = torch.autograd.grad(generator_loss(real, fake), fake)
    assert (real_slope < 0).all() and (generator_slope < 0).all()
    if name == "least_squares":  # pulls fake scores to 0 from both sides
        torch.testing.assert_close(fake_slope, fake.detach() / 2)
    else:
        assert (fake_slope > 0).all()


def test_the_hinge_stops_at_the_margin():
    real, fake = torch.tensor([1.5, 0.5], requires_grad=True), torch.tensor([-1.5, -0.5], requires_grad=True)
    losses.hinge_discriminator_loss(real, fake, reduction="sum").backward()
    assert real.grad.tolist() == [0, -1] and fake.grad.tolist() == [0, 1]


def test_batches_of_two_sizes_are_averaged_apart():
    assert losses.wasserstein_critic_loss(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([7.0])).item() == 5.0
    with pytest.raises(ValueError, match="real and fake must have the same shape"):
        losses.wasserstein_critic_loss(torch.ones(3), torch.ones(1), reduction="none")
    for loss in (losses.relativistic_discriminator_loss, losses.relativistic_generator_loss):
        with pytest.raises(ValueError, match="real and fake must have the same shape"):
            loss(torch.ones(3), torch.ones(1))


@pytest.mark.parametrize("loss", OF_FAKE + OF_BOTH)
def test_bad_scores_are_refused(loss):
    good = torch.ones(2)
    for bad, error in [
        (torch.ones(2, 2), ValueError),
        (torch.ones(0), ValueError),
        (torch.tensor(1.0), ValueError),
        (torch.ones(2, dtype=torch.int64), TypeError),
        ([1.0, 2.0], TypeError),
    ]:
        with pytest.raises(error, match="fake"):
            call(loss, good, bad)
        if loss in OF_BOTH:
            with pytest.raises(error, match="real"):
                call(loss, bad, good)
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum', 'none', got 'median'"):
        call(loss, good, good, reduction="median")


@pytest.mark.parametrize("target", [-0.1, 1.1, math.nan, math.inf])
def test_real_target_must_be_a_probability(target):
    with pytest.raises(ValueError, match="real_target"):
        losses.discriminator_loss(REAL, FAKE, target)
