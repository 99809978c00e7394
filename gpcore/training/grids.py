"""Many supervised runs at once: seeds, learning rates and thresholds as the rows of one matrix of parameters.

A small network leaves a processor idle between operations; R of them in one operation (``torch.func.vmap``) do not.
Nothing is shared but the operation: row r is the single run to rounding. What vmap refuses (PyTorch's own recurrent
layers, dropout) is trained one run after another, with the same result.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import itertools
import warnings
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..scaling import make_scaler
from .loop import check_seeds, fingerprint, resolve_device, run_seeds
from .stacks import SCALINGS, RowOptimizer, scale_rows_
from .supervised import first, is_wrong, objective, sampler, scaled, train_runs, train_supervised
from .supervised_config import Batch, SupervisedConfig, SupervisedHistory, new_history

ROW_SETTINGS = ("lr", "threshold")  # which rows of one matrix may differ in
_EVALUATED_AT_ONCE = 16  # rows: the activations of all held-out samples are many


class NotAlikeError(Exception):
    """These runs cannot be trained at once."""


@contextlib.contextmanager
def _attention_that_vmap_knows():
    """Attention as the operations that it consists of, and not as one that ``vmap`` cannot take apart."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class Rows:
    """R runs that differ in seed, learning rate and threshold; the interface of ``supervised.SingleRun``.

    Raises:
        NotAlikeError: the networks differ in more than their numbers.
    """

    def __init__(self, configs: list[SupervisedConfig]):
        self.config, self.device = configs[0], resolve_device(configs[0].device)
        self.seeds = list(dict.fromkeys(config.seed for config in configs))
        self.seed_rows = torch.tensor([self.seeds.index(config.seed) for config in configs], device=self.device)
        self.lr, self.threshold = (
            torch.tensor([getattr(config, name) for config in configs], dtype=torch.float64, device=self.device)
            for name in ROW_SETTINGS
        )
        self.histories = [new_history(config, self.device) for config in configs]
        self.alive, self.base = list(self.histories), copy.deepcopy(self.histories[0].model)
        self.names = [name for name, parameter in self.base.named_parameters() if parameter.requires_grad]
        self.scalers = None  # of the scalings that no operation on all rows does
        if self.config.scaling not in SCALINGS:
            self.scalers = [make_scaler(config.scaling, config.threshold) for config in configs]
        config = self.config
        self.optimizer = RowOptimizer(config.optimizer, config.betas, config.momentum, config.weight_decay)
        self._gather()
        self._try()

    def _gather(self) -> None:
        """Stack what the networks hold: ``values`` ``(R, P)`` is trained, ``fixed`` is everything else."""
        held = [dict([*h.model.named_parameters(), *h.model.named_buffers()]) for h in self.alive]
        kinds = [{name: (tensor.shape, tensor.dtype) for name, tensor in of_run.items()} for of_run in held]
        if any(kind != kinds[0] for kind in kinds) or len({held[0][name].dtype for name in self.names}) > 1:
            raise NotAlikeError("the networks have different parameters")
        self.shapes = [held[0][name].shape for name in self.names]
        flat = [torch.cat([of_run[name].detach().flatten() for name in self.names]) for of_run in held]
        self.values = torch.stack(flat)
        rest = held[0].keys() - set(self.names)
        self.fixed = {name: torch.stack([of_run[name].detach() for of_run in held]) for name in rest}
        self._bind()

    def _bind(self) -> None:
        self.leaves = {
            name: view.detach().requires_grad_()
            for name, view in zip(self.names, self._views(self.values), strict=True)
        }

    def _views(self, matrix: Tensor) -> list[Tensor]:
        """The columns of ``(R, P)`` as parameters ``(R, *shape)``."""
        columns = matrix.split([shape.numel() for shape in self.shapes], dim=1)
        return [part.view(-1, *shape) for part, shape in zip(columns, self.shapes, strict=True)]

    def _model(self, values: dict[str, Tensor], fixed: dict[str, Tensor]) -> Callable:
        return lambda *inputs: functional_call(self.base, (values, fixed), inputs)

    def _try(self) -> None:
        """Take one step's gradients at once, and compare them with those of the networks one by one."""
        draw = sampler(self.config.data, self.device)
        batches = [draw(self.config.batch_size, torch.Generator(self.device).manual_seed(s)) for s in self.seeds]
        before = {name: value.clone() for name, value in self.fixed.items()}
        with warnings.catch_warnings():
            # A slow stand-in for an operation that vmap does not know is slower than one run after another.
            warnings.filterwarnings("error", message=".*performance drop")
            losses = self.gradients(batches)
            self.evaluate(*batches[0])
        self.fixed = before
        for seed, batch in enumerate(batches):
            row = self.seed_rows.tolist().index(seed)
            model = copy.deepcopy(self.histories[row].model)
            loss = objective(self.config, model, *batch)
            one_by_one = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
            expected = torch.cat([loss.detach().reshape(1), *(g.flatten() for g in one_by_one)])
            distance = (torch.cat([losses[row : row + 1], self.gradient[row]]) - expected).norm()
            if distance > 1e-3 * expected.norm():
                raise NotAlikeError("the networks do not give at once what they give one by one")

    def gradients(self, batches: list[Batch]) -> Tensor:
        def loss(values, fixed, x, y):
            return objective(self.config, self._model(values, fixed), x, y)

        x, y = (torch.stack(parts)[self.seed_rows] for parts in zip(*batches, strict=True))
        with _attention_that_vmap_knows():
            losses = vmap(loss)(self.leaves, self.fixed, x, y)
        gradients = torch.autograd.grad(losses.sum(), list(self.leaves.values()))
        self.gradient = torch.cat([g.reshape(len(losses), -1) for g in gradients], dim=1)
        return losses.detach()

    def scale(self) -> Tensor:
        if self.scalers is None:
            return scale_rows_(self.gradient, self.config.scaling, self.threshold)
        return torch.stack([scaled(scale_, self._parameters(row)) for row, scale_ in enumerate(self.scalers)])

    def _parameters(self, row: int) -> list[Tensor]:
        """The parameters of one run with their gradients, for a scaling that looks at each of them."""
        parameters = [view[row] for view in self._views(self.values)]
        for parameter, view in zip(parameters, self._views(self.gradient), strict=True):
            parameter.grad = view[row]
        return parameters

    def norms(self) -> Tensor:
        return scale_rows_(self.gradient, "none", 1.0)

    def update(self, rate: float) -> None:
        self.optimizer.step(self.values, self.gradient, rate * self.lr.unsqueeze(1))

    def evaluate(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
        def judge(values, fixed):
            output = first(self._model(values, fixed)(x))
            wrong = is_wrong(output, y)
            return self.config.loss(output, y).reshape(()), x.new_zeros(()) if wrong is None else wrong.mean()

        self.base.eval()
        with torch.no_grad(), _attention_that_vmap_knows():
            loss, error = vmap(judge, chunk_size=_EVALUATED_AT_ONCE)(self.leaves, self.fixed)
        self.base.train()
        return loss, None if y.is_floating_point() else error

    def keep(self, rows: list[int]) -> None:
        self.finish()
        self.alive = [self.alive[row] for row in rows]
        self.seed_rows, self.lr, self.threshold = self.seed_rows[rows], self.lr[rows], self.threshold[rows]
        self.values, self.gradient = self.values[rows], self.gradient[rows]
        self.fixed = {name: value[rows] for name, value in self.fixed.items()}
        self.optimizer.keep(rows)
        if self.scalers is not None:
            self.scalers = [self.scalers[row] for row in rows]
        self._bind()

    def finish(self) -> None:
        with torch.no_grad():
            for row, history in enumerate(self.alive):
                for name, tensor in itertools.chain(history.model.named_parameters(), history.model.named_buffers()):
                    tensor.copy_((self.fixed[name] if name in self.fixed else self.leaves[name])[row])

    def state(self) -> dict:
        scalers = self.scalers and [scale_.state_dict() for scale_ in self.scalers]
        return {"optimizer": self.optimizer.state, "steps": self.optimizer.steps, "scalers": scalers}

    def restore(self, state: dict) -> None:
        self._gather()
        self.optimizer.state, self.optimizer.steps = state["optimizer"], state["steps"]
        for scale_, saved in zip(self.scalers or [], state["scalers"] or [], strict=True):
            scale_.load_state_dict(saved)


def stack_runs(configs: list[SupervisedConfig]) -> Rows | None:
    """Return the runs as rows of one matrix, or None where they cannot be trained at once.

    What PyTorch's ``vmap`` can do is found out by trying.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            return Rows(configs)
    except Exception:  # of whatever kind; a mistake of the reader's own shows again in the single run
        return None


def _train(
    configs: list[SupervisedConfig], seeds: list[int], paths: list[Path | None], resume: Path | None
) -> list[list[SupervisedHistory]]:
    """Train every configuration once per seed; they differ in ``ROW_SETTINGS`` alone."""
    runs = [dataclasses.replace(config, seed=seed) for config in configs for seed in seeds]
    rows = stack_runs(runs) if len(runs) > 1 else None
    if rows is None:
        return [run_seeds(train_supervised, *one) for one in zip(configs, itertools.repeat(seeds), paths)]
    settings = [(run.seed, *(getattr(run, name) for name in ROW_SETTINGS)) for run in runs]
    mark = hashlib.sha256(f"{fingerprint(runs[0])}{settings}".encode()).hexdigest()[:16]
    train_runs(rows, resume, mark, f"{len(runs)} runs")
    return [rows.histories[start : start + len(seeds)] for start in range(0, len(runs), len(seeds))]


def train_supervised_many(
    config: SupervisedConfig, seeds: Iterable[int], *, resume: Path | None = None
) -> list[SupervisedHistory]:
    """Train once per seed, all seeds at once where PyTorch's ``vmap`` can run the network.

    Run s is the run of :func:`gpcore.train_supervised` with seed s to rounding. A seed that diverges is returned with
    ``diverged_at`` set and touches no other.

    Args:
        config: see :class:`gpcore.SupervisedConfig`; ``config.seed`` is not used.
        seeds: at least one, each once.
        resume: as for :func:`gpcore.train`; where the seeds run one after another the file's name gets ``-seed0``, ...

    Raises:
        ValueError: no seed, or one twice; ``resume`` holds a run with other settings.

    Example:
        >>> import gpcore as gp
        >>> config = gp.sequence_task("temporal_order", length=10, steps=2)
        >>> [history.seed for history in gp.train_supervised_many(config, seeds=range(3))]
        [0, 1, 2]
    """
    return _train([config], check_seeds(seeds), [resume], resume)[0]


def train_grid(
    config: SupervisedConfig, seeds: Iterable[int], *, resume: Path | None = None, **settings: Iterable
) -> dict[Hashable, list[SupervisedHistory]]:
    """Train every combination of settings once per seed; runs that differ in rate, threshold and seed at once.

    Args:
        config: see :class:`gpcore.SupervisedConfig`; what ``settings`` names, and the seed, is not used.
        seeds: at least one, each once.
        resume: as for :func:`gpcore.train_supervised_many`; the file's name gets the settings that are not trained at
            once.
        settings: values of one or more fields of the configuration, as ``lr=[0.1, 1.0], threshold=[0.5, 5.0]``.

    Returns:
        The histories, one per seed, under the settings in the order given: ``grid[0.1, 5.0]``, or ``grid[0.1]`` if
        there is one setting.

    Raises:
        ValueError: no setting, one that is no field, no values or one twice; as for
            :func:`gpcore.train_supervised_many`.

    Example:
        >>> import gpcore as gp
        >>> config = gp.sequence_task("temporal_order", length=10, scaling="clip_norm", steps=2)
        >>> grid = gp.train_grid(config, seeds=range(3), lr=[0.1, 1.0], threshold=[0.5, 5.0])
        >>> list(grid), len(grid[0.1, 5.0])
        ([(0.1, 0.5), (0.1, 5.0), (1.0, 0.5), (1.0, 5.0)], 3)
    """
    seeds = check_seeds(seeds)
    settings = {name: list(values) for name, values in settings.items()}
    fields = {f.name for f in dataclasses.fields(config)} - {"seed"}
    if not settings or not fields >= settings.keys():
        raise ValueError(f"settings must name fields of SupervisedConfig other than seed, got {list(settings)}")
    for name, values in settings.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(f"{name} must name at least one value, and each once, got {values}")

    groups: dict[tuple, list[tuple]] = {}  # combinations that differ in ROW_SETTINGS alone
    for combination in itertools.product(*settings.values()):
        apart = tuple(v for name, v in zip(settings, combination, strict=True) if name not in ROW_SETTINGS)
        groups.setdefault(apart, []).append(combination)

    def path(values: tuple) -> Path | None:
        label = "".join(f"-{getattr(value, '__name__', value)}" for value in values)
        return None if resume is None else Path(resume).with_name(Path(resume).name + label)

    grid = {}
    for apart, combinations in groups.items():
        configs = [dataclasses.replace(config, **dict(zip(settings, values, strict=True))) for values in combinations]
        trained = _train(configs, seeds, [path(values) for values in combinations], path(apart))
        grid |= zip(combinations, trained, strict=True)
    ordered = itertools.product(*settings.values())
    return {values if len(settings) > 1 else values[0]: grid[values] for values in ordered}
