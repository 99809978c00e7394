"""Gradient penalties against closed forms, finite differences and ``torch.func``; and what they refuse."""

import contextlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gpcore import _refusals
from gpcore.penalties import (
    dragan_penalty,
    gradient_norms,
    gradient_penalty,
    interpolate,
    r1_penalty,
    r2_penalty,
)

PENALTIES = {
    "gradient_penalty": lambda critic, x, **options: gradient_penalty(critic, x, 2 * x + 1, **options),
    "r1_penalty": r1_penalty,
    "r2_penalty": r2_penalty,
    "dragan_penalty": dragan_penalty,
}
each_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


def mlp(*, activation=nn.Tanh, inputs=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(inputs, 5), activation(), nn.Linear(5, 4), activation(), nn.Linear(4, 1)]
        return nn.Sequential(*layers).double()


def conv_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16, 1)
        ).double()


def linear(w):
    return lambda x: (x * w).flatten(1).sum(1)


def recorded(critic, calls):
    def record(x):
        calls.append(x.detach())
        return critic(x)

    return record


# ---------------------------------------------------------------- closed forms


def test_a_linear_critic_of_slope_5():
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    real, fake = torch.randn(7, 2, generator=rng()), torch.randn(7, 2, generator=rng(1))
    penalty = gradient_penalty(linear(w), real, fake, weight=1.0)
    penalty.backward()
    assert penalty.item() == pytest.approx(16)  # (5 - 1)^2
    assert w.grad.tolist() == pytest.approx([4.8, 6.4])  # 2 (5 - 1) w / 5
    assert gradient_penalty(linear(w), real, fake).item() == pytest.approx(160)  # the weight is 10 by default
    assert gradient_penalty(linear(w), real, fake, target=2.0, weight=1.0).item() == pytest.approx(9)
    assert dragan_penalty(linear(w), real, weight=1.0).item() == pytest.approx(16)
    for penalty in (r1_penalty, r2_penalty):
        w.grad = None
        value = penalty(linear(w), real, weight=3.0)
        value.backward()
        assert value.item() == pytest.approx(37.5)  # 3 / 2 * 25
        assert w.grad.tolist() == pytest.approx([9.0, 12.0])  # 3 w
        assert penalty(linear(w), real).item() == pytest.approx(12.5)


def test_one_sided_forgives_small_slopes():
    real = torch.zeros(2, 2)
    for slope, expected in [(3.0, 4.0), (0.25, 0.0)]:
        critic = linear(torch.tensor([slope, 0.0], requires_grad=True))
        assert gradient_penalty(critic, real, real, weight=1.0, one_sided=True).item() == pytest.approx(expected)
        assert gradient_penalty(critic, real, real, weight=1.0).item() == pytest.approx((slope - 1) ** 2)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 3), (5, 2, 4), (5, 3, 4, 2)])
def test_the_norm_runs_over_every_dimension_but_the_batch(shape):
    w, x = randn(*shape[1:]), randn(*shape, seed=1)
    critic = (lambda x: x * w) if len(shape) == 1 else linear(w)
    torch.testing.assert_close(gradient_norms(critic, x), w.square().sum().sqrt().expand(5))


@each_penalty
def test_images_are_penalised_by_the_norm_of_the_whole_image(penalty):
    w, images = randn(3, 4, 4), randn(6, 3, 4, 4, seed=1)
    norm = w.square().sum().sqrt().item()
    expected = norm**2 / 2 if penalty in (r1_penalty, r2_penalty) else (norm - 1) ** 2
    value = penalty(linear(w), images, weight=1.0, reduction="none")
    torch.testing.assert_close(value, torch.full((6,), expected, dtype=torch.float64))


@pytest.mark.parametrize("eps", [0.0, 1.0, "random"])
def test_a_quadratic_critic_shows_where_the_penalty_is_taken(eps):
    """critic a |x|^2 / 2 has the gradient a x, which differs from sample to sample."""
    a = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    real, fake = randn(6, 2, 3), randn(6, 2, 3, seed=1)
    eps = torch.rand(6, generator=rng(), dtype=torch.float64) if eps == "random" else torch.full((6,), eps).double()
    points = eps[:, None, None] * real + (1 - eps[:, None, None]) * fake
    size = points.flatten(1).square().sum(1).sqrt()
    penalty = gradient_penalty(lambda x: a * x.flatten(1).square().sum(1) / 2, real, fake, weight=3.0, eps=eps)
    penalty.backward()
    torch.testing.assert_close(penalty.detach(), (3 * (1.7 * size - 1) ** 2).mean())
    torch.testing.assert_close(a.grad, (6 * (1.7 * size - 1) * size).mean())


def test_r1_and_r2_are_taken_at_the_samples_given():
    x = randn(6, 3)
    for penalty in (r1_penalty, r2_penalty):
        values = penalty(lambda x: x.square().sum(1) / 2, x, weight=2.0, reduction="none")
        torch.testing.assert_close(values, x.square().sum(1))


# ---------------------------------------------------------------- other oracles


@pytest.mark.parametrize("net", [mlp(), mlp(activation=nn.ReLU), conv_net()])
def test_norms_agree_with_torch_func(net):
    x = randn(5, 2, 4, 4) if isinstance(net[0], nn.Conv2d) else randn(5, 3)
    gradients = torch.func.vmap(torch.func.grad(lambda sample: net(sample[None]).squeeze()))(x)
    torch.testing.assert_close(gradient_norms(net, x), gradients.flatten(1).square().sum(1).sqrt())


@each_penalty
def test_the_gradient_agrees_with_finite_differences(penalty):
    net, x = mlp(), randn(4, 3)
    options = {} if penalty in (r1_penalty, r2_penalty) else {"eps": torch.rand(4, generator=rng(2)).double()}
    if penalty is dragan_penalty:
        options["noise"] = torch.rand(4, 3, generator=rng(3)).double()

    def value():
        return penalty(net, x, **options)

    parameters = [p for p in net.parameters() if p.ndim == 2]
    gradients = torch.autograd.grad(value(), parameters)
    step = 1e-6
    for parameter, gradient in zip(parameters, gradients, strict=True):
        flat = parameter.detach().view(-1)
        for i in range(len(flat)):
            flat[i] += step
            above = value().item()
            flat[i] -= 2 * step
            below = value().item()
            flat[i] += step
            assert gradient.view(-1)[i].item() == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


def test_gradcheck_of_the_norms_with_respect_to_samples():
    assert torch.autograd.gradcheck(lambda x: gradient_norms(mlp(), x), randn(3, 3).requires_grad_())


# ---------------------------------------------------------------- laws


@each_penalty
def test_reductions(penalty):
    x = randn(5, 3)
    options = {} if penalty in (r1_penalty, r2_penalty) else {"eps": 0.5}
    if penalty is dragan_penalty:
        options["noise"] = torch.ones(5, 3).double()
    values = penalty(mlp(), x, reduction="none", **options)
    assert values.shape == (5,) and len(set(values.tolist())) == 5
    torch.testing.assert_close(penalty(mlp(), x, **options), values.mean())
    torch.testing.assert_close(penalty(mlp(), x, reduction="sum", **options), values.sum())


def test_the_mean_does_not_depend_on_the_size_of_the_batch():
    x = randn(4, 3)
    torch.testing.assert_close(r1_penalty(mlp(), x), r1_penalty(mlp(), x.repeat(3, 1)))


def test_a_permuted_batch_permutes_the_penalties():
    real, fake, eps = randn(6, 3), randn(6, 3, seed=1), torch.rand(6, generator=rng()).double()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    values = gradient_penalty(mlp(), real, fake, eps=eps, reduction="none")
    permuted = gradient_penalty(mlp(), real[order], fake[order], eps=eps[order], reduction="none")
    torch.testing.assert_close(permuted, values[order])


def test_each_norm_belongs_to_its_own_sample():
    x = randn(6, 3)
    alone = torch.cat([gradient_norms(mlp(), sample[None]) for sample in x])
    torch.testing.assert_close(gradient_norms(mlp(), x), alone)


@settings(deadline=None, max_examples=25)
@given(st.floats(-100, 100), st.floats(0.1, 100), st.floats(0, 100))
def test_scaling_laws(c, s, weight):
    net, x = mlp(), randn(4, 3)
    norms = gradient_norms(net, x)
    torch.testing.assert_close(gradient_norms(lambda x: c * net(x), x), abs(c) * norms)  # scores scaled
    torch.testing.assert_close(gradient_norms(lambda x: net(x / s), s * x), norms / s)  # samples scaled
    torch.testing.assert_close(gradient_norms(lambda x: net(x) + c, x), norms)  # scores shifted
    torch.testing.assert_close(r1_penalty(lambda x: c * net(x), x), c**2 * r1_penalty(net, x))
    values = gradient_penalty(net, x, x, weight=weight, target=s, reduction="none")
    torch.testing.assert_close(values, weight * (norms - s) ** 2)


@each_penalty
def test_descending_the_penalty_moves_the_norm_to_its_target(penalty):
    w = torch.full((4,), 3.0, dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(penalty(linear(w), randn(3, 4), weight=1.0), w)
        w = (w - 0.1 * gradient).detach().requires_grad_()
    target = 0.0 if penalty in (r1_penalty, r2_penalty) else 1.0
    assert w.norm().item() == pytest.approx(target, abs=1e-6)


# ---------------------------------------------------------------- the points


def test_interpolate_joins_pairs_by_one_number_each():
    real, fake = randn(500, 2, 3), randn(500, 2, 3, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        points = interpolate(real, fake)
    eps = ((points - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(eps, eps[:, :1].expand_as(eps))
    ranked = eps[:, 0].sort().values
    assert 0 <= ranked[0] and ranked[-1] <= 1
    # Kolmogorov-Smirnov distance from the uniform distribution; 0.087 is exceeded once in a thousand seeds.
    assert (ranked - torch.arange(500) / 500).abs().max() < 0.087


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1), (3, 1, 1, 1)])
def test_interpolate_takes_one_given_number_a_sample(shape):
    real, fake = randn(3, 2, 3), randn(3, 2, 3, seed=1)
    points = interpolate(real, fake, torch.tensor([0.0, 1.0, 0.25]).reshape(shape))
    torch.testing.assert_close(points, torch.stack([fake[0], real[1], 0.25 * real[2] + 0.75 * fake[2]]))
    torch.testing.assert_close(interpolate(real, fake, 0.25), 0.25 * real + 0.75 * fake)
    assert interpolate(real.float(), fake.float(), torch.full((3,), 0.5, dtype=torch.float64)).dtype == torch.float32


def test_as_many_samples_as_features_is_no_ambiguity():
    points = interpolate(torch.ones(3, 3), torch.zeros(3, 3), torch.tensor([0.0, 0.5, 1.0]))
    assert points.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]


def test_gradients_flow_through_interpolate():
    real, fake = torch.ones(2, 1, requires_grad=True), torch.zeros(2, 1, requires_grad=True)
    interpolate(real, fake, torch.tensor([0.25, 0.5])).sum().backward()
    assert real.grad.tolist() == [[0.25], [0.5]] and fake.grad.tolist() == [[0.75], [0.5]]


def test_the_penalty_draws_one_number_a_sample():
    calls, real, fake = [], randn(50, 4), randn(50, 4, seed=1)
    gradient_penalty(recorded(mlp(inputs=4), calls), real, fake)
    eps = (calls[0] - fake) / (real - fake)
    torch.testing.assert_close(eps, eps[:, :1].expand_as(eps))
    assert eps[:, 0].std() > 0.1 and 0 <= eps.min() and eps.max() <= 1 + 1e-9


def test_given_random_numbers_leave_the_global_state_alone():
    x = randn(4, 3)
    state = torch.get_rng_state()
    gradient_penalty(mlp(), x, x + 1, eps=torch.full((4,), 0.5))
    r1_penalty(mlp(), x)
    dragan_penalty(mlp(), x, noise=torch.ones(4, 3), eps=0.5)
    assert torch.equal(torch.get_rng_state(), state)


def test_dragan_points_lie_around_the_real_samples():
    calls, x = [], 3 * randn(400, 5) + 2
    dragan_penalty(recorded(mlp(inputs=5), calls), x)
    width = x.numpy().std() / 2  # NumPy divides by the count, as the authors' code does
    shift = (calls[0] - x) / width
    assert 0 <= shift.min() and 0.9 < shift.max() <= 1
    assert shift.mean().item() == pytest.approx(0.25, abs=0.03)  # the mean of eps times the mean of the noise
    assert shift.std(dim=1).median() > 0.05  # each number of a sample is moved by its own noise

    noise, eps = torch.rand(400, 5, generator=rng()).double(), torch.rand(400, generator=rng(1)).double()
    dragan_penalty(recorded(mlp(inputs=5), calls), x, noise=noise, eps=eps)
    torch.testing.assert_close(calls[1], x + eps[:, None] * width * noise)


# ---------------------------------------------------------------- graphs


@each_penalty
def test_no_gradient_reaches_the_samples(penalty):
    w, source = torch.tensor([3.0, 4.0], requires_grad=True), torch.randn(4, 2, generator=rng(), requires_grad=True)
    samples = source * 2
    penalty(lambda x: (w * x.square()).sum(1), samples).backward()
    assert source.grad is None and w.grad is not None


@each_penalty
def test_the_call_itself_leaves_no_trace(penalty):
    net, x = mlp(), randn(4, 3)
    before = x.clone()
    penalty(net, x)
    gradient_norms(net, x)
    assert not x.requires_grad and x.grad is None and torch.equal(x, before)
    assert all(p.grad is None for p in net.parameters())


def test_the_gradient_at_zero_gradient_is_zero():
    net, w, x = mlp(activation=nn.ReLU), torch.zeros(3, dtype=torch.float64, requires_grad=True), randn(4, 3)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    for critic, parameters in [(net, [net[0].weight, net[4].weight]), (linear(w), [w])]:
        assert gradient_norms(critic, x).tolist() == [0.0] * 4
        assert gradient_penalty(critic, x, x, weight=2.0).item() == 2.0
        for penalty in (gradient_penalty(critic, x, x), r1_penalty(critic, x), dragan_penalty(critic, x)):
            assert all((gradient == 0).all() for gradient in torch.autograd.grad(penalty, parameters))


def test_a_frozen_critic_still_has_norms_that_lead_back_to_the_samples():
    net, x = mlp().requires_grad_(False), randn(4, 3).requires_grad_()
    gradient_norms(net, x).sum().backward()
    assert (x.grad != 0).any()
    assert gradient_norms(net, x.detach()).shape == (4,)


def test_scores_may_be_a_column():
    net, x = mlp(), randn(4, 3)
    torch.testing.assert_close(gradient_norms(net, x), gradient_norms(lambda x: net(x).squeeze(1), x))


def test_tensors_made_in_inference_mode_are_fine():
    with torch.inference_mode():
        x = randn(4, 3)
    for penalty in PENALTIES.values():
        (gradient, *_) = torch.autograd.grad(penalty((net := mlp()), x), list(net.parameters())[:1])
        assert (gradient != 0).any()


# ---------------------------------------------------------------- refusals


@each_penalty
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_switched_off(penalty, mode):
    with mode(), pytest.raises(ValueError, match=r"no_grad\(\) or torch.inference_mode"):
        penalty(mlp(), randn(4, 3))


@each_penalty
def test_bad_samples(penalty):
    critic = linear(torch.ones(3))
    for bad in (torch.ones(0, 3), torch.ones(2, 0), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="(real|fake) must be a non-empty batch"):
            penalty(critic, bad)
    with pytest.raises(TypeError, match="(real|fake) must be a floating-point tensor, got torch.int64"):
        penalty(critic, torch.ones(4, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match="(real|fake) must be a tensor, got ndarray"):
        penalty(critic, torch.ones(4, 3).numpy())


@each_penalty
def test_bad_weights(penalty):
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="weight must be finite and not negative, got"):
            penalty(mlp(), randn(4, 3), weight=bad)
        if penalty not in (r1_penalty, r2_penalty):
            with pytest.raises(ValueError, match="target must be finite and not negative, got"):
                penalty(mlp(), randn(4, 3), target=bad)
    with pytest.raises(ValueError, match="reduction must be one of"):
        penalty(mlp(), randn(4, 3), reduction="avg")


def test_shapes_that_differ():
    for real, fake in [((4, 3), (5, 3)), ((4, 3), (4, 2)), ((4, 3), (1, 3)), ((4, 1, 3), (4, 3))]:
        for call in (interpolate, lambda *samples: gradient_penalty(mlp(), *samples)):
            with pytest.raises(ValueError, match="real and fake must have the same shape"):
                call(randn(*real), randn(*fake))
    with pytest.raises(ValueError, match="noise and real must have the same shape"):
        dragan_penalty(mlp(), randn(4, 3), noise=torch.ones(4, 1))


@pytest.mark.parametrize("shape", [(4, 3), (5,), (1,), (1, 3), (3,)])
def test_eps_of_another_shape(shape):
    for call in (interpolate, lambda *args: gradient_penalty(mlp(), *args[:2], eps=args[2])):
        with pytest.raises(ValueError, match=r"eps must hold one number a sample, shape \(4,\)"):
            call(randn(4, 3), randn(4, 3), torch.full(shape, 0.5))


@pytest.mark.parametrize("eps", [-0.1, 1.1, float("nan"), torch.tensor([0.5, 0.5, 0.5, 1.5])])
def test_eps_out_of_range(eps):
    with pytest.raises(ValueError, match=r"eps must lie in \[0, 1\]"):
        interpolate(randn(4, 3), randn(4, 3), eps)
    with pytest.raises(TypeError, match="eps must be a floating-point tensor"):
        interpolate(randn(4, 3), randn(4, 3), torch.ones(4, dtype=torch.int64))


@each_penalty
def test_bad_scores(penalty):
    x = randn(4, 3)
    with pytest.raises(ValueError, match=r"critic\(x\) must hold one number a sample, .*got \(4, 3\)"):
        penalty(lambda x: x, x)
    with pytest.raises(ValueError, match=r"critic\(x\) must be a non-empty batch"):
        penalty(lambda x: x.sum(), x)
    with pytest.raises(ValueError, match=r"critic\(x\) must hold one number a sample, got 2 for 4 samples"):
        penalty(lambda x: x[:2].sum(1), x)
    with pytest.raises(TypeError, match=r"critic\(x\) must be a floating-point tensor"):
        penalty(lambda x: x.sum(1).long(), x)
    for cut in (lambda x: x.detach().sum(1), lambda x: x.detach().sum(1) * torch.ones(1, requires_grad=True)):
        with pytest.raises(ValueError, match=r"critic\(x\) must depend on x"):
            penalty(cut, x)


@each_penalty
@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.LazyBatchNorm1d(), nn.SyncBatchNorm(3)])
def test_batch_norm_in_training_mode(penalty, norm):
    critic = nn.Sequential(nn.Sequential(nn.Linear(3, 3), norm), nn.Linear(3, 1))
    with pytest.raises(ValueError, match="critic must .*'0.1' is .*BatchNorm.* the penalty is per sample"):
        penalty(critic, torch.randn(4, 3, generator=rng()))


def test_normalisation_that_keeps_samples_apart_is_fine():
    x = torch.randn(4, 3, generator=rng())
    gradient_norms(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval(), x)
    gradient_norms(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1)), x)
    images = torch.randn(4, 2, 4, 4, generator=rng())
    tail = [nn.Flatten(), nn.Linear(32, 1)]
    for norm in (nn.GroupNorm(2, 2), nn.InstanceNorm2d(2)):
        gradient_norms(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), norm, *tail), images)
    with pytest.raises(ValueError, match="the penalty is per sample"):  # uses the batch even in evaluation mode
        gradient_norms(nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), *tail).eval(), images)


@each_penalty
def test_what_is_not_finite_is_not_passed_on(penalty):
    for w in (float("nan"), float("inf")):
        with pytest.raises(FloatingPointError, match="4 of 4 values that are not"):
            penalty(linear(torch.full((3,), w)), torch.ones(4, 3))
    with pytest.raises(FloatingPointError):  # finite norms whose squares are not
        penalty(linear(torch.full((3,), 1e30)), torch.ones(4, 3))


# ---------------------------------------------------------------- precision and devices


@each_penalty
def test_float16_overflow_is_told(penalty):
    critic, x = linear(torch.full((4,), 200.0, dtype=torch.float16)), torch.ones(3, 4, dtype=torch.float16)
    with pytest.raises(FloatingPointError, match="torch.float16; float16 overflows above 65504: .* float32"):
        penalty(critic, x, weight=1.0)  # norm 400, its square 160,000
    expected = 80_000 if penalty in (r1_penalty, r2_penalty) else 399**2
    assert penalty(linear(torch.full((4,), 200.0)), x.float(), weight=1.0).item() == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.05), (torch.float16, 0.01), (torch.float32, 1e-5)])
def test_lower_precision_is_close_to_float64(dtype, tolerance):
    net, x = mlp(), randn(64, 3)
    exact, rounded = gradient_norms(net, x), gradient_norms(net.to(dtype), x.to(dtype))
    assert rounded.dtype == dtype
    torch.testing.assert_close(rounded.double(), exact, rtol=tolerance, atol=tolerance)


@contextlib.contextmanager
def seeded(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each_penalty
def test_a_gpu_gives_the_same_numbers(penalty):
    net, x = mlp(), randn(64, 3)
    options = {} if penalty in (r1_penalty, r2_penalty) else {"eps": 0.5}
    if penalty is dragan_penalty:
        options["noise"] = torch.rand(64, 3, generator=rng()).double()
    expected = penalty(net, x, **options)
    options = {name: value.cuda() if isinstance(value, torch.Tensor) else value for name, value in options.items()}
    value = penalty(net.cuda(), x.cuda(), **options)
    assert value.is_cuda
    torch.testing.assert_close(value.cpu(), expected)


def test_the_same_seed_draws_the_same_points():
    x = randn(8, 3)
    for penalty in (PENALTIES["gradient_penalty"], dragan_penalty):
        with seeded(1):
            first = penalty(mlp(), x)
        with seeded(1):
            again = penalty(mlp(), x)
        with seeded(2):
            other = penalty(mlp(), x)
        assert first == again != other


def test_fused_attention_is_refused_by_name_and_what_to_do_works():
    query, x = nn.Linear(4, 4), torch.randn(3, 5, 4)

    def critic(x):
        q = query(x)[:, None]
        return nn.functional.scaled_dot_product_attention(q, q, q).sum(dim=(1, 2, 3))

    with pytest.raises(ValueError, match="ScaledDotProduct.*which has no double backward.*SDPBackend.MATH"):
        gradient_penalty(critic, x, x + 1)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        gradient_penalty(critic, x, x + 1).backward()
    assert query.weight.grad.abs().max() > 0


def test_recurrent_layers_on_cudnn_are_refused_by_name():
    class Node:  # stands for the graph that a GPU makes
        next_functions = ()

        def name(self):
            return "CudnnRnnBackward0"

    class Scores:
        grad_fn = Node()

    with pytest.raises(ValueError, match=r"recurrent layer on cuDNN.*cudnn.flags\(enabled=False\)"):
        _refusals.refuse_differentiable_once(Scores())


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # raised inside torch.compile itself
def test_a_compiled_critic_is_refused_with_the_way_out():
    critic, x = torch.compile(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))), torch.randn(4, 2)
    with pytest.raises(ValueError, match="_orig_mod"):
        gradient_penalty(critic, x, x)
    assert gradient_penalty(critic._orig_mod, x, x).isfinite()


def test_a_sample_that_is_nan_is_found_where_its_gradient_is_zero():
    critic = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    with pytest.raises(FloatingPointError, match=r"critic\(x\) must be finite"):
        gradient_penalty(critic, torch.full((4, 2), torch.nan), torch.zeros(4, 2))
