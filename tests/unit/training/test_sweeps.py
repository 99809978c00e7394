"""Grids of settings in several processes: what the loop gives, what is on disk, and how many processes there are."""

import dataclasses
import os

import joblib
import pytest
import torch

import gpcore as gp
from gpcore.training import sweeps

BASE = gp.Config(
    steps=6, n_critic=1, batch_size=8, width=8, depth=1, log_every=2, eval_every=3, eval_samples=16, device="cpu"
)
SETTINGS = {
    "replicas": BASE,
    ("weight", 0.1): dataclasses.replace(BASE, weight=0.1, seed=7),
    "one by one": dataclasses.replace(BASE, constraint="spectral_norm"),
    "wrapped": dataclasses.replace(BASE, constraint="gradient_normalization"),
    "diverges": dataclasses.replace(BASE, constraint="none", optimizer="sgd", lr_critic=1e30),
}
JUDGES = {"spread": lambda samples: float(samples.std())}
SEEDS = [0, 3]
two_cores = pytest.mark.skipif(joblib.cpu_count() < 2, reason="needs two cores")


def same(one, other) -> bool:
    """Are two histories equal bit for bit, what was logged and the weights?"""
    fields = {f.name for f in dataclasses.fields(one)} - {"critic", "generator", "model"}
    if any(repr(getattr(one, name)) != repr(getattr(other, name)) for name in fields):
        return False
    networks = [name for name in ("critic", "generator", "model") if hasattr(one, name)]
    states = [(getattr(one, name).state_dict(), getattr(other, name).state_dict()) for name in networks]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in states)


def all_same(runs, others) -> bool:
    pairs = [pair for name in runs for pair in zip(runs[name], others[name], strict=True)]
    return list(runs) == list(others) and all(same(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def loop():
    return {name: gp.train_many(config, SEEDS, evaluate=JUDGES) for name, config in SETTINGS.items()}


@two_cores
def test_processes_give_what_the_loop_gives_and_no_run_stops_another(loop):
    runs = gp.train_sweep(SETTINGS, SEEDS, evaluate=JUDGES, workers=2)
    assert all_same(runs, loop)
    assert [run.diverged_at is None for run in runs["diverges"]] == [False, False]
    assert all(run.diverged_at is None for name in list(SETTINGS)[:4] for run in runs[name])
    assert runs["replicas"][1].sample(5).shape == (5, 2) and runs["replicas"][0].budget == loop["replicas"][0].budget


def test_supervised_settings_are_swept_too(tmp_path):
    config = gp.sequence_task("temporal_order", length=10, hidden=4, steps=3, eval_samples=8, device="cpu")
    settings = {rate: dataclasses.replace(config, lr=rate) for rate in (0.1, 1.0)}
    expected = {rate: gp.train_supervised_many(each, SEEDS) for rate, each in settings.items()}
    for _ in range(2):  # made, then read
        assert all_same(gp.train_sweep(settings, SEEDS, folder=tmp_path, workers=1), expected)


def test_what_has_a_record_is_read_and_what_has_none_is_trained(tmp_path, monkeypatch, loop):
    two = {name: SETTINGS[name] for name in ("replicas", "wrapped")}
    gp.train_sweep(two, SEEDS, evaluate=JUDGES, folder=tmp_path / "new", workers=1)
    assert len(list((tmp_path / "new").iterdir())) == 2, "one record per setting and nothing else"
    trained, run = [], sweeps._Task.run

    def counted(task):
        trained.append(task.config)
        return run(task)

    monkeypatch.setattr(sweeps._Task, "run", counted)
    again = gp.train_sweep(SETTINGS, SEEDS, evaluate=JUDGES, folder=tmp_path / "new", workers=1)
    assert len(trained) == 3 and all_same(again, loop)
    trained.clear()
    # The seed of a configuration is not used; everything else makes another setting, whatever its name.
    reseeded = {"replicas": dataclasses.replace(BASE, seed=5)}
    gp.train_sweep(reseeded, SEEDS, evaluate=JUDGES, folder=tmp_path / "new", workers=1)
    assert not trained
    for settings, seeds, judges in (
        ({"replicas": dataclasses.replace(BASE, weight=3.0)}, SEEDS, JUDGES),
        (two, [0, 4], JUDGES),
        (two, SEEDS, {"spread": lambda samples: float(samples.std() + 1)}),
    ):
        trained.clear()
        gp.train_sweep(settings, seeds, evaluate=judges, folder=tmp_path / "new", workers=1)
        assert len(trained) == len(settings)


def test_a_setting_that_was_killed_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    config = dataclasses.replace(BASE, steps=9, checkpoint_every=4)
    save = gp.checkpoint.save

    def dies(path, state):
        save(path, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(gp.checkpoint, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        gp.train_sweep({"a": config}, SEEDS, folder=tmp_path, workers=1)
    monkeypatch.setattr(gp.checkpoint, "save", save)
    (left,) = tmp_path.iterdir()
    assert torch.load(left)["step"] == 4
    seen = []
    build = gp.training.replicas._Replicas.restore
    monkeypatch.setattr(
        gp.training.replicas._Replicas, "restore", lambda run, state: (build(run, state), seen.append(run.step))
    )
    runs = gp.train_sweep({"a": config}, SEEDS, folder=tmp_path, workers=1)
    assert seen == [4] and all_same(runs, {"a": gp.train_many(config, SEEDS)})
    assert [path.suffix for path in tmp_path.iterdir()] == [".pt"]


def test_a_record_of_another_version_is_not_read(tmp_path, monkeypatch):
    for module in (gp, torch):
        gp.train_sweep({"a": BASE}, SEEDS, folder=tmp_path, workers=1)
        monkeypatch.setattr(module, "__version__", "0.0.1")
    gp.train_sweep({"a": BASE}, SEEDS, folder=tmp_path, workers=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_only_the_checkpoints_of_the_setting_itself_are_removed(tmp_path):
    config = dataclasses.replace(SETTINGS["one by one"], checkpoint_every=4)
    stem = f"a-{sweeps._Task(dataclasses.replace(config, seed=0), SEEDS, None, None).mark()}"
    other = tmp_path / f"{stem}.part-seed0.part1"  # what another process is writing
    other.touch()
    gp.train_sweep({"a": config}, SEEDS, folder=tmp_path, workers=1)
    assert {path.name for path in tmp_path.iterdir()} == {other.name, f"{stem}.pt"}


def test_a_judge_may_train_a_sweep_of_its_own():
    judges = {"nested": lambda samples: float(len(gp.train_sweep({"b": BASE}, [0], workers=1)))}
    assert set(gp.train_sweep({"a": BASE}, [0], evaluate=judges, workers=1)["a"][0].scores["nested"]) == {1.0}


@two_cores
def test_threads_times_processes_do_not_exceed_the_cores():
    judges = {"threads": lambda samples: torch.get_num_threads(), "process": lambda samples: os.getpid()}
    runs = gp.train_sweep({n: dataclasses.replace(BASE, weight=n) for n in range(8)}, [0], evaluate=judges, workers=99)
    scores = [run.scores for of_setting in runs.values() for run in of_setting]
    assert all(set(score["threads"]) == {1.0} for score in scores)
    processes = {process for score in scores for process in score["process"]}
    assert float(os.getpid()) not in processes and len(processes) <= joblib.cpu_count()


def test_a_sweep_in_this_process_has_one_thread_too_and_gives_the_others_back(monkeypatch):
    monkeypatch.setenv("GPCORE_PROGRESS", "0")
    judges = {"threads": lambda samples: torch.get_num_threads()}
    torch.set_num_threads(2)
    try:
        runs = gp.train_sweep({"a": BASE}, [0], evaluate=judges, workers=1)
        assert set(runs["a"][0].scores["threads"]) == {1.0}
        assert torch.get_num_threads() == 2 and os.environ["GPCORE_PROGRESS"] == "0"
    finally:
        torch.set_num_threads(1)


def test_how_many_workers_there_are():
    cores = joblib.cpu_count()
    assert [sweeps._processes(workers) for workers in (None, 10_000, 1, "1")] == [cores, cores, 1, 1]


def test_the_environment_says_how_many_workers_there_are_unless_the_call_does(monkeypatch):
    asked = []
    monkeypatch.setattr(sweeps, "_processes", lambda workers: asked.append(workers) or 1)
    for said, given in (("1", None), ("1", 2), ("", None)):
        monkeypatch.setenv("GPCORE_WORKERS", said)
        gp.train_sweep({"a": BASE}, [0], workers=given)
    assert asked == ["1", 2, None]


def test_threads_of_one_process_train_one_after_another(loop):
    """Initial weights come from the process's own random generator."""
    with joblib.parallel_config("threading"):
        assert all_same(gp.train_sweep(SETTINGS, SEEDS, evaluate=JUDGES), loop)


def test_a_run_that_diverged_is_named_beside_the_bar(monkeypatch, capsys):
    monkeypatch.setenv("GPCORE_PROGRESS", "1")
    gp.train_sweep({name: SETTINGS[name] for name in ("replicas", "diverges")}, SEEDS, workers=1)
    shown = "".join(capsys.readouterr())
    assert "diverges diverged with seed 0, 3" in shown and "replicas diverged" not in shown and "settings" in shown


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="settings must hold at least one"):
        gp.train_sweep({}, SEEDS)
    with pytest.raises(ValueError, match="seeds must name"):
        gp.train_sweep(SETTINGS, [1, 1])
    with pytest.raises(TypeError, match="settings must hold configurations, got dict for 'a'"):
        gp.train_sweep({"a": {}}, SEEDS)
    for workers in (0, -2, 1.5):
        with pytest.raises(ValueError, match=rf"workers must be .* got {workers}"):
            gp.train_sweep(SETTINGS, SEEDS, workers=workers)
    config = gp.sequence_task("temporal_order", length=10, hidden=4, steps=3, device="cpu")
    with pytest.raises(ValueError, match="evaluate must be None for supervised runs"):
        gp.train_sweep({"a": config}, SEEDS, evaluate=JUDGES)
    near = {"a b": BASE, "a-b": BASE}
    with pytest.raises(ValueError, match="settings must have records of their own, got a-b-.* twice, for 'a-b'"):
        gp.train_sweep(near, SEEDS, folder=tmp_path)
    assert not list(tmp_path.iterdir())
