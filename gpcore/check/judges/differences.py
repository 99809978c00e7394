"""Recognising penalties that take no gradient: squared differences of scores at two places close together."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..layout import Layout
from ..observe import PROBES
from ..points import Points, locate
from ..probes import Call, Subject


def _places(call: Call) -> tuple[Tensor, Tensor] | None:
    """The two places at which the critic was asked: by two calls, or by the halves of one."""
    doors = [points.reshape(-1, *call.critic.shape) for points in call.critic.log.points]
    if len(doors) == 1 and len(doors[0]) % 2 == 0:
        doors = list(doors[0].chunk(2))
    return (doors[0], doors[1]) if len(doors) == 2 and doors[0].shape == doors[1].shape else None


def finite_differences(subject: Subject) -> tuple[str, float] | None:
    """What it is called and its weight, where the value is a multiple of the mean squared difference of scores."""
    weights = []
    for slope, curve in PROBES:
        try:
            call = subject.call(slope=slope, curve=curve)
        except Exception:
            return None
        places = _places(call)
        if places is None:
            return None
        with torch.no_grad():
            one, other = (call.critic.bare_score(x.to(call.critic.direction.dtype)).double() for x in places)
        apart = float((one - other).square().mean())
        if not apart > 0:  # the same place twice
            return None
        weights.append(call.value / apart)
    spread = torch.tensor(weights, dtype=torch.float64)
    if not spread.isfinite().all() or (spread - spread.median()).abs().max() > 1e-3 * spread.median().abs():
        return None
    # The place is the one of the two that is known: the other has noise on it.
    found = [_located(call, x, subject) for x in places]
    points = next((p for p in found if p.place in ("real", "fake", "interpolates")), found[0])
    kind = {"real": " (an approximate R1)", "fake": " (an approximate R2)"}.get(points.place, "")
    return f"finite differences at {points}{kind}", float(spread.median())


def _located(call: Call, points: Tensor, subject: Subject) -> Points:
    layout = Layout(points, points, points, points, points, recorded=False)
    return locate(replace(call, layout=layout), subject)
