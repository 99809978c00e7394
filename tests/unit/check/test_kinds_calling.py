"""Penalties of every signature are called without an adapter where one retry can tell; and the command line."""

import json
import runpy
import sys

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

from gpcore.check.command import main
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


def test_a_refusal_says_first_what_to_type():
    def penalty(netD, real_data, fake_data, opt, device):
        raise AssertionError

    said = r"^Pass adapt=.*check\(penalty, adapt=lambda critic, real, fake: penalty\(netD=critic, real_data=real, "
    with pytest.raises(TypeError, match=said + r'fake_data=fake, opt=\.\.\., device="cpu"\)\)'):
        check(penalty)

    def raises(critic, real, fake):
        raise RuntimeError("word " * 100)

    with pytest.raises(ValueError, match=r"^Pass shape=.*word \.\.\.") as refused:
        check(raises)
    assert "wor " not in str(refused.value)


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


# ---------------------------------------------------------------- the command line

FILE = """
import torch
from neighbour import norms


def wrong(critic, real, fake):
    eps = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return ((gradient.norm(2, dim=1) - 1) ** 2).mean()


class Penalties:
    @staticmethod
    def right(critic, real, fake):
        eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
        x = (eps * real + (1 - eps) * fake).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return ((norms(gradient) - 1) ** 2).mean()


def step(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    optimizer.step()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)


def broken(critic, real, fake):
    raise RuntimeError("no such thing")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "mine.py").write_text(FILE)
    (tmp_path / "neighbour.py").write_text("def norms(gradient):\n    return gradient.flatten(1).norm(dim=1)\n")
    monkeypatch.chdir(tmp_path)


def test_exit_statuses(folder, capsys):
    assert main(["check", "mine.py:wrong"]) == 1
    assert "norm-over-channels" in capsys.readouterr().out
    assert main(["check", "mine.py:Penalties.right"]) == 0
    assert main(["check", "mine:Penalties.right", "--shape", "5", "--batch-size", "9"]) == 0
    capsys.readouterr()
    for target, said in [
        ("mine.py:broken", "no such thing"),
        ("mine.py:nothing", "has no nothing"),
        ("other.py:f", "is no file"),
        ("other:f", "is no module"),
        ("mine.py", "file.py:function"),
    ]:
        assert main(["check", target]) == 2
        out, err = capsys.readouterr()
        assert said in err and not out


def test_a_step_is_told_from_a_penalty(folder, capsys):
    assert main(["check", "mine.py:step"]) == 1 == main(["check", "mine.py:step", "--step"])
    assert capsys.readouterr().out.count("FAULT: clip-after-step") == 2


def test_json(folder, capsys):
    assert main(["check", "mine.py:wrong", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["subject"] == "wrong" and told["ok"] is False and told["findings"][0]["name"] == "norm-over-channels"
    assert told["findings"][0]["where"] == "line 10: `return ((gradient.norm(2, dim=1) - 1) ** 2).mean()`"
    assert "norm(dim=1)" in told["findings"][0]["fix"]
    assert main(["check", "mine.py:broken", "--json"]) == 2
    assert "no such thing" in json.loads(capsys.readouterr().err)["error"]


@pytest.mark.parametrize(
    "arguments", [[], ["check"], ["check", "a:b", "--shape", "3,x"], ["check", "a:b", "--batch-size", "0"]]
)
def test_what_is_no_command(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_python_dash_m(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpcore", "check", "mine.py:Penalties.right"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("gpcore", run_name="__main__")
    assert stopped.value.code == 0 and "no fault found" in capsys.readouterr().out
