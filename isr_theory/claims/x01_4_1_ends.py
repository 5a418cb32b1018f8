"""Past section 2: the ends of the family.

q_gamma runs from mu r to the best outcomes of mu. Without rewards g_gamma/(1-gamma) runs from minus
the gradient of KL(mu || pi) to that of KL(pi || mu): the reverse KL of the family is to mu.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD, PI_IN_MU, UNIT_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, R, S, along_logits, slope
from isr_theory.claims.s04_3_target import is_law
from isr_theory.claims.x01_2_1_summit import SHARE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

A, B, D, H = sympy.symbols("a b d h", positive=True)


class Ends(NamedTuple):
    """The summit of mu, r and gamma; its limit at 0 of mu and r; at 1 of mu and the shortfalls.

    The shortfall of an outcome is how much less than the largest reward it earns.
    """

    law: Any
    zero: Any
    one: Any


def kept(mu: Any, shortfalls: Any) -> list[Any]:
    """Mu on the outcomes that earn the most, normalised."""
    return formulas.normalised(
        [a if d == 0 else 0 * a for a, d in zip(mu, shortfalls, strict=True)]
    )


def tilted(mu: Any, reward: Any) -> list[Any]:
    """Mu r, normalised."""
    return formulas.normalised([a * r for a, r in zip(mu, reward, strict=True)])


ENDS = Ends(formulas.fixed_point, tilted, kept)

LIMITS = Draft(
    "OBJ.limits",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The two ends of the summits", "q_γ 的两端极限"),
    finding=Text(
        "q_gamma runs from mu r, reward-weighted imitation, to mu on the best outcomes; what falls"
        " short by d in log-reward dies as e^(-d/(1-gamma)).",
        "q_γ 从 μ r（按奖励加权的模仿）走到 μ 在最优结果上的条件分布；"
        "对数奖励差 d 的结果按 e^{−d/(1−γ)} 消失。",
    ),
    statement=r"q_\gamma \to \mu r/\mathbb{E}_\mu[r]\ (\gamma\to 0),\quad"
    r" q_\gamma \to \mu(\cdot \mid r = \max r)\ (\gamma \to 1),\quad"
    r" \frac{q_\gamma(y)}{q_\gamma(y')} = \frac{\mu(y)}{\mu(y')}"
    r"\Bigl(\frac{r(y)}{r(y')}\Bigr)^{1/(1-\gamma)}",
    subject=ENDS,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("OBJ.maximiser", "T2.1.a"),
    sharpens=("P5.3.fix", "T2.1.a"),
    source="new here",
    reading="finitely many outcomes, each with mass in mu; ties for the largest reward share as in "
    "mu",
)


@LIMITS.symbolic(Scope("every pair of outcomes, so any finite number of them", whole=True))
def _(ends: Any) -> Answer:
    """The ratio of two outcomes, the second with its log-reward d below; its two limits."""
    short = R * sympy.exp(-D)
    law = ends.law([MU, A], [R, short], SHARE, Exact)
    level = sympy.expand_log(sympy.log(sympy.powsimp(sympy.simplify(law[1] / law[0]))), force=True)
    stated = sympy.log(A / MU) - D * (1 + GAMMA)
    tied = ends.law([MU, A], [R, R], SHARE, Exact)
    answers = [
        symbolic.equal(level, stated, reduce=_expanded),
        symbolic.equal(sympy.limit(sympy.exp(-D * (1 + GAMMA)), GAMMA, sympy.oo), 0),
        symbolic.equal(tied[1], A / (MU + A)),
    ]
    # SHARE is 0 at GAMMA = 0, where the ratio is continuous.
    at_zero = [x.subs(GAMMA, 0) for x in ends.law([MU, A], [R, B], SHARE, Exact)]
    for x, y in zip(at_zero, ends.zero([MU, A], [R, B]), strict=True):
        answers.append(symbolic.equal(x, y))
    best = ends.one([MU, A, B], [0, 0, D])
    for x, y in zip(best, [MU / (MU + A), A / (MU + A), 0], strict=True):
        answers.append(symbolic.equal(x, y))
    return all_of(answers)


def _expanded(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(difference, force=True))


# Two of the rewards are tied, and one is 0.
TIED = Finite.of("2/5 3/10 1/5 1/10", "1/10 1/5 3/10 2/5", "3 0 1 3")
LAWS = (THREE_ARMS, FOUR_ARMS, TIED)


def shortfalls(law: Finite) -> list[Fraction]:
    """How much less than the largest reward each outcome earns."""
    return [max(law.reward) - r for r in law.reward]


@LIMITS.certified(Scope("three laws, one with a tie and a reward of 0; gamma = 2^-60, 1 - 2^-10"))
def _(ends: Any) -> Answer:
    """The summit near both ends against the exact limits."""
    # d/(1-gamma) is at least 1024 log(3/2), about 415: e^-415 is far below 2^-50.
    answers, bound = [], Ball.number(Fraction(1, 2**50))
    for law in LAWS:
        mu, _, reward = law.numbers(Ball)
        limits = {
            Fraction(1, 2**60): ends.zero(law.mu, law.reward),
            1 - Fraction(1, 2**10): ends.one(law.mu, shortfalls(law)),
        }
        for gamma, limit in limits.items():
            near = ends.law(mu, reward, Ball.number(gamma), Ball)
            at = witness_of(law, gamma=gamma)
            answers += [
                certified.compare(abs(x - Ball.number(y)), "<", bound, witness=at)
                for x, y in zip(near, limit, strict=True)
            ]
    return all_of(answers)


@LIMITS.neural(Scope("two laws, gamma = 0 and 0.99"))
def _(ends: Any) -> Answer:
    """Maximum likelihood of mu r has no slope at the one end; a softmax of logits at the other."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        start = neural.tensor(ends.zero(law.mu, law.reward)).log()

        def likelihood(z: Any, mu: Any = mu, r: Any = reward) -> Any:
            return (mu * r * z.log_softmax(0)).sum()

        # (2/3)^100 is below 1e-17.
        sharp = (mu.log() + 100 * reward.log()).softmax(0)
        answers += [
            neural.close(
                neural.gradient(likelihood, start), [0] * len(mu), witness=witness_of(law, gamma=0)
            ),
            neural.close(
                sharp, ends.one(law.mu, shortfalls(law)), witness=witness_of(law, gamma="99/100")
            ),
        ]
    return all_of(answers)


@LIMITS.without(NONNEGATIVE_REWARD)
def _(ends: Any, law: Finite) -> Answer:
    # 1/(1-gamma) = 200: an even power, in which a reward of -3 outweighs one of 1.
    mu, _, reward = law.numbers(Exact)
    at, gamma = witness_of(law, gamma=Fraction(199, 200)), sympy.Rational(199, 200)
    near = ends.law(mu, reward, gamma, Exact)
    limit = ends.one(mu, shortfalls(law))
    small = sympy.Rational(1, 2**40)
    zero = is_law([Ball.number(p) for p in ends.zero(law.mu, law.reward)], at)
    return all_of(
        [
            zero,
            *(
                symbolic.compare(sympy.Abs(x - y), "<", small, witness=at)
                for x, y in zip(near, limit, strict=True)
            ),
        ]
    )


def _uniform(mu: Any, shorts: Any) -> list[Any]:
    return formulas.normalised(
        [a / a if d == 0 else 0 * a for a, d in zip(mu, shorts, strict=True)]
    )


LIMITS.wrong_value("mu, without the reward, at 0", ENDS._replace(zero=lambda mu, r: list(mu)))
LIMITS.wrong_value("uniform on the best", ENDS._replace(one=_uniform))
LIMITS.wrong_value(
    "r^(1/gamma)", ENDS._replace(law=lambda mu, r, g, m: formulas.fixed_point(mu, r, 1 - g, m))
)
LIMITS.wrong_value("mu itself at 1", ENDS._replace(one=lambda mu, d: list(mu)))


def reverse_term(mu: Any, pi: Any, m: Any) -> Any:
    """-w log w under mu: what is left of w^gamma/(1-gamma) as gamma -> 1, less a multiple of w."""
    return -pi * m.log(pi / mu)


REVERSE = Draft(
    "OBJ.reverse",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The reverse KL of the family is to mu", "该族中的反向 KL 指向 μ"),
    finding=Text(
        "Without rewards g_gamma dies as 1 - gamma, and g_gamma/(1-gamma) tends to minus the"
        " gradient of KL(pi || mu): divided so, the family leads from forward to reverse KL, and"
        " both imitate mu.",
        "r≡1 时 g_γ 按 1−γ 消失，而 g_γ/(1−γ) → −∇KL(π‖μ)：如此归一化后，"
        "该族从前向 KL 连到反向 KL，两端都是模仿 μ。",
    ),
    statement=r"\lim_{\gamma\to1}\frac{g_\gamma}{1-\gamma}"
    r" = -\mathbb{E}_\mu[w\log w\;\nabla_\theta\log\pi_\theta]"
    r" = -\nabla_\theta D_{KL}(\pi_\theta\|\mu),\quad r \equiv 1",
    subject=reverse_term,
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD, PI_IN_MU),
    uses=("OBJ.csiszar", "OBJ.maximiser"),
    sharpens=("TAB2.3.2.fix", "GEN13.2.1", "S9.2.b.fix"),
    source="new here; that Amari's divergences have the two KLs as limits is Amari's (1985)",
    reading="finitely many outcomes; at gamma = 0 the same quotient is g_0 = -grad KL(mu || pi)",
)


@REVERSE.symbolic(Scope("every pi << mu: outcome by outcome; E_mu[w s] = E_pi[s] = 0", whole=True))
def _(term: Any) -> Answer:
    """The limit of mu (w^gamma - w)/(1-gamma), and the slope of pi log(pi/mu), less pi s."""
    w = PI / MU
    # w^(1-h) - w = w (e^(-h log w) - 1).
    quotient = MU * w * (sympy.exp(-H * sympy.log(w)) - 1) / H
    divergence = slope(MOVING * sympy.log(MOVING / MU)) - PI * S
    stated = term(MU, PI, Exact)
    return all_of(
        [
            symbolic.equal(sympy.limit(quotient, H, 0), stated, reduce=_expanded),
            symbolic.equal(-divergence, stated * S, reduce=_expanded),
        ]
    )


def unrewarded(law: Finite) -> Finite:
    """The law with r = 1."""
    return replace(law, reward=(Fraction(1),) * len(law.mu))


def near_one(term: Any, law: Finite, bound: Fraction) -> Answer:
    """Compare g_gamma/(1-gamma) at 1 - gamma = 2^-60 with the sum of the term and the score."""
    small = Ball.number(Fraction(1, 2**60))
    gamma, at = 1 - small, witness_of(law)
    rows = [row for row in zip(*law.numbers(Ball), strict=True) if row[0] > 0]
    pi = law.numbers(Ball)[1]
    pulls = [a * Ball.power(b / a, gamma) * r / small for a, b, r in rows]
    limits = [term(a, b, Ball) if b > 0 else flint.arb(0) for a, b, _ in rows]
    places = [y for y, a in enumerate(law.mu) if a > 0]
    answers = []
    for k, p in enumerate(pi):
        scores = [(y == k) - p for y in places]
        near, limit = (
            sum((x * s for x, s in zip(side, scores, strict=True)), flint.arb(0))
            for side in (pulls, limits)
        )
        answers.append(certified.compare(abs(near - limit), "<", Ball.number(bound), witness=at))
    return all_of(answers)


@REVERSE.certified(Scope("two laws, 1 - gamma = 2^-60; every logit"))
def _(term: Any) -> Answer:
    """The quotient near 1, and the power series of KL(pi || mu) in the logits."""
    answers = []
    for law in map(unrewarded, (THREE_ARMS, FOUR_ARMS)):
        mu, pi, _ = law.numbers(Ball)
        answers.append(near_one(term, law, Fraction(1, 2**40)))

        def divergence(policy: list[Any], mu: Any = mu) -> Any:
            return formulas.kl(policy, mu, Jet)

        slopes = along_logits(divergence, pi)
        terms = [term(a, b, Ball) for a, b in zip(mu, pi, strict=True)]
        total = sum(terms, flint.arb(0))
        stated = [x - total * b for x, b in zip(terms, pi, strict=True)]
        answers.append(
            certified.agree(stated, [-x for x in slopes], witnesses=[witness_of(law)] * len(mu))
        )
    return all_of(answers)


@REVERSE.neural(Scope("two laws, every logit"))
def _(term: Any) -> Answer:
    """Autograd of KL(pi || mu), against terms times scores."""
    answers = []
    for law in map(unrewarded, (THREE_ARMS, FOUR_ARMS)):
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def divergence(z: Any, mu: Any = mu) -> Any:
            return (z.softmax(0) * (z.log_softmax(0) - mu.log())).sum()

        terms = term(mu, pi, Tensor)
        stated = terms - terms.sum() * pi
        slopes = neural.gradient(divergence, logits(law))
        answers.append(neural.close(stated, -slopes, witness=witness_of(law)))
    return all_of(answers)


@REVERSE.without(UNIT_REWARD)
@REVERSE.without(PI_IN_MU)
def _(term: Any, law: Finite) -> Answer:
    return near_one(term, law, Fraction(1, 2**40))


@REVERSE.wrong("the sign")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return pi * m.log(pi / mu)


@REVERSE.wrong("the forward KL")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return mu + 0 * pi


@REVERSE.wrong("log w under mu")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return -mu * m.log(pi / mu)


@REVERSE.wrong("twice too large")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 2 * reverse_term(mu, pi, m)


CLAIMS = frozen(LIMITS, REVERSE)
