"""Grids of settings, each with all its seeds, on whatever there is: the cores of this machine, a cluster, a queue.

The seeds of one setting are replicas in one process (:func:`gpcore.train_many`); settings go to processes of loky's on
this machine, to the client of Dask's that joblib knows, or to another of joblib's engines, which scikit-learn brings. A
worker is handed a configuration and hands back numbers; the process that asked writes them to disk, one record per
setting, so that what is there is not done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import checkpoint
from .adversarial import train_many
from .config import Config, History, adversarial_budget
from .grids import train_supervised_many
from .loop import check_seeds, fingerprint, progress_bar, resolve_device
from .run import Run
from .supervised_config import SupervisedConfig, SupervisedHistory, new_history

Runs = list[History] | list[SupervisedHistory]
Evaluate = Mapping[str, Callable[[Tensor], float]]

_TRIES = 3  # how often a setting is begun whose process is killed
_IDLE: list = []  # started processes without a setting, each an executor of its own; they end after five minutes
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_ALONE = threading.RLock()  # initial weights are drawn from the process's own generator, which threads would share


@dataclasses.dataclass(frozen=True, eq=False)
class _Marked:
    """What a result depends on besides the configuration."""

    seeds: list[int]
    evaluate: Evaluate | None
    versions: tuple[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
    """One setting with all its seeds, as it is handed to a worker."""

    config: Config | SupervisedConfig
    seeds: list[int]
    evaluate: Evaluate | None
    resume: Path | None

    def mark(self) -> str:
        """What the result depends on, but for the values of globals that a function reads."""
        gpcore = importlib.import_module(__name__.partition(".")[0])  # whole only when this module has been read
        rest = _Marked(self.seeds, self.evaluate, (gpcore.__version__, torch.__version__))
        return f"{fingerprint(self.config)[:8]}{fingerprint(rest)[:8]}"

    def run(self) -> list[dict]:
        """Train on one thread, whatever the machine: more would fight with the other workers' and round otherwise."""
        with _ALONE, _one_quiet_thread():
            if isinstance(self.config, Config):
                runs = train_many(self.config, self.seeds, evaluate=self.evaluate, resume=self.resume)
            else:
                runs = train_supervised_many(self.config, self.seeds, resume=self.resume)
        return [_packed(run) for run in runs]


@contextlib.contextmanager
def _one_quiet_thread():
    threads, shown = torch.get_num_threads(), os.environ.get("GPCORE_PROGRESS")
    torch.set_num_threads(1)
    os.environ["GPCORE_PROGRESS"] = "0"  # one bar for all settings
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("GPCORE_PROGRESS", None)
        if shown is not None:
            os.environ["GPCORE_PROGRESS"] = shown


def _packed(run: History | SupervisedHistory) -> dict:
    """A history as plain numbers and tensors on the CPU."""
    logged = {name: value for name, value in vars(run).items() if name != "budget"}
    networks = {name: logged.pop(name) for name, value in list(logged.items()) if isinstance(value, nn.Module)}
    states = {name: {k: v.cpu() for k, v in network.state_dict().items()} for name, network in networks.items()}
    return {"logged": logged, "networks": states}


def _unpacked(config: Config | SupervisedConfig, saved: dict) -> History | SupervisedHistory:
    config = dataclasses.replace(config, seed=saved["logged"]["seed"])
    if isinstance(config, Config):
        run = Run(config, adversarial_budget(config)).history
    else:
        run = new_history(config, resolve_device(config.device))
    for name, state in saved["networks"].items():
        getattr(run, name).load_state_dict(state)
    for name, value in saved["logged"].items():
        setattr(run, name, value)
    return run


def _processes(workers: int | str | None) -> int:
    """How many processes there are to be: not more than joblib has cores for."""
    import joblib

    if workers is not None and not (str(workers).isdecimal() and int(workers) > 0):
        raise ValueError(f"workers must be a whole number of at least 1 or a scheduler's address, got {workers!r}")
    room = joblib.effective_n_jobs(-1)
    return room if workers is None else min(int(workers), room)


def _named(name: Hashable, task: _Task) -> tuple[Hashable, list[dict]]:
    return name, task.run()


def _in_one_process(task: _Task) -> list[dict]:
    import joblib

    with joblib.parallel_config("sequential"):  # a judge that trains a sweep starts no more processes
        return task.run()


def _begin(task: _Task) -> tuple:
    """A process of this machine and the result that it works on."""
    from joblib.externals.loky import ProcessPoolExecutor

    while True:
        process = _IDLE.pop() if _IDLE else ProcessPoolExecutor(1, timeout=300, env=_ONE_THREAD)
        with contextlib.suppress(BrokenProcessPool):  # killed while it was idle
            return process, process.submit(_in_one_process, task)


def _on_this_machine(tasks: Mapping[Hashable, _Task], count: int) -> Iterator[tuple[Hashable, list[dict]]]:
    """As below. Executors of one process each, since a killed process takes all others of its executor with it."""
    todo, begun, running, given_up = list(tasks), Counter(), {}, {}
    try:
        while todo or running:
            while todo and len(running) < count:
                name = todo.pop(0)
                begun[name] += 1
                process, future = _begin(tasks[name])
                running[future] = name, process
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name, process = running.pop(future)
                error = future.exception()
                if not isinstance(error, BrokenProcessPool):
                    _IDLE.append(process)
                    yield name, future.result()
                elif begun[name] < _TRIES:
                    todo.append(name)
                else:
                    given_up[name] = error
    finally:  # nobody waits any more for what is under way
        for _, process in running.values():
            process.shutdown(kill_workers=True)
    if given_up:
        names = ", ".join(map(repr, given_up))
        said = f"the worker of {names} was killed {_TRIES} times, most often for want of memory"
        raise BrokenProcessPool(f"{said}; the other settings are finished") from next(iter(given_up.values()))


def _on_dask(tasks: Mapping[Hashable, _Task], client) -> Iterator[tuple[Hashable, list[dict]]]:
    """As below. Not through joblib, which waits for ever where a task has killed its workers too often."""
    from distributed import as_completed

    names = {client.submit(_in_one_process, task, pure=False): name for name, task in tasks.items()}
    try:
        for future in as_completed(list(names)):
            yield names.pop(future), future.result()
    finally:
        client.cancel(list(names))


def _as_they_finish(tasks: Mapping[Hashable, _Task], workers) -> Iterator[tuple[Hashable, list[dict]]]:
    """Names and results, in any order."""
    import joblib

    workers = os.environ.get("GPCORE_WORKERS") or None if workers is None else workers
    backend, _ = joblib.parallel.get_active_backend()
    if isinstance(workers, str) and not workers.isdecimal():
        from distributed import Client

        with Client(workers, set_as_default=False) as client:
            yield from _on_dask(tasks, client)
    elif hasattr(backend, "client"):
        yield from _on_dask(tasks, backend.client)
    elif (count := _processes(workers)) > 1 and isinstance(backend, joblib.parallel.BACKENDS["loky"]):
        yield from _on_this_machine(tasks, count)
    else:  # settings take seconds or hours: no two of them in one parcel
        parallel = joblib.Parallel(count, return_as="generator_unordered", batch_size=1)
        yield from parallel(joblib.delayed(_named)(*item) for item in tasks.items())


def train_sweep(
    settings: Mapping[Hashable, Config | SupervisedConfig],
    seeds: Iterable[int],
    *,
    evaluate: Evaluate | None = None,
    folder: Path | str | None = None,
    workers: int | str | None = None,
) -> dict[Hashable, Any]:
    """Train every setting once per seed: seeds at once in one process, settings in several.

    The runs are those of :func:`gpcore.train_many` (or :func:`gpcore.train_supervised_many`) on one thread, bit for
    bit on the same processor and PyTorch. A run that diverges has ``diverged_at`` set, is named beside the
    progress bar, and stops nothing.

    Processes are on this machine; for five minutes the next call finds them started. ``with
    joblib.parallel_config(backend="dask"):`` around the call sends it to the Dask cluster of the current client; start
    its workers with ``--nthreads 1``, since threads of one process train one after another. Workers on one GPU share
    its memory: give ``workers`` a number. For a queue such as Slurm's let each job train one setting into a common
    ``folder`` (``executor.submit(gp.train_sweep, {name: config}, seeds, folder=folder, workers=1)`` with submitit), and
    call it for all of them afterwards, which reads what is there.

    Args:
        settings: name -> configuration; ``config.seed`` is not used.
        seeds: at least one, each once.
        evaluate: as for :func:`gpcore.train`, for adversarial runs.
        folder: one record per setting is kept here, and what has a record is not trained again. Where a worker is
            killed, its setting begins again, or goes on from its last checkpoint here, and the others run on. Workers
            on other machines need to see the folder. Another configuration, other seeds, judges or versions of gpcore
            and PyTorch make another record; other values of globals that a function reads do not.
        workers: how many processes, at most one per core, or the address of a Dask scheduler, as
            ``"tcp://10.0.0.1:8786"``. None: what the environment variable ``GPCORE_WORKERS`` says, or one per core.

    Returns:
        The histories, one per seed, under the settings' names, in the order of ``settings``.

    Raises:
        ValueError: no setting, no seed or one twice, ``workers`` of another kind; ``evaluate`` for supervised runs; two
            settings with one record in ``folder``, as two names that differ in a blank make them.
        TypeError: a setting that is no configuration.
        BrokenProcessPool: the worker of one setting was killed three times; it is named when the others are finished.
            On Dask, which tries again by itself, it is ``distributed.KilledWorker``, at once.

    Example:
        >>> config = gp.Config(steps=3, n_critic=1, batch_size=8, width=8, device="cpu")
        >>> runs = gp.train_sweep({"small": config}, seeds=range(2), workers=1)
        >>> [history.seed for history in runs["small"]]
        [0, 1]
    """
    settings, seeds = dict(settings), check_seeds(seeds)
    if not settings:
        raise ValueError("settings must hold at least one, got none")
    for name, config in settings.items():
        if not isinstance(config, (Config, SupervisedConfig)):
            raise TypeError(f"settings must hold configurations, got {type(config).__name__} for {name!r}")
        if evaluate is not None and isinstance(config, SupervisedConfig):
            raise ValueError(f"evaluate must be None for supervised runs, got {list(evaluate)} with {name!r}")
    folder = None if folder is None else Path(folder).resolve()
    tasks, marks, records, results = {}, {}, {}, {}
    for name, config in settings.items():
        task = _Task(dataclasses.replace(config, seed=0), seeds, evaluate, None)
        marks[name] = task.mark()
        if folder is not None:
            stem = f"{re.sub(r'[^A-Za-z0-9.=-]+', '-', str(name)).strip('-')[:80]}-{marks[name]}"
            if (record := folder / f"{stem}.pt") in records.values():
                raise ValueError(f"settings must have records of their own, got {record.name} twice, for {name!r}")
            records[name] = record
            task = dataclasses.replace(task, resume=folder / f"{stem}.part")
            if saved := checkpoint.load(records[name], marks[name]):
                results[name] = saved["runs"]
                continue
        tasks[name] = task
    finished = _as_they_finish(tasks, workers)
    with progress_bar(len(settings), len(results), "settings") as bar, contextlib.closing(finished):
        for name, found in finished:
            results[name] = found
            if folder is not None:
                checkpoint.save(records[name], {"fingerprint": marks[name], "runs": found})
                part = tasks[name].resume
                for path in (part, *(part.with_name(f"{part.name}-seed{seed}") for seed in seeds)):
                    path.unlink(missing_ok=True)
            bar.update()
            ended = [saved["logged"]["seed"] for saved in found if saved["logged"]["diverged_at"] is not None]
            if ended and not bar.disable:
                bar.write(f"{name} diverged with seed {', '.join(map(str, ended))}", file=bar.fp)
    return {name: [_unpacked(config, saved) for saved in results[name]] for name, config in settings.items()}
