"""Claims bound to measurements: what was measured, with its band, and the verdict on a claim, with its criterion.

A measurement is a number per seed. A verdict ties measurements to a claim of ``claims.yml``. Both are put into the JSON
file named by the environment variable ``GPCORE_RECORD`` where it is set (``make book``, ``make run``, ``make long`` and
``make full`` set it) and are shown, but stored nowhere, everywhere else. Chapters make both through
:class:`gpcore.Study`, which knows the preset.
"""

from __future__ import annotations

import html
import json
import os
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from .tables import html_table, mark_numbers, measured, short, spread

__all__ = ["Measurement", "Verdict", "load_claims", "load_evidence"]

WORDS = ("holds", "holds if", "does not hold", "not decided")


@dataclass(frozen=True)
class Measurement:
    """A measured quantity: one value per seed, its unit, and the band that its median must lie in, if it has one.

    Example:
        >>> Measurement("final W1", [0.5, 0.6, 0.9], (0.4, 0.7)).median
        0.6
    """

    name: str
    values: list[float]
    band: tuple[float, float] | None
    unit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """Median and range, in words."""
        return spread(self.values)

    @property
    def asserted(self) -> str:
        """The band, in words."""
        return f"{short(self.band[0])} to {short(self.band[1])}" if self.band else "finite"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, and by which criterion and at which budget it was judged.

    Attributes:
        id, claim: of ``claims.yml``.
        word: one of ``WORDS``.
        criterion: the sentence by which the word was decided.
        because: what was found, in one or two sentences.
        budget: networks, steps and seeds, in words.
        seeds: over which it was measured.

    Example:
        >>> cost = gp.Study().measure("cost, in plain steps", [2.0, 2.1], fast=(1.8, 2.4))
        >>> sentences = dict(criterion="It costs more than one plain step.", because="It costs 2.")
        >>> verdict = gp.Study().verdict("gp-training-time", "holds", [cost], **sentences)
        >>> verdict.word, verdict.budget
        ('holds', 'No training.')
    """

    id: str
    claim: str
    word: str
    criterion: str
    because: str
    budget: str
    seeds: list[int]
    measurements: list[Measurement]

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # The plain text holds no number: nbval compares it to the letter.
        return {"text/plain": f"{self.id}: {self.word}", "text/html": self._box()}

    def _box(self) -> str:
        rows = [
            [html.escape(m.name), measured(f"{m.spread} {m.unit}"), html.escape(m.asserted)] for m in self.measurements
        ]
        head = ["measured", "median (range)", "asserted band"]
        count = f"{len(rows)} measurement{'s' * (len(rows) > 1)}"
        table = html_table(head, rows, f"Measurements: {self.claim}")
        # The site fills the line of the longer run where a record of one exists.
        return (
            f'<div class="gp-verdict gp-{self.word.replace(" ", "-")}" id="verdict-{self.id}" style="border:1px solid '
            'currentColor;border-left-width:6px;padding:.6em 1em;margin:1em 0">'
            f"<p><strong>Claim.</strong> {html.escape(self.claim)}</p>"
            f'<p><strong>Verdict: {self.word}.</strong> <span class="gp-long" data-claim="{self.id}"></span> '
            f"{mark_numbers(html.escape(self.because))}</p>"
            f"<p><strong>Criterion.</strong> {html.escape(self.criterion)}</p>"
            f"<p><strong>Budget.</strong> {html.escape(self.budget)}</p>"
            f"<details><summary>{count}</summary>{table}</details></div>"
        )

    def __repr__(self) -> str:
        lines = "".join(f"\n  {m.name}: {m.spread} {m.unit}".rstrip() for m in self.measurements)
        return f"{self.claim}: {self.word}. {self.because}\n  {self.criterion}\n  {self.budget}{lines}"


def load_claims() -> dict[str, dict[str, str]]:
    """Return the claims of ``claims.yml`` by their id: ``claim``, ``source``, ``chapter``.

    Example:
        >>> load_claims()["gp-training-time"]["claim"]
        'the extra term makes training slower'
    """
    import yaml

    claims = yaml.safe_load((files(__package__) / "claims.yml").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in claims}


def record(kind: str, key: str, entry) -> None:
    """Put a measurement or a verdict into the record, in place of an older one of the same name."""
    if not (path := os.environ.get("GPCORE_RECORD")):
        return
    path, entry = Path(path), asdict(entry)
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"claims": [], "measurements": []}
    found[kind] = [old for old in found[kind] if old[key] != entry[key]] + [entry]
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def load_evidence(folder: Path) -> dict[str, dict]:
    """Return chapter -> record for every ``NN.json`` in ``folder``.

    Example:
        >>> from pathlib import Path
        >>> gp.evidence.load_evidence(Path("no such folder"))
        {}
    """
    return {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(Path(folder).glob("[0-9][0-9].json"))}


def check_words(claim_id: str, word: str, measurements: Iterable[Measurement], **sentences: str) -> None:
    """Raise ``ValueError`` for an unknown claim or word, no measurement, or an empty sentence."""
    claims = load_claims()
    if claim_id not in claims:
        raise ValueError(f"claim_id must be one of {', '.join(claims)}, got {claim_id!r}")
    if word not in WORDS:
        raise ValueError(f"word must be one of {', '.join(map(repr, WORDS))}, got {word!r}")
    if not measurements:
        raise ValueError(f"the verdict on {claim_id!r} needs at least one measurement")
    for name, sentence in sentences.items():
        if not sentence.strip():
            raise ValueError(f"the verdict on {claim_id!r} needs a sentence in {name}")
