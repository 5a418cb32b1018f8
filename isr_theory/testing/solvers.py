"""What any search for gamma must keep."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from isr_theory.testing.relations import (
    DOUBLE,
    Array,
    Function,
    Relation,
    Suite,
    Violation,
    at_most,
    violations,
)
from isr_theory.testing.samples import (
    NOT_SILENT,
    SHIFT,
    UNTOUCHED,
    defined_ess,
    ess_slack,
    positive_share,
    rows_of,
)

TARGETS = (0.1, 0.3, 0.8, 0.99)


def gamma_slack(precision: float, log_w: Array, rho_min: float) -> float:
    """Return how far ESS/n may be off where gamma has a relative error of at most `precision`.

    With x = gamma (max log w - log w), d log ESS / d log gamma is 2 (E_2gamma[x] - E_gamma[x]), and
    each mean of x is an entropy minus log sum exp(-x), so it is in [0, log n]: |slope| <= 2 log n,
    and a relation compares two gammas. Gamma itself, where it is 1, is off by one `precision`.
    """
    return precision * (1 + 4 * float(np.log(len(log_w)))) + ess_slack(DOUBLE, log_w)


# Where ESS/n hardly depends on gamma, gammas far apart are equally right, so relations compare the
# ESS/n that they reach on one and the same sample.
GAMMA = Suite(
    takes=("log_w", "rho_min"),
    slack=gamma_slack,
    # A root finder's own tolerance; the gammas of an exit on a rounded ESS are off by 1e-2.
    precision=1e-6,
    relations=(
        Relation(
            "range",
            "gamma is in [0, 1]",
            lambda solve, log_w, rho: (solve(log_w, rho), np.clip(solve(log_w, rho), 0.0, 1.0)),
        ),
        Relation(
            "meets the target",
            "ESS/n at gamma is at least rho_min",
            lambda solve, log_w, rho: (rho, defined_ess(log_w, solve(log_w, rho))),
            at_most,
        ),
        Relation(
            "spends the target",
            "no larger gamma meets it: ESS/n at gamma is at most rho_min, or that at 1 if larger",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w, rho)),
                max(rho, defined_ess(log_w, 1.0)),
            ),
            at_most,
        ),
        Relation(
            "falls in the target",
            "a lower target never lowers gamma",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w, rho / 2)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
            at_most,
        ),
        Relation(
            "scale",
            "twice the log-weights have half the gamma, before the cap at 1",
            lambda solve, log_w, rho: (
                defined_ess(log_w, min(1.0, 2 * solve(2 * log_w, rho))),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "equal weights",
            "equal weights keep gamma at 1",
            lambda solve, log_w, rho: (solve(np.full_like(log_w, log_w.max()), rho), 1.0),
        ),
        Relation(
            "shift",
            "a factor common to all weights changes nothing",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w + SHIFT, rho)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "order and copies",
            "the sample reversed and taken twice has the same gamma",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(np.tile(log_w[::-1], 2), rho)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "zero weight",
            "with one more weight of 0 the target n / (n + 1) rho_min has the same gamma",
            lambda solve, log_w, rho: (
                defined_ess(
                    log_w, solve(np.append(log_w, -np.inf), rho * len(log_w) / (len(log_w) + 1))
                ),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        NOT_SILENT,
        UNTOUCHED,
    ),
)


def gamma_violations(
    solve: Function,
    batches: Iterable[ArrayLike] | None = None,
    *,
    precision: float = GAMMA.precision,
) -> list[Violation]:
    """Return what a solver breaks: solve(log_w, rho_min) -> the largest gamma in [0, 1] that fits.

    It fits where ESS/n >= rho_min. Asked only where some gamma does: the share of positive weights
    is at least rho_min. `precision` is the relative error that gamma may have.
    """
    inputs = [
        (log_w, rho_min)
        for log_w in rows_of(batches)
        for rho_min in TARGETS
        if positive_share(log_w) >= rho_min
    ]
    return violations(GAMMA, solve, inputs, precision)
