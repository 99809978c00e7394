"""The checker against penalties that are wrong, each in one known way, and against right ones of every style.

The functions stand as people write them: the mistakes are those of public code, retold.
"""

import random
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import Variable, grad
from torch.func import functional_call, jacfwd, vmap
from torch.func import grad as func_grad

import gpcore as gp
from gpcore.check import calling
from gpcore.check.penalty import check

WRONG = []  # (function, faults, information)
RIGHT = []  # (function, family, information)


def wrong(*faults, also=()):
    def keep(function):
        WRONG.append(pytest.param(function, set(faults), set(also), id=function.__name__))
        return function

    return keep


def right(family="two-sided at interpolates", also=()):
    def keep(function):
        RIGHT.append(pytest.param(function, family, set(also), id=function.__name__))
        return function

    return keep


def mixed(real, fake):
    """What most of the functions below share and do rightly."""
    eps = torch.rand(real.shape[0], *[1] * (real.ndim - 1), device=real.device)
    return (eps * real + (1 - eps) * fake).detach().requires_grad_(True)


def slopes(critic, x, create_graph=True):
    return grad(critic(x).sum(), x, create_graph=create_graph)[0]


def two_sided(norms):
    return ((norms - 1) ** 2).mean()


# ---------------------------------------------------------------- the norm


@wrong("norm-over-channels")
def norm_over_dim_1(netD, real_data, fake_data):
    alpha = torch.rand(real_data.size(0), 1, 1, 1, device=real_data.device)
    alpha = alpha.expand(real_data.size())
    interpolates = alpha * real_data + ((1 - alpha) * fake_data)
    interpolates = Variable(interpolates, requires_grad=True)
    disc_interpolates = netD(interpolates)
    gradients = grad(
        outputs=disc_interpolates,
        inputs=interpolates,
        grad_outputs=torch.ones(disc_interpolates.size(), device=real_data.device),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean() * 10


@wrong("norm-over-channels")
def norm_over_the_last_dimension(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).norm(dim=-1))


@wrong("norm-over-channels")
def norm_over_one_image_plane(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).norm(dim=(2, 3)))


@wrong("norm-over-batch")
def norm_over_the_whole_batch(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).norm(2) - 1) ** 2


@wrong("norm-over-batch")
def mean_of_norms_then_square(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1).mean() - 1) ** 2


@wrong("norm-over-batch")
def norm_along_the_batch(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).norm(dim=0))


@wrong("norm-over-batch")
def mean_gradient(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).mean(0).norm() - 1) ** 2


@wrong("norm-per-element")
def no_norm_at_all(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)))


@wrong("norm-per-element")
def absolute_values_for_norms(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).abs())


@wrong("norm-per-element", "nan-at-zero-gradient")
def root_mean_square(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).square().mean(dim=(1, 2, 3)).sqrt())


@wrong("norm-per-element")
def r1_averaged_over_pixels(critic, real):
    x = real.detach().requires_grad_()
    return 0.5 * slopes(critic, x).pow(2).mean()


# ---------------------------------------------------------------- reduction, law, target


@wrong("sum-over-batch")
def summed(critic, real, fake):
    return ((slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1) ** 2).sum()


@wrong("sum-over-batch")
def r1_summed(critic, real, fake):
    x = real.detach().requires_grad_()
    return slopes(critic, x).pow(2).sum() / 2


@wrong("norm-over-batch")
def r1_of_the_mean_score(critic, real):
    x = real.detach().requires_grad_()
    (gradient,) = grad(critic(x).mean(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


@wrong("not-squared")
def absolute_difference(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1).abs().mean()


@wrong("not-squared")
def bare_difference(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1).mean()


@wrong("wrong-target")
def target_of_2(critic, real, fake):
    return ((slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 2) ** 2).mean()


@wrong("wrong-target", also=["one-sided"])
def one_sided_target_of_3(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 3).relu().square().mean()


@wrong("wrong-target")
def gradient_of_the_mean_score(critic, real, fake):
    x = mixed(real, fake)
    (gradient,) = grad(critic(x).mean(), x, create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


# ---------------------------------------------------------------- eps and points


@wrong("eps-per-element")
def eps_for_every_pixel(critic, real, fake):
    alpha = torch.rand_like(real)
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-shared")
def one_eps_for_the_batch(critic, real, fake):
    alpha = torch.rand(1, device=real.device)
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-per-element")
def eps_for_every_channel(critic, real, fake):
    alpha = torch.rand(*real.shape[:2], 1, 1, device=real.device)
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-not-uniform")
def eps_0_or_1(critic, real, fake):
    alpha = torch.bernoulli(torch.full((len(real), 1, 1, 1), 0.5, device=real.device))
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-shared")
def one_eps_from_numpy(critic, real, fake):
    alpha = np.random.uniform()
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-not-uniform")
def eps_from_a_normal(critic, real, fake):
    eps = torch.randn(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-not-uniform")
def eps_below_a_half(critic, real, fake):
    eps = 0.5 * torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-constant")
def eps_always_1(critic, real, fake):
    return two_sided(slopes(critic, real.detach().clone().requires_grad_()).flatten(1).norm(dim=1))


@wrong("eps-constant")
def eps_always_a_half(critic, real, fake):
    x = ((real + fake) / 2).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("eps-constant")
def the_same_eps_at_every_call(critic, real, fake):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("wrong-points")
def a_sign_slipped(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 + eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("wrong-points")
def differentiated_by_the_real_samples(critic, real, fake):
    real = real.detach().requires_grad_()
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    (gradient,) = grad(critic(eps * real + (1 - eps) * fake.detach()).sum(), real, create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@wrong("wrong-points")
def two_draws_of_eps(critic, real, fake):
    x = (
        torch.rand(len(real), 1, 1, 1, device=real.device) * real
        + torch.rand(len(real), 1, 1, 1, device=real.device) * fake
    )
    return two_sided(slopes(critic, x.detach().requires_grad_()).flatten(1).norm(dim=1))


@wrong("wrong-points")
def pure_noise(critic, real, fake):
    x = torch.randn_like(real).requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("wrong-points")
def real_and_fake_towards_1(critic, real, fake):
    x = torch.cat([real, fake]).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("global-rng-changed")
def seeds_the_generator(critic, real, fake):
    torch.manual_seed(42)
    return two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("global-rng-changed")
def seeds_with_an_unlucky_number(critic, real, fake):
    torch.manual_seed(6)  # three times the same 200 numbers would not look uniform, 200 of them do
    return two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("global-rng-changed")
def seeds_numpy(critic, real, fake):
    np.random.seed(0)
    eps = torch.as_tensor(np.random.uniform(size=(len(real), 1, 1, 1)), device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


# ---------------------------------------------------------------- graphs and extremes


@wrong("no-second-order-graph")
def create_graph_forgotten(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake), create_graph=False).flatten(1).norm(dim=1))


@wrong("no-second-order-graph")
def returns_a_number(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1)).item()


@wrong("no-second-order-graph")
def half_of_the_graph(critic, real, fake):
    norms = slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1)
    return ((norms - 1) * (norms.detach() - 1)).mean()


@wrong("no-second-order-graph")
def the_same_for_every_critic(critic, real, fake):
    def normalised(x):
        return nn.functional.batch_norm(critic(x).reshape(-1, 1), None, None, training=True)

    return two_sided(slopes(normalised, mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("nan-at-zero-gradient")
def bare_square_root(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).square().sum(dim=(1, 2, 3)).sqrt())


@wrong("penalty-on-probability")
def on_the_sigmoid(critic, real, fake):
    return two_sided(slopes(lambda x: torch.sigmoid(critic(x)), mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("penalty-on-probability")
def of_the_loss(critic, real, fake):
    def loss(x):
        return nn.functional.binary_cross_entropy_with_logits(critic(x), torch.ones_like(critic(x)), reduction="sum")

    return two_sided(slopes(loss, mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("batch-coupled")
def scores_scaled_over_the_batch(critic, real, fake):
    def scaled(x):
        scores = critic(x)
        return scores / (1 + scores.square().mean()).sqrt()

    return two_sided(slopes(scaled, mixed(real, fake)).flatten(1).norm(dim=1))


@wrong("half-precision-overflow")
def norms_in_half(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).half().flatten(1).norm(dim=1))


@wrong("half-precision-overflow")
def all_in_half(critic, real, fake):
    x = mixed(real, fake).detach().half().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@wrong("weight-inside")
def weight_twice(critic, real, fake, lambda_gp=1.0):
    return lambda_gp * (lambda_gp * two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1)))


@wrong("norm-over-channels", "eps-shared", "sum-over-batch", also=["fake-not-detached"])
def four_at_once(critic, real, fake):
    x = torch.lerp(fake, real, torch.rand(1, device=real.device).item()).requires_grad_()
    return (slopes(critic, x).norm(dim=1) - 1).pow(2).mean((1, 2)).sum()


@pytest.mark.parametrize(("penalty", "faults", "information"), WRONG)
def test_every_mutant_is_named_and_nothing_else(penalty, faults, information):
    report = check(penalty)
    assert set(report.faults) == faults, str(report)
    assert set(report.names) - set(report.faults) == information, str(report)
    assert not report.ok


# ---------------------------------------------------------------- right ones


@right()
def by_autograd(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))


@right(also=["weight-inside", "device-mismatch"])
def as_in_the_old_days(D, real_samples, fake_samples, device):
    alpha = torch.Tensor(np.random.random((real_samples.size(0), 1, 1, 1))).to(device)
    interpolates = Variable(alpha * real_samples + ((1 - alpha) * fake_samples), requires_grad=True)
    d_interpolates = D(interpolates)
    fake = Variable(torch.Tensor(real_samples.shape[0], 1).fill_(1.0), requires_grad=False)
    gradients = grad(d_interpolates, interpolates, grad_outputs=fake, create_graph=True, retain_graph=True)[0]
    gradients = gradients.view(gradients.size(0), -1)
    return 10 * ((gradients.norm(2, dim=1) - 1) ** 2).mean()


@right(also=["weight-inside"])
def guarded_root_and_a_lambda(netD, real, fake, lambda_=5.0):
    norms = torch.sqrt(slopes(netD, mixed(real, fake)).reshape(len(real), -1).pow(2).sum(1) + 1e-12)
    return lambda_ * (1 - norms).square().mean()


@right(also=["weight-inside", "device-mismatch"])
def a_tuple_with_a_constant_inside(netD, real_data, fake_data, device, type="mixed", constant=1.0, lambda_gp=10.0):
    alpha = torch.rand(real_data.shape[0], 1, device=device)
    alpha = alpha.expand(len(real_data), real_data.nelement() // len(real_data)).contiguous().view(*real_data.shape)
    x = alpha * real_data.detach() + (1 - alpha) * fake_data.detach()
    x.requires_grad_(True)
    scores = netD(x)
    gradients = grad(scores, x, torch.ones(scores.size()), create_graph=True)[0].view(real_data.size(0), -1)
    return (((gradients + 1e-16).norm(2, dim=1) - constant) ** 2).mean() * lambda_gp, gradients


@right()
def by_vmap_of_grad(critic, real, fake):
    def score(sample):
        return critic(sample[None]).squeeze()

    return two_sided(vmap(func_grad(score))(mixed(real, fake).detach()).flatten(1).norm(dim=1))


@right()
def by_a_functional_call(critic, real, fake):
    parameters = dict(critic.named_parameters())

    def score(sample):
        return functional_call(critic, parameters, (sample[None],)).sum()

    return two_sided(vmap(func_grad(score))(mixed(real, fake).detach()).flatten(1).norm(dim=1))


@right()
def by_forward_mode(critic, real, fake):
    gradients = vmap(jacfwd(lambda sample: critic(sample[None]).squeeze()))(mixed(real, fake).detach())
    return two_sided(gradients.flatten(1).norm(dim=1))


@right()
def by_a_jacobian(critic, real, fake):
    jacobian = torch.autograd.functional.jacobian(lambda x: critic(x).sum(), mixed(real, fake), create_graph=True)
    return two_sided(jacobian.flatten(1).norm(dim=1))


@right()
def one_sample_after_another(critic, real, fake):
    total = 0.0
    for r, f in zip(real.detach(), fake.detach(), strict=True):
        x = torch.lerp(f, r, random.random())[None].requires_grad_()
        total = total + (slopes(critic, x).norm() - 1) ** 2
    return total / len(real)


@right()
def one_value_a_sample(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1).square()


@right()
def eps_the_other_way_round_and_shuffled_pairs(critic, real, fake):
    eps = torch.rand(real.shape[0], 1, 1, 1, device=real.device).expand_as(real)
    fake = fake[torch.randperm(len(fake))]
    x = (real + eps * (fake - real)).detach().requires_grad_()
    return two_sided(torch.linalg.vector_norm(slopes(critic, x), dim=(1, 2, 3)))


@right()
def real_and_fake_first(x_real, x_fake, discriminator):
    return two_sided(slopes(discriminator, mixed(x_real, x_fake)).flatten(1).norm(dim=1))


@right()
def names_that_do_not_tell(f, x, y):
    return two_sided(slopes(f, mixed(x, y)).flatten(1).norm(dim=1))


@right()
def for_vectors_alone(critic, real, fake):
    eps = torch.rand(real.size(0), 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).norm(2, dim=1))


@right()
def ones_in_one_dimension(critic, real, fake):
    x = mixed(real, fake)
    (gradient,) = grad(critic(x), x, x.new_ones(len(x)), create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@right()
def casts_to_float(critic, real, fake):
    return two_sided(slopes(critic, mixed(real.float(), fake.float())).float().flatten(1).norm(dim=1))


@right()
def backward_to_the_points(critic, real, fake):
    x = mixed(real, fake)
    (gradient,) = grad(critic(x), x, torch.ones_like(critic(x)), create_graph=True, retain_graph=True)
    return two_sided(torch.einsum("nchw,nchw->n", gradient, gradient).clamp(min=1e-16).sqrt())


@right()
def with_a_generator_of_its_own(critic, real, fake, generator=torch.Generator().manual_seed(3)):  # noqa: B008
    eps = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@right("one-sided at interpolates", also=["one-sided"])
def lipschitz_penalty(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1).clamp(min=0).square().mean()


@right("hinge at interpolates", also=["one-sided"])
def hinge_not_squared(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1) - 1).clamp(min=0).mean()


@right(also=["weight-inside"])
def steps_by_itself(critic, real, fake):
    penalty = 10 * two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))
    penalty.backward()
    return penalty.detach()


@right(also=["fake-not-detached"])
def fake_keeps_its_graph(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


@right("zero-centred at interpolates")
def zero_centred(critic, real, fake):
    return slopes(critic, mixed(real, fake)).flatten(1).square().sum(1).mean()


@right("R1", also=["weight-inside"])
def r1(discriminator, real_img, gamma=10.0):
    real_img = real_img.detach().requires_grad_(True)
    (gradient,) = grad(discriminator(real_img).sum(), real_img, create_graph=True)
    return gamma / 2 * gradient.pow(2).reshape(gradient.shape[0], -1).sum(1).mean()


@right("R2")
def r2(critic, fake):
    return slopes(critic, fake.detach().requires_grad_()).square().sum(dim=(1, 2, 3)).mean() / 2


@right("R1 + R2")
def r1_and_r2(critic, real, fake):
    total = 0.0
    for x in (real.detach().requires_grad_(), fake.detach().requires_grad_()):
        total = total + slopes(critic, x).square().sum(dim=(1, 2, 3)).mean() / 2
    return total


@right("DRAGAN", also=["weight-inside"])
def dragan(critic, x):
    alpha = torch.rand(len(x), 1, 1, 1, device=x.device)
    around = x + 0.5 * x.std() * torch.rand_like(x)
    points = (x + alpha * (around - x)).detach().requires_grad_()
    return 10 * two_sided(slopes(critic, points).flatten(1).norm(dim=1))


@right("DRAGAN")
def dragan_gaussian(critic, real, fake):
    points = (real + 0.1 * torch.randn_like(real)).detach().requires_grad_()
    return two_sided(slopes(critic, points).flatten(1).norm(dim=1))


class AsModule(nn.Module):
    __name__ = "as_a_module"

    def __init__(self):
        super().__init__()
        self.scale = 1.0

    def forward(self, critic, real, fake):
        return self.scale * two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))


right()(AsModule())
right(also=["weight-inside"])(gp.gradient_penalty)
right("R1")(gp.r1_penalty)
right("R2")(gp.r2_penalty)
right("DRAGAN", also=["weight-inside"])(gp.dragan_penalty)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # raised inside torch's forward mode itself
@pytest.mark.parametrize(("penalty", "family", "information"), RIGHT)
def test_right_penalties_of_every_style_pass_clean(penalty, family, information):
    report = check(penalty)
    assert report.ok and set(report.names) == information, str(report)
    assert report.family == family
    assert not [s for s in report.undecided if penalty.__name__ != "for_vectors_alone"], str(report)


def test_there_are_enough_of_both():
    assert len(WRONG) >= 20 and len(RIGHT) >= 12


# ---------------------------------------------------------------- calling, deciding, reporting


def states():
    """The states of the global generators, each moved on once so that it is no seed's first."""
    torch.rand(1), np.random.rand(), random.random()
    return untouched_states()


def untouched_states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def test_the_random_states_stay_as_they_were():
    before = states()
    for penalty in (seeds_the_generator, seeds_numpy, one_eps_from_numpy, by_autograd, gp.gradient_penalty):
        check(penalty)
        assert untouched_states() == before


def test_it_works_under_no_grad_and_leaves_it():
    with torch.no_grad():
        assert check(by_autograd).ok and not torch.is_grad_enabled()


def test_it_takes_less_than_five_seconds():
    start = time.process_time()
    check(norm_over_dim_1)
    assert time.process_time() - start < 5


def test_a_report_gives_the_same_answer_twice():
    assert str(check(eps_from_a_normal)) == str(check(eps_from_a_normal))


def test_the_weight_is_recovered():
    for weight in (0.1, 1.0, 10.0):
        report = check(lambda critic, real, fake, w=weight: gp.gradient_penalty(critic, real, fake, weight=w))
        assert report.weight == pytest.approx(weight)
    assert check(lambda critic, real: gp.r1_penalty(critic, real, weight=7.0)).weight == pytest.approx(3.5)
    assert check(summed).weight == pytest.approx(1)


def test_observations_hold_the_measured_numbers():
    def observed(penalty):
        return check(penalty).findings[0].observed

    assert "towards 6 for 6 samples and 12 for 12: towards N" in observed(gradient_of_the_mean_score)
    assert "towards 2" in observed(target_of_2)
    assert "towards 13.9, the root of the 192 elements" in observed(root_mean_square)
    assert "passes through sigmoid" in observed(on_the_sigmoid) and "log sigmoid" in observed(of_the_loss)
    assert "torch.manual_seed" in observed(seeds_the_generator) and "numpy.random.seed" in observed(seeds_numpy)
    assert "eps is 0.5 for every sample" in observed(eps_always_a_half)
    assert "every call uses the same numbers" in observed(the_same_eps_at_every_call)
    assert "backward() itself" in check(steps_by_itself).notes[0]
    assert "over dim 1 alone" in observed(norm_over_dim_1) and "(N, 3, 8, 8)" in observed(norm_over_dim_1)


def test_a_minus_sign_and_a_weight_of_100_are_told():
    report = check(lambda critic, real, fake: -gp.gradient_penalty(critic, real, fake, weight=1.0))
    assert report.names == ("weight-inside",) and "minus sign" in report.findings[0].observed and report.ok
    report = check(lambda critic, real, fake: gp.gradient_penalty(critic, real, fake, weight=100.0))
    assert "applied twice?" in report.findings[0].observed


@pytest.mark.parametrize(
    "penalty",
    [
        lambda critic, real, fake, optimizer: 0,
        lambda: 0,
        lambda real_pred: 0,
        lambda real, fake: 0,
    ],
)
def test_arguments_that_do_not_tell_are_asked_for(penalty):
    with pytest.raises(TypeError, match=r"^Pass adapt="):
        check(penalty)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (lambda critic, real, fake: 0, "critic real fake"),
        (lambda real_imgs, fake_imgs, D: 0, "real fake critic"),
        (lambda netD, real_data, fake_data, batch_size, use_cuda, LAMBDA: 0, "critic real fake size cuda weight"),
        (lambda f, x, y: 0, "critic real fake"),
        (lambda x_real, x_fake, f: 0, "real fake critic"),
        (lambda d, x: 0, "critic real"),
        (lambda gen_data, real_data, D, lmda, cuda: 0, "fake real critic weight cuda"),
        (lambda discriminator, fake_img: 0, "critic fake"),
        (lambda model, data, generated, device="cuda", lambda_gp=10: 0, "critic real fake device weight"),
        (lambda critic, real, fake, alpha=None, verbose=False: 0, "critic real fake"),
    ],
)
def test_arguments_are_told_by_their_names(penalty, expected):
    assert list(calling.roles(penalty).values()) == expected.split()


def test_an_adapter_calls_anything():
    def penalty(real_pred, real_img):
        (gradient,) = grad(real_pred.sum(), real_img, create_graph=True)
        return gradient.square().flatten(1).sum(1).mean()

    def adapt(critic, real, fake):
        real = real.detach().requires_grad_()
        return penalty(critic(real), real)

    report = check(penalty, adapt=adapt)
    assert report.ok and report.family == "R1" and report.subject == "penalty"


def test_an_adapter_that_detaches_clears_the_finding():
    assert check(fake_keeps_its_graph, adapt=lambda c, r, f: fake_keeps_its_graph(c, r, f.detach())).ok


@pytest.mark.parametrize(
    ("penalty", "said"),
    [
        (lambda critic, real, fake: real.no_such_thing(), "no_such_thing"),
        (lambda critic, real, fake: None, r"returned\s+NoneType"),
        (lambda critic, real, fake: critic(real.flatten()).mean(), "the critic was called with shape"),
    ],
)
def test_what_cannot_be_called_is_said(penalty, said):
    with pytest.raises(ValueError, match=said):
        check(penalty)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="my_penalty must be a function, got int"):
        check(3)
    with pytest.raises(ValueError, match="critic and batch go together"):
        check(by_autograd, critic=nn.Linear(2, 1))


def test_a_shape_of_ones_own():
    def for_32_pixels(critic, real, fake):
        x = mixed(real.view(len(real), 3, 32, 32), fake)
        return two_sided(slopes(critic, x).norm(dim=1))

    report = check(for_32_pixels, shape=(3, 32, 32))
    assert report.faults == ("norm-over-channels",) and not report.undecided
    assert "(3, 8, 8)" in check(for_32_pixels).undecided[0]


# ---------------------------------------------------------------- on a GPU, without one

DEVICE, USE_CUDA = "cpu", False


def eps_on_the_cpu(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


def a_global_device(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=DEVICE)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


def cuda_behind_a_flag(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1)
    eps = eps.cuda() if USE_CUDA else eps
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


class Trainer:
    device = "cpu"

    def penalty(self, critic, real, fake):
        eps = torch.rand(len(real), 1, 1, 1, device=self.device)
        x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
        return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


def test_tensors_on_the_wrong_device_are_told_without_a_gpu():
    assert check(eps_on_the_cpu).names == ("device-mismatch",)
    for chooses in (a_global_device, cuda_behind_a_flag, Trainer().penalty):
        report = check(chooses)
        assert report.names == () and ["chooses a device" in said for said in report.undecided] == [True], str(report)


def test_what_is_decided_by_a_number_is_tried_all_the_same():
    def with_an_if(critic, real, fake):
        value = two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))
        return value if value.item() > 0 and bool(real.any()) and float(fake.sum()) else value * 0

    assert check(with_an_if).names == () and not check(with_an_if).undecided

    def by_numpy(critic, real, fake):
        value = two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))
        return value * float(np.sign(value.detach().numpy() + 1))

    assert "whether it runs on a GPU" in check(by_numpy).undecided[0]


def test_a_bare_cuda_is_recognised():
    def asks_for_a_gpu(critic, real, fake):
        raise AssertionError("Torch not compiled with CUDA enabled")

    with pytest.raises(ValueError, match=r"^Write x.to\(real.device\) in place of x.cuda\(\): it asks for a GPU"):
        check(asks_for_a_gpu)


# ---------------------------------------------------------------- met in public code


def leans_on_the_generator(critic, real, fake):
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = real * alpha + fake * (1 - alpha)  # has a graph where fake has one, and cannot be differentiated by otherwise
    scores = critic(x)
    (gradient,) = grad(scores, x, torch.ones_like(scores), create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


def refuses_a_graph(critic, real, fake):
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = real * alpha + fake * (1 - alpha)
    x.requires_grad = True  # raises where x has a graph already
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


def refuses_steep_critics(critic, real, fake):
    value = two_sided(slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1))
    assert value < 300
    return value


def between_real_samples(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, real.roll(1, 0))).flatten(1).norm(dim=1))


def between_fake_samples(critic, real, fake):
    return two_sided(slopes(critic, mixed(fake[torch.randperm(len(fake))], fake)).flatten(1).norm(dim=1))


def below_one_alone(critic, real, fake):
    return (1 - slopes(critic, mixed(real, fake)).flatten(1).norm(dim=1)).relu().square().mean()


def test_fake_samples_with_a_graph_are_given_to_those_that_lean_on_it():
    report = check(leans_on_the_generator)
    assert report.names == ("fake-not-detached",) and not report.undecided, str(report)


def test_what_refuses_aloud_is_not_accused():
    report = check(refuses_a_graph)
    assert report.ok and report.names == () and not report.undecided
    report = check(refuses_steep_critics)
    assert report.names == () and report.family == "two-sided at interpolates"
    assert "critics of slope 20, 35, 60: it raised AssertionError" in report.undecided[0]


@pytest.mark.parametrize("penalty", [between_real_samples, between_fake_samples])
def test_points_between_samples_of_one_kind_are_no_dragan(penalty):
    report = check(penalty)
    assert report.faults == ("wrong-points",) and "samples and" in report.findings[0].observed


def test_a_law_that_nobody_knows_is_not_vouched_for():
    for penalty in (below_one_alone, lambda critic, real, fake: critic(fake).mean() - critic(real).mean()):
        report = check(penalty)
        assert not report.ok and not report.recognised and report.faults == () and report.undecided


def test_a_batch_size_of_ones_own():
    def of_50_samples(critic, real, fake):
        eps = torch.rand(50, 1, 1, 1, device=real.device)
        x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
        return two_sided(slopes(critic, x).flatten(1).norm(dim=1))

    assert check(of_50_samples, batch_size=50).ok
    report = check(of_50_samples)
    assert report.ok and "a batch of 50 samples is written in" in report.notes


def test_messages_say_what_to_do():
    class Model:
        def penalty(self, real, fake):
            return 0

    with pytest.raises(TypeError, match="Its critic is an attribute of its object"):
        check(Model().penalty)
    with pytest.raises(TypeError, match="It takes no critic"):
        check(lambda real, fake: 0)
    with pytest.raises(ValueError, match="called with d_out as the scores, x_in as the real"):
        check(lambda d_out, x_in: d_out.no_such_thing())
    with pytest.raises(ValueError, match=r"(?s)^Pass adapt=.*it wants scores\s+where it was given a critic"):
        check(lambda critic, real: critic.size(7) * real.mean())


def test_tensor_types_are_a_choice_of_device():
    assert check(by_tensor_type).names == ()


Tensor = torch.FloatTensor


def by_tensor_type(critic, real, fake):
    alpha = Tensor(np.random.random((real.size(0), 1, 1, 1)))
    x = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    return two_sided(slopes(critic, x).flatten(1).norm(dim=1))


def test_sizes_that_are_written_in():
    def of_64_samples(netD, real_data, fake_data):
        alpha = (
            torch.rand(64, 1, device=real_data.device)
            .expand(64, real_data.nelement() // 64)
            .contiguous()
            .view(64, 3, 32, 32)
        )
        x = (alpha * real_data + (1 - alpha) * fake_data).detach().requires_grad_()
        return two_sided(slopes(netD, x).norm(2, dim=1))

    report = check(of_64_samples)
    assert report.faults == ("norm-over-channels",) and "on 64 samples of shape (3, 32, 32)" in report.undecided[0]
    assert "sums over the batch" in report.undecided[1]


def test_a_conditional_critic():
    def penalty(critic, real, fake, labels):
        x = mixed(real, fake)
        return two_sided(grad(critic(x, labels).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))

    assert check(penalty, adapt=lambda critic, real, fake: penalty(critic, real, fake, torch.ones(len(real)))).ok


def test_what_cannot_be_decided_is_said_and_nothing_is_guessed():
    def whole_loss(critic, real, fake):
        return critic(fake).mean() - critic(real).mean() + gp.gradient_penalty(critic, real, fake)

    def quotient(critic, real, fake):
        rise = (critic(real) - critic(fake)).flatten().abs()
        return two_sided(rise / (real - fake).flatten(1).norm(dim=1))

    def squared_norm(critic, real, fake):
        return two_sided(slopes(critic, mixed(real, fake)).square().flatten(1).sum(1))

    def finite_differences(critic, real, fake):
        x, step = mixed(real, fake).detach(), 1e-4 * torch.ones_like(real)
        return two_sided((critic(x + step) - critic(x - step)).abs() / (2 * step.flatten(1).norm(dim=1)))

    for penalty, said in [
        (whole_loss, "the values follow none that is known"),
        (quotient, "does not differentiate the critic"),
        (squared_norm, "is a square root missing"),
        (finite_differences, "does not differentiate the critic"),
    ]:
        report = check(penalty)
        assert not report.names and any(said in sentence for sentence in report.undecided), str(report)
        assert not report.ok and "not recognised, so it could not be judged" in str(report)


def test_ones_own_critic_is_checked_too():
    x = torch.randn(16, 5, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        coupled = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
        probability = nn.Sequential(nn.Linear(5, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), nn.Sigmoid())
        good = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 1))
    assert check(gp.r1_penalty, critic=coupled, batch=x).faults == ("batch-coupled",)
    assert check(gp.r1_penalty, critic=probability, batch=x).faults == ("penalty-on-probability",)
    assert check(gp.r1_penalty, critic=good, batch=x).ok


def test_reading_it():
    report = check(four_at_once)
    text, table = str(report), report._repr_html_()
    assert text.startswith("four_at_once: 3 faults.") and repr(report) == text
    assert max(len(line) for line in text.splitlines() if "https://" not in line) <= 76
    for finding in report.findings:
        assert finding.room.startswith("https://") and finding.room.endswith(f"16_bug_museum.html#room-{finding.name}")
        assert finding.name in text and finding.room in text and finding.room in table
        compile(finding.mend, finding.name, "exec")  # the mend is Python
    clean = check(by_autograd)
    assert str(clean).startswith("by_autograd: no fault found.") and "<table>" not in clean._repr_html_()


def test_a_critic_of_one_s_own_may_draw_and_remember():
    batch = torch.randn(8, 2)
    for seed in range(6):
        torch.manual_seed(seed)
        spectral = gp.spectral_norm_(gp.models.mlp_critic(2, 8, 2))
        before = [buffer.clone() for buffer in spectral.buffers()]
        dropout = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1))
        for critic in (spectral, dropout):
            assert check(gp.gradient_penalty, critic=critic, batch=batch).faults == ()
        assert all(torch.equal(a, b) for a, b in zip(before, spectral.buffers(), strict=True))
    with pytest.raises(ValueError, match="batch must hold at least 4 samples, got 3"):
        check(gp.gradient_penalty, critic=spectral, batch=batch[:3])
