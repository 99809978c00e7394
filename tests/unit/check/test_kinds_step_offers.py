"""The checker of norm scaling on steps as programs have them: options, an accelerator, one batch, a method."""

import pytest
import torch
from step_kinds import accumulate, clip, said
from torch import nn
from torch.nn.utils import clip_grad_norm_

from gpcore.check.refusals import CannotCall
from gpcore.check.step import check_scaling


def assert_right(step, *notes, family="norm clipping", faults=()):
    """``faults`` are those of code that passes on what is not finite, as most code does."""
    report = check_scaling(step)
    assert report.faults == faults and report.family == family and not report.undecided, str(report)
    told = " ".join(report.notes)
    assert all(note in told for note in notes) and len(report.notes) == len(notes), str(report)


# ---------------------------------------------------------------- options


def with_arguments(args, model, optimizer, criterion, loader):
    accumulate(model, optimizer, criterion, loader)
    if args.clip > 0:
        clip(model, args.clip)
    optimizer.step()


def with_a_nested_configuration(model, optimizer, loss_fn, batches, cfg):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / cfg.train.gradient_accumulation_steps).backward()
    if cfg["train"]["use_amp"]:
        raise AssertionError
    clip(model, cfg["train"]["max_grad_norm"])
    for group in optimizer.param_groups:
        group["lr"] = cfg.optim.get("lr", 0.1)
    optimizer.step()


def with_defaults(net, loader, opt, loss_fn, hparams):
    accumulate(net, opt, loss_fn, loader)
    norm = clip(net, hparams.get("gradient_clip_val", 1.0))
    opt.step()
    return norm


def test_options_hold_the_threshold():
    for step, name in ((with_arguments, "clip"), (with_a_nested_configuration, "max_grad_norm")):
        assert_right(step, f"of the options that it takes, {name} was taken for max_norm")
    assert_right(with_defaults, "gradient_clip_val was taken")

    def late(args, model, optimizer, criterion, loader):
        accumulate(model, optimizer, criterion, loader)
        optimizer.step()
        clip_grad_norm_(model.parameters(), args.clip)

    def each(model, optimizer, criterion, loader, config):
        optimizer.zero_grad()
        for x, y in loader:
            (criterion(model(x), y) / len(loader)).backward()
            clip(model, config.grad_clip)
        optimizer.step()

    assert "clip-after-step" in check_scaling(late).faults
    assert check_scaling(each).faults == ("clip-per-micro-batch",)


# ---------------------------------------------------------------- accelerators


def guarded(accelerator, model, optimizer, scheduler, loader, args):
    for batch in loader:
        with accelerator.accumulate(model):
            loss = model(**batch).loss
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()


def unguarded(accelerator, model, optimizer, loss_fn, batches, max_norm):
    for x, y in batches:
        with accelerator.accumulate(model):
            accelerator.backward(loss_fn(model(x), y))
            accelerator.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            optimizer.zero_grad()


def with_fabric(fabric, model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for i, (x, y) in enumerate(batches):
        with fabric.no_backward_sync(model, enabled=i < len(batches) - 1):
            fabric.backward(loss_fn(model(x), y) / len(batches))
    fabric.clip_gradients(model, optimizer, max_norm=max_norm)
    optimizer.step()


def with_fabric_by_value(fabric, model, optimizer, loss_fn, batches, clip_value):
    accumulate(model, optimizer, loss_fn, batches)
    fabric.clip_gradients(model, optimizer, clip_val=clip_value)
    optimizer.step()


def test_accelerators_have_a_stand_in():
    note, passed_on = "its accelerator was a stand-in", ("non-finite-passed-on",)
    assert_right(guarded, "max_grad_norm was taken for max_norm", note, faults=passed_on)
    assert_right(with_fabric, note)
    assert check_scaling(unguarded).faults == ("clip-per-micro-batch", *passed_on)
    assert check_scaling(with_fabric_by_value).faults[:1] == ("clip-by-value",)


# ---------------------------------------------------------------- one batch a call


def one_batch(model, optimizer, criterion, batch, max_norm=1.0):
    x, y = batch
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    clip(model, max_norm)
    optimizer.step()
    return loss.item()


def inputs_and_labels(net, inputs, targets, optimizer, loss_fn, clip_norm):
    optimizer.zero_grad()
    loss_fn(net(inputs), targets).backward()
    clip(net, clip_norm)
    optimizer.step()


def tokens(model, batch, opt, scaler, max_norm):
    loss = model(input_ids=batch["input_ids"], labels=batch["labels"])["loss"]
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(opt)
    scaler.update()
    opt.zero_grad(set_to_none=True)


def as_lightning_has_it(model, optimizer, batch, batch_idx, gradient_clip_val):
    loss = model.training_step(batch, batch_idx)
    optimizer.zero_grad()
    loss.backward()
    clip(model, gradient_clip_val)
    optimizer.step()


def a_loss_for_an_answer(model, optimizer, x, mask, y, max_norm):
    optimizer.zero_grad()
    model(x, mask, y).backward()
    clip(model, max_norm)
    optimizer.step()


def with_an_average_of_weights(model, ema_model, optimizer, loss_fn, batches, max_norm, logger):
    accumulate(model.module, optimizer, loss_fn, batches)
    logger.log({"norm": clip(model, max_norm)})
    optimizer.step()
    with torch.no_grad():
        for average, p in zip(ema_model.parameters(), model.parameters(), strict=True):
            average.lerp_(p, 0.01)


def test_one_batch_may_be_all_that_a_call_takes():
    for step in (one_batch, inputs_and_labels, tokens, as_lightning_has_it, a_loss_for_an_answer):
        assert_right(step)
    assert_right(with_an_average_of_weights)

    def unclipped(net, inputs, targets, optimizer, loss_fn, clip_norm):
        inputs_and_labels(net, inputs, targets, optimizer, loss_fn, 1e9)

    assert check_scaling(unclipped).faults == ("never-scales",)


# ---------------------------------------------------------------- methods


class Trainer:
    def __init__(self):
        self.net = nn.Linear(3, 1)
        self.opt, self.criterion = torch.optim.Adam(self.net.parameters()), nn.MSELoss()
        self.grad_clip, self.calls, self.norm = 1.0, 0, None

    def train_step(self, batch):
        x, y = batch
        self.opt.zero_grad()
        self.criterion(self.net(x), y).backward()
        self.norm = clip(self.net, self.grad_clip)
        self.opt.step()
        self.calls += 1

    def of_a_list(self, batches, max_norm):
        accumulate(self.net, self.opt, self.criterion, batches)
        clip(self.net, max_norm)
        self.opt.step()

    def late(self, x, y):
        self.opt.zero_grad()
        self.criterion(self.net(x), y).backward()
        self.opt.step()
        clip_grad_norm_(self.net.parameters(), self.grad_clip)

    def keeps_the_scaled_norm(self, batch):
        self.train_step(batch)
        self.norm = clip(self.net, self.grad_clip)


def test_methods_have_their_object_s_parts_replaced():
    trainer = Trainer()
    before = dict(vars(trainer)), [p.tolist() for p in trainer.net.parameters()]
    assert_right(trainer.train_step)
    assert_right(trainer.of_a_list)
    assert "clip-after-step" in check_scaling(trainer.late).faults
    assert check_scaling(trainer.keeps_the_scaled_norm).faults == ("norm-logged-after",)
    assert before == (vars(trainer), [p.tolist() for p in trainer.net.parameters()])
    trainer.grad_clip = 0.25
    assert "it clips by norm at 0.25, a number of its own" in said(check_scaling(trainer.train_step))


def test_a_check_that_is_interrupted_leaves_the_object_as_it_was():
    class Interrupted(Trainer):
        def train_step(self, batch):
            raise KeyboardInterrupt

    trainer = Interrupted()
    before = dict(vars(trainer))
    with pytest.raises(KeyboardInterrupt):
        check_scaling(trainer.train_step)
    assert vars(trainer) == before


# ---------------------------------------------------------------- what cannot be offered


def test_what_cannot_be_offered_is_said_first():
    def of_a_queue(optimizer, queue):
        queue.get()

    def of_three_networks(encoder, decoder, prior, optimizer, batches):
        raise RuntimeError

    def of_a_loop(loop):
        raise RuntimeError

    for step, first in (
        (of_a_queue, "Check this in its place, and fill in queue:"),
        (of_three_networks, "Check this in its place, and fill in encoder, decoder, prior:"),
        (of_a_loop, "Check this in its place, and fill in loop:"),
    ):
        with pytest.raises(CannotCall) as refused:
            check_scaling(step)
        lines = str(refused.value).splitlines()
        assert lines[:2] == [first, "  def step(model, optimizer, loss_fn, batches, max_norm):"], lines
        assert all(len(line) <= 76 for line in lines) and len(lines) < 12, lines


def test_a_loss_of_its_own_is_all_that_is_said():
    def step(model, optimizer, batch, max_norm):
        x, y = batch
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        clip(model, max_norm)
        optimizer.step()

    report = check_scaling(step)
    assert not report.ok and len(report.undecided) == 1 and "never called loss_fn" in said(report), str(report)
