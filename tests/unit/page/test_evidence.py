"""Verdicts that must rest on something, what their boxes show, and where measurements and verdicts are written."""

import json
import re

import pytest

from gpcore.page import evidence, study
from gpcore.training.config import Budget


class Run:
    def __init__(self, seed, steps="240 steps"):
        self.seed, self.budget = seed, Budget("MLPs", steps, "batch 64")


def measurement(**changes):
    settings = {"name": "gap", "values": [1.0, 3.0, 2.0], "fast": (1.5, 2.5), "unit": "m"}
    return study.Study().measure(**settings | changes)


def verdict(**changes):
    settings = {"claim_id": "balance", "word": "holds", "measurements": [measurement()], "runs": [Run(0), Run(1)]}
    settings |= {"criterion": "A gap below three.", "because": "The gap is 2.0 over three seeds."}
    return study.Study().verdict(**settings | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim_id": "nobody-said"}, "claim_id must be one of .*balance"),
        ({"word": "true"}, "word must be one of 'holds', 'holds if', 'does not hold', 'not decided'"),
        ({"measurements": []}, "needs at least one measurement"),
        ({"because": " "}, "a sentence in because"),
        ({"criterion": ""}, "a sentence in criterion"),
    ],
)
def test_verdicts_rest_on_something(changes, message):
    with pytest.raises(ValueError, match=message):
        verdict(**changes)


def test_a_box_states_claim_word_criterion_budget_and_numbers():
    box = verdict()._repr_mimebundle_()["text/html"]
    for part in (
        "the relative strengths must be balanced with care",
        "Verdict: holds.",
        "<strong>Criterion.</strong> A gap below three.",
        "<strong>Budget.</strong> MLPs; 240 steps; batch 64; 2 seeds, 0 to 1.",
        'data-claim="balance"',
        'id="verdict-balance"',
        "1.5 to 2.5",
        '<span class="measured">2 (1 to 3) m</span>',
    ):
        assert part in box, part


def test_the_sentence_follows_the_word():
    because = {"holds": "It does.", "does not hold": "It does not."}
    assert verdict(because=because, word="does not hold").because == "It does not."
    with pytest.raises(KeyError):
        verdict(because=because, word="holds if")


def test_a_verdict_without_runs_says_that_nothing_was_trained():
    shown = verdict(runs=())
    assert shown.budget == "No training." and shown.seeds == []


def test_runs_are_found_in_nested_mappings_and_lists():
    runs = {"a": [Run(3), Run(1)], "b": {"c": [Run(2, "2,400 steps")]}}
    shown = verdict(runs=runs)
    assert shown.seeds == [1, 2, 3]
    assert shown.budget == "MLPs; 240 steps or 2,400 steps; batch 64; 3 seeds, 1 to 3."


def test_the_plain_text_holds_no_number():
    """nbval compares it to the letter, and every number outside of marks would be compared as well."""
    shown = verdict()
    assert shown._repr_mimebundle_()["text/plain"] == "balance: holds"
    words = re.sub(r'<span class="measured">[^<]*</span>', "", shown._repr_mimebundle_()["text/html"])
    said = re.search(r"<strong>Verdict.*?</p>", words)[0]
    assert not re.search(r"\d", said)


def test_everything_is_written_once_and_the_newest_stays(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    monkeypatch.setenv("GPCORE_RECORD", str(path))
    verdict()
    verdict(word="does not hold")
    measurement(values=[2.0])
    measurement(name="other")
    found = json.loads(path.read_text())
    assert [m["name"] for m in found["measurements"]] == ["gap", "other"]
    assert found["measurements"][0]["values"] == [2.0] and found["measurements"][0]["band"] == [1.5, 2.5]
    (claim,) = found["claims"]
    assert claim["word"] == "does not hold" and claim["criterion"] == "A gap below three." and claim["seeds"] == [0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_without_a_record_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("GPCORE_RECORD", raising=False)
    monkeypatch.chdir(tmp_path)
    verdict()
    assert list(tmp_path.iterdir()) == []


def test_claims_have_an_id_a_source_and_a_chapter():
    claims = evidence.load_claims()
    assert len(claims) == 34
    for name, claim in claims.items():
        assert set(claim) == {"id", "source", "chapter", "claim"} and claim["id"] == name
        assert claim["source"] in "ABCD" and re.fullmatch(r"\d\d", claim["chapter"])


def test_evidence_is_read_by_chapter(tmp_path):
    (tmp_path / "06.json").write_text('{"claims": [], "measurements": []}')
    (tmp_path / "hashes.json").write_text("{}")
    assert evidence.load_evidence(tmp_path) == {"06": {"claims": [], "measurements": []}}
