"""Section 9.1: the rule for gamma where weights carry a reward.

The printed rule adds Var(r)/tau^2 to sigma2. But gamma does not touch the factor e^(r/tau) of
w^gamma e^(r/tau), so what the reward costs has to come off the target instead.
"""

from __future__ import annotations

from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import INDEPENDENT_REWARD, VALID_RULE
from isr_theory.claims.jointly_normal import (
    GAMMA,
    JOINTLY_NORMAL,
    REWARD2,
    ROOM,
    SIGMA2,
    Rewarded,
    drawn_ess,
    enclosed_ess,
    ess_at,
    integrated_ess,
    is_largest,
    loads,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial

T9_1_A = Draft(
    "T9.1.a",
    section="9.1",
    kind=Kind.OPTIMUM,
    title=Text(
        "The reward-adjusted gamma for weights w^γ e^(r/τ)", "奖励调整的 γ：权重 w^γ e^(r/τ)"
    ),
    finding=Text(
        "For a reward independent of log w it misses its target wherever it is below 1: ESS/n is"
        " 0.140, not 0.3, at σ² = 4 and Var(r)/τ² = 1.",
        "奖励与 log w 独立时，凡 γ < 1 均达不到目标：σ² = 4、Var(r)/τ² = 1 时 ESS/n 为 0.140，"
        "不足 0.3。",
    ),
    statement=r"\gamma^*_r = \min\Bigl(1, \sqrt{\tfrac{-\log\rho_{\min}}"
    r"{\sigma^2+\sigma_r^2/\tau^2}}\Bigr)\ \Rightarrow\ "
    r"\mathrm{ESS}(w^{\gamma^*_r}e^{r/\tau})/n \ge \rho_{\min}",
    subject=formulas.gamma_reward_printed,
    expect=Verdict.REFUTED,
    assumes=(JOINTLY_NORMAL, INDEPENDENT_REWARD, VALID_RULE),
    uses=("T8.2", "T8.3.a"),
    reading="the paper names no weights; Var(r)/tau^2 is the variance of the exponent in the "
    "p* = e^(r/tau)/Z of 2.2, here independent of log w; 'optimal' is read as in 8.3",
)
SHORT = Rewarded.of("4", "0", "1", "3/10")


@T9_1_A.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Two Gaussian integrals for each moment."""
    sigma2, cov, reward2, rho_min = SHORT.numbers(Exact)
    gamma = rule(sigma2, reward2, rho_min, Exact)
    ess = integrated_ess(loads(gamma, sigma2, cov, reward2, Exact))
    return symbolic.compare(ess, ">=", rho_min, witness=SHORT.witness())


@T9_1_A.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """The same integrals by rigorous quadrature."""
    sigma2, cov, reward2, rho_min = SHORT.numbers(Ball)
    gamma = rule(sigma2, reward2, rho_min, Ball)
    ess = enclosed_ess(loads(gamma, sigma2, cov, reward2, Ball))
    return certified.compare(ess, ">=", rho_min, witness=SHORT.witness())


@T9_1_A.sampled(Scope("the witness"), resolution=0.1, looks=2)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals."""
    sigma2, cov, reward2, rho_min = SHORT.numbers(Real)
    weight = loads(rule(sigma2, reward2, rho_min, Real), sigma2, cov, reward2, Real)
    return trial.above(drawn_ess(trial, weight, resolution=0.025), rho_min, witness=SHORT.witness())


@T9_1_A.right("as amended")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward(sigma2, m.number(0), reward2, rho_min, m)


@T9_1_A.right("gamma = 0")
def _(sigma2: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return m.number(0)


@T9_1_A.margin(spaces.plain(sigma2=("1/4", "9"), reward2=("1/10", "1"), rho_min=("1/20", "1/3")))
def _(rule: Any, case: Any, m: Any) -> Any:
    sigma2, reward2, rho_min = (m.number(case[x]) for x in ("sigma2", "reward2", "rho_min"))
    gamma = rule(sigma2, reward2, rho_min, m)
    return formulas.ess_reward(sigma2, gamma, m.number(0), reward2, m) - rho_min


T9_1_A_FIX = Draft(
    "T9.1.a.fix",
    section="9.1",
    kind=Kind.OPTIMUM,
    title=Text("The gamma that a normal reward leaves", "正态奖励下的正确 γ"),
    finding=Text(
        "The reward's variance comes off −log ρ_min instead of being added to σ², and its"
        " covariance with log w enters.",
        "奖励方差应从 −log ρ_min 中扣除，而非加到 σ² 上；奖励与 log w 的协方差也起作用。",
    ),
    statement=r"\gamma^* = \min\Bigl(1, \frac{\sqrt{c^2 + \sigma^2(-\log\rho_{\min} - s^2)} - c}"
    r"{\sigma^2}\Bigr),\quad s^2 = \mathrm{Var}(R/\tau),\ c = \mathrm{Cov}(\log w, R/\tau)",
    subject=formulas.gamma_reward,
    expect=Verdict.VERIFIED,
    assumes=(JOINTLY_NORMAL, ROOM),
    uses=("T8.2",),
    amends=("T9.1.a",),
    reading="the largest gamma in [0, 1] at which the population ESS/n of w^gamma e^(R/tau) is at "
    "least rho_min",
)
# The cases of which a table can be made: the last is clipped at 1.
CASES = [
    Rewarded.of(*numbers)
    for numbers in (
        ("4", "0", "1", "3/10"),
        ("4", "1", "1", "3/10"),
        ("4", "-1", "1", "3/10"),
        ("1", "1/5", "1/4", "1/2"),
        ("1/2", "0", "1/10", "3/10"),
    )
]


def rooted(expression: Any) -> Any:
    """Take squares out of square roots, after the logarithms inside are expanded."""

    def factored(base: Any) -> Any:
        return sympy.sqrt(sympy.factor(sympy.expand_log(sympy.expand(base), force=True)))

    half = sympy.Rational(1, 2)
    found = expression.replace(lambda e: e.is_Pow and e.exp == half, lambda e: factored(e.base))
    return sympy.simplify(found)


@T9_1_A_FIX.symbolic(
    Scope("every sigma2, reward2, covariance and rho_min with room below -log rho_min", whole=True)
)
def _(rule: Any) -> Answer:
    """-log ESS is a parabola in gamma, below -log rho_min at 0 and equal to it at the rule's gamma.

    The parabola is convex, so it is below on all of [0, gamma], and above past gamma.
    """
    root, excess = sympy.symbols("g e", positive=True)
    # Free g, e > 0 for the root and the covariance: with c = e - g sigma2/2 the room that is left,
    # g^2 sigma2 + 2 g c, is 2 g e > 0; given c and any room, g is the positive root and e follows.
    cov = excess - root * SIGMA2 / 2
    rho_min = sympy.exp(-(REWARD2 + 2 * root * excess))
    # The parabola holds for every admissible covariance; c here need not be one.
    free = sympy.Symbol("k", real=True)
    cost = -sympy.log(integrated_ess(loads(GAMMA, SIGMA2, free, REWARD2, Exact)))
    parabola = sympy.expand(sympy.expand_log(cost, force=True))
    both_sides_of_the_clip = [
        {SIGMA2: 2, REWARD2: 1, root: 3, excess: 5},
        {SIGMA2: 5, REWARD2: 1, root: sympy.Rational(1, 3), excess: sympy.Rational(1, 7)},
    ]
    return all_of(
        [
            symbolic.equal(sympy.diff(parabola, GAMMA, 2), 2 * SIGMA2),
            symbolic.positive(-sympy.log(rho_min) - parabola.subs(GAMMA, 0)),
            symbolic.equal(parabola.subs({free: cov, GAMMA: root}), -sympy.log(rho_min)),
            symbolic.equal(
                rule(SIGMA2, cov, REWARD2, rho_min, Exact),
                sympy.Min(1, root),
                points=both_sides_of_the_clip,
                reduce=rooted,
            ),
        ]
    )


@T9_1_A_FIX.symbolic(Scope("no covariance, every sigma2, reward2 > 0 and rho_min with room"))
def _(rule: Any) -> Answer:
    """The printed gamma is larger wherever it is below 1, and so misses the target there."""
    excess, reward2 = sympy.symbols("e r2", positive=True)
    # The root g = 1/(1+e) runs through (0, 1), where both are below 1; at g >= 1 both are 1.
    room = reward2 + SIGMA2 / (1 + excess) ** 2
    gamma = rule(SIGMA2, sympy.Integer(0), reward2, sympy.exp(-room), Exact)
    gap = room / (SIGMA2 + reward2) - gamma**2
    return symbolic.positive(gap.replace(sympy.Min, lambda *ends: sympy.Min(*map(rooted, ends))))


@T9_1_A_FIX.certified(Scope("four cases, and one that is clipped at 1"))
def _(rule: Any) -> Answer:
    """ESS/n by quadrature at the rule's gamma is rho_min, or more where gamma is 1."""
    answers = []
    for case in CASES:
        sigma2, cov, reward2, rho_min = case.numbers(Ball)
        gamma = rule(sigma2, cov, reward2, rho_min, Ball)
        at = [case.witness()]
        if case is CASES[-1]:
            ess = enclosed_ess(loads(Ball.number(1), sigma2, cov, reward2, Ball))
            answers.append(certified.agree([gamma], [Ball.number(1)], witnesses=at))
            answers.append(certified.compare(ess, ">", rho_min, witness=at[0]))
        else:
            ess = enclosed_ess(loads(gamma, sigma2, cov, reward2, Ball))
            answers.append(certified.agree([ess], [rho_min], witnesses=at))
    return all_of(answers)


@T9_1_A_FIX.sampled(
    Scope("sigma2 = 1, cov = 1/5, reward2 = 1/4, rho_min = 1/2"), resolution=0.1, looks=2
)
def _(rule: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals, at the rule's gamma."""
    sigma2, cov, reward2, rho_min = CASES[3].numbers(Real)
    weight = loads(rule(sigma2, cov, reward2, rho_min, Real), sigma2, cov, reward2, Real)
    ess = drawn_ess(trial, weight, resolution=0.025)
    return trial.agrees(ess, rho_min, witness=CASES[3].witness())


def largest(rule: Any, case: Any) -> Answer:
    """Try whether the rule's gamma is the largest that keeps the target of a case."""
    sigma2, cov, reward2, rho_min = case.numbers(Ball)
    gamma = rule(sigma2, cov, reward2, rho_min, Ball)
    return is_largest(gamma, ess_at(case, gamma, Ball.number(1)), rho_min, case.witness())


T9_1_A_FIX.without(JOINTLY_NORMAL)(largest)
# The parabola's roots are 1.14 and 1.66: no gamma in [0, 1] keeps the target, and the rule says 1.
T9_1_A_FIX.without(ROOM, on=(Rewarded.of("1", "-7/5", "2", "9/10"),))(largest)


@T9_1_A_FIX.wrong("as printed")
def _(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward_printed(sigma2, reward2, rho_min, m)


@T9_1_A_FIX.wrong("sign of the covariance")
def _(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward(sigma2, -cov, reward2, rho_min, m)


@T9_1_A_FIX.wrong("covariance left out")
def _(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward(sigma2, 0 * cov, reward2, rho_min, m)


@T9_1_A_FIX.wrong("reward variance left out")
def _(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.gamma_reward(sigma2, cov, 0 * reward2, rho_min, m)


@T9_1_A_FIX.wrong("no clip at 1")
def _(sigma2: Any, cov: Any, reward2: Any, rho_min: Any, m: Any) -> Any:
    slack = -m.log(rho_min) - reward2
    return (m.sqrt(cov * cov + sigma2 * slack) - cov) / sigma2


for _case in CASES[:3]:

    def _digits(case: Rewarded = _case) -> str:
        sigma2, cov, reward2, rho_min = case.numbers(Ball)
        return certified.digits(formulas.gamma_reward(sigma2, cov, reward2, rho_min, Ball))

    T9_1_A_FIX.number(f"gamma* at {_case.witness()}")(_digits)


@T9_1_A_FIX.number("ESS/n of w^gamma e^(R/tau) at the printed gamma, sigma2 = 4, reward2 = 1")
def _() -> str:
    sigma2, cov, reward2, rho_min = SHORT.numbers(Ball)
    gamma = formulas.gamma_reward_printed(sigma2, reward2, rho_min, Ball)
    return certified.digits(formulas.ess_reward(sigma2, gamma, cov, reward2, Ball))


CLAIMS = frozen(T9_1_A, T9_1_A_FIX)
