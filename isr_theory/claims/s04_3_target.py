"""Section 4.2: the effective target pi_eff, proportional to mu^(1-gamma) pi^gamma r.

g_gamma is c = E_mu[w^gamma r] times the direction that lowers KL(pi_eff || pi), but only while the
target is held still: pi_eff contains the policy, and differentiating it too adds a covariance that
turns the direction.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD, PI_IN_MU
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, THETA, C, R, S, along_logits, slope
from isr_theory.claims.s04_1_power import at, enumerated, power_shape, reshaped_autograd, terms
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

EVERY_SPACE = "every outcome space on which the gradient passes under the integral"
INNER = [(law, Fraction(gamma)) for law in (THREE_ARMS, FOUR_ARMS) for gamma in ("3/10", "3/4")]
POINTS = [*INNER, (THREE_ARMS, Fraction(0)), (THREE_ARMS, Fraction(1))]


def weights(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    """The terms mu w^gamma r of the expectation in Definition 4.1."""
    return [a * m.power(b / a, gamma) * r for a, b, r in zip(mu, pi, reward, strict=True)]


def is_law(masses: list[Any], witness: Witness) -> Answer:
    """Say whether normalised masses are those of a law: the smallest one is not negative."""
    smallest = reduce(Ball.minimum, masses)
    return certified.compare(smallest, ">=", Ball.number(0), witness=witness)


class Projection(NamedTuple):
    """A target, up to its mass, and a divergence from it to the policy, outcome by outcome.

    The target is given both the policy at which it is held and the policy that moves.
    """

    density: Any
    integrand: Any

    def total(self, mu: Any, held: Any, moving: Any, reward: Any, gamma: Any, m: Any) -> Any:
        """Return the divergence from the normalised target to the moving policy."""
        rows = zip(mu, held, moving, reward, strict=True)
        target = formulas.normalised([self.density(*row, gamma, m) for row in rows])
        return sum(self.integrand(t, p, m) for t, p in zip(target, moving, strict=True))


def held_density(mu: Any, held: Any, moving: Any, reward: Any, gamma: Any, m: Any) -> Any:
    """mu^(1-gamma) pi^gamma r with pi held, so that it has no derivative."""
    return m.power(mu, 1 - gamma) * m.power(held, gamma) * reward


def forward_kl(target: Any, policy: Any, m: Any) -> Any:
    """The integrand of KL(target || policy)."""
    return target * m.log(target / policy)


HELD = Projection(held_density, forward_kl)

T4_2_A = Draft(
    "T4.2.a",
    section="4.2",
    kind=Kind.IDENTITY,
    title=Text("The effective target, held still", "有效目标分布（目标停止梯度）"),
    finding=Text(
        "Exact with the target held still: g_gamma = -E_mu[w^gamma r] grad KL(pi_eff || pi).",
        "目标停止梯度时精确成立：g_γ = −E_μ[w^γ r] ∇KL(π_eff‖π)。",
    ),
    statement=r"g_\gamma = -\mathbb{E}_\mu[w^\gamma r]\,"
    r"\nabla_\theta D_{KL}(\mathrm{sg}[\pi^{\mathrm{eff}}_\gamma]\,\|\,\pi_\theta),\quad"
    r" \pi^{\mathrm{eff}}_\gamma \propto \mu^{1-\gamma}\pi_\theta^\gamma r",
    subject=HELD,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It holds the target still, without which its last line is false, and does not say so.",
        "最后一行须把目标视为常数（停止梯度）才成立，证明未说明这一点。",
    ),
    assumes=(NONNEGATIVE_REWARD, PI_IN_MU),
    uses=("D4.1",),
    reading="the gradient does not enter pi_eff; the printed proof uses this without saying it",
)


@T4_2_A.symbolic(Scope(f"{EVERY_SPACE}; where r = 0 both sides vanish", whole=True))
def _(projection: Any) -> Answer:
    """Outcome by outcome, mu w^gamma r s against the slope of the divergence from the target."""
    weight = MU * (PI / MU) ** GAMMA * R
    target = projection.density(MU, PI, MOVING, R, GAMMA, Exact) / C
    divergence = projection.integrand(target, MOVING, Exact)
    return all_of(
        [
            symbolic.equal(target.subs(THETA, 0), weight / C),
            symbolic.equal(weight * S, -C * slope(divergence)),
        ]
    )


@T4_2_A.certified(Scope("two laws, six pairs of law and exponent, every logit"))
def _(projection: Any) -> Answer:
    """The divergence as a power series in each logit, against the mean over outcomes."""

    def both(law: Finite, gamma: Fraction) -> Answer:
        mu, pi, reward = law.numbers(Ball)
        exponent = Ball.number(gamma)
        c = sum(weights(mu, pi, reward, exponent, Ball))
        slopes = along_logits(
            lambda policy: projection.total(mu, pi, policy, reward, exponent, Jet), pi
        )
        mean = enumerated(power_shape, law, exponent)
        return certified.agree(mean, [-c * d for d in slopes], witnesses=[at(law, gamma)] * len(pi))

    return all_of(both(law, gamma) for law, gamma in POINTS)


@T4_2_A.neural(Scope("two laws, six pairs of law and exponent"))
def _(projection: Any) -> Answer:
    """Both losses differentiated, the target of the second one detached."""

    def both(law: Finite, gamma: Fraction) -> Answer:
        mu, _, reward = law.numbers(Tensor)

        def divergence(logits: Any) -> Any:
            policy = logits.softmax(0)
            held = list(policy.detach())
            return projection.total(mu, held, list(policy), reward, float(gamma), Tensor)

        c = sum(weights(*law.numbers(Real), float(gamma), Real))
        lowering = neural.gradient(divergence, neural.tensor(law.pi).log())
        reshaped = reshaped_autograd(power_shape, law, float(gamma))
        return neural.close(reshaped, -c * lowering, witness=at(law, gamma))

    return all_of(both(law, gamma) for law, gamma in POINTS)


@T4_2_A.without(NONNEGATIVE_REWARD)
@T4_2_A.without(PI_IN_MU)
def _(projection: Any, law: Finite) -> Answer:
    def held_still(gamma: Fraction) -> Answer:
        mu, pi, reward = law.numbers(Ball)
        exponent, witness = Ball.number(gamma), at(law, gamma)
        rows = zip(mu, pi, pi, reward, strict=True)
        target = formulas.normalised([projection.density(*row, exponent, Ball) for row in rows])

        def divergence(policy: list[Any]) -> Any:
            # 0 log 0 is 0
            pairs = [(t, p) for t, p in zip(target, policy, strict=True) if not t.is_zero()]
            return sum(projection.integrand(t, p, Jet) for t, p in pairs)

        c = sum(terms(power_shape, law, exponent))
        lowering = [-c * slope for slope in along_logits(divergence, pi)]
        mean = enumerated(power_shape, law, exponent)
        agreement = certified.agree(mean, lowering, witnesses=[witness] * len(pi))
        return all_of([is_law(target, witness), agreement])

    # At gamma = 1 the target no longer contains mu, while the mean under mu still does.
    return all_of([held_still(Fraction(1, 2)), held_still(Fraction(1))])


def _moving_density(mu: Any, held: Any, moving: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return held_density(mu, moving, moving, reward, gamma, m)


def _exchanged_density(mu: Any, held: Any, moving: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return held_density(mu, held, moving, reward, 1 - gamma, m)


def _unrewarded_density(mu: Any, held: Any, moving: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return held_density(mu, held, moving, 1, gamma, m)


def _reverse_kl(target: Any, policy: Any, m: Any) -> Any:
    return forward_kl(policy, target, m)


T4_2_A.wrong_value("target not detached", HELD._replace(density=_moving_density))
T4_2_A.wrong_value("exponents exchanged", HELD._replace(density=_exchanged_density))
T4_2_A.wrong_value("reward dropped from the target", HELD._replace(density=_unrewarded_density))
T4_2_A.wrong_value("reverse KL", HELD._replace(integrand=_reverse_kl))


@T4_2_A.number(
    "pi_eff at mu = (3/5, 3/10, 1/10), pi = (1/5, 3/10, 1/2), r = (1, 2, 4), gamma = 1/2"
)
def _() -> str:
    target = formulas.effective_target(*THREE_ARMS.numbers(Ball), Ball.number("1/2"), Ball)
    return ", ".join(certified.digits(p) for p in target)


T4_2_B = Draft(
    "T4.2.b",
    section="4.2",
    kind=Kind.IDENTITY,
    title=Text(
        "The effective target, differentiated as printed", "有效目标分布（按原式，对目标也求导）"
    ),
    finding=Text(
        "False as printed: pi_eff depends on theta, and the full gradient has another direction.",
        "按字面不成立：π_eff 依赖 θ，完整梯度的方向不同。",
    ),
    statement=r"g_\gamma(\theta) \propto -\nabla_\theta"
    r" D_{KL}(\pi^{\mathrm{eff}}_\gamma\,\|\,\pi_\theta)",
    subject=formulas.effective_target,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    proof_remark=Text(
        "Its last line differentiates KL(pi_eff || pi) as if pi_eff did not depend on theta.",
        "最后一行对 KL(π_eff‖π) 求导时，当作 π_eff 与 θ 无关。",
    ),
    assumes=(NONNEGATIVE_REWARD, PI_IN_MU),
    uses=("D4.1",),
    reading="the gradient is that of the whole divergence, pi_eff included, and 'proportional' "
    "allows any factor",
)
# pi_eff is (1/5, 2/5, 2/5) and g_gamma is parallel to (1, 7, -8).
TURNED = Finite.of("1/3 1/3 1/3", "1/6 1/6 2/3", "1 2 1")
TURNED_AT = at(TURNED, Fraction(1, 2))
ONE_POINT = Scope("the one point of the witness")


@T4_2_B.symbolic(ONE_POINT)
def _(target: Any) -> Answer:
    """The cross product of the two gradients in the first two logits, exactly."""
    mu, pi, reward = TURNED.numbers(Exact)
    half = sympy.Rational(1, 2)
    logits = sympy.symbols("x1:4", real=True)
    policy = formulas.normalised([p * sympy.exp(x) for p, x in zip(pi, logits, strict=True)])
    rows = list(zip(target(mu, policy, reward, half, Exact), policy, strict=True))
    divergence = sum(t * sympy.log(t / p) for t, p in rows)
    here = dict.fromkeys(logits, 0)
    full = [sympy.diff(divergence, x).subs(here) for x in logits[:2]]
    masses = weights(mu, pi, reward, half, Exact)
    g = [masses[k] - pi[k] * sum(masses) for k in range(2)]
    return symbolic.compare(g[0] * full[1], "==", g[1] * full[0], witness=TURNED_AT)


@T4_2_B.certified(ONE_POINT)
def _(target: Any) -> Answer:
    """The cross product from power series in each logit."""
    mu, pi, reward = TURNED.numbers(Ball)
    half = Ball.number("1/2")

    def divergence(policy: list[Any]) -> Any:
        return formulas.kl(target(mu, policy, reward, half, Jet), policy, Jet)

    full, g = along_logits(divergence, pi), enumerated(power_shape, TURNED, half)
    return certified.compare(g[0] * full[1], "==", g[1] * full[0], witness=TURNED_AT)


@T4_2_B.neural(ONE_POINT)
def _(target: Any) -> Answer:
    """The cross product from two losses differentiated backwards, nothing detached."""
    mu, _, reward = TURNED.numbers(Tensor)

    def divergence(logits: Any) -> Any:
        policy = list(logits.softmax(0))
        return formulas.kl(target(mu, policy, reward, 0.5, Tensor), policy, Tensor)

    full = neural.gradient(divergence, neural.tensor(TURNED.pi).log())
    g = reshaped_autograd(power_shape, TURNED, 0.5)
    return neural.close([g[0] * full[1]], [g[1] * full[0]], witness=TURNED_AT)


@T4_2_B.right("target held still")
def _(mu: Any, policy: Any, reward: Any, gamma: Any, m: Any) -> list[Any]:
    held = [m.number(p) for p in TURNED.pi]
    return formulas.effective_target(mu, held, reward, gamma, m)


def total_slope(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    """The gradient of KL(pi_eff(theta) || pi) from three means under pi_eff.

    -E[s] + gamma Cov(L, s), with L = log(pi_eff / pi); `product` is E[L s].
    """
    return -score + gamma * (product - log_ratio * score)


T4_2_B_FIX = Draft(
    "T4.2.b.fix",
    section="4.2",
    kind=Kind.IDENTITY,
    title=Text("The full gradient of the moving divergence", "目标随动时散度的完整梯度"),
    finding=Text(
        "It is the held-still gradient plus gamma times a covariance under pi_eff.",
        "它等于目标停止梯度时的梯度，加上 γ 乘以 π_eff 下的协方差。",
    ),
    statement=r"\nabla_\theta D_{KL}(\pi^{\mathrm{eff}}_\gamma\|\pi_\theta)"
    r" = -\mathbb{E}_{\mathrm{eff}}[s] + \gamma\,\mathrm{Cov}_{\mathrm{eff}}"
    r"\bigl(\log(\pi^{\mathrm{eff}}_\gamma/\pi_\theta),\, s\bigr),"
    r"\quad s=\nabla_\theta\log\pi_\theta",
    subject=total_slope,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD,),
    uses=("T4.2.a",),
    amends=("T4.2.b",),
    reading="-E_eff[s] is the gradient with the target held, -g_gamma / E_mu[w^gamma r] by T4.2.a; "
    "the identity itself does not ask that mu covers pi",
)


@T4_2_B_FIX.symbolic(Scope(f"{EVERY_SPACE}; outcomes without mass in pi_eff drop out", whole=True))
def _(total: Any) -> Answer:
    """Differentiate pi_eff log(pi_eff / pi) outcome by outcome, then take means under pi_eff."""
    score, log_ratio, product, ell = sympy.symbols("E_s E_L E_Ls L", real=True)
    mass = MU ** (1 - GAMMA) * MOVING**GAMMA * R
    # The mass grows by gamma s of itself, so its integral C by gamma E_eff[s] of itself.
    growth = symbolic.equal(slope(mass), GAMMA * S * mass.subs(THETA, 0))
    target = mass / (C * sympy.exp(THETA * GAMMA * score))
    ratio = sympy.log(target / MOVING)
    here = target.subs(THETA, 0)
    moving = slope(target * ratio) / here
    # L stands for the log-ratio, whose value is free since mu and r are.
    polynomial = (GAMMA * (S - score)) * (ell + 1) - S
    means = {S * ell: product, S: score, ell: log_ratio, sympy.Integer(1): sympy.Integer(1)}
    parts = sympy.expand(polynomial).as_coefficients_dict(S, ell)
    mean = sum(coefficient * means[monomial] for monomial, coefficient in parts.items())
    return all_of(
        [
            growth,
            symbolic.equal(moving, polynomial.subs(ell, ratio.subs(THETA, 0))),
            symbolic.equal(mean, total(score, log_ratio, product, GAMMA)),
        ]
    )


def _means(law: Finite, gamma: Any, m: Any) -> list[tuple[Any, Any, Any]]:
    """E[s_k], E[L] and E[L s_k] under pi_eff for every logit k, outcome by outcome."""
    mu, pi, reward = law.numbers(m)
    target = formulas.normalised(weights(mu, pi, reward, gamma, m))
    levels = [m.log(t / p) for t, p in zip(target, pi, strict=True)]
    log_ratio = sum(t * level for t, level in zip(target, levels, strict=True))
    return [
        (target[k] - pi[k], log_ratio, target[k] * levels[k] - pi[k] * log_ratio)
        for k in range(len(pi))
    ]


@T4_2_B_FIX.certified(Scope("two laws, six pairs of law and exponent, every logit"))
def _(total: Any) -> Answer:
    """The whole divergence as a power series in each logit."""

    def both(law: Finite, gamma: Fraction) -> Answer:
        mu, pi, reward = law.numbers(Ball)
        exponent = Ball.number(gamma)

        def divergence(policy: list[Any]) -> Any:
            target = formulas.normalised(weights(mu, policy, reward, exponent, Jet))
            return formulas.kl(target, policy, Jet)

        closed = [total(*means, exponent) for means in _means(law, exponent, Ball)]
        full = along_logits(divergence, pi)
        return certified.agree(full, closed, witnesses=[at(law, gamma)] * len(pi))

    return all_of(both(law, gamma) for law, gamma in POINTS)


@T4_2_B_FIX.neural(Scope("two laws, six pairs of law and exponent"))
def _(total: Any) -> Answer:
    """The whole divergence differentiated in the logits, nothing detached."""

    def both(law: Finite, gamma: Fraction) -> Answer:
        mu, _, reward = law.numbers(Tensor)

        def divergence(logits: Any) -> Any:
            policy = list(logits.softmax(0))
            target = formulas.normalised(weights(mu, policy, reward, float(gamma), Tensor))
            return formulas.kl(target, policy, Tensor)

        full = neural.gradient(divergence, neural.tensor(law.pi).log())
        closed = [total(*means, float(gamma)) for means in _means(law, float(gamma), Real)]
        return neural.close(full, closed, witness=at(law, gamma))

    return all_of(both(law, gamma) for law, gamma in POINTS)


T4_2_B_FIX.meaningless_without(
    NONNEGATIVE_REWARD,
    "rewards of both signs give pi_eff negative masses, and log(pi_eff / pi) does not exist",
)


@T4_2_B_FIX.wrong("no covariance, as printed")
def _(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    return -score


@T4_2_B_FIX.wrong("covariance without gamma")
def _(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    return total_slope(score, log_ratio, product, 1)


@T4_2_B_FIX.wrong("1 - gamma for gamma")
def _(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    return total_slope(score, log_ratio, product, 1 - gamma)


@T4_2_B_FIX.wrong("covariance subtracted")
def _(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    return total_slope(score, log_ratio, product, -gamma)


@T4_2_B_FIX.wrong("product not centred")
def _(score: Any, log_ratio: Any, product: Any, gamma: Any) -> Any:
    return -score + gamma * product


ONE_LOGIT = Finite.of("1/2 1/2", "9/10 1/10", "1 2")


@T4_2_B_FIX.number("target held: mu = (1/2, 1/2), pi = (9/10, 1/10), r = (1, 2), gamma = 1/2")
def _() -> str:
    half = sympy.Rational(1, 2)
    return str(sympy.nsimplify(-_means(ONE_LOGIT, half, Exact)[0][0]))


@T4_2_B_FIX.number("full gradient: mu = (1/2, 1/2), pi = (9/10, 1/10), r = (1, 2), gamma = 1/2")
def _() -> str:
    half = Ball.number("1/2")
    return certified.digits(total_slope(*_means(ONE_LOGIT, half, Ball)[0], half))


CLAIMS = frozen(T4_2_A, T4_2_B, T4_2_B_FIX)
