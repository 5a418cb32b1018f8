"""Section 6.3, gamma tends to 0: which variance is least there, and which is not.

V(gamma) = E[w^(2 gamma)] leaves its value 1 downwards, with slope -2 KL(mu || pi), so it is not
least at 0. Var(w^gamma) tends to 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.general_law import LEVEL, MU, SUMS, TARGET, C, U, gibbs, total
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_1_1_renyi import summed_moment
from isr_theory.claims.s06_3_1_at_one import (
    LAWS,
    Q,
    T,
    at,
    common_ends,
    convex_in_the_exponent,
    ends,
    log_moment,
    missed,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import LOST_SUPPORT, NEW_SUPPORT, RARE_ARM, THREE_ARMS, TWO_ARMS, Finite

W = sympy.symbols("w", positive=True)

MU_IN_PI = Assumption(
    "mu_in_pi",
    Text(
        "pi gives mass to every outcome to which mu does (mu << pi).", "π 覆盖 μ 的支撑（μ ≪ π）。"
    ),
    lambda law: all(b > 0 for a, b in zip(law.mu, law.pi, strict=True) if a > 0),
    examples=(TWO_ARMS, THREE_ARMS, NEW_SUPPORT),
    violations=(LOST_SUPPORT,),
    draw=Finite.drawn,
)


C6_4_B = Draft(
    "C6.4.b",
    section="6.3",
    kind=Kind.LIMIT,
    title=Text("As gamma tends to 0, the variance tends to its least", "γ→0 时方差趋于最小"),
    finding=Text(
        "False of the paper's V(gamma) = E[w^(2 gamma)]: on two arms it is 2/sqrt 5 at 1/4 and 1 "
        "at 0, and Corollary 7.5 contradicts it too.",
        "对文中的 V(γ)=E[w^{2γ}] 不成立：两臂例中 V(1/4)=2/√5 < V(0)=1；也与推论 7.5 矛盾。",
    ),
    statement=r"\lim_{\gamma\to 0} V(\gamma) = \min_{0\le\gamma\le 1} V(\gamma),"
    r"\quad V(\gamma) = \mathbb{E}_\mu[w^{2\gamma}]",
    subject=Fraction(0),
    expect=Verdict.REFUTED,
    assumes=(MUTUAL_SUPPORT,),
    uses=("T6.3.b",),
    reading="the variance as sections 6.2 and 7.2 write it, V(gamma) = E[w^(2 gamma)], which is "
    "continuous at 0 here; C6.4.c reads it as Var(w^gamma)",
)
QUARTER = Fraction(1, 4)
BELOW_THE_END = at(TWO_ARMS, gamma=QUARTER)


@C6_4_B.symbolic(Scope("the witness"))
def _(least: Any) -> Answer:
    """Both second moments in surds: the square of V(1/4) is 4/5."""
    mu, pi = ends(TWO_ARMS, Exact)
    claimed, other = (
        sum(a * sympy.sqrt(b / a) ** (4 * g) for a, b in zip(mu, pi, strict=True))
        for g in (Exact.number(least), Exact.number(QUARTER))
    )
    return symbolic.compare(claimed**2, "<=", sympy.expand(other**2), witness=BELOW_THE_END)


@C6_4_B.certified(Scope("the witness"))
def _(least: Any) -> Answer:
    """Both second moments as mu e^(2 gamma log w), in balls."""
    claimed, other = (summed_moment(TWO_ARMS, 2 * Ball.number(g), Ball) for g in (least, QUARTER))
    return certified.compare(claimed, "<=", other, witness=BELOW_THE_END)


@C6_4_B.neural(Scope("the witness"))
def _(least: Any) -> Answer:
    """Both second moments in float64."""
    mu, pi = neural.tensor(TWO_ARMS.mu), neural.tensor(TWO_ARMS.pi)
    claimed, other = ((mu * (pi / mu) ** (2 * float(g))).sum() for g in (least, QUARTER))
    return neural.compare(claimed, "<", other, witness=BELOW_THE_END)


@C6_4_B.sampled(Scope("the witness"), resolution=0.05, looks=2)
def _(least: Any, trial: Trial) -> Answer:
    """Both second moments from samples of mu."""

    def second(gamma: Fraction) -> Any:
        table = np.exp(2 * float(gamma) * TWO_ARMS.log_w())
        # On (0, 2) for every gamma up to 1/2.
        return trial.mean(f"V({gamma})", lambda rng, n: table[TWO_ARMS.sample(rng, n)], 0.0, 2.0)

    return trial.below(second(least) - second(QUARTER), 0.0, witness=BELOW_THE_END)


# The second moment of these two arms is least at 0.2292155...
C6_4_B.right_value("where it is least, to four places", Fraction(2292, 10000))


@C6_4_B.number("V(1/4), mu = (1/2, 1/2), pi = (9/10, 1/10)")
def _() -> str:
    return certified.digits(summed_moment(TWO_ARMS, Ball.number("1/2"), Ball))


def second_moment_slope(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """V'(0) = -2 KL(mu || pi), for V(gamma) = E_mu[w^(2 gamma)]."""
    return -2 * formulas.kl(mu, pi, m)


C6_4_B_FIX = Draft(
    "C6.4.b.fix",
    section="6.3",
    kind=Kind.LIMIT,
    title=Text("What happens as gamma tends to 0", "γ→0 的正确结论"),
    finding=Text(
        "V falls as gamma leaves 0, at the rate 2 KL(mu || pi), and D_gamma/gamma tends to "
        "KL(mu || pi).",
        "γ 离开 0 时 V 以速率 2KL(μ‖π) 下降，且 D_γ/γ → KL(μ‖π)。",
    ),
    statement=r"V'(0^+) = -2 D_{KL}(\mu\|\pi) < 0,\quad"
    r" \lim_{\gamma\to 0} D_\gamma(\pi\|\mu)/\gamma = D_{KL}(\mu\|\pi)",
    subject=second_moment_slope,
    expect=Verdict.VERIFIED,
    assumes=(MU_IN_PI, POLICIES_DIFFER),
    uses=("D6.1", "T6.3.b"),
    amends=("C6.4.b",),
    reading="from the right; both are infinite where KL(mu || pi) is",
)


@C6_4_B_FIX.symbolic(
    Scope("every pi >> mu that is not mu: quotients of w^t, outcome by outcome", whole=True)
)
def _(slope: Any) -> Answer:
    """The quotient (w^t - 1)/t falls to log w as t falls to 0; Gibbs's inequality for the sign."""
    at_zero = slope(MU, TARGET, SUMS)
    inner = sympy.limit((sympy.exp(2 * T * LEVEL) - 1) / T, T, 0)
    # log M(t) = log(1 + t Q), Q the mean of the quotient at t, and D/t = log(1 + t Q)/(t (t - 1)).
    ratio = sympy.limit(sympy.log(1 + T * Q) / (T * (T - 1)), T, 0)
    return all_of(
        [
            *convex_in_the_exponent(),
            symbolic.equal(inner, 2 * LEVEL),
            symbolic.equal(total(sympy.exp(U) * inner), at_zero),
            symbolic.equal(ratio, -Q),
            symbolic.equal(total(sympy.exp(U) * -LEVEL), -at_zero / 2),
            *gibbs(),
        ]
    )


@C6_4_B_FIX.certified(Scope("three laws"))
def _(slope: Any) -> Answer:
    """V and D/gamma at 0 as power series of the sum over outcomes; the sign; V just after 0."""
    closed = [slope(*ends(law, Ball), Ball) for law in LAWS]
    zero = Ball.number(0)
    slopes, ratios, answers = [], [], []
    for law, value in zip(LAWS, closed, strict=True):

        def second(gamma: Any, law: Finite = law) -> Any:
            return summed_moment(law, 2 * gamma, Jet)

        slopes.append(certified.derivatives(second, zero, 1)[1])
        # D/gamma = (log M/gamma)/(gamma - 1), and log M(0) = 0.
        ratios.append(certified.derivatives(log_moment(law, Jet), zero, 1)[1] / (zero - 1))
        step = Ball.number(Fraction(1, 2**10))
        fallen = summed_moment(law, 2 * step, Ball) - 1
        answers += [
            certified.compare(value, "<", 0, witness=at(law)),
            # V is convex: it falls by less than the slope says.
            certified.compare(fallen, ">", value * step, witness=at(law)),
        ]
    witnesses = [at(law) for law in LAWS]
    return all_of(
        [
            certified.agree(slopes, closed, witnesses=witnesses),
            certified.agree(ratios, [-value / 2 for value in closed], witnesses=witnesses),
            *answers,
        ]
    )


@C6_4_B_FIX.neural(Scope("four arms"))
def _(slope: Any) -> Answer:
    """The slope of E[w^(2 gamma)] at 0, by autograd."""
    mu, pi = neural.tensor(RARE_ARM.mu), neural.tensor(RARE_ARM.pi)
    backwards = neural.gradient(lambda g: (mu * (pi / mu) ** (2 * g)).sum(), neural.tensor(0))
    return neural.close([backwards], [slope(mu, pi, Tensor)], witness=at(RARE_ARM))


@C6_4_B_FIX.without(MU_IN_PI)
@C6_4_B_FIX.without(POLICIES_DIFFER)
def _(slope: Any, law: Finite) -> Answer:
    rows = list(zip(*common_ends(law, Ball), strict=True))

    def second(gamma: Any) -> Any:
        # Just above gamma = 0, where an outcome that pi has not adds nothing.
        return sum(a * Jet.power(b / a, 2 * gamma) for a, b in rows)

    fall = certified.derivatives(second, Ball.number(0), 1)[1]
    stated = slope(*common_ends(law, Ball), Ball) - missed(law.mu, law.pi)
    return all_of(
        [
            certified.agree([fall], [stated], witnesses=[at(law)]),
            # Exactly, since balls cannot tell 0 from less.
            symbolic.compare(slope(*common_ends(law, Exact), Exact), "<", 0, witness=at(law)),
        ]
    )


@C6_4_B_FIX.wrong("least at gamma = 0: no slope")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 0 * formulas.kl(mu, pi, m)


@C6_4_B_FIX.wrong("KL(pi || mu)")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return second_moment_slope(pi, mu, m)


@C6_4_B_FIX.wrong("gamma for 2 gamma")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return -1 * formulas.kl(mu, pi, m)


@C6_4_B_FIX.wrong("sign")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 2 * formulas.kl(mu, pi, m)


@C6_4_B_FIX.wrong("minus Var(log w), as for log-normal weights")
def _(mu: Any, pi: Any, m: Any) -> Any:
    rows = [(a, m.log(b / a)) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * level for a, level in rows)
    return mean * mean - sum(a * level * level for a, level in rows)


@C6_4_B_FIX.number("V'(0), mu = (1/2, 1/2), pi = (9/10, 1/10)")
def _() -> str:
    return certified.digits(second_moment_slope(*ends(TWO_ARMS, Ball), Ball))


C6_4_C = Draft(
    "C6.4.c",
    section="6.3",
    kind=Kind.LIMIT,
    title=Text("As gamma tends to 0, Var(w^gamma) tends to 0", "γ→0 时 Var(w^γ) → 0"),
    finding=Text(
        "True where pi covers mu: the weights' own variance tends to 0, the least that a variance "
        "can be.",
        "π 覆盖 μ 的支撑时成立：权重自身的方差趋于 0，即方差可能的最小值。",
    ),
    statement=r"\lim_{\gamma\to 0} \mathrm{Var}_\mu(w^\gamma) = 0"
    r" = \min_{0\le\gamma\le 1} \mathrm{Var}_\mu(w^\gamma)",
    subject=formulas.weight_variance,
    expect=Verdict.VERIFIED,
    assumes=(MU_IN_PI,),
    uses=("T6.3.b",),
    reading="'the variance' of 6.4 as that of the weights, E[w^(2 gamma)] - E[w^gamma]^2, which "
    "is 0 at gamma = 0; nothing is said of how it gets there",
)


@C6_4_C.symbolic(Scope("every pi >> mu: dominated by 1 + w, outcome by outcome", whole=True))
def _(variance: Any) -> Answer:
    """A mean of squares, so never negative; both moments tend to 1, dominated by 1 + w."""
    powered = sympy.exp(C * LEVEL)
    first, second = total(sympy.exp(U) * powered), total(sympy.exp(U) * powered**2)
    squares = total(sympy.exp(U) * (powered - first) ** 2)
    # For t in (0, 1), 1 + t (w - 1) - w^t is convex, flat and 0 at w = 1: so w^t < 1 + w.
    order = 1 / (1 + C)
    slack = 1 + order * (W - 1) - W**order
    return all_of(
        [
            symbolic.equal(squares, variance(first, second)),
            symbolic.equal(slack.subs(W, 1), 0),
            symbolic.equal(sympy.diff(slack, W).subs(W, 1), 0),
            symbolic.positive(sympy.simplify(sympy.diff(slack, W, 2))),
            symbolic.equal(sympy.limit(W**T, T, 0), 1),
            symbolic.equal(variance(sympy.S.One, sympy.S.One), 0),
        ]
    )


def paired_weight_variance(law: Finite, gamma: Fraction) -> Any:
    """Var(w^gamma) in balls: half the mean squared difference of two draws."""
    mu, pi = ends(law, Ball)
    rows = [(a, Ball.power(b / a, Ball.number(gamma))) for a, b in zip(mu, pi, strict=True)]
    return sum(a * b * (x - y) * (x - y) for a, x in rows for b, y in rows) / 2


@C6_4_C.certified(Scope("three laws: at 0, and at gamma = 1/1000, 1/2 and 1"))
def _(variance: Any) -> Answer:
    """At 0 no value, no slope, and twice Var(log w) as curvature; elsewhere pairs of draws."""
    places = [(law, Fraction(g)) for law in LAWS for g in ("1/1000", "1/2", "1")]
    closed, zeros, curvatures, spreads = [], [], [], []
    for law, g in places:
        first, second = (summed_moment(law, k * Ball.number(g), Ball) for k in (1, 2))
        closed.append(variance(first, second))
    for law in LAWS:

        def along(gamma: Any, law: Finite = law) -> Any:
            return variance(*(summed_moment(law, k * gamma, Jet) for k in (1, 2)))

        value, slope, curvature = certified.derivatives(along, Ball.number(0), 2)
        zeros += [value, slope]
        curvatures.append(curvature)
        rows = [(a, Ball.log(b / a)) for a, b in zip(*ends(law, Ball), strict=True)]
        spreads.append(sum(a * b * (x - y) * (x - y) for a, x in rows for b, y in rows))
    witnesses = [at(law, gamma=0) for law in LAWS]
    return all_of(
        [
            certified.agree(
                zeros, [Ball.number(0)] * 6, witnesses=[w for w in witnesses for _ in range(2)]
            ),
            certified.agree(curvatures, spreads, witnesses=witnesses),
            certified.agree(
                closed,
                [paired_weight_variance(law, g) for law, g in places],
                witnesses=[at(law, gamma=g) for law, g in places],
            ),
        ]
    )


@C6_4_C.sampled(Scope("two arms, gamma = 1/2"), resolution=0.02)
def _(variance: Any, trial: Trial) -> Answer:
    """Half the squared difference of two draws of mu."""
    weights = np.exp(TWO_ARMS.log_w() / 2)
    table = (weights[:, None] - weights[None]) ** 2 / 2
    mean = trial.mean(
        "pairs",
        lambda rng, n: table[TWO_ARMS.sample(rng, n), TWO_ARMS.sample(rng, n)],
        0.0,
        float(table.max()),
    )
    closed = variance(*(summed_moment(TWO_ARMS, t, Real) for t in (0.5, 1.0)))
    return trial.agrees(mean, closed, witness=at(TWO_ARMS, gamma=Fraction(1, 2)))


@C6_4_C.without(MU_IN_PI)
def _(variance: Any, law: Finite) -> Answer:
    gamma = Ball.number(Fraction(1, 2**10))
    first, second = (moment(law, k * gamma) for k in (1, 2))
    # Var(w^gamma) is about gamma^2 Var(log w), and Var(log w) is at most 16 here.
    return certified.compare(variance(first, second), "<", gamma, witness=at(law))


@C6_4_C.wrong("the second moment, which is V")
def _(first: Any, second: Any) -> Any:
    return second


@C6_4_C.wrong("the mean not squared")
def _(first: Any, second: Any) -> Any:
    return second - first


@C6_4_C.wrong("divided by the squared mean")
def _(first: Any, second: Any) -> Any:
    return second / (first * first) - 1


@C6_4_C.wrong("the second moment squared too")
def _(first: Any, second: Any) -> Any:
    return second * second - first * first


CLAIMS = frozen(C6_4_B, C6_4_B_FIX, C6_4_C)
