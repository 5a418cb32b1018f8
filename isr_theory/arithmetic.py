"""One formula, many arithmetics.

A formula of `isr_theory.formulas` takes its numbers and an arithmetic `m`, and uses Python's own
operators plus the functions named here. So the same line is algebra under `Exact`, a rigorous
enclosure under `Ball`, a number under `Real` and a differentiable tensor under `Tensor`.

`Jet` is `Ball` on truncated power series: it encloses derivatives as well as values.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Protocol

import flint
import sympy

Number = Any
"""A value in some arithmetic. The arithmetics share no base class, so no narrower type is true."""


class Arithmetic(Protocol):
    """What a formula may ask of an arithmetic besides + - * / and integer literals."""

    def number(self, value: Fraction | int | str) -> Number:
        """Return an exact rational in this arithmetic."""
        ...

    def exp(self, x: Number) -> Number:
        """Return e^x."""
        ...

    def log(self, x: Number) -> Number:
        """Return the natural logarithm."""
        ...

    def sqrt(self, x: Number) -> Number:
        """Return the square root."""
        ...

    def power(self, x: Number, y: Number) -> Number:
        """Return x^y for x > 0; 0^0 is 1 and 0^y is 0 for y > 0."""
        ...

    def sin(self, x: Number) -> Number:
        """Return the sine."""
        ...

    def arccos(self, x: Number) -> Number:
        """Return the inverse cosine in [0, pi]."""
        ...

    def minimum(self, x: Number, y: Number) -> Number:
        """Return the smaller one."""
        ...


class _Exact:
    def number(self, value: Fraction | int | str) -> Number:
        return sympy.Rational(str(value))

    def exp(self, x: Number) -> Number:
        return sympy.exp(x)

    def log(self, x: Number) -> Number:
        return sympy.log(x)

    def sqrt(self, x: Number) -> Number:
        return sympy.sqrt(x)

    def power(self, x: Number, y: Number) -> Number:
        return sympy.sympify(x) ** y

    def sin(self, x: Number) -> Number:
        return sympy.sin(x)

    def arccos(self, x: Number) -> Number:
        return sympy.acos(x)

    def minimum(self, x: Number, y: Number) -> Number:
        return sympy.Min(x, y)


class _Ball:
    def number(self, value: Fraction | int | str) -> Number:
        fraction = Fraction(value)
        return flint.arb(flint.fmpq(fraction.numerator, fraction.denominator))

    def exp(self, x: Number) -> Number:
        return flint.arb(x).exp()

    def log(self, x: Number) -> Number:
        return flint.arb(x).log()

    def sqrt(self, x: Number) -> Number:
        return flint.arb(x).sqrt()

    def power(self, x: Number, y: Number) -> Number:
        base, exponent = flint.arb(x), flint.arb(y)
        if base.is_zero():
            if exponent.is_zero():
                return flint.arb(1)
            # 0^y jumps at y = 0 and is infinite below, so a ball that reaches there has no hull.
            return base if exponent > 0 else flint.arb.nan()
        return (exponent * base.log()).exp()

    def sin(self, x: Number) -> Number:
        return flint.arb(x).sin()

    def arccos(self, x: Number) -> Number:
        return flint.arb(x).acos()

    def minimum(self, x: Number, y: Number) -> Number:
        return flint.arb(x).min(flint.arb(y))


class _Jet:
    """Power series with ball coefficients; scalars are lifted where they meet a function."""

    def number(self, value: Fraction | int | str) -> Number:
        return Ball.number(value)

    def exp(self, x: Number) -> Number:
        return _series(x).exp()

    def log(self, x: Number) -> Number:
        return _series(x).log()

    def sqrt(self, x: Number) -> Number:
        return _series(x).sqrt()

    def power(self, x: Number, y: Number) -> Number:
        return (y * _series(x).log()).exp()

    def sin(self, x: Number) -> Number:
        return _series(x).sin()

    def arccos(self, x: Number) -> Number:
        return _series(x).acos()

    def minimum(self, x: Number, y: Number) -> Number:
        raise ValueError("minimum is not differentiable: use Ball, not Jet")


def _series(x: Number) -> Number:
    return x if isinstance(x, flint.arb_series) else flint.arb_series([flint.arb(x)])


class _Real:
    def number(self, value: Fraction | int | str) -> Number:
        return float(Fraction(value))

    def exp(self, x: Number) -> Number:
        return math.exp(x)

    def log(self, x: Number) -> Number:
        return math.log(x)

    def sqrt(self, x: Number) -> Number:
        return math.sqrt(x)

    def power(self, x: Number, y: Number) -> Number:
        return x**y

    def sin(self, x: Number) -> Number:
        return math.sin(x)

    def arccos(self, x: Number) -> Number:
        return math.acos(x)

    def minimum(self, x: Number, y: Number) -> Number:
        return min(x, y)


class _Tensor:
    """torch in float64. torch is imported here, at the first call, and not before."""

    def number(self, value: Fraction | int | str) -> Number:
        import torch

        return torch.tensor(float(Fraction(value)), dtype=torch.float64)

    def exp(self, x: Number) -> Number:
        return self._lift(x).exp()

    def log(self, x: Number) -> Number:
        return self._lift(x).log()

    def sqrt(self, x: Number) -> Number:
        return self._lift(x).sqrt()

    def power(self, x: Number, y: Number) -> Number:
        return self._lift(x) ** y

    def sin(self, x: Number) -> Number:
        return self._lift(x).sin()

    def arccos(self, x: Number) -> Number:
        return self._lift(x).acos()

    def minimum(self, x: Number, y: Number) -> Number:
        import torch

        return torch.minimum(self._lift(x), self._lift(y))

    def _lift(self, x: Number) -> Number:
        import torch

        return x if isinstance(x, torch.Tensor) else torch.tensor(float(x), dtype=torch.float64)


Exact: Arithmetic = _Exact()
Ball: Arithmetic = _Ball()
Jet: Arithmetic = _Jet()
Real: Arithmetic = _Real()
Tensor: Arithmetic = _Tensor()
