"""The checker of norm scaling on kinds of steps: what resembles a norm, parts of the gradient, memory, ways to call."""

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import gpcore as gp
from gpcore.check.step import check_scaling


def accumulate(model, optimizer, loss_fn, batches):
    optimizer.zero_grad()
    for x, y in batches:
        (loss_fn(model(x), y) / len(batches)).backward()


def clip(model, max_norm):
    return clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=True)


def with_scaling(scale):
    """A right step but for ``scale(parameters, max_norm)``, which stands where the clipping does."""

    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        parameters = list(model.parameters())
        if not gp.total_norm(parameters).isfinite():
            return
        scale(parameters, max_norm)
        optimizer.step()

    return step


def returning(what):
    def step(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = clip(model, max_norm)
        optimizer.step()
        return what(norm, optimizer, max_norm)

    return step


def by(length, parameters, max_norm):
    """Scale all gradients by ``max_norm / length`` where the length, which should be the norm, is above."""
    for p in parameters:
        p.grad.mul_((max_norm / length).clamp(max=1.0))


def norms(parameters):
    return torch.stack([p.grad.norm() for p in parameters])


def said(report):
    return " | ".join(report.undecided)


# ---------------------------------------------------------------- numbers that resemble a norm


def test_a_number_that_resembles_a_norm_is_none():
    for what in (
        lambda norm, optimizer, max_norm: optimizer.param_groups[0]["lr"],
        lambda norm, optimizer, max_norm: {"clip": max_norm, "step": 1},
        lambda norm, optimizer, max_norm: (norm > max_norm, 4, 37.0),
        lambda norm, optimizer, max_norm: float(max_norm / norm),  # the factor
        lambda norm, optimizer, max_norm: {"norm": norm, "applied": min(norm, max_norm)},
    ):
        report = check_scaling(returning(what))
        assert report.ok and not report.names and not report.undecided, str(report)


def test_the_applied_norm_is_still_found_among_such_numbers():
    report = check_scaling(
        returning(lambda norm, optimizer, max_norm: [1.0, {"lr": 0.37, "norm": min(float(norm), max_norm)}])
    )
    assert report.names == ("norm-logged-after",)


# ---------------------------------------------------------------- samples, micro-batches


def per_sample(total_of):
    def step(model, optimizer, loss_fn, batches, max_norm):
        optimizer.zero_grad()
        count = sum(len(x) for x, _ in batches)
        for batch in batches:
            for name, g in gp.per_sample_clip(loss_fn, model, batch, max_norm).items():
                p = model.get_parameter(name)
                p.grad = total_of(g, count) + (0 if p.grad is None else p.grad)
        optimizer.step()

    return step


def test_clipping_of_samples_is_told_from_clipping_of_micro_batches():
    for total_of in (lambda g, count: g, lambda g, count: g / count):
        report = check_scaling(per_sample(total_of))
        assert report.ok and not report.names and "each sample's own gradient" in report.family, str(report)

    def noisy(model, optimizer, loss_fn, batches, max_norm):
        per_sample(lambda g, count: (g + 0.1 * max_norm * torch.randn_like(g)) / count)(
            model, optimizer, loss_fn, batches, max_norm
        )

    report = check_scaling(noisy)
    assert report.ok and "each sample's own gradient, as in DP-SGD, with noise" in report.family, str(report)

    def micro_batches(model, optimizer, loss_fn, batches, max_norm):
        total = [torch.zeros_like(p) for p in model.parameters()]
        for batch in batches:
            accumulate(model, optimizer, loss_fn, [batch])
            clip(model, max_norm)
            for t, p in zip(total, model.parameters(), strict=True):
                t += p.grad
        for t, p in zip(total, model.parameters(), strict=True):
            p.grad = t
        optimizer.step()

    assert check_scaling(micro_batches).names == ("clip-per-micro-batch",)


def test_division_after_clipping_is_not_ok():
    def late(divide):
        def step(model, optimizer, loss_fn, batches, max_norm):
            optimizer.zero_grad()
            for x, y in batches:
                loss_fn(model(x), y).backward()
            clip(model, max_norm)
            for p in model.parameters():
                divide(p, len(batches))
            optimizer.step()

        return step

    for divide in (lambda p, n: p.grad.div_(n), lambda p, n: setattr(p, "grad", p.grad / n)):
        report = check_scaling(late(divide))
        assert not report.ok and not report.faults, str(report)
        assert "the norm 0.25 was applied: the threshold falls" in said(report)
    report = check_scaling(late(lambda p, n: p.grad.div_(7)))
    assert not report.ok and "gradient of norm 10 one of norm 0.1429" in said(report), str(report)


def test_one_batch_of_several_may_be_used():
    def first(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches[:1])
        clip(model, max_norm)
        optimizer.step()

    def following(model, optimizer, loss_fn, batches, max_norm):
        first(model, optimizer, loss_fn, [next(batches)], max_norm)

    def last(model, optimizer, loss_fn, batches, max_norm):
        first(model, optimizer, loss_fn, batches[-1:], max_norm)

    for step, which in ((first, "first"), (following, "first"), (last, "last")):
        report = check_scaling(step)
        assert report.ok and f"it used the {which} alone" in said(report), str(report)


# ---------------------------------------------------------------- which norm


def test_norms_that_are_not_the_gradients_are_not_ok():
    for length, number in (
        (lambda ps: norms(ps).sum(), "the sum of the parameters' norms"),
        (lambda ps: norms(ps).square().sum(), "the square of the norm"),
        (lambda ps: norms(ps).mean(), "the sum of the parameters' norms"),
        (lambda ps: norms(ps).max(), "how it scales"),
        (lambda ps: torch.cat([p.grad.flatten() for p in ps]).square().mean().sqrt(), "one of norm 3.162"),
    ):
        report = check_scaling(with_scaling(lambda ps, m, length=length: by(length(ps), ps, m)))
        assert not report.ok and not report.faults and number in said(report), str(report)


def test_parts_that_are_clipped_apart_are_named():
    def each(parameters, max_norm):
        for p in parameters:
            clip_grad_norm_(p, max_norm)

    def groups(parameters, max_norm):
        gp.clip_group_norms_([{"params": parameters[:2]}, {"params": parameters[2:]}], max_norm)

    def rows(parameters, max_norm):
        for p in parameters:
            p.grad.mul_((max_norm / p.grad.norm(dim=-1, keepdim=True)).clamp(max=1.0))

    def each_then_all(parameters, max_norm):
        each(parameters, max_norm)
        clip_grad_norm_(parameters, max_norm)

    for scale, family in (
        (each, "clipping of each parameter by itself"),
        (groups, "clipping of parameter groups, each by itself"),
        (rows, "clipping of each row by itself"),
        (each_then_all, "clipping of every parameter alone, then of all together"),
        (lambda ps, m: gp.clip_rms_(ps, m), "clipping by each parameter's root mean square, as Adafactor clips"),
        (lambda ps, m: gp.clip_norm_(ps, m, 1.0), "clipping by the sum of absolute values"),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family.startswith(family) and "meant" in said(report), str(report)


def test_parameters_that_are_left_out_are_a_fault():
    def first_group(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        clip_grad_norm_(optimizer.param_groups[0]["params"], max_norm, error_if_nonfinite=True)
        optimizer.step()

    (finding,) = check_scaling(first_group).findings
    assert finding.name == "never-scales" and "third left whole, with the norm 2.19" in finding.observed
    assert "the optimiser's two groups" in finding.observed
    for some in (slice(0, 1), slice(1, 3), slice(2, 3)):
        report = check_scaling(with_scaling(lambda ps, m, some=some: clip_grad_norm_(ps[some], m)))
        assert report.faults == ("never-scales",) and "left whole" in report.findings[0].observed, str(report)


def test_values_and_norms_cut_together_are_named():
    def both(value, parameters, max_norm):
        clip_grad_value_(parameters, value)
        clip_grad_norm_(parameters, max_norm)

    for value in (0.5, 1.0, 30.0):
        report = check_scaling(with_scaling(lambda ps, m, value=value: both(value, ps, m)))
        assert report.family == "value clipping, then norm clipping" and report.faults == ("clip-by-value",)
        assert f"elements beyond {value:g} were cut, then the norm" in report.findings[0].observed

    def other_order(parameters, max_norm):
        clip_grad_norm_(parameters, max_norm)
        clip_grad_value_(parameters, 0.3)

    report = check_scaling(with_scaling(other_order))
    assert report.family == "norm clipping, then value clipping" and report.faults == ("clip-by-value",), str(report)


def test_linear_maps_before_and_after_the_clipping_are_seen():
    def centralise(parameters):
        for p in parameters:
            if p.ndim > 1:
                p.grad -= p.grad.mean(dim=1, keepdim=True)

    for scale in (
        lambda ps, m: (centralise(ps), clip_grad_norm_(ps, m)),
        lambda ps, m: (clip_grad_norm_(ps, m), centralise(ps)),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family == "norm clipping, with centralisation", str(report)
    report = check_scaling(with_scaling(lambda ps, m: centralise(ps)))
    assert report.faults == ("never-scales",)
    report = check_scaling(with_scaling(lambda ps, m: (ps[0].grad.mul_(0.1), clip_grad_norm_(ps, m))))
    assert report.ok and "0.1 (first), 1 (second), 1 (third)" in said(report), str(report)


def test_scaling_relative_to_the_weights_is_named():
    def by_layer(parameters, max_norm):
        for p in parameters:
            if p.detach().norm() > 0:
                p.grad.mul_(0.001 * p.detach().norm() / p.grad.norm())

    def weight_decay(parameters, max_norm):
        for p in parameters:
            p.grad.add_(p.detach(), alpha=0.01)
        clip_grad_norm_(parameters, max_norm)

    for scale, family in (
        (lambda ps, m: gp.adaptive_clip_(ps, 0.01), "adaptive clipping, as in NFNets: each row's"),
        (lambda ps, m: gp.adaptive_clip_(ps, 0.2 * m), "adaptive clipping, as in NFNets: each row's"),
        (by_layer, "layer-wise scaling, as in LARS and LAMB: each parameter's"),
        (weight_decay, "norm clipping"),
    ):
        report = check_scaling(with_scaling(scale))
        assert report.ok and report.family.startswith(family), str(report)


def test_noise_after_clipping_does_not_hide_it():
    def noise(ps, m):
        for p in ps:
            p.grad.add_(torch.randn_like(p), alpha=0.3 * m)

    report = check_scaling(with_scaling(lambda ps, m: (clip_grad_norm_(ps, m), noise(ps, m))))
    assert report.ok and report.family == "norm clipping, with noise" and not report.undecided, str(report)
    report = check_scaling(with_scaling(lambda ps, m: noise(ps, m)))
    assert report.faults == ("never-scales",)
    report = check_scaling(with_scaling(lambda ps, m: [p.grad.mul_(torch.rand(1)) for p in ps]))
    assert not report.ok and "from one random seed to the next" in said(report)


# ---------------------------------------------------------------- memory


def test_thresholds_that_follow_earlier_norms_are_named():
    history = []

    def by_hand(parameters, max_norm):
        history.append(float(gp.total_norm(parameters)))
        clip_grad_norm_(parameters, sorted(history)[len(history) // 2])

    for scale in (gp.AutoClip(), gp.AutoClip(50.0, window=20), gp.ZClip()):
        before = scale.state_dict()
        report = check_scaling(with_scaling(lambda ps, m, scale=scale: scale(ps)))
        assert report.ok and "a threshold that follows earlier norms" in report.family, str(report)
        assert scale.state_dict() == before  # the reader's own
    report = check_scaling(with_scaling(by_hand))
    assert report.ok and "a threshold that follows earlier norms" in report.family and not history, str(report)


def test_spikes_that_are_left_out_are_named():
    mean = {}

    def running(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        norm = float(gp.total_norm(model.parameters()))
        if norm > 3 * mean.get("norm", norm):
            return
        mean["norm"] = 0.9 * mean.get("norm", norm) + 0.1 * norm
        optimizer.step()

    report = check_scaling(running)
    assert report.ok and "left out where the norm is far above earlier ones" in report.family and not mean, str(report)

    def fixed(model, optimizer, loss_fn, batches, max_norm):
        accumulate(model, optimizer, loss_fn, batches)
        if clip(model, max_norm) < 500:
            optimizer.step()

    report = check_scaling(fixed)
    assert report.ok and report.family == "norm clipping"
    assert "it took none with a gradient of norm 1000" in said(report)


class Counting:
    """As accelerate and Lightning have it: every call brings one micro-batch, every k-th one steps."""

    def __init__(self, count, each):
        self.count, self.each, self.calls = count, each, 0

    def __call__(self, model, optimizer, loss_fn, batches, max_norm):
        x, y = batches[0]
        (loss_fn(model(x), y) / self.count).backward()
        self.calls += 1
        if self.each or self.calls % self.count == 0:
            clip(model, max_norm)
        if self.calls % self.count == 0:
            optimizer.step()
            optimizer.zero_grad()


calls = 0


def counted_by_a_global(model, optimizer, loss_fn, batches, max_norm):
    global calls
    (loss_fn(model(batches[0][0]), batches[0][1]) / 5).backward()
    calls += 1
    if calls % 5 == 0:
        clip(model, max_norm)
        optimizer.step()
        optimizer.zero_grad()


def test_micro_batches_are_counted_over_calls():
    for count in (3, 4):
        step = Counting(count, each=False)
        report = check_scaling(step)
        assert report.ok and report.family == "norm clipping" and not report.undecided, str(report)
        assert step.calls == 0
        assert check_scaling(Counting(count, each=True)).names == ("clip-per-micro-batch",)
    report = check_scaling(counted_by_a_global)
    assert report.ok and not report.undecided and calls == 0, str(report)


scaler_of_the_script = torch.amp.GradScaler("cpu", init_scale=1000.0)


def in_mixed_precision(scaler, unscale, model, optimizer, loss_fn, batches, max_norm):
    optimizer.zero_grad()
    for x, y in batches:
        scaler.scale(loss_fn(model(x), y) / len(batches)).backward()
    if unscale:
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), max_norm)
    else:
        clip_grad_norm_(model.parameters(), max_norm * scaler.get_scale())
    scaler.step(optimizer)


def test_a_scaler_that_is_never_updated_is_not_ok():
    def given(model, optimizer, loss_fn, batches, max_norm, scaler):
        in_mixed_precision(scaler, True, model, optimizer, loss_fn, batches, max_norm)

    def of_the_script(*arguments):
        in_mixed_precision(scaler_of_the_script, True, *arguments)

    def without_unscaling(model, optimizer, loss_fn, batches, max_norm, scaler):
        in_mixed_precision(scaler, False, model, optimizer, loss_fn, batches, max_norm)

    for step in (given, of_the_script, without_unscaling):
        report = check_scaling(step)
        assert not report.ok and not report.faults and "Call scaler.update()" in said(report), str(report)


def test_what_the_step_holds_comes_back_as_it_was():
    generator, numbers, settings = torch.Generator().manual_seed(3), [1, 2], {"a": 1}
    weight, count = torch.zeros(3), 0
    other = torch.nn.Linear(2, 1)
    held = torch.optim.Adam(other.parameters())

    def step(model, optimizer, loss_fn, batches, max_norm):
        nonlocal count
        accumulate(model, optimizer, loss_fn, batches)
        clip(model, max_norm)
        torch.rand(2, generator=generator)
        numbers.append(0), settings.update(b=2), weight.add_(1.0)
        count += 1
        other(torch.ones(1, 2)).sum().backward()
        held.step()
        optimizer.step()

    before = generator.get_state().tolist(), [p.tolist() for p in other.parameters()]
    assert check_scaling(step).ok
    assert before == (generator.get_state().tolist(), [p.tolist() for p in other.parameters()])
    assert (numbers, settings, weight.tolist(), count) == ([1, 2], {"a": 1}, [0.0] * 3, 0)
    assert not held.state_dict()["state"] and all(p.grad is None for p in other.parameters())


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
