"""The form that every chapter has, and that its committed outputs are those of its present inputs."""

import itertools
import json
import re
import statistics

import chapters
import execute
import first_cell
import nbformat
import pytest

from gpcore.page import evidence, runs

CHAPTERS = chapters.all_chapters()
WANTED = {
    "01_adversarial_loss",
    "02_vanishing_gradients",
    "03_mode_collapse",
    "04_wasserstein_distance",
    "05_weight_clipping",
    "06_gradient_penalty",
    "07_double_backprop",
    "08_family_of_penalties",
    "09_what_a_critic_remembers",
    "10_images",
    "11_exploding_gradients",
    "12_gradient_norm_scaling",
    "13_choosing_the_threshold",
    "14_penalties_beyond_gans",
    "15_scaling_beyond_recurrent_networks",
    "16_bug_museum",
    "17_curve_clinic",
    "18_at_scale",
    "19_penalties_elsewhere",
}
TAGS = {
    *("remove-cell", "parameters", "hide-input", "hide-output", "hide-cell", "remove-input", "remove-output"),
    *("nbval-ignore-output", "solution"),
}
HEADINGS = ["Predict", "Build it", "What would have fooled you", "Verdict", "Exercises", "Where next"]
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def taught(notebook) -> list:
    """The code cells that a reader sees: not the installation, not the folded solutions."""
    return [cell for cell in code(notebook) if not {"remove-cell", "solution"} & set(tags(cell))]


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def title(path) -> str:
    markdown = (cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    return re.search(r"^# (.+?)\s*$", "\n".join(markdown), re.MULTILINE)[1]


def test_the_readme_lists_the_chapters_by_their_titles():
    readme = (chapters.ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\d+)\. (.+?)\]\(https://[^)]+/(notebooks/[\w.]+)\)$", readme, re.MULTILINE)
    assert listed == [(str(int(chapters.number(path))), title(path), f"notebooks/{path.name}") for path in CHAPTERS]


def test_the_chapters_are_there():
    assert WANTED <= {path.stem for path in CHAPTERS}
    assert all(path in CHAPTERS for path in chapters.NOTEBOOKS.glob("*.ipynb")), "a notebook without a number"


@each_chapter
def test_it_is_not_stale(path):
    assert execute.stale([path]) == [], "run: make book"


@each_chapter
def test_it_installs_gpcore_where_it_is_missing(path):
    first = read(path).cells[0]
    assert tags(first) == ["remove-cell"] and first.source == first_cell.text(), "run: make notebooks"


@each_chapter
def test_its_parameters_stand_second(path):
    notebook = read(path)
    assert "parameters" in tags(notebook.cells[1])
    assert sum("parameters" in tags(cell) for cell in notebook.cells) == 1
    values = {}
    exec(notebook.cells[1].source, values)
    del values["__builtins__"]
    assert values == {"preset": "fast", "device": "auto", "seed": 0}


@each_chapter
def test_one_line_knows_the_preset(path):
    """The study's: bands, budgets and verdicts do not ask which preset it is."""
    cells = code(read(path))[2:]
    assert sum(len(re.findall(r"\bpreset\b", cell.source)) for cell in cells) == 1
    assert not any(re.search(r"\bif full\b|study\.preset", cell.source) for cell in cells)
    assert any(re.search(r"gp\.Study\(preset\b", cell.source) for cell in cells)


@each_chapter
def test_its_file_holds_nothing_of_the_machine(path):
    text, notebook = path.read_text(encoding="utf-8"), read(path)
    nbformat.validate(notebook)
    assert notebook.metadata == chapters.METADATA
    assert len(text.encode()) < chapters.MAX_BYTES
    assert text.endswith("}\n") and text == nbformat.writes(notebook, indent=1).rstrip("\n") + "\n"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "jupyter"} and set(tags(cell)) <= TAGS
    outputs = json.dumps([cell.outputs for cell in code(notebook)])
    assert not any(output.get("name") == "stderr" for cell in code(notebook) for output in cell.outputs)
    for cell in code(notebook):  # in one piece, or the time at which a line came would decide how the file looks
        names = [output.get("name") for output in cell.outputs]
        assert not any(one == other == "stdout" for one, other in itertools.pairwise(names))
    assert not re.search(r"Warning\b|application/vnd\.jupyter\.widget|\bat 0x[0-9a-f]{6,}|site-packages", outputs)


@each_chapter
def test_its_figures_have_an_image_for_viewers_that_drop_svg(path):
    shown = [html for cell in code(read(path)) for output in cell.outputs
             if "gp-figure" in (html := output.get("data", {}).get("text/html", ""))]  # fmt: skip
    assert shown and all(html.count('<img hidden="" alt="') == 1 for html in shown)


@each_chapter
def test_it_was_executed_from_top_to_bottom(path):
    cells = code(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert sum(bool(cell.outputs) for cell in taught(read(path))) >= 5


HIDDEN = {"hide-input", "hide-cell", "remove-cell", "remove-input"}


@each_chapter
def test_its_code_comes_in_small_pieces(path):
    cells = taught(read(path))
    visible = [cell for cell in cells if not HIDDEN & set(tags(cell))]
    assert 15 <= len(cells) <= 26
    assert statistics.median(map(lines, visible)) <= 6
    for cell in code(read(path))[1:]:
        assert lines(cell) <= 25, cell.source
        widest = 88 if cell in visible else 120
        assert max(map(len, cell.source.splitlines())) <= widest, cell.source


@each_chapter
def test_it_shows_more_code_than_it_hides(path):
    """What decides a verdict must be where a reader looks. Solutions are folded for another reason."""
    counted = [cell for cell in code(read(path)) if "solution" not in tags(cell)]
    hidden = sum(lines(cell) for cell in counted if HIDDEN & set(tags(cell)))
    assert hidden <= sum(map(lines, counted)) - hidden


@each_chapter
def test_what_it_prints_fits_its_box(path):
    for cell in code(read(path)):
        for output in cell.outputs:
            if output.output_type == "stream":
                assert max(map(len, output.text.splitlines())) <= 76, output.text


@each_chapter
def test_its_sections_come_in_order(path):
    markdown = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# \S", prose, re.MULTILINE)) == 1
    headings = re.findall(r"^## (.+?)\s*$", prose, re.MULTILINE)
    assert [heading for heading in headings if heading in HEADINGS] == HEADINGS
    assert markdown.count("<details") == markdown.count("</details>") >= 1
    assert "{cite" not in prose and not re.search(r"^:::", prose, re.MULTILINE), "MyST shows raw in Colab"


@each_chapter
def test_it_leads_first_to_its_page(path):
    """A viewer of notebooks shows neither the site's styles nor its search."""
    first = next(cell for cell in read(path).cells if cell.cell_type == "markdown")
    assert f"/notebooks/{path.stem}.html)" in first.source


@each_chapter
def test_what_is_to_be_predicted_is_answered_below_the_experiment(path):
    """Where a viewer strips ``<details>`` the answer is open: it must not stand where the question does."""
    cells = read(path).cells
    asked = next(i for i, cell in enumerate(cells) if re.search(r"^## Predict$", cell.source, re.MULTILINE))
    answered = next(i for i, cell in enumerate(cells) if "gp-answer" in cell.source)
    assert any(cell.cell_type == "code" for cell in cells[asked + 1 : answered])


@each_chapter
def test_its_exercises_are_solved(path):
    notebook = read(path)
    exercises = sum(cell.source.count('class="gp-exercise"') for cell in notebook.cells)
    solutions = [cell for cell in code(notebook) if "solution" in tags(cell)]
    assert 2 <= exercises <= 4 and len(solutions) == exercises
    assert all("hide-cell" in tags(cell) for cell in solutions)


@each_chapter
def test_its_links_to_other_chapters_lead_somewhere(path):
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([\w./-]+\.(?:ipynb|md))(?:#[\w-]+)?\)", cell.source):
            assert (path.parent / target).exists(), target


@each_chapter
def test_its_claims_are_answered(path):
    number = chapters.number(path)
    claimed = {key for key, claim in evidence.load_claims().items() if claim["chapter"].startswith(number)}
    stored = evidence.load_evidence(chapters.EVIDENCE).get(number, {"claims": []})
    assert claimed <= {claim["id"] for claim in stored["claims"]}


@each_chapter
def test_every_verdict_has_a_criterion_a_budget_and_a_longer_run(path):
    number = chapters.number(path)
    claims = evidence.load_evidence(chapters.EVIDENCE).get(number, {"claims": []})["claims"]
    longer = runs.latest(number, "long", chapters.RUNS)
    assert longer is not None, f"run: make long CHAPTER={number}"
    words = {claim["id"]: claim["word"] for claim in longer["claims"]}
    for claim in claims:
        assert claim["criterion"].strip() and claim["budget"].strip(), claim["id"]
        assert words.get(claim["id"]) in evidence.WORDS, claim["id"]
