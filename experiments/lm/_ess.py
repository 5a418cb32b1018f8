"""-log(ESS/n) over gamma beside two series of it, in one log.

    closed    sigma^2 gamma^2                                           (Theorem 8.2)
    cumulant  kappa2 gamma^2 + kappa3 gamma^3 + (7/12) kappa4 gamma^4   (GAM.cumulant's order)

Both series take their cumulants from the same sequences as the ESS, so that what differs is the
law of log w and not the sample.
"""

from __future__ import annotations

import numpy as np

from experiments.lm import _resample as resample
from experiments.lm._scored import Scored
from experiments.runs import Json

GAMMAS = tuple(round(0.05 * k, 2) for k in range(1, 21))
DEEPEST = 0.3
"""The least ESS/n, by the closed form, at which the series are asked for."""


def closed(found: resample.Array, gammas: resample.Array) -> resample.Array:
    """Return sigma^2 gamma^2, (rows, gammas), from a table of cumulants."""
    return found[:, 1:2] * gammas**2


def cumulant(found: resample.Array, gammas: resample.Array) -> resample.Array:
    """Return the series to the fourth cumulant."""
    third, fourth = found[:, 2:3] * gammas**3, found[:, 3:4] * gammas**4
    return closed(found, gammas) + third + 7 / 12 * fourth


def measure(log: Scored, counts: resample.Array) -> Json:
    """Return -log(ESS/n) and both series by gamma, and how far they are from it as a whole.

    `off` is the root of the mean square of series/truth - 1 over the gammas at which the closed
    form leaves at least 0.3; `left` is the series' over the closed form's, replicate by replicate.
    """
    gammas = np.asarray(GAMMAS)
    found = resample.cumulants(log.log_w, counts)
    truth = -resample.log_ess(log.log_w, counts, GAMMAS)
    series = {"closed": closed(found, gammas), "cumulant": cumulant(found, gammas)}
    used = series["closed"][0] <= -np.log(DEEPEST)
    off = {
        name: np.sqrt(((rows / truth - 1)[:, used] ** 2).mean(-1)) for name, rows in series.items()
    }
    return {
        "gammas": list(GAMMAS),
        "used": [bool(x) for x in used],
        "deficit": [resample.interval(row) for row in truth.T],
        "closed": [resample.interval(row) for row in series["closed"].T],
        "cumulant": [resample.interval(row) for row in series["cumulant"].T],
        "ratio": [resample.interval(row) for row in (truth / series["closed"]).T],
        "off": {name: resample.interval(rows) for name, rows in off.items()},
        # Kept row by row: means over policies and tasks have intervals of their own.
        "left": [float(x) for x in off["cumulant"] / off["closed"]],
    }
