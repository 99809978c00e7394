"""Is my penalty right? Runs a function on crafted critics and batches, and says in words what it finds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .. import _checks
from . import calling
from .judges.device import judge_device
from .judges.eps import judge_eps
from .judges.graph import judge_graph
from .judges.law import UNUSUAL, find_law, judge_law, judge_lawless
from .laws import Law
from .mends import finding
from .points import Points, locate
from .probes import CannotCall, Subject, find_subject, own_random
from .report import Finding, Report


def _family(law: Law | None, points: Points) -> str:
    place = {"real and fake": "both real and fake samples", "elsewhere": "points of its own"}.get(points.place)
    place = place or {"real": "the real samples", "fake": "the fake samples"}.get(points.place, points.place)
    if law is None:
        return f"a penalty of unknown law at {place}"
    if law.target == 0 and law.kind == "two-sided":
        names = {"real": "R1", "fake": "R2", "real and fake": "R1 + R2"}
        return names.get(points.place, f"zero-centred at {place}".replace("at around", "around"))
    if points.place == "around real" and law.kind == "two-sided":
        return "DRAGAN"
    return f"{law.kind} at {place}".replace("at around", "around")


def _reseeds(subject: Subject) -> list[str]:
    one, two = subject.call(seed=11).after, subject.call(seed=12).after
    return [name for name in one if one[name] == two[name]]


def _judge_coupling(subject: Subject, points: Points) -> list[Finding]:
    """Where no law is known: do two samples act on each other? Their changes' effects must then add up."""

    def value(first: float, second: float) -> float:
        def changed(critic, real, fake):
            step = torch.zeros_like(real)
            step[0], step[1] = first, second
            return subject.function(critic, real + step, fake + step)

        return replace(subject, function=changed).call(slope=0.5, curve=2.0).value

    # DRAGAN's points hang together through the batch's deviation, and a private generator moves them at every call.
    if points.place.startswith("around") or value(0.0, 0.0) != value(0.0, 0.0):
        return []
    both, one, other, none = value(0.7, -0.9), value(0.7, 0.0), value(0.0, -0.9), value(0.0, 0.0)
    together, apart = both - none, (one - none) + (other - none)
    if abs(together - apart) <= 1e-4 * (abs(one - none) + abs(other - none)):
        return []
    said = f"changing two samples at once changes the penalty by {together:.4g}, one after the other by {apart:.4g}"
    return [finding("batch-coupled", said)]


def _judge_weight(function: Callable, subject: Subject, law: Law, weight: float, adapted: bool) -> list[Finding]:
    argument = None if adapted else calling.weight_argument(function)
    if argument is not None:
        one, three = (replace(subject, function=calling.adapt(function, w)).call(slope=3.0).value for w in (1.0, 3.0))
        if one and abs(three / one - 9) < 0.01:
            return [finding("weight-inside", f"it is applied twice: {argument}=3 gives 9 times the value", fault=True)]
    usual = (1.0, 0.5) if law.target == 0 else (1.0,)
    if any(abs(weight - w) < 1e-3 * w for w in usual):
        return []
    said = f"the value is {weight:.4g} times the law's mean"
    if argument is not None:
        said += f" (its argument {argument})"
    if weight < 0:
        said += ": a minus sign, right only where it is subtracted from the loss that is minimised"
    elif abs(weight - 100) < 0.1:
        said += ", 10 times 10: was the weight applied twice?"
    return [finding("weight-inside", said)]


def _judge_critic(critic: nn.Module | Callable, batch: Tensor) -> list[Finding]:
    """The reader's own critic: coupling between samples, and a sigmoid at its end."""
    if len(_checks.batch("batch", batch)) < 4:
        raise ValueError(f"batch must hold at least 4 samples, got {len(batch)}")

    def score(x: Tensor) -> Tensor:
        # Each time the same random numbers (dropout) and buffers (spectral norm); the reader's own are left alone.
        with own_random(0), torch.no_grad():
            return (copy.deepcopy(critic) if isinstance(critic, nn.Module) else critic)(x)

    found = []
    half = len(batch) // 2
    whole, other = score(batch), score(torch.cat([batch[:half], 2 * batch[half:] + 1]))
    far = (whole[:half] - other[:half]).abs().max()
    if not torch.allclose(whole[:half], other[:half], rtol=1e-3, atol=1e-5 * float(whole.abs().max() + 1)):
        said = f"the critic's scores of the same samples change by up to {far:.3g} with the rest of the batch"
        found.append(finding("batch-coupled", said))
    scores = torch.cat([score(scale * batch).flatten() for scale in (1.0, 10.0, 100.0)])
    if scores.min() >= 0 and scores.max() <= 1 and scores.max() > scores.min():
        said = f"the critic returns values in [{scores.min():.3g}, {scores.max():.3g}], even 100 times further out"
        found.append(finding("penalty-on-probability", said))
    return found


@torch.enable_grad()
def check(
    my_penalty: Callable,
    *,
    adapt: Callable[[Any, Tensor, Tensor], Any] | None = None,
    shape: tuple[int, ...] | None = None,
    critic: Callable[[Tensor], Tensor] | None = None,
    batch: Tensor | None = None,
    batch_size: int | None = None,
) -> Report:
    """Run a gradient penalty on crafted critics and batches, and report in words what is wrong with it.

    The critics' gradients are known in closed form, and the points at which the function differentiates them are
    recorded; from the values that it returns, the norm, the law, the target and the weight are recovered. A penalty is
    judged by its own kind: two-sided, one-sided, R1, R2, DRAGAN, zero-centred. Nothing but ``my_penalty`` (or
    ``adapt``, or ``critic``) is executed, on the CPU and, in a GPU's place, once on PyTorch's meta
    device; the global random states are left as they were.

    Args:
        my_penalty: function or module; its arguments are told by their names: critic, real and fake samples, and where
            it takes them a weight, a device, a batch size. It returns a scalar or one value a sample; of a tuple the
            first entry counts.
        adapt: a function ``(critic, real, fake) -> penalty`` that calls ``my_penalty``, where its arguments are others.
        shape: of one sample, for code that takes one size alone; by default images of (3, 8, 8), then vectors of 5.
        critic: your own critic, which is then checked too: for coupling between samples and for a sigmoid at its end.
        batch: samples ``(N, ...)`` for it, N at least 4.
        batch_size: of the crafted batches, for code that has one number written in; by default 6, then 64.

    Returns:
        The report; ``report.ok`` is False where there is a fault, or where the penalty follows no law that is known.
        ``assert check(my_penalty).ok`` is a test.

    Raises:
        TypeError: the arguments' names do not tell what they are.
        ValueError: the function raised on every batch, or returned what is no penalty; ``batch`` is too small.

    Source: the law, Gulrajani et al. 2017, eq. 3; its kinds as in :mod:`gpcore.penalties`.
    """
    if not callable(my_penalty):
        raise TypeError(f"my_penalty must be a function, got {type(my_penalty).__name__}")
    if (critic is None) != (batch is None):
        raise ValueError("critic and batch go together: give both or neither")
    name = getattr(my_penalty, "__name__", type(my_penalty).__name__)
    findings = _judge_critic(critic, batch) if critic is not None else []
    try:
        subject, refused = find_subject(adapt or calling.adapt(my_penalty), shape, batch_size)
    except CannotCall as error:
        raise CannotCall(f"{error}{'' if adapt else calling.described(my_penalty)}") from None
    undecided: list[str] = []
    if refused:
        first, why = next(iter(refused.items()))
        said = f"what it does with samples of shape {first}, where it raised {why.splitlines()[0][:150]}"
        undecided.append(f"{said}. It was checked on {subject.size} samples of shape {subject.shape}")

    seeds = _reseeds(subject)
    if seeds:
        findings.append(finding("global-rng-changed", f"it calls {', '.join(seeds)}: each call draws the same"))
    probe = subject.call(slope=0.7, curve=1.3)
    if probe.points is None:
        undecided.append("its points, norm and law: it does not differentiate the critic that it is given")
        findings += judge_graph(subject, None, undecided)
        family = "not a gradient penalty of the critic"
        return Report(name, family, _ordered(findings), tuple(undecided), recognised=False)

    points = locate(probe, subject)
    law, observed = find_law(subject, undecided)
    weight = None
    if law is None:
        found = judge_lawless(observed, points, undecided) or _judge_coupling(subject, points)
        findings += found
        if not found:
            undecided.append("its norm and law: the values follow none that is known. Is it the penalty alone?")
    else:
        found, weight = judge_law(law, subject, undecided)
        findings += found
        if law.kind in ("one-sided", "hinge"):
            findings.append(finding("one-sided", "norms below the target cost nothing"))
        if not found:
            findings += _judge_weight(my_penalty, subject, law, weight, adapt is not None)
    findings += _judge_place(subject, points, law, bool(seeds), undecided)
    findings += judge_graph(subject, law, undecided) + judge_device(my_penalty, subject, undecided)
    known = law is not None and law.norm not in UNUSUAL
    return Report(name, _family(law, points), _ordered(findings), tuple(undecided), weight, known)


def _judge_place(
    subject: Subject, points: Points, law: Law | None, reseeds: bool, undecided: list[str]
) -> list[Finding]:
    if points.place == "interpolates":
        return judge_eps(subject, points, reseeds, undecided)
    if points.place == "elsewhere":
        return [finding("wrong-points", points.text)]
    if law is None or law.target == 0 or points.place.startswith("around"):
        return []  # at the samples or around them: R1, R2, DRAGAN
    if points.place == "real and fake":
        return [finding("wrong-points", "the critic is differentiated at the samples themselves, never between them")]
    eps = 1 if points.place == "real" else 0
    said = f"every point is a {points.place} sample (eps = {eps}), but the law pulls towards the norm {law.target:.3g}"
    return [finding("eps-constant", said)]


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: not f.fault))
