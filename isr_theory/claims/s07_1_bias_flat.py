"""Section 7.1, the ends of Theorem 7.2: Bias is convex, and flat at gamma = 1.

The theorem names no range. At gamma = 1 the slope is 0, since p_1 is p*; what makes it negative
before that is the variance of log p*/mu, which is the second derivative.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import (
    Answer,
    Kind,
    Outcome,
    PrintedProof,
    Scope,
    Strength,
    Text,
    Verdict,
)
from isr_theory.claims.assumptions import TARGET_DIFFERS
from isr_theory.claims.general_law import (
    EVERY_LAW,
    GAMMA,
    MU,
    SUMS,
    TARGET,
    general_bias,
    slope_of,
)
from isr_theory.claims.s07_1_bias import (
    HALF,
    LAWS,
    POINTS,
    Law,
    along,
    at,
    bias_along,
    enclosed_derivatives,
    ends,
    infinite_bias,
    on_balls,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, UNIFORM_POLICY, Finite

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
    proof_remark=Text(
        "The strict inequality that it asserts is an equality at gamma = 1.",
        "它断言的严格不等式在 γ = 1 处是等式。",
    ),
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
    said = certified.compare(slope, "<", 0, witness=AT_THE_END)
    if said.outcome is not Outcome.UNDECIDED:
        return said
    # A ball that is 0 and nothing else is not below 0, which only the negation can say.
    negation = certified.compare(slope, ">=", 0, witness=AT_THE_END)
    if negation.outcome is Outcome.HOLDS:
        return Answer(Outcome.FAILS, Strength.PROOF, AT_THE_END.showing("the slope is 0"))
    return Answer(Outcome.UNDECIDED, Strength.PROOF, detail=negation.detail)


@T7_2_B.right("a path that gets half as far")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    return formulas.geometric_path(mu, target, gamma / 2, m)


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


@T7_2_B_FIX.without(TARGET_DIFFERS)
def _(curvature: Any, law: Finite) -> Answer:
    witness = at(law, HALF)
    return infinite_bias(law) or all_of(
        [
            certified.agree(
                [on_balls(curvature, law)(Ball.number(HALF)), 0],
                [enclosed_derivatives(law, HALF)[2], enclosed_derivatives(law, Fraction(1))[1]],
                witnesses=[witness, at(law, 1)],
            ),
            symbolic.compare(
                curvature(*ends(law, Exact), Exact.number(HALF), Exact), ">", 0, witness=witness
            ),
        ]
    )


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


CLAIMS = frozen(T7_2_B, T7_2_B_FIX)
