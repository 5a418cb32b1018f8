"""The metamorphic relations hold of this library and catch the bugs that others had.

Each bug is written anew, as small as it can be, beside the same code without it; those that a
library had name its report.
"""

from __future__ import annotations

import doctest
import functools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp

import isr_theory
from isr_theory import formulas, testing
from isr_theory.arithmetic import Real

exact_gamma = functools.partial(isr_theory.gamma_star, method="exact")


def names(violations):
    return {violation.relation.name for violation in violations}


def formula_kl(log_p, log_q):
    return formulas.kl(list(np.exp(log_p)), list(np.exp(log_q)), Real)


def test_the_example_in_the_documentation_runs():
    done = doctest.testmod(testing)
    assert done.attempted == 4
    assert done.failed == 0


def test_only_the_weights_need_more_than_numpy():
    loaded = "import sys, isr_theory.testing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    modules = set(done.stdout.split())
    assert "isr_theory.testing" in modules
    assert not modules & {"torch", "hypothesis", "scipy", "isr_theory.formulas"}


def test_this_library_breaks_nothing():
    assert testing.ess_violations(isr_theory.ess_ratio) == []
    assert testing.gamma_violations(exact_gamma) == []
    assert testing.gamma_violations(exact_gamma, precision=1e-13) == []
    assert testing.kl_violations(formula_kl) == []


def test_the_closed_form_is_not_the_samples_gamma():
    def lognormal(log_w, rho_min):
        return exact_gamma(log_w, rho_min, method="lognormal")

    expected = {"meets the target", "spends the target", "zero weight"}
    assert names(testing.gamma_violations(lognormal)) == expected


def log_ess(log_w, gamma):
    """log ESS, not divided by n."""
    return 2 * logsumexp(gamma * log_w) - logsumexp(2 * gamma * log_w)


def root_of(residual):
    """A solver that finds where a residual of (positive log_w, gamma, target ESS) is 0."""

    def solve(log_w, rho_min):
        if np.isnan(log_w).any():
            raise ValueError("NaN in log_w")
        positive, target = log_w[np.isfinite(log_w)], rho_min * len(log_w)
        if residual(positive, 1.0, target) >= 0:
            return 1.0
        if residual(positive, 0.0, target) <= 0:
            return 0.0
        return brentq(lambda gamma: residual(positive, gamma, target), 0, 1, xtol=1e-14)

    return solve


def right_residual(log_w, gamma, target):
    return log_ess(log_w, gamma) - math.log(target)


def sign_error(log_w, gamma, target):
    """The log-weights enter with the other sign: unseen where they are symmetric."""
    return log_ess(-log_w, gamma) - math.log(target)


def linear_for_log(log_w, gamma, target):
    """The ESS itself is compared with the logarithm of the target."""
    return math.exp(log_ess(log_w, gamma)) - math.log(target)


def log_for_linear(log_w, gamma, target):
    """And the other way round."""
    return log_ess(log_w, gamma) - target


def bisected(read):
    """A solver that halves [0, 1] until the ESS, as it is read, is the target, as it is read."""

    def solve(log_w, rho_min):
        if np.isnan(log_w).any():
            raise ValueError("NaN in log_w")
        target = rho_min * len(log_w)
        positive = log_w[np.isfinite(log_w)]
        if math.exp(log_ess(positive, 1.0)) >= target:
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(60):
            gamma = (low + high) / 2
            ess = read(math.exp(log_ess(positive, gamma)))
            if ess == read(target):
                break
            low, high = (gamma, high) if ess > read(target) else (low, gamma)
        return gamma

    return solve


def silent_on_nan(log_w, rho_min):
    """Every comparison with a NaN is false, so bisection walks to an end and says nothing."""
    if np.isnan(log_w).any():
        return 1.0
    return exact_gamma(log_w, rho_min)


def ess_by(flattened):
    """ESS/n from what a function makes of (log_w, gamma): weights, up to a common factor."""

    def ess(log_w, gamma):
        with np.errstate(all="ignore"):
            w = flattened(log_w, gamma)
            return w.sum() ** 2 / (len(w) * (w * w).sum())

    return ess


def right_weights(log_w, gamma):
    return np.where(log_w > -np.inf, np.exp(gamma * (log_w - log_w.max())), 0 * log_w.max())


def negated(log_w, gamma):
    positive = np.where(log_w > -np.inf, log_w, log_w.max())
    return np.where(log_w > -np.inf, np.exp(-gamma * (positive - positive.min())), 0.0)


def linear(log_w, gamma):
    """Out of the log domain before flattening: e^1e4 is infinite."""
    return np.where(log_w > -np.inf, np.exp(log_w) ** gamma, 0.0)


def one_at_zero(log_w, gamma):
    """0^0 = 1: at gamma = 0 a weight of 0 counts like any other."""
    return np.exp(log_w - log_w.max()) ** gamma


def nan_at_zero(log_w, gamma):
    """0 * -inf is a NaN, and one NaN makes the sum one."""
    return np.exp(gamma * (log_w - log_w.max()))


def dropped_nan(log_w, gamma):
    """A NaN counts as a weight of 0."""
    return np.nan_to_num(right_weights(np.nan_to_num(log_w, nan=-np.inf, neginf=-np.inf), gamma))


def in_place(log_w, gamma):
    log_w -= log_w.max()
    return right_weights(log_w, gamma)


def right_kl(log_p, log_q):
    return float(np.exp(log_p) @ (log_p - log_q))


def reversed_kl(log_p, log_q):
    return right_kl(log_q, log_p)


def right_estimate(log_p, log_q):
    return float((log_p - log_q).mean())


def reversed_estimate(log_p, log_q):
    """The other sign of the log-ratio, as though the sample came from q."""
    return float((log_q - log_p).mean())


def third_estimate(log_p, log_q):
    """Schulman's k3, unbiased and never negative."""
    return float(np.expm1(log_q - log_p).mean() - (log_q - log_p).mean())


def reversed_third_estimate(log_p, log_q):
    return third_estimate(log_q, log_p)


def detached(log_pi, log_mu):
    return (log_pi - log_mu).exp().detach()


def attached(log_pi, log_mu):
    return (log_pi - log_mu).exp()


def summed(log_ratios, mask):
    return (log_ratios * mask).sum(axis=1)


def once_a_token(log_ratios, mask):
    """(B, 1) times a (B, T) mask is (B, T): a sequence counts once for each of its tokens."""
    return ((log_ratios * mask).sum(axis=1, keepdims=True) * mask).sum(axis=1)


def broadcast(log_ratios, mask):
    """(B, 1) times (B,) is (B, B): every sequence meets every other, and a mean hides it."""
    totals = (log_ratios * mask).sum(axis=1, keepdims=True)
    return (totals * np.ones(len(mask))).mean(axis=0)


def outer(log_ratios, mask):
    return (log_ratios * mask).sum(axis=1, keepdims=True) * np.ones(len(mask))


def mean_ratio(log_ratios, mask):
    return (log_ratios * mask).sum(axis=1) / mask.sum(axis=1)


def unmasked(log_ratios, mask):
    return log_ratios.sum(axis=1)


ess, gamma = testing.ess_violations, testing.gamma_violations
kl, estimator = testing.kl_violations, testing.estimator_violations
target = {"meets the target", "spends the target"}
BUGS = {
    "the solver's sign, BlackJAX 914": (
        gamma,
        root_of(right_residual),
        root_of(sign_error),
        target,
    ),
    "an ESS against a log target, BlackJAX 811": (
        gamma,
        root_of(right_residual),
        root_of(linear_for_log),
        {"meets the target"},
    ),
    "a log ESS against a linear target": (
        gamma,
        root_of(right_residual),
        root_of(log_for_linear),
        {"spends the target", "equal weights"},
    ),
    "an exit on the ESS as an integer, PyMC": (gamma, bisected(float), bisected(int), target),
    "a solver silent on NaN": (gamma, exact_gamma, silent_on_nan, {"NaN"}),
    "the ESS's sign": (ess, ess_by(right_weights), ess_by(negated), {"definition", "sign"}),
    "weights out of the log domain": (ess, ess_by(right_weights), ess_by(linear), {"definition"}),
    "0^0 = 1": (ess, ess_by(right_weights), ess_by(one_at_zero), {"share at zero"}),
    "0 times -inf": (ess, ess_by(right_weights), ess_by(nan_at_zero), {"share at zero"}),
    "a NaN dropped": (ess, ess_by(right_weights), ess_by(dropped_nan), {"NaN"}),
    "writing into the input": (ess, ess_by(right_weights), ess_by(in_place), {"input"}),
    "a reversed KL": (kl, right_kl, reversed_kl, {"direction"}),
    "a KL metric of the wrong sign": (
        estimator,
        right_estimate,
        reversed_estimate,
        {"direction", "sign"},
    ),
    "a reversed k3": (estimator, third_estimate, reversed_third_estimate, {"direction"}),
    "a missing detach, verl 4105": (
        testing.weights_violations,
        detached,
        attached,
        {"detached", "surrogate"},
    ),
    "a sequence ratio once a token, TRL 3823": (
        testing.ratio_violations,
        summed,
        once_a_token,
        {"sum over tokens"},
    ),
    "a sequence ratio broadcast over the batch": (
        testing.ratio_violations,
        summed,
        broadcast,
        {"sum over tokens", "alone"},
    ),
    "a sequence ratio of shape (B, B)": (
        testing.ratio_violations,
        summed,
        outer,
        {"sum over tokens", "alone"},
    ),
    "a mean for a sum": (testing.ratio_violations, summed, mean_ratio, {"sum over tokens"}),
    "a forgotten mask": (testing.ratio_violations, summed, unmasked, {"padding"}),
}


# Small slips that break what the bugs above leave whole: no relation is there for show.
SLIPS = {
    gamma: [
        lambda log_w, rho_min: 1 + exact_gamma(log_w, rho_min),
        lambda log_w, rho_min: exact_gamma(log_w, 1 - rho_min),
        lambda log_w, rho_min: exact_gamma(log_w[np.isfinite(log_w)], rho_min),
        lambda log_w, rho_min: exact_gamma(log_w.__isub__(log_w.max()), rho_min),
        # The second moment of log w for its variance.
        lambda log_w, rho_min: min(1.0, 1 / math.hypot(1e-9, *log_w[np.isfinite(log_w)])),
    ],
    kl: [
        lambda log_p, log_q: -float(np.exp(log_p) @ log_q),
        lambda log_p, log_q: -right_kl(log_p, log_q),
        lambda log_p, log_q: right_kl(log_p, np.sort(log_q)),
    ],
}
SUITES = {
    ess: testing.ESS,
    gamma: testing.GAMMA,
    kl: testing.KL,
    testing.weights_violations: testing.WEIGHTS,
    testing.ratio_violations: testing.RATIO,
}


@pytest.mark.parametrize("found", SUITES, ids=lambda found: found.__name__)
def test_every_relation_can_fail(found):
    wrong = [bug[2] for bug in BUGS.values() if bug[0] is found] + SLIPS.get(found, [])
    broken = set().union(*(names(found(function)) for function in wrong))
    assert broken == {relation.name for relation in SUITES[found].relations}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_caught_by_its_relations_and_the_right_form_passes(bug):
    found, right, wrong, relations = BUGS[bug]
    assert found(right) == []
    assert relations <= names(found(wrong))


def test_on_symmetric_weights_only_a_giant_shows_the_sign():
    symmetric = np.array([-2.0, -0.5, 0.5, 2.0])
    wrong, right = (root_of(f)(symmetric, 0.5) for f in (sign_error, right_residual))
    assert wrong == pytest.approx(right, abs=1e-12)
    assert names(testing.ess_violations(ess_by(negated), [symmetric])) == {"sign"}


def test_single_precision_is_held_to_its_own_rounding():
    def single(log_w, gamma):
        return float(ess_by(right_weights)(log_w.astype(np.float32), np.float32(gamma)))

    assert testing.ess_violations(single, precision=testing.SINGLE) == []
    assert "definition" in names(testing.ess_violations(single))
    # Its slack still tells a sign.
    wrong = testing.ess_violations(ess_by(negated), precision=testing.SINGLE)
    assert {"definition", "sign"} <= names(wrong)


def test_a_root_finder_is_held_to_the_tolerance_that_it_claims():
    def rough(log_w, rho_min):
        return exact_gamma(log_w, rho_min) * (1 - 1e-4)

    assert testing.gamma_violations(rough, precision=1e-4) == []
    assert "spends the target" in names(testing.gamma_violations(rough))


def test_a_violation_says_what_where_and_by_how_much():
    (first, *_) = testing.gamma_violations(lambda log_w, rho_min: 2.5, [[0.0, 3.0]])
    assert str(first) == repr(first)
    assert str(first).splitlines() == [
        "range: gamma is in [0, 1]; 2.5 == 1.0 fails",
        "at log_w = [0. 3.], rho_min = 0.1",
    ]
    assert (first.left, first.right, first.raised) == (2.5, 1.0, None)


def test_what_raises_is_a_violation_that_says_so():
    (first, *_) = testing.ess_violations(lambda log_w, gamma: 1 / 0)
    assert "raised ZeroDivisionError" in str(first)
    assert isinstance(first.raised, ZeroDivisionError)
    nothing = testing.ess_violations(lambda log_w, gamma: None)
    assert len(nothing) > 10
    assert all(isinstance(violation.raised, TypeError) for violation in nothing)


def test_answers_are_compared_by_shape_and_value():
    infinite = [-math.inf, math.inf]
    assert testing.equal(infinite, infinite, 0.0)
    assert testing.equal([1.0, 2.0], [1.0, 2.5], 0.5)
    assert not testing.equal([1.0, 2.0], [1.0, 2.5], 0.49)
    assert not testing.equal([1.0], 1.0, 0.5)
    assert not testing.equal(math.nan, math.nan, 1.0)
    assert not testing.equal(infinite, [-math.inf, 0.0], 1.0)
    assert testing.at_most([1.0, 2.5], 2.0, 0.5)
    assert not testing.at_most([1.0, 2.51], 2.0, 0.5)
    assert not testing.at_most(math.nan, 2.0, 0.5)


def test_the_built_in_inputs_stay_as_they_are():
    def spoils(log_w, gamma):
        log_w[:] = 0.0
        return 1.0

    testing.ess_violations(spoils)
    own = np.array([0.0, 3.0])
    testing.ess_violations(spoils, [own])
    np.testing.assert_array_equal(own, [0.0, 3.0])
    assert not np.array_equal(testing.log_weights()[0], np.zeros(5))


levels = (
    st.floats(-1e4, 1e4)
    | st.floats(-5, 5)
    | st.floats(-1e-300, 1e-300)
    | st.sampled_from([-math.inf, 0.0])
)
samples = (
    st.lists(levels, min_size=1, max_size=30)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)


@given(samples, st.floats(0, 1))
def test_the_librarys_ess_keeps_every_relation(log_w, gamma):
    assert testing.violations(testing.ESS, isr_theory.ess_ratio, [(log_w, gamma)]) == []


@given(samples, st.floats(0.001, 0.999))
def test_the_librarys_gamma_keeps_every_relation(log_w, share):
    # A target that some gamma meets.
    rho_min = share * testing.positive_share(log_w)
    assert testing.violations(testing.GAMMA, exact_gamma, [(log_w, rho_min)]) == []


masses = st.lists(st.floats(1e-3, 1), min_size=2, max_size=6)


@given(masses.flatmap(lambda p: st.tuples(st.just(p), st.permutations(p), masses)))
def test_the_formula_for_kl_keeps_every_relation(drawn):
    p, permuted, other = drawn
    q = other if len(other) == len(p) else permuted
    laws = tuple(np.log(np.array(row) / math.fsum(row)) for row in (p, q))
    assert testing.violations(testing.KL, formula_kl, [laws]) == []
