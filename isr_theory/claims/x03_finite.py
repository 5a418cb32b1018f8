"""Past section 8: what the ESS of a batch is on average, against that of the population.

With x = w^gamma, m_k = E[x^k], A and B the means of x and x^2 over a batch of n rows,

    E[A^2/B] - m1^2/m2 = E[(m2 A - m1 B)^2 / (m2^2 B)] >= 0

so that a batch shows a higher ESS/n than the population has, by Var(m2 x - m1 x^2)/(n m2^3) to
first order. The same square, about a batch of n + 1 rows, shows that it falls in n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache, partial
from itertools import product
from math import comb
from typing import Any

import numpy as np
import sympy

from isr_theory import spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.instances import named
from isr_theory.claims.s08_1_ess import SIGMA2, integrated_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import THREE_ARMS, TWO_ARMS, Finite

A, B, M1, M2, X, V = sympy.symbols("A B m1 m2 x v", positive=True)
M3, M4 = sympy.symbols("m3 m4", positive=True)


def excess(a: Number, b: Number, m1: Number, m2: Number) -> Number:
    """By how much a^2/b is above its tangent plane at (m1, m2): (m2 a - m1 b)^2/(m2^2 b)."""
    off = m2 * a - m1 * b
    return off * off / (m2 * m2 * b)


JENSEN = Draft(
    "GAM.jensen",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("A batch overstates the ESS, on average", "批次 ESS 平均而言偏高"),
    finding=Text(
        "For every law and every n the expected ESS/n of a batch is above the population's, by the"
        " mean of one square, and falls with n from 1 at n = 1.",
        "对任意分布与任意 n，批次 ESS/n 的期望都高于总体值，差额为一个平方项的期望，"
        "且随 n 自 n = 1 处的 1 起下降。",
    ),
    statement=r"\mathbb{E}\frac{A^2}{B} - \frac{m_1^2}{m_2}"
    r" = \mathbb{E}\frac{(m_2 A - m_1 B)^2}{m_2^2 B} > 0,\quad"
    r" \mathbb{E}\,\frac{\mathrm{ESS}_{n+1}}{n+1} < \mathbb{E}\,\frac{\mathrm{ESS}_n}{n},\quad"
    r" \frac{\mathrm{ESS}_n}{n} = \frac{A^2}{B}",
    subject=excess,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("D8.1",),
    sharpens=("D8.1", "A8.4.b", "LST12.1.ess"),
    source="Jensen's inequality for a^2/b; the exact excess and the fall in n are new here",
    reading="rows independent; x = w^gamma, gamma > 0, with E[x^2] finite; where it is infinite the"
    " population's ESS is 0",
)


@JENSEN.symbolic(
    Scope(
        "every law and n: the excess over a tangent plane, whose mean is the value where it touches"
        "; the pairs (A, B) without one row each have the mean of all n + 1 rows",
        whole=True,
    )
)
def _(excess: Any) -> Answer:
    """A^2/B less its tangent plane; the plane at its own point; equal rows, and one row less."""
    plane = 2 * M1 / M2 * A - (M1 / M2) ** 2 * B
    # S1 and S2 sum x and x^2 over n + 1 rows, of which one is left out: excess 0 only at x = S2/S1.
    without = (M2 * (M1 - X) - M1 * (M2 - X**2)) ** 2 / (M2**2 * (M2 - X**2))
    return all_of(
        [
            symbolic.equal(A**2 / B - plane, excess(A, B, M1, M2)),
            symbolic.equal(plane.subs({A: M1, B: M2}), M1**2 / M2),
            # No excess on average only where the sum of m2 x - m1 x^2 is always 0, and so each of
            # these independent terms: w is then constant.
            symbolic.equal(excess(X, X**2, M1, M2), (M2 - M1 * X) ** 2 / M2**2),
            symbolic.equal(excess(M1 - X, M2 - X**2, M1, M2), without),
            symbolic.equal(M2 * (M1 - X) - M1 * (M2 - X**2), X * (M1 * X - M2)),
        ]
    )


def powers(law: Finite, gamma: Fraction, m: Arithmetic) -> list[tuple[Number, Number]]:
    """Return the chance of every outcome under mu and its w^gamma."""
    mu, pi, _ = law.numbers(m)
    return [(a, m.power(p / a, m.number(gamma))) for a, p in zip(mu, pi, strict=True)]


Row = tuple[Number, Number]


def batches(rows: Sequence[Row], n: int) -> Iterator[tuple[Number, list[int]]]:
    """Yield the chance of every count of outcomes in a batch of n rows."""
    if len(rows) == 2:
        for k in range(n + 1):
            yield comb(n, k) * rows[0][0] ** k * rows[1][0] ** (n - k), [k, n - k]
        return
    for counts in product(range(n + 1), repeat=len(rows)):
        if sum(counts) == n:
            chance, left = rows[0][0] ** 0, n
            for (p, _), k in zip(rows, counts, strict=True):
                chance, left = chance * comb(left, k) * p**k, left - k
            yield chance, list(counts)


def means(rows: Sequence[Row], counts: Sequence[int]) -> tuple[Number, Number]:
    """Return the means of x and x^2 over a batch with these counts."""
    n = sum(counts)
    first = sum(k * x for (_, x), k in zip(rows, counts, strict=True)) / n
    return first, sum(k * x * x for (_, x), k in zip(rows, counts, strict=True)) / n


def expected(rows: Sequence[Row], n: int, of: Callable[[Number, Number], Number]) -> Number:
    """Return the mean of a function of A and B over all batches of n rows."""
    return sum(chance * of(*means(rows, counts)) for chance, counts in batches(rows, n))


def expected_ess(rows: Sequence[Row], n: int) -> Number:
    """Return the expected ESS/n of a batch of n rows, by enumeration."""
    return expected(rows, n, lambda a, b: a * a / b)


def moments(rows: Sequence[Row], order: int) -> list[Number]:
    """Return m_1 up to m_order."""
    return [sum(p * x**k for p, x in rows) for k in range(1, order + 1)]


@JENSEN.symbolic(Scope("two outcomes at gamma = 1, n = 1, 2, 4 and 5"))
def _(excess: Any) -> Answer:
    """Every batch enumerated in exact fractions: the excess, and the fall from 4 rows to 5."""
    rows = powers(TWO_ARMS, Fraction(1), Exact)
    m1, m2 = moments(rows, 2)
    answers = []
    for n in (1, 2, 4):
        gap = expected_ess(rows, n) - m1**2 / m2
        stated = expected(rows, n, lambda a, b: excess(a, b, m1, m2))
        at = named(TWO_ARMS, gamma=1, n=n)
        answers += [
            symbolic.compare(gap, "==", stated, witness=at),
            symbolic.compare(stated, ">", 0, witness=at),
        ]
    fall = expected_ess(rows, 4) - expected_ess(rows, 5)
    stated = _fall(excess, rows, 5)
    return all_of([*answers, symbolic.compare(fall, "==", stated, witness=named(TWO_ARMS, n=5))])


def _fall(excess: Any, rows: Sequence[Row], n: int) -> Any:
    """The excess of batches without one row, over those of n rows that they come from."""
    total = 0
    for chance, counts in batches(rows, n):
        whole = means(rows, counts)
        for j, k in enumerate(counts):
            if k:
                without = [c - (i == j) for i, c in enumerate(counts)]
                total += chance * k / n * excess(*means(rows, without), *whole)
    return total


def about(excess: Any, point: tuple[Number, Number], a: Number, b: Number) -> Any:
    """The excess over the tangent plane at a point."""
    return excess(a, b, *point)


@JENSEN.certified(Scope("three outcomes at gamma = 2/3, n = 3; two at gamma = 1/2, n = 16"))
def _(excess: Any) -> Answer:
    """Every batch enumerated in balls: the excess, its sign, and the fall to one row more."""
    answers = []
    for law, gamma, n in ((THREE_ARMS, Fraction(2, 3), 3), (TWO_ARMS, Fraction(1, 2), 16)):
        rows, at = powers(law, gamma, Ball), named(law, gamma=gamma, n=n)
        m1, m2 = moments(rows, 2)
        mean = expected_ess(rows, n)
        stated = expected(rows, n, partial(about, excess, (m1, m2)))
        fall = mean - expected_ess(rows, n + 1)
        answers += [
            certified.agree([mean - m1 * m1 / m2], [stated], witnesses=[at]),
            certified.agree([fall], [_fall(excess, rows, n + 1)], witnesses=[at]),
            certified.compare(mean, ">", m1 * m1 / m2, witness=at),
        ]
    return all_of(answers)


@JENSEN.sampled(Scope("three outcomes at gamma = 1/2, n = 4"), resolution=0.05)
def _(excess: Any, trial: Trial) -> Answer:
    """The mean of ESS/n less the square is the population's ESS/n."""
    law = THREE_ARMS
    rows = powers(law, Fraction(1, 2), Real)
    m1, m2 = moments(rows, 2)
    table = np.array([x for _, x in rows])

    def draw(rng: np.random.Generator, n: int) -> Any:
        x = table[law.sample(rng, 4 * n)].reshape(n, 4)
        a, b = x.mean(1), (x * x).mean(1)
        return a * a / b - excess(a, b, m1, m2)

    # On the tangent plane: between 0 and 1 at every outcome, and so at their means.
    label = f"ESS/n less its excess, which is {excess(2.0, 3.0, m1, m2)} at (2, 3)"
    mean = trial.mean(label, draw, -1.0, 1.5)
    return trial.agrees(mean, m1 * m1 / m2, witness=named(law, gamma=Fraction(1, 2), n=4))


@JENSEN.margin(*(spaces.finite(k, gamma=("0", "1")) for k in (2, 3)))
def _(excess: Any, case: Any, m: Any) -> Any:
    rows = powers(case.model, case["gamma"], m)
    m1, m2 = moments(rows, 2)
    two, three = (expected(rows, n, lambda a, b: excess(a, b, m1, m2)) for n in (2, 3))
    return two - three


def strictly_above(excess: Any, law: Finite) -> Answer:
    """Try whether two rows show more than the population at gamma = 1; a batch of 0s has ESS 0."""
    rows = [
        (Exact.number(a), Exact.number(p / a)) for a, p in zip(law.mu, law.pi, strict=True) if a > 0
    ]
    m1, m2 = moments(rows, 2)

    def shown(a: Any, b: Any) -> Any:
        return excess(a, b, m1, m2) + (2 * m1 * m2 * a - m1**2 * b) / m2**2 if b else b

    return symbolic.compare(expected(rows, 2, shown), ">", m1**2 / m2, witness=named(law, n=2))


JENSEN.without(MUTUAL_SUPPORT)(strictly_above)
JENSEN.without(POLICIES_DIFFER)(strictly_above)
JENSEN.wrong_value("half of it", lambda a, b, m1, m2: excess(a, b, m1, m2) / 2)
JENSEN.wrong_value("the sign", lambda a, b, m1, m2: -1 * excess(a, b, m1, m2))
JENSEN.wrong_value("m2 for B", lambda a, b, m1, m2: excess(a, b, m1, m2) * b / m2)
JENSEN.wrong_value("m1 and m2 exchanged", lambda a, b, m1, m2: excess(a, b, m2, m1))
JENSEN.wrong_value("the square of the gap of A", lambda a, b, m1, m2: (a - m1) * (a - m1) / b)


def first_order(m1: Number, m2: Number, m3: Number, m4: Number) -> Number:
    """1 - 2 m1 m3 / m2^2 + m1^2 m4 / m2^3 = Var(m2 x - m1 x^2) / m2^3."""
    return 1 - 2 * m1 * m3 / (m2 * m2) + m1 * m1 * m4 / (m2 * m2 * m2)


FIRST_ORDER = Draft(
    "GAM.firstorder",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("By how much a batch overstates the ESS", "批次 ESS 偏高的一阶量"),
    finding=Text(
        "n (E[ESS_n/n] − ESS/n) tends to 1 − 2m1m3/m2² + m1²m4/m2³ ≥ 0, for log-normal weights to"
        " 1 − 2e^v + e^{3v} with v = γ²σ².",
        "n(E[ESS_n/n] − ESS/n) 趋于 1 − 2m1m3/m2² + m1²m4/m2³ ≥ 0；"
        "对数正态时为 1 − 2e^v + e^{3v}，v = γ²σ²。",
    ),
    statement=r"\mathbb{E}\frac{\mathrm{ESS}_n}{n} = \frac{m_1^2}{m_2} + \frac1n\Bigl(1"
    r" - \frac{2 m_1 m_3}{m_2^2} + \frac{m_1^2 m_4}{m_2^3}\Bigr) + o(1/n),\quad"
    r" m_k = \mathbb{E}_\mu[w^{k\gamma}];\quad \text{log-normal: } 1 - 2e^v + e^{3v}",
    subject=first_order,
    expect=Verdict.VERIFIED,
    uses=("GAM.jensen", "T7.4"),
    sharpens=("D8.1", "T8.2", "LST12.1.ess"),
    source="the delta method; its rest is bounded here",
    reading="x = w^gamma >= 0, not always 0, with E[x^4] finite; the ESS of a batch of 0s is "
    "between 0 and n",
)


@FIRST_ORDER.symbolic(
    Scope(
        "every law with four moments: n times the square of GAM.jensen converges in mean where "
        "B >= m2/2, as n (m2 A - m1 B)^2 has a constant mean and a limit law; where B < m2/2, whose"
        " chance falls exponentially as x^2 >= 0, the excess is at most 3/2",
        whole=True,
    )
)
def _(coefficient: Any) -> Answer:
    """The variance of m2 x - m1 x^2; the excess where B is small; the log-normal moments."""
    named_moments = {X: M1, X**2: M2, X**3: M3, X**4: M4}

    def mean(polynomial: Any) -> Any:
        terms = sympy.Poly(polynomial, X).terms()
        return sum(c * named_moments[X**k] for (k,), c in terms)

    off = M2 * X - M1 * X**2
    # A^2 <= B and A >= 0, so that with B <= m2/2 and m1^2 <= m2 the excess is at most 1 + 1/2.
    rest = excess(A, B, M1, M2) - (A**2 / B + M1**2 * B / M2**2)
    t, v = sympy.symbols("t v", positive=True)
    lognormal = [integrated_moment(t).subs(t, k * t) for k in range(1, 5)]
    stated = coefficient(*lognormal).subs(t, sympy.sqrt(v / SIGMA2))
    return all_of(
        [
            symbolic.equal(mean(off), 0),
            symbolic.equal(mean(sympy.expand(off**2)) / M2**3, coefficient(M1, M2, M3, M4)),
            symbolic.equal(rest, -2 * M1 * A / M2),
            symbolic.equal(stated, 1 - 2 * sympy.exp(v) + sympy.exp(3 * v), reduce=_one_exponent),
        ]
    )


def _one_exponent(difference: Any) -> Any:
    return sympy.expand(sympy.powsimp(sympy.expand(difference)))


@FIRST_ORDER.certified(Scope("two outcomes at gamma = 1 and 1/2, n = 256 and 512"))
def _(coefficient: Any) -> Answer:
    """The excess over all batches, n times it within 1/n of the coefficient."""
    answers = []
    for gamma in (Fraction(1), Fraction(1, 2)):
        stated = coefficient(*moments(powers(TWO_ARMS, gamma, Ball), 4))
        for n in (256, 512):
            at = named(TWO_ARMS, gamma=gamma, n=n)
            left = abs(n * enumerated_gap(gamma, n) - stated)
            answers.append(certified.compare(left, "<", Ball.number(Fraction(1, n)), witness=at))
    return all_of(answers)


@cache
def enumerated_gap(gamma: Fraction, n: int) -> Any:
    """Enclose E[ESS_n/n] - ESS/n of two outcomes."""
    rows = powers(TWO_ARMS, gamma, Ball)
    m1, m2 = moments(rows, 2)
    return expected_ess(rows, n) - m1 * m1 / m2


@FIRST_ORDER.sampled(Scope("three outcomes at gamma = 1/2"), resolution=0.02)
def _(coefficient: Any, trial: Trial) -> Answer:
    """The mean square of m2 x - m1 x^2 over m2^3."""
    law = THREE_ARMS
    rows = powers(law, Fraction(1, 2), Real)
    m1, m2, m3, m4 = moments(rows, 4)
    table = np.array([(m2 * x - m1 * x * x) ** 2 / m2**3 for _, x in rows])
    mean = trial.mean("squares", lambda rng, n: table[law.sample(rng, n)], 0.0, float(table.max()))
    at = named(law, gamma=Fraction(1, 2))
    return trial.agrees(mean, coefficient(m1, m2, m3, m4), witness=at)


@FIRST_ORDER.wrong("m1 m3 once")
def _(m1: Any, m2: Any, m3: Any, m4: Any) -> Any:
    return 1 - m1 * m3 / (m2 * m2) + m1 * m1 * m4 / (m2 * m2 * m2)


@FIRST_ORDER.wrong("without the 1")
def _(m1: Any, m2: Any, m3: Any, m4: Any) -> Any:
    return first_order(m1, m2, m3, m4) - 1


@FIRST_ORDER.wrong("the sign")
def _(m1: Any, m2: Any, m3: Any, m4: Any) -> Any:
    return -1 * first_order(m1, m2, m3, m4)


@FIRST_ORDER.wrong("m2^2 under m4")
def _(m1: Any, m2: Any, m3: Any, m4: Any) -> Any:
    return 1 - 2 * m1 * m3 / (m2 * m2) + m1 * m1 * m4 / (m2 * m2)


@FIRST_ORDER.number("the coefficient of mu = (1/2, 1/2), pi = (9/10, 1/10) at gamma = 1")
def _() -> str:
    return certified.digits(first_order(*moments(powers(TWO_ARMS, Fraction(1), Ball), 4)))


@FIRST_ORDER.number("E[ESS_4/4] of the same")
def _() -> str:
    return certified.digits(expected_ess(powers(TWO_ARMS, Fraction(1), Ball), 4))


@FIRST_ORDER.number("the log-normal coefficient at gamma^2 sigma2 = 1")
def _() -> str:
    return certified.digits(1 - 2 * Ball.exp(Ball.number(1)) + Ball.exp(Ball.number(3)))


CLAIMS = frozen(JENSEN, FIRST_ORDER)
