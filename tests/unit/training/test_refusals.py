"""Every argument of a configuration that must be refused is refused, and by its own name."""

import dataclasses
import math

import pytest
import torch
from torch import nn

import gpcore as gp

X = torch.zeros(4, 2)
FIT = gp.SupervisedConfig(lambda: nn.Linear(2, 2), (X, X[:, 0].long()))
NOT_NEGATIVE, POSITIVE, COUNTS = (-1.0, math.nan, math.inf), (0.0, -1.0, math.nan, math.inf), (0, -1, 2.0)

ADVERSARIAL = {
    **dict.fromkeys(("weight", "target", "lr_generator"), NOT_NEGATIVE),
    **dict.fromkeys(("clip", "threshold", "lr_critic"), POSITIVE),
    **dict.fromkeys(("steps", "n_critic", "batch_size", "log_every", "eval_every", "checkpoint_every"), COUNTS),
    **dict.fromkeys(("loss", "constraint", "scaling", "optimizer", "precision"), ("nonsense",)),
}
SUPERVISED = {
    **dict.fromkeys(("lr", "threshold"), POSITIVE),
    **dict.fromkeys(("momentum", "weight_decay"), NOT_NEGATIVE),
    **dict.fromkeys(("steps", "batch_size", "log_every", "eval_every", "eval_samples", "checkpoint_every"), COUNTS),
    "warmup": (-1, 2.0),
    **dict.fromkeys(("scaling", "optimizer"), ("nonsense",)),
}


@pytest.mark.parametrize(("base", "table"), [(gp.Config(), ADVERSARIAL), (FIT, SUPERVISED)], ids=["both", "one"])
def test_every_argument_is_refused_by_its_name(base, table):
    for name, values in table.items():
        for value in values:
            with pytest.raises(ValueError, match=f"^{name} must be .*got {value!r}".replace("'", ".")):
                dataclasses.replace(base, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("weight", 0), ("target", 0), ("lr_generator", 0), ("weight", 3), ("clip", 1)]
)
def test_what_lies_at_the_edge_is_taken(name, value):
    assert getattr(dataclasses.replace(gp.Config(), **{name: value}), name) == value
    assert dataclasses.replace(FIT, warmup=0, momentum=0, weight_decay=0).warmup == 0


@pytest.mark.parametrize("value", [True, "1", None, [1.0], torch.ones(2), torch.tensor(True), 1j])
def test_what_is_no_number_is_refused_as_one(value):
    for call in (
        lambda: gp.Config(weight=value),
        lambda: gp.clip_weights_(nn.Linear(1, 1), value),
        lambda: gp.gradient_penalty(lambda x: x.sum(1), X, X, weight=value),
    ):
        with pytest.raises(TypeError, match="must be a number, got"):
            call()


def test_tensors_of_one_number_are_numbers():
    assert gp.gradient_penalty(lambda x: 3 * x[:, 0], X, X, weight=torch.tensor(2.0)) == 8


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"data": (X, X[:3])}, ValueError, "data must hold as many x as y, and at least one, got 4 and 3"),
        ({"data": (X[:0], X[:0])}, ValueError, "data must hold as many x as y, and at least one, got 0 and 0"),
        ({"data": (X, X, X)}, TypeError, "data must be a tuple of two tensors"),
        ({"data": (X, [1.0] * 4)}, TypeError, "data must be a tuple of two tensors"),
        ({"held_out": X}, TypeError, "held_out must be a tuple of two tensors"),
        ({"loss": None}, TypeError, "loss must be a function, got NoneType"),
        ({"model": nn.Linear(2, 2).weight}, TypeError, "model must be a function, got Parameter"),
    ],
)
def test_data_that_do_not_fit_together_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(FIT, **settings)


def test_a_network_with_nothing_to_train_is_refused():
    with pytest.raises(TypeError, match="model must build a network with parameters to train, got Linear"):
        gp.train_supervised(dataclasses.replace(FIT, model=lambda: nn.Linear(2, 2).requires_grad_(False)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 0}, "length must be a whole number of at least 1, got 0"),
        ({"hidden": 2.0}, "hidden must be a whole number of at least 1, got 2.0"),
        ({"spectral_radius": 0.0}, "spectral_radius must be greater than 0"),
        ({"spectral_radius": 1.0, "cell": "gru"}, "spectral_radius needs cell='rnn': 'gru' has several"),
        ({"task": "text", "text": "x" * 199, "length": 10}, "text must hold at least 20 .* = 200 characters, got 199"),
    ],
)
def test_sequence_tasks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        gp.sequence_task(**{"task": "temporal_order"} | changes)


def test_penalties_and_constraints_that_return_no_number_are_refused():
    for value, said in ((3.0, "got float"), (torch.ones(2), r"got \(2,\)")):
        config = gp.Config(steps=1, n_critic=1, batch_size=4, width=4, constraint=lambda c, r, f, v=value: v)
        with pytest.raises(ValueError, match=f"constraint must return one number, the batch's mean, {said}"):
            gp.train(config)
