"""Past section 9.2: without a reward, a differentiated length-normalised ratio prefers short ones.

The gradient of w^(1/T) carries a factor 1/T. Where lengths vary it is not 0 at pi = mu, and the
policy at rest has pi/mu = (lambda T)^(-T/(T-1)), which falls in T.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Outcome, Scope, Strength, Text, Verdict
from isr_theory.claims.x05_3_normalised import MANY_TOKENS, Lengths, slopes_at
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of

X, K, LAM = sympy.symbols("x k lam", positive=True)
TWO = Lengths.of("1/2 1/2", "1 1", (2, 4))
MIXED = Lengths.of("3/5 3/10 1/10", "1 1 1", (2, 3, 5))


def differentiated(length: Number, m: Arithmetic) -> Number:
    """The factor that differentiating w^(1/T) leaves before w^(1/T) grad log pi: 1/T."""
    return 1 / length


NEUTRAL = Draft(
    "SEQ.neutral",
    section="beyond",
    kind=Kind.REMARK,
    title=Text("Without a reward length does not matter", "无奖励时长度无影响"),
    finding=Text(
        "False where w^(1/T) is differentiated: with mu = pi = (1/2, 1/2) and lengths 2 and 4 the"
        " gradient of E_mu[w^(1/T)] lifts the short one by 1/16.",
        "对 w^{1/T} 求导时不成立：μ = π = (1/2, 1/2)、长度 2 与 4 时，"
        "E_μ[w^{1/T}] 的梯度以 1/16 抬升短者。",
    ),
    statement=r"r \equiv 1,\ \pi = \mu\ \Rightarrow\ \nabla \mathbb{E}_\mu[w^{1/T(y)}] = 0",
    subject=differentiated,
    expect=Verdict.REFUTED,
    assumes=(MANY_TOKENS,),
    uses=("SEQ.variable",),
    sharpens=("S9.2.b.fix", "SPEC2.1"),
    source="new here",
    reading="as it is 0 at pi = mu for every one gamma (S9.2.b.fix); one free logit per outcome;"
    " in floats a slope below 10^-9 counts as 0",
)
LEVEL = TWO.witness(pi="mu")


@NEUTRAL.symbolic(Scope("the witness"))
def _(factor: Any) -> Answer:
    """Both outcomes' factors times their scores, in exact numbers."""
    half = sympy.Rational(1, 2)
    factors = [factor(sympy.Integer(t), Exact) for t in TWO.lengths]
    lift = half * factors[0] * (1 - half) + half * factors[1] * (0 - half)
    return symbolic.compare(lift, "==", 0, witness=LEVEL)


@NEUTRAL.certified(Scope("the witness"))
def _(factor: Any) -> Answer:
    """Masses less their total times the policy, in balls."""
    half = Ball.number("1/2")
    masses = [half * factor(Ball.number(t), Ball) for t in TWO.lengths]
    lift = masses[0] - (masses[0] + masses[1]) * half
    return certified.compare(lift, "==", flint.arb(0), witness=LEVEL)


@NEUTRAL.neural(Scope("the witness"))
def _(factor: Any) -> Answer:
    """Autograd of the sum of mu T c w^(1/T), whose gradient carries c."""
    mu, lengths = neural.tensor(TWO.mu), neural.tensor(TWO.lengths)
    scale = lengths * factor(lengths, Tensor)
    slopes = neural.gradient(
        lambda z: (mu * scale * ((z.log_softmax(0) - mu.log()) / lengths).exp()).sum(), mu.log()
    )
    return neural.close(slopes, [0, 0], witness=LEVEL)


@NEUTRAL.right("w^(1/T) as a detached weight")
def _(length: Any, m: Any) -> Any:
    return 1 + 0 * length


def log_share(length: Number, scale: Number, m: Arithmetic) -> Number:
    """log(pi/mu) at rest for r = 1: -T/(T-1) log(lambda T)."""
    return -length / (length - 1) * m.log(scale * length)


SHORT = Draft(
    "SEQ.short",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Differentiating w^(1/T) shortens", "对 w^{1/T} 求导会偏好短序列"),
    finding=Text(
        "For r = 1 it rests at pi/mu = (lambda T)^(-T/(T-1)), lambda <= 1/min T, which strictly"
        " falls in the length; only equal lengths leave mu alone.",
        "r ≡ 1 时其静止于 π/μ = (λT)^{−T/(T−1)}（λ ≤ 1/min T），随长度严格下降；"
        "仅当长度相同时 π = μ。",
    ),
    statement=r"r \equiv 1:\quad \nabla \mathbb{E}_\mu[w^{1/T(y)}] = 0 \iff"
    r" \frac{\pi(y)}{\mu(y)} = (\lambda T(y))^{-T(y)/(T(y)-1)},\quad"
    r" T(y) < T(y') \Rightarrow \frac{\pi(y)}{\mu(y)} > \frac{\pi(y')}{\mu(y')}",
    subject=log_share,
    expect=Verdict.VERIFIED,
    assumes=(MANY_TOKENS,),
    uses=("SEQ.variable",),
    amends=("SEQ.neutral",),
    sharpens=("S9.2.b.fix", "SEQ.gspo"),
    source="new here",
    reading="one free logit per outcome; lambda makes the masses sum to 1, so that some pi/mu is 1"
    " or more, which asks for lambda min T <= 1",
)


@SHORT.symbolic(Scope("every mu and all lengths above 1: outcome by outcome", whole=True))
def _(share: Any) -> Answer:
    """The slope at an outcome; the slope of the share in T = 1 + x at lambda = e^(-k)."""
    length = 1 + X
    mu, pi = sympy.symbols("mu pi", positive=True)
    # c mu (pi/mu)^(1/T) = lambda pi with c = 1/T.
    said = share(length, LAM, Exact)
    balance = sympy.log(1 / length) + said / length - said - sympy.log(LAM)
    # lambda min T <= 1 and min T > 1, so that lambda < 1; the slope's sign is that of -rest.
    fall = sympy.diff(share(length, sympy.exp(-K), Exact), X)
    rest = X + K - sympy.log(1 + X)
    # x - log(1 + x) is 0 at 0 and has a positive slope.
    return all_of(
        [
            symbolic.equal(sympy.expand_log(balance, force=True), 0, reduce=sympy.simplify),
            symbolic.equal(
                sympy.expand_log(fall, force=True),
                -rest / X**2,
                reduce=lambda d: sympy.simplify(sympy.expand_log(d, force=True)),
            ),
            symbolic.equal((X - sympy.log(1 + X)).subs(X, 0), 0),
            symbolic.positive(sympy.diff(X - sympy.log(1 + X), X)),
            symbolic.equal(sympy.diff(mu * (pi / mu) ** LAM, pi), LAM * (pi / mu) ** (LAM - 1)),
        ]
    )


NO_SCALE = Answer(Outcome.UNDECIDED, Strength.PROOF, detail="no lambda with a total mass of 1")


def shares_at_rest(share: Any, case: Lengths) -> list[Any] | None:
    """pi/mu at the lambda where the masses sum to 1; None where no lambda is found."""

    def shares(scale: Any) -> list[Any]:
        return [Ball.exp(share(Ball.number(t), scale, Ball)) for t in case.lengths]

    def excess(scale: Any) -> Any:
        rows = zip(case.mu, shares(scale), strict=True)
        return sum((Ball.number(a) * x for a, x in rows), flint.arb(0)) - 1

    scale = certified.root(excess, Fraction(1, 100), Fraction(99, 100), steps=130)
    return None if scale is None else shares(scale)


def shortens(share: Any, case: Lengths) -> Answer:
    """Say whether the gradient vanishes at the subject's shares and they fall in the length."""
    found, at = shares_at_rest(share, case), case.witness()
    if found is None:
        return NO_SCALE
    pi = [Ball.number(a) * x for a, x in zip(case.mu, found, strict=True)]
    slopes = slopes_at(case, True, pi)
    size = max((abs(x) for x in slopes), key=lambda x: x.upper())
    answers = [certified.compare(size, "<", Ball.number(Fraction(1, 10**30)), witness=at)]
    order = sorted(zip(case.lengths, found, strict=True), key=lambda row: row[0])
    for (short, high), (long, low) in pairwise(order):
        if short < long:
            answers.append(certified.compare(high, ">", low, witness=at))
    return all_of(answers)


@SHORT.certified(Scope("outcomes of 2 and 4, and of 2, 3 and 5 tokens"))
def _(share: Any) -> Answer:
    """Bisection for lambda, the gradient summed there, the order of the shares."""
    return all_of(shortens(share, case) for case in (TWO, MIXED))


@SHORT.neural(Scope("outcomes of 2, 3 and 5 tokens"))
def _(share: Any) -> Answer:
    """Autograd of E_mu[w^(1/T)] in the logits at the stated policy."""
    found = shares_at_rest(share, MIXED)
    if found is None:
        return NO_SCALE
    mu, lengths = neural.tensor(MIXED.mu), neural.tensor(MIXED.lengths)
    pi = mu * neural.tensor([float(x) for x in found])
    slopes = neural.gradient(
        lambda z: (mu * ((z.log_softmax(0) - mu.log()) / lengths).exp()).sum(), pi.log()
    )
    return neural.close(slopes, [0, 0, 0], witness=MIXED.witness())


SHORT.meaningless_without(MANY_TOKENS, "at T = 1 the exponent T/(T - 1) is infinite")


@SHORT.wrong("the exponent T")
def _(length: Any, scale: Any, m: Any) -> Any:
    return -length * m.log(scale * length)


@SHORT.wrong("long ones preferred")
def _(length: Any, scale: Any, m: Any) -> Any:
    return -length / (length - 1) * m.log(scale / length)


@SHORT.wrong("no power")
def _(length: Any, scale: Any, m: Any) -> Any:
    return -m.log(scale * length)


@SHORT.number("pi/mu at rest, mu = (3/5, 3/10, 1/10), T = (2, 3, 5), r = 1")
def _() -> str:
    return ", ".join(certified.digits(x) for x in shares_at_rest(log_share, MIXED) or [])


CLAIMS = frozen(NEUTRAL, SHORT)
