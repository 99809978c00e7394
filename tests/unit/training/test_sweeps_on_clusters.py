"""The same call on a Dask cluster and on submitit's queue, both on this machine, and in a chapter's longer run."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest
from test_sweeps import BASE, SEEDS, all_same
from test_sweeps_with_killed_workers import begun, building, one_killed

import gpcore as gp

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = {f"weight {weight:g}": dataclasses.replace(BASE, weight=weight) for weight in (0.1, 1.0, 10.0)}


@contextlib.contextmanager
def started(*words: str):
    """A command of Dask as a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "False"}
    command = [sys.executable, "-m", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def scheduler(tmp_path) -> str:
    """The address of a Dask scheduler with two worker processes, all on the loopback device."""
    pytest.importorskip("distributed", reason="needs the packages of the extra `cluster`")
    file, here = tmp_path / "scheduler.json", ("--host", "127.0.0.1", "--no-dashboard")
    about = ("--scheduler-file", str(file))
    with started("distributed.cli.dask_scheduler", "--port", "0", *here, *about):
        deadline = time.monotonic() + 40
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        workers = ("--nworkers", "2", "--nthreads", "1", "--local-directory", str(tmp_path / "local"))
        with started("distributed.cli.dask_worker", *about, *here, *workers):
            yield json.loads(file.read_text())["address"]


def test_dask_gives_what_the_loop_gives(scheduler, monkeypatch):
    from distributed import Client

    expected = {name: gp.train_many(config, SEEDS) for name, config in SETTINGS.items()}
    with Client(scheduler) as client:
        client.wait_for_workers(2, timeout=40)
        with joblib.parallel_config(backend="dask"):
            assert all_same(gp.train_sweep(SETTINGS, SEEDS), expected)
        # As a chapter does it under `make long WORKERS=ADDRESS`.
        monkeypatch.setenv("GPCORE_WORKERS", scheduler)
        runs = gp.train_sweep(SETTINGS, SEEDS, evaluate={"process": lambda samples: os.getpid()})
        processes = {process for name in runs for run in runs[name] for process in run.scores["process"]}
        assert processes <= set(client.run(os.getpid).values()) and os.getpid() not in processes


def test_dask_begins_the_setting_of_a_killed_worker_again_and_names_the_error_of_one_that_always_dies(
    monkeypatch, tmp_path, request
):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")  # three by default, which takes longer
    scheduler = request.getfixturevalue("scheduler")
    from distributed import Client, KilledWorker

    with Client(scheduler) as client:
        client.wait_for_workers(2, timeout=40)
        settings = one_killed(tmp_path / "log")
        runs = gp.train_sweep(settings, SEEDS, workers=scheduler)
        assert begun(tmp_path / "log") == {"killed": 2, "quick": 1, "slow": 1}
        assert all_same(runs, {name: gp.train_many(config, SEEDS) for name, config in settings.items()})
        with pytest.raises(KilledWorker):
            gp.train_sweep({"doomed": building(tmp_path / "doomed", "doomed", kills=99)}, SEEDS, workers=scheduler)
        assert begun(tmp_path / "doomed") == {"doomed": 2}


def test_submitit_fills_the_folder_that_a_sweep_reads(tmp_path, monkeypatch):
    submitit = pytest.importorskip("submitit", reason="needs the packages of the extra `cluster`")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.update_parameters(timeout_min=5)
    jobs = [
        executor.submit(gp.train_sweep, {name: config}, SEEDS, folder=tmp_path / "sweep", workers=1)
        for name, config in list(SETTINGS.items())[:2]
    ]
    for job in jobs:
        job.result()
    two = {name: SETTINGS[name] for name in list(SETTINGS)[:2]}
    monkeypatch.setattr(gp.training.sweeps._Task, "run", lambda task: pytest.fail("it was trained again"))
    runs = gp.train_sweep(two, SEEDS, folder=tmp_path / "sweep", workers=1)
    assert all_same(runs, {name: gp.train_many(config, SEEDS) for name, config in two.items()})


@pytest.mark.parametrize("preset", ["long", "full"])
def test_make_hands_the_workers_on_and_leaves_those_alone_that_the_shell_has(preset):
    command = ["make", "-n", preset, "CHAPTER=18"]
    given, silent = (
        subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for more in (["WORKERS=tcp://10.0.0.1:8786"], [])
    )
    assert 'GPCORE_WORKERS="tcp://10.0.0.1:8786" ' in given and "GPCORE_WORKERS" not in silent


def test_the_tests_take_no_workers_from_the_shell():
    shown = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "-u GPCORE_WORKERS " in shown.stdout
