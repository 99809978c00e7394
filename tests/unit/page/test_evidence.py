"""Measurements that must lie in their bands, verdicts that must rest on something, and where they are written."""

import json
import math

import pytest

from gpcore import evidence


def measurement(**changes):
    return evidence.measure(**{"name": "gap", "values": [1.0, 3.0, 2.0], "band": (1.5, 2.5), "unit": "m"} | changes)


def verdict(**changes):
    settings = {"claim_id": "balance", "word": "holds", "measurements": [measurement()], "seeds": range(3)}
    return evidence.verdict(**settings | {"because": "The gap is 2.0 over three seeds."} | changes)


def test_the_median_is_asserted():
    assert measurement().median == 2.0
    with pytest.raises(AssertionError, match=r"gap: median 2 of \[1.0, 3.0, 2.0\] is outside the band \(2.1, 3\)"):
        measurement(band=(2.1, 3))
    assert evidence.measure("one", 5, (5, 5)).values == [5.0]


@pytest.mark.parametrize("values", [[1.0, math.nan, 2.0], [math.inf]])
def test_what_is_not_finite_lies_in_no_band(values):
    with pytest.raises(AssertionError):
        measurement(values=values, band=(-1e9, 1e9))


def test_measurements_need_values_and_a_band():
    for bad in ({"values": []}, {"band": (2, 1)}, {"band": (math.nan, 1)}):
        with pytest.raises(ValueError, match="needs values and a band"):
            measurement(**bad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim_id": "nobody-said"}, "claim_id must be one of .*balance"),
        ({"word": "true"}, "word must be one of 'holds', 'holds if', 'does not hold'"),
        ({"measurements": []}, "needs at least one measurement"),
        ({"because": " "}, "a sentence in because"),
    ],
)
def test_verdicts_rest_on_something(changes, message):
    with pytest.raises(ValueError, match=message):
        verdict(**changes)


def test_every_number_of_the_box_that_can_vary_is_marked():
    html = verdict()._repr_mimebundle_()["text/html"]
    import re

    blanked = re.sub(r'<span class="measured">[^<]*</span>', "", html)
    assert "2.0" not in blanked and "1 to 3" not in blanked
    assert "1.5 to 2.5" in blanked and "Verdict: holds." in blanked and "range over 3 seeds" in blanked
    assert verdict()._repr_mimebundle_()["text/plain"] == "balance: holds"


def test_every_value_of_the_box_names_its_column():
    html = verdict()._repr_mimebundle_()["text/html"]
    for label in ("median", "range over 3 seeds", "asserted band"):
        assert html.count(f'<td data-label="{label}">') == 1


def test_one_value_has_no_range():
    html = verdict(measurements=[measurement(values=[1.88])], seeds=[0])._repr_mimebundle_()["text/html"]
    assert "one value" in html and "1.88 to 1.88" not in html
    assert measurement().spread == "1 to 3"


def test_the_box_escapes_what_it_is_given():
    html = verdict(because="a < b & c")._repr_mimebundle_()["text/html"]
    assert "a &lt; b &amp; c" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.123456, "0.123"), (12.3456, "12.3"), (1234.5, "1,234"), (1.5e-7, "1.5e-07"), (2e9, "2.0e+09"),
     (-0.5, "-0.5"), (math.nan, "nan"), (99999.0, "99,999"), (1000.0, "1,000"), (1e5, "100,000")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert evidence.short(value) == text


def test_nothing_is_written_unless_a_record_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verdict()
    assert list(tmp_path.iterdir()) == []


def test_a_record_holds_each_claim_once(tmp_path, monkeypatch):
    path = tmp_path / "07.json"
    monkeypatch.setenv("GPCORE_RECORD", str(path))
    verdict()
    verdict(word="does not hold")
    measurement(name="other")
    record = json.loads(path.read_text())
    assert [(c["id"], c["word"]) for c in record["claims"]] == [("balance", "does not hold")]
    assert [m["name"] for m in record["measurements"]] == ["gap", "other"]
    assert record["measurements"][0] == {"name": "gap", "values": [1.0, 3.0, 2.0], "band": [1.5, 2.5], "unit": "m"}
    assert evidence.load_evidence(tmp_path) == {"07": record}


def test_the_claims_are_complete():
    claims = evidence.load_claims()
    assert len(claims) == 34
    assert all({"id", "source", "chapter", "claim"} == set(c) and c["source"] in "ABCD" for c in claims.values())
