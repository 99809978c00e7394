"""The ledger: every claim of the popular texts with its verdict, and the papers that say the same.

``PAPERS`` stands here and not in ``claims.yml``, whose words are part of what chapters and their records depend on.
"""

from __future__ import annotations

import html

from gpbook import EVIDENCE, both_words, directive, link

from gpcore.page import evidence
from gpcore.page.tables import html_table

ARJOVSKY_BOTTOU = ("Arjovsky and Bottou 2017", "https://arxiv.org/abs/1701.04862")
PASCANU = ("Pascanu et al. 2013", "https://arxiv.org/abs/1211.5063")
# Claim -> a paper or a widely read text that makes it too, and where it stands.
PAPERS = {
    "opposed-objectives": ("Mescheder et al. 2018", "https://arxiv.org/abs/1801.04406"),
    "strong-discriminator": ARJOVSKY_BOTTOU,
    "confident-discriminator": ARJOVSKY_BOTTOU,
    "mode-collapse": ("Lin et al. 2018", "https://arxiv.org/abs/1712.04086"),
    "gp-stability": ("Gulrajani et al. 2017", "https://arxiv.org/abs/1704.00028"),
    "gp-discriminator-overfit": ("Wu et al. 2019", "https://arxiv.org/abs/1908.07882"),
    "gp-classification": ("Drucker and Le Cun 1992", "https://doi.org/10.1109/72.165600"),
    "gp-reinforcement": ("Kostrikov et al. 2021", "https://arxiv.org/abs/2103.08050"),
    "gns-explosion": PASCANU,
    "gns-long-sequences": PASCANU,
    "gns-accuracy": ("torchvision's ViT", "https://github.com/pytorch/vision/pull/4824"),
}


def tally(words: list[str]) -> str:
    """Return how many verdicts there are of each kind, ``"5 hold, 7 hold if, 1 does not"``."""
    forms = {
        "holds": ("holds", "hold"),
        "holds if": ("holds under a condition", "hold under a condition"),
        "does not hold": ("does not hold", "do not hold"),
        "not decided": ("is not decided", "are not decided"),
    }
    return ", ".join(f"{words.count(word)} {forms[word][words.count(word) != 1]}" for word in evidence.WORDS)


def also(claim: str) -> str:
    """Return the paper that makes a claim too as HTML, or nothing."""
    if claim not in PAPERS:
        return ""
    who, url = PAPERS[claim]
    return f' <small>(also in <a href="{url}">{html.escape(who)}</a>)</small>'


def ledger() -> str:
    """Return the table of all claims with their verdicts, and the claims that wait for their chapter folded away."""
    found = {c["id"]: c for record in evidence.load_evidence(EVIDENCE).values() for c in record["claims"]}
    rows, waiting = [], []
    for claim in sorted(evidence.load_claims().values(), key=lambda c: c["chapter"]):
        number, text = claim["chapter"], html.escape(claim["claim"])
        verdict = found.get(claim["id"])
        if verdict is None:
            waiting.append([link(number, number), claim["source"], text])
            continue
        claimed = link(number, text, f"#verdict-{claim['id']}") + also(claim["id"])
        word = f"<span>{both_words(claim['id'], number, verdict['word'])}</span>"
        because = html.escape(verdict["because"])
        if verdict.get("budget"):
            because += f' <small class="gp-budget">{html.escape(verdict["budget"])}</small>'
        rows.append([link(number, number), claim["source"], f"<span>{claimed}</span>", word, because])
    summary = tally([verdict["word"] for verdict in found.values()])
    head = ["chapter", "source", "claim", "verdict", "because"]
    count = f"{len(rows) + len(waiting)} claims, {len(found)} have been measured: {summary}."
    shown = f'<p>Of {count}</p><div class="gp-ledger">{html_table(head, rows, "Ledger of claims")}</div>'
    if waiting:
        rest = html_table(["chapter", "source", "claim"], waiting, "Claims not measured yet")
        shown += f"<details><summary>{len(waiting)} claims wait for their chapter</summary>{rest}</details>"
    return shown


def setup(app) -> dict:
    app.add_directive("ledger", directive(ledger))
    return {"parallel_read_safe": True}
