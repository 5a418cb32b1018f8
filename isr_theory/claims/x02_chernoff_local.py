"""Past section 7: how near to 1/4 the minimiser of E[w^(2 gamma)] is, whatever the law.

Within 1/48 of the range of log w, so that it tends to 1/4 as pi tends to mu; and along a natural
exponential family its first two terms are known.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict, Witness
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.s10_2_second_moment import smallest_second_moment
from isr_theory.claims.x02_chernoff_families import (
    poisson_minimiser,
    scale_minimiser,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, RARE_ARM, THREE_ARMS, TWO_ARMS, Finite

R, S, T, Y, E = sympy.symbols("R s t y epsilon", positive=True)
SHIFT, A2, A3, A4 = sympy.symbols("delta a2 a3 a4", positive=True)
QUARTER = Fraction(1, 4)


def reach(spread: Number, m: Arithmetic) -> Number:
    """log(sinh(R/2)/(R/2))/(2R): how far from 1/4 the minimiser can be, R the range of log w."""
    up, down = m.exp(spread / 2), m.exp(-spread / 2)
    return m.log((up - down) / spread) / (2 * spread)


LOCAL = Draft(
    "VAR.local",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("How far from 1/4 the minimiser can be", "最小点偏离 1/4 的确切上界"),
    finding=Text(
        "If log w has range R, the minimiser of E[w^(2 gamma)] is within log(sinh(R/2)/(R/2))/(2R)"
        " <= R/48 of 1/4, a bound that rare outcomes attain in the limit: it tends to 1/4 as pi"
        " tends to mu.",
        "若 log w 的极差为 R，则 E[w^{2γ}] 的最小点与 1/4 相差不超过"
        " log(sinh(R/2)/(R/2))/(2R) ≤ R/48（稀有结果可任意逼近）；故 π→μ 时趋于 1/4。",
    ),
    statement=r"\bigl|\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] - \tfrac14\bigr| \le"
    r" \frac{1}{2R}\log\frac{\sinh(R/2)}{R/2} \le \frac{R}{48},\quad"
    r" R = \max\log w - \min\log w",
    subject=reach,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("VAR.chernoff", "VAR.twopoint"),
    sharpens=("C7.5.a", "TAB10.1.2.fix"),
    source="new here",
    reading="both ends of the bound are best possible; nothing of the law but R is used",
)


@cache
def third_cumulant_is_bounded() -> tuple[Answer, ...]:
    """Prove |K'''| <= R K'': both are central moments of l under nu_s, and |l - mean| <= R.

    From free moments m_k = E[l^k w^s], with m_(k+1) the slope of m_k.
    """
    moments = [sympy.Function(f"m{k}")(S) for k in range(4)]
    values = sympy.symbols("q0:4", positive=True)

    def named(expression: Any) -> Any:
        for k in (2, 1, 0):
            expression = expression.subs(sympy.diff(moments[k], S), moments[k + 1])
        return expression

    slopes = [sympy.log(moments[0])]
    for _ in range(3):
        slopes.append(named(sympy.diff(slopes[-1], S)))
    bend, third = (x.subs(dict(zip(moments, values, strict=True))) for x in slopes[2:])
    mean, second, cube = (v / values[0] for v in values[1:])
    # x = l - mean, and x = R/(1 + t) or less in size.
    x = R / (1 + T)
    return (
        symbolic.equal(bend, second - mean**2),
        symbolic.equal(third, cube - 3 * mean * second + 2 * mean**3),
        symbolic.positive(sympy.factor(R * x**2 - x**3)),
        symbolic.positive(sympy.factor(R * x**2 + x**3)),
    )


@cache
def steepest_is_an_exponential() -> tuple[Answer, ...]:
    """Prove s* <= log((e^R - 1)/R)/R, from K''(t) <= K''(s*) e^(R (t - s*)) for t > s*, >= before.

    Then K'(t) <= K''(s*) (e^(R (t - s*)) - 1)/R for every t, and the integral of K' over [0, 1] is
    K(1) - K(0) = 0.
    """
    x, t = sympy.symbols("x t", real=True)
    bound = sympy.integrate(sympy.exp(R * (x - S)), (x, S, t))
    over = sympy.integrate(sympy.exp(R * (t - S)) - 1, (t, 0, 1))
    last = sympy.log((sympy.exp(R) - 1) / R) / R
    # over >= 0 asks for e^(R s) <= (e^R - 1)/R: it is 0 at the last s, and falls in s.
    return (
        symbolic.equal(bound, (sympy.exp(R * (t - S)) - 1) / R),
        symbolic.equal(sympy.powsimp(sympy.exp(R * last)), (sympy.exp(R) - 1) / R),
        symbolic.equal(over, sympy.exp(-R * S) * (sympy.exp(R) - 1) / R - 1),
        symbolic.positive(-sympy.diff(sympy.exp(-R * S), S)),
    )


@cache
def below_a_line() -> tuple[Answer, ...]:
    """Prove log(sinh y/y) <= y^2/6, so that the reach is at most R/48, y = R/2.

    Twice: a function that is 0 at 0 and has a positive slope is positive.
    """
    gap = Y**2 / 6 - sympy.log(sympy.sinh(Y) / Y)
    first = Y**2 * sympy.sinh(Y) - 3 * Y * sympy.cosh(Y) + 3 * sympy.sinh(Y)
    second = Y * sympy.cosh(Y) - sympy.sinh(Y)
    return (
        symbolic.equal(sympy.limit(gap, Y, 0), 0),
        symbolic.equal(sympy.diff(gap, Y), first / (3 * Y * sympy.sinh(Y))),
        symbolic.equal(first.subs(Y, 0), 0),
        symbolic.equal(sympy.diff(first, Y), Y * second),
        symbolic.equal(second.subs(Y, 0), 0),
        symbolic.equal(sympy.diff(second, Y), Y * sympy.sinh(Y)),
        symbolic.positive(Y * sympy.sinh(Y)),
    )


@cache
def rarest() -> Any:
    """The limit of the minimiser on two arms, the second rare and its weight e^R of the first's."""
    first = 1 / (1 - E + E * sympy.exp(R))
    # log w_1 = -e (e^R - 1) + O(e^2) and log w_2 = R + log w_1.
    level = sympy.log(first)
    ratio = sympy.limit(-E * (R + level) / ((1 - E) * level), E, 0)
    return sympy.log(ratio) / (2 * -R)


@LOCAL.symbolic(
    Scope(
        "every law of finite range: |K'''| <= R K'', Gronwall's comparison, and the same with mu"
        " and pi exchanged, which takes s* to 1 - s*",
        whole=True,
    )
)
def _(bound: Any) -> Answer:
    """The cumulants; the steepest K''; the last s*, and the two-armed laws that tend to it."""
    closed = bound(R, Exact)
    last = sympy.log((sympy.exp(R) - 1) / R) / R
    return all_of(
        [
            symbolic.equal(last / 2 - QUARTER, closed, reduce=_as_power),
            symbolic.equal(rarest() - QUARTER, closed, reduce=_as_power),
            symbolic.equal(
                bound(2 * Y, Exact),
                sympy.log(sympy.sinh(Y) / Y) / (4 * Y),
                reduce=lambda d: _as_power(d.subs(Y, R / 2).rewrite(sympy.exp)),
            ),
            *third_cumulant_is_bounded(),
            *steepest_is_an_exponential(),
            *below_a_line(),
        ]
    )


def _as_power(difference: Any) -> Any:
    # A real d is 0 where e^(2 R d) is 1.
    return sympy.simplify(sympy.powsimp(sympy.exp(sympy.expand(2 * R * difference))) - 1)


LAWS = (TWO_ARMS, THREE_ARMS, RARE_ARM)


def spread(law: Finite, m: Arithmetic) -> Number:
    """The range of log w."""
    mu, pi, _ = law.numbers(m)
    ratios = [b / a for a, b in zip(law.mu, law.pi, strict=True)]
    high, low = (ratios.index(end) for end in (max(ratios), min(ratios)))
    return m.log(pi[high] / mu[high]) - m.log(pi[low] / mu[low])


def rare_law(level: int) -> tuple[list[Any], list[Any], Any]:
    """Two arms, the second of mass 2^-60, the ratio of their weights e^level."""
    tiny = Ball.number(Fraction(1, 2**60))
    mu = [1 - tiny, tiny]
    lifted = [mu[0], mu[1] * Ball.exp(Ball.number(level))]
    return mu, [mass / sum(lifted) for mass in lifted], Ball.number(level)


@LOCAL.certified(Scope("three laws; three laws with a rare arm, of ranges 1, 2 and 5"))
def _(bound: Any) -> Answer:
    """The isolated root of V' is within the bound, and with a rare arm it all but attains it."""
    answers = []
    for law in LAWS:
        off = abs(smallest_second_moment(law) - Ball.number(QUARTER))
        limit = bound(spread(law, Ball), Ball)
        answers.append(certified.compare(off, "<", limit, witness=witness_of(law)))
    for level in (1, 2, 5):
        mu, pi, range_ = rare_law(level)
        at = Witness.at(mu=(1 - Fraction(1, 2**60), Fraction(1, 2**60)), log_ratio=level)

        def slope(gamma: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return certified.derivatives(
                lambda g: sum(
                    a * Jet.exp(2 * g * Ball.log(b / a)) for a, b in zip(mu, pi, strict=True)
                ),
                gamma,
                1,
            )[1]

        best = certified.root(slope, Fraction(1, 100), Fraction(49, 100))
        if best is None:
            return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
        limit = bound(range_, Ball)
        gap = limit - (best - Ball.number(QUARTER))
        answers.append(certified.compare(gap, ">", 0, witness=at))
        answers.append(certified.compare(gap, "<", Ball.number(Fraction(1, 2**40)), witness=at))
        line = range_ / 48 - limit
        answers.append(certified.compare(line, ">", 0, witness=at))
    return all_of(answers)


@LOCAL.neural(Scope("three laws, and a rare arm of mass 1e-12"))
def _(bound: Any) -> Answer:
    """By autograd V falls at 1/4 - bound and rises at 1/4 + bound, there from 0 with a rare arm."""
    answers = []
    for law in LAWS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)
        off, at = float(bound(spread(law, Real), Real)), witness_of(law)

        def second(gamma: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** (2 * gamma)).sum()

        for sign, relation in ((-1, "<"), (1, ">")):
            slope = neural.gradient(second, neural.tensor(0.25 + sign * off))
            answers.append(neural.compare(slope, relation, 0, witness=at))
    rare = 1e-12
    mu = neural.tensor([1 - rare, rare])
    # log w_1 = -log(1 - e + e^3 e), to the last digit for a tiny e.
    first = -neural.torch().log1p(neural.tensor(rare) * (neural.tensor(3).exp() - 1))
    level = neural.torch().stack([first, first + 3])

    def scaled(gamma: Any) -> Any:
        return (mu * (2 * gamma * level).expm1()).sum() / rare

    slope = neural.gradient(scaled, neural.tensor(0.25 + float(bound(3.0, Real))))
    # Of second order in e: |V'|/e is below 1e3 e here.
    near = neural.compare(abs(slope), "<", 1e-8, witness=Witness.at(mu="(1 - 1e-12, 1e-12)"))
    return all_of([*answers, near])


@LOCAL.margin(*(spaces.finite(arms) for arms in (2, 3)))
def _(bound: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    if case.model.mu == case.model.pi:
        return m.number(0)
    off = bound(spread(case.model, m), m)

    def slope(gamma: Any) -> Any:
        rows = zip(mu, pi, strict=True)
        return sum(a * m.power(b / a, 2 * gamma) * m.log(b / a) for a, b in rows)

    return m.minimum(slope(m.number(QUARTER) + off), -slope(m.number(QUARTER) - off))


LOCAL.meaningless_without(MUTUAL_SUPPORT, "where an outcome is of one law only, log w has no range")
LOCAL.meaningless_without(
    POLICIES_DIFFER, "at R = 0 the bound divides by 0, and every gamma is a minimiser"
)


@LOCAL.wrong("half of it")
def _(spread: Any, m: Any) -> Any:
    return reach(spread, m) / 2


@LOCAL.wrong("twice as much, of s* and not of its half")
def _(spread: Any, m: Any) -> Any:
    return 2 * reach(spread, m)


@LOCAL.wrong("the line alone")
def _(spread: Any, m: Any) -> Any:
    return spread / 48


@LOCAL.wrong("half the range, as if |l - mean| <= R/2")
def _(spread: Any, m: Any) -> Any:
    return reach(spread / 2, m)


@LOCAL.number("the bound at R = 1")
def _() -> str:
    return certified.digits(reach(Ball.number(1), Ball))


def near_quarter(a2: Number, a3: Number, a4: Number, shift: Number) -> Number:
    """1/4 + (delta/48) a3/a2 + (delta^2/96)(a4/a2 - (a3/a2)^2), a_k = A^(k)(theta)."""
    skew = a3 / a2
    return (12 + shift * skew + shift * shift * (a4 / a2 - skew * skew) / 2) / 48


FAMILY = Draft(
    "VAR.family",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("Along a natural exponential family", "沿自然指数族的展开"),
    finding=Text(
        "Between two laws of a natural exponential family s* is the point of the mean value"
        " theorem for A', and the minimiser leaves 1/4 at the rate of (log A'')' at the midpoint,"
        " over 48.",
        "自然指数族中 s* 即 A 的中值定理之点；最小点以（中点处的）(log A'')'/48 的速率离开 1/4。",
    ),
    statement=r"A'(\theta + s^*\delta) = \frac{A(\theta+\delta) - A(\theta)}{\delta},\quad"
    r" \arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = \tfrac14 + \frac{\delta}{48}\frac{A'''}{A''}"
    r" + \frac{\delta^2}{96}\Bigl(\frac{A''''}{A''} - \frac{A'''^2}{A''^2}\Bigr) + O(\delta^3)"
    r" = \tfrac14 + \tfrac{\delta}{48}(\log A'')'(\theta + \tfrac\delta2) + O(\delta^3)",
    subject=near_quarter,
    expect=Verdict.VERIFIED,
    uses=("VAR.chernoff", "VAR.poisson", "VAR.scale"),
    sharpens=("C7.5.a", "TAB10.1.2.fix"),
    source="Nielsen 2013 for the mean-value point; the expansion is new here",
    reading="mu = p_theta, pi = p_(theta + delta), densities h e^(theta T - A(theta)), theta inside"
    " the family and A''(theta) > 0; log w along any path of tilts of mu is of this form",
)


@cache
def of_the_family() -> tuple[Answer, ...]:
    """Prove that log E[w^s] is A(theta + s delta) - A(theta) - s (A(theta + delta) - A(theta))."""
    theta, stat, base, end = sympy.symbols("theta T A0 A1", real=True)
    logs = (1 - S) * (theta * stat - base) + S * ((theta + SHIFT) * stat - end)
    together = (theta + S * SHIFT) * stat - base - S * (end - base)
    potential = sympy.Function("A")
    cumulant = potential(theta + S * SHIFT) - base - S * (end - base)
    slope = sympy.diff(cumulant, S).doit()
    point = sympy.Symbol("A_s", real=True)
    inner = sympy.diff(potential(theta + S * SHIFT), S).doit()
    return (
        symbolic.equal(logs, together),
        # K' = delta A' - (A1 - A0), which is 0 at the mean-value point.
        symbolic.equal(slope.subs(inner, SHIFT * point), SHIFT * point - (end - base)),
    )


@FAMILY.symbolic(
    Scope(
        "every family: A is analytic inside it, and A'' > 0 makes s* an analytic function of delta",
        whole=True,
    )
)
def _(stated: Any) -> Answer:
    """Both sides of the mean-value equation to second order in delta; the same at the midpoint."""
    h = sympy.Symbol("h", real=True)
    slope = A2 * h + A3 * h**2 / 2 + A4 * h**3 / 6
    total = A2 * SHIFT**2 / 2 + A3 * SHIFT**3 / 6 + A4 * SHIFT**4 / 24
    s = 2 * stated(A2, A3, A4, SHIFT)
    excess = sympy.expand(sympy.expand(slope.subs(h, s * SHIFT)) / SHIFT - total / SHIFT**2)
    # (log A'')' at the midpoint, to first order.
    middle = A3 / A2 + (A4 / A2 - (A3 / A2) ** 2) * SHIFT / 2
    return all_of(
        [
            *(symbolic.equal(excess.coeff(SHIFT, k), 0) for k in range(3)),
            symbolic.equal(s / 2, QUARTER + SHIFT / 48 * middle),
            *of_the_family(),
        ]
    )


STEPS = (Fraction(1, 2**10), Fraction(-1, 2**10))


@FAMILY.certified(Scope("Poisson and exponential laws, steps of 2^-10 either way"))
def _(stated: Any) -> Answer:
    """Two closed forms of the minimiser against the expansion, within the cube of the step."""
    answers = []
    for step in STEPS:
        d = Ball.number(step)
        # A = e^theta at theta = 0; and A = -log(-theta) at theta = -1, rate 1 - delta.
        exact = [poisson_minimiser(Ball.exp(d), Ball), scale_minimiser(1 / (1 - d), Ball)]
        near = [stated(*map(Ball.number, row), d) for row in ((1, 1, 1), (1, 2, 6))]
        for name, a, b in zip(("Poi(1)", "Exp(1)"), exact, near, strict=True):
            at = Witness.at(mu=name, delta=step)
            answers.append(certified.compare(abs(a - b), "<", abs(d * d * d), witness=at))
    return all_of(answers)


STATISTIC = (0, 1, 3, -2)


@FAMILY.certified(Scope("tilts of a law on four outcomes, steps of 2^-10 either way"))
def _(stated: Any) -> Answer:
    """The isolated root of V' against the expansion, A from power series."""
    mu, _, _ = FOUR_ARMS.numbers(Ball)

    def potential(t: Any) -> Any:
        return Jet.log(sum(a * Jet.exp(x * t) for a, x in zip(mu, STATISTIC, strict=True)))

    _, _, *cumulants = certified.derivatives(potential, Ball.number(0), 4)
    answers = []
    for step in STEPS:
        d = Ball.number(step)
        masses = [a * Ball.exp(x * d) for a, x in zip(mu, STATISTIC, strict=True)]
        pi = formulas.normalised(masses)

        def slope(gamma: Any, pi: Any = pi) -> Any:
            rows = zip(mu, pi, strict=True)
            return sum(a * Ball.power(b / a, 2 * gamma) * Ball.log(b / a) for a, b in rows)

        best = certified.root(slope, Fraction(1, 5), Fraction(1, 3))
        near = stated(*cumulants, d)
        at = Witness.at(mu=FOUR_ARMS.mu, T=STATISTIC, delta=step)
        # The third coefficient is below 100: the statistic has range 5.
        answers.append(certified.compare(abs(best - near), "<", abs(100 * d * d * d), witness=at))
    return all_of(answers)


@FAMILY.neural(Scope("tilts of a law on four outcomes, steps of 1/64 either way"))
def _(stated: Any) -> Answer:
    """Newton's method on log E[w^s] by autograd, and cumulants by repeated autograd."""
    torch = neural.torch()
    base, statistic = neural.tensor(FOUR_ARMS.mu).log(), neural.tensor(STATISTIC)
    t = neural.tensor(0, requires_grad=True)
    slopes = [(base + t * statistic).logsumexp(0)]
    for _ in range(4):
        slopes += torch.autograd.grad(slopes[-1], t, create_graph=True)
    cumulants = [float(x.detach()) for x in slopes[2:]]
    answers = []
    for step in (1 / 64, -1 / 64):
        level = step * statistic - (base + step * statistic).logsumexp(0)

        def cumulant(s: Any, level: Any = level) -> Any:
            return (base + s * level).logsumexp(0)

        s = neural.tensor(0.5)
        for _ in range(8):
            s = s - neural.gradient(cumulant, s) / neural.hessian(cumulant, s)
        off = abs(float(s) / 2 - stated(*cumulants, step))
        at = Witness.at(mu=FOUR_ARMS.mu, T=STATISTIC, delta=Fraction(step))
        answers.append(neural.compare(off, "<", abs(step) ** 3, witness=at))
    return all_of(answers)


@FAMILY.wrong("1/24 for 1/48, of s* and not of its half")
def _(a2: Any, a3: Any, a4: Any, shift: Any) -> Any:
    return 2 * near_quarter(a2, a3, a4, shift) - (a2 / a2) / 4


@FAMILY.wrong("the first term alone")
def _(a2: Any, a3: Any, a4: Any, shift: Any) -> Any:
    return (12 + shift * a3 / a2) / 48


@FAMILY.wrong("the skewness's sign")
def _(a2: Any, a3: Any, a4: Any, shift: Any) -> Any:
    return near_quarter(a2, -a3, a4, shift)


@FAMILY.wrong("the square of the third cumulant forgotten")
def _(a2: Any, a3: Any, a4: Any, shift: Any) -> Any:
    return (12 + shift * a3 / a2 + shift * shift * a4 / a2 / 2) / 48


CLAIMS = frozen(LOCAL, FAMILY)
