"""The ledger of claims: its count in words, the papers beside its claims."""

import gpcite
import gpledger
import pytest
from test_gpcite import ENTRIES

from gpcore.page import evidence


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((5, 7, 1, 0), "5 hold, 7 hold under a condition, 1 does not hold, 0 are not decided"),
        ((1, 1, 2, 1), "1 holds, 1 holds under a condition, 2 do not hold, 1 is not decided"),
    ],
)
def test_verdicts_are_counted_in_english(counts, text):
    words = [word for n, word in zip(counts, evidence.WORDS, strict=True) for _ in range(n)]
    assert gpledger.tally(words) == text


def test_papers_stand_beside_claims_that_there_are():
    assert set(gpledger.PAPERS) <= set(evidence.load_claims())
    assert "Wu et al. 2019" in gpledger.PAPERS["gp-discriminator-overfit"][0]


@pytest.mark.parametrize("claim", gpledger.PAPERS)
def test_a_paper_beside_a_claim_is_of_the_bibliography(claim):
    who, url = gpledger.PAPERS[claim]
    listed = {gpcite.address(address) for address in ENTRIES.values()}
    assert gpcite.address(url) in listed or url.startswith("https://github.com/")
    assert url in gpcite.LINK.findall("\n".join(gpcite.texts().values())), "no page speaks of it"
    assert f'<a href="{url}">{who}</a>' in gpledger.ledger().replace("&#x27;", "'")


def test_a_claim_without_a_paper_has_nothing_beside_it():
    assert gpledger.also("gp-training-time") == ""
