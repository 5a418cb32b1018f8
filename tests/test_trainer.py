"""The trainer: the listing's behaviour in mode "paper", and what the default does otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from isr_theory import listings, weights
from isr_theory.training import ISReshapeLoss, ISReshapeTrainer, ReferenceNotFrozenError

torch.set_num_threads(1)

# The reference batch of the audit of section 12.1, its numbers to 17 digits.
LOG_PI, LOG_MU = (-1.0, -2.0, -0.5, -3.0), (-1.5, -1.0, -2.0, -2.5)
REWARDS = (1.0, 0.0, 2.0, 1.0)
KNOWN = {
    0.3: (0.989698589690143890, 0.912507739737608028, 1.12049586218272868, 0.545602562862170718),
    0.8: (0.426075716655414295, 1.28778479282115509, 1.20968760871061568, 0.850641567080588012),
}
KNOWN_WEIGHTS = (
    0.233169971969329580,
    0.0528374276452845066,
    0.627325955471379322,
    0.0866666449140065912,
)


class Table(torch.nn.Module):
    """A policy that has a number for each answer, whatever the prompt."""

    def __init__(self, log_probs, frozen=False):
        super().__init__()
        values = torch.as_tensor(log_probs, dtype=torch.float64)
        self.values = torch.nn.Parameter(values, requires_grad=not frozen)

    def log_prob(self, y, x):
        return self.values[y]


Y = torch.arange(4)


def paper(rho_min=0.3, log_pi=LOG_PI, log_mu=LOG_MU, **settings):
    return ISReshapeTrainer(Table(log_pi), Table(log_mu), rho_min, mode="paper", **settings)


@pytest.mark.parametrize("rho_min", KNOWN)
def test_the_paper_mode_has_the_known_numbers(rho_min):
    gamma, without, rewarded, ess = KNOWN[rho_min]
    trainer = paper(rho_min)
    # Sums of four terms in float64 against numbers of 17 digits.
    close = {"rel": 1e-14}
    for rewards, expected in ((None, without), (torch.tensor(REWARDS).double(), rewarded)):
        loss, metrics = trainer.compute_loss(None, Y, rewards)
        assert loss.item() == pytest.approx(expected, **close)
        assert metrics["gamma"] == pytest.approx(gamma, **close)
        assert metrics["ess_ratio"] == pytest.approx(ess, **close)
        assert metrics["sigma_sq"] == pytest.approx(1.22916666666666667, **close)
    if rho_min == 0.3:
        assert metrics["max_weight"] == pytest.approx(max(KNOWN_WEIGHTS), **close)
        loss, _ = trainer.compute_loss(None, Y)
        (slope,) = torch.autograd.grad(loss, trainer.model.values)
        np.testing.assert_allclose(-slope.numpy(), KNOWN_WEIGHTS, rtol=1e-14)


def batches():
    rng = np.random.default_rng(2)
    for n in (2, 3, 17, 200):
        for scale in (0.0, 1e-5, 0.3, 3.0, 200.0):
            log_mu = -rng.random(n) * 5
            rewards = torch.tensor(rng.standard_normal(n))
            yield log_mu + scale * rng.standard_normal(n), log_mu, rewards
    yield np.array([-1.0, math.nan, -2.0]), np.array([-1.0, -1.0, -1.0]), None
    yield np.array([-1.0, -math.inf, -2.0]), np.array([-1.0, -1.0, -1.0]), None


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.2, 0.7), (0.5, 0.5)])
def test_the_paper_mode_is_the_listing(bounds):
    for log_pi, log_mu, rewards in batches():
        y = torch.arange(len(log_pi))
        for given in (None, rewards):
            ours = ISReshapeTrainer(Table(log_pi), Table(log_mu), 0.3, *bounds, mode="paper")
            theirs = listings.ISReshapeTrainer(Table(log_pi), Table(log_mu), 0.3, *bounds)
            (loss, metrics), (expected, others) = (
                trainer.compute_loss(None, y, given) for trainer in (ours, theirs)
            )
            # An exponential shifted by hand and one shifted by softmax may differ by roundings.
            torch.testing.assert_close(loss, expected, rtol=1e-14, atol=1e-14, equal_nan=True)
            assert metrics.keys() == others.keys()
            for name, value in others.items():
                assert metrics[name] == pytest.approx(value, rel=1e-13, nan_ok=True), name
            slopes = [
                torch.autograd.grad(value, trainer.model.values)[0]
                for value, trainer in ((loss, ours), (expected, theirs))
            ]
            torch.testing.assert_close(*slopes, rtol=1e-14, atol=1e-16, equal_nan=True)
            log_w = torch.tensor(log_pi - log_mu)
            gamma = ours.compute_optimal_gamma(log_w)
            assert gamma == pytest.approx(theirs.compute_optimal_gamma(log_w), rel=1e-14)
            ess = theirs.compute_ess_ratio(log_w, gamma)
            found = ours.compute_ess_ratio(log_w, gamma)
            assert found == pytest.approx(ess, rel=1e-13, nan_ok=True)


class Narrow(Table):
    """A policy whose numbers have the type they are given in."""

    def __init__(self, log_probs, dtype):
        super().__init__(log_probs)
        self.values = torch.nn.Parameter(self.values.detach().to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_paper_mode_is_the_listing_in_narrow_floats_too(dtype):
    compared = 0
    for log_pi, log_mu, rewards in batches():
        if not np.isfinite(log_pi).all():
            continue
        y, given = torch.arange(len(log_pi)), rewards.to(dtype)
        models = (Narrow(log_pi, dtype), Narrow(log_mu, dtype))
        ours = ISReshapeTrainer(*models, mode="paper")
        theirs = listings.ISReshapeTrainer(*models)
        (loss, metrics), (expected, others) = (
            trainer.compute_loss(None, y, given) for trainer in (ours, theirs)
        )
        assert loss.dtype == dtype
        assert torch.equal(loss, expected)
        # The same operations on the same numbers: to the last bit, but that a root may round.
        assert metrics == pytest.approx(others, rel=1e-15, nan_ok=True)
        compared += 1
    assert compared == 20


def test_narrow_floats_are_widened_by_the_default_s_two_helpers():
    log_w = torch.linspace(-3, 2, 4000).to(torch.bfloat16)
    fixed = default(gamma=0.3).compute_optimal_gamma(log_w)
    assert fixed.dtype == torch.float32
    assert float(fixed) == pytest.approx(0.3, rel=1e-7)
    ess = default().compute_ess_ratio(log_w, 0.3)
    assert ess.dtype == torch.float32
    # Sums of 4000 terms in float32 against float64.
    assert float(ess) == pytest.approx(float(weights.ess_ratio(log_w.double(), 0.3)), rel=1e-5)


def test_one_sequence_in_the_paper_mode_has_gamma_max_by_accident():
    trainer = paper(log_pi=(-1.0,), log_mu=(-3.0,), gamma_max=0.6)
    loss, metrics = trainer.compute_loss(None, torch.arange(1))
    assert metrics["gamma"] == 0.6
    assert math.isnan(metrics["sigma_sq"])
    assert loss.item() == 1.0


def test_the_paper_mode_freezes_the_reference_in_place():
    reference = Table(LOG_MU)
    ISReshapeTrainer(Table(LOG_PI), reference, mode="paper")
    assert not reference.values.requires_grad


def test_the_paper_mode_of_the_loss_stays_on_the_device():
    tensors = [torch.tensor(part, dtype=torch.float64) for part in (LOG_PI, LOG_MU, REWARDS)]
    loss = ISReshapeLoss(mode="paper")
    value, metrics = loss(*tensors)
    assert float(value) == pytest.approx(KNOWN[0.3][2], rel=1e-14)
    assert all(metric.ndim == 0 for metric in metrics.values())
    compiled = torch.compile(lambda *given: loss(*given), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*tensors)[0], value)
    value, _ = loss(*(part.to("meta") for part in tensors))
    assert value.device.type == "meta"


@pytest.mark.parametrize("name", ["mask", "groups", "lengths"])
def test_the_paper_mode_knows_no_more_than_the_listing(name):
    with pytest.raises(ValueError, match=f"{name} must be None with mode='paper'"):
        paper().compute_loss(None, Y, **{name: torch.zeros(4, dtype=torch.long)})
    with pytest.raises(ValueError, match=r"log_pi must be \(n,\) with mode='paper'"):
        ISReshapeLoss(mode="paper")(torch.zeros(2, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="log_mu must have the shape"):
        ISReshapeLoss(mode="paper")(torch.zeros(2), torch.zeros(1))


def default(**settings):
    return ISReshapeTrainer(Table(LOG_PI), Table(LOG_MU, frozen=True), **settings)


def test_the_default_is_the_loss_of_what_the_models_say():
    groups, rewards = torch.tensor([0, 0, 1, 1]), torch.tensor(REWARDS).double()
    trainer = default(rho_min=0.8, method="exact", baseline="mean")
    loss, metrics = trainer.compute_loss(None, Y, rewards, groups=groups)
    plain = ISReshapeLoss(rho_min=0.8, method="exact", baseline="mean")
    tensors = [torch.tensor(part, dtype=torch.float64) for part in (LOG_PI, LOG_MU)]
    expected, others = plain(*tensors, rewards, groups=groups)
    assert loss.item() == expected.item()
    assert metrics == others
    plan = trainer.plan(None, Y, rewards, groups=groups)
    parts = [
        trainer.compute_loss(None, Y[part], rewards[part], groups=groups[part], plan=plan)[0]
        for part in (slice(0, 1), slice(1, 4))
    ]
    assert sum(parts).item() == pytest.approx(loss.item(), rel=1e-14)


def test_gamma_and_ess_of_the_default_are_those_of_the_library():
    log_w = torch.tensor(LOG_PI, dtype=torch.float64) - torch.tensor(LOG_MU, dtype=torch.float64)
    for settings in ({"method": "exact"}, {"method": "lognormal"}, {"gamma_max": 0.2}):
        trainer = default(rho_min=0.8, **settings)
        gamma = trainer.compute_optimal_gamma(log_w)
        assert float(gamma) == float(weights.gamma_star(log_w, 0.8, **settings))
        ess = trainer.compute_ess_ratio(log_w, gamma)
        assert float(ess) == pytest.approx(float(weights.ess_ratio(log_w, float(gamma))))
    assert float(default(gamma=0.25).compute_optimal_gamma(log_w)) == 0.25


def test_a_reference_that_may_move_is_refused_before_any_step():
    with pytest.raises(ReferenceNotFrozenError, match="ref_model has 1 parameters that require"):
        ISReshapeTrainer(Table(LOG_PI), Table(LOG_MU))
    policy = Table(LOG_PI)
    with pytest.raises(ReferenceNotFrozenError, match="no parameter of the model"):
        ISReshapeTrainer(policy, policy)
    trainer = default()
    trainer.ref_model.values.requires_grad_(True)
    for call in (trainer.compute_loss, trainer.plan):
        with pytest.raises(ReferenceNotFrozenError):
            call(None, Y)


class Spoken:
    """A model of nothing but log_prob."""

    def __init__(self, values):
        self.values = torch.tensor(values, dtype=torch.float64)

    def log_prob(self, y, x):
        return self.values[y]


@pytest.mark.parametrize("mode", ["default", "paper"])
def test_a_model_is_anything_with_log_prob(mode):
    trainer = ISReshapeTrainer(Spoken(LOG_PI), Spoken(LOG_MU), mode=mode)
    tables = ISReshapeTrainer(Table(LOG_PI), Table(LOG_MU, frozen=True), mode=mode)
    assert trainer.compute_loss(None, Y)[0].item() == tables.compute_loss(None, Y)[0].item()


def test_no_gradient_reaches_the_reference():
    trainer = default()
    loss, _ = trainer.compute_loss(None, Y)
    loss.backward()
    assert trainer.ref_model.values.grad is None
    assert trainer.model.values.grad is not None
