"""Judging where a penalty's gradients go, and what it does with extreme critics."""

from __future__ import annotations

import torch
from torch import Tensor

from ..laws import Law
from ..mends import finding
from ..probes import Call, Subject
from ..report import Finding


def judge_graph(subject: Subject, law: Law | None, undecided: list[str]) -> list[Finding]:
    """Second-order graph, the path to the generator, a flat critic, a steep one."""
    found = []
    call = subject.call(slope=0.7, curve=1.3)
    gradients = _parameter_gradients(call)
    if gradients is None:
        if call.own_backward:
            said = "it runs backward() itself and returns a value without a graph: nothing is left to add to a loss"
        else:
            said = f"the penalty, {call.value:.4g}, has no graph to the critic's parameters: it would train nothing"
        found.append(finding("no-second-order-graph", said))
    elif law is not None:
        expected = _law_gradients(law, call)
        size = expected.abs().max()
        if (gradients - expected).abs().max() > (1e-3 if law.exact else 5e-2) * size + 1e-9:
            said = f"its gradient in two parameters is {_list(gradients)}, the slope of its value {_list(expected)}"
            found.append(finding("no-second-order-graph", f"{said}: a part of the graph is missing"))
    if call.own_backward and gradients is not None:
        undecided.append("it runs backward() itself AND returns a graph: gradients would be added twice")

    reached = _reaches_generator(subject)
    # What is no penalty, or more than one, may well depend on the fake samples.
    if law is not None and reached:
        said = f"a generator's parameter received the gradient {reached:.3g} from the penalty"
        found.append(finding("fake-not-detached", said))

    try:
        call = subject.call(slope=0.0)
        gradients = _parameter_gradients(call)
    except FloatingPointError:
        gradients, call = None, None  # refused aloud, which is no silent NaN
    except Exception as error:
        undecided.append(f"what it does with a flat critic: it raised {type(error).__name__}: {error}")
        call = None
    if call is not None and (call.value != call.value or (gradients is not None and not gradients.isfinite().all())):
        said = f"for a critic with gradient 0 the penalty is {call.value:.3g} and its gradient {_list(gradients)}"
        found.append(finding("nan-at-zero-gradient", said))

    try:
        dtype = torch.float16 if subject.dtype == torch.float16 else torch.float32
        call = subject.call(slope=1000.0, dtype=dtype)
        if not torch.isfinite(torch.tensor(call.value)):
            said = f"a critic of slope 1000 in {str(dtype)[6:]} gives the penalty {call.value}: a half inside overflows"
            found.append(finding("half-precision-overflow", said))
    except FloatingPointError:
        pass
    except Exception as error:
        undecided.append(f"how it does in float32: it raised {type(error).__name__}: {error}")
    try:
        if not torch.isfinite(torch.tensor(subject.call(same=True).value)):
            undecided.append("it is not finite where real and fake samples are equal")
    except Exception as error:
        undecided.append(f"it raised where real and fake samples are equal: {type(error).__name__}: {error}")
    return found


def _reaches_generator(subject: Subject) -> float:
    """The penalty's gradient in a generator's parameter; 0 where the function refuses samples with a graph."""
    theta = torch.ones((), dtype=subject.dtype, requires_grad=True)  # theta * noise stands for a generator
    try:
        call = subject.call(slope=0.7, curve=1.3, fake_from=theta)
    except Exception:  # refused aloud: x.requires_grad = True does, where x has a graph already
        return 0.0
    if call.result is None or not call.result.requires_grad:
        return 0.0
    (reached,) = torch.autograd.grad(call.result, theta, allow_unused=True)
    return 0.0 if reached is None else reached.item()


def _parameter_gradients(call: Call) -> Tensor | None:
    if call.result is None or not call.result.requires_grad:
        return None
    parameters = [call.critic.slope, call.critic.curve]
    gradients = torch.autograd.grad(call.result, parameters, allow_unused=True)
    if all(g is None for g in gradients):
        return None
    return torch.stack([torch.zeros(()).double() if g is None else g.double() for g in gradients])


def _law_gradients(law: Law, call: Call) -> Tensor:
    critic = call.critic
    value = law.value(critic.gradient(call.points), critic.score(call.points).double())
    gradients = torch.autograd.grad(value, [critic.slope, critic.curve], allow_unused=True)
    return torch.stack([torch.zeros(()).double() if g is None else g.double() for g in gradients])


def _list(values: Tensor | None) -> str:
    return "none" if values is None else "(" + ", ".join(f"{v:.4g}" for v in values.tolist()) + ")"
