"""Numerical verification of a theory of flattened importance weights, and its practical part.

`python -m isr_theory.verify all` judges every statement of the paper "IS Reshape" (v3.0) from
evidence computed there and then. What a person training a policy needs is importable from here, and
`python -m isr_theory.diagnose` reads the log of a run.
"""

from __future__ import annotations

from isr_theory.choice import GammaChoice
from isr_theory.diagnostics import RenyiSpectrum, choose_gamma, renyi_spectrum
from isr_theory.pareto import (
    convergence_rate,
    khat_threshold,
    min_sample_size,
    pareto_khat,
    psis_log_weights,
)
from isr_theory.weights import (
    ess_ratio,
    gamma_star,
    log_moment,
    log_moments,
    max_weight_ratio,
    normalized_weights,
    perplexity_ratio,
    renyi_divergence,
)

__version__ = "0.1.0"

__all__ = [
    "GammaChoice",
    "RenyiSpectrum",
    "__version__",
    "choose_gamma",
    "convergence_rate",
    "ess_ratio",
    "gamma_star",
    "khat_threshold",
    "log_moment",
    "log_moments",
    "max_weight_ratio",
    "min_sample_size",
    "normalized_weights",
    "pareto_khat",
    "perplexity_ratio",
    "psis_log_weights",
    "renyi_divergence",
    "renyi_spectrum",
]
