"""Judging where a penalty's gradients go, and what it does with extreme critics."""

from __future__ import annotations

import gc
import weakref

import torch
from torch import Tensor

from ..functions import slopes_by_differences
from ..mends import finding
from ..observe import Observed, observation
from ..probes import Call, Subject
from ..report import Finding


def aside(call: Call) -> bool:
    """Whether the gradients that it takes have no graph, while its value trains the critic by another way."""
    taken = call.trace.gradients
    if not taken or any(gradient.graph for gradient in taken) or call.own_backward:
        return False
    trained = _parameter_gradients(call)
    return trained is not None and bool(trained.abs().max() > 0)


def judge_graph(subject: Subject, seen: Observed | None, undecided: list[str], notes: list[str]) -> list[Finding]:
    """Second-order graph, the path to the generator, a flat critic, a steep one."""
    call = subject.call(slope=0.7, curve=1.3)
    found = _judge_second_order(subject, call, seen, undecided, notes)
    # What is no penalty, or more than one, may well depend on the fake samples.
    if seen and seen.known:
        found += _judge_generator(subject)
    if torch.tensor(call.value).isfinite():
        found += _judge_flat(subject, undecided)
        found += _judge_steep(subject, seen, undecided)
    try:
        if not torch.isfinite(torch.tensor(subject.call(same=True).value)):
            undecided.append("it is not finite where real and fake samples are equal")
    except Exception as error:
        undecided.append(f"it raised where real and fake samples are equal: {type(error).__name__}: {error}")
    return found


def _judge_second_order(
    subject: Subject, call: Call, seen: Observed | None, undecided: list[str], notes: list[str]
) -> list[Finding]:
    gradients = _parameter_gradients(call)
    left = _left_behind(call)
    if call.own_backward and gradients is not None and _ties(gradients, left):
        notes.append("it runs backward() itself and returns the penalty with its graph: use one or the other, not both")
    elif call.own_backward and gradients is not None:
        said = "whether the caller clears the critic's .grad after it: it runs backward() on something else than the "
        undecided.append(f"{said}penalty, which leaves {_list(left)} there; torch.autograd.grad leaves nothing")
    trained = left if gradients is None else gradients
    if trained is None:
        said = f"the penalty, {call.value:.4g}, has no graph to the critic's parameters: it would train nothing"
        return [finding("no-second-order-graph", said)]
    if not trained.isfinite().all():
        undecided.append(f"why its gradient in the critic's parameters, {_list(trained)}, is not finite")
        return []
    if seen is None or seen.known is None:
        return []
    try:
        expected = slopes_by_differences(subject, call) if seen.function else _law_gradients(seen, call)
    except RuntimeError:  # the function's own call has freed the graph to its points
        undecided.append("whether a part of the graph is missing: the graph to its points is gone after the call")
        return []
    size = expected.abs().max()
    missing = (trained - expected).abs().max() > (1e-3 if seen.known.exact else 5e-2) * size + 1e-9
    if gradients is None:
        said = "it runs backward() itself"
        if missing:
            said += (
                f" and leaves {_list(left)} in the parameters' .grad, where the slope of its value is {_list(expected)}"
            )
            return [finding("no-second-order-graph", said)]
        notes.append(
            f"{said} and leaves the penalty's gradient in the parameters' .grad: there is nothing left to add to a loss"
        )
    elif missing:
        said = f"its gradient in two parameters is {_list(trained)}, the slope of its value {_list(expected)}"
        return [finding("no-second-order-graph", f"{said}: a part of the graph is missing")]
    return []


def _judge_flat(subject: Subject, undecided: list[str]) -> list[Finding]:
    try:
        call = subject.call(slope=0.0)
        gradients = _parameter_gradients(call)
        gradients = _left_behind(call) if gradients is None else gradients
    except FloatingPointError:
        return []  # refused aloud, which is no silent NaN
    except Exception as error:
        undecided.append(f"what it does with a flat critic: it raised {type(error).__name__}: {error}")
        return []
    if call.value == call.value and (gradients is None or gradients.isfinite().all()):
        return []
    said = f"for a critic with gradient 0 the penalty is {call.value:.3g} and its gradient {_list(gradients)}"
    return [finding("nan-at-zero-gradient", said)]


def _judge_steep(subject: Subject, seen: Observed | None, undecided: list[str]) -> list[Finding]:
    dtype = torch.float16 if subject.dtype == torch.float16 else torch.float32
    try:
        call = subject.call(slope=1000.0, dtype=dtype)
    except FloatingPointError:
        return []
    except Exception as error:
        undecided.append(f"how it does in float32: it raised {type(error).__name__}: {error}")
        return []
    if torch.isfinite(torch.tensor(call.value)):
        return []
    if call.trace.half or dtype == torch.float16:
        said = f"a critic of slope 1000 in {str(dtype)[6:]} gives the penalty {call.value}: a half inside overflows"
        return [finding("half-precision-overflow", said)]
    if not (seen and seen.infinite):  # else it has been said
        undecided.append(f"why a critic of slope 1000 in float32 gives the penalty {call.value}")
    return []


class _Token:
    """Alive as long as the graph that holds it."""


class _Generated(torch.autograd.Function):
    """``samples * theta``, as of a generator with one parameter."""

    @staticmethod
    def forward(ctx, samples, theta, token):
        ctx.save_for_backward(samples, theta)
        ctx.token = token
        return samples * theta

    @staticmethod
    def backward(ctx, gradient):
        samples, theta = ctx.saved_tensors
        return gradient * theta, (gradient * samples).sum(), None


def _judge_generator(subject: Subject) -> list[Finding]:
    """Does the penalty's gradient reach a generator, and does the function keep the generator's graph?

    A caller may detach what it hands over, and often does. Where the graph is alive after the penalty is gone, the
    function keeps it: nothing that the caller does later frees it.
    """
    theta = torch.ones((), dtype=subject.dtype, requires_grad=True)
    tokens = []

    def generate(samples: Tensor) -> Tensor:
        token = _Token()
        tokens.append(weakref.ref(token))
        return _Generated.apply(samples, theta, token)

    try:
        call = subject.call(slope=0.7, curve=1.3, fake_from=generate)
    except Exception:  # refused aloud: x.requires_grad = True does, where x has a graph already
        return []
    reached = theta.grad
    if call.result is not None and call.result.requires_grad:
        (reached,) = torch.autograd.grad(call.result, theta, allow_unused=True)
    if reached is None or not reached:
        return []
    rest = call.rest  # noqa: F841  what the caller gets besides stays alive
    del call
    gc.collect()
    said = f"a generator's parameter received the gradient {reached.item():.3g} from the penalty"
    if tokens[-1]() is not None:
        how = "what it returns besides" if rest is not None else "something that outlives the call"
        return [finding("fake-not-detached", f"{said}, and {how} keeps the generator's graph", fault=True)]
    return [finding("fake-not-detached", said, fault=False)]


def _ties(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-6 * a.abs().max())


def _left_behind(call: Call) -> Tensor | None:
    """What the function's own backward() left in the parameters' .grad."""
    gradients = [p.grad for p in (call.critic.slope, call.critic.curve)]
    if all(g is None for g in gradients):
        return None
    return torch.stack([torch.zeros(()).double() if g is None else g.detach().double() for g in gradients])


def _parameter_gradients(call: Call) -> Tensor | None:
    if call.result is None or not call.result.requires_grad:
        return None
    return _derivatives(call.result, call)


def _derivatives(value: Tensor, call: Call) -> Tensor | None:
    parameters = [call.critic.slope, call.critic.curve]
    if not all(p.requires_grad for p in parameters):  # the function has frozen them
        return None
    gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
    if all(g is None for g in gradients):
        return None
    return torch.stack([torch.zeros(()).double() if g is None else g.double() for g in gradients])


def _law_gradients(seen: Observed, call: Call) -> Tensor:
    found = _derivatives(seen.known.value(observation(call, seen.relation)), call)
    return torch.zeros(2).double() if found is None else found


def _list(values: Tensor | None) -> str:
    return "none" if values is None else "(" + ", ".join(f"{v:.4g}" for v in values.tolist()) + ")"
