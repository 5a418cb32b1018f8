"""Section 8.2: the rule that holds for every law.

    -log(ESS/n) = K(2 gamma) - 2 K(gamma),   K(t) = log E_mu[w^t]

grows with gamma whatever the law, so that the largest feasible gamma is 1 or the one place at which
it is -log rho_min. For exponential laws, which refute the closed form, that place is in closed form
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number
from isr_theory.claim import (
    Answer,
    Assumption,
    Kind,
    Outcome,
    Scope,
    Strength,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, VALID_RULE, Rule
from isr_theory.claims.instances import moment, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import (
    RARE_ARM,
    THREE_ARMS,
    UNIFORM_POLICY,
    ExponentialRate,
    Finite,
    drawn_fraction,
)

GAMMA, C = sympy.symbols("gamma c", positive=True)


@dataclass(frozen=True)
class EdgeTail:
    """mu has density ~ e^(-x)/(1 + x)^2 on x > 0 and w ~ e^(slope x), 0 < slope < 1.

    E_mu[w^t] is finite up to t = 1/slope, that one included, and infinite beyond.
    """

    slope: Fraction


NO_JUMP = Assumption(
    "no_jump",
    Text(
        "E_mu[w^(2 gamma)] is finite up to gamma = 1, or grows without bound before it ceases to"
        " be.",
        "E_μ[w^{2γ}] 在 γ ≤ 1 上有限，或在变为无穷之前无界增长。",
    ),
    lambda model: not isinstance(model, EdgeTail) or model.slope <= Fraction(1, 2),
    examples=(
        THREE_ARMS,
        ExponentialRate(Fraction(3, 5)),
        ExponentialRate(Fraction(2, 5)),
        EdgeTail(Fraction(1, 2)),
    ),
    violations=(EdgeTail(Fraction(3, 4)),),
    draw=lambda rng: ExponentialRate(drawn_fraction(rng, "0", "1")),
)


class ExactRule(NamedTuple):
    """What a gamma costs under any law, and the gamma that spends all of it under one law."""

    deficit: Any
    exponential: Any


def log_ess_deficit(once: Number, twice: Number) -> Number:
    """-log(ESS/n) = K(2 gamma) - 2 K(gamma), K(t) = log E_mu[w^t]."""
    return twice - 2 * once


def gamma_exponential(rate: Number, rho_min: Number, m: Arithmetic) -> Number:
    """Return the largest gamma with ESS/n >= rho_min for mu = Exp(1), pi = Exp(rate), rate < 1.

    It is min(1, s / ((1 + s) (1 - rate))), s = sqrt(1 - rho_min).
    """
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), s / ((1 + s) * (1 - rate)))


T8_3_B_FIX = Draft(
    "T8.3.b.fix",
    section="8.2",
    kind=Kind.OPTIMUM,
    title=Text("The largest feasible gamma of any law", "任意分布的最大可行 γ"),
    finding=Text(
        "For every law ESS falls in gamma, so the largest feasible gamma is 1 or the one root of"
        " K(2γ) − 2K(γ) = −log ρ_min.",
        "对任意分布 ESS 关于 γ 递减，故最大可行 γ 为 1 或 K(2γ) − 2K(γ) = −log ρ_min 的唯一根。",
    ),
    statement=r"-\log(\mathrm{ESS}_\gamma/n) = K(2\gamma) - 2K(\gamma)\ \text{increases in }\gamma"
    r" \ge 0\ \text{from } 0,\quad K(t) = \log\mathbb{E}_\mu[w^t]",
    subject=ExactRule(log_ess_deficit, gamma_exponential),
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, NO_JUMP, VALID_RULE),
    uses=("D8.1",),
    amends=("T8.3.b", "A8.4.b", "LST12.1.gamma"),
    reading="the increase is strict where pi is not mu, as long as E[w^(2 gamma)] is finite; the "
    "subject is that difference and its root for mu = Exp(1), pi = Exp(rate), the laws that refute "
    "the closed form",
)
RATE = 1 / (1 + C)
"""Any rate below 1, over a free c > 0."""


@cache
def exponential_moment() -> tuple[Any, Any]:
    """E[w^t] for pi = Exp(RATE), by integrating w^t against e^(-x), and its t."""
    x, t = sympy.symbols("x t", positive=True)
    # w^t e^(-x) = RATE^t e^(-d x), d = 1 - t (1 - RATE) > 0 where the moment is finite.
    d = sympy.Symbol("d", positive=True)
    integral = sympy.integrate(sympy.exp(-d * x), (x, 0, sympy.oo))
    return RATE**t * integral.subs(d, 1 - t * (1 - RATE)), t


@T8_3_B_FIX.symbolic(
    Scope("every law: the slope's numerator is a sum over pairs of outcomes of a term >= 0", True)
)
def _(rule: Any) -> Answer:
    """ESS from two free moments; the slope, outcome by outcome; the root of the exponential law."""
    a, b, gap = sympy.symbols("a b d", positive=True)
    da, db, low = sympy.symbols("da db l", real=True)
    once, twice = sympy.Function("A")(GAMMA), sympy.Function("B")(GAMMA)
    # a = E[w^gamma], b = E[w^(2 gamma)], da = E[l w^gamma], db = E[l w^(2 gamma)], l = log w.
    slope = sympy.diff(rule.deficit(sympy.log(once), sympy.log(twice)), GAMMA)
    slope = slope.subs({sympy.diff(once, GAMMA): da, sympy.diff(twice, GAMMA): 2 * db})
    numerator = slope.subs({once: a, twice: b}) * a * b / 2
    # a db - b da, over two outcomes with log w = l + d and l: the term of a pair and its mirror.
    x, y = sympy.exp(GAMMA * (low + gap)), sympy.exp(GAMMA * low)
    pair = (low + gap) * x**2 * y + low * y**2 * x - (low + gap) * x * y**2 - low * y * x**2
    least = 2 * gap * sympy.exp(GAMMA * (3 * low + gap * 3 / 2)) * sympy.sinh(GAMMA * gap / 2)
    moment, t = exponential_moment()
    s = 1 / (1 + GAMMA)
    rho_min, root = 1 - s**2, s / ((1 + s) * (1 - RATE))
    logs = [sympy.expand_log(sympy.log(moment.subs(t, k * root)), force=True) for k in (1, 2)]
    return all_of(
        [
            symbolic.equal(sympy.exp(-rule.deficit(sympy.log(a), sympy.log(b))), a**2 / b),
            symbolic.equal(numerator, a * db - b * da),
            symbolic.equal(pair, least, reduce=lambda d: sympy.expand(d.rewrite(sympy.exp))),
            symbolic.positive(least),
            symbolic.equal(
                rule.exponential(RATE, rho_min, Exact),
                sympy.Min(1, root),
                points=[{C: 1, GAMMA: 2}, {C: sympy.Rational(1, 5), GAMMA: 1}],
            ),
            symbolic.equal(sympy.exp(-rule.deficit(*logs)), rho_min),
        ]
    )


def enclosed_exponential_moment(rate: Fraction, t: Any) -> Any:
    """E[w^t] for pi = Exp(rate): quadrature up to x = 1200, the rest bounded."""
    r, edge = Ball.number(rate), Ball.number(1200)
    slope = t * (1 - r) - 1
    if not slope < 0:
        return flint.arb("inf") if slope >= 0 else flint.arb("nan")
    inner = flint.acb.integral(lambda x, _: (slope * x).exp(), flint.acb(0), flint.acb(edge)).real
    rest = Ball.exp(slope * edge) / -slope
    return Ball.power(r, t) * (inner + flint.arb(0, rest.upper()))


@T8_3_B_FIX.certified(Scope("four outcomes at rho_min = 3/10"))
def _(rule: Any) -> Answer:
    """The deficit rises box by box, and enumerated ESS at its root is rho_min."""
    target, law = Ball.number("3/10"), RARE_ARM
    mu, pi, _ = law.numbers(Ball)
    rows = list(zip(mu, pi, strict=True))
    edges = (Fraction(1, 20), Fraction(1))

    def deficit(gamma: Any, m: Any) -> Any:
        once, twice = (
            m.log(sum(a * m.power(b / a, t) for a, b in rows)) for t in (gamma, 2 * gamma)
        )
        return rule.deficit(once, twice)

    def at(gamma: Any) -> Witness:
        return Witness.at(mu=law.mu, pi=law.pi, gamma=gamma)

    rises = certified.sign_on(
        lambda g: certified.derivatives(lambda x: deficit(x, Jet), g, 1)[1],
        edges,
        positive=True,
        witness=at,
    )
    root = certified.root(lambda g: deficit(g, Ball) + Ball.log(target), *edges)
    if root is None:
        nothing = Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no change of sign")
        return all_of([rises, nothing])
    weights = [(a, Ball.power(b / a, root)) for a, b in rows]
    first = sum(a * v for a, v in weights)
    ess = first * first / sum(a * v * v for a, v in weights)
    return all_of([rises, certified.agree([ess], [target], witnesses=[at("the root")])])


@T8_3_B_FIX.certified(Scope("two exponential laws at rho_min = 3/10"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature is rho_min at the rule's gamma, or more where gamma is 1."""
    target = Ball.number("3/10")

    def ess(rate: Fraction, gamma: Any) -> Any:
        once, twice = (enclosed_exponential_moment(rate, k * gamma) for k in (1, 2))
        return once * once / twice

    def at(rate: Fraction) -> Witness:
        return Witness.at(mu="Exp(1)", pi=f"Exp({rate})", rho_min=Fraction(3, 10))

    heavy, light = Fraction(2, 5), Fraction(4, 5)
    gammas = [rule.exponential(Ball.number(rate), target, Ball) for rate in (heavy, light)]
    return all_of(
        [
            certified.agree([gammas[1]], [Ball.number(1)], witnesses=[at(light)]),
            certified.compare(ess(light, Ball.number(1)), ">", target, witness=at(light)),
            certified.agree([ess(heavy, gammas[0])], [target], witnesses=[at(heavy)]),
        ]
    )


@T8_3_B_FIX.margin(*(spaces.finite(k, low=("0", "1/2"), rise=("0", "1/2")) for k in (2, 3)))
def _(rule: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)

    def deficit(gamma: Any) -> Any:
        once, twice = (m.log(formulas.moment(mu, pi, k * gamma, m)) for k in (1, 2))
        return rule.deficit(once, twice)

    low = m.number(case["low"])
    return deficit(low + m.number(case["rise"])) - deficit(low)


@T8_3_B_FIX.neural(Scope("four outcomes at three gammas"))
def _(rule: Any) -> Answer:
    """The autograd slope of the deficit is twice the difference of two tilted means of log w."""
    law = UNIFORM_POLICY
    mu, level = neural.tensor(law.mu), neural.tensor(law.log_w().tolist())

    def log_moment(t: Any) -> Any:
        return (mu.log() + t * level).logsumexp(0)

    def tilted_mean(t: float) -> Any:
        return ((mu.log() + t * level).softmax(0) * level).sum()

    return all_of(
        neural.close(
            neural.gradient(
                lambda g: rule.deficit(log_moment(g), log_moment(2 * g)), neural.tensor(gamma)
            ),
            2 * (tilted_mean(2 * float(gamma)) - tilted_mean(float(gamma))),
            witness=Witness.at(mu=law.mu, pi=law.pi, gamma=gamma),
        )
        for gamma in (Fraction(1, 5), Fraction(1, 2), Fraction(1))
    )


def powered(model: Any, t: Any) -> Any:
    """Enclose E_mu[w^t], of an `EdgeTail` up to factors that cancel from the deficit."""
    if not isinstance(model, EdgeTail):
        return moment(model, t)
    decay = 1 - t * Ball.number(model.slope)
    # The integral of e^(-decay x)/(1 + x)^2; at decay 1 it is what normalises mu.
    if not decay >= 0:
        return flint.arb("inf")
    return decay.exp() * decay.expint(2) / (flint.arb(1).exp() * flint.arb(1).expint(2))


def last_gamma(rule: Any, model: Any, rho_min: Fraction) -> Answer:
    """Say whether the largest feasible gamma is 1, or the one at which all of rho_min is spent."""
    target = -Ball.log(Ball.number(rho_min))
    name = named(model) if not isinstance(model, EdgeTail) else Witness.at(edge_tail=model.slope)
    at = Witness((*name.point, ("rho_min", str(rho_min))))

    def deficit(gamma: Any) -> Any:
        once, twice = powered(model, gamma), powered(model, 2 * gamma)
        # Where the second moment is infinite ESS/n is 0.
        if not twice.is_finite():
            return flint.arb("inf")
        return rule.deficit(Ball.log(once), Ball.log(twice))

    if deficit(Ball.number(1)) <= target:
        return certified.compare(deficit(Ball.number(1)), "<=", target, witness=at)
    ends = (Fraction(1, 2**40), Fraction(1))
    crossing = certified.root(lambda gamma: deficit(gamma) - target, *ends)
    # With no gamma > 0 that is feasible there is 0 at most, where both moments are 1.
    zero = flint.arb(0)
    spent = rule.deficit(zero, zero) if crossing is None else deficit(crossing.lower())
    # The crossing is enclosed to 2^-110, and the slopes of the deficit are far below 2^30 here.
    left = Ball.number(Fraction(1, 2**80))
    return all_of(
        [
            certified.compare(spent, "<=", target, witness=at),
            certified.compare(target - spent, "<", left, witness=at),
        ]
    )


@T8_3_B_FIX.without(MUTUAL_SUPPORT)
def _(rule: Any, law: Finite) -> Answer:
    return last_gamma(rule, law, Fraction(3, 5))


@T8_3_B_FIX.without(NO_JUMP)
def _(rule: Any, model: Any) -> Answer:
    return last_gamma(rule, model, Fraction(3, 10))


@T8_3_B_FIX.without(VALID_RULE, on=(Rule(Fraction(4), Fraction(3, 2)),))
def _(rule: Any, given: Rule) -> Answer:
    return last_gamma(rule, THREE_ARMS, given.rho_min)


T8_3_B_FIX.wrong_value(
    "K(gamma) once", ExactRule(lambda once, twice: twice - once, gamma_exponential)
)
T8_3_B_FIX.wrong_value(
    "log ESS for -log ESS", ExactRule(lambda once, twice: 2 * once - twice, gamma_exponential)
)


T8_3_B_FIX.wrong_value(
    "2 K(2 gamma) for K(2 gamma)",
    ExactRule(lambda once, twice: 2 * (twice - once), gamma_exponential),
)


@partial(ExactRule, log_ess_deficit)
def other_root(rate: Any, rho_min: Any, m: Any) -> Any:
    """The quadratic's root for a rate above 1."""
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), s / ((1 - s) * (1 - rate)))


@partial(ExactRule, log_ess_deficit)
def rate_for_slope(rate: Any, rho_min: Any, m: Any) -> Any:
    """The tail's slope 1 - rate mistaken for the rate."""
    s = m.sqrt(1 - rho_min)
    return m.minimum(m.number(1), s / ((1 + s) * rate))


T8_3_B_FIX.wrong_value("the root for a rate above 1", other_root)
T8_3_B_FIX.wrong_value("rate for 1 - rate", rate_for_slope)


@T8_3_B_FIX.number("gamma* at mu = Exp(1), pi = Exp(2/5), rho_min = 3/10")
def _() -> str:
    return certified.digits(gamma_exponential(Ball.number("2/5"), Ball.number("3/10"), Ball))


CLAIMS = frozen(T8_3_B_FIX)
