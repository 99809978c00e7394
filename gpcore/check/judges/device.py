"""Judging whether a penalty would run on a GPU, on a machine that need not have one."""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..mends import finding
from ..probes import Subject, batch, own_random
from ..report import Finding, short

_MISMATCH = re.compile(r"device (meta|cpu)\b.*\b(cpu|meta)", flags=re.DOTALL)


class _AnyNumber(TorchFunctionMode):
    """Gives 1 for the numbers that a function asks of tensors without content, so that it goes on."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        asked = function in (Tensor.item, Tensor.__bool__, Tensor.__float__) and args[0].is_meta
        return function(torch.ones(())) if asked else function(*args, **(kwargs or {}))


@contextmanager
def _autocast_without_device():
    """Autocast knows no meta device; the CPU's takes its place."""
    original = torch.autocast.__init__

    def init(self, device_type, *args, **kwargs):
        original(self, "cpu" if device_type == "meta" else device_type, *args, **kwargs)

    torch.autocast.__init__ = init
    try:
        yield
    finally:
        torch.autocast.__init__ = original


def _chooses(function: Callable) -> bool:
    """Does it name a device of its own choice: a global ``device``, ``self.device``, ``.cuda()`` behind a flag?"""
    function = inspect.unwrap(function)
    if hasattr(getattr(function, "__self__", function), "device"):
        return True
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_DEREF")}
    if any(type(function.__globals__.get(name)) is type(torch.FloatTensor) for name in own):
        return True  # Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
    flags = {*code.co_names, *code.co_varnames, *own}
    return bool(re.search("cuda|gpu", " ".join(flags).lower()) or re.search("device", " ".join(own).lower()))


def judge_device(function: Callable, subject: Subject, undecided: list[str]) -> list[Finding]:
    """Call the function with all it is given on PyTorch's meta device, which mixes with the CPU no more than a GPU."""
    critic = subject.critic(0.7, 1.3, subject.dtype).to("meta")
    real, fake = (subject.given(x.to("meta")) for x in batch(subject.shape, subject.size, subject.dtype))
    fake.requires_grad_(subject.carried)
    try:
        for _ in range(subject.every):
            with own_random(0), _AnyNumber(), _autocast_without_device():
                subject.function(critic, real, fake)
            if critic.log.points:
                break
    except Exception as error:
        said = " ".join(str(error).split())
        if _MISMATCH.search(said) and _chooses(function):
            undecided.append("whether it runs on a GPU: it chooses a device by itself, and there was none to be tried")
        elif _MISMATCH.search(said):
            said = "with critic and samples on a device other than the CPU it stops: it makes tensors on the CPU"
            return [finding("device-mismatch", said)]
        else:
            undecided.append(f"whether it runs on a GPU: tried without one, it raised {short(said)}")
    return []
