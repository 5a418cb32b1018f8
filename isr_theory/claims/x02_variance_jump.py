"""Past section 7: how the gamma of least gradient variance moves, and where it jumps.

For a shifted Gaussian, log-normal weights and r = 1, the variance has a second minimum near
1/sigma2 in one dimension, near 2/sigma2 in two. It is the global one up to sigma2 = 69.3 and 19.96,
and from there on the other is.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.s07_2_lognormal import GAMMA, SIGMA, nodes
from isr_theory.claims.s07_2_variance_of_gradient import DIM, integrated_trace
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of


class Where(NamedTuple):
    """At this sigma2, in d dimensions, every minimiser lies between these gammas."""

    sigma2: Fraction
    low: Fraction
    high: Fraction
    d: int


class Jump(NamedTuple):
    """Where the minimiser is before and after, and a gamma between that it never takes."""

    before: Where
    after: Where
    never: Fraction


def where(sigma2: str, low: str, high: str, *, d: int = 1) -> Where:
    """Read a place."""
    return Where(Fraction(sigma2), Fraction(low), Fraction(high), d)


JUMPS = Jump(where("69", "7/500", "2/125"), where("70", "27/100", "29/100"), Fraction(1, 20))
IN_PLANE = Jump(
    where("19.9", "9/100", "11/100", d=2), where("20", "23/100", "1/4", d=2), Fraction(4, 25)
)

JUMP = Draft(
    "VAR.jump",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The best gamma jumps", "最优 γ 的跳变"),
    finding=Text(
        "In one dimension, log-normal weights and r = 1, the gamma of least gradient variance jumps"
        " from 0.015 to 0.28 as sigma2 goes from 69 to 70: no continuous rule follows it.",
        "一维、权重精确对数正态、r≡1 时，σ² 由 69 增至 70，梯度方差最小的 γ 由 0.015 跳至 0.28："
        "任何连续的规则都不能跟随它。",
    ),
    statement=r"\arg\min_{0\le\gamma\le 1} n\,\mathrm{Var}(\hat g_\gamma)\Big|_{\sigma^2=69}"
    r" \subset (0.014, 0.016),\qquad \arg\min_{0\le\gamma\le 1} n\,\mathrm{Var}(\hat g_\gamma)"
    r"\Big|_{\sigma^2=70} \subset (0.27, 0.29),\qquad"
    r" \mathrm{Var}(\hat g_{0.05}) > \min_\gamma \mathrm{Var}(\hat g_\gamma)"
    r"\ (69 \le \sigma^2 \le 70)",
    subject=JUMPS,
    expect=Verdict.VERIFIED,
    uses=("C7.5.c.fix", "VAR.midrange"),
    sharpens=("C7.5.c.fix", "T10.1.b"),
    source="new here",
    reading="mu = N(0, 1), pi = N(theta, 1), sigma2 = theta^2; what goes from one side of a number"
    " to the other and never takes it jumps",
)

PLANE = Draft(
    "VAR.plane",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("It jumps in two dimensions too", "二维时同样跳变"),
    finding=Text(
        "In two dimensions, log-normal weights and r = 1, the gamma of least gradient variance"
        " jumps as sigma2 goes from 19.9 to 20, from 0.10, near 2/sigma2, to 0.24.",
        "二维、权重精确对数正态、r≡1 时，σ² 由 19.9 增至 20，梯度方差最小的 γ 由 0.10（近 2/σ²）"
        "跳至 0.24。",
    ),
    statement=r"d = 2:\quad \arg\min_{0\le\gamma\le 1} n\,\mathrm{tr\,Cov}(\hat g_\gamma)"
    r"\Big|_{\sigma^2=19.9} \subset (0.09, 0.11),\qquad \arg\min_{0\le\gamma\le 1}"
    r" n\,\mathrm{tr\,Cov}(\hat g_\gamma)\Big|_{\sigma^2=20} \subset (0.23, 0.25),\qquad"
    r" \mathrm{tr\,Cov}(\hat g_{0.16}) > \min_\gamma \mathrm{tr\,Cov}(\hat g_\gamma)"
    r"\ (19.9 \le \sigma^2 \le 20)",
    subject=IN_PLANE,
    expect=Verdict.VERIFIED,
    uses=("C7.5.c.fix", "VAR.midrange"),
    sharpens=("C7.5.c.fix", "T10.1.b"),
    source="new here",
    reading="mu = N(0, I), pi = N(theta, I) in the plane, sigma2 = |theta|^2; what goes from one"
    " side of a number to the other and never takes it jumps",
)


def expm1(x: Any) -> Any:
    """e^x - 1, without what cancels."""
    return sympy.exp(x) - 1 if isinstance(x, sympy.Basic) else flint.arb(x).expm1()


def arranged(sigma2: Any, gamma: Any, d: Any, m: Arithmetic) -> Any:
    """Return n tr Cov, arranged so that nothing of the size of sigma2 cancels."""
    excess = expm1(gamma * gamma * sigma2) * (1 + (1 - 2 * gamma) * (1 - 2 * gamma) * sigma2)
    along = m.exp(-gamma * (1 - gamma) * sigma2) * (
        1 - 2 * gamma * sigma2 + 3 * gamma * gamma * sigma2 + excess
    )
    # Across theta the score has mean 0 and variance 1, whatever w is.
    return along + (d - 1) * m.exp(-gamma * (1 - 2 * gamma) * sigma2)


@cache
def arranged_is_the_trace() -> Answer:
    """Prove that the arrangement is the trace by completing squares, in any dimension."""
    return symbolic.equal(arranged(SIGMA**2, GAMMA, DIM, Exact), integrated_trace(GAMMA))


@cache
def branch(place: Where) -> tuple[Any, Any]:
    """A stationary point of n tr Cov between two gammas, or the middle, and the value there."""

    def trace(gamma: Any) -> Any:
        s, d = Jet.number(place.sigma2), Jet.number(place.d)
        return formulas.gradient_variance_gaussian(s, gamma, d, Jet)

    point = certified.root(lambda g: certified.derivatives(trace, g, 1)[1], place.low, place.high)
    if point is None:
        point = Ball.number((place.low + place.high) / 2)
    return point, arranged(Ball.number(place.sigma2), point, Ball.number(place.d), Ball)


@cache
def outside(place: Where) -> Answer:
    """Prove that n tr Cov is larger outside an interval than at one point inside it."""
    sigma2, d = Ball.number(place.sigma2), Ball.number(place.d)
    claimed = branch(place)[1]

    def excess(gamma: Any) -> Any:
        return arranged(sigma2, gamma, d, Ball) - claimed

    def witness(gamma: Any) -> Witness:
        return Witness.at(sigma2=place.sigma2, d=place.d, gamma=gamma)

    boxes = ((Fraction(0), place.low), (place.high, Fraction(1)))
    return all_of(certified.sign_on(excess, box, positive=True, witness=witness) for box in boxes)


def inside(jump: Jump) -> Fraction:
    """Return the middle of where the minimiser is before the jump."""
    return (jump.before.low + jump.before.high) / 2


@cache
def passed_over(jump: Jump) -> Answer:
    """Prove that at no sigma2 on the way the gamma between is the best."""
    d = Ball.number(jump.before.d)
    between, better = (Ball.number(gamma) for gamma in (jump.never, inside(jump)))

    def excess(sigma2: Any) -> Any:
        return arranged(sigma2, between, d, Ball) - arranged(sigma2, better, d, Ball)

    return certified.sign_on(
        excess,
        (jump.before.sigma2, jump.after.sigma2),
        positive=True,
        witness=lambda sigma2: Witness.at(sigma2=sigma2, d=jump.before.d, gamma=jump.never),
    )


WHOLE = Scope("every gamma in [0, 1] at both sigma2; one gamma at every sigma2 between", whole=True)


@JUMP.certified(WHOLE)
@PLANE.certified(WHOLE)
def _(jump: Jump) -> Answer:
    """Box by box n tr Cov outside an interval is above its value at a point inside."""
    return all_of(
        [arranged_is_the_trace(), outside(jump.before), outside(jump.after), passed_over(jump)]
    )


def by_rule(sigma2: float, d: int, gammas: Any) -> Any:
    """Return n tr Cov at gammas (k, 1) by Gauss's rule."""
    z, mass = nodes()
    sigma = sigma2**0.5
    # y = t sigma + z makes w^t mu a normal density times e^(t (t-1) sigma2/2), as the known
    # densities multiply; the score is z + (t - 1) sigma along theta, and z across it.
    scores = [z + (t - 1) * sigma for t in (gammas, 2 * gammas)]
    scales = [(t * (t - 1) * sigma2 / 2).exp()[:, 0] for t in (gammas, 2 * gammas)]
    first = scales[0] * (mass * scores[0]).sum(1)
    across = (d - 1) * (mass * z**2).sum()
    return scales[1] * ((mass * scores[1] ** 2).sum(1) + across) - first**2


ON_GRID = Scope("ten thousand gammas at both sigma2; one gamma at eleven sigma2")


@JUMP.neural(ON_GRID)
@PLANE.neural(ON_GRID)
def _(jump: Jump) -> Answer:
    """The least of n tr Cov by Gauss's rule of a tilted law, on a grid."""
    torch = neural.torch()
    gammas = torch.arange(10_001, dtype=torch.float64)[:, None] / 10_000
    answers = []
    for place in jump[:2]:
        best = float(gammas[by_rule(float(place.sigma2), place.d, gammas).argmin(), 0])
        at = Witness.at(sigma2=place.sigma2, d=place.d)
        answers.append(neural.compare(best, ">", place.low, witness=at))
        answers.append(neural.compare(best, "<", place.high, witness=at))
    pair = torch.tensor([[float(jump.never)], [float(inside(jump))]], dtype=torch.float64)
    for k in range(11):
        sigma2 = (jump.before.sigma2 * (10 - k) + jump.after.sigma2 * k) / 10
        between, better = by_rule(float(sigma2), jump.before.d, pair)
        at = Witness.at(sigma2=sigma2, d=jump.before.d, gamma=jump.never)
        answers.append(neural.compare(between, ">", better, witness=at))
    return all_of(answers)


JUMP.wrong_value("past the jump already", JUMPS._replace(before=where("70", "7/500", "2/125")))
JUMP.wrong_value("before the jump yet", JUMPS._replace(after=where("69", "27/100", "29/100")))
JUMP.wrong_value("a quarter after it", JUMPS._replace(after=where("70", "6/25", "13/50")))
JUMP.wrong_value("1/sigma2 after it", JUMPS._replace(after=where("70", "1/100", "1/50")))
JUMP.wrong_value("never where it ends", JUMPS._replace(never=Fraction(7, 25)))


PLANE.wrong_value(
    "past the jump already", IN_PLANE._replace(before=where("20", "9/100", "11/100", d=2))
)
PLANE.wrong_value(
    "before the jump yet", IN_PLANE._replace(after=where("19.9", "23/100", "1/4", d=2))
)
PLANE.wrong_value(
    "1/sigma2 before it", IN_PLANE._replace(before=where("19.9", "1/25", "3/50", d=2))
)
PLANE.wrong_value("never where it ends", IN_PLANE._replace(never=Fraction(6, 25)))
PLANE.wrong_value(
    "in one dimension",
    IN_PLANE._replace(before=IN_PLANE.before._replace(d=1), after=IN_PLANE.after._replace(d=1)),
)


@cache
def tie(jump: Jump) -> tuple[Fraction, Fraction]:
    """Two sigma2, less than 2^-43 apart, between which the two branches exchange."""
    low, high = jump.before.sigma2, jump.after.sigma2
    for _ in range(44):
        middle = (low + high) / 2
        near, far = (branch(place._replace(sigma2=middle))[1] for place in jump[:2])
        low, high = (middle, high) if near < far else (low, middle)
    return low, high


def exchange(jump: Jump) -> str:
    """Print the digits that both ends of a tie share."""
    low, high = tie(jump)
    return certified.digits(Ball.number(low).union(Ball.number(high)), 14)


@JUMP.number("sigma2 at which the two are equally good")
def _() -> str:
    return exchange(JUMPS)


@PLANE.number("sigma2 at which the two are equally good")
def _() -> str:
    return exchange(IN_PLANE)


CLAIMS = frozen(JUMP, PLANE)
