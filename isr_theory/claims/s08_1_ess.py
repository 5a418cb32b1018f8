"""Section 8.1: effective sample size, and what it is for log-normal weights.

ESS/n at exponent gamma is E[w^gamma]^2 / E[w^(2 gamma)], of a batch as of a law; if log w is normal
with variance sigma2 it is e^(-sigma2 gamma^2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real
from isr_theory.claim import Answer, Assumption, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL
from isr_theory.claims.instances import ess, log_variance, named
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift, fractions

SIGMA2, GAMMA = sympy.symbols("sigma2 gamma", positive=True)
SIZE, FIRST, SECOND = sympy.symbols("n m1 m2", positive=True)
MEAN = sympy.Symbol("a", real=True)
V = sympy.Symbol("v", positive=True)
ALL_LOGNORMAL = Scope("every normal log w, its mean free, and every gamma >= 0", whole=True)

SOME_WEIGHT = Assumption(
    "some_weight",
    Text("The weights are at least 0, and not all 0.", "权重非负且不全为 0。"),
    lambda weights: min(weights) >= 0 and max(weights) > 0,
    examples=((1, 2), (3, 0, 0)),
    violations=((0, 0), (1, -1)),
    draw=lambda rng: (0, 1, *(int(x) for x in rng.integers(0, 9, 3))),
)


@dataclass(frozen=True)
class Entry:
    """The general entry of a batch of n weights; added to a number, it is the sum of all n.

    Python's `sum` begins at 0, so what it makes of one entry is the sum over the batch, in which
    the first two moments of the weights are free.
    """

    value: Any = V

    def __mul__(self, other: Any) -> Entry:
        return Entry(self.value * (other.value if isinstance(other, Entry) else other))

    def __truediv__(self, number: Any) -> Entry:
        return Entry(self.value / number)

    def __sub__(self, number: Any) -> Entry:
        return Entry(self.value - number)

    def __radd__(self, number: Any) -> Any:
        powers = sympy.Poly(self.value, V).all_coeffs()[::-1]
        return number + SIZE * sum(c * m for c, m in zip(powers, (1, FIRST, SECOND), strict=False))


class AnyBatch:
    """A batch of any size: to iterate over it yields its general entry."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entry that stands for all."""
        yield Entry()


def size(weights: Any) -> Any:
    """Return the number of weights, a symbol for `AnyBatch`."""
    return SIZE if isinstance(weights, AnyBatch) else len(weights)


def variance(weights: Any) -> Any:
    """Return the mean squared distance from the mean, divisor n."""
    mean = sum(weights) / size(weights)
    return sum((v - mean) * (v - mean) for v in weights) / size(weights)


def relative_variance(weights: Any) -> Any:
    """Return the variance of the weights divided by their own mean."""
    mean = sum(weights) / size(weights)
    return sum((v / mean - 1) * (v / mean - 1) for v in weights) / size(weights)


D8_1 = Draft(
    "D8.1",
    section="8.1",
    kind=Kind.DEFINITION,
    title=Text("Effective sample size", "有效样本量"),
    finding=Text(
        "Coherent: both forms agree if the bar divides w^γ by its own mean and Var has divisor n;"
        " the ESS runs from 1, for one positive weight, to n, for equal ones.",
        "自洽：若上划线表示 w^γ 除以其自身均值、方差以 n 为除数，则两式相等；"
        "ESS 从 1（仅一个正权重）到 n（权重全等）。",
    ),
    statement=r"\mathrm{ESS}_\gamma = \frac{(\sum_i w_i^\gamma)^2}{\sum_i w_i^{2\gamma}}"
    r" = \frac{n}{1 + \mathrm{Var}(\bar w^\gamma)} \in [1, n]",
    subject=formulas.kish_ess,
    expect=Verdict.VERIFIED,
    assumes=(SOME_WEIGHT,),
    reading="the bar divides w^gamma by its mean over the batch; Var has divisor n",
)
# Batches of log w with an exponent.
BATCHES = (
    (fractions("1/2 -1 3/2 -1/2"), Fraction(1, 2)),
    (fractions("1/2 -1 3/2 -1/2"), Fraction(1)),
    (fractions("2 0 -1/3"), Fraction(2, 3)),
)


def _at(log_w: Any, gamma: Fraction) -> Witness:
    return Witness.at(log_w=log_w, gamma=gamma)


@D8_1.symbolic(Scope("every batch, by its size and the first two moments of w^gamma", whole=True))
def _(kish: Any) -> Answer:
    """The second form, from the centred squares; the ends; and a row more, by induction."""
    batch, a = AnyBatch(), sympy.Symbol("a", positive=True)
    spread = relative_variance(batch)
    same = [kish([a] * n) for n in (1, 2, 5)]
    alone = [kish([a] + [sympy.Integer(0)] * n) for n in (0, 1, 4)]
    # ESS <= n, since the spread is a mean of squares; and a row a more leaves ESS - 1 >= 0.
    longer = ((kish(batch) - 1) * SIZE * SECOND + 2 * a * SIZE * FIRST) / (SIZE * SECOND + a**2)
    return all_of(
        [
            symbolic.equal(kish(batch), SIZE / (1 + spread)),
            symbolic.equal(SIZE - kish(batch), SIZE * spread / (1 + spread)),
            *(symbolic.equal(value, n) for value, n in zip(same, (1, 2, 5), strict=True)),
            *(symbolic.equal(value, 1) for value in alone),
            symbolic.equal(kish([Entry(), a]) - 1, longer),
        ]
    )


@D8_1.certified(Scope("three batches with their exponents"))
def _(kish: Any) -> Answer:
    """The second form, its variance from squared differences of pairs: no mean is subtracted."""

    def second_form(weights: list[Any]) -> Any:
        n, total = len(weights), sum(weights)
        pairs = sum((v - u) * (v - u) for v in weights for u in weights)
        return n / (1 + pairs / (2 * total * total))

    powered = [
        [Ball.exp(Ball.number(gamma * level)) for level in log_w] for log_w, gamma in BATCHES
    ]
    return certified.agree(
        [second_form(weights) for weights in powered],
        [kish(weights) for weights in powered],
        witnesses=[_at(log_w, gamma) for log_w, gamma in BATCHES],
    )


@D8_1.neural(Scope("three batches with their exponents"))
def _(kish: Any) -> Answer:
    """One over the sum of squared softmax weights."""
    answers = []
    for log_w, gamma in BATCHES:
        logits = float(gamma) * neural.tensor(log_w)
        effective = 1 / (logits.softmax(0) ** 2).sum()
        answers.append(neural.close([kish(logits.exp())], [effective], witness=_at(log_w, gamma)))
    return all_of(answers)


@D8_1.sampled(Scope("the first batch, gamma = 1/2"), resolution=0.05, looks=2)
def _(kish: Any, trial: Trial) -> Answer:
    """Rows drawn at random: the square of their mean weight over their mean squared weight."""
    log_w, gamma = BATCHES[0]
    weights = np.exp([float(gamma * level) for level in log_w])

    def mean(name: str, table: Any) -> Any:
        return trial.mean(
            name,
            lambda rng, n: table[rng.integers(len(table), size=n)],
            0.0,
            float(table.max()),
            resolution=0.02,
        )

    first, second = mean("weight", weights), mean("squared weight", weights**2)
    value = kish(list(weights)) / len(weights)
    return trial.agrees(first * first / second, value, witness=_at(log_w, gamma))


@D8_1.without(SOME_WEIGHT, on=((3, -1),))
def _(kish: Any, weights: Any) -> Answer | None:
    if not any(weights):
        # 0/0: with no weight at all there is no ESS to speak of.
        return None
    batch, at = [sympy.Integer(w) for w in weights], Witness.at(w=weights)
    value, n = kish(batch), len(batch)
    ends = [
        symbolic.compare(1, "<=", value, witness=at),
        symbolic.compare(value, "<=", n, witness=at),
    ]
    if sum(batch) == 0:
        # The second form divides by a mean of 0, the first does not.
        return all_of(ends)
    second = n / (1 + relative_variance(batch))
    return all_of([*ends, symbolic.compare(value, "==", second, witness=at)])


@D8_1.wrong("unbiased variance")
def _(weights: Any) -> Any:
    n = size(weights)
    return n / (1 + relative_variance(weights) * n / (n - 1)) if n != 1 else n


@D8_1.wrong("w^gamma not divided by its mean")
def _(weights: Any) -> Any:
    return size(weights) / (1 + variance(weights))


@D8_1.wrong("w divided by its mean before the power, gamma = 1/2")
def _(weights: Any) -> Any:
    squares = sum(v * v for v in weights) / size(weights)
    return size(weights) / (1 + variance(weights) / squares)


@D8_1.wrong("upside down")
def _(weights: Any) -> Any:
    total = sum(weights)
    return sum(v * v for v in weights) / (total * total)


@D8_1.number("ESS of log w = (1/2, -1, 3/2, -1/2) at gamma = 1/2")
def _() -> str:
    log_w, gamma = BATCHES[0]
    return certified.digits(
        formulas.kish_ess([Ball.exp(Ball.number(gamma * level)) for level in log_w])
    )


@cache
def integrated_moment(t: Any, mean: Any = -SIGMA2 / 2) -> Any:
    """E[w^t] by integrating e^(t l) against the normal density of l = log w."""
    level = sympy.symbols("l", real=True)
    density = sympy.exp(-((level - mean) ** 2) / (2 * SIGMA2))
    scale = sympy.sqrt(2 * sympy.pi * SIGMA2)
    integral = sympy.integrate(sympy.exp(t * level) * density, (level, -sympy.oo, sympy.oo))
    return sympy.simplify(integral / scale)


@cache
def integrated_ess(mean: Any = -SIGMA2 / 2) -> Any:
    """ESS/n from the two integrated moments."""
    first, second = integrated_moment(GAMMA, mean), integrated_moment(2 * GAMMA, mean)
    return sympy.powsimp(first**2 / second)


def enclosed_moment(sigma2: Fraction, t: Any) -> Any:
    """E[w^t] by rigorous quadrature of e^(t (sigma z - sigma2/2)), z standard normal, |t| <= 2."""
    s = Ball.number(sigma2)
    sigma = Ball.sqrt(s)
    # |t| sigma <= 2 (1 + sigma2) bounds the growth of the integrand by a rational.
    return certified.gaussian_expectation(
        lambda z: (t * (sigma * z - s / 2)).exp(), growth=2 * (1 + sigma2)
    )


@cache
def enclosed_ess(sigma2: Fraction, gamma: Fraction) -> Any:
    """ESS/n from two enclosed moments."""
    return enclosed_ess_at(sigma2, Ball.number(gamma))


def enclosed_ess_at(sigma2: Fraction, gamma: Any) -> Any:
    """ESS/n at an exponent that is itself a ball."""
    first, second = enclosed_moment(sigma2, gamma), enclosed_moment(sigma2, 2 * gamma)
    return first * first / second


T8_2 = Draft(
    "T8.2",
    section="8.1",
    kind=Kind.IDENTITY,
    title=Text("ESS/n of flattened log-normal weights", "对数正态权重的 ESS 闭式"),
    finding=Text(
        "Exact for the population ratio, whatever the mean of log w; only asymptotic for a sample.",
        "对总体比值精确成立，且与 log w 的均值无关；对样本仅渐近成立。",
    ),
    statement=r"\mathrm{ESS}_\gamma/n = e^{-\sigma^2\gamma^2}",
    subject=formulas.ess_lognormal,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    assumes=(LOGNORMAL,),
    uses=("A7.3", "D8.1"),
)


@T8_2.symbolic(ALL_LOGNORMAL)
def _(ess_ratio: Any) -> Answer:
    """Both moments by integrating the Gaussian density."""
    return all_of(
        [
            symbolic.equal(integrated_ess(MEAN), ess_ratio(SIGMA2, GAMMA, Exact)),
            # Where gamma or sigma2 is 0 the powered weights are constant.
            symbolic.equal(ess_ratio(SIGMA2, sympy.S.Zero, Exact), 1),
            symbolic.equal(ess_ratio(sympy.S.Zero, GAMMA, Exact), 1),
        ]
    )


@T8_2.certified(Scope("four points of (sigma2, gamma)"))
def _(ess_ratio: Any) -> Answer:
    """Both moments by rigorous quadrature of the Gaussian integral."""
    points = [
        (Fraction(s), Fraction(g)) for s, g in ((1, "1/4"), (1, "3/4"), (4, "1/2"), ("1/3", 1))
    ]
    return certified.agree(
        [enclosed_ess(s, g) for s, g in points],
        [ess_ratio(Ball.number(s), Ball.number(g), Ball) for s, g in points],
        witnesses=[Witness.at(sigma2=s, gamma=g) for s, g in points],
    )


@T8_2.sampled(Scope("sigma2 = 1, gamma = 1/2"), resolution=0.05, looks=2)
def _(ess_ratio: Any, trial: Trial) -> Answer:
    """Both moments of a Gaussian shift, drawn from a mixture that bounds the weights."""
    law = GaussianShift(Fraction(1))
    first = trial.mean("first moment", *law.power(0.5), resolution=0.01)
    second = trial.mean("second moment", *law.power(1.0), resolution=0.01)
    return trial.agrees(
        first * first / second,
        ess_ratio(1.0, 0.5, Real),
        witness=Witness.at(sigma2=1, gamma=Fraction(1, 2)),
    )


@T8_2.without(LOGNORMAL)
def _(ess_ratio: Any, model: Any) -> Answer:
    gamma = Ball.number("1/2")
    form = ess_ratio(log_variance(model), gamma, Ball)
    witness = named(model, gamma=Fraction(1, 2))
    return certified.agree([ess(model, gamma)], [form], witnesses=[witness])


@T8_2.wrong("gamma for gamma squared")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(-sigma2 * gamma)


@T8_2.wrong("half the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(-sigma2 * gamma * gamma / 2)


@T8_2.wrong("sign of the exponent")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(sigma2 * gamma * gamma)


@T8_2.number("ESS/n at sigma2 = 1, gamma = 1/2")
def _() -> str:
    return certified.digits(formulas.ess_lognormal(Ball.number(1), Ball.number("1/2"), Ball))


CLAIMS = frozen(D8_1, T8_2)
