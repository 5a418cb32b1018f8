"""Is your ESS right, and your choice of gamma? Relations that anybody's must keep.

For code that computes an effective sample size of flattened weights, solves for a gamma (or a
temperature), measures a KL, makes importance weights or joins token ratios to sequence ratios. A
metamorphic relation ties two answers together where neither is known: shift the log-weights and the
ESS stays. A sign error, a log taken for a linear number or an early exit breaks one of them.

    >>> from isr_theory import ess_ratio, testing
    >>> testing.ess_violations(ess_ratio)
    []
    >>> upside_down = lambda log_w, gamma: 1 / ess_ratio(log_w, gamma)
    >>> print(testing.ess_violations(upside_down, [[0.0, 1.0]])[0])  # doctest: +ELLIPSIS
    definition: ESS/n is (sum w^gamma)^2 / (n sum w^(2 gamma)); 1.0038... == 0.9961... fails
    at log_w = [0. 1.], gamma = 0.125

There is one such function for each kind: `ess_violations`, `gamma_violations`, `kl_violations`,
`estimator_violations`, `weights_violations`, `ratio_violations`. Each returns, for every relation
that your function breaks, the first input that shows it. The built-in inputs are asymmetric on
purpose: on symmetric ones a sign error cannot be seen. To drive the relations with inputs of your
own, from Hypothesis say, pass the suites `ESS`, `GAMMA`, `KL`, `WEIGHTS` and `RATIO` to
`violations`, or one of their relations to `check`.

Answers are compared within a slack that is derived from the input and from `precision`, the
relative rounding of your arithmetic: for float32 pass `precision=testing.SINGLE`. Needs numpy; the
weights need torch.
"""

from __future__ import annotations

from isr_theory.testing.divergences import KL, estimator_violations, kl_violations, laws
from isr_theory.testing.effective import ESS, GAMMAS, ess_violations
from isr_theory.testing.gradients import WEIGHTS, log_probabilities, weights_violations
from isr_theory.testing.ratios import RATIO, ratio_violations, sequences
from isr_theory.testing.relations import (
    DOUBLE,
    SINGLE,
    Relation,
    Suite,
    Violation,
    at_most,
    check,
    equal,
    violations,
)
from isr_theory.testing.samples import defined_ess, ess_slack, log_weights, positive_share
from isr_theory.testing.solvers import GAMMA, TARGETS, gamma_slack, gamma_violations

__all__ = [
    "DOUBLE",
    "ESS",
    "GAMMA",
    "GAMMAS",
    "KL",
    "RATIO",
    "SINGLE",
    "TARGETS",
    "WEIGHTS",
    "Relation",
    "Suite",
    "Violation",
    "at_most",
    "check",
    "defined_ess",
    "equal",
    "ess_slack",
    "ess_violations",
    "estimator_violations",
    "gamma_slack",
    "gamma_violations",
    "kl_violations",
    "laws",
    "log_probabilities",
    "log_weights",
    "positive_share",
    "ratio_violations",
    "sequences",
    "violations",
    "weights_violations",
]
