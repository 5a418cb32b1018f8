"""A law on any number of outcomes, known by a general one: how identities are shown for every law.

With l = log(p*/mu) an outcome has mass e^u under mu, e^(u + l) under p* and, up to 1/Z,
e^(u + gamma l) under p_gamma. A formula that adds up over a law takes a list of one general outcome
for it. The sums that it forms are linear, and nothing else is used of them, so they may as well be
integrals.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import sympy

from isr_theory.arithmetic import Exact
from isr_theory.claim import Answer, Scope
from isr_theory.engines import symbolic

C, D, GAMMA, MASS = sympy.symbols("c d gamma p", positive=True)
U, V, LEVEL, NUDGE, X = sympy.symbols("u v l t x", real=True)


@dataclass(frozen=True)
class General:
    """A number of a general outcome: an expression in its u = log mu and l = log(p*/mu).

    Operators act on each outcome alone; Python's `sum`, which starts from 0, is the sum over all
    outcomes, to second order in a nudge t of gamma.
    """

    entry: Any

    def _by(self, function: Callable[[Any, Any], Any], other: Any) -> General:
        return General(function(self.entry, other.entry if isinstance(other, General) else other))

    def __add__(self, other: Any) -> General:
        return self._by(operator.add, other)

    def __sub__(self, other: Any) -> General:
        return self._by(operator.sub, other)

    def __mul__(self, other: Any) -> General:
        return self._by(operator.mul, other)

    def __rmul__(self, other: Any) -> General:
        return self._by(operator.mul, other)

    def __truediv__(self, other: Any) -> General:
        return self._by(operator.truediv, other)

    def __radd__(self, start: Any) -> Any:
        orders = [sympy.diff(self.entry, NUDGE, k).subs(NUDGE, 0) for k in range(3)]
        terms = (NUDGE**k / sympy.factorial(k) * total(e) for k, e in enumerate(orders))
        return sum(terms, start=start)


def total(entry: Any) -> Any:
    """Return the sum over all outcomes: mu and p* have mass 1, any other sum gets a name."""
    known = {sympy.exp(U): sympy.S.One, sympy.exp(U) * sympy.exp(LEVEL): sympy.S.One}
    result = sympy.S.Zero
    for term in sympy.Add.make_args(sympy.expand(entry)):
        constant, part = term.as_independent(U, LEVEL, as_Add=False)
        result += constant * known.get(part, sympy.Symbol(f"sum[{part}]", real=True))
    return result


def _log(x: Any) -> Any:
    if isinstance(x, General):
        return General(sympy.expand_log(sympy.log(x.entry), force=True))
    return sympy.log(x)


def _power(x: General, y: Any) -> General:
    return General(sympy.exp(sympy.expand(y * _log(x).entry)))


SUMS: Any = SimpleNamespace(number=Exact.number, log=_log, power=_power)
"""The arithmetic of general outcomes."""
MU, TARGET = [General(sympy.exp(U))], [General(sympy.exp(U + LEVEL))]
EVERY_LAW = Scope("every law, p* positive where mu is: sums over a general outcome", whole=True)


def general_bias(gamma: Any = GAMMA) -> Any:
    """KL(p* || p_gamma) of a general law, gamma nudged: the sum of p* log(p* Z / mass)."""
    return _general_bias(sympy.sympify(gamma))


@cache
def _general_bias(gamma: Any) -> Any:
    mass = General(sympy.exp(U + (gamma + NUDGE) * LEVEL))
    target = TARGET[0]
    return 0 + target * _log(target * (0 + mass) / mass)


def slope_of(expression: Any, order: int = 1) -> Any:
    """Return a derivative in gamma, at no nudge."""
    return sympy.diff(expression, NUDGE, order).subs(NUDGE, 0)


def gibbs() -> list[Answer]:
    """Prove Gibbs's inequality at one outcome: with x = log(p/q), p x - p + q >= 0.

    It is convex in x, and flat and 0 at x = 0. Two laws have the same mass, so the sum of p x over
    all outcomes is one of such terms.
    """
    excess = MASS * X - MASS + MASS * sympy.exp(-X)
    return [
        symbolic.positive(sympy.diff(excess, X, 2)),
        symbolic.equal(sympy.diff(excess, X).subs(X, 0), 0),
        symbolic.equal(excess.subs(X, 0), 0),
    ]


def total_mass() -> Any:
    """Z, the sum of mu^(1-gamma) p*^gamma."""
    return total(sympy.exp(U + GAMMA * LEVEL))


def slope_by_pairs() -> Any:
    """Z Bias' as the sum over all pairs: (sum m l)(sum p*) - (sum p* l)(sum m), m = e^(u+gamma l).

    The sum of p* is 1.
    """
    mass, target = sympy.exp(U + GAMMA * LEVEL), sympy.exp(U + LEVEL)
    return total(mass * LEVEL) - total(target * LEVEL) * total(mass)


def pairs_have_sign(sign: int) -> list[Answer]:
    """Prove that two outcomes add a negative share to Z Bias' at 1 - c, a positive one at 1 + c.

    Their levels are l < l + d. An outcome with itself adds 0.
    """
    gamma = 1 + sign * C
    rows = [(U, LEVEL), (V, LEVEL + D)]
    (m1, m2), (p1, p2) = ([sympy.exp(u + g * x) for u, x in rows] for g in (gamma, 1))
    (_, x1), (_, x2) = rows
    share = (m1 * x1 + m2 * x2) * (p1 + p2) - (p1 * x1 + p2 * x2) * (m1 + m2)
    tilt = sympy.exp(U + V + (2 + sign * C) * LEVEL + D + sign * C * D / 2)
    size = 2 * D * tilt * sympy.sinh(C * D / 2)
    return [
        symbolic.positive(size),
        symbolic.equal(sign * share, size, reduce=_in_exponentials),
    ]


def _in_exponentials(difference: Any) -> Any:
    return sympy.expand(difference.rewrite(sympy.exp))
