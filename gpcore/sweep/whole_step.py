"""A whole critic step as one compiled function: loss, penalty, all gradients, and the optimiser's update.

:func:`gpcore.penalized_backward_` leaves gradients behind, and the optimiser takes them up: some hundred operations,
each started from Python, which for a small network take longer than the arithmetic. Here all of them are traced once,
compiled into one function, and on a GPU recorded as one CUDA graph, which is started as a single operation. Whether
the step may be taken (is everything finite?) is decided inside, so that the host never waits for the answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import _checks
from ..losses import wasserstein_critic_loss
from ..penalties import dragan_points, shares
from .critic_step import AT, CriticStep, _layers_of_critic, _step
from .updates import RULES, checked_settings, state_of


@dataclass(frozen=True)
class CriticUpdate(CriticStep):
    """What a compiled critic step measured before its update: a :class:`CriticStep` and the gradient's norm.

    ``gradient_norm`` is that of the gradient of loss and penalty with respect to all trained parameters at once, a
    scalar. ``updated`` says whether the update was made: where loss, penalty or gradient norm is not finite it is not.

    Example:
        >>> one, many = torch.tensor(1.0), torch.ones(8)
        >>> bool(gp.CriticUpdate(loss=one, penalty=one, norms=many, gradient_norm=one / 0).updated)
        False
    """

    gradient_norm: Tensor

    @property
    def updated(self) -> Tensor:
        return (self.loss + self.penalty + self.gradient_norm).isfinite()


def _compiled(function: Callable[..., Tensor], tensors: list[Tensor]) -> Callable[..., tuple[Tensor]]:
    """``function`` compiled for tensors of these shapes and strides, which nobody looks at again when it is called.

    ``torch.compile`` would look at all of them in every call, for longer than the arithmetic of a small network takes.
    """
    from torch import _inductor
    from torch.fx.experimental.proxy_tensor import make_fx  # both take long to import

    # On a GPU it is replayed as a graph, and how it is called does not matter.
    options = {} if tensors[0].is_cuda else {"cpp_wrapper": True}
    traced = make_fx(function, tracing_mode="fake")(*tensors)
    # A number that became a tensor lies on the host, from where a CUDA graph can copy nothing.
    for node in traced.graph.find_nodes(op="get_attr"):
        setattr(traced, node.target, getattr(traced, node.target).to(tensors[0].device))
    return _inductor.compile(traced, tensors, options=options)


def _recorded(function: Callable[..., tuple[Tensor]], tensors: list[Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
    """``function(*tensors)`` as a CUDA graph, and where it leaves its result. Recording changes no tensor."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(here)
    with torch.cuda.stream(side):
        for _ in range(3):  # what is compiled, tuned or allocated at a first call must not be recorded
            function(*[x.clone() for x in tensors])
    here.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        (result,) = function(*tensors)
    return graph, result


class _WholeStep:
    """The critic, its optimiser, and what has been compiled and recorded for each shape of a batch."""

    def __init__(self, critic: nn.Module, optimizer: torch.optim.Optimizer, critic_loss: Callable, at: str, **penalty):
        self.optimizer, self.critic_loss, self.at, self.penalty = optimizer, critic_loss, at, penalty
        self.layers = _layers_of_critic(critic)
        if self.layers is None:
            raise ValueError(
                "critic must be an nn.Sequential of layers that the hand-derived sweep knows (see gpcore.supports)"
            )
        self.settings = checked_settings(critic, optimizer)
        self.rule, self.names = RULES[type(optimizer)]
        if type(optimizer) is torch.optim.SGD and not self.settings["momentum"]:
            self.names = ()
        self.trained = self.settings["params"]
        self.parameters = self.trained + [p for p in critic.parameters() if not p.requires_grad]
        kinds = {(p.device, p.dtype) for p in self.parameters}
        if len(kinds) > 1:
            raise ValueError(f"critic must have its parameters on one device and in one dtype, got {kinds}")
        self.device, self.dtype = kinds.pop()
        if self.device.type not in ("cpu", "cuda"):
            raise ValueError(f"critic must be on a CPU or a CUDA device, got {self.device}")
        self.graphed = self.device.type == "cuda"
        self.lr = torch.zeros((), dtype=torch.float64, device=self.device)
        self.places, self.values, self.states, self.layout = [], [], [], []
        self.compiled: dict[torch.Size, Callable] = {}
        self.graphs: dict[torch.Size, tuple] = {}

    def inputs(self, real: Tensor, fake: Tensor, eps: Tensor | float | None, noise: Tensor | None) -> list[Tensor]:
        """The samples of a step: real, generated, and what the penalty's points are made from."""
        batches = [real, fake]
        if self.at == "interpolates":
            batches.append(shares(real, eps))
        elif self.at == "around_real":
            batches.append(dragan_points(real, noise, eps))
        return [x.detach().contiguous() for x in batches]

    def kept(self) -> list[Tensor]:
        """What a step changes: the parameters (frozen ones last), then the optimiser's state of each.

        They are looked up anew where parameters have moved or the optimiser has got other state, from a checkpoint.
        """
        places = [p.data_ptr() for p in self.parameters]
        of = self.optimizer.state
        states = [of[p].get(name) for p in self.trained for name in self.names]
        if places != self.places or any(a is not b for a, b in zip(states, self.states, strict=False)):
            self.graphs.clear()
            self.places, self.values = places, [p.detach() for p in self.parameters]
            self.states = [x for p in self.trained for x in state_of(self.optimizer, p, self.names)]
            layout = [(x.device, x.dtype, x.shape, x.stride()) for x in (*self.values, *self.states)]
            if layout != self.layout:
                self.compiled.clear()
                self.layout = layout
        return self.values + self.states

    def gradients(self, found: list[list]) -> list[Tensor]:
        """The gradients in the order of the trained parameters; a parameter of two layers gets their sum."""
        sums: dict[int, Tensor] = {}
        for layer, of_layer in zip(self.layers, found, strict=True):
            for parameter, gradient in zip((layer.weight, layer.bias), of_layer, strict=True):
                if parameter is not None:
                    sums[id(parameter)] = sums[id(parameter)] + gradient if id(parameter) in sums else gradient
        return [sums[id(parameter)] for parameter in self.trained]

    def step(self, *tensors: Tensor) -> tuple[Tensor]:
        """One step in tensors alone: samples, learning rate, and what it changes in place. Returns all it measured."""
        each = len(self.names)
        first = len(tensors) - len(self.parameters) - each * len(self.trained)
        *batches, lr = tensors[:first]
        values, states = tensors[first : first + len(self.parameters)], tensors[first + len(self.parameters) :]
        place = {id(parameter): value for parameter, value in zip(self.parameters, values, strict=True)}
        layers = [
            dataclasses.replace(layer, weight=place[id(layer.weight)], bias=place.get(id(layer.bias)))
            for layer in self.layers
        ]
        eps = batches.pop() if self.at == "interpolates" else None
        loss, penalty, norms, found = _step(layers, batches, eps, self.critic_loss, self.at, **self.penalty)
        gradients = self.gradients(found)
        gradient_norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        fine = (loss + penalty + gradient_norm).isfinite()
        for index, gradient in enumerate(gradients):
            old = [values[index], *states[index * each : (index + 1) * each]]
            new = self.rule(old[0], gradient, old[1:], lr, self.settings)
            for before, after in zip(old, new, strict=True):
                before.copy_(torch.where(fine, after, before))
        return (torch.cat([torch.stack([loss, penalty, gradient_norm]), norms]),)

    def replay(self, inputs: list[Tensor], kept: list[Tensor]) -> Tensor:
        """The compiled step as a CUDA graph."""
        shape = inputs[0].shape
        if shape not in self.graphs:
            static = [x.clone() for x in inputs]
            self.graphs[shape] = (static, *_recorded(self.compiled[shape], [*static, self.lr, *kept]))
        static, graph, result = self.graphs[shape]
        for mine, given in zip(static, inputs, strict=True):
            mine.copy_(given)
        graph.replay()
        return result.clone()  # the next replay writes where this one did

    @torch.no_grad()
    def __call__(
        self, real: Tensor, fake: Tensor, *, eps: Tensor | float | None = None, noise: Tensor | None = None
    ) -> CriticUpdate:
        _checks.same_shape("real", _checks.batch("real", real), "fake", _checks.batch("fake", fake))
        for name, batch in (("real", real), ("fake", fake)):
            if (batch.device, batch.dtype) != (self.device, self.dtype):
                got = f"got {batch.device} and {batch.dtype}"
                raise ValueError(f"{name} must be on {self.device} and {self.dtype}, as the critic is, {got}")
        if torch.is_autocast_enabled(self.device.type):
            raise ValueError("a compiled critic step must run outside autocast: a norm is squared and compared")
        inputs, kept = self.inputs(real, fake, eps, noise), self.kept()
        self.lr.fill_(self.optimizer.param_groups[0]["lr"])
        if real.shape not in self.compiled:
            self.compiled[real.shape] = _compiled(self.step, [*inputs, self.lr, *kept])
        if self.graphed:
            with torch.cuda.device(self.device):
                measured = self.replay(inputs, kept)
        else:
            (measured,) = self.compiled[real.shape](*inputs, self.lr, *kept)
        loss, penalty, gradient_norm = measured[:3].unbind()
        return CriticUpdate(loss, penalty, measured[3:], gradient_norm)


def compile_critic_step(
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    critic_loss: Callable[[Tensor, Tensor], Tensor] = wasserstein_critic_loss,
    at: str = "interpolates",
    weight: float = 10.0,
    target: float = 1.0,
    one_sided: bool = False,
) -> Callable[..., CriticUpdate]:
    """Return a function that does :func:`penalized_backward_` and ``optimizer.step()`` in one: ``step(real, fake)``.

    The whole step is one compiled function, and on a GPU one CUDA graph. It gives the same parameters and the same
    optimiser state, to rounding, and leaves them in ``critic`` and ``optimizer``, so that ordinary steps, checkpoints
    and schedules of the learning rate go on working. Where the loss, the penalty or the norm of the parameters'
    gradient is not finite the step changes nothing and raises nothing, since it never waits for the GPU: ask
    ``step(...).updated``. ``.grad`` is neither read nor written.

    On the CPU ``torch.compile`` needs a C++ compiler. The first call of each shape of a batch compiles for some 10 to
    40 s; leave out the smaller last batch of a data set. On a GPU samples are copied to a fixed place, and the graph
    is recorded anew where parameters or state have been moved. The optimiser's settings but the learning rate are read
    once.

    Args:
        critic: a module that :func:`supports` accepts; its parameters on one device, in one dtype.
        optimizer: ``torch.optim.Adam``, ``RMSprop`` or ``SGD`` (momentum for SGD alone) of the critic's trainable
            parameters, without weight decay or other extras.
        critic_loss, at, weight, target, one_sided: as for :func:`penalized_backward_`.

    Returns:
        A function of real and generated samples ``(N, ...)``, and of ``eps`` and ``noise`` as
        :func:`penalized_backward_` takes them, that makes one step and returns :class:`CriticUpdate`.

    Raises:
        ValueError: a critic or an optimiser that is not supported; in a step, samples elsewhere or in another dtype
            than the critic, a call under autocast, and as :func:`penalized_backward_`.

    Source: double backpropagation, Drucker and LeCun 1992; Adam, Kingma and Ba 2015, Algorithm 1.

    Example:
        >>> critic, (real, fake) = gp.models.mlp_critic(2), torch.randn(2, 8, 2)
        >>> adam = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.5, 0.9))
        >>> step = gp.compile_critic_step(critic, adam, weight=10.0)
        >>> bool(step(real, fake).updated)  # doctest: +SKIP
        True
    """
    weight, target = _checks.non_negative("weight", weight), _checks.non_negative("target", target)
    _checks.one_of("at", at, AT)
    return _WholeStep(critic, optimizer, critic_loss, at, weight=weight, target=target, one_sided=one_sided)
