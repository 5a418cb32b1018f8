"""Section 11.1: what three classical works have to do with the framework.

Kong's relation n/ESS = 1 + CV^2(w) is about efficiency: how much variance unequal weights cost. It
is not the bias of the self-normalised estimator, and the paper's Bias(gamma) is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import comb, prod
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PARETO
from isr_theory.claims.instances import named
from isr_theory.claims.s11_2_tails import enclosed_index
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import TWO_ARMS, ParetoTail

K, GAMMA, T, CONSTANT = sympy.symbols("k gamma t C", positive=True)


def khat_cap(k: Number, m: Arithmetic) -> Number:
    """The largest gamma for which w^gamma has Pareto index at most 7/10: 7/(10 k), k > 0."""
    return m.number("7/10") / k


TAB11_1_1 = Draft(
    "TAB11.1.1",
    section="11.1",
    kind=Kind.REMARK,
    title=Text("Kong's note as the paper's bias analysis", "Kong (1992) 与本文 Bias 分析"),
    finding=Text(
        "They differ: at gamma = 1 Bias is 0, while the self-normalised estimator of two draws "
        "is off by 1/5.",
        "两者不同：γ = 1 时 Bias 为 0，而两个样本的自归一化估计量偏差为 1/5。",
    ),
    statement=r"\mathrm{Bias}(\gamma) = \text{bias of } "
    r"\textstyle\sum_i w_i^\gamma\, r_i\, s_i / \sum_i w_i^\gamma",
    subject=formulas.bias,
    expect=Verdict.REFUTED,
    uses=("D7.1",),
    reading="'SNIS bias formula' matched with 'our Bias analysis': Bias(gamma) is read as the bias "
    "of the self-normalised estimator of E_pi[r s], s the score of one logit, at gamma = 1",
)
TWO_DRAWS = Witness.at(mu=TWO_ARMS.mu, pi=TWO_ARMS.pi, reward=1, gamma=1, n=2)
# With r = 1 the paper's p* = e^(r/tau)/Z is uniform.
UNIFORM = TWO_ARMS.mu


def printed_bias(bias: Any, m: Arithmetic) -> Number:
    """Bias(1) at the laws of the witness."""
    mu, target = ([m.number(x) for x in row] for row in (TWO_ARMS.mu, UNIFORM))
    return bias(mu, target, m.number(1), m)


@TAB11_1_1.symbolic(Scope("the two arms of the witness"))
def _(bias: Any) -> Answer:
    """The mean over all four pairs of draws, in rationals."""
    mu, pi, _ = TWO_ARMS.numbers(Exact)
    weights, scores = [b / a for a, b in zip(mu, pi, strict=True)], (pi[1], -pi[0])
    mean = sum(
        mu[i]
        * mu[j]
        * (weights[i] * scores[i] + weights[j] * scores[j])
        / (weights[i] + weights[j])
        for i, j in product(range(2), repeat=2)
    )
    truth = pi[0] * scores[0] + pi[1] * scores[1]
    return symbolic.compare(mean - truth, "==", printed_bias(bias, Exact), witness=TWO_DRAWS)


@TAB11_1_1.certified(Scope("the two arms of the witness"))
def _(bias: Any) -> Answer:
    """The mean over the binomial number of draws of the first arm."""
    mu, pi, _ = TWO_ARMS.numbers(Ball)
    total, n = Ball.number(0), 2
    for k in range(n + 1):
        chance = comb(n, k) * mu[0] ** k * mu[1] ** (n - k)
        first, second = k * pi[0] / mu[0], (n - k) * pi[1] / mu[1]
        # Scores are 1 - pi_1 and -pi_1, so the estimator is the first arm's share less pi_1.
        total += chance * (first / (first + second) - pi[0])
    return certified.compare(total, "==", printed_bias(bias, Ball), witness=TWO_DRAWS)


@TAB11_1_1.neural(Scope("the two arms of the witness"))
def _(bias: Any) -> Answer:
    """The mean over all batches of the autograd gradient of the self-normalised objective."""

    def objective(logit: Any) -> Any:
        log_pi = neural.torch().stack([logit, 0 * logit]).log_softmax(0)
        log_w = log_pi.detach() - neural.tensor(TWO_ARMS.mu).log()
        batches = [list(batch) for batch in product(range(2), repeat=2)]
        chances = [float(prod(TWO_ARMS.mu[i] for i in batch)) for batch in batches]
        means = [(log_w[batch].softmax(0) * log_pi[batch]).sum() for batch in batches]
        return sum(chance * mean for chance, mean in zip(chances, means, strict=True))

    odds = TWO_ARMS.pi[0] / TWO_ARMS.pi[1]
    mean = neural.gradient(objective, neural.tensor(odds).log())
    # The gradient that it estimates, E_pi[s], is 0.
    return neural.close(mean, [printed_bias(bias, Real)], witness=TWO_DRAWS)


@TAB11_1_1.right("the bias of the self-normalised mean of two draws")
def _(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    _, pi, _ = TWO_ARMS.numbers(m)
    weights = [b / a for a, b in zip(mu, pi, strict=True)]
    # E_pi[s] is 0. The share of the first arm is 1, 0 or, where both arms are drawn, that of w.
    both = 2 * mu[0] * mu[1]
    return mu[0] * mu[0] + both * weights[0] / (weights[0] + weights[1]) - pi[0]


TAB11_1_1_FIX = Draft(
    "TAB11.1.1.fix",
    section="11.1",
    kind=Kind.IDENTITY,
    title=Text("Kong's relation is one of efficiency", "Kong 关系式刻画的是效率"),
    finding=Text(
        "ESS/n = 1/(1 + CV^2(w)) is the variance of a plain mean over that of the weighted mean, "
        "for a function independent of the weights.",
        "ESS/n = 1/(1 + CV²(w)) 是普通均值与加权均值的方差之比（函数与权重独立时）。",
    ),
    statement=r"\frac{\mathrm{ESS}}{n} = \frac{1}{1 + \mathrm{CV}^2(w)} "
    r"= \frac{\mathrm{Var}(h)/n}{\mathrm{Var}(\sum_i w_i h_i / \sum_i w_i \mid w)},\quad h \perp w",
    subject=formulas.ess_from_moments,
    expect=Verdict.VERIFIED,
    uses=("D8.1",),
    amends=("TAB11.1.1",),
    reading="ESS/n = E[w]^2/E[w^2], the moments being those of the sample of weights, all positive",
)
WEIGHTS = tuple(Fraction(text) for text in ("9/5", "1/5", "1/5"))
VALUES = (
    (Fraction(0), Fraction(1, 2)),
    (Fraction(1), Fraction(1, 3)),
    (Fraction(3), Fraction(1, 6)),
)
DRAWN = Witness.at(weights=WEIGHTS)


def sample_moments(weights: Sequence[Number], m: Arithmetic) -> tuple[Number, Number]:
    """The first two moments of a sample of weights."""
    n = m.number(len(weights))
    return sum(weights) / n, sum(w * w for w in weights) / n


@TAB11_1_1_FIX.symbolic(
    Scope("every n and every sample of positive weights, by its first two moments", whole=True)
)
def _(efficiency: Any) -> Answer:
    """Independent terms add their variances: Var(h) sum w^2 / (sum w)^2."""
    n, first, second, variance = sympy.symbols("n m1 m2 v", positive=True)
    weighted = variance * (n * second) / (n * first) ** 2
    squared_variation = (second - first**2) / first**2
    return all_of(
        [
            symbolic.equal(efficiency(first, second), (variance / n) / weighted),
            symbolic.equal(efficiency(first, second), 1 / (1 + squared_variation)),
        ]
    )


@TAB11_1_1_FIX.certified(Scope("three weights and a function with three values"))
def _(efficiency: Any) -> Answer:
    """The variance of the weighted mean over all 27 outcomes."""
    weights = [Ball.number(w) for w in WEIGHTS]
    values = [(Ball.number(h), Ball.number(p)) for h, p in VALUES]

    def variance(rows: Sequence[tuple[Number, Number]]) -> Number:
        mean = sum(h * p for h, p in rows)
        return sum((h - mean) * (h - mean) * p for h, p in rows)

    outcomes = []
    for draw in product(values, repeat=3):
        mean = sum(w * h for w, (h, _) in zip(weights, draw, strict=True)) / sum(weights)
        outcomes.append((mean, draw[0][1] * draw[1][1] * draw[2][1]))
    ratio = variance(values) / 3 / variance(outcomes)
    return certified.agree([ratio], [efficiency(*sample_moments(weights, Ball))], witnesses=[DRAWN])


@TAB11_1_1_FIX.neural(Scope("three weights"))
def _(efficiency: Any) -> Answer:
    """A linear statistic has variance v |gradient|^2; the gradient by autograd."""
    weights = neural.tensor(WEIGHTS)
    slope = neural.gradient(lambda h: (weights * h).sum() / weights.sum(), neural.tensor([1, 2, 3]))
    expected = efficiency(weights.mean(), (weights * weights).mean())
    return neural.close(1 / (3 * (slope * slope).sum()), expected, witness=DRAWN)


@TAB11_1_1_FIX.sampled(Scope("three weights and a fair coin"), resolution=0.01)
def _(efficiency: Any, trial: Trial) -> Answer:
    """The squared error of the weighted mean of three tosses."""
    weights = np.array([float(w) for w in WEIGHTS])

    def squared_error(rng: np.random.Generator, n: int) -> Any:
        tosses = rng.random((n, 3)) < 0.5
        return (tosses @ weights / weights.sum() - 0.5) ** 2

    error = trial.mean("squared error", squared_error, 0.0, 0.25)
    expected = 0.25 / 3 / efficiency(*sample_moments(list(map(float, WEIGHTS)), Real))
    return trial.agrees(error, expected, witness=DRAWN)


@TAB11_1_1_FIX.wrong("upside down")
def _(first: Any, second: Any) -> Any:
    return second / (first * first)


@TAB11_1_1_FIX.wrong("first moment not squared")
def _(first: Any, second: Any) -> Any:
    return first / second


@TAB11_1_1_FIX.wrong("variance of unscaled weights")
def _(first: Any, second: Any) -> Any:
    return 1 / (1 + second - first * first)


TAB11_1_2 = Draft(
    "TAB11.1.2",
    section="11.1",
    kind=Kind.REMARK,
    title=Text("Owen (2013) as the source of power tempering", "Owen (2013) 与 power tempering"),
    finding=Text(
        "We could not confirm that the book treats powers of importance weights.",
        "我们未能确认该书讨论过重要性权重的幂变换。",
    ),
    statement=r"f(w) = w^\gamma \text{ is the power tempering of Owen (2013)}",
    subject=None,
    expect=Verdict.OPEN,
    single_route="no computation can tell what a book contains",
    open_reason="a statement about the content of a book, which we could not confirm there",
)

TAB11_1_3 = Draft(
    "TAB11.1.3",
    section="11.1",
    kind=Kind.REMARK,
    title=Text("The k-hat constraint as an upper bound on gamma", "k̂ 约束可作为 γ 的上界"),
    finding=Text(
        "For Pareto weights the index of w^gamma is at most 7/10 exactly for gamma <= 7/(10 k).",
        "对 Pareto 权重，w^γ 的指数不超过 7/10 当且仅当 γ ≤ 7/(10k)。",
    ),
    statement=r"k(w^\gamma) \le 0.7 \iff \gamma \le 0.7/k(w)",
    subject=khat_cap,
    expect=Verdict.VERIFIED,
    assumes=(PARETO,),
    uses=("T11.1.a",),
    reading="k-hat is the population index k > 0 of the tail P(w > t) = C t^(-1/k)",
)


def local_index() -> Any:
    """The index of w^gamma, -1 / (d log P / d log t), where P(w^gamma > t) = C t^(-1/(gamma k))."""
    survival = CONSTANT * (T ** (1 / GAMMA)) ** (-1 / K)
    return -1 / (T * sympy.diff(sympy.expand_log(sympy.log(survival)), T))


@TAB11_1_3.symbolic(Scope("every k > 0 and every tail C t^(-1/k)", whole=True))
def _(cap: Any) -> Answer:
    """The index of w^gamma rises in gamma and is 7/10 at the cap."""
    index = sympy.simplify(local_index())
    return all_of(
        [
            symbolic.positive(sympy.diff(index, GAMMA)),
            symbolic.equal(index.subs(GAMMA, cap(K, Exact)), sympy.Rational(7, 10)),
        ]
    )


@TAB11_1_3.certified(Scope("three values of k"))
def _(cap: Any) -> Answer:
    """Two quantiles of w^gamma at the cap: log(q(1/8)/q(1/2)) / log 4 is the index."""
    indices = [Ball.number(k) for k in ("1/2", "4/5", "3/2")]
    found = []
    for k in indices:
        low, high = (
            Ball.power(Ball.power(Ball.number(u), -k), cap(k, Ball)) for u in ("1/2", "1/8")
        )
        found.append(Ball.log(high / low) / Ball.log(4))
    witnesses = [Witness.at(k=Fraction(k)) for k in ("1/2", "4/5", "3/2")]
    return certified.agree(found, [Ball.number("7/10")] * 3, witnesses=witnesses)


@TAB11_1_3.sampled(Scope("k = 4/5"), resolution=0.02)
def _(cap: Any, trial: Trial) -> Answer:
    """The chance that w^gamma passes 2 at the cap."""
    law = ParetoTail(Fraction(4, 5))
    gamma = cap(float(law.k), Real)
    chance = trial.mean(
        f"w^{gamma} > 2", lambda rng, n: (law.sample(rng, n) ** gamma > 2).astype(float), 0.0, 1.0
    )
    return trial.agrees(chance, 2 ** (-1 / 0.7), witness=Witness.at(k=law.k))


@TAB11_1_3.without(PARETO)
def _(cap: Any, model: ParetoTail) -> Answer:
    most, bound = cap(Ball.number(model.k), Ball), Ball.number("7/10")
    # A gamma to either side of 7/(10 |k|); a negative cap lets neither pass.
    middle = abs(Fraction(7, 10) / model.k)
    answers = []
    for gamma in (middle * Fraction(99, 100), middle * Fraction(101, 100)):
        relation = "<" if Ball.number(gamma) < most else ">"
        found, witness = enclosed_index(model, gamma), named(model, gamma=gamma)
        answers.append(certified.compare(found, relation, bound, witness=witness))
    return all_of(answers)


@TAB11_1_3.wrong("7k/10")
def _(k: Any, m: Any) -> Any:
    return m.number("7/10") * k


@TAB11_1_3.wrong("the finite-variance limit 1/(2k)")
def _(k: Any, m: Any) -> Any:
    return m.number("1/2") / k


@TAB11_1_3.wrong("the square root, as in the ESS rule")
def _(k: Any, m: Any) -> Any:
    return m.sqrt(m.number("7/10") / k)


CLAIMS = frozen(TAB11_1_1, TAB11_1_1_FIX, TAB11_1_2, TAB11_1_3)
