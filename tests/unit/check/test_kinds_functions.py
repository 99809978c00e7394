"""Laws of the norm that are no square: recognised by their values, named where they have a name."""

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes
from torch.nn import functional as F

CASES = Cases()
judged = CASES.judged


def apart(critic, real, fake):
    return lengths(critic, mixed(real, fake)) - 1


@judged(family="Huber function of the norm at interpolates", said="a straight line beyond 1 from 1")
def huber(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return F.huber_loss(norms, torch.ones_like(norms))


@judged(family="Huber function of the norm at interpolates", said="a straight line beyond 0.5 from 1")
def smooth_absolute(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return 10 * F.smooth_l1_loss(norms, torch.ones_like(norms), beta=0.5)


@judged(family="one-sided Huber function of the norm at interpolates")
def huber_above_one(critic, real, fake):
    above = apart(critic, real, fake).relu()
    return F.huber_loss(above, torch.zeros_like(above), delta=2.0)


@judged(family="Huber function of the norm at the real samples", said="pulled towards 0")
def huber_of_r1(critic, real):
    norms = lengths(critic, real.detach().requires_grad_())
    return F.huber_loss(norms, torch.zeros_like(norms))


@judged(family="log-cosh function of the norm at interpolates")
def log_cosh(critic, real, fake):
    d = apart(critic, real, fake)
    return (d + F.softplus(-2 * d) - 0.6931471805599453).mean()


@judged(family="pseudo-Huber function of the norm at interpolates")
def charbonnier(critic, real, fake):
    return ((1 + apart(critic, real, fake).square()).sqrt() - 1).mean()


@judged(family="squared logarithm function of the norm at interpolates")
def squared_logarithm(critic, real, fake):
    return lengths(critic, mixed(real, fake)).clamp(min=1e-6).log().square().mean()


@judged(family="logarithmic function of the norm at the real samples", said="log(1 + |norm - 0|)")
def logarithm(critic, real):
    return lengths(critic, real.detach().requires_grad_()).log1p().mean()


@judged(family="logarithmic function of the norm at interpolates", said="log(1 + (norm - 1)^2)")
def logarithm_of_the_square(critic, real, fake):
    return apart(critic, real, fake).square().log1p().mean()


@judged(family="another function of the norm at interpolates", said="No formula of this kind is known here")
def fourth_power(critic, real, fake):
    return apart(critic, real, fake).pow(4).mean()


@judged(ok=False, said=("whether it is a penalty", "smallest near the norm 0;"))
def third_power(critic, real, fake):
    return apart(critic, real, fake).pow(3).mean()


@judged(ok=False, said=("whether it is a penalty", "Is a square or a sign missing?"))
def logarithm_with_a_minus(critic, real, fake):
    return -lengths(critic, mixed(real, fake)).log1p().mean()


@judged(ok=False, said="smallest near the norm 6;")
def huber_with_an_odd_target(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return F.huber_loss(norms, torch.full_like(norms, 6.0))


@judged("sum-over-batch", family="Huber function of the norm at interpolates")
def summed(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return F.huber_loss(norms, torch.ones_like(norms), reduction="sum")


@judged("no-second-order-graph", said="a part of the graph is missing")
def detached(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return F.huber_loss(norms.detach(), torch.ones_like(norms)) + 0 * norms.mean()


@judged("eps-constant")
def at_the_middle(critic, real, fake):
    norms = lengths(critic, ((real + fake) / 2).detach().requires_grad_())
    return F.huber_loss(norms, torch.ones_like(norms))


@judged(ok=False, said="the values follow none that is known")
def over_channels(critic, real, fake):
    norms = slopes(critic, mixed(real, fake)).norm(dim=1)
    return F.huber_loss(norms, torch.ones_like(norms))


@judged(ok=False, said="the values follow none that is known")
def of_the_mean_norm(critic, real, fake):
    return F.huber_loss(lengths(critic, mixed(real, fake)).mean(), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_functions(penalty, expected, options):
    assert_judged(penalty, expected, options)
