"""Numerical verification of a theory of flattened importance weights, and its practical part.

`python -m isr_theory.verify all` judges every statement of the paper "IS Reshape" (v3.0) from
evidence computed there and then. What a person training a policy needs is importable from here.
"""

from __future__ import annotations

from isr_theory.weights import (
    ess_ratio,
    gamma_star,
    log_moment,
    normalized_weights,
    renyi_divergence,
)

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "ess_ratio",
    "gamma_star",
    "log_moment",
    "normalized_weights",
    "renyi_divergence",
]
