"""Past section 6: which variance of log w Renyi divergence sees, at order 1 and at order 0.

At order 1 the slope of D_alpha(pi || mu) is half the variance of log w under pi. The variance under
mu, which the rule of section 8 is made of, enters at order 0, in second order:

    D_alpha = alpha KL(mu || pi) + alpha^2 (KL(mu || pi) - Var_mu(log w)/2) + O(alpha^3).

For log-normal weights the last bracket is 0 and D_alpha is a straight line, alpha sigma2/2.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.general_law import LEVEL, NUDGE, General, U, total
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_3_1_at_one import LAWS, at, common_ends, ends, log_moment, missed
from isr_theory.claims.s06_3_2_at_zero import MU_IN_PI
from isr_theory.claims.x07_renyi import SOURCE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.formulas import Law
from isr_theory.models import TWO_ARMS, Finite

STEP = Fraction(1, 2**40)
"""A step of the order, small against all that occurs here."""


def spread(law: Law, mu: Law, pi: Law, m: Arithmetic) -> Number:
    """Return the variance of log w under a law, as half the mean squared gap of two draws."""
    rows = [(p, m.log(b / a)) for p, a, b in zip(law, mu, pi, strict=True)]
    return sum(p * q * (x - y) * (x - y) for p, x in rows for q, y in rows) / 2


def half_spread_under_mu(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """Var_mu(log w)/2."""
    return spread(mu, mu, pi, m) / 2


def half_spread_under_pi(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """Var_pi(log w)/2."""
    return spread(pi, mu, pi, m) / 2


SLOPE = Draft(
    "REN.slope",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The slope at order 1 is half Var_mu(log w)", "阶 1 处斜率为 Var_μ(log w)/2"),
    finding=Text(
        "False: on two arms the slope is 0.217, and half the variance under mu is 0.603.",
        "不成立：两臂例中斜率为 0.217，而 μ 下方差之半为 0.603。",
    ),
    statement=r"\frac{d}{d\alpha} D_\alpha(\pi\|\mu)\Big|_{\alpha=1}"
    r" = \tfrac12\mathrm{Var}_\mu(\log w)",
    subject=half_spread_under_mu,
    expect=Verdict.REFUTED,
    uses=("C6.4.a",),
    sharpens=("C6.4.a",),
    source="folklore: sigma2, which is measured under mu, taken for the curvature at the RL end",
)
BENT = at(TWO_ARMS, alpha=1)


def chord_slope(law: Finite, m: Arithmetic, sign: int) -> Number:
    """(D_(1+s) - D_1)/s for a small step s of the order, of either sign."""
    mu, pi = ends(law, m)
    s = m.number(sign * STEP)
    return (log_moment(law, m)(1 + s) / s - formulas.kl(pi, mu, m)) / s


@SLOPE.symbolic(Scope("the witness"))
def _(stated: Any) -> Answer:
    """Half the second derivative of log M at 1, as M(1) = 1, against the formula, in logarithms."""
    mu, pi = ends(TWO_ARMS, Exact)
    t = sympy.symbols("t", positive=True)
    cumulants = sympy.log(sum(a * (b / a) ** t for a, b in zip(mu, pi, strict=True)))
    slope = sympy.diff(cumulants, t, 2).subs(t, 1) / 2
    return symbolic.compare(slope, "==", stated(mu, pi, Exact), witness=BENT)


@SLOPE.certified(Scope("the witness"))
def _(stated: Any) -> Answer:
    """Chords to orders 2^-40 before and after 1 bound the slope, and the formula is far off."""
    value = stated(*ends(TWO_ARMS, Ball), Ball)
    chords = [chord_slope(TWO_ARMS, Ball, sign) for sign in (-1, 1)]
    # D is smooth here: chords and slope are within 8 steps, |D''| being at most 16.
    near = [abs(chord - value) for chord in chords]
    bound = 16 * Ball.number(STEP)
    return all_of(certified.compare(gap, "<", bound, witness=BENT) for gap in near)


@SLOPE.neural(Scope("the witness"))
def _(stated: Any) -> Answer:
    """Half the second derivative of log M at 1, by autograd."""
    mu, pi = neural.tensor(TWO_ARMS.mu), neural.tensor(TWO_ARMS.pi)
    bend = neural.hessian(lambda t: (mu * (pi / mu) ** t).sum().log(), neural.tensor(1))
    return neural.close([bend / 2], [stated(mu, pi, Tensor)], witness=BENT)


SLOPE.right_value("the variance under pi", half_spread_under_pi)


@SLOPE.number("the slope at order 1, mu = (1/2, 1/2), pi = (9/10, 1/10)")
def _() -> str:
    return certified.digits(half_spread_under_pi(*ends(TWO_ARMS, Ball), Ball))


@SLOPE.number("Var_mu(log w)/2 of the same")
def _() -> str:
    return certified.digits(half_spread_under_mu(*ends(TWO_ARMS, Ball), Ball))


SLOPE_FIX = Draft(
    "REN.slope.fix",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The slope at order 1 is half Var_pi(log w)", "阶 1 处斜率为 Var_π(log w)/2"),
    finding=Text(
        "D_alpha leaves KL(pi || mu) at the rate Var_pi(log w)/2: under the policy, not under the "
        "distribution that was sampled.",
        "D_α 以速率 Var_π(log w)/2 离开 KL(π‖μ)：方差取在策略 π 下，而非采样分布 μ 下。",
    ),
    statement=r"D_{1-s}(\pi\|\mu) = D_{KL}(\pi\|\mu) - \tfrac{s}{2}\mathrm{Var}_\pi(\log w) + o(s),"
    r"\quad s \downarrow 0",
    subject=half_spread_under_pi,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("C6.4.a", "D6.1"),
    sharpens=("C6.4.a",),
    amends=("REN.slope",),
    source=f"{SOURCE}, in part; derived here for every pi << mu",
    reading="KL(pi || mu) finite; infinite on both sides where Var_pi(log w) is; the slope from "
    "the right is the same where a moment of order above 1 is finite",
)


def general_moments(weight: Any) -> tuple[Any, Any]:
    """Return the means of log w and of its square for outcomes of mass `weight`, law unknown."""
    return total(weight * LEVEL), total(weight * LEVEL**2)


@cache
def expanded(order: int) -> Any:
    """D of a general law at a nudge t from order 0 or 1, up to the second order of the nudge.

    What is left out of E[w^(order + t)] is o(t^2): e^(t l) - 1 - t l is t^2 l^2/2 outcome by
    outcome up to a factor between 1 and e^(t l), and the mean of that converges, by dominated
    convergence where l^2 has a mean and by Fatou's lemma, to infinity, where not.
    """
    mass = General(sympy.exp(U + (order + NUDGE) * LEVEL))
    divergence = sympy.log(0 + mass) / (order + NUDGE - 1)
    return sympy.series(divergence, NUDGE, 0, 2 + (order == 0)).removeO()


@SLOPE_FIX.symbolic(
    Scope("every pi << mu with KL(pi || mu) finite: outcome by outcome", whole=True)
)
def _(stated: Any) -> Answer:
    """The series of log E[w^(1+t)]/t for a general law; the variance as pairs of outcomes."""
    mean, square = general_moments(sympy.exp(U + LEVEL))
    # The formula is a sum over ordered pairs of outcomes of p q (l - l')^2 / 4. Over a law, whose
    # mass is 1, those terms add to (E[l^2] - E[l]^2)/2. Here w is the mass itself.
    p, q = sympy.symbols("p q", positive=True)
    pair = p * q * (sympy.log(p) - sympy.log(q)) ** 2 / 2
    return all_of(
        [
            symbolic.equal(expanded(1).coeff(NUDGE, 0), mean),
            symbolic.equal(expanded(1).coeff(NUDGE, 1), (square - mean**2) / 2),
            symbolic.equal(stated([1, 1], [p, q], Exact), pair),
        ]
    )


@SLOPE_FIX.certified(Scope("three laws"))
def _(stated: Any) -> Answer:
    """Half the second derivative of log M at 1 as a power series; chords of the order."""
    closed = [stated(*ends(law, Ball), Ball) for law in LAWS]
    found = [certified.derivatives(log_moment(law, Jet), Ball.number(1), 2)[2] / 2 for law in LAWS]
    witnesses = [at(law, alpha=1) for law in LAWS]
    bound = 64 * Ball.number(STEP)
    chords = [
        certified.compare(abs(chord_slope(law, Ball, sign) - value), "<", bound, witness=witness)
        for law, value, witness in zip(LAWS, closed, witnesses, strict=True)
        for sign in (-1, 1)
    ]
    return all_of([certified.agree(found, closed, witnesses=witnesses), *chords])


@SLOPE_FIX.neural(Scope("three laws"))
def _(stated: Any) -> Answer:
    """Half the second derivative of log M at 1, by autograd."""
    answers = []
    for law in LAWS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

        def cumulants(t: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** t).sum().log()

        found = neural.hessian(cumulants, neural.tensor(1)) / 2
        answers.append(neural.close([found], [stated(mu, pi, Tensor)], witness=at(law, alpha=1)))
    return all_of(answers)


@SLOPE_FIX.without(PI_IN_MU)
def _(stated: Any, law: Finite) -> Answer:
    # From above: from below D grows past every bound where mu misses an outcome, as KL does.
    mu, pi = common_ends(law, Ball)
    s = Ball.number(STEP)
    near = Ball.log(moment(law, 1 + s)) / s
    line = formulas.kl(pi, mu, Ball) + missed(law.pi, law.mu) + s * stated(mu, pi, Ball)
    # Masses above 1/40 leave log w a range of 8, and so D'' is below 8^3.
    return certified.compare(abs(near - line), "<", 512 * s * s, witness=at(law, alpha=1))


SLOPE_FIX.wrong_value("the variance under mu", half_spread_under_mu)


@SLOPE_FIX.wrong("the variance, not its half")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 2 * half_spread_under_pi(mu, pi, m)


@SLOPE_FIX.wrong("half the mean square, not centred")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return sum(b * m.log(b / a) * m.log(b / a) for a, b in zip(mu, pi, strict=True)) / 2


@SLOPE_FIX.wrong("the sign")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return -1 * half_spread_under_pi(mu, pi, m)


def near_zero(kl: Number, variance: Number, alpha: Number) -> Number:
    """D_alpha up to alpha^2, from KL(mu || pi) and Var_mu(log w)."""
    return alpha * kl + alpha * alpha * (kl - variance / 2)


ZERO = Draft(
    "REN.zero",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("Where Var_mu(log w) enters: order 0", "Var_μ(log w) 出现在阶 0 处"),
    finding=Text(
        "D_alpha = alpha KL(mu || pi) + alpha^2 (KL(mu || pi) - Var_mu(log w)/2) + o(alpha^2): the "
        "bracket is 0 for log-normal weights and tells how far from log-normal others are.",
        "D_α = α KL(μ‖π) + α²(KL(μ‖π) − Var_μ(log w)/2) + o(α²)：括号内对数正态时为 0，"
        "其大小度量偏离对数正态的程度。",
    ),
    statement=r"D_\alpha(\pi\|\mu) = \alpha D_{KL}(\mu\|\pi) + \alpha^2\bigl(D_{KL}(\mu\|\pi)"
    r" - \tfrac12\mathrm{Var}_\mu(\log w)\bigr) + o(\alpha^2),\quad \alpha \downarrow 0",
    subject=near_zero,
    expect=Verdict.VERIFIED,
    assumes=(MU_IN_PI,),
    uses=("C6.4.b.fix", "REN.skew", "REN.slope.fix"),
    sharpens=("C6.4.b.fix", "A7.3"),
    source="new here; the first order is C6.4.b.fix",
    reading="KL(mu || pi) and Var_mu(log w) finite; by REN.skew the same as the slope "
    "Var_mu(log w)/2 of D_alpha(mu || pi) at order 1",
)


@ZERO.symbolic(
    Scope("every pi >> mu with a finite variance of log w: outcome by outcome", whole=True)
)
def _(stated: Any) -> Answer:
    """The series of log E[w^t]/(t - 1) for a general law; skew symmetry; the log-normal line."""
    mean, square = general_moments(sympy.exp(U))
    kl, variance, t = sympy.symbols("k v t", positive=True)
    line = stated(-mean, square - mean**2, NUDGE)
    # (1 - t) D_t(pi || mu) = t D_(1-t)(mu || pi), and the latter is KL(mu || pi) - t Var_mu/2.
    skewed = sympy.series(t / (1 - t) * (kl - t * variance / 2), t, 0, 3).removeO()
    return all_of(
        [
            symbolic.equal(expanded(0), line, reduce=sympy.expand),
            symbolic.equal(skewed, stated(kl, variance, t)),
            symbolic.equal(stated(variance / 2, variance, t), t * variance / 2),
        ]
    )


@ZERO.certified(Scope("three laws"))
def _(stated: Any) -> Answer:
    """Slope and curvature of D at 0 as a power series; D at the order 2^-40 within its cube."""
    found, closed, near, witnesses = [], [], [], [at(law, alpha=0) for law in LAWS]
    alpha = Ball.number(STEP)
    for law, witness in zip(LAWS, witnesses, strict=True):
        mu, pi = ends(law, Ball)

        def divergence(t: Any, law: Finite = law) -> Any:
            return log_moment(law, Jet)(t) / (t - 1)

        def series(t: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return stated(formulas.kl(mu, pi, Ball), spread(mu, mu, pi, Ball), t)

        found += certified.derivatives(divergence, Ball.number(0), 2)[1:]
        closed += certified.derivatives(series, Ball.number(0), 2)[1:]
        gap = abs(log_moment(law, Ball)(alpha) / (alpha - 1) - series(alpha))
        near.append(certified.compare(gap, "<", 512 * alpha * alpha * alpha, witness=witness))
    twice = [witness for witness in witnesses for _ in range(2)]
    return all_of([certified.agree(found, closed, witnesses=twice), *near])


@ZERO.neural(Scope("three laws"))
def _(stated: Any) -> Answer:
    """The second derivative of D at order 0, by autograd."""
    answers = []
    for law in LAWS:
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)
        level = (pi / mu).log()
        kl, variance = -(mu * level).sum(), (mu * (level - (mu * level).sum()) ** 2).sum()

        def divergence(t: Any, mu: Any = mu, pi: Any = pi) -> Any:
            return (mu * (pi / mu) ** t).sum().log() / (t - 1)

        def series(t: Any, kl: Any = kl, variance: Any = variance) -> Any:
            return stated(kl, variance, t)

        bends = [neural.hessian(side, neural.tensor(0)) for side in (divergence, series)]
        answers.append(neural.close(*bends, witness=at(law, alpha=0)))
    return all_of(answers)


@ZERO.without(MU_IN_PI)
def _(stated: Any, law: Finite) -> Answer:
    mu, pi = common_ends(law, Ball)
    alpha = Ball.number(STEP)
    near = Ball.log(moment(law, alpha)) / (alpha - 1)
    kl = formulas.kl(mu, pi, Ball) + missed(law.mu, law.pi)
    line = stated(kl, spread(mu, mu, pi, Ball), alpha)
    # Masses above 1/40 leave log w a range of 8: what is left out is below 8^3 alpha^3.
    bound = 512 * alpha * alpha * alpha
    return certified.compare(abs(near - line), "<", bound, witness=at(law, alpha=STEP))


@ZERO.wrong("half the variance as the slope")
def _(kl: Any, variance: Any, alpha: Any) -> Any:
    return alpha * variance / 2 + alpha * alpha * (kl - variance / 2)


@ZERO.wrong("the variance alone")
def _(kl: Any, variance: Any, alpha: Any) -> Any:
    return alpha * kl - alpha * alpha * variance / 2


@ZERO.wrong("the sign of the bracket")
def _(kl: Any, variance: Any, alpha: Any) -> Any:
    return alpha * kl - alpha * alpha * (kl - variance / 2)


@ZERO.wrong("the variance, not its half")
def _(kl: Any, variance: Any, alpha: Any) -> Any:
    return near_zero(kl, 2 * variance, alpha)


CLAIMS = frozen(SLOPE, SLOPE_FIX, ZERO)
