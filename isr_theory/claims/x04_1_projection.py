"""Past section 8: the rule is a projection.

Write a policy as mu e^l / Z with l centred in L2(mu), so that Var_mu(log w) = |l|^2. The rule's
gamma l = min(1, sqrt(L)/|l|) l, L = -log rho_min, is the point of the ball of radius sqrt(L) next
to l.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, VALID_RULE
from isr_theory.claims.enumerated import witness_of
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import RARE_ARM

RHO = Fraction(3, 10)
RHOS = (RHO, Fraction(4, 5))
B, D, E, F, S = sympy.symbols("b d e f s", positive=True)
X, Y, P, Q = sympy.symbols("x y p q", real=True)

Rows = Sequence[Number]


def mean(mu: Rows, values: Rows) -> Number:
    """E_mu of one value an outcome."""
    return sum(a * x for a, x in zip(mu, values, strict=True))


def centred(mu: Rows, values: Rows) -> list[Number]:
    """Values less their mean under mu."""
    middle = mean(mu, values)
    return [x - middle for x in values]


def inner(mu: Rows, left: Rows, right: Rows) -> Number:
    """The product <x, y> = E_mu[x y]."""
    return sum(a * x * y for a, x, y in zip(mu, left, right, strict=True))


def norm(mu: Rows, values: Rows, m: Arithmetic) -> Number:
    """|x| = sqrt(E_mu[x^2])."""
    return m.sqrt(inner(mu, values, values))


def log_ratio(mu: Rows, pi: Rows, m: Arithmetic) -> list[Number]:
    """Return log w, centred."""
    return centred(mu, [m.log(b / a) for a, b in zip(mu, pi, strict=True)])


def radius(rho_min: Number, m: Arithmetic) -> Number:
    """sqrt(L) = sqrt(-log rho_min)."""
    return m.sqrt(-m.log(rho_min))


def kept_share(sigma: Number, bound: Number, m: Arithmetic) -> Number:
    """min(1, bound/sigma): the rule's gamma at Var_mu(log w) = sigma^2, bound^2 = -log rho_min."""
    return m.minimum(m.number(1), bound / sigma)


PROJECTION = Draft(
    "DYN.projection",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The rule is a projection", "闭式 γ* 是正交投影"),
    finding=Text(
        "gamma* log w is the point of the ball Var_mu <= -log rho_min next to log w, and as a"
        " projection it brings no two policies further apart.",
        "γ* log w 是 log w 在球 Var_μ ≤ −log ρ_min 上的正交投影，且不会拉大任何两个策略的距离。",
    ),
    statement=r"\min\bigl(1, \sqrt{L}/\|l\|\bigr)\, l"
    r" = \operatorname*{arg\,min}_{\|q\| \le \sqrt{L}} \|l - q\|_{L^2(\mu)},\qquad"
    r" \|Pl - Pl'\|^2 \le \langle l - l', Pl - Pl'\rangle",
    subject=kept_share,
    expect=Verdict.VERIFIED,
    assumes=(VALID_RULE,),
    uses=("T8.3.a",),
    sharpens=("T8.3.a", "TAB13.3.1", "TAB13.3.2"),
    source="new here",
    reading="l is log w less its mean, any square-integrable function with mean 0 under mu; at "
    "l = 0, where the rule divides by 0, its value is 0",
)


@PROJECTION.symbolic(
    Scope("every mu, l and L: the projection's variational inequality, by Cauchy-Schwarz", True)
)
def _(share: Any) -> Answer:
    """<l - Pl, q - Pl> <= 0 in the ball; firm nonexpansiveness, outcome by outcome."""
    # Outside: |l| = b + d. A point q of the ball has |q| = b - e and <l, q> = |l| |q| - f, with
    # e, f >= 0. What follows is linear in e and f, so their signs settle also the edges.
    size = B + D
    outside = B / size
    product = size * (B - E) - F
    angle = (1 - outside) * (product - outside * size**2)
    # <x - p, q - p> and its mirror, of one outcome, where p = Px and q = Py.
    first, second = (X - P) * (Q - P), (Y - Q) * (P - Q)
    return all_of(
        [
            symbolic.equal(
                share(S, B, Exact), sympy.Min(1, B / S), points=[{B: 2, S: 3}, {B: 3, S: 2}]
            ),
            symbolic.positive(-angle),
            # Both products have mean <= 0, so <x - y, p - q> is |p - q|^2 or more.
            symbolic.equal((X - Y) * (P - Q) - (P - Q) ** 2, -first - second),
        ]
    )


# Three centred log-ratios of one mu; the last lies in the ball of rho_min = 3/10.
def enclosed_levels() -> tuple[list[Any], list[list[Any]]]:
    """mu, and three centred functions of its outcomes."""
    mu, pi, _ = RARE_ARM.numbers(Ball)
    level = log_ratio(mu, pi, Ball)
    other = centred(mu, [Ball.number(x) for x in (3, -1, 2, 5)])
    return mu, [level, other, [x / 4 for x in other]]


@PROJECTION.certified(Scope("three log-ratios on four outcomes, rho_min = 3/10 and 4/5"))
def _(share: Any) -> Answer:
    """The distance that is left is |l| - sqrt(L), the least by the triangle inequality, or 0."""
    mu, levels = enclosed_levels()
    answers = []
    for rho in RHOS:
        bound = radius(Ball.number(rho), Ball)
        for k, level in enumerate(levels):
            size, at = norm(mu, level, Ball), Witness.at(mu=RARE_ARM.mu, level=k, rho_min=rho)
            near = [share(size, bound, Ball) * x for x in level]
            left = [x - y for x, y in zip(level, near, strict=True)]
            least = size - Ball.minimum(size, bound)
            answers.append(
                certified.agree(
                    [inner(mu, left, left), norm(mu, near, Ball)],
                    [least * least, Ball.minimum(size, bound)],
                    witnesses=[at, at],
                )
            )
    return all_of(answers)


@PROJECTION.certified(Scope("pairs of these log-ratios, rho_min = 3/10 and 4/5"))
def _(share: Any) -> Answer:
    """No pair moves apart, and <x - y, Px - Py> is at least |Px - Py|^2."""
    mu, levels = enclosed_levels()
    answers = []
    for rho in RHOS:
        bound = radius(Ball.number(rho), Ball)
        near = [[share(norm(mu, x, Ball), bound, Ball) * v for v in x] for x in levels]
        for i, j in ((0, 1), (0, 2), (1, 2)):
            apart, kept = (
                [x - y for x, y in zip(rows[i], rows[j], strict=True)] for rows in (levels, near)
            )
            at = Witness.at(mu=RARE_ARM.mu, levels=(i, j), rho_min=rho)
            answers.append(
                certified.compare(inner(mu, apart, kept), ">", inner(mu, kept, kept), witness=at)
            )
    return all_of(answers)


@PROJECTION.neural(Scope("the first log-ratio, rho_min = 3/10"))
def _(share: Any) -> Answer:
    """Descent on the distance in the ball, by autograd and rescaling, ends at the rule's point."""
    mu = neural.tensor(RARE_ARM.mu)
    level = neural.tensor(RARE_ARM.log_w().tolist())
    level = level - (mu * level).sum()
    bound = float(radius(Ball.number(RHO), Ball).mid())
    size = float((mu * level**2).sum().sqrt())

    def half_distance(q: Any) -> Any:
        return (mu * (level - q) ** 2).sum() / 2

    q = neural.tensor([1, -1, 1, 0])
    q = q - (mu * q).sum()
    for _ in range(60):
        # The slope in L2(mu) is the Euclidean one divided by mu.
        q = q - neural.gradient(half_distance, q) / mu / 2
        q = q * min(1.0, bound / float((mu * q**2).sum().sqrt()))
    at = witness_of(RARE_ARM, rho_min=RHO)
    return neural.close(share(size, bound, Real) * level, q, witness=at)


PROJECTION.meaningless_without(VALID_RULE, NO_RULE)


@PROJECTION.margin(*(spaces.finite(k, reward=("1/5", "5"), bound=("1/10", "2")) for k in (2, 3)))
def _(share: Any, case: Any, m: Any) -> Any:
    mu, pi, reward = case.model.numbers(m)
    # The reward stands for a second policy, mu r.
    pair = [log_ratio(mu, pi, m), centred(mu, [m.log(r) for r in reward])]
    bound = m.number(case["bound"])
    sizes = [inner(mu, x, x) for x in pair]
    shares = [1 if s == 0 else share(m.sqrt(s), bound, m) for s in sizes]
    apart, kept = ([c * x - d * y for x, y in zip(*pair, strict=True)] for c, d in ((1, 1), shares))
    return inner(mu, apart, kept) - inner(mu, kept, kept)


@PROJECTION.wrong("no clip at 1")
def _(sigma: Any, bound: Any, m: Any) -> Any:
    return bound / sigma


@PROJECTION.wrong("no square root")
def _(sigma: Any, bound: Any, m: Any) -> Any:
    return m.minimum(m.number(1), bound * bound / (sigma * sigma))


@PROJECTION.wrong("a smooth share, bound/(bound + sigma)")
def _(sigma: Any, bound: Any, m: Any) -> Any:
    return bound / (bound + sigma)


@PROJECTION.wrong("a reflection: twice the way to the ball")
def _(sigma: Any, bound: Any, m: Any) -> Any:
    return 2 * m.minimum(m.number(1), bound / sigma) - 1


CLAIMS = frozen(PROJECTION)
