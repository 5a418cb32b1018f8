"""Section 5.1, geometric meaning: which geodesic is p_gamma?

The paper says that of the Fisher-Rao metric. That one is the great circle through sqrt(mu) and
sqrt(p*) on the unit sphere, and p_gamma leaves it. What p_gamma is straight in is the logarithm:
it is the exponential geodesic of information geometry.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import FINITE_PARTITION, MUTUAL_SUPPORT
from isr_theory.claims.s05_1_path import (
    GAMMA,
    GEOMETRIC,
    MIXTURE,
    MU,
    NO_TARGET,
    POINTS,
    SQUARED,
    TARGET,
    at,
    ends,
    reaches_its_ends,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import THREE_ARMS, Finite

ROOT_MU, ROOT_TARGET, ANGLE, T = sympy.symbols("a b Theta t", positive=True)

GEO5_1 = Draft(
    "GEO5.1",
    section="5.1",
    kind=Kind.REMARK,
    title=Text("p_gamma as the Fisher-Rao geodesic", "p_γ 作为 Fisher-Rao 测地线"),
    finding=Text(
        "False: with three outcomes p_gamma already leaves the Fisher-Rao geodesic as a set.",
        "不成立：三个结果时 p_γ 的轨迹就已离开 Fisher-Rao 测地线。",
    ),
    statement=r"\gamma\mapsto p_\gamma"
    r" \text{ is the Fisher-Rao geodesic from } \mu \text{ to } p^*",
    subject=formulas.geometric_path,
    expect=Verdict.REFUTED,
    assumes=(FINITE_PARTITION, MUTUAL_SUPPORT),
    uses=("D5.1",),
    reading="as a set of laws, whatever the speed, since two outcomes leave only one path to "
    "follow; in the assumption p* plays pi",
)
# Square roots are proportional to (1, 1, 1), (1, 4, 16) and, half-way, (1, 2, 4): rows of a
# Vandermonde matrix, so no two of them span the third.
BENT = Finite.of("1/3 1/3 1/3", "1/273 16/273 256/273")
BENT_AT = at(BENT, Fraction(1, 2))
ONE_POINT = Scope("the one point of the witness")


@GEO5_1.symbolic(ONE_POINT)
def _(path: Any) -> Answer:
    """The great circle lies in a plane: det[sqrt mu; sqrt p*; sqrt p_gamma] would be 0."""
    mu, target = ends(BENT, Exact)
    middle = path(mu, target, sympy.Rational(1, 2), Exact)
    rows = sympy.Matrix([[sympy.sqrt(p) for p in law] for law in (mu, target, middle)])
    return symbolic.compare(rows.det(), "==", 0, witness=BENT_AT)


def distance(p: Any, q: Any, m: Any) -> Any:
    """Return the Fisher-Rao distance, twice the angle between the square roots."""
    return 2 * m.arccos(sum(m.sqrt(a * b) for a, b in zip(p, q, strict=True)))


@GEO5_1.certified(ONE_POINT)
def _(path: Any) -> Answer:
    """On the geodesic, the distances to the two ends would add up."""
    mu, target = ends(BENT, Ball)
    middle = path(mu, target, Ball.number("1/2"), Ball)
    detour = distance(mu, middle, Ball) + distance(middle, target, Ball)
    return certified.compare(detour, "==", distance(mu, target, Ball), witness=BENT_AT)


@GEO5_1.neural(ONE_POINT)
def _(path: Any) -> Answer:
    """In a plane through 0, sqrt(p_gamma) and its two derivatives would be dependent."""
    mu, target = ends(BENT, Tensor)
    here = neural.tensor(Fraction(1, 2))

    def row(k: int) -> Any:
        def root(gamma: Any) -> Any:
            return path(mu, target, gamma, Tensor)[k].sqrt()

        parts = [root(here), neural.gradient(root, here), neural.hessian(root, here)]
        return neural.torch().stack(parts)

    rows = neural.torch().stack([row(k) for k in range(3)])
    return neural.close([neural.torch().linalg.det(rows)], [0], witness=BENT_AT)


GEO5_1.right_value("the Fisher-Rao geodesic", formulas.fisher_rao_path)


class Geodesics(NamedTuple):
    """The exponential geodesic at one outcome, up to its mass, and the Fisher-Rao one as a law."""

    straight: Any
    circle: Any


BOTH = Geodesics(GEOMETRIC.density, formulas.fisher_rao_path)

GEO5_1_FIX = Draft(
    "GEO5.1.fix",
    section="5.1",
    kind=Kind.REMARK,
    title=Text("p_gamma is the exponential geodesic", "p_γ 是指数测地线（e-测地线）"),
    finding=Text(
        "p_gamma is straight in log-probabilities; the Fisher-Rao geodesic is a great circle.",
        "p_γ 在对数概率坐标下是直线；Fisher-Rao 测地线则是平方根坐标下的大圆。",
    ),
    statement=r"\log\frac{p_\gamma(y)}{p_\gamma(y')} = (1-\gamma)\log\frac{\mu(y)}{\mu(y')}"
    r" + \gamma\log\frac{p^*(y)}{p^*(y')};\quad \sqrt{p^{FR}_t} ="
    r" \frac{\sin((1-t)\Theta)\sqrt\mu + \sin(t\Theta)\sqrt{p^*}}{\sin\Theta},"
    r"\ \cos\Theta = \int\!\sqrt{\mu p^*}",
    subject=BOTH,
    expect=Verdict.VERIFIED,
    assumes=(FINITE_PARTITION, MUTUAL_SUPPORT),
    uses=("D5.1",),
    amends=("GEO5.1",),
    reading="an e-geodesic is straight in log-probabilities and joins its ends without a jump; on "
    "the sphere of square roots x a geodesic of angle Theta has x'' = -Theta^2 x; mu is not p*, "
    "which plays pi in the assumption",
)


@GEO5_1_FIX.symbolic(
    Scope("every outcome; the other outcomes enter the circle through its angle only", whole=True)
)
def _(geodesics: Any) -> Answer:
    """At one outcome, the angle given: straightness, x'' = -Theta^2 x, the ends, the mass."""
    log_density = sympy.log(geodesics.straight(MU, TARGET, GAMMA, Exact))
    line = (1 - GAMMA) * sympy.log(MU) + GAMMA * sympy.log(TARGET)
    given = SimpleNamespace(
        number=Exact.number,
        power=Exact.power,
        sqrt=Exact.sqrt,
        sin=Exact.sin,
        arccos=_angle,
    )
    (p,) = geodesics.circle([ROOT_MU**2], [ROOT_TARGET**2], T, given)
    # x'' = -Theta^2 x for x = sqrt p, written without the root.
    first, second = sympy.diff(p, T), sympy.diff(p, T, 2)
    return all_of(
        [
            symbolic.equal(
                log_density, line, reduce=lambda d: sympy.expand(sympy.expand_log(d, force=True))
            ),
            symbolic.equal(second, first**2 / (2 * p) - 2 * ANGLE**2 * p, reduce=sympy.cancel),
            symbolic.equal(p.subs(T, 0), ROOT_MU**2),
            symbolic.equal(p.subs(T, 1), ROOT_TARGET**2),
            symbolic.equal(total_mass(p), 1, reduce=_by_exponentials),
        ]
    )


def _angle(cosine: Any) -> Any:
    """Name the circle's angle, if its cosine is the sum of sqrt(mu p*): here one outcome of it."""
    is_overlap = sympy.expand(cosine - ROOT_MU * ROOT_TARGET) == 0
    return ANGLE if is_overlap else sympy.Symbol("another_angle", positive=True)


def total_mass(p: Any) -> Any:
    """Integrate a quadratic form in sqrt(mu) and sqrt(p*), whose product has integral cos Theta."""
    parts = sympy.Poly(p, ROOT_MU, ROOT_TARGET).terms()
    integrals = {(2, 0): 1, (0, 2): 1, (1, 1): sympy.cos(ANGLE)}
    # Any other term has no known integral and stays as it is.
    return sum(
        coefficient * integrals.get(powers, ROOT_MU ** powers[0] * ROOT_TARGET ** powers[1])
        for powers, coefficient in parts
    )


def _by_exponentials(difference: Any) -> Any:
    numerator, _ = sympy.fraction(sympy.together(difference))
    return sympy.expand(numerator.rewrite(sympy.exp))


def both_geodesics(geodesics: Any, law: Finite, t: Fraction) -> Answer:
    """Compare the circle's arcs with their shares, and log-ratios of the path with the line's."""
    mu, target = ends(law, Ball)
    place = Ball.number(t)
    circle = geodesics.circle(mu, target, place, Ball)
    straight = [geodesics.straight(a, b, place, Ball) for a, b in zip(mu, target, strict=True)]
    left = [sum(circle), distance(mu, circle, Ball), distance(circle, target, Ball)]
    whole = distance(mu, target, Ball)
    right = [Ball.number(1), place * whole, (1 - place) * whole]
    for k in range(1, len(mu)):
        logs = [Ball.log(p[k] / p[0]) for p in (mu, target, straight)]
        left.append(logs[2])
        right.append((1 - place) * logs[0] + place * logs[1])
    return certified.agree(left, right, witnesses=[at(law, t)] * len(left))


@GEO5_1_FIX.certified(Scope("two pairs of laws, two places each"))
def _(geodesics: Any) -> Answer:
    """The circle's arc from mu grows with t, and log-ratios of the path are in proportion."""
    return all_of(both_geodesics(geodesics, law, t) for law, t in POINTS)


@GEO5_1_FIX.neural(Scope("three outcomes, one place"))
def _(geodesics: Any) -> Answer:
    """Second derivatives in the place: -Theta^2 x for the circle, 0 for the log of the path."""
    law, t = THREE_ARMS, Fraction(3, 5)
    mu, target = ends(law, Tensor)
    angle = distance(mu, target, Tensor) / 2
    here = neural.tensor(t)

    def outcome(k: int) -> Answer:
        def root(place: Any) -> Any:
            return geodesics.circle(mu, target, place, Tensor)[k].sqrt()

        def level(place: Any) -> Any:
            return Tensor.log(geodesics.straight(mu[k], target[k], place, Tensor))

        curvatures = [neural.hessian(root, here), neural.hessian(level, here)]
        return neural.close(curvatures, [-angle * angle * root(here), 0], witness=at(law, t))

    return all_of(outcome(k) for k in range(len(mu)))


def _chord(mu: Any, target: Any, t: Any, m: Any) -> list[Any]:
    rows = zip(mu, target, strict=True)
    roots = [(1 - t) * m.sqrt(a) + t * m.sqrt(b) for a, b in rows]
    return [root * root for root in roots]


def _half_angle(mu: Any, target: Any, t: Any, m: Any) -> list[Any]:
    return formulas.fisher_rao_path(mu, target, t / m.number(2), m)


@GEO5_1_FIX.without(MUTUAL_SUPPORT)
def _(geodesics: Any, law: Finite) -> Answer:
    arcs_and_lines = both_geodesics(geodesics, law, Fraction(3, 5))
    return all_of([arcs_and_lines, reaches_its_ends(geodesics.straight, law)])


GEO5_1_FIX.meaningless_without(FINITE_PARTITION, NO_TARGET)
GEO5_1_FIX.wrong_value(
    "the path is the circle, as printed", BOTH._replace(circle=formulas.geometric_path)
)
GEO5_1_FIX.wrong_value("chord for arc", BOTH._replace(circle=_chord))
GEO5_1_FIX.wrong_value("half the arc", BOTH._replace(circle=_half_angle))
GEO5_1_FIX.wrong_value("mixture for path", BOTH._replace(straight=MIXTURE.density))
GEO5_1_FIX.wrong_value("gamma squared", BOTH._replace(straight=SQUARED.density))


@GEO5_1_FIX.number("Fisher-Rao midpoint of (3/5, 3/10, 1/10) and (1/5, 3/10, 1/2)")
def _() -> str:
    middle = formulas.fisher_rao_path(*ends(THREE_ARMS, Ball), Ball.number("1/2"), Ball)
    return ", ".join(certified.digits(p) for p in middle)


CLAIMS = frozen(GEO5_1, GEO5_1_FIX)
