"""Places with weights of their own, odd targets, critics with several scores, arcs and eps along one dimension."""

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

CASES = Cases()
judged = CASES.judged


def squares(critic, x):
    return slopes(critic, x.detach().requires_grad_()).flatten(1).square().sum(1)


# ---------------------------------------------------------------- places with weights of their own


@judged(family="R1 + R2, each with its own weight", said="5 at the real samples, 0.5 at the fake samples")
def two_gammas(critic, real, fake, r1_gamma=10.0, r2_gamma=1.0):
    return (r1_gamma / 2) * squares(critic, real).mean() + (r2_gamma / 2) * squares(critic, fake).mean()


@judged(family="two-sided at interpolates + R1, each with its own weight", said="10 at the points between")
def a_penalty_and_r1(critic, real, fake):
    return 10 * two_sided(lengths(critic, mixed(real, fake))) + 0.5 * squares(critic, real).mean()


@judged(family="R1 + R2, each with its own weight")
def one_batch_with_two_weights(critic, real, fake):
    both = squares(critic, torch.cat([real, fake]))
    return (3 * both[: len(real)] + both[len(real) :]).mean()


@judged("sum-over-batch", said="twice the batch gives twice the penalty")
def two_gammas_summed(critic, real, fake):
    return 5 * squares(critic, real).sum() + squares(critic, fake).sum()


@judged("norm-per-element", said="squares are averaged")
def two_gammas_of_means(critic, real, fake):
    at = (x.detach().requires_grad_() for x in (real, fake))
    return sum(weight * slopes(critic, x).square().mean() for weight, x in zip((5, 1), at, strict=True))


# ---------------------------------------------------------------- targets


@judged(said="a target that is meant")
def a_literal_target_and_its_square(critic, real, fake):
    norms = slopes(critic, mixed(real, fake)).flatten(1).square().sum(1).add(1e-8).sqrt()
    return ((norms - 750.0) ** 2).mean() * (10.0 / 750.0**2)


@judged("wrong-target", said="pulled towards -750, which no norm reaches")
def a_literal_target_with_a_wrong_sign(critic, real, fake):
    return (lengths(critic, mixed(real, fake)) + 750.0).square().mean() / 750.0**2


@judged("wrong-target", said="pulled towards -1, which no norm reaches")
def one_is_added(critic, real, fake):
    return (lengths(critic, mixed(real, fake)) + 1).square().mean()


@judged("wrong-target", said="pulled towards 2")
def halved(critic, real, fake):
    return (lengths(critic, mixed(real, fake)) / 2 - 1).square().mean()


class Centred(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("centre", torch.tensor(5.0))
        self.__name__ = "centred"

    def forward(self, critic, real, fake):
        return (lengths(critic, mixed(real, fake)) - float(self.centre)).square().mean()


judged(said="which is what it was told (self.centre)")(Centred())


@judged(family="zero-centred penalty of the largest norm at interpolates", said="MaxGP")
def the_steepest_alone(critic, real, fake):
    return lengths(critic, mixed(real, fake)).max() ** 2


# ---------------------------------------------------------------- critics that answer with several scores


@judged(said="several scales")
def lists_of_features(netD, real, fake):
    x = mixed(real, fake)
    gradients = [grad(scale[-1].sum(), x, create_graph=True)[0] for scale in netD(x)]
    return sum(two_sided(g.flatten(1).norm(dim=1)) for g in gradients) / len(gradients)


@judged("norm-over-channels", said="several scales")
def lists_of_features_by_pixel(netD, real, fake):
    x, total = mixed(real, fake), 0.0
    answer = netD(x)
    for i in range(len(answer)):
        total = total + two_sided(grad(answer[i][-1].sum(), x, create_graph=True)[0].norm(2, dim=1))
    return total


@judged("wrong-target", said="pulled towards 0.5")
def one_norm_of_all_scales(netD, real, fake):
    x = mixed(real, fake)
    (gradient,) = grad([scale[-1].sum() for scale in netD(x)], x, create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@judged(said="a single patch")
def mean_over_patches(netD, real, fake):
    return two_sided(lengths(lambda x: netD(x).mean(dim=[1, 2, 3]), mixed(real, fake)))


@judged(said="a single patch")
def shape_of_patches(netD, real, fake):
    x = mixed(real, fake)
    answer = netD(x)
    n, _, height, width = answer.shape
    (gradient,) = grad(answer, x, answer.new_ones(n, 1, height, width) / (height * width), create_graph=True)
    return two_sided(gradient.flatten(1).norm(dim=1))


@judged()
def losses_by_name(critic, real, fake):
    norms = lengths(critic, mixed(real, fake))
    return {"norm": norms.mean().item(), "gp": two_sided(norms)}


# ---------------------------------------------------------------- where the critic is found


@judged()
def wrapped(D, real, fake):
    return two_sided(lengths(D.module, mixed(real, fake)))


@judged()
def a_part_of_a_model(model, real, fake):
    return two_sided(lengths(lambda x: model.discriminator(x), mixed(real, fake)))


@judged("norm-over-channels")
def a_list_of_critics(critics, real, fake):
    return sum(two_sided(slopes(critic, mixed(real, fake)).norm(dim=1)) for critic in critics)


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.discriminator, self.__name__ = nn.Linear(5, 1), "loss"

    def forward(self, real, fake):
        return two_sided(lengths(self.discriminator, mixed(real, fake)))


class Called:
    def __init__(self):
        self.netD, self.__name__ = nn.Linear(5, 1), "called"

    def __call__(self, real_data, fake_data):
        return two_sided(slopes(self.netD, mixed(real_data, fake_data)).norm(dim=1))


class Labelled:
    def __init__(self):
        self.discriminator = nn.Linear(5, 1)

    def wgan_gp_reg(self, x_real, x_fake, y, center=1.0):
        return (lengths(lambda x: self.discriminator(x, y), mixed(x_real, x_fake)) - center).square().mean()


judged(family="two-sided at interpolates")(Loss())
judged("norm-over-channels")(Called())
judged(family="two-sided at interpolates")(Labelled().wgan_gp_reg)


@judged(family="R1")
def observations_are_vectors(disc_logit, obs_demo):
    return grad(disc_logit.sum(), obs_demo, create_graph=True)[0].square().sum(dim=-1).mean()


@judged()
def a_mask_of_the_hole(netD, real, fake, mask):
    return two_sided((slopes(netD, mixed(real, fake)) * mask).flatten(1).norm(dim=1))


@judged(family="R1")
def images_and_their_conditions(D, real_img, real_c):
    return squares(lambda x: D(x, real_c), real_img).mean()


# ---------------------------------------------------------------- points


def slerp(t, a, b, dim):
    angle = (nn.functional.normalize(a, dim=dim) * nn.functional.normalize(b, dim=dim)).sum(dim, keepdim=True).acos()
    return ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b


@judged(family="two-sided at arcs between real and fake samples (slerp along dim 1 alone)")
def slerp_of_channels(critic, real, fake):
    t = torch.rand(len(real), 1, 1, 1, device=real.device)
    return two_sided(lengths(critic, slerp(t, real, fake, 1).detach().requires_grad_()))


@judged(shape=(7, 4), family="two-sided at arcs between real and fake samples (slerp along dim 2 alone)")
def slerp_of_tokens(critic, real, fake):
    t = torch.rand(len(real), 1, 1, device=real.device)
    return two_sided(lengths(critic, slerp(t, real, fake, 2).detach().requires_grad_()))


@judged("eps-per-element", said="eps differs along dim 1 alone")
def eps_for_each_channel(critic, real, fake):
    eps = torch.rand(len(real), real.shape[1], 1, 1, device=real.device)
    return two_sided(lengths(critic, (eps * real + (1 - eps) * fake).detach().requires_grad_()))


@judged("eps-per-element", said="eps differs along dims 2 and 3 alone")
def eps_for_each_pixel(critic, real, fake):
    eps = torch.rand(len(real), 1, *real.shape[2:], device=real.device)
    return two_sided(lengths(critic, (eps * real + (1 - eps) * fake).detach().requires_grad_()))


# ---------------------------------------------------------------- gradients that are not what is returned


@judged("nan-at-zero-gradient", said="Are they for a direction alone")  # the direction has no guard
def along_the_steepest_direction(D, real, fake):
    x = torch.cat([real, fake]).detach()
    r = (0.01 * torch.randn_like(x)).requires_grad_()
    (direction,) = grad((D(x) - D(x + r)).abs().sum(), r)
    direction = 0.1 * direction / direction.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
    return ((D(x) - D(x + direction)).flatten().abs() / 0.1 - 1).relu().square().mean()


@judged("penalty-on-probability", "norm-over-batch")
def of_the_mean_cross_entropy(D, real):
    x = real.detach().requires_grad_()
    score = D(x)
    loss = nn.functional.binary_cross_entropy_with_logits(score, torch.ones_like(score))
    return grad(loss, x, create_graph=True)[0].flatten(1).square().sum(1).mean()


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_weights(penalty, expected, options):
    assert_judged(penalty, expected, options)
