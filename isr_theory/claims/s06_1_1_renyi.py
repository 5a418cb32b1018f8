"""Section 6.1: Renyi divergence.

D_alpha(pi || mu) = log E_mu[w^alpha] / (alpha - 1). It can be had without a moment: with rho
proportional to mu^(1-alpha) pi^alpha,

    (1 - alpha) D_alpha(pi || mu) = alpha KL(rho || pi) + (1 - alpha) KL(rho || mu).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.general_law import C
from isr_theory.claims.instances import moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import LOST_SUPPORT, RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

W, M, N, SHARE = sympy.symbols("w M N S", positive=True)
K, X, T = sympy.symbols("K X t", real=True)
ORDERS = tuple(Fraction(a) for a in ("1/4", "3/4", "3/2", "3"))
POINTS = [(law, alpha) for law in (THREE_ARMS, RARE_ARM) for alpha in ORDERS]


def at(law: Finite, alpha: Any) -> Witness:
    """Name mu, pi and the order."""
    return Witness.at(mu=law.mu, pi=law.pi, alpha=alpha)


def summed_moment(law: Finite, t: Number, m: Arithmetic) -> Number:
    """E_mu[w^t] outcome by outcome, as mu e^(t log w); an outcome that pi has not adds nothing."""
    mu, pi, _ = law.numbers(m)
    rows = zip(law.pi, mu, pi, strict=True)
    return sum(a * m.exp(t * m.log(b / a)) for mass, a, b in rows if mass > 0)


def between(to_pi: Number, to_mu: Number, alpha: Number) -> Number:
    """D_alpha from the divergences of rho ~ mu^(1-alpha) pi^alpha to pi and to mu."""
    return (alpha * to_pi + (1 - alpha) * to_mu) / (1 - alpha)


def divergence_between(law: Finite, order: Fraction, m: Arithmetic) -> Number:
    """D_alpha of a finite law from the two divergences; alpha is not 1."""
    mu, pi, _ = law.numbers(m)
    alpha = m.number(order)
    masses = [a * m.exp(alpha * m.log(b / a)) for a, b in zip(mu, pi, strict=True)]
    total = sum(masses)
    middle = [mass / total for mass in masses]
    to_pi, to_mu = (
        sum(r * m.log(r / x) for r, x in zip(middle, end, strict=True)) for end in (pi, mu)
    )
    return between(to_pi, to_mu, alpha)


@cache
def enclosed_divergence(law: Finite, order: Fraction) -> Any:
    """The same in balls."""
    return divergence_between(law, order, Ball)


D6_1 = Draft(
    "D6.1",
    section="6.1",
    kind=Kind.DEFINITION,
    title=Text("Renyi divergence", "α-Rényi 散度"),
    finding=Text(
        "Coherent for alpha > 0: never negative, 0 only for equal laws, with the limits KL at 1 "
        "and -log Q(P > 0) at 0, where it can be 0 for laws that differ.",
        "α > 0 时自洽：非负，仅当 P = Q 时为 0；α→1 的极限为 KL；α→0 的极限为 −log Q(P>0)，"
        "此时两分布不同亦可为 0。",
    ),
    statement=r"D_\alpha(P\|Q) = \tfrac{1}{\alpha-1}\log\mathbb{E}_Q\bigl[(P/Q)^\alpha\bigr]"
    r" \ge 0,\quad D_\alpha = 0 \iff P = Q,\quad"
    r" D_1 = D_{KL}(P\|Q),\quad D_0 = -\log Q(P > 0)",
    subject=formulas.renyi,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("C6.4.a",),
    reading="alpha > 0; infinite where the moment is; D_0 and D_1 are limits, D_1 from the right "
    "if some moment above 1 is finite, and so 0^0 = 0 in E_Q[(P/Q)^0]",
)


@D6_1.symbolic(Scope("every P << Q, outcome by outcome, on both sides of alpha = 1", whole=True))
def _(renyi: Any) -> Answer:
    """w^alpha against its tangent at w = 1; sign, independent pairs and both limits of D."""
    answers = []
    for alpha in (1 / (1 + C), 1 + C):
        # Convex, flat and 0 at w = 1: never negative, and 0 nowhere else. As E[w] = 1, its mean is
        # (M - 1)/(alpha (alpha - 1)), and D is 0 at M = 1 with a slope in M of the sign of
        # alpha - 1: so D has the sign of that mean.
        excess = (W**alpha - 1 - alpha * (W - 1)) / (alpha * (alpha - 1))
        slope = sympy.diff(renyi(M, alpha, Exact), M)
        answers += [
            symbolic.positive(sympy.simplify(sympy.diff(excess, W, 2))),
            symbolic.equal(sympy.diff(excess, W).subs(W, 1), 0),
            symbolic.equal(excess.subs(W, 1), 0),
            symbolic.equal(excess.subs(W, 0), 1 / alpha),
            symbolic.equal(renyi(sympy.S.One, alpha, Exact), 0),
            symbolic.positive(sympy.simplify((alpha - 1) * slope)),
            symbolic.equal(
                renyi(M * N, alpha, Exact),
                renyi(M, alpha, Exact) + renyi(N, alpha, Exact),
                reduce=_without_logs_of_products,
            ),
        ]
    # M(1 + t) = 1 + K t + o(t) with K = E[w log w] = KL. At 0, w^alpha -> 1 where w > 0, and it is
    # at most 1 + w by the same tangent, so M(alpha) -> Q(P > 0).
    near_one = renyi(1 + K * T + X * T**2, 1 + T, Exact)
    return all_of(
        [
            *answers,
            symbolic.equal(sympy.limit(near_one, T, 0), K),
            symbolic.equal(sympy.limit(W**C, C, 0, "+"), 1),
            symbolic.equal(renyi(SHARE, sympy.S.Zero, Exact), -sympy.log(SHARE)),
        ]
    )


def _without_logs_of_products(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(difference, force=True))


@D6_1.margin(*(spaces.finite(arms, alpha=("1/10", "5")) for arms in (2, 3)))
def _(renyi: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    alpha = m.number(case["alpha"])
    return renyi(formulas.moment(mu, pi, alpha, m), alpha, m)


@D6_1.certified(Scope("two laws at four orders; P lost on an outcome, at orders 0 and 1/3"))
def _(renyi: Any) -> Answer:
    """The two divergences of the law between P and Q, without a moment; D is positive."""
    found = [
        renyi(summed_moment(law, Ball.number(a), Ball), Ball.number(a), Ball) for law, a in POINTS
    ]
    defined = [enclosed_divergence(law, a) for law, a in POINTS]
    witnesses = [at(law, a) for law, a in POINTS]
    signs = [certified.compare(d, ">", 0, witness=x) for d, x in zip(found, witnesses, strict=True)]
    orders = (Fraction(0), Fraction(1, 3))
    # P is all on the outcome that Q has half the time: -log Q(P > 0) = log 2 at every order.
    lost = [
        renyi(summed_moment(LOST_SUPPORT, Ball.number(a), Ball), Ball.number(a), Ball)
        for a in orders
    ]
    halved = certified.agree(
        lost, [flint.arb(2).log()] * 2, witnesses=[at(LOST_SUPPORT, a) for a in orders]
    )
    return all_of([certified.agree(found, defined, witnesses=witnesses), halved, *signs])


@D6_1.neural(Scope("a policy equal to mu on four arms, two orders"))
def _(renyi: Any) -> Answer:
    """At P = Q, in the logits of P: no slope, and alpha times the Fisher information as Hessian."""
    mu = neural.tensor(UNIFORM_POLICY.mu)
    fisher = neural.torch().diag(mu) - mu.outer(mu)
    answers = []
    for alpha in (Fraction(1, 2), Fraction(3)):

        def divergence(z: Any, alpha: float = float(alpha)) -> Any:
            moment = (mu * (z.softmax(0) / mu) ** alpha).sum()
            return renyi(moment, alpha, Tensor)

        witness = Witness.at(mu=UNIFORM_POLICY.mu, pi=UNIFORM_POLICY.mu, alpha=alpha)
        slope, curvature = (
            neural.gradient(divergence, mu.log()),
            neural.hessian(divergence, mu.log()),
        )
        answers += [
            neural.close(slope, 0 * mu, witness=witness),
            neural.close(curvature, float(alpha) * fisher, witness=witness),
        ]
    return all_of(answers)


@D6_1.sampled(Scope("three arms, alpha = 1/3"), resolution=0.02)
def _(renyi: Any, trial: Trial) -> Answer:
    """P drawn, not Q: the mean of (P/Q)^(alpha - 1) is e^((alpha - 1) D)."""
    mu, pi, _ = (np.array(row) for row in THREE_ARMS.numbers(Real))
    alpha = 1 / 3
    table = (pi / mu) ** (alpha - 1)
    mean = trial.mean(
        "the moment under P",
        lambda rng, n: table[rng.choice(len(table), size=n, p=pi)],
        float(table.min()),
        float(table.max()),
    )
    divergence = renyi(summed_moment(THREE_ARMS, alpha, Real), alpha, Real)
    witness = at(THREE_ARMS, Fraction(1, 3))
    return trial.agrees(mean, math.exp((alpha - 1) * divergence), witness=witness)


@D6_1.without(PI_IN_MU)
def _(renyi: Any, law: Finite) -> Answer:
    # No law tried here is its own mu. E_mu does not see mass that mu has not, which above order 1
    # makes D negative.
    return all_of(
        certified.compare(
            renyi(moment(law, Ball.number(a)), Ball.number(a), Ball), ">", 0, witness=at(law, a)
        )
        for a in (Fraction(1, 2), Fraction(3))
    )


@D6_1.wrong("the sign of 1 - alpha")
def _(moment: Any, alpha: Any, m: Any) -> Any:
    return m.log(moment) / (1 - alpha)


@D6_1.wrong("divided by alpha")
def _(moment: Any, alpha: Any, m: Any) -> Any:
    return m.log(moment) / alpha


@D6_1.wrong("Tsallis: no logarithm")
def _(moment: Any, alpha: Any, m: Any) -> Any:
    return (moment - 1) / (alpha - 1)


@D6_1.wrong("twice as large")
def _(moment: Any, alpha: Any, m: Any) -> Any:
    return 2 * m.log(moment) / (alpha - 1)


@D6_1.number("D_1/2, mu = (3/5, 3/10, 1/10), pi = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(divergence_between(THREE_ARMS, Fraction(1, 2), Ball))


CLAIMS = frozen(D6_1)
