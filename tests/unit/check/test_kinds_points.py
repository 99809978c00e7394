"""Penalties whose caller chooses the points are not accused of them."""

import pytest
import torch

import gpcore as gp


def two_sided(scores, points):
    (grad,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    return ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()


def from_scores(scores, x_hat):
    return two_sided(scores, x_hat)


def interpolates_first(interpolates, disc_interpolates):
    return two_sided(disc_interpolates, interpolates)


class Solver:
    def gradient_penalty(self, y, x):
        return two_sided(y, x)


def with_a_critic(critic, x_hat):
    return two_sided(critic(x_hat), x_hat)


@pytest.mark.parametrize("penalty", [from_scores, interpolates_first, Solver().gradient_penalty, with_a_critic])
def test_points_of_the_caller_are_not_held_against_it(penalty):
    report = gp.check(penalty)
    assert report.ok and not report.names and report.family.startswith("two-sided"), str(report)
    assert "the points are its caller's" in " ".join(str(report).split())


@pytest.mark.parametrize("penalty", [from_scores, interpolates_first, with_a_critic])
def test_where_their_name_says_so_they_are_interpolates(penalty):
    assert gp.check(penalty).family == "two-sided at interpolates"


def r1(real_pred, real_img):
    (grad,) = torch.autograd.grad(real_pred.sum(), real_img, create_graph=True)
    return grad.flatten(1).square().sum(1).mean() / 2


def r1_of_anything(scores, x):
    (grad,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return grad.flatten(1).square().sum(1).mean() / 2


@pytest.mark.parametrize("penalty", [r1, r1_of_anything])
def test_a_penalty_of_norm_zero_is_handed_real_samples(penalty):
    report = gp.check(penalty)
    assert report.family == "R1" and not report.notes, str(report)


def wrong_norm(scores, x_hat):
    (grad,) = torch.autograd.grad(scores.sum(), x_hat, create_graph=True)
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


def test_their_norm_is_judged_all_the_same():
    assert gp.check(wrong_norm).faults == ("norm-over-channels",)


def broadcast(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(critic(x), x)


def test_an_eps_that_is_used_for_several_points_is_uniform():
    """On vectors (N, D) each eps meets all N pairs: N^2 points that are N draws."""
    assert gp.check(broadcast, shape=(5,)).faults == ("norm-over-batch",)
