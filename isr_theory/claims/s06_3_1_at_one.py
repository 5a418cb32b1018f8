"""Section 6.3, gamma tends to 1: D_gamma tends to KL(pi || mu).

w^t is convex in t, so its difference quotients are monotone, and what holds outcome by outcome
holds for the means.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.general_law import LEVEL, MU, SUMS, TARGET, D, U, total
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_1_1_renyi import summed_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite

T = sympy.symbols("t", real=True)
Q = sympy.symbols("Q", real=True)
LAWS = (TWO_ARMS, THREE_ARMS, RARE_ARM)


def at(law: Finite, **more: Any) -> Witness:
    """Name mu and pi."""
    return Witness.at(mu=law.mu, pi=law.pi, **more)


def ends(law: Finite, m: Arithmetic) -> tuple[list[Number], list[Number]]:
    """Return mu and pi in an arithmetic."""
    mu, pi, _ = law.numbers(m)
    return mu, pi


def common_ends(law: Finite, m: Arithmetic) -> tuple[list[Number], list[Number]]:
    """Return mu and pi where both are positive."""
    rows = [(a, b) for a, b in zip(law.mu, law.pi, strict=True) if a > 0 and b > 0]
    return [m.number(a) for a, _ in rows], [m.number(b) for _, b in rows]


def missed(p: tuple[Fraction, ...], q: tuple[Fraction, ...]) -> Any:
    """What KL(p || q) has besides the outcomes that both have: +inf where q misses one of p."""
    return flint.arb("inf" if any(a > 0 == b for a, b in zip(p, q, strict=True)) else 0)


def log_moment(law: Finite, m: Arithmetic) -> Callable[[Number], Number]:
    """Log E_mu[w^t] as a function of t."""
    return lambda t: m.log(summed_moment(law, t, m))


def convex_in_the_exponent() -> list[Answer]:
    """Prove that w^t = e^(t l) is convex in t, for l above and below 0.

    So (w^t - w^s)/(t - s) falls as t falls to s and rises as t rises to s, and by monotone
    convergence its mean tends to the mean of its limit, w^s log w.
    """
    return [symbolic.positive(sympy.diff(sympy.exp(T * x), T, 2)) for x in (D, -D)]


C6_4_A = Draft(
    "C6.4.a",
    section="6.3",
    kind=Kind.LIMIT,
    title=Text("As gamma tends to 1, D_gamma tends to KL", "γ→1 时 D_γ → KL"),
    finding=Text(
        "True: from below always, from above if some moment above order 1 is finite.",
        "成立：左极限恒成立；右极限需某个大于 1 阶的矩有限。",
    ),
    statement=r"\lim_{\gamma\to 1} D_\gamma(\pi\|\mu) = D_{KL}(\pi\|\mu)",
    subject=formulas.kl,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It names the property and does not show it; from above it needs a finite moment of "
        "some order above 1.",
        "只引用该性质而未证明；从右侧趋近还需某个大于 1 阶的矩有限。",
    ),
    assumes=(PI_IN_MU,),
    reading="the limit from above under a finite moment of order above 1; the printed proof names "
    "the property and does not show it",
)


@C6_4_A.symbolic(
    Scope("every pi << mu: quotients of w^t, monotone, outcome by outcome", whole=True)
)
def _(kl: Any) -> Answer:
    """The quotient (w^t - w)/(t - 1) tends to w log w monotonely, and log(1 + s Q)/s to Q."""
    # D = log(1 + s Q)/s for s = t - 1 and Q the mean of the quotient, since E[w] = 1.
    quotient = (sympy.exp((1 + T) * LEVEL) - sympy.exp(LEVEL)) / T
    inner = sympy.limit(quotient, T, 0)
    return all_of(
        [
            *convex_in_the_exponent(),
            symbolic.equal(inner, LEVEL * sympy.exp(LEVEL)),
            symbolic.equal(total(sympy.exp(U) * inner), kl(TARGET, MU, SUMS)),
            symbolic.equal(sympy.limit(sympy.log(1 + T * Q) / T, T, 0), Q),
        ]
    )


@C6_4_A.certified(Scope("three laws: the limit, and the order of D on both sides of 1"))
def _(kl: Any) -> Answer:
    """The slope of log E[w^t] at 1, as a power series, and D just below and just above."""
    limits = [kl(*reversed(ends(law, Ball)), Ball) for law in LAWS]
    slopes = [certified.derivatives(log_moment(law, Jet), Ball.number(1), 1)[1] for law in LAWS]
    answers = [certified.agree(slopes, limits, witnesses=[at(law) for law in LAWS])]
    step = Ball.number(Fraction(1, 2**20))
    for law, limit in zip(LAWS, limits, strict=True):
        for s, relation in ((-step, "<"), (step, ">")):
            near = log_moment(law, Ball)(1 + s) / s
            answers.append(certified.compare(near, relation, limit, witness=at(law)))
    return all_of(answers)


@C6_4_A.neural(Scope("four arms"))
def _(kl: Any) -> Answer:
    """The slope of log E[w^t] at t = 1, by autograd."""
    mu, pi = neural.tensor(RARE_ARM.mu), neural.tensor(RARE_ARM.pi)
    slope = neural.gradient(lambda t: (mu * (pi / mu) ** t).sum().log(), neural.tensor(1))
    return neural.close([slope], [kl(pi, mu, Tensor)], witness=at(RARE_ARM))


@C6_4_A.without(PI_IN_MU)
def _(kl: Any, law: Finite) -> Answer:
    # From above: from below D grows past every bound where mu misses an outcome, as KL does.
    mu, pi = common_ends(law, Ball)
    limit = kl(pi, mu, Ball) + missed(law.pi, law.mu)
    step = Ball.number(Fraction(1, 2**20))
    near = Ball.log(moment(law, 1 + step)) / step
    # D there is the mean slope of K(t) = log E[w^t] on [1, 1 + step], KL is K'(1), and K'' is the
    # variance of log w under some law: at most 8^2/4, as masses above 1/40 leave it a range of 8.
    return certified.compare(abs(near - limit), "<", 16 * step, witness=at(law))


@C6_4_A.wrong("KL(mu || pi)")
def _(p: Any, q: Any, m: Any) -> Any:
    return formulas.kl(q, p, m)


@C6_4_A.wrong("sign")
def _(p: Any, q: Any, m: Any) -> Any:
    return -1 * formulas.kl(p, q, m)


@C6_4_A.wrong("the mean of both divergences")
def _(p: Any, q: Any, m: Any) -> Any:
    return (formulas.kl(p, q, m) + formulas.kl(q, p, m)) / 2


@C6_4_A.wrong("chi squared, the second moment less 1")
def _(p: Any, q: Any, m: Any) -> Any:
    return sum(a * a / b for a, b in zip(p, q, strict=True)) - 1


CLAIMS = frozen(C6_4_A)
