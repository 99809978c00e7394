"""Penalties of every signature are called without an adapter where one retry can tell."""

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

from gpcore.check.penalty import check

CASES = Cases()
judged = CASES.judged


@judged(family="R1")
def r1_of_scores_and_images(real_pred, real_img):
    (gradient,) = grad(real_pred.sum(), real_img, create_graph=True)
    return gradient.pow(2).reshape(len(gradient), -1).sum(1).mean()


@judged(family="R1")
def r1_of_an_output(d_out, x_in):
    return 0.5 * grad(d_out.sum(), x_in, create_graph=True)[0].pow(2).flatten(1).sum(1).mean()


@judged(family="R1")
def of_samples_and_critics(samples, critics):
    return grad(critics.sum(), samples, create_graph=True)[0].square().flatten(1).sum(1)


@judged("eps-constant")
def two_sided_of_images_and_output(images, output, weight=10):
    (gradient,) = grad(output, images, torch.ones_like(output), create_graph=True, retain_graph=True)
    return weight * two_sided(gradient.reshape(len(images), -1).norm(2, dim=1))


@judged(said="the points are its caller's")
def of_y_and_x(y, x):
    (gradient,) = grad(y, x, torch.ones_like(y), create_graph=True)
    return two_sided(gradient.view(len(x), -1).norm(dim=1))


@judged(family="R1 + R2")
def scores_and_images_of_both(real_pred, real_img, fake_pred, fake_img):
    total = 0.0
    for scores, images in ((real_pred, real_img), (fake_pred, fake_img)):
        total = total + grad(scores.sum(), images, create_graph=True)[0].square().flatten(1).sum(1).mean()
    return total


@judged(said="answers with a pair")
def a_pair(discriminator, real, fake):
    x = mixed(real, fake)
    scores, _ = discriminator(x)
    return two_sided(grad(scores.sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged(said="answers with a pair")
def the_first_of_a_pair(discriminator, real, fake):
    return two_sided(lengths(lambda x: discriminator(x)[0], mixed(real, fake)))


@judged(said="answers with a triple")
def the_middle_of_a_triple(discriminator, real, fake):
    def score(x):
        _, scores, _ = discriminator(x)
        return scores

    return two_sided(lengths(score, mixed(real, fake)))


@judged(said="answers with a dictionary")
def a_dictionary(discriminator, real, fake):
    return two_sided(lengths(lambda x: discriminator(x)["logits"], mixed(real, fake)))


@judged(said="answers with a dictionary")
def an_object(discriminator, real, fake):
    return two_sided(lengths(lambda x: discriminator(x).logits, mixed(real, fake)))


@judged()
def videos(critic, real_clips, fake_clips):
    eps = torch.rand(len(real_clips), 1, 1, 1, 1, device=real_clips.device)
    x = (eps * real_clips + (1 - eps) * fake_clips).detach().requires_grad_()
    return two_sided(torch.linalg.vector_norm(slopes(critic, x), dim=(1, 2, 3, 4)))


@judged("norm-over-channels")
def videos_by_frame(critic, real_clips, fake_clips):
    eps = torch.rand(len(real_clips), 1, 1, 1, 1, device=real_clips.device)
    x = (eps * real_clips + (1 - eps) * fake_clips).detach().requires_grad_()
    return two_sided(torch.linalg.vector_norm(slopes(critic, x), dim=(1, 3, 4)))


@judged(said="a batch of 50 samples is written in")
def of_fifty(critic, real, fake):
    eps = torch.rand(50, 1, 1, 1, device=real.device)
    return two_sided(lengths(critic, (eps * real + (1 - eps) * fake).detach().requires_grad_()))


@judged("norm-over-channels", said="a batch of 32 samples is written in")
def of_thirty_two(netD, real_data, fake_data):
    eps = torch.rand(32, 1).expand(32, real_data.nelement() // 32).contiguous().view(real_data.shape)
    eps = eps.to(real_data)
    x = (eps * real_data + (1 - eps) * fake_data).detach().requires_grad_()
    return two_sided(slopes(netD, x).norm(2, dim=1))


@judged()
def with_labels(netD, real_data, fake_data, labels):
    x = mixed(real_data, fake_data)
    return two_sided(grad(netD(x, labels).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged()
def with_a_step_and_a_fade(critic, real, fake, alpha, train_step, device="cpu"):
    x = mixed(real, fake)
    return two_sided(grad(critic(x, alpha, train_step).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged("norm-over-channels")
def in_half_the_time(critic, real, fake):
    x = mixed(real, fake)
    with torch.autocast(real.device.type, dtype=torch.bfloat16):
        scores = critic(x)
    return two_sided(grad(scores.sum(), x, create_graph=True)[0].norm(dim=1))


class Trainer:
    def __init__(self):
        self.D, self.weight = nn.Linear(5, 1), 10.0

    def gradient_penalty(self, real_images, fake_images):
        return self.weight * two_sided(lengths(self.D, mixed(real_images, fake_images)))

    def r1(self, x):
        return lengths(self.D, x.detach().requires_grad_()).square().mean()


class Own(nn.Module):
    def forward(self, x):
        raise NotImplementedError

    def penalty(self, real, fake):
        return two_sided(lengths(self, mixed(real, fake)))


def test_methods_whose_critic_is_their_object_s():
    trainer, own = Trainer(), Own()
    critic = trainer.D
    for method, family in ((trainer.gradient_penalty, "two-sided at interpolates"), (trainer.r1, "R1")):
        assert_judged(method, {"faults": set(), "ok": True, "family": family, "said": ()}, {})
    assert trainer.D is critic and "forward" not in vars(own)
    assert_judged(own.penalty, {"faults": set(), "ok": True, "family": None, "said": ()}, {})


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_calling(penalty, expected, options):
    assert_judged(penalty, expected, options)


def test_lines_of_the_reader_s_own():
    def penalty(critic, real, fake):
        eps = torch.rand(1, device=real.device)
        x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
        (gradient,) = grad(torch.sigmoid(critic(x)).sum(), x, create_graph=True)
        norms = gradient.square().sum(dim=1).sqrt()
        return (norms - 1).abs().mean()

    first = penalty.__code__.co_firstlineno
    report = check(penalty)
    where = {f.name: f.where for f in report.findings}
    assert where["eps-shared"] == f"line {first + 1}: `eps = torch.rand(1, device=real.device)`"
    assert where["norm-over-channels"].startswith(f"line {first + 4}: `norms = ")
    assert where["nan-at-zero-gradient"].startswith(f"line {first + 4}: ")
    assert where["penalty-on-probability"].startswith(f"line {first + 3}: ")
    assert where["not-squared"].startswith(f"line {first + 5}: `return ")
    text = str(report)
    assert "Fix:" in text and "Mend" not in text and f"Line {first + 1}: `eps" in text
    assert f"line {first + 1}: <code>eps = torch.rand" in report._repr_html_()
