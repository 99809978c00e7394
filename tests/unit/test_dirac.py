"""The Dirac-GAN against automatic differentiation of its objective and the eigenvalues of the theory."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpcore import dirac


def f(t):
    return -torch.log1p(torch.exp(-t))


def objective(theta, psi):
    return f(psi * theta) + f(torch.zeros(()))


def penalty(psi, weight, target=0.0):
    return weight / 2 * (psi.abs() - target) ** 2


# method -> (what the generator minimises, what the critic minimises), each a function of (theta, psi)
PLAYERS = {
    ("gan",): (objective, lambda t, p: -objective(t, p)),
    ("nsgan",): (lambda t, p: -f(-p * t), lambda t, p: -objective(t, p)),
    ("wgan_clip", ("c", 0.5)): (lambda t, p: p * t, lambda t, p: -p * t),
    ("wgan_gp", ("weight", 2.0), ("target", 0.4)): (lambda t, p: p * t, lambda t, p: -p * t + penalty(p, 2.0, 0.4)),
    ("r1", ("weight", 0.8)): (objective, lambda t, p: -objective(t, p) + penalty(p, 0.8)),
    ("nsgan_r1", ("weight", 0.8)): (lambda t, p: -f(-p * t), lambda t, p: -objective(t, p) + penalty(p, 0.8)),
}
points = st.tuples(st.floats(-4, 4), st.floats(-4, 4))


def field_by_autograd(players, theta, psi):
    theta, psi = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (theta, psi))
    (v_theta,) = torch.autograd.grad(-players[0](theta, psi), theta, create_graph=True)
    (v_psi,) = torch.autograd.grad(-players[1](theta, psi), psi, create_graph=True)
    return theta, psi, v_theta, v_psi


@pytest.mark.parametrize("case", PLAYERS, ids=lambda case: case[0])
@settings(deadline=None, max_examples=50)
@given(point=points)
def test_each_field_is_minus_the_gradient_of_each_players_loss(case, point):
    *_, v_theta, v_psi = field_by_autograd(PLAYERS[case], *point)
    field = dirac.vector_field(case[0], *point, **dict(case[1:]))
    assert field == pytest.approx([v_theta.item(), v_psi.item()], rel=1e-12, abs=1e-15)


@settings(deadline=None, max_examples=50)
@given(point=points, weight=st.floats(0, 5))
def test_consensus_subtracts_the_gradient_of_half_the_squared_field(point, weight):
    theta, psi, v_theta, v_psi = field_by_autograd(PLAYERS[("gan",)], *point)
    slopes = torch.autograd.grad((v_theta**2 + v_psi**2) / 2, (theta, psi))
    expected = [v_theta.item() - weight * slopes[0].item(), v_psi.item() - weight * slopes[1].item()]
    assert dirac.vector_field("consensus", *point, weight=weight) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def eigenvalues_at_the_equilibrium(method, **settings):
    step = 1e-6
    columns = [
        (dirac.vector_field(method, *e, **settings) - dirac.vector_field(method, *-e, **settings)) / (2 * step)
        for e in step * np.eye(2)
    ]
    return sorted(np.linalg.eigvals(np.stack(columns, axis=1)), key=lambda value: value.imag)


@pytest.mark.parametrize("weight", [0.3, 0.9, 1.0, 2.0])
def test_the_eigenvalues_of_the_theory(weight):
    """At (0, 0), f' = 1/2: the plain game turns, R1 adds -weight to one diagonal entry, consensus -weight/4 to both."""
    for method in ("gan", "nsgan"):
        assert eigenvalues_at_the_equilibrium(method) == pytest.approx([-0.5j, 0.5j], abs=1e-6)
    root = np.sqrt(complex(weight**2 - 1)) / 2
    expected = sorted([-weight / 2 - root, -weight / 2 + root], key=lambda value: value.imag)
    for method in ("r1", "nsgan_r1"):
        found = eigenvalues_at_the_equilibrium(method, weight=weight)
        assert sorted(np.real(found)) == pytest.approx(sorted(np.real(expected)), abs=2e-3)
        assert sorted(np.imag(found)) == pytest.approx(sorted(np.imag(expected)), abs=2e-3)
    consensus = [-weight / 4 - 0.5j, -weight / 4 + 0.5j]
    assert eigenvalues_at_the_equilibrium("consensus", weight=weight) == pytest.approx(consensus, abs=1e-6)


def radius(path):
    return np.linalg.norm(path, axis=1)


def test_the_plain_game_spirals_outwards():
    growth = np.diff(radius(dirac.simulate("gan")))
    assert (growth > 0).all()


@pytest.mark.parametrize("method", ["r1", "nsgan_r1", "consensus"])
def test_zero_centred_penalties_and_consensus_converge(method):
    path = dirac.simulate(method)
    assert radius(path)[-1] < 1e-4
    assert radius(path)[-50:].max() < 1e-3


@pytest.mark.parametrize("method", ["gan", "nsgan", "wgan_clip", "wgan_gp"])
def test_the_others_do_not_converge(method):
    assert radius(dirac.simulate(method))[-100:].max() > 0.1


def test_r1_contracts_at_the_rate_of_its_eigenvalues():
    lr, weight = 0.2, 0.3
    rate = abs(1 + lr * complex(-weight / 2, math.sqrt(1 - weight**2) / 2))
    path = dirac.simulate("r1", steps=2000, lr=lr, start=(1e-3, 0.0), weight=weight)
    assert (radius(path)[-1] / radius(path)[0]) ** (1 / 2000) == pytest.approx(rate, abs=1e-4)


def test_clipping_keeps_the_critic_in_its_box_and_leaves_the_start():
    path = dirac.simulate("wgan_clip", c=0.4)
    assert path[0].tolist() == [1.0, 1.0]
    assert np.abs(path[1:, 1]).max() == 0.4


def test_one_step_by_hand_is_simultaneous():
    # psi * theta = 2, f'(2) = 1 / (1 + e^2)
    df = 1 / (1 + math.exp(2))
    assert dirac.simulate("gan", steps=1, lr=0.5, start=(2.0, 1.0))[1] == pytest.approx([2 - 0.5 * df, 1 + df])
    assert dirac.simulate("wgan_gp", steps=1, lr=0.5, start=(2.0, -3.0), weight=0.1, target=1.0)[1] == pytest.approx(
        [2 + 1.5, -3 + 0.5 * (2 + 0.1 * 2)]
    )
    assert dirac.simulate("wgan_clip", steps=1, lr=0.5, start=(2.0, 0.1), c=1.0)[1].tolist() == [1.95, 1.0]


def test_alternating_steps_by_hand():
    """The critic moves first, is clipped, and the generator answers the critic that has moved."""
    df = 1 / (1 + math.exp(2))  # f'(2), psi * theta = 2
    psi = 1 + df
    theta = 2 - 0.5 * psi / (1 + math.exp(2 * psi))
    path = dirac.simulate("gan", steps=1, lr=0.5, start=(2.0, 1.0), alternating=True)
    assert path[1] == pytest.approx([theta, psi])
    clipped = dirac.simulate("wgan_clip", steps=1, lr=0.5, start=(2.0, 0.1), c=1.0, alternating=True)
    assert clipped[1].tolist() == [1.5, 1.0]


def measured_eigenvalues(method, lr, alternating, **settings):
    """Of one step from points near (0, 0), by central differences."""
    step, columns = 1e-6, []
    for e in step * np.eye(2):
        ends = [dirac.simulate(method, 1, lr, sign * e, alternating=alternating, **settings)[1] for sign in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * step))
    return sorted(np.linalg.eigvals(np.stack(columns, axis=1)), key=lambda value: value.imag)


@pytest.mark.parametrize("lr", [0.05, 0.2, 1.0, 3.0])
def test_one_step_of_the_undamped_game_has_the_eigenvalues_of_the_theory(lr):
    """With f'(0) = 1/2: outside the unit circle under simultaneous steps, on it under alternating ones."""
    for method in ("gan", "nsgan"):
        assert measured_eigenvalues(method, lr, False) == pytest.approx([1 - 0.5j * lr, 1 + 0.5j * lr], abs=1e-6)
        real = 1 - lr**2 / 8
        expected = [real - 1j * math.sqrt(1 - real**2), real + 1j * math.sqrt(1 - real**2)]
        found = measured_eigenvalues(method, lr, True)
        assert found == pytest.approx(expected, abs=1e-6)
        assert np.abs(found) == pytest.approx([1, 1], abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(point=points, lr=st.floats(0.01, 1.9))
def test_alternating_steps_of_the_bilinear_game_keep_their_ellipse(point, lr):
    """Without a penalty the Wasserstein game is linear, and theta^2 + psi^2 + lr * theta * psi is conserved."""
    path = dirac.simulate("wgan_gp", 300, lr, point, alternating=True, weight=0.0)
    energy = (path**2).sum(axis=1) + lr * path[:, 0] * path[:, 1]
    assert energy == pytest.approx(np.full(301, energy[0]), rel=1e-9, abs=1e-300)
    growth = np.linalg.norm(dirac.simulate("wgan_gp", 300, lr, point, weight=0.0), axis=1)
    assert growth[-1] == pytest.approx(growth[0] * (1 + lr**2) ** 150, rel=1e-9)


@pytest.mark.parametrize("weight", [0.02, 0.3, 0.9])
def test_under_alternating_steps_any_damping_contracts(weight):
    """One step multiplies areas by 1 - lr * weight. Under simultaneous ones a weight below lr / 4 does not suffice."""
    lr = 0.2
    assert np.abs(measured_eigenvalues("r1", lr, True, weight=weight)) == pytest.approx(
        [math.sqrt(1 - lr * weight)] * 2, abs=2e-6
    )
    assert (np.abs(measured_eigenvalues("r1", lr, False, weight=weight)) < 1).all() == (weight > lr / 4)


def test_the_undamped_game_stays_on_its_ring_under_alternating_steps():
    path = dirac.simulate("gan", steps=20_000, alternating=True)
    assert 0.9 < radius(path).min() / radius(path)[0] and radius(path).max() / radius(path)[0] < 1.1


@pytest.mark.parametrize("method", dirac.METHODS)
def test_shapes(method):
    path = dirac.simulate(method, steps=7)
    assert path.shape == (8, 2) and path.dtype == np.float64
    theta, psi = np.meshgrid(np.linspace(-2, 2, 5), np.linspace(-1, 1, 4))
    field = dirac.vector_field(method, theta, psi)
    assert field.shape == (4, 5, 2)
    assert field[2, 3] == pytest.approx(dirac.vector_field(method, theta[2, 3], psi[2, 3]))
    assert dirac.vector_field(method, torch.as_tensor(theta), torch.as_tensor(psi)) == pytest.approx(field)
    assert dirac.vector_field(method, 0.0, 0.0) == pytest.approx([0, 0])  # the equilibrium rests


def test_the_field_is_exact_far_out():
    with np.errstate(all="raise"):
        for sign in (1.0, -1.0):
            field = dirac.vector_field("gan", 20.0, sign * 30.0)
            df = math.exp(-600) if sign > 0 else 1.0
            assert field == pytest.approx([-sign * 30 * df, 20 * df], rel=1e-12)
    with np.errstate(over="raise"):
        assert dirac.vector_field("gan", 30.0, 30.0) == pytest.approx([0, 0])  # exp(900) exceeds float64


def test_what_is_refused():
    with pytest.raises(ValueError, match="method must be one of 'gan', 'nsgan', .*, got 'wgan'"):
        dirac.simulate("wgan")
    with pytest.raises(ValueError, match="settings of 'wgan_gp' may be 'weight', 'target', got 'c'"):
        dirac.simulate("wgan_gp", c=1.0)
    with pytest.raises(ValueError, match="settings of 'gan' may be none at all, got 'weight'"):
        dirac.vector_field("gan", 0.0, 0.0, weight=1.0)
    for name, value in [("weight", -1.0), ("weight", math.nan), ("target", math.inf)]:
        with pytest.raises(ValueError, match=f"{name} must be finite and not negative"):
            dirac.simulate("wgan_gp", **{name: value})
    with pytest.raises(ValueError, match="c must be greater than 0"):
        dirac.simulate("wgan_clip", c=0)
    for lr in (0.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="lr must be"):
            dirac.simulate("gan", lr=lr)
    for steps in (0, -1, 1.5):
        with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
            dirac.simulate("gan", steps=steps)
    for start in ((1.0,), (1.0, math.nan), 1.0, (1.0, 2.0, 3.0)):
        with pytest.raises(ValueError, match="start must be two finite numbers"):
            dirac.simulate("gan", start=start)


def test_an_overflow_is_told():
    with pytest.raises(FloatingPointError, match="the path of 'r1' overflowed; lr=100.0 is too large"):
        dirac.simulate("r1", lr=100.0, weight=10.0)
