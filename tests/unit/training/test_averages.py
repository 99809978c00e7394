"""The moving average of a generator: its weights in closed form, its scores, checkpoints, divergence, both ways."""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import gpcore as gp

MLPS = gp.Config(
    steps=4,
    n_critic=2,
    batch_size=16,
    width=8,
    depth=2,
    lr_critic=1e-3,
    lr_generator=1e-2,
    eval_every=2,
    eval_samples=10,
    device="cpu",
)
IMAGES = dataclasses.replace(
    MLPS,
    data=torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
    noise_dim=3,
    critic=lambda: gp.models.conv_critic(8, channels=4),
    generator=lambda: gp.models.conv_generator(8, 3, channels=4),
)
BOTH = pytest.mark.parametrize("config", [MLPS, IMAGES], ids=["replicas", "one by one"])
SEEDS = (3, 1)
MEAN = {"mean": lambda x: float(x.mean())}


def flat(network):
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def assert_same(network, other):
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@BOTH
def test_the_runs_are_those_without_an_average(config):
    runs, _ = gp.train_averaged(config, SEEDS, decay=0.5, evaluate=MEAN)
    for run, plain in zip(runs, gp.train_many(config, SEEDS, evaluate=MEAN), strict=True):
        assert run.backward == plain.backward and run.scores == plain.scores and run.penalty == plain.penalty
        assert_same(run.generator, plain.generator)


@BOTH
def test_the_average_is_the_weighted_sum_of_the_weights_along_the_way(config):
    decay = 0.7
    _, averages = gp.train_averaged(config, SEEDS, decay=decay)
    expected = [flat(gp.build_networks(dataclasses.replace(config, seed=seed))[1]) for seed in SEEDS]
    for steps in range(1, config.steps + 1):  # a shorter run is the beginning of a longer one
        weights = [flat(run.generator) for run in gp.train_many(dataclasses.replace(config, steps=steps), SEEDS)]
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, weights, strict=True)]
    for average, wanted in zip(averages, expected, strict=True):
        torch.testing.assert_close(flat(average.generator), wanted, rtol=1e-5, atol=1e-6)


@BOTH
def test_a_decay_of_0_is_the_generator_itself(config):
    runs, averages = gp.train_averaged(config, SEEDS, decay=0.0, evaluate=MEAN)
    for run, average in zip(runs, averages, strict=True):
        assert_same(run.generator, average.generator)
        assert run.scores == average.scores and run.score_step == average.score_step == [0, 2, 3]


@BOTH
def test_scores_and_sheets_are_of_samples_from_one_noise(config):
    runs, averages = gp.train_averaged(config, SEEDS, decay=0.9, evaluate=MEAN, sheet=4)
    for run, average in zip(runs, averages, strict=True):
        assert average.seed == run.seed and average.budget == run.budget and average.critic is run.critic
        assert list(average.sheets) == average.score_step == run.score_step
        last = average.sheets[config.steps - 1]
        for history, sheet in zip((run, average), last, strict=True):
            samples = history.sample(config.eval_samples)
            torch.testing.assert_close(sheet, samples[:4])
            assert history.scores["mean"][-1] == pytest.approx(float(samples.mean()), abs=1e-6)
        assert not torch.equal(*last)


class Killed(Exception):
    """In place of a signal."""


@BOTH
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_been(config, tmp_path):
    config = dataclasses.replace(config, checkpoint_every=1, eval_every=1)
    seeds = SEEDS if config.critic is None else SEEDS[:1]
    calls = []

    def killed(x):
        calls.append(x)
        if len(calls) > 5 * len(seeds):  # two calls a seed and step: in the third step
            raise Killed
        return float(x.mean())

    with pytest.raises(Killed):
        gp.train_averaged(config, seeds, decay=0.9, evaluate={"mean": killed}, resume=tmp_path / "run")
    calls.clear()
    resumed = gp.train_averaged(config, seeds, decay=0.9, evaluate=MEAN, resume=tmp_path / "run")
    whole = gp.train_averaged(config, seeds, decay=0.9, evaluate=MEAN)
    for some, others in zip(resumed, whole, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a.scores == b.scores and a.score_step == b.score_step == [0, 1, 2, 3]
            assert_same(a.generator, b.generator)
    for a, b in zip(resumed[1], whole[1], strict=True):
        assert list(a.sheets) == list(b.sheets)
        assert all(torch.equal(a.sheets[step], b.sheets[step]) for step in a.sheets)
    with pytest.raises(ValueError, match="decay 0.9, expected 0.8"):
        gp.train_averaged(config, seeds, decay=0.8, resume=tmp_path / "run")


@BOTH
def test_the_average_of_a_run_that_diverged_ends_with_it(config):
    config = dataclasses.replace(config, constraint="none", optimizer="sgd", lr_critic=1e30, steps=8, eval_every=1)
    runs, averages = gp.train_averaged(config, SEEDS, decay=0.9, evaluate=MEAN)
    for run, average in zip(runs, averages, strict=True):
        assert run.diverged_at is not None and average.diverged_at == run.diverged_at
        assert len(average.scores.get("mean", [])) == len(run.scores.get("mean", [])) < 8
        assert flat(average.generator).isfinite().all()


def test_update_average_is_that_of_pytorch():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    mine, theirs = copy.deepcopy(network), AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    theirs.update_parameters(network)  # the first call of theirs copies
    for _ in range(5):
        for parameter in network.parameters():
            parameter.data += torch.randn_like(parameter)
        network(torch.randn(6, 3).double())
        gp.update_average_(mine, network, 0.8)
        theirs.update_parameters(network)
    for a, b in zip(mine.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(mine.buffers(), network.buffers(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_outside_0_to_1_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be at least 0 and below 1, got"):
        gp.train_averaged(MLPS, SEEDS, decay=decay)
    with pytest.raises(ValueError, match="decay must be at least 0 and below 1, got"):
        gp.update_average_(nn.Linear(1, 1), nn.Linear(1, 1), decay)
