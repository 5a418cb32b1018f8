"""What a relation is, a suite of them, and which of them a function breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[..., Any]
Inputs = tuple[Any, ...]
Sides = tuple[Any, Any]

DOUBLE = 2.0**-53
SINGLE = 2.0**-24


def equal(left: Any, right: Any, slack: float) -> bool:
    """Return whether two answers have one shape and differ nowhere by more than the slack."""
    if np.shape(left) != np.shape(right):
        return False
    # -inf is close to itself, which their difference, a NaN, would hide; a NaN is close to nothing.
    same = np.equal(left, right)
    with np.errstate(invalid="ignore"):
        close = np.abs(np.subtract(left, right, dtype=np.float64)) <= slack
    return bool(np.all(same | close))


def at_most(left: Any, right: Any, slack: float) -> bool:
    """Return whether the left answer is nowhere above the right one by more than the slack."""
    return bool(np.all(np.asarray(left) <= np.asarray(right) + slack))


@dataclass(frozen=True)
class Relation:
    """Two sides that belong together, each made of a function's answers on one input.

    `sides` takes the function and its inputs; `holds` takes the sides and a slack.
    """

    name: str
    says: str
    sides: Callable[..., Sides]
    holds: Callable[[Any, Any, float], bool] = equal


@dataclass(frozen=True)
class Suite:
    """The relations of one kind of function, and how far rounding may carry their sides apart.

    `takes` names the function's inputs, and `slack` takes a precision and those inputs.
    """

    takes: tuple[str, ...]
    relations: tuple[Relation, ...]
    slack: Callable[..., float]
    precision: float = DOUBLE


@dataclass(frozen=True, eq=False)
class Violation:
    """A relation that a function broke, the input that shows it and both sides; or what it raised.

    `inputs` maps the names of the function's inputs to their values.
    """

    relation: Relation
    inputs: dict[str, Any]
    left: Any = None
    right: Any = None
    raised: Exception | None = None

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {_shown(value)}" for name, value in self.inputs.items())
        sign = "<=" if self.relation.holds is at_most else "=="
        what = (
            f"{_shown(self.left)} {sign} {_shown(self.right)} fails"
            if self.raised is None
            else f"raised {type(self.raised).__name__}: {self.raised}"
        )
        return f"{self.relation.name}: {self.relation.says}; {what}\nat {where}"

    __repr__ = __str__


def _shown(value: Any) -> str:
    # All digits of a single number; the ends of a long array.
    return str(value) if np.ndim(value) == 0 else np.array2string(np.asarray(value), threshold=12)


def check(
    suite: Suite,
    relation: Relation,
    function: Function,
    inputs: Inputs,
    precision: float | None = None,
) -> Violation | None:
    """Return how a function breaks one relation of a suite on one input, or None.

    An exception is a violation too, and so is an answer that is no number. The function gets
    copies.
    """
    given = tuple(np.array(x) if isinstance(x, np.ndarray) else x for x in inputs)
    named = dict(zip(suite.takes, inputs, strict=True))
    slack = suite.slack(suite.precision if precision is None else precision, *inputs)
    try:
        left, right = relation.sides(function, *given)
        holds = relation.holds(left, right, slack)
    except Exception as error:
        return Violation(relation, named, raised=error)
    return None if holds else Violation(relation, named, left, right)


def violations(
    suite: Suite, function: Function, inputs: Iterable[Inputs], precision: float | None = None
) -> list[Violation]:
    """Return, for every relation of a suite that a function breaks, its first violation."""
    cases = list(inputs)
    found = []
    for relation in suite.relations:
        for case in cases:
            violation = check(suite, relation, function, case, precision)
            if violation is not None:
                found.append(violation)
                break
    return found
