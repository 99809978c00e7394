"""Numbers and verdicts in the text of pages are those of the evidence and of the longer runs."""

import json

import gpbook
import gpevidence
import gpteaching
import pytest


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    def record(values, word):
        measurement = {"name": "final W1", "values": values, "band": [0, 1], "unit": "m"}
        claim = {"id": "gp-stability", "word": word, "because": "It holds for a < b."}
        return {"claims": [claim], "measurements": [measurement], "date": "2026"}

    (tmp_path / "06.json").write_text(json.dumps(record([0.5, 0.56, 0.9], "holds")))
    (tmp_path / "06-long-1").mkdir()
    (tmp_path / "06-long-1" / "record.json").write_text(json.dumps(record([0.2, 0.3, 0.4], "holds if")))
    monkeypatch.setattr(gpevidence, "EVIDENCE", tmp_path)
    for module in (gpevidence, gpbook):
        monkeypatch.setattr(module, "RUNS", tmp_path)


def text(role, argument):
    (node,), messages = role("role", "", argument, 1, None)
    assert messages == []
    return node.astext()


@pytest.mark.parametrize(
    ("argument", "said"),
    [("06| final W1 ", "0.56 m"), ("06|final W1|long", "0.3 m"), ("06|final W1|both", "0.56 m (0.3 m)")],
)
def test_a_number_is_the_median_of_its_measurement(evidence, argument, said):
    assert text(gpevidence.measured, argument) == said


def test_a_number_that_is_the_same_in_both_runs_is_said_once(evidence, monkeypatch):
    monkeypatch.setattr(gpevidence, "RUNS", "none")
    monkeypatch.setattr(gpevidence.runs, "latest", lambda *_: {"measurements": [{"name": "final W1", "values": [0.56],
                        "band": None, "unit": "m"}]})  # fmt: skip
    assert text(gpevidence.measured, "06|final W1|both") == "0.56 m"


def test_without_a_longer_run_there_is_one_number(evidence, monkeypatch):
    monkeypatch.setattr(gpevidence.runs, "latest", lambda *_: None)
    assert text(gpevidence.measured, "06|final W1|both") == "0.56 m"


@pytest.mark.parametrize("argument", ["06|final W2", "07|final W1", "07|final W1|long"])
def test_a_number_that_nobody_measured_stops_the_build(evidence, argument):
    with pytest.raises(ValueError, match="has no measurement"):
        gpevidence.measured("measured", "", argument, 1, None)


def test_a_run_that_there_is_not_stops_the_build(evidence):
    with pytest.raises(ValueError, match="'long' or 'both'"):
        gpevidence.measured("measured", "", "06|final W1|full", 1, None)


def test_a_verdict_has_both_words_and_leads_to_its_box(evidence):
    said = text(gpevidence.verdict, "gp-stability")
    assert said.startswith('<a href="../notebooks/06_gradient_penalty.html#verdict-gp-stability">')
    assert ">holds</span>" in said and ">holds if</span>" in said
    with pytest.raises(ValueError, match="no chapter has a verdict"):
        gpevidence.verdict("verdict", "", "gp-faster-convergence", 1, None)


def test_the_claims_of_a_term_are_its_part_of_the_ledger(evidence):
    shown = gpevidence.claims("gp-")
    assert shown.count("<tr>") == 2 and "It holds for a &lt; b." in shown and "more are listed there" in shown
    assert gpevidence.claims("gns-").count("<tr>") == 1


def test_the_table_for_teachers_has_every_chapter():
    asked = dict.fromkeys(gpbook.chapters(), "Nothing & all.")
    shown = gpteaching.table(asked)
    for number in gpbook.chapters():
        title, minutes, exercises = gpteaching.size(number)
        assert f"{int(number)}. " in shown and 15 <= minutes <= 90 and 2 <= exercises <= 5, title
    asked.pop("06")
    with pytest.raises(ValueError, match="chapter 06"):
        gpteaching.table(asked)
