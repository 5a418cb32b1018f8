"""Automatic differentiation in float64 against exact enumeration.

torch is imported by the functions, at their first call, so that loading the ledger does not load
it. Policies here are tabular or low-dimensional, and every expectation is a sum over all outcomes:
there is no sampling noise, only rounding.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from isr_theory.claim import Answer, Outcome, Strength, Witness

# Sums of a few dozen float64 terms of order 1, differentiated once or twice, lose at most a few
# thousand ulps: 1e4 * 2.2e-16 = 2.2e-12. 1e-10 leaves room for condition numbers up to 50.
TOLERANCE = 1e-10

Tensor = Any


def available() -> bool:
    """Say whether torch can be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None


def torch() -> Any:
    """Return the torch module, one thread: the work here is tiny and processes run side by side."""
    import torch as module

    module.set_num_threads(1)
    return module


def tensor(values: Any, *, requires_grad: bool = False) -> Tensor:
    """Return a float64 tensor of exact or floating numbers, nested as given."""
    return torch().tensor(_floats(values), dtype=torch().float64, requires_grad=requires_grad)


def _floats(values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        return [_floats(value) for value in values]
    return float(values)


def gradient(objective: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return the gradient of a scalar objective at a point, detached."""
    point = at.detach().clone().requires_grad_(True)
    (slope,) = torch().autograd.grad(objective(point), point)
    return slope.detach()


def hessian(objective: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return the matrix of second derivatives of a scalar objective at a point."""
    return torch().autograd.functional.hessian(objective, at.detach().clone())


def close(
    actual: Tensor | Sequence[Any], expected: Tensor | Sequence[Any], *, witness: Witness
) -> Answer:
    """Say whether two vectors agree to 1e-10 relative to their size."""
    module = torch()
    a = actual if isinstance(actual, module.Tensor) else tensor(actual)
    b = expected if isinstance(expected, module.Tensor) else tensor(expected)
    a, b = a.detach().reshape(-1), b.detach().reshape(-1)
    if a.shape != b.shape:
        raise ValueError(f"close() compares {tuple(a.shape)} with {tuple(b.shape)}")
    if not bool(module.isfinite(a).all() and module.isfinite(b).all()):
        # An overflow or a nan is not a counterexample, and inf is within any share of inf.
        return Answer(Outcome.UNDECIDED, Strength.AGREEMENT, detail="not all numbers are finite")
    scale = 1.0 + float(b.abs().max())
    error = float((a - b).abs().max())
    if error <= TOLERANCE * scale:
        return Answer(Outcome.HOLDS, Strength.AGREEMENT, detail="float64, 1e-10")
    shows = f"{_row(a)} against {_row(b)}"
    return Answer(Outcome.FAILS, Strength.AGREEMENT, witness.showing(shows))


def _row(values: Tensor) -> str:
    numbers = ", ".join(f"{float(value):.8g}" for value in values)
    return numbers if len(values) == 1 else f"({numbers})"


def compare(left: Any, relation: str, right: Any, *, witness: Witness) -> Answer:
    """Decide < > or != between two float64 numbers; closer than the tolerance is UNDECIDED."""
    a, b = float(left), float(right)
    shows = f"{a:.8g} {relation} {b:.8g}"
    if not abs(a - b) > TOLERANCE * (1 + abs(b)):
        return Answer(Outcome.UNDECIDED, Strength.AGREEMENT, detail=f"{shows}: too close to tell")
    if {"<": a < b, ">": a > b, "!=": True}[relation]:
        return Answer(Outcome.HOLDS, Strength.AGREEMENT, witness.showing(shows), detail=shows)
    return Answer(Outcome.FAILS, Strength.AGREEMENT, witness.showing(f"not {shows}"))
