"""Every room of the museum holds the mistake that its name says, and no other."""

import pytest

import gpcore as gp
from gpcore._audit.mends import PENALTY, SCALING
from gpcore._audit.museum_steps import STEPS
from gpcore.museum import PENALTIES, ROOMS


@pytest.mark.parametrize("room", PENALTIES, ids=lambda room: room.name)
def test_the_checker_names_each_penalty(room):
    report = gp.check(room.code)
    assert set(report.names) == {room.name, *room.also}, str(report)
    assert report.ok == (room.name == "one-sided")


@pytest.mark.parametrize("room", STEPS, ids=lambda room: room.name)
def test_the_checker_names_each_step(room):
    report = gp.check_scaling(room.code)
    assert set(report.names) == {room.name, *room.also} and not report.ok, str(report)


def test_every_finding_has_its_room():
    # What a penalty is multiplied by is no mistake to be shown.
    assert set(ROOMS) == {*PENALTY, *SCALING} - {"weight-inside"}
    assert len(ROOMS) == len(PENALTIES) + len(STEPS)


def test_rooms_show_their_code():
    for room in ROOMS.values():
        assert room.source.startswith(f"def {room.name.replace('-', '_')}(") and room.met and room.symptom
