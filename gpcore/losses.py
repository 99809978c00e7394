"""Adversarial losses, as pairs of plain functions: one for the critic, one for the generator. All are minimised.

Arguments are scores or logits, one per sample: ``(N,)`` or ``(N, 1)``, never probabilities. Everything goes through
``logsigmoid``, which is exact at any logit, where ``log(sigmoid(x))`` is ``-inf`` from about -89 in float32.

Every function takes ``reduction``: ``"mean"``, ``"sum"`` or ``"none"``. Losses of a real and a fake batch reduce each
of the two on its own and add the results; ``"none"`` adds them sample by sample, so that both must have one size. Every
function raises ``ValueError`` for an empty batch, for scores of another shape and for an unknown reduction, and
``TypeError`` for scores that are not floating-point tensors.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from . import _checks


def _one(name: str, scores: Tensor, loss, reduction: str) -> Tensor:
    return _checks.reduce(loss(_checks.scores(name, scores)), reduction)


def _two(real: Tensor, fake: Tensor, real_loss, fake_loss, reduction: str) -> Tensor:
    real, fake = _checks.scores("real", real), _checks.scores("fake", fake)
    if reduction == "none":
        _checks.same_shape("real", real, "fake", fake)
    return _checks.reduce(real_loss(real), reduction) + _checks.reduce(fake_loss(fake), reduction)


def discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """Cross-entropy of the discriminator, ``-E log D(real) - E log(1 - D(fake))`` with ``D = sigmoid(logit)``.

    It is minus the value function of Goodfellow et al. 2014, eq. 1. At the optimum for equal distributions, logit 0
    everywhere, the loss is log 4 and the value -log 4. It is the sum of the two cross-entropies, not their average.

    Args:
        real_logits, fake_logits: ``(N,)`` or ``(N, 1)``.
        real_target: label of real samples, in [0, 1]; below 1 it is one-sided label smoothing (Salimans et al. 2016).
        reduction: ``"mean" | "sum" | "none"``.

    Returns:
        A scalar, or ``(N,)`` for ``"none"``.

    Raises:
        ValueError: for ``real_target`` outside [0, 1], and as said at the top of the module.

    Example:
        >>> round(gp.discriminator_loss(torch.zeros(4), torch.zeros(4)).item(), 3)  # 2 log 2: it cannot tell them apart
        1.386
    """
    target = _checks.non_negative("real_target", real_target)
    if target > 1:
        raise ValueError(f"real_target must lie in [0, 1], got {real_target!r}")
    return _two(
        real_logits,
        fake_logits,
        lambda real: -target * logsigmoid(real) - (1 - target) * logsigmoid(-real),
        lambda fake: -logsigmoid(-fake),
        reduction,
    )


def minimax_generator_loss(fake_logits: Tensor, *, reduction: str = "mean") -> Tensor:
    """Saturating generator loss, ``E log(1 - D(fake))`` (Goodfellow et al. 2014, eq. 1).

    Its derivative with respect to a logit is ``-D``: it vanishes where the discriminator is sure that the sample is
    fake.

    Example:
        >>> round(gp.minimax_generator_loss(torch.zeros(4)).item(), 3)  # log(1 - 1/2)
        -0.693
    """
    return _one("fake_logits", fake_logits, lambda fake: logsigmoid(-fake), reduction)


def non_saturating_generator_loss(fake_logits: Tensor, *, reduction: str = "mean") -> Tensor:
    """Non-saturating generator loss, ``-E log D(fake)`` (Goodfellow et al. 2014, section 3).

    Its derivative with respect to a logit is ``D - 1``: it tends to -1 where the discriminator is sure that the sample
    is fake.

    Example:
        >>> round(gp.non_saturating_generator_loss(torch.zeros(4)).item(), 3)  # -log(1/2)
        0.693
    """
    return _one("fake_logits", fake_logits, lambda fake: -logsigmoid(fake), reduction)


def least_squares_discriminator_loss(real: Tensor, fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """Least squares, ``E (real - 1)^2 / 2 + E fake^2 / 2`` (LSGAN, Mao et al. 2017, eq. 9).

    Example:
        >>> gp.least_squares_discriminator_loss(torch.zeros(4), torch.ones(4)).item()  # both answers wrong by 1
        1.0
    """
    return _two(real, fake, lambda real: (real - 1).square() / 2, lambda fake: fake.square() / 2, reduction)


def least_squares_generator_loss(fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """Least squares, ``E (fake - 1)^2 / 2`` (LSGAN, Mao et al. 2017, eq. 9).

    Example:
        >>> gp.least_squares_generator_loss(torch.tensor([1.0, 0.0])).item()
        0.25
    """
    return _one("fake", fake, lambda fake: (fake - 1).square() / 2, reduction)


def hinge_discriminator_loss(real: Tensor, fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """Hinge, ``E max(0, 1 - real) + E max(0, 1 + fake)`` (Lim and Ye 2017; Miyato et al. 2018, eq. 16).

    Example:
        >>> gp.hinge_discriminator_loss(torch.tensor([2.0]), torch.tensor([0.0])).item()  # real is beyond the margin
        1.0
    """
    return _two(real, fake, lambda real: (1 - real).relu(), lambda fake: (1 + fake).relu(), reduction)


def hinge_generator_loss(fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """The generator's side of the hinge loss, ``-E fake`` (Miyato et al. 2018, eq. 17): it is not clipped.

    Example:
        >>> gp.hinge_generator_loss(torch.tensor([2.0, -1.0])).item()
        -0.5
    """
    return _one("fake", fake, lambda fake: -fake, reduction)


def wasserstein_critic_loss(real: Tensor, fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """``E fake - E real``: minus the critic's estimate of the Wasserstein distance (Arjovsky et al. 2017, eq. 2).

    Minimised by the critic. It estimates a distance only as far as the critic is 1-Lipschitz.

    Example:
        >>> gp.wasserstein_critic_loss(torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])).item()
        -2.5
    """
    return _two(real, fake, lambda real: -real, lambda fake: fake, reduction)


def wasserstein_generator_loss(fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """``-E fake`` (Arjovsky et al. 2017, Algorithm 1). Its absolute value has no meaning.

    Example:
        >>> gp.wasserstein_generator_loss(torch.tensor([1.0, 2.0])).item()
        -1.5
    """
    return _one("fake", fake, lambda fake: -fake, reduction)


def relativistic_discriminator_loss(real: Tensor, fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """Paired relativistic loss, ``-E log sigmoid(real - fake)`` (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024).

    The n-th real score is compared with the n-th fake score, so both batches have one size, otherwise ``ValueError``.

    Example:
        >>> round(gp.relativistic_discriminator_loss(torch.zeros(2), torch.zeros(2)).item(), 3)  # log 2
        0.693
    """
    real, fake = _checks.scores("real", real), _checks.scores("fake", fake)
    _checks.same_shape("real", real, "fake", fake)
    return _checks.reduce(-logsigmoid(real - fake), reduction)


def relativistic_generator_loss(real: Tensor, fake: Tensor, *, reduction: str = "mean") -> Tensor:
    """``-E log sigmoid(fake - real)``: the discriminator's loss with real and fake exchanged (same sources).

    Example:
        >>> round(gp.relativistic_generator_loss(torch.zeros(2), torch.zeros(2)).item(), 3)  # log 2
        0.693
    """
    real, fake = _checks.scores("real", real), _checks.scores("fake", fake)
    _checks.same_shape("real", real, "fake", fake)
    return _checks.reduce(-logsigmoid(fake - real), reduction)


def _of_fake(loss):
    return lambda real, fake, *, reduction="mean": loss(fake, reduction=reduction)


# name -> (critic's loss, generator's loss), both functions of (real, fake) so that a training loop treats all alike.
LOSSES = {
    "minimax": (discriminator_loss, _of_fake(minimax_generator_loss)),
    "non_saturating": (discriminator_loss, _of_fake(non_saturating_generator_loss)),
    "least_squares": (least_squares_discriminator_loss, _of_fake(least_squares_generator_loss)),
    "hinge": (hinge_discriminator_loss, _of_fake(hinge_generator_loss)),
    "wasserstein": (wasserstein_critic_loss, _of_fake(wasserstein_generator_loss)),
    "relativistic": (relativistic_discriminator_loss, relativistic_generator_loss),
}

# Those of them that are linear in every score: loss -> the derivatives with respect to a real and a generated score,
# before the mean is taken; None where the loss does not depend on it.
LINEAR = {
    LOSSES["wasserstein"][0]: (-1.0, 1.0),
    LOSSES["wasserstein"][1]: (None, -1.0),
    LOSSES["hinge"][1]: (None, -1.0),
}
