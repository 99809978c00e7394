"""What identifies a run: every setting by its value, functions by what they do, so that no checkpoint is mistaken."""

import dataclasses
import functools

import pytest
import torch

import gpcore as gp
from gpcore.training.loop import fingerprint


def own(function):
    return gp.Config(constraint=function)


def with_default(weight=1.0):
    def penalty(critic, real, fake, weight=weight):
        return weight * critic(real).mean()

    return penalty


def with_keyword(weight):
    def penalty(critic, real, fake, *, weight=weight):
        return weight * critic(real).mean()

    return penalty


def inner(by):
    """The difference stands in a function inside the function."""
    if by == 2:
        return lambda critic, real, fake: (lambda x: x * 2)(critic(real).mean())
    return lambda critic, real, fake: (lambda x: x * 3)(critic(real).mean())


class Penalty:
    def __init__(self, weight):
        self.weight = weight

    def taken(self, critic, real, fake):
        return self.weight * critic(real).mean()

    def __call__(self, critic, real, fake):
        return self.taken(critic, real, fake)


def recursive(critic, real, fake):
    return recursive if critic is None else critic(real).mean()


# Two runs that differ, each pair in one way.
DIFFERENT = {
    "constants": (own(lambda c, r, f: c(r).mean() * 2.0), own(lambda c, r, f: c(r).mean() * 3.0)),
    "names": (own(lambda c, r, f: c(r).mean()), own(lambda c, r, f: c(r).amax())),
    "operations": (own(lambda c, r, f: c(r).mean() + 1), own(lambda c, r, f: c(r).mean() - 1)),
    "defaults": (own(with_default(1.0)), own(with_default(2.0))),
    "keyword defaults": (own(with_keyword(1.0)), own(with_keyword(2.0))),
    "inner constants": (own(inner(2)), own(inner(3))),
    "attributes": (own(Penalty(1.0)), own(Penalty(2.0))),
    "the object of a method": (own(Penalty(1.0).taken), own(Penalty(2.0).taken)),
    "the method of an object": (own(Penalty(1.0).taken), own(Penalty(1.0).__call__)),
    "arguments given before": (
        own(functools.partial(with_default(), weight=1.0)),
        own(functools.partial(with_default(), weight=2.0)),
    ),
    "what arguments were given to": (own(functools.partial(with_default(1.0))), own(functools.partial(inner(2)))),
    "numbers of a tensor": (gp.Config(data=torch.zeros(4, 2)), gp.Config(data=torch.ones(4, 2))),
    "one number of a tensor": (gp.Config(data=torch.zeros(4, 2)), gp.Config(data=torch.eye(4, 2) * 1e-30)),
    "shape of a tensor": (gp.Config(data=torch.zeros(4, 2)), gp.Config(data=torch.zeros(8, 1))),
    "type of a tensor": (gp.Config(data=torch.zeros(4, 2)), gp.Config(data=torch.zeros(2, 2, dtype=torch.float64))),
    "a value and its text": (gp.Config(seed=1), gp.Config(seed=11)),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_runs_that_differ_have_different_fingerprints(pair):
    one, other = map(fingerprint, pair)
    assert one != other


@pytest.mark.parametrize("config", [config for pair in DIFFERENT.values() for config in pair])
def test_a_fingerprint_is_the_same_each_time(config):
    copied = dataclasses.replace(config, data=config.data.clone() if torch.is_tensor(config.data) else config.data)
    assert fingerprint(config) == fingerprint(copied)


def test_equal_objects_and_functions_made_twice_have_one_fingerprint():
    for make in (with_default, lambda: with_keyword(2.0), lambda: inner(3), lambda: Penalty(2.0)):
        assert fingerprint(own(make())) == fingerprint(own(make()))
    for one, other in ((Penalty(2.0).taken, Penalty(2.0).taken), (recursive, recursive)):
        assert fingerprint(own(one)) == fingerprint(own(other))
    partial = [functools.partial(with_default(), weight=2.0) for _ in range(2)]
    assert fingerprint(own(partial[0])) == fingerprint(own(partial[1]))


def test_the_order_in_which_a_set_or_a_dictionary_was_filled_does_not_count():
    """That of a set of texts changes from one process to the next, and a function's code may hold one."""
    one, other = frozenset([0, 8]), frozenset([8, 0])
    assert one == other and list(one) != list(other)
    assert fingerprint(own(with_default(one))) == fingerprint(own(with_default(other)))
    ahead, back = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert fingerprint(own(with_default(ahead))) == fingerprint(own(with_default(back)))
    assert fingerprint(own(with_default(ahead))) != fingerprint(own(with_default({"a": 1, "b": 3})))


# Another value of every field.
CHANGED = dict(
    data="swiss_roll", loss="hinge", constraint="r1", weight=2.0, target=0.5, one_sided=True, clip=0.5,
    scaling="clip_norm", threshold=2.0, steps=7, n_critic=2, batch_size=3, optimizer="sgd", lr_critic=0.5,
    lr_generator=0.5, betas=(0.1, 0.2), noise_dim=5, width=3, depth=1, activation="tanh",
    critic=lambda: gp.models.mlp_critic(2), generator=lambda: gp.models.mlp_generator(2, 2), log_every=3, eval_every=3,
    eval_samples=3, checkpoint_every=3, precision="bf16", compile=True, seed=4, device="cpu",
)  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(gp.Config)])
def test_every_field_counts(name):
    assert fingerprint(gp.Config()) != fingerprint(dataclasses.replace(gp.Config(), **{name: CHANGED[name]}))
