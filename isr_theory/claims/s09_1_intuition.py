"""Section 9.1, the intuition: more variance of the reward, a more conservative gamma.

    -log(ESS/n) = Var(gamma log w + R/tau) = gamma^2 sigma2 + 2 gamma c + s^2

so a reward that leans against log w, with c = Cov(log w, R/tau) < -s^2 / (2 gamma), raises the ESS.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import VALID_RULE
from isr_theory.claims.jointly_normal import (
    GAMMA,
    JOINTLY_NORMAL,
    REWARD2,
    SIGMA2,
    Rewarded,
    drawn_ess,
    enclosed_ess,
    ess_at,
    integrated_ess,
    loads,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial

INT9_1 = Draft(
    "INT9.1",
    section="9.1",
    kind=Kind.HEURISTIC,
    title=Text("More reward variance, a more conservative gamma", "奖励方差大时 γ 应更保守"),
    finding=Text(
        "Not if the reward leans against log w: for R/τ = −½ log w, σ² = 4 the gamma of no reward,"
        " 0.549, leaves ESS/n at 0.991, and even γ = 1 meets 0.3.",
        "若奖励与 log w 负相关则不然：R/τ = −½ log w、σ² = 4 时，无奖励的 γ = 0.549 处"
        " ESS/n 为 0.991，甚至 γ = 1 也达到 0.3。",
    ),
    statement=r"\mathrm{Var}(R/\tau) > 0\ \Rightarrow\ "
    r"\mathrm{ESS}(w^{\gamma^*}e^{R/\tau})/n < \rho_{\min},"
    r"\quad \gamma^* \text{ that of no reward}",
    subject=loads,
    expect=Verdict.REFUTED,
    assumes=(JOINTLY_NORMAL, VALID_RULE),
    uses=("T8.3.a",),
    reading="'needs a smaller gamma': at the gamma that just meets the target without a reward, "
    "weights with one miss it",
)
# R/tau = -1/2 log w.
LEANING = Rewarded.of("4", "-2", "1", "3/10")


def spent(weight: Any, m: Any) -> Any:
    """The loads of a weight at the gamma of no reward, in the witness."""
    sigma2, cov, reward2, rho_min = LEANING.numbers(m)
    gamma = formulas.gamma_lognormal(sigma2, rho_min, m)
    return weight(gamma, sigma2, cov, reward2, m)


@INT9_1.symbolic(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Two Gaussian integrals for each moment."""
    ess, rho_min = integrated_ess(spent(weight, Exact)), Exact.number(LEANING.rho_min)
    return symbolic.compare(ess, "<", rho_min, witness=LEANING.witness())


@INT9_1.certified(Scope("the witness"))
def _(weight: Any) -> Answer:
    """The same integrals by rigorous quadrature."""
    ess, rho_min = enclosed_ess(spent(weight, Ball)), Ball.number(LEANING.rho_min)
    return certified.compare(ess, "<", rho_min, witness=LEANING.witness())


@INT9_1.sampled(Scope("the witness"), resolution=0.1, looks=2)
def _(weight: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals."""
    ess = drawn_ess(trial, spent(weight, Real), resolution=0.025)
    return trial.below(ess, float(LEANING.rho_min), witness=LEANING.witness())


@INT9_1.right("a reward that is uncorrelated with log w")
def _(gamma: Any, sigma2: Any, cov: Any, reward2: Any, m: Any) -> Any:
    return loads(gamma, sigma2, 0 * cov, reward2, m)


INT9_1_FIX = Draft(
    "INT9.1.fix",
    section="9.1",
    kind=Kind.IDENTITY,
    title=Text("What a reward costs in ESS", "奖励对 ESS 的代价"),
    finding=Text(
        "−log(ESS/n) is Var(γ log w + R/τ): a reward lowers the ESS exactly where Var(R/τ) + 2γ Cov"
        " > 0, so always where it is uncorrelated with log w.",
        "−log(ESS/n) 等于 Var(γ log w + R/τ)：当且仅当 Var(R/τ) + 2γ Cov > 0 时奖励降低 ESS，"
        "不相关时总是如此。",
    ),
    statement=r"-\log(\mathrm{ESS}/n) = \gamma^2\sigma^2 + 2\gamma c + s^2,\quad "
    r"\frac{\mathrm{ESS}(w^\gamma e^{R/\tau})}{\mathrm{ESS}(w^\gamma)} = e^{-(s^2 + 2\gamma c)}",
    subject=formulas.ess_reward,
    expect=Verdict.VERIFIED,
    assumes=(JOINTLY_NORMAL,),
    uses=("T8.2",),
    amends=("INT9.1",),
    reading="s^2 = Var(R/tau), c = Cov(log w, R/tau)",
)


@INT9_1_FIX.symbolic(Scope("every gamma, sigma2, reward2 and covariance", whole=True))
def _(ess_ratio: Any) -> Answer:
    """Gaussian integrals, with the reward and without; the variance of the exponent, expanded."""
    cov, none = sympy.Symbol("k", real=True), sympy.Integer(0)
    bare = integrated_ess(loads(GAMMA, SIGMA2, none, none, Exact))
    closed = ess_ratio(SIGMA2, GAMMA, cov, REWARD2, Exact)
    return all_of(
        [
            symbolic.equal(integrated_ess(loads(GAMMA, SIGMA2, cov, REWARD2, Exact)), closed),
            symbolic.equal(closed / bare, sympy.exp(-(REWARD2 + 2 * GAMMA * cov))),
        ]
    )


CASES = [
    (Rewarded.of(*numbers), gamma)
    for numbers, gamma in (
        (("4", "-2", "1", "3/10"), "1"),
        (("4", "1/2", "1/4", "3/10"), "1/3"),
        (("1", "-1/4", "2", "3/10"), "3/4"),
        (("2", "0", "1/2", "3/10"), "1/2"),
    )
]


@INT9_1_FIX.certified(Scope("four cases, the covariance of either sign and 0"))
def _(ess_ratio: Any) -> Answer:
    """Rigorous quadrature of the same integrals; the ESS of w^gamma on its side of them."""
    values, closed, signs = [], [], []
    witnesses = [
        Witness.at(sigma2=case.sigma2, cov=case.cov, reward2=case.reward2, gamma=gamma)
        for case, gamma in CASES
    ]
    for (case, gamma), witness in zip(CASES, witnesses, strict=True):
        sigma2, cov, reward2, _ = case.numbers(Ball)
        g, none = Ball.number(gamma), Ball.number(0)
        values.append(enclosed_ess(loads(g, sigma2, cov, reward2, Ball)))
        closed.append(ess_ratio(sigma2, g, cov, reward2, Ball))
        bare = enclosed_ess(loads(g, sigma2, none, none, Ball))
        relation = "<" if case.reward2 + 2 * Fraction(gamma) * case.cov > 0 else ">"
        signs.append(certified.compare(closed[-1], relation, bare, witness=witness))
    return all_of([certified.agree(values, closed, witnesses=witnesses), *signs])


@INT9_1_FIX.sampled(Scope("sigma2 = 1, cov = -1/4, reward2 = 1/2"), resolution=0.1, looks=2)
def _(ess_ratio: Any, trial: Trial) -> Answer:
    """Both moments from pairs of normals, at gamma = 3/4."""
    numbers = (1.0, -0.25, 0.5)
    ess = drawn_ess(trial, loads(0.75, *numbers, Real), resolution=0.025)
    closed = ess_ratio(1.0, 0.75, -0.25, 0.5, Real)
    at = Witness.at(sigma2=1, cov="-1/4", reward2="1/2", gamma="3/4")
    return trial.agrees(ess, closed, witness=at)


@INT9_1_FIX.without(JOINTLY_NORMAL)
def _(ess_ratio: Any, case: Any) -> Answer:
    sigma2, cov, reward2, _ = case.numbers(Ball)
    gamma = Ball.number("1/2")
    closed = ess_ratio(sigma2, gamma, cov, reward2, Ball)
    at = case.witness()
    return certified.agree([ess_at(case, gamma, Ball.number(1))], [closed], witnesses=[at])


@INT9_1_FIX.wrong("sign of the covariance")
def _(sigma2: Any, gamma: Any, cov: Any, reward2: Any, m: Any) -> Any:
    return formulas.ess_reward(sigma2, gamma, -cov, reward2, m)


@INT9_1_FIX.wrong("covariance without its factor 2")
def _(sigma2: Any, gamma: Any, cov: Any, reward2: Any, m: Any) -> Any:
    return m.exp(-(gamma * gamma * sigma2 + gamma * cov + reward2))


@INT9_1_FIX.wrong("reward flattened as well")
def _(sigma2: Any, gamma: Any, cov: Any, reward2: Any, m: Any) -> Any:
    return m.exp(-gamma * gamma * (sigma2 + 2 * cov + reward2))


@INT9_1_FIX.wrong("covariance left out")
def _(sigma2: Any, gamma: Any, cov: Any, reward2: Any, m: Any) -> Any:
    return formulas.ess_reward(sigma2, gamma, 0 * cov, reward2, m)


@INT9_1_FIX.number("ESS/n of w e^(R/tau) at sigma2 = 4, R/tau = -1/2 log w")
def _() -> str:
    sigma2, cov, reward2, _ = LEANING.numbers(Ball)
    return certified.digits(formulas.ess_reward(sigma2, Ball.number(1), cov, reward2, Ball))


@INT9_1_FIX.number(
    "the largest gamma, unclipped, at sigma2 = 4, R/tau = -1/2 log w, rho_min = 3/10"
)
def _() -> str:
    sigma2, cov, reward2, rho_min = LEANING.numbers(Ball)
    discriminant = cov * cov - sigma2 * (reward2 + Ball.log(rho_min))
    return certified.digits((Ball.sqrt(discriminant) - cov) / sigma2)


CLAIMS = frozen(INT9_1, INT9_1_FIX)
