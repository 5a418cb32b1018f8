"""Past assumption 7.3: what long sequences do, and do not, make normal.

The law of log w becomes normal, but its moments at a fixed gamma do not become those of a
log-normal weight, and its mean does not become -Var/2: both keep the token's own law for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.x05_1_sequences import (
    IID_TOKENS,
    THREE_TOKENS,
    TOKEN,
    Words,
    enumerated_levels,
    token_cumulants,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import LOST_SUPPORT, Finite

A1, A2, T, S = sympy.symbols("a1 a2 T s", positive=True)
POWER = sympy.Symbol("t", real=True)
Law = Sequence[Number]

MU_IN_PI = Assumption(
    "token_support",
    Text("pi gives mass to every token to which mu does.", "π 覆盖 μ 的支撑。"),
    lambda law: all(b > 0 or a == 0 for a, b in zip(law.mu, law.pi, strict=True)),
    examples=(TOKEN, THREE_TOKENS),
    violations=(LOST_SUPPORT,),
    draw=Finite.drawn,
)
NO_DIVERGENCE = "log w is infinite, and so is KL(mu || pi), where pi misses a token of mu"

MOMENTS = Draft(
    "SEQ.moments",
    section="beyond",
    kind=Kind.HEURISTIC,
    title=Text("Long sequences make log-normal moments right", "序列够长则对数正态矩公式成立"),
    finding=Text(
        "False at a fixed gamma: 100 tokens from (9/10, 1/10) to (7/10, 3/10) have E[w^2] ="
        " (13/9)^100 = 9.3e15, the formula says 1.3e7.",
        "固定 γ 时不成立：100 个由 (9/10, 1/10) 到 (7/10, 3/10) 的 token，"
        "E[w²] = (13/9)^100 ≈ 9.3e15，而公式给出 1.3e7。",
    ),
    statement=r"T = 100:\quad \tfrac12 \le \frac{\mathbb{E}_\mu[w^{2\gamma}]}"
    r"{e^{T\sigma_1^2 \gamma(2\gamma - 1)}} \le 2 \quad \text{for } 0 \le \gamma \le 1",
    subject=formulas.second_moment_lognormal,
    expect=Verdict.REFUTED,
    assumes=(IID_TOKENS,),
    uses=("T7.4", "SEQ.length"),
    sharpens=("A7.3", "T7.4", "T8.2"),
    source="a common belief by the central limit theorem; the witness is new here",
    reading="Theorem 7.4 with the sequence's own Var(log w), within a factor 2",
)
HUNDRED = Witness.at(mu=TOKEN.mu, pi=TOKEN.pi, T=100, gamma=1)


@MOMENTS.symbolic(Scope("the witness"))
def _(formula: Any) -> Answer:
    """The moment (13/9)^100 in exact numbers."""
    mu, pi, _ = TOKEN.numbers(Exact)
    one = sum(b**2 / a for a, b in zip(mu, pi, strict=True))
    _, sigma2, _ = token_cumulants(TOKEN, Exact)
    ratio = sympy.N(one**100 / formula(100 * sigma2, sympy.Integer(1), Exact), 50)
    return symbolic.compare(ratio, "<=", 2, witness=HUNDRED)


@MOMENTS.certified(Scope("the witness"))
def _(formula: Any) -> Answer:
    """The second moment summed over the number of ones among 100 tokens, in balls."""
    mu, pi, _ = TOKEN.numbers(Ball)
    total, log_w = flint.arb(0), []
    for k in range(101):
        chance = math.comb(100, k) * mu[0] ** (100 - k) * mu[1] ** k
        level = (100 - k) * Ball.log(pi[0] / mu[0]) + k * Ball.log(pi[1] / mu[1])
        log_w.append((chance, level))
        total += chance * Ball.exp(2 * level)
    mean = sum((a * x for a, x in log_w), flint.arb(0))
    sigma2 = sum((a * (x - mean) * (x - mean) for a, x in log_w), flint.arb(0))
    ratio = total / formula(sigma2, flint.arb(1), Ball)
    return certified.compare(ratio, "<=", flint.arb(2), witness=HUNDRED)


@MOMENTS.right("the moment of the tokens themselves")
def _(sigma2: Any, gamma: Any, m: Any) -> Any:
    return m.exp(100 * m.log(m.number("13/9")))


def log_moment_gap(mu: Law, pi: Law, t: Number, length: Number, m: Arithmetic) -> Number:
    """Return T (K_1(t) - sigma1^2 t (t-1)/2): log E[w^t] less what the log-normal formula says."""
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    sigma2 = sum(a * (x - mean) * (x - mean) for a, x in zip(mu, level, strict=True))
    one = m.log(sum(a * m.exp(t * x) for a, x in zip(mu, level, strict=True)))
    return length * (one - sigma2 * t * (t - 1) / 2)


MOMENTS_FIX = Draft(
    "SEQ.moments.fix",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The moments of a long sequence", "长序列的矩"),
    finding=Text(
        "At a fixed power log E[w^t] is T times a token's, so that a log-normal formula is off by a"
        " factor whose logarithm grows like T, unless it is right for a single token.",
        "固定阶数时 log E[w^t] 为单 token 的 T 倍，故除非对单个 token 已成立，"
        "对数正态公式的误差因子按 e^{cT} 增长。",
    ),
    statement=r"\log\mathbb{E}_\mu[w^t] = T K_1(t),\qquad \log\mathbb{E}_\mu[w^t]"
    r" - \tfrac12 t(t-1)\, T\sigma_1^2 = T\bigl(K_1(t) - \tfrac12 t(t-1)\sigma_1^2\bigr)",
    subject=log_moment_gap,
    expect=Verdict.VERIFIED,
    assumes=(IID_TOKENS,),
    uses=("REN.additive", "SEQ.length", "T7.4"),
    amends=("SEQ.moments",),
    sharpens=("A7.3", "T7.4", "REN.additive"),
    source="new here as a statement about the paper's formulas; the rate is Cramer's",
    reading="t at which a token's K_1(t) = log E[w_1^t] is finite",
)


@MOMENTS_FIX.symbolic(
    Scope("every token law: independence multiplies moments and adds variances", whole=True)
)
def _(gap: Any) -> Answer:
    """All pairs of two tokens with free log-ratios; one token more adds the same again."""
    x, y = sympy.symbols("x y", real=True)
    law, level = ([A1, A2], [x, y])
    pairs = [
        (a * b, u + v)
        for a, u in zip(law, level, strict=True)
        for b, v in zip(law, level, strict=True)
    ]
    one = sum(a * sympy.exp(POWER * u) for a, u in zip(law, level, strict=True))
    two = sum(a * sympy.exp(POWER * u) for a, u in pairs)
    # With two outcomes of masses that sum to 1 the variance is a1 a2 (x - y)^2.
    whole = {A2: 1 - A1}
    mean = sum(a * u for a, u in pairs)
    variance = sum(a * (u - mean) ** 2 for a, u in pairs).subs(whole)
    token = A1 * (1 - A1) * (x - y) ** 2
    said = gap([A1, 1 - A1], [A1 * sympy.exp(x), (1 - A1) * sympy.exp(y)], POWER, T, Exact)
    expected = T * (sympy.log(one.subs(whole)) - token * POWER * (POWER - 1) / 2)
    points = [{A1: sympy.Rational(1, 3), x: 1, y: -2, POWER: 2, T: 5}]
    return all_of(
        [
            symbolic.equal(sympy.expand(two), sympy.expand(one**2)),
            symbolic.equal(sympy.expand(variance), sympy.expand(2 * token)),
            symbolic.equal(said, expected, points=points, reduce=_logs_of_exponentials),
        ]
    )


def _logs_of_exponentials(difference: Any) -> Any:
    return sympy.simplify(sympy.expand(sympy.expand_log(difference, force=True)))


POWERS = [Fraction(t) for t in ("1/2", "2", "-1")]


def gap_of_words(gap: Any, words: Words, t: Fraction) -> Answer:
    """Compare the subject with log E[w^t] and Var(log w) over all sequences."""
    rows = [(Ball.number(a), x) for a, x in enumerated_levels(words)]
    mean = sum((a * x for a, x in rows), flint.arb(0))
    sigma2 = sum((a * (x - mean) * (x - mean) for a, x in rows), flint.arb(0))
    power = Ball.number(t)
    moment = sum((a * Ball.exp(power * x) for a, x in rows), flint.arb(0))
    direct = Ball.log(moment) - sigma2 * power * (power - 1) / 2
    mu, pi, _ = words.token.numbers(Ball)
    at = Witness((*words.witness().point, ("t", str(t))))
    return certified.agree([gap(mu, pi, power, words.length, Ball)], [direct], witnesses=[at])


@MOMENTS_FIX.certified(Scope("two and three kinds of tokens, T = 4 and 3, three powers"))
def _(gap: Any) -> Answer:
    """The moment and the variance over every sequence."""
    sequences = (Words(TOKEN, 4), Words(THREE_TOKENS, 3))
    return all_of(gap_of_words(gap, words, t) for words in sequences for t in POWERS)


@MOMENTS_FIX.neural(Scope("T = 8, t = 2"))
def _(gap: Any) -> Answer:
    """Torch's outer sums over all 256 sequences."""
    mu, level = neural.tensor(TOKEN.mu), neural.tensor(TOKEN.log_w().tolist())
    chance, total = mu, level
    for _ in range(7):
        chance = (chance[:, None] * mu[None, :]).reshape(-1)
        total = (total[:, None] + level[None, :]).reshape(-1)
    sigma2 = (chance * (total - (chance * total).sum()) ** 2).sum()
    direct = (chance.log() + 2 * total).logsumexp(0) - sigma2
    said = gap(mu, neural.tensor(TOKEN.pi), neural.tensor(2), 8, Tensor)
    at = Words(TOKEN, 8).witness()
    return neural.close([said], direct.reshape(1), witness=at)


@MOMENTS_FIX.without(IID_TOKENS)
def _(gap: Any, words: Words) -> Answer:
    return gap_of_words(gap, words, Fraction(2))


@MOMENTS_FIX.wrong("no gap: log-normal at last")
def _(mu: Any, pi: Any, t: Any, length: Any, m: Any) -> Any:
    return 0 * log_moment_gap(mu, pi, t, length, m)


@MOMENTS_FIX.wrong("a gap that does not grow")
def _(mu: Any, pi: Any, t: Any, length: Any, m: Any) -> Any:
    return log_moment_gap(mu, pi, t, 1 + 0 * length, m)


@MOMENTS_FIX.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, t: Any, length: Any, m: Any) -> Any:
    return log_moment_gap(pi, mu, t, length, m)


@MOMENTS_FIX.wrong("a gap that grows like the root of T")
def _(mu: Any, pi: Any, t: Any, length: Any, m: Any) -> Any:
    return log_moment_gap(mu, pi, t, m.sqrt(length), m)


@MOMENTS_FIX.number("E[w^2], tokens (9/10, 1/10) to (7/10, 3/10), T = 100")
def _() -> str:
    return certified.digits(Ball.number("13/9") ** 100)


@MOMENTS_FIX.number("what the log-normal formula says there")
def _() -> str:
    return certified.digits(Ball.exp(100 * token_cumulants(TOKEN, Ball)[1]))


def two_scalar(mu: Law, pi: Law, m: Arithmetic) -> Number:
    """Return 2 KL(mu || pi) / Var_mu(log w)."""
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    return -2 * mean / sum(a * (x - mean) * (x - mean) for a, x in zip(mu, level, strict=True))


NORMAL = Draft(
    "SEQ.lognormal",
    section="beyond",
    kind=Kind.HEURISTIC,
    title=Text("Long sequences bring assumption 7.3 about", "序列够长则假设 7.3 成立"),
    finding=Text(
        "False: log-normal weights of mean 1 have 2 KL(mu || pi) = Var(log w), and 100 tokens from"
        " (9/10, 1/10) to (7/10, 3/10) have the ratio 1.42, as one token has.",
        "不成立：均值为 1 的对数正态权重须满足 2KL(μ‖π) = Var(log w)，"
        "而 100 个由 (9/10, 1/10) 到 (7/10, 3/10) 的 token 与单个 token 一样，比值为 1.42。",
    ),
    statement=r"T = 100:\quad \frac{2\,\mathrm{KL}(\mu \,\|\, \pi)}{\mathrm{Var}_\mu(\log w)}"
    r" \le \frac{11}{10}",
    subject=two_scalar,
    expect=Verdict.REFUTED,
    assumes=(IID_TOKENS, MU_IN_PI),
    uses=("A7.3", "SEQ.length"),
    sharpens=("A7.3",),
    source="a common belief by the central limit theorem; the check of the two scalars is the"
    " line's own, the witness is new here",
    reading="assumption 7.3 with the constraint E_mu[w] = 1, which makes the ratio exactly 1; here"
    " 11/10 is allowed",
)
STEADY = Witness.at(mu=TOKEN.mu, pi=TOKEN.pi, T=100)


@NORMAL.symbolic(Scope("the witness"))
def _(ratio: Any) -> Answer:
    """A token's mean over its variance, both times T, in exact numbers."""
    mu, pi, _ = TOKEN.numbers(Exact)
    return symbolic.compare(ratio(mu, pi, Exact), "<=", sympy.Rational(11, 10), witness=STEADY)


@NORMAL.certified(Scope("the witness"))
def _(ratio: Any) -> Answer:
    """Mean and variance over the number of ones among 100 tokens, as one law of 101 outcomes."""
    mu, pi, _ = TOKEN.numbers(Ball)
    laws = [
        [math.comb(100, k) * p[0] ** (100 - k) * p[1] ** k for k in range(101)] for p in (mu, pi)
    ]
    return certified.compare(ratio(*laws, Ball), "<=", Ball.number("11/10"), witness=STEADY)


@NORMAL.right("what a normal law would have")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return m.number(1)


NORMALITY = Draft(
    "SEQ.normality",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("A ratio that length does not mend", "长度无法改变的比值"),
    finding=Text(
        "2 KL(mu || pi)/Var(log w) is 1 for log-normal weights and a token's own value for every"
        " T, 1 + kappa3/(3 kappa2) to first order: it measures skewness, not length.",
        "2KL(μ‖π)/Var(log w) 在对数正态下为 1，对任意 T 则恒为单 token 之值，"
        "一阶为 1 + κ₃/(3κ₂)：它度量偏度而非长度。",
    ),
    statement=r"\frac{2\,\mathrm{KL}_T}{\mathrm{Var}_T} = \frac{2\,\mathrm{KL}_1}{\sigma_1^2}"
    r"\ \forall T,\qquad \frac{2\,\mathrm{KL}}{\mathrm{Var}}"
    r" = 1 + \frac{\kappa_3}{3\kappa_2} + \frac{\kappa_4}{12\kappa_2} + \dots,\qquad"
    r" \log w\ \text{normal} \Rightarrow \frac{2\,\mathrm{KL}}{\mathrm{Var}} = 1",
    subject=two_scalar,
    expect=Verdict.VERIFIED,
    assumes=(IID_TOKENS, MU_IN_PI),
    uses=("SEQ.length", "A7.3"),
    amends=("SEQ.lognormal",),
    sharpens=("A7.3", "SEQ.exact"),
    source="new here; the ratio as a check of log-normality is the line's own",
    reading="pi and mu differ; the series is that of K(1) = 0 with kappa_j the cumulants of log w"
    " under mu, where it converges, as for laws with small shifts",
)


@NORMALITY.symbolic(
    Scope("every token law and T: means and variances add; a normal law with E[w] = 1", whole=True)
)
def _(ratio: Any) -> Answer:
    """The ratio of free sums; the mean that E[w] = 1 forces; the series from K(1) = 0."""
    x, y, m1, z = sympy.symbols("x y m z", real=True)
    k2, k3, k4 = sympy.symbols("k2 k3 k4", positive=True)
    law = [A1, 1 - A1]
    mean = A1 * x + (1 - A1) * y
    variance = A1 * (1 - A1) * (x - y) ** 2
    # T tokens: mean and variance T times as large.
    said = ratio(law, [A1 * sympy.exp(x), (1 - A1) * sympy.exp(y)], Exact)
    density = sympy.exp(-(z**2) / 2) / sympy.sqrt(2 * sympy.pi)
    whole = sympy.integrate(sympy.exp(S * z) * density, (z, -sympy.oo, sympy.oo))
    forced = sympy.solve(m1 + sympy.log(whole), m1)
    # K(1) = k1 + k2/2 + k3/6 + k4/24 = 0.
    k1 = -(k2 / 2 + k3 / 6 + k4 / 24)
    points = [{A1: sympy.Rational(1, 3), x: 1, y: -2, T: 7}]
    return all_of(
        [
            symbolic.equal(
                said, -2 * (T * mean) / (T * variance), points=points, reduce=_logs_of_exponentials
            ),
            symbolic.equal(len(forced), 1),
            symbolic.equal(-2 * forced[0] / S**2, 1),
            symbolic.equal(-2 * k1 / k2, 1 + k3 / (3 * k2) + k4 / (12 * k2)),
        ]
    )


def ratio_of_words(ratio: Any, words: Words) -> Answer:
    """Compare the subject at one token with the ratio over all sequences."""
    rows = [(Ball.number(a), x) for a, x in enumerated_levels(words)]
    mean = sum((a * x for a, x in rows), flint.arb(0))
    sigma2 = sum((a * (x - mean) * (x - mean) for a, x in rows), flint.arb(0))
    mu, pi, _ = words.token.numbers(Ball)
    said = ratio(mu, pi, Ball)
    return certified.agree([said], [-2 * mean / sigma2], witnesses=[words.witness()])


@NORMALITY.certified(Scope("two and three kinds of tokens, T = 2 and 4"))
def _(ratio: Any) -> Answer:
    """Both scalars over every sequence."""
    return all_of(
        ratio_of_words(ratio, Words(token, length))
        for token in (TOKEN, THREE_TOKENS)
        for length in (2, 4)
    )


@NORMALITY.certified(Scope("a token that is shifted by e^(x/1000)"))
def _(ratio: Any) -> Answer:
    """At a small shift the ratio is 1 + kappa3/(3 kappa2) to its square, cumulants by series."""
    mu = [Ball.number(a) for a in THREE_TOKENS.mu]
    values = [Ball.number(Fraction(x, 1000)) for x in (-1, 2, 3)]
    pi = formulas.normalised([a * Ball.exp(x) for a, x in zip(mu, values, strict=True)])

    def log_moment(t: Any) -> Any:
        rows = zip(mu, pi, strict=True)
        return Jet.log(sum(a * Jet.exp(t * Ball.log(b / a)) for a, b in rows))

    cumulants = certified.derivatives(log_moment, flint.arb(0), 3)
    off = ratio(mu, pi, Ball) - 1 - cumulants[3] / (3 * cumulants[2])
    at = Witness.at(mu=THREE_TOKENS.mu, tilt="(-1, 2, 3)/1000")
    # kappa4/(12 kappa2) is at most the squared range of log w, 16/10^6, over 12 here.
    return certified.compare(abs(off), "<", Ball.number(Fraction(2, 10**6)), witness=at)


@NORMALITY.neural(Scope("T = 8"))
def _(ratio: Any) -> Answer:
    """Torch's outer sums over all 256 sequences."""
    mu, level = neural.tensor(TOKEN.mu), neural.tensor(TOKEN.log_w().tolist())
    chance, total = mu, level
    for _ in range(7):
        chance = (chance[:, None] * mu[None, :]).reshape(-1)
        total = (total[:, None] + level[None, :]).reshape(-1)
    mean = (chance * total).sum()
    direct = -2 * mean / (chance * (total - mean) ** 2).sum()
    said = ratio(mu, neural.tensor(TOKEN.pi), Tensor)
    at = Words(TOKEN, 8).witness()
    return neural.close([said], direct.reshape(1), witness=at)


@NORMALITY.without(IID_TOKENS)
def _(ratio: Any, words: Words) -> Answer:
    return ratio_of_words(ratio, words)


NORMALITY.meaningless_without(MU_IN_PI, NO_DIVERGENCE)


@NORMALITY.wrong("the divergence from pi to mu")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return two_scalar(mu, pi, m) * formulas.kl(pi, mu, m) / formulas.kl(mu, pi, m)


@NORMALITY.wrong("the variance under pi")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return 2 * formulas.kl(mu, pi, m) / (2 * formulas.kl(pi, mu, m)) * two_scalar(pi, mu, m)


@NORMALITY.wrong("the second moment of log w for its variance")
def _(mu: Any, pi: Any, m: Any) -> Any:
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    second = sum(a * x * x for a, x in zip(mu, level, strict=True))
    return 2 * formulas.kl(mu, pi, m) / second


@NORMALITY.wrong("no factor 2")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return two_scalar(mu, pi, m) / 2


@NORMALITY.number("the ratio of tokens (9/10, 1/10) to (7/10, 3/10), at every T")
def _() -> str:
    mu, pi, _ = TOKEN.numbers(Ball)
    return certified.digits(two_scalar(mu, pi, Ball))


CLAIMS = frozen(MOMENTS, MOMENTS_FIX, NORMAL, NORMALITY)
