"""The two sequence tasks of the book, ready to be trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .. import _checks, data, models
from .supervised_config import Sampler, SupervisedConfig

TASKS = ("temporal_order", "text")


def set_spectral_radius_(model: nn.Module, radius: float) -> None:
    """Rescale every recurrent matrix of ``model`` so that its largest eigenvalue modulus is ``radius``.

    Raises:
        ValueError: the model has gates (GRU, LSTM), whose stacked matrices have no one spectrum.
    """
    for name, weight in model.named_parameters():
        if "weight_hh" in name:
            if weight.shape[0] != weight.shape[1]:
                raise ValueError("spectral_radius needs cell='rnn': a gated cell has several recurrent matrices")
            with torch.no_grad():
                weight.mul_(radius / torch.linalg.eigvals(weight).abs().max())


def sequence_task(
    task: str,
    *,
    length: int = 50,
    text: str = "",
    cell: str = "rnn",
    hidden: int = 50,
    spectral_radius: float | None = None,
    **settings,
) -> SupervisedConfig:
    """Return the configuration that trains a recurrent network on a sequence task.

    Args:
        task: ``"temporal_order"`` (in which order did two marked symbols come? see
            :func:`gpcore.data.temporal_order`) or ``"text"`` (the next character).
        length: T, symbols per sequence.
        text: the text to learn, for the task ``"text"``; its last tenth is held out.
        cell: ``"rnn" | "gru" | "lstm"``.
        hidden: units of the recurrent layer.
        spectral_radius: largest modulus of the recurrent matrix's eigenvalues at the start; None leaves PyTorch's
            initialisation. Above 1 gradients can explode with T, below 1 they fade.
        settings: everything else of :class:`gpcore.SupervisedConfig`. Plain SGD at rate 0.01 with 20 sequences per
            update, the default here, is what Pascanu et al. (2013) used.

    Raises:
        ValueError: an unknown task or cell, a spectral radius for a gated cell, a text of fewer than 20 T characters.

    Example:
        >>> import gpcore as gp
        >>> config = gp.sequence_task("temporal_order", length=20, spectral_radius=1.2, lr=0.1, steps=500)
        >>> config.model(), config.batch_size
        (RecurrentClassifier(
          (recurrent): Recurrent()
          (readout): Linear(in_features=50, out_features=4, bias=True)
        ), 20)
    """
    _checks.one_of("task", task, TASKS)
    _checks.one_of("cell", cell, models.CELLS)
    for name, value in (("length", length), ("hidden", hidden)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    if spectral_radius is not None:
        _checks.positive("spectral_radius", spectral_radius)
        if cell != "rnn":
            raise ValueError(f"spectral_radius needs cell='rnn': {cell!r} has several recurrent matrices")

    if task == "text":
        if len(text) < 20 * length:
            raise ValueError(f"text must hold at least 20 * length = {20 * length} characters, got {len(text)}")
        codes, alphabet = data.encode_text(text)
        cut = len(codes) * 9 // 10
        draw, held_out = (_text_sampler(part, length) for part in (codes[:cut], codes[cut:]))
    else:
        draw, held_out, alphabet = _temporal_order_sampler(length), None, ""

    def build() -> nn.Module:
        if task == "text":
            model = models.CharModel(len(alphabet), hidden, cell)
        else:
            model = models.RecurrentClassifier(6, hidden, 4, cell)
        if spectral_radius is not None:
            set_spectral_radius_(model, spectral_radius)
        return model

    return SupervisedConfig(build, draw, held_out, **{"batch_size": 20, **settings})


def SequenceConfig(task: str = "temporal_order", *, eval_sequences: int = 500, **settings) -> SupervisedConfig:
    """Return :func:`gpcore.sequence_task`, by the name and the arguments that it had before version 0.3.

    ``train_sequence`` and ``train_sequence_many`` are :func:`gpcore.train_supervised` and
    :func:`gpcore.train_supervised_many` by their earlier names.

    Raises:
        ValueError: as :func:`gpcore.sequence_task`.

    Example:
        >>> import gpcore as gp
        >>> config = gp.SequenceConfig(length=10, steps=2, batch_size=8, eval_every=1, eval_sequences=20)
        >>> gp.train_sequence(config).step
        [0, 1]
    """
    return sequence_task(task, eval_samples=eval_sequences, **settings)


def _temporal_order_sampler(length: int) -> Sampler:
    return lambda n, generator: data.temporal_order(n, length, generator)


def _text_sampler(codes: Tensor, length: int) -> Sampler:
    def draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        nonlocal codes
        codes = codes.to(generator.device)
        return data.text_batch(codes, n, length, generator)

    return draw
