"""What a function does with its tensors: which gradients it takes, and on which lines of the reader's source."""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .report import short

_TORCH = os.path.dirname(torch.__file__)
_OWN = {os.path.join(os.path.dirname(__file__), name) for name in ("probes.py", "calling.py")}
_RANDOM = {"rand", "randn", "rand_like", "randn_like", "uniform_", "normal_", "bernoulli", "bernoulli_", "normal"}
_RANDOM |= {"sample", "randint", "random_", "exponential_"}
_FACTORIES = _RANDOM | {"ones", "zeros", "full", "tensor", "as_tensor", "from_numpy", "empty"}


@dataclass(frozen=True)
class Line:
    """A line of the reader's source."""

    file: str
    number: int

    def said(self, file: str | None) -> str:
        """With its code, as in ``line 10: `gradient.norm(2, dim=1)```; nothing where the source cannot be read."""
        code = short(linecache.getline(self.file, self.number).strip(), 88)
        other = "" if file in (self.file, None) else f"{os.path.basename(self.file)}, "
        return f"{other}line {self.number}: `{code}`" if code else ""


@dataclass
class Gradient:
    """One call of ``torch.autograd.grad`` through the critic.

    ``taken`` is what the function got for each leaf, and ``true`` the gradient of the critic's score itself with
    respect to the same leaf; both carry the graph to the critic's parameters, whatever the function asked for.
    """

    leaves: list[Tensor]
    taken: list[Tensor]
    true: list[Tensor]
    scores: Tensor
    line: Line | None
    graph: bool  # the function asked for its graph


@dataclass
class Event:
    """One operation on the reader's lines."""

    name: str
    line: Line
    before: int  # elements of the largest tensor that went in
    after: int
    half: bool
    placed: bool  # told a device
    output: Any


@dataclass
class Trace:
    gradients: list[Gradient] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    half: bool = False  # some tensor was of half precision
    parameters: bool = False  # a gradient was taken with respect to the critic's parameters
    backward: float | None = None  # the number on which the function ran backward() itself
    first: int = 0  # number of events before the first gradient
    iterated: bool = False  # the critic's answer was taken apart, as a list would be


def _reader_line() -> Line | None:
    """The line that called, if it is the reader's: neither PyTorch's nor the crafted critic's."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name != __file__ and not name.startswith(_TORCH) and not name.startswith("<frozen"):
            return None if name in _OWN else Line(name, frame.f_lineno)
        frame = frame.f_back
    return None


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [v for v in value if isinstance(v, Tensor)] if isinstance(value, (tuple, list)) else []


class Tracer(TorchFunctionMode):
    """Records the gradients that are taken through ``critic``; with ``lines`` every operation too."""

    def __init__(self, critic: Any, *, lines: bool = False):
        super().__init__()
        self.critic, self.lines, self.trace = critic, lines, Trace()

    def __torch_function__(self, function: Callable, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.autograd.grad:
            self._record(args, kwargs)
        elif function in (Tensor.backward, torch.autograd.backward) and self.trace.gradients:
            self.trace.backward = sum(float(t.detach().sum()) for t in _tensors(args[0]))
            kwargs = kwargs | {"retain_graph": True}  # what was recorded hangs on the same graph
        elif function in (Tensor.unbind, Tensor.__len__) and any(args[0] is a() for a in self.critic.log.answers):
            self.trace.iterated = True
        result = function(*args, **kwargs)
        if not isinstance(result, Tensor) or getattr(function, "__name__", "") == "__get__":
            return result
        half = result.dtype == torch.float16
        self.trace.half |= half
        if self.lines:
            line = _reader_line()
            if line is not None:
                before = max((t.numel() for a in args for t in _tensors(a)), default=0)
                name, placed = getattr(function, "__name__", ""), kwargs.get("device") is not None
                self.trace.events.append(Event(name, line, before, result.numel(), half, placed, result))
        return result

    def _record(self, args: tuple, kwargs: dict) -> None:
        names = ("outputs", "inputs", "grad_outputs", "retain_graph", "create_graph")
        named = dict(zip(names, args, strict=False)) | kwargs
        outputs, inputs = (tuple(_tensors(named.get(k))) for k in ("outputs", "inputs"))
        parameters = {id(p) for p in self.critic.parameters()}
        calls = self.critic.log.calls_behind(outputs)
        if any(id(x) in parameters for x in inputs):
            self.trace.parameters |= bool(calls)
            return
        if any(torch._C._functorch.is_functorch_wrapped_tensor(x) for x in (*inputs, *outputs)):
            return
        if not calls or named.get("is_grads_batched"):
            return
        try:
            self._keep(outputs, inputs, named.get("grad_outputs"), calls, bool(named.get("create_graph")))
        except RuntimeError:
            return  # the function's own call will say what is wrong

    def _keep(self, outputs: tuple, inputs: tuple, grad_outputs: Any, calls: list[int], graph: bool) -> None:
        log, options = self.critic.log, {"create_graph": True, "retain_graph": True, "allow_unused": True}
        taken = torch.autograd.grad(outputs, inputs, grad_outputs, **options)
        true: list[Tensor] = [torch.zeros_like(x) for x in inputs]
        different: list[int] = []
        for call in calls:  # the same door twice is one critic asked twice, or one of twins
            if not any(torch.equal(log.points[call], log.points[other]) for other in different):
                different.append(call)
        for call in different:
            door = log.doors[call]
            slope = self.critic.gradient(log.points[call].reshape(-1, *self.critic.shape)).to(door.dtype)
            pulled = torch.autograd.grad(door, inputs, slope.reshape(door.shape), **options)
            true = [t if p is None else t + p for t, p in zip(true, pulled, strict=True)]
        points = torch.cat([log.points[call].reshape(-1, *self.critic.shape) for call in different])
        with torch.no_grad():
            scores = self.critic.bare_score(points).double()
        kept = [torch.zeros_like(x) if t is None else t for x, t in zip(inputs, taken, strict=True)]
        if not self.trace.gradients:
            self.trace.first = len(self.trace.events)
        self.trace.gradients.append(
            Gradient(
                [x.detach().double().clone() for x in inputs],
                [t.double() for t in kept],
                [t.double() for t in true],
                scores,
                _reader_line(),
                graph,
            )
        )


def line_of(trace: Trace, finding: str) -> Line | None:
    """The line that a finding is about, as far as the operations tell."""
    later, sooner = trace.events[trace.first :], trace.events[: trace.first]
    taken = trace.gradients[0] if trace.gradients else None
    size = max((g.numel() for g in taken.taken), default=0) if taken else 0
    norm = next((e.line for e in later if e.before == size > e.after), None)
    last = next((e.line for e in reversed(later) if e.before > e.after == 1), None)
    asked = taken.line if taken else None
    if finding.startswith(("norm-", "batch")):
        return norm or asked
    if finding in ("sum-over-batch", "not-squared", "one-sided", "wrong-target"):
        return last or norm
    if finding == "nan-at-zero-gradient":
        return next((e.line for e in later if e.name in ("sqrt", "sqrt_", "pow", "__pow__", "rsqrt")), norm)
    if finding == "half-precision-overflow":
        return next((e.line for e in trace.events if e.half), None)
    if finding == "device-mismatch":
        return next((e.line for e in trace.events if e.name in _FACTORIES and not e.placed), None)
    if finding.startswith("eps-"):
        drawn = next((e.line for e in sooner if e.name in _RANDOM), None)
        return drawn or _made(sooner)
    if finding in ("wrong-points", "fake-not-detached"):
        return _made(sooner)
    if finding in ("no-second-order-graph", "penalty-on-probability"):
        return asked
    return None


def _made(events: list[Event]) -> Line | None:
    """Where the points were made: the last arithmetic before the critic saw them, or the last copy."""
    for makers in (("add", "add_", "__radd__", "lerp", "cat", "stack", "mul", "addcmul"), ("requires_grad_", "detach")):
        found = next((e.line for e in reversed(events) if e.name in makers and e.after > 1), None)
        if found is not None:
            return found
    return None
