"""Where statements live: laws with exact parameters, their moments and their samplers.

`Finite` is the workhorse: behaviour policy, policy and reward on finitely many outcomes, as exact
fractions, so that every arithmetic starts from the same numbers. The named cases are asymmetric on
purpose, and no pair is a permutation or mirror of another unless its comment says so: a symmetric
case would hide a swapped argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isr_theory.arithmetic import Arithmetic, Number

Array = NDArray[np.float64]


def drawn_fraction(rng: np.random.Generator, low: str, high: str) -> Fraction:
    """Draw a fraction with a small denominator, strictly between two others."""
    ends = Fraction(low), Fraction(high)
    return ends[0] + (ends[1] - ends[0]) * Fraction(int(rng.integers(1, 12)), 12)


class BoundedStatistic(NamedTuple):
    """A sampler of values in [low, high]: what a `Trial` can estimate the mean of."""

    draw: Callable[[np.random.Generator, int], Array]
    low: float
    high: float


def fractions(text: str) -> tuple[Fraction, ...]:
    """Read exact numbers: `fractions("3/5 3/10 1/10")`."""
    return tuple(Fraction(word) for word in text.split())


@dataclass(frozen=True)
class Finite:
    """mu, pi and r on finitely many outcomes."""

    mu: tuple[Fraction, ...]
    pi: tuple[Fraction, ...]
    reward: tuple[Fraction, ...]

    @classmethod
    def of(cls, mu: str, pi: str, reward: str = "") -> Finite:
        """Build from text; an empty reward is the constant 1."""
        law = fractions(mu)
        return cls(law, fractions(pi), fractions(reward) or tuple(Fraction(1) for _ in law))

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Finite:
        """Draw two to four outcomes: mu and pi positive and different, small rewards above 0."""
        arms = int(rng.integers(2, 5))

        def law() -> tuple[Fraction, ...]:
            masses = [int(x) for x in rng.integers(1, 10, arms)]
            return tuple(Fraction(mass, sum(masses)) for mass in masses)

        mu = pi = law()
        while pi == mu:
            pi = law()
        return cls(mu, pi, tuple(Fraction(int(x)) for x in rng.integers(1, 6, arms)))

    def numbers(self, m: Arithmetic) -> tuple[list[Number], list[Number], list[Number]]:
        """Return mu, pi and the reward in an arithmetic."""
        mu, pi, reward = ([m.number(x) for x in row] for row in (self.mu, self.pi, self.reward))
        return mu, pi, reward

    def sample(self, rng: np.random.Generator, n: int) -> NDArray[np.intp]:
        """Draw n outcomes from mu."""
        edges = np.cumsum(np.array([float(x) for x in self.mu]))
        return np.minimum(np.searchsorted(edges, rng.random(n), side="right"), len(edges) - 1)

    def log_w(self) -> Array:
        """Return log(pi/mu) for every outcome; -inf where pi is 0."""
        with np.errstate(divide="ignore"):
            return np.log([float(p / m) for p, m in zip(self.pi, self.mu, strict=True)])


@dataclass(frozen=True)
class GaussianShift:
    """mu = N(0, I_d), pi = N(theta, I_d), |theta|^2 = sigma2: log w ~ N(-sigma2/2, sigma2)."""

    sigma2: Fraction
    d: int = 1

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw the n coordinates of y along theta from mu."""
        return rng.standard_normal(n)

    def log_w(self, y: Array) -> Array:
        """Return log w = sigma y - sigma2 / 2, y the coordinate along theta."""
        sigma2 = float(self.sigma2)
        return math.sqrt(sigma2) * y - sigma2 / 2

    def power(self, t: Fraction | float) -> BoundedStatistic:
        """A bounded statistic whose mean is E_mu[w^t].

        y is drawn from q, half mu and half N(t sigma, 1), and the statistic is w^t mu/q =
        2 e^(t sigma y - t sigma2/2) / (1 + e^(t sigma y - t^2 sigma2/2)), which lies between 0 and
        2 e^((t^2 - t) sigma2/2): only the two known densities are used, no moment formula.
        """
        sigma2, exponent = float(self.sigma2), float(t)
        shift = exponent * math.sqrt(sigma2)

        def draw(rng: np.random.Generator, n: int) -> Array:
            y = rng.standard_normal(n) + shift * (rng.random(n) < 0.5)
            tilt = np.exp(shift * y - shift**2 / 2)
            values: Array = 2 * np.exp(shift * y - exponent * sigma2 / 2) / (1 + tilt)
            return values

        return BoundedStatistic(draw, 0.0, 2 * math.exp((shift**2 - exponent * sigma2) / 2))


def exponential_moment(rate: Number, t: Number, m: Arithmetic) -> Number:
    """E_mu[w^t] = rate^t / (1 - t (1 - rate)) for mu = Exp(1), pi = Exp(rate)."""
    return m.power(rate, t) / (1 - t * (1 - rate))


@dataclass(frozen=True)
class ExponentialRate:
    """mu = Exp(1), pi = Exp(rate): w = rate e^((1-rate) x), a heavy tail where rate < 1."""

    rate: Fraction

    def moment(self, t: Number, m: Arithmetic) -> Number:
        """E_mu[w^t] = rate^t / (1 - t (1 - rate)), finite where t (1 - rate) < 1."""
        return exponential_moment(m.number(self.rate), t, m)

    def log_variance(self) -> Fraction:
        """Var(log w) = (1 - rate)^2."""
        return (1 - self.rate) ** 2

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n points from mu."""
        return rng.standard_exponential(n)

    def log_w(self, x: Array) -> Array:
        """Return the log of the density ratio."""
        return math.log(self.rate) + float(1 - self.rate) * x


@dataclass(frozen=True)
class ParetoTail:
    """w = U^(-k), U uniform on (0, 1): P(w > t) = t^(-1/k), the Pareto law with index k > 0."""

    k: Fraction

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """Draw n weights."""
        return (1.0 - rng.random(n)) ** (-float(self.k))


TWO_ARMS = Finite.of("1/2 1/2", "9/10 1/10")
THREE_ARMS = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 2 4")
# K(s) = K(1-s) for this pair, although neither law mirrors the other: it cannot tell mu from pi in
# what depends on the moments alone.
UNIFORM_POLICY = Finite.of("1/2 1/4 1/8 1/8", "1/4 1/4 1/4 1/4")
RARE_ARM = Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5")
# The same two laws with a reward that is in the order of neither.
FOUR_ARMS = Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "3 1 2 1/2")
LOST_SUPPORT = Finite.of("1/2 1/2", "1 0")
NEW_SUPPORT = Finite.of("1 0", "1/2 1/2")
SIGNED_REWARD = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 -3 1")
