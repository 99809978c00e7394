"""What PyTorch's optimisers do in one step, as functions of tensors: for a step that is compiled with all that it does.

The state is the optimiser's own, under its own names, so that an ordinary step can go on where a compiled one stopped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Settings of PyTorch's optimisers that the updates below leave out.
REFUSED = ("weight_decay", "amsgrad", "maximize", "nesterov", "dampening", "centered", "differentiable")


def _adam(value: Tensor, gradient: Tensor, state: list[Tensor], lr: Tensor, settings: dict) -> list[Tensor]:
    (steps, mean, square), (beta1, beta2) = state, settings["betas"]
    steps, mean = steps + 1, torch.lerp(mean, gradient, 1 - beta1)
    square = beta2 * square + (1 - beta2) * gradient.square()
    count = steps.double()  # in float32, 1 - 0.999 has lost four of its digits
    rate = (lr / (1 - beta1**count)).to(value.dtype)
    root = square.sqrt() / (1 - beta2**count).sqrt().to(value.dtype)
    return [value - rate * mean / (root + settings["eps"]), steps, mean, square]


def _rmsprop(value: Tensor, gradient: Tensor, state: list[Tensor], lr: Tensor, settings: dict) -> list[Tensor]:
    steps, square = state
    square = settings["alpha"] * square + (1 - settings["alpha"]) * gradient.square()
    return [value - lr.to(value.dtype) * gradient / (square.sqrt() + settings["eps"]), steps + 1, square]


def _sgd(value: Tensor, gradient: Tensor, state: list[Tensor], lr: Tensor, settings: dict) -> list[Tensor]:
    if state:
        state = [gradient := settings["momentum"] * state[0] + gradient]
    return [value - lr.to(value.dtype) * gradient, *state]


# Each update returns the new value and the new state, whose names are PyTorch's own.
RULES = {
    torch.optim.Adam: (_adam, ("step", "exp_avg", "exp_avg_sq")),
    torch.optim.RMSprop: (_rmsprop, ("step", "square_avg")),
    torch.optim.SGD: (_sgd, ("momentum_buffer",)),
}


def checked_settings(critic: nn.Module, optimizer: torch.optim.Optimizer) -> dict:
    """The settings and parameters of the optimiser's one group, or an error that says what they must be."""
    name = type(optimizer).__name__
    if type(optimizer) not in RULES:
        raise ValueError(f"optimizer must be torch.optim's Adam, RMSprop or SGD, got {name}")
    groups = optimizer.param_groups
    trained = {id(p) for p in critic.parameters() if p.requires_grad}
    if len(groups) != 1 or {id(p) for p in groups[0]["params"]} != trained:
        raise ValueError("optimizer must hold the critic's trainable parameters, no others, in one group")
    refused = REFUSED if name == "SGD" else (*REFUSED, "momentum")
    for setting in refused:
        if groups[0].get(setting):
            raise ValueError(f"optimizer must have no {setting}, got {setting}={groups[0][setting]!r} of {name}")
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        raise ValueError("optimizer must have no hooks: a compiled step does not call them")
    return dict(groups[0])


def state_of(optimizer: torch.optim.Optimizer, parameter: Tensor, names: tuple[str, ...]) -> list[Tensor]:
    """The optimiser's state of one parameter where it lies, made where there is none yet."""
    state = optimizer.state[parameter]
    for name in names:
        if state.get(name) is None:
            state[name] = torch.zeros((), device=parameter.device) if name == "step" else torch.zeros_like(parameter)
        elif state[name].device != parameter.device:  # a counter on the host
            state[name] = state[name].to(parameter.device)
    return [state[name] for name in names]
