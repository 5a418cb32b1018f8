"""Past section 5: exact steps, to the effective target and on from there.

They multiply the log-ratios to q_gamma by gamma, and never lower the objective; nor does any policy
that only fits the target better.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT, NONNEGATIVE_REWARD, POSITIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import GAMMA, MU, PI, R
from isr_theory.claims.s04_3_target import is_law, weights
from isr_theory.claims.x01_2_1_summit import SHARE, objective
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite, fractions

A, B, D, Q, KEPT = sympy.symbols("a b d q k", positive=True)
HALF = Fraction(1, 2)


class Steps(NamedTuple):
    """An exact step, what it leaves of the log-ratios to q, and the law when so much is left.

    `step` is of mu, pi, r and gamma; `factor` of gamma; `after` of q, pi and what is left.
    """

    step: Any
    factor: Any
    after: Any


def between(q: Any, pi: Any, left: Any, m: Any) -> list[Any]:
    """q^(1-left) pi^left, normalised."""
    return formulas.geometric_path(q, pi, left, m)


STEPS = Steps(formulas.effective_target, lambda gamma: gamma, between)

EM = Draft(
    "OBJ.em",
    section="beyond",
    kind=Kind.ALGORITHM,
    title=Text("Exact steps contract by gamma", "精确步（EM）以 γ 收缩"),
    finding=Text(
        "A step to the effective target multiplies Hilbert's distance to q_gamma by exactly gamma,"
        " so that k steps leave gamma^k; at gamma = 1 nothing contracts, and pi_k ~ pi_0 r^k.",
        "每次走到有效目标，到 q_γ 的 Hilbert 距离恰乘 γ，k 步后剩 γ^k；"
        "γ=1 时不收缩，π_k ∝ π_0 r^k。",
    ),
    statement=r"\pi_{k+1} = \pi^{\mathrm{eff}}_\gamma(\pi_k):\quad"
    r" d_H(\pi_{k+1}, q_\gamma) = \gamma\,d_H(\pi_k, q_\gamma),\quad"
    r" \pi_k \propto q_\gamma^{1-\gamma^k}\pi_0^{\gamma^k},\quad"
    r" d_H(p, q) = \max\log\tfrac pq - \min\log\tfrac pq",
    subject=STEPS,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD, MUTUAL_SUPPORT),
    uses=("T4.2.a", "KEY4.2.c", "P5.3.fix"),
    sharpens=("T4.2.a", "KEY4.2.c", "P5.3.fix"),
    source="new here",
    reading="0 < gamma < 1 and finitely many outcomes; a step fits pi to the target exactly, the "
    "target being held",
)


def pair(law: Any) -> Any:
    """Return the log-ratio of the first two outcomes; what normalises them drops out of it."""
    first, second = (sympy.expand_log(sympy.log(x), force=True) for x in law[:2])
    return sympy.expand(first - second)


@EM.symbolic(
    Scope("every pair of outcomes, whose log-ratios the distance is made of; by induction", True)
)
def _(steps: Any) -> Answer:
    """Log-ratios of two outcomes before and after a step, and after k steps and one more."""
    mu, pi, reward = [MU, A], [PI, B], [R, D]
    # The weights of the pair: a normalisation, over however many outcomes, is common to both.
    q = formulas.fixed_point(mu, reward, SHARE, Exact)
    apart = pair(pi) - pair(q)
    moved = pair(steps.step(mu, pi, reward, SHARE, Exact)) - pair(q)
    later = steps.after(q, pi, KEPT, Exact)
    then = pair(steps.step(mu, later, reward, SHARE, Exact))
    reached = pair(steps.after(q, pi, steps.factor(SHARE) * KEPT, Exact))
    start = pair(steps.after(q, pi, sympy.Integer(1), Exact)) - pair(pi)
    at_one = pair(steps.step(mu, pi, reward, sympy.Integer(1), Exact)) - pair(pi)
    return all_of(
        [
            symbolic.equal(moved, steps.factor(SHARE) * apart),
            symbolic.equal(then, reached),
            symbolic.equal(start, 0),
            symbolic.equal(at_one, sympy.log(R / D)),
        ]
    )


def hilbert(p: Any, q: Any) -> Any:
    """Hilbert's distance of two laws in balls."""
    levels = [Ball.log(a / b) for a, b in zip(p, q, strict=True)]
    return -reduce(Ball.minimum, [-x for x in levels]) - reduce(Ball.minimum, levels)


START = fractions("49/50 1/100 1/100")
FAR = [
    (Finite(law.mu, START if len(law.mu) == 3 else law.pi, law.reward), Fraction(g))
    for law in (THREE_ARMS, FOUR_ARMS)
    for g in ("3/5", "1/4")
]


@EM.certified(Scope("two laws, two exponents, three steps"))
def _(steps: Any) -> Answer:
    """Distances before and after each of three steps, and the law after them."""
    answers = []
    for law, exponent in FAR:
        mu, policy, reward = law.numbers(Ball)
        start, gamma, at = policy, Ball.number(exponent), witness_of(law, gamma=exponent)
        q = formulas.fixed_point(mu, reward, gamma, Ball)
        found, stated, left = [], [], flint.arb(1)
        for _ in range(3):
            before = hilbert(policy, q)
            policy = steps.step(mu, policy, reward, gamma, Ball)
            left = left * steps.factor(gamma)
            found += [hilbert(policy, q), *policy]
            stated += [steps.factor(gamma) * before, *steps.after(q, start, left, Ball)]
        answers.append(certified.agree(found, stated, witnesses=[at] * len(found)))
    return all_of(answers)


@EM.neural(Scope("two laws, two exponents"))
def _(steps: Any) -> Answer:
    """The step is where the loss with weights held has no slope; its logits, against q's."""
    answers = []
    for law, exponent in FAR:
        mu, pi, reward = law.numbers(Real)
        gamma, at = float(exponent), witness_of(law, gamma=exponent)
        held = neural.tensor(weights(mu, pi, reward, gamma, Real))
        target = neural.tensor(steps.step(mu, pi, reward, gamma, Real)).log()

        def fit(z: Any, held: Any = held) -> Any:
            return (held * z.log_softmax(0)).sum()

        q = neural.tensor(formulas.fixed_point(mu, reward, gamma, Real)).log()
        before, after = (x - q for x in (neural.tensor(pi).log(), target))
        spread = [float(x.max() - x.min()) for x in (before, after)]
        answers += [
            neural.close(neural.gradient(fit, target), [0] * len(mu), witness=at),
            neural.close([spread[1]], [steps.factor(gamma) * spread[0]], witness=at),
        ]
    return all_of(answers)


@EM.without(POSITIVE_REWARD)
@EM.without(MUTUAL_SUPPORT)
def _(steps: Any, law: Finite) -> Answer:
    """Take 100 steps at gamma = 1/2, which leave 2^-100 of the log-ratios."""
    mu, policy, reward = law.numbers(Ball)
    half, at = Ball.number(HALF), witness_of(law, gamma=HALF)
    first = is_law(steps.step(mu, policy, reward, half, Ball), at)
    for _ in range(100):
        policy = steps.step(mu, policy, reward, half, Ball)
    q = formulas.normalised([a * r * r for a, r in zip(mu, reward, strict=True)])
    tiny = Ball.number(Fraction(1, 2**80))
    return all_of(
        [
            first,
            *(
                certified.compare(abs(p - x), "<", tiny, witness=at)
                for p, x in zip(policy, q, strict=True)
            ),
        ]
    )


def _exchanged(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.effective_target(mu, pi, reward, 1 - gamma, m)


def _unrewarded(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.geometric_path(mu, pi, gamma, m)


EM.wrong_value("1 - gamma", STEPS._replace(factor=lambda gamma: 1 - gamma))
EM.wrong_value("gamma squared", STEPS._replace(factor=lambda gamma: gamma * gamma))
EM.wrong_value("exponents of the target exchanged", STEPS._replace(step=_exchanged))
EM.wrong_value("a step without reward", STEPS._replace(step=_unrewarded))
EM.wrong_value(
    "pi and q exchanged", STEPS._replace(after=lambda q, pi, left, m: between(pi, q, left, m))
)


@EM.number("three steps at gamma = 3/5 from (49/50, 1/100, 1/100), r = (1, 2, 4)")
def _() -> str:
    mu, policy, reward = FAR[0][0].numbers(Ball)
    for _ in range(3):
        policy = formulas.effective_target(mu, policy, reward, Ball.number("3/5"), Ball)
    return ", ".join(map(certified.digits, policy))


class Gain(NamedTuple):
    """What log J gains in an exact step, and at least gains on the way to any other policy.

    `exact` is of the target, pi and gamma, `bound` of the target, pi, the other and gamma.
    """

    exact: Any
    bound: Any


def exact_gain(target: Any, pi: Any, gamma: Any, m: Any) -> Any:
    """Gamma D_(1+gamma)(pi_eff || pi)."""
    return gamma * formulas.renyi(formulas.moment(pi, target, 1 + gamma, m), 1 + gamma, m)


def least_gain(target: Any, pi: Any, other: Any, gamma: Any, m: Any) -> Any:
    """Gamma E_eff[log(other/pi)]."""
    rows = zip(target, pi, other, strict=True)
    return gamma * sum(t * m.log(o / p) for t, p, o in rows)


GAIN = Gain(exact_gain, least_gain)

RISE = Draft(
    "OBJ.rise",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("A better fit to the target never lowers J", "更好地拟合目标不会降低 J"),
    finding=Text(
        "Any policy, of whatever family, that fits the effective target better than pi has a larger"
        " J; the exact step raises log J by exactly gamma D_(1+gamma)(pi_eff || pi).",
        "任何比 π 更好拟合有效目标的策略都使 J 增大，与策略族无关；精确步使 log J 恰增"
        " γ D_{1+γ}(π_eff‖π)。",
    ),
    statement=r"\log\frac{J_\gamma(\pi')}{J_\gamma(\pi)} \ge \log\mathbb{E}_{\mathrm{eff}}"
    r"\bigl[(\pi'/\pi)^\gamma\bigr] \ge \gamma\,\mathbb{E}_{\mathrm{eff}}[\log(\pi'/\pi)],\quad"
    r" \log\frac{J_\gamma(\pi^{\mathrm{eff}}_\gamma)}{J_\gamma(\pi)}"
    r" = \gamma D_{1+\gamma}(\pi^{\mathrm{eff}}_\gamma\|\pi) \ge 0",
    subject=GAIN,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T4.2.a", "D6.1", "OBJ.maximiser"),
    sharpens=("T4.2.a", "LST12.1.loss"),
    source="the bound is EM's, Dempster, Laird and Rubin 1977; the exact gain is new here",
    reading="gamma > 0, J = E_mu[r w^gamma]/gamma > 0; the first is an equality exactly where pi' "
    "takes no rewarded outcome of mu that pi misses; where pi' misses what pi_eff takes the bound "
    "is -infinity",
)


@RISE.symbolic(
    Scope(
        "every law: outcome by outcome where pi_eff is positive, the terms of J elsewhere being "
        ">= 0, then Jensen's inequality for log",
        whole=True,
    )
)
def _(gain: Any) -> Answer:
    """The terms of J at another policy, of the bound and of the exact gain, at one outcome."""
    other, c = D, sympy.Symbol("c", positive=True)
    own = MU * (PI / MU) ** GAMMA * R
    # c = E_mu[w^gamma r], and pi_eff is own/c.
    change = (other / PI) ** GAMMA
    bound = gain.bound([Q], [PI], [other], GAMMA, Exact)
    moment = sympy.exp(gain.exact([Q], [PI], GAMMA, Exact))
    return all_of(
        [
            symbolic.equal(MU * (other / MU) ** GAMMA * R / c, own / c * change),
            symbolic.equal(bound, Q * sympy.expand_log(sympy.log(change), force=True)),
            symbolic.equal(moment, Q * (Q / PI) ** GAMMA),
            # What pi misses and pi' takes: no part of pi_eff, and more of J.
            symbolic.positive(MU * (other / MU) ** GAMMA * R),
        ]
    )


MISSING = Finite.of("2/5 3/10 3/10", "4/5 1/5 0", "1 2 4")


def beyond_pi(gain: Any) -> Answer:
    """Compare J at a policy that takes what pi misses: above the mean, and that above the bound."""
    mu, pi, reward = MISSING.numbers(Ball)
    half, other = Ball.number(HALF), [Ball.number(x) for x in ("2/5", "1/2", "1/10")]
    target = formulas.normalised(weights(mu, pi, reward, half, Ball))
    here, there = (objective(mu, p, reward, half, Ball) for p in (pi, other))
    seen = list(zip(target, pi, other, strict=True))[:2]
    mean = sum(t * Ball.power(o / p, half) for t, p, o in seen)
    least = gain.bound(*zip(*seen, strict=True), half, Ball)
    at = witness_of(MISSING, gamma=HALF)
    return all_of(
        [
            certified.compare(there / here, ">", mean, witness=at),
            certified.compare(Ball.log(mean), ">", least, witness=at),
        ]
    )


@RISE.certified(Scope("two laws, two exponents, three other policies each; one that pi misses"))
def _(gain: Any) -> Answer:
    """Objectives summed at the target, and at three policies beside their bounds."""
    answers = [beyond_pi(gain)]
    for law, exponent in FAR:
        mu, pi, reward = law.numbers(Ball)
        gamma, at = Ball.number(exponent), witness_of(law, gamma=exponent)
        target = formulas.normalised(weights(mu, pi, reward, gamma, Ball))
        base = objective(mu, pi, reward, gamma, Ball)

        def log_gain(
            policy: Any, mu: Any = mu, r: Any = reward, g: Any = gamma, base: Any = base
        ) -> Any:
            return Ball.log(objective(mu, policy, r, g, Ball) / base)

        exact = gain.exact(target, pi, gamma, Ball)
        answers.append(certified.agree([log_gain(target)], [exact], witnesses=[at]))
        for other in (mu, formulas.normalised(reward), target):
            least = gain.bound(target, pi, other, gamma, Ball)
            answers.append(certified.compare(log_gain(other), ">", least, witness=at))
    return all_of(answers)


@RISE.neural(Scope("two laws, two exponents"))
def _(gain: Any) -> Answer:
    """The bound touches log J at pi: the two have one gradient in the other policy's logits."""
    answers = []
    for law, exponent in FAR:
        gamma, at = float(exponent), witness_of(law, gamma=exponent)
        mu, pi, reward = law.numbers(Tensor)
        target = formulas.normalised(weights(mu, pi, reward, gamma, Tensor))

        def bound(z: Any, target: Any = target, pi: Any = pi, g: float = gamma) -> Any:
            return gain.bound(target, pi, list(z.softmax(0)), g, Tensor)

        def log_objective(z: Any, mu: Any = mu, r: Any = reward, g: float = gamma) -> Any:
            return Tensor.log(objective(mu, list(z.softmax(0)), r, g, Tensor))

        here = neural.tensor(law.pi).log()
        slopes = [neural.gradient(side, here) for side in (log_objective, bound)]
        answers.append(neural.close(*slopes, witness=at))
    return all_of(answers)


@RISE.margin(
    *(spaces.finite(k, reward=("1/10", "4"), laws=("other",), gamma=("1/10", "1")) for k in (2, 3))
)
def _(gain: Any, case: Any, m: Any) -> Any:
    mu, pi, reward = case.model.numbers(m)
    gamma, other = m.number(case["gamma"]), [m.number(x) for x in case.laws["other"]]
    target = formulas.normalised(weights(mu, pi, reward, gamma, m))
    here, there = (objective(mu, p, reward, gamma, m) for p in (pi, other))
    return m.log(there / here) - gain.bound(target, pi, other, gamma, m)


@RISE.without(NONNEGATIVE_REWARD)
def _(gain: Any, law: Finite) -> Answer:
    # gamma = 1: J is E_pi[r] at pi, and the means under pi_eff are rational but for logarithms.
    mu, pi, reward = law.numbers(Ball)
    one = flint.arb(1)
    target = formulas.normalised([b * r for b, r in zip(pi, reward, strict=True)])
    at = witness_of(law, gamma=1)
    here, there = (objective(mu, p, reward, one, Ball) for p in (pi, mu))
    bound = gain.bound(target, pi, mu, one, Ball)
    return all_of(
        [
            is_law(target, at),
            certified.compare(Ball.log(there / here), ">=", bound, witness=at),
        ]
    )


RISE.wrong_value(
    "no gamma in the bound",
    GAIN._replace(bound=lambda t, p, o, gamma, m: least_gain(t, p, o, m.number(1), m)),
)
RISE.wrong_value(
    "means under pi", GAIN._replace(bound=lambda t, p, o, gamma, m: least_gain(p, p, o, gamma, m))
)
RISE.wrong_value(
    "D of order gamma",
    GAIN._replace(
        exact=lambda t, p, gamma, m: (
            gamma * formulas.renyi(formulas.moment(p, t, gamma, m), gamma, m)
        )
    ),
)
RISE.wrong_value(
    "D(pi || pi_eff)", GAIN._replace(exact=lambda t, p, gamma, m: exact_gain(p, t, gamma, m))
)

CLAIMS = frozen(EM, RISE)
