"""Past section 6: Renyi divergence in its order, under exchange of its laws, and under a channel.

    d/dalpha D_alpha(pi || mu) = KL(nu_alpha || pi) / (1 - alpha)^2 >= 0,
    (1 - alpha) D_alpha(pi || mu) = alpha D_(1-alpha)(mu || pi),
    D_alpha(pi || mu) = D_alpha(pi_Z || mu_Z) + what a statistic Z loses, which is never negative,

with nu_alpha ~ mu^(1-alpha) pi^alpha. The inequalities are van Erven and Harremoes's (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import logits
from isr_theory.claims.general_law import (
    GAMMA,
    LEVEL,
    MU,
    NUDGE,
    SUMS,
    TARGET,
    C,
    General,
    U,
    gibbs,
    slope_of,
)
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_1_1_renyi import POINTS, at, divergence_between, summed_moment
from isr_theory.claims.s06_3_1_at_one import common_ends, ends, log_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.formulas import Law
from isr_theory.models import LOST_SUPPORT, RARE_ARM, THREE_ARMS, Finite

A, K, M, P, Q, REST = sympy.symbols("a k M p q rest", positive=True)
SOURCE = "van Erven and Harremoes 2014, IEEE Trans. Inf. Theory 60(7)"
BELOW, ABOVE = 1 / (1 + C), 1 + C
"""Any order in (0, 1) and any order above 1, over a free c > 0."""


def logs_apart(difference: Any) -> Any:
    """Write logarithms of products as sums, and the difference over one denominator."""
    return sympy.simplify(sympy.expand_log(difference, force=True))


def exchanged(law: Finite) -> Finite:
    """Return the law with mu and pi in each other's place."""
    return Finite(law.pi, law.mu, law.reward)


def order_slope(mu: Law, pi: Law, alpha: Number, m: Arithmetic) -> Number:
    """d/dalpha D_alpha(pi || mu) = KL(nu_alpha || pi) / (1 - alpha)^2."""
    middle = formulas.geometric_path(mu, pi, alpha, m)
    return formulas.kl(middle, pi, m) / ((1 - alpha) * (1 - alpha))


ORDER = Draft(
    "REN.order",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Renyi divergence rises with its order", "Rényi 散度随阶数不减"),
    finding=Text(
        "True, and at a rate that is itself a divergence: KL(nu_alpha || pi)/(1 - alpha)^2.",
        "成立，且其增长率本身是一个散度：KL(ν_α‖π)/(1−α)²。",
    ),
    statement=r"\frac{d}{d\alpha} D_\alpha(\pi\|\mu)"
    r" = \frac{D_{KL}(\nu_\alpha\|\pi)}{(1-\alpha)^2} \ge 0,"
    r"\quad \nu_\alpha \propto \mu^{1-\alpha}\pi^\alpha,\quad \alpha > 0,\ \alpha \ne 1",
    subject=order_slope,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D6.1", "C6.4.a"),
    sharpens=("D6.1", "C6.4.a"),
    source=f"{SOURCE}: D_alpha is nondecreasing in alpha; the rate in this form is derived here",
    reading="inside the orders at which the moment is finite: beyond them D is infinite; the two "
    "sides of order 1 join there by C6.4.a, as KL is the limit from both",
)


@ORDER.symbolic(Scope("every law, outcome by outcome, every order but 1", whole=True))
def _(slope: Any) -> Answer:
    """D of a nudged order, differentiated, is the stated divergence; Gibbs's inequality."""
    mass = General(sympy.exp(U + (GAMMA + NUDGE) * LEVEL))
    divergence = sympy.log(0 + mass) / (GAMMA + NUDGE - 1)
    stated = slope(MU, TARGET, GAMMA, SUMS)
    return all_of([symbolic.equal(slope_of(divergence), stated, reduce=logs_apart), *gibbs()])


@ORDER.certified(Scope("two laws at four orders; every order in [1/10, 3/4] and [3/2, 4] of one"))
def _(slope: Any) -> Answer:
    """The derivative of log E[w^alpha]/(alpha - 1) as a power series, and its sign by bisection."""
    closed, found = [], []
    for law, order in POINTS:
        alpha = Ball.number(order)
        closed.append(slope(*ends(law, Ball), alpha, Ball))

        def divergence(t: Any, law: Finite = law) -> Any:
            return log_moment(law, Jet)(t) / (t - 1)

        found.append(certified.derivatives(divergence, alpha, 1)[1])
    rises = [
        certified.sign_on(
            lambda t: slope(*ends(THREE_ARMS, Ball), t, Ball),
            (Fraction(low), Fraction(high)),
            positive=True,
            witness=lambda t: at(THREE_ARMS, t),
        )
        for low, high in (("1/10", "3/4"), ("3/2", "4"))
    ]
    witnesses = [at(law, order) for law, order in POINTS]
    return all_of([certified.agree(found, closed, witnesses=witnesses), *rises])


@ORDER.neural(Scope("two laws at four orders"))
def _(slope: Any) -> Answer:
    """The derivative of D in its order, by autograd."""
    answers = []
    for law, order in POINTS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def divergence(t: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** t).sum().log() / (t - 1)

        found = neural.gradient(divergence, neural.tensor(order))
        stated = slope(mu, pi, float(order), Tensor)
        answers.append(neural.close([found], [stated], witness=at(law, order)))
    return all_of(answers)


@ORDER.without(PI_IN_MU)
def _(slope: Any, law: Finite) -> Answer:
    # E_mu does not see mass that mu has not, so that D is negative above order 1.
    below, above = (Ball.number(a) for a in ("1/2", "3"))
    low, high = (formulas.renyi(moment(law, a), a, Ball) for a in (below, above))
    rate = slope(*common_ends(law, Ball), above, Ball)
    return all_of(
        [
            certified.compare(rate, ">=", 0, witness=at(law, 3)),
            certified.compare(low, "<=", high, witness=at(law, "1/2 against 3")),
        ]
    )


@ORDER.margin(*(spaces.finite(arms, alpha=("1/10", "9/10")) for arms in (2, 3)))
def _(slope: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    return slope(mu, pi, m.number(case["alpha"]), m)


@ORDER.wrong("1 - alpha not squared")
def _(mu: Any, pi: Any, alpha: Any, m: Any) -> Any:
    return order_slope(mu, pi, alpha, m) * (1 - alpha)


@ORDER.wrong("the divergence to mu")
def _(mu: Any, pi: Any, alpha: Any, m: Any) -> Any:
    middle = formulas.geometric_path(mu, pi, alpha, m)
    return formulas.kl(middle, mu, m) / ((1 - alpha) * (1 - alpha))


@ORDER.wrong("KL(pi || nu)")
def _(mu: Any, pi: Any, alpha: Any, m: Any) -> Any:
    middle = formulas.geometric_path(mu, pi, alpha, m)
    return formulas.kl(pi, middle, m) / ((1 - alpha) * (1 - alpha))


@ORDER.wrong("nu with its exponents exchanged")
def _(mu: Any, pi: Any, alpha: Any, m: Any) -> Any:
    middle = formulas.geometric_path(pi, mu, alpha, m)
    return formulas.kl(middle, pi, m) / ((1 - alpha) * (1 - alpha))


@ORDER.number("dD/dalpha at 1/2, mu = (3/5, 3/10, 1/10), pi = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(order_slope(*ends(THREE_ARMS, Ball), Ball.number("1/2"), Ball))


def from_exchanged(divergence: Number, alpha: Number) -> Number:
    """D_alpha(pi || mu) = alpha / (1 - alpha) D_(1-alpha)(mu || pi), from the latter."""
    return alpha * divergence / (1 - alpha)


SKEW = Draft(
    "REN.skew",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Skew symmetry in the two laws", "两分布互换的斜对称性"),
    finding=Text(
        "True of any two laws: exchanging them turns the order alpha into 1 - alpha, so what is "
        "said of gamma near 0 is said of gamma near 1 with the policies exchanged.",
        "对任意两分布成立：互换两者即把阶 α 变为 1−α，"
        "故 γ 近 0 的结论等价于互换策略后 γ 近 1 的结论。",
    ),
    statement=r"(1-\alpha) D_\alpha(\pi\|\mu) = \alpha D_{1-\alpha}(\mu\|\pi),"
    r"\quad 0 < \alpha < 1",
    subject=from_exchanged,
    expect=Verdict.VERIFIED,
    uses=("D6.1",),
    sharpens=("D6.1", "LST12.1.loss", "GEN13.2.2"),
    source=SOURCE,
    reading="both sides are infinite where the two laws share no outcome",
)
FRACTIONAL = [(law, Fraction(a)) for law in (THREE_ARMS, RARE_ARM) for a in ("1/4", "2/3")]


@SKEW.symbolic(Scope("any two laws, outcome by outcome, every order in (0, 1)", whole=True))
def _(skew: Any) -> Answer:
    """One moment serves both: its integrand is the same, and both logarithms are divided anew."""
    one, other = (
        formulas.moment([A], [P], GAMMA, Exact),
        formulas.moment([P], [A], 1 - GAMMA, Exact),
    )
    back = formulas.renyi(M, 1 - BELOW, Exact)
    return all_of(
        [
            symbolic.equal(one, other),
            symbolic.equal(formulas.renyi(M, BELOW, Exact), skew(back, BELOW)),
        ]
    )


@SKEW.certified(Scope("two laws at two orders, and one where pi misses an outcome"))
def _(skew: Any) -> Answer:
    """One side from a sum over outcomes, the other from two KL divergences of the law between."""
    found, stated = [], []
    for law, order in FRACTIONAL:
        alpha = Ball.number(order)
        found.append(formulas.renyi(summed_moment(law, alpha, Ball), alpha, Ball))
        stated.append(skew(divergence_between(exchanged(law), 1 - order, Ball), alpha))
    # pi is all on an outcome of mass 1/2: D_alpha(pi || mu) = log 2, and the moment is 2^(alpha-1).
    alpha = Ball.number("1/4")
    found.append(Ball.log(Ball.number(2)))
    stated.append(skew(formulas.renyi(Ball.power(2, alpha - 1), 1 - alpha, Ball), alpha))
    witnesses = [*(at(law, a) for law, a in FRACTIONAL), at(LOST_SUPPORT, Fraction(1, 4))]
    return certified.agree(found, stated, witnesses=witnesses)


@SKEW.neural(Scope("two laws at two orders"))
def _(skew: Any) -> Answer:
    """Both sides have the same slope in the logits of pi, by autograd."""
    answers = []
    for law, order in FRACTIONAL:
        mu, alpha = neural.tensor(law.mu), float(order)

        def forwards(z: Any, mu: Any = mu, alpha: float = alpha) -> Any:
            return (mu * (z.softmax(0) / mu) ** alpha).sum().log() / (alpha - 1)

        def backwards(z: Any, mu: Any = mu, alpha: float = alpha) -> Any:
            pi = z.softmax(0)
            return skew((pi * (mu / pi) ** (1 - alpha)).sum().log() / -alpha, alpha)

        slopes = [neural.gradient(side, logits(law)) for side in (forwards, backwards)]
        answers.append(neural.close(*slopes, witness=at(law, order)))
    return all_of(answers)


@SKEW.wrong("symmetric")
def _(divergence: Any, alpha: Any) -> Any:
    return divergence


@SKEW.wrong("the factor upside down")
def _(divergence: Any, alpha: Any) -> Any:
    return (1 - alpha) * divergence / alpha


@SKEW.wrong("only one of the two factors")
def _(divergence: Any, alpha: Any) -> Any:
    return divergence / (1 - alpha)


def lost(mu: Law, pi: Law, within: Sequence[Number], alpha: Number, m: Arithmetic) -> Number:
    """What D_alpha loses when only a statistic is seen, whose laws are mu and pi.

    log(sum_z nu_z e^((alpha-1) D_z)) / (alpha - 1), where nu ~ mu^(1-alpha) pi^alpha and D_z is
    D_alpha of the two conditional laws given z, `within`.
    """
    middle = formulas.geometric_path(mu, pi, alpha, m)
    rows = zip(middle, within, strict=True)
    return m.log(sum(share * m.exp((alpha - 1) * d) for share, d in rows)) / (alpha - 1)


PROCESSING = Draft(
    "REN.processing",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Data processing, with the exact loss", "数据处理不等式及其精确损失"),
    finding=Text(
        "True, and what a statistic loses is a log-mean-exp of the divergences within its values.",
        "成立，且统计量损失的部分恰为各取值内散度的 log-mean-exp。",
    ),
    statement=r"D_\alpha(\pi\|\mu) - D_\alpha(\pi_Z\|\mu_Z) = \tfrac{1}{\alpha-1}"
    r"\log \mathbb{E}_{\nu_\alpha}\bigl[e^{(\alpha-1) D_\alpha(\pi(\cdot|Z)\|\mu(\cdot|Z))}\bigr]"
    r" \ge 0,\quad \nu_\alpha \propto \mu_Z^{1-\alpha}\pi_Z^\alpha",
    subject=lost,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D6.1",),
    sharpens=("D6.1", "REM6.1"),
    source=f"{SOURCE}, for the inequality; the loss in this form is derived here",
    reading="order alpha > 0 but 1; a channel with noise is a statistic of the outcome and the "
    "noise, which adds nothing to the divergence",
)
# The statistic says in which of two halves of the outcomes one is.
HALVES = {THREE_ARMS: (slice(0, 1), slice(1, 3)), RARE_ARM: (slice(0, 2), slice(2, 4))}
MERGED = [(law, Fraction(a)) for law in HALVES for a in ("1/3", "2")]


def _exp(x: Any) -> General:
    return General(sympy.exp(x.entry))


@PROCESSING.symbolic(Scope("every law, statistic and channel, cell by cell", whole=True))
def _(loss: Any) -> Answer:
    """A moment is a sum over cells of a coarse and a conditional factor; signs; noise cancels."""
    coarse, inner = (formulas.moment([a], [p], GAMMA, Exact) for a, p in ((A, P), (Q, REST)))
    joint = formulas.moment([A * Q], [P * REST], GAMMA, Exact)
    # A general cell has coarse masses e^u and e^(u + l), and its own moment `held`.
    held = sympy.Function("F", positive=True)(U, LEVEL)
    mass = sympy.exp(U + GAMMA * LEVEL)
    whole, seen = (sympy.log(0 + General(x)) / (GAMMA - 1) for x in (mass * held, mass))
    cells: Any = SimpleNamespace(**vars(SUMS), exp=_exp)
    within = [General(sympy.log(held) / (GAMMA - 1))]
    answers = [
        symbolic.equal(joint, coarse * inner, reduce=sympy.expand_power_base),
        symbolic.equal(whole - seen, loss(MU, TARGET, within, GAMMA, cells), reduce=logs_apart),
        symbolic.equal(formulas.moment([A * K], [P * K], GAMMA, Exact), K * coarse),
    ]
    # One cell against the rest: the loss rises with what is lost within a cell, from no loss.
    for alpha in (BELOW, ABOVE):
        one, rest = formulas.normalised([A, REST]), [sympy.symbols("d", real=True), sympy.S.Zero]
        partial = loss(one, one, rest, alpha, Exact)
        answers += [
            symbolic.positive(sympy.factor(sympy.diff(partial, rest[0]))),
            symbolic.equal(partial.subs(rest[0], 0), 0),
        ]
    return all_of(answers)


@PROCESSING.certified(Scope("two laws, two outcomes or more seen as one, orders 1/3 and 2"))
def _(loss: Any) -> Answer:
    """Both divergences from KLs of the law between, those within from sums; the loss > 0."""
    found, stated = [], []
    for law, order in MERGED:
        alpha = Ball.number(order)
        masses = [
            tuple(sum(x[part], Fraction(0)) for part in HALVES[law]) for x in (law.mu, law.pi)
        ]
        coarse = Finite(masses[0], masses[1], (Fraction(1),) * 2)
        within = []
        for part, a, b in zip(HALVES[law], coarse.mu, coarse.pi, strict=True):
            cell = Finite(
                tuple(x / a for x in law.mu[part]),
                tuple(x / b for x in law.pi[part]),
                law.reward[part],
            )
            within.append(formulas.renyi(summed_moment(cell, alpha, Ball), alpha, Ball))
        whole, seen = (divergence_between(x, order, Ball) for x in (law, coarse))
        found.append(whole - seen)
        stated.append(loss(*ends(coarse, Ball), within, alpha, Ball))
    witnesses = [at(law, order) for law, order in MERGED]
    signs = [
        certified.compare(x, ">", 0, witness=w) for x, w in zip(stated, witnesses, strict=True)
    ]
    return all_of([certified.agree(found, stated, witnesses=witnesses), *signs])


@PROCESSING.without(PI_IN_MU)
def _(loss: Any, law: Finite) -> Answer:
    # The statistic that says nothing: all of D is lost. E_mu does not see mass that mu has not.
    alpha, one = Ball.number(3), [flint.arb(1)]
    all_of_it = loss(one, one, [formulas.renyi(moment(law, alpha), alpha, Ball)], alpha, Ball)
    return certified.compare(all_of_it, ">=", 0, witness=at(law, 3))


@PROCESSING.wrong("the mean under pi, as of KL")
def _(mu: Any, pi: Any, within: Any, alpha: Any, m: Any) -> Any:
    return sum(p * d for p, d in zip(pi, within, strict=True))


@PROCESSING.wrong("the plain mean under nu")
def _(mu: Any, pi: Any, within: Any, alpha: Any, m: Any) -> Any:
    middle = formulas.geometric_path(mu, pi, alpha, m)
    return sum(p * d for p, d in zip(middle, within, strict=True))


@PROCESSING.wrong("averaged under mu")
def _(mu: Any, pi: Any, within: Any, alpha: Any, m: Any) -> Any:
    return lost(mu, mu, within, alpha, m)


@PROCESSING.wrong("the sign")
def _(mu: Any, pi: Any, within: Any, alpha: Any, m: Any) -> Any:
    return -1 * lost(mu, pi, within, alpha, m)


CLAIMS = frozen(ORDER, SKEW, PROCESSING)
