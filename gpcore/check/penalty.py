"""Is my penalty right? Runs a function on crafted critics and batches, and says in words what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from . import calling, source
from .functions import AnyLaw, any_law
from .judges.critic import judge_critic
from .judges.device import judge_device
from .judges.differences import finite_differences
from .judges.eps import judge_eps
from .judges.function import judge_function
from .judges.graph import aside, judge_graph
from .judges.law import SQUARED, judge_law, judge_lawless
from .judges.mixture import judge_mixture
from .judges.samples import judge_conditions, judge_other_shapes, judge_samples
from .laws import Law
from .lines import point_to_lines
from .mends import finding
from .mixtures import Mixture
from .observe import Observed, probe, repacked
from .points import Points, locate, misled
from .probes import ANSWERS, Call, Subject
from .report import Finding, Report, short
from .subjects import Given, better_size, find_subject
from .ways import candidates


def _family(law: Law | AnyLaw | None, points: Points) -> str:
    at = "" if points.place.startswith("around") else "at "
    if law is None:
        return f"a penalty of unknown formula {at}{points}"
    if isinstance(law, AnyLaw):
        return f"{law.name.split(',')[0].split(' (')[0] or 'another'} function of the norm {at}{points}"
    kind = {"power": f"norm to the power {law.power:.3g}"}.get(law.kind, law.kind)
    if law.norm.kind == "each input":
        kind = f"{kind}, one norm for each input,"
    elif law.norm.name == "largest":
        kind = f"{'zero-centred' if law.target == 0 else kind} penalty of the largest norm"
    elif law.norm.name in ("L1", "Linf"):
        kind = f"{kind} with the {'L1' if law.norm.name == 'L1' else 'L-infinity'} norm"
    elif law.target == 0 and law.kind == "two-sided":
        names = {"real": "R1", "fake": "R2", "real and fake": "R1 + R2"}
        return names.get(points.place, f"zero-centred {at}{points}")
    elif points.place == "around real" and law.kind == "two-sided":
        return "DRAGAN"
    elif points.place == "around both" and law.kind == "two-sided":
        return "DRAGAN around both real and fake samples"
    return f"{kind} {at}{points}"


def _reseeds(subject: Subject) -> list[str]:
    one, two = subject.call(seed=11).after, subject.call(seed=12).after
    return [name for name in one if one[name] == two[name]]


def _judge_weight(function: Callable, subject: Subject, law: Law, weight: float, adapted: bool) -> list[Finding]:
    argument = None if adapted else calling.weight_argument(function)
    if argument is not None:
        tries = [replace(subject, function=calling.adapt(function, w)) for w in (1.0, 3.0)]
        try:
            one, three = (tried.call(slope=3.0).value for tried in tries)
        except Exception:  # called another way than by its names alone
            one = three = 0.0
        if one and abs(three / one - 9) < 0.01:
            return [finding("weight-inside", f"it is applied twice: {argument}=3 gives 9 times the value", fault=True)]
    usual = (1.0, 0.5) if law.target == 0 else (1.0,)
    if any(abs(weight - w) < 1e-3 * w for w in usual):
        return []
    said = f"the value is {weight:.4g} times the formula's mean"
    if argument is not None:
        said += f" (its argument {argument})"
    if weight < 0:
        said += ": a minus sign, right only where it is subtracted from the loss that is minimised"
    elif abs(weight - 100) < 0.1:
        said += ", 10 times 10: was the weight applied twice?"
    return [finding("weight-inside", said)]


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
    recorded; from the values that it returns, the norm, the formula, the target and the weight are recovered. What lies
    between the tensor that it differentiates by and the critic counts as part of the critic. A penalty is judged by its
    own kind: two-sided, one-sided, hinge, R1, R2, DRAGAN, WGAN-div, zero-centred. Nothing but ``my_penalty`` (or
    ``adapt``, or ``critic``) is executed, on the CPU and, in a GPU's place, once on PyTorch's meta device; the global
    random states are left as they were.

    Args:
        my_penalty: function, method or module; its arguments are recognised by name: critic, real and fake samples, or
            scores and samples, and where it takes them a weight, a device, a batch size, labels. It returns a scalar or
            one value per sample; of a tuple the first entry counts.
        adapt: a function ``(critic, real, fake) -> penalty`` that calls ``my_penalty``, where its arguments are others.
        shape: of one sample, for code that takes one size alone; by default images of (3, 8, 8), then vectors of 5.
        critic: your own critic, which is then checked too: for coupling between samples and for a sigmoid at its end.
        batch: samples ``(N, ...)`` for it, N at least 4.
        batch_size: of the crafted batches, for code that has one number written in; by default 6, then 64.

    Returns:
        The report; ``report.ok`` is False if there is a fault or the penalty is not recognised; notes do not affect it.
        ``assert check(my_penalty).ok`` is a test.

    Raises:
        TypeError: the arguments' names do not tell what they are.
        ValueError: the function raised on every batch, or returned what is no penalty; ``batch`` is too small. Both
            messages say first what to type.

    Source: the formula, Gulrajani et al. 2017, eq. 3; its kinds as in :mod:`gpcore.penalties`.

    Example:
        >>> import gpcore as gp
        >>> report = gp.check(gp.r1_penalty)
        >>> report.ok, report.family
        (True, 'R1')
    """
    if not callable(my_penalty):
        raise TypeError(f"my_penalty must be a function, got {type(my_penalty).__name__}")
    if (critic is None) != (batch is None):
        raise ValueError("critic and batch go together: give both or neither")
    name = getattr(my_penalty, "__name__", type(my_penalty).__name__)
    findings = judge_critic(critic, batch) if critic is not None else []
    functions = [adapt] if adapt else candidates(my_penalty)
    numbers, vectors = source.written_in(my_penalty), calling.takes_vectors(my_penalty)
    read_as = "" if adapt else calling.described(my_penalty)
    pack = source.packs(my_penalty)
    subject, refused = find_subject(Given(functions, shape, batch_size, pack, numbers, vectors, read_as))
    subject = subject if shape or batch_size else better_size(subject, numbers)
    seeds = _reseeds(subject)
    if seeds:
        findings.append(finding("global-rng-changed", f"it calls {', '.join(seeds)}: each call draws the same"))
    seen = probe(subject)
    if seen.known is None and seen.observations:
        subject, seen = repacked(subject, seen)
    if seen.known is None:
        seen = replace(seen, function=any_law(subject, seen))
    undecided, notes = _said_of_calling(subject, refused, batch_size)
    with source.named_numbers(my_penalty) as named:
        call = subject.call(slope=0.7, curve=1.3, lines=True)
    differences = finite_differences(subject) if call.layout is None and not call.trace.parameters else None
    weight = None
    if differences is not None:
        family, weight = differences
        notes.append("it takes no gradient: it compares scores at two places close together")
        findings += judge_graph(subject, None, undecided, notes) + judge_device(my_penalty, subject, undecided)
    elif call.layout is None:
        said = "its points, norm and formula: it does not differentiate the critic that it is given"
        if call.trace.parameters:
            said = (
                "its points, norm and formula: the gradient that it takes is that with respect to the critic's "
                "parameters, never that with respect to the samples"
            )
        undecided.append(said)
        findings += judge_graph(subject, None, undecided, notes)
        family = "not a gradient penalty of the critic"
    elif aside(call):
        said = "its norm and formula: the gradients that it takes have no graph (create_graph=True), and what trains "
        said += "the critic is something else. Are they for a direction alone, or is this more than the penalty?"
        undecided.append(said)
        family, seen = "a value that is not made of the gradients that it takes", replace(seen, law=None, mixture=None)
        findings += judge_graph(subject, None, undecided, notes) + judge_device(my_penalty, subject, undecided)
    else:
        more, family, weight = _judge(my_penalty, subject, seen, call, named, bool(seeds), adapt, undecided, notes)
        findings += more + judge_device(my_penalty, subject, undecided)
        judge_other_shapes(subject, shape, notes)
    chosen = "" if adapt else calling.points_of_caller(my_penalty)
    named_by_place = [f for f in findings if chosen and f.name == "eps-constant"]  # of points that it has not chosen
    findings = [f for f in findings if f not in named_by_place]
    if chosen == "between" or named_by_place:
        notes.append("the points are its caller's: it is right if those that you give it lie between the samples")
    findings = point_to_lines(findings, call.trace, my_penalty)
    known = differences is not None or (seen.known is not None and SQUARED not in undecided)
    known = known and not any(said.startswith("why its gradient") for said in undecided)
    known = known and (seen.function is None or seen.function.pulls)
    ordered = tuple(sorted(findings, key=lambda f: not f.fault))
    return Report(name, family, ordered, tuple(undecided), weight, recognised=known, notes=tuple(notes))


def _said_of_calling(subject: Subject, refused: dict, batch_size: int | None) -> tuple[list[str], list[str]]:
    undecided, notes = [], []
    if refused:
        first, why = next(iter(refused.items()))
        said = f"what it does with samples of shape {first}, where it raised {short(why)}"
        undecided.append(f"{said}. It was checked on {subject.size} samples of shape {subject.shape}")
    if subject.every > 1:
        notes.append(
            "it answers at some calls only (lazily), and does nothing on the others; those that answer were judged"
        )
    if subject.packed:
        notes.append(f"its critic takes {subject.shape[0]} samples for one (packing), and these together were judged")
    if subject.answer in ANSWERS:
        notes.append(f"its critic answers with {ANSWERS[subject.answer]}")
    if subject.only and batch_size is None:
        notes.append(f"a batch of {subject.size} samples is written in")
    return undecided, notes


def _judge(
    function: Callable,
    subject: Subject,
    seen: Observed,
    call: Call,
    named: dict[str, float],
    reseeds: bool,
    adapt: Any,
    undecided: list[str],
    notes: list[str],
) -> tuple[list[Finding], str, float | None]:
    """All that is judged of a function that differentiates the critic: findings, family and weight."""
    points, weight = locate(call, subject), None
    _said_of_probes(seen, undecided)
    found = judge_lawless(seen, undecided)
    if not found:
        found = judge_samples(subject, points, seen.known is None, notes)
    by = misled(call, points, subject)
    if by:
        times = "eps" if by == "real" else "1 - eps"
        said = f"it is differentiated with respect to the {by} samples, not to the points between: "
        found.append(finding("wrong-points", f"{said}each norm is multiplied by {times}"))
    elif seen.law is not None and not found:
        found, weight = judge_law(seen, subject, named, source.literals(function), undecided, notes)
        right = not found
        if seen.law.kind in ("one-sided", "hinge"):
            found.append(finding("one-sided", "norms below the target cost nothing"))
        if right:
            found += _judge_weight(function, subject, seen.law, weight, adapt is not None)
    elif seen.mixture is not None and not found:
        found = judge_mixture(seen, subject, undecided, notes)
    elif seen.function is not None and not found:
        found = judge_function(seen.function, subject, undecided, notes)
    elif seen.known is None and not found and not seen.infinite:
        undecided.append("its norm and formula: the values follow none that is known. Is it the penalty alone?")
    if not by:
        found += _judge_place(subject, points, seen.known, reseeds, undecided)
    found += judge_conditions(subject, call, points, undecided) + judge_graph(subject, seen, undecided, notes)
    return found, str(seen.mixture or _family(seen.law or seen.function, points)), weight


def _said_of_probes(seen: Observed, undecided: list[str]) -> None:
    if seen.refused:
        slopes = ", ".join(f"{slope:g}" for slope in seen.refused)
        undecided.append(
            f"what it does with critics of slope {slopes}: it raised {short(next(iter(seen.refused.values())))}"
        )
    if seen.infinite:
        slopes = ", ".join(f"{slope:g}" for slope in dict.fromkeys(seen.infinite))
        value = next(v for v in seen.values if v != v or abs(v) == float("inf"))
        undecided.append(f"why its value is not finite: it is {value} for critics of slope {slopes}")


def _judge_place(
    subject: Subject, points: Points, law: Law | Mixture | AnyLaw | None, reseeds: bool, undecided: list[str]
) -> list[Finding]:
    if points.place in ("interpolates", "mapped interpolates", "mixture"):
        return judge_eps(subject, points, reseeds, undecided)
    if points.place == "elsewhere":
        return [finding("wrong-points", points.text)]
    if law is None or law.target == 0 or points.place.startswith(("around", "arcs")):
        return []  # at the samples or around them: R1, R2, DRAGAN
    if points.place in ("real and fake", "mapped both"):
        return [finding("wrong-points", "the critic is differentiated at the samples themselves, never between them")]
    place = points.place.split()[-1]
    eps = 1 if place == "real" else 0
    said = f"every point is a {place} sample (eps = {eps}), but the formula pulls towards the norm {law.target:.3g}"
    return [finding("eps-constant", said)]
