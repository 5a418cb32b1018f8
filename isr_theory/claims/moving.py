"""A policy that moves: one general outcome of it, and the slope of an objective in its logits.

Sections 1 to 5 show identities between gradients outcome by outcome, in the symbols below, and try
them on softmax policies in balls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Jet
from isr_theory.engines import certified

W, MU, PI, R, GAMMA, C = sympy.symbols("w mu pi r gamma c", positive=True)
THETA, S = sympy.symbols("theta s", real=True)
# pi moves as PI e^(theta S): its value and its score at an outcome are then free, and a first
# derivative at theta = 0 sees nothing else of the policy.
MOVING = PI * sympy.exp(THETA * S)


def slope(expression: Any) -> Any:
    """Differentiate in theta at theta = 0."""
    return sympy.diff(expression, THETA).subs(THETA, 0)


def along_logits(objective: Callable[[list[Any]], Any], pi: Any) -> list[Any]:
    """Enclose the slope of an objective of the policy in every softmax logit."""

    def along(k: int) -> Any:
        def moved(t: Any) -> Any:
            masses = [p * Jet.exp(t) if y == k else p for y, p in enumerate(pi)]
            return objective(formulas.normalised(masses))

        return certified.derivatives(moved, Ball.number(0), 1)[1]

    return [along(k) for k in range(len(pi))]
