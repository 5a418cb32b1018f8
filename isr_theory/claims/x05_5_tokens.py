"""Past section 8: weights of tokens against weights of sequences, and log w as a martingale.

A token's gradient with its own weight w_t^gamma misses the weights of the other tokens. For
independent tokens and no reward these are factors E_mu[w_u^gamma]; with a reward they do not
factor, not even at gamma = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.x05_2_moments import MU_IN_PI, NO_DIVERGENCE
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import Finite, drawn_fraction

HALF = Fraction(1, 2)
BOTH = (Fraction(1), Fraction(0), Fraction(0), Fraction(0))
ONES = (Fraction(1),) * 4


@dataclass(frozen=True)
class Pair:
    """Two tokens of two kinds: the first one's law, the second one's after each first, a reward.

    `mu` and `pi` are the probabilities of kind 1: first token, second after 1, second after 2. The
    reward is in the order 11, 12, 21, 22.
    """

    mu: tuple[Fraction, Fraction, Fraction]
    pi: tuple[Fraction, Fraction, Fraction]
    reward: tuple[Fraction, ...] = ONES

    def outcomes(self) -> list[tuple[Any, Any, Any, Any, Fraction]]:
        """Chance under mu, the two tokens' ratios, the first token's score, the reward."""
        found = []
        for i in (0, 1):
            for j in (0, 1):
                mu, pi = (
                    (row[0] if i == 0 else 1 - row[0], row[1 + i] if j == 0 else 1 - row[1 + i])
                    for row in (self.mu, self.pi)
                )
                score = (1 if i == 0 else 0) - self.pi[0]
                ratios = pi[0] / mu[0], pi[1] / mu[1]
                found.append((mu[0] * mu[1], *ratios, score, self.reward[2 * i + j]))
        return found

    def witness(self, **more: Any) -> Witness:
        """Name the two tokens exactly."""
        return Witness.at(mu=self.mu, pi=self.pi, reward=self.reward, **more)


def independent(mu: str, pi: str, reward: tuple[Fraction, ...] = ONES) -> Pair:
    """Two independent tokens, from the probabilities of their first kinds."""
    (a, b), (p, q) = (tuple(map(Fraction, text.split())) for text in (mu, pi))
    return Pair((a, b, b), (p, q, q), reward)


def _pair(rng: Any) -> Pair:
    a, b, p, q = (str(drawn_fraction(rng, "1/10", "9/10")) for _ in range(4))
    return independent(f"{a} {b}", f"{p} {q}")


BOTH_RIGHT = independent("1/2 1/2", "9/10 3/5", BOTH)
NO_REWARD = independent("1/2 1/2", "9/10 3/5")
TOKENS_INDEPENDENT = Assumption(
    "tokens_independent",
    Text("The tokens are independent, under mu and under pi.", "token 在 μ 与 π 下均相互独立。"),
    lambda pair: pair.mu[1] == pair.mu[2] and pair.pi[1] == pair.pi[2],
    examples=(NO_REWARD, independent("3/10 2/5", "3/5 1/10")),
    violations=(Pair((HALF, HALF, HALF), (Fraction(9, 10), Fraction(3, 5), Fraction(1, 5))),),
    draw=_pair,
)
NO_REWARDS = Assumption(
    "no_rewards",
    Text("r = 1.", "r ≡ 1。"),
    lambda pair: set(pair.reward) == {Fraction(1)},
    examples=(NO_REWARD,),
    violations=(BOTH_RIGHT,),
    draw=_pair,
)


def own_ratio(own: Number, other: Number, m: Arithmetic) -> Number:
    """A token's weight at gamma = 1 from its own ratio alone."""
    return own + 0 * other


TOKEN = Draft(
    "SEQ.token",
    section="beyond",
    kind=Kind.REMARK,
    title=Text("Token weights give the sequence's gradient", "token 级权重给出序列级梯度"),
    finding=Text(
        "False even at gamma = 1 and for independent tokens: with r = 1 for two right tokens the"
        " first logit's gradient is 27/500, with token weights 9/200.",
        "即使 γ = 1 且 token 独立也不成立：两 token 皆对时 r = 1，"
        "首个 logit 的梯度为 27/500，token 级权重给出 9/200。",
    ),
    statement=r"\mathbb{E}_\mu\Bigl[\sum_t w_t\, r\, \nabla\log\pi(y_t)\Bigr]"
    r" = \mathbb{E}_\mu[w\, r\, \nabla\log\pi(y)] = \nabla \mathbb{E}_\pi[r]",
    subject=own_ratio,
    expect=Verdict.REFUTED,
    uses=("D1.1",),
    sharpens=("D1.1", "LST12.1.loss"),
    source="new here as a witness; the bias is known",
    reading="y = (y_1, y_2), one logit a token, w_t = pi(y_t)/mu(y_t)",
)
RIGHT = BOTH_RIGHT.witness(gamma=1)


@TOKEN.symbolic(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Both sums over four outcomes in exact numbers."""
    rows = [[sympy.Rational(str(x)) for x in row] for row in BOTH_RIGHT.outcomes()]
    token = sum(a * weight(w1, w2, Exact) * s * r for a, w1, w2, s, r in rows)
    whole = sum(a * w1 * w2 * s * r for a, w1, w2, s, r in rows)
    return symbolic.compare(token, "==", whole, witness=RIGHT)


@TOKEN.neural(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Autograd of E_pi[r] in the first token's logit, against the weighted scores."""
    module = neural.torch()
    rows = list(zip(*BOTH_RIGHT.outcomes(), strict=True))
    chance, own, other, score, reward = (neural.tensor(list(row)) for row in rows)
    token = (chance * weight(own, other, Tensor) * score * reward).sum()

    def expected(z: Any) -> Any:
        first = module.stack([z[0], z[0] * 0]).softmax(0)
        second = neural.tensor([Fraction(3, 5), Fraction(2, 5)])
        return ((first[:, None] * second[None, :]).reshape(-1) * reward).sum()

    at = neural.tensor([9]).log()
    return neural.close([token], neural.gradient(expected, at), witness=RIGHT)


@TOKEN.right("the product of both ratios")
def _(own: Any, other: Any, m: Any) -> Any:
    return own * other


def from_tokens(token: Number, others: Sequence[Number], m: Arithmetic) -> Number:
    """A token's gradient in the sequence from its own: times E_mu[w_u^gamma] of all the others."""
    found = token
    for moment in others:
        found = found * moment
    return found


TOKEN_FIX = Draft(
    "SEQ.token.fix",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("What the weights of the other tokens do", "其他 token 权重的作用"),
    finding=Text(
        "For independent tokens and r = 1 the sequence's gradient is the tokens' own, each times"
        " E_mu[w_u^gamma] of all the others: below 1 for 0 < gamma < 1, and e^(-cT) in the length.",
        "token 独立且 r ≡ 1 时，序列级梯度等于 token 级梯度乘以其余各 token 的 E_μ[w_u^γ]："
        "0 < γ < 1 时小于 1，并随长度按 e^{−cT} 衰减。",
    ),
    statement=r"\mathbb{E}_\mu[w^\gamma \nabla_t\log\pi] = \mathbb{E}_\mu[w_t^\gamma"
    r" \nabla_t\log\pi(y_t)]\, \prod_{u \ne t} \mathbb{E}_\mu[w_u^\gamma],\qquad"
    r" \mathbb{E}_\mu[w_u^\gamma] < 1\ (0 < \gamma < 1,\ \pi_u \ne \mu_u)",
    subject=from_tokens,
    expect=Verdict.VERIFIED,
    assumes=(TOKENS_INDEPENDENT, NO_REWARDS),
    uses=("REN.additive",),
    amends=("SEQ.token",),
    sharpens=("D1.1", "LST12.1.loss"),
    source="new here",
    reading="every token has parameters of its own; any real gamma with finite moments",
)


@TOKEN_FIX.symbolic(
    Scope("every law of independent tokens: one token's sum times that of the others", whole=True)
)
def _(whole: Any) -> Answer:
    """All pairs of two free outcomes a side; x^gamma is strictly below its tangent at 1."""
    a1, a2, b1, b2, u1, u2, v1, v2, w, g, h = sympy.symbols(
        "a1 a2 b1 b2 u1 u2 v1 v2 w g h", positive=True
    )
    s1, s2 = sympy.symbols("s1 s2", real=True)
    # The second token stands for all the others: a is mu, u and v are w^gamma, s the score.
    first = [(a1, u1, s1), (a2, u2, s2)]
    others = [(b1, v1), (b2, v2)]
    joint = sum(a * b * u * v * s for a, u, s in first for b, v in others)
    own = sum(a * u * s for a, u, s in first)
    moment = sum(b * v for b, v in others)
    one, two = sympy.symbols("m1 m2", positive=True)
    # gamma = g/(g + h): 1 + gamma (w - 1) - w^gamma has its one minimum, 0, at w = 1.
    gamma = g / (g + h)
    below = 1 + gamma * (w - 1) - w**gamma
    return all_of(
        [
            symbolic.equal(sympy.expand(whole(own, [moment], Exact)), sympy.expand(joint)),
            symbolic.equal(whole(own, [one, two], Exact), own * one * two),
            symbolic.equal(below.subs(w, 1), 0),
            symbolic.equal(sympy.diff(below, w).subs(w, 1), 0),
            symbolic.positive(sympy.simplify(sympy.diff(below, w, 2))),
        ]
    )


def enumerated_pair(whole: Any, pair: Pair, gamma: int) -> Answer:
    """Compare the first token's gradient in the sequence, summed exactly, with the subject."""
    rows = pair.outcomes()
    joint = sum(a * (w1 * w2) ** gamma * s * r for a, w1, w2, s, r in rows)
    own = sum(a * w1**gamma * s * r for a, w1, _, s, r in rows)
    other = sum(a * w2**gamma for a, _, w2, _, _ in rows)
    said = whole(sympy.Rational(str(own)), [sympy.Rational(str(other))], Exact)
    at = pair.witness(gamma=gamma)
    return symbolic.compare(said, "==", sympy.Rational(str(joint)), witness=at)


THREE = [
    Finite.of("1/2 1/2", "9/10 1/10"),
    Finite.of("2/5 3/5", "3/5 2/5"),
    Finite.of("1/2 3/10 1/5", "1/5 3/10 1/2"),
]


@TOKEN_FIX.certified(Scope("three tokens of two, two and three kinds, gamma = 1/2 and 3/2"))
def _(whole: Any) -> Answer:
    """Twelve sequences summed in balls, for the first logit of the first token."""
    tokens = [law.numbers(Ball)[:2] for law in THREE]
    answers = []
    for power in (HALF, Fraction(3, 2)):
        gamma = Ball.number(power)

        def weighted(k: int, gamma: Any = gamma) -> list[Any]:
            return [a * Ball.power(b / a, gamma) for a, b in zip(*tokens[k], strict=True)]

        scores = [1 - tokens[0][1][0], -tokens[0][1][0]]
        own = sum(x * s for x, s in zip(weighted(0), scores, strict=True))
        joint = sum(
            (
                x * s * y * z
                for x, s in zip(weighted(0), scores, strict=True)
                for y in weighted(1)
                for z in weighted(2)
            ),
            flint.arb(0),
        )
        moments = [sum(weighted(k), flint.arb(0)) for k in (1, 2)]
        at = Witness.at(tokens=3, gamma=power)
        answers.append(certified.agree([whole(own, moments, Ball)], [joint], witnesses=[at]))
        if power < 1:
            answers += [certified.compare(x, "<", flint.arb(1), witness=at) for x in moments]
    return all_of(answers)


@TOKEN_FIX.neural(Scope("two tokens, gamma = 1/2"))
def _(whole: Any) -> Answer:
    """Autograd of the detached loss over the sequences, and over each token alone."""
    mu, gamma = neural.tensor([HALF, HALF]), 0.5

    def log_policy(z: Any) -> Any:
        return neural.torch().stack([z, z * 0]).log_softmax(0)

    starts = [neural.tensor(x).log() for x in (9, Fraction(3, 2))]
    weights = [mu * (log_policy(z) - mu.log()).mul(gamma).exp() for z in starts]

    def alone(z: Any) -> Any:
        return (weights[0] * log_policy(z)).sum()

    def together(z: Any) -> Any:
        total = log_policy(z)[:, None] + log_policy(starts[1])[None, :]
        return (weights[0][:, None] * weights[1][None, :] * total).sum()

    own, joint = (neural.gradient(loss, starts[0]) for loss in (alone, together))
    said = whole(own, [weights[1].sum()], Tensor)
    at = NO_REWARD.witness(gamma=HALF)
    return neural.close(said.reshape(1), joint.reshape(1), witness=at)


@TOKEN_FIX.without(TOKENS_INDEPENDENT)
def _(whole: Any, pair: Pair) -> Answer:
    return enumerated_pair(whole, pair, 2)


@TOKEN_FIX.without(NO_REWARDS)
def _(whole: Any, pair: Pair) -> Answer:
    return enumerated_pair(whole, pair, 2)


@TOKEN_FIX.wrong("the tokens' own gradients alone")
def _(token: Any, others: Any, m: Any) -> Any:
    return token + 0 * others[0]


@TOKEN_FIX.wrong("divided by the other moments")
def _(token: Any, others: Any, m: Any) -> Any:
    for moment in others:
        token = token / moment
    return token


@TOKEN_FIX.wrong("the other moments added")
def _(token: Any, others: Any, m: Any) -> Any:
    return token * sum(others[1:], others[0] + 1)


@TOKEN_FIX.number("E_mu[w_2^(1/2)], the first token's factor, mu = (1/2, 1/2), pi = (3/5, 2/5)")
def _() -> str:
    return certified.digits((Ball.sqrt(Ball.number("6/5")) + Ball.sqrt(Ball.number("4/5"))) / 2)


def compensator(mu: Sequence[Number], pi: Sequence[Number], m: Arithmetic) -> Number:
    """KL(mu(.|h) || pi(.|h)): what log w_t loses on average after the history h."""
    return formulas.kl(mu, pi, m)


MARTINGALE = Draft(
    "SEQ.martingale",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("log w and its compensator", "log w 的鞅分解"),
    finding=Text(
        "For any autoregressive laws log w_t + KL_t(history) is a martingale difference under mu:"
        " log w falls by the conditional KLs, and varies around them by the conditional variances.",
        "对任意自回归分布，log w_t + KL_t(历史) 在 μ 下为鞅差：log w 按条件 KL 下降，"
        "并以条件方差之和围绕其波动。",
    ),
    statement=r"\mathbb{E}_\mu\bigl[\log w_t + \mathrm{KL}_t(h) \bigm| h\bigr] = 0,\qquad"
    r" \mathrm{Var}_\mu\Bigl(\log w + \sum_t \mathrm{KL}_t\Bigr)"
    r" = \sum_t \mathbb{E}_\mu[\mathrm{Var}_t(h)]",
    subject=compensator,
    expect=Verdict.VERIFIED,
    assumes=(MU_IN_PI,),
    uses=("SEQ.length",),
    sharpens=("A7.3", "SEQ.length", "SEQ.normality"),
    source="classical (Doob); new here for the paper's weights",
    reading="h is the history y_1..y_(t-1), KL_t(h) = KL(mu(.|h) || pi(.|h)), Var_t(h) the"
    " conditional variance of log w_t, all finite",
)


@MARTINGALE.symbolic(
    Scope("every history: outcome by outcome; differences are orthogonal, by conditioning", True)
)
def _(kl: Any) -> Answer:
    """A token's mean of log w + KL is 0, its outcomes free; products of two have mean 0."""
    a, p, q, c = sympy.symbols("a p q c", positive=True)
    x, y, u, v = sympy.symbols("x y u v", real=True)
    # The subject is a sum over outcomes: two free ratios p and q show each one's term.
    chances = [a, c]
    lost = kl(chances, [a * p, c * q], Exact)
    defined = -(a * sympy.log(p) + c * sympy.log(q))
    # After a history: E[log w + KL], all chances of which sum to 1.
    mean = a * (sympy.log(p) + lost) + c * (sympy.log(q) + lost)
    mean = sympy.expand(sympy.expand_log(mean.subs(c, 1 - a), force=True))
    # E[D_s D_t], with D_s = x or y; and E[D_t^2] for log w = u or v less its mean.
    middle = a * u + (1 - a) * v
    square = a * (u - middle) ** 2 + (1 - a) * (v - middle) ** 2
    whole = a * u**2 + (1 - a) * v**2 - middle**2
    return all_of(
        [
            symbolic.equal(sympy.expand_log(lost - defined, force=True), 0),
            symbolic.equal(mean, 0),
            symbolic.equal(c * x * mean + (1 - c) * y * mean, 0),
            symbolic.equal(sympy.expand(square), sympy.expand(whole)),
        ]
    )


TREE = Pair(
    (Fraction(3, 5), Fraction(1, 4), Fraction(2, 3)),
    (HALF, HALF, Fraction(1, 5)),
)


@MARTINGALE.certified(Scope("a tree of two steps whose second law depends on the first"))
def _(kl: Any) -> Answer:
    """Both conditional means, the product's mean and both sides of the variance, enumerated."""
    nodes = [
        [[Ball.number(x), Ball.number(1 - x)] for x in (m, p)]
        for m, p in zip(TREE.mu, TREE.pi, strict=True)
    ]
    logs = [[Ball.log(b / a) for a, b in zip(*node, strict=True)] for node in nodes]
    shifted = [[x + kl(*node, Ball) for x in row] for row, node in zip(logs, nodes, strict=True)]

    def mean(k: int, values: Sequence[Any]) -> Any:
        return sum((a * x for a, x in zip(nodes[k][0], values, strict=True)), flint.arb(0))

    means = [mean(k, shifted[k]) for k in range(3)]
    variances = []
    for k in range(3):
        centre = mean(k, logs[k])
        variances.append(mean(k, [(x - centre) * (x - centre) for x in logs[k]]))
    sums, products = flint.arb(0), flint.arb(0)
    for i in (0, 1):
        for j in (0, 1):
            chance = nodes[0][0][i] * nodes[1 + i][0][j]
            first, second = shifted[0][i], shifted[1 + i][j]
            products += chance * first * second
            sums += chance * (first + second) * (first + second)
    expected = variances[0] + mean(0, variances[1:])
    at = TREE.witness()
    zero = flint.arb(0)
    return certified.agree(
        [*means, products, sums], [zero, zero, zero, zero, expected], witnesses=[at] * 5
    )


@MARTINGALE.neural(Scope("three steps of three kinds, every law of its own"))
def _(kl: Any) -> Answer:
    """Torch over all 27 sequences of a random tree: the variance of log w + sum of KL."""
    module = neural.torch()
    source = module.Generator().manual_seed(7)

    def laws(*shape: int) -> Any:
        noise = module.randn(*shape, 3, generator=source, dtype=module.float64)
        return noise.softmax(-1)

    chance, total = module.ones(1, dtype=module.float64), module.zeros(1, dtype=module.float64)
    expected = module.zeros((), dtype=module.float64)
    for step in range(3):
        mu, pi = laws(3**step), laws(3**step)
        level = (pi / mu).log()
        lost = kl(list(mu.unbind(-1)), list(pi.unbind(-1)), Tensor)
        centre = (mu * level).sum(-1, keepdim=True)
        expected = expected + (chance * (mu * (level - centre) ** 2).sum(-1)).sum()
        total = (total[:, None] + level + lost[:, None]).reshape(-1)
        chance = (chance[:, None] * mu).reshape(-1)
    mean = (chance * total).sum()
    found = [mean, (chance * total**2).sum()]
    return neural.close(found, [0.0, expected], witness=Witness.at(steps=3, kinds=3, seed=7))


MARTINGALE.meaningless_without(MU_IN_PI, NO_DIVERGENCE)


@MARTINGALE.wrong("the divergence from pi to mu")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return formulas.kl(pi, mu, m)


@MARTINGALE.wrong("half the variance, as for normal weights")
def _(mu: Any, pi: Any, m: Any) -> Any:
    level = [m.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    return sum(a * (x - mean) * (x - mean) for a, x in zip(mu, level, strict=True)) / 2


@MARTINGALE.wrong("the other sign")
def _(mu: Any, pi: Any, m: Any) -> Any:
    return -formulas.kl(mu, pi, m)


CLAIMS = frozen(TOKEN, TOKEN_FIX, MARTINGALE)
