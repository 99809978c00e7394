"""Measures of how far generated samples are from real ones, and of gradient norms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import _checks

_ITERATIONS = 10_000_000  # of the network simplex; thousands of points need far fewer


def wasserstein_distance(x: Tensor, y: Tensor) -> float:
    """Exact Wasserstein-1 distance between two samples, Euclidean cost, every sample of the same weight.

    ``min over couplings of sum_ij g_ij ||x_i - y_j||``, a linear programme, solved by POT (Flamary et al. 2021); in
    one dimension by sorting. Its cost grows as the cube of the size: 1,000 against 1,000 takes about 0.1 s.

    Args:
        x, y: samples ``(N, ...)`` and ``(M, ...)`` of one shape per sample; each is flattened.

    Returns:
        The distance, in the units of the samples.

    Raises:
        TypeError, ValueError: not floating point, empty, of different shapes per sample, or not finite.
        RuntimeError: the solver did not converge.

    Example:
        >>> gp.wasserstein_distance(torch.zeros(4, 2), torch.tensor([[3.0, 4.0]]))
        5.0
    """
    import ot

    a, b = (_points(name, value) for name, value in (("x", x), ("y", y)))
    _checks.same_shape("one sample of x", x[0], "one sample of y", y[0])
    if a.shape[1] == 1:
        return float(ot.wasserstein_1d(a, b, p=1)[0])
    cost, log = ot.emd2([], [], ot.dist(a, b, metric="euclidean"), numItermax=_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the transport problem was not solved: {log['warning']}")
    return float(cost)


def energy_distance(x: Tensor, y: Tensor) -> float:
    """Unbiased estimate of the energy distance of two distributions, from a sample of each.

    ``2 E||x - y|| - E||x - x'|| - E||y - y'||``, where x' and y' are independent copies; it is 0 for equal
    distributions alone. Each expectation is the mean over pairs. A point and itself are no pair, since such pairs would
    add a bias that grows with the dimension; so the estimate is negative at times where the distributions are close.
    Time and memory grow as the product of the sizes.

    Args:
        x, y: samples ``(N, ...)`` and ``(M, ...)`` of one shape per sample, at least two of each; each is flattened.

    Returns:
        The estimate, in the units of the samples.

    Raises:
        TypeError, ValueError: not floating point, empty, of different shapes per sample, not finite, or one sample.

    Source: Szekely and Rizzo 2013.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> gp.energy_distance(x, x + 4.0)  # 2 * (4 + 6 + 2 + 4) / 4 - 2 - 2
        4.0
    """
    a, b = (torch.from_numpy(_points(name, value)) for name, value in (("x", x), ("y", y)))
    _checks.same_shape("one sample of x", x[0], "one sample of y", y[0])
    for name, value in (("x", a), ("y", b)):
        if len(value) < 2:
            raise ValueError(f"{name} must hold at least two samples, got {len(value)}")
    between = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").mean()
    return float(2 * between - torch.pdist(a).mean() - torch.pdist(b).mean())


def perfect_critic(real: Tensor, fake: Tensor) -> Callable[[Tensor], Tensor]:
    """The critic that a Wasserstein GAN looks for, exact for two finite samples.

    It maximises ``mean f(real) - mean f(fake)`` over all functions of slope at most 1, and reaches
    :func:`wasserstein_distance`. The dual of the transport problem gives its values at ``fake``; elsewhere it is the
    largest function of slope 1 that agrees with them, ``f(x) = min_j (f(fake_j) + ||x - fake_j||)`` (McShane 1934).

    Args:
        real, fake: samples ``(N, ...)`` and ``(M, ...)`` of one shape per sample. The cost grows as for
            :func:`wasserstein_distance`.

    Returns:
        A function ``(K, ...) -> (K,)`` in float64, in the units of the samples; a constant may be added to it.

    Raises:
        TypeError, ValueError, RuntimeError: as :func:`wasserstein_distance`.

    Example:
        >>> critic = perfect_critic(torch.tensor([[0.0], [1.0]]), torch.tensor([[4.0], [5.0]]))
        >>> slopes = critic(torch.tensor([[1.0], [3.0]])).diff()
        >>> round(float(slopes), 6)
        -2.0
    """
    import ot

    y, x = (_points(name, value) for name, value in (("fake", fake), ("real", real)))
    _checks.same_shape("one sample of real", real[0], "one sample of fake", fake[0])
    _, log = ot.emd([], [], ot.dist(y, x, metric="euclidean"), numItermax=_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the transport problem was not solved: {log['warning']}")
    # POT has u + v <= cost with u at fake samples and v at real ones; the critic is v at real samples, so -u at fake.
    points, values = torch.from_numpy(y), -torch.as_tensor(log["u"], dtype=torch.float64)

    def critic(z: Tensor) -> Tensor:
        away = torch.cdist(torch.from_numpy(_points("x", z)), points, compute_mode="donot_use_mm_for_euclid_dist")
        return (values + away).amin(dim=1)

    return critic


def _points(name: str, value: Tensor) -> np.ndarray:
    points = _checks.batch(name, value).detach().cpu().double().reshape(len(value), -1).numpy()
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return points


@dataclass(frozen=True)
class ModeCoverage:
    """Result of :func:`mode_coverage`.

    Attributes:
        modes: number of centres that are the nearest of at least one high-quality sample.
        high_quality: fraction of samples strictly within ``n_std * std`` of their nearest centre.
        reverse_kl: KL divergence in nats of the high-quality samples' histogram over centres from the uniform one;
            log of the number of centres where there is no such sample at all (the worst value it can take).
        counts: high-quality samples at each centre, ``(k,)``.

    Example:
        >>> gp.mode_coverage(torch.zeros(9, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]]), std=0.1).counts
        tensor([9, 0])
    """

    modes: int
    high_quality: float
    reverse_kl: float
    counts: Tensor


def mode_coverage(samples: Tensor, centers: Tensor, std: float, n_std: float = 3.0) -> ModeCoverage:
    """Count the modes of a mixture that generated samples reach.

    Args:
        samples: ``(N, d)``. centers: ``(k, d)``, on the same scale.
        std: standard deviation of each mode, along each axis.
        n_std: a sample is of high quality within this many deviations (Euclidean) of its nearest centre.

    Raises:
        TypeError, ValueError: not floating point, empty, dimensions that differ, ``std`` or ``n_std`` not positive.

    Source: Lin et al. 2018 (PacGAN), section 4.1, which follows Srivastava et al. 2017 (VEEGAN).

    Example:
        >>> found = gp.mode_coverage(torch.zeros(9, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]]), std=0.1)
        >>> found.modes, found.high_quality, round(found.reverse_kl, 3)
        (1, 1.0, 0.693)
    """
    _checks.batch("samples", samples), _checks.batch("centers", centers)
    _checks.same_shape("one sample", samples[0], "one centre", centers[0])
    if samples.ndim != 2:
        raise ValueError(f"samples must have shape (N, d), got {tuple(samples.shape)}")
    radius = _checks.positive("n_std", n_std) * _checks.positive("std", std)
    # Not by a product of matrices, which cancels where the centres are far from the origin.
    away = torch.cdist(samples, centers.to(samples), compute_mode="donot_use_mm_for_euclid_dist")
    distance, nearest = away.min(dim=1)
    good = distance < radius
    counts = torch.bincount(nearest[good], minlength=len(centers)).cpu()
    share = counts[counts > 0].double() / max(1, int(counts.sum()))
    log_k = float(np.log(len(centers)))
    reverse_kl = float((share * share.log()).sum()) + log_k if len(share) else log_k
    return ModeCoverage(int((counts > 0).sum()), float(good.double().mean()), reverse_kl, counts)


def frechet_distance(features_x: Tensor, features_y: Tensor) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of features.

    ``||m_x - m_y||^2 + tr(C_x + C_y - 2 (C_x C_y)^{1/2})``. With the features of an Inception network it is the FID of
    Heusel et al. 2017; here the features are the caller's (pixels, principal components). The trace of the square root
    is the sum of singular values of ``C_x^{1/2} C_y^{1/2}``, which stays real for singular covariances.

    Args:
        features_x, features_y: ``(N, d)`` and ``(M, d)``, at least two rows each.

    Raises:
        TypeError, ValueError: not floating point, not finite, under two rows, or widths that differ.

    Example:
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> gp.frechet_distance(x, x + 3.0)  # equal covariances: the squared distance of the means
        9.0
    """
    moments = []
    for name, features in (("features_x", features_x), ("features_y", features_y)):
        _checks.batch(name, features)
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"{name} must have shape (N, d) with N of at least 2, got {tuple(features.shape)}")
        features = torch.from_numpy(_points(name, features))
        moments.append((features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)))
    (m_x, c_x), (m_y, c_y) = moments
    _checks.same_shape("the mean of features_x", m_x, "the mean of features_y", m_y)
    cross = torch.linalg.matrix_norm(_square_root(c_x) @ _square_root(c_y), ord="nuc")
    return float(((m_x - m_y).square().sum() + c_x.trace() + c_y.trace() - 2 * cross).clamp(min=0))


def _square_root(symmetric: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


@dataclass(frozen=True)
class NormStatistics:
    """Summary of gradient norms; ``near_one`` is the fraction within 0.1 of 1.

    Example:
        >>> gp.norm_statistics(torch.tensor([0.5, 1.0, 2.0])).median
        1.0
    """

    mean: float
    std: float
    median: float
    min: float
    max: float
    near_one: float


def norm_statistics(norms: Tensor) -> NormStatistics:
    """Summarise gradient norms ``(N,)``; the standard deviation divides by N.

    Raises:
        TypeError, ValueError: not floating point, or empty.

    Example:
        >>> round(gp.norm_statistics(torch.tensor([0.95, 1.05, 2.0])).near_one, 3)
        0.667
    """
    norms = _checks.batch("norms", norms).detach().double()
    near = (norms - 1).abs() < 0.1
    numbers = (
        norms.mean(),
        norms.std(correction=0),
        norms.quantile(0.5),
        norms.min(),
        norms.max(),
        near.double().mean(),
    )
    return NormStatistics(*map(float, numbers))
