"""Batches and small policies for the claims about listings.

A listing's arithmetic, written over columns, is sums of entrywise expressions. `Generic` is a
column of unknown length: it knows the expression of its general entry, and its sum is linear in
unknown sums, so an identity that holds for it holds for every batch. `Row` is a column of numbers
of one arithmetic. Tensors are columns themselves, and on them the listings run.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flint
import sympy

from isr_theory import listings
from isr_theory.arithmetic import Arithmetic, Number, Tensor
from isr_theory.claim import Answer
from isr_theory.engines import neural, symbolic

Column = Any
"""A `Row`, a `Generic` or a tensor: + - * / by entries or with a number, and `sum()`."""

LEVEL, BASE, LOG_PI, REWARD, SCORE = sympy.symbols("l b p r s", real=True)
"""Of a generic row: log w, log mu, log pi, the reward, the score along a direction."""
POWERED = sympy.Symbol("x", positive=True)
"""w^gamma of a generic row."""
ROW = (LEVEL, BASE, LOG_PI, REWARD, SCORE, POWERED)

SIZE, VARIANCE = sympy.symbols("n V", positive=True)
MEAN, LARGEST, NUDGE = sympy.symbols("a M t", real=True)
"""The mean of log w, the largest entry, and how far the policy is moved: log pi + t s."""


def _sum_of(part: Any) -> Any:
    """Return the sum of one product of row symbols; those of l are named by mean and variance."""
    known = {
        sympy.S.One: SIZE,
        LEVEL: SIZE * MEAN,
        LEVEL**2: (SIZE - 1) * VARIANCE + SIZE * MEAN**2,
    }
    return known.get(part, sympy.Symbol(f"sum[{part}]", real=True))


def _total(entry: Any) -> Any:
    total = sympy.S.Zero
    for term in sympy.Add.make_args(sympy.expand(entry)):
        constant, part = term.as_independent(*ROW, as_Add=False)
        total += constant * _sum_of(part)
    return sympy.factor(total)


@dataclass(frozen=True)
class Generic:
    """A column of any length, known by the expression of its general entry."""

    entry: Any

    def _by(self, function: Callable[[Any, Any], Any], other: Any) -> Generic:
        return Generic(function(self.entry, other.entry if isinstance(other, Generic) else other))

    def __add__(self, other: Any) -> Generic:
        return self._by(operator.add, other)

    def __sub__(self, other: Any) -> Generic:
        return self._by(operator.sub, other)

    def __mul__(self, other: Any) -> Generic:
        return self._by(operator.mul, other)

    def __truediv__(self, other: Any) -> Generic:
        return self._by(operator.truediv, other)

    def sum(self) -> Any:
        """Return the sum, to first order in how far the policy is moved."""
        entry = sympy.sympify(self.entry)
        slope = sympy.diff(entry, NUDGE).subs(NUDGE, 0)
        return _total(entry.subs(NUDGE, 0)) + NUDGE * _total(slope)


@dataclass(frozen=True)
class Row:
    """A column of numbers of one arithmetic."""

    values: tuple[Number, ...]

    def _by(self, function: Callable[[Any, Any], Any], other: Any) -> Row:
        others = other.values if isinstance(other, Row) else (other,) * len(self.values)
        return Row(tuple(function(a, b) for a, b in zip(self.values, others, strict=True)))

    def __add__(self, other: Any) -> Row:
        return self._by(operator.add, other)

    def __sub__(self, other: Any) -> Row:
        return self._by(operator.sub, other)

    def __mul__(self, other: Any) -> Row:
        return self._by(operator.mul, other)

    def __truediv__(self, other: Any) -> Row:
        return self._by(operator.truediv, other)

    def sum(self) -> Number:
        """Return the sum of the entries."""
        return sum(self.values)


@dataclass(frozen=True)
class Batch:
    """What a step of training has at hand: three columns, and the count of steps so far."""

    log_pi: Column
    log_mu: Column
    reward: Column | None = None
    step: Number = 0


def column(values: Sequence[Any], m: Arithmetic) -> Column:
    """Return exact numbers as a column of an arithmetic."""
    if m is Tensor:
        return neural.tensor(list(values))
    return Row(tuple(m.number(value) for value in values))


def batch(
    log_pi: Sequence[Any], log_mu: Sequence[Any], m: Arithmetic, reward: Sequence[Any] | None = None
) -> Batch:
    """Return a batch of exact numbers in an arithmetic."""
    rewards = None if reward is None else column(reward, m)
    return Batch(column(log_pi, m), column(log_mu, m), rewards)


def length(values: Column) -> Number:
    """Return how many rows a column has."""
    if isinstance(values, Generic):
        return SIZE
    return len(values.values) if isinstance(values, Row) else len(values)


def each(function: Callable[[Number], Number], values: Column) -> Column:
    """Apply a function of an arithmetic to every entry."""
    if isinstance(values, Generic):
        return Generic(function(values.entry))
    if isinstance(values, Row):
        return Row(tuple(map(function, values.values)))
    return function(values)


def largest(values: Column) -> Number:
    """Return the largest entry; any number stands for it in a generic column."""
    if isinstance(values, Generic):
        return LARGEST
    return max(values.values) if isinstance(values, Row) else values.max()


def detach(values: Column) -> Column:
    """Return a column that does not follow when the policy is moved."""
    return each(_still, values) if isinstance(values, (Generic, Row)) else values.detach()


def _still(value: Number) -> Number:
    if isinstance(value, sympy.Basic):
        return value.subs(NUDGE, 0)
    return value[0] if isinstance(value, flint.arb_series) else value


def slope(value: Any) -> Any:
    """Return the derivative of an expression along the direction in which the policy is moved."""
    return sympy.diff(value, NUDGE).subs(NUDGE, 0)


def equal_for_every_batch(left: Any, right: Any) -> Answer:
    """Say whether two expressions agree for every value of their symbols.

    Differences are looked for at a point with everything below 1 and at one with everything above,
    so that a minimum with 1 is tried on both its sides; n is 5, then 3.
    """
    left, right = sympy.sympify(left), sympy.sympify(right)
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    small = {s: sympy.Rational(i + 2, i + 5) for i, s in enumerate(symbols)}
    big = {s: sympy.Rational(2 * i + 7, 5) for i, s in enumerate(symbols)}
    small[SIZE], big[SIZE] = sympy.Integer(5), sympy.Integer(3)
    return symbolic.equal(left, right, points=[small, big])


@dataclass(frozen=True)
class Given:
    """A policy whose log-probabilities on the batch are given."""

    values: Any

    def log_prob(self, y: Any, x: Any) -> Any:
        """Return the given values, whatever is asked."""
        return self.values

    def parameters(self) -> Iterable[Any]:
        """Nothing here is trained."""
        return ()


def trainer(given: Batch, **settings: float) -> listings.ISReshapeTrainer:
    """Return the trainer of section 12.1 on given log-probabilities."""
    return listings.ISReshapeTrainer(Given(given.log_pi), Given(given.log_mu), **settings)


class Tabular:
    """A softmax policy, three answers to two prompts: logits of the pairs and of the answers."""

    def __init__(self) -> None:
        self.table = neural.tensor([[0.3, -0.2, 0.5], [-0.4, 0.1, 0.2]], requires_grad=True)
        self.shared = neural.tensor([0.1, 0.0, -0.3], requires_grad=True)

    def log_prob(self, y: Any, x: Any) -> Any:
        """Return log p(y | x) by rows."""
        return neural.torch().log_softmax(self.table + self.shared, 1)[x, y]

    def parameters(self) -> Iterable[Any]:
        """Both tables of logits."""
        return (self.table, self.shared)

    def numbers(self) -> list[float]:
        """Every parameter, flat."""
        tables = (table.detach().reshape(-1).tolist() for table in self.parameters())
        return [value for table in tables for value in table]


def prompts_and_answers() -> tuple[Any, Any]:
    """Four prompts and answers to them, as indices into a `Tabular`."""
    return neural.torch().tensor([0, 1, 1, 0]), neural.torch().tensor([2, 0, 1, 1])


@dataclass(frozen=True)
class Descent:
    """Plain gradient descent, with the two methods that the printed loop calls."""

    parameters: Iterable[Any]
    rate: float = 0.5

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        with neural.torch().no_grad():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter -= self.rate * parameter.grad
