"""Gradient norm scaling against PyTorch's functions, NumPy, and what each operation must keep."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import gpcore as gp
from gpcore import scaling


def parameters(*gradients):
    made = []
    for gradient in gradients:
        gradient = torch.as_tensor(gradient, dtype=torch.float32)
        p = nn.Parameter(torch.zeros_like(gradient))
        p.grad = gradient.clone()
        made.append(p)
    return made


def network(seed=0, dtype=torch.float32):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(dtype)
        net(torch.randn(11, 5, dtype=dtype)).square().sum().backward()
    return net


def flat(params):
    return torch.cat([p.grad.flatten() for p in params])


@given(seed=st.integers(0, 99), threshold=st.floats(1e-3, 1e3))
def test_norm_clipping_agrees_with_pytorch(seed, threshold):
    ours, theirs = network(seed), network(seed)
    norm = gp.clip_norm_(ours.parameters(), threshold)
    expected = nn.utils.clip_grad_norm_(theirs.parameters(), threshold)
    torch.testing.assert_close(norm, expected)
    torch.testing.assert_close(flat(ours.parameters()), flat(theirs.parameters()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
def test_every_norm_agrees_with_pytorch(norm_type):
    ours, theirs = network(), network()
    norm = gp.clip_norm_(ours.parameters(), 0.1, norm_type)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.1, norm_type))
    torch.testing.assert_close(flat(ours.parameters()), flat(theirs.parameters()), rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(gp.total_norm(ours.parameters(), norm_type), torch.tensor(0.1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("sizes", [(3, 5), (9000, 5), (9000, 4097)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_small_and_large_tensors_of_every_precision(sizes, dtype):
    gradients = [torch.randn(size, dtype=torch.float64).to(dtype) for size in sizes]
    params = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g.clone()
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients))
    found = float(gp.clip_norm_(params, 0.3))
    precision = torch.finfo(dtype).eps
    assert found == pytest.approx(norm, rel=20 * precision)
    # Two roundings: of the factor, never below single precision, and of the product.
    rounding = 0.51 * (precision + torch.finfo(torch.promote_types(dtype, torch.float32)).eps)
    smallest = 1e-7 if dtype is torch.float16 else 0.0
    for p, g in zip(params, gradients, strict=True):
        torch.testing.assert_close(p.grad.double(), g.double() * (0.3 / found), rtol=rounding, atol=smallest)


def test_clipping_synchronises_once():
    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            self.count += operation is torch.ops.aten._local_scalar_dense.default
            return operation(*args, **(kwargs or {}))

    params = parameters(*torch.randn(20, 3))
    with Reads() as reads:
        gp.clip_norm_(params, 0.1)
    assert reads.count == 1


def test_what_is_below_the_threshold_is_left_bit_for_bit():
    net = network()
    before = flat(net.parameters()).clone()
    norm = gp.clip_norm_(net.parameters(), float(gp.total_norm(net.parameters())))
    assert torch.equal(before, flat(net.parameters()))
    torch.testing.assert_close(norm, before.norm())


def test_clipping_by_hand_and_the_norm_before():
    params = parameters([3.0], [4.0])
    assert gp.clip_norm_(params, 1.0) == 5.0
    torch.testing.assert_close(flat(params), torch.tensor([0.6, 0.8]))
    params = parameters([0.3], [0.4])
    assert gp.normalize_norm_(params, 1.0) == 0.5
    torch.testing.assert_close(flat(params), torch.tensor([0.6, 0.8]))
    params = parameters([3.0], [-0.5])
    assert gp.clip_value_(params, 1.0) == pytest.approx(math.hypot(3, 0.5))
    assert flat(params).tolist() == [1.0, -0.5]


@given(seed=st.integers(0, 50), factor=st.floats(0.01, 100))
def test_laws_of_scaling(seed, factor):
    a, b = network(seed), network(seed)
    for p in b.parameters():
        p.grad.mul_(factor)
    # Normalisation forgets the length; norms are homogeneous; clipping twice is clipping once.
    torch.testing.assert_close(gp.normalize_norm_(b.parameters()), factor * gp.normalize_norm_(a.parameters()))
    torch.testing.assert_close(flat(a.parameters()), flat(b.parameters()), rtol=1e-4, atol=1e-7)
    gp.clip_norm_(a.parameters(), 0.5)
    once = flat(a.parameters()).clone()
    gp.clip_norm_(a.parameters(), 0.5)
    torch.testing.assert_close(once, flat(a.parameters()), rtol=1e-6, atol=0)


def test_value_clipping_agrees_with_pytorch():
    ours, theirs = network(), network()
    gp.clip_value_(ours.parameters(), 0.3)
    nn.utils.clip_grad_value_(theirs.parameters(), 0.3)
    assert torch.equal(flat(ours.parameters()), flat(theirs.parameters()))


def test_large_and_small_finite_gradients_do_not_leave_the_range():
    params = parameters([1e20, 0.0], [1e20])
    assert float(gp.clip_norm_(params, 1.0)) == pytest.approx(math.sqrt(2) * 1e20)
    torch.testing.assert_close(flat(params), torch.tensor([2**-0.5, 0.0, 2**-0.5]))
    params = parameters([3e-30], [4e-30])
    assert float(gp.normalize_norm_(params)) == pytest.approx(5e-30)
    torch.testing.assert_close(flat(params), torch.tensor([0.6, 0.8]))


OPERATIONS = [
    lambda p: gp.clip_norm_(p, 1.0),
    lambda p: gp.clip_value_(p, 1.0),
    lambda p: gp.normalize_norm_(p),
    lambda p: gp.adaptive_clip_(p),
    lambda p: gp.AutoClip()(p),
    lambda p: gp.ZClip()(p),
    lambda p: gp.total_norm(p),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_passed_on(operation, bad):
    params = parameters([1.0, 2.0], [bad])
    with pytest.raises(FloatingPointError, match="norm is (nan|inf): nothing was scaled"):
        operation(params)
    assert params[0].grad.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_parameters_without_gradients_are_skipped_and_zero_stays_zero(operation):
    assert operation([nn.Parameter(torch.ones(2))]) == 0
    assert operation([]) == 0
    params = [*parameters([0.0, 0.0]), nn.Parameter(torch.ones(3))]
    assert operation(params) == 0 and params[0].grad.tolist() == [0.0, 0.0] and params[1].grad is None
    single = parameters([3.0, 4.0])[0]
    assert operation(single) == 5.0


def test_adaptive_clipping_agrees_with_a_loop_over_units():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4))
    net(torch.randn(6, 2, 4, 4)).square().sum().backward()
    expected = []
    for p in net.parameters():
        units = [(p[i], p.grad[i]) for i in range(len(p))] if p.ndim > 1 else [(p, p.grad)]
        for w, g in units:
            limit = 0.02 * max(w.detach().norm().item(), 1e-3)
            expected.append((g * min(1.0, limit / g.norm().item())).flatten())
    before = gp.total_norm(net.parameters())
    assert gp.adaptive_clip_(net.parameters(), 0.02) == before
    torch.testing.assert_close(flat(net.parameters()), torch.cat(expected), rtol=1e-5, atol=1e-8)


def test_autoclip_clips_at_numpys_percentile_of_the_norms_so_far():
    clip, norms = gp.AutoClip(percentile=25.0), []
    for norm in (4.0, 1.0, 3.0, 10.0, 2.0):
        params = parameters([norm])
        norms.append(norm)
        assert clip(params) == norm
        assert float(params[0].grad) == pytest.approx(min(norm, np.percentile(norms, 25)))
    resumed = gp.AutoClip(percentile=25.0)
    resumed.load_state_dict(clip.state_dict())
    assert resumed.history == norms


def test_zclip_follows_the_papers_recursion():
    clip = gp.ZClip(z=2.0, alpha=0.9, warmup=4)
    for norm in (1.0, 2.0, 1.0, 2.0):
        assert clip(parameters([norm])) == norm
    mean, variance = 1.5, 0.25
    for norm in (1.6, 5.0, 1.4):
        params = parameters([norm])
        assert clip(params) == pytest.approx(norm)
        zeta = (norm - mean) / math.sqrt(variance)
        kept = mean + math.sqrt(variance) * 4.0 / zeta if zeta > 2.0 else norm
        assert float(params[0].grad) == pytest.approx(kept, rel=1e-5)
        mean = 0.9 * mean + 0.1 * kept
        variance = 0.9 * variance + 0.1 * (kept - mean) ** 2
        assert (clip.mean, clip.variance) == pytest.approx((mean, variance), rel=1e-5)


def test_per_sample_clipping_agrees_with_a_loop_over_samples():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = torch.randn(6, 3), torch.randint(2, (6,))
    found = gp.per_sample_clip(nn.functional.cross_entropy, net, (x, y), 0.5)
    expected = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for i in range(6):
        net.zero_grad()
        nn.functional.cross_entropy(net(x[i : i + 1]), y[i : i + 1]).backward()
        factor = min(1.0, 0.5 / flat(net.parameters()).norm().item())
        for name, p in net.named_parameters():
            expected[name] += factor * p.grad
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    assert found.keys() == expected.keys()
    with pytest.raises(FloatingPointError, match="of 2 samples"):
        gp.per_sample_clip(lambda output: output.sum(), net, torch.full((2, 3), math.nan), 1.0)


@pytest.mark.parametrize("name", scaling.SCALERS)
def test_scalers_by_name_return_the_norm_before(name):
    scaler = gp.make_scaler(name, 2.0)
    params = parameters([3.0, 4.0])
    assert scaler(params) == 5.0
    assert (flat(params).tolist() == [3.0, 4.0]) == (name in ("none", "zclip", "autoclip"))
    again = gp.make_scaler(name, 2.0)
    again.load_state_dict(scaler.state_dict())
    assert again.state_dict() == scaler.state_dict()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: gp.clip_norm_(p, -1.0), "max_norm must be finite and not negative, got -1.0"),
        (lambda p: gp.clip_norm_(p, math.nan), "max_norm must be finite"),
        (lambda p: gp.clip_value_(p, -1.0), "clip_value must be"),
        (lambda p: gp.normalize_norm_(p, math.inf), "target must be"),
        (lambda p: gp.adaptive_clip_(p, -0.1), "clipping must be"),
        (lambda p: gp.AutoClip(101.0), "percentile must lie in"),
        (lambda p: gp.ZClip(alpha=1.0), "alpha must lie in"),
        (lambda p: gp.ZClip(z=0.0), "z must be greater"),
        (lambda p: gp.make_scaler("clip"), "scaling must be one of"),
    ],
)
def test_bad_thresholds_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(parameters([1.0]))


@pytest.mark.parametrize("size", [1e-42, 1e-23, 1e20])
def test_gradients_near_the_ends_of_float32_are_scaled_to_their_length(size):
    gradient = size * torch.randn(1000, generator=torch.Generator().manual_seed(0))
    for scale in (gp.normalize_norm_, gp.clip_norm_):
        p = nn.Parameter(torch.zeros(1000))
        p.grad = gradient.clone()
        norm = scale([p], 1.0)
        length = float(gradient.double().norm())
        assert float(norm) == pytest.approx(length, rel=1e-5)
        if scale is gp.normalize_norm_ or length > 1:
            assert float(p.grad.double().norm()) == pytest.approx(1.0, rel=1e-4)


def test_adaptive_clipping_shortens_large_gradients_and_does_not_drop_them():
    p = nn.Parameter(torch.ones(2, 3))
    p.grad = torch.full((2, 3), 1e20)
    gp.adaptive_clip_([p])
    assert p.grad.norm(dim=1).tolist() == pytest.approx([0.01 * 3**0.5] * 2)
    p = nn.Parameter(torch.ones(2, 3, dtype=torch.float16))
    p.grad = torch.tensor([[6e4] * 3, [0.0] * 3], dtype=torch.float16)
    gp.adaptive_clip_([p], clipping=0.0)
    assert p.grad.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("name", [name for name in scaling.SCALERS if name != "none"])
def test_a_threshold_that_cannot_be_is_refused_at_once(name):
    for threshold in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="must be"):
            gp.make_scaler(name, threshold)


@pytest.mark.parametrize("warmup", [0, -3, 2.5])
def test_a_warmup_that_never_ends_is_refused(warmup):
    with pytest.raises(ValueError, match="warmup must be"):
        scaling.ZClip(warmup=warmup)


def test_finite_gradients_of_single_samples_may_be_large():
    linear = nn.Linear(2, 1, bias=False)
    found = gp.per_sample_clip(lambda out: 1e20 * out.sum(), linear, torch.ones(3, 2), 1.0)
    assert found["weight"].norm().item() == pytest.approx(3.0)
