"""A chapter's study: the one place that knows the preset, and with it seeds, budgets, bands and checkpoints."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .. import _checks
from ..training.config import Budget
from .evidence import Measurement, Verdict, check_words, load_claims, record

T = TypeVar("T")
PRESETS = ("fast", "long", "full")
LONG_SEEDS = 100  # the first seed of the long preset: seeds that nobody looked at while the chapter was written
LONG_STEPS = 10  # times the steps of the fast preset


@dataclass(frozen=True)
class Study:
    """What a chapter runs: its preset, its device and its seeds. No cell of a chapter asks for the preset itself.

    Attributes:
        preset: ``"fast"`` (the page's outputs), ``"long"`` (the same networks, ten times the steps, other seeds) or
            ``"full"`` (larger networks and data, for a GPU).
        device: ``"auto"``, or a device's name.
        seed: the first seed; ``long`` counts from 100 above it.
        n_seeds: how many seeds there are.

    Example:
        >>> study = Study("long")
        >>> study.seeds[:3], study.steps(fast=240, full=40_000)
        ([100, 101, 102], 2400)
    """

    preset: str = "fast"
    device: str = "auto"
    seed: int = 0
    n_seeds: int = 16

    def __post_init__(self):
        _checks.one_of("preset", self.preset, PRESETS)
        if not isinstance(self.n_seeds, int) or self.n_seeds < 1:
            raise ValueError(f"n_seeds must be a whole number of at least 1, got {self.n_seeds!r}")

    @property
    def seeds(self) -> list[int]:
        """The seeds of the study."""
        return self.first(self.n_seeds)

    def first(self, n: int) -> list[int]:
        """Return the first ``n`` seeds, for experiments that are too slow for all of them."""
        start = self.seed + (LONG_SEEDS if self.preset == "long" else 0)
        return list(range(start, start + n))

    def steps(self, *, fast: int, long: int | None = None, full: int | None = None) -> int:
        """Return the number of steps of this preset; ``long`` has ten times those of ``fast`` unless it says so."""
        budgets = {"fast": fast, "long": fast * LONG_STEPS if long is None else long, "full": full}
        if (steps := budgets[self.preset]) is None:
            raise ValueError("steps needs full=..., the number of steps of the full preset, to run with that preset")
        return steps

    def choose(self, *, fast: T, full: T) -> T:
        """Return what ``full`` has in place of ``fast``: other data, a larger width. ``long`` has what ``fast`` has."""
        return full if self.preset == "full" else fast

    def checkpoint(self, name: str) -> Path | None:
        """Return the file for the checkpoint called ``name``, to be passed as ``resume``; None in a fast run.

        The folder is named by the environment variable ``GPCORE_CHECKPOINTS``, which ``make long`` and ``make full``
        set. Characters other than letters, digits, ``-``, ``_`` and ``.`` become ``-``.
        """
        folder = os.environ.get("GPCORE_CHECKPOINTS")
        return Path(folder) / re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII) if folder else None

    def measure(
        self,
        name: str,
        values: Iterable[float] | float,
        *,
        fast: tuple[float, float] | None = None,
        always: tuple[float, float] | None = None,
        unit: str = "",
    ) -> Measurement:
        """Record a measurement, assert that it is finite and that its median lies in the band of this preset.

        Args:
            name: what was measured.
            values: one number per seed, or a single number.
            fast: (low, high), both included: the band that the median must lie in with the ``fast`` preset, on which
                it was measured. With the other presets the values must be finite.
            always: a band for every preset, for what does not depend on training, such as a closed form.
            unit: put behind the number.

        Raises:
            AssertionError: the median lies outside the band, or a value is not finite.
            ValueError: no values, no band or two, or a band whose low end is above its high end.

        Example:
            >>> Study("fast").measure("final W1", [0.5, 0.6, 0.9], fast=(0.4, 0.7)).spread
            '0.6 (0.5 to 0.9)'
        """
        values = [float(v) for v in ([values] if not hasattr(values, "__iter__") else values)]
        if (fast is None) == (always is None):
            raise ValueError(f"measure({name!r}) needs one band, fast=(low, high) or always=(low, high)")
        low, high = map(float, always or fast)
        if not values or not low <= high:
            raise ValueError(f"measure({name!r}) needs values and a band (low, high), got {values}, {(low, high)}")
        asserted = always is not None or self.preset == "fast"
        measurement = Measurement(name, values, (low, high) if asserted else None, unit)
        if not all(map(math.isfinite, values)):
            raise AssertionError(f"{name}: not all finite: {values}")
        if asserted and not low <= measurement.median <= high:
            raise AssertionError(f"{name}: median {measurement.median:g} of {values} is outside ({low:g}, {high:g})")
        record("measurements", "name", measurement)
        return measurement

    def verdict(
        self,
        claim_id: str,
        word: str,
        measurements: Iterable[Measurement],
        *,
        criterion: str,
        because: str | Mapping[str, str],
        runs: Mapping | Iterable = (),
    ) -> Verdict:
        """Record what became of a claim, and return the box that shows it.

        Args:
            claim_id: an id of ``claims.yml``.
            word: ``"holds" | "holds if" | "does not hold" | "not decided"``.
            measurements: what the verdict rests on, at least one.
            criterion: the sentence by which ``word`` was decided; the expression beside it in the cell is the same.
            because: what was found, or a sentence for each word; numbers in it are taken to be measured.
            runs: the histories that it rests on, in lists or mappings however deep: budget and seeds are read off
                them. Without runs the budget reads "no training".

        Raises:
            ValueError: an unknown claim or word, no measurement, or an empty sentence.
            KeyError: ``because`` has no sentence for the word.
        """
        measurements, histories = list(measurements), list(_flat(runs))
        sentence = because if isinstance(because, str) else because[word]
        check_words(claim_id, word, measurements, criterion=criterion, because=sentence)
        seeds = sorted({history.seed for history in histories})
        budget = describe([history.budget for history in histories], seeds)
        claim = load_claims()[claim_id]["claim"]
        result = Verdict(claim_id, claim, word, criterion.strip(), sentence.strip(), budget, seeds, measurements)
        record("claims", "id", result)
        return result


def _flat(runs) -> Iterable:
    """The histories of nested lists and mappings."""
    if hasattr(runs, "budget"):
        yield runs
        return
    for part in runs.values() if isinstance(runs, Mapping) else runs:
        yield from _flat(part)


def describe(budgets: Iterable[Budget], seeds: list[int]) -> str:
    """Return budgets in words: what differs between runs is joined by "or".

    Example:
        >>> from gpcore import Budget
        >>> describe([Budget("MLPs", "240 steps", "batch 64"), Budget("MLPs", "2,400 steps", "batch 64")], [0, 1])
        'MLPs; 240 steps or 2,400 steps; batch 64; 2 seeds, 0 to 1.'
    """
    budgets = list(budgets)
    if not budgets:
        return "No training."
    columns = ([getattr(budget, name) for budget in budgets] for name in ("networks", "steps", "more"))
    parts = [" or ".join(dict.fromkeys(column)) for column in columns]
    count = f"{len(seeds)} seeds, {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return "; ".join([*filter(None, parts), count]) + "."
