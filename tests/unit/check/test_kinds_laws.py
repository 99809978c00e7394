"""Published laws that are not mistakes, values that are not finite, probes that can tell, effects not returned."""

import math

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch.autograd import grad

CASES = Cases()
judged = CASES.judged

# ---------------------------------------------------------------- laws


@judged(family="hinge at interpolates", said="a published formula in its own right")
def hinge(critic, real, fake):
    return (lengths(critic, mixed(real, fake)) - 1).clamp(min=0).mean()


@judged(family="hinge with the L-infinity norm at interpolates")
def hinge_of_the_largest(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).abs().flatten(1).amax(1) - 1).relu().mean()


@judged(family="two-sided with the L1 norm at interpolates")
def absolute_values(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).abs().flatten(1).sum(1))


@judged(family="norm to the power 6 at both real and fake samples", said="WGAN-div")
def divergence(critic, real, fake, k=2, p=6):
    total = 0.0
    for x in (real, fake):
        total = total + slopes(critic, x.detach().requires_grad_()).flatten(1).square().sum(1) ** (p / 2)
    return total.mean() * k / 2


@judged(family="norm to the power 6 at interpolates")
def divergence_between(critic, real, fake):
    return 2 * lengths(critic, mixed(real, fake)).pow(6).mean()


@judged(family="norm to the power 3 at the real samples")
def cubed(critic, real):
    return lengths(critic, real.detach().requires_grad_()).pow(3).mean()


@judged(family="two-sided at interpolates", said="pulled towards 750")
def progressive(critic, real, fake, target=750.0):
    return (lengths(critic, mixed(real, fake)) - target).square().mean() / target**2


class WithTarget:
    def __init__(self, centre):
        self.centre, self.__name__ = centre, "with_target"

    def __call__(self, critic, real, fake):
        return (lengths(critic, mixed(real, fake)) - self.centre).relu().square().mean()


judged(family="one-sided at interpolates", said="pulled towards 5, which is what it was told (self.centre)")(
    WithTarget(5.0)
)


@judged("wrong-target")
def a_number_in_the_formula(critic, real, fake):
    return (lengths(critic, mixed(real, fake)) - 4).square().mean()


class Lazy:
    def __init__(self, nothing, first=True):
        self.calls, self.nothing, self.first, self.__name__ = 0, nothing, first, f"lazy_{nothing}_{first}"

    def __call__(self, critic, real):
        self.calls += 1
        if self.calls % 4 != self.first:
            return self.nothing
        return 4 * 5 * lengths(critic, real.detach().requires_grad_()).square().mean()


for lazy in (Lazy(0.0), Lazy(None), Lazy(torch.zeros(()), first=False)):
    judged(family="R1", said="lazily")(lazy)


@judged(family="finite differences at the real samples (an approximate R1)")
def r1_without_a_gradient(critic, real):
    noise = 0.01 * torch.randn_like(real)
    return (critic(real) - critic(real + noise)).square().mean() / 0.01**2


@judged(family="finite differences at the fake samples (an approximate R2)")
def r2_without_a_gradient(critic, fake):
    both = critic(torch.cat([fake, fake + 0.05 * torch.randn_like(fake)]))
    return 100 * (both[: len(fake)] - both[len(fake) :]).square().mean()


@judged(family="finite differences at interpolates")
def between_without_a_gradient(critic, real, fake):
    x = mixed(real, fake).detach()
    return (critic(x + 0.001 * torch.randn_like(x)) - critic(x)).square().mean()


# ---------------------------------------------------------------- values that are not finite


@judged(ok=False, said="why its value is not finite: it is nan")
def nought_by_nought(critic, real, fake):
    value = two_sided(lengths(critic, mixed(real, fake)))
    return value * (value - value) / (value - value)


@judged(said="why its value is not finite: it is inf for critics of slope 20, 35, 60")
def infinite_above_ten(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return torch.where(norms > 19, math.inf, (norms - 1).square()).mean()


@judged(ok=False, said="why its value is not finite")
def logarithm_of_a_negative_number(critic, real, fake):
    return torch.log(-lengths(critic, mixed(real, fake))).mean()


# ---------------------------------------------------------------- probes that can tell


@judged("norm-over-batch")
def one_sided_of_the_mean_norm(critic, real, fake):
    return (lengths(critic, mixed(real, fake)).mean() - 1).relu().square()


@judged("norm-over-batch")
def the_first_sample_alone(critic, real, fake):
    return (lengths(critic, mixed(real, fake))[0] - 1) ** 2


@judged(batch_size=1, said="judged on one sample", family="two-sided at interpolates")
def one_eps_for_a_batch_of_one(critic, real, fake):
    eps = torch.rand(1, device=real.device)
    return two_sided(lengths(critic, (eps * real + (1 - eps) * fake).detach().requires_grad_()))


@judged(batch_size=1, said="judged on one sample", family="R1")
def summed_over_a_batch_of_one(critic, real):
    return slopes(critic, real.detach().requires_grad_()).square().sum()


@judged("eps-constant", batch_size=1)
def always_the_middle_of_one(critic, real, fake):
    return two_sided(lengths(critic, ((real + fake) / 2).detach().requires_grad_()))


@judged("condition-overwritten")
def eps_for_the_condition(critic, real, fake, alpha):
    alpha = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(grad(critic(x, alpha).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged("penalty-on-probability", "norm-over-batch")
def of_the_hinge_loss(critic, real):
    x = real.detach().requires_grad_()
    (gradient,) = grad((1 - critic(x)).relu().mean(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


@judged("penalty-on-probability")
def of_an_unknown_function(critic, real, fake):
    return two_sided(lengths(lambda x: torch.atan(critic(x)), mixed(real, fake)))


@judged("norm-over-channels", "norm-per-element")
def squares_averaged_over_pixels(critic, real):
    return slopes(critic, real.detach().requires_grad_()).square().sum(1).mean()


# ---------------------------------------------------------------- effects that are not returned


@judged(said="there is nothing left to add to a loss")
def trains_by_itself(critic, real, fake):
    value = 10 * two_sided(lengths(critic, mixed(real, fake)))
    value.backward()
    return value.item()


@judged(said="there is nothing left to add to a loss")
def trains_and_returns_nothing(critic, real, fake):
    (10 * two_sided(lengths(critic, mixed(real, fake)))).backward()


@judged("nan-at-zero-gradient")
def trains_with_a_bare_root(critic, real, fake):
    value = two_sided(slopes(critic, mixed(real, fake)).flatten(1).square().sum(1).sqrt())
    value.backward()
    return value.detach()


@judged("no-second-order-graph")
def trains_something_else(critic, real, fake):
    value = two_sided(lengths(critic, mixed(real, fake)))
    (2 * value).backward()
    return value.item()


# ---------------------------------------------------------------- kept graphs


@judged(said="a generator's parameter received")
def may_be_detached_by_the_caller(critic, real_samples, fake_samples):
    eps = torch.rand(len(real_samples), *[1] * (real_samples.ndim - 1), device=real_samples.device)
    return two_sided(lengths(critic, (eps * real_samples + (1 - eps) * fake_samples).requires_grad_(True)))


@judged("fake-not-detached", said="what it returns besides keeps")
def returns_its_gradients(critic, real, fake):
    eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    gradient = slopes(critic, (eps * real + (1 - eps) * fake).requires_grad_(True))
    return two_sided(gradient.flatten(1).norm(dim=1)), gradient


LOG = []


@judged("fake-not-detached", said="something that outlives the call keeps")
def logs_its_norms(critic, real, fake):
    eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    norms = lengths(critic, (eps * real + (1 - eps) * fake).requires_grad_(True))
    LOG.append(norms.mean())
    return two_sided(norms)


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_laws(penalty, expected, options):
    assert_judged(penalty, expected, options)
