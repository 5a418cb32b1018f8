"""Section 8.3: Algorithm 8.4, the listing that chooses gamma, as it behaves.

    gamma = min(1, sqrt(-log rho_min / S^2)),   S^2 = sum (l - mean)^2 / (n - 1),   l = log w

The listing computes that, or 1 where S^2 < 1e-8, and no more: a batch with weights of 0 gets
gamma = 1, whatever its ESS.
The arithmetic is restated once, over an arithmetic, so that it can be read exactly; on tensors the
listing itself runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas, listings
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    BASE,
    LEVEL,
    REWARD,
    SIZE,
    VARIANCE,
    Batch,
    Column,
    Generic,
    Row,
    batch,
    equal_for_every_batch,
    length,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import drawn_fraction, fractions

# Below this S^2 the listing returns 1 whatever the target.
LEAST = Fraction(1, 10**8)
C, STEP = sympy.symbols("c k", positive=True)
RHO = Fraction(3, 10)
LOG_PI, LOG_MU = fractions("-1 -2 -1/2 -4"), fractions("-3/2 -1 -2 -5/2")
REWARDS = fractions("1 0 2 1")
# With S^2 = 91/48 the first target is met below gamma = 1, the second is not binding at 1.
TARGETS = (RHO, Fraction(1, 10))
POINTS = Scope("one batch of four at two targets, either side of the clip at 1")
EVERY_BATCH = Scope(
    "every batch of n >= 2, by the sums of l and l^2; of the listing, the arithmetic restated",
    whole=True,
)


@dataclass(frozen=True)
class Request:
    """The inputs of the listing: log-ratios and a target."""

    log_w: tuple[float, ...]
    rho_min: Fraction


def spread(values: Sequence[Any]) -> Any:
    """S^2 as half the mean squared difference of two different rows: no mean is formed."""
    n = len(values)
    return sum((a - b) * (a - b) for a in values for b in values) / (2 * n * (n - 1))


def _drawn(rng: np.random.Generator) -> Request:
    levels = (0.25, *(float(x) / 4 for x in rng.integers(2, 12, 4)))
    return Request(levels, drawn_fraction(rng, "0", "1"))


PLAIN_BATCH = Assumption(
    "plain_batch",
    Text(
        "n >= 2 finite log-ratios with S^2 >= 1e-8, and 0 < rho_min < 1.",
        "n ≥ 2 个有限的对数比，S² ≥ 1e-8，且 0 < ρ_min < 1。",
    ),
    lambda request: (
        len(request.log_w) >= 2
        and all(map(math.isfinite, request.log_w))
        and spread(request.log_w) >= 1e-8
        and 0 < request.rho_min < 1
    ),
    examples=(Request((0.5, -1.0, 1.5, -0.5), RHO),),
    violations=(
        Request((1.0,), RHO),
        Request((0.0, -math.inf), RHO),
        Request((1.0, 1.0), RHO),
        Request((0.5, -1.0), Fraction(1)),
    ),
    draw=_drawn,
)
WITH_ZEROS = Assumption(
    "with_zeros",
    Text(
        "At least one weight of the batch is positive; some may be 0.",
        "批中至少一个权重为正，可含 0。",
    ),
    lambda weights: min(weights) >= 0 and max(weights) > 0,
    examples=((1, 0, 0, 0), (2, 1)),
    violations=((0, 0), (1, -1)),
    draw=lambda rng: (0, 1, *(int(x) for x in rng.integers(0, 9, 3))),
)


def unbiased_variance(log_w: Column) -> Number:
    """S^2 = sum (l - mean)^2 / (n - 1), which is torch.var of one axis."""
    centred = log_w - log_w.sum() / length(log_w)
    return (centred * centred).sum() / (length(log_w) - 1)


def algorithm(given: Batch, rho_min: Number, m: Arithmetic) -> Number:
    """Algorithm 8.4: the listing itself on tensors, its arithmetic restated everywhere else."""
    if m is Tensor:
        return listings.compute_optimal_gamma(given.log_pi, given.log_mu, float(rho_min))
    return closed_form(unbiased_variance(given.log_pi - given.log_mu), rho_min, m)


# S^2 = 2^-35 is too small for the listing and too large for this target.
NARROW = Request((0.0, 0.5**17), 1 - Fraction(1, 2**40))


def closed_form(variance: Number, rho_min: Number, m: Arithmetic) -> Number:
    """The listing's last lines, for a given S^2; one that is a formula is taken to be 1e-8 or more.

    As in the listing, an S^2 that is not a number passes the first line.
    """
    small = variance < m.number(LEAST)
    if not isinstance(small, sympy.Rel) and small:
        return m.number(1)
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / variance))


def any_batch() -> Batch:
    """A batch of any length; log mu, rewards and the step are free."""
    return Batch(Generic(LEVEL + BASE), Generic(BASE), Generic(REWARD), STEP)


def four(m: Arithmetic, **changes: Any) -> Batch:
    """The batch of four, with some of its fields changed."""
    return replace(batch(LOG_PI, LOG_MU, m, reward=REWARDS), **changes)


def asked(rho_min: Fraction) -> Witness:
    """The batch of four and a target, as a witness."""
    return Witness.at(log_pi=LOG_PI, log_mu=LOG_MU, rho_min=rho_min)


def listed(rule: Any, m: Arithmetic, rho_min: Fraction = RHO, **changes: Any) -> Any:
    """What a rule says of the batch of four."""
    target = float(rho_min) if m is Tensor else m.number(rho_min)
    return rule(four(m, **changes), target, m)


A8_4_A = Draft(
    "A8.4.a",
    section="8.3",
    kind=Kind.ALGORITHM,
    title=Text("What Algorithm 8.4 returns", "算法 8.4 的返回值"),
    finding=Text(
        "On plain batches it is the closed form of Theorem 8.3 with the unbiased variance for σ².",
        "对普通批次，它就是以无偏样本方差代 σ² 的定理 8.3 闭式。",
    ),
    statement=r"\gamma = \min\bigl(1, \sqrt{-\log\rho_{\min}/S^2}\bigr),\quad"
    r" S^2 = \tfrac{1}{n-1}\sum_i (l_i - \bar l)^2,\ l = \log\pi - \log\mu",
    subject=algorithm,
    expect=Verdict.VERIFIED,
    assumes=(PLAIN_BATCH,),
    uses=("T8.3.a",),
    reading="of the listing, the formula that its lines compute; rounding is the listing's own",
)


@A8_4_A.symbolic(EVERY_BATCH)
def _(rule: Any) -> Answer:
    """S^2 from pairs of rows, and the exponent at which e^(-S^2 gamma^2) meets the target."""
    first = Generic(LEVEL).sum()
    second = Generic(LEVEL**2).sum()
    pairs = (2 * SIZE * second - 2 * first * first) / (2 * SIZE * (SIZE - 1))
    rho_min = sympy.exp(-VARIANCE * C**2)
    return all_of(
        [
            equal_for_every_batch(pairs, VARIANCE),
            equal_for_every_batch(rule(any_batch(), rho_min, Exact), sympy.Min(1, C)),
        ]
    )


@A8_4_A.certified(POINTS)
def _(rule: Any) -> Answer:
    """With S^2 from pairs, e^(-S^2 gamma^2) is the target, or gamma is 1 and it is more."""
    variance = Ball.number(spread([a - b for a, b in zip(LOG_PI, LOG_MU, strict=True)]))
    met, slack = (listed(rule, Ball, rho_min) for rho_min in TARGETS)
    unclipped = Ball.exp(-variance * met * met)
    return all_of(
        [
            certified.agree([unclipped], [Ball.number(RHO)], witnesses=[asked(RHO)]),
            certified.agree([slack], [Ball.number(1)], witnesses=[asked(TARGETS[1])]),
            certified.compare(
                Ball.exp(-variance), ">", Ball.number(TARGETS[1]), witness=asked(TARGETS[1])
            ),
        ]
    )


@A8_4_A.neural(Scope("the same batch and targets, and batches of (nearly) equal log-ratios"))
def _(rule: Any) -> Answer:
    """The listing runs: against S^2 from pairs, and against its restatement in plain floats."""
    variance = float(spread([a - b for a, b in zip(LOG_PI, LOG_MU, strict=True)]))
    answers = []
    for rho_min in TARGETS:
        runs = float(listed(rule, Tensor, rho_min))
        expected = min(1.0, math.sqrt(-math.log(rho_min) / variance))
        answers.append(neural.close([runs], [expected], witness=asked(rho_min)))
        answers.append(neural.close([runs], [listed(rule, Real, rho_min)], witness=asked(rho_min)))
    equal = float(rule(batch(LOG_MU, LOG_MU, Tensor), float(RHO), Tensor))
    at = Witness.at(log_pi=LOG_MU, log_mu=LOG_MU, rho_min=RHO)
    answers.append(neural.close([equal], [1.0], witness=at))
    narrow, restated = (
        float(rule(batch(NARROW.log_w, [0, 0], m), float(NARROW.rho_min), m))
        for m in (Tensor, Real)
    )
    at = Witness.at(log_w=(0, Fraction(1, 2**17)), rho_min=NARROW.rho_min)
    return all_of([*answers, neural.close([narrow], [restated], witness=at)])


@A8_4_A.without(PLAIN_BATCH, on=(NARROW,))
def _(rule: Any, given: Request) -> Answer | None:
    if len(given.log_w) < 2 or not all(map(math.isfinite, given.log_w)):
        # S^2 is not a number.
        return None
    log_w = [Fraction(level) for level in given.log_w]
    variance, rho_min = Ball.number(spread(log_w)), Ball.number(given.rho_min)
    gamma = rule(batch(log_w, [0] * len(log_w), Ball), rho_min, Ball)
    met, at = Ball.exp(-variance * gamma * gamma), Witness.at(log_w=log_w, rho_min=given.rho_min)
    if gamma == 1:
        return certified.compare(met, ">=", rho_min, witness=at)
    return certified.agree([met], [rho_min], witnesses=[at])


@A8_4_A.wrong("population variance")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    log_w = given.log_pi - given.log_mu
    n = length(log_w)
    return closed_form(unbiased_variance(log_w) * (n - 1) / n, rho_min, m)


@A8_4_A.wrong("no square root")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    variance = unbiased_variance(given.log_pi - given.log_mu)
    return m.minimum(m.number(1), -m.log(rho_min) / variance)


@A8_4_A.wrong("no clip at 1")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    return m.sqrt(-m.log(rho_min) / unbiased_variance(given.log_pi - given.log_mu))


@A8_4_A.wrong("the variance of log pi alone")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    return closed_form(unbiased_variance(given.log_pi), rho_min, m)


@A8_4_A.number("gamma at log w = (1/2, -1, 3/2, -1/2), rho_min = 3/10")
def _() -> str:
    given = batch(fractions("1/2 -1 3/2 -1/2"), [0] * 4, Ball)
    return certified.digits(algorithm(given, Ball.number(RHO), Ball))


A8_4_B = Draft(
    "A8.4.b",
    section="8.3",
    kind=Kind.ALGORITHM,
    title=Text(
        "Algorithm 8.4 returns an optimal gamma for every batch", "算法 8.4 对任意批次返回最优 γ"
    ),
    finding=Text(
        "Where π is 0 on part of a batch, S² is not a number and the listing returns γ = 1, which"
        " can miss a target that a smaller γ meets.",
        "若 π 在批中某些样本上为 0，则 S² 无定义（NaN），算法返回 γ = 1；而较小的 γ 本可达到目标。",
    ),
    statement=r"\mathrm{ESS}_\gamma/n \ge \rho_{\min}\ \text{at the returned } \gamma,"
    r"\ \text{for every batch}",
    subject=algorithm,
    expect=Verdict.REFUTED,
    assumes=(WITH_ZEROS,),
    uses=("D8.1", "T8.3.a"),
    reading="an optimal gamma meets, at the least, the target that defines it",
)
# log w = (log 10, 0, -inf, -inf): gamma = 1/2 would meet the target.
LOST = Witness.at(w=(10, 1, 0, 0), rho_min=RHO)
LOST_LOGS = (math.log(10), 0.0, -math.inf, -math.inf)


@A8_4_B.symbolic(Scope("the one batch of the witness"))
def _(rule: Any) -> Answer:
    """The listing's float arithmetic in plain Python; then Kish's ratio in exact numbers."""
    # In floats -inf minus -inf is not a number, and neither is S^2.
    returned = rule(Batch(Row(LOST_LOGS), Row((0.0,) * 4)), float(RHO), Real)

    def meets(gamma: Fraction) -> Answer:
        weights = [sympy.Integer(w) ** sympy.Rational(gamma) for w in (10, 1, 0, 0)]
        ratio = formulas.kish_ess(weights) / 4
        return symbolic.compare(ratio, ">=", sympy.Rational(RHO), witness=LOST)

    return given(meets(Fraction(1, 2)), meets(Fraction(returned)))


@A8_4_B.neural(Scope("the one batch of the witness"))
def _(rule: Any) -> Answer:
    """The listing runs on tensors; Kish's ratio of the softmax weights."""
    log_w = neural.tensor(LOST_LOGS)
    returned = rule(Batch(log_w, neural.tensor([0] * 4)), float(RHO), Tensor)
    weights = neural.torch().softmax(returned * log_w, 0)
    return neural.compare(1 / (4 * (weights**2).sum()), ">", float(RHO), witness=LOST)


@A8_4_B.right("the closed form on the positive weights, at their share of the target")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    log_w = given.log_pi - given.log_mu
    kept: Column = (
        log_w[log_w.isfinite()] if m is Tensor else Row(tuple(filter(math.isfinite, log_w.values)))
    )
    # ESS/n is the share of positive weights times the ESS/k of these k.
    share = length(kept) / length(log_w)
    if m is Tensor:
        return listings.compute_optimal_gamma(kept, 0 * kept, rho_min / share)
    return closed_form(unbiased_variance(kept), rho_min / share, m)


def ess_ceiling(positive: Number, size: Number) -> Number:
    """The supremum over gamma > 0 of ESS/n: the share of positive weights."""
    return positive / size


A8_4_B_FIX = Draft(
    "A8.4.b.fix",
    section="8.3",
    kind=Kind.ALGORITHM,
    title=Text("Zero weights put a ceiling on the ESS", "零权重给 ESS 设了上限"),
    finding=Text(
        "For every γ > 0, ESS/n is at most the share of positive weights, which it tends to as"
        " γ → 0; a target above that share cannot be met and has to be refused.",
        "对任意 γ > 0，ESS/n 不超过正权重的占比，且 γ → 0 时趋于该占比；高于它的目标无法达到，"
        "应予拒绝。",
    ),
    statement=r"\sup_{\gamma>0}\ \mathrm{ESS}_\gamma/n = \tfrac1n\,\#\{i : w_i > 0\}",
    subject=ess_ceiling,
    expect=Verdict.VERIFIED,
    assumes=(WITH_ZEROS,),
    uses=("D8.1",),
    amends=("A8.4.b",),
)


@A8_4_B_FIX.symbolic(Scope("every batch: pairs of positive weights, and each limit", whole=True))
def _(ceiling: Any) -> Answer:
    """Cauchy-Schwarz as a sum of squares over pairs, and w^gamma tends to 1 for w > 0 only."""
    # Over ordered pairs of the k positive weights the sum of (a^2 + b^2)/2 - a b is
    # k sum w^(2 gamma) - (sum w^gamma)^2, so it has the sign of its summand (a - b)^2 / 2.
    a, b = sympy.symbols("a b", real=True)
    w, gamma, k, n = sympy.symbols("w gamma k n", positive=True)
    pair = (a * a + b * b) / 2 - a * b
    first, second = sympy.symbols("S1 S2", positive=True)
    shortfall = ceiling(k, n) - first**2 / (n * second)
    entry = sympy.limit(w**gamma, gamma, 0, "+")
    return all_of(
        [
            symbolic.equal(pair, (a - b) ** 2 / 2),
            symbolic.equal(shortfall, (k * second - first**2) / (n * second)),
            symbolic.equal((k * entry) ** 2 / (n * k * entry**2), ceiling(k, n)),
            symbolic.equal(sympy.limit(0**gamma, gamma, 0, "+"), 0),
        ]
    )


A8_4_B_FIX.meaningless_without(
    WITH_ZEROS,
    "with no positive weight ESS is 0/0, and a negative weight has no real power for most gamma",
)

PART = (3, 1, 0, 0, 0)
END = Fraction(1, 2**40)


def _part(gamma: Fraction) -> Witness:
    return Witness.at(w=PART, gamma=gamma)


@A8_4_B_FIX.certified(Scope("weights (3, 1, 0, 0, 0), gamma from 1/16 to 1 and 2^-40"))
def _(ceiling: Any) -> Answer:
    """Kish's ratio is below the ceiling on the interval, and within 2^-80 of it near 0."""

    def gap(gamma: Any) -> Any:
        ratio = formulas.kish_ess([Ball.power(Ball.number(w), gamma) for w in PART]) / 5
        return ceiling(Ball.number(2), Ball.number(5)) - ratio

    box = (Fraction(1, 16), Fraction(1))
    below = certified.sign_on(gap, box, positive=True, witness=_part)
    bound = Ball.number(END * END)
    near = certified.compare(abs(gap(Ball.number(END))), "<", bound, witness=_part(END))
    return all_of([below, near])


@A8_4_B_FIX.neural(Scope("weights (3, 1, 0, 0, 0), gamma = 1, 1/2 and 2^-40"))
def _(ceiling: Any) -> Answer:
    """Kish's ratio of softmax weights with three entries at -inf."""
    log_w = neural.tensor([math.log(w) if w else -math.inf for w in PART])
    top = float(ceiling(2, 5))

    def ratio(gamma: Fraction) -> Any:
        return 1 / (5 * (neural.torch().softmax(float(gamma) * log_w, 0) ** 2).sum())

    answers = [neural.compare(ratio(g), "<", top, witness=_part(g)) for g in fractions("1 1/2")]
    return all_of([*answers, neural.close([ratio(END)], [top], witness=_part(END))])


@A8_4_B_FIX.wrong("the share of all weights")
def _(positive: Any, size: Any) -> Any:
    return size / size


@A8_4_B_FIX.wrong("the square of the share")
def _(positive: Any, size: Any) -> Any:
    return positive * positive / (size * size)


@A8_4_B_FIX.wrong("the share of zero weights")
def _(positive: Any, size: Any) -> Any:
    return (size - positive) / size


CLAIMS = frozen(A8_4_A, A8_4_B, A8_4_B_FIX)
