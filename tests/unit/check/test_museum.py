"""Every room of the museum holds the mistake that its name says, no other, and gpcore's tests would find it."""

import inspect
import json
import re

import chapters
import pytest
import test_penalties
import test_scaling
import torch
from torch import nn

import gpcore as gp
from gpcore import scaling
from gpcore.check import museum
from gpcore.check.mends import PENALTY, SCALING
from gpcore.check.museum import PARALLEL, PENALTIES, ROOMS
from gpcore.check.museum_steps import STEPS
from gpcore.check.report import WITHOUT_ROOM


@pytest.mark.parametrize("room", PENALTIES, ids=lambda room: room.name)
def test_the_checker_names_each_penalty(room):
    report = gp.check(room.code)
    assert set(report.names) == {room.name, *room.also}, str(report)
    assert report.ok == (room.name in ("one-sided", "device-mismatch", "fake-not-detached"))  # these are notes


@pytest.mark.parametrize("room", STEPS, ids=lambda room: room.name)
def test_the_checker_names_each_step(room):
    report = gp.check_scaling(room.code)
    assert set(report.names) == {room.name, *room.also} and not report.ok, str(report)


def test_every_finding_has_its_room():
    assert set(ROOMS) == {*PENALTY, *SCALING} - {*WITHOUT_ROOM}
    assert len(ROOMS) == len(PENALTIES) + len(STEPS)


def test_rooms_show_their_code():
    for room in ROOMS.values():
        assert room.source.startswith(f"def {room.name.replace('-', '_')}(") and room.met and room.symptom


def test_every_room_has_its_place_in_the_chapter():
    notebook = json.loads((chapters.NOTEBOOKS / "16_bug_museum.ipynb").read_text(encoding="utf-8"))
    text = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    places = re.findall(r'<a id="room-([\w-]+)"></a>', text)
    more = {"swapped", "sign-flipped", "batch-norm", *(room.name for room in PARALLEL)}  # no findings of the checker
    assert len(places) == len(set(places)) and set(places) == {*PENALTY, *SCALING, *more}
    # The index by symptom leads to every room, and nowhere else.
    assert set(re.findall(r'href="#room-([\w-]+)"', text)) == set(places)


# --- in gpcore's place


class Given:
    """PyTorch, but where a room draws one uniform eps a sample it gets the one that gpcore's test has given."""

    def __init__(self, eps):
        self.eps = eps

    def __getattr__(self, name):
        return getattr(torch, name)

    def rand(self, *size, **options):
        return torch.rand(*size, **options) if self.eps is None or size[0] == 1 else self.eps.reshape(size)


def under_gpcores_name(code, monkeypatch):
    """A room with the arguments of gpcore's gradient_penalty; images of one row stand for other samples."""

    def gradient_penalty(critic, real, fake, *, weight=10.0, target=1.0, one_sided=False, eps=None):
        shape = real.shape[1:]
        rows = [x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1) for x in (real, fake)]
        monkeypatch.setattr(museum, "torch", Given(eps))
        law = ROOMS["one-sided"].code if one_sided else code
        # (norm - t)^2 = t^2 (norm / t - 1)^2: a critic divided by t has the target 1.
        return weight * target**2 * law(lambda x: critic(x.reshape(len(x), *shape)) / target, *rows)

    return gradient_penalty


def half_precision_keeps_its_range():
    real = torch.zeros(4, 2)
    steep = test_penalties.linear(torch.tensor([600.0, 0.0], requires_grad=True))
    assert test_penalties.gradient_penalty(steep, real, real, weight=1.0).item() == pytest.approx(599.0**2)


def it_would_run_on_a_gpu():
    assert "device-mismatch" not in gp.check(test_penalties.gradient_penalty).names


PENALTY_TESTS = (
    test_penalties.test_a_linear_critic_of_slope_5,
    test_penalties.test_one_sided_forgives_small_slopes,
    lambda: test_penalties.test_a_quadratic_critic_shows_where_the_penalty_is_taken("random"),
    lambda: test_penalties.test_a_quadratic_critic_shows_where_the_penalty_is_taken(0.0),
    lambda: test_penalties.test_no_gradient_reaches_the_samples(test_penalties.PENALTIES["gradient_penalty"]),
    test_penalties.test_the_gradient_at_zero_gradient_is_zero,
    test_penalties.test_given_random_numbers_leave_the_global_state_alone,
    half_precision_keeps_its_range,
    it_would_run_on_a_gpu,
)


def failures(tests) -> int:
    """How many of the tests fail; a test that raises anything has found the mutant too."""
    failed = 0
    for test in tests:
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(987)  # no room's own seed: what a room leaves behind must differ from it
                test()
        except (AssertionError, ArithmeticError, RuntimeError, TypeError, ValueError, pytest.fail.Exception):
            failed += 1
    return failed


@pytest.mark.parametrize("room", PENALTIES, ids=lambda room: room.name)
def test_gpcores_tests_would_find_each_penalty(room, monkeypatch):
    monkeypatch.setattr(test_penalties, "gradient_penalty", under_gpcores_name(room.code, monkeypatch))
    assert failures(PENALTY_TESTS)


def test_gpcores_tests_pass_the_right_penalty_in_the_same_place(monkeypatch):
    source = ROOMS["sum-over-batch"].source.replace(".sum()\n", ".mean()\n")  # its last line put right
    assert source.count(".mean()") == 1
    space = {}
    exec(source, vars(museum), space)
    right = space["sum_over_batch"]
    assert gp.check(right).names == ()
    monkeypatch.setattr(test_penalties, "gradient_penalty", under_gpcores_name(right, monkeypatch))
    assert failures(PENALTY_TESTS) == 0


def as_clip_norm(code):
    """A step with the arguments of gpcore's clip_norm_; two micro-batches share the gradient that it finds."""

    def clip_norm_(parameters, max_norm, norm_type=2.0):
        parameters = list(parameters)
        wanted, taken = [p.grad.clone() for p in parameters], []
        norm = torch.cat([g.flatten() for g in wanted]).norm()
        optimizer = torch.optim.SGD(parameters, lr=0.0)
        optimizer.register_step_pre_hook(lambda *_: taken.extend(p.grad.clone() for p in parameters))

        class Model(nn.Module):
            def parameters(self, recurse=True):
                return iter(parameters)

            def forward(self, half):
                """Every other parameter times twice its gradient, since the step takes the mean of two."""
                return sum(
                    2 * (wanted[i] * p).sum() if i % 2 == half else 0 * p.sum() for i, p in enumerate(parameters)
                )

        takes = "scaler" in inspect.signature(code).parameters
        extra = {"scaler": torch.amp.GradScaler("cpu", init_scale=1024.0)} if takes else {}
        try:
            returned = code(Model(), optimizer, lambda output, _: output, [(0, None), (1, None)], max_norm, **extra)
        except RuntimeError as error:  # PyTorch's own refusal is as good as gpcore's
            raise FloatingPointError(f"the gradient's norm is {norm}: nothing was scaled") from error
        for p, gradient in zip(parameters, taken or wanted, strict=True):
            p.grad = gradient
        return norm if returned is None else returned

    return clip_norm_


def right_step(model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()
    norm = scaling.clip_norm_(model.parameters(), max_norm)
    optimizer.step()
    return norm


# Without hypothesis around it: a few examples by hand.
agrees = test_scaling.test_norm_clipping_agrees_with_pytorch.hypothesis.inner_test
SCALING_TESTS = (
    *(lambda threshold=threshold: agrees(0, threshold) for threshold in (0.1, 10.0, 1000.0)),
    lambda: test_scaling.test_what_is_not_finite_is_never_passed_on(lambda p: gp.clip_norm_(p, 1.0), float("inf")),
    lambda: test_scaling.test_what_is_not_finite_is_never_passed_on(lambda p: gp.clip_norm_(p, 1.0), float("nan")),
)


@pytest.mark.parametrize("room", STEPS, ids=lambda room: room.name)
def test_gpcores_tests_would_find_each_step(room, monkeypatch):
    monkeypatch.setattr(gp, "clip_norm_", as_clip_norm(room.code))
    assert failures(SCALING_TESTS)


def test_gpcores_tests_pass_the_right_step_in_the_same_place(monkeypatch):
    monkeypatch.setattr(gp, "clip_norm_", as_clip_norm(right_step))
    assert failures(SCALING_TESTS) == 0


def test_the_cards_of_the_chapter_quote_their_rooms():
    notebook = json.loads((chapters.NOTEBOOKS / "16_bug_museum.ipynb").read_text(encoding="utf-8"))
    text = "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    cards = re.findall(r'<a id="room-([\w-]+)"></a>\n### .+?\n\n```python\n(.+?)# wrong\n', text)
    rooms = ROOMS | {room.name: room for room in PARALLEL}
    quoted = {name: line.strip() for name, line in cards if name in rooms}
    assert len(quoted) >= 20 and {room.name for room in PARALLEL} <= set(quoted)
    for name, line in quoted.items():
        assert line in rooms[name].source, name
