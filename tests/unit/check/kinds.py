"""What the tests of kinds of penalties share: functions with what is right to say of them."""

import pytest
import torch
from torch.autograd import grad

from gpcore.check.penalty import check


class Cases(list):
    """Functions as pytest parameters; each is expected to have these faults and no others."""

    def judged(self, *faults, family=None, said=(), ok=None, adapt=None, **options):
        """``said`` are parts of sentences in the report; ``ok`` is whether there are no faults unless given."""

        def keep(function):
            expected = {"faults": set(faults), "family": family, "said": (said,) if isinstance(said, str) else said}
            expected["ok"] = not faults if ok is None else ok
            self.append(pytest.param(function, expected, options | {"adapt": adapt}, id=function.__name__))
            return function

        return keep


def assert_judged(function, expected, options):
    report = check(function, **options)
    assert set(report.faults) == expected["faults"] and report.ok == expected["ok"], str(report)
    assert expected["family"] in (None, report.family), report.family
    sentences = " ".join([*report.notes, *report.undecided, *(f.observed for f in report.findings)])
    for part in expected["said"]:
        assert part in sentences, str(report)
    for line in str(report).splitlines():
        assert len(line) <= 76 or "https://" in line, line
    return report


def mixed(real, fake):
    eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    return (eps * real + (1 - eps) * fake).detach().requires_grad_()


def slopes(critic, x):
    return grad(critic(x).sum(), x, create_graph=True)[0]


def lengths(critic, x):
    return slopes(critic, x).flatten(1).norm(dim=1)


def two_sided(norms):
    return (norms - 1).square().mean()
