"""Toy distributions, real digits, and sequences, drawn from generators that the caller seeds.

From a list of S generators the toy distributions draw S batches, ``(S, n, ...)``, each as its generator alone would.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable
from importlib import resources

import torch
from torch import Tensor

from . import _checks

Rng = torch.Generator
Rngs = Rng | list[Rng] | None


def _normal(shape: tuple[int, ...], generator: Rng | None) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device if generator else None)


def _uniform(shape: tuple[int, ...], generator: Rng | None) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device if generator else None)


def _choice(high: int, n: int, generator: Rng | None) -> Tensor:
    return torch.randint(high, (n,), generator=generator, device=generator.device if generator else None)


def _each(draw: Callable[..., Tensor], what: tuple, generator: Rngs) -> Tensor:
    """What one generator draws, or what each of several does, stacked."""
    if isinstance(generator, list):
        return torch.stack([draw(*what, one) for one in generator])
    return draw(*what, generator)


_ANGLES = 2 * math.pi * torch.arange(8) / 8
_GRID = torch.arange(-4.0, 5.0, 2.0)
# Means and standard deviations of the Gaussian mixtures, in the units of the samples.
CENTERS = {
    "8_gaussians": 2 / 1.414 * torch.stack([_ANGLES.cos(), _ANGLES.sin()], dim=1),
    "25_gaussians": torch.cartesian_prod(_GRID, _GRID) / 2.828,
}
STDS = {"8_gaussians": 0.02 / 1.414, "25_gaussians": 0.05 / 2.828}


def _mixture(name: str, n: int, generator: Rngs) -> Tensor:
    centers = CENTERS[name]
    which = _each(_choice, (len(centers), n), generator)
    return centers.to(which.device)[which] + STDS[name] * _each(_normal, ((n, 2),), generator)


def eight_gaussians(n: int, generator: Rngs = None) -> Tensor:
    """Return ``(n, 2)`` samples of eight Gaussians on a circle: radius 2, deviation 0.02, all divided by 1.414.

    Source: the released toy code of Gulrajani et al. 2017.

    Example:
        >>> gp.data.eight_gaussians(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    return _mixture("8_gaussians", n, generator)


def twenty_five_gaussians(n: int, generator: Rngs = None) -> Tensor:
    """Return ``(n, 2)`` samples of 25 Gaussians on a grid: spacing 2, deviation 0.05, all divided by 2.828.

    Source: the released toy code of Gulrajani et al. 2017.

    Example:
        >>> gp.data.twenty_five_gaussians(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    return _mixture("25_gaussians", n, generator)


def swiss_roll(n: int, generator: Rngs = None) -> Tensor:
    """Return ``(n, 2)`` samples of a noisy spiral, ``t (cos t, sin t) / 7.5`` with t uniform on [1.5 pi, 4.5 pi].

    The noise has deviation 0.25 before the division. Source: the released toy code of Gulrajani et al. 2017, which
    takes two of the three columns of scikit-learn's ``make_swiss_roll``.

    Example:
        >>> gp.data.swiss_roll(5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    t = 1.5 * math.pi * (1 + 2 * _each(_uniform, ((n,),), generator))
    return (t[..., None] * torch.stack([t.cos(), t.sin()], dim=-1) + 0.25 * _each(_normal, ((n, 2),), generator)) / 7.5


def two_points(n: int, generator: Rngs = None) -> Tensor:
    """Return ``(n, 2)`` samples that are (-1, 0) or (1, 0) with probability 1/2 each.

    Example:
        >>> sorted(set(gp.data.two_points(100, torch.Generator().manual_seed(0)).flatten().tolist()))
        [-1.0, 0.0, 1.0]
    """
    x = 2.0 * _each(_choice, (2, n), generator) - 1
    return torch.stack([x, torch.zeros_like(x)], dim=-1)


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "8_gaussians": eight_gaussians,
    "25_gaussians": twenty_five_gaussians,
    "swiss_roll": swiss_roll,
    "two_points": two_points,
}


def sampler(source: str | Tensor) -> Callable[[int, Rngs], Tensor]:
    """Return a function ``(n, generator) -> (n, ...)`` that draws on the generator's device.

    Args:
        source: a name of ``SAMPLERS``, or a tensor of samples ``(M, ...)``, which are drawn from with replacement.

    Raises:
        ValueError: an unknown name, or an empty tensor. TypeError: a tensor that is not floating point.

    Example:
        >>> draw = gp.data.sampler("8_gaussians")
        >>> draw(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """
    if isinstance(source, str):
        return SAMPLERS[_checks.one_of("data", source, SAMPLERS)]
    samples = _checks.batch("data", source)

    def draw(n: int, generator: Rngs) -> Tensor:
        nonlocal samples
        which = _each(_choice, (len(samples), n), generator)
        samples = samples.to(which.device)
        return samples[which]

    return draw


def digits() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's 1,797 handwritten digits: images ``(1797, 1, 8, 8)`` in [-1, 1] and labels ``(1797,)``.

    Real scans from the UCI repository (Alpaydin and Kaynak 1998), shipped inside scikit-learn: no download.

    Example:
        >>> images, labels = gp.data.digits()
        >>> images.shape, labels.shape
        (torch.Size([1797, 1, 8, 8]), torch.Size([1797]))
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels).long()


def temporal_order(n: int, length: int, generator: Rng | None = None) -> tuple[Tensor, Tensor]:
    """Return n sequences in which two marked symbols stand far apart; the class is which came first and which second.

    Six symbols: the distractors a, b, c, d everywhere, but X or Y at one random place in ``[T/10, 2T/10]`` and at one
    in ``[4T/10, 5T/10]``. Classes: XX 0, XY 1, YX 2, YY 3.

    Args:
        n: number of sequences.
        length: T, at least 10.

    Returns:
        One-hot float32 ``(n, T, 6)`` and int64 ``(n,)``.

    Raises:
        ValueError: T under 10.

    Source: Hochreiter and Schmidhuber 1997, task 6a; positions as in Pascanu, Mikolov and Bengio 2013.

    Example:
        >>> x, y = gp.data.temporal_order(3, length=20, generator=torch.Generator().manual_seed(0))
        >>> x.shape, y.shape
        (torch.Size([3, 20, 6]), torch.Size([3]))
    """
    if length < 10:
        raise ValueError(f"length must be at least 10, got {length!r}")
    symbols = torch.randint(4, (n, length), generator=generator, device=generator.device if generator else None)
    rows = torch.arange(n, device=symbols.device)
    y = torch.zeros(n, dtype=torch.int64, device=symbols.device)
    for low, high in ((length // 10, 2 * length // 10), (4 * length // 10, 5 * length // 10)):
        mark = _choice(2, n, generator)
        symbols[rows, low + _choice(high - low + 1, n, generator)] = 4 + mark
        y = 2 * y + mark
    return torch.nn.functional.one_hot(symbols, 6).float(), y


def book_text() -> str:
    """Return real English text of about 120,000 characters: the prose of this book's first eight chapters.

    Frozen as it once stood, in ASCII, without formulas, so that everybody trains on the same characters; what the
    chapters say today may differ.

    Example:
        >>> gp.data.book_text()[:38]
        'When do two opposed losses train well?'
    """
    return resources.files(__package__).joinpath("book_text.txt").read_text(encoding="ascii")


def markov_transitions() -> Tensor:
    """Return ``p(next | last but one, last)`` of the language of :func:`markov_text`, float64 ``(8, 8, 8)``.

    After the letters i and j the letter k has a probability proportional to ``(1 + (1 + j) / 4)^-r`` with
    ``r = (k - 3 i - 5 j) mod 8``: both letters decide which comes next, and j how surely.

    Example:
        >>> gp.data.markov_transitions().amax(dim=2)[0].numpy().round(2)
        array([0.24, 0.35, 0.43, 0.5 , 0.56, 0.6 , 0.64, 0.67])
    """
    i, j, k = torch.meshgrid(*[torch.arange(8)] * 3, indexing="ij")
    weights = (1 + (1 + j.double()) / 4) ** -((k - 3 * i - 5 * j) % 8)
    return weights / weights.sum(dim=2, keepdim=True)


def _markov_pairs() -> Tensor:
    """The stationary distribution of two letters in a row, ``(8, 8)``: it solves ``P_jk = sum_i P_ij p(k | i, j)``."""
    p = markov_transitions()
    moves = torch.einsum("ijk,jl->ijlk", p, torch.eye(8, dtype=p.dtype)).reshape(64, 64)
    # One equation follows from the others; in its place the probabilities sum to one.
    system = torch.cat([(moves.T - torch.eye(64, dtype=p.dtype))[:-1], torch.ones(1, 64, dtype=p.dtype)])
    right = torch.zeros(64, dtype=p.dtype)
    right[-1] = 1
    return torch.linalg.solve(system, right).reshape(8, 8)


def markov_entropy() -> float:
    """Return the entropy rate of :func:`markov_text` in nats per character: the loss of the best possible predictor.

    ``-sum_ij P_ij sum_k p(k | i, j) log p(k | i, j)`` with the stationary distribution P of two letters in a row
    (Shannon 1948, section 7).

    Example:
        >>> round(gp.data.markov_entropy(), 3)
        1.364
    """
    p = markov_transitions()
    return float((_markov_pairs() * torch.special.entr(p).sum(dim=2)).sum())


def markov_text(n: int, generator: Rng | None = None) -> str:
    """Return n characters of a generated language of eight letters, each of which depends on the two before it.

    A Markov chain of order two with the probabilities of :func:`markov_transitions`, started from its stationary
    distribution. What no predictor can fall below on it is known: :func:`markov_entropy`.

    Raises:
        ValueError: n under 2.

    Example:
        >>> text = gp.data.markov_text(1000, torch.Generator().manual_seed(0))
        >>> len(text), "".join(sorted(set(text)))
        (1000, 'abcdefgh')
    """
    if n < 2:
        raise ValueError(f"n must be at least 2, got {n!r}")
    draws = _uniform((n - 1,), generator).tolist()
    # The last of the cumulative probabilities is 1 up to rounding, and is left out: what exceeds the others is last.
    first = bisect(_markov_pairs().flatten().cumsum(0)[:-1].tolist(), draws[0])
    after = markov_transitions().cumsum(dim=2)[..., :-1].tolist()
    letters = [first // 8, first % 8]
    for draw in draws[1:]:
        letters.append(bisect(after[letters[-2]][letters[-1]], draw))
    return "".join("abcdefgh"[letter] for letter in letters)


def encode_text(text: str) -> tuple[Tensor, str]:
    """Return the text as int64 codes ``(len(text),)``, and the sorted alphabet that they index.

    Example:
        >>> codes, alphabet = gp.data.encode_text("banana")
        >>> codes.tolist(), alphabet
        ([1, 0, 2, 0, 2, 0], 'abn')
    """
    alphabet = "".join(sorted(set(text)))
    index = {character: i for i, character in enumerate(alphabet)}
    return torch.tensor([index[character] for character in text]), alphabet


def text_batch(codes: Tensor, n: int, length: int, generator: Rng | None = None) -> tuple[Tensor, Tensor]:
    """Return n random stretches of a coded text: inputs ``(n, length)`` and the next characters ``(n, length)``.

    Raises:
        ValueError: a text that is not longer than ``length``.

    Example:
        >>> codes, _ = gp.data.encode_text("banana " * 10)
        >>> x, y = gp.data.text_batch(codes, n=2, length=5, generator=torch.Generator().manual_seed(0))
        >>> x.shape, bool((x[:, 1:] == y[:, :-1]).all())  # y is x shifted by one character
        (torch.Size([2, 5]), True)
    """
    if len(codes) <= length:
        raise ValueError(f"codes must be longer than length = {length}, got {len(codes)}")
    starts = _choice(len(codes) - length, n, generator)
    windows = codes[starts[:, None] + torch.arange(length + 1, device=codes.device)]
    return windows[:, :-1], windows[:, 1:]
