"""The drift benchmark's parts: exact sums, steps, gradients, the controller, seeds side by side."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from experiments.bandit import _drift_summary, drift
from experiments.bandit import _sequences as sequences
from experiments.bandit._methods import (
    BY_KEY,
    METHODS,
    Controller,
    ess_gamma,
    estimated_kl,
    loss,
)
from experiments.bandit._sequences import Problems, Space
from experiments.bandit._steps import Stepper, clipped
from experiments.bandit._training import Schedule, train

SPACE = Space(symbols=3, length=3)
# Sums of 27 to a few hundred terms of order 1, in float64.
ROUNDING = 1e-12


pytestmark = pytest.mark.usefixtures("one_thread")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tables(seed, *axes):
    return sequences.log_table(normal(*axes, SPACE.states, SPACE.symbols, seed=seed))


def by_hand(table):
    """Return the probability of each sequence, token by token."""
    chances = []
    for y in itertools.product(range(3), repeat=3):
        p = table[0, y[0]].exp() * table[1 + y[0], y[1]].exp() * table[4 + y[1], y[2]].exp()
        chances.append(float(p))
    return np.array(chances)


def test_sequences_have_the_probabilities_of_their_tokens():
    table = tables(1)
    found = sequences.log_sequences(table, SPACE.entries()).exp().numpy()
    np.testing.assert_allclose(found, by_hand(table), rtol=ROUNDING)
    assert found.sum() == pytest.approx(1, abs=ROUNDING)
    assert len(found) == SPACE.count


def test_divergence_and_entropy_are_those_of_all_sequences():
    mu, pi = tables(1), tables(2)
    p, q = by_hand(mu), by_hand(pi)
    kl = sequences.divergence(sequences.visits(mu, SPACE), mu, pi)
    assert float(kl) == pytest.approx(np.sum(p * np.log(p / q)), abs=ROUNDING)
    entropy = sequences.entropy(sequences.visits(pi, SPACE), pi)
    assert float(entropy) == pytest.approx(-np.sum(q * np.log(q)), abs=ROUNDING)


def test_value_is_the_sum_over_all_sequences():
    pi, reward = tables(2), normal(SPACE.count, seed=3)
    found = drift._value(pi, reward, SPACE)
    assert float(found) == pytest.approx(by_hand(pi) @ reward.numpy(), abs=ROUNDING)


def test_tokens_of_many_tables_are_looked_up_in_their_own():
    both, entries = tables(4, 2), SPACE.entries()
    index = torch.tensor([[5, 0], [26, 13]])
    found = sequences.log_tokens(both, entries[index])
    for row in range(2):
        alone = sequences.log_tokens(both[row], entries[index[row]])
        assert torch.equal(found[row], alone)


def test_draws_invert_the_distribution_function():
    log_mu = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log()
    uniform = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.76, 1 - 1e-17], dtype=torch.float64)
    assert sequences.drawn(log_mu, uniform).tolist() == [0, 0, 1, 1, 2, 2]
    # A distribution whose sum is rounded to below 1 still has no sequence past its last.
    short = torch.full((3,), 1 / 3 - 1e-9, dtype=torch.float64).log()
    assert sequences.drawn(short, torch.tensor([1.0], dtype=torch.float64)).tolist() == [2]


def test_rewards_lie_between_0_and_1_and_have_a_mean_of_a_half():
    tasks = sequences.problems(Space(5, 4), 4, root=7)
    assert tasks.reward.shape == (4, 625)
    assert 0 < float(tasks.reward.min()) < float(tasks.reward.max()) < 1
    # The mean of 625 draws that are close to uniform: a standard error of 0.29/25 = 0.012.
    assert float((tasks.reward.mean(-1) - 0.5).abs().max()) < 0.06


@pytest.mark.parametrize(("rule", "there"), [("SGD", torch.optim.SGD), ("Adam", torch.optim.Adam)])
def test_steps_are_those_of_torch_each_with_its_rate(rule, there):
    rates, start = [0.3, 0.01], normal(2, 4, 3, seed=5)
    ours, stepper = start.clone(), Stepper(rule, torch.tensor(rates)[:, None, None])
    theirs = [start[i].clone().requires_grad_() for i in range(2)]
    optimisers = [there([x], lr=rate) for x, rate in zip(theirs, rates, strict=True)]
    for t in range(5):
        gradient = normal(2, 4, 3, seed=10 + t)
        ours = stepper.step(ours, gradient)
        for i in range(2):
            theirs[i].grad = gradient[i].clone()
            optimisers[i].step()
    # The rates are float32 in both; five steps of order 1 with a rounding of 1e-7 each at most.
    assert torch.allclose(ours, torch.stack(theirs).detach(), atol=1e-6)


def test_gradients_are_clipped_run_by_run():
    gradient = normal(2, 4, 3, seed=6)
    gradient[0] *= 100
    gradient[1] *= 0.01
    found = clipped(gradient, 1.0)
    assert float(found[0].norm()) == pytest.approx(1, abs=ROUNDING)
    assert torch.equal(found[1], gradient[1])
    assert torch.equal(clipped(torch.zeros(1, 2, 2), 1.0), torch.zeros(1, 2, 2))


N, LENGTH = 6, 3
REWARD = torch.tensor([0.7, -0.4, 0.2, -0.9, 0.1, -0.3], dtype=torch.float64)


def drawn_log():
    log_mu = -2 + 0.3 * normal(N, LENGTH, seed=8)
    return log_mu + 0.4 * normal(N, LENGTH, seed=9), log_mu


def weights_by_hand(key, log_pi, log_mu):
    """Return the gradient weight of each token, from the formulas of the papers."""
    w_t = np.exp((log_pi - log_mu).numpy())
    w = w_t.prod(-1, keepdims=True)
    r = REWARD.numpy()[:, None]
    ones = np.ones_like(w_t)
    positive = r >= 0

    def ratio(s, low, high, power):
        return np.where(np.where(positive, s <= 1 + high, s >= 1 - low), power * s, 0.0)

    ess = w_t.sum() ** 2 / (w_t**2).sum() / w_t.size
    s = w ** (1 / LENGTH)
    return (
        ones
        * {
            "sft": lambda: ones,
            "w^0.25": lambda: w**0.25,
            "w^0.5": lambda: w**0.5,
            "w^0.75": lambda: w**0.75,
            "is": lambda: w,
            "ppo": lambda: ratio(w_t, 0.2, 0.2, 1),
            "gspo": lambda: ratio(s, 3e-4, 4e-4, 1 / LENGTH),
            "gspo 0.2": lambda: ratio(s, 0.2, 0.2, 1 / LENGTH),
            "cispo": lambda: np.minimum(w_t, 5),
            "topr": lambda: np.where(positive, 1, np.minimum(w, 1)),
            "vespo": lambda: np.where(positive, w**2 * np.exp(3 - 3 * w), w**3 * np.exp(2 - 2 * w)),
            # The penalty adds (1 - ESS/n)(1 - 1/w) to the loss's gradient, whatever the reward.
            "p3o": lambda: np.minimum(w_t, ess) - (1 - ess) * (1 - 1 / w_t) / r,
            "dros": lambda: w / (w**2 + 1),
        }[key]()
    )


@pytest.mark.parametrize("key", [method.key for method in METHODS if method.rule == "none"])
def test_gradients_are_those_of_the_papers_weights(key):
    log_pi, log_mu = drawn_log()
    leaf = log_pi.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(BY_KEY[key], leaf, log_mu, REWARD), leaf)
    expected = -weights_by_hand(key, log_pi, log_mu) * REWARD.numpy()[:, None] / N
    # A few roundings of numbers of order 1.
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-10, atol=ROUNDING)


@pytest.mark.parametrize("key", ["w^g*", "w^g*, exact KL", "w^g*, batch KL"])
def test_each_run_has_a_gamma_of_its_own(key):
    log_pi, log_mu = (x.expand(2, N, LENGTH) for x in drawn_log())
    leaf, gamma = log_pi.clone().requires_grad_(), torch.tensor([0.3, 1.0], dtype=torch.float64)
    losses = loss(BY_KEY[key], leaf, log_mu, REWARD.expand(2, N), gamma)
    (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    log_w = (log_pi - log_mu).sum(-1)
    expected = -((gamma[:, None] * log_w).exp() * REWARD / N)[..., None].expand_as(leaf)
    assert torch.allclose(gradient, expected, atol=ROUNDING)


def test_gamma_is_the_papers_closed_form_row_by_row():
    log_w = torch.stack([0.1 * normal(50, seed=1), 3 * normal(50, seed=2)])
    found = ess_gamma(log_w, 0.3)
    sigma = log_w.std(-1, correction=0)
    assert float(found[0]) == 1
    assert float(found[1]) == pytest.approx(math.sqrt(-math.log(0.3)) / float(sigma[1]))


def test_the_controllers_law():
    controller = Controller(kappa=0.1, eta=0.3, low=1e-3)
    kl = torch.tensor([0.1, 0.2, 0.0, 50.0, 0.05], dtype=torch.float64)
    log_gamma = torch.tensor([-1.0, -1.0, -0.1, -1.0, -2.0], dtype=torch.float64)
    # At kappa it rests; above it falls by eta (KL/kappa - 1), below it rises, within its range.
    expected = [-1.0, -1.3, 0.0, math.log(1e-3), -1.85]
    assert controller.moved(log_gamma, kl).tolist() == pytest.approx(expected)


def test_the_estimated_divergence_has_the_exact_one_as_its_mean():
    mu, pi = tables(1), tables(2)
    log_w = [sequences.log_sequences(x, SPACE.entries()) for x in (pi, mu)]
    ratios = log_w[0] - log_w[1]
    # Over all sequences with mu's chances, not over a sample.
    terms = torch.stack([estimated_kl(ratio[None]) for ratio in ratios])
    kl = sequences.divergence(sequences.visits(mu, SPACE), mu, pi)
    assert float((log_w[1].exp() * terms).sum()) == pytest.approx(float(kl), abs=ROUNDING)
    assert bool((terms >= 0).all())


PLAN = Schedule(
    batches=2,
    draws=12,
    epochs=3,
    minibatches=2,
    centred=True,
    clip=0.2,
    rho_min=0.9,
    controller=Controller(kappa=0.01),
    root=3,
)


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("key", ["w^g*, exact KL", "p3o"])
def test_rates_and_seeds_do_not_feel_one_another(rule, key):
    tasks = sequences.problems(SPACE, 2, root=5)
    rates = torch.tensor([0.5, 0.05], dtype=torch.float64)[:, None, None, None]
    both, trace = train(BY_KEY[key], Stepper(rule, rates), 2, SPACE, tasks, PLAN)
    # The same problem in the second row too: the first run may not notice.
    first = Problems(tasks.reward[:1], tasks.start[:1])
    copies = Problems(first.reward.repeat(2, 1), first.start.repeat(2, 1, 1))
    twins, _ = train(BY_KEY[key], Stepper(rule, rates), 2, SPACE, copies, PLAN)
    assert torch.allclose(both[:, 0], twins[:, 0], atol=ROUNDING)
    assert not torch.allclose(both[:, 0], twins[:, 1])
    for i in range(2):
        alone, one = train(BY_KEY[key], Stepper(rule, rates[i : i + 1]), 1, SPACE, tasks, PLAN)
        assert torch.allclose(both[i], alone[0], atol=ROUNDING)
        assert torch.allclose(trace.kl[1][i], one.kl[1][0], atol=ROUNDING)


def test_while_gamma_is_1_the_rule_is_importance_sampling():
    tasks = sequences.problems(SPACE, 2, root=5)
    rates = torch.tensor([[[[1e-3]]]], dtype=torch.float64)
    found = [
        train(BY_KEY[key], Stepper("Adam", rates), 1, SPACE, tasks, PLAN) for key in ("w^g*", "is")
    ]
    assert torch.equal(found[0][0], found[1][0])
    steps = found[0][1].steps
    assert float(steps["calm"].sum()) > 0
    assert float(steps["calm_acting"].sum()) == 0


def test_without_negative_rewards_topr_is_sft():
    log_pi, log_mu = drawn_log()
    losses = [loss(BY_KEY[key], log_pi, log_mu, REWARD.abs()) for key in ("sft", "topr")]
    assert torch.equal(losses[0], losses[1])


def test_the_best_rate_is_chosen_on_the_tuning_seeds():
    settings = drift.Settings(seeds=4, tuning=4)
    cell = {"value": [[1, 1, 1, 1, 9, 9, 9, 9], [2, 2, 2, 2, 0, 0, 0, 0]]}
    assert _drift_summary.best_rate(settings, cell) == 1


def test_a_frozen_policy_has_a_mode_of_over_97_9_percent():
    # Of all policies with a mode p > 1/2 that with one other sequence has the least entropy.
    p = 0.979
    assert -p * math.log(p) - (1 - p) * math.log(1 - p) > _drift_summary.FROZEN


def test_the_rescue_pairs_seeds_and_stands_by_kind_of_reward():
    settings = drift.Settings(optimisers=("Adam",), adam=(0.1, 1.0), seeds=3, tuning=1)
    # The first score is the tuning seed's. At 0.1 gamma = 1 stays near and does not count.
    near_and_far = [[9.0, 0.1, 0.1, 0.1], [9.0, 2.0, 2.0, 2.0]]
    plain = {"first_kl": near_and_far, "value": [[0.0] * 4, [9.0, 0.1, 0.5, 0.9]]}
    # A little below gamma = 1 in every seed, though above it in three of the nine pairs of seeds.
    below = {"value": [[0.0] * 4, [0.0, 0.09, 0.49, 0.89]]}
    above = {"value": [[0.0] * 4, [0.0, 0.2, 0.6, 1.0]]}
    found = {
        "plain, Adam, w^g*": below,
        "plain, Adam, is": plain,
        "centred, Adam, w^g*": above,
        "centred, Adam, is": plain,
    }
    groups = [("plain", "Adam"), ("centred", "Adam")]
    rescue = _drift_summary._rescue(settings, found, groups)
    assert (rescue["settings"], rescue["behind"]) == (2, 1)
    # Whole seeds are resampled: each loses once and wins once, so that nothing is left to chance.
    assert rescue["chance"] == [0.5, 0.5, 0.5]
    assert rescue["by_reward"]["plain"]["chance"] == [0.0, 0.0, 0.0]
    assert rescue["by_reward"]["centred"]["chance"] == [1.0, 1.0, 1.0]


def test_without_a_rate_that_goes_far_there_is_no_chance():
    settings = drift.Settings(rewards=("plain",), optimisers=("Adam",), seeds=2, tuning=1)
    near = {"first_kl": [[0.1] * 3], "value": [[0.5] * 3]}
    found = {"plain, Adam, w^g*": near, "plain, Adam, is": near}
    rescue = _drift_summary._rescue(settings, found, [("plain", "Adam")])
    assert (rescue["settings"], rescue["chance"]) == (0, None)
