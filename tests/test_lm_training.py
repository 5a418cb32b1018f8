"""Training on logs of a small language model: dead zone, temperature, staleness."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import numpy as np
import pytest
import torch
from rich.console import Console

from experiments.data import MissingData
from experiments.lm import (
    _prompts,
    _small,
    _sums,
    deadzone,
    sampling,
    staleness,
    tasks,
    temperature,
)
from experiments.lm._stale_methods import METHODS, V31, V31_RUN
from experiments.lm._stale_summary import collapsed
from experiments.runs import rounded
from isr_theory.training import ISReshapeLoss
from isr_theory.training.weight_function import View

MAKING = deadzone.EXPERIMENT.smoke.making


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def law():
    return _sums.whole(MAKING)


@pytest.fixture(scope="module")
def log():
    return _sums.drawn(MAKING, 64, seed=7)


@pytest.mark.parametrize("module", [deadzone, temperature, staleness])
def test_smoke_runs_and_sums_up(module):
    experiment = module.EXPERIMENT
    settings = experiment.smoke
    cells = experiment.cells(settings)
    assert len({cell.key for cell in cells}) == len(cells)
    found = {cell.key: experiment.run(settings, **cell.arguments) for cell in cells}
    summary = rounded(experiment.summarise(settings, json.loads(json.dumps(found))))
    assert summary
    assert module.seconds(settings) > 0


@pytest.fixture
def no_examples():
    """What has been asked of the gym is forgotten, before and after."""
    _small.examples.cache_clear()
    yield
    _small.examples.cache_clear()


@pytest.mark.usefixtures("no_examples")
@pytest.mark.parametrize("module", [deadzone, temperature, staleness])
def test_prompts_prepared_beforehand_are_those_of_the_gym(module, tmp_path, monkeypatch):
    monkeypatch.delenv(tasks.VARIABLE, raising=False)
    asked = module.prompts(module.EXPERIMENT.smoke)
    _prompts.prepare(tmp_path, [], Console(quiet=True), [asked])
    theirs = {key: _small.examples(key[0], count, key[1]) for key, count in asked.items()}
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    _small.examples.cache_clear()
    (kind, seed), count = next(iter(asked.items()))
    with pytest.raises(MissingData, match=f"{kind} needs reasoning-gym or prepared"):
        _small.examples(kind, count, seed)
    monkeypatch.setenv(tasks.VARIABLE, str(tmp_path))
    for key, items in theirs.items():
        assert _small.examples(key[0], len(items), key[1]) == items
    with pytest.raises(MissingData, match=f"holds {count} prompts of {count + 1}"):
        _small.examples(kind, count + 1, seed)
    # Nothing else is asked of the gym: a cell runs without it.
    _small.mu.cache_clear()
    module.EXPERIMENT.run(
        module.EXPERIMENT.smoke, **module.EXPERIMENT.cells(module.EXPERIMENT.smoke)[0].arguments
    )


@pytest.mark.parametrize("module", [deadzone, temperature, staleness])
def test_what_is_committed_stays_within_its_sizes(module):
    settings = module.EXPERIMENT.settings
    model = _small.models.small(
        settings.making.width,
        settings.making.layers,
        settings.making.heads,
        _small.characters().size,
        seed=1,
    )
    assert _small.models.parameters_of(model) <= 100_000
    assert max(_small.MOST_TOKENS.values()) <= 16
    assert settings.seeds >= 5


def test_mu_is_the_same_made_again():
    one = _small._imitating(MAKING).state_dict()
    two = _small._imitating(MAKING).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_held_out_words_are_in_no_log():
    settings = staleness.EXPERIMENT.smoke
    words = staleness.words(settings)
    prompts = [item.prompt for item in words]
    assert len(set(prompts)) == len(prompts) == settings.held_out + 4 * settings.prompts
    assert all(3 <= len(item.answer) <= 4 for item in words)
    assert all(item.answer == item.prompt.split()[0][::-1] for item in words)


def test_a_demonstration_without_noise_is_the_answer():
    rng = np.random.default_rng(3)
    quiet = dataclasses.replace(MAKING, noise=0.0)
    assert _small.demonstration("12", quiet, rng) == "12"
    said = {_small.demonstration("12", dataclasses.replace(MAKING, noise=1.0), rng) for _ in "abc"}
    assert said != {"12"}


def test_the_whole_law_is_mus(law):
    prompts = law.rows.prompt
    total = torch.zeros(law.prompts).index_add(0, prompts, law.share)
    # Sums of 132 float32 shares.
    assert torch.allclose(total, torch.ones(law.prompts), atol=1e-5)
    mass = law.log_mu.exp()
    within = mass / torch.zeros(law.prompts).index_add(0, prompts, mass)[prompts]
    assert torch.allclose(law.share, within, rtol=1e-5)
    assert torch.allclose(law.log_pi(_small.mu(MAKING)), law.log_mu, atol=1e-5)


def test_a_drawn_law_counts_what_its_log_holds(log):
    assert len(log.place) == 64 * MAKING.examples
    counts = torch.bincount(log.place)
    assert torch.equal(counts / 64, log.share)
    assert len(counts) == len(log.rows.reward) < len(log.place)
    # mu drew them, and mu gives them back.
    assert torch.allclose(log.log_pi(_small.mu(MAKING)), log.log_mu, atol=1e-4)


def test_divergence_is_the_mean_of_minus_log_w_over_all_sequences():
    making = MAKING
    first = _small.mu(making)
    pi = _small.models.small(16, 1, 2, _small.characters().size, seed=9)
    prompts = _small.examples("sums", 1, making.seed)
    drawn = sampling.sample(first, _small.characters(), prompts, 4096, 3, seed=5, batch=4096)
    log = _small.Rows.of(drawn)
    log_w = (log.log_pi(pi) - log.log_mu).detach().sum(-1)
    # The plain estimate has a standard error, and the summed one less than that.
    error = float(log_w.std()) / math.sqrt(len(log_w))
    assert abs(log.divergence(first, pi) + float(log_w.mean())) < 5 * error
    assert log.divergence(first, first) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("tau", "gamma"), [(1.0, 0.0), (2.0, 0.5), (0.5, 0.75)])
def test_the_best_free_policy_has_the_slope_of_the_theory(law, tau, gamma):
    hot = law.rows.reward / tau
    best = hot / (1 - gamma)
    assert temperature.slope(best, law) == pytest.approx(1 / (tau * (1 - gamma)), rel=1e-4)
    log_z = torch.log(law.mean(best.exp()))
    # In the law itself it is where ascent has ended, and halfway it is not.
    assert temperature.residual(law, best - log_z, hot, gamma) < 1e-5
    assert temperature.residual(law, best / 2, hot, gamma) > 1e-3


def test_the_rule_on_a_law_is_the_rule_on_its_log(law):
    pi = deadzone.copy.deepcopy(_small.mu(MAKING)).requires_grad_(True)
    with torch.no_grad():
        for weights in pi.parameters():
            weights.mul_(1.5)
    weights, n = list(pi.parameters()), 1 << 14
    # A log in which each answer comes as often as its share says, to half a row.
    counts = (law.share / law.prompts * n).round().long()
    place = torch.arange(len(counts)).repeat_interleave(counts)
    for way, settings in deadzone.WAYS.items():
        log_w = deadzone.log_ratio(law, law.log_pi(pi))
        rule = {} if "gamma" in settings else {"rho_min": 0.99}
        loss = ISReshapeLoss(normalisation="none", **rule, **settings)
        by_rows, metrics = loss(log_w[place], torch.zeros(len(place)))
        by_shares, gamma = deadzone.objective(way, law.log_pi(pi), law, 0.99)
        one, two = (
            torch.cat([g.reshape(-1) for g in torch.autograd.grad(x, weights)])
            for x in (by_rows, by_shares)
        )
        # Half a row in each of 264 answers is at most 0.8% of all.
        if way == "rule":
            assert gamma < 0.9
            assert gamma == pytest.approx(float(metrics["gamma"]), rel=0.02)
        if way != "gamma 1":
            assert float((one - two).norm()) < 0.05 * float(two.norm()), way


def test_at_gamma_1_the_whole_law_has_no_gradient(law):
    pi = deadzone.copy.deepcopy(_small.mu(MAKING)).requires_grad_(True)
    with torch.no_grad():
        for weights in pi.parameters():
            weights.mul_(1.5)
    sizes = {}
    for way in ("gamma 1", "gamma 0.5"):
        value, _ = deadzone.objective(way, law.log_pi(pi), law, 0.3)
        parts = torch.autograd.grad(value, list(pi.parameters()))
        sizes[way] = float(torch.cat([part.reshape(-1) for part in parts]).norm())
    # What is left are the roundings of some hundred float32 terms.
    assert sizes["gamma 1"] < 1e-4 * sizes["gamma 0.5"]


def test_divergences_of_the_whole_law_are_never_negative(law):
    pi = _small.models.small(16, 1, 2, _small.characters().size, seed=9)
    assert deadzone.measure(pi, law)["kl"] > 0
    at_mu = deadzone.measure(_small.mu(MAKING), law)
    assert at_mu["kl"] == pytest.approx(0.0, abs=1e-5)
    assert at_mu["sigma2"] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("reward", [0.6, -0.6])
def test_version_3_1_has_its_exponent_and_as_run_the_factor(reward):
    log_w = torch.tensor([-4.0, -0.5, 0.0, 0.5, 4.0], dtype=torch.float64)
    zeros = torch.zeros_like(log_w)
    view = View(log_w, zeros, zeros + reward, zeros + 1)
    p = V31.settings()
    sigmoid = 1 / (1 + torch.exp(-reward * log_w))
    exponent = 0.5 + (1 / (1 + torch.exp(log_w)) - 0.5) * sigmoid
    assert torch.allclose(V31.weight(view, p), torch.exp(exponent * log_w))
    assert torch.allclose(V31_RUN.weight(view, p), exponent * torch.exp(exponent * log_w))


def test_every_method_has_a_loss_and_at_w_1_they_push_one_way():
    generator = torch.Generator().manual_seed(2)
    log_pi = -torch.rand((6, 4), generator=generator) - 0.5
    rewards = torch.rand(6, generator=generator) - 0.5
    mask = torch.ones(6, 4, dtype=torch.bool)
    plain = None
    for method in METHODS:
        leaf = log_pi.clone().requires_grad_(True)
        value, metrics = ISReshapeLoss(**method.settings)(leaf, log_pi, rewards, mask)
        (gradient,) = torch.autograd.grad(value, leaf)
        assert bool(metrics["finite"])
        plain = gradient if plain is None else plain
        if method.key in ("gspo", "v3.1 as run"):
            assert torch.allclose(gradient / gradient[0, 0], plain / plain[0, 0], atol=1e-5)
        elif method.key != "dft":
            # DFT weighs tokens by pi, which is no function of w.
            assert torch.allclose(gradient, plain, atol=1e-6), method.key


def test_collapse_is_a_fall_below_the_start():
    cell = {"start": [0.7, 0.7, 0.7, 0.7], "reward": [0.64, 0.66, 0.9, 0.1]}
    assert collapsed(staleness.EXPERIMENT.settings, cell) == 0.5
