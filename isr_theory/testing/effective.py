"""What any effective sample size of flattened weights must keep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from isr_theory.testing.relations import (
    DOUBLE,
    Array,
    Function,
    Relation,
    Sides,
    Suite,
    Violation,
    at_most,
    violations,
)
from isr_theory.testing.samples import (
    LEAD,
    NOT_SILENT,
    SHIFT,
    UNTOUCHED,
    defined_ess,
    ess_slack,
    positive_share,
    rows_of,
)

GAMMAS = (0.0, 0.125, 0.5, 1.0)


def _along_gamma(ess: Function, log_w: Array, gamma: float) -> Sides:
    values = np.array([ess(log_w, gamma * step / 4) for step in range(5)])
    return values[1:], values[:-1]


ESS = Suite(
    takes=("log_w", "gamma"),
    slack=ess_slack,
    relations=(
        Relation(
            "definition",
            "ESS/n is (sum w^gamma)^2 / (n sum w^(2 gamma))",
            lambda ess, log_w, gamma: (ess(log_w, gamma), defined_ess(log_w, gamma)),
        ),
        Relation(
            "floor",
            "ESS/n is at least 1/n",
            lambda ess, log_w, gamma: (1 / len(log_w), ess(log_w, gamma)),
            at_most,
        ),
        Relation(
            "ceiling",
            "ESS/n is at most 1",
            lambda ess, log_w, gamma: (ess(log_w, gamma), 1.0),
            at_most,
        ),
        Relation(
            "equal weights",
            "equal weights have all of the sample",
            lambda ess, log_w, gamma: (ess(np.full_like(log_w, log_w.max()), gamma), 1.0),
        ),
        Relation(
            "one positive weight",
            "one positive weight among n has 1/n",
            lambda ess, log_w, gamma: (
                ess(np.append(np.full(len(log_w) - 1, -np.inf), log_w.max()), gamma),
                1 / len(log_w),
            ),
        ),
        Relation(
            "share at zero",
            "at gamma = 0 it is the share of positive weights: w^0 is 1 for w > 0 and 0 for w = 0",
            lambda ess, log_w, gamma: (ess(log_w, 0.0), positive_share(log_w)),
        ),
        Relation("falls in gamma", "it never rises with gamma", _along_gamma, at_most),
        Relation(
            "shift",
            "a factor common to all weights changes nothing",
            lambda ess, log_w, gamma: (ess(log_w + SHIFT, gamma), ess(log_w, gamma)),
        ),
        Relation(
            "order",
            "the order of the sample changes nothing",
            lambda ess, log_w, gamma: (ess(log_w[::-1].copy(), gamma), ess(log_w, gamma)),
        ),
        Relation(
            "copies",
            "the sample taken three times has the same ESS/n",
            lambda ess, log_w, gamma: (ess(np.tile(log_w, 3), gamma), ess(log_w, gamma)),
        ),
        Relation(
            "flattening",
            "flattening composes: ess(c log_w, gamma) = ess(log_w, c gamma)",
            lambda ess, log_w, gamma: (ess(0.75 * log_w, gamma), ess(log_w, 0.75 * gamma)),
        ),
        Relation(
            "zero weight",
            "one more weight of 0 adds to n and to nothing else",
            lambda ess, log_w, gamma: (
                ess(np.append(log_w, -np.inf), gamma),
                ess(log_w, gamma) * len(log_w) / (len(log_w) + 1),
            ),
        ),
        Relation(
            "sign",
            "at gamma = 1 one weight far above all others takes the sample",
            lambda ess, log_w, gamma: (
                ess(np.append(log_w, log_w.max() + LEAD), 1.0),
                1 / (len(log_w) + 1),
            ),
        ),
        NOT_SILENT,
        UNTOUCHED,
    ),
)


def ess_violations(
    ess: Function, batches: Iterable[ArrayLike] | None = None, *, precision: float = DOUBLE
) -> list[Violation]:
    """Return what an ESS function breaks: ess(log_w, gamma) -> ESS/n.

    `log_w` is one axis of float64, -inf for a weight of 0; gamma is in [0, 1].
    """
    inputs = [(log_w, gamma) for log_w in rows_of(batches) for gamma in GAMMAS]
    return violations(ESS, ess, inputs, precision)
