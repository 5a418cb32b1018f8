"""Past section 8.2: sequences of T independent tokens.

log w is a sum, so its cumulants grow like T and the rule's gamma falls like T^(-1/2). At that gamma
the closed form is right in the limit, with an error of order T^(-1/2) set by the skewness of a
token's log-ratio; at a fixed gamma the log-normal moments are off by a factor that grows like e^T.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.claims.x04_1_projection import RHO
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import Finite

V, T, C, L, GAMMA = sympy.symbols("v T c L gamma", positive=True)
K1, K3, Q = sympy.symbols("k1 k3 q", real=True)
SIGMA2 = sympy.Symbol("sigma2", positive=True)

# One token: 1 with probability 1/10 under mu and 3/10 under pi.
TOKEN = Finite.of("9/10 1/10", "7/10 3/10")
THREE_TOKENS = Finite.of("3/5 3/10 1/10", "1/2 3/10 1/5")


@dataclass(frozen=True)
class Words:
    """`length` tokens of one law: drawn each for itself, or the first one repeated."""

    token: Finite
    length: int
    repeated: bool = False

    def witness(self) -> Witness:
        """Name the sequence exactly."""
        drawn = "repeated" if self.repeated else "independent"
        return Witness.at(mu=self.token.mu, pi=self.token.pi, T=self.length, tokens=drawn)

    def log_moment(self, t: Number, m: Arithmetic) -> Number:
        """Return log E_mu[w^t] of the whole sequence."""
        mu, pi, _ = self.token.numbers(m)
        power = self.length * t if self.repeated else t
        rows = zip(mu, pi, strict=True)
        one = m.log(sum(a * m.exp(power * m.log(b / a)) for a, b in rows))
        return one if self.repeated else self.length * one


IID_TOKENS = Assumption(
    "iid_tokens",
    Text(
        "The T tokens are independent draws of one law, under mu and under pi.",
        "T 个 token 在 μ 与 π 下均为同一分布的独立抽样。",
    ),
    lambda words: not words.repeated,
    examples=(Words(TOKEN, 4), Words(THREE_TOKENS, 3)),
    violations=(Words(TOKEN, 4, repeated=True),),
    draw=lambda rng: Words(_mild(rng), int(rng.integers(2, 6))),
)


def _mild(rng: Any) -> Finite:
    """Draw a token of two outcomes with tenths for masses, mu and pi different."""
    first, second = (int(x) for x in rng.choice([3, 4, 5, 6, 7], 2, replace=False))
    return Finite.of(f"{first}/10 {10 - first}/10", f"{second}/10 {10 - second}/10")


def token_cumulants(token: Finite, m: Arithmetic) -> tuple[Number, Number, Number]:
    """Mean, variance and third central moment of a token's log w under mu."""
    mu, pi, _ = token.numbers(m)
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    second, third = (
        sum(a * math.prod([x - mean] * k) for a, x in zip(mu, level, strict=True)) for k in (2, 3)
    )
    return mean, second, third


def sequence_gamma(sigma2: Number, length: Number, rho_min: Number, m: Arithmetic) -> Number:
    """min(1, sqrt(L / (T sigma1^2))): the rule for T independent tokens of variance sigma1^2."""
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / (length * sigma2)))


def enumerated_levels(words: Words) -> list[tuple[Fraction, Any]]:
    """Every sequence with its probability under mu and the ball of its log w."""
    one = list(zip(words.token.mu, words.token.pi, strict=True))
    logs = [Ball.log(Ball.number(b / a)) for a, b in one]
    if words.repeated:
        return [(a, words.length * x) for (a, _), x in zip(one, logs, strict=True)]
    rows = itertools.product(range(len(one)), repeat=words.length)
    return [
        (
            math.prod((one[i][0] for i in row), start=Fraction(1)),
            sum((logs[i] for i in row), flint.arb(0)),
        )
        for row in rows
    ]


def enumerated_variance(words: Words) -> Any:
    """Var_mu(log w) over all sequences."""
    rows = [(Ball.number(a), x) for a, x in enumerated_levels(words)]
    mean = sum((a * x for a, x in rows), flint.arb(0))
    return sum((a * (x - mean) * (x - mean) for a, x in rows), flint.arb(0))


LENGTH = Draft(
    "SEQ.length",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("gamma falls like the root of the length", "γ* 按长度的平方根下降"),
    finding=Text(
        "Var(log w) is T times a token's, so the rule's gamma is that of one token over sqrt(T):"
        " the exponent tends to SFT's 0 like T^(-1/2), while log w^gamma keeps the standard"
        " deviation sqrt(L).",
        "Var(log w) 为单 token 的 T 倍，故 γ* 等于单 token 的值除以 √T：指数按 T^{-1/2} 趋于"
        " SFT 的 0，而 log w^γ 的标准差保持 √L。",
    ),
    statement=r"\mathrm{Var}_\mu(\log w) = T\sigma_1^2,\qquad"
    r" \gamma^* = \min\bigl(1, \sqrt{L/(T\sigma_1^2)}\bigr)",
    subject=sequence_gamma,
    expect=Verdict.VERIFIED,
    assumes=(IID_TOKENS, VALID_RULE),
    uses=("T8.3.a",),
    sharpens=("T8.3.a", "TAB13.3.2", "REN.additive"),
    source="new here as a statement about the rule; additive variances are classical",
    reading="L = -log rho_min; the standard deviation is sqrt(L) wherever the rule is below 1",
)


@LENGTH.symbolic(Scope("every token law and every T, by induction on T", whole=True))
def _(rule: Any) -> Answer:
    """One token more adds its variance, as E[xy] = E[x] E[y]; the rule at T times a variance."""
    x1, x2, y1, y2 = sympy.symbols("x1 x2 y1 y2", real=True)
    # x1, x2 and y1, y2: first and second moments of the sum so far and of the token.
    second = x2 + 2 * x1 * y1 + y2
    rho_min = sympy.exp(-(C**2))
    # sigma1 = v, so that no root is left under a root.
    found = rule(V**2, T**2, rho_min, Exact)
    points = [{V: 2, T: 3, C: 1}, {V: 1, T: 2, C: 5}]
    return all_of(
        [
            symbolic.equal(second - (x1 + y1) ** 2, (x2 - x1**2) + (y2 - y1**2)),
            symbolic.equal(found, sympy.Min(1, C / (T * V)), points=points),
        ]
    )


def gamma_of_words(rule: Any, words: Words, rho: Fraction) -> Answer:
    """Compare the subject at a token's variance with the rule at the enumerated one."""
    bound = -Ball.log(Ball.number(rho))
    direct = Ball.minimum(flint.arb(1), Ball.sqrt(bound / enumerated_variance(words)))
    _, sigma2, _ = token_cumulants(words.token, Ball)
    said = rule(sigma2, words.length, Ball.number(rho), Ball)
    return certified.agree([said], [direct], witnesses=[words.witness()])


@LENGTH.certified(Scope("two and three kinds of token, T = 3 and 4, rho_min = 19/20"))
def _(rule: Any) -> Answer:
    """Var(log w) over every sequence."""
    sequences = (Words(TOKEN, 4), Words(THREE_TOKENS, 3), Words(TOKEN, 3))
    return all_of(gamma_of_words(rule, words, Fraction(19, 20)) for words in sequences)


@LENGTH.neural(Scope("T = 8, rho_min = 9/10"))
def _(rule: Any) -> Answer:
    """Torch's outer sums over all 256 sequences."""
    mu, level = neural.tensor(TOKEN.mu), neural.tensor(TOKEN.log_w().tolist())
    chance, total = mu, level
    for _ in range(7):
        chance = (chance[:, None] * mu[None, :]).reshape(-1)
        total = (total[:, None] + level[None, :]).reshape(-1)
    variance = (chance * (total - (chance * total).sum()) ** 2).sum()
    direct = math.sqrt(-math.log(0.9)) / variance.sqrt()
    one = (mu * (level - (mu * level).sum()) ** 2).sum()
    said = rule(one, 8, neural.tensor(Fraction(9, 10)), Tensor)
    return neural.close([said], direct.reshape(1), witness=Words(TOKEN, 8).witness())


@LENGTH.without(IID_TOKENS)
def _(rule: Any, words: Words) -> Answer:
    return gamma_of_words(rule, words, Fraction(19, 20))


LENGTH.meaningless_without(VALID_RULE, NO_RULE)


@LENGTH.wrong("tokens that move together")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return sequence_gamma(sigma2, length * length, rho_min, m)


@LENGTH.wrong("no square root")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / (length * sigma2))


@LENGTH.wrong("one token's gamma")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return sequence_gamma(sigma2, 1 + 0 * length, rho_min, m)


@LENGTH.number("gamma* at T = 100, tokens (9/10, 1/10) to (7/10, 3/10), rho_min = 3/10")
def _() -> str:
    return certified.digits(closed_gamma(100))


def closed_gamma(length: int) -> Any:
    """The rule's gamma for `length` tokens at rho_min = 3/10."""
    _, sigma2, _ = token_cumulants(TOKEN, Ball)
    return sequence_gamma(sigma2, length, Ball.number(RHO), Ball)


def deficit(words: Words, gamma: Any, m: Arithmetic) -> Any:
    """-log(ESS/n) = K(2 gamma) - 2 K(gamma)."""
    return words.log_moment(2 * gamma, m) - 2 * words.log_moment(gamma, m)


def ess_drift(sigma2: Number, third: Number, rho_min: Number, m: Arithmetic) -> Number:
    """-kappa3 L^(3/2)/sigma1^3: what sqrt(T) (ESS/rho_min - 1) tends to at the rule's gamma."""
    share = m.sqrt(-m.log(rho_min) / sigma2)
    return -third * share * share * share


EXACT = Draft(
    "SEQ.exact",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The closed form is right for long sequences", "长序列下闭式渐近精确"),
    finding=Text(
        "Whatever the token law, ESS at the rule's gamma tends to rho_min, from below like"
        " T^(-1/2) where a token's log w is skewed to the right.",
        "对任意 token 分布，规则 γ* 处的 ESS 趋于 ρ_min；若 log w 右偏则自下方以 T^{-1/2} 逼近。",
    ),
    statement=r"\frac{\mathrm{ESS}_{\gamma^*}}{n} = \rho_{\min}\Bigl(1"
    r" - \frac{\kappa_3 L^{3/2}}{\sigma_1^3}\, T^{-1/2} + O(T^{-1})\Bigr)",
    subject=ess_drift,
    expect=Verdict.VERIFIED,
    assumes=(IID_TOKENS, VALID_RULE),
    uses=("SEQ.length", "T8.3.b.fix"),
    sharpens=("T8.3.a", "T8.3.b", "T8.3.b.fix", "A7.3"),
    source="new here",
    reading="kappa3 is the third cumulant of a token's log w under mu; finitely many kinds of "
    "token, so that K is analytic at 0; T so large that the rule is below 1",
)


@EXACT.symbolic(Scope("every token law: K analytic at 0, the rest of order gamma^4", whole=True))
def _(drift: Any) -> Answer:
    """K to third order with a free rest; ESS/rho_min as a function of e = T^(-1/2), its slope."""
    t, e = sympy.symbols("t e", positive=True)
    # The rest of K is t^4 q(t), q continuous; a constant q gives the same value and slope at 0.
    log_moment = K1 * t + SIGMA2 * t**2 / 2 + K3 * t**3 / 6 + Q * t**4
    cost = log_moment.subs(t, 2 * GAMMA) - 2 * log_moment.subs(t, GAMMA)
    # At T = 1/e^2 the rule is sqrt(L/sigma2) e.
    whole = sympy.expand(cost.subs(GAMMA, sympy.sqrt(L / SIGMA2) * e) / e**2)
    ratio = sympy.exp(L - whole)
    found = drift(SIGMA2, K3, sympy.exp(-L), Exact)
    return all_of(
        [
            symbolic.equal(ratio.subs(e, 0), 1),
            symbolic.equal(sympy.diff(ratio, e).subs(e, 0), found),
        ]
    )


@EXACT.certified(Scope("two kinds of three tokens, rho_min = 3/10"))
def _(drift: Any) -> Answer:
    """The third derivative of -log(ESS/n) in gamma at 0, and ESS itself at T = 10^8."""
    answers = []
    for token in (TOKEN, THREE_TOKENS):
        _, sigma2, third = token_cumulants(token, Ball)
        said = drift(sigma2, third, Ball.number(RHO), Ball)
        one = Words(token, 1)
        share = Ball.sqrt(-Ball.log(Ball.number(RHO)) / sigma2)

        def cost(gamma: Any, words: Words = one) -> Any:
            return deficit(words, gamma, Jet)

        slopes = certified.derivatives(cost, flint.arb(0), 3)
        direct = -slopes[3] / 6 * share * share * share
        at = one.witness()
        answers.append(certified.agree([said], [direct], witnesses=[at]))
        answers.append(near_limit(said, Words(token, 10**8)))
    return all_of(answers)


def near_limit(said: Any, words: Words) -> Answer:
    """Say whether sqrt(T) log(ESS/rho_min) at the rule's gamma is within 1/50 of what is said."""
    _, sigma2, _ = token_cumulants(words.token, Ball)
    gamma = sequence_gamma(sigma2, words.length, Ball.number(RHO), Ball)
    left = -deficit(words, gamma, Ball) - Ball.log(Ball.number(RHO))
    off = abs(Ball.sqrt(words.length) * left - said)
    return certified.compare(off, "<", Ball.number("1/50"), witness=words.witness())


@EXACT.neural(Scope("two kinds of tokens, rho_min = 3/10"))
def _(drift: Any) -> Answer:
    """Three times autograd on the token's log moments."""
    answers = []
    for token in (TOKEN, THREE_TOKENS):
        mu, level = neural.tensor(token.mu), neural.tensor(token.log_w().tolist())
        zero = neural.tensor(0, requires_grad=True)
        value = sum(c * (mu.log() + k * zero * level).logsumexp(0) for k, c in ((2, 1), (1, -2)))
        slopes = [value]
        for _ in range(3):
            (slope,) = neural.torch().autograd.grad(slopes[-1], zero, create_graph=True)
            slopes.append(slope)
        centre = level - (mu * level).sum()
        sigma2, third = (mu * centre**2).sum(), (mu * centre**3).sum()
        share = (-math.log(float(RHO)) / sigma2).sqrt()
        said = drift(sigma2, third, neural.tensor(RHO), Tensor)
        direct = (-slopes[3] / 6 * share**3).reshape(1)
        answers.append(neural.close([said], direct, witness=Words(token, 1).witness()))
    return all_of(answers)


@EXACT.without(IID_TOKENS)
def _(drift: Any, words: Words) -> Answer:
    _, sigma2, third = token_cumulants(words.token, Ball)
    long = Words(words.token, 10**8, words.repeated)
    return near_limit(drift(sigma2, third, Ball.number(RHO), Ball), long)


EXACT.meaningless_without(VALID_RULE, NO_RULE)


@EXACT.wrong("the other sign")
def _(sigma2: Any, third: Any, rho_min: Any, m: Any) -> Any:
    return -ess_drift(sigma2, third, rho_min, m)


@EXACT.wrong("a sixth, as in K itself")
def _(sigma2: Any, third: Any, rho_min: Any, m: Any) -> Any:
    return ess_drift(sigma2, third, rho_min, m) / 6


@EXACT.wrong("L for L^(3/2)")
def _(sigma2: Any, third: Any, rho_min: Any, m: Any) -> Any:
    return third * m.log(rho_min) / (sigma2 * m.sqrt(sigma2))


@EXACT.wrong("no drift, as for normal tokens")
def _(sigma2: Any, third: Any, rho_min: Any, m: Any) -> Any:
    return 0 * ess_drift(sigma2, third, rho_min, m)


def _at_length(length: int) -> str:
    """ESS/n at the rule's gamma, and the gamma at which it is 3/10."""
    words, target = Words(TOKEN, length), -Ball.log(Ball.number(RHO))
    reached = Ball.exp(-deficit(words, closed_gamma(length), Ball))
    ends = (Fraction(1, 10**6), Fraction(1))
    exact = certified.root(lambda gamma: deficit(words, gamma, Ball) - target, *ends)
    return f"{certified.digits(reached)}, {certified.digits(exact)}"


@EXACT.number("ESS/n at the rule's gamma, and the exact gamma, T = 10")
def _() -> str:
    return _at_length(10)


@EXACT.number("ESS/n at the rule's gamma, and the exact gamma, T = 100")
def _() -> str:
    return _at_length(100)


@EXACT.number("ESS/n at the rule's gamma, and the exact gamma, T = 1000")
def _() -> str:
    return _at_length(1000)


CLAIMS = frozen(LENGTH, EXACT)
