"""Past section 7: the second branch of the gradient's variance, for large shifts.

For a shifted Gaussian in one dimension, log-normal weights and r = 1, the variance has a second
minimum near 1/sigma2, in two one near 2/sigma2. `x02_variance_jump` has where it is the least.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.instances import named
from isr_theory.claims.s02_3_4_variance import GAUSSIAN_LOCATION
from isr_theory.claims.s07_2_lognormal import GAMMA, SIGMA, nodes
from isr_theory.claims.s07_2_variance_of_gradient import DIM, integrated_trace
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import GaussianShift

B, X, Z, U, S, L = sympy.symbols("b x z u s l", positive=True)
D = sympy.symbols("delta", positive=True)
Y = sympy.symbols("y", real=True)


def midrange_shape(x: Number, d: Number, m: Arithmetic) -> Number:
    """e^(-x)((1-x)^2 + d - 1): n tr Cov at gamma = x/sigma2, for a large shift."""
    return m.exp(-x) * ((1 - x) * (1 - x) + d - 1)


MIDRANGE = Draft(
    "VAR.midrange",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("A second branch near 1/sigma2, for large shifts", "大平移下 1/σ² 附近的第二分支"),
    finding=Text(
        "At gamma = x/sigma2 the gradient's variance tends to e^(-x)((1-x)^2 + d - 1): it all but"
        " vanishes near 1/sigma2 in one dimension; in two a dip of vanishing relative depth stays"
        " near 2/sigma2, and in three or more there is none.",
        "取 γ = x/σ²，大平移下梯度方差趋于 e^{−x}((1−x)²+d−1)：一维时在 γ ≈ 1/σ² 有近零的极小，"
        "二维时在 2/σ² 附近仅余相对深度趋于零的浅谷，三维以上没有。",
    ),
    statement=r"\lim_{\sigma\to\infty} n\,\mathrm{tr\,Cov}(\hat g_{x/\sigma^2})"
    r" = e^{-x}\bigl((1-x)^2 + d - 1\bigr),\quad \tfrac{d}{dx} ="
    r" -e^{-x}\bigl((x-2)^2 + d - 2\bigr);\quad d = 2,\ x = 2 + \tfrac{y}{\sigma^2}:\quad"
    r" \tfrac{d}{dx}\,n\,\mathrm{tr\,Cov} \sim"
    r" -\tfrac{1}{e^2\sigma^4}\bigl(y^2 - 10y + \tfrac{32}{3}\bigr)",
    subject=midrange_shape,
    expect=Verdict.VERIFIED,
    assumes=(GAUSSIAN_LOCATION,),
    uses=("C7.5.c.fix",),
    sharpens=("C7.5.c.fix", "T10.1.b"),
    source="new here",
    reading="x > 0 stays while sigma grows; n tr Cov is analytic in 1/sigma2 at fixed x, so its"
    " derivatives converge too and each simple stationary point, x = 1 and 3 at d = 1, persists;"
    " at d = 2 the double one, x = 2, parts into a minimum and a maximum, 7.6/sigma2 apart in x",
)


@MIDRANGE.symbolic(Scope("every x > 0 and d", whole=True))
def _(shape: Any) -> Answer:
    """The limit of the integrated trace; the slope of the limit; its sign and its zeros."""
    # e = 1/sigma2: the trace, times e, is analytic at e = 0.
    trace = integrated_trace(GAMMA).subs(GAMMA, X / SIGMA**2)
    by_small = sympy.expand(sympy.powsimp(sympy.expand(trace / SIGMA**2)))
    small = sympy.expand(by_small.subs(SIGMA, 1 / sympy.sqrt(U)))
    first, second = (sympy.diff(small, U, k).subs(U, 0) for k in (0, 1))
    closed = shape(X, DIM, Exact)
    slope = sympy.diff(closed, X)
    return all_of(
        [
            symbolic.equal(first, 0),
            symbolic.equal(second, closed),
            symbolic.equal(slope, -sympy.exp(-X) * ((X - 2) ** 2 + DIM - 2)),
            symbolic.equal(slope.subs(DIM, 1), -sympy.exp(-X) * (X - 1) * (X - 3)),
            symbolic.equal(closed.subs({DIM: 1, X: 1}), 0),
            *near_two(small.subs(DIM, 2)),
        ]
    )


def near_two(small: Any) -> list[Answer]:
    """Prove what is left of the slope at d = 2 near x = 2; it is 0 at two places y."""
    # `small` is the trace times e = 1/sigma2: its slope, at x = 2 + y e, is of third order.
    slope = sympy.diff(small, X).subs(X, 2 + Y * U)
    orders = [sympy.simplify(sympy.diff(slope, U, k).subs(U, 0)) for k in range(4)]
    shape = Y**2 - 10 * Y + sympy.Rational(32, 3)
    return [
        *(symbolic.equal(order, 0) for order in orders[:3]),
        symbolic.equal(orders[3] / 6, -sympy.exp(-2) * shape),
        symbolic.positive(sympy.discriminant(shape, Y)),
    ]


WIDE = Fraction(10**4)


def quadrature_trace(sigma2: Fraction, d: int, gamma: Fraction) -> Any:
    """Enclose n tr Cov of w^gamma (y - theta) by rigorous quadrature, 2 gamma sigma <= 1."""
    s, power = Ball.number(sigma2), Ball.number(gamma)
    sigma = Ball.sqrt(s)

    def mean(times: int, score: int) -> Any:
        return certified.gaussian_expectation(
            lambda z: (times * power * (sigma * z - s / 2)).exp() * (z - sigma) ** score,
            growth=2,
            constant=4 * (1 + sigma2),
        )

    first = mean(1, 1)
    return mean(2, 2) + (d - 1) * mean(2, 0) - first * first


PLACES = [(Fraction(x), d) for x in ("1/2", "1", "2", "3") for d in (1, 2, 3)]


@cache
def wide_trace(x: Fraction, d: int) -> Any:
    return quadrature_trace(WIDE, d, x / WIDE)


@MIDRANGE.certified(Scope("sigma = 100, four x in one to three dimensions"))
def _(shape: Any) -> Answer:
    """The trace by rigorous quadrature is within 20/sigma2 of the limit; in order at d = 1."""
    answers = []
    for x, d in PLACES:
        at = Witness.at(sigma2=WIDE, d=d, x=x)
        off = abs(wide_trace(x, d) - shape(Ball.number(x), Ball.number(d), Ball))
        answers.append(certified.compare(off, "<", Ball.number(20 / WIDE), witness=at))
    half, one, two, three = (wide_trace(Fraction(x), 1) for x in ("1/2", "1", "2", "3"))
    at = Witness.at(sigma2=WIDE, d=1, x=1)
    pairs = ((one, half), (one, two), (two, three))
    return all_of([*answers, *(certified.compare(a, "<", b, witness=at) for a, b in pairs)])


@MIDRANGE.neural(Scope("sigma = 100, four x in one to three dimensions"))
def _(shape: Any) -> Answer:
    """Scores by autograd of log pi at the nodes of Gauss's rule, within 20/sigma2 of the limit."""
    z, mass = nodes()
    scores = neural.gradient(lambda c: (-((z - c) ** 2) / 2).sum(), 0 * z + 100)
    answers = []
    for x, d in PLACES:
        values = (float(x) * (z / 100 - 0.5)).exp()
        along, mean = values * scores, (mass * values * scores).sum()
        trace = (mass * (along - mean) ** 2).sum() + (d - 1) * (mass * values**2).sum()
        off = abs(trace - shape(float(x), d, Real))
        at = Witness.at(sigma2=WIDE, d=d, x=x)
        answers.append(neural.compare(off, "<", 20 / 1e4, witness=at))
    return all_of(answers)


@MIDRANGE.without(GAUSSIAN_LOCATION)
def _(shape: Any, model: Any) -> Answer | None:
    if isinstance(model, GaussianShift) and model.sigma2 > 0:
        # Many times as far a shift: the limit is along the direction of this one.
        far = model.sigma2 * 10**6
        found = quadrature_trace(far, model.d, 1 / far)
    elif isinstance(model, GaussianShift):
        # No multiple of theta = 0 is a shift: s has variance d, whatever gamma.
        found = Ball.number(model.d)
    else:
        return None
    stated = shape(Ball.number(1), Ball.number(model.d), Ball)
    bound = Ball.number("1/1000")
    return certified.compare(abs(found - stated), "<", bound, witness=named(model, x=1))


@MIDRANGE.wrong("the square of 1 + x")
def _(x: Any, d: Any, m: Any) -> Any:
    return m.exp(-x) * ((1 + x) * (1 + x) + d - 1)


@MIDRANGE.wrong("d times that of one dimension")
def _(x: Any, d: Any, m: Any) -> Any:
    return d * m.exp(-x) * (1 - x) * (1 - x)


@MIDRANGE.wrong("the squared mean forgotten, d alone")
def _(x: Any, d: Any, m: Any) -> Any:
    return m.exp(-x) * d


@MIDRANGE.wrong("e^(-2x)")
def _(x: Any, d: Any, m: Any) -> Any:
    return m.exp(-2 * x) * ((1 - x) * (1 - x) + d - 1)


CLAIMS = frozen(MIDRANGE)
