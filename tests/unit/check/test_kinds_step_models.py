"""The checker of norm scaling on models that return their loss, losses called by name, optimisers made by the step."""

import functools

import torch
from step_kinds import accumulate, clip
from torch.nn.utils import clip_grad_norm_

from gpcore.check.step import check_scaling


def test_models_may_return_their_loss():
    def trainer(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for inputs in batches:
            outputs = model(**inputs)
            loss = outputs["loss"] if isinstance(outputs, dict) else outputs[0]
            (loss / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def fields(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for batch in batches:
            output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            (loss_fn(output.logits, batch["labels"]) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def pair(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            logits, loss = model(x, y)
            assert logits.shape == y.shape
            (loss / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def loss_first(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for x, y in batches:
            loss, logits = model(x, targets=y)
            (loss / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    for step in (trainer, fields, pair, loss_first):
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)

        def unclipped(model, optimizer, *rest, step=step):
            step(model, optimizer, *rest[:-1], 1e9)

        assert check_scaling(unclipped).faults == ("never-scales",)


def test_the_loss_may_be_called_by_name():
    for loss_of in (
        lambda loss_fn, output, y: loss_fn(input=output, target=y),
        lambda loss_fn, output, y: loss_fn(target=y, input=output),
        lambda loss_fn, output, y: loss_fn(y_true=y, y_pred=output),
        lambda loss_fn, output, y: loss_fn(output, target=y),
        lambda loss_fn, output, y: loss_fn(output, y, reduction="none").mean(),
    ):

        def step(model, optimizer, loss_fn, batches, max_norm, loss_of=loss_of):
            accumulate(model, optimizer, lambda output, y: loss_of(loss_fn, output, y), batches)
            clip(model, max_norm)
            optimizer.step()

        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)


class Sharpness(torch.optim.Optimizer):
    """An optimiser around another one, as sharpness-aware minimisation is often written."""

    def __init__(self, parameters):
        super().__init__(parameters, {})
        self.base = torch.optim.SGD(self.param_groups, lr=0.1)

    @torch.no_grad()
    def climb(self):
        self.taken = [(p, 0.05 * p.grad / 3) for group in self.param_groups for p in group["params"]]
        for p, e in self.taken:
            p.add_(e)

    @torch.no_grad()
    def step(self, closure=None):
        for p, e in self.taken:
            p.sub_(e)
        self.base.step()


def test_optimisers_that_a_step_makes_are_seen():
    def adam(clips, model, optimizer, loss_fn, batches, max_norm):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        accumulate(model, optimizer, loss_fn, batches)
        if clips:
            clip(model, max_norm)
        optimizer.step()

    def two(clips, model, optimizer, loss_fn, batches, max_norm):
        first, *rest = model.parameters()
        optimizers = torch.optim.AdamW([first], lr=1e-3), torch.optim.RMSprop(rest, lr=1e-3)
        accumulate(model, optimizer, loss_fn, batches)
        if clips:
            clip(model, max_norm)
        for optimizer in optimizers:
            optimizer.step()

    def sharpness(clips, model, optimizer, loss_fn, batches, max_norm):
        optimizer = Sharpness(model.parameters())
        accumulate(model, optimizer, loss_fn, batches)
        optimizer.climb()
        accumulate(model, optimizer, loss_fn, batches)
        if clips:
            clip(model, max_norm)
        optimizer.step()

    for step in (adam, two, sharpness):
        report = check_scaling(functools.partial(step, True))
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)
        report = check_scaling(functools.partial(step, False))
        assert report.faults == ("never-scales", "non-finite-passed-on"), str(report)

    def late(model, optimizer, loss_fn, batches, max_norm):
        adam(False, model, optimizer, loss_fn, batches, max_norm)
        clip_grad_norm_(model.parameters(), max_norm)

    assert "clip-after-step" in check_scaling(late).faults
