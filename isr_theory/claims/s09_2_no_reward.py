"""Section 9.2: no reward, r = 1.

The adjusted rule is the base rule then. But near mu that rule returns 1, and at gamma = 1 the
gradient E_mu[w s] = E_pi[s] vanishes for every policy: a dead zone in which nothing is learned. For
every fixed gamma < 1 it vanishes at pi = mu alone.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import (
    LOGNORMAL,
    MUTUAL_SUPPORT,
    NO_RULE,
    POLICIES_DIFFER,
    UNIT_REWARD,
    VALID_RULE,
)
from isr_theory.claims.enumerated import enumerated_balls, enumerated_gradient, witness_of
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.claims.jointly_normal import (
    GAMMA,
    SIGMA2,
    C,
    Rewarded,
    drawn_ess,
    enclosed_ess,
    integrated_ess,
    is_largest,
    loads,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import UNIFORM_POLICY, Finite

RHO = Fraction(3, 10)

S9_2_A = Draft(
    "S9.2.a",
    section="9.2",
    kind=Kind.IDENTITY,
    title=Text("For r = 1 the base formula is recovered", "r ≡ 1 时回到基础公式"),
    finding=Text(
        "True: a constant reward has variance 0, and leaves the ESS of w^γ as it is.",
        "成立：常数奖励方差为 0，且不改变 w^γ 的 ESS。",
    ),
    statement=r"r \equiv 1\ \Rightarrow\ \gamma^*_r = \gamma^*"
    r" = \min\bigl(1, \sqrt{-\log\rho_{\min}/\sigma^2}\bigr)",
    subject=formulas.gamma_reward_printed,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL, UNIT_REWARD, VALID_RULE),
    uses=("T8.3.a",),
    reading="the rule of 9.1 at Var(r) = 0 is the largest gamma in [0, 1] with population ESS/n of "
    "w^gamma e^(1/tau), or of w^gamma, at least rho_min",
)


@S9_2_A.symbolic(Scope("every sigma2, rho_min and constant reward", whole=True))
def _(rule: Any) -> Answer:
    """ESS of u e^k is that of u; by Gaussian integrals it falls in gamma and meets rho_min at c."""
    first, second, constant = sympy.symbols("m1 m2 k", positive=True)
    factor = sympy.exp(constant)
    none = sympy.Integer(0)
    ess = integrated_ess(loads(GAMMA, SIGMA2, none, none, Exact))
    rho_min = sympy.exp(-SIGMA2 * C**2)
    both_sides_of_the_clip = [{SIGMA2: 2, C: 3}, {SIGMA2: 5, C: sympy.Rational(1, 3)}]
    return all_of(
        [
            symbolic.equal((factor * first) ** 2 / (factor**2 * second), first**2 / second),
            symbolic.positive(-sympy.diff(sympy.log(ess), GAMMA)),
            symbolic.equal(ess.subs(GAMMA, C), rho_min),
            symbolic.equal(
                rule(SIGMA2, none, rho_min, Exact),
                sympy.Min(1, C),
                points=both_sides_of_the_clip,
            ),
        ]
    )


# The last is clipped at 1.
CONSTANT = [
    Rewarded.of(s, "0", "0", rho) for s, rho in (("4", "3/10"), ("9", "4/5"), ("1", "3/10"))
]


@S9_2_A.certified(Scope("two pairs of sigma2 and rho_min, and one where gamma is 1"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature at the rule's gamma is rho_min, or more where gamma is 1."""
    answers = []
    for case in CONSTANT:
        sigma2, cov, reward2, rho_min = case.numbers(Ball)
        gamma = rule(sigma2, reward2, rho_min, Ball)
        ess = enclosed_ess(loads(gamma, sigma2, cov, reward2, Ball))
        if case is CONSTANT[-1]:
            answers.append(certified.agree([gamma], [Ball.number(1)], witnesses=[case.witness()]))
            answers.append(certified.compare(ess, ">", rho_min, witness=case.witness()))
        else:
            answers.append(certified.agree([ess], [rho_min], witnesses=[case.witness()]))
    return all_of(answers)


@S9_2_A.sampled(Scope("sigma2 = 4, rho_min = 3/10"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments from normals, at the rule's gamma."""
    sigma2, cov, reward2, rho_min = CONSTANT[0].numbers(Real)
    weight = loads(rule(sigma2, reward2, rho_min, Real), sigma2, cov, reward2, Real)
    ess = drawn_ess(trial, weight, resolution=0.025)
    return trial.agrees(ess, rho_min, witness=CONSTANT[0].witness())


@S9_2_A.without(LOGNORMAL)
def _(rule: Any, model: Any) -> Answer:
    rho_min = Ball.number(RHO)
    gamma = rule(log_variance(model), Ball.number(0), rho_min, Ball)
    return is_largest(gamma, ess(model, gamma), rho_min, named(model, rho_min=RHO))


@S9_2_A.without(UNIT_REWARD)
def _(rule: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Ball)
    mean = sum(a * r for a, r in zip(mu, reward, strict=True))
    reward2 = sum(a * r * (r - mean) for a, r in zip(mu, reward, strict=True))
    # A high target, at which neither rule is clipped at 1.
    sigma2, rho_min = log_variance(law), Fraction(9, 10)
    adjusted = rule(sigma2, reward2, Ball.number(rho_min), Ball)
    base = Ball.sqrt(-Ball.log(Ball.number(rho_min)) / sigma2)
    at = witness_of(law, tau=1, rho_min=rho_min)
    return certified.agree([adjusted], [Ball.minimum(Ball.number(1), base)], witnesses=[at])


S9_2_A.meaningless_without(VALID_RULE, NO_RULE)


@S9_2_A.wrong("the reward's mean square for its variance")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward_printed(sigma2, reward2 + 1, rho_min, m)


@S9_2_A.wrong("no square root")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / (sigma2 + reward2))


@S9_2_A.wrong("no clip at 1")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / (sigma2 + reward2))


S9_2_B = Draft(
    "S9.2.b",
    section="9.2",
    kind=Kind.REMARK,
    title=Text("For r = 1 the base rule trains the policy", "r ≡ 1 时基础公式可训练策略"),
    finding=Text(
        "Not near μ: where Var(log w) ≤ −log ρ_min the rule returns 1, and the gradient is exactly"
        " 0 though π ≠ μ.",
        "在 μ 附近不成立：Var(log w) ≤ −log ρ_min 时规则返回 1，此时虽 π ≠ μ，梯度恰为 0。",
    ),
    statement=r"\pi_\theta \ne \mu\ \Rightarrow\ "
    r"g_{\gamma^*} = \mathbb{E}_\mu[w^{\gamma^*}\nabla\log\pi_\theta] \ne 0",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER, UNIT_REWARD, VALID_RULE),
    uses=("T8.3.a", "T4.2.a"),
    reading="the heading promises a transition from SFT to RL: training at the rule's gamma moves "
    "a policy that is not mu; in balls and in floats, a gradient below 10^-9 counts as 0",
)
NEAR = Finite.of("3/5 3/10 1/10", "3/10 2/5 3/10")
DEAD = Witness.at(mu=NEAR.mu, pi=NEAR.pi, reward=1, rho_min=RHO)
STILL = Fraction(1, 10**9)


@S9_2_B.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) and the gradient in exact numbers, outcome by outcome."""
    mu, pi, _ = NEAR.numbers(Exact)
    rows = list(zip(mu, pi, strict=True))
    mean = sum(a * sympy.log(b / a) for a, b in rows)
    sigma2 = sum(a * (sympy.log(b / a) - mean) ** 2 for a, b in rows)
    gamma = rule(sigma2, Exact.number(RHO), Exact)
    slopes = [
        sum(a * (b / a) ** gamma * (int(i == k) - pi[k]) for i, (a, b) in enumerate(rows))
        for k in range(3)
    ]
    return symbolic.compare(sum(slope**2 for slope in slopes), "!=", 0, witness=DEAD)


@S9_2_B.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) over pairs of outcomes and the gradient, in balls."""
    mu, pi, _ = NEAR.numbers(Ball)
    rows = [(a, Ball.log(b / a)) for a, b in zip(mu, pi, strict=True)]
    pairs = sum((a * b * (x - y) * (x - y) for a, x in rows for b, y in rows), flint.arb(0))
    gamma = rule(pairs / 2, Ball.number(RHO), Ball)
    masses = [a * Ball.exp(gamma * level) for a, level in rows]
    total = sum(masses, flint.arb(0))
    largest = max(
        (abs(mass - total * p) for mass, p in zip(masses, pi, strict=True)), key=lambda x: x.upper()
    )
    return certified.compare(largest, ">", Ball.number(STILL), witness=DEAD)


@S9_2_B.neural(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) of tensors, and the loss differentiated in the logits."""
    mu, level = neural.tensor(NEAR.mu), neural.tensor(NEAR.log_w().tolist())
    sigma2 = float((mu * (level - (mu * level).sum()) ** 2).sum())
    gamma = Fraction(rule(sigma2, float(RHO), Real))
    largest = enumerated_gradient(NEAR, gamma).abs().max()
    return neural.compare(largest, ">", float(STILL), witness=DEAD)


@S9_2_B.right("gamma = 1/2 whatever the batch")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.number("1/2")


S9_2_B_FIX = Draft(
    "S9.2.b.fix",
    section="9.2",
    kind=Kind.REMARK,
    title=Text("For r = 1 a fixed gamma below 1 trains towards mu", "r ≡ 1 时固定 γ < 1 向 μ 训练"),
    finding=Text(
        "For r = 1 and any fixed γ < 1, such as 0, the gradient vanishes at π = μ and nowhere"
        " else.",
        "r ≡ 1 且固定 γ < 1（如 0）时，梯度当且仅当 π = μ 时为零。",
    ),
    statement=r"\gamma < 1,\ r \equiv 1:\quad g_{\gamma,k}"
    r" = \pi_k\bigl(w_k^{\gamma-1} - \mathbb{E}_\mu[w^\gamma]\bigr) = 0\ \forall k"
    r" \iff \pi_\theta = \mu",
    subject=formulas.reshaped_gradient,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, UNIT_REWARD),
    uses=("T4.2.a",),
    amends=("S9.2.b", "TAB13.3.3.b"),
    reading="one free logit per outcome; pi and mu positive",
)


@S9_2_B_FIX.symbolic(
    Scope("every law: one outcome, the rest by its share of E_mu[w^gamma]", whole=True)
)
def _(gradient: Any) -> Answer:
    """By its definition a slope is pi (w^(gamma-1) - total); if all are 0, w is constant, so 1."""
    mu, pi, rest, gap, w = sympy.symbols("mu pi t d w", positive=True)
    gamma = 1 - gap
    mass = mu * (pi / mu) ** gamma
    # E_mu[w^gamma s]: the score is 1 - pi at the outcome itself and -pi at every other.
    defined = mass * (1 - pi) - rest * pi
    # The second outcome, whose reward is free, carries whatever E_mu[w^gamma] the others have.
    closed = gradient([mu, 1], [pi, 1], [1, rest], gamma, Exact)[0]
    slope = pi * ((pi / mu) ** (gamma - 1) - (mass + rest))
    return all_of(
        [
            symbolic.equal(closed, defined, reduce=_flat),
            symbolic.equal(closed, slope, reduce=_flat),
            # w^(gamma-1) takes no value twice, so equal values mean equal w; both laws sum to 1.
            symbolic.positive(-sympy.diff(w ** (gamma - 1), w)),
            symbolic.equal(gradient([mu, 1], [mu, 1], [1, 1 - mu], gamma, Exact)[0], 0),
        ]
    )


def _flat(difference: Any) -> Any:
    return sympy.simplify(sympy.powsimp(sympy.expand(sympy.expand_power_base(difference))))


GAMMAS = [Fraction(g) for g in ("0", "1/2", "9/10")]


@S9_2_B_FIX.certified(Scope("the law of the dead zone and one of four outcomes, three gammas"))
def _(gradient: Any) -> Answer:
    """The enumerated gradient; not 0 here, and 0 where the policy is mu."""
    answers = []
    for law in (NEAR, UNIFORM_POLICY):
        mu, pi, reward = law.numbers(Ball)
        for gamma in GAMMAS:
            at = [Witness.at(mu=law.mu, pi=law.pi, gamma=gamma)]
            closed = gradient(mu, pi, reward, Ball.number(gamma), Ball)
            home = gradient(mu, mu, reward, Ball.number(gamma), Ball)
            slopes = enumerated_balls(law, gamma)
            answers += [
                certified.agree(closed, slopes, witnesses=at * len(mu)),
                certified.agree(home, [Ball.number(0)] * len(mu), witnesses=at * len(mu)),
                certified.compare(abs(closed[0]), ">", Ball.number("1/1000"), witness=at[0]),
            ]
    return all_of(answers)


@S9_2_B_FIX.neural(Scope("the law of the dead zone, three gammas"))
def _(gradient: Any) -> Answer:
    """The loss differentiated in the logits; a step along the slope brings the policy nearer mu."""
    mu, pi = neural.tensor(NEAR.mu), neural.tensor(NEAR.pi)
    ones = neural.torch().ones_like(mu)
    answers = []
    for gamma in GAMMAS:
        at = Witness.at(mu=NEAR.mu, pi=NEAR.pi, gamma=gamma)
        rows = gradient(mu, pi, ones, neural.tensor(gamma), Tensor)
        slope = neural.torch().stack(list(rows))
        moved = (pi.log() + slope / 100).softmax(0)
        before, after = ((mu * (mu / law).log()).sum() for law in (pi, moved))
        answers.append(neural.close(slope, enumerated_gradient(NEAR, gamma), witness=at))
        answers.append(neural.compare(after, "<", before, witness=at))
    return all_of(answers)


def vanishes_at_mu_alone(gradient: Any, law: Finite) -> Answer:
    """Try at gamma = 1/2 whether the gradient is 0 exactly where the policy is mu."""
    slopes = gradient(*law.numbers(Exact), Exact.number("1/2"), Exact)
    relation = "==" if law.mu == law.pi else "!="
    size = sum(slope**2 for slope in slopes)
    return symbolic.compare(size, relation, 0, witness=witness_of(law, gamma=Fraction(1, 2)))


S9_2_B_FIX.without(MUTUAL_SUPPORT)(vanishes_at_mu_alone)
# pi is proportional to mu r^2, and rests there.
S9_2_B_FIX.without(UNIT_REWARD, on=(Finite.of("3/5 3/10 1/10", "3/17 6/17 8/17", "1 2 4"),))(
    vanishes_at_mu_alone
)


@S9_2_B_FIX.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(pi, mu, reward, gamma, m)


@S9_2_B_FIX.wrong("full weights, the dead zone")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, 0 * gamma + 1, m)


@S9_2_B_FIX.wrong("down the slope")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return [-slope for slope in formulas.reshaped_gradient(mu, pi, reward, gamma, m)]


@S9_2_B_FIX.wrong("the target not multiplied by E_mu[w^gamma]")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, pi, reward, strict=True)
    return [m.power(a, 1 - gamma) * m.power(b, gamma) * r - b for a, b, r in rows]


@S9_2_B_FIX.number("the gradient at gamma = 1/2, mu = (3/5, 3/10, 1/10), pi = (3/10, 2/5, 3/10)")
def _() -> str:
    mu, pi, reward = NEAR.numbers(Ball)
    slopes = formulas.reshaped_gradient(mu, pi, reward, Ball.number("1/2"), Ball)
    return ", ".join(certified.digits(slope) for slope in slopes)


CLAIMS = frozen(S9_2_A, S9_2_B, S9_2_B_FIX)
