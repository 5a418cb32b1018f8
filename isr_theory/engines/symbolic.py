"""Exact algebra: equality, sign, limits and comparison at exact points, with sympy.

Structural equality of expressions is not equality of functions, and a failed simplification is
not a counterexample. So `equal` first looks for an exact rational point at which the two sides
differ; only if there is none does it try to reduce the difference to 0; and where neither
succeeds it says UNDECIDED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from isr_theory.claim import Answer, Outcome, Strength, Witness

DIGITS = 50
# evalf at 50 digits leaves noise near 1e-50 times the largest term; the terms that occur here stay
# far below 1e20, so what exceeds 1e-25 is not noise.
NOISE = sympy.Float("1e-25")
# Generic positive rationals below 1, pairwise without simple relations, given to free symbols in
# alphabetical order.
GENERIC = tuple(sympy.Rational(*pair) for pair in ((3, 7), (5, 13), (7, 11), (2, 9), (11, 17)))

Point = Mapping[sympy.Symbol, Any]


def _generic_points(symbols: Sequence[sympy.Symbol]) -> list[dict[sympy.Symbol, Any]]:
    # Past the fifth symbol the divisors keep values distinct.
    first = {s: GENERIC[i % 5] / (1 + i // 5) for i, s in enumerate(symbols)}
    second = {s: GENERIC[(2 * i + 3) % 5] / (2 + i // 5) for i, s in enumerate(symbols)}
    return [first, second]


def _value(expression: Any, point: Point) -> Any:
    return sympy.N(sympy.sympify(expression).subs(point), DIGITS)


def _witness(point: Point, given: Witness | None, shows: str) -> Witness:
    if given is not None:
        return given.showing(shows)
    return Witness.at(shows, **{str(symbol): value for symbol, value in point.items()})


def _show(value: Any) -> str:
    # A fraction that fits in twelve signs is its own best description.
    if value.is_Rational and len(str(value)) <= 12:
        return str(value)
    return str(sympy.N(value, 12))


def equal(
    left: Any,
    right: Any,
    *,
    points: Sequence[Point] = (),
    witness: Witness | None = None,
    reduce: Callable[[Any], Any] = sympy.simplify,
) -> Answer:
    """Say whether two expressions are equal for all values that their symbols may take.

    `points` are exact points to look for a difference at (default: two generic ones, every symbol
    in (0, 1)); `reduce` brings the difference to 0 where `simplify` is not the right tool.
    """
    left, right = sympy.sympify(left), sympy.sympify(right)
    symbols = sorted((left - right).free_symbols, key=str)
    for point in points or _generic_points(symbols):
        a, b = _value(left, point), _value(right, point)
        if a.is_finite is False or b.is_finite is False:
            continue
        if sympy.Abs(a - b) > NOISE:
            shows = f"{_show(a)} against {_show(b)}"
            return Answer(Outcome.FAILS, Strength.PROOF, _witness(point, witness, shows))
    difference = left - right
    if sympy.expand(difference) == 0 or reduce(difference) == 0:
        return Answer(Outcome.HOLDS, Strength.PROOF, detail="the difference reduces to 0")
    return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="the difference did not reduce to 0")


def positive(
    expression: Any, *, points: Sequence[Point] = (), witness: Witness | None = None
) -> Answer:
    """Say whether an expression is positive for all values that its symbols may take."""
    expression = sympy.sympify(expression)
    symbols = sorted(expression.free_symbols, key=str)
    for point in points or _generic_points(symbols):
        value = _value(expression, point)
        if value < -NOISE or value == 0:
            shows = f"{_show(value)} is not positive"
            return Answer(Outcome.FAILS, Strength.PROOF, _witness(point, witness, shows))
    for form in (expression, sympy.factor(expression), sympy.simplify(expression)):
        if form.is_positive:
            return Answer(Outcome.HOLDS, Strength.PROOF, detail=f"{form} is positive")
    return Answer(Outcome.UNDECIDED, Strength.PROOF, detail=f"sign of {expression} not found")


def limit(
    expression: Any,
    symbol: sympy.Symbol,
    to: Any,
    expected: Any,
    *,
    direction: str = "+",
    witness: Witness | None = None,
) -> Answer:
    """Say whether the limit of an expression is the expected one."""
    return equal(sympy.limit(expression, symbol, to, direction), expected, witness=witness)


RELATIONS: Mapping[str, Callable[[Any], bool]] = {
    "==": lambda d: d == 0,
    "!=": lambda d: d != 0,
    "<": lambda d: d < 0,
    ">": lambda d: d > 0,
    "<=": lambda d: d <= 0,
    ">=": lambda d: d >= 0,
}


def _sign(difference: Any) -> Any | None:
    """Return the sign of a constant: exactly for rationals, to 50 digits else, None if unclear."""
    if difference.is_Rational:
        return sympy.sign(difference)
    value = sympy.N(difference, DIGITS)
    if value.is_extended_real and sympy.Abs(value) > NOISE:
        return sympy.sign(value)
    return sympy.Integer(0) if sympy.simplify(difference) == 0 else None


def compare(left: Any, relation: str, right: Any, *, witness: Witness) -> Answer:
    """Decide `left relation right` between two constants: HOLDS, or FAILS at the witness.

    `relation` is one of == != < > <= >=.
    """
    left, right = sympy.sympify(left), sympy.sympify(right)
    sign = _sign(left - right)
    if sign is None:
        return Answer(Outcome.UNDECIDED, Strength.PROOF, detail="sign of the difference not found")
    shows = f"{_show(left)} {relation} {_show(right)}"
    if RELATIONS[relation](sign):
        return Answer(Outcome.HOLDS, Strength.PROOF, witness.showing(shows), detail=shows)
    return Answer(Outcome.FAILS, Strength.PROOF, witness.showing(f"not {shows}"))
