"""Write what readers of the living page see, for ten seeds: book/playground/seen.json.

    python book/tools/playground_seen.py [WORD]     everything, or what has the word in its name

The round buttons, the experiments of ``book/live.md`` and the small pages of chapters 3, 8 and 13, each at some steps
of a run. The sentences about them are tested on these looks, and the looks against new runs of the engine.
"""

import json
import sys

import node
from playground import SOURCE

TARGET = SOURCE / "seen.json"
SEEDS = 10
# As much as a reader waits for: a few seconds' worth of steps.
PRESETS = {
    "a healthy run": 300,
    "vanishing gradient": 300,
    "mode collapse": 2000,
    "clipping too tight": 300,
    "λ too small": 500,
    "exploding step": 100,
    "scale the norms": 500,
}
EXPERIMENTS = {1: 300, 2: 300, 3: 200, 4: 300, 5: 500, 6: 800, 7: 300}
CHAPTERS = ("03", "08", "13")
FIELDS = ("step", "modes", "distance", "middle", "steepest", "criticLoss", "generatorNorm", "diverged")
LOOKS = 8


def command(name: str, steps: int | None = None, seeds: int = SEEDS) -> list[str]:
    """The script and arguments that show a preset, an experiment or a chapter."""
    kind, _, which = name.partition(" ")
    if kind == "preset":
        return ["presets.mjs", str(seeds), str(steps or PRESETS[which]), which]
    if kind == "experiment":
        return ["experiments.mjs", str(seeds), str(steps or EXPERIMENTS[int(which)]), which]
    return ["chapters.mjs", str(seeds), which, *([str(steps)] if steps else [])]


def names() -> list[str]:
    """Everything that is shown."""
    presets, experiments = (f"preset {name}" for name in PRESETS), (f"experiment {n}" for n in EXPERIMENTS)
    return [*presets, *experiments, *(f"chapter {number}" for number in CHAPTERS)]


def show(name: str, steps: int | None = None, seeds: int = SEEDS) -> dict[str, list]:
    """Runs of the engine now: name of the run -> seed -> looks, each a row of ``FIELDS``."""
    script, *arguments = command(name, steps, seeds)
    found = {}
    for line in node.run(str(SOURCE / script), *arguments).splitlines():
        run = json.loads(line)
        label = run["run"] if "run" in run else run["name"]
        found.setdefault(label, []).append([[look.get(field) for field in FIELDS] for look in thinned(run["seen"])])
    return found


def thinned(looks: list[dict]) -> list[dict]:
    """The first look, the last one and some between them."""
    stride = max(1, -(-len(looks) // LOOKS))
    return [look for i, look in enumerate(looks) if i == 0 or (len(looks) - 1 - i) % stride == 0]


def load() -> dict[str, dict[str, list]]:
    """What stands in the file."""
    return json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}


if __name__ == "__main__":
    for name in names():
        if all(word in name for word in sys.argv[1:]):
            found = load() | {name: show(name)}
            ordered = (f"{json.dumps(key)}: {json.dumps(found[key])}" for key in names() if key in found)
            TARGET.write_text("{\n" + ",\n".join(ordered) + "\n}\n", encoding="utf-8")
            print(f"book: {TARGET.name} has {name}", flush=True)
