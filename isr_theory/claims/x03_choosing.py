"""Past section 8: what a gamma costs, as a divergence between the tilted law and mu.

    -log(ESS/n) = D_2(nu || mu) = K(2 gamma) - 2 K(gamma),   nu ~ mu w^gamma,   K(t) = log E_mu[w^t]

The same cost is an integral of the tilted variances of log w, which for log-normal weights are all
sigma2.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Number
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import MUTUAL_SUPPORT
from isr_theory.claims.general_law import (
    GAMMA,
    LEVEL,
    MU,
    SUMS,
    TARGET,
    U,
    X,
    total,
)
from isr_theory.claims.instances import ess, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import (
    RARE_ARM,
    THREE_ARMS,
    Finite,
    fractions,
)

T = sympy.symbols("t", positive=True)
K0, K1, K2 = sympy.symbols("k0 k1 k2", real=True)


class Cost(NamedTuple):
    """The tilted law, its divergence from mu, and the weight of K'' below and above gamma."""

    tilted: Any
    divergence: Any
    rising: Any
    falling: Any


def second_divergence(law: Law, mu: Law, m: Arithmetic) -> Number:
    """D_2(law || mu) = log sum law^2 / mu."""
    return m.log(sum(p * p / a for p, a in zip(law, mu, strict=True)))


COST = Cost(
    formulas.geometric_path,
    second_divergence,
    lambda gamma, t: t,
    lambda gamma, t: 2 * gamma - t,
)

D2 = Draft(
    "GAM.d2",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text(
        "The ESS at gamma is a Renyi divergence of order 2", "γ 处的 ESS 是 2 阶 Rényi 散度"
    ),
    finding=Text(
        "For every law -log(ESS/n) is D_2 of the tilted law from mu, a triangular mean of the"
        " tilted variances of log w up to 2 gamma, and so never below KL(ν_γ‖μ).",
        "对任意分布，−log(ESS/n) 等于倾斜分布到 μ 的 D_2，"
        "即 log w 的倾斜方差在 [0, 2γ] 上的三角加权积分，故不小于 KL(ν_γ‖μ)。",
    ),
    statement=r"-\log\frac{\mathrm{ESS}_\gamma}{n} = D_2(\nu_\gamma\|\mu)"
    r" = \int_0^{2\gamma} (\gamma - |\gamma - t|)\, K''(t)\, dt \ge D_{KL}(\nu_\gamma\|\mu),\quad"
    r" \nu_\gamma \propto \mu w^\gamma,\ K''(t) = \mathrm{Var}_{\nu_t}(\log w)",
    subject=COST,
    expect=Verdict.VERIFIED,
    assumes=(MUTUAL_SUPPORT,),
    uses=("D8.1", "D6.1", "REN.order"),
    sharpens=("T8.2", "T8.3.b.fix"),
    source="the order 2 form is that of importance sampling with target nu; the integral is new"
    " here, one theorem in two forms, VAR.ess and GAM.d2",
    reading="gamma > 0 and E[w^(2 gamma)] finite; the weight of K'' is t up to gamma and "
    "2 gamma - t beyond; the inequality is strict unless w is constant",
)


@D2.symbolic(Scope("every law: a general outcome, integration by parts, Jensen", whole=True))
def _(cost: Any) -> Answer:
    """D_2 of a general law; both antiderivatives of the weighted K''; log x <= x/c - 1 + log c."""
    law = cost.tilted(MU, TARGET, GAMMA, SUMS)
    first, second = (total(sympy.exp(U + k * GAMMA * LEVEL)) for k in (1, 2))
    here = sympy.Function("K")(T)
    free = [(sympy.diff(here, T, 2), K2), (sympy.diff(here, T), K1), (here, K0)]
    up = T * sympy.diff(here, T) - here
    down = (2 * GAMMA - T) * sympy.diff(here, T) + here
    # What up and down gain, K(0) being 0: the terms with K'(gamma) cancel.
    gain = (GAMMA * K1 - K0) + (K2 - (GAMMA * K1 + K0))
    # With x/c = e^X, the gap of log x <= x/c - 1 + log c; its mean is D_2 - KL for c = E_nu[x].
    gap = sympy.exp(X) - 1 - X
    return all_of(
        [
            symbolic.equal(cost.divergence(law, MU, SUMS), sympy.log(second / first**2)),
            symbolic.equal(sympy.diff(up, T).subs(free), cost.rising(GAMMA, T) * K2),
            symbolic.equal(sympy.diff(down, T).subs(free), cost.falling(GAMMA, T) * K2),
            symbolic.equal(gain, K2 - 2 * K0),
            symbolic.positive(sympy.diff(gap, X, 2)),
            symbolic.equal(sympy.diff(gap, X).subs(X, 0), 0),
            symbolic.equal(gap.subs(X, 0), 0),
        ]
    )


def tilted_variance(law: Finite, t: Any) -> Any:
    """K''(t) on a complex ball, of a law over the outcomes that mu and pi share."""
    rows = [(a, p / a) for a, p in zip(law.mu, law.pi, strict=True) if a > 0 and p > 0]
    levels = [(Ball.number(a), Ball.log(Ball.number(w))) for a, w in rows]
    weighted = [(a * (t * level).exp(), level) for a, level in levels]
    m0, m1, m2 = (sum((v * x**k for v, x in weighted), flint.acb(0)) for k in range(3))
    return m2 / m0 - (m1 / m0) * (m1 / m0)


def area(cost: Any, law: Finite, gamma: Fraction) -> Any:
    """Enclose the weighted integral of K'' by rigorous quadrature, on either side of gamma."""
    g = Ball.number(gamma)
    sides = ((cost.rising, flint.arb(0), g), (cost.falling, g, 2 * g))
    return sum(
        (
            flint.acb.integral(
                lambda t, _, f=weight: f(g, t) * tilted_variance(law, t), flint.acb(a), flint.acb(b)
            ).real
            for weight, a, b in sides
        ),
        flint.arb(0),
    )


@D2.certified(Scope("two laws, gamma = 1/2, 7/10 and 1"))
def _(cost: Any) -> Answer:
    """-log of the enumerated ESS, the divergence summed, the integral by quadrature, and KL."""
    answers = []
    for law in (THREE_ARMS, RARE_ARM):
        mu, pi, _ = law.numbers(Ball)
        for gamma in fractions("1/2 7/10 1"):
            g, at = Ball.number(gamma), named(law, gamma=gamma)
            spent = -Ball.log(ess(law, g))
            path = cost.tilted(mu, pi, g, Ball)
            found = cost.divergence(path, mu, Ball)
            integral = area(cost, law, gamma)
            answers += [
                certified.agree([found, integral], [spent, spent], witnesses=[at, at]),
                certified.compare(formulas.kl(path, mu, Ball), "<", found, witness=at),
            ]
    return all_of(answers)


@D2.sampled(Scope("three outcomes, gamma = 7/10"), resolution=0.05)
def _(cost: Any, trial: Trial) -> Answer:
    """The mean of the weighted K'' over an order that is uniform on [0, 2 gamma]."""
    law, gamma = THREE_ARMS, 0.7
    mu, level = np.array([float(a) for a in law.mu]), law.log_w()

    def draw(rng: np.random.Generator, n: int) -> Any:
        t = 2 * gamma * rng.random(n)
        tilt = mu * np.exp(np.outer(t, level))
        tilt /= tilt.sum(1, keepdims=True)
        curvature = tilt @ level**2 - (tilt @ level) ** 2
        weight = np.where(t < gamma, cost.rising(gamma, t), cost.falling(gamma, t))
        return 2 * gamma * weight * curvature

    # A weight of at most 2 gamma, and K'' at most a quarter of the squared range of log w.
    most = (2 * gamma) ** 2 * float(np.ptp(level)) ** 2 / 4
    # What the weights are at two orders tells a wrong subject from the true one.
    label = f"triangular mean, {cost.rising(gamma, 0.1)}, {cost.falling(gamma, 0.9)}"
    mean = trial.mean(label, draw, 0.0, most)
    powered = np.exp(gamma * level)
    spent = math.log(mu @ powered**2) - 2 * math.log(mu @ powered)
    return trial.agrees(mean, spent, witness=named(law, gamma=Fraction(7, 10)))


@D2.without(MUTUAL_SUPPORT)
def _(cost: Any, law: Finite) -> Answer:
    # Where mu has an outcome that pi has not, K jumps at 0 and the integral misses the jump.
    gamma = Fraction(1, 2)
    spent = -Ball.log(ess(law, Ball.number(gamma)))
    return certified.agree([area(cost, law, gamma)], [spent], witnesses=[named(law, gamma=gamma)])


def _twice(mu: Any, pi: Any, gamma: Any, m: Any) -> Any:
    return formulas.geometric_path(mu, pi, 2 * gamma, m)


D2.wrong_value("the law tilted by 2 gamma", COST._replace(tilted=_twice))
D2.wrong_value(
    "mu from the tilted law",
    COST._replace(divergence=lambda law, mu, m: second_divergence(mu, law, m)),
)
D2.wrong_value(
    "chi squared",
    COST._replace(divergence=lambda law, mu, m: m.exp(second_divergence(law, mu, m)) - 1),
)
D2.wrong_value(
    "the plain mean of K''",
    COST._replace(rising=lambda gamma, t: gamma / 2, falling=lambda gamma, t: gamma / 2),
)
D2.wrong_value("the heavier weight near 0", COST._replace(rising=lambda gamma, t: 2 * gamma - t))


@D2.number("D_2(nu || mu) of THREE_ARMS at gamma = 7/10")
def _() -> str:
    mu, pi, _ = THREE_ARMS.numbers(Ball)
    path = formulas.geometric_path(mu, pi, Ball.number("7/10"), Ball)
    return certified.digits(second_divergence(path, mu, Ball))


CLAIMS = frozen(D2)
