"""The abstract, third promise: a smooth passage from mean-seeking to mode-seeking.

An unrestricted policy does pass smoothly, from mu r to the outcomes of largest r. A restricted one
may stay where it is and then jump: the best softmax policy with one feature on three outcomes does.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import POSITIVE_REWARD
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

GAP, GAMMA, P = sympy.symbols("gap gamma p", positive=True)
A, B, C, RA, RB, RC = sympy.symbols("a b c r_a r_b r_c", positive=True)
U = sympy.symbols("u", real=True)


def unroll(expression: Any) -> Any:
    """Write logarithms of positive products and powers as sums."""
    return sympy.simplify(sympy.expand_log(expression, force=True))


def reshaped_objective(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    """E_mu[w^gamma r] = sum mu^(1-gamma) pi^gamma r, whose gradient is gamma g_gamma."""
    rows = zip(mu, pi, reward, strict=True)
    return sum(m.power(a, 1 - gamma) * m.power(b, gamma) * r for a, b, r in rows)


ABS_3 = Draft(
    "ABS.3",
    section="abstract",
    kind=Kind.HEURISTIC,
    title=Text(
        "A smooth passage from mean-seeking to mode-seeking",
        "从 mean-seeking 到 mode-seeking 的平滑过渡",
    ),
    finding=Text(
        "False for a restricted policy: the best one-feature softmax on three arms stays at the "
        "mean until it jumps.",
        "对受限策略族不成立：三臂单特征 softmax 的最优解停在均值处，随后跳变。",
    ),
    statement=r"\gamma \mapsto \arg\max_\theta \mathbb{E}_\mu[w^\gamma r]"
    r"\ \text{is continuous from its limit at } 0",
    subject=reshaped_objective,
    expect=Verdict.REFUTED,
    uses=("D4.1",),
    reading="behaviour is the policy that the objective of g_gamma prefers, in a smooth family; "
    "'smoothly' asks at least that it depends on gamma continuously",
)
# mu is uniform, r = (16, 1, 16) has two modes and a valley, and the policy is softmax(u, 0, -u).
# As gamma -> 0 the objective becomes E_mu[r log pi], concave in u, with its maximum at u = 0. If
# u = 0 is a strict local maximum for every gamma up to 2/3, a continuous path of maximisers that
# starts there cannot leave it by 2/3, so u = 0 must still be the best of all at 2/3.
THIRDS, TWO_MODES = (Fraction(1, 3),) * 3, (16, 1, 16)
FAR = (Fraction(729, 757), Fraction(27, 757), Fraction(1, 757))
"""The policy at u = log 27."""
JUMP = Witness.at(mu=THIRDS, pi=THIRDS, rival=FAR, reward=TWO_MODES, gamma=Fraction(2, 3))


def at_mean_and_far(objective: Any, m: Any) -> tuple[Any, Any]:
    """The objective at u = 0 and at u = log 27, for gamma = 2/3."""
    mu, far, reward = ([m.number(x) for x in row] for row in (THIRDS, FAR, TWO_MODES))
    gamma = m.number("2/3")
    return objective(mu, mu, reward, gamma, m), objective(mu, far, reward, gamma, m)


@ABS_3.symbolic(Scope("the witness"))
def _(objective: Any) -> Answer:
    """Where u = 0 is a strict local maximum for all gamma up to 2/3, u = log 27 is better."""
    mu = [sympy.Rational(1, 3)] * 3
    policy = formulas.normalised([sympy.exp(U), sympy.Integer(1), sympy.exp(-U)])
    along = objective(mu, policy, TWO_MODES, GAMMA, Exact)
    bend = sympy.simplify(sympy.diff(along, U, 2).subs(U, 0) / GAMMA)
    # The bend over gamma is linear in gamma, so two ends decide its sign, gamma -> 0 included.
    local = all_of(
        [
            symbolic.equal(policy[0].subs(U, sympy.log(27)), sympy.Rational(str(FAR[0]))),
            symbolic.equal(sympy.diff(along, U).subs(U, 0), 0),
            symbolic.equal(sympy.diff(bend, GAMMA, 2), 0),
            symbolic.positive(-bend.subs(GAMMA, 0)),
            symbolic.positive(-bend.subs(GAMMA, sympy.Rational(2, 3))),
        ]
    )
    mean, far = at_mean_and_far(objective, Exact)
    return given(local, symbolic.compare(mean, ">=", far, witness=JUMP))


@ABS_3.certified(Scope("the witness"))
def _(objective: Any) -> Answer:
    """The slope of the gradient at u = 0 is negative on [0, 2/3]; then two values in balls."""

    # At u = 0 every w is 1, s = (1, 0, -1) and s' = -2/3: the slope is E_mu[r (gamma s^2 + s')].
    def bend(gamma: Any) -> Any:
        terms = ((16, 1), (1, 0), (16, 1))
        return sum((r * (gamma * s - Ball.number("2/3")) / 3 for r, s in terms), flint.arb(0))

    local = certified.sign_on(
        bend, (0, Fraction(2, 3)), positive=False, witness=lambda x: Witness.at(gamma=x)
    )
    mean, far = at_mean_and_far(objective, Ball)
    return given(local, certified.compare(mean, ">=", far, witness=JUMP))


@ABS_3.neural(Scope("the witness"))
def _(objective: Any) -> Answer:
    """Second derivatives in u at six exponents by autograd, and the two values."""
    module = neural.torch()
    mu, reward = neural.tensor(THIRDS), neural.tensor(TWO_MODES)

    def value(u: Any, gamma: float) -> Any:
        policy = module.stack([u[0], 0 * u[0], -u[0]]).softmax(0)
        return objective(mu, policy, reward, gamma, Tensor)

    def bend(gamma: float) -> Any:
        return neural.hessian(lambda u: value(u, gamma), neural.tensor([0]))

    ninths = [k / 9 for k in range(1, 7)]
    stays = all_of(neural.compare(bend(g), "<", 0, witness=JUMP) for g in ninths)
    far = value(neural.tensor([27]).log(), 2 / 3)
    return given(stays, neural.compare(value(neural.tensor([0]), 2 / 3), ">", far, witness=JUMP))


@ABS_3.right("the objective to first order in gamma, concave in u")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return sum(a * r * (1 + gamma * m.log(b / a)) for a, b, r in zip(mu, pi, reward, strict=True))


@ABS_3.number("the objective at the mean, gamma = 2/3")
def _() -> str:
    return certified.digits(at_mean_and_far(reshaped_objective, Ball)[0])


@ABS_3.number("the objective at u = log 27, gamma = 2/3")
def _() -> str:
    return certified.digits(at_mean_and_far(reshaped_objective, Ball)[1])


ABS_3_FIX = Draft(
    "ABS.3.fix",
    section="abstract",
    kind=Kind.LIMIT,
    title=Text("The smooth passage of an unrestricted policy", "无约束策略的平滑过渡"),
    finding=Text(
        "For an unrestricted policy and r > 0 the passage is smooth: from mu r at gamma = 0 to the "
        "outcomes of largest r as gamma tends to 1.",
        "对无约束策略与 r > 0，过渡是平滑的：γ=0 时为 ∝μr，γ→1 时集中于 r 最大者。",
    ),
    statement=r"q_\gamma \propto \mu\, r^{1/(1-\gamma)},\quad"
    r"\frac{d}{d\gamma}\log\frac{q_\gamma(a)}{q_\gamma(b)}"
    r" = \frac{\log (r_a/r_b)}{(1-\gamma)^2},\quad 0 \le \gamma < 1",
    subject=formulas.fixed_point,
    expect=Verdict.VERIFIED,
    assumes=(POSITIVE_REWARD,),
    amends=("ABS.3", "GEN13.2.6"),
    reading="finitely many outcomes, any policy on them; behaviour is the one policy of full "
    "support at which g_gamma vanishes, the maximiser that ABS.3 asks for as p^gamma is concave",
)


def at_law(law: Finite, gamma: Fraction) -> Witness:
    """Name mu, the reward and the exponent: the policy is what is sought."""
    return Witness.at(mu=law.mu, reward=law.reward, gamma=gamma)


@ABS_3_FIX.symbolic(
    Scope("every finite law: two outcomes, the third standing for all the rest", whole=True)
)
def _(policy: Any) -> Answer:
    """The gradient vanishes where mu^(1-gamma) q^gamma r / q is level; odds differentiated."""
    q = policy([A, B, C], [RA, RB, RC], GAMMA, Exact)
    odds = q[0] / q[1]
    factors = (1 - GAMMA) * sympy.log(A / B / odds) + sympy.log(RA / RB)
    rate = sympy.log(RA / RB) / (1 - GAMMA) ** 2
    worse = policy([A, B, C], [RA, RA * sympy.exp(-GAP), RC], GAMMA, Exact)
    inner = 1 / (1 + C)
    start = policy([A, B, C], [RA, RB, RC], sympy.Integer(0), Exact)
    return all_of(
        [
            symbolic.positive(-sympy.diff(P**inner, P, 2)),
            symbolic.equal(factors, 0, reduce=unroll),
            symbolic.equal(sympy.diff(unroll(sympy.log(odds)), GAMMA), rate, reduce=unroll),
            symbolic.equal(start[0] / start[1], A * RA / (B * RB)),
            symbolic.limit(sympy.powsimp(worse[1] / worse[0]), GAMMA, 1, 0, direction="-"),
        ]
    )


@ABS_3_FIX.certified(Scope("two laws, four exponents each, and gamma = 99/100"))
def _(policy: Any) -> Answer:
    """The enumerated gradient is 0; odds as power series in gamma; little mass off the top."""

    def stationary(law: Finite, gamma: Fraction) -> Answer:
        mu, _, reward = law.numbers(Ball)
        at = Ball.number(gamma)
        q = policy(mu, reward, at, Ball)
        masses = [a * Ball.power(b / a, at) * r for a, b, r in zip(mu, q, reward, strict=True)]
        total = sum(masses, flint.arb(0))
        slopes = [mass - total * b for mass, b in zip(masses, q, strict=True)]

        def log_odds(x: Any) -> Any:
            moved = policy(mu, reward, x, Jet)
            return Jet.log(moved[0]) - Jet.log(moved[1])

        rate = Ball.log(reward[0] / reward[1]) / ((1 - at) * (1 - at))
        found = [*slopes, certified.derivatives(log_odds, at, 1)[1]]
        expected = [*[flint.arb(0)] * len(q), rate]
        return certified.agree(found, expected, witnesses=[at_law(law, gamma)] * len(found))

    def peaked(law: Finite) -> Answer:
        mu, _, reward = law.numbers(Ball)
        top = law.reward.index(max(law.reward))
        off = 1 - policy(mu, reward, Ball.number("99/100"), Ball)[top]
        witness = at_law(law, Fraction(99, 100))
        return certified.compare(off, "<", flint.arb(10) ** -15, witness=witness)

    exponents = [Fraction(g) for g in ("0", "1/4", "1/2", "9/10")]
    laws = (THREE_ARMS, FOUR_ARMS)
    return all_of([*(stationary(law, g) for law in laws for g in exponents), *map(peaked, laws)])


@ABS_3_FIX.neural(Scope("two laws, four exponents each"))
def _(policy: Any) -> Answer:
    """The loss with w^gamma detached is stationary at q, in every logit."""

    def stationary(law: Finite, gamma: Fraction) -> Answer:
        mu, reward, at = neural.tensor(law.mu), neural.tensor(law.reward), float(gamma)
        q = neural.tensor(policy(*law.numbers(Real)[::2], at, Real))

        def loss(z: Any) -> Any:
            factor = ((z.softmax(0) / mu) ** at).detach()
            return (mu * factor * reward * z.log_softmax(0)).sum()

        slope = neural.gradient(loss, q.log())
        return neural.close(slope, [0] * len(q), witness=at_law(law, gamma))

    exponents = [Fraction(g) for g in ("0", "1/5", "1/2", "4/5")]
    return all_of(stationary(law, g) for law in (THREE_ARMS, FOUR_ARMS) for g in exponents)


@ABS_3_FIX.without(POSITIVE_REWARD)
def rests_at_half(policy: Any, law: Finite) -> Answer:
    """Say whether, at gamma = 1/2, g_gamma is 0 at the closed form and that has full support."""
    # Here r^(1/(1-gamma)) is r^2: rational, and a number for a negative reward too.
    half = Fraction(1, 2)
    q = policy(*law.numbers(Exact)[::2], Exact.number(half), Exact)
    witness = at_law(law, half)
    mu, _, reward = law.numbers(Ball)
    weights = [Ball.sqrt(Ball.number(str(p)) / a) for a, p in zip(mu, q, strict=True)]
    masses = [a * w * r for a, w, r in zip(mu, weights, reward, strict=True)]
    total = sum(masses, flint.arb(0))
    slopes = [mass - total * Ball.number(str(p)) for mass, p in zip(masses, q, strict=True)]
    return all_of(
        [
            *(symbolic.compare(p, ">", 0, witness=witness) for p in q),
            certified.agree(slopes, [flint.arb(0)] * len(q), witnesses=[witness] * len(q)),
        ]
    )


@ABS_3_FIX.wrong("the reward to the power 1")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised(
        [a * m.power(r, 1 + 0 * gamma) for a, r in zip(mu, reward, strict=True)]
    )


@ABS_3_FIX.wrong("the reward to the power 1 + gamma")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.normalised([a * m.power(r, 1 + gamma) for a, r in zip(mu, reward, strict=True)])


@ABS_3_FIX.wrong("mu to the power 1 - gamma too")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, reward, strict=True)
    return formulas.normalised(
        [m.power(a, 1 - gamma) * m.power(r, 1 / (1 - gamma)) for a, r in rows]
    )


CLAIMS = frozen(ABS_3, ABS_3_FIX)
