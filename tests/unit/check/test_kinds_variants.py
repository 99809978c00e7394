"""Further penalties of each kind: both-sided DRAGAN, largest elements, several inputs, samples that take no part."""

import inspect

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

from gpcore.check.penalty import check

CASES = Cases()
judged = CASES.judged

# ---------------------------------------------------------------- around both


@judged(family="DRAGAN around both real and fake samples")
def noise_on_both_in_two_calls(critic, real, fake):
    return sum(
        two_sided(lengths(critic, (x + 0.1 * torch.randn_like(x)).detach().requires_grad_())) for x in (real, fake)
    )


@judged("norm-over-channels", family="DRAGAN around both real and fake samples")
def noise_on_both_by_pixel(critic, real, fake):
    x = torch.cat([fake, real])
    x = (x + 0.3 * x.std() * torch.rand_like(x)).detach().requires_grad_()
    return two_sided(slopes(critic, x).norm(dim=1))


@judged(family="zero-centred points around both real and fake samples")
def zero_centred_with_noise_on_both(critic, real, fake):
    x = torch.cat([real, fake])
    x = (x + 0.05 * torch.randn_like(x)).detach().requires_grad_()
    return lengths(critic, x).square().mean()


# ---------------------------------------------------------------- hinge, largest elements


@judged(family="hinge at interpolates", said="with t = 2, not squared")
def hinge_at_two(critic, real, fake, k=2.0):
    return (lengths(critic, mixed(real, fake)) - k).relu().mean()


@judged("wrong-points", family="hinge at both real and fake samples", said="a published formula in its own right")
def hinge_at_the_samples(critic, real, fake):
    x = torch.cat([real, fake]).detach().requires_grad_()
    return (lengths(critic, x) - 1).clamp(min=0).mean()


@judged(family="two-sided with the L-infinity norm at interpolates", said="L-infinity")
def largest_element(critic, real, fake):
    return two_sided(slopes(critic, mixed(real, fake)).flatten(1).abs().amax(1))


@judged("eps-shared", family="one-sided with the L-infinity norm at interpolates")
def largest_element_above_one(critic, real, fake):
    eps = torch.rand(1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    return (slopes(critic, x).flatten(1).norm(float("inf"), dim=1) - 1).relu().square().mean()


# ---------------------------------------------------------------- several inputs, each with its norm


def nodes_and_edges(critic, real, fake):
    return (real[:, :2], real[:, 2:]), (fake[:, :2], fake[:, 2:]), lambda a, b: critic(torch.cat([a, b], 1))


def between(real, fake):
    eps = torch.rand(len(real[0]), 1, device=real[0].device)
    return [(eps * r + (1 - eps) * f).detach().requires_grad_() for r, f in zip(real, fake, strict=True)]


def each_by_its_own_call(critic, real, fake):
    inputs = between(real, fake)
    total = 0.0
    for x in inputs:
        total = total + two_sided(grad(critic(*inputs).sum(), x, create_graph=True)[0].norm(dim=1))
    return total


def mean_over_inputs(critic, real, fake):
    inputs = between(real, fake)
    gradients = grad(critic(*inputs).sum(), inputs, create_graph=True)
    return torch.stack([two_sided(g.flatten(1).norm(dim=1)) for g in gradients]).mean()


def squared_of_each(critic, real, fake):
    inputs = between(real, fake)
    gradients = grad(critic(*inputs).sum(), inputs, create_graph=True)
    return sum(g.square().sum(1).mean() for g in gradients)


def adapted(penalty):
    def call(critic, real, fake):
        first, second, joint = nodes_and_edges(critic, real, fake)
        return penalty(joint, first, second)

    return call


judged(shape=(5,), adapt=adapted(each_by_its_own_call), said="2 inputs has its own norm")(each_by_its_own_call)
judged(shape=(5,), adapt=adapted(mean_over_inputs), said="each of the 2 inputs has its own norm")(mean_over_inputs)
judged(shape=(5,), adapt=adapted(squared_of_each), family="zero-centred at interpolates")(squared_of_each)


# ---------------------------------------------------------------- steep critics, samples that take no part


@judged("norm-over-batch")
def hinge_of_the_mean_norm(critic, real, fake):
    return (lengths(critic, mixed(real, fake)).mean() - 1).relu()


@judged("norm-over-batch")
def mean_gradient_above_one(critic, real, fake):
    return (slopes(critic, mixed(real, fake)).mean(0).norm() - 1).relu().square()


@judged(said="take no part in the penalty", family="two-sided at interpolates")
def half_of_the_batch(critic, real, fake):
    half = len(real) // 2
    return two_sided(lengths(critic, mixed(real[:half], fake[:half])))


@judged(said="of 6 samples those numbered 2, 4, 6 take no part", family="R1")
def every_other_sample(critic, real):
    return lengths(critic, real[::2].detach().requires_grad_()).square().mean()


# ---------------------------------------------------------------- conditions


@judged("condition-overwritten")
def fade_overwritten(discriminator, real, fake, step, alpha):
    alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (real * alpha + fake * (1 - alpha)).detach().requires_grad_()
    (gradient,) = grad(discriminator(x, step, alpha).sum(), x, create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@judged("condition-overwritten")
def labels_by_name_overwritten(critic, real, fake, labels):
    labels = torch.rand(len(real), 1, device=real.device)
    mix = labels.view(-1, *[1] * (real.ndim - 1))
    x = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    return two_sided(grad(critic(x, labels=labels).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged()
def a_condition_that_is_only_called_alpha(critic, real, fake, alpha):
    x = mixed(real, fake)
    return two_sided(grad(critic(x, alpha).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


# ---------------------------------------------------------------- calling


@judged(said="answers with a dictionary")
def scores_by_name(discriminator, real, fake):
    x = mixed(real, fake)
    answer = discriminator(x)
    (gradient,) = grad(answer["adv"].sum(), x, create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@judged("norm-over-batch")
def volumes(critic, real_volume, fake_volume, labels):
    eps = torch.rand(len(real_volume), 1, 1, 1, 1, device=real_volume.device)
    x = (eps * real_volume + (1 - eps) * fake_volume).detach().requires_grad_()
    return (grad(critic(x, labels).sum(), x, create_graph=True)[0].norm(2) - 1) ** 2


BATCH = 40


@judged(said="a batch of 40 samples is written in", family="two-sided at interpolates")
def of_a_global_size(netD, real_data, fake_data):
    eps = torch.rand(BATCH, 1, device=real_data.device).expand(BATCH, real_data.nelement() // BATCH)
    eps = eps.contiguous().view(real_data.shape)
    return two_sided(lengths(netD, (eps * real_data + (1 - eps) * fake_data).detach().requires_grad_()))


# ---------------------------------------------------------------- autocast inside


@judged(family="two-sided at interpolates")
def right_under_autocast(critic, real, fake):
    x = mixed(real, fake)
    with torch.autocast(real.device.type, dtype=torch.bfloat16):
        scores = critic(x)
    return two_sided(grad(scores.float().sum(), x, create_graph=True)[0].float().flatten(1).norm(dim=1))


@judged("norm-over-batch")
def wrong_under_autocast(critic, real, fake):
    x = mixed(real, fake)
    with torch.autocast(real.device.type, dtype=torch.bfloat16):
        return (slopes(critic, x).norm(2) - 1) ** 2


@judged(family="R1")
def r1_outside_of_autocast(critic, real):
    with torch.autocast(real.device.type, dtype=torch.bfloat16):
        x = real.detach().requires_grad_()
        with torch.autocast(real.device.type, enabled=False):
            return lengths(critic, x).square().mean()


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_variants(penalty, expected, options):
    assert_judged(penalty, expected, options)


# ---------------------------------------------------------------- lines


class Losses:
    def __init__(self):
        self.netD = nn.Linear(5, 1)

    def penalty(self, real, fake):
        eps = torch.randn(len(real), *[1] * (real.ndim - 1), device=real.device)
        x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
        (gradient,) = grad(self.netD(x).sum(), x)
        return (gradient.flatten(1).norm(dim=1) - 1).square().sum()


def of_the_sum(critic, real, fake):
    x = (real + fake).detach().requires_grad_()
    norms = grad(critic(x).mean(), x, create_graph=True)[0].flatten(1).norm(dim=1)
    return (norms - 1).square().mean()


@pytest.mark.parametrize(
    ("penalty", "code"),
    [
        (
            Losses().penalty,
            {
                "eps-not-uniform": "eps = torch.randn",
                "no-second-order-graph": "(gradient,) = grad(self.netD",
                "sum-over-batch": "return (gradient",
            },
        ),
        (of_the_sum, {"eps-constant": "x = (real + fake)", "wrong-target": "return (norms - 1)"}),
    ],
)
def test_lines_of_methods_and_functions(penalty, code):
    source, first = inspect.getsourcelines(penalty)
    report = check(penalty)
    assert set(report.faults) == set(code), str(report)
    for finding in report.findings:
        if finding.fault:
            number = next(i for i, line in enumerate(source) if line.strip().startswith(code[finding.name]))
            assert finding.where.startswith(f"line {first + number}: `{code[finding.name]}"), finding.where
