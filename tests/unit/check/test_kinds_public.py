"""Penalties as public programs have them: states and actions, encoded samples, conditions with a gradient."""

import pytest
import torch
from kinds import Cases, assert_judged, lengths, mixed, slopes, two_sided
from torch import nn
from torch.autograd import grad

CASES = Cases()
judged = CASES.judged

# ---------------------------------------------------------------- samples in parts


def joined(expert_state, expert_action, policy_state, policy_action):
    expert, policy = torch.cat([expert_state, expert_action], 1), torch.cat([policy_state, policy_action], 1)
    eps = torch.rand(len(expert), 1, device=expert.device).expand_as(expert)
    return (eps * expert + (1 - eps) * policy).detach().requires_grad_()


@judged(family="two-sided at interpolates")
def of_states_and_actions(discriminator, expert_state, expert_action, policy_state, policy_action, lambda_=10):
    x = joined(expert_state, expert_action, policy_state, policy_action)
    return lambda_ * two_sided(lengths(discriminator, x))


class Imitation(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 1))

    def compute_grad_pen(self, expert_state, expert_action, policy_state, policy_action, lambda_=10):
        x = joined(expert_state, expert_action, policy_state, policy_action)
        scores = self.trunk(x)
        (gradient,) = grad(scores, x, torch.ones_like(scores), create_graph=True)
        return lambda_ * (gradient.norm(2, dim=1) - 1).pow(2).mean()


judged(family="two-sided at interpolates")(Imitation().compute_grad_pen)


@judged("norm-over-batch", family="two-sided at interpolates")
def of_states_and_actions_over_the_batch(D, expert_obs, expert_acts, agent_obs, agent_acts):
    return (slopes(D, joined(expert_obs, expert_acts, agent_obs, agent_acts)).norm(2, dim=0) - 1).square().mean()


@judged(family="two-sided at interpolates")
def of_nodes_and_edges(discriminator, real_x, real_edges, fake_x, fake_edges):
    eps = torch.rand(len(real_x), 1, device=real_x.device)
    pairs = ((real_x, fake_x), (real_edges, fake_edges))
    inputs = [(eps * r + (1 - eps) * f).detach().requires_grad_() for r, f in pairs]
    gradients = grad(discriminator(*inputs).sum(), inputs, create_graph=True)
    return two_sided(torch.cat([g.flatten(1) for g in gradients], 1).norm(dim=1))


# ---------------------------------------------------------------- interpolates of what an encoder makes


class Encoded:
    def __init__(self, encoder, draw=torch.rand):
        self.critic, self.encoder, self.draw = nn.Linear(2, 1), encoder, draw

    def penalty(self, x_real, x_fake):
        real, fake = self.encoder(x_real), self.encoder(x_fake)
        eps = self.draw(len(real), *[1] * (real.ndim - 1), device=real.device)
        return two_sided(lengths(self.critic, (eps * real + (1 - eps) * fake).detach().requires_grad_()))


transformed = "two-sided at interpolates of transformed samples"
judged(family=transformed)(Encoded(torch.tanh).penalty)
judged(family=transformed)(Encoded(lambda x: x.sigmoid().flip(-1)).penalty)
judged("eps-not-uniform", family=transformed)(Encoded(torch.tanh, torch.randn).penalty)


@judged("wrong-points")
def sums_of_encoded_samples(critic, real, fake):
    eps = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    return two_sided(lengths(critic, (eps * real.tanh() + (1 + eps) * fake.tanh()).detach().requires_grad_()))


# ---------------------------------------------------------------- conditions


def at_matching_pairs(root, netD, imgs, sents):
    image, sentence = imgs.data.requires_grad_(), sents.data.requires_grad_()
    gradients = grad(netD(image, sentence).sum(), (image, sentence), create_graph=True)
    return 2.0 * root(torch.cat([g.reshape(len(g), -1) for g in gradients], 1)).pow(6).mean()


@judged(family="norm to the power 6 at the real samples", said="WGAN-div")
def at_matching_pairs_of_image_and_sentence(netD, imgs, sents):
    return at_matching_pairs(lambda g: g.norm(dim=1), netD, imgs, sents)


@judged("nan-at-zero-gradient", family="norm to the power 6 at the real samples")
def at_matching_pairs_with_a_bare_root(netD, imgs, sents):
    return at_matching_pairs(lambda g: g.square().sum(1).sqrt(), netD, imgs, sents)


@judged(family="two-sided at interpolates")
def with_embeddings(D, real_images, fake_images, sent_embs):
    x = mixed(real_images, fake_images)
    return two_sided(grad(D(x, sent_embs).sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


@judged(family="two-sided at interpolates")
def with_words_and_a_mask(netD, real, fake, words, mask):
    x = mixed(real, fake)
    scores = netD(x, words, mask=mask)
    return two_sided(grad(scores.sum(), x, create_graph=True)[0].flatten(1).norm(dim=1))


# ---------------------------------------------------------------- critics that are frozen, or asked twice


@judged("no-second-order-graph")
def of_a_frozen_critic(D, real, fake):
    for p in D.parameters():
        p.requires_grad = False
    return two_sided(lengths(D, mixed(real, fake)))


@judged("no-second-order-graph")
def of_a_critic_that_was_frozen_meanwhile(D, real, fake):
    D.requires_grad_(False)
    value = two_sided(lengths(D, mixed(real, fake)))
    D.requires_grad_(True)
    return value


@judged("no-second-order-graph")
def r1_of_a_frozen_critic(D, real):
    D.requires_grad_(False)
    return lengths(D, real.detach().requires_grad_()).square().mean()


@judged(ok=False, said="it does not differentiate the critic")
def the_same_place_twice(D, real):
    return (D(real) - D(real + 0 * real)).relu().mean()


@pytest.mark.parametrize(("penalty", "expected", "options"), CASES)
def test_public(penalty, expected, options):
    assert_judged(penalty, expected, options)
