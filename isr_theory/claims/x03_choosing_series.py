"""Past section 8: how far the closed form is from the exact gamma, by the cumulants of log w.

    -log(ESS/n) = sum_j kappa_j gamma^j (2^j - 2)/j!
                = kappa_2 gamma^2 + kappa_3 gamma^3 + (7/12) kappa_4 gamma^4 + ...

Without the terms from kappa_3 on it is the closed form, which is therefore too large for weights
that are skewed to the right.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, partial
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Ball, Jet, Number
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, NO_RULE, POLICIES_DIFFER
from isr_theory.claims.instances import ess, named
from isr_theory.claims.s06_3_1_at_one import common_ends
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, THREE_ARMS, Finite

G0, KAPPA2 = sympy.symbols("g0 k2", positive=True)
KAPPA3, KAPPA4 = sympy.symbols("k3 k4", real=True)
GAMMA = sympy.symbols("gamma", positive=True)
SPENT = Fraction(1, 2**60)
"""-log rho_min at which the series are tried: gamma is then near 2^-30."""


class Series(NamedTuple):
    """What kappa_j weighs, from j and j!; gamma and log(ESS/rho_min) from the closed form g0."""

    coefficient: Any
    gamma: Any
    missed: Any


def corrected(g0: Number, k2: Number, k3: Number, k4: Number) -> Number:
    """g0 - (b/2) g0^2 + (5 b^2/8 - c/2) g0^3, b = k3/k2, c = 7 k4/(12 k2)."""
    b, c = k3 / k2, 7 * k4 / (12 * k2)
    return g0 - b / 2 * g0 * g0 + (5 * b * b / 8 - c / 2) * g0 * g0 * g0


def missed_target(g0: Number, k3: Number, k4: Number) -> Number:
    """log(ESS/rho_min) at the closed form: -k3 g0^3 - (7/12) k4 g0^4."""
    return -k3 * g0 * g0 * g0 - 7 * k4 * g0 * g0 * g0 * g0 / 12


SERIES = Series(lambda j, factorial: (2**j - 2) / factorial, corrected, missed_target)

CUMULANT = Draft(
    "GAM.cumulant",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The exact gamma in the cumulants of log w", "以 log w 的累积量展开精确 γ*"),
    finding=Text(
        "As ρ_min rises to 1 the closed form misses its target to leading order exactly where log w"
        " is skewed to the right, κ3 > 0, and γ* = γ0 − (κ3/2κ2)γ0² + O(γ0³).",
        "当 ρ_min → 1 时，闭式在首阶上达不到目标当且仅当 log w 右偏（κ3 > 0），"
        "且 γ* = γ0 − (κ3/2κ2)γ0² + O(γ0³)。",
    ),
    statement=r"-\log\tfrac{\mathrm{ESS}_\gamma}{n} = \sum_{j\ge2}"
    r" \tfrac{2^j - 2}{j!}\kappa_j\gamma^j = \kappa_2\gamma^2 + \kappa_3\gamma^3 + "
    r"\tfrac7{12}\kappa_4\gamma^4 + \dots;\quad"
    r" \gamma^* = \gamma_0 - \tfrac b2\gamma_0^2 + (\tfrac58 b^2 - \tfrac c2)\gamma_0^3 + \dots,\ "
    r"\gamma_0^2 = \tfrac{-\log\rho_{\min}}{\kappa_2},\ b = \tfrac{\kappa_3}{\kappa_2},\ "
    r"c = \tfrac{7\kappa_4}{12\kappa_2};\quad"
    r" \log\frac{\mathrm{ESS}_{\gamma_0}}{n\rho_{\min}} = -\kappa_3\gamma_0^3 + O(\gamma_0^4)",
    subject=SERIES,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("T8.3.b.fix", "T8.3.a"),
    sharpens=("T8.3.a", "T8.3.b.fix", "T8.2"),
    source="new here",
    reading="up to the order of the last finite cumulant, kappa_4 at least, gamma > 0 falling to "
    "0; the whole series inside its radius where log w has exponential moments",
)


@CUMULANT.symbolic(Scope("every law: term by term of K, then the root order by order", whole=True))
def _(series: Any) -> Answer:
    """A term of K(2 gamma) - 2 K(gamma); the root put into three of them; the exponential laws."""
    j, kappa = sympy.symbols("j kappa", positive=True)
    term = kappa / sympy.factorial(j) * ((2 * GAMMA) ** j - 2 * GAMMA**j)
    stated = kappa * GAMMA**j * series.coefficient(j, sympy.factorial(j))
    first = [sympy.Rational(2**k - 2, math.factorial(k)) for k in (2, 3, 4)]
    cumulants = (KAPPA2, KAPPA3, KAPPA4)

    def cost(gamma: Any) -> Any:
        rows = zip(first, cumulants, range(2, 5), strict=True)
        return sum(f * kappa * gamma**k for f, kappa, k in rows)

    # At g0 the target is e^(-kappa_2 g0^2); what is left of the cost is of the order g0^5.
    left = sympy.expand(cost(series.gamma(G0, *cumulants)) - KAPPA2 * G0**2)
    missed = KAPPA2 * G0**2 - cost(G0)
    # Of an exponential law, x = slope gamma: kappa_j = slope^j (j-1)!, ESS/n = (1-2x)/(1-x)^2.
    x = sympy.symbols("x", positive=True)
    exact = [2 * sympy.log(1 - x) - sympy.log(1 - 2 * x)]
    for _ in range(6):
        exact.append(sympy.diff(exact[-1], x))
    factorials = [sympy.factorial(i) for i in range(7)]
    exponential = [
        symbolic.equal(
            exact[i].subs(x, 0),
            factorials[i] * factorials[i - 1] * series.coefficient(sympy.Integer(i), factorials[i]),
        )
        for i in range(2, 7)
    ]
    return all_of(
        [
            symbolic.equal(stated, term),
            *(symbolic.equal(left.coeff(G0, i), 0) for i in range(5)),
            symbolic.equal(series.missed(G0, KAPPA3, KAPPA4), missed),
            *exponential,
        ]
    )


LAWS = (THREE_ARMS, RARE_ARM, Finite(RARE_ARM.pi, RARE_ARM.mu, RARE_ARM.reward))


@cache
def cumulants_of(law: Finite) -> tuple[Any, ...]:
    """The cumulants 1 to 6 of log w under mu, over the outcomes that mu and pi share."""
    mu, pi = common_ends(law, Ball)
    with certified.precision():
        mass = sum(mu, flint.arb(0))
        rows = [(a / mass, Ball.log(p / a)) for a, p in zip(mu, pi, strict=True)]

        def cumulant(t: Any) -> Any:
            return Jet.log(sum(a * Jet.exp(t * x) for a, x in rows))

        return tuple(certified.derivatives(cumulant, flint.arb(0), 6)[1:])


def deficit(law: Finite, gamma: Any) -> Any:
    """-log of the enumerated ESS/n."""
    return -Ball.log(ess(law, gamma))


def excess(law: Finite, spent: Any, gamma: Any) -> Any:
    """How much more than `spent` a gamma costs."""
    return deficit(law, gamma) - spent


def near_series(series: Any, law: Finite, gamma: Fraction) -> Answer:
    """Say whether the cost is the series up to gamma^4, but for what gamma^5 can make of it."""
    g, cumulants = Ball.number(gamma), cumulants_of(law)
    summed = sum(
        (
            series.coefficient(Ball.number(j), math.factorial(j)) * cumulants[j - 1] * g**j
            for j in (2, 3, 4)
        ),
        flint.arb(0),
    )
    # A range of log w below 8 leaves the fifth term below 8^5 gamma^5, and the rest is nothing.
    bound = 8**5 * g**5
    at = named(law, gamma=gamma)
    return certified.compare(abs(deficit(law, g) - summed), "<=", bound, witness=at)


@CUMULANT.certified(Scope("three laws at -log rho_min = 2^-60, of either skewness"))
def _(series: Any) -> Answer:
    """The cost at a small gamma; the root by bisection; ESS at the closed form, and its side."""
    answers = []
    spent = Ball.number(SPENT)
    for law in LAWS:
        _, k2, k3, k4, *_ = cumulants_of(law)
        g0, at = Ball.sqrt(spent / k2), named(law, spent=SPENT)
        ends = (Fraction(1, 2**36), Fraction(1, 2**25))
        found = certified.root(partial(excess, law, spent), *ends)
        if found is None:
            answers.append(Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign"))
            continue
        left = abs(found - series.gamma(g0, k2, k3, k4))
        missed = spent - deficit(law, g0)
        answers += [
            near_series(series, law, Fraction(1, 2**30)),
            certified.compare(left, "<", 8**5 * g0**4, witness=at),
            certified.compare(
                abs(missed - series.missed(g0, k3, k4)), "<", 8**5 * g0**5, witness=at
            ),
            certified.compare(missed * k3, "<", flint.arb(0), witness=at),
        ]
    return all_of(answers)


@CUMULANT.without(MUTUAL_SUPPORT)
def _(series: Any, law: Finite) -> Answer:
    return near_series(series, law, Fraction(1, 2**30))


CUMULANT.meaningless_without(POLICIES_DIFFER, NO_RULE)
CUMULANT.wrong_value(
    "2^j alone", SERIES._replace(coefficient=lambda j, factorial: 2**j / factorial)
)
CUMULANT.wrong_value(
    "K(gamma) once", SERIES._replace(coefficient=lambda j, factorial: (2**j - 1) / factorial)
)
CUMULANT.wrong_value(
    "the sign of the skewness",
    SERIES._replace(gamma=lambda g0, k2, k3, k4: corrected(g0, k2, -k3, k4)),
)
CUMULANT.wrong_value(
    "kappa_4 left out of gamma",
    SERIES._replace(gamma=lambda g0, k2, k3, k4: corrected(g0, k2, k3, 0 * k4)),
)
CUMULANT.wrong_value(
    "ESS above its target for a skew to the right",
    SERIES._replace(missed=lambda g0, k3, k4: -missed_target(g0, k3, k4)),
)
CUMULANT.wrong_value("the closed form as exact", SERIES._replace(gamma=lambda g0, *_: g0))


@CUMULANT.number("gamma0 and its two corrections for THREE_ARMS at rho_min = 4/5")
def _() -> str:
    _, k2, k3, k4, *_ = cumulants_of(THREE_ARMS)
    g0 = Ball.sqrt(-Ball.log(Ball.number("4/5")) / k2)
    once = g0 - k3 / k2 / 2 * g0 * g0
    return ", ".join(map(certified.digits, (g0, once, corrected(g0, k2, k3, k4))))


CLAIMS = frozen(CUMULANT)
