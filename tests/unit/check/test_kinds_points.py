"""Penalties whose caller chooses the points: they are handed interpolates, and are not accused of the points."""

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
def test_points_of_the_caller_are_interpolates(penalty):
    report = gp.check(penalty)
    assert report.ok and not report.names and report.family == "two-sided at interpolates", str(report)
    assert "the points that you give it" in " ".join(str(report).split())


def r1(real_pred, real_img):
    (grad,) = torch.autograd.grad(real_pred.sum(), real_img, create_graph=True)
    return grad.flatten(1).square().sum(1).mean() / 2


def test_samples_that_are_called_real_are_real():
    assert gp.check(r1).family == "R1"


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
