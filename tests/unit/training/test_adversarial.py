"""The training loop: reproducible, resumable, careful with what is not finite."""

import dataclasses

import pytest
import torch
from torch import nn

import gpcore as gp
from gpcore.training.config import CONSTRAINTS, LOSSES

SMALL = gp.Config(steps=6, batch_size=16, width=8, depth=2, log_every=1, eval_every=2, n_critic=2, device="cpu")


def weights(history):
    return torch.cat([p.detach().flatten() for net in (history.critic, history.generator) for p in net.parameters()])


def small(**settings):
    return dataclasses.replace(SMALL, **settings)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_loss_with_every_constraint_runs_and_logs_finite_numbers(loss, constraint):
    history = gp.train(small(loss=loss, constraint=constraint, steps=2))
    assert history.step == [0, 1]
    for name in ("critic_loss", "generator_loss", "penalty", "input_norm", "critic_norm", "generator_norm"):
        values = getattr(history, name)
        assert len(values) == 2 and torch.tensor(values).isfinite().all(), name
    penalised = constraint in ("gp", "r1", "r2", "r1_r2", "dragan")
    assert all((p > 0) == penalised for p in history.penalty)


@pytest.mark.parametrize("scaling", gp.scaling.SCALERS)
def test_norms_are_logged_before_and_after_scaling(scaling):
    threshold = 10.0 if scaling == "autoclip" else 2.5 if scaling == "zclip" else 0.01
    history = gp.train(small(scaling=scaling, threshold=threshold))
    for net in ("critic", "generator"):
        before, after = (torch.tensor(getattr(history, f"{net}_norm{s}")) for s in ("", "_scaled"))
        if scaling == "none":
            assert torch.equal(before, after)
        elif scaling in ("clip_norm", "normalize"):
            assert torch.allclose(after, torch.full_like(after, 0.01))
            assert (before > 0.011).any()
        elif scaling != "normalize":
            assert (after <= before * (1 + 1e-6)).all()


def test_one_step_is_the_algorithm_written_out():
    """One critic and one generator step of WGAN-GP with SGD, against autograd written out here."""
    config = small(steps=1, n_critic=1, optimizer="sgd", lr_critic=0.1, lr_generator=0.1)
    history = gp.train(config)

    start = gp.train(small(steps=1, n_critic=1, optimizer="sgd", lr_critic=1e-30, lr_generator=1e-30))
    critic, generator = start.critic, start.generator
    rng = torch.Generator().manual_seed(config.seed)
    real = gp.data.eight_gaussians(16, rng)
    fake = generator(torch.randn(16, 2, generator=rng)).detach()
    eps = torch.rand(16, generator=rng)[:, None]
    points = (eps * real + (1 - eps) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    penalty = 10 * ((slope.square().sum(1).sqrt() - 1) ** 2).mean()
    loss = critic(fake).mean() - critic(real).mean()
    assert history.critic_loss[0] == pytest.approx(loss.item(), rel=1e-5)
    assert history.penalty[0] == pytest.approx(penalty.item(), rel=1e-5)
    grads = torch.autograd.grad(loss + penalty, list(critic.parameters()), allow_unused=True)
    with torch.no_grad():
        for p, g in zip(critic.parameters(), grads, strict=True):
            p -= 0.1 * (g if g is not None else 0)
    for mine, theirs in zip(critic.parameters(), history.critic.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)

    gp.data.eight_gaussians(16, rng)
    loss = -critic(generator(torch.randn(16, 2, generator=rng))).mean()
    grads = torch.autograd.grad(loss, list(generator.parameters()))
    for mine, g, theirs in zip(generator.parameters(), grads, history.generator.parameters(), strict=True):
        torch.testing.assert_close(mine - 0.1 * g, theirs, rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = (gp.train(small(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(weights(first), weights(again))
    assert first.critic_loss == again.critic_loss
    assert not torch.equal(weights(first), weights(other))


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    for constraint in CONSTRAINTS:
        gp.train(small(constraint=constraint, steps=1))
    assert torch.equal(before, torch.get_rng_state())


def test_logging_and_evaluating_do_not_change_the_run():
    often = gp.train(small(), evaluate={"mean": lambda x: x.mean()})
    seldom = gp.train(small(log_every=100))
    assert torch.equal(weights(often), weights(seldom))
    assert often.score_step == [0, 2, 4, 5] and len(often.scores["mean"]) == 4
    assert seldom.step == [0, 5]


@pytest.mark.parametrize("constraint", ["gp", "spectral_norm", "clip"])
@pytest.mark.parametrize("scaling", ["none", "autoclip", "zclip"])
def test_an_interrupted_run_ends_bit_for_bit_like_an_uninterrupted_one(tmp_path, constraint, scaling):
    config = small(constraint=constraint, scaling=scaling, threshold=10.0, checkpoint_every=2)
    whole = gp.train(config, evaluate={"mean": lambda x: x.mean()})

    def interrupt(samples, calls=[]):  # noqa: B006 (the list counts the calls)
        calls.append(1)
        if len(calls) == 3:  # evaluated at steps 0, 2, 4: dies in step 4, after the checkpoint of step 4
            raise KeyboardInterrupt
        return samples.mean()

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        gp.train(config, evaluate={"mean": interrupt}, resume=path)
    saved = torch.load(path, weights_only=True)
    assert saved["step"] == 4
    resumed = gp.train(config, evaluate={"mean": lambda x: x.mean()}, resume=path)
    assert torch.equal(weights(whole), weights(resumed))
    for field in dataclasses.fields(gp.History):
        if field.name not in ("critic", "generator"):
            assert getattr(whole, field.name) == getattr(resumed, field.name), field.name


def test_a_finished_run_is_returned_from_its_checkpoint(tmp_path):
    first = gp.train(SMALL, resume=tmp_path / "run")
    critic = gp.Config.__dataclass_fields__["critic"].default
    assert critic is None
    again = gp.train(SMALL, resume=tmp_path / "run")
    assert torch.equal(weights(first), weights(again)) and first.critic_loss == again.critic_loss


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    gp.train(SMALL, resume=tmp_path / "run")
    with pytest.raises(ValueError, match="another run"):
        gp.train(small(weight=1.0), resume=tmp_path / "run")


def test_no_part_of_a_checkpoint_is_left_behind(tmp_path):
    gp.train(SMALL, resume=tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


class Explodes(nn.Module):
    """A critic whose output turns infinite at its third call in training."""

    def __init__(self, fatal_call=3):
        super().__init__()
        self.weight, self.calls, self.fatal_call = nn.Parameter(torch.ones(2)), 0, fatal_call

    def forward(self, x):
        self.calls += 1
        return x @ self.weight * (float("inf") if self.calls >= self.fatal_call else 1.0)


def test_the_first_non_finite_loss_stops_the_run_and_says_where():
    with pytest.raises(gp.TrainingDiverged, match=r"step 0 of 6 \(seed 0\): the critic's loss is") as error:
        gp.train(small(constraint="none", critic=lambda: Explodes(3)))
    assert error.value.step == 0 and error.value.history.step == []
    with pytest.raises(FloatingPointError, match="stopped at step 1"):
        gp.train(small(constraint="none", critic=lambda: Explodes(8)))


def test_a_seed_that_diverges_stops_no_other():
    def critic():
        return Explodes(8 if torch.initial_seed() == 2 else 10**6)  # the seed of run 1's critic

    runs = gp.train_many(small(constraint="none", critic=critic), seeds=range(3))
    assert [r.diverged_at for r in runs] == [None, 1, None]
    table = gp.stack(runs, "critic_loss")
    assert table.shape == (3, 6)
    assert torch.tensor(table).isnan().sum(1).tolist() == [0, 5, 0]


def test_seeds_that_run_one_after_another_are_the_single_runs(tmp_path):
    one_by_one = dict(scaling="adaptive", threshold=0.01)
    many = gp.train_many(small(**one_by_one), seeds=(1, 2), resume=tmp_path / "many")
    for run, seed in zip(many, (1, 2), strict=True):
        assert torch.equal(weights(run), weights(gp.train(small(seed=seed, **one_by_one))))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many-seed1", "many-seed2"]


def test_clipped_weights_stay_within_the_bound():
    history = gp.train(small(constraint="clip", clip=0.03, lr_critic=1.0))
    assert max(p.abs().max() for p in history.critic.parameters()) <= 0.03


def test_a_penalty_of_ones_own_is_used():
    history = gp.train(small(constraint=lambda critic, real, fake: critic(real).square().mean() + 7.0))
    assert all(p >= 7.0 for p in history.penalty)


def test_a_tensor_of_samples_is_data():
    images = torch.rand(20, 1, 8, 8)
    config = small(
        data=images, critic=lambda: gp.models.conv_critic(8, 4), generator=lambda: gp.models.conv_generator(8, 2, 4)
    )
    assert gp.train(config).sample(3).shape == (3, 1, 8, 8)


def test_bf16_agrees_with_float32_roughly_and_keeps_the_penalty_in_float32():
    seen = []

    def penalty(critic, real, fake):
        # The norm is float32 under autocast too: what tells is whether autocast is on where the critic is called.
        seen.append((torch.is_autocast_enabled("cpu"), critic(real).dtype))
        return gp.gradient_penalty(critic, real, fake)

    short, half = (gp.train(small(steps=1, constraint=penalty, precision=p)) for p in ("float32", "bf16"))
    assert set(seen) == {(False, torch.float32)}
    assert half.critic_loss[0] != short.critic_loss[0]
    assert half.critic_loss[0] == pytest.approx(short.critic_loss[0], abs=0.05)


def test_wgan_gp_moves_the_generator_onto_the_data():
    """The data is a Gaussian 4 away from where the generator starts: W1 falls to a third, for each of three seeds."""
    real = torch.tensor([3.0, 3.0]) + 0.5 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    config = gp.Config(
        data=real, steps=80, weight=1.0, width=32, depth=2, lr_critic=2e-3, lr_generator=2e-3, batch_size=64,
        n_critic=3,
        eval_every=1000, eval_samples=500, device="cpu",
    )  # fmt: skip
    for run in gp.train_many(config, seeds=range(3), evaluate={"w1": lambda x: gp.wasserstein_distance(x, real)}):
        first, last = run.scores["w1"]
        assert last < first / 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "wgan"}, "loss must be one of .*'wasserstein'.*got 'wgan'"),
        ({"constraint": "gradient"}, "constraint must be one of"),
        ({"scaling": "clip"}, "scaling must be one of"),
        ({"precision": "fp16"}, "precision must be one of"),
        ({"weight": -1.0}, "weight must be finite and not negative, got -1.0"),
        ({"weight": float("nan")}, "weight must be finite"),
        ({"lr_critic": 0.0}, "lr_critic must be greater than 0"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_said():
    with pytest.raises(ValueError, match="device"):
        gp.train(small(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_training_runs_on_cuda():
    history = gp.train(small(device="cuda", precision="bf16"))
    assert next(history.critic.parameters()).is_cuda and history.diverged_at is None


def test_a_critic_alone_finds_the_distance_between_two_points():
    """Real at 0, fake at 3 on a line: the optimal 1-Lipschitz critic's loss is -3, and so is the penalised one's."""
    config = gp.Config(
        data=torch.zeros(8, 1), steps=300, batch_size=32, width=32, depth=2, weight=100.0, lr_critic=3e-3, device="cpu"
    )
    history = gp.train_critic(config, lambda n, rng: torch.full((n, 1), 3.0))
    assert history.critic_loss[-1] == pytest.approx(-3.0, abs=0.15)
    assert history.generator_loss == [] and history.input_norm[-1] == pytest.approx(1.0, abs=0.05)


def test_a_frozen_critic_run_resumes_too(tmp_path):
    config = small(checkpoint_every=2)
    whole = gp.train_critic(config, lambda n, rng: torch.randn(n, 2, generator=rng))

    def interrupted(n, rng, calls=[]):  # noqa: B006 (the list counts the calls)
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return torch.randn(n, 2, generator=rng)

    with pytest.raises(KeyboardInterrupt):
        gp.train_critic(config, interrupted, resume=tmp_path / "run")
    resumed = gp.train_critic(config, lambda n, rng: torch.randn(n, 2, generator=rng), resume=tmp_path / "run")
    assert torch.equal(weights(whole), weights(resumed)) and whole.critic_loss == resumed.critic_loss


def test_functions_of_one_name_are_told_apart_by_their_code(tmp_path):
    def building(activation):
        return lambda: gp.models.mlp_critic(2, 8, 2, activation)

    gp.train(small(critic=building("relu")), resume=tmp_path / "run")
    with pytest.raises(ValueError, match="checkpoint of another run"):
        gp.train(small(critic=building("tanh")), resume=tmp_path / "run")
    gp.train(small(critic=building("relu")), resume=tmp_path / "run")

    class Penalty:
        def __init__(self, weight):
            self.weight = weight

        def __call__(self, critic, real, fake):
            return self.weight * gp.r1_penalty(critic, real)

    gp.train(small(constraint=Penalty(1.0)), resume=tmp_path / "object")
    gp.train(small(constraint=Penalty(1.0)), resume=tmp_path / "object")
    with pytest.raises(ValueError, match="checkpoint of another run"):
        gp.train(small(constraint=Penalty(2.0)), resume=tmp_path / "object")


def test_a_penalty_of_one_s_own_must_be_one_number():
    with pytest.raises(ValueError, match=r"constraint must return one number, the batch's mean, got \(16,\)"):
        gp.train(small(constraint=lambda critic, real, fake: gp.gradient_norms(critic, real)))


def test_runs_that_diverged_at_once_are_stacked_with_the_others():
    fine = gp.train(small(), evaluate={"mean": lambda x: x.mean()})
    gone = gp.History(1)
    assert not (gone.scores or gone.step)
    table = gp.stack([gone, fine], "mean")
    assert table.shape == (2, len(fine.scores["mean"])) and (table[0] != table[0]).all()
    for histories, name in (([], "step"), ([fine], "nonsense")):
        with pytest.raises(ValueError, match=f"have no series '{name}'"):
            gp.stack(histories, name)
