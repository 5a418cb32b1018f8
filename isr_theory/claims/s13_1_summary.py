"""Section 13.1: the summary of contributions.

The summary repeats earlier statements without their conditions, so each is judged again as it
stands there. What is checked is taken outcome by outcome: in a law on two outcomes the second may
stand for all the rest, whose mass is any positive number, so an identity for one outcome against
the rest is one for every law.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, NO_RULE, NONNEGATIVE_REWARD, VALID_RULE
from isr_theory.claims.enumerated import (
    enumerated_balls,
    enumerated_gradient,
    logits,
    one_logit_variance,
    witness_of,
)
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.claims.s07_3_mse import printed_mse
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, TWO_ARMS, Finite

A, B, P, Q, R, S, T = sympy.symbols("a b p q r s t", positive=True)
SIGMA2, L = sympy.symbols("sigma2 L", positive=True)
MEAN = sympy.symbols("m", real=True)
REST = Scope("every law: one outcome against the rest, by linearity of the mean", whole=True)


SUM_FORWARD = Draft(
    "SUM13.1.1.a",
    section="13.1",
    kind=Kind.IDENTITY,
    title=Text("f(w) = 1 is forward KL is SFT", "f(w)=1 → 前向 KL → SFT"),
    finding=Text(
        "True: E_mu[r s] = -Z grad KL(mu r / Z || pi), and r = 1 makes it maximum likelihood.",
        "成立：E_μ[r s] = −Z∇KL(μr/Z‖π)，r≡1 时即极大似然。",
    ),
    statement=r"\mathbb{E}_\mu[r\,\nabla\log\pi] = -Z\,\nabla D_{KL}(\tilde\pi\|\pi)",
    subject=formulas.tilted,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.NONE,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T2.1.a",),
    reading="wherever the divergence is finite and may be differentiated under its sum",
)


@SUM_FORWARD.symbolic(REST)
def _(tilted: Any) -> Answer:
    """Z times the target's mass of an outcome is mu r, and r = 1 leaves mu."""
    # -grad KL(target || pi) = E_target[s]; b s is the rest's share of E_mu[r].
    mean = A * R + B * S
    return all_of(
        [
            symbolic.equal(mean * tilted([A, B], [R, S], Exact)[0], A * R),
            symbolic.equal(tilted([A, 1 - A], [1, 1], Exact)[0], A),
        ]
    )


@SUM_FORWARD.certified(Scope("three arms"))
def _(tilted: Any) -> Answer:
    """Z (target - pi) in balls against the gradient summed outcome by outcome."""
    mu, pi, reward = THREE_ARMS.numbers(Ball)
    mean = sum((a * r for a, r in zip(mu, reward, strict=True)), flint.arb(0))
    found = [mean * (t - b) for t, b in zip(tilted(mu, reward, Ball), pi, strict=True)]
    expected = enumerated_balls(THREE_ARMS, Fraction(0))
    return certified.agree(found, expected, witnesses=[witness_of(THREE_ARMS)] * 3)


@SUM_FORWARD.neural(Scope("three arms"))
def _(tilted: Any) -> Answer:
    """Autograd of the forward KL to the target against enumeration."""
    mu, reward = neural.tensor(THREE_ARMS.mu), neural.tensor(THREE_ARMS.reward)
    target = neural.torch().stack(list(tilted(mu, reward, Tensor)))

    def divergence(z: Any) -> Any:
        return (target * (target.log() - neural.torch().log_softmax(z, -1))).sum()

    slope = -(mu * reward).sum() * neural.gradient(divergence, logits(THREE_ARMS))
    expected = enumerated_gradient(THREE_ARMS, Fraction(0))
    return neural.close(slope, expected, witness=witness_of(THREE_ARMS))


SUM_FORWARD.meaningless_without(
    NONNEGATIVE_REWARD,
    "where some reward is negative or E_mu[r] is 0, mu r / Z is not a law, and its divergence from "
    "pi takes logarithms of negative numbers or divides by 0",
)


@SUM_FORWARD.wrong("the reward squared")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return formulas.normalised([a * r * r for a, r in zip(mu, reward, strict=True)])


@SUM_FORWARD.wrong("the reward left out")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return [a + 0 * r for a, r in zip(mu, reward, strict=True)]


@SUM_FORWARD.wrong("mu left out")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return formulas.normalised([r + 0 * a for a, r in zip(mu, reward, strict=True)])


SUM_REVERSE = Draft(
    "SUM13.1.1.b",
    section="13.1",
    kind=Kind.IDENTITY,
    title=Text("f(w) = w is reverse KL is RL", "f(w)=w → 反向 KL → RL"),
    finding=Text(
        "False: at pi = p* the reverse KL is stationary and the gradient of f(w) = w is not zero.",
        "不成立：在 π = p* 处反向 KL 已驻定，而 f(w)=w 的梯度非零。",
    ),
    statement=r"\mathbb{E}_\mu[w\,r\,\nabla\log\pi] = 0 \text{ where } \nabla D_{KL}(\pi\|p^*) = 0",
    subject=formulas.reshaped_gradient,
    expect=Verdict.REFUTED,
    uses=("T2.2", "EQ2.2"),
)
# r = (log 3, 0) and tau = 1 make p* = (3/4, 1/4), an exact law.
AT_OPTIMUM = Witness.at(mu="(1/2, 1/2)", pi="(3/4, 1/4)", reward="(log 3, 0)", tau=1)


@SUM_REVERSE.symbolic(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """Exact algebra at pi = p*."""
    half, reward = sympy.Rational(1, 2), [sympy.log(3), sympy.Integer(0)]
    optimum = formulas.soft_optimum(reward, sympy.Integer(1), Exact)
    slope = gradient([half, half], optimum, reward, sympy.Integer(1), Exact)[0]
    return symbolic.compare(slope, "==", 0, witness=AT_OPTIMUM)


@SUM_REVERSE.certified(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """Balls at pi = p*, the policy written as 3/4 and 1/4."""
    half, policy = Ball.number("1/2"), [Ball.number("3/4"), Ball.number("1/4")]
    reward = [flint.arb(3).log(), flint.arb(0)]
    slope = gradient([half, half], policy, reward, flint.arb(1), Ball)[0]
    return certified.compare(slope, "==", flint.arb(0), witness=AT_OPTIMUM)


@SUM_REVERSE.right("the gradient of -tau KL(pi || p*), entropy included")
def _(mu: Any, policy: Any, reward: Any, gamma: Any, m: Any) -> Any:
    # tau = 1: the reward less the log of the policy, about its mean.
    values = [r - m.log(p) for p, r in zip(policy, reward, strict=True)]
    mean = sum(p * v for p, v in zip(policy, values, strict=True))
    return [p * (v - mean) for p, v in zip(policy, values, strict=True)]


def renyi_second_moment(law: Finite, gamma: int, m: Any) -> Any:
    """Return exp((2 gamma - 1) D_2gamma) for an integer gamma, as sum mu w^(2 gamma)."""
    mu, pi, _ = law.numbers(m)
    return sum(a * (b / a) ** (2 * gamma) for a, b in zip(mu, pi, strict=True))


ENDS = witness_of(TWO_ARMS, gamma=(0, 1))

SUM_VARIANCE = Draft(
    "SUM13.1.2",
    section="13.1",
    kind=Kind.IDENTITY,
    title=Text("The variance is exactly controlled by Renyi", "方差由 Rényi 散度精确控制"),
    finding=Text(
        "False: from gamma = 0 to 1 the variance can fall to about 1/8 while the right side rises.",
        "不成立：γ 从 0 到 1 时方差可降至约八分之一，而右端上升。",
    ),
    statement=r"\mathrm{Var}(\hat g_\gamma) \propto e^{(2\gamma-1) D_{2\gamma}(\pi\|\mu)}",
    subject=renyi_second_moment,
    expect=Verdict.REFUTED,
    uses=("T6.3.a",),
    reading="'proportional' as gamma moves, pi, mu and r = 1 being fixed",
)


@SUM_VARIANCE.symbolic(Scope("the witness"))
def _(second_moment: Any) -> Answer:
    """Exact rationals: the two ratios between gamma = 1 and gamma = 0."""
    actual = one_logit_variance(TWO_ARMS, 1, Exact) / one_logit_variance(TWO_ARMS, 0, Exact)
    printed = second_moment(TWO_ARMS, 1, Exact) / second_moment(TWO_ARMS, 0, Exact)
    return symbolic.compare(actual, "==", printed, witness=ENDS)


@SUM_VARIANCE.certified(Scope("the witness"))
def _(second_moment: Any) -> Answer:
    """The same ratios in balls."""
    actual = one_logit_variance(TWO_ARMS, 1, Ball) / one_logit_variance(TWO_ARMS, 0, Ball)
    printed = second_moment(TWO_ARMS, 1, Ball) / second_moment(TWO_ARMS, 0, Ball)
    return certified.compare(actual, "==", printed, witness=ENDS)


@SUM_VARIANCE.right("the variance of two values")
def _(law: Finite, gamma: int, m: Any) -> Any:
    # Two values x and y taken with chances a and b have variance a b (x - y)^2.
    (a, b), (p, q), _ = law.numbers(m)
    gap = (p / a) ** gamma * q + (q / b) ** gamma * p
    return a * b * gap * gap


SUM_RULE = Draft(
    "SUM13.1.3",
    section="13.1",
    kind=Kind.OPTIMUM,
    title=Text("A closed-form gamma, without bisection", "闭式 γ，无需二分"),
    finding=Text(
        "True under log-normality, whatever the mean of log w; without it REM8.2.b has a witness.",
        "在对数正态下成立（与 log w 的均值无关）；无此假设时见 REM8.2.b 的反例。",
    ),
    statement=r"\gamma^* = \min\bigl(1, \sqrt{-\log\rho_{\min}/\sigma^2}\bigr)",
    subject=formulas.gamma_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.NONE,
    assumes=(LOGNORMAL, VALID_RULE),
    uses=("T8.3.a",),
    reading="as in 8.3: the largest gamma in [0, 1] that keeps the population ESS/n at rho_min",
)


@SUM_RULE.symbolic(Scope("every normal log w and every rho_min = e^-L", whole=True))
def _(rule: Any) -> Answer:
    """Solving K(2 gamma) - 2 K(gamma) = L for the normal K(t) = m t + s2 t^2/2."""

    def cumulant(t: Any) -> Any:
        return MEAN * t + SIGMA2 * t**2 / 2

    (root,) = sympy.solve(sympy.expand(cumulant(2 * T) - 2 * cumulant(T)) - L, T)
    sides = [{SIGMA2: 3, L: 1}, {SIGMA2: sympy.Rational(1, 3), L: 2}]
    found = rule(SIGMA2, sympy.exp(-L), Exact)
    return symbolic.equal(found, sympy.Min(1, root), points=sides)


@SUM_RULE.certified(Scope("two pairs of sigma2 and rho_min"))
def _(rule: Any) -> Answer:
    """Bisection of the normal ESS equation, whose cumulant function is a quadratic."""
    found, roots, witnesses = [], [], []
    for sigma2, rho_min in ((Fraction(5), Fraction(3, 10)), (Fraction(2), Fraction(4, 5))):
        s, rho = Ball.number(sigma2), Ball.number(rho_min)

        def excess(t: Any, s: Any = s, rho: Any = rho) -> Any:
            return (4 * t * t - 2 * t * t) * s / 2 + rho.log()

        roots.append(certified.root(excess, Fraction(0), Fraction(1)))
        found.append(rule(s, rho, Ball))
        witnesses.append(Witness.at(sigma2=sigma2, rho_min=rho_min))
    return certified.agree(found, roots, witnesses=witnesses)


@SUM_RULE.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    rho_min = Fraction(4, 5)
    gamma, wanted = rule(log_variance(model), Ball.number(rho_min), Ball), Ball.number(rho_min)
    reached, witness = ess(model, gamma), named(model, rho_min=rho_min)
    if gamma == 1:
        return certified.compare(reached, ">=", wanted, witness=witness)
    return certified.agree([reached], [wanted], witnesses=[witness])


SUM_RULE.meaningless_without(VALID_RULE, NO_RULE)


@SUM_RULE.wrong("no square root")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / sigma2)


@SUM_RULE.wrong("the standard deviation for the variance")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / m.sqrt(sigma2)))


@SUM_RULE.wrong("half the exponent: the law of E[w^gamma]")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-2 * m.log(rho_min) / sigma2))


SUM_MSE = Draft(
    "SUM13.1.4",
    section="13.1",
    kind=Kind.REMARK,
    title=Text("A complete bias-variance analysis", "Bias-Variance 权衡的完整分析"),
    finding=Text(
        "False: Bias^2 + V/n is not the error of the estimator, already where pi = mu = p*.",
        "不成立：Bias²+V/n 并非该估计量的误差，π=μ=p* 时即不符。",
    ),
    statement=r"\mathrm{MSE}(\hat g_\gamma) = \mathrm{Bias}^2(\gamma) + V(\gamma)/n",
    subject=printed_mse,
    expect=Verdict.REFUTED,
    uses=("T7.6.a",),
    reading="'complete analysis' is the decomposition of 7.6, read of the gradient's estimator",
)
ALL_EQUAL = Witness.at(mu=TWO_ARMS.mu, pi=TWO_ARMS.mu, target=TWO_ARMS.mu, reward=1, gamma=1, n=1)


@SUM_MSE.symbolic(Scope("the witness"))
def _(mse: Any) -> Answer:
    """With all laws equal s = +-1/2, so the error is 1/4, while Bias = 0 and V = 1."""
    half = sympy.Rational(1, 2)
    actual = half * half**2 + half * (-half) ** 2
    return symbolic.compare(actual, "==", mse(sympy.Integer(0), 1, 1), witness=ALL_EQUAL)


@SUM_MSE.certified(Scope("the witness"))
def _(mse: Any) -> Answer:
    """Bias, V and the enumerated error in balls."""
    mu = [Ball.number(x) for x in TWO_ARMS.mu]
    bias = sum((a * Ball.log(b / a) for a, b in zip(mu, mu, strict=True)), flint.arb(0))
    second = sum((a * (b / a) * (b / a) for a, b in zip(mu, mu, strict=True)), flint.arb(0))
    actual = mu[0] * mu[1] * mu[1] + mu[1] * mu[0] * mu[0]
    return certified.compare(actual, "==", mse(bias, second, 1), witness=ALL_EQUAL)


@SUM_MSE.right("the variance of one score, 1/4, over n")
def _(bias: Any, second_moment: Any, n: int) -> Any:
    return 0 * bias + second_moment / (4 * n)


CLAIMS = frozen(SUM_FORWARD, SUM_REVERSE, SUM_VARIANCE, SUM_RULE, SUM_MSE)
