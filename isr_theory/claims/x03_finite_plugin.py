"""Past section 8: how often the rule meets its target when sigma2 comes from the batch.

With log-normal weights and S^2, the variance of n rows with divisor n - 1, in the place of sigma2,
the population's ESS/n at the rule's gamma is rho_min^(sigma2/S^2). It meets the target where
S^2 >= sigma2, that is where chi^2_{n-1} >= n - 1, which is the case in fewer than half of all
batches. An upper bound on sigma2 in the place of S^2 makes it 1 - delta of them.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, Rule
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.claims.s08_1_ess import GAMMA, SIGMA2, integrated_ess
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift, drawn_fraction

A, H, R, L, X, Q = sympy.symbols("a h r L x q", positive=True)
N = sympy.symbols("n", integer=True, positive=True)

UNCLIPPED = Assumption(
    "unclipped",
    Text(
        "0 < rho_min < 1 and sigma2 > -log rho_min: gamma = 1 would miss the target.",
        "0 < ρ_min < 1 且 σ² > −log ρ_min：γ = 1 达不到目标。",
    ),
    lambda rule: 0 < rule.rho_min < 1 and math.exp(-rule.sigma2) < rule.rho_min,
    examples=(Rule(Fraction(4), Fraction(3, 10)),),
    violations=(Rule(Fraction(1, 2), Fraction(3, 10)),),
    # -log rho_min is at most log 3, about 1.0986.
    draw=lambda rng: Rule(drawn_fraction(rng, "11/10", "9"), drawn_fraction(rng, "1/3", "1")),
)


def _erfc(x: Number, m: Arithmetic) -> Number:
    """The complementary error function, which no arithmetic has."""
    if m is Exact:
        return sympy.erfc(x)
    return math.erfc(x) if m is Real else flint.arb(x).erfc()


def chi2_tail(k: int, x: Number, m: Arithmetic) -> Number:
    """P(chi^2_k >= x), with h = x/2, in closed form.

    e^(-h) sum_{j < k/2} h^j/j! for an even k; for an odd one erfc(sqrt h) and
    e^(-h) sum_{j < (k-1)/2} h^(j + 1/2)/Gamma(j + 3/2).
    """
    h = x / 2
    if k % 2 == 0:
        total, term = m.number(0), m.exp(-h)
        for j in range(k // 2):
            total, term = total + term, term * h / (j + 1)
        return total
    pi = m.arccos(m.number(-1))
    total, term = _erfc(m.sqrt(h), m), 2 * m.exp(-h) * m.sqrt(h / pi)
    for j in range((k - 1) // 2):
        total, term = total + term, 2 * term * h / (2 * j + 3)
    return total


class PlugIn(NamedTuple):
    """ESS/n of the population from S^2/sigma2, and the law by whose tail it meets the target."""

    reached: Any
    tail: Any

    def coverage(self, n: int, m: Arithmetic) -> Number:
        """Return the chance that a batch of n rows meets the target."""
        return self.tail(n - 1, m.number(n - 1), m)


PLUG_IN = PlugIn(lambda ratio, rho_min, m: m.power(rho_min, 1 / ratio), chi2_tail)

COVERAGE = Draft(
    "GAM.coverage",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("The plug-in gamma misses in most batches", "代入样本方差的 γ̂ 多数情况下不达标"),
    finding=Text(
        "With log-normal weights and the batch's own variance the population meets ρ_min in fewer"
        " than half of all batches, whatever n: in 32% at n = 2, in 47% at n = 32.",
        "对数正态且用批次自身方差时，无论 n 多大，总体达到 ρ_min 的概率都小于 1/2："
        "n = 2 时 32%，n = 32 时 47%。",
    ),
    statement=r"\frac{\mathrm{ESS}_{\hat\gamma}}{n} = \rho_{\min}^{\sigma^2/S^2},\quad"
    r" \Pr\Bigl(\frac{\mathrm{ESS}_{\hat\gamma}}{n} \ge \rho_{\min}\Bigr)"
    r" = \Pr(\chi^2_{n-1} \ge n - 1) < \tfrac12\ \text{for every } n \ge 2",
    subject=PLUG_IN,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, UNCLIPPED),
    uses=("T8.2", "T8.3.a"),
    sharpens=("T8.3.a", "A8.4.a", "ADV8.3.1"),
    source="new here; that the median of a gamma law is below its mean is in Chen and Rubin 1986",
    reading="the population's ESS/n at the batch's gamma; S^2 has divisor n - 1, as in 8.4; with "
    "the clip at 1 the chance is the same, as a gamma of 1 misses too",
)


@COVERAGE.symbolic(
    Scope(
        "every n: S^2/sigma2 is chi^2_{n-1}/(n-1), the tail by induction in steps of 2; about its "
        "mean the density at +x is below that at -x up to one place and above it from there, so "
        "equal first moments leave less mass above the mean",
        whole=True,
    )
)
def _(plug_in: Any) -> Answer:
    """ESS at the plug-in; slopes of the tails and their step; the one crossing and the mean."""
    ratio = sympy.symbols("S2_over_sigma2", positive=True)
    gamma = sympy.sqrt(L / (SIGMA2 * ratio))
    reached = integrated_ess().subs(GAMMA, gamma)
    # With h = x/2 the density of chi^2_{2a} is h^(a-1) e^(-h)/Gamma(a) dh.
    density = H ** (A - 1) * sympy.exp(-H) / sympy.gamma(A)
    step = H**A * sympy.exp(-H) / sympy.gamma(A + 1)
    slopes = [
        symbolic.equal(
            -sympy.diff(plug_in.tail(k, 2 * H, Exact), H),
            density.subs(A, sympy.Rational(k, 2)),
        )
        for k in range(1, 6)
    ]
    ends = [
        symbolic.equal(plug_in.tail(k, sympy.S.Zero, Exact), 1, reduce=sympy.expand)
        for k in range(1, 6)
    ]
    # So a loop of `chi2_tail` that starts right stays right.
    steps = [
        symbolic.equal(
            plug_in.tail(k + 2, 2 * H, Exact) - plug_in.tail(k, 2 * H, Exact),
            step.subs(A, sympy.Rational(k, 2)),
        )
        for k in range(1, 5)
    ]
    # The log of density(a (1+x))/density(a (1-x)), which is infinite from x = 1 on. Its slope has
    # the sign of a x^2 - 1, so it falls from 0, and then rises: it crosses 0 once.
    logs = (A - 1) * (sympy.log(1 + X) - sympy.log(1 - X)) - 2 * A * X
    mean = sympy.integrate(H**A * sympy.exp(-H), (H, 0, sympy.oo)) / sympy.gamma(A)
    return all_of(
        [
            symbolic.equal(plug_in.reached(ratio, sympy.exp(-L), Exact), reached),
            *slopes,
            *ends,
            *steps,
            symbolic.equal(
                -sympy.diff(step, H), density.subs(A, A + 1) - density, reduce=_with_gammas
            ),
            symbolic.equal(logs.subs(X, 0), 0),
            symbolic.equal(sympy.diff(logs, X) * (1 - X**2) / 2, A * X**2 - 1),
            symbolic.equal(mean, A, reduce=_with_gammas),
        ]
    )


def _with_gammas(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_func(difference))


@COVERAGE.certified(Scope("n = 2 to 9, 32, 64 and 256; ESS at three sizes of S^2"))
def _(plug_in: Any) -> Answer:
    """The incomplete gamma function at n - 1, below 1/2; ESS at the plug-in by quadrature."""
    answers = []
    half = Ball.number("1/2")
    for n in (*range(2, 10), 32, 64, 256):
        at, chance = Witness.at(n=n), plug_in.coverage(n, Ball)
        middle = Ball.number(Fraction(n - 1, 2))
        answers += [
            certified.agree([chance], [middle.gamma_upper(middle, regularized=1)], witnesses=[at]),
            certified.compare(chance, "<", half, witness=at),
        ]
    return all_of([*answers, at_ratio(plug_in, GaussianShift(Fraction(3)))])


def at_ratio(plug_in: Any, model: Any, rho_min: Any = None) -> Answer:
    """Try the population's ESS/n at the rule's gamma where S^2 is sigma2, and twice that."""
    spread = log_variance(model)
    target = Ball.exp(-spread / 2) if rho_min is None else rho_min
    found, stated = [], []
    for ratio in (Ball.number(1), Ball.number(2)):
        gamma = formulas.gamma_lognormal(ratio * spread, target, Ball)
        found.append(ess(model, gamma))
        stated.append(plug_in.reached(ratio, target, Ball))
    return certified.agree(found, stated, witnesses=[named(model)] * 2)


def drawn_spreads(rng: np.random.Generator, size: int, rows: int, sigma2: float) -> Any:
    """Draw S^2 of batches of so many rows of log w."""
    return (math.sqrt(sigma2) * rng.standard_normal((size, rows))).var(1, ddof=1)


@COVERAGE.sampled(Scope("sigma2 = 4, rho_min = 3/10, n = 4"), resolution=0.02)
def _(plug_in: Any, trial: Trial) -> Answer:
    """How often the population meets the target at the rule of a drawn batch."""
    sigma2, spent = 4.0, -math.log(0.3)

    def meets(rng: np.random.Generator, n: int) -> Any:
        gamma = np.minimum(1.0, np.sqrt(spent / drawn_spreads(rng, n, 4, sigma2)))
        return (sigma2 * gamma**2 <= spent).astype(float)

    chance = trial.mean("target met", meets, 0.0, 1.0)
    at = Witness.at(sigma2=4, rho_min=Fraction(3, 10), n=4)
    return trial.agrees(chance, float(plug_in.coverage(4, Real)), witness=at)


@COVERAGE.without(LOGNORMAL)
def _(plug_in: Any, model: Any) -> Answer:
    return at_ratio(plug_in, model)


@COVERAGE.without(UNCLIPPED)
def _(plug_in: Any, rule: Rule) -> Answer:
    return at_ratio(plug_in, GaussianShift(rule.sigma2), Ball.number(rule.rho_min))


COVERAGE.wrong_value(
    "n degrees of freedom", PLUG_IN._replace(tail=lambda k, x, m: chi2_tail(k + 1, x, m))
)
COVERAGE.wrong_value(
    "the lower tail", PLUG_IN._replace(tail=lambda k, x, m: 1 - chi2_tail(k, x, m))
)
COVERAGE.wrong_value(
    "half of the argument", PLUG_IN._replace(tail=lambda k, x, m: chi2_tail(k, x / 2, m))
)
COVERAGE.wrong_value(
    "S^2/sigma2 in the exponent",
    PLUG_IN._replace(reached=lambda ratio, rho_min, m: m.power(rho_min, ratio)),
)
COVERAGE.wrong_value(
    "the root of the ratio",
    PLUG_IN._replace(reached=lambda ratio, rho_min, m: m.power(rho_min, m.sqrt(1 / ratio))),
)


for _n in (2, 4, 8, 32, 256):

    def _digits(n: int = _n) -> str:
        return certified.digits(PLUG_IN.coverage(n, Ball))

    COVERAGE.number(f"the chance at n = {_n}")(_digits)


def gamma_upper(s2: Number, quantile: Number, n: Number, rho_min: Number, m: Arithmetic) -> Number:
    """The rule at (n - 1) S^2 / quantile, an upper bound on sigma2, without the clip at 1."""
    return m.sqrt(-m.log(rho_min) * quantile / ((n - 1) * s2))


UPPER = Draft(
    "GAM.upper",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("A plug-in gamma that meets its target", "以给定概率达标的 γ̂"),
    finding=Text(
        "With the chi-squared upper bound on σ² in the place of S² exactly 1 − δ of all batches"
        " meet ρ_min; for δ = 5% it is 3.23 S² at n = 8 and 1.61 S² at n = 32.",
        "以 σ² 的卡方上界代替 S²，则恰有 1 − δ 的批次达标；"
        "δ = 5% 时上界在 n = 8 为 3.23 S²，n = 32 为 1.61 S²。",
    ),
    statement=r"\gamma_U = \sqrt{\frac{-\log\rho_{\min}\,\chi^2_{n-1,\delta}}{(n-1) S^2}}"
    r"\ \Rightarrow\ \Pr\Bigl(\frac{\mathrm{ESS}_{\gamma_U}}{n} \ge \rho_{\min}\Bigr) = 1 - \delta",
    subject=gamma_upper,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, UNCLIPPED),
    uses=("GAM.coverage",),
    sharpens=("T8.3.a", "A8.4.a", "ADV8.3.1"),
    source="the confidence bound of a normal variance, put into the rule; new here",
    reading="n >= 2, 0 < delta < 1, chi^2_{n-1,delta} the delta-quantile; with the clip at 1 the "
    "chance is the same, and it is 1 where gamma = 1 meets the target",
)


@UPPER.symbolic(Scope("every n, delta, sigma2 and rho_min: the event is chi^2 >= quantile", True))
def _(rule: Any) -> Answer:
    """With S^2 = sigma2 x/(n - 1), the cost at gamma_U is -log rho_min times quantile/x."""
    gamma = rule(SIGMA2 * X / (N - 1), Q, N, sympy.exp(-L), Exact)
    cost = -sympy.log(integrated_ess()).subs(GAMMA, gamma)
    cost = sympy.expand_log(cost, force=True)
    points = [{SIGMA2: 4, X: 3, Q: 2, L: 1, N: 5}, {SIGMA2: 1, X: 1, Q: 4, L: 3, N: 8}]
    return all_of(
        [
            symbolic.equal(cost, L * Q / X, points=points),
            # At most L exactly where x is at least the quantile.
            symbolic.equal(L - L * Q / X, L * (X - Q) / X),
        ]
    )


@cache
def quantile(n: int, delta: Fraction) -> Any:
    """Enclose the delta-quantile of chi^2_{n-1}."""
    shape, level = Ball.number(Fraction(n - 1, 2)), 1 - Ball.number(delta)

    def above(h: Any) -> Any:
        return h.gamma_upper(shape, regularized=1) - level

    with certified.precision():
        found = certified.root(above, Fraction(1, 1000), Fraction(n))
    if found is None:
        raise ValueError(f"the quantile of n={n}, delta={delta} is not between 1/1000 and n")
    return 2 * found


SIZES = ((2, Fraction(1, 10)), (8, Fraction(1, 20)), (32, Fraction(1, 20)))


@UPPER.certified(Scope("sigma2 = 4, rho_min = 3/10; n = 2, 8 and 32, delta = 1/10 and 1/20"))
def _(rule: Any) -> Answer:
    """Where S^2 makes the enumerated ESS the target, the tail of chi^2 above it is 1 - delta."""
    answers = []
    sigma2, rho_min = Ball.number(4), Ball.number("3/10")
    for n, delta in SIZES:
        # gamma_U falls as 1/S, so one of its values gives the S^2 at which it is the exact gamma.
        wanted = formulas.gamma_lognormal(sigma2, rho_min, Ball)
        once = rule(Ball.number(1), quantile(n, delta), Ball.number(n), rho_min, Ball)
        edge = (once / wanted) * (once / wanted)
        chance = chi2_tail(n - 1, (n - 1) * edge / sigma2, Ball)
        again = rule(edge, quantile(n, delta), Ball.number(n), rho_min, Ball)
        at = Witness.at(n=n, delta=delta)
        answers += [
            certified.agree([chance], [1 - Ball.number(delta)], witnesses=[at]),
            certified.agree([ess(GaussianShift(Fraction(4)), again)], [rho_min], witnesses=[at]),
        ]
    return all_of(answers)


@UPPER.sampled(Scope("sigma2 = 4, rho_min = 3/10, n = 8, delta = 1/20"), resolution=0.02)
def _(rule: Any, trial: Trial) -> Answer:
    """How often the population meets the target at the bound of a drawn batch."""
    sigma2, rho_min, edge = 4.0, 0.3, float(quantile(8, Fraction(1, 20)))
    scale = rule(1.0, edge, 8, rho_min, Real)

    def meets(rng: np.random.Generator, n: int) -> Any:
        gamma = np.minimum(1.0, scale / np.sqrt(drawn_spreads(rng, n, 8, sigma2)))
        return (np.exp(-sigma2 * gamma**2) >= rho_min).astype(float)

    chance = trial.mean(f"target met by {scale}", meets, 0.0, 1.0)
    at = Witness.at(sigma2=4, rho_min=Fraction(3, 10), n=8, delta=Fraction(1, 20))
    return trial.agrees(chance, 0.95, witness=at)


def met_from(rule: Any, model: Any, target: Any) -> Answer:
    """Try whether the target is met, with nothing to spare, where chi^2 is its quantile."""
    n, edge = 8, quantile(8, Fraction(1, 20))
    s2 = log_variance(model) * edge / (n - 1)
    gamma = Ball.minimum(Ball.number(1), rule(s2, edge, Ball.number(n), target, Ball))
    return certified.agree([ess(model, gamma)], [target], witnesses=[named(model)])


@UPPER.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    return met_from(rule, model, Ball.exp(-log_variance(model) / 2))


@UPPER.without(UNCLIPPED)
def _(rule: Any, given: Rule) -> Answer:
    return met_from(rule, GaussianShift(given.sigma2), Ball.number(given.rho_min))


@UPPER.wrong("S^2 itself")
def _(s2: Any, quantile: Any, n: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / s2)


@UPPER.wrong("the quantile under the root's denominator")
def _(s2: Any, quantile: Any, n: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) * (n - 1) / (quantile * s2))


@UPPER.wrong("n for n - 1")
def _(s2: Any, quantile: Any, n: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) * quantile / (n * s2))


@UPPER.wrong("twice the logarithm")
def _(s2: Any, quantile: Any, n: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-2 * m.log(rho_min) * quantile / ((n - 1) * s2))


for _n in (8, 32):

    def _inflation(n: int = _n) -> str:
        return certified.digits((n - 1) / quantile(n, Fraction(1, 20)))

    UPPER.number(f"the bound over S^2 at n = {_n}, delta = 1/20")(_inflation)


CLAIMS = frozen(COVERAGE, UPPER)
