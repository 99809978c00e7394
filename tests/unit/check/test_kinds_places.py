"""Penalties that differentiate elsewhere than at the critic's door, or at a mixture of places."""

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

CASES = Cases()
judged = CASES.judged

# ---------------------------------------------------------------- between the leaf and the critic


@judged(family="two-sided at interpolates")
def rescaled_to_minus_one_and_one(critic, real, fake):
    return two_sided(lengths(lambda x: critic(2 * x - 1), mixed(real, fake)))


@judged(family="R1")
def r1_through_an_augmentation(critic, real):
    x = real.detach().requires_grad_()
    score = critic(x.flip(-1) + 0.1 * torch.randn_like(x))
    return grad(score.sum(), x, create_graph=True)[0].square().flatten(1).sum(1).mean()


@judged(family="R1")
def r1_through_an_own_normaliser_per_sample(critic, real):
    x = real.detach().requires_grad_()

    def scaled(x):
        return critic(x / x.detach().flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1)))

    return 0.5 * lengths(scaled, x).square().mean()


@judged("norm-over-channels", family="two-sided at interpolates")
def wrong_norm_behind_a_normaliser(critic, real, fake):
    return two_sided(slopes(lambda x: critic((x - 0.5) / 0.25), mixed(real, fake)).norm(dim=1))


@judged("batch-coupled")
def normalised_by_the_batch_inside(critic, real, fake):
    return two_sided(lengths(lambda x: critic(x / x.square().mean().sqrt()), mixed(real, fake)))


@judged(family="zero-centred at real samples that were transformed before")
def r1_at_normalised_samples(critic, real):
    scale = torch.linspace(0.5, 2.0, real.shape[-1], dtype=real.dtype, device=real.device)
    x = ((real - 0.3) / scale).detach().requires_grad_()
    return lengths(critic, x).square().mean()


@judged(family="two-sided at interpolates of transformed samples")
def interpolates_of_normalised_samples(critic, real, fake):
    scale = torch.linspace(0.5, 2.0, real.shape[-1], dtype=real.dtype, device=real.device)
    return two_sided(lengths(critic, mixed(real / scale + 1, fake / scale + 1)))


@judged("wrong-points")
def by_the_fake_samples_alone(critic, real, fake):
    fake = fake.detach().requires_grad_()
    eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    score = critic(eps * real + (1 - eps) * fake).sum()
    return two_sided(grad(score, fake, create_graph=True)[0].flatten(1).norm(dim=1))


# ---------------------------------------------------------------- mixtures of places


@judged(family="two-sided at interpolates and both real and fake samples")
def at_interpolates_and_both_ends(critic, real, fake):
    x = torch.cat([real, mixed(real, fake), fake]).detach().requires_grad_()
    return two_sided(lengths(critic, x))


@judged(family="two-sided at interpolates and real samples")
def at_interpolates_and_real_ones(critic, real, fake):
    x = torch.cat([mixed(real, fake), real]).detach().requires_grad_()
    return two_sided(lengths(critic, x))


@judged("eps-shared", family="two-sided at interpolates and both real and fake samples")
def at_both_ends_and_one_eps_for_all(critic, real, fake):
    eps = torch.rand(1, device=real.device)
    x = torch.cat([eps * real + (1 - eps) * fake, real, fake]).detach().requires_grad_()
    return two_sided(lengths(critic, x))


@judged(family="two-sided at arcs between real and fake samples (slerp)")
def slerp(critic, real, fake):
    a, b = real.flatten(1), fake.flatten(1)
    angle = ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).acos()[:, None]
    t = torch.rand(len(a), 1, dtype=a.dtype, device=a.device)
    x = ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b
    return two_sided(lengths(critic, x.reshape(real.shape).detach().requires_grad_()))


@judged(family="two-sided at arcs between real and fake samples (slerp)")
def mixed_by_an_angle(critic, real, fake):
    t = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device) * torch.pi / 2
    return two_sided(lengths(critic, (t.cos() * real + t.sin() * fake).detach().requires_grad_()))


@judged(family="DRAGAN around both real and fake samples")
def dragan_on_both_sides(critic, real, fake):
    both = torch.cat([real, fake])
    x = both + 0.5 * both.std() * torch.rand_like(both) * 0.1
    return two_sided(lengths(critic, x.detach().requires_grad_()))


@judged(family="R1 + R2")
def r1_and_r2_in_one_batch(critic, real, fake):
    x = torch.cat([real, fake]).detach().requires_grad_()
    return lengths(critic, x).square().mean()


@judged(family="two-sided around interpolates")
def interpolates_with_noise(critic, real, fake):
    x = mixed(real, fake).detach()
    return two_sided(lengths(critic, (x + 0.05 * torch.randn_like(x)).requires_grad_()))


# ---------------------------------------------------------------- several inputs, parts, stacks and packs


def halves(critic):
    return lambda first, second: critic(torch.cat([first, second], dim=1))


def _of_two_parts(penalty):
    return lambda critic, real, fake: penalty(halves(critic), real[:, :2], real[:, 2:], fake[:, :2], fake[:, 2:])


def two_parts(critic, a, b, x, y):
    eps = torch.rand(len(a), 1, device=a.device)
    return [(eps * r + (1 - eps) * f).detach().requires_grad_() for r, f in ((a, x), (b, y))]


def joint(critic, a, b, x, y):
    inputs = two_parts(critic, a, b, x, y)
    gradients = grad(critic(*inputs).sum(), inputs, create_graph=True)
    return two_sided(torch.cat(gradients, 1).norm(dim=1))


def each(critic, a, b, x, y):
    inputs = two_parts(critic, a, b, x, y)
    gradients = grad(critic(*inputs).sum(), inputs, create_graph=True)
    return sum(two_sided(g.norm(dim=1)) for g in gradients)


def only_the_first(critic, a, b, x, y):
    inputs = two_parts(critic, a, b, x, y)
    return two_sided(grad(critic(*inputs).sum(), inputs, create_graph=True)[0].norm(dim=1))


def image_and_fixed_labels(critic, a, b, x, y):
    first = two_parts(critic, a, b, x, y)[0]
    return two_sided(grad(critic(first, b).sum(), first, create_graph=True)[0].norm(dim=1))


for function, said in (
    (joint, ()),
    (each, "each of the 2 inputs has its own norm"),
    (only_the_first, "only the norm of input 1 counts"),
    (image_and_fixed_labels, ()),
):
    judged(shape=(5,), adapt=_of_two_parts(function), said=said)(function)


@judged("norm-over-batch", shape=(5,))
def stacked_and_the_norm_along_the_batch(critic, real, fake):
    x = torch.stack([mixed(real, fake), real, fake]).detach().requires_grad_()
    return two_sided(slopes(critic, x).norm(2, dim=1))


@judged(shape=(5,), family="two-sided at interpolates and both real and fake samples")
def stacked_and_the_norm_along_the_last(critic, real, fake):
    x = torch.stack([mixed(real, fake), real, fake]).detach().requires_grad_()
    return two_sided(slopes(critic, x).norm(2, dim=-1))


@judged("norm-over-batch")
def gradients_made_a_tensor(critic, real, fake):
    x = mixed(real, fake)
    gradient = torch.stack(grad(critic(x).sum(), [x], create_graph=True))
    return two_sided(torch.linalg.vector_norm(gradient, dim=(1, 2, 3)))


class PackedDiscriminator(nn.Module):
    def forward(self, rows):
        raise NotImplementedError  # the check puts its own critic here

    def calc_gradient_penalty(self, real_data, fake_data, device="cpu", pac=5, lambda_=10):
        eps = torch.rand(len(real_data) // pac, 1, 1, device=device).repeat(1, pac, real_data.shape[1])
        eps = eps.view(-1, real_data.shape[1])
        x = eps * real_data + (1 - eps) * fake_data
        scores = self(x)
        (gradient,) = grad(scores, x, torch.ones_like(scores), create_graph=True)
        return two_sided(gradient.view(-1, pac * real_data.shape[1]).norm(2, dim=1)) * lambda_


def test_packed_samples():
    function = PackedDiscriminator().calc_gradient_penalty
    report = assert_judged(function, {"faults": set(), "ok": True, "family": None, "said": ("5 samples for one",)}, {})
    assert report.family == "two-sided at interpolates" and report.weight == pytest.approx(10)


def packed(critic, real, fake):
    rows = mixed(real.reshape(len(real) // 4, -1), fake.reshape(len(real) // 4, -1))
    return two_sided(lengths(critic, rows))


def norm_of_each_row_of_a_pack(critic, real, fake):
    eps = torch.rand(len(real) // 4, 1, 1, device=real.device).expand(-1, 4, 1).reshape(-1, 1)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = grad(critic(x).reshape(len(real) // 4, 1).sum(), x, create_graph=True)
    return two_sided(gradient.norm(2, dim=1))


judged(shape=(5,), batch_size=24, said="samples for one")(packed)
judged("norm-over-channels", shape=(5,), batch_size=24, said="samples for one")(norm_of_each_row_of_a_pack)


def packed_where_the_critic_does_not_show_it(critic, real, fake, pac=10):
    eps = torch.rand(len(real) // pac, 1, 1, device=real.device).repeat(1, pac, real.shape[1]).view(-1, real.shape[1])
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    scores = critic(x)
    (gradient,) = grad(scores, x, torch.ones_like(scores), create_graph=True)
    return two_sided(gradient.view(-1, pac * real.shape[1]).norm(2, dim=1))


judged(shape=(5,), batch_size=20, adapt=lambda *batch: packed_where_the_critic_does_not_show_it(*batch))(
    packed_where_the_critic_does_not_show_it
)


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_places(penalty, expected, options):
    assert_judged(penalty, expected, options)
