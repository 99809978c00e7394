"""The checker of norm scaling on ways to call a step: batches, networks, optimisers, arguments with a value."""

import torch
from step_kinds import accumulate, clip, in_mixed_precision, per_sample, scaler_of_the_script
from torch.nn.utils import clip_grad_norm_

import gpcore as gp
from gpcore.check.command import is_step
from gpcore.check.step import check_scaling

# ---------------------------------------------------------------- ways to call


def test_an_argument_that_has_a_value_keeps_it():
    class Standard:
        def restore(self, z):
            return z

    def data(model, optimizer, loss_fn, batches, max_norm, scaler=Standard()):  # noqa: B008
        accumulate(lambda x: scaler.restore(model(x)), optimizer, loss_fn, batches)
        clip(model, max_norm)
        optimizer.step()

    def ours(model, optimizer, loss_fn, batches, max_norm, *, grad_scaler=gp.make_scaler("clip_norm")):  # noqa: B008
        accumulate(model, optimizer, loss_fn, batches)
        grad_scaler(model.parameters())
        optimizer.step()

    def amp(model, optimizer, loss_fn, batches, max_norm, scaler=scaler_of_the_script):
        in_mixed_precision(scaler, True, model, optimizer, loss_fn, batches, max_norm)
        scaler.update()

    def none_given(model, optimizer, loss_fn, batches, max_norm, scaler=None):
        in_mixed_precision(scaler, True, model, optimizer, loss_fn, batches, max_norm)
        scaler.update()

    for step in (data, ours, amp, none_given):
        report = check_scaling(step)
        assert report.ok and not report.names, str(report)


def test_batches_are_offered_in_several_forms():
    def dictionaries(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for batch in batches:
            batch = {key: value.to("cpu") for key, value in batch.items()}
            (loss_fn(model(batch["input_ids"]), batch["labels"]) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def attributes(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, [(batch.image, batch.target) for batch in batches])
        clip(model, max_norm)
        optimizer.step()

    def hugging_face(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for batch in batches:
            output = model(input_ids=batch["input_ids"], labels=batch["labels"])
            assert output[0] is output.loss is output["loss"]
            (output.loss / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def triples(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, [(x, y) for x, y, weight in batches])
        clip(model, max_norm)
        optimizer.step()

    def another_order(net, loader, criterion, opt, clip_grad):
        accumulate(net, opt, criterion, loader)
        clip(net, clip_grad)
        opt.step()

    for step in (dictionaries, attributes, hugging_face, triples, another_order):
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)


def test_two_networks_and_two_optimisers():
    def together(actor, critic, actor_optimizer, critic_optimizer, loss_fn, batches, max_norm):
        actor_optimizer.zero_grad(), critic_optimizer.zero_grad()
        for x, y in batches:
            ((loss_fn(actor(x), y) + loss_fn(critic(x), y)) / len(batches)).backward()
        clip_grad_norm_([*actor.parameters(), *critic.parameters()], max_norm, error_if_nonfinite=True)
        actor_optimizer.step(), critic_optimizer.step()

    def apart(generator, critic, opt_g, opt_c, loss_fn, batches, max_norm):
        for network, optimizer in ((critic, opt_c), (generator, opt_g)):
            accumulate(network, optimizer, loss_fn, batches)
            clip(network, max_norm)
            optimizer.step()

    def pairs(model, optimizer, loss_fn, batches, max_norm):
        (generator, critic), (opt_g, opt_c) = model, optimizer
        together(generator, critic, opt_g, opt_c, loss_fn, batches, max_norm)

    def one_network(model, body_optimizer, head_optimizer, loss_fn, batches, max_norm):
        accumulate(model, body_optimizer, loss_fn, batches)
        clip(model, max_norm)
        body_optimizer.step(), head_optimizer.step(), head_optimizer.zero_grad()

    def two_optimisers(model, optimizer, loss_fn, batches, max_norm):
        body, head = optimizer
        one_network(model, body, head, loss_fn, batches, max_norm)

    def one_left_out(generator, critic, opt_g, opt_c, loss_fn, batches, max_norm):
        accumulate(generator, opt_g, loss_fn, batches)
        accumulate(critic, opt_c, loss_fn, batches)
        clip(critic, max_norm), gp.total_norm(generator.parameters())
        opt_g.step(), opt_c.step()

    def made_inside(model, optimizer, loss_fn, batches, max_norm):
        body, head = list(model.parameters())[:1], list(model.parameters())[1:]
        optimizers = torch.optim.SGD(body, lr=0.1), torch.optim.SGD(head, lr=0.01)
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        for optimizer in optimizers:
            optimizer.step()

    def one_optimiser(encoder, decoder, optimizer, loss_fn, batches, max_norm):
        accumulate(lambda x: encoder(x) + decoder(x), optimizer, loss_fn, batches)
        clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], max_norm, error_if_nonfinite=True)
        optimizer.step()

    for step in (together, made_inside, pairs, one_network, two_optimisers, one_optimiser):
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)
    report = check_scaling(apart)
    assert report.ok and report.family == "clipping of parameter groups, each by itself", str(report)
    assert check_scaling(one_left_out).faults == ("never-scales",)


def test_double_precision_by_default():
    def as_in_the_manual(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = clip(model, max_norm)
        optimizer.step()
        return norm

    def by_value(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        gp.clip_value_(model.parameters(), max_norm)
        optimizer.step()

    torch.set_default_dtype(torch.float64)
    try:
        right, manual = check_scaling(as_in_the_manual), check_scaling(per_sample(lambda g, count: g / count))
        wrong = check_scaling(by_value)
    finally:
        torch.set_default_dtype(torch.float32)
    assert right.ok and not right.undecided and manual.ok and wrong.faults == ("clip-by-value",)


def test_batches_may_be_nested():
    def unpacked(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for (x, mask), y in batches:
            (loss_fn(model(x, mask=mask), y) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def labelled(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for inputs, y in batches:
            output = model(inputs["input_ids"], attention_mask=inputs["attention_mask"])
            (loss_fn(output, y) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    def spread(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        for inputs, y in batches:
            (loss_fn(model(**inputs).logits, y) / len(batches)).backward()
        clip(model, max_norm)
        optimizer.step()

    for step in (unpacked, labelled, spread):
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)


def test_the_command_line_tells_a_step_from_a_penalty():
    for step in (
        lambda model, optimizer, loss_fn, batches, max_norm: None,
        lambda net, opt, criterion, loader, clip: None,
        lambda gen, critic, opt_g, opt_c, loss_fn, batches, max_norm: None,
        lambda generator_optimizer: None,
    ):
        assert is_step(step)
    for penalty in (
        lambda critic, real, fake: None,
        lambda netD, real, fake, opt: None,  # options
        lambda critic, real, fake, optional, criterion: None,
    ):
        assert not is_step(penalty)
