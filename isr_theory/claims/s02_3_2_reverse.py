"""Section 2.3, the table's rows on the reverse KL.

f(w) = w is the gradient of E_pi[r] alone and descends no reverse KL, to p* or to any other target:
the entropy term -tau log pi has to stand beside the reward.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import FINITE_PARTITION, PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, R, S, along_logits, slope
from isr_theory.claims.s02_3_1_sampling import scored
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, Finite

TAU, Z, C = sympy.symbols("tau Z c", positive=True)
LOGIT = sympy.symbols("z", real=True)


def unroll(expression: Any) -> Any:
    """Write logarithms of positive products and powers as sums."""
    return sympy.simplify(sympy.expand_log(expression, force=True))


ROW_2_B = Draft(
    "TAB2.3.2.b",
    section="2.3",
    kind=Kind.IDENTITY,
    title=Text("f(w) = w and the reverse KL to p*", "f(w)=w 与到 p* 的反向 KL"),
    finding=Text(
        "False: with r = (1, 0) and tau = 1 the gradient of f(w) = w at pi = (9/10, 1/10) raises "
        "the KL to p*.",
        "不成立：r=(1,0)、τ=1 时，在 π=(9/10,1/10) 处 f(w)=w 的梯度使到 p* 的 KL 增大。",
    ),
    statement=r"\mathbb{E}_\mu[w\,r\,\nabla\log\pi] = -c\,\nabla D_{KL}(\pi\|p^*),\quad c > 0",
    subject=formulas.reshaped_gradient,
    expect=Verdict.REFUTED,
    uses=("T2.2", "EQ2.2"),
    reading="'equivalent' as in the left cell: descent in the same direction, so on two outcomes "
    "the two slopes in the logit have one sign",
)
PAST_OPTIMUM = Finite.of("1/2 1/2", "9/10 1/10", "1 0")
PAST = witness_of(PAST_OPTIMUM, tau=1)


@ROW_2_B.symbolic(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The KL to p* = (e, 1)/(e + 1) differentiated in the logit, at odds 9."""
    mu, pi, reward = PAST_OPTIMUM.numbers(Exact)
    policy = formulas.normalised([sympy.exp(LOGIT), sympy.Integer(1)])
    optimum = formulas.normalised([sympy.E, sympy.Integer(1)])
    divergence = sum(p * sympy.log(p / t) for p, t in zip(policy, optimum, strict=True))
    descent = -sympy.diff(divergence, LOGIT).subs(LOGIT, sympy.log(9))
    ascent = gradient(mu, pi, reward, sympy.Integer(1), Exact)[0]
    return symbolic.compare(ascent * descent, ">", 0, witness=PAST)


@ROW_2_B.certified(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The KL to p* as a power series in the logit, in balls."""
    mu, pi, reward = PAST_OPTIMUM.numbers(Ball)
    optimum = formulas.normalised([Ball.exp(r) for r in reward])

    def divergence(policy: list[Any]) -> Any:
        return sum(p * Jet.log(p / t) for p, t in zip(policy, optimum, strict=True))

    descent = -along_logits(divergence, pi)[0]
    ascent = gradient(mu, pi, reward, flint.arb(1), Ball)[0]
    return certified.compare(ascent * descent, ">", 0, witness=PAST)


@ROW_2_B.neural(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The KL to p* by autograd in the logits."""
    mu, pi, reward = (
        neural.tensor(row) for row in (PAST_OPTIMUM.mu, PAST_OPTIMUM.pi, PAST_OPTIMUM.reward)
    )

    def divergence(z: Any) -> Any:
        return (z.softmax(0) * (z.log_softmax(0) - reward.log_softmax(0))).sum()

    descent = -neural.gradient(divergence, logits(PAST_OPTIMUM))[0]
    ascent = gradient(mu, pi, reward, neural.tensor(1), Tensor)[0]
    return neural.compare(ascent * descent, ">", 0, witness=PAST)


def entropic_gradient(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    """-grad KL(pi || p*) at tau = 1, one free logit per outcome: pi times r - log pi, centred."""
    values = [r - m.log(p) for p, r in zip(pi, reward, strict=True)]
    mean = sum(p * value for p, value in zip(pi, values, strict=True))
    return [p * (value - mean) for p, value in zip(pi, values, strict=True)]


ROW_2_B.right_value("the entropy term beside the reward", entropic_gradient)


def soft_reward(reward: Any, log_pi: Any, tau: Any) -> Any:
    """Return r - tau log pi, the reward with which w is the weight of the reverse KL."""
    return reward - tau * log_pi


ROW_2_FIX = Draft(
    "TAB2.3.2.fix",
    section="2.3",
    kind=Kind.IDENTITY,
    title=Text("f(w) = w with entropy is the reverse KL", "f(w)=w 加熵项即反向 KL"),
    finding=Text(
        "With -tau log pi added to the reward, f(w) = w gives -tau times the gradient of "
        "KL(pi || p*).",
        "在奖励中加入 −τ log π 后，f(w)=w 的梯度等于 −τ∇KL(π‖p*)。",
    ),
    statement=r"-\tau\,\nabla D_{KL}(\pi\|p^*) ="
    r" \mathbb{E}_\mu[w\,(r - \tau\log\pi)\,\nabla\log\pi]",
    subject=soft_reward,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU, FINITE_PARTITION),
    uses=("T2.2", "EQ2.2"),
    amends=("TAB2.3.2.b", "TAB2.3.3", "SUM13.1.1.b", "GEN13.2.3"),
)
SOFT = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 0 2")


@ROW_2_FIX.symbolic(
    Scope(
        "every outcome space on which the gradient passes under the integral: outcome by outcome "
        "up to a multiple of grad pi, which sums to 0",
        whole=True,
    )
)
def _(inner: Any) -> Answer:
    """Differentiating -tau pi log(pi / p*) leaves mu w (r - tau log pi) s less a constant pi s."""
    optimum = sympy.exp(R / TAU) / Z
    divergence = slope(-TAU * MOVING * sympy.log(MOVING / optimum))
    # The masses sum to 1, so the slopes of pi sum to 0 and any constant may multiply them.
    constant = TAU * (1 + sympy.log(Z)) * slope(MOVING)
    weighted = MU * (PI / MU) * inner(R, sympy.log(PI), TAU) * S
    return symbolic.equal(divergence + constant, weighted, reduce=unroll)


def descends_reverse(inner: Any, law: Finite, tau: Fraction) -> Answer:
    """Compare E_mu[w inner s] with the slopes of -tau KL(pi || p*) in every logit."""
    mu, pi, reward = law.numbers(Ball)
    t = Ball.number(tau)
    optimum = formulas.normalised([Ball.exp(r / t) for r in reward])

    def divergence(policy: list[Any]) -> Any:
        # 0 log 0 is 0, and no logit moves an outcome that pi never takes.
        rows = [
            (p, o) for p, o, here in zip(policy, optimum, pi, strict=True) if not here.is_zero()
        ]
        return sum(p * Jet.log(p / o) for p, o in rows)

    def term(a: Any, b: Any, r: Any) -> Any:
        # What mu never takes is not seen under mu.
        return a * (b / a) * inner(r, Ball.log(b), t) if a > 0 and b > 0 else flint.arb(0)

    terms = [term(*row) for row in zip(mu, pi, reward, strict=True)]
    expected = [-t * x for x in along_logits(divergence, pi)]
    witnesses = [witness_of(law, tau=tau)] * len(pi)
    return certified.agree(scored(terms, pi), expected, witnesses=witnesses)


@ROW_2_FIX.without(PI_IN_MU)
def _(inner: Any, law: Finite) -> Answer:
    return descends_reverse(inner, law, Fraction(1, 2))


ROW_2_FIX.meaningless_without(
    FINITE_PARTITION, "where the total mass of e^(r/tau) is infinite, there is no law p*"
)


@ROW_2_FIX.certified(Scope("two laws, tau = 1/2 and 3"))
def _(inner: Any) -> Answer:
    """The reverse KL as a power series in each logit, against scores summed under mu."""
    return all_of(
        [
            descends_reverse(inner, SOFT, Fraction(1, 2)),
            descends_reverse(inner, FOUR_ARMS, Fraction(3)),
        ]
    )


@ROW_2_FIX.neural(Scope("two laws, tau = 1/2 and 3"))
def _(inner: Any) -> Answer:
    """The loss with the weight and the soft reward detached, against autograd of the KL."""

    def both(law: Finite, tau: Fraction) -> Answer:
        mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
        terms = mu * (pi / mu) * inner(reward, pi.log(), float(tau))
        log_optimum = (reward / float(tau)).log_softmax(0)
        found = neural.gradient(lambda z: (terms * z.log_softmax(0)).sum(), logits(law))
        divergence = neural.gradient(
            lambda z: (z.softmax(0) * (z.log_softmax(0) - log_optimum)).sum(), logits(law)
        )
        return neural.close(found, -float(tau) * divergence, witness=witness_of(law, tau=tau))

    return all_of([both(SOFT, Fraction(1, 2)), both(FOUR_ARMS, Fraction(3))])


@ROW_2_FIX.sampled(Scope("three arms, tau = 1/2, the second logit"), resolution=0.1)
def _(inner: Any, trial: Trial) -> Answer:
    """Samples of mu, weighted, against -tau pi_k (log(pi_k / p*_k) - KL), the softmax slope."""
    law, tau, k = SOFT, 0.5, 1
    mu, pi, reward = (np.array(row) for row in law.numbers(Real))
    scores = (np.arange(len(pi)) == k) - pi[k]
    table = pi / mu * inner(reward, np.log(pi), tau) * scores
    mean = trial.mean(
        f"mean of {table.tolist()}",
        lambda rng, n: table[law.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    log_ratio = np.log(pi) - reward / tau + np.log(np.exp(reward / tau).sum())
    exact = -tau * pi[k] * (log_ratio[k] - float(pi @ log_ratio))
    return trial.agrees(mean, exact, witness=witness_of(law, tau=Fraction(1, 2)))


@ROW_2_FIX.wrong("no entropy term")
def _(reward: Any, log_pi: Any, tau: Any) -> Any:
    return reward + 0 * tau * log_pi


@ROW_2_FIX.wrong("sign of the entropy term")
def _(reward: Any, log_pi: Any, tau: Any) -> Any:
    return reward + tau * log_pi


@ROW_2_FIX.wrong("entropy without tau")
def _(reward: Any, log_pi: Any, tau: Any) -> Any:
    return reward - log_pi + 0 * tau


@ROW_2_FIX.wrong("reward over tau")
def _(reward: Any, log_pi: Any, tau: Any) -> Any:
    return reward / tau - log_pi


ROW_3 = Draft(
    "TAB2.3.3",
    section="2.3",
    kind=Kind.IDENTITY,
    title=Text("Direction of the divergence: forward, reverse", "散度方向：Forward KL，Reverse KL"),
    finding=Text(
        "False of f(w) = w: whatever the target, the reverse KL is stationary at it and f(w) = w "
        "with r = (1, 0) is not.",
        "对 f(w)=w 不成立：任取目标，反向 KL 在该目标处驻定，而 r=(1,0) 时 f(w)=w 并不驻定。",
    ),
    statement=r"\exists\, p:\ \mathbb{E}_\mu[w\,r\,\nabla\log\pi] = -c\,\nabla D_{KL}(\pi\|p)",
    subject=formulas.reshaped_gradient,
    expect=Verdict.REFUTED,
    uses=("TAB2.3.2.b",),
    reading="f(w) = w descends the reverse KL to some fixed target of full support, p* or another; "
    "the symbolic check takes any target on two outcomes, the witness is the even one",
)
EVEN = Finite.of("1/2 1/2", "1/2 1/2", "1 0")
AT_TARGET = witness_of(EVEN, target=EVEN.pi)


@ROW_3.symbolic(Scope("the witness, and every target on two outcomes"))
def _(gradient: Any) -> Answer:
    """At pi = p = (x, 1-x) the KL has slope 0 and the gradient is x (1-x) > 0."""
    mu, pi, reward = EVEN.numbers(Exact)
    x = C / (1 + C)
    policy = formulas.normalised([sympy.exp(LOGIT), sympy.Integer(1)])
    target = [x, 1 - x]
    divergence = sum(p * sympy.log(p / t) for p, t in zip(policy, target, strict=True))
    at_target = sympy.diff(divergence, LOGIT).subs(LOGIT, sympy.log(C))
    anywhere = all_of(
        [
            symbolic.equal(at_target, 0),
            symbolic.positive(gradient(mu, target, reward, sympy.Integer(1), Exact)[0]),
        ]
    )
    ascent = gradient(mu, pi, reward, sympy.Integer(1), Exact)[0]
    return given(anywhere, symbolic.compare(ascent, "==", 0, witness=AT_TARGET))


@ROW_3.certified(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The slope of the KL as a power series in the logit, against the gradient in balls."""
    mu, pi, reward = EVEN.numbers(Ball)

    def divergence(policy: list[Any]) -> Any:
        return sum(p * Jet.log(p / t) for p, t in zip(policy, pi, strict=True))

    descent = -along_logits(divergence, pi)[0]
    ascent = gradient(mu, pi, reward, flint.arb(1), Ball)[0]
    return certified.agree([ascent], [descent], witnesses=[AT_TARGET])


@ROW_3.neural(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The KL to the policy itself by autograd, against the gradient."""
    mu, pi, reward = (neural.tensor(row) for row in (EVEN.mu, EVEN.pi, EVEN.reward))

    def divergence(z: Any) -> Any:
        return (z.softmax(0) * (z.log_softmax(0) - pi.log())).sum()

    descent = -neural.gradient(divergence, logits(EVEN))[0]
    ascent = gradient(mu, pi, reward, neural.tensor(1), Tensor)[0]
    return neural.close([ascent], [descent], witness=AT_TARGET)


@ROW_3.right("the descent of the KL to the even target")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    # All rewards equal: p* is the even law.
    return entropic_gradient(mu, pi, [0 * r for r in reward], gamma, m)


CLAIMS = frozen(ROW_2_B, ROW_2_FIX, ROW_3)
