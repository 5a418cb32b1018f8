"""Past section 11: what the two rules for gamma do about a heavy tail.

For weights with a Pareto tail of index k, ESS/n is (1 - 2 y)/(1 - y)^2 at y = gamma k < 1/2 and 0
beyond. The exact rule therefore never reaches 1/(2k). The closed form takes y = sqrt(-log rho_min),
whatever k: too far at every target, and beyond 1/2 where rho_min is at most e^(-1/4).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, PARETO, VALID_RULE
from isr_theory.claims.instances import ess, named
from isr_theory.claims.s08_2_rule_exact import enclosed_exponential_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import ParetoTail, fractions

K, C, D, U, X, Z = sympy.symbols("k c d u x z", positive=True)


class TailRules(NamedTuple):
    """The exact gamma; ESS/n at the closed form for x = sqrt(-log rho_min) < 1/2; the last target.

    From the last target down the second moment at the closed form is infinite.
    """

    exact: Any
    closed: Any
    last: Any


def gamma_pareto(k: Number, rho_min: Number, m: Arithmetic) -> Number:
    """min(1, s / ((1 + s) k)), s = sqrt(1 - rho_min)."""
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), s / ((1 + s) * k))


TAIL_RULES = TailRules(
    gamma_pareto, lambda x: (1 - 2 * x) / ((1 - x) * (1 - x)), lambda m: m.exp(m.number("-1/4"))
)

TAILS = Draft(
    "GAM.tails",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Heavy tails under the two rules", "两种规则与重尾"),
    finding=Text(
        "For a Pareto law the exact rule keeps 2γk < 1 at every target; the closed form, if below"
        " 1, misses every target, and for ρ_min ≤ e^(−1/4) = 0.779 the ESS at it is 0.",
        "对 Pareto 分布，精确规则在任何目标下都保证 2γk < 1；闭式只要小于 1，在任何目标下都不达标，"
        "且当 ρ_min ≤ e^(−1/4) = 0.779 时其处 ESS 为 0。",
    ),
    statement=r"\gamma^* = \min\Bigl(1, \frac{s}{(1+s)k}\Bigr) < \frac1{2k},\ "
    r"s = \sqrt{1-\rho_{\min}};\quad \gamma_0 = \frac{x}{k},\ x = \sqrt{-\log\rho_{\min}}:\ "
    r"\frac{\mathrm{ESS}_{\gamma_0}}{n} = \frac{1-2x}{(1-x)^2} < \rho_{\min}\ (x < \tfrac12),\quad"
    r" 0\ (x \ge \tfrac12)",
    subject=TAIL_RULES,
    expect=Verdict.VERIFIED,
    assumes=(PARETO, VALID_RULE),
    uses=("T11.1.c.fix", "T8.3.b.fix"),
    sharpens=("T11.1.c.fix", "T8.3.b", "REM11.2"),
    source="new here",
    reading="the whole law is Pareto, as is that of w = pi/mu for two exponential laws where pi has"
    " the smaller rate; gamma_0 is the closed form at Var(log w) = k^2, where it is below 1",
)


@TAILS.symbolic(Scope("every k > 0 and 0 < rho_min < 1: w is u^(-k), u uniform", whole=True))
def _(rules: Any) -> Answer:
    """Moments by integration; ESS falls in gamma k to rho_min at the rule's; 1 - z < e^-z."""
    # E[w^t] is the integral of u^(-t k), 1/d at t k = 1 - d, and infinite from t k = 1 on.
    finite = sympy.integrate(U ** (D - 1), (U, 0, 1))
    y = sympy.symbols("y", positive=True)
    moment = finite.subs(D, 1 - y)
    share = moment**2 / finite.subs(D, 1 - 2 * y)
    # log w is k times a standard exponential.
    spread = sympy.integrate((K * U - K) ** 2 * sympy.exp(-U), (U, 0, sympy.oo))
    closed = formulas.gamma_lognormal(spread, sympy.exp(-(X**2)), Exact)
    # s = 1/(1 + c) runs through (0, 1), and 1/2 - y at the root is positive.
    s = 1 / (1 + C)
    root = s / (1 + s)
    clipped = [{K: 3, C: 1}, {K: sympy.Rational(1, 9), C: 1}]
    # With z = (x/(1-x))^2 the ESS is 1 - z < e^-z, and e^-z <= e^(-x^2).
    z = (X / (1 - X)) ** 2
    tangent = sympy.exp(-Z) - 1 + Z
    inside = z.subs(X, 1 / (2 + C)) - 1 / (2 + C) ** 2
    return all_of(
        [
            symbolic.equal(rules.exact(K, 1 - s**2, Exact), sympy.Min(1, root / K), points=clipped),
            symbolic.equal(share.subs(y, root), 1 - s**2),
            symbolic.positive(-sympy.diff(share, y).subs(y, 1 / (2 + C))),
            symbolic.positive(sympy.Rational(1, 2) - root),
            symbolic.equal(closed, sympy.Min(1, X / K), points=[{K: 3, X: 1}, {K: 1, X: 2}]),
            symbolic.equal(rules.closed(X), share.subs(y, X)),
            symbolic.equal(rules.closed(X), 1 - z),
            symbolic.positive(sympy.diff(tangent, Z, 2)),
            symbolic.equal(sympy.diff(tangent, Z).subs(Z, 0), 0),
            symbolic.equal(tangent.subs(Z, 0), 0),
            symbolic.positive(inside),
            symbolic.equal(rules.last(Exact), sympy.exp(-(sympy.Rational(1, 2) ** 2))),
        ]
    )


def exponential_ess(k: Fraction, gamma: Any) -> Any:
    """ESS/n for mu = Exp(1), pi = Exp(1 - k), by quadrature; 0 where a moment is infinite."""
    once, twice = (enclosed_exponential_moment(1 - k, j * gamma) for j in (1, 2))
    return once * once / twice if twice.is_finite() else Ball.number(0)


@TAILS.certified(Scope("k = 3/5 and 9/10, targets on both sides of e^(-1/4)"))
def _(rules: Any) -> Answer:
    """Two exponential laws, by quadrature: ESS at the exact rule, and at the closed form."""
    answers = []
    for k, targets in zip(fractions("3/5 9/10"), ("1/2 17/20", "7/10 9/10"), strict=True):
        size = Ball.number(k)
        for target in fractions(targets):
            at = Witness.at(k=k, rho_min=target)
            rho_min = Ball.number(target)
            exact = rules.exact(size, rho_min, Ball)
            x = Ball.sqrt(-Ball.log(rho_min))
            there = exponential_ess(k, formulas.gamma_lognormal(size * size, rho_min, Ball))
            answers += [
                certified.agree([exponential_ess(k, exact)], [rho_min], witnesses=[at]),
                certified.compare(2 * exact * size, "<", 1, witness=at),
                certified.compare(there, "<", rho_min, witness=at),
            ]
            if rho_min > rules.last(Ball):
                answers.append(certified.agree([there], [rules.closed(x)], witnesses=[at]))
                answers.append(certified.compare(there, ">", 0, witness=at))
            else:
                answers.append(certified.compare(there, "<=", 0, witness=at))
    # A small k, where gamma is 1 and more than the target is met.
    small, rho_min = Ball.number("1/10"), Ball.number("1/2")
    at = Witness.at(k=Fraction(1, 10), rho_min=Fraction(1, 2))
    gamma = rules.exact(small, rho_min, Ball)
    enough = exponential_ess(Fraction(1, 10), Ball.number(1))
    return all_of(
        [
            *answers,
            certified.agree([gamma], [Ball.number(1)], witnesses=[at]),
            certified.compare(enough, ">", rho_min, witness=at),
        ]
    )


@TAILS.without(PARETO)
def _(rules: Any, model: ParetoTail) -> Answer:
    # For k < 0 the weights are bounded by 1, and gamma = 1 is the largest that is asked for.
    rho_min, k = Ball.number("3/10"), Ball.number(model.k)
    gamma, at = rules.exact(k, rho_min, Ball), named(model, rho_min=Fraction(3, 10))
    if gamma == 1:
        return certified.compare(ess(model, gamma), ">=", rho_min, witness=at)
    return all_of(
        [
            certified.compare(gamma, ">", 0, witness=at),
            certified.agree([ess(model, gamma)], [rho_min], witnesses=[at]),
        ]
    )


TAILS.meaningless_without(VALID_RULE, NO_RULE)


def planted(exact: Any) -> TailRules:
    """Return the rules with another exact gamma."""
    return TAIL_RULES._replace(exact=exact)


TAILS.wrong_value(
    "up to the finite-variance limit",
    planted(lambda k, rho_min, m: m.minimum(m.number(1), 1 / (2 * k))),
)
TAILS.wrong_value(
    "the closed form as exact",
    planted(lambda k, rho_min, m: m.minimum(m.number(1), m.sqrt(-m.log(rho_min)) / k)),
)
TAILS.wrong_value(
    "s without its square root",
    planted(lambda k, rho_min, m: m.minimum(m.number(1), (1 - rho_min) / ((2 - rho_min) * k))),
)
TAILS.wrong_value("ESS of log-normal weights", TAIL_RULES._replace(closed=lambda x: 1 - x * x))
TAILS.wrong_value("no square below", TAIL_RULES._replace(closed=lambda x: (1 - 2 * x) / (1 - x)))
TAILS.wrong_value(
    "the last target at e^(-1/2)", TAIL_RULES._replace(last=lambda m: m.exp(m.number("-1/2")))
)


@TAILS.number("the last target, e^(-1/4)")
def _() -> str:
    return certified.digits(TAIL_RULES.last(Ball))


@TAILS.number("ESS/n at the closed form for rho_min = 4/5")
def _() -> str:
    return certified.digits(TAIL_RULES.closed(Ball.sqrt(-Ball.log(Ball.number("4/5")))))


CLAIMS = frozen(TAILS)
