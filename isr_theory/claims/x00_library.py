"""The library's own functions, judged like any statement: do they compute what they say?

`isr_theory.weights` works in float64. Here its answers on small batches with rational weights are
held against exact rationals and against balls, so these claims are SUPPORTED and no more: a program
is tried at points, not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import weights
from isr_theory.arithmetic import Ball
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of

BATCHES = ((1, 2, 7), (5, 1, 1, 3), (2, 2, 9, 1, 6, 1))
POINTS = Scope("three small batches of integer weights")
# Each answer is a handful of float64 operations on numbers of order 1 to 10, conditioned by at most
# 100: 100 * 40 * 1.1e-16 < 1e-12.
TOLERANCE = Fraction(1, 10**12)


def _log(batch: Sequence[int]) -> Any:
    return np.log(np.array(batch, dtype=np.float64))


def _witness(batch: Sequence[int], gamma: Fraction | int) -> Witness:
    return Witness.at(w=batch, gamma=gamma)


def _near_exact(value: float, truth: Any, witness: Witness) -> Answer:
    """Say whether a float lies within the tolerance of an exact number."""
    distance = abs(sympy.Rational(Fraction(float(value))) - truth)
    return symbolic.compare(
        distance, "<", sympy.Rational(1, TOLERANCE.denominator), witness=witness
    )


def _near_ball(value: float, truth: Any, witness: Witness) -> Answer:
    """Say whether a float lies within the tolerance of a ball."""
    distance = abs(Ball.number(Fraction(float(value))) - truth)
    return certified.compare(distance, "<", Ball.number(TOLERANCE), witness=witness)


def _powers(batch: Sequence[int], gamma: Fraction) -> list[Any]:
    return [Ball.power(Ball.number(w), Ball.number(gamma)) for w in batch]


LIB_ESS = Draft(
    "LIB.ess",
    section="library",
    kind=Kind.ALGORITHM,
    title=Text("weights.ess_ratio is Kish's ESS/n", "weights.ess_ratio 即 Kish ESS/n"),
    finding=Text(
        "It agrees with exact rationals and with balls to 1e-12.",
        "与精确有理数及区间球一致到 1e-12。",
    ),
    statement=r"(\sum w^\gamma)^2 / (n \sum w^{2\gamma})",
    subject=weights.ess_ratio,
    expect=Verdict.SUPPORTED,
    uses=("D8.1",),
)


@LIB_ESS.symbolic(POINTS)
def _(ess_ratio: Any) -> Answer:
    """Exact rationals at gamma = 1 and 2."""
    return all_of(
        _near_exact(
            ess_ratio(_log(batch), gamma),
            sympy.Rational(sum(w**gamma for w in batch) ** 2)
            / (len(batch) * sum(w ** (2 * gamma) for w in batch)),
            _witness(batch, gamma),
        )
        for batch in BATCHES
        for gamma in (1, 2)
    )


@LIB_ESS.certified(POINTS)
def _(ess_ratio: Any) -> Answer:
    """Balls at gamma = 1/3."""
    gamma = Fraction(1, 3)
    answers = []
    for batch in BATCHES:
        powers = _powers(batch, gamma)
        total = sum(powers, flint.arb(0))
        squares = sum((p * p for p in powers), flint.arb(0))
        truth = total * total / squares / len(batch)
        answers.append(_near_ball(ess_ratio(_log(batch), 1 / 3), truth, _witness(batch, gamma)))
    return all_of(answers)


@LIB_ESS.wrong("not divided by n")
def _(log_w: Any, gamma: float = 1.0) -> float:
    return float(weights.ess_ratio(log_w, gamma) * len(log_w))


@LIB_ESS.wrong("upside down")
def _(log_w: Any, gamma: float = 1.0) -> float:
    return float(1 / weights.ess_ratio(log_w, gamma))


@LIB_ESS.wrong("log-weights taken for weights")
def _(log_w: Any, gamma: float = 1.0) -> float:
    return float((log_w**gamma).sum() ** 2 / (len(log_w) * (log_w ** (2 * gamma)).sum()))


LIB_RENYI = Draft(
    "LIB.renyi",
    section="library",
    kind=Kind.ALGORITHM,
    title=Text(
        "weights.renyi_divergence is D_alpha of the weighted sample",
        "weights.renyi_divergence 即样本的 D_α",
    ),
    finding=Text(
        "For weights of mean 1 it agrees with exact logarithms and with balls to 1e-12.",
        "权重归一化为均值 1 后，与精确对数及区间球一致到 1e-12。",
    ),
    statement=r"D_\alpha = \frac{1}{\alpha-1}\log\frac1n\sum (w/\bar w)^\alpha",
    subject=weights.renyi_divergence,
    expect=Verdict.SUPPORTED,
    uses=("D6.1",),
)


@LIB_RENYI.symbolic(POINTS)
def _(renyi_divergence: Any) -> Answer:
    """Exact logarithms of rationals at alpha = 2, and the limit at alpha = 1."""
    answers = []
    for batch in BATCHES:
        n, total = len(batch), sum(batch)
        scaled = [sympy.Rational(n * w, total) for w in batch]
        second = sympy.log(sum(u**2 for u in scaled) / n)
        limit = sum(u * sympy.log(u) for u in scaled) / n
        answers.append(_near_exact(renyi_divergence(_log(batch), 2), second, _witness(batch, 2)))
        answers.append(_near_exact(renyi_divergence(_log(batch), 1), limit, _witness(batch, 1)))
    return all_of(answers)


@LIB_RENYI.certified(POINTS)
def _(renyi_divergence: Any) -> Answer:
    """Balls at alpha = 1/3."""
    alpha = Fraction(1, 3)
    answers = []
    for batch in BATCHES:
        mean = Ball.number(Fraction(sum(batch), len(batch)))
        powers = sum(_powers(batch, alpha), flint.arb(0)) / len(batch)
        truth = (powers.log() - Ball.number(alpha) * mean.log()) / Ball.number(alpha - 1)
        value = renyi_divergence(_log(batch), 1 / 3)
        answers.append(_near_ball(value, truth, _witness(batch, alpha)))
    return all_of(answers)


@LIB_RENYI.wrong("factor 1/alpha for 1/(alpha - 1)")
def _(log_w: Any, alpha: float) -> float:
    return float(weights.renyi_divergence(log_w, alpha) * (alpha - 1) / alpha)


@LIB_RENYI.wrong("order 1 - alpha, unscaled")
def _(log_w: Any, alpha: float) -> float:
    ratio = weights.normalized_weights(log_w) * len(log_w)
    return float(np.log((ratio ** (1 - alpha)).mean()))


@LIB_RENYI.wrong("weights left unnormalised")
def _(log_w: Any, alpha: float) -> float:
    shift = float(np.log(np.exp(log_w).mean()))
    return float(weights.renyi_divergence(log_w, alpha) + shift)


LIB_GAMMA = Draft(
    "LIB.gamma",
    section="library",
    kind=Kind.ALGORITHM,
    title=Text(
        "weights.gamma_star solves the sample's ESS for gamma",
        "weights.gamma_star 求解样本 ESS 的 γ",
    ),
    finding=Text(
        "The exact method's gamma lies within 1e-12 of the root, or is 1 where no root is needed.",
        "精确法给出的 γ 在 1e-12 内夹住根；若 γ=1 已满足目标则返回 1。",
    ),
    statement=r"\max\{\gamma \in [0, 1]: \mathrm{ESS}_\gamma/n \ge \rho_{\min}\}",
    subject=partial(weights.gamma_star, method="exact"),
    expect=Verdict.SUPPORTED,
    uses=("T8.3.b.fix",),
)
TARGETS = ((BATCHES[0], Fraction(7, 10)), (BATCHES[2], Fraction(4, 5)))


@LIB_GAMMA.certified(Scope("two batches at two targets, and one that needs no flattening"))
def _(gamma_star: Any) -> Answer:
    """Balls: ESS/n is above the target 1e-12 before gamma and below it 1e-12 after."""
    answers = []
    for batch, rho_min in TARGETS:
        gamma = Fraction(float(gamma_star(_log(batch), float(rho_min))))
        witness = Witness.at(w=batch, rho_min=rho_min)
        for shifted, relation in ((gamma - TOLERANCE, ">"), (gamma + TOLERANCE, "<")):
            powers = _powers(batch, shifted)
            total = sum(powers, flint.arb(0))
            squares = sum((p * p for p in powers), flint.arb(0))
            ess = total * total / squares / len(batch)
            answers.append(certified.compare(ess, relation, Ball.number(rho_min), witness=witness))
    unflattened = gamma_star(_log(BATCHES[0]), 0.2)
    answers.append(_near_ball(unflattened, Ball.number(1), Witness.at(w=BATCHES[0], rho_min="1/5")))
    return all_of(answers)


@LIB_GAMMA.symbolic(Scope("weights (1, 4), where the root is known exactly"))
def _(gamma_star: Any) -> Answer:
    """(1 + 4^gamma)^2 / (2 (1 + 16^gamma)) = 9/10 has its root where 4^gamma is 2."""
    # With u = 4^gamma: (1+u)^2 = 9/5 (1+u^2) gives 4u^2 - 10u + 4 = 0, so u = 2 and gamma = 1/2.
    u = sympy.symbols("u", positive=True)
    (root,) = (r for r in sympy.solve(5 * (1 + u) ** 2 - 9 * (1 + u**2), u) if r > 1)
    truth = sympy.log(root) / sympy.log(4)
    value = gamma_star(_log((1, 4)), 0.9)
    return _near_exact(value, truth, Witness.at(w=(1, 4), rho_min=Fraction(9, 10)))


@LIB_GAMMA.wrong("the log-normal closed form")
def _(log_w: Any, rho_min: float) -> float:
    return float(weights.gamma_star(log_w, rho_min, method="lognormal"))


@LIB_GAMMA.wrong("ESS compared with log ESS")
def _(log_w: Any, rho_min: float) -> float:
    return _bisect(lambda gamma: float(np.log(weights.ess_ratio(log_w, gamma))) + 1 - rho_min)


@LIB_GAMMA.wrong("sign of the tempered log-weights")
def _(log_w: Any, rho_min: float) -> float:
    return _bisect(lambda gamma: float(weights.ess_ratio(-log_w, gamma)) - rho_min)


def _bisect(excess: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) >= 0 else (low, middle)
    return high


CLAIMS = frozen(LIB_ESS, LIB_RENYI, LIB_GAMMA)
