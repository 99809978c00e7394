"""Claims bound to measurements: a chapter measures, asserts its band, and says which popular claim came out how.

A measurement is a number a seed; its median must lie in a band that the chapter states. A verdict ties measurements to
a claim of ``claims.yml``. Both are appended to the JSON file named by the environment variable ``GPCORE_RECORD`` where
it is set (``make book``, ``make run`` and ``make full`` set it) and are shown, but stored nowhere, everywhere else.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

WORDS = ("holds", "holds if", "does not hold")


@dataclass(frozen=True)
class Measurement:
    """A measured quantity: one value a seed, the band that its median must lie in, and its unit."""

    name: str
    values: list[float]
    band: tuple[float, float]
    unit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """The smallest and the largest value, in words."""
        return f"{short(min(self.values))} to {short(max(self.values))}" if len(self.values) > 1 else "one value"

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.name}: {short(self.median)}{unit} [{short(min(self.values))}, {short(max(self.values))}], "
            f"band {short(self.band[0])} to {short(self.band[1])}"
        )


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: ``word`` is one of ``WORDS``, ``because`` one sentence."""

    id: str
    claim: str
    word: str
    because: str
    seeds: list[int]
    measurements: list[Measurement]

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # The plain text holds no number: nbval compares it to the letter.
        return {"text/plain": f"{self.id}: {self.word}", "text/html": self._box()}

    def _box(self) -> str:
        # Every cell carries its column's name: on a phone the rows become cards.
        spread = _count(self.seeds)
        rows = "".join(
            f"<tr><td>{html.escape(m.name)}</td>"
            f'<td data-label="median">{_measured(short(m.median) + " " + m.unit)}</td>'
            f'<td data-label="{spread}">{_measured(m.spread)}</td>'
            f'<td data-label="asserted band">{short(m.band[0])} to {short(m.band[1])}</td></tr>'
            for m in self.measurements
        )
        kind = self.word.replace(" ", "-")
        return (
            f'<div class="gp-verdict gp-{kind}" style="border:1px solid currentColor;border-left-width:6px;'
            f'padding:.6em 1em;margin:1em 0"><p><strong>Claim.</strong> “{html.escape(self.claim)}”</p>'
            f"<p><strong>Verdict: {self.word}.</strong> {_mark_numbers(html.escape(self.because))}</p>"
            '<table><thead><tr><th scope="col">measured</th><th scope="col">median</th>'
            f'<th scope="col">{spread}</th><th scope="col">asserted band</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        lines = "".join(f"\n  {m!r}" for m in self.measurements)
        return f"{self.claim!r}: {self.word}. {self.because}{lines}"


def _count(seeds: list[int]) -> str:
    return f"range over {len(seeds)} seeds" if len(seeds) > 1 else "range"


def _measured(text: str) -> str:
    """Mark what may differ from one machine to the next, so that the check of the notebooks can blank it."""
    return f'<span class="measured">{html.escape(text.strip())}</span>'


def _mark_numbers(text: str) -> str:
    return re.sub(r"(?<![\w&#])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", lambda m: _measured(m[0]), text)


def short(value: float) -> str:
    """Return a number with three significant digits (two before a power of ten); whole ones from 1,000 with all."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e7:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.1e}"


def load_claims() -> dict[str, dict[str, str]]:
    """Return the claims of ``claims.yml`` by their id: ``claim``, ``source``, ``chapter``."""
    import yaml

    claims = yaml.safe_load((files(__package__) / "claims.yml").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in claims}


def measure(name: str, values: Iterable[float] | float, band: tuple[float, float], unit: str = "") -> Measurement:
    """Assert that the median of ``values`` lies in ``band`` and return the measurement.

    Args:
        name: what was measured.
        values: one number a seed, or a single number.
        band: (low, high), both included.

    Raises:
        AssertionError: the median lies outside the band, or a value is not finite.
        ValueError: no values, or a band whose low end is above its high end.
    """
    values = [float(v) for v in ([values] if isinstance(values, (int, float)) else values)]
    low, high = map(float, band)
    if not values or not low <= high:
        raise ValueError(f"measure({name!r}) needs values and a band (low, high), got {len(values)} values, {band!r}")
    measurement = Measurement(name, values, (low, high), unit)
    if not all(map(math.isfinite, values)) or not low <= measurement.median <= high:
        raise AssertionError(f"{name}: median {measurement.median:g} of {values} is outside the band {band}")
    _record("measurements", "name", asdict(measurement))
    return measurement


def verdict(
    claim_id: str, word: str, measurements: Iterable[Measurement], *, seeds: Iterable[int], because: str
) -> Verdict:
    """Record what became of a claim, and return the box that shows it.

    Args:
        claim_id: an id of ``claims.yml``.
        word: ``"holds" | "holds if" | "does not hold"``.
        measurements: what the verdict rests on, at least one.
        seeds: over which it was measured.
        because: one sentence; numbers in it are taken to be measured.

    Raises:
        ValueError: an unknown claim or word, no measurement, or an empty sentence.
    """
    claims, measurements = load_claims(), list(measurements)
    if claim_id not in claims:
        raise ValueError(f"claim_id must be one of {', '.join(claims)}, got {claim_id!r}")
    if word not in WORDS:
        raise ValueError(f"word must be one of {', '.join(map(repr, WORDS))}, got {word!r}")
    if not measurements or not because.strip():
        raise ValueError(f"the verdict on {claim_id!r} needs at least one measurement and a sentence in because")
    result = Verdict(claim_id, claims[claim_id]["claim"], word, because.strip(), list(seeds), measurements)
    _record("claims", "id", asdict(result))
    return result


def _record(kind: str, key: str, entry: dict) -> None:
    """Put an entry into the record, in place of an older one of the same name (a cell that is run twice)."""
    if not (path := os.environ.get("GPCORE_RECORD")):
        return
    path = Path(path)
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"claims": [], "measurements": []}
    record[kind] = [old for old in record[kind] if old[key] != entry[key]] + [entry]
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def load_evidence(folder: Path) -> dict[str, dict]:
    """Return chapter -> record for every ``NN.json`` in ``folder``."""
    return {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(Path(folder).glob("[0-9][0-9].json"))}
