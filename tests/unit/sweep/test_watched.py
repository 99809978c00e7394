"""A critic that somebody listens to is left to autograd, which calls the hooks; what is frozen gets no gradient."""

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.sweep.layers import layers_of

HOOKS = {
    "forward": lambda m: m.register_forward_hook(lambda *_: None),
    "before forward": lambda m: m.register_forward_pre_hook(lambda *_: None),
    "backward": lambda m: m.register_full_backward_hook(lambda *_: None),
    "before backward": lambda m: m.register_full_backward_pre_hook(lambda *_: None),
}


def critic():
    return nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 1)), nn.Flatten(0))


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
@pytest.mark.parametrize("place", ["", "0", "1", "1.0", "1.1"])
def test_a_hook_anywhere_is_seen(hook, place):
    network = critic()
    assert gp.supports(network)
    handle = hook(network.get_submodule(place))
    assert not gp.supports(network) and layers_of(network) is None
    handle.remove()
    assert gp.supports(network)


@pytest.mark.parametrize("name", [name for name, _ in critic().named_parameters()])
def test_what_is_frozen_gets_no_gradient_and_all_else_does(name):
    network, x = critic(), torch.randn(4, 2)
    network.get_parameter(name).requires_grad_(False)
    gp.penalized_backward_(network, x, x + 1, critic_loss=gp.discriminator_loss)
    assert [other for other, p in network.named_parameters() if p.grad is None] == [name]
