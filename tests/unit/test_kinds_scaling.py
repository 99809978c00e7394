"""The scaling functions on what people hand in: other types, other things, and the functions for parts and windows."""

import itertools
import math
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

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


# ---------------------------------------------------------------- parts of the gradient


def by_units(weight, gradient, unit, clipping, eps=1e-3):
    """Adaptive clipping of one unit after the other, in float64."""
    result = gradient.double().clone()
    for i in range(weight.shape[unit]):
        w, g = weight.detach().double().select(unit, i), result.select(unit, i)
        g.mul_(min(1.0, clipping * max(float(w.norm()), eps) / float(g.norm())))
    return result.to(gradient.dtype)


@pytest.mark.parametrize(
    ("make", "unit"),
    [
        (lambda: nn.Conv3d(2, 3, 2), 0),
        (lambda: nn.Conv2d(4, 6, 3, groups=2), 0),
        (lambda: nn.ConvTranspose1d(2, 5, 3), 1),
        (lambda: nn.ConvTranspose2d(3, 3, 2), 1),
        (lambda: nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(2, 4, 3)), 1),
    ],
)
def test_units_of_convolutions_lead_to_one_output(make, unit):
    net = make()
    weight = max(net.parameters(), key=torch.numel)
    gradient = torch.randn(weight.shape)
    expected = by_units(weight, gradient, unit, 0.02)
    for _ in range(2):  # looked up, and remembered
        weight.grad = gradient.clone()
        gp.adaptive_clip_([weight], 0.02)
        torch.testing.assert_close(weight.grad, expected)


def test_units_of_attention_are_rows_and_of_vectors_the_whole():
    attention = nn.MultiheadAttention(4, 2)
    weight = attention.in_proj_weight
    gradient = torch.randn(12, 4)
    weight.grad = gradient.clone()
    gp.adaptive_clip_([weight], 0.05)
    torch.testing.assert_close(weight.grad, by_units(weight, gradient, 0, 0.05))
    for shape in ((4,), (4, 1, 1, 1), (1, 4), (1, 1, 4, 1)):
        gain = nn.Parameter(torch.tensor([1.0, 2.0, 2.0, 0.0]).reshape(shape))  # of norm 3
        gain.grad = torch.full(shape, 5.0)  # of norm 10
        gp.adaptive_clip_([gain], 0.1)
        torch.testing.assert_close(gain.grad, torch.full(shape, 0.15))
    number = parameter(torch.tensor(5.0))
    gp.adaptive_clip_([number], 0.1, eps=0.2)
    assert number.grad == pytest.approx(0.02)


def test_clipping_by_the_root_mean_square_is_adafactors_formula():
    made = [parameter(torch.randn(size) * 3) for size in ((3,), (4, 5), (1,))]
    expected = [p.grad / max(1.0, float(p.grad.square().mean().sqrt()) / 0.7) for p in made]
    norm = gp.total_norm(made)
    assert gp.clip_rms_(made, 0.7) == norm
    for p, g in zip(made, expected, strict=True):
        torch.testing.assert_close(p.grad, g)
    small = parameter([0.1, 0.2])
    gp.clip_rms_([small])
    assert torch.equal(small.grad, torch.tensor([0.1, 0.2]))
    large = parameter([1e30, 1e30])
    gp.clip_rms_([large])
    torch.testing.assert_close(large.grad, torch.ones(2))


def test_groups_are_clipped_as_pytorch_clips_each():
    ours, theirs = ([parameter(torch.arange(1.0, n + 1)) for n in (2, 3, 4)] for _ in range(2))
    optimizer = torch.optim.SGD([{"params": ours[:2]}, {"params": ours[2:], "max_norm": 0.5}], lr=1.0)
    found = gp.clip_group_norms_(optimizer.param_groups, max_norm=2.0)
    expected = [nn.utils.clip_grad_norm_(group, m) for group, m in ((theirs[:2], 2.0), (theirs[2:], 0.5))]
    torch.testing.assert_close(found, torch.stack(expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)


def test_bad_groups_are_refused_and_nothing_is_changed():
    good, bad = parameter([3.0]), parameter([math.nan])
    with pytest.raises(FloatingPointError):
        gp.clip_group_norms_([{"params": [good]}, {"params": [bad]}], 1.0)
    with pytest.raises(TypeError, match="max_norm must be a number where a group has none: group 1"):
        gp.clip_group_norms_([{"params": [good], "max_norm": 1.0}, {"params": [bad]}])
    with pytest.raises(TypeError, match="groups must be dictionaries with 'params', but item 0 is a Parameter"):
        gp.clip_group_norms_([good], 1.0)
    with pytest.raises(ValueError, match="max_norm must be finite"):
        gp.clip_group_norms_([{"params": [good], "max_norm": -1.0}])
    assert good.grad == 3.0


# ---------------------------------------------------------------- thresholds with a memory


@pytest.mark.parametrize("window", [None, 1, 7])
@pytest.mark.parametrize("percentile", [0.0, 10.0, 50.0, 100.0])
def test_autoclip_follows_numpys_percentile_of_its_window(window, percentile):
    clip, norms, rng = gp.AutoClip(percentile, window=window), [], np.random.default_rng(0)
    for step in range(60):
        norms.append(float(np.float32(rng.lognormal())))
        p = parameter([norms[-1]])
        clip(p)
        threshold = np.percentile(norms[-window:] if window else norms, percentile)
        assert float(p.grad) == pytest.approx(min(norms[-1], threshold), rel=1e-6)
        if step == 30:  # from a checkpoint
            state, clip = clip.state_dict(), gp.AutoClip(percentile, window=window)
            clip.load_state_dict(state)
    assert clip.history == (norms[-window:] if window else norms)


def test_autoclip_costs_the_same_after_a_million_steps():
    def seconds(clip):
        p = parameter([1.0])
        clip(p)
        start = time.process_time()
        for _ in range(300):
            clip(p)
        return time.process_time() - start

    norms = np.random.default_rng(0).lognormal(size=1_000_000).tolist()
    young, old, windowed = gp.AutoClip(), gp.AutoClip(), gp.AutoClip(window=1000)
    old.load_state_dict({"history": norms})
    windowed.load_state_dict({"history": norms})
    assert len(windowed.history) == 1000
    fresh = seconds(young)
    assert seconds(old) < 5 * fresh and seconds(windowed) < 5 * fresh


@pytest.mark.parametrize("window", [0, -3, 2.5, math.nan])
def test_windows_that_are_none_are_refused(window):
    with pytest.raises(ValueError, match="window must be"):
        gp.AutoClip(window=window)


def test_zclips_fixed_maximum_is_a_cut_beside_it():
    free, capped = gp.ZClip(warmup=4), gp.ZClip(warmup=4, max_norm=2.5)
    for norm in (1.0, 3.0, 2.0, 4.0, 2.6, 30.0, 2.0, 3.0):
        a, b = parameter([norm]), parameter([norm])
        assert free(a) == capped(b) == pytest.approx(norm)
        assert float(b.grad) == pytest.approx(min(float(a.grad), 2.5), rel=1e-6)
    assert free.state_dict() == capped.state_dict()
    with pytest.raises(ValueError, match="max_norm must be greater than 0"):
        gp.ZClip(max_norm=0.0)


# ---------------------------------------------------------------- single samples


def by_a_loop(loss, model, x, y, max_norm):
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in trainable.items()}
    for row, label in zip(x.split(1), y.split(1), strict=True):
        gradients = torch.autograd.grad(loss(model(row), label), list(trainable.values()))
        length = float(torch.cat([g.flatten() for g in gradients]).norm())
        for name, g in zip(trainable, gradients, strict=True):
            total[name] += min(1.0, max_norm / length) * g
    return total


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(20, 4), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.words(tokens).mean(1))


def frozen(net):
    net[0].requires_grad_(False)
    return net


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (frozen(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))), torch.randn(6, 4)),
        (frozen(nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3))), torch.randint(9, (6, 2))),
        (Tokens(), torch.randint(20, (6, 7))),
        (nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).eval(), torch.randn(6, 4)),
        (nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4), nn.Linear(4, 3)), torch.randn(6, 4)),
    ],
)
def test_samples_are_clipped_as_in_a_loop(model, x):
    y = torch.randint(3, (6,))
    for batch in ((x, y), [x, y]):
        found = gp.per_sample_clip(cross_entropy, model, batch, 0.1)
        expected = by_a_loop(cross_entropy, model, x, y, 0.1)
        assert found.keys() == expected.keys()
        for name, g in expected.items():
            torch.testing.assert_close(found[name], g, rtol=1e-4, atol=1e-6)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.out = kind(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_networks_are_refused_by_name(kind):
    with pytest.raises(TypeError, match=f"model holds the {kind.__name__} 'rnn'"):
        gp.per_sample_clip(torch.sum, Recurrent(kind), torch.randn(2, 5, 3), 1.0)


@pytest.mark.parametrize(
    ("norm", "refused"),
    [
        (nn.BatchNorm1d(3), True),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), True),
        (nn.InstanceNorm1d(3, track_running_stats=True), True),
        (nn.InstanceNorm1d(3), False),
        (nn.LayerNorm(4), False),
    ],
)
def test_norms_that_mix_samples_are_refused_by_name(norm, refused):
    model, x = nn.Sequential(nn.Linear(4, 4), norm), torch.randn(5, 3, 4)
    if not refused:
        assert gp.per_sample_clip(torch.sum, model, x, 1.0)
        return
    with pytest.raises(ValueError, match=f"model holds the {type(norm).__name__} '1'"):
        gp.per_sample_clip(torch.sum, model, x, 1.0)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda out: out[:, 0], ValueError, "loss_fn must return one number for one sample.*reduction='none'"),
        (lambda out: out, ValueError, "loss_fn must return one number"),
        (lambda out: (out.sum(), 1), TypeError, "loss_fn must return a tensor, got tuple"),
        (lambda out: out.sum() if out.sum() > 0 else -out.sum(), ValueError, "loss_fn or model cannot be followed"),
        (lambda out: out.sum() * out.detach().sum().item(), ValueError, "loss_fn or model cannot be followed"),
    ],
)
def test_odd_losses_are_refused_by_name(loss, error, message):
    with pytest.raises(error, match=message):
        gp.per_sample_clip(loss, nn.Linear(3, 2), torch.randn(4, 3), 1.0)


@pytest.mark.parametrize(
    ("model", "batch", "error", "message"),
    [
        (nn.Linear(3, 1), (torch.ones(4, 3), torch.ones(5)), ValueError, "batch must have one label per sample"),
        (nn.Linear(3, 1), torch.ones(0, 3), ValueError, "batch must not be empty"),
        (nn.Linear(3, 1), np.ones((4, 3)), TypeError, "batch must hold tensors, got ndarray"),
        (torch.sum, torch.ones(4, 3), TypeError, "model must be a torch.nn.Module"),
        (nn.Linear(3, 1).requires_grad_(False), torch.ones(4, 3), ValueError, "all of its parameters are frozen"),
    ],
)
def test_bad_models_and_batches_are_refused_by_name(model, batch, error, message):
    with pytest.raises(error, match=message):
        gp.per_sample_clip(torch.sum, model, batch, 1.0)


def test_the_names_stay_where_they_were():
    assert scaling.AutoClip is gp.AutoClip and scaling.ZClip is gp.ZClip
    assert scaling.adaptive_clip_ is gp.adaptive_clip_ and scaling.Scaler
