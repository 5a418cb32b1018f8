"""Past section 4: where w^gamma leads, as a maximum.

J_gamma = E_mu[r w^gamma]/gamma is a number times exp(-(1-gamma) D_gamma(pi || q_gamma)), so that
climbing it is lowering one Renyi divergence, and q_gamma, proportional to mu r^(1/(1-gamma)), is
its only summit.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD
from isr_theory.claims.enumerated import enumerated_balls, enumerated_gradient, logits, witness_of
from isr_theory.claims.moving import GAMMA, MU, PI, R, along_logits
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

A, B, U, M = sympy.symbols("a b u M", positive=True)
SHARE = GAMMA / (1 + GAMMA)
"""Any exponent in (0, 1): 1 - SHARE is 1/(1 + GAMMA), and 1/(1 - SHARE) is 1 + GAMMA."""

FINITE_POWER = Assumption(
    "finite_power",
    Text("E_mu[r^(1/(1-gamma))] is finite.", "E_μ[r^{1/(1−γ)}] 有限。"),
    # A finite outcome set has every moment of its rewards.
    lambda model: isinstance(model, Finite),
    examples=(THREE_ARMS,),
    violations=("mu = Exp(1) and r = e^x",),
    draw=Finite.drawn,
)
NO_SUMMIT = (
    "where Z is infinite no law is proportional to mu r^(1/(1-gamma)), and E_mu[r w^gamma] has no "
    "upper bound: by duality its supremum over policies is Z^(1-gamma)"
)
"""Why nothing can be tried where FINITE_POWER does not hold."""


def objective(mu: Any, policy: Any, reward: Any, gamma: Number, m: Arithmetic) -> Number:
    """J_gamma = E_mu[r w^gamma]/gamma, outcome by outcome; what mu never takes is not seen."""
    rows = zip(mu, policy, reward, strict=True)
    return sum(a * m.power(b / a, gamma) * r for a, b, r in rows if a != 0) / gamma


def partition(mu: Any, reward: Any, gamma: Number, m: Arithmetic) -> Number:
    """Z = E_mu[r^(1/(1-gamma))]."""
    return sum(a * m.power(r, 1 / (1 - gamma)) for a, r in zip(mu, reward, strict=True))


def amari(p: Any, q: Any, gamma: Number, m: Arithmetic) -> Number:
    """A_gamma(p || q) = (1 - sum p^gamma q^(1-gamma))/(gamma (1-gamma)), Amari's divergence."""
    return (1 - formulas.moment(q, p, gamma, m)) / (gamma * (1 - gamma))


class Summit(NamedTuple):
    """Where J is largest, how large it is there, and what multiplies Amari's divergence.

    `law` is of mu, r and gamma; `height` and `rate` are of Z and gamma.
    """

    law: Any
    height: Any
    rate: Any

    def stated(self, mu: Any, policy: Any, reward: Any, gamma: Any, m: Arithmetic) -> Any:
        """Return height times exp(-(1-gamma) D_gamma(policy || law))."""
        q = self.law(mu, reward, gamma, m)
        divergence = formulas.renyi(formulas.moment(q, policy, gamma, m), gamma, m)
        top = self.height(partition(mu, reward, gamma, m), gamma, m)
        return top * m.exp(-(1 - gamma) * divergence)


def height(mass: Number, gamma: Number, m: Arithmetic) -> Number:
    """Return max J = Z^(1-gamma)/gamma."""
    return m.power(mass, 1 - gamma) / gamma


def rate(mass: Number, gamma: Number, m: Arithmetic) -> Number:
    """(1-gamma) Z^(1-gamma)."""
    return (1 - gamma) * m.power(mass, 1 - gamma)


SUMMIT = Summit(formulas.fixed_point, height, rate)

MAXIMISER = Draft(
    "OBJ.maximiser",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The objective of w^gamma and its summit", "w^γ 的目标函数及其唯一最大点"),
    finding=Text(
        "Climbing J_gamma is lowering D_gamma(pi || q_gamma), whatever the family of policies, and"
        " q_gamma ~ mu r^(1/(1-gamma)) is the one maximiser of all.",
        "无论策略族如何，上升 J_γ 即下降 D_γ(π‖q_γ)；q_γ ∝ μ r^{1/(1−γ)} 是唯一的全局最大点。",
    ),
    statement=r"J_\gamma = \tfrac1\gamma\mathbb{E}_\mu[r w^\gamma]"
    r" = \tfrac{Z^{1-\gamma}}{\gamma}\,e^{-(1-\gamma)D_\gamma(\pi\|q_\gamma)},\ "
    r"q_\gamma = \mu\,r^{1/(1-\gamma)}/Z;\quad g_\gamma = \nabla J_\gamma"
    r" = -(1-\gamma)Z^{1-\gamma}\,\nabla A_\gamma(\pi\|q_\gamma),\ "
    r"A_\gamma = \tfrac{1 - \sum\pi^\gamma q^{1-\gamma}}{\gamma(1-\gamma)}",
    subject=SUMMIT,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD, FINITE_POWER),
    uses=("D1.1", "D4.1", "T6.2", "OBJ.potential"),
    sharpens=("P5.3.fix", "REM2.2.fix", "T4.2.a"),
    source="new here; the divergence is Amari's (1985), the limit law is that of P5.3.fix",
    reading="0 < gamma < 1; r may be 0 somewhere, and pi may miss outcomes of mu or take others: "
    "J is concave in pi, though not in its logits",
)


@MAXIMISER.symbolic(
    Scope(
        "every law: outcome by outcome, one against the rest; then u^gamma <= 1 + gamma (u - 1), "
        "with equality at u = 1 alone, in the mean under q, where u = pi/q has at most 1; "
        "where r or mu is 0 both sides are",
        whole=True,
    )
)
def _(summit: Any) -> Answer:
    """The terms of J, of Z^(1-gamma) sum pi^gamma q^(1-gamma) and of A; the tangent; concavity."""
    # The rest is one outcome with mass a and reward b, which gives Z any value.
    mass = partition([MU, A], [R, B], SHARE, Exact)
    q = summit.law([MU, A], [R, B], SHARE, Exact)[0]
    own = MU * (PI / MU) ** SHARE * R / SHARE
    common = PI**SHARE * q ** (1 - SHARE)
    # exp(-(1-gamma) D_gamma) is the moment M of pi against q.
    exponential = sympy.exp(-(1 - SHARE) * formulas.renyi(M, SHARE, Exact))
    tangent = 1 + SHARE * (U - 1) - U**SHARE
    return all_of(
        [
            symbolic.equal(own, summit.height(mass, SHARE, Exact) * common, reduce=_in_logs(own)),
            symbolic.equal(exponential, M),
            symbolic.equal(
                own,
                summit.rate(mass, SHARE, Exact) * common / (SHARE * (1 - SHARE)),
                reduce=_in_logs(own),
            ),
            symbolic.equal(tangent.subs(U, 1), 0),
            symbolic.equal(sympy.diff(tangent, U).subs(U, 1), 0),
            symbolic.positive(sympy.simplify(sympy.diff(tangent, U, 2))),
            symbolic.positive(sympy.simplify(-sympy.diff(own, PI, 2))),
        ]
    )


def _in_logs(left: Any) -> Any:
    """Reduce `left - right`, both positive, through the logarithm of their ratio."""

    def reduced(difference: Any) -> Any:
        ratio = (left - difference) / left
        return sympy.simplify(sympy.expand_log(sympy.log(sympy.powsimp(ratio)), force=True))

    return reduced


# One outcome earns nothing, and another is one that pi misses.
UNPAID = Finite.of("2/5 3/10 1/5 1/10", "1/5 3/10 0 1/2", "0 2 1 4")
POINTS = [
    (law, Fraction(g)) for law in (THREE_ARMS, FOUR_ARMS, UNPAID) for g in ("1/4", "1/2", "9/10")
]


@MAXIMISER.certified(Scope("three laws, one with zeros, at three exponents"))
def _(summit: Any) -> Answer:
    """J summed against its other form; at the summit; and below it at mu and at pi."""
    answers = []
    for law, exponent in POINTS:
        mu, pi, reward = law.numbers(Ball)
        gamma, at = Ball.number(exponent), witness_of(law, gamma=exponent)
        best = summit.law(mu, reward, gamma, Ball)
        top = summit.height(partition(mu, reward, gamma, Ball), gamma, Ball)
        here = objective(mu, pi, reward, gamma, Ball)
        found = [here, objective(mu, best, reward, gamma, Ball)]
        stated = [summit.stated(mu, pi, reward, gamma, Ball), top]
        answers.append(certified.agree(found, stated, witnesses=[at] * 2))
        for policy in (pi, mu):
            below = objective(mu, policy, reward, gamma, Ball)
            answers.append(certified.compare(below, "<", top, witness=at))
    return all_of(answers)


@MAXIMISER.certified(Scope("two laws at three exponents, every logit"))
def _(summit: Any) -> Answer:
    """The mean of w^gamma r s against the slope of Amari's divergence as a power series."""
    answers = []
    for law, exponent in POINTS[:6]:
        mu, pi, reward = law.numbers(Ball)
        gamma, at = Ball.number(exponent), witness_of(law, gamma=exponent)
        best = summit.law(mu, reward, gamma, Ball)
        factor = summit.rate(partition(mu, reward, gamma, Ball), gamma, Ball)

        def divergence(policy: list[Any], best: Any = best, gamma: Any = gamma) -> Any:
            rows = zip(policy, best, strict=True)
            kept = sum(Jet.power(p, gamma) * Ball.power(q, 1 - gamma) for p, q in rows)
            return (1 - kept) / (gamma * (1 - gamma))

        lowered = [-factor * x for x in along_logits(divergence, pi)]
        mean = enumerated_balls(law, exponent)
        answers.append(certified.agree(mean, lowered, witnesses=[at] * len(pi)))
    return all_of(answers)


@MAXIMISER.neural(Scope("two laws at three exponents"))
def _(summit: Any) -> Answer:
    """Autograd of Amari's divergence from the summit, against the loss with w^gamma detached."""
    answers = []
    for law, exponent in POINTS[:6]:
        mu, _, reward = law.numbers(Tensor)
        gamma = float(exponent)
        best = summit.law(mu, reward, gamma, Tensor)
        factor = summit.rate(partition(mu, reward, gamma, Tensor), gamma, Tensor)

        def divergence(z: Any, best: Any = best, gamma: float = gamma) -> Any:
            return amari(list(z.softmax(0)), best, gamma, Tensor)

        lowered = -factor * neural.gradient(divergence, logits(law))
        at = witness_of(law, gamma=exponent)
        answers.append(neural.close(enumerated_gradient(law, exponent), lowered, witness=at))
    return all_of(answers)


@MAXIMISER.sampled(Scope("three arms, gamma = 1/2"), resolution=0.05)
def _(summit: Any, trial: Trial) -> Answer:
    """Samples of mu: the mean of w^gamma r."""
    law, gamma = THREE_ARMS, 0.5
    mu, pi, reward = law.numbers(Real)
    table = np.array(reward) * np.exp(gamma * law.log_w())
    mean = trial.mean(
        "w^gamma r",
        lambda rng, n: table[law.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    stated = gamma * summit.stated(mu, pi, reward, gamma, Real)
    return trial.agrees(mean, stated, witness=witness_of(law, gamma=Fraction(1, 2)))


@MAXIMISER.margin(*(spaces.finite(k, reward=("1/10", "4"), gamma=("1/10", "9/10")) for k in (2, 3)))
def _(summit: Any, case: Any, m: Any) -> Any:
    mu, pi, reward = case.model.numbers(m)
    gamma = m.number(case["gamma"])
    best = summit.law(mu, reward, gamma, m)
    tops = [objective(mu, policy, reward, gamma, m) for policy in (best, pi)]
    return tops[0] - tops[1]


@MAXIMISER.without(NONNEGATIVE_REWARD)
def _(summit: Any, law: Finite) -> Answer:
    # At gamma = 1/2 the summit is mu r^2, which a reward's sign does not change.
    mu, _, reward = law.numbers(Exact)
    half = sympy.Rational(1, 2)
    best = summit.law(mu, reward, half, Exact)
    top = summit.height(partition(mu, reward, half, Exact), half, Exact)
    here = objective(mu, best, reward, half, Exact)
    return symbolic.equal(here, top, witness=witness_of(law, gamma=Fraction(1, 2)))


MAXIMISER.meaningless_without(FINITE_POWER, NO_SUMMIT)


def _less(mu: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    return formulas.normalised(
        [a * m.power(r, -1 / (1 - gamma)) for a, r in zip(mu, reward, strict=True)]
    )


MAXIMISER.wrong_value("r^(1/(gamma-1))", SUMMIT._replace(law=_less))
MAXIMISER.wrong_value(
    "mu r, the target at gamma = 0",
    SUMMIT._replace(law=lambda mu, r, g, m: formulas.tilted(mu, r, m)),
)
MAXIMISER.wrong_value(
    "Z for its power", SUMMIT._replace(height=lambda mass, gamma, m: mass / gamma)
)
MAXIMISER.wrong_value(
    "gamma left out of the height",
    SUMMIT._replace(height=lambda mass, gamma, m: m.power(mass, 1 - gamma)),
)
MAXIMISER.wrong_value(
    "gamma for 1 - gamma in the rate",
    SUMMIT._replace(rate=lambda mass, gamma, m: gamma * m.power(mass, 1 - gamma)),
)
AT = "at mu = (3/5, 3/10, 1/10), r = (1, 2, 4)"


@MAXIMISER.number(f"q_(1/2) {AT}")
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Exact)
    return ", ".join(map(str, formulas.fixed_point(mu, reward, sympy.Rational(1, 2), Exact)))


@MAXIMISER.number(f"max J at gamma = 1/4, 1/2 and 3/4, {AT}")
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Ball)
    gammas = [Ball.number(g) for g in ("1/4", "1/2", "3/4")]
    tops = [height(partition(mu, reward, g, Ball), g, Ball) for g in gammas]
    return ", ".join(map(certified.digits, tops))


CLAIMS = frozen(MAXIMISER)
