"""What a killed worker costs: its own setting, which is begun again, and nothing of the others."""

import dataclasses
import os
import signal
import time
from concurrent.futures.process import BrokenProcessPool

import pytest
from test_sweeps import BASE, SEEDS, all_same, two_cores

import gpcore as gp
from gpcore.training import sweeps


def building(log, name, goes_on=lambda lines: True, kills=0):
    """A setting that logs each process that begins it, waits there for ``goes_on``, and kills the first ``kills``."""
    parent = os.getpid()

    def build():
        if os.getpid() != parent:
            with open(log, "a") as file:
                file.write(f"{name} {os.getpid()}\n")
            deadline = time.monotonic() + 60
            while not goes_on(set(log.read_text().splitlines())) and time.monotonic() < deadline:
                time.sleep(0.05)
            if sum(line.startswith(name) for line in set(log.read_text().splitlines())) <= kills:
                os.kill(os.getpid(), signal.SIGKILL)
        return gp.models.mlp_critic(2, 8, 1)

    return dataclasses.replace(BASE, critic=build)


def begun(log) -> dict[str, int]:
    """In how many processes each setting was begun."""
    lines = sorted(line.split()[0] for line in set(log.read_text().splitlines()))
    return {name: lines.count(name) for name in lines}


def is_gone(process: int) -> bool:
    """Whether the process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def one_killed(log) -> dict:
    """Of three settings one kills its process while another runs, which runs until the killed one is begun again."""
    return {
        "killed": building(log, "killed", lambda lines: any(line.startswith("slow") for line in lines), kills=1),
        "slow": building(log, "slow", lambda lines: sum(line.startswith("killed") for line in lines) == 2),
        "quick": building(log, "quick"),
    }


@two_cores
def test_a_killed_worker_costs_its_own_setting_only(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "records"
    settings = one_killed(log)
    runs = gp.train_sweep(settings, SEEDS, folder=folder, workers=2)
    assert begun(log) == {"killed": 2, "quick": 1, "slow": 1}
    assert all_same(runs, {name: gp.train_many(config, SEEDS) for name, config in settings.items()})
    assert len(list(folder.iterdir())) == 3


@two_cores
def test_a_setting_that_is_killed_three_times_is_named_when_the_others_are_finished(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "records"
    settings = {
        "doomed": building(log, "doomed", kills=99),
        "slow": building(log, "slow", lambda lines: sum(line.startswith("doomed") for line in lines) == 3),
    }
    with pytest.raises(BrokenProcessPool, match="^the worker of 'doomed' was killed 3 times"):
        gp.train_sweep(settings, SEEDS, folder=folder, workers=2)
    assert begun(log) == {"doomed": 3, "slow": 1}
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == ["slow"]


@two_cores
def test_a_process_that_is_killed_between_two_sweeps_is_replaced():
    settings = {weight: dataclasses.replace(BASE, weight=weight) for weight in (0.1, 10.0)}
    processes = []
    for _ in range(2):
        runs = gp.train_sweep(settings, [0], evaluate={"process": lambda samples: os.getpid()}, workers=2)
        processes.append({int(run.scores["process"][0]) for of_setting in runs.values() for run in of_setting})
        if len(processes) == 1:
            os.kill(min(processes[0]), signal.SIGKILL)
            assert is_gone(min(processes[0]))
    assert [len(found) for found in processes] == [2, 2]
    assert processes[0] & processes[1] == {max(processes[0])}, "and the other is used again"


@two_cores
def test_a_sweep_that_is_interrupted_leaves_no_worker_at_work(tmp_path, monkeypatch):
    log = tmp_path / "log"

    def interrupted(path, state):
        raise KeyboardInterrupt

    settings = {
        "quick": building(log, "quick", lambda lines: any(line.startswith("slow") for line in lines)),
        "slow": building(log, "slow", lambda lines: False),
    }
    monkeypatch.setattr(sweeps.checkpoint, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gp.train_sweep(settings, SEEDS, folder=tmp_path / "records", workers=2)
    (slow,) = (int(line.split()[1]) for line in set(log.read_text().splitlines()) if line.startswith("slow"))
    assert is_gone(slow)


@two_cores
def test_a_judge_that_trains_a_sweep_starts_no_more_processes():
    def nested(samples):
        settings = {weight: dataclasses.replace(BASE, weight=weight) for weight in (1.0, 2.0)}
        runs = gp.train_sweep(settings, [0], evaluate={"process": lambda samples: os.getpid()})
        return all(set(found[0].scores["process"]) == {os.getpid()} for found in runs.values())

    runs = gp.train_sweep({"a": BASE, "b": BASE}, [0], evaluate={"nested": nested}, workers=2)
    assert all(set(found[0].scores["nested"]) == {True} for found in runs.values())
