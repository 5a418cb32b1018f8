"""The building blocks of the exact bandits, each against a computation of another kind.

Not the predictions, which the ledger judges: whether a sum, a step or a minimum is what it is said
to be, by scipy's quadrature and minimisers, by autograd, and by formulas derived by hand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize

from experiments.bandit import bimodal, estimators, temperature
from isr_theory import formulas
from isr_theory.arithmetic import Real

pytestmark = pytest.mark.usefixtures("one_thread")


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def by_autograd(mu, logits, reward, gamma):
    """The gradient of J_gamma in the logits, E_mu[w^gamma r]/gamma, and of E_mu[r log pi] at 0."""
    logits = logits.clone().requires_grad_()
    log_w = torch.log_softmax(logits, -1) - mu.log()
    potential = log_w if gamma == 0 else (gamma * log_w).exp() / gamma
    (slope,) = torch.autograd.grad((mu * reward * potential).sum(), logits)
    return slope


MU, REWARD, LOGITS = tensor(0.6, 0.3, 0.1), tensor(1.0, 2.0, 4.0), tensor(0.3, -0.2, 0.5)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
def test_the_pull_of_the_effective_target_is_the_gradient(gamma):
    policy = torch.softmax(LOGITS, -1)
    size = (MU * (policy / MU) ** gamma * REWARD).sum()
    pull = size * (temperature.effective(MU, policy, REWARD, gamma) - policy)
    # Rounding of sums of three numbers of order 1.
    assert torch.allclose(pull, by_autograd(MU, LOGITS, REWARD, gamma), rtol=0, atol=1e-14)


def test_a_climb_ends_at_the_summit():
    settings = temperature.Settings(steps=1500)
    ended = torch.softmax(temperature.climb(MU, REWARD, 0.5, LOGITS, settings), -1)
    # By hand: mu r^2 = (0.6, 1.2, 1.6), of 3.4.
    assert torch.allclose(ended, tensor(3, 6, 8) / 17, rtol=0, atol=1e-14)


def test_slopes_are_those_of_least_squares():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 4, 7))
    slope, residual = temperature.slopes(torch.as_tensor(y), torch.as_tensor(x))
    for k in range(4):
        line = np.polynomial.Polynomial.fit(x[k], y[k], 1).convert()
        assert float(slope[k]) == pytest.approx(line.coef[1], abs=1e-12)
        assert float(residual[k]) == pytest.approx(np.abs(y[k] - line(x[k])).max(), abs=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.75])
def test_shared_features_end_where_a_minimiser_does(gamma):
    generator = torch.Generator().manual_seed(4)
    shared = torch.randn((3, 6, 2), generator=generator, dtype=torch.float64)
    theta = torch.randn((3, 2), generator=generator, dtype=torch.float64)
    mu = torch.softmax((shared @ theta[..., None])[..., 0], -1)
    reward = tensor(1, 0, 1, 0, 1, 0).expand(3, 6)
    policy, left = temperature.climb_features(mu, reward, gamma, shared, theta, 2000)
    assert left < 1e-7
    for k in range(3):
        features, base, paid = (x[k].numpy() for x in (shared, mu, reward))

        def law(at, features=features):
            scores = np.exp(features @ at - (features @ at).max())
            return scores / scores.sum()

        def loss(at, base=base, paid=paid, law=law):
            w = np.maximum(law(at), 1e-300) / base
            gain = np.log(w) if gamma == 0 else w**gamma / gamma
            return -float(np.sum(base * paid * gain))

        found = optimize.minimize(loss, theta[k].numpy(), method="BFGS", options={"gtol": 1e-9})
        # The minimiser stops at differences of 1e-9 or so in a loss whose curvature can be small.
        assert -loss(found.x) <= _gain(policy[k].numpy(), base, paid, gamma) + 1e-8


def _gain(policy, base, paid, gamma):
    w = np.maximum(policy, 1e-300) / base
    return float(np.sum(base * paid * (np.log(w) if gamma == 0 else w**gamma / gamma)))


GAMMAS = tensor(0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("name", estimators.PROBLEMS)
def test_enumerated_curves_are_sums_over_pairs_of_outcomes(name):
    mu, pi, reward = (tensor(*row) for row in estimators.PROBLEMS[name])
    curves = estimators.enumerated(mu, pi, reward, GAMMAS)
    scores = torch.eye(len(mu), dtype=torch.float64) - pi
    exact = by_autograd(mu, pi.log(), reward, 1.0)
    for k, gamma in enumerate(GAMMAS.tolist()):
        power = (pi / mu) ** gamma
        values = (power * reward)[:, None] * scores
        first = by_autograd(mu, pi.log(), reward, gamma)
        # tr Cov = half the mean squared distance of two independent draws.
        apart = ((values[:, None] - values[None]) ** 2).sum(-1)
        trace = float((mu[:, None] * mu[None] * apart).sum()) / 2
        total = float((mu * power).sum())
        off = ((values - power[:, None] * first / total) ** 2).sum(-1)
        expected = {
            "bias2": ((first - exact) ** 2).sum(),
            "trace": trace,
            "sn_bias2": ((first / total - exact) ** 2).sum(),
            "sn_trace": (mu * off).sum() / total**2,
            "moment": (mu * power**2).sum(),
        }
        for key, value in expected.items():
            # Squares up to 300, each rounded to 1e-16 of itself.
            assert float(curves[key][k]) == pytest.approx(float(value), rel=1e-12, abs=1e-13)


def test_two_arms_have_the_values_of_the_closed_form():
    mu, pi, reward = (tensor(*row) for row in estimators.PROBLEMS["two arms"])
    curves = estimators.enumerated(mu, pi, reward, GAMMAS)
    # One logit: n Var = (0.1 1.8^g + 0.9 0.2^g)^2/4, self-normalised 0.25, 0.140625 and 0.0324 at
    # 0, 1/2 and 1; of two logits, one the negative of the other, twice that.
    plain = [(0.1 * 1.8**g + 0.9 * 0.2**g) ** 2 / 2 for g in GAMMAS.tolist()]
    assert curves["trace"].tolist() == pytest.approx(plain, rel=1e-13)
    coded = curves["sn_trace"][[0, 2, 4]].tolist()
    assert coded == pytest.approx([0.5, 0.28125, 0.0648], rel=1e-13)


@pytest.mark.parametrize("d", [1, 2, 10])
@pytest.mark.parametrize("sigma2", [0.25, 1.0, 4.0, 69.3])
def test_shifted_curves_are_the_closed_forms(sigma2, d):
    curves = estimators.shifted(sigma2, d, GAMMAS)
    for k, gamma in enumerate(GAMMAS.tolist()):
        mean = formulas.gradient_mean_gaussian(math.sqrt(sigma2), gamma, Real)
        spread = gamma**2 * sigma2
        expected = {
            "bias2": mean**2,
            "trace": formulas.gradient_variance_gaussian(sigma2, gamma, d, Real),
            "sn_bias2": (1 - gamma) ** 2 * sigma2,
            "sn_trace": math.exp(spread) * (d + spread),
            "moment": formulas.second_moment_lognormal(sigma2, gamma, Real),
        }
        # Terms of up to (1 + sigma2)^2 cancel: 1e-16 of 5,000 and of the size that they share.
        scale = math.exp(spread) * (d + sigma2) if k else d + sigma2
        for key, value in expected.items():
            assert float(curves[key][k]) == pytest.approx(value, rel=1e-10, abs=1e-13 * scale)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_shifted_curves_are_integrals(gamma):
    theta = 1.5

    def mean(power, degree):
        def integrand(y):
            log_w = theta * y - theta**2 / 2
            density = math.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
            return density * math.exp(power * log_w) * (y - theta) ** degree

        return integrate.quad(integrand, -12, 16, epsabs=1e-12, epsrel=1e-12, limit=200)[0]

    found = {key: float(c[0]) for key, c in estimators.shifted(2.25, 2, tensor(gamma)).items()}
    first, total = mean(gamma, 1), mean(gamma, 0)
    goal, moment = first / total, mean(2 * gamma, 0)
    trace = mean(2 * gamma, 2) + moment - first**2
    off = mean(2 * gamma, 2) - 2 * goal * mean(2 * gamma, 1) + goal**2 * moment
    # quad's own tolerance, times the few numbers of order 100 that enter.
    assert found["trace"] == pytest.approx(trace, abs=1e-9)
    assert found["sn_trace"] == pytest.approx((off + moment) / total**2, abs=1e-9)


def test_minima_are_found_where_the_curve_has_two():
    # Wells at 1/50 and 3/5, the narrow one lower by 1e-6: a grid of 0.05 steps over it.
    def curve(gamma):
        narrow = 1 - 1.000001 * torch.exp(-(((gamma - 0.02) / 0.03) ** 2))
        return narrow - torch.exp(-(((gamma - 0.6) / 0.2) ** 2))

    assert estimators.least(curve, 21) == pytest.approx(0.02, abs=1e-5)
    assert estimators.least(lambda g: -g, 11) == 1.0
    assert estimators.least(lambda g: g, 11) == 0.0


@pytest.mark.parametrize(
    ("sigma2", "d", "where"),
    [
        (1, 1, 0.288990932507292442),
        (9, 1, 0.127584394766219705),
        (25, 1, 0.0421292347444518738),
        (100, 1, 0.270615168863597057),
        (9, 2, 0.185528765271314525),
        (9, 10, 0.241738308950614456),
    ],
)
def test_minimisers_are_those_of_the_closed_form(sigma2, d, where):
    found = estimators.least(lambda g: estimators.shifted(sigma2, d, g)["trace"], 401)
    # Near a minimum a rounding of 1e-16 hides 1e-8 in gamma, a few times that with cancellation.
    assert found == pytest.approx(where, abs=1e-7)
    exact = optimize.minimize_scalar(
        lambda g: formulas.gradient_variance_gaussian(sigma2, g, d, Real),
        bounds=(max(0, where - 0.02), where + 0.02),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(exact.x, abs=1e-6)


def test_drawn_batches_are_told_from_wrong_formulas():
    settings = estimators.Settings(seeds=20, batches=100, batch=32, sampled_gammas=(0.25,), seed=11)
    found = estimators.drawn(settings, 1.0, 2)
    # 2,000 estimates in two dimensions: a standard error of 1/sqrt(2000) = 2.2%, four of them, and
    # for the self-normalised one the next order, of 1/32.
    assert np.mean(found["trace"]) == pytest.approx(1, abs=0.09)
    assert np.mean(found["sn_trace"]) == pytest.approx(1, abs=0.12)


def log_mu(y, m):
    return np.logaddexp(-((y - m) ** 2) / 2, -((y + m) ** 2) / 2) - math.log(
        2 * math.sqrt(2 * math.pi)
    )


def log_pi(y, theta, v):
    return -((y - theta) ** 2) / (2 * v) - math.log(2 * math.pi * v) / 2


def integral(f):
    return integrate.quad(f, -40, 40, points=(-3, 0, 3), limit=400, epsabs=1e-13, epsrel=1e-12)[0]


@pytest.mark.parametrize(
    ("gamma", "theta", "v"), [(0.3, 0.7, 1.0), (0.8, -1.5, 4.0), (0, 1.0, 2.0)]
)
def test_sums_over_the_grid_are_integrals(gamma, theta, v):
    y, m = bimodal.grid(), 3.0
    mean, second = bimodal.tilted(y, m, gamma, tensor(theta), tensor(v))

    def mass(x):
        return math.exp((1 - gamma) * log_mu(x, m) + gamma * log_pi(x, theta, v))

    total = integral(mass)
    # quad is asked for 1e-12 of moments of up to 10.
    assert float(mean) == pytest.approx(integral(lambda x: x * mass(x)) / total, abs=1e-10)
    assert float(second) == pytest.approx(integral(lambda x: x * x * mass(x)) / total, abs=1e-10)
    if gamma:
        expected = math.log(total) / gamma
    else:
        expected = integral(lambda x: math.exp(log_mu(x, m)) * (log_pi(x, theta, v) - log_mu(x, m)))
    found = bimodal.value(y, m, gamma, tensor(theta), tensor(v))
    assert float(found) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 0.4, 0.9])
def test_the_step_is_the_natural_gradient(gamma):
    y, m = bimodal.grid(), 2.0
    theta, v = tensor(0.8).requires_grad_(), tensor(1.7).requires_grad_()
    bimodal.value(y, m, gamma, theta, v).sum().backward()
    mean, second = bimodal.tilted(y, m, gamma, theta.detach(), v.detach())
    # d log pi: (y - theta)/v and ((y - theta)^2 - v)/(2 v^2), in the mean under nu.
    t, s = theta.item(), v.item()
    assert theta.grad.item() == pytest.approx((mean.item() - t) / s, abs=1e-12)
    spread = second.item() - 2 * t * mean.item() + t * t
    assert v.grad.item() == pytest.approx((spread - s) / (2 * s * s), abs=1e-12)


def onset(m):
    """gamma E_nu[y^2] = 1 at theta = 0, by quadrature."""

    def excess(gamma):
        def mass(y):
            return math.exp((1 - gamma) * log_mu(y, m) + gamma * log_pi(y, 0, 1))

        return gamma * integral(lambda y: y * y * mass(y)) / integral(mass) - 1

    return optimize.brentq(excess, 0.01, 1 - 1e-6, xtol=1e-12)


@pytest.mark.parametrize(
    ("m", "stated"), [(2.0, 0.356858523242437193), (3.0, 0.127096433226227602)]
)
def test_the_branch_starts_where_the_curvature_vanishes(m, stated):
    assert onset(m) == pytest.approx(stated, abs=1e-9)
    found = bimodal.run(bimodal.Settings(branch=5), "branch", m)
    # The line through theta^2 at 0.05 and 0.1 is off by their product squared, 2.5e-5, times a
    # curvature below 1.
    assert found["onset"] == pytest.approx(stated, abs=2.5e-5)


def reverse_kl(theta, v, m):
    return integral(lambda y: math.exp(log_pi(y, theta, v)) * (log_pi(y, theta, v) - log_mu(y, m)))


def test_ascents_end_at_both_kls():
    settings = bimodal.Settings()
    forward = bimodal.run(settings, "free", 3.0, 0.0)
    assert forward["theta"] == pytest.approx([0] * 32, abs=1e-9)
    assert forward["v"] == pytest.approx([10] * 32, abs=1e-9)
    best = optimize.minimize(
        lambda at: reverse_kl(at[0], math.exp(at[1]), 3.0), [3.0, 0.0], method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-13},
    )  # fmt: skip
    stated = (2.98430598783574205, 1.04728320890303290)
    assert (best.x[0], math.exp(best.x[1])) == pytest.approx(stated, abs=1e-6)
    theta, v, _ = bimodal.climb(3.0, 0.9999, tensor(3.0), tensor(1.0), free=True, steps=3000)
    # The minimiser moves by about 0.08 (1 - gamma) in v.
    assert (float(theta), float(v)) == pytest.approx(stated, abs=2e-5)


@pytest.mark.parametrize(("m", "gamma"), [(3.0, 0.9), (4.0, 0.95)])
def test_no_small_step_from_an_end_does_better(m, gamma):
    got = bimodal.run(bimodal.Settings(), "free", m, gamma)
    y = bimodal.grid()
    for k in (0, 14, 31):
        theta, v, top = got["theta"][k], got["v"][k], got["value"][k]
        for a, b in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.01), (0.0, 0.99), (0.01, 1.01)):
            near = bimodal.value(y, m, gamma, tensor(theta + a), tensor(v * b))
            # A step of 0.01 costs about (1 - gamma) 1e-4/2 > 1e-6 in each direction.
            assert float(near) < top - 1e-8
