"""Section 7.1: Bias(gamma) = KL(p* || p_gamma), on the geometric path from mu to p*.

It falls, as Theorem 7.2 says, except at gamma = 1, where it is flat; and it is convex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import (
    Answer,
    Kind,
    Outcome,
    PrintedProof,
    Scope,
    Strength,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.assumptions import TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    MU,
    SUMS,
    TARGET,
    general_bias,
    gibbs,
    pairs_have_sign,
    slope_by_pairs,
    slope_of,
    total_mass,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

Law = Sequence[Number]
# In these laws the field pi plays p*.
LAWS = (THREE_ARMS, RARE_ARM)
POINTS = [(law, Fraction(g)) for law in LAWS for g in ("1/4", "3/5", "1")]


def at(law: Finite, gamma: Any) -> Witness:
    """Name mu, p* and the place on the path."""
    return Witness.at(mu=law.mu, target=law.pi, gamma=gamma)


def along(law: Finite) -> Callable[[Fraction], Witness]:
    """Return what makes a witness of a gamma."""
    return lambda gamma: at(law, gamma)


def ends(law: Finite, m: Arithmetic) -> tuple[list[Number], list[Number]]:
    """Return mu and p* in an arithmetic."""
    mu, target, _ = law.numbers(m)
    return mu, target


def bias_along(law: Finite, m: Arithmetic) -> Callable[[Number], Number]:
    """The divergence of p* from the masses mu^(1-gamma) p*^gamma, as a function of gamma."""
    rows = list(zip(*ends(law, m), strict=True))

    def bias(gamma: Number) -> Number:
        path = [m.power(a, 1 - gamma) * m.power(p, gamma) for a, p in rows]
        total = sum(path)
        return sum(p * m.log(p * total / mass) for (_, p), mass in zip(rows, path, strict=True))

    return bias


def on_balls(formula: Any, law: Finite) -> Callable[[Any], Any]:
    """Return a formula of mu, p* and gamma as a function of a ball gamma."""
    mu, target = ends(law, Ball)
    return lambda gamma: formula(mu, target, gamma, Ball)


@cache
def enclosed_derivatives(law: Finite, gamma: Fraction) -> list[Any]:
    """Bias, Bias' and Bias'' from the definition, as power series with ball coefficients."""
    return certified.derivatives(bias_along(law, Jet), Ball.number(gamma), 2)


D7_1 = Draft(
    "D7.1",
    section="7.1",
    kind=Kind.DEFINITION,
    title=Text("Bias(gamma) as a divergence of targets", "目标偏移 Bias(γ) 的定义"),
    finding=Text(
        "Coherent: never negative, 0 only where p_gamma = p*, and with the closed form that the "
        "proof of 7.2 prints.",
        "定义自洽：非负，仅当 p_γ = p* 时为 0，且等于定理 7.2 证明中的闭式。",
    ),
    statement=r"\mathrm{Bias}(\gamma) = D_{KL}(p^*\|p_\gamma)"
    r" = (1-\gamma) D_{KL}(p^*\|\mu) + \log Z_\gamma \ge 0",
    subject=formulas.bias,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(TARGET_DIFFERS,),
    uses=("D5.1",),
    reading="0 <= gamma <= 1, where Z_gamma is positive and at most 1; p* = e^(r/tau)/Z is "
    "positive wherever mu is; the bias of p_gamma, not of any estimator",
)


@D7_1.symbolic(EVERY_LAW)
def _(bias: Any) -> Answer:
    """The divergence summed over a general law; Gibbs's inequality outcome by outcome."""
    return all_of(
        [symbolic.equal(slope_of(general_bias(), 0), bias(MU, TARGET, GAMMA, SUMS)), *gibbs()]
    )


@D7_1.certified(Scope("two laws at three gammas"))
def _(bias: Any) -> Answer:
    """The divergence from the normalised path in balls, positive below gamma = 1."""
    closed = [on_balls(bias, law)(Ball.number(g)) for law, g in POINTS]
    witnesses = [at(law, g) for law, g in POINTS]
    signs = [
        certified.compare(value, ">", 0, witness=at(law, g))
        for value, (law, g) in zip(closed, POINTS, strict=True)
        if g < 1
    ]
    defined = [enclosed_derivatives(law, g)[0] for law, g in POINTS]
    return all_of([certified.agree(defined, closed, witnesses=witnesses), *signs])


@D7_1.sampled(Scope("three arms at gamma = 1/2"), resolution=0.02)
def _(bias: Any, trial: Trial) -> Answer:
    """The mean of log(p*/p_gamma) over outcomes drawn from p*."""
    mu, target = (np.array(x) for x in ends(THREE_ARMS, Real))
    half_way = np.sqrt(mu * target)
    table = np.log(target * half_way.sum() / half_way)
    drawn = Finite(THREE_ARMS.pi, THREE_ARMS.mu, THREE_ARMS.reward)
    mean = trial.mean(
        "log ratio", lambda rng, n: table[drawn.sample(rng, n)], table.min(), table.max()
    )
    closed = bias(list(mu), list(target), 0.5, Real)
    return trial.agrees(mean, closed, witness=at(THREE_ARMS, Fraction(1, 2)))


@D7_1.wrong("the divergence of p_gamma from p*")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    path = formulas.geometric_path(mu, target, gamma, m)
    return formulas.kl(path, target, m)


@D7_1.wrong("sign of log Z")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    level = m.log(formulas.moment(mu, target, gamma, m))
    return (1 - gamma) * formulas.kl(target, mu, m) - level


@D7_1.wrong("gamma for 1 - gamma")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    level = m.log(formulas.moment(mu, target, gamma, m))
    return gamma * formulas.kl(target, mu, m) + level


@D7_1.number("Bias at gamma = 1/4, mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(enclosed_derivatives(THREE_ARMS, Fraction(1, 4))[0])


T7_2_A = Draft(
    "T7.2.a",
    section="7.1",
    kind=Kind.INEQUALITY,
    title=Text("The bias falls in gamma", "Bias 单调递减"),
    finding=Text(
        "True on [0, 1) for every p* other than mu; the step that the proof leaves out is supplied "
        "by pairing outcomes.",
        "对任意 p* ≠ μ，在 [0, 1) 上成立；原证明略去的关键一步可由结果两两配对补全。",
    ),
    statement=r"\mathrm{Bias}'(\gamma) = \mathbb{E}_{p_\gamma}\!\left[\log\tfrac{p^*}{\mu}\right]"
    r" - D_{KL}(p^*\|\mu) < 0 \quad (0 \le \gamma < 1)",
    subject=formulas.bias_slope,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    assumes=(TARGET_DIFFERS,),
    uses=("D7.1",),
    reading="the slope at gamma = 0 is -infinity where KL(mu || p*) is; p* = e^(r/tau)/Z is "
    "positive wherever mu is",
)


@T7_2_A.symbolic(EVERY_LAW)
def _(slope: Any) -> Answer:
    """The slope of a general law's bias; Z times it is a sum over pairs, each of them negative."""
    closed = slope(MU, TARGET, GAMMA, SUMS)
    return all_of(
        [
            symbolic.equal(slope_of(general_bias()), closed),
            symbolic.equal(closed * total_mass(), slope_by_pairs()),
            *pairs_have_sign(-1),
        ]
    )


@T7_2_A.certified(Scope("two laws, every gamma in [0, 99/100]"))
def _(slope: Any) -> Answer:
    """The slope is that of the defined divergence at points, and negative box by box."""
    witnesses = [at(law, g) for law, g in POINTS]
    closed = [on_balls(slope, law)(Ball.number(g)) for law, g in POINTS]
    defined = [enclosed_derivatives(law, g)[1] for law, g in POINTS]
    signs = [
        certified.sign_on(
            on_balls(slope, law),
            (Fraction(0), Fraction(99, 100)),
            positive=False,
            witness=along(law),
        )
        for law in LAWS
    ]
    return all_of([certified.agree(closed, defined, witnesses=witnesses), *signs])


@T7_2_A.neural(Scope("four arms at three gammas"))
def _(slope: Any) -> Answer:
    """The defined divergence differentiated backwards, against the slope and against 0."""
    answers = []
    for gamma in (Fraction(0), Fraction(1, 3), Fraction(9, 10)):
        witness = at(UNIFORM_POLICY, gamma)
        place = neural.tensor(gamma)
        backwards = neural.gradient(bias_along(UNIFORM_POLICY, Tensor), place)
        closed = slope(*ends(UNIFORM_POLICY, Tensor), place, Tensor)
        answers += [
            neural.close(backwards, closed, witness=witness),
            neural.compare(closed, "<", 0, witness=witness),
        ]
    return all_of(answers)


@T7_2_A.wrong("sign")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return -1 * formulas.bias_slope(mu, target, gamma, m)


@T7_2_A.wrong("the mean under mu")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    rows = zip(mu, target, strict=True)
    return sum(a * m.log(p / a) for a, p in rows) - formulas.kl(target, mu, m)


@T7_2_A.wrong("the path from p* to mu")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return formulas.bias_slope(mu, target, 1 - gamma, m)


@T7_2_A.wrong("KL(mu || p*) subtracted")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    path = formulas.geometric_path(mu, target, gamma, m)
    rows = zip(path, mu, target, strict=True)
    return sum(q * m.log(p / a) for q, a, p in rows) - formulas.kl(mu, target, m)


@T7_2_A.number("Bias' at gamma = 0, mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(enclosed_derivatives(THREE_ARMS, Fraction(0))[1])


T7_2_B = Draft(
    "T7.2.b",
    section="7.1",
    kind=Kind.INEQUALITY,
    title=Text("The slope of the bias is negative at gamma = 1 too", "Bias 在 γ = 1 处斜率也为负"),
    finding=Text(
        "False: p_1 is p*, so the slope there is exactly 0.",
        "不成立：p_1 = p*，该处斜率恰为 0。",
    ),
    statement=r"\mathrm{Bias}'(1) < 0",
    subject=formulas.geometric_path,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    assumes=(TARGET_DIFFERS,),
    uses=("T7.2.a",),
    reading="the theorem names no range; gamma = 1 is in every range that the paper uses",
)
DYADIC = Finite.of("1/2 1/2", "3/4 1/4")
AT_THE_END = at(DYADIC, 1)


@T7_2_B.symbolic(Scope("the two arms of the witness"))
def _(path: Any) -> Answer:
    """KL(p* || p_gamma) differentiated in gamma, at 1."""
    mu, target = ends(DYADIC, Exact)
    bias = sum(
        p * sympy.log(p / q) for p, q in zip(target, path(mu, target, GAMMA, Exact), strict=True)
    )
    slope = sympy.simplify(sympy.diff(bias, GAMMA).subs(GAMMA, 1))
    return symbolic.compare(slope, "<", 0, witness=AT_THE_END)


@T7_2_B.certified(Scope("the two arms of the witness"))
def _(path: Any) -> Answer:
    """The sum of (p_1 - p*) log(p*/mu) is the ball [0, 0]: dyadic laws have exact powers."""
    mu, target = ends(DYADIC, Ball)
    last = path(mu, target, Ball.number(1), SimpleNamespace(power=lambda x, y: x**y))
    rows = zip(mu, target, last, strict=True)
    slope = sum((q - p) * Ball.log(p / a) for a, p, q in rows)
    negation = certified.compare(slope, ">=", 0, witness=AT_THE_END)
    if negation.outcome is Outcome.HOLDS:
        return Answer(Outcome.FAILS, Strength.PROOF, AT_THE_END.showing("the slope is 0"))
    return Answer(Outcome.UNDECIDED, Strength.PROOF, detail=negation.detail)


def bias_curvature(mu: Law, target: Law, gamma: Number, m: Arithmetic) -> Number:
    """Bias''(gamma) = Var_{p_gamma}(log p*/mu)."""
    path = formulas.geometric_path(mu, target, gamma, m)
    rows = [(q, m.log(p / a)) for q, a, p in zip(path, mu, target, strict=True)]
    mean = sum(q * level for q, level in rows)
    return sum(q * level * level for q, level in rows) - mean * mean


T7_2_B_FIX = Draft(
    "T7.2.b.fix",
    section="7.1",
    kind=Kind.IDENTITY,
    title=Text("The bias is convex and flat at gamma = 1", "Bias 为凸函数且在 γ = 1 处平坦"),
    finding=Text(
        "Bias'' is the variance of log p*/mu under p_gamma, and Bias'(1) = 0.",
        "Bias'' 等于 log(p*/μ) 在 p_γ 下的方差，且 Bias'(1) = 0。",
    ),
    statement=r"\mathrm{Bias}''(\gamma)"
    r" = \mathrm{Var}_{p_\gamma}\!\left(\log\tfrac{p^*}{\mu}\right) > 0,"
    r"\quad \mathrm{Bias}'(1) = 0",
    subject=bias_curvature,
    expect=Verdict.VERIFIED,
    assumes=(TARGET_DIFFERS,),
    uses=("D7.1", "T7.2.a"),
    amends=("T7.2.b",),
    reading="0 < gamma < 1, and at the ends where that variance is finite; Bias'(1) is the slope "
    "from the left",
)


@T7_2_B_FIX.symbolic(EVERY_LAW)
def _(curvature: Any) -> Answer:
    """The second derivative of a general law's bias; it is half a double mean of squares."""
    x, y, p, q = sympy.symbols("x y p q", real=True)
    # Of two outcomes x and y with masses p and q: E[x^2] E[1] - E[x]^2 for the pair.
    spread = (p * x**2 + q * y**2) * (p + q) - (p * x + q * y) ** 2
    return all_of(
        [
            symbolic.equal(
                slope_of(general_bias(), 2), curvature(MU, TARGET, GAMMA, SUMS), reduce=sympy.cancel
            ),
            symbolic.equal(spread, p * q * (x - y) ** 2),
            symbolic.equal(slope_of(general_bias(1)), 0),
        ]
    )


@T7_2_B_FIX.certified(Scope("two laws: values at three gammas, signs on [0, 1]"))
def _(curvature: Any) -> Answer:
    """Power series of the definition: first and second derivative, and the sign box by box."""
    closed = [on_balls(curvature, law)(Ball.number(g)) for law, g in POINTS]
    defined = [enclosed_derivatives(law, g)[2] for law, g in POINTS]
    flat = [enclosed_derivatives(law, Fraction(1))[1] for law in LAWS]
    signs = [
        certified.sign_on(
            on_balls(curvature, law),
            (Fraction(0), Fraction(1)),
            positive=True,
            witness=along(law),
        )
        for law in LAWS
    ]
    return all_of(
        [
            certified.agree(closed, defined, witnesses=[at(law, g) for law, g in POINTS]),
            certified.agree(flat, [Ball.number(0)] * 2, witnesses=[at(law, 1) for law in LAWS]),
            *signs,
        ]
    )


@T7_2_B_FIX.neural(Scope("four arms at three gammas"))
def _(curvature: Any) -> Answer:
    """The definition differentiated twice backwards, and once at gamma = 1."""
    answers = []
    for gamma in (Fraction(1, 10), Fraction(1, 2), Fraction(1)):
        place = neural.tensor(gamma)
        twice = neural.hessian(bias_along(UNIFORM_POLICY, Tensor), place)
        closed = curvature(*ends(UNIFORM_POLICY, Tensor), place, Tensor)
        answers.append(neural.close(twice, closed, witness=at(UNIFORM_POLICY, gamma)))
    slope = neural.gradient(bias_along(UNIFORM_POLICY, Tensor), neural.tensor(1))
    return all_of([*answers, neural.close([slope], [0], witness=at(UNIFORM_POLICY, 1))])


@T7_2_B_FIX.wrong("the variance under p*")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return bias_curvature(mu, target, m.number(1), m)


@T7_2_B_FIX.wrong("the second moment")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    path = formulas.geometric_path(mu, target, gamma, m)
    rows = [(q, m.log(p / a)) for q, a, p in zip(path, mu, target, strict=True)]
    return sum(q * level * level for q, level in rows)


@T7_2_B_FIX.wrong("sign")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return -1 * bias_curvature(mu, target, gamma, m)


@T7_2_B_FIX.number("Bias'' at gamma = 1, mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2)")
def _() -> str:
    return certified.digits(enclosed_derivatives(THREE_ARMS, Fraction(1))[2])


CLAIMS = frozen(D7_1, T7_2_A, T7_2_B, T7_2_B_FIX)
