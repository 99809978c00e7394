"""The scaling functions on what people hand in: other types, other things, and the functions for parts and windows."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore import scaling

FUNCTIONS = {
    "total_norm": gp.total_norm,
    "clip_norm_": lambda p: gp.clip_norm_(p, 1.0),
    "clip_value_": lambda p: gp.clip_value_(p, 1.0),
    "normalize_norm_": gp.normalize_norm_,
    "adaptive_clip_": gp.adaptive_clip_,
    "clip_rms_": gp.clip_rms_,
    "AutoClip": lambda p: gp.AutoClip()(p),
    "ZClip": lambda p: gp.ZClip()(p),
}


def parameter(gradient):
    gradient = torch.as_tensor(gradient)
    p = nn.Parameter(torch.zeros_like(gradient))
    p.grad = gradient.clone()
    return p


def layer():
    net = nn.Linear(3, 1)
    net(torch.full((1, 3), 100.0)).sum().backward()
    return net


# ---------------------------------------------------------------- what is handed in


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_iterator_that_is_spent_is_spoken_of(name):
    net = layer()
    for walk in (net.parameters(), filter(torch.is_tensor, net.parameters()), iter([net.bias])):
        assert len(list(walk)) > 0
        with pytest.warns(UserWarning, match="parameters is an iterator with nothing left"):
            assert FUNCTIONS[name](walk) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FUNCTIONS[name]([]) == 0


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda net: net, r"got a Linear: use model.parameters\(\)"),
        (lambda net: torch.optim.SGD(net.parameters(), lr=1.0), "got a SGD: use .p for group in optimizer.param_gro"),
        (lambda net: net.named_parameters(), r"item 0 is a tuple: use model.parameters\(\) and not named_parameters"),
        (lambda net: dict(net.named_parameters()), "got a dictionary"),
        (lambda net: torch.optim.SGD(net.parameters(), lr=1.0).param_groups, "item 0 is a dict: use group"),
        (lambda net: [net, net], r"item 0 is a Linear: use module.parameters\(\) of each"),
        (lambda net: [p.grad for p in net.parameters()], "not their gradients"),
        (lambda net: net.weight.grad, "not their gradients"),
        (lambda net: torch.autograd.grad(net(torch.ones(3)) ** 2, net.parameters(), create_graph=True), "item 0"),
        (lambda net: 3.0, "got float"),
        (lambda net: "weights", "item 0 is a str"),
    ],
)
def test_what_holds_no_parameters_is_refused_by_name(name, take, message):
    net = layer()
    before = net.weight.grad.clone()
    with pytest.raises(TypeError, match=f"parameters must hold parameters.*{message}"):
        FUNCTIONS[name](take(net))
    assert torch.equal(net.weight.grad, before)


def test_what_holds_parameters_is_taken():
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    tied = parameter([3.0, 4.0])
    for parameters in ([frozen, tied], [tied, tied], nn.ParameterList([tied]), {tied}, itertools.chain([tied], [tied])):
        tied.grad = torch.tensor([3.0, 4.0])
        assert gp.clip_norm_(parameters, 1.0) == 5.0
        torch.testing.assert_close(tied.grad, torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("order", [0, -1, -math.inf, math.nan, "inf", None, True])
def test_orders_that_are_none_are_refused_by_name(order):
    p = parameter([3.0, 4.0])
    for call in (lambda: gp.clip_norm_(p, 1.0, order), lambda: gp.total_norm(p, order)):
        with pytest.raises((TypeError, ValueError), match="norm_type must be"):
            call()
    assert p.grad.tolist() == [3.0, 4.0]


def test_numbers_of_other_libraries_are_thresholds():
    for good in (np.float64(1), np.float32(1), np.int64(1), torch.tensor(1.0), torch.tensor(1), 1):
        p = parameter([3.0, 4.0])
        gp.clip_norm_(p, good)
        assert p.grad.norm() == pytest.approx(1.0)
        gp.AutoClip(good), gp.ZClip(z=good), gp.make_scaler("clip_value", good)
    for bad in (True, np.True_, torch.tensor(True), torch.ones(1), "1", None, 1j, torch.tensor(1j)):
        with pytest.raises(TypeError, match="max_norm must be a number"):
            gp.clip_norm_(parameter([3.0]), bad)
    for bad in (np.float32("nan"), torch.tensor(-1.0), np.inf):
        with pytest.raises(ValueError, match="max_norm must be finite and not negative"):
            gp.clip_norm_(parameter([3.0]), bad)


# ---------------------------------------------------------------- complex, sparse, mixed gradients


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_complex_and_real_gradients_in_any_order(order):
    for name, length in (("clip_norm_", 1.0), ("normalize_norm_", 1.0)):
        made = [parameter([3 + 4j, 0j]), parameter([12.0]), parameter(torch.tensor([84.0], dtype=torch.float64))]
        made = [made[i] for i in order]
        assert FUNCTIONS[name](made) == pytest.approx(85.0)  # 5, 12, 84
        assert math.hypot(*[float(p.grad.abs().norm()) for p in made]) == pytest.approx(length, rel=1e-5)
    made = [parameter([3 + 4j]), parameter([12.0])]
    assert gp.total_norm(made, 1.0) == pytest.approx(17.0) and gp.total_norm(made, math.inf) == pytest.approx(12.0)
    with pytest.raises(TypeError, match="complex"):
        gp.clip_value_(made, 1.0)
    assert [p.grad.tolist() for p in made] == [[3 + 4j], [12.0]]
    with pytest.raises(FloatingPointError):
        gp.clip_norm_([parameter([12.0]), parameter([complex(math.nan, 0)])], 1.0)
    gp.adaptive_clip_(made, clipping=1.0, eps=0.1)
    torch.testing.assert_close(made[0].grad, torch.tensor([0.06 + 0.08j]))


def embedding(tokens):
    net = nn.Embedding(6, 2, sparse=True)
    net(torch.tensor(tokens)).square().sum().backward()
    return net.weight


@pytest.mark.parametrize("name", ["total_norm", "clip_norm_", "normalize_norm_", "clip_value_", "clip_rms_"])
@pytest.mark.parametrize("tokens", [[1], [1, 2, 2], [5, 5, 5, 0]])
def test_sparse_gradients_are_scaled_as_dense_ones(name, tokens):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sparse = embedding(tokens)
    dense = parameter(sparse.grad.to_dense())
    assert FUNCTIONS[name]([sparse]) == pytest.approx(float(FUNCTIONS[name]([dense])))
    assert sparse.grad.is_sparse
    torch.testing.assert_close(sparse.grad.to_dense(), dense.grad)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
def test_sparse_gradients_without_units_are_refused():
    with pytest.raises(TypeError, match="sparse"):
        gp.adaptive_clip_([embedding([1])])
    p = nn.Parameter(torch.zeros(2, 2).to_sparse_csr())
    p.grad = torch.eye(2).to_sparse_csr()
    with pytest.raises(TypeError, match="sparse gradient of layout torch.sparse_csr"):
        gp.clip_norm_([p], 1.0)


# ---------------------------------------------------------------- gradients of odd makes


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"total_norm"}))
@pytest.mark.parametrize("shape", [(4,), (2, 3), (3, 1)])
def test_gradients_whose_elements_share_memory_are_scaled_as_copies_are(name, shape):
    shared, copied = (parameter(torch.zeros(shape)) for _ in range(2))
    shared.grad = torch.tensor(3.0).expand(shape)
    copied.grad = shared.grad.contiguous().clone()
    first = parameter([2.0])
    assert FUNCTIONS[name]([first, shared]) == pytest.approx(float(FUNCTIONS[name]([parameter([2.0]), copied])))
    torch.testing.assert_close(shared.grad, copied.grad)


@pytest.mark.parametrize("name", ["clip_norm_", "normalize_norm_", "ZClip"])
def test_a_gradient_of_two_parameters_is_scaled_once(name):
    gradient = torch.tensor([3.0, 4.0])
    one, other = (nn.Parameter(torch.zeros(2)) for _ in range(2))
    one.grad = other.grad = gradient
    scale = gp.ZClip(max_norm=1.0) if name == "ZClip" else FUNCTIONS[name]
    assert scale([one, other]) == pytest.approx(math.hypot(5.0, 5.0))
    assert math.hypot(float(one.grad.norm()), float(other.grad.norm())) == pytest.approx(1.0)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")
def test_gradients_with_a_graph_are_scaled_without_one(name):
    net = nn.Linear(2, 1)
    net(torch.full((1, 2), 5.0)).exp().mul(100.0).sum().backward(create_graph=True)
    plain = [nn.Parameter(p.detach().clone()) for p in net.parameters()]
    for p, q in zip(net.parameters(), plain, strict=True):
        q.grad = p.grad.detach().clone()
    norm = FUNCTIONS[name](net.parameters())
    assert not norm.requires_grad
    assert float(FUNCTIONS[name](plain)) == pytest.approx(float(norm))
    for p, q in zip(net.parameters(), plain, strict=True):
        torch.testing.assert_close(p.grad.detach(), q.grad)
        p.grad = None  # the graph holds its parameters


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_without_values_are_refused_by_name(name):
    good, bare = parameter([30.0]), nn.Parameter(torch.zeros(2, device="meta"))
    bare.grad = torch.ones(2, device="meta")
    for handed_in in ([bare], [good, bare], [bare, good]):
        with pytest.raises(TypeError, match="parameters hold a gradient on the device 'meta'"):
            FUNCTIONS[name](handed_in)
    assert good.grad == 30.0


@pytest.mark.parametrize("types", [("float32", "float64"), ("float16", "float32"), ("bfloat16", "float16", "float64")])
def test_gradients_of_several_types_have_one_norm(types):
    made = [parameter(torch.tensor([3.0, 4.0], dtype=getattr(torch, kind))) for kind in types for _ in range(2)]
    right = 5 * math.sqrt(len(made))
    assert float(gp.clip_norm_(made, 1.0)) == pytest.approx(right, rel=1e-6)
    for p in made:
        expected = torch.tensor([3.0, 4.0], dtype=torch.float64) / right
        torch.testing.assert_close(p.grad.double(), expected, rtol=1e-2, atol=0)


def test_a_target_that_a_type_cannot_hold_is_refused():
    for kind, target in ((torch.float16, 1e5), (torch.float32, 1e39), (torch.bfloat16, 1e39)):
        p = parameter(torch.tensor([1.0], dtype=kind))
        with pytest.raises(ValueError, match=f"target must be in the range of {kind}"):
            gp.normalize_norm_([p], target)
        assert p.grad == 1.0


def test_the_names_stay_where_they_were():
    assert scaling.AutoClip is gp.AutoClip and scaling.ZClip is gp.ZClip
    assert scaling.adaptive_clip_ is gp.adaptive_clip_ and scaling.Scaler
