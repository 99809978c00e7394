"""Numbers in the text of pages are those of the evidence."""

import json

import gpevidence
import pytest


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    measurement = {"name": "final W1", "values": [0.5, 0.56, 0.9], "band": [0, 1], "unit": "m"}
    (tmp_path / "06.json").write_text(json.dumps({"claims": [], "measurements": [measurement]}))
    monkeypatch.setattr(gpevidence, "EVIDENCE", tmp_path)


def test_a_number_is_the_median_of_its_measurement(evidence):
    (node,), messages = gpevidence.measured("measured", "", "06| final W1 ", 1, None)
    assert node.astext() == "0.56 m" and messages == []


@pytest.mark.parametrize("text", ["06|final W2", "07|final W1"])
def test_a_number_that_nobody_measured_stops_the_build(evidence, text):
    with pytest.raises(ValueError, match="has no measurement"):
        gpevidence.measured("measured", "", text, 1, None)
