"""Section 7.1: Bias(gamma) = KL(p* || p_gamma), on the geometric path from mu to p*.

It falls, as Theorem 7.2 says, up to gamma = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import (
    Answer,
    Assumption,
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
from isr_theory.models import NEW_SUPPORT, RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

Law = Sequence[Number]
# In these laws the field pi plays p*.
LAWS = (THREE_ARMS, RARE_ARM)
POINTS = [(law, Fraction(g)) for law in LAWS for g in ("1/4", "3/5", "1")]
HALF = Fraction(1, 2)


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


def infinite_bias(law: Finite) -> Answer | None:
    """Return a FAILS where Bias is infinite at every gamma below 1: it has no slope and no order.

    There p* has an outcome that mu, and so p_gamma, does not have.
    """
    if all(a > 0 or p == 0 for a, p in zip(law.mu, law.pi, strict=True)):
        return None
    shows = "p_gamma misses an outcome of p*, so Bias is infinite"
    return Answer(Outcome.FAILS, Strength.PROOF, at(law, HALF).showing(shows))


FINITE_BIAS = Assumption(
    "finite_bias",
    Text("KL(p* || mu) is finite.", "KL(p*‖μ) 有限。"),
    # In these instances pi plays p*; it may be mu.
    lambda law: infinite_bias(law) is None,
    examples=(THREE_ARMS, Finite.of("1/2 1/2", "1/2 1/2")),
    violations=(NEW_SUPPORT,),
    draw=Finite.drawn,
)

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
    assumes=(FINITE_BIAS,),
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


@D7_1.margin(*(spaces.finite(arms, gamma=("0", "1")) for arms in (2, 3)))
def _(bias: Any, case: Any, m: Any) -> Any:
    mu, target, _ = case.model.numbers(m)
    return bias(mu, target, m.number(case["gamma"]), m)


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


D7_1.meaningless_without(
    FINITE_BIAS,
    "where KL(p* || mu) is infinite the closed form is 0 times infinity at gamma = 1, and where p* "
    "and mu share no outcome Z_gamma is 0 and there is no p_gamma",
)


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
    proof_remark=Text(
        "'It can be shown' stands in the place of the one step that matters: d log Z/d gamma < "
        "KL(p* || mu).",
        "“可以证明”代替了唯一关键的一步：∂log Z_γ/∂γ < KL(p*‖μ)。",
    ),
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


@T7_2_A.margin(*(spaces.finite(arms, gamma=("0", "1")) for arms in (2, 3)))
def _(slope: Any, case: Any, m: Any) -> Any:
    mu, target, _ = case.model.numbers(m)
    return -slope(mu, target, m.number(case["gamma"]), m)


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


@T7_2_A.without(TARGET_DIFFERS)
def _(slope: Any, law: Finite) -> Answer:
    witness = at(law, HALF)
    return infinite_bias(law) or all_of(
        [
            certified.agree(
                [on_balls(slope, law)(Ball.number(HALF))],
                [enclosed_derivatives(law, HALF)[1]],
                witnesses=[witness],
            ),
            symbolic.compare(
                slope(*ends(law, Exact), Exact.number(HALF), Exact), "<", 0, witness=witness
            ),
        ]
    )


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


CLAIMS = frozen(D7_1, T7_2_A)
