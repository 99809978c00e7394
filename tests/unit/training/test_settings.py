"""Many settings at once, against loops written out here with ordinary modules, one run at a time."""

import dataclasses

import pytest
import torch

import gpcore as gp
from gpcore.training import settings as subject

pytestmark = pytest.mark.usefixtures("double")

CONFIG = gp.Config(
    steps=4,
    n_critic=2,
    batch_size=8,
    width=8,
    depth=2,
    device="cpu",
    lr_critic=1e-2,
    lr_generator=1e-2,
    eval_samples=16,
)


def apart(critic, real, fake):
    return (critic(real) - critic(real + fake)).square()


FAMILY = {
    "R1": (lambda real, fake: real, 0.0, False),
    "R2": (lambda real, fake: fake, 0.0, False),
    "far": (lambda real, fake: 3 * real - fake, 1.0, False),
    "steep": (lambda real, fake: 3 * real - fake, 0.2, True),
    "apart": apart,
}


def written_out(setting, config, every=1, wrap=lambda critic: critic):
    """One run as a plain loop: modules, autograd, PyTorch's Adam. Returns both networks."""
    critic, generator = gp.build_networks(dataclasses.replace(config, seed=setting.seed))
    rng = torch.Generator().manual_seed(setting.seed)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=1e-2, betas=config.betas) for network in (critic, generator)
    ]
    scores = wrap(critic)
    critic_loss, generator_loss = gp.losses.LOSSES[setting.loss]

    def noise():
        return torch.randn(config.batch_size, 2, generator=rng)

    for step in range(config.steps * config.n_critic):
        real = gp.data.eight_gaussians(config.batch_size, rng)
        fake = generator(noise()).detach()
        loss = critic_loss(scores(real), scores(fake))
        if setting.constraint == "apart" and step % every == 0:
            loss = loss + every * setting.weight / 2 * (critic(real) - critic(real + fake)).pow(2).mean()
        elif setting.constraint in FAMILY and step % every == 0:
            where, target, free_below = FAMILY[setting.constraint]
            points = where(real, fake).clone().requires_grad_()
            (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
            excess = slope.square().sum(1).sqrt() - target
            excess = excess.clamp(min=0) if free_below else excess
            loss = loss + every * setting.weight / 2 * (excess**2).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        if (step + 1) % config.n_critic == 0:
            real = gp.data.eight_gaussians(config.batch_size, rng)
            optimizers[1].zero_grad()
            generator_loss(scores(real), scores(generator(noise()))).backward()
            optimizers[1].step()
    return critic, generator


def assert_same(history, networks):
    for network, expected in zip((history.critic, history.generator), networks, strict=True):
        for p, q in zip(network.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-5)


ROWS = [
    gp.Setting("none", "hinge", 0.0, 1),
    gp.Setting("R1", "wasserstein", 3.0, 1),
    gp.Setting("R2", "relativistic", 3.0, 2),
    gp.Setting("far", "least_squares", 0.5, 3),
    gp.Setting("steep", "non_saturating", 5.0, 2),
    gp.Setting("steep", "non_saturating", 5.0, 5),
    gp.Setting("apart", "wasserstein", 3.0, 3),
    gp.Setting("apart", "hinge", 0.7, 1),
]


@pytest.mark.parametrize("every", [1, 3])
def test_every_row_is_the_run_written_out(every):
    """Rows of other losses, penalties, weights and seeds beside it change nothing."""
    runs = gp.train_settings(ROWS, CONFIG, FAMILY, every=every)
    assert {key: len(found) for key, found in runs.items()} == {row[:3]: 1 + (row[0] == "steep") for row in ROWS}
    for row in ROWS:
        (history,) = [h for h in runs[row[:3]] if h.seed == row.seed]
        assert_same(history, written_out(row, CONFIG, every))


def test_gradient_normalisation_is_that_of_the_module():
    row = gp.Setting("gradient_normalization", "hinge", 0.0, 4)
    runs = gp.train_settings([gp.Setting("none", "hinge", 0.0, 4), row], CONFIG, FAMILY)
    assert_same(runs[row[:3]][0], written_out(row, CONFIG, wrap=gp.GradientNormalized))
    assert_same(runs["none", "hinge", 0.0][0], written_out(ROWS[0]._replace(seed=4), CONFIG))


def test_a_spectrally_normalised_critic_has_layers_of_norm_one_and_its_neighbour_has_not():
    rows = [gp.Setting("spectral_norm", "hinge"), gp.Setting("none", "hinge")]
    game = subject._Game(rows, CONFIG, FAMILY)
    for layer in game.critic_layers:
        layer.weight.data *= 5
    for _ in range(300):  # a step of the power iteration each
        game.critic()
    for at, layer in enumerate(game.critic_layers):
        sizes = torch.linalg.matrix_norm(game._divided(at, layer).weight.detach(), ord=2)
        assert sizes[0] == pytest.approx(1.0, abs=1e-3)
        assert sizes[1] == pytest.approx(float(torch.linalg.matrix_norm(layer.weight.detach(), ord=2)[1]))


def test_what_is_evaluated_is_the_start_and_the_end():
    runs = gp.train_settings(ROWS[:2], CONFIG, FAMILY, evaluate={"mean": lambda x: x.mean()})
    for row in ROWS[:2]:
        (history,) = runs[row[:3]]
        _, untrained = gp.build_networks(dataclasses.replace(CONFIG, seed=row.seed))
        noise = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
        assert history.score_step == [0, CONFIG.steps]
        assert history.scores["mean"][0] == pytest.approx(float(untrained(noise).detach().mean()), abs=1e-6)
        assert history.scores["mean"][1] == pytest.approx(float(history.sample(16).mean()), abs=1e-6)


def test_a_row_that_leaves_the_numbers_is_marked_and_touches_no_other():
    family = FAMILY | {"broken": (lambda real, fake: real * float("inf"), 0.0, False)}
    runs = gp.train_settings([ROWS[1], gp.Setting("broken", "hinge", 1.0, 1)], CONFIG, family)
    assert runs["broken", "hinge", 1.0][0].diverged_at == CONFIG.steps
    assert_same(runs[ROWS[1][:3]][0], written_out(ROWS[1], CONFIG))


def test_the_global_random_numbers_are_left_alone_and_the_penaltys_own_are_seeded():
    family = {"noisy": (lambda real, fake: real + torch.randn_like(real), 0.0, False)}
    rows, state = [gp.Setting("noisy", "hinge", 1.0, 7)], torch.get_rng_state()
    first, again = (gp.train_settings(rows, CONFIG, family)[rows[0][:3]][0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert_same(first, (again.critic, again.generator))


@pytest.mark.parametrize(
    ("rows", "config", "every", "words"),
    [
        ([], CONFIG, 1, "at least one"),
        ([ROWS[0], ROWS[0]], CONFIG, 1, "each once"),
        ([gp.Setting("R3", "hinge")], CONFIG, 1, "constraint"),
        ([gp.Setting("R1", "hinges")], CONFIG, 1, "loss"),
        ([gp.Setting("R1", "hinge", -1.0)], CONFIG, 1, "weight"),
        (ROWS, CONFIG, 0, "every"),
        (ROWS, dataclasses.replace(CONFIG, critic=lambda: gp.models.conv_critic(8)), 1, "MLPs"),
    ],
)
def test_what_cannot_be_trained_is_refused(rows, config, every, words):
    with pytest.raises(ValueError, match=words):
        gp.train_settings(rows, config, FAMILY, every=every)
