"""What the files around the code must agree on: the environment, the rooms of gpcore, addresses, pins, paths."""

import ast
import graphlib
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import environment
import pytest
import repository
import tomllib
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import gpcore

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = [
    line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]
MODULES = sorted((ROOT / "gpcore").rglob("*.py"))
# The rooms of gpcore, and whom each may import besides itself. The checker stands on nothing but the checks of
# arguments, for it judges code of any origin.
SUBJECT = {"losses", "penalties", "lipschitz", "dirac"}
SUBJECT |= {"scaling", "blocks", "thresholds", "norm_log", "per_sample", "parallel", "_norms"}
SUBJECT |= {"_refusals", "data", "datasets", "models", "metrics", "counting"}  # what experiments are made of
ROOMS = {
    "_checks": set(),
    "subject": {"_checks"},
    "sweep": {"_checks", "subject"},
    "training": {"_checks", "subject", "sweep"},
    "page": {"_checks", "subject", "sweep", "training"},
    "check": {"_checks"},
}
TOP_LEVEL = {
    *("book", "notebooks", "gpcore", "tests", "_config.yml", "_toc.yml", "environment.yml", "pyproject.toml"),
    *("requirements.lock", "Makefile", "README.md", "LICENSE", "CITATION.cff"),
}


def committed() -> list[Path]:
    """The files of the repository: those that git tracks or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def texts() -> dict[Path, str]:
    found = {}
    for path in committed():
        try:
            found[path.relative_to(ROOT)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


# --- the environment


def test_lock_pins_every_package_once_and_in_order():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in LOCK)
    names = [canonicalize_name(line.partition("==")[0]) for line in LOCK]
    assert names == sorted(set(names))
    assert "torch==2.13.0" in LOCK and "torchvision" not in names and "gpcore" not in names


def test_lock_satisfies_what_pyproject_asks_for():
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LOCK)}
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["book"] + extras["cluster"]:
        requirement = Requirement(text)
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, text
    # Lower bounds alone, or Colab would have to exchange its own torch.
    assert all(re.fullmatch(r"[A-Za-z-]+>=[\d.]+", text) for text in project["dependencies"])


def test_this_environment_is_the_locked_one():
    """The tests say something about the lock only where they run in it."""
    pins = dict(line.split("==") for line in LOCK)
    installed = {name: importlib.metadata.version(name).partition("+")[0] for name in pins}
    assert installed == pins, "the environment is not that of requirements.lock; run: make test"


def test_conda_gives_the_same_environment():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert conda["channels"] == ["conda-forge"]
    *packages, pip = conda["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]} and "pip" in packages
    (python,) = [package for package in packages if package.startswith("python=")]
    allowed = Requirement("python" + PYPROJECT["project"]["requires-python"]).specifier
    assert python == "python=3.11" and "3.11" in allowed


def test_gpcore_imports_nothing_that_it_does_not_ask_for():
    modules = {"torch", "numpy", "sklearn", "ot", "matplotlib", "tqdm", "yaml", "IPython"}
    modules |= {"PIL", "joblib"}  # come with matplotlib and scikit-learn
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if (path.name, top) == ("sweeps.py", "distributed") and node.col_offset:
                    continue  # inside a function: who sends a sweep to a Dask cluster has it
                assert top in modules | sys.stdlib_module_names, f"{path.name} imports {name}"


def test_an_up_to_date_environment_is_left_alone(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(environment, "create", lambda: done.append("create"))
    monkeypatch.setattr(environment, "pip", lambda *arguments: done.append("gpcore"))
    lock, project = tmp_path / "requirements.lock", tmp_path / "pyproject.toml"
    lock.write_text("a==1")
    project.write_text("a")

    def steps():
        done.clear()
        environment.main()
        return list(done)

    assert steps() == ["create", "gpcore"]
    assert steps() == []
    project.write_text("b")
    assert steps() == ["gpcore"]
    lock.write_text("a==2")
    assert steps() == ["create", "gpcore"]


def test_an_old_python_gets_a_message(monkeypatch):
    # Debian 12 has 3.11.2, for which packages of the lock have no wheels.
    for version in ((3, 9, 1), (3, 11, 2)):
        monkeypatch.setattr(sys, "version_info", version)
        this = ".".join(map(str, version))
        with pytest.raises(SystemExit, match=f"Python 3.11.5 or newer is needed, this is {this}"):
            environment.create()


def test_the_lowest_versions_are_those_that_pyproject_allows():
    lines = (ROOT / "tests" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if "==" in line)
    lowest = {}
    for requirement in map(Requirement, PYPROJECT["project"]["dependencies"]):
        (bound,) = requirement.specifier
        lowest[requirement.name.lower()] = Version(bound.version)
    assert {name: Version(version) for name, version in pins.items()} == lowest


def test_gpcore_allows_what_colab_has():
    lines = (ROOT / "tests" / "colab.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    missing = set()
    for requirement in map(Requirement, PYPROJECT["project"]["dependencies"]):
        assert pins.get(requirement.name, "99") in requirement.specifier, requirement
        missing |= {requirement.name} - set(pins)
    assert missing == {"POT"}


def test_a_checkout_has_unix_line_ends_everywhere():
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()


# --- gpcore


def test_the_package_says_its_version():
    assert PYPROJECT["project"]["version"] == gpcore.__version__


def module_of(path: Path) -> str:
    """``check.judges.law`` for its file; a folder's ``__init__`` is the folder."""
    parts = path.relative_to(ROOT / "gpcore").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_of(path) for path in MODULES}


def room_of(module: str) -> str:
    top = module.partition(".")[0]
    return "subject" if top in SUBJECT else top


def imports_of(path: Path) -> set[str]:
    """The modules of gpcore that a file imports, wherever in it, by their names below gpcore.

    What stands under ``if TYPE_CHECKING`` is read by people and not imported.
    """
    package = path.relative_to(ROOT / "gpcore").parent.parts
    found, tree = set(), ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n.test))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(alias.name.partition(".")[0] == "gpcore" for alias in node.names), path
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] != "gpcore", f"{path}: relative imports only"
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            for alias in node.names:
                deeper = f"{base}.{alias.name}".lstrip(".")
                found.add(deeper if deeper in NAMES else base)
    return found - {""}


# The two files that open the package to the outside import from everywhere.
INSIDE = [path for path in MODULES if module_of(path) not in ("", "__main__")]


@pytest.mark.parametrize("path", INSIDE, ids=module_of)
def test_every_room_imports_only_what_it_may(path):
    room = room_of(module_of(path))
    for other in imports_of(path):
        assert other in NAMES, f"{module_of(path)} imports {other}, which is not there"
        assert room_of(other) == room or room_of(other) in ROOMS[room], f"{module_of(path)} imports {other}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {module_of(path): imports_of(path) for path in INSIDE if path.stem != "__init__"}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_folder_says_what_lives_there_and_where_to_start():
    for path in (ROOT / "gpcore").glob("**/__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text and len(text.split()) > 25, path


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_no_file_filters_the_warnings_of_others(path):
    """A filter holds for all threads, that of a kernel's output among them: one message may be meant, never all."""
    assert not re.search(r"simplefilter|filterwarnings\((?!.*message=)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_every_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


# --- the repository


def test_nothing_else_stands_at_the_top():
    top = {path.relative_to(ROOT).parts[0] for path in committed()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_no_file_names_a_folder_of_some_machine():
    folders = "|".join(("work", "root", "home", "Users", "opt", "tmp", "mnt", "srv"))
    absolute = re.compile(rf"(?<![\w.~)}}/-])/(?:{folders})/[\w.]")
    found = [f"{path}: {m[0]}" for path, text in texts().items() for m in absolute.finditer(text)]
    assert not found


@pytest.mark.parametrize("room", ["sweep", "training", "page", "check"])
def test_a_folder_says_first_what_lives_in_it_and_where_to_start(room):
    folder = ROOT / "gpcore" / room
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    files = [*folder.glob("[a-z]*.py"), *(path.parent for path in folder.glob("*/__init__.py"))]
    assert len(files) > 4 and not [path.stem for path in files if f"``{path.stem}``" not in said]
    assert re.search(r"A newcomer starts with .*``\w+``", said, re.DOTALL)


def test_actions_are_pinned_by_commit():
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert {path.stem for path in workflows} == {"test", "book", "drift", "mutants"}
    versions = {}
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}, path.name
        for line in re.findall(r"uses:.*", text):
            pin = re.fullmatch(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line)
            assert pin, f"{path.name}: {line}"
            assert versions.setdefault(pin[1], pin.groups()) == pin.groups(), f"two versions of {pin[1]}"


def test_the_scripts_parse():
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    commands = ("book", "serve", "run", "full", "test", "mutants", "lowest", "repository", "notebooks", "lock", "clean")
    for command in commands:
        assert re.search(rf"^  {command} ", listed, flags=re.MULTILINE), command


def test_make_lowest_says_which_python_it_needs(tmp_path):
    """Newer ones find no torch 2.4; pip's own message names neither the reason nor the way out."""
    newer = tmp_path / "python3.13"
    faked = "import sys; sys.version_info = (3, 13, 1); exec(sys.argv[1])"
    newer.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{faked}" "$2"\n')
    newer.chmod(0o755)
    asked = subprocess.run(["make", "lowest", f"PYTHON={newer}"], cwd=ROOT, capture_output=True, text=True)
    said = r"book: make lowest needs Python 3\.11, .* this is 3\.13; name it: make lowest PYTHON=python3\.11\n"
    assert asked.returncode and re.match(said, asked.stderr)


# --- the repository's address


def disagreements(root: Path) -> list[str]:
    """Where a file names another repository than _config.yml does."""
    url = repository.address(root)
    github, colab, pages = repository.forms(url)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    found = {
        "pyproject.toml, Repository": project["Repository"] == url,
        "pyproject.toml, Book": project["Book"] == f"https://{pages}/",
        "CITATION.cff, repository-code": citation["repository-code"] == url,
        "CITATION.cff, url": citation["url"] == f"https://{pages}/",
        "README.md": github in (root / "README.md").read_text(encoding="utf-8"),
    }
    for path in repository.files(root):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        links = re.findall(r"colab\.research\.google\.com(/github/[\w.-]+/[\w.-]+)", text)
        installations = re.findall(r"(https://[\w./-]+)/archive/refs/heads/main\.zip", text)
        found[f"{name}, Colab"] = set(links) <= {colab}
        found[f"{name}, installation"] = set(installations) <= {url}
    return [place for place, agrees in found.items() if not agrees]


def test_every_file_names_one_repository():
    assert disagreements(ROOT) == []


def test_the_address_is_rewritten_everywhere(tmp_path):
    for place in repository.PLACES:
        source = ROOT / place
        if source.is_dir():
            shutil.copytree(source, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__", ".partial-*"))
        else:
            shutil.copy(source, tmp_path / place)
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in repository.files(tmp_path)}
    old, new = repository.address(tmp_path), "https://github.com/Some-One/gan.book"
    changed = repository.rewrite(tmp_path, new)
    assert {tmp_path / name for name in ("_config.yml", "README.md", "CITATION.cff", "pyproject.toml")} <= set(changed)
    assert repository.address(tmp_path) == new and disagreements(tmp_path) == []
    assert not any(old in path.read_text(encoding="utf-8") for path in repository.files(tmp_path))
    # There and back again: nothing but the address was touched.
    repository.rewrite(tmp_path, old)
    assert before == {path: hashlib.sha256(path.read_bytes()).digest() for path in repository.files(tmp_path)}
    # Half a rewriting is noticed.
    notebook = tmp_path / "CITATION.cff"
    notebook.write_text(notebook.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert disagreements(tmp_path) == ["CITATION.cff, repository-code"]


@pytest.mark.parametrize(
    "url", ["", "github.com/a/b", "https://github.com/a", "https://github.com/a/b/c", "https://x.y/a/b"]
)
def test_an_address_of_another_form_is_refused(url):
    with pytest.raises(ValueError, match="URL must read https://github.com/owner/name"):
        repository.forms(url)
