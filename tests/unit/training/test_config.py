"""What a run depends on and what it leaves: budgets in words, series of many runs put side by side."""

import dataclasses
import math

import pytest
import torch

import gpcore as gp

SMALL = gp.Config(steps=2, batch_size=16, width=8, depth=2, n_critic=3, device="cpu")


def fake(n, rng):
    return torch.randn(n, 2, generator=rng)


def runs_ending(*values):
    """Runs whose penalty ends at ``values``; None stands for a run that diverged."""
    return [
        gp.History(seed, penalty=[7.0, 8.0 if v is None else v], diverged_at=2 if v is None else None)
        for seed, v in enumerate(values)
    ]


def test_the_budget_says_what_a_run_was_given():
    expected = gp.Budget(
        "MLPs of 2 hidden layers, width 8", "2 generator steps", "3 critic steps per generator step, batch 16"
    )
    assert gp.train(SMALL).budget == expected
    for run in gp.train_many(SMALL, seeds=range(2)):
        assert run.backward == "replicas" and run.budget == expected


def test_the_budget_of_a_critic_alone_counts_critic_steps():
    config = dataclasses.replace(SMALL, steps=1200, depth=1, width=4, batch_size=2)
    assert gp.train_critic(config, fake).budget == gp.Budget(
        "an MLP of 1 hidden layer, width 4", "1,200 critic steps", "batch 2"
    )


def test_the_budget_of_networks_given_by_the_reader():
    own = dataclasses.replace(SMALL, critic=lambda: gp.models.mlp_critic(2, 4, 1))
    assert gp.train(own).budget.networks == "the chapter's own networks"
    assert gp.train_critic(own, fake).budget.networks == "the chapter's own network"


def test_a_resumed_run_has_its_budget(tmp_path):
    first, again = (gp.train(SMALL, resume=tmp_path / "run") for _ in range(2))
    assert again.budget == first.budget != None  # noqa: E711


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("many", [False, True])
def test_a_learning_rate_of_zero_freezes_the_generator(optimizer, many):
    config = dataclasses.replace(SMALL, optimizer=optimizer, lr_generator=0)
    run = gp.train_many(config, seeds=(0, 1))[0] if many else gp.train(config)
    critic, generator = gp.build_networks(config)
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), run.generator.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(critic.parameters(), run.critic.parameters(), strict=True))
    with pytest.raises(ValueError, match="lr_generator must be finite and not negative"):
        dataclasses.replace(SMALL, lr_generator=-1.0)


def test_final_is_the_last_value_and_nan_after_a_divergence():
    values = gp.final(runs_ending(1.0, None, 3.0), "penalty")
    assert values[0] == 1.0 and math.isnan(values[1]) and values[2] == 3.0
    at_once = [gp.History(0, scores={"w1": [2.0, 1.0]}), gp.History(1, diverged_at=0)]
    assert gp.final(at_once, "w1")[0] == 1.0 and math.isnan(gp.final(at_once, "w1")[1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((5.0, 1.0, 3.0), 2),
        ((4.0, 1.0, 3.0, 2.0), 3),  # the lower of 2 and 3
        ((None, 1.0, 2.0), 2),
        ((None, None, 2.0, 1.0), 2),
        ((3.0,), 0),
    ],
)
def test_the_median_run(values, expected):
    assert gp.median_run(runs_ending(*values), "penalty") == expected


@pytest.mark.parametrize("read", [gp.stack, gp.final, gp.median_run])
def test_a_series_that_no_run_has_is_refused(read):
    for histories, name in (([], "penalty"), (runs_ending(1.0), "loss_of_nothing"), (runs_ending(1.0), "seed")):
        with pytest.raises(ValueError, match=f"have no series '{name}'"):
            read(histories, name)
