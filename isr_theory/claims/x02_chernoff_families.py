"""Past section 7: the minimiser of E[w^(2 gamma)] in closed form, family by family.

Under a change of scale, between Poisson laws and on two arms it is known exactly, and takes every
value in (0, 1/2).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.s10_2_second_moment import smallest_second_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import TWO_ARMS, Finite

S, K, C, V, P, Q, LAM, RATIO, Y = sympy.symbols("s k c v p q lambda R y", positive=True)
X, Z = sympy.symbols("x z", real=True)
HALF = Fraction(1, 2)


def scale_minimiser(v: Number, m: Arithmetic) -> Number:
    """(v/(v-1) - 1/log v)/2: where E[w^(2 gamma)] is least if pi is mu with variance times v."""
    return (v / (v - 1) - 1 / m.log(v)) / 2


SCALE = Draft(
    "VAR.scale",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text(
        "A change of scale: any minimiser in (0, 1/2)", "尺度变化：最小点可取 (0, 1/2) 中任意值"
    ),
    finding=Text(
        "For normal laws of one mean, and gamma laws of one shape, the minimiser depends on the"
        " ratio of scales v alone and rises from 0 over 1/4 at v = 1 to 1/2: no constant serves.",
        "同均值正态分布及同形状 Gamma 分布（含指数分布）的最小点只依赖尺度比 v，"
        "随 v 由 0 经 1/4（v = 1）升至 1/2：不存在通用常数。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}]"
    r" = \tfrac12\Bigl(\frac{v}{v-1} - \frac{1}{\log v}\Bigr),\quad"
    r" \mu = \mathcal{N}(0, I_d),\ \pi = \mathcal{N}(0, v I_d),\ \text{or}\ "
    r"\mu = \Gamma(k, 1),\ \pi = \Gamma(k, v),\quad v > 0,\ v \ne 1",
    subject=scale_minimiser,
    expect=Verdict.VERIFIED,
    uses=("VAR.chernoff",),
    sharpens=("TAB10.1.2.fix", "C7.5.a"),
    source="new here as a minimiser; the Chernoff points of one-parameter families are Nielsen's"
    " (2013)",
    reading="k is the shape and v the scale of a gamma law; mu = Exp(1) and pi = Exp(lambda) are"
    " k = 1 and v = 1/lambda; for v > 1 the moments are infinite from s = v/(v-1) on, past 1",
)


@cache
def scale_cumulant() -> tuple[Any, tuple[Answer, ...]]:
    """Return log E[w^s] under a change of scale, with what proves it and its convexity."""
    c = 1 - S + S / V
    # Of mu^(1-s) pi^s, without x^(k-1)/Gamma(k): exponents add.
    logs = (1 - S) * -Y + S * (-Y / V - K * sympy.log(V))
    squares = (1 - S) * -(Z**2) / 2 + S * (-(Z**2) / (2 * V) - sympy.log(V) / 2)
    gamma_mass = sympy.integrate(Y ** (K - 1) * sympy.exp(-Y), (Y, 0, sympy.oo)) / sympy.gamma(K)
    normal_mass = sympy.integrate(sympy.exp(-C * Z**2 / 2), (Z, -sympy.oo, sympy.oo))
    # The gamma law's integral at y/c: y^(k-1) dy is c^-k times that of y.
    stretched = ((Y / C) ** (K - 1) / C) / (Y ** (K - 1) * C**-K)
    cumulant = -K * (S * sympy.log(V) + sympy.log(c))
    return cumulant, (
        symbolic.equal(logs, -c * Y - K * S * sympy.log(V)),
        symbolic.equal(squares, -c * Z**2 / 2 - S * sympy.log(V) / 2),
        symbolic.equal(gamma_mass, 1),
        symbolic.equal(stretched, 1),
        symbolic.equal(normal_mass, sympy.sqrt(2 * sympy.pi / C)),
        symbolic.equal(sympy.diff(cumulant, S, 2), K * (1 - 1 / V) ** 2 / c**2),
    )


@cache
def sinh_is_above() -> tuple[Answer, ...]:
    """Prove that sinh y > y for y > 0."""
    above, slope = sympy.sinh(Y) - Y, 2 * sympy.sinh(Y / 2) ** 2
    return (
        symbolic.equal(above.subs(Y, 0), 0),
        symbolic.equal(sympy.diff(above, Y), slope, reduce=_in_exponentials),
        symbolic.positive(slope),
    )


@SCALE.symbolic(
    Scope(
        "every v, d and shape: log E[w^s] is -k (s log v + log c), c = 1 - s + s/v, k = d/2 for"
        " normal laws, and strictly convex where it is finite",
        whole=True,
    )
)
def _(minimiser: Any) -> Answer:
    """Both integrals, the root of the slope, the rise in log v and its limits."""
    cumulant, shown = scale_cumulant()
    # As v = e^x.
    stated = 2 * minimiser(sympy.exp(X), Exact)
    slope = sympy.diff(cumulant, S).subs(V, sympy.exp(X)).subs(S, stated)
    rise = 1 / X**2 - 1 / (4 * sympy.sinh(X / 2) ** 2)
    exact = all_of(
        [
            symbolic.equal(slope, 0),
            symbolic.equal(sympy.diff(stated, X), rise, reduce=_in_exponentials),
            *shown,
            *sinh_is_above(),
        ]
    )
    if exact.outcome is not Outcome.HOLDS:
        return exact
    ends = ((0, HALF), (sympy.oo, 1), (-sympy.oo, 0))
    return all_of([exact, *(symbolic.equal(_limit(stated, x), y) for x, y in ends)])


@cache
def _limit(expression: Any, at: Any) -> Any:
    return sympy.limit(expression, X, at)


def _in_exponentials(difference: Any) -> Any:
    return sympy.simplify(sympy.expand(sympy.simplify(difference.rewrite(sympy.exp))))


def exponential_slope(rate: Fraction, s: Any) -> Any:
    """Enclose E_mu[w^s log w], mu = Exp(1), pi = Exp(rate), by quadrature up to x = 600."""
    r, edge = Ball.number(rate), Ball.number(600)
    decay = 1 - s * (1 - r)
    if not decay > 0:
        return flint.arb.nan()

    def integrand(x: Any, _: Any) -> Any:
        return (r.log() + (1 - r) * x) * (-decay * x).exp()

    inner = flint.acb.integral(integrand, flint.acb(0), flint.acb(edge)).real
    # |log w| <= |log rate| + |1 - rate| x beyond the edge.
    rest = (abs(r.log()) + abs(1 - r) * (edge + 1 / decay)) / decay * (-decay * edge).exp()
    return Ball.power(r, s) * (inner + flint.arb(0, rest.upper()))


def normal_slope(v: Fraction, s: Any) -> Any:
    """Enclose E_mu[w^s log w], mu = N(0, 1), pi = N(0, v), under the narrower of the two laws."""
    wide = v > 1
    # Under pi, y = sqrt(v) z and w^s mu = w^(s-1) pi; the exponent is then at most 0 for every z.
    scale, power = (Ball.number(v), s - 1) if wide else (Ball.number(1), s)
    number = Ball.number(v)

    def integrand(z: Any) -> Any:
        level = -number.log() / 2 + (1 - 1 / number) * scale * z * z / 2
        return level * (power * level).exp()

    # |z|^2 <= 2 e^|z|, and the factors in v are below 16 for 1/4 <= v <= 4.
    return certified.gaussian_expectation(integrand, growth=1, constant=64)


@SCALE.certified(Scope("exponential laws at two rates, normal laws at v = 1/4 and 4"))
def _(minimiser: Any) -> Answer:
    """E[w^s log w] by rigorous quadrature is 0 at the stated point."""
    found, at = [], []
    for rate in (Fraction(2, 5), Fraction(5)):
        found.append(exponential_slope(rate, 2 * minimiser(Ball.number(1 / rate), Ball)))
        at.append(Witness.at(mu="Exp(1)", pi=f"Exp({rate})"))
    for v in (Fraction(1, 4), Fraction(4)):
        found.append(normal_slope(v, 2 * minimiser(Ball.number(v), Ball)))
        at.append(Witness.at(mu="N(0, 1)", pi=f"N(0, {v})"))
    return certified.agree(found, [0] * len(found), witnesses=at)


@cache
def laguerre() -> tuple[Any, Any]:
    """Nodes and weights of Gauss's rule for Exp(1)."""
    # At sixty nodes e^(-c x) with c <= 1/2 is exact far below 1e-10.
    points, weights = np.polynomial.laguerre.laggauss(60)
    module = neural.torch()
    return module.from_numpy(points), module.from_numpy(weights)


@SCALE.neural(Scope("mu = Exp(1), pi = Exp(2) and Exp(2/3)"))
def _(minimiser: Any) -> Answer:
    """E[w^(2 gamma)] by Gauss's rule, differentiated once and twice."""
    x, mass = laguerre()
    answers = []
    for rate in (Fraction(2), Fraction(2, 3)):
        at = Witness.at(mu="Exp(1)", pi=f"Exp({rate})")
        level = math.log(rate) + float(1 - rate) * x

        def second(gamma: Any, level: Any = level) -> Any:
            return (mass * (2 * gamma * level).exp()).sum()

        here = minimiser(Tensor.number(1 / rate), Tensor)
        answers.append(neural.close([neural.gradient(second, here)], [0], witness=at))
        answers.append(neural.compare(neural.hessian(second, here), ">", 0, witness=at))
    return all_of(answers)


@SCALE.sampled(Scope("mu = Exp(1), pi = Exp(5), whose weights are at most 5"), resolution=0.05)
def _(minimiser: Any, trial: Trial) -> Answer:
    """The mean of w^s log w over draws from mu is 0 at the stated point."""
    s = 2 * minimiser(0.2, Real)

    def draw(rng: np.random.Generator, n: int) -> Any:
        level = math.log(5) - 4 * rng.standard_exponential(n)
        return np.exp(s * level) * level

    # x^s log x is at least -1/(e s), and rises from there on.
    low, high = -1 / (math.e * s), 5**s * math.log(5)
    found = trial.mean(f"w^s log w at {s}", draw, low, high)
    return trial.agrees(found, 0.0, witness=Witness.at(mu="Exp(1)", pi="Exp(5)"))


@SCALE.wrong("the Chernoff point itself")
def _(v: Any, m: Any) -> Any:
    return v / (v - 1) - 1 / m.log(v)


@SCALE.wrong("rate for scale")
def _(v: Any, m: Any) -> Any:
    return scale_minimiser(1 / v, m)


@SCALE.wrong("the two terms added")
def _(v: Any, m: Any) -> Any:
    return (v / (v - 1) + 1 / m.log(v)) / 2


@SCALE.wrong("a quarter for every scale")
def _(v: Any, m: Any) -> Any:
    return 0 * v + m.number("1/4")


for _name, _v in (("pi = Exp(2/5)", "5/2"), ("pi = Exp(5)", "1/5"), ("pi = N(0, 100)", "100")):

    @SCALE.number(f"the minimiser, {_name}")
    def _(v: str = _v) -> str:
        return certified.digits(scale_minimiser(Ball.number(v), Ball))


def poisson_minimiser(ratio: Number, m: Arithmetic) -> Number:
    """log((R-1)/log R)/(2 log R), R the ratio of the two means."""
    level = m.log(ratio)
    return m.log((ratio - 1) / level) / (2 * level)


POISSON = Draft(
    "VAR.poisson",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Between Poisson laws", "Poisson 分布间的最小点"),
    finding=Text(
        "Between Poisson laws the minimiser depends on the ratio of the means alone, and those of"
        " R and 1/R add to 1/2.",
        "Poisson 分布间的最小点只依赖均值之比 R，且 R 与 1/R 的最小点之和为 1/2。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}]"
    r" = \frac{1}{2\log R}\log\frac{R-1}{\log R},\quad"
    r" \mu = \mathrm{Poi}(\lambda),\ \pi = \mathrm{Poi}(R\lambda),\ R > 0,\ R \ne 1",
    subject=poisson_minimiser,
    expect=Verdict.VERIFIED,
    uses=("VAR.chernoff",),
    sharpens=("TAB10.1.2.fix", "C7.5.a"),
    source="new here as a minimiser; the Chernoff points of one-parameter families are Nielsen's"
    " (2013)",
)


@POISSON.symbolic(Scope("every pair of means: log E[w^s] is strictly convex", whole=True))
def _(minimiser: Any) -> Answer:
    """The series sums to an exponential; its logarithm's slope and bend; R and 1/R."""
    count = sympy.symbols("n", integer=True, nonnegative=True)
    series = sympy.summation(C**count / sympy.factorial(count), (count, 0, sympy.oo))
    # w = R^n e^(lambda - R lambda), so that the terms of E[w^s] are those of the series at
    # lambda R^s, times e^(-lambda + s (lambda - R lambda)).
    cumulant = sympy.log(series).subs(C, LAM * RATIO**S) - LAM + S * (LAM - RATIO * LAM)
    stated = minimiser(RATIO, Exact)
    slope = sympy.diff(cumulant, S).subs(S, 2 * stated)
    power = sympy.exp(sympy.log(RATIO) * 2 * stated)
    return all_of(
        [
            symbolic.equal(series, sympy.exp(C)),
            symbolic.equal(sympy.simplify(power), (RATIO - 1) / sympy.log(RATIO)),
            symbolic.equal(slope, 0),
            symbolic.equal(sympy.diff(cumulant, S, 2), LAM * RATIO**S * sympy.log(RATIO) ** 2),
            symbolic.equal(
                minimiser(sympy.exp(C), Exact) + minimiser(sympy.exp(-C), Exact),
                HALF,
                points=[{C: 1}, {C: Fraction(3, 2)}],
                reduce=_as_power,
            ),
        ]
    )


def _as_power(difference: Any) -> Any:
    # A real d is 0 where e^(2 c d) is 1.
    return sympy.simplify(sympy.exp(sympy.expand(2 * C * difference)) - 1)


PAIRS = ((1, 3), (3, 1), (10, 11))


def poisson_slope(mean: int, other: int, s: Any) -> Any:
    """Enclose E_mu[w^s log w] summed over 0 to 199, the rest bounded.

    From 200 on w^s mu falls by more than half at every step and |log w| <= 222 + 2 (n - 200), so
    that the rest is below 1024 times the first of it, for 0 <= s <= 1.
    """
    ratio = Ball.number(Fraction(other, mean))
    total, term = flint.arb(0), Ball.exp(Ball.number(-mean))
    level = Ball.number(mean - other)
    for n in range(200):
        total += term * (s * level).exp() * level
        term = term * mean / (n + 1)
        level += ratio.log()
    rest = term * (s * level).exp() * 1024
    return total + flint.arb(0, abs(rest).upper())


@POISSON.certified(Scope("three pairs of means"))
def _(minimiser: Any) -> Answer:
    """E[w^s log w], summed outcome by outcome, is 0 at the stated point."""
    found = [
        poisson_slope(a, b, 2 * minimiser(Ball.number(Fraction(b, a)), Ball)) for a, b in PAIRS
    ]
    at = [Witness.at(mu=f"Poi({a})", pi=f"Poi({b})") for a, b in PAIRS]
    return certified.agree(found, [0] * len(PAIRS), witnesses=at)


@POISSON.neural(Scope("three pairs of means"))
def _(minimiser: Any) -> Answer:
    """E[w^(2 gamma)] summed over 200 outcomes, differentiated once and twice."""
    n = neural.torch().arange(200, dtype=neural.torch().float64)
    answers = []
    for mean, other in PAIRS:
        at = Witness.at(mu=f"Poi({mean})", pi=f"Poi({other})")
        log_mass = n * math.log(mean) - mean - (n + 1).lgamma()
        level = n * math.log(other / mean) + mean - other

        def second(gamma: Any, log_mass: Any = log_mass, level: Any = level) -> Any:
            return (log_mass + 2 * gamma * level).exp().sum()

        here = minimiser(Tensor.number(Fraction(other, mean)), Tensor)
        answers.append(neural.close([neural.gradient(second, here)], [0], witness=at))
        answers.append(neural.compare(neural.hessian(second, here), ">", 0, witness=at))
    return all_of(answers)


@POISSON.wrong("the Chernoff point itself")
def _(ratio: Any, m: Any) -> Any:
    return 2 * poisson_minimiser(ratio, m)


@POISSON.wrong("mu and pi exchanged")
def _(ratio: Any, m: Any) -> Any:
    return poisson_minimiser(1 / ratio, m)


@POISSON.wrong("R for R - 1")
def _(ratio: Any, m: Any) -> Any:
    return m.log(ratio / m.log(ratio)) / (2 * m.log(ratio))


@POISSON.wrong("the closed form of a change of scale")
def _(ratio: Any, m: Any) -> Any:
    return scale_minimiser(ratio, m)


for _a, _b in PAIRS:

    @POISSON.number(f"the minimiser from mean {_a} to {_b}")
    def _(ratio: Fraction = Fraction(_b, _a)) -> str:
        return certified.digits(poisson_minimiser(Ball.number(ratio), Ball))


def two_point_minimiser(mu: Any, pi: Any, m: Arithmetic) -> Number:
    """log(-mu_2 log w_2/(mu_1 log w_1))/(2 log(w_1/w_2)) on two arms."""
    first, second = (m.log(b / a) for a, b in zip(mu, pi, strict=True))
    return m.log(-mu[1] * second / (mu[0] * first)) / (2 * (first - second))


TWO_POINT = Draft(
    "VAR.twopoint",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("On two arms", "两臂分布的最小点"),
    finding=Text(
        "On two arms the minimiser of E[w^(2 gamma)] is in closed form, for any two laws.",
        "两臂时 E[w^{2γ}] 的最小点对任意两分布均有闭式。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = \frac{1}{2\log(w_1/w_2)}"
    r"\log\frac{-\mu_2\log w_2}{\mu_1\log w_1},\quad w_i = \pi_i/\mu_i",
    subject=two_point_minimiser,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("VAR.chernoff",),
    sharpens=("TAB10.1.2.fix", "TAB10.1.2.b"),
    source="new here as a minimiser; the Chernoff point of two Bernoulli laws is classical",
    reading="two outcomes; one weight is above 1 and one below, so that the logarithm is real",
)


@TWO_POINT.symbolic(Scope("every pair of laws on two arms: V is strictly convex", whole=True))
def _(minimiser: Any) -> Answer:
    """V' is 0 there, with log w_1 = p > 0 and log w_2 = -q < 0, and the other way around."""
    a, b = sympy.symbols("a b", positive=True)
    answers = []
    for sign in (1, -1):
        levels = (sign * P, -sign * Q)
        laws = [a, b], [a * sympy.exp(levels[0]), b * sympy.exp(levels[1])]
        gamma = minimiser(*laws, Exact)
        gamma = sympy.simplify(sympy.expand_log(gamma, force=True))
        # V'/2 = a p e^(2 gamma p) - b q e^(-2 gamma q) up to its sign: 0 where logarithms agree.
        falls = sympy.log(a * P) + 2 * gamma * levels[0]
        rises = sympy.log(b * Q) + 2 * gamma * levels[1]
        answers.append(
            symbolic.equal(
                falls, rises, reduce=lambda d: sympy.simplify(sympy.expand_log(d, force=True))
            )
        )
    bend = sympy.diff(a * sympy.exp(2 * Y * X), Y, 2)
    answers.append(symbolic.equal(bend, 4 * a * X**2 * sympy.exp(2 * Y * X)))
    return all_of(answers)


ARMS = (TWO_ARMS, Finite.of("9/10 1/10", "1/2 1/2"), Finite.of("1/5 4/5", "3/5 2/5"))


@TWO_POINT.certified(Scope("three pairs of laws"))
def _(minimiser: Any) -> Answer:
    """The isolated root of V' against the closed form."""
    return certified.agree(
        [smallest_second_moment(law) for law in ARMS],
        [minimiser(*law.numbers(Ball)[:2], Ball) for law in ARMS],
        witnesses=[witness_of(law) for law in ARMS],
    )


@TWO_POINT.neural(Scope("three pairs of laws"))
def _(minimiser: Any) -> Answer:
    """The autograd slope of E[w^(2 gamma)] is 0 there, and its bend positive."""
    answers = []
    for law in ARMS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def second(gamma: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** (2 * gamma)).sum()

        here, at = minimiser(mu, pi, Tensor), witness_of(law)
        answers.append(neural.close([neural.gradient(second, here)], [0], witness=at))
        answers.append(neural.compare(neural.hessian(second, here), ">", 0, witness=at))
    return all_of(answers)


TWO_POINT.meaningless_without(MUTUAL_SUPPORT, "the formula takes the logarithm of a weight 0")
TWO_POINT.meaningless_without(
    POLICIES_DIFFER, "with w = 1 on both arms the formula divides by 0, and V does not vary"
)


@TWO_POINT.wrong("the Chernoff point itself")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 2 * two_point_minimiser(mu, pi, m)


@TWO_POINT.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return two_point_minimiser(pi, mu, m)


@TWO_POINT.wrong("masses under pi")
def _(mu: Any, pi: Any, m: Any) -> Any:
    first, second = (m.log(b / a) for a, b in zip(mu, pi, strict=True))
    return m.log(-pi[1] * second / (pi[0] * first)) / (2 * (first - second))


@TWO_POINT.wrong("a quarter")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return m.number("1/4") + 0 * mu[0]


CLAIMS = frozen(SCALE, POISSON, TWO_POINT)
