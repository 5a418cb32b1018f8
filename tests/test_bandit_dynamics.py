"""The building blocks of the toy bandits' dynamics, each against a second way to its value."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from experiments.bandit import asymre, small_batch, stall, two_arm
from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.weights import ess_ratio, gamma_star

pytestmark = pytest.mark.usefixtures("one_thread")


def normal_mean(f):
    """Integrate over N(0, 1); the integrands die like a Gaussian within 12 of 0."""
    return integrate.quad(lambda y: f(y) * stats.norm.pdf(y), -12, 12, epsabs=1e-13, limit=200)[0]


# Sums and quadratures to 1e-13, of terms of order 1.
EXACT = {"rel": 1e-10, "abs": 1e-12}


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.75, 0.9])
def test_the_curve_is_the_ledgers_fixed_point(gamma):
    q = formulas.fixed_point(two_arm.MU, two_arm.REWARD, gamma, Real)
    assert two_arm.better_share(1 / (1 - gamma)) == pytest.approx(q[1], **EXACT)


@pytest.mark.parametrize("gamma", [0.0, 0.6, 1.0])
def test_fits_in_a_loop_are_steps_to_the_effective_target(gamma):
    # A fit halves its distance 80 times.
    shares = two_arm.outer_loop(two_arm.Settings(inner=80), gamma, 4)["shares"]
    policy = two_arm.MU
    for k, share in enumerate(shares, start=1):
        policy = formulas.effective_target(two_arm.MU, policy, two_arm.REWARD, gamma, Real)
        assert share == pytest.approx(policy[1], **EXACT)
        assert share == pytest.approx(
            two_arm.better_share(two_arm.outer_exponent(gamma, k)), **EXACT
        )


def test_a_data_set_leads_to_the_worse_arm_when_it_has_too_few_rows_of_the_better():
    few = two_arm.data(two_arm.Settings(data_sets=500), 0.5, 8)["wrong"]
    same = two_arm.data(two_arm.Settings(data_sets=500), 0.0, 8)["wrong"]
    generator = torch.Generator().manual_seed(20260111)
    drawn = torch.rand((500, 8), generator=generator, dtype=torch.float64)
    counts = (drawn < 0.5).sum(-1).tolist()
    assert few == same == [float(2 * k < 8 - k) for k in counts]


@pytest.mark.parametrize("shift", [-2.3, -0.6, -0.12, -0.05])
def test_the_limit_below_the_mean_is_the_nearest_point_of_the_simplex(shift):
    mu, reward = np.array(asymre.MU), np.array(asymre.REWARD)
    point = mu * (reward - asymre.MEAN - shift) / -shift
    solved = optimize.minimize(
        lambda p: ((p - point) ** 2).sum(),
        mu,
        jac=lambda p: 2 * (p - point),
        bounds=[(0, 1)] * len(mu),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    # SLSQP stops when a step gains 1e-15 of a square: the point is good to its root.
    assert asymre.limit(shift, 0.0).tolist() == pytest.approx(solved.x.tolist(), abs=1e-6)


@pytest.mark.parametrize("shift", [-0.3, 0.0, 1.0])
def test_the_limit_at_positive_gamma_is_the_summit_of_the_objective(shift):
    mu, above = np.array(asymre.MU), np.array(asymre.REWARD) - asymre.MEAN - shift
    gamma, at = 0.5, asymre.limit(shift, 0.5).numpy()

    def objective(p):
        return (mu ** (1 - gamma) * p**gamma * above).sum() / gamma

    rng = np.random.default_rng(1)
    others = rng.dirichlet(np.ones(5) / 2, size=2000)
    nearby = 0.99 * at + 0.01 * others
    assert objective(at) > max(objective(p) for p in np.concatenate([others, nearby]))


@pytest.mark.parametrize("shift", [-0.05, 0.1, 0.5, 2.0])
def test_an_arm_can_be_an_end_if_the_flow_close_to_it_goes_there(shift):
    mu, reward = np.array(asymre.MU), np.array(asymre.REWARD)
    pull = mu * (reward - asymre.MEAN - shift)
    for k, can in enumerate(asymre.can_end(shift)):
        logits = np.where(np.arange(5) == k, 30.0, 0.0)
        policy = np.exp(logits - np.logaddexp.reduce(logits))
        flow = pull - policy * pull.sum()
        assert can == bool((flow[k] > np.delete(flow, k)).all())


def draws(n=7, rows=3):
    generator = torch.Generator().manual_seed(3)
    return torch.randn((rows, n), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("theta", [0.3, 2.0, -1.4])
def test_batch_gradients_row_by_row_in_plain_arithmetic(theta):
    y = draws()
    at = torch.full((len(y),), theta, dtype=torch.float64)
    found = {way: stall.batch_gradient(way, y, at, 0.3).tolist() for way in stall.WAYS}
    for k, row in enumerate(y.numpy()):
        log_w, score = theta * row - theta**2 / 2, row - theta
        gamma = gamma_star(log_w, 0.3, method="lognormal")
        own, w = np.exp(gamma * log_w), np.exp(log_w)
        # At gamma = 1 the quotient is its limit.
        apart = -w * log_w if gamma == 1 else (own - w) / (1 - gamma)
        plain = (own * score).mean()
        assert found["plain"][k] == pytest.approx(plain, **EXACT)
        assert found["self-normalised"][k] == pytest.approx(plain / own.mean(), **EXACT)
        assert found["gamma 0"][k] == pytest.approx(score.mean(), **EXACT)
        assert found["divided"][k] == pytest.approx((apart * score).mean(), **EXACT)


@pytest.mark.parametrize("theta", [0.5, 1.0, 1.8])
def test_the_divided_gradient_is_that_of_the_reverse_kl_where_gamma_is_1(theta):
    def integrand(y):
        log_w = theta * y - theta**2 / 2
        return -math.exp(log_w) * log_w * (y - theta)

    # KL(N(theta, 1) || N(0, 1)) = theta^2/2.
    assert normal_mean(integrand) == pytest.approx(-theta, rel=1e-9)


def test_an_exact_gaussian_step_is_the_integral_of_the_weighted_score():
    settings = stall.Settings(starts=(2.0, 1.4, -3.0), steps=1)
    for start, end in zip(settings.starts, stall.gaussian(settings)["end"], strict=True):
        gamma = min(1.0, math.sqrt(-math.log(0.3)) / abs(start))

        def integrand(y, theta=start, gamma=gamma):
            return math.exp(gamma * (theta * y - theta**2 / 2)) * (y - theta)

        assert end - start == pytest.approx(settings.step * normal_mean(integrand), rel=1e-9)


def test_the_first_tabular_fit_is_the_effective_target_at_the_rules_gamma():
    mu, pi = stall.TABULAR, (0.01, 0.01, 0.98)
    log_w = np.log(np.array(pi) / np.array(mu))
    sigma2 = np.cov(log_w, aweights=np.array(mu), ddof=0)
    gamma = formulas.gamma_lognormal(float(sigma2), 0.3, Real)
    target = formulas.effective_target(mu, pi, (1.0, 1.0, 1.0), gamma, Real)
    found = stall.tabular(stall.Settings(steps=1))["first_fit"]
    assert found == pytest.approx([float(x) for x in target], **EXACT)


@pytest.mark.parametrize("theta", [0.0, 0.7, 2.3])
def test_the_gaussian_problems_value_and_ess_by_quadrature(theta):
    problem = small_batch.gaussian(1)
    at, gamma = torch.tensor([[theta]], dtype=torch.float64), 0.6

    def moment(power):
        return normal_mean(lambda y: math.exp(power * (theta * y - theta**2 / 2)))

    value = normal_mean(lambda z: math.exp(-((z + theta - 2) ** 2) / 2))
    assert float(problem.value(at)) == pytest.approx(value, rel=1e-9)
    ess = moment(gamma) ** 2 / moment(2 * gamma)
    given = torch.tensor([gamma], dtype=torch.float64)
    assert float(problem.ess(at, given)) == pytest.approx(ess, rel=1e-9)
    assert float(problem.sigma2(at)) == pytest.approx(theta**2)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_the_gaussian_problem_is_at_rest_where_it_is_said_to_be(gamma):
    theta = 2 / (2 - gamma)

    def integrand(y):
        log_w = theta * y - theta**2 / 2
        return math.exp(gamma * log_w - (y - 2) ** 2 / 2) * (y - theta)

    assert normal_mean(integrand) == pytest.approx(0.0, abs=1e-11)


def test_the_softmax_problems_gradient_and_population_by_autograd_and_sums():
    problem = small_batch.softmax(2, 5)
    generator = torch.Generator().manual_seed(4)
    logits = problem.start + torch.randn((2, 5), generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    log_w, reward, gradient = problem.batch(logits, 6, generator)
    weights = log_w.detach().softmax(-1) * reward
    # log w and log pi of a row differ by what does not depend on the logits.
    (expected,) = torch.autograd.grad((weights * log_w).sum(), logits)
    assert torch.allclose(gradient(weights), expected, rtol=1e-12, atol=1e-14)
    mu = problem.start[0].exp()
    level = (logits.log_softmax(-1) - problem.start).detach()
    # A sample in which each arm stands 10,000 times its chance, up to rounding of the counts.
    counts = (mu * 1e4).round().long()
    for k, row in enumerate(level):
        sample = row.repeat_interleave(counts)
        found = float(problem.ess(logits.detach(), torch.tensor([0.7, 0.7]).double())[k])
        # Five counts off by up to a half each in 10,000, and a ratio of squares.
        assert found == pytest.approx(ess_ratio(sample, 0.7).item(), abs=2e-3)
        assert float(problem.sigma2(logits.detach())[k]) == pytest.approx(
            float(sample.var(correction=0)), rel=5e-3
        )


def test_safe_gammas_keep_what_they_promise():
    y = draws(n=9, rows=200)
    log_w = 3.0 * y
    kantorovich = small_batch.choose("Kantorovich", log_w, 0.3)
    kept = [ess_ratio(row, float(g)).item() for row, g in zip(log_w, kantorovich, strict=True)]
    assert min(kept) >= 0.3
    # Two points of log-weights, one of them with share 1/(1 + e^(gamma R)): the bound is reached.
    gamma = float(small_batch.choose("Kantorovich", torch.tensor([[0.0, 4.0]]).double(), 0.3))
    share = 1 / (1 + math.exp(4 * gamma))
    first, second = (1 - share + share * math.exp(4 * k * gamma) for k in (1, 2))
    assert first**2 / second == pytest.approx(0.3)
    # At the chi-square rule the target is met where S^2 n/q, q the 5% point, is above sigma^2.
    chosen = small_batch.choose("chi-square", log_w, 0.3)
    sigma = log_w.std(-1, correction=0)
    bound = sigma**2 * 9 / stats.chi2.ppf(0.05, 8)
    assert torch.allclose((-math.log(0.3) / bound).sqrt().clamp_max(1), chosen)


def test_the_learning_rate_is_chosen_on_other_seeds_than_it_is_judged_on():
    settings = small_batch.Settings(rates=(0.1, 0.2), seeds=4)
    got = {"late": [[1.0, 1.0, 5.0, 7.0], [2.0, 2.0, 0.0, 1.0]]}
    assert small_batch.judged(settings, got) == {"rate": 0.2, "late": [0.0, 1.0], "row": 1}
