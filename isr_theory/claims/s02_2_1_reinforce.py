"""Section 2.2: f(w) = w, the policy gradient, and what entropy makes of the expected reward.

Under mu the weight w turns the mean into one under pi, so f(w) = w is REINFORCE; and E_pi[r] with
tau H(pi) added is tau log Z - tau KL(pi || p*). The two are separate statements: the first
objective has no entropy in it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import FINITE_PARTITION, PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, R, S, along_logits, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

TAU = sympy.Symbol("tau", positive=True)
REWARD, REST_REWARD = sympy.symbols("r r_rest", real=True)
NOTHING = sympy.Integer(0)


def policy_term(mu: Any, pi: Any, reward: Any, score: Any) -> Any:
    """The integrand pi r s of REINFORCE, in which mu does not occur."""
    return pi * reward * score


EQ2_2 = Draft(
    "EQ2.2",
    section="2.2",
    kind=Kind.IDENTITY,
    title=Text("f(w) = w is the REINFORCE gradient", "f(w)=w 即 REINFORCE 策略梯度"),
    finding=Text(
        "True where mu covers pi: E_mu[w r s] = E_pi[r s] = grad E_pi[r].",
        "μ 覆盖 π 时成立：E_μ[w r s] = E_π[r s] = ∇E_π[r]。",
    ),
    statement=r"\mathbb{E}_\mu[w\, r\, \nabla_\theta\log\pi_\theta]"
    r" = \mathbb{E}_{\pi_\theta}[r\, \nabla_\theta\log\pi_\theta]"
    r" = \nabla_\theta\,\mathbb{E}_{\pi_\theta}[r]",
    subject=policy_term,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D1.1",),
    reading="'exactly REINFORCE' is both equalities; the reward carries no gradient",
)


@EQ2_2.symbolic(
    Scope(
        "every outcome space on which the gradient passes under the integral: outcome by outcome, "
        "also one that pi never takes, then by linearity",
        whole=True,
    )
)
def _(term: Any) -> Answer:
    """Mu w r s, and the slope of pi r, outcome by outcome."""
    right = term(MU, PI, R, S)
    return all_of(
        [
            symbolic.equal(MU * (PI / MU) * R * S, right),
            symbolic.equal(slope(MOVING * R), right),
            symbolic.equal(MU * (NOTHING / MU) * R * S, term(MU, NOTHING, R, S)),
        ]
    )


@EQ2_2.without(PI_IN_MU)
def _(term: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    rows = list(zip(mu, pi, reward, strict=True))
    weighted, plain = [], []
    for k, here in enumerate(pi):
        scored = [(*row, int(y == k) - here) for y, row in enumerate(rows)]
        # What mu never takes is not seen under mu.
        seen = [a * (b / a) * r * s for a, b, r, s in scored if a > 0]
        weighted.append(sum(seen, flint.arb(0)))
        plain.append(sum((term(*row) for row in scored), flint.arb(0)))
    slopes = along_logits(
        lambda policy: sum(r * p for r, p in zip(reward, policy, strict=True)), pi
    )
    return certified.agree(weighted + slopes, plain * 2, witnesses=[witness_of(law)] * 2 * len(pi))


def density(x: Any) -> Any:
    """The standard normal density, but for its constant."""
    return (-x * x / 2).exp()


SHIFT = Fraction(1, 2)


@cache
def weighted_mean() -> Any:
    """E_mu[w r s] by quadrature for mu = N(0, 1), pi = N(1/2, 1) and r = y^2."""
    t = Ball.number(SHIFT)

    def integrand(y: Any) -> Any:
        w = (t * y - t * t / 2).exp()
        return w * y * y * (y - t)

    # |y^2 (y - t)| <= 16 e^|y|, and w <= e^|y|.
    return certified.gaussian_expectation(integrand, growth=2, constant=16)


@EQ2_2.certified(Scope("mu = N(0, 1), pi = N(1/2, 1), r = y^2"))
def _(term: Any) -> Answer:
    """Rigorous quadrature of both sides, and the slope 2 t of E_pi[y^2] = 1 + t^2."""
    t = Ball.number(SHIFT)

    def integrand(y: Any) -> Any:
        return term(density(y), density(y - t), y * y, y - t) / density(y)

    right = certified.gaussian_expectation(integrand, growth=4, constant=16)
    witnesses = [Witness.at(theta=SHIFT)] * 2
    return certified.agree([right] * 2, [weighted_mean(), 2 * t], witnesses=witnesses)


@EQ2_2.neural(Scope("two laws, every logit"))
def _(term: Any) -> Answer:
    """Autograd of E_pi[r] and of the loss with w detached, against terms summed by outcome."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
        at, witness = logits(law), witness_of(law)
        scores = neural.torch().autograd.functional.jacobian(lambda z: z.log_softmax(0), at)
        right = term(mu[:, None], pi[:, None], reward[:, None], scores).sum(0)

        def loss(z: Any, mu: Any = mu, reward: Any = reward) -> Any:
            log_pi = z.log_softmax(0)
            return (mu * (log_pi.exp() / mu).detach() * reward * log_pi).sum()

        def value(z: Any, reward: Any = reward) -> Any:
            return (z.softmax(0) * reward).sum()

        answers += [
            neural.close(right, neural.gradient(side, at), witness=witness)
            for side in (loss, value)
        ]
    return all_of(answers)


@EQ2_2.sampled(Scope("three arms, the second logit"), resolution=0.1)
def _(term: Any, trial: Trial) -> Answer:
    """Samples of mu: the mean of w r s, against terms summed by outcome."""
    law, k = THREE_ARMS, 1
    mu, pi, reward = (np.array(row) for row in law.numbers(Real))
    scores = (np.arange(len(pi)) == k) - pi[k]
    table = pi / mu * reward * scores
    mean = trial.mean(
        "w r s", lambda rng, n: table[law.sample(rng, n)], float(table.min()), float(table.max())
    )
    return trial.agrees(mean, float(term(mu, pi, reward, scores).sum()), witness=witness_of(law))


@EQ2_2.wrong("the mean under mu")
def _(mu: Any, pi: Any, reward: Any, score: Any) -> Any:
    return mu * reward * score + 0 * pi


@EQ2_2.wrong("the weight upside down")
def _(mu: Any, pi: Any, reward: Any, score: Any) -> Any:
    return mu * (mu / pi) * reward * score


@EQ2_2.wrong("weighted and drawn from pi")
def _(mu: Any, pi: Any, reward: Any, score: Any) -> Any:
    return pi * pi / mu * reward * score


@EQ2_2.wrong("no reward")
def _(mu: Any, pi: Any, reward: Any, score: Any) -> Any:
    return pi * score + 0 * reward


T2_2 = Draft(
    "T2.2",
    section="2.2",
    kind=Kind.OPTIMUM,
    title=Text(
        "Reward with entropy is the reverse KL to p*", "带熵正则的期望奖励等价于到 p* 的 Reverse KL"
    ),
    finding=Text(
        "True: E_pi[r] + tau H(pi) = tau log Z - tau KL(pi || p*); it says nothing of f(w) = w, "
        "whose objective has no entropy.",
        "成立：E_π[r] + τH(π) = τ log Z − τ KL(π‖p*)；但它与 f(w)=w 无关，后者的目标不含熵。",
    ),
    statement=r"\mathbb{E}_\pi[r] + \tau H(\pi) = \tau\log Z - \tau D_{KL}(\pi\,\|\,p^*),"
    r"\quad p^* = e^{r/\tau}/Z",
    subject=formulas.soft_optimum,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(FINITE_PARTITION,),
    reading="tau > 0, so the one side falls as the other rises; Z is taken against the measure in "
    "which H is written",
)
SOFT = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 0 2")
SIGNED = Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "-3 1/2 2 0")
POINTS = ((SOFT, Fraction(1, 2)), (SOFT, Fraction(3)), (SIGNED, Fraction(7, 5)))


def at_temperature(law: Finite, tau: Fraction) -> Witness:
    """Name a policy, a reward and a temperature: mu plays no part."""
    return Witness.at(pi=law.pi, reward=law.reward, tau=tau)


@T2_2.symbolic(
    Scope(
        "every law: one outcome that pi takes against the rest, then by linearity of the mean "
        "under pi",
        whole=True,
    )
)
def _(optimum: Any) -> Answer:
    """The integrands r - tau log pi and tau log Z - tau log(pi / p*) are one."""
    # One outcome and the mass of all others give Z any value above e^(r / tau).
    z = sympy.exp(REWARD / TAU) + sympy.exp(REST_REWARD / TAU)
    target = optimum([REWARD, REST_REWARD], TAU, Exact)[0]
    left = REWARD - TAU * sympy.log(PI)
    right = TAU * sympy.log(z) - TAU * sympy.log(PI / target)

    def unroll(d: Any) -> Any:
        return sympy.simplify(sympy.expand_log(sympy.simplify(d), force=True))

    return symbolic.equal(left, right, reduce=unroll)


def regularised(law: Finite, tau: Fraction) -> Any:
    """E_pi[r] + tau H(pi), summed over the outcomes in balls."""
    _, pi, reward = law.numbers(Ball)
    rows = zip(pi, reward, strict=True)
    return sum((p * (r - Ball.number(tau) * Ball.log(p)) for p, r in rows), flint.arb(0))


def log_partition(law: Finite, tau: Fraction) -> Any:
    """Return tau log Z in balls."""
    t = Ball.number(tau)
    total = sum((Ball.exp(Ball.number(r) / t) for r in law.reward), flint.arb(0))
    return t * Ball.log(total)


@T2_2.certified(Scope("three pairs of law and temperature, value and every logit's slope"))
def _(optimum: Any) -> Answer:
    """Both sides summed over the outcomes, and as power series in each logit."""
    answers = []
    for law, tau in POINTS:
        _, pi, reward = law.numbers(Ball)
        t = Ball.number(tau)
        target = optimum(reward, t, Ball)

        def divergence(policy: list[Any], target: list[Any] = target) -> Any:
            return sum(p * Jet.log(p / q) for p, q in zip(policy, target, strict=True))

        def left(policy: list[Any], reward: list[Any] = reward, t: Any = t) -> Any:
            return sum(p * (r - t * Jet.log(p)) for p, r in zip(policy, reward, strict=True))

        rows = zip(pi, target, strict=True)
        here = sum((p * Ball.log(p / q) for p, q in rows), flint.arb(0))
        found = [
            log_partition(law, tau) - t * here,
            *(-t * d for d in along_logits(divergence, pi)),
        ]
        expected = [regularised(law, tau), *along_logits(left, pi)]
        witnesses = [at_temperature(law, tau)] * len(found)
        answers.append(certified.agree(found, expected, witnesses=witnesses))
    return all_of(answers)


@T2_2.neural(Scope("three pairs of law and temperature"))
def _(optimum: Any) -> Answer:
    """Autograd of reward and entropy is -tau times that of the divergence, and 0 at p*."""
    answers = []
    for law, tau in POINTS:
        reward, t = neural.tensor(law.reward), float(tau)
        target = neural.torch().stack(optimum(list(reward), t, Tensor))

        def objective(z: Any, reward: Any = reward, t: float = t) -> Any:
            policy = neural.torch().distributions.Categorical(logits=z)
            return (policy.probs * reward).sum() + t * policy.entropy()

        def divergence(z: Any, target: Any = target) -> Any:
            return (z.softmax(0) * (z.log_softmax(0) - target.log())).sum()

        witness = at_temperature(law, tau)
        slopes = [neural.gradient(side, logits(law)) for side in (objective, divergence)]
        answers.append(neural.close(slopes[0], -t * slopes[1], witness=witness))
        at_best = neural.gradient(objective, target.log())
        answers.append(neural.close(at_best, [0] * len(target), witness=witness))
    return all_of(answers)


@T2_2.sampled(Scope("three arms, tau = 1/2"), resolution=0.05)
def _(optimum: Any, trial: Trial) -> Answer:
    """The mean of r - tau log pi over samples of pi."""
    law, tau = SOFT, Fraction(1, 2)
    _, pi, reward = law.numbers(Real)
    drawn = Finite(law.pi, law.mu, law.reward)
    table = np.array(reward) - float(tau) * np.log(pi)
    mean = trial.mean(
        "r - tau log pi",
        lambda rng, n: table[drawn.sample(rng, n)],
        float(table.min()),
        float(table.max()),
    )
    target = np.array(optimum(reward, float(tau), Real))
    log_z = np.log(np.exp(np.array(reward) / float(tau)).sum())
    divergence = float(np.array(pi) @ np.log(np.array(pi) / target))
    value = float(tau) * (log_z - divergence)
    return trial.agrees(mean, value, witness=at_temperature(law, tau))


T2_2.meaningless_without(
    FINITE_PARTITION,
    "where Z is infinite there is no law p*, and where Z is finite and H(pi) is +infinity, E_pi[r] "
    "is -infinity, so that the left side is one infinity less another",
)


@T2_2.wrong("tau r for r / tau")
def _(reward: Any, tau: Any, m: Any) -> Any:
    return formulas.normalised([m.exp(r * tau) for r in reward])


@T2_2.wrong("sign of the reward")
def _(reward: Any, tau: Any, m: Any) -> Any:
    return formulas.normalised([m.exp(-r / tau) for r in reward])


@T2_2.wrong("tau left out")
def _(reward: Any, tau: Any, m: Any) -> Any:
    return formulas.normalised([m.exp(r + 0 * tau) for r in reward])


@T2_2.wrong("not normalised")
def _(reward: Any, tau: Any, m: Any) -> Any:
    return [m.exp(r / tau) for r in reward]


AT = "at r = (1, 0, 2), tau = 1/2, pi = (1/5, 3/10, 1/2)"


@T2_2.number("p* at r = (1, 0, 2), tau = 1/2")
def _() -> str:
    target = formulas.soft_optimum(SOFT.numbers(Ball)[2], Ball.number("1/2"), Ball)
    return ", ".join(certified.digits(p) for p in target)


@T2_2.number(f"E_pi[r] + tau H(pi) {AT}")
def _() -> str:
    return certified.digits(regularised(SOFT, Fraction(1, 2)))


@T2_2.number(f"KL(pi || p*) {AT}")
def _() -> str:
    _, pi, reward = SOFT.numbers(Ball)
    target = formulas.soft_optimum(reward, Ball.number("1/2"), Ball)
    return certified.digits(formulas.kl(pi, target, Ball))


@T2_2.number("tau log Z, the largest value, at r = (1, 0, 2), tau = 1/2")
def _() -> str:
    return certified.digits(log_partition(SOFT, Fraction(1, 2)))


CLAIMS = frozen(EQ2_2, T2_2)
