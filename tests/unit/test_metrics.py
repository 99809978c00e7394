"""Distances against closed forms, sorting, assignment and scipy."""

import math
import threading
import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpcore import metrics


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_shift_costs_its_length():
    x = normal(200, 3)
    shift = torch.tensor([1.0, -2.0, 2.0])
    assert metrics.wasserstein_distance(x, x + shift) == pytest.approx(3.0, rel=1e-5)
    assert metrics.wasserstein_distance(x, x[torch.randperm(200)]) == pytest.approx(0, abs=1e-6)


def test_equal_sizes_agree_with_the_assignment_problem():
    x, y = normal(40, 2), normal(40, 2, seed=1) * 2
    cost = torch.cdist(x.double(), y.double()).numpy()
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    assert metrics.wasserstein_distance(x, y) == pytest.approx(cost[rows, columns].mean(), rel=1e-6)


@given(n=st.integers(1, 30), m=st.integers(1, 30), seed=st.integers(0, 99))
def test_one_dimension_agrees_with_scipy(n, m, seed):
    x, y = normal(n, 1, seed=seed), normal(m, 1, seed=seed + 100)
    expected = scipy.stats.wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy())
    assert metrics.wasserstein_distance(x, y) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_unequal_sizes_and_images_work():
    assert metrics.wasserstein_distance(torch.zeros(2, 1, 2, 2), torch.ones(5, 1, 2, 2)) == pytest.approx(2.0)


def test_distances_refuse_bad_samples():
    with pytest.raises(ValueError, match="one sample of x and one sample of y"):
        metrics.wasserstein_distance(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="y must be a non-empty batch"):
        metrics.wasserstein_distance(torch.zeros(2, 2), torch.zeros(0, 2))
    with pytest.raises(TypeError, match="x must be a floating"):
        metrics.wasserstein_distance(torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="x must be finite"):
        metrics.wasserstein_distance(torch.full((2, 2), math.nan), torch.zeros(2, 2))


def mean_distance(difference: float, std: float) -> float:
    """The mean of the absolute value of a normal variable with this mean and standard deviation."""
    part = std * math.sqrt(2 / math.pi) * math.exp(-(difference**2) / (2 * std**2))
    return part + difference * math.erf(difference / (std * math.sqrt(2)))


def test_the_energy_distance_has_no_bias_for_two_normals():
    """Samples of three and of four: with the pairs of a point with itself the mean would be 1.0 higher."""
    x, y = 1 + 2 * normal(2000, 3, 1, seed=1).double(), normal(2000, 4, 1, seed=2).double()
    found = torch.tensor([metrics.energy_distance(*pair) for pair in zip(x, y, strict=True)], dtype=torch.float64)
    expected = 2 * mean_distance(1.0, math.sqrt(5.0)) - mean_distance(0.0, math.sqrt(8.0)) - mean_distance(0.0, 2**0.5)
    error = float(found.std() / math.sqrt(len(found)))
    assert error < 0.05 and abs(float(found.mean()) - expected) < 4 * error


@given(n=st.integers(2, 30), m=st.integers(2, 30), seed=st.integers(0, 99))
def test_the_energy_distance_is_scipys_squared_without_the_pairs_of_a_point_with_itself(n, m, seed):
    x, y = (normal(k, 1, seed=seed + k)[:, 0].double().numpy() for k in (n, m))
    own = sum(np.abs(z[:, None] - z).sum() / (len(z) ** 2 * (len(z) - 1)) for z in (x, y))
    expected = scipy.stats.energy_distance(x, y) ** 2 - own
    found = metrics.energy_distance(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None])
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_energy_distance_takes_images_and_the_euclidean_norm():
    assert metrics.energy_distance(torch.zeros(2, 1, 2, 2), torch.ones(5, 1, 2, 2)) == pytest.approx(4.0)
    far = torch.tensor([1e6, 1e6])  # no product of matrices, which would cancel
    assert metrics.energy_distance(far + torch.zeros(2, 2), far + torch.tensor([[3.0, 4.0]] * 3)) == pytest.approx(10.0)


def test_the_energy_distance_refuses_bad_samples():
    with pytest.raises(ValueError, match="one sample of x and one sample of y"):
        metrics.energy_distance(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="y must be a non-empty batch"):
        metrics.energy_distance(torch.zeros(2, 2), torch.zeros(0, 2))
    with pytest.raises(ValueError, match="y must hold at least two samples, got 1"):
        metrics.energy_distance(torch.zeros(2, 2), torch.zeros(1, 2))
    with pytest.raises(TypeError, match="x must be a floating"):
        metrics.energy_distance(torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="x must be finite"):
        metrics.energy_distance(torch.full((2, 2), math.inf), torch.zeros(2, 2))


def test_the_perfect_critic_sees_the_whole_distance_with_slope_one():
    real, fake = normal(60, 2), 2 * normal(45, 2, seed=1)
    critic = metrics.perfect_critic(real, fake)
    gap = critic(real).mean() - critic(fake).mean()
    assert float(gap) == pytest.approx(metrics.wasserstein_distance(real, fake), rel=1e-6)
    points = 3 * normal(300, 2, seed=2).double()
    steepest = (critic(points)[:, None] - critic(points)).abs() / torch.cdist(points, points).clamp(min=1e-9)
    assert steepest.max() <= 1 + 1e-6


def test_the_perfect_critic_takes_images_and_refuses_bad_samples():
    real, fake = normal(10, 1, 2, 2), normal(12, 1, 2, 2, seed=1) + 1
    critic = metrics.perfect_critic(real, fake)
    assert critic(real).shape == (10,) and critic(real).dtype == torch.float64
    with pytest.raises(ValueError, match="one sample of real and one sample of fake"):
        metrics.perfect_critic(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="real must be finite"):
        metrics.perfect_critic(torch.full((2, 2), math.nan), torch.zeros(2, 2))


@pytest.mark.filterwarnings("ignore:numItermax reached:UserWarning")
def test_a_transport_problem_that_is_not_solved_is_said_to_be(monkeypatch):
    monkeypatch.setattr(metrics, "_ITERATIONS", 10)
    with pytest.raises(RuntimeError, match="the transport problem was not solved: numItermax reached"):
        metrics.wasserstein_distance(normal(50, 3), normal(50, 3, seed=1))


def test_a_distance_leaves_the_warnings_of_other_threads_alone():
    """A kernel's output thread may warn at any time; a filter that turns that into an error loses what was printed."""
    done, failed = threading.Event(), []

    def warn():
        while not done.is_set():
            try:
                warnings.warn("from another thread", UserWarning, stacklevel=1)
            except UserWarning as error:
                failed.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=warn)
        thread.start()
        metrics.wasserstein_distance(normal(300, 3), normal(300, 3, seed=1))
        done.set()
        thread.join()
    assert failed == []


CENTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def test_mode_coverage_counts_by_hand():
    samples = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 2.9], [10.0, 0.0], [5.0, 5.0], [0.0, 3.0]])
    found = metrics.mode_coverage(samples, CENTERS, std=1.0)
    # (0, 3) lies at exactly three deviations, which is not strictly within; (5, 5) is far from everything.
    assert found.counts.tolist() == [3, 1, 0, 0]
    assert found.modes == 2 and found.high_quality == pytest.approx(4 / 6)
    expected = 0.75 * math.log(0.75 / 0.25) + 0.25 * math.log(0.25 / 0.25)
    assert found.reverse_kl == pytest.approx(expected)


def test_mode_coverage_at_its_ends():
    even = metrics.mode_coverage(CENTERS, CENTERS, std=1.0)
    assert (even.modes, even.high_quality) == (4, 1.0) and even.reverse_kl == pytest.approx(0)
    none = metrics.mode_coverage(torch.full((3, 2), 99.0), CENTERS, std=1.0)
    assert (none.modes, none.high_quality) == (0, 0.0) and none.reverse_kl == pytest.approx(math.log(4))
    with pytest.raises(ValueError, match="std must be greater than 0"):
        metrics.mode_coverage(CENTERS, CENTERS, std=0.0)
    with pytest.raises(ValueError, match="one sample and one centre must have the same shape"):
        metrics.mode_coverage(torch.zeros(3, 3), CENTERS, std=1.0)


@given(seed=st.integers(0, 99))
def test_the_order_of_samples_does_not_matter(seed):
    x = normal(30, 2, seed=seed) * 6 + 5
    shuffled = x[torch.randperm(30, generator=torch.Generator().manual_seed(seed))]
    a, b = (metrics.mode_coverage(s, CENTERS, std=1.0) for s in (x, shuffled))
    assert torch.equal(a.counts, b.counts) and a.high_quality == b.high_quality
    y = normal(20, 2, seed=seed + 1)
    assert metrics.wasserstein_distance(x, y) == pytest.approx(metrics.wasserstein_distance(shuffled, y), rel=1e-9)


def test_frechet_distance_agrees_with_scipys_square_root():
    x, y = normal(500, 4).double() @ normal(4, 4, seed=5).double(), normal(400, 4, seed=2).double() * 2 + 1
    mx, my, cx, cy = x.mean(0).numpy(), y.mean(0).numpy(), np.cov(x.T.numpy()), np.cov(y.T.numpy())
    cross = scipy.linalg.sqrtm(cx @ cy).real
    expected = ((mx - my) ** 2).sum() + np.trace(cx + cy - 2 * cross)
    assert metrics.frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_shifted_and_of_flat_features():
    x = normal(300, 3)
    assert metrics.frechet_distance(x, x + torch.tensor([3.0, 0.0, 4.0])) == pytest.approx(25, rel=1e-4)
    flat = torch.cat([x, x[:, :1]], dim=1)  # a singular covariance
    assert metrics.frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(x[:, :1], 2 * x[:, :1]) == pytest.approx(
        float(x[:, 0].mean() ** 2 + x[:, 0].double().var()), rel=1e-4
    )
    with pytest.raises(ValueError, match="features_y must have shape"):
        metrics.frechet_distance(x, x[:1])


def test_norm_statistics_by_hand():
    found = metrics.norm_statistics(torch.tensor([0.5, 0.95, 1.05, 1.5]))
    assert (found.mean, found.median, found.min, found.max) == pytest.approx((1.0, 1.0, 0.5, 1.5))
    assert found.near_one == 0.5 and found.std == pytest.approx(np.std([0.5, 0.95, 1.05, 1.5]))


def test_modes_far_from_the_origin_are_found_as_well():
    centers = torch.cartesian_prod(*[torch.arange(5.0)] * 2)
    samples = centers.repeat(40, 1) + 0.01 * normal(1000, 2).float()
    near, far = (metrics.mode_coverage(samples + shift, centers + shift, 0.01) for shift in (0, 100))
    assert near.modes == far.modes == 25 and far.high_quality == pytest.approx(near.high_quality, abs=0.005)


def test_what_is_no_table_of_samples_is_refused():
    with pytest.raises(ValueError, match=r"samples must have shape \(N, d\)"):
        metrics.mode_coverage(torch.zeros(5, 2, 2), torch.zeros(5, 2, 2), 0.1)
    with pytest.raises(ValueError, match="one sample of x and one sample of y"):
        metrics.wasserstein_distance(torch.zeros(5, 4), torch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="features_y must be finite"):
        metrics.frechet_distance(torch.zeros(5, 4), torch.full((5, 4), float("nan")))
