"""The loss: its gradient against enumeration, its forms, its sharing out, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from isr_theory import weights
from isr_theory.training import (
    ATLAS,
    DifferentiatedPowerWarning,
    ISReshapeLoss,
    View,
    WeightFunction,
)
from isr_theory.training import batch as batch_module
from isr_theory.training import loss as loss_module
from isr_theory.training import plan as plan_module
from isr_theory.training import update as update_module

torch.set_num_threads(1)

# Sums of at most 30 terms of order 1 in float64, differentiated once: a few hundred roundings.
TOLERANCE = 1e-13

# Two prompts. A batch in which every outcome stands as often as mu says is the population: every
# mean over it is an expectation under mu, and the loss's gradient the population's.
TIMES = np.array([[6, 3, 1], [1, 2, 2]])
MU = TIMES / TIMES.sum(1, keepdims=True)
REWARD = np.array([[1.0, 2.0, 4.0], [3.0, 0.0, 0.5]])
LOGITS = np.array([[0.3, -0.2, 0.5], [-0.7, 0.4, 0.1]])
PROMPT = np.repeat(np.repeat([0, 1], 3), TIMES.ravel())
ACTION = np.repeat(np.tile(np.arange(3), 2), TIMES.ravel())
GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def softmax(logits):
    own = np.exp(logits - logits.max(-1, keepdims=True))
    return own / own.sum(-1, keepdims=True)


def enumerated(gamma, normalisation="group", reward_normaliser=False, centred=False, reward=REWARD):
    """The population's gradient of -loss in the logits, outcome by outcome, without torch."""
    pi = softmax(LOGITS)
    w = pi / MU
    mean = (MU * reward).sum(1, keepdims=True) if centred else 0.0
    norm = w**gamma * (reward if reward_normaliser else 1.0)
    by_prompt = (MU * norm).sum(1)
    sizes = TIMES.sum(1) / TIMES.sum()
    by_prompt, share = {
        "group": (by_prompt, np.array([0.5, 0.5])),
        "batch": ((sizes * by_prompt).sum() * np.ones(2), sizes),
        "none": (np.ones(2), sizes),
    }[normalisation]
    gradient = np.zeros((2, 3))
    for x, y in itertools.product(range(2), range(3)):
        score = (np.arange(3) == y) - pi[x]
        weight = w[x, y] ** gamma * (reward - mean)[x, y]
        gradient[x] += share[x] * MU[x, y] * weight * score / by_prompt[x]
    return gradient


def log_probs(logits, prompt=PROMPT, action=ACTION):
    return torch.log_softmax(logits, -1)[prompt, action]


def population(rewarded=True):
    """The batch that is the population: logits to differentiate in, and the loss's arguments."""
    logits = torch.tensor(LOGITS, requires_grad=True)
    log_mu = torch.tensor(np.log(MU)[PROMPT, ACTION])
    rewards = torch.tensor(REWARD[PROMPT, ACTION]) if rewarded else None
    return logits, log_mu, rewards, torch.tensor(PROMPT)


def found(loss, rewarded=True):
    """The gradient of -loss in the logits."""
    logits, log_mu, rewards, groups = population(rewarded)
    value, _ = loss(log_probs(logits), log_mu, rewards, groups=groups if loss.uses_groups else None)
    (slope,) = torch.autograd.grad(value, logits)
    return -slope.numpy()


def close(actual, expected):
    return np.allclose(actual, expected, rtol=0, atol=TOLERANCE)


FORMS = {"detached": lambda gamma: 1.0, "boxcox": lambda gamma: 1.0, "differentiated": float}


def loss_of(**settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DifferentiatedPowerWarning)
        return ISReshapeLoss(**settings)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("normalisation", ["group", "batch", "none"])
@pytest.mark.parametrize("baseline", ["none", "mean", "control"])
def test_the_gradient_is_that_of_enumeration(gamma, form, normalisation, baseline):
    control = {"control": 0.0} if baseline == "control" else {}
    loss = loss_of(
        gamma=gamma, form=form, normalisation=normalisation, baseline=baseline, **control
    )
    expected = enumerated(gamma, normalisation, centred=baseline == "mean")
    assert close(found(loss), FORMS[form](gamma) * expected)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("normalisation", ["group", "batch"])
@pytest.mark.parametrize("baseline", ["none", "control"])
def test_the_reward_in_the_normaliser_makes_the_target_a_distribution(
    gamma, form, normalisation, baseline
):
    loss = loss_of(
        gamma=gamma,
        form=form,
        normalisation=normalisation,
        reward_normaliser=True,
        baseline=baseline,
        **({"control": 0.0} if baseline == "control" else {}),
    )
    expected = enumerated(gamma, normalisation, reward_normaliser=True)
    assert close(found(loss), FORMS[form](gamma) * expected)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("normalisation", ["group", "batch", "none"])
@pytest.mark.parametrize("c", [-2.0, 0.7, 30.0])
def test_a_control_of_any_size_leaves_the_gradient_where_it_is(gamma, normalisation, c):
    loss = ISReshapeLoss(gamma=gamma, normalisation=normalisation, baseline="control", control=c)
    # The terms that cancel are c times as large.
    assert np.allclose(found(loss), enumerated(gamma, normalisation), rtol=0, atol=1e-13 * abs(c))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "settings", [{}, {"normalisation": "none"}, {"reward_normaliser": True}], ids=str
)
def test_a_fitted_control_leaves_the_mean_over_all_batches(gamma, settings):
    """Every batch of four draws of the first prompt, weighted by how likely mu makes it."""
    plain = ISReshapeLoss(gamma=gamma, **settings)
    controlled = ISReshapeLoss(gamma=gamma, baseline="control", **settings)
    means, moved = [np.zeros(3), np.zeros(3)], 0.0
    for draws in itertools.product(range(3), repeat=4):
        chance = MU[0, list(draws)].prod()
        slopes = []
        for loss in (plain, controlled):
            logits = torch.tensor(LOGITS[0], requires_grad=True)
            value, _ = loss(
                torch.log_softmax(logits, -1)[list(draws)],
                torch.tensor(np.log(MU[0, list(draws)])),
                torch.tensor(REWARD[0, list(draws)]),
            )
            slopes.append(torch.autograd.grad(value, logits)[0].numpy())
        means = [mean + chance * slope for mean, slope in zip(means, slopes, strict=True)]
        moved = max(moved, np.abs(slopes[0] - slopes[1]).max())
    assert moved > 0.1
    assert close(*means)


def test_a_control_takes_away_variance():
    rng = np.random.default_rng(3)
    shift = 0.5
    slopes = {"none": [], "control": []}
    for _ in range(300):
        theta = torch.tensor(shift, dtype=torch.float64, requires_grad=True)
        y = torch.tensor(rng.standard_normal(32))
        for baseline, kept in slopes.items():
            loss = ISReshapeLoss(gamma=0.5, normalisation="none", baseline=baseline)
            value, _ = loss(-((y - theta) ** 2) / 2, -(y**2) / 2)
            kept.append(float(torch.autograd.grad(value, theta)[0]))
    # The audit of this law has 0.0929 against 0.941 with the best c; a fitted one gets a part.
    assert np.var(slopes["control"]) < 0.5 * np.var(slopes["none"])


# g_gamma of the first prompt, mu = (.6, .3, .1) and r = (1, 2, 4), to 18 digits by enumeration.
KNOWN = {
    0.25: (-0.0591946224946255478, 0.196955074769830425, -0.137760452275204877),
    0.5: (-0.175617855959783102, 0.121423863845234618, 0.0541939921145484837),
    1.0: (-0.534028781808318184, -0.109426420516309439, 0.643455202324627622),
}
# F = -grad D_(1-gamma)(mu || pi) for r = 1.
KNOWN_WITHOUT = {
    0.25: (0.202262491146061698, 0.0772104701554416908, -0.279472961301503389),
    0.5: (0.145915463182361941, 0.0606107400858673829, -0.206526203268229324),
    0.75: (0.0773664114657589972, 0.0346026625700908658, -0.111969074035849863),
}


@pytest.mark.parametrize("form", ["detached", "boxcox"])
def test_known_gradients(form):
    draws = ACTION[PROMPT == 0]
    log_mu = torch.tensor(np.log(MU[0, draws]))
    for known, normalisation, rewards in (
        (KNOWN, "none", torch.tensor(REWARD[0, draws])),
        (KNOWN_WITHOUT, "group", None),
    ):
        for gamma, expected in known.items():
            logits = torch.tensor(LOGITS[0], requires_grad=True)
            loss = ISReshapeLoss(gamma=gamma, form=form, normalisation=normalisation)
            value, _ = loss(torch.log_softmax(logits, -1)[draws], log_mu, rewards)
            (slope,) = torch.autograd.grad(value, logits)
            assert close(-slope.numpy(), expected)


def test_without_rewards_the_rescaled_gradient_lives_up_to_gamma_1():
    one = np.ones_like(REWARD)
    for gamma in (0.0, 0.5, 0.9):
        plain = enumerated(gamma, reward=one)
        rescaled = found(ISReshapeLoss(gamma=gamma, rescale=True), rewarded=False)
        assert np.allclose(rescaled, plain / (1 - gamma), rtol=0, atol=1e-12)
    pi = softmax(LOGITS)
    # -grad KL(pi || mu), half of it for each prompt.
    slope = -pi * (np.log(pi / MU) - (pi * np.log(pi / MU)).sum(1, keepdims=True)) / 2
    at_one = found(ISReshapeLoss(gamma=1.0, rescale=True), rewarded=False)
    assert close(at_one, slope)
    near = found(ISReshapeLoss(gamma=1 - 1e-9, rescale=True), rewarded=False)
    assert np.allclose(near, slope, rtol=0, atol=1e-8)
    assert close(found(ISReshapeLoss(gamma=1.0), rewarded=False), 0 * slope)


def test_the_box_cox_objective_is_what_its_gradient_says():
    """(1/gamma) E_mu[r (w^gamma - 1)], by differences of its own value; the detached has none."""
    logits, log_mu, rewards, _ = population()
    for gamma in (0.0, 1e-9, 0.5, 1.0):
        for form in ("boxcox", "detached"):
            loss = ISReshapeLoss(gamma=gamma, form=form, normalisation="none")

            def value(at, loss=loss):
                return float(loss(log_probs(at), log_mu, rewards)[0])

            step, gains = 1e-6, np.zeros((2, 3))
            with torch.no_grad():
                if form == "boxcox":
                    w = np.exp(log_probs(logits).numpy() - log_mu.numpy())
                    power = np.log(w) if gamma == 0 else np.expm1(gamma * np.log(w)) / gamma
                    assert value(logits) == pytest.approx(-(power * rewards.numpy()).mean())
                for place in itertools.product(range(2), range(3)):
                    moved = torch.zeros(2, 3, dtype=torch.float64)
                    moved[place] = step
                    gains[place] = (value(logits - moved) - value(logits + moved)) / (2 * step)
            same = np.allclose(gains, enumerated(gamma, "none"), rtol=0, atol=1e-8)
            assert same == (form == "boxcox" or gamma < 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_box_cox_objective_is_smooth_to_gamma_0(dtype):
    log_pi, log_mu, rewards = (part.detach() for part in sequences(dtype=dtype))
    leaf = log_pi.requires_grad_(True)
    at = {
        gamma: slope_of(
            ISReshapeLoss(gamma=gamma, form="boxcox", normalisation="none"), leaf, log_mu, rewards
        )
        for gamma in (0.0, 1e-45, 1e-40, 1e-35, 1e-31, 1e-25)
    }
    # gamma log w is below 1e-24, next to roundings of 1e-7 and 1e-16.
    for slope, value, _ in at.values():
        torch.testing.assert_close(value, at[0.0][1], rtol=1e-6, atol=0)
        torch.testing.assert_close(slope, at[0.0][0], rtol=1e-6, atol=0)


def test_the_forms_agree_and_differ_as_they_should():
    for gamma in GAMMAS:
        detached, boxcox, power = (found(loss_of(gamma=gamma, form=form)) for form in FORMS)
        assert close(detached, boxcox)
        assert close(power, gamma * detached)
        assert close(detached, power) == (gamma == 1)
    at_zero = found(loss_of(gamma=0.0, form="boxcox"))
    near_zero = found(loss_of(gamma=1e-10, form="boxcox"))
    assert np.allclose(at_zero, near_zero, rtol=0, atol=1e-9)
    assert close(at_zero, enumerated(0.0))


def test_the_differentiated_power_warns():
    with pytest.warns(DifferentiatedPowerWarning, match="0 at gamma = 0 where SFT's is 1"):
        ISReshapeLoss(form="differentiated")


def attached(self):
    return self.log_pi - self.log_mu


def over_the_batch(settings, batch):
    return torch.zeros_like(batch.prompt), batch.n_groups


def mean_of_all(over, cell, cells, *parts):
    return tuple(part.sum().expand(cells) for part in parts)


def upside_down(self):
    return (self.log_mu - self.log_pi).detach()


def sign_lost(weight, log_pi):
    return weight.abs() * log_pi


BUGS = {
    "a missing detach": (batch_module.Batch, "log_w", property(attached)),
    "mu over pi": (batch_module.Batch, "log_w", property(upside_down)),
    "the normaliser over the whole batch": (plan_module, "cells_of", over_the_batch),
    "sums over the wrong axis": (plan_module, "_sums", mean_of_all),
    "the sign of a centred reward lost": (loss_module, "held", sign_lost),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_same_checks_catch_planted_bugs(bug, monkeypatch):
    def checks():
        return [
            close(found(ISReshapeLoss(gamma=0.5)), enumerated(0.5)),
            close(found(ISReshapeLoss(gamma=0.5, baseline="mean")), enumerated(0.5, centred=True)),
        ]

    assert all(checks())
    where, name, wrong = BUGS[bug]
    monkeypatch.setattr(where, name, wrong)
    if hasattr(update_module, name):
        monkeypatch.setattr(update_module, name, wrong)
    assert not all(checks())


def test_a_baseline_without_the_ratio_would_be_caught():
    # b times w^gamma in place of b times w: what "mean" does, and what "control" must not.
    assert not close(found(ISReshapeLoss(gamma=0.5, baseline="mean")), enumerated(0.5))
    assert close(
        found(ISReshapeLoss(gamma=1.0, baseline="mean", normalisation="none")),
        enumerated(1.0, "none"),
    )


def sequences(n=64, scale=2.0, dtype=torch.float64, seed=0):
    rng = np.random.default_rng(seed)
    log_mu = torch.tensor(-3 + rng.standard_normal(n), dtype=dtype)
    log_w = torch.tensor(scale * rng.standard_normal(n), dtype=dtype)
    return (log_mu + log_w).requires_grad_(True), log_mu, torch.tensor(rng.random(n), dtype=dtype)


def slope_of(loss, log_pi, *rest, **named):
    value, metrics = loss(log_pi, *rest, **named)
    return torch.autograd.grad(value, log_pi)[0], value.detach(), metrics


@pytest.mark.parametrize("method", weights.METHODS)
def test_gamma_and_the_metrics_are_those_of_the_library(method):
    log_pi, log_mu, rewards = sequences()
    log_w = (log_pi - log_mu).detach()
    slope, value, metrics = slope_of(ISReshapeLoss(method=method), log_pi, log_mu, rewards)
    gamma = float(weights.gamma_star(log_w, method=method))
    own = weights.normalized_weights(log_w, gamma)
    assert 0.2 < gamma < 0.9
    assert float(metrics["gamma"]) == pytest.approx(gamma, rel=1e-12)
    assert float(metrics["ess_ratio"]) == pytest.approx(float(weights.ess_ratio(log_w, gamma)))
    assert float(metrics["sigma2"]) == pytest.approx(float(log_w.var(correction=0)))
    assert float(metrics["kl"]) == pytest.approx(-float(log_w.mean()))
    update = own * rewards
    assert float(metrics["max_weight"]) == pytest.approx(float(update.max() / update.sum()))
    ess = update.sum() ** 2 / (update**2).sum() / 64
    assert float(metrics["ess_update"]) == pytest.approx(float(ess))
    torch.testing.assert_close(slope, -update, rtol=1e-12, atol=0)
    torch.testing.assert_close(value, metrics["loss"])
    assert bool(metrics["finite"])
    for metric in metrics.values():
        assert metric.ndim == 0
        assert not metric.requires_grad


def test_the_metrics_say_what_a_mean_baseline_does():
    log_pi, log_mu, rewards = sequences()
    for gamma, biased in ((0.5, True), (1.0, False)):
        loss = ISReshapeLoss(gamma=gamma, baseline="mean", normalisation="none")
        slope, _, metrics = slope_of(loss, log_pi, log_mu, rewards)
        assert bool(metrics["baseline_biased"]) == biased
        share = float(slope.clamp(min=0).sum() / slope.abs().sum())
        assert 0.1 < share < 0.9
        assert float(metrics["negative_share"]) == pytest.approx(share)
    for settings, biased in (
        ({"baseline": "control"}, False),
        ({"baseline": "mean", "weight": "sft"}, True),
        ({"baseline": "mean", "weight": "is"}, False),
    ):
        _, metrics = ISReshapeLoss(**settings)(log_pi, log_mu, rewards)
        assert bool(metrics["baseline_biased"]) == biased


def test_the_dead_zone_is_shown():
    log_pi, log_mu, rewards = sequences(scale=0.1)
    assert bool(ISReshapeLoss()(log_pi, log_mu)[1]["dead_zone"])
    assert not bool(ISReshapeLoss(rescale=True)(log_pi, log_mu)[1]["dead_zone"])
    assert not bool(ISReshapeLoss()(log_pi, log_mu, rewards)[1]["dead_zone"])
    assert not bool(ISReshapeLoss(gamma_max=0.9)(log_pi, log_mu)[1]["dead_zone"])
    assert bool(ISReshapeLoss(weight="is")(log_pi, log_mu)[1]["dead_zone"])
    assert not bool(ISReshapeLoss(weight="sft")(log_pi, log_mu)[1]["dead_zone"])


@pytest.mark.parametrize("reward", [2.0, 0.0, -1.5])
def test_the_dead_zone_of_equal_rewards_is_shown(reward):
    log_pi, log_mu, rewards = sequences(scale=0.1)
    same = torch.full_like(rewards, reward)
    assert bool(ISReshapeLoss()(log_pi, log_mu, same)[1]["dead_zone"])
    assert bool(ISReshapeLoss(weight="is")(log_pi, log_mu, same)[1]["dead_zone"])
    assert not bool(ISReshapeLoss(gamma=0.9)(log_pi, log_mu, same)[1]["dead_zone"])
    assert not bool(ISReshapeLoss()(log_pi[:1], log_mu[:1], same[:1])[1]["dead_zone"])
    same[5] += 1e-9
    assert not bool(ISReshapeLoss()(log_pi, log_mu, same)[1]["dead_zone"])


def test_a_mean_baseline_with_w_itself_only_scales_the_mean_over_all_batches():
    """By enumeration of every batch of n: (1 - 1/n) E_mu[w r s], as `baseline_biased` has it."""
    n, mean = 3, np.zeros(3)
    loss = ISReshapeLoss(weight="is", baseline="mean")
    for draws in itertools.product(range(3), repeat=n):
        logits = torch.tensor(LOGITS[0], requires_grad=True)
        value, metrics = loss(
            torch.log_softmax(logits, -1)[list(draws)],
            torch.tensor(np.log(MU[0, list(draws)])),
            torch.tensor(REWARD[0, list(draws)]),
        )
        assert not bool(metrics["baseline_biased"])
        mean -= MU[0, list(draws)].prod() * torch.autograd.grad(value, logits)[0].numpy()
    assert close(mean, (1 - 1 / n) * np.array(KNOWN[1.0]))


def test_one_sequence_has_the_weight_1_and_gamma_max():
    log_pi = torch.tensor([-2.0], requires_grad=True)
    for settings in ({}, {"form": "boxcox"}, {"method": "auto"}, {"baseline": "control"}):
        loss = ISReshapeLoss(gamma_max=0.8, **settings)
        slope, _, metrics = slope_of(loss, log_pi, torch.tensor([-1.0]))
        assert float(metrics["gamma"]) == pytest.approx(0.8)
        assert float(slope) == -1
        assert bool(metrics["finite"])


@pytest.mark.parametrize("form", ["detached", "boxcox"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("normalisation", ["group", "batch"])
def test_nothing_overflows_where_weights_are_normalised(form, dtype, normalisation):
    log_w = torch.tensor([-1e4, 0.0, 1e4, 1e4 - 1, 5e3, -math.inf], dtype=dtype)
    log_mu = torch.full((6,), -10.0, dtype=dtype)
    for gamma in (0.0, 0.5, 1.0, None):
        log_pi = (log_mu + log_w).requires_grad_(True)
        loss = ISReshapeLoss(gamma=gamma, form=form, normalisation=normalisation)
        slope, _, metrics = slope_of(loss, log_pi, log_mu)
        assert bool(metrics["finite"])
        expected = weights.normalized_weights(log_w, float(metrics["gamma"]))
        # Exponents of up to 1e4 are rounded at their size; terms that count are within 100 of 0.
        torch.testing.assert_close(
            -slope, expected, rtol=1e-3 if dtype.itemsize == 4 else 1e-11, atol=1e-30
        )


def test_large_weights_that_are_not_normalised_are_finite_while_they_are():
    for top, finite in ((60.0, True), (100.0, False)):
        log_pi = torch.tensor([top, 0.0], requires_grad=True)
        loss = ISReshapeLoss(gamma=1.0, normalisation="none")
        slope, _, metrics = slope_of(loss, log_pi, torch.zeros(2))
        assert bool(metrics["finite"]) == finite == bool(torch.isfinite(slope).all())
    log_pi = torch.tensor([60.0, 60.0])
    _, metrics = loss(log_pi, torch.zeros(2))
    assert float(metrics["ess_update"]) == 1.0
    assert float(metrics["max_weight"]) == 0.5


def test_the_order_of_sequences_and_the_numbers_of_groups_do_not_matter():
    log_pi, log_mu, rewards = sequences()
    rng = np.random.default_rng(1)
    groups = torch.tensor(rng.integers(0, 9, 64))
    order, names = torch.tensor(rng.permutation(64)), torch.tensor(rng.permutation(64))
    for settings in ({}, {"baseline": "mean"}, {"baseline": "control"}, {"form": "boxcox"}):
        loss = ISReshapeLoss(**settings)
        slope, value, _ = slope_of(loss, log_pi, log_mu, rewards, groups=groups)
        moved = log_pi.detach()[order].requires_grad_(True)
        other, again, _ = slope_of(
            loss, moved, log_mu[order], rewards[order], groups=names[groups[order]]
        )
        torch.testing.assert_close(again, value, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(other, slope[order], rtol=1e-12, atol=1e-15)


def test_a_shift_of_log_mu_changes_nothing_where_weights_are_normalised():
    log_pi, log_mu, rewards = sequences()
    for settings in ({}, {"form": "boxcox"}, {"reward_normaliser": True}, {"baseline": "mean"}):
        loss = ISReshapeLoss(**settings)
        plain, shifted = (slope_of(loss, log_pi, log_mu + c, rewards)[0] for c in (0.0, 5.0))
        torch.testing.assert_close(plain, shifted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_floats_are_summed_in_single_precision(dtype):
    rng = np.random.default_rng(5)
    log_mu = torch.tensor(-rng.random(5000) - 1, dtype=dtype)
    log_pi = torch.tensor(-rng.random(5000) - 1, dtype=dtype)
    for settings in ({}, {"form": "boxcox"}, {"baseline": "control"}, {"normalisation": "none"}):
        loss = ISReshapeLoss(gamma=0.5, **settings)
        narrow = log_pi.clone().requires_grad_(True)
        wide = log_pi.float().requires_grad_(True)
        slope, value, metrics = slope_of(loss, narrow, log_mu)
        expected, wide_value, _ = slope_of(loss, wide, log_mu.float())
        assert value.dtype == torch.float32
        assert torch.equal(value, wide_value)
        assert torch.equal(slope, expected.to(dtype))
        assert metrics["sigma2"].dtype == torch.float32


def tokens(seed=0, n=12, t=7):
    rng = np.random.default_rng(seed)
    length = rng.integers(1, t + 1, n)
    mask = torch.tensor(np.arange(t) < length[:, None])
    log_mu = torch.tensor(-2 * rng.random((n, t)))
    log_pi = log_mu + torch.tensor(0.4 * rng.standard_normal((n, t)))
    return log_pi, log_mu, mask, torch.tensor(rng.standard_normal(n))


def test_tokens_are_summed_to_sequences_and_padding_is_not_looked_at():
    log_pi, log_mu, mask, rewards = tokens()
    whole = [torch.where(mask, part, 0.0).sum(-1) for part in (log_pi, log_mu)]
    padded = torch.where(mask, log_pi, math.nan).requires_grad_(True)
    for kind in (mask, mask.double(), mask.long()):
        loss = ISReshapeLoss(gamma=0.5)
        slope, value, _ = slope_of(loss, padded, log_mu, rewards, kind)
        expected, other, _ = slope_of(loss, whole[0].requires_grad_(True), whole[1], rewards)
        torch.testing.assert_close(value, other)
        torch.testing.assert_close(slope, torch.where(mask, expected[:, None], 0.0))
    without = slope_of(loss, log_pi.clone().requires_grad_(True), log_mu, rewards)[1]
    ones = slope_of(
        loss, log_pi.clone().requires_grad_(True), log_mu, rewards, torch.ones_like(mask)
    )[1]
    torch.testing.assert_close(without, ones)


TOKEN_POWER = WeightFunction(
    key="token power",
    title="",
    formula="",
    source="",
    level="token",
    parameters={"gamma": 0.5, "cap": 1.1},
    weight=lambda v, p: (p["gamma"] * v.log_w).exp().clamp(max=p["cap"]),
)


@pytest.mark.parametrize("key", [*ATLAS, "token power"])
def test_every_weight_function_moves_the_policy_by_its_stated_weight(key):
    entry = TOKEN_POWER if key == "token power" else ATLAS[key]
    log_pi, log_mu, mask, rewards = tokens()
    fixed = {"gamma": 0.5} if "gamma" in entry.parameters else {}
    loss = ISReshapeLoss(weight=entry, normalisation="none", **fixed)
    slope, _, metrics = slope_of(loss, log_pi.requires_grad_(True), log_mu, rewards, mask)
    parameters = {**entry.parameters}
    if "gamma" in parameters:
        parameters["gamma"] = 0.5
    length = mask.sum(-1).double()
    parts = [torch.where(mask, part, 0.0) for part in (log_pi, log_mu)]
    if entry.level == "token":
        view = View(*parts, rewards[:, None], length[:, None], mask.double())
        weight = entry.weight(view, parameters) * entry.rewarded(view, parameters)
    else:
        view = View(*(part.sum(-1) for part in parts), rewards, length)
        weight = (entry.weight(view, parameters) * entry.rewarded(view, parameters))[:, None]
    expected = -torch.where(mask, weight, 0.0) / len(rewards)
    if entry.penalty is not None:
        added = entry.added(view, parameters).sum() / len(rewards)
        expected += torch.autograd.grad(added, log_pi)[0]
    torch.testing.assert_close(slope, expected.detach(), rtol=1e-10, atol=1e-14)
    assert bool(metrics["finite"])


def test_only_the_paper_s_power_is_normalised_unless_asked_for():
    log_pi, log_mu, mask, rewards = tokens()
    given = (log_pi.requires_grad_(True), log_mu, rewards, mask)
    for settings, same in (
        ({"weight": "ppo"}, "none"),
        ({"weight": "self_normalised"}, "none"),
        ({}, "group"),
        # What has the power's key is not therefore the power.
        ({"weight": dataclasses.replace(TOKEN_POWER, key="power")}, "none"),
        ({"weight": dataclasses.replace(ATLAS["power"])}, "none"),
    ):
        plain, said = (
            slope_of(loss, *given)[0]
            for loss in (ISReshapeLoss(**settings), ISReshapeLoss(**settings, normalisation=same))
        )
        torch.testing.assert_close(plain, said, rtol=0, atol=0)
    ratio = (log_pi - log_mu).detach().exp()
    clip = torch.where(rewards[:, None] >= 0, ratio <= 1.2, ratio >= 0.8)
    expected = -(ratio * clip * mask * rewards[:, None]) / len(rewards)
    found = slope_of(ISReshapeLoss(weight="ppo"), *given)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("key", ["gspo", "p_gspo", "iw_sft"])
def test_lengths_speak_for_the_tokens_that_were_summed(key):
    log_pi, log_mu, mask, rewards = tokens()
    loss = ISReshapeLoss(weight=key)
    of_tokens = slope_of(loss, log_pi.requires_grad_(True), log_mu, rewards, mask)[0]
    whole = [torch.where(mask, part, 0.0).sum(-1).detach() for part in (log_pi, log_mu)]
    given = (whole[0].requires_grad_(True), whole[1], rewards)
    for lengths in (mask.sum(-1), mask.sum(-1).double()):
        slope = slope_of(loss, *given, lengths=lengths)[0]
        torch.testing.assert_close(slope, of_tokens[:, 0], rtol=1e-12, atol=1e-15)
    plan = loss.plan(*given, lengths=lengths)
    parts = [
        loss(*(each[part] for each in given), lengths=lengths[part], plan=plan)[0]
        for part in (slice(0, 5), slice(5, 12))
    ]
    torch.testing.assert_close(sum(parts), loss(*given, lengths=lengths)[0])


def test_a_method_that_puts_something_in_the_place_of_the_reward_is_given_it():
    log_pi, log_mu, mask, rewards = tokens()
    shifted = slope_of(
        ISReshapeLoss(weight="sft", normalisation="none"),
        log_pi.requires_grad_(True),
        log_mu,
        rewards - 0.75,
        mask,
    )[0]
    asymmetric = ISReshapeLoss(weight="asymre", parameters={"V": 0.75}, normalisation="none")
    found = slope_of(asymmetric, log_pi, log_mu, rewards, mask)[0]
    torch.testing.assert_close(found, shifted, rtol=1e-12, atol=1e-15)
    assert bool((shifted < 0).any() and (shifted > 0).any())


def test_a_penalty_is_added_to_the_loss_and_averaged_as_the_rest():
    # P3O: min(w, ESS/n) held, and (1 - ESS/n) (log w + 1/w - 1) differentiated.
    log_pi, log_mu, _, rewards = tokens()
    log_pi, log_mu = log_pi.sum(-1).detach().requires_grad_(True), log_mu.sum(-1)
    loss = ISReshapeLoss(weight="p3o")
    found = slope_of(loss, log_pi[:, None], log_mu[:, None], rewards)[0][:, 0]
    w = (log_pi - log_mu).exp().detach()
    share = w.sum() ** 2 / (w * w).sum() / len(w)
    pushed = w.clamp(max=float(share)) * rewards - (1 - share) * (1 - 1 / w)
    torch.testing.assert_close(found, -pushed / len(w), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("key", [k for k, entry in ATLAS.items() if "batch" in entry.needs])
def test_what_looks_at_the_whole_batch_is_not_cut_into_parts(key):
    log_pi, log_mu, mask, rewards = tokens()
    with pytest.raises(ValueError, match="looks at the whole batch"):
        ISReshapeLoss(weight=key).plan(log_pi, log_mu, rewards, mask)


def test_weights_of_tokens_are_normalised_by_their_mean_over_tokens():
    log_pi, log_mu, mask, rewards = tokens()
    groups = torch.tensor([0, 1, 2] * 4)
    loss = ISReshapeLoss(
        gamma=0.5, weight=TOKEN_POWER, parameters={"cap": 1.2}, normalisation="group"
    )
    slope = slope_of(loss, log_pi.requires_grad_(True), log_mu, rewards, mask, groups)[0]
    own = (0.5 * (log_pi - log_mu)).exp().clamp(max=1.2).detach()
    expected = torch.zeros_like(own)
    for group in range(3):
        rows = groups == group
        mean = own[rows][mask[rows]].mean()
        expected[rows] = -torch.where(
            mask[rows], own[rows] * rewards[rows, None] / mean / 4 / 3, 0.0
        )
    torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("n", [7, 12], ids=["as many rows as tokens", "more rows"])
def test_weights_of_tokens_are_normalised_by_their_mean_with_the_reward(n):
    log_pi, log_mu, mask, rewards = tokens(n=n, t=7)
    rewards = rewards.abs()
    loss = ISReshapeLoss(
        gamma=0.5, weight=TOKEN_POWER, normalisation="group", reward_normaliser=True
    )
    slope = slope_of(loss, log_pi.requires_grad_(True), log_mu, rewards, mask)[0]
    own = (0.5 * (log_pi - log_mu)).exp().clamp(max=1.1).detach()
    joint = torch.where(mask, own * rewards[:, None], 0.0)
    torch.testing.assert_close(slope, -joint / joint[mask].mean() / n, rtol=1e-12, atol=1e-15)


SETTINGS = {
    "default": {},
    "exact": {"method": "exact"},
    "auto": {"method": "auto"},
    "cumulant": {"method": "cumulant"},
    "fixed": {"gamma": 0.4},
    "boxcox": {"form": "boxcox"},
    "batch": {"normalisation": "batch"},
    "none": {"normalisation": "none"},
    "reward": {"reward_normaliser": True},
    "mean": {"baseline": "mean"},
    "control": {"baseline": "control"},
    "control of one's own": {"baseline": "control", "control": 0.5},
    "sft": {"weight": "sft"},
    "tokens": {"weight": TOKEN_POWER},
    "tokens normalised": {"weight": TOKEN_POWER, "normalisation": "group"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_micro_batches_add_up_to_the_batch(name):
    log_pi, log_mu, rewards = sequences()
    groups = torch.tensor(np.random.default_rng(1).integers(0, 9, 64))
    loss = ISReshapeLoss(**SETTINGS[name])
    if not loss.uses_groups:
        groups = None
    if loss.entry.level == "token":
        log_pi, log_mu = log_pi.detach()[:, None].requires_grad_(True), log_mu[:, None]
    plan = loss.plan(log_pi, log_mu, rewards, groups=groups, n_groups=12)
    alone, value, metrics = slope_of(loss, log_pi, log_mu, rewards, groups=groups)
    total, slope = torch.zeros((), dtype=torch.float64), torch.zeros_like(log_pi)
    for part in (slice(0, 5), slice(5, 40), slice(40, 40), slice(40, 64)):
        own, seen = loss(
            *(each[part] for each in (log_pi, log_mu, rewards)),
            groups=None if groups is None else groups[part],
            plan=plan,
        )
        (mine,) = torch.autograd.grad(own, log_pi)
        total, slope = total + own, slope + mine
        assert torch.equal(seen["gamma"], metrics["gamma"])
    torch.testing.assert_close(total, value, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(slope, alone, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({"gamma": 0.3}, {}, "plan was made with gamma=None, but the loss has 0.3"),
        ({"baseline": "mean"}, {}, "plan was made with baseline='none', but the loss has 'mean'"),
        ({}, {"groups": None}, "plan was made with groups, and this part is without"),
        ({}, {"rewards": None}, "plan was made with rewards, and this part is without"),
    ],
)
def test_a_plan_is_for_what_it_was_made_with(settings, change, message):
    log_pi, log_mu, rewards = sequences()
    given = {"rewards": rewards, "groups": torch.arange(64) // 4}
    plan = ISReshapeLoss().plan(log_pi, log_mu, **given)
    with pytest.raises(ValueError, match=message):
        ISReshapeLoss(**settings)(log_pi, log_mu, **{**given, **change}, plan=plan)
    ISReshapeLoss(validate=False)(log_pi, log_mu, **given, plan=plan)
    plain = ISReshapeLoss().plan(log_pi, log_mu)
    with pytest.raises(ValueError, match="plan was made without groups, and this part is with"):
        ISReshapeLoss()(log_pi, log_mu, **given, plan=plain)


def test_micro_batches_of_tokens_add_up():
    log_pi, log_mu, mask, rewards = tokens()
    log_pi.requires_grad_(True)
    groups = torch.tensor([0, 1, 2] * 4)
    for settings in (
        {"weight": TOKEN_POWER, "normalisation": "group"},
        {},
        {"weight": TOKEN_POWER, "baseline": "mean"},
        {"weight": "gmpo", "normalisation": "group"},
    ):
        loss = ISReshapeLoss(**settings)
        given = (log_pi, log_mu, rewards, mask, groups)
        plan = loss.plan(*given)
        expected, value, _ = slope_of(loss, *given)
        parts = [
            loss(*(tensor[part] for tensor in given), plan=plan)[0]
            for part in (slice(0, 1), slice(1, 7), slice(7, 12))
        ]
        torch.testing.assert_close(sum(parts), value, check_layout=False)
        (slope,) = torch.autograd.grad(sum(parts), log_pi)
        torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-15)


class NoWaiting(TorchDispatchMode):
    """Refuses what copies a number from a device to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for word in ("_local_scalar_dense", "is_nonzero", "nonzero", "equal.default", "unique"):
            assert word not in str(func), f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


def arguments(name, device="cpu"):
    if name.startswith("tokens"):
        log_pi, log_mu, mask, rewards = tokens()
        given = [log_pi, log_mu, rewards.abs(), mask, torch.tensor([0, 1, 2] * 4)]
    else:
        log_pi, log_mu, rewards = sequences()
        given = [log_pi.detach(), log_mu, rewards, None, torch.arange(64) // 8]
    if not ISReshapeLoss(**SETTINGS[name]).uses_groups:
        given[4] = None
    return [part if part is None else part.to(device) for part in given]


@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_is_asked_of_the_device(name):
    loss = ISReshapeLoss(validate=False, **SETTINGS[name])
    given = arguments(name)
    given[0].requires_grad_(True)
    with NoWaiting():
        value, metrics = loss(*given)
        value.backward()
    assert given[0].grad is not None
    # A tensor without data can be asked nothing at all.
    value, metrics = loss(*arguments(name, "meta"))
    assert value.device.type == "meta"
    assert {metric.device.type for metric in metrics.values()} == {"meta"}


def test_the_watch_for_waiting_works():
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        ISReshapeLoss()(*arguments("default"))


@pytest.mark.parametrize("name", SETTINGS)
def test_it_compiles_whole(name):
    loss = ISReshapeLoss(validate=False, **SETTINGS[name])
    torch.compiler.reset()
    compiled = torch.compile(lambda *given: loss(*given), fullgraph=True, backend="eager")
    given = arguments(name)
    (value, metrics), (expected, others) = compiled(*given), loss(*given)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(metrics, others)


def test_what_is_not_a_number_shows_and_hides_nowhere():
    for place in ("log_pi", "log_mu"):
        for bad in (math.nan, math.inf if place == "log_pi" else -math.inf):
            for name, settings in SETTINGS.items():
                if "weight" in settings:
                    continue
                given = dict(zip(("log_pi", "log_mu", "rewards"), sequences(), strict=True))
                given["log_pi"] = given["log_pi"].detach()
                given[place][3] = bad
                _, metrics = ISReshapeLoss(**settings)(**given)
                assert not bool(metrics["finite"]), (place, bad, name)


@pytest.mark.parametrize("key", ["tis", "mis", "dft", "cispo", "ppo", "sapo", "luffy", "gmpo"])
def test_a_token_that_the_policy_rules_out_and_whose_weight_is_0_moves_nothing(key):
    log_pi, log_mu, mask, rewards = tokens()
    log_pi[4, 0], rewards[4] = -math.inf, 1.0
    loss = ISReshapeLoss(weight=key)
    slope, value, metrics = slope_of(loss, log_pi.requires_grad_(True), log_mu, rewards, mask)
    assert bool(metrics["finite"])
    assert bool(torch.isfinite(value))
    assert float(slope[4, 0]) == 0
    assert bool(torch.isfinite(slope).all())


def test_a_gamma_that_nobody_uses_may_be_no_number():
    log_pi, log_mu, mask, rewards = tokens()
    log_mu[4, 0] = -math.inf
    slope, _, metrics = slope_of(
        ISReshapeLoss(weight="tis"), log_pi.requires_grad_(True), log_mu, rewards, mask
    )
    assert math.isnan(float(metrics["gamma"]))
    assert bool(torch.isfinite(slope).all())
    assert bool(metrics["finite"])


def test_a_group_without_any_weight_moves_nothing():
    log_pi, log_mu, rewards = sequences(6)
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    rewards = torch.where(groups == 1, 0.0, rewards)
    loss = ISReshapeLoss(gamma=0.5, reward_normaliser=True)
    slope, _, metrics = slope_of(loss, log_pi, log_mu, rewards, groups=groups)
    assert bool(metrics["finite"])
    assert slope[3:].tolist() == [0.0] * 3
    # The weights of a group are a distribution, and each of the two groups counts a half.
    assert float(slope.sum()) == pytest.approx(-0.5)
