"""Past section 8: the length-normalised ratio w^(1/T), which is gamma = 1/T.

At one length it is a stronger temper than an ESS constraint asks for, and rests at mu r^(T/(T-1)).
Where lengths vary, gamma does: the policy at rest then depends on the lengths, and where the ratio
itself is differentiated it prefers short outcomes even without a reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number
from isr_theory.claim import (
    Answer,
    Assumption,
    Kind,
    Outcome,
    Scope,
    Strength,
    Text,
    Verdict,
    Witness,
)
from isr_theory.claims.assumptions import NO_RULE, NONNEGATIVE_REWARD, VALID_RULE
from isr_theory.claims.enumerated import enumerated_gradient, witness_of
from isr_theory.claims.moving import GAMMA, MOVING, MU, PI, C, R, S, slope
from isr_theory.claims.x04_1_projection import RHO
from isr_theory.claims.x05_1_sequences import (
    IID_TOKENS,
    THREE_TOKENS,
    TOKEN,
    Words,
    deficit,
    token_cumulants,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

T, V, LAM, X = sympy.symbols("T v lam x", positive=True)


class Normalised(NamedTuple):
    """What gamma = 1/T is: a share of the rule's gamma, a loss of ESS, an exponent of r."""

    share: Number
    loss: Number
    exponent: Number


def normalised_ratio(sigma2: Number, length: Number, rho_min: Number, m: Arithmetic) -> Normalised:
    """1/T over the rule's gamma, sigma1/sqrt(L T); sigma1^2/T; and T/(T - 1)."""
    share = m.sqrt(sigma2 / (-m.log(rho_min) * length))
    return Normalised(share, sigma2 / length, length / (length - 1))


GSPO = Draft(
    "SEQ.gspo",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The length-normalised ratio as gamma = 1/T", "长度归一化比率即 γ = 1/T"),
    finding=Text(
        "w^(1/T) is gamma = 1/T, which falls short of the rule's gamma by a factor of order"
        " T^(-1/2): it keeps all but sigma1^2/T of the ESS, and rests at mu r^(T/(T-1)).",
        "w^{1/T} 即 γ = 1/T，比规则 γ* 小 T^{-1/2} 量级：ESS 仅损失约 σ₁²/T，"
        "静止于 μ r^{T/(T−1)}。",
    ),
    statement=r"\frac{1/T}{\gamma^*} = \frac{\sigma_1}{\sqrt{L T}},\qquad"
    r" -\log\frac{\mathrm{ESS}_{1/T}}{n} = \frac{\sigma_1^2}{T} + O(T^{-2}),\qquad"
    r" g_{1/T} = 0 \text{ at } \pi \propto \mu r^{T/(T-1)}",
    subject=normalised_ratio,
    expect=Verdict.VERIFIED,
    assumes=(IID_TOKENS, NONNEGATIVE_REWARD, VALID_RULE),
    uses=("SEQ.length", "OBJ.maximiser", "T8.3.b.fix"),
    sharpens=("T8.3.a", "T4.2.a"),
    source="new here; w^(1/T) is the ratio of GSPO",
    reading="T > 1 tokens, so many that the rule is below 1; finitely many kinds of token; the"
    " outcomes of the fixed point are whole sequences of one length",
)


@GSPO.symbolic(
    Scope("every token law, K analytic at 0; every mu, r and T > 1, by outcomes", whole=True)
)
def _(normalised: Any) -> Answer:
    """The quotient; T (-log ESS) as 1/T falls to 0; the target at rest is the policy."""
    e, k1, k3 = sympy.symbols("e k1 k3", real=True)
    t = sympy.Symbol("t")
    found = normalised(V**2, T, sympy.exp(-(C**2)), Exact)
    # K with a free rest from third order on; T = 1/e.
    log_moment = k1 * t + V**2 * t**2 / 2 + k3 * t**3
    cost = log_moment.subs(t, 2 * e) - 2 * log_moment.subs(t, e)
    scaled = sympy.expand(cost / e / e)
    pi = MU * R**found.exponent
    target = MU ** (1 - 1 / T) * pi ** (1 / T) * R
    return all_of(
        [
            symbolic.equal(found.share, (1 / T) / (C / (sympy.sqrt(T) * V))),
            symbolic.equal(scaled.subs(e, 0), found.loss * T),
            symbolic.equal(sympy.expand_log(sympy.log(target / pi), force=True), 0),
        ]
    )


def loss_of_words(normalised: Any, words: Words) -> Answer:
    """Say whether T (-log ESS/n) at gamma = 1/T, T = 10^6, is T times what is said, to 1/10^4."""
    long = Words(words.token, 10**6, words.repeated)
    _, sigma2, _ = token_cumulants(long.token, Ball)
    lost = deficit(long, Ball.number(Fraction(1, long.length)), Ball)
    said = normalised(sigma2, long.length, Ball.number(RHO), Ball).loss
    off = abs(lost - said) * long.length
    return certified.compare(off, "<", Ball.number("1/10000"), witness=long.witness())


@GSPO.certified(Scope("two kinds of tokens, T = 10^6"))
def _(normalised: Any) -> Answer:
    """-log ESS at gamma = 1/T from the tokens' moments; the share of the rule's gamma."""
    answers = []
    for token in (TOKEN, THREE_TOKENS):
        words = Words(token, 10**6)
        _, sigma2, _ = token_cumulants(token, Ball)
        rule = formulas.gamma_lognormal(words.length * sigma2, Ball.number(RHO), Ball)
        said = normalised(sigma2, words.length, Ball.number(RHO), Ball).share
        share = Ball.number(Fraction(1, words.length)) / rule
        answers.append(certified.agree([said], [share], witnesses=[words.witness()]))
        answers.append(loss_of_words(normalised, words))
    return all_of(answers)


@GSPO.neural(Scope("three and four outcomes of length 2 and 5"))
def _(normalised: Any) -> Answer:
    """The loss with weights w^(1/T) differentiated in the logits at the stated policy."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        for length in (2, 5):
            mu, _, reward = law.numbers(Ball)
            exponent = normalised(Ball.number(1), length, Ball.number(RHO), Ball).exponent
            masses = [
                a * Ball.power(r, Ball.number(1) * exponent)
                for a, r in zip(mu, reward, strict=True)
            ]
            pi = tuple(Fraction(float(p)) for p in formulas.normalised(masses))
            here = Finite(law.mu, pi, law.reward)
            slopes = enumerated_gradient(here, Fraction(1, length))
            at = witness_of(law, T=length)
            answers.append(neural.close(slopes, [0] * len(mu), witness=at))
    return all_of(answers)


@GSPO.without(IID_TOKENS)
def _(normalised: Any, words: Words) -> Answer:
    return loss_of_words(normalised, words)


@GSPO.without(NONNEGATIVE_REWARD)
def _(normalised: Any, law: Finite) -> Answer:
    mu, _, reward = law.numbers(Exact)
    exponent = normalised(sympy.Integer(1), 2, Exact.number(RHO), Exact).exponent
    pi = formulas.normalised([a * r**exponent for a, r in zip(mu, reward, strict=True)])
    rows = zip(mu, pi, reward, strict=True)
    masses = [a * sympy.sqrt(p / a) * r for a, p, r in rows]
    moves = sum((x - sum(masses) * p) ** 2 for x, p in zip(masses, pi, strict=True))
    return symbolic.compare(moves, "==", 0, witness=witness_of(law, T=2))


GSPO.meaningless_without(VALID_RULE, NO_RULE)


@GSPO.wrong("as strong as the rule")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    found = normalised_ratio(sigma2, length, rho_min, m)
    return found._replace(share=found.share * m.sqrt(length))


@GSPO.wrong("the loss of the whole sequence")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return normalised_ratio(sigma2, length, rho_min, m)._replace(loss=sigma2 * length)


@GSPO.wrong("the exponent T")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return normalised_ratio(sigma2, length, rho_min, m)._replace(exponent=length)


@GSPO.wrong("the exponent (T + 1)/T")
def _(sigma2: Any, length: Any, rho_min: Any, m: Any) -> Any:
    return normalised_ratio(sigma2, length, rho_min, m)._replace(exponent=(length + 1) / length)


@dataclass(frozen=True)
class Lengths:
    """Outcomes with rewards and lengths."""

    mu: tuple[Fraction, ...]
    reward: tuple[Fraction, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, mu: str, reward: str, lengths: Sequence[int]) -> Lengths:
        """Build from text."""
        law = Finite.of(mu, mu, reward)
        return cls(law.mu, law.reward, tuple(lengths))

    def witness(self, **more: Any) -> Witness:
        """Name the case exactly."""
        return Witness.at(mu=self.mu, reward=self.reward, T=self.lengths, **more)


def _several(rng: Any) -> Lengths:
    """Draw outcomes of two tokens or more."""
    law = Finite.drawn(rng)
    lengths = tuple(int(x) for x in rng.integers(2, 7, len(law.mu)))
    return Lengths(law.mu, law.reward, lengths)


MANY_TOKENS = Assumption(
    "many_tokens",
    Text("Every outcome has at least two tokens.", "每个结果至少含两个 token。"),
    lambda case: min(case.lengths) > 1,
    examples=(
        Lengths.of("3/5 3/10 1/10", "1 2 4", (2, 3, 5)),
        Lengths.of("1/2 1/2", "1 1", (2, 4)),
    ),
    violations=(Lengths.of("1/2 1/2", "1 3", (1, 2)),),
    draw=_several,
)
PAID = Assumption(
    "paid",
    Text("r > 0 for every outcome.", "每个结果 r > 0。"),
    lambda case: min(case.reward) > 0,
    examples=(Lengths.of("3/5 3/10 1/10", "1 2 4", (2, 3, 5)),),
    violations=(Lengths.of("1/2 1/2", "-1 2", (2, 2)),),
    draw=_several,
)
MIXED = MANY_TOKENS.examples[0]


def resting_mass(
    mu: Number, reward: Number, length: Number, factor: Number, scale: Number, m: Arithmetic
) -> Number:
    """Return mu (c r / lambda)^(T/(T-1)): an outcome's mass at rest.

    `factor` is c, 1 where w^(1/T) is the weight, 1/T where w^(1/T) is differentiated; `scale` is
    lambda, at which the masses sum to 1.
    """
    return mu * m.power(factor * reward / scale, length / (length - 1))


def factors(case: Lengths, differentiated: bool) -> list[Fraction]:
    """Return c for every outcome."""
    return [Fraction(1, t) if differentiated else Fraction(1) for t in case.lengths]


def masses_at(mass: Any, case: Lengths, differentiated: bool, scale: Any) -> list[Any]:
    """The subject at every outcome, in balls."""
    rows = zip(case.mu, case.reward, case.lengths, factors(case, differentiated), strict=True)
    return [
        mass(Ball.number(a), Ball.number(r), Ball.number(t), Ball.number(c), scale, Ball)
        for a, r, t, c in rows
    ]


def at_rest(mass: Any, case: Lengths, differentiated: bool) -> list[Any] | None:
    """The masses at the scale where they sum to 1; None where no scale is found."""
    ends = (Fraction(1, 100), Fraction(100))
    scale = certified.root(
        lambda x: sum(masses_at(mass, case, differentiated, x), flint.arb(0)) - 1, *ends, steps=130
    )
    return None if scale is None else masses_at(mass, case, differentiated, scale)


def slopes_at(case: Lengths, differentiated: bool, pi: Sequence[Any]) -> list[Any]:
    """E_mu[c r w^(1/T) s] in all logits, summed outcome by outcome."""
    weights = [
        Ball.number(a * c * r) * Ball.exp(Ball.log(p / Ball.number(a)) / t)
        for a, c, r, t, p in zip(
            case.mu, factors(case, differentiated), case.reward, case.lengths, pi, strict=True
        )
    ]
    total = sum(weights, flint.arb(0))
    return [x - total * p for x, p in zip(weights, pi, strict=True)]


VARIABLE = Draft(
    "SEQ.variable",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Where lengths vary, so does the sharpness", "长度不一时锐化程度随长度而变"),
    finding=Text(
        "With outcomes of different lengths w^(1/T) rests at mu (c r/lambda)^(T/(T-1)), lambda"
        " unique: a reward is squared for two tokens, and hardly sharpened for many.",
        "结果长度不一时 w^{1/T} 的静止策略为 μ (c r/λ)^{T/(T−1)}（λ 唯一）："
        "两个 token 时奖励被平方，很长时几乎不锐化。",
    ),
    statement=r"\mathbb{E}_\mu[c\, r\, w^{1/T(y)} s] = 0 \iff"
    r" \pi(y) = \mu(y) \Bigl(\frac{c(y)\, r(y)}{\lambda}\Bigr)^{T(y)/(T(y)-1)},\quad"
    r" c = 1 \text{ for the weight } w^{1/T},\ c = 1/T \text{ for its gradient}",
    subject=resting_mass,
    expect=Verdict.VERIFIED,
    assumes=(MANY_TOKENS, PAID),
    uses=("SEQ.gspo", "T4.2.a"),
    sharpens=("T4.2.a", "OBJ.maximiser"),
    source="new here",
    reading="one free logit per outcome; T(y) the number of tokens of the outcome y; lambda the "
    "one number at which the masses sum to 1",
)


@VARIABLE.symbolic(Scope("every mu, r > 0, c > 0 and T > 1: outcome by outcome", whole=True))
def _(mass: Any) -> Answer:
    """Equal ratios of target and policy give the mass; the masses fall in lambda from inf to 0."""
    # T = 1 + x, so that T > 1 shows; a slope is 0 where c mu^(1-1/T) pi^(1/T) r = lambda pi.
    length = 1 + X
    pi = mass(MU, R, length, C, LAM, Exact)
    ratio = C * R * (pi / MU) ** (1 / length) * MU / (LAM * pi)
    # And only there: the ratio falls in pi, as its exponent 1/T - 1 is negative.
    log_ratio = (1 / length - 1) * sympy.log(PI)
    # The gradient of E_mu[r w^(1/T)] carries 1/T, that of E_mu[T r w^(1/T)] does not.
    plain = slope(R * MU * (MOVING / MU) ** GAMMA)
    return all_of(
        [
            symbolic.equal(
                sympy.expand_log(sympy.log(ratio), force=True), 0, reduce=sympy.simplify
            ),
            symbolic.positive(-sympy.diff(log_ratio, PI)),
            symbolic.positive(-sympy.simplify(sympy.diff(pi, LAM))),
            symbolic.equal(plain, GAMMA * R * MU * (PI / MU) ** GAMMA * S),
        ]
    )


NO_SCALE = Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no lambda with a total mass of 1")


def rests_at(mass: Any, case: Lengths, differentiated: bool) -> Answer:
    """Say whether the gradient vanishes at the subject's masses."""
    pi = at_rest(mass, case, differentiated)
    at = case.witness(differentiated=differentiated)
    if pi is None:
        return NO_SCALE
    slopes = slopes_at(case, differentiated, pi)
    # 130 halvings of [1/100, 100] leave lambda to 2^-123, and slopes grow it by less than 2^10.
    size = max((abs(x) for x in slopes), key=lambda x: x.upper())
    return certified.compare(size, "<", Ball.number(Fraction(1, 10**30)), witness=at)


@VARIABLE.certified(Scope("outcomes of 2, 3 and 5 tokens, both gradients"))
def _(mass: Any) -> Answer:
    """Bisection for lambda, and the gradient summed there."""
    return all_of(rests_at(mass, MIXED, kind) for kind in (False, True))


@VARIABLE.neural(Scope("outcomes of 2, 3 and 5 tokens, both objectives"))
def _(mass: Any) -> Answer:
    """Autograd of E_mu[r w^(1/T)] and of E_mu[T r w^(1/T)] in the logits."""
    mu, reward = neural.tensor(MIXED.mu), neural.tensor(MIXED.reward)
    lengths = neural.tensor(MIXED.lengths)
    answers = []
    for differentiated in (False, True):
        pi = at_rest(mass, MIXED, differentiated)
        at = MIXED.witness(differentiated=differentiated)
        if pi is None:
            return NO_SCALE
        scale = 1.0 if differentiated else lengths

        def objective(z: Any, scale: Any = scale) -> Any:
            return (mu * scale * reward * ((z.log_softmax(0) - mu.log()) / lengths).exp()).sum()

        slopes = neural.gradient(objective, neural.tensor([float(p) for p in pi]).log())
        answers.append(neural.close(slopes, [0, 0, 0], witness=at))
    return all_of(answers)


@VARIABLE.without(PAID)
def _(mass: Any, case: Lengths) -> Answer | None:
    if set(case.lengths) != {2}:
        return rests_at(mass, case, False)
    # At T = 2 the powers are squares, whatever the sign.
    rows = list(zip(case.mu, case.reward, strict=True))
    scale = sympy.sqrt(sum(Exact.number(a * r * r) for a, r in rows))
    two = sympy.Integer(2)
    pi = [mass(Exact.number(a), Exact.number(r), two, 1, scale, Exact) for a, r in rows]
    weights = [
        Exact.number(a * r) * sympy.sqrt(p / Exact.number(a))
        for (a, r), p in zip(rows, pi, strict=True)
    ]
    moves = sum((x - sum(weights) * p) ** 2 for x, p in zip(weights, pi, strict=True))
    return symbolic.compare(moves, "==", 0, witness=case.witness())


VARIABLE.meaningless_without(MANY_TOKENS, "at T = 1 the exponent T/(T - 1) is infinite")


@VARIABLE.wrong("the exponent T")
def _(mu: Any, reward: Any, length: Any, factor: Any, scale: Any, m: Any) -> Any:
    return mu * m.power(factor * reward / scale, length)


@VARIABLE.wrong("lambda outside the power")
def _(mu: Any, reward: Any, length: Any, factor: Any, scale: Any, m: Any) -> Any:
    return mu * m.power(factor * reward, length / (length - 1)) / scale


@VARIABLE.wrong("c forgotten, and the exponent of the mean length 10/3")
def _(mu: Any, reward: Any, length: Any, factor: Any, scale: Any, m: Any) -> Any:
    return mu * m.power(reward / scale, m.number("10/7"))


@VARIABLE.wrong("imitation, mu r")
def _(mu: Any, reward: Any, length: Any, factor: Any, scale: Any, m: Any) -> Any:
    return mu * reward / scale


def _digits_at_rest(differentiated: bool) -> str:
    pi = at_rest(resting_mass, MIXED, differentiated)
    return ", ".join(certified.digits(p) for p in pi or [])


@VARIABLE.number("the policy at rest, mu = (3/5, 3/10, 1/10), r = (1, 2, 4), T = (2, 3, 5), c = 1")
def _() -> str:
    return _digits_at_rest(False)


@VARIABLE.number("the policy at rest there, c = 1/T")
def _() -> str:
    return _digits_at_rest(True)


CLAIMS = frozen(GSPO, VARIABLE)
