"""What is said where a function cannot be called; and the command line."""

import json
import re
import runpy
import sys

import pytest

from gpcore.check.command import main
from gpcore.check.penalty import check


def test_a_refusal_says_first_what_to_type():
    def penalty(netD, real_data, fake_data, opt, device):
        raise AssertionError

    with pytest.raises(TypeError) as refused:
        check(penalty)
    assert str(refused.value).splitlines() == [
        "Pass adapt=, and fill in opt:",
        "  lambda critic, real, fake: penalty(",
        '      netD=critic, real_data=real, fake_data=fake, opt=..., device="cpu")',
        "Its names do not tell what to give for opt.",
    ]


def raising(error, shape=None):
    def penalty(netD, real_data, fake_data):
        raise error

    return penalty


@pytest.mark.parametrize(
    ("penalty", "first", "told"),
    [
        (raising(RuntimeError("word " * 100)), "Pass shape=(3, 64, 64), the shape of one of your samples", "word ..."),
        (raising(NameError("name 'LAMBDA' is not defined")), "Define LAMBDA before the check", "NameError: name"),
        (raising(AssertionError("Torch not compiled with CUDA enabled")), "Write x.to(real.device)", "CUDA enabled"),
        (raising(AttributeError("'Critic' object has no attribute 'head'")), "Pass adapt=, a function", "asks its"),
        (lambda critic, real, fake: "penalty", "Let it return the penalty", "the function returned str"),
        (lambda critic, real, fake: real.reshape(-1, 1009).mean(), "Pass shape=", "is invalid for input of size"),
    ],
)
def test_a_refusal_is_short_and_summarises_its_tries(penalty, first, told):
    with pytest.raises(ValueError) as refused:
        check(penalty)
    text = str(refused.value)
    assert text.startswith(first) and told in text and len(text.splitlines()) < 12, text
    assert all(len(line) <= 76 for line in text.splitlines()), text
    assert re.search(r"^It raised in each of \d+ tries, on 6 or 64 samples", text, re.MULTILINE), text
    # Messages that differ in their numbers alone are one kind.
    assert text.count("is invalid for input") <= 1 and "wor " not in text
    names = "netD as the critic, real_data as the real" in " ".join(text.split())
    assert names == (penalty.__name__ == "penalty"), text


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


def of_a_trainer(netD, real, fake, opt):
    return 0.0


def odd_step(optimizer, batches, queue):
    queue.get()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("mine", "neighbour"):  # what is imported meanwhile is taken out again
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
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
        assert all(len(line) <= 76 for line in err.splitlines()), err


def test_the_command_line_says_first_what_to_type(folder, capsys):
    for target, lines in [
        ("mine.py:broken", ["Add --shape 3,64,64, the shape of one of your samples, or --batch-size 64."]),
        (
            "mine.py:of_a_trainer",
            ["Check this in its place, and fill in opt:", "  def adapted(critic, real, fake):"]
            + ["      return of_a_trainer(netD=critic, real=real, fake=fake, opt=...)"],
        ),
        (
            "mine.py:odd_step",
            ["Check this in its place, and fill in queue:"]
            + ["  def step(model, optimizer, loss_fn, batches, max_norm):"]
            + ["      return odd_step(optimizer=optimizer, batches=batches, queue=...)"],
        ),
        ("mine.py:nothing", ["mine.py:nothing could not be checked. ValueError: mine.py has no nothing; it"]),
    ]:
        assert main(["check", target]) == 2
        err = capsys.readouterr().err.splitlines()
        assert err[: len(lines)] == lines and all(len(line) <= 76 for line in err), err
        assert lines[0].startswith("mine") or f"{target} could not be called." in err, err


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
