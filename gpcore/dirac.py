"""The Dirac-GAN: a whole adversarial game in two numbers, every method as a vector field of a few lines.

Real data sits at 0, the generator puts its one sample at theta, and the critic is ``psi * x``. The critic's
objective, which it maximises and the generator minimises, is ``L = f(psi * theta) + f(0)`` with
``f(t) = -log(1 + exp(-t))``, or ``f(t) = t`` for the Wasserstein loss. Its only equilibrium is (0, 0). The norm of the
critic's gradient is ``|psi|`` wherever it is taken, and every penalty enters as ``weight / 2 * (|psi| - target)^2``.

Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", section 2.
"""

from __future__ import annotations

import numpy as np

from . import _checks


def _df(t):
    """f'(t) = sigmoid(-t), without overflow."""
    return np.exp(-np.logaddexp(0.0, t))


def _gan(theta, psi):
    return -psi * _df(psi * theta), theta * _df(psi * theta)


def _nsgan(theta, psi):
    return -psi * _df(-psi * theta), theta * _df(psi * theta)


def _wgan_clip(theta, psi, *, c=1.0):
    return -psi, theta  # the clipping happens after each step, in simulate


def _wgan_gp(theta, psi, *, weight=0.7, target=1.0):
    return -psi, theta - weight * (np.abs(psi) - target) * np.sign(psi)


def _r1(theta, psi, *, weight=0.3):
    v_theta, v_psi = _gan(theta, psi)
    return v_theta, v_psi - weight * psi


def _nsgan_r1(theta, psi, *, weight=0.3):
    v_theta, v_psi = _nsgan(theta, psi)
    return v_theta, v_psi - weight * psi


def _consensus(theta, psi, *, weight=1.0):
    v_theta, v_psi = _gan(theta, psi)
    # |v|^2 / 2 = (theta^2 + psi^2) / 2 * f'(t)^2 with t = psi * theta, and f'' = -f' * (1 - f').
    df = _df(psi * theta)
    ddf = -df * _df(-psi * theta)
    square = theta**2 + psi**2
    return (
        v_theta - weight * (theta * df**2 + square * df * ddf * psi),
        v_psi - weight * (psi * df**2 + square * df * ddf * theta),
    )


METHODS = {
    "gan": _gan,
    "nsgan": _nsgan,
    "wgan_clip": _wgan_clip,
    "wgan_gp": _wgan_gp,
    "r1": _r1,
    "nsgan_r1": _nsgan_r1,
    "consensus": _consensus,
}


def _settings(method: str, given: dict) -> dict:
    """The method's settings, defaults filled in, or ``ValueError``."""
    defaults = METHODS[_checks.one_of("method", method, METHODS)].__kwdefaults__ or {}
    for name, value in given.items():
        if name not in defaults:
            choices = ", ".join(map(repr, defaults)) or "none at all"
            raise ValueError(f"settings of {method!r} may be {choices}, got {name!r}")
        (_checks.positive if name == "c" else _checks.non_negative)(name, value)
    return defaults | given


def vector_field(method: str, theta, psi, **settings) -> np.ndarray:
    """Direction in which a method moves the point (theta, psi).

    ``v = (-dL/dtheta, dL/dpsi)`` minus what the method adds; see the module's text for L.

    Args:
        method: ``"gan"``; ``"nsgan"``, the generator maximises ``f(-psi * theta)``; ``"wgan_clip"`` (``c``);
            ``"wgan_gp"`` (``weight``, ``target``); ``"r1"``, ``"nsgan_r1"`` (``weight``), the penalty with target 0;
            ``"consensus"`` (``weight``), the field minus ``weight * grad(|v|^2 / 2)``.
        theta, psi: numbers or arrays of one shape ``(...)``.
        settings: of the method. The defaults are those of the authors' notebook: c = 1; weight = 0.7 and target = 1
            for ``"wgan_gp"``; weight = 0.3 for R1 and 1 for consensus. Clipping bends no arrow: it acts after a step.

    Returns:
        ``(..., 2)`` in float64, the components along theta and psi.

    Raises:
        ValueError: an unknown method or setting; a setting that is negative or not finite (``c``: also zero).

    Example:
        >>> gp.dirac.vector_field("wgan_gp", 0.0, 3.0, weight=1.0)  # the penalty pulls |psi| back to 1
        array([-3., -2.])
    """
    settings = _settings(method, settings)
    field = METHODS[method](np.asarray(theta, dtype=np.float64), np.asarray(psi, dtype=np.float64), **settings)
    return np.stack(np.broadcast_arrays(*field), axis=-1)


def simulate(
    method: str, steps: int = 500, lr: float = 0.2, start=(1.0, 1.0), *, alternating: bool = False, **settings
) -> np.ndarray:
    """Path of gradient steps, ``(theta, psi) <- (theta, psi) + lr * v(theta, psi)``.

    By default both players move from the same point (simultaneous steps). With ``alternating=True`` the critic moves
    first and the generator answers the critic that has just moved, as in the training loops of GANs.
    ``"wgan_clip"`` clips psi to [-c, c] whenever the critic has moved; the start itself is not clipped.

    At (0, 0) one step of the undamped game, where f'(0) = 1/2, has the eigenvalues ``1 ± i lr / 2`` if both players
    move at once: outside the unit circle, however small ``lr`` is. If they alternate, its eigenvalues are
    ``c ± i sqrt(1 - c^2)`` with ``c = 1 - lr^2 / 8``: on the unit circle, for ``lr`` up to 4.

    Args:
        method, settings: as in :func:`vector_field`.
        steps: number of steps of both players, at least 1.
        lr: step size, greater than 0.
        start: (theta, psi) before the first step.
        alternating: whether the generator sees the critic's new parameter.

    Returns:
        ``(steps + 1, 2)`` in float64, the start in the first row.

    Raises:
        ValueError: as for :func:`vector_field`; ``steps``, ``lr`` or ``start`` out of range.
        FloatingPointError: the path left the range of float64, because the step is too long for the method.

    Source: Mescheder, Geiger, Nowozin 2018, section 2 and lemmas on simultaneous and alternating gradient descent.

    Example:
        >>> import gpcore as gp
        >>> for alternating in (False, True):
        ...     path = gp.dirac.simulate("gan", steps=1000, start=(0.1, 0.0), alternating=alternating)
        ...     print(round(float((path[-1] ** 2).sum() ** 0.5), 2))
        3.28
        0.1
    """
    settings, lr = _settings(method, settings), _checks.positive("lr", lr)
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number of at least 1, got {steps!r}")
    if np.shape(start) != (2,) or not np.isfinite(start).all():
        raise ValueError(f"start must be two finite numbers (theta, psi), got {start!r}")
    path = np.empty((steps + 1, 2))
    path[0] = theta, psi = start
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is reported below, in words
        for step in range(steps):
            v_theta, v_psi = vector_field(method, theta, psi, **settings)
            psi = psi + lr * v_psi
            if method == "wgan_clip":
                psi = np.clip(psi, -settings["c"], settings["c"])
            if alternating:
                v_theta, _ = vector_field(method, theta, psi, **settings)
            theta = theta + lr * v_theta
            path[step + 1] = theta, psi
    if not np.isfinite(path).all():
        raise FloatingPointError(f"the path of {method!r} overflowed; lr={lr!r} is too large for {settings!r}")
    return path
