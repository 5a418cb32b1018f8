"""What the statements of the paper need, each with models that have it and models that have not.

An assumption that no model satisfies would make a claim vacuous; the runner checks that first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from isr_theory.claim import Assumption, Text
from isr_theory.models import (
    LOST_SUPPORT,
    NEW_SUPPORT,
    SIGNED_REWARD,
    THREE_ARMS,
    TWO_ARMS,
    ExponentialRate,
    Finite,
    GaussianShift,
    ParetoTail,
    drawn_fraction,
)


@dataclass(frozen=True)
class Rule:
    """The inputs of the closed-form rule."""

    sigma2: Fraction
    rho_min: Fraction


def _with_zeros(rng: np.random.Generator) -> Finite:
    """Draw a law whose policy may miss an outcome of mu."""
    law = Finite.drawn(rng)
    if len(law.mu) == 2 or rng.random() < 0.5:
        return law
    left = 1 - law.pi[0]
    return replace(law, pi=(Fraction(0), *(p / left for p in law.pi[1:])))


def _unrewarded(rng: np.random.Generator) -> Finite:
    """Draw a law whose first outcome earns nothing."""
    law = Finite.drawn(rng)
    return replace(law, reward=(Fraction(0), *law.reward[1:]))


def _constant_reward(rng: np.random.Generator) -> Finite:
    law = Finite.drawn(rng)
    return replace(law, reward=(Fraction(1),) * len(law.mu))


def _dominated(law: Any) -> bool:
    return all(m > 0 or p == 0 for m, p in zip(law.mu, law.pi, strict=True))


def _mutual(law: Any) -> bool:
    return all((m > 0) == (p > 0) for m, p in zip(law.mu, law.pi, strict=True))


PI_IN_MU = Assumption(
    "pi_in_mu",
    Text(
        "mu gives mass to every outcome to which pi does (pi << mu).", "μ 覆盖 π 的支撑（π ≪ μ）。"
    ),
    _dominated,
    examples=(TWO_ARMS, THREE_ARMS, LOST_SUPPORT),
    violations=(NEW_SUPPORT,),
    draw=_with_zeros,
)
MUTUAL_SUPPORT = Assumption(
    "mutual_support",
    Text("pi and mu give mass to the same outcomes.", "π 与 μ 支撑相同。"),
    _mutual,
    examples=(TWO_ARMS, THREE_ARMS),
    violations=(LOST_SUPPORT, NEW_SUPPORT),
    draw=Finite.drawn,
)
POLICIES_DIFFER = Assumption(
    "policies_differ",
    Text("pi is not mu, so Var(log w) > 0.", "π ≠ μ，即 Var(log w) > 0。"),
    lambda law: law.mu != law.pi,
    examples=(TWO_ARMS, THREE_ARMS),
    violations=(Finite.of("1/2 1/2", "1/2 1/2"),),
    draw=Finite.drawn,
)
TARGET_DIFFERS = Assumption(
    "target_differs",
    Text("p* is not mu and KL(p* || mu) is finite.", "p* ≠ μ 且 KL(p*‖μ) 有限。"),
    # In these instances pi plays p*.
    lambda law: law.mu != law.pi and _dominated(law),
    examples=(TWO_ARMS, THREE_ARMS),
    violations=(Finite.of("1/2 1/2", "1/2 1/2"), NEW_SUPPORT),
    draw=Finite.drawn,
)
NONNEGATIVE_REWARD = Assumption(
    "nonnegative_reward",
    Text(
        "r >= 0 and 0 < E_mu[r] < infinity; with weights, E_mu[w^gamma r] > 0.",
        "r ≥ 0 且 0 < E_μ[r] < ∞；带权时 E_μ[w^γ r] > 0。",
    ),
    lambda law: (
        min(law.reward) >= 0 and sum(m * r for m, r in zip(law.mu, law.reward, strict=True)) > 0
    ),
    examples=(TWO_ARMS, THREE_ARMS, Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "0 2 4")),
    violations=(SIGNED_REWARD,),
    draw=_unrewarded,
)
POSITIVE_REWARD = Assumption(
    "positive_reward",
    Text("r > 0 everywhere.", "处处 r > 0。"),
    lambda law: min(law.reward) > 0,
    examples=(TWO_ARMS, THREE_ARMS),
    violations=(SIGNED_REWARD, Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "0 2 4")),
    draw=Finite.drawn,
)
UNIT_REWARD = Assumption(
    "unit_reward",
    Text("r is constant and equal to 1.", "r ≡ 1。"),
    lambda law: set(law.reward) == {Fraction(1)},
    examples=(TWO_ARMS,),
    violations=(THREE_ARMS,),
    draw=_constant_reward,
)
FINITE_PARTITION = Assumption(
    "finite_partition",
    Text(
        "Z, the total mass of exp(r/tau), and the entropies are finite.",
        "Z = ∫e^{r/τ} 与熵均有限。",
    ),
    # A finite outcome set has a finite Z; an endless one with bounded reward has not.
    lambda model: isinstance(model, Finite),
    examples=(THREE_ARMS,),
    violations=("bounded reward on the whole real line",),
    draw=Finite.drawn,
)
LOGNORMAL = Assumption(
    "lognormal",
    Text("log w is normal under mu (Assumption 7.3).", "log w 在 μ 下服从正态（假设 7.3）。"),
    lambda model: isinstance(model, GaussianShift),
    examples=(GaussianShift(Fraction(1)), GaussianShift(Fraction(4), d=2)),
    violations=(ExponentialRate(Fraction(2, 5)), THREE_ARMS),
    draw=lambda rng: GaussianShift(drawn_fraction(rng, "0", "6"), d=int(rng.integers(1, 4))),
)
VALID_RULE = Assumption(
    "valid_rule",
    Text("0 < rho_min < 1 and Var(log w) > 0.", "0 < ρ_min < 1 且 Var(log w) > 0。"),
    lambda rule: 0 < rule.rho_min < 1 and rule.sigma2 > 0,
    examples=(Rule(Fraction(4), Fraction(3, 10)),),
    violations=(Rule(Fraction(4), Fraction(1)), Rule(Fraction(0), Fraction(3, 10))),
    draw=lambda rng: Rule(drawn_fraction(rng, "0", "9"), drawn_fraction(rng, "0", "1")),
)
NO_RULE = (
    "at Var(log w) = 0 the rule divides by 0, and at rho_min outside (0, 1) its root is not real "
    "or no gamma is asked for"
)
"""Why nothing can be tried where VALID_RULE does not hold."""
FINITE_MOMENTS = Assumption(
    "finite_moments",
    Text("The moments of w that the statement names are finite.", "所涉及的 w 的各阶矩有限。"),
    # Instances are asked for their second moment: rate 2/5 has E[w^2] = infinity.
    lambda model: not isinstance(model, ExponentialRate) or model.rate > Fraction(1, 2),
    examples=(THREE_ARMS, ExponentialRate(Fraction(3, 5))),
    violations=(ExponentialRate(Fraction(2, 5)),),
    draw=lambda rng: ExponentialRate(drawn_fraction(rng, "1/2", "1")),
)
PARETO = Assumption(
    "pareto",
    Text("w has a Pareto tail with index k > 0.", "w 具有指数 k > 0 的 Pareto 尾。"),
    lambda model: isinstance(model, ParetoTail) and model.k > 0,
    examples=(ParetoTail(Fraction(1, 2)),),
    violations=(ParetoTail(Fraction(-1)),),
    draw=lambda rng: ParetoTail(drawn_fraction(rng, "0", "2")),
)
BOUNDED_SCORE = Assumption(
    "bounded_score",
    Text("|r grad log pi| <= B.", "|r ∇log π| ≤ B。"),
    # A softmax policy has bounded scores; the Gaussian's y - theta has not.
    lambda model: isinstance(model, Finite),
    examples=(TWO_ARMS,),
    violations=(GaussianShift(Fraction(1)),),
    draw=Finite.drawn,
)
INDEPENDENT_REWARD = Assumption(
    "independent_reward",
    Text("The reward is independent of log w under mu.", "在 μ 下奖励与 log w 独立。"),
    # Instances are the covariance of log w and the scaled reward, for jointly normal pairs.
    lambda cov: cov == 0,
    examples=(Fraction(0),),
    violations=(Fraction(1), Fraction(-1)),
    draw=lambda rng: Fraction(0),
)
