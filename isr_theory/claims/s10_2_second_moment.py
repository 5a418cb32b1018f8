"""Section 10.1, second row: where V(gamma) = E[w^(2 gamma)] rises.

The table says above 1/4. That is so for log-normal weights; in general V is convex, is 1 at 0 and
at 1/2, and is smallest at half the Chernoff point, which lies on either side of 1/4.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Number, Real
from isr_theory.claim import Answer, Kind, Outcome, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL, MUTUAL_SUPPORT, POLICIES_DIFFER
from isr_theory.claims.instances import log_variance, moment, named
from isr_theory.claims.s07_2_lognormal import WEIGHTS_VARY
from isr_theory.claims.s10_1_bias import slope_at
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import RARE_ARM, THREE_ARMS, Finite, GaussianShift

A, B, C, D, S, W = sympy.symbols("a b c d s w", positive=True)
SIGMA2, GAMMA = sympy.symbols("sigma2 gamma", positive=True)
LEVEL = sympy.symbols("l", real=True)


def half(chernoff: Number) -> Number:
    """The minimiser of E[w^(2 gamma)]: half the Chernoff point s*, at which K'(s*) = 0."""
    return chernoff / 2


TAB10_1_2_A = Draft(
    "TAB10.1.2.a",
    section="10.1",
    kind=Kind.INEQUALITY,
    title=Text("V increases above 1/4, log-normal weights", "对数正态下 V(γ) 在 γ > 1/4 递增"),
    finding=Text(
        "True of the second moment E[w^(2 gamma)], which the table calls Var.",
        "对二阶矩 E[w^{2γ}]（表中记作 Var）成立。",
    ),
    statement=r"\tfrac14 \le \gamma < \gamma' \Rightarrow "
    r"\mathbb{E}_\mu[w^{2\gamma}] < \mathbb{E}_\mu[w^{2\gamma'}]",
    subject=formulas.second_moment_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL, WEIGHTS_VARY),
    uses=("A7.3", "T7.4"),
    reading="Var is the paper's V(gamma) = E[w^(2 gamma)] of Theorem 7.4 and Corollary 7.5",
)


@TAB10_1_2_A.symbolic(Scope("every sigma2 > 0 and gamma >= 1/4, log-normal model", whole=True))
def _(second_moment: Any) -> Answer:
    """The integrand is V times a normal density, and log V has slope 4 c sigma2 at 1/4 + c."""
    log_moment = sympy.expand_log(sympy.log(second_moment(SIGMA2, GAMMA, Exact)), force=True)
    mean = -SIGMA2 / 2
    # Exponents of e^(2 gamma l) times the density of N(-sigma2/2, sigma2), and of V times N(., .).
    integrand = 2 * GAMMA * LEVEL - (LEVEL - mean) ** 2 / (2 * SIGMA2)
    shifted = -((LEVEL - mean - 2 * GAMMA * SIGMA2) ** 2) / (2 * SIGMA2)
    slope = sympy.diff(log_moment, GAMMA).subs(GAMMA, sympy.Rational(1, 4) + C)
    return all_of([symbolic.equal(integrand, log_moment + shifted), symbolic.positive(slope)])


@cache
def enclosed_slope(sigma2: int, gamma: Fraction) -> Any:
    """E[2 l w^(2 gamma)] by quadrature, l = sigma z - sigma2/2; gamma <= 1, sigma2 <= 4."""
    root, level = Ball.sqrt(Ball.number(sigma2)), Ball.number(sigma2) / 2
    # |2 l e^(2 gamma l)| <= 2 e^(3 |l|) <= 2 e^6 e^(6 |z|), as |l| <= 2 |z| + 2.
    return certified.gaussian_expectation(
        lambda z: 2 * (root * z - level) * (2 * Ball.number(gamma) * (root * z - level)).exp(),
        growth=6,
        constant=2 * 3**6,
    )


@TAB10_1_2_A.certified(Scope("four points of (sigma2, gamma)"))
def _(second_moment: Any) -> Answer:
    """The slope is the rigorous quadrature of 2 l w^(2 gamma), and is positive."""
    points = [(s, Fraction(g)) for s, g in ((1, "3/10"), (1, "1/2"), (4, "3/10"), (4, "1"))]
    witnesses = [Witness.at(sigma2=s, gamma=g) for s, g in points]
    slopes = []
    for s, g in points:
        sigma2 = Jet.number(s)

        def moment(gamma: Any, sigma2: Any = sigma2) -> Any:
            return second_moment(sigma2, gamma, Jet)

        slopes.append(slope_at(moment)(Ball.number(g)))
    signs = [
        certified.compare(slope, ">", 0, witness=witness)
        for slope, witness in zip(slopes, witnesses, strict=True)
    ]
    enclosed = [enclosed_slope(s, g) for s, g in points]
    return all_of([certified.agree(enclosed, slopes, witnesses=witnesses), *signs])


@TAB10_1_2_A.sampled(Scope("sigma2 = 1, gamma = 1/2 and 3/4"), resolution=0.1)
def _(second_moment: Any, trial: Trial) -> Answer:
    """The rise of E[w^(2 gamma)] from 1/2 to 3/4, drawn under E[w] = 1."""
    rise = trial.mean("E[w^(3/2)]", *GaussianShift(Fraction(1)).power(1.5)) - 1
    witness = Witness.at(sigma2=1, gamma=Fraction(3, 4))
    expected = second_moment(1.0, 0.75, Real) - second_moment(1.0, 0.5, Real)
    return all_of(
        [trial.agrees(rise, expected, witness=witness), trial.above(rise, 0, witness=witness)]
    )


# Past 1/4, but not past the minimiser of every law.
JUST_PAST = (Fraction(1, 4), Fraction(13, 50))


@TAB10_1_2_A.without(LOGNORMAL)
def _(second_moment: Any, model: Any) -> Answer:
    witness, sigma2 = named(model, gamma=JUST_PAST), log_variance(model)
    early, late = (moment(model, 2 * Ball.number(g)) for g in JUST_PAST)
    closed = [second_moment(sigma2, Ball.number(g), Ball) for g in JUST_PAST]
    return all_of(
        [
            certified.compare(early, "<", late, witness=witness),
            certified.agree([early, late], closed, witnesses=[witness] * 2),
        ]
    )


@TAB10_1_2_A.without(WEIGHTS_VARY)
def _(second_moment: Any, model: GaussianShift) -> Answer:
    sigma2 = Exact.number(model.sigma2)
    early, late = (second_moment(sigma2, Exact.number(g), Exact) for g in JUST_PAST)
    return symbolic.compare(early, "<", late, witness=named(model, gamma=JUST_PAST))


@TAB10_1_2_A.wrong("E[w^gamma] for E[w^(2 gamma)]")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (gamma - 1) / 2)


@TAB10_1_2_A.wrong("half the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * (2 * gamma - 1) / 2)


@TAB10_1_2_A.wrong("sign of the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(-sigma2 * gamma * (2 * gamma - 1))


TAB10_1_2_B = Draft(
    "TAB10.1.2.b",
    section="10.1",
    kind=Kind.INEQUALITY,
    title=Text("V increases above 1/4, any weights", "任意权重下 V(γ) 在 γ > 1/4 递增"),
    finding=Text(
        "False already for two arms: E[w^(2 gamma)] still falls as gamma passes 1/4.",
        "两臂情形即不成立：γ 越过 1/4 时 E[w^{2γ}] 仍在下降。",
    ),
    statement=r"\tfrac14 < \gamma < \gamma' \le 1 \Rightarrow "
    r"\mathbb{E}_\mu[w^{2\gamma}] < \mathbb{E}_\mu[w^{2\gamma'}]",
    subject=Fraction(1, 4),
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It refers to Corollary 7.5, which needs log-normal weights.",
        "引自推论 7.5，而后者需要对数正态权重。",
    ),
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    uses=("TAB10.1.2.a",),
    reading="the table names no law of w; if V increased above 1/4, V'(1/4) would be at least 0",
)
TO_UNIFORM = Finite.of("9/10 1/10", "1/2 1/2")
STILL_FALLING = Witness.at(mu=TO_UNIFORM.mu, pi=TO_UNIFORM.pi, gamma=Fraction(1, 4))


@TAB10_1_2_B.symbolic(Scope("the two arms of the witness"))
def _(threshold: Any) -> Answer:
    """The slope at 1/4 is log(625/729) / sqrt 5."""
    mu, pi, _ = TO_UNIFORM.numbers(Exact)
    second = sum(a * (b / a) ** (2 * GAMMA) for a, b in zip(mu, pi, strict=True))
    slope = sympy.diff(second, GAMMA).subs(GAMMA, Exact.number(threshold))
    return symbolic.compare(slope, ">=", 0, witness=STILL_FALLING)


@TAB10_1_2_B.certified(Scope("the two arms of the witness"))
def _(threshold: Any) -> Answer:
    """The slope at 1/4 of mu^(1 - 2 gamma) pi^(2 gamma), summed as power series."""
    mu, pi, _ = TO_UNIFORM.numbers(Jet)
    slope = slope_at(lambda gamma: formulas.moment(mu, pi, 2 * gamma, Jet))
    return certified.compare(slope(Ball.number(threshold)), ">=", 0, witness=STILL_FALLING)


@TAB10_1_2_B.neural(Scope("the two arms of the witness"))
def _(threshold: Any) -> Answer:
    """The autograd slope of E[w^(2 gamma)] at 1/4."""
    mu, pi = neural.tensor(TO_UNIFORM.mu), neural.tensor(TO_UNIFORM.pi)
    slope = neural.gradient(
        lambda gamma: (mu * (2 * gamma * (pi / mu).log()).exp()).sum(), neural.tensor(threshold)
    )
    return neural.compare(slope, ">", 0, witness=STILL_FALLING)


# V is 1 at 0 and at 1/2 and strictly convex, so at 1/2 it rises for every law.
TAB10_1_2_B.right_value("above 1/2", Fraction(1, 2))

TAB10_1_2_FIX = Draft(
    "TAB10.1.2.fix",
    section="10.1",
    kind=Kind.OPTIMUM,
    title=Text("Where V is smallest, for every law", "任意分布下 V(γ) 的最小点"),
    finding=Text(
        "V is strictly convex and smallest at half the Chernoff point s*, somewhere in (0, 1/2).",
        "V 严格凸，在 Chernoff 点 s* 的一半处取最小，该点位于 (0, 1/2) 内。",
    ),
    statement=r"\arg\min_\gamma \mathbb{E}_\mu[w^{2\gamma}] = s^*/2,\quad K'(s^*) = 0,\ "
    r"s^* \in (0, 1),\quad V \text{ increases on } [s^*/2, \infty)",
    subject=half,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT, POLICIES_DIFFER),
    amends=("TAB10.1.2.b",),
    reading="K(s) = log E[w^s]; increasing as long as V is finite",
)


@TAB10_1_2_FIX.symbolic(
    Scope("every law, term by term: V is strictly convex and V(0) = V(1/2) = 1", whole=True)
)
def _(minimiser: Any) -> Answer:
    """Outcome by outcome V'(s*/2) = 2 M'(s*), V'' > 0, and V is 1 at 0 and at 1/2."""
    term = A * W ** (2 * GAMMA)
    slope = sympy.diff(term, GAMMA).subs(GAMMA, minimiser(S))
    curvatures = [sympy.diff(A * sympy.exp(2 * GAMMA * x), GAMMA, 2) for x in (D, -D)]
    ends = [(term.subs(GAMMA, 0), A), ((A * (B / A) ** (2 * GAMMA)).subs(GAMMA, Fraction(1, 2)), B)]
    return all_of(
        [
            symbolic.equal(slope, 2 * sympy.diff(A * W**S, S)),
            *(symbolic.positive(curvature) for curvature in curvatures),
            *(symbolic.equal(left, right) for left, right in ends),
        ]
    )


@cache
def chernoff_point(law: Finite) -> Any:
    """The s at which the geometric mean nu_s is as far from mu as from pi, in KL."""
    mu, pi, _ = law.numbers(Ball)

    def excess(s: Any) -> Any:
        tilt = formulas.geometric_path(mu, pi, s, Ball)
        return formulas.kl(tilt, mu, Ball) - formulas.kl(tilt, pi, Ball)

    return certified.root(excess, Fraction(0), Fraction(1))


@cache
def smallest_second_moment(law: Finite) -> Any:
    """The root in (0, 1/2) of the slope of E[w^(2 gamma)]."""
    mu, pi, _ = law.numbers(Jet)
    slope = slope_at(lambda gamma: formulas.moment(mu, pi, 2 * gamma, Jet))
    return certified.root(slope, Fraction(0), Fraction(1, 2))


@TAB10_1_2_FIX.certified(Scope("three laws on two to four arms"))
def _(minimiser: Any) -> Answer:
    """The isolated root of V' against the point equally far from mu and pi."""
    laws = (THREE_ARMS, RARE_ARM, TO_UNIFORM)
    return certified.agree(
        [smallest_second_moment(law) for law in laws],
        [minimiser(chernoff_point(law)) for law in laws],
        witnesses=[Witness.at(mu=law.mu, pi=law.pi) for law in laws],
    )


@TAB10_1_2_FIX.neural(Scope("laws on two and four arms"))
def _(minimiser: Any) -> Answer:
    """Newton's method on log E[w^s] finds s*; the autograd slope of V vanishes at its half."""
    answers = []
    for law in (RARE_ARM, TO_UNIFORM):
        mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)
        level = (pi / mu).log()

        def cumulant(s: Any, mu: Any = mu, level: Any = level) -> Any:
            return (mu * (s * level).exp()).sum().log()

        s = neural.tensor(0.5)
        # K is smooth with curvature of order 1 here: eight steps pass the last float64 digit.
        for _ in range(8):
            s = s - neural.gradient(cumulant, s) / neural.hessian(cumulant, s)

        def second(gamma: Any, f: Callable[[Any], Any] = cumulant) -> Any:
            return f(2 * gamma).exp()

        slope = neural.gradient(second, minimiser(s))
        answers.append(neural.close(slope, [0], witness=Witness.at(mu=law.mu, pi=law.pi)))
    return all_of(answers)


def falls_then_rises(minimiser: Any, law: Finite) -> Answer:
    """Try whether V falls from 0 on, rises at 1/2, and is smallest at half the Chernoff point.

    The slopes are of E_mu[w^s] at s = 0 and s = 1, from between. Outcomes that either law lacks add
    nothing to them: mu does not see those that it lacks, and 0^s is 0 for every s > 0.
    """
    witness = named(law)
    rows = [(a, b) for a, b in zip(*law.numbers(Exact)[:2], strict=True) if a > 0 and b > 0]
    ends = all_of(
        [
            symbolic.compare(sum(a * sympy.log(b / a) for a, b in rows), "<", 0, witness=witness),
            symbolic.compare(sum(b * sympy.log(b / a) for a, b in rows), ">", 0, witness=witness),
        ]
    )
    if ends.outcome is not Outcome.HOLDS:
        return ends
    least = minimiser(chernoff_point(law))
    return certified.agree([smallest_second_moment(law)], [least], witnesses=[witness])


TAB10_1_2_FIX.without(MUTUAL_SUPPORT)(falls_then_rises)
TAB10_1_2_FIX.without(POLICIES_DIFFER)(falls_then_rises)


@TAB10_1_2_FIX.wrong("the Chernoff point itself")
def _(chernoff: Any) -> Any:
    return chernoff


@TAB10_1_2_FIX.wrong("a quarter for every law")
def _(chernoff: Any) -> Any:
    return chernoff / (4 * chernoff)


@TAB10_1_2_FIX.wrong("mu and pi swapped")
def _(chernoff: Any) -> Any:
    return (1 - chernoff) / 2


@TAB10_1_2_FIX.number("minimiser of E[w^(2 gamma)], three arms")
def _() -> str:
    return certified.digits(smallest_second_moment(THREE_ARMS))


@TAB10_1_2_FIX.number("minimiser of E[w^(2 gamma)], mu = (.9, .1), pi = (.5, .5)")
def _() -> str:
    return certified.digits(smallest_second_moment(TO_UNIFORM))


CLAIMS = frozen(TAB10_1_2_A, TAB10_1_2_B, TAB10_1_2_FIX)
