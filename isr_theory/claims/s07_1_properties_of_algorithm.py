"""Section 7.1, the first listed property read of the algorithm: what it has at gamma = 0.

With f(w) = w^gamma it is drawn to q_gamma, proportional to mu r^(1/(1-gamma)), which for the reward
p*/mu is p_(1/(1-gamma)): on the same path as p_gamma, but at p* where gamma is 0, and past it from
there on.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import FINITE_MOMENTS, POSITIVE_REWARD, TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    LEVEL,
    C,
    U,
    general_bias,
    pairs_have_sign,
    slope_by_pairs,
    slope_of,
    total_mass,
)
from isr_theory.claims.s07_1_bias import HALF, LAWS, along, at, ends, infinite_bias
from isr_theory.claims.s07_1_properties import divergence_along, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import UNIFORM_POLICY, Finite

PROP7_2_C = Draft(
    "PROP7.2.c",
    section="7.1",
    kind=Kind.REMARK,
    title=Text(
        "Bias is largest at gamma = 0, of the algorithm", "“γ = 0 时 Bias 最大”用于算法本身"
    ),
    finding=Text(
        "False: at mu = (1/2, 1/2), r = (1, 2) and p* = (1/3, 2/3) the policy that w^gamma is "
        "drawn to is p* at gamma = 0, and (1/5, 4/5) at gamma = 1/2.",
        "不成立：μ=(1/2,1/2)、r=(1,2)、p*=(1/3,2/3) 时，w^γ 的驻点在 γ=0 处为 p*，"
        "在 γ=1/2 处为 (1/5,4/5)。",
    ),
    statement=r"D_{KL}(p^*\|q_0) > D_{KL}(p^*\|q_\gamma) \quad (0 < \gamma < 1)",
    subject=formulas.fixed_point,
    expect=Verdict.REFUTED,
    assumes=(POSITIVE_REWARD, TARGET_DIFFERS),
    uses=("P5.3.fix", "PROP7.2.a"),
    reading="'the target when optimising w^gamma' is read as the policy q_gamma at which g_gamma "
    "vanishes, in place of p_gamma; p* = e^(r/tau)/Z with tau = 1/log 2 at the witness; of the "
    "second property nothing can be tried, as there is no q_1",
)
TILTED = Finite.of("1/2 1/2", "1/3 2/3", "1 2")
LEAVING = Witness.at(
    mu=TILTED.mu, reward=TILTED.reward, tau="1/log 2", target=TILTED.pi, gamma=Fraction(1, 2)
)


def two_divergences(fixed_point: Any, target: Any, m: Any) -> tuple[Number, Number]:
    """KL(p* || q_gamma) at gamma = 0 and at 1/2."""
    mu, _, reward = TILTED.numbers(m)
    first, second = (
        sum(
            p * m.log(p / q)
            for p, q in zip(target, fixed_point(mu, reward, m.number(g), m), strict=True)
        )
        for g in ("0", "1/2")
    )
    return first, second


@PROP7_2_C.symbolic(Scope("the two arms of the witness"))
def _(fixed_point: Any) -> Answer:
    """Both divergences as logarithms of fractions; the first is 0."""
    _, target, _ = TILTED.numbers(Exact)
    first, second = two_divergences(fixed_point, target, Exact)
    return symbolic.compare(first, ">", second, witness=LEAVING)


@PROP7_2_C.certified(Scope("the two arms of the witness"))
def _(fixed_point: Any) -> Answer:
    """Both divergences in balls, p* from the reward and tau."""
    _, _, reward = TILTED.numbers(Ball)
    target = formulas.soft_optimum(reward, 1 / Ball.log(2), Ball)
    first, second = two_divergences(fixed_point, target, Ball)
    return certified.compare(first, ">", second, witness=LEAVING)


@PROP7_2_C.neural(Scope("the two arms of the witness"))
def _(fixed_point: Any) -> Answer:
    """Both divergences in float64, given that the loss has no slope at either policy."""
    mu, target, reward = TILTED.numbers(Tensor)
    still = [
        neural.close(
            loss_slope(mu, fixed_point(mu, reward, Tensor.number(g), Tensor), reward, g),
            [0, 0],
            witness=LEAVING,
        )
        for g in (Fraction(0), Fraction(1, 2))
    ]
    first, second = two_divergences(fixed_point, target, Tensor)
    return given(all_of(still), neural.compare(first, ">", second, witness=LEAVING))


@PROP7_2_C.right("p_gamma, the target of which the properties are true")
def _(mu: Any, reward: Any, gamma: Any, m: Any) -> Any:
    target = formulas.soft_optimum(reward, 1 / m.log(2), m)
    return formulas.geometric_path(mu, target, gamma, m)


def loss_slope(mu: Any, policy: Any, reward: Any, gamma: Fraction) -> Any:
    """Autograd of E_mu[w^gamma r log pi], w detached, in the logits of pi."""
    module = neural.torch()
    mu, policy, reward = (module.stack(list(row)) for row in (mu, policy, reward))
    weights = mu * (policy / mu) ** float(gamma) * reward
    return neural.gradient(lambda z: (weights * z.log_softmax(0)).sum(), policy.log())


def place_on_path(gamma: Number) -> Number:
    """1/(1-gamma): where on the path from mu to p* the algorithm is drawn to, fed r = p*/mu."""
    return 1 / (1 - gamma)


PROP7_2_C_FIX = Draft(
    "PROP7.2.c.fix",
    section="7.1",
    kind=Kind.REMARK,
    title=Text("Where the algorithm goes on the path", "算法在该路径上的落点"),
    finding=Text(
        "Fed the reward p*/mu it is drawn to p_(1/(1-gamma)): p* at gamma = 0, and further from p* "
        "the larger gamma is.",
        "奖励取 p*/μ 时，算法的驻点是 p_{1/(1−γ)}：γ = 0 时为 p*，γ 越大离 p* 越远。",
    ),
    statement=r"r = p^*/\mu \Rightarrow q_\gamma = p_{1/(1-\gamma)},\quad q_0 = p^*,\quad"
    r" \tfrac{d}{d\gamma} D_{KL}(p^*\|q_\gamma) > 0 \quad (0 < \gamma < 1)",
    subject=place_on_path,
    expect=Verdict.VERIFIED,
    assumes=(TARGET_DIFFERS, FINITE_MOMENTS),
    uses=("P5.3.fix", "T7.2.a"),
    amends=("PROP7.2.c",),
    reading="q_gamma is the policy at which g_gamma vanishes, one free logit per outcome; past 1 "
    "the path is p_s, proportional to mu^(1-s) p*^s, as long as it has a mass",
)


@PROP7_2_C_FIX.symbolic(EVERY_LAW)
def _(place: Any) -> Answer:
    """Stationarity in logs at a general outcome; the slope of the divergence past p*, by pairs."""
    log_z, log_pi, level = sympy.symbols("log_z log_pi k", real=True)
    # log of mu w^gamma r / pi, which is the same number k at all outcomes where g_gamma = 0.
    ratio = U + GAMMA * (log_pi - U) + LEVEL - log_pi
    (root,) = sympy.solve(ratio - level, log_pi)
    found = U + place(GAMMA) * LEVEL - log_z
    # 1/(1-gamma) is 1 + c, so gamma = c/(1+c).
    speed = sympy.diff(place(GAMMA), GAMMA).subs(GAMMA, C / (1 + C))
    return all_of(
        [
            symbolic.equal(sympy.diff(root - found, LEVEL), 0),
            symbolic.equal(sympy.diff(root - found, U), 0),
            symbolic.equal(place(sympy.S.Zero), 1),
            symbolic.positive(sympy.simplify(speed)),
            symbolic.equal(slope_of(general_bias()) * total_mass(), slope_by_pairs()),
            *pairs_have_sign(1),
        ]
    )


def still(place: Any, law: Finite, gamma: Fraction) -> Answer:
    """Enumerate g_gamma in balls, fed r = p*/mu, at the place on the path: it is 0."""
    mu, target = ends(law, Ball)
    exponent = Ball.number(gamma)
    policy = formulas.geometric_path(mu, target, place(exponent), Ball)
    masses = [
        a * Ball.power(q / a, exponent) * p / a for a, p, q in zip(mu, target, policy, strict=True)
    ]
    slopes = [mass - q * sum(masses) for mass, q in zip(masses, policy, strict=True)]
    return certified.agree(slopes, [0] * len(mu), witnesses=[at(law, gamma)] * len(mu))


@PROP7_2_C_FIX.certified(Scope("two laws: two exponents, and every gamma in [1/50, 3/4]"))
def _(place: Any) -> Answer:
    """g_gamma enumerated at p_(1/(1-gamma)) is 0; the divergence rises, box by box."""

    def rises(law: Finite) -> Answer:
        mu, target = ends(law, Jet)
        logs = [(p, Jet.log(a), Jet.log(p)) for a, p in zip(mu, target, strict=True)]

        def past(gamma: Any) -> Any:
            s = place(gamma)
            path = [(1 - s) * log_a + s * log_p for _, log_a, log_p in logs]
            level = Jet.log(sum(Jet.exp(x) for x in path))
            return sum(p * (log_p - x + level) for (p, _, log_p), x in zip(logs, path, strict=True))

        return certified.sign_on(
            slope(past), (Fraction(1, 50), Fraction(3, 4)), positive=True, witness=along(law)
        )

    gammas = (Fraction(1, 4), Fraction(3, 5))
    return all_of([*(still(place, law, g) for law in LAWS for g in gammas), *map(rises, LAWS)])


@PROP7_2_C_FIX.neural(Scope("four arms at three gammas"))
def _(place: Any) -> Answer:
    """The loss with detached weights has no slope there, and the divergence has a positive one."""
    mu, target = ends(UNIFORM_POLICY, Tensor)
    reward = [p / a for a, p in zip(mu, target, strict=True)]
    past = divergence_along(formulas.geometric_path, UNIFORM_POLICY, Tensor)
    answers = []
    for gamma in (Fraction(1, 5), Fraction(1, 2), Fraction(4, 5)):
        witness = at(UNIFORM_POLICY, gamma)
        policy = formulas.geometric_path(mu, target, place(Tensor.number(gamma)), Tensor)
        steepness = neural.gradient(lambda g: past(place(g)), neural.tensor(gamma))
        answers += [
            neural.close(loss_slope(mu, policy, reward, gamma), [0] * len(mu), witness=witness),
            neural.compare(steepness, ">", 0, witness=witness),
        ]
    return all_of(answers)


@PROP7_2_C_FIX.without(TARGET_DIFFERS)
def _(place: Any, law: Finite) -> Answer:
    if infinite := infinite_bias(law):
        return infinite
    past = divergence_along(formulas.geometric_path, law, Exact)
    early, late = (past(place(Exact.number(g))) for g in ("1/3", "1/2"))
    rises = symbolic.compare(late, ">", early, witness=at(law, ("1/3", "1/2")))
    return all_of([still(place, law, HALF), rises])


PROP7_2_C_FIX.meaningless_without(
    FINITE_MOMENTS,
    "where E_mu[(p*/mu)^(1/(1-gamma))] is infinite, mu^(1-s) p*^s cannot be normalised at s = "
    "1/(1-gamma): there is no p_s, and no policy at which g_gamma vanishes",
)


@PROP7_2_C_FIX.wrong("p_gamma, as printed")
def _(gamma: Any) -> Any:
    return gamma


@PROP7_2_C_FIX.wrong("1 + gamma")
def _(gamma: Any) -> Any:
    return 1 + gamma


@PROP7_2_C_FIX.wrong("1/(1+gamma)")
def _(gamma: Any) -> Any:
    return 1 / (1 + gamma)


@PROP7_2_C_FIX.number("KL(p* || q_gamma) at gamma = 1/2, mu = (1/2, 1/2), r = (1, 2)")
def _() -> str:
    _, target, _ = TILTED.numbers(Ball)
    return certified.digits(two_divergences(formulas.fixed_point, target, Ball)[1])


CLAIMS = frozen(PROP7_2_C, PROP7_2_C_FIX)
