"""Left sides that section 9 shares: ESS where log w and the scaled reward are jointly normal.

    log w = sigma z1 - sigma2/2,   R/tau = (cov/sigma) z1 + sqrt(reward2 - cov^2/sigma2) z2

with z1 and z2 independent and standard normal under mu. So log(w^gamma e^(R/tau)) is a z1 + b z2 up
to a constant, which no ESS sees; a and b are its loads. Nothing here calls a closed form of
`isr_theory.formulas`; that is the point of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Number
from isr_theory.claim import Answer, Assumption, Text, Witness
from isr_theory.engines import certified
from isr_theory.engines.montecarlo import Interval, Trial
from isr_theory.models import Finite, drawn_fraction

SIGMA2, GAMMA, C = sympy.symbols("sigma2 gamma c", positive=True)
REWARD2 = sympy.symbols("s2", nonnegative=True)


@dataclass(frozen=True)
class Rewarded:
    """Var(log w), Cov(log w, R/tau), Var(R/tau) and a target."""

    sigma2: Fraction
    cov: Fraction
    reward2: Fraction
    rho_min: Fraction

    @classmethod
    def of(cls, sigma2: str, cov: str, reward2: str, rho_min: str) -> Rewarded:
        """Build from text."""
        return cls(Fraction(sigma2), Fraction(cov), Fraction(reward2), Fraction(rho_min))

    def numbers(self, m: Arithmetic) -> list[Number]:
        """Return the four in an arithmetic."""
        return [m.number(x) for x in (self.sigma2, self.cov, self.reward2, self.rho_min)]

    def witness(self) -> Witness:
        """Name the four."""
        return Witness.at(
            sigma2=self.sigma2, cov=self.cov, reward2=self.reward2, rho_min=self.rho_min
        )


@dataclass(frozen=True)
class Listed:
    """log w and R/tau on finitely many outcomes: the case that is never jointly normal."""

    law: Finite
    rho_min: Fraction

    def numbers(self, m: Arithmetic) -> list[Number]:
        """Return Var(log w), Cov(log w, R/tau), Var(R/tau) and the target in an arithmetic."""
        mu, pi, scaled = self.law.numbers(m)
        level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]

        def cov(x: list[Number], y: list[Number]) -> Number:
            mean = sum(a * u for a, u in zip(mu, x, strict=True))
            return sum(a * (u - mean) * v for a, u, v in zip(mu, x, y, strict=True))

        spreads = [cov(level, level), cov(level, scaled), cov(scaled, scaled)]
        return [*spreads, m.number(self.rho_min)]

    def witness(self) -> Witness:
        """Name the laws, the scaled reward and the target."""
        law = self.law
        return Witness.at(mu=law.mu, pi=law.pi, scaled_reward=law.reward, rho_min=self.rho_min)


def _drawn(rng: np.random.Generator) -> Rewarded:
    """Draw an achievable covariance and a target that gamma = 0 meets with room."""
    sigma2, reward2 = drawn_fraction(rng, "0", "6"), drawn_fraction(rng, "0", "1")
    cov = drawn_fraction(rng, "-1", "1") * min(sigma2, reward2)
    return Rewarded(sigma2, cov, reward2, drawn_fraction(rng, "0", "1/3"))


JOINTLY_NORMAL = Assumption(
    "jointly_normal",
    Text(
        "Under mu, log w and R/tau are jointly normal, and log w is not constant.",
        "在 μ 下 log w 与 R/τ 联合正态，且 log w 非常数。",
    ),
    lambda case: (
        isinstance(case, Rewarded) and case.sigma2 > 0 and case.cov**2 <= case.sigma2 * case.reward2
    ),
    examples=(Rewarded.of("4", "-1", "1", "3/10"), Rewarded.of("4", "-2", "1", "3/10")),
    violations=(
        Rewarded.of("4", "3", "1", "3/10"),
        Rewarded.of("0", "0", "1", "3/10"),
        Listed(Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 0 1/2"), Fraction(3, 5)),
    ),
    draw=_drawn,
)
ROOM = Assumption(
    "room",
    Text(
        "gamma = 0 meets the target with room: Var(R/tau) < -log rho_min.",
        "γ = 0 严格满足目标：Var(R/τ) < −log ρ_min。",
    ),
    lambda case: math.exp(-case.reward2) > case.rho_min > 0,
    examples=(Rewarded.of("4", "0", "1", "3/10"),),
    violations=(Rewarded.of("4", "0", "2", "3/10"),),
    draw=_drawn,
)


class Loads(NamedTuple):
    """What z1 and z2 are multiplied by in the logarithm of a weight."""

    first: Number
    second: Number

    def times(self, factor: Number) -> Loads:
        """Return the loads of the weight raised to a power."""
        return Loads(factor * self.first, factor * self.second)


def loads(gamma: Number, sigma2: Number, cov: Number, reward2: Number, m: Arithmetic) -> Loads:
    """Return the loads of w^gamma e^(R/tau)."""
    sigma = m.sqrt(sigma2)
    return Loads(gamma * sigma + cov / sigma, m.sqrt(reward2 - cov * cov / sigma2))


@cache
def _integral() -> tuple[Any, Any]:
    """E[e^(t z)] by integrating against the standard normal density, and its t."""
    z, t = sympy.symbols("z t", real=True)
    density = sympy.exp(-(z**2) / 2) / sympy.sqrt(2 * sympy.pi)
    integral = sympy.integrate(sympy.exp(t * z) * density, (z, -sympy.oo, sympy.oo))
    return sympy.simplify(integral), t


def integrated_ess(weight: Loads) -> Any:
    """ESS/n by integration: E[u] is a product of two Gaussian integrals, and so is E[u^2]."""
    value, t = _integral()
    first, second = (
        sympy.prod(value.subs(t, sympy.expand(k * load)) for load in weight) for k in (1, 2)
    )
    return sympy.powsimp(first**2 / second)


def _enclosed(load: Any) -> Any:
    edge = int(float(abs(flint.arb(load)).upper())) + 1
    return certified.gaussian_expectation(lambda z: (load * z).exp(), growth=edge)


def enclosed_ess(weight: Loads) -> Any:
    """ESS/n by rigorous quadrature of the same integrals."""
    once, twice = (
        _enclosed(k * flint.arb(weight.first)) * _enclosed(k * flint.arb(weight.second))
        for k in (1, 2)
    )
    return once * once / twice


def ess_at(case: Rewarded | Listed, gamma: Any, power: Any) -> Any:
    """Enclose ESS/n of w^gamma e^(power R/tau); nan where there is no such law or no such gamma."""
    if isinstance(case, Listed):
        mu, pi, scaled = case.law.numbers(Ball)
        weights = [
            Ball.power(b / a, gamma) * Ball.exp(power * r)
            for a, b, r in zip(mu, pi, scaled, strict=True)
        ]
        first = sum(a * u for a, u in zip(mu, weights, strict=True))
        return first * first / sum(a * u * u for a, u in zip(mu, weights, strict=True))
    sigma2, cov, reward2, _ = case.numbers(Ball)
    weight = loads(gamma, sigma2, power * cov, power * power * reward2, Ball)
    if not all(load.is_finite() for load in weight):
        return flint.arb.nan()
    return enclosed_ess(weight)


def is_largest(gamma: Any, ess: Any, rho_min: Any, witness: Witness) -> Answer:
    """Try whether gamma is the largest in [0, 1] whose ESS/n, given at it, is at least rho_min.

    ESS/n moves continuously with gamma, so at the largest gamma it is rho_min, or more where that
    gamma is 1.
    """
    if gamma == 1:
        return certified.compare(ess, ">=", rho_min, witness=witness)
    return certified.agree([ess], [rho_min], witnesses=[witness])


def drawn_ess(trial: Trial, weight: Loads, *, resolution: float) -> Interval:
    """ESS/n from two sampled means, each with a resolution relative to its own size.

    Of u = e^(a z1 + b z2): z is drawn from q, half N(0, I) and half N((a, b), I), and the statistic
    u dN(0, I)/dq = 2 u / (1 + u e^(-(a^2 + b^2)/2)) lies between 0 and 2 e^((a^2 + b^2)/2): only
    known densities are used. Each look is one mean.
    """

    def mean(k: int) -> Interval:
        shift = np.array([k * float(load) for load in weight])
        half = float(shift @ shift) / 2

        def draw(rng: np.random.Generator, n: int) -> Any:
            z = rng.standard_normal((n, 2)) + shift * (rng.random((n, 1)) < 0.5)
            u = np.exp(z @ shift)
            return 2 * u / (1 + u * math.exp(-half))

        high = 2 * math.exp(half)
        return trial.mean(f"{k} of {weight}", draw, 0.0, high, resolution=resolution * high / 2)

    once = mean(1)
    return once * once / mean(2)
