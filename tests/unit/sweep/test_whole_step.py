"""The whole critic step in one against the sweep and PyTorch's own optimiser, in float64.

Most tests run the traced step without the compiler: what is traced is what is compiled.
"""

import contextlib
import copy

import pytest
import torch
import torch._inductor
from torch import nn

import gpcore as gp
from gpcore.sweep import whole_step

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.9)),
    "fused adam": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
}


@pytest.fixture
def uncompiled(monkeypatch):
    monkeypatch.setattr(torch._inductor, "compile", lambda traced, tensors, options: traced)


def critic():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def batches(count, n=9, device="cpu"):
    rng = torch.Generator().manual_seed(1)
    for _ in range(count):
        real, fake = torch.randn(2, n, 2, dtype=torch.float64, generator=rng)
        yield real.to(device), fake.to(device), torch.rand(n, dtype=torch.float64, generator=rng).to(device)


def assert_same(ours, optimizer, theirs, reference, rtol=1e-9):
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)
        for name, value in reference.state[b].items():
            if value is not None:
                torch.testing.assert_close(optimizer.state[a][name], value, rtol=rtol, atol=rtol, check_device=False)


def assert_equal_over_steps(make, steps=20, device="cpu", **settings):
    """Twenty whole steps, and twenty of the sweep with PyTorch's optimiser."""
    ours, theirs = critic().to(device), critic().to(device)
    optimizer, reference = make(ours.parameters()), make(theirs.parameters())
    step = gp.compile_critic_step(ours, optimizer, **settings)
    for real, fake, eps in batches(steps, device=device):
        reference.zero_grad()
        expected = gp.penalized_backward_(theirs, real, fake, eps=eps, noise=fake.sigmoid(), **settings)
        norm = gp.total_norm(theirs.parameters())
        reference.step()
        found = step(real, fake, eps=eps, noise=fake.sigmoid())
        for name in ("loss", "penalty", "norms"):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found.gradient_norm, norm, rtol=1e-9, atol=1e-9)
        assert found.updated and all(p.grad is None for p in ours.parameters())
    assert_same(ours, optimizer, theirs, reference)
    return ours, optimizer, theirs, reference, step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_does_what_the_sweep_and_the_optimiser_do(name, uncompiled):
    assert_equal_over_steps(OPTIMIZERS[name])


@pytest.mark.parametrize(
    "settings",
    [
        dict(critic_loss=gp.discriminator_loss, at="real", weight=0.5, target=0.0),
        dict(critic_loss=gp.relativistic_discriminator_loss, at="around_real"),
        dict(critic_loss=gp.hinge_discriminator_loss, at="fake", one_sided=True, target=0.1),
    ],
    ids=lambda settings: settings["at"],
)
def test_every_place_and_losses_that_need_a_derivative(settings, uncompiled):
    assert_equal_over_steps(OPTIMIZERS["adam"], steps=5, **settings)


def test_ordinary_steps_checkpoints_and_schedules_go_on_from_it(uncompiled):
    ours, optimizer, theirs, reference, step = assert_equal_over_steps(OPTIMIZERS["adam"], steps=3)
    for real, fake, eps in batches(2):
        for network, adam in ((ours, optimizer), (theirs, reference)):
            adam.zero_grad()
            gp.penalized_backward_(network, real, fake, eps=eps)
            adam.step()
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # its tensors are new ones
    optimizer.param_groups[0]["lr"] = reference.param_groups[0]["lr"] = 0.1
    for real, fake, eps in batches(3):
        reference.zero_grad()
        gp.penalized_backward_(theirs, real, fake, eps=eps)
        reference.step()
        step(real, fake, eps=eps)
    assert_same(ours, optimizer, theirs, reference)


def state_of(network, optimizer):
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return [x.detach().clone() for x in (*network.parameters(), *kept)]


def spoiled_by_samples(ours, real):
    return real / 0


def spoiled_by_the_gradient(ours, real):
    """Scores do not depend on the samples, loss and penalty are finite; a weight's gradient is 1e306 times 1e3."""
    with torch.no_grad():
        ours[0].weight.fill_(1e-2)
        ours[2].weight.zero_()
        ours[4].weight.fill_(1e3)
    return torch.full_like(real, 1e308)


@pytest.mark.parametrize("spoil", [spoiled_by_samples, spoiled_by_the_gradient])
@pytest.mark.parametrize("name", ["adam", "rmsprop", "momentum"])
def test_what_is_not_finite_changes_nothing(name, spoil, uncompiled):
    ours = critic()
    optimizer = OPTIMIZERS[name](ours.parameters())
    step = gp.compile_critic_step(ours, optimizer)
    real, fake, eps = next(batches(1))
    assert step(real, fake, eps=eps).updated
    spoiled = spoil(ours, real)
    before = state_of(ours, optimizer)
    found = step(spoiled, fake, eps=eps)
    assert not found.updated
    assert (found.loss + found.penalty).isfinite() == (spoil is spoiled_by_the_gradient)
    assert all(torch.equal(a, b) for a, b in zip(state_of(ours, optimizer), before, strict=True))


def test_frozen_weights_stay_and_a_weight_of_two_layers_gets_both_gradients(uncompiled):
    def network():
        found = critic()
        tied = nn.Linear(8, 8).double()
        tied.load_state_dict({"weight": torch.eye(8).double() / 2, "bias": torch.ones(8)})
        found = nn.Sequential(*found[:2], tied, nn.ReLU(), tied, nn.ReLU(), *found[2:])
        found[0].bias.requires_grad_(False)
        return found

    ours, theirs = network(), network()
    optimizer, reference = (
        torch.optim.SGD([p for p in each.parameters() if p.requires_grad], lr=1e-3) for each in (ours, theirs)
    )
    step = gp.compile_critic_step(ours, optimizer)
    for real, fake, eps in batches(3):
        reference.zero_grad()
        gp.penalized_backward_(theirs, real, fake, eps=eps)
        reference.step()
        step(real, fake, eps=eps)
    assert_same(ours, optimizer, theirs, reference)
    assert torch.equal(ours[0].bias, network()[0].bias)


def test_it_draws_the_points_that_the_sweep_draws(uncompiled):
    found = []
    for whole in (True, False):
        ours, (real, fake, _) = critic(), next(batches(1))
        torch.manual_seed(3)
        if whole:
            found.append(gp.compile_critic_step(ours, OPTIMIZERS["sgd"](ours.parameters()))(real, fake).norms)
        else:
            found.append(gp.penalized_backward_(ours, real, fake).norms)
    torch.testing.assert_close(*found)


def test_another_batch_size_is_compiled_anew_and_samples_may_lie_anyhow(uncompiled):
    ours, theirs = critic(), critic()
    optimizer, reference = (OPTIMIZERS["sgd"](each.parameters()) for each in (ours, theirs))
    step = gp.compile_critic_step(ours, optimizer)
    for n in (9, 4, 9):
        ((real, fake, eps),) = batches(1, n)
        reference.zero_grad()
        gp.penalized_backward_(theirs, real, fake, eps=eps)
        reference.step()
        step(real.T.contiguous().T.requires_grad_(), fake, eps=eps)
    assert len(step.compiled) == 2
    assert_same(ours, optimizer, theirs, reference)


class Recording:
    """Stands for a CUDA graph on a machine without a GPU: it repeats a function of fixed tensors."""

    made = []

    def __init__(self, function, tensors):
        self.function, self.tensors = function, tensors
        Recording.made.append(self)
        (self.result,) = function(*[x.clone() for x in tensors])

    def replay(self):
        self.result.copy_(*self.function(*self.tensors))


def test_a_graph_reads_new_samples_and_is_recorded_anew_where_the_state_has_moved(uncompiled, monkeypatch):
    def recorded(function, tensors):
        graph = Recording(function, tensors)
        return graph, graph.result

    monkeypatch.setattr(whole_step, "_recorded", recorded)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    ours, theirs = critic(), critic()
    optimizer, reference = (OPTIMIZERS["adam"](each.parameters()) for each in (ours, theirs))
    step, losses, made = gp.compile_critic_step(ours, optimizer), [], []
    step.graphed = True
    for index, (real, fake, eps) in enumerate(batches(6)):
        if index == 3:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        reference.zero_grad()
        gp.penalized_backward_(theirs, real, fake, eps=eps)
        reference.step()
        losses.append(step(real, fake, eps=eps).loss)
        made.append(len(Recording.made))
    assert made == [1, 1, 1, 2, 2, 2]
    assert len(set(map(float, losses))) == 6  # no result is written over by the next
    assert_same(ours, optimizer, theirs, reference)


REFUSED = {
    "a critic that the sweep does not know": (lambda c: (nn.LSTM(2, 2), None), "gpcore.supports"),
    "AdamW": (lambda c: (c, torch.optim.AdamW(c.parameters())), "Adam, RMSprop or SGD, got AdamW"),
    "weight decay": (lambda c: (c, torch.optim.Adam(c.parameters(), weight_decay=0.1)), "weight_decay=0.1 of Adam"),
    "amsgrad": (lambda c: (c, torch.optim.Adam(c.parameters(), amsgrad=True)), "amsgrad=True"),
    "maximize": (lambda c: (c, torch.optim.Adam(c.parameters(), maximize=True)), "maximize=True"),
    "centred": (lambda c: (c, torch.optim.RMSprop(c.parameters(), centered=True)), "centered=True"),
    "RMSprop's momentum": (lambda c: (c, torch.optim.RMSprop(c.parameters(), momentum=0.5)), "momentum=0.5"),
    "Nesterov": (lambda c: (c, torch.optim.SGD(c.parameters(), lr=1, momentum=0.5, nesterov=True)), "nesterov=True"),
    "dampening": (lambda c: (c, torch.optim.SGD(c.parameters(), lr=1, momentum=0.5, dampening=0.1)), "dampening=0.1"),
    "two groups": (
        lambda c: (c, torch.optim.SGD([{"params": list(c.parameters())[:2]}, {"params": list(c.parameters())[2:]}])),
        "in one group",
    ),
    "a part of the critic": (lambda c: (c, torch.optim.Adam(c[0].parameters())), "trainable parameters, no others"),
    "two dtypes": (lambda c: (c, torch.optim.Adam(mixed(c).parameters())), "in one dtype"),
}


def mixed(network):
    network[0].float()
    return network


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_do_is_refused(name):
    make, message = REFUSED[name]
    network, optimizer = make(critic())
    with pytest.raises(ValueError, match=message):
        gp.compile_critic_step(network, optimizer)


def test_an_optimiser_with_hooks_is_refused():
    ours = critic()
    optimizer = OPTIMIZERS["sgd"](ours.parameters())
    optimizer.register_step_post_hook(lambda *_: None)
    with pytest.raises(ValueError, match="hooks"):
        gp.compile_critic_step(ours, optimizer)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(real=torch.zeros(0, 2).double()), ValueError, "real must be a non-empty batch"),
        (dict(fake=torch.zeros(3, 2).double()), ValueError, "same shape"),
        (dict(real=torch.zeros(9, 2)), ValueError, "real must be on cpu and torch.float64"),
        (dict(fake=torch.zeros(9, 2)), ValueError, "fake must be on cpu and torch.float64"),
        (dict(eps=2.0), ValueError, "eps"),
        (dict(weight=-1.0), ValueError, "weight"),
        (dict(at="nowhere"), ValueError, "at must be one of"),
    ],
)
def test_bad_input_is_named(change, error, message):
    ours, (real, fake, eps) = critic(), next(batches(1))
    settings = {name: change[name] for name in ("weight", "at") if name in change}
    given = dict(real=real, fake=fake, eps=eps) | {name: x for name, x in change.items() if name not in settings}
    with pytest.raises(error, match=message):
        gp.compile_critic_step(ours, OPTIMIZERS["sgd"](ours.parameters()), **settings)(
            given.pop("real"), given.pop("fake"), **given
        )
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), critic().parameters(), strict=True))


def test_autocast_is_refused():
    ours, (real, fake, _) = critic(), next(batches(1))
    step = gp.compile_critic_step(ours, OPTIMIZERS["sgd"](ours.parameters()))
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="autocast"):
        step(real, fake)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside torch.compile itself
@pytest.mark.usefixtures("compiler")
def test_compiled_it_does_the_same():
    ours, optimizer, _, _, step = assert_equal_over_steps(OPTIMIZERS["adam"])
    before = state_of(ours, optimizer)
    real, fake, eps = next(batches(1))
    assert not step(real / 0, fake, eps=eps).updated
    assert all(torch.equal(a, b) for a, b in zip(state_of(ours, optimizer), before, strict=True))


@pytest.mark.filterwarnings("ignore")  # raised inside torch.compile itself
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replayed_as_a_cuda_graph_it_does_the_same(name):
    ours, optimizer, theirs, reference, step = assert_equal_over_steps(OPTIMIZERS[name], device="cuda")
    real, fake, eps = next(batches(1, device="cuda"))
    before = state_of(ours, optimizer)
    assert not step(real / 0, fake, eps=eps).updated
    assert all(torch.equal(a, b) for a, b in zip(state_of(ours, optimizer), before, strict=True))
    # What moved is found again, and points are drawn as the sweep draws them.
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for seed in range(3):
        reference.zero_grad()
        torch.manual_seed(seed)
        gp.penalized_backward_(theirs, real, fake)
        reference.step()
        torch.manual_seed(seed)
        step(real, fake)
    assert_same(ours, optimizer, theirs, reference)
