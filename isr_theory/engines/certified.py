"""Rigorous balls: sign on a box by bisection, a root isolated, agreement of enclosures.

Every number is an `arb` ball that contains the true value, so a strict comparison that succeeds is
a proof. A comparison that does not succeed says nothing until precision or subdivision decides it;
where they do not within the budget, the answer is UNDECIDED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import flint

from isr_theory.claim import Answer, Outcome, Strength, Witness

BITS = 192
"""Working precision. Formulas here lose a few dozen bits at most; 30 digits need about 100."""
DIGITS = 30
MAX_BOXES = 4096

Ball = Any
Box = tuple[Fraction | int, Fraction | int]


def ball(value: Fraction | int | str) -> Ball:
    """Return a ball around an exact rational."""
    fraction = Fraction(value)
    return flint.arb(flint.fmpq(fraction.numerator, fraction.denominator))


@contextmanager
def precision() -> Iterator[None]:
    """Work at `BITS` bits; python-flint keeps its precision in a global context."""
    with flint.ctx.workprec(BITS):
        yield


def _hull(low: Fraction, high: Fraction) -> Ball:
    return ball(low).union(ball(high))


def digits(value: Ball, count: int = 12) -> str:
    """Print a ball to `count` digits, all of them certain up to the last one's rounding."""
    return str(value.str(count, radius=False))


def agree(left: Sequence[Ball], right: Sequence[Ball], *, witnesses: Sequence[Witness]) -> Answer:
    """Say whether pairs of balls overlap while being narrower than 1e-30: AGREEMENT, not proof.

    Disjoint balls are a FAILS at the witness of that pair. Raises ValueError for no pairs, since
    nothing compared is not a pass.
    """
    if not left:
        raise ValueError("agree() needs at least one pair: nothing compared is not a pass")
    wide = False
    for a, b, witness in zip(map(flint.arb, left), map(flint.arb, right), witnesses, strict=True):
        if not a.overlaps(b):
            shows = f"{digits(a)} against {digits(b)}"
            return Answer(Outcome.FAILS, Strength.PROOF, witness.showing(shows))
        scale = 1 + abs(a) + abs(b)
        wide |= not (a.rad() + b.rad() < scale * flint.arb(10) ** -DIGITS)
    if wide:
        return Answer(Outcome.UNDECIDED, Strength.AGREEMENT, detail="the balls are too wide")
    points = "1 point" if len(left) == 1 else f"{len(left)} points"
    return Answer(Outcome.HOLDS, Strength.AGREEMENT, detail=f"{DIGITS} digits at {points}")


def compare(left: Ball, relation: str, right: Ball, *, witness: Witness) -> Answer:
    """Decide a strict relation (< > !=) or == between two balls.

    == can only fail here: overlapping balls never prove equality, so it is UNDECIDED.
    """
    a, b = flint.arb(left), flint.arb(right)
    below, above = bool(a < b), bool(a > b)
    truth = {
        "<": (below, above),
        ">": (above, below),
        "!=": (below or above, False),
        "==": (False, below or above),
        "<=": (bool(a <= b), above),
        ">=": (bool(a >= b), below),
    }[relation]
    shows = f"{digits(a)} {relation} {digits(b)}"
    if truth[0]:
        return Answer(Outcome.HOLDS, Strength.PROOF, witness.showing(shows), detail=shows)
    if truth[1]:
        return Answer(Outcome.FAILS, Strength.PROOF, witness.showing(f"not {shows}"))
    return Answer(Outcome.UNDECIDED, Strength.PROOF, detail=f"{shows} is not decided by the balls")


def sign_on(
    function: Callable[[Ball], Ball],
    box: Box,
    *,
    positive: bool,
    witness: Callable[[Fraction], Witness],
    max_boxes: int = MAX_BOXES,
) -> Answer:
    """Prove a strict sign of a function of one variable on a closed interval, by bisection.

    A midpoint at which the ball has the other sign is a FAILS there.
    """
    todo = [(Fraction(box[0]), Fraction(box[1]))]
    done = 0
    while todo:
        low, high = todo.pop()
        done += 1
        value = flint.arb(function(_hull(low, high)))
        if (value > 0) if positive else (value < 0):
            continue
        middle = (low + high) / 2
        at = flint.arb(function(ball(middle)))
        if (at < 0) if positive else (at > 0):
            shows = f"{digits(at)} has the wrong sign"
            return Answer(Outcome.FAILS, Strength.PROOF, witness(middle).showing(shows))
        if done + len(todo) > max_boxes:
            return Answer(Outcome.UNDECIDED, Strength.PROOF, detail=f"{done} boxes did not decide")
        todo += [(low, middle), (middle, high)]
    word = "positive" if positive else "negative"
    return Answer(Outcome.HOLDS, Strength.PROOF, detail=f"{word} on [{box[0]}, {box[1]}]")


def derivatives(function: Callable[[Any], Any], at: Ball, order: int) -> list[Ball]:
    """Enclose f, f', ..., f^(order) over a ball; `function` must be written over `Jet`."""
    previous = flint.ctx.cap
    flint.ctx.cap = order + 1
    try:
        variable = flint.arb_series([flint.arb(at), flint.arb(1)])
        series = function(variable)
        if not isinstance(series, flint.arb_series):
            series = flint.arb_series([flint.arb(series)])
        factorial = 1
        values = []
        for k in range(order + 1):
            factorial *= max(k, 1)
            # A division may have lowered the precision: what lies past it is unknown, not 0.
            values.append(series[k] * factorial if k < series.prec else flint.arb.nan())
        return values
    finally:
        flint.ctx.cap = previous


def root(
    function: Callable[[Ball], Ball], low: Fraction, high: Fraction, *, steps: int = 110
) -> Ball | None:
    """Enclose a root of a continuous function with a strict sign change, by bisection.

    None where the ends have no proved sign change. `steps` halvings of a unit interval leave
    2^-110, about 33 digits.
    """
    below = flint.arb(function(ball(low)))
    above = flint.arb(function(ball(high)))
    if not ((below < 0 and above > 0) or (below > 0 and above < 0)):
        return None
    rising = bool(below < 0)
    for _ in range(steps):
        middle = (low + high) / 2
        value = flint.arb(function(ball(middle)))
        if value > 0:
            low, high = (low, middle) if rising else (middle, high)
        elif value < 0:
            low, high = (middle, high) if rising else (low, middle)
        elif value.is_zero():
            return ball(middle)
        else:
            break
    return _hull(low, high)


def gaussian_expectation(
    function: Callable[[Any], Any], *, growth: Fraction | int, constant: Fraction | int = 1
) -> Ball:
    """Enclose E[f(z)], z standard normal, where |f(z)| <= constant e^(growth |z|).

    `function` takes a complex ball and must be entire: exponentials and polynomials, no root or
    logarithm of z. The integral over [-R, R] is rigorous quadrature. Beyond R =
    max(40, 4 growth), growth |z| - z^2/2 <= -z^2/4, so what is left is at most
    2 constant (2/R) e^(-R^2/4) / sqrt(2 pi), which is added as a radius.
    """
    edge = max(Fraction(40), 4 * Fraction(growth))
    root_two_pi = (2 * flint.arb.pi()).sqrt()
    inner = (
        flint.acb.integral(
            lambda z, _: function(z) * (-z * z / 2).exp(),
            flint.acb(-ball(edge)),
            flint.acb(ball(edge)),
        ).real
        / root_two_pi
    )
    tail = 4 * ball(constant) / ball(edge) * (-ball(edge) * ball(edge) / 4).exp() / root_two_pi
    return inner + flint.arb(0, tail.upper())
