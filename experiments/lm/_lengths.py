"""What length does to gamma, and what sum, mean and gamma* make of one log.

    sum   w                     the sequence's own ratio, gamma = 1
    mean  w^(1/T)               the geometric mean of the tokens' ratios, gamma = 1/T   (SEQ.gspo)
    rule  w^gamma*              one gamma for the log, the root of its ESS              (SEQ.length)

Each is judged as an estimate of E_pi[r] from the log of mu, self-normalised. To first order in log
w the value moves from mu's towards pi's by the share gamma, so that `mean` leaves all but about 1/T
of the way, and the variance that it saves is what it does not correct.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from experiments.lm import _resample as resample
from experiments.lm._scored import Scored, exponents, prefix_lengths, prefixes
from experiments.runs import Json
from isr_theory.weights import gamma_star

REACH = 4096.0
"""How far above 1 the root of the ESS is looked for: a few tokens near mu have little to flatten,
and where the largest weights are a share above the target there is none."""
AROUND = np.exp(np.linspace(-1.5, 1.5, 129))
"""Gammas, over the log's own root, among which a replicate's is found: on a line in logarithms
between two of them, where a bend of order 1 over steps of 0.023 leaves 1e-4 of it."""


def roots(log_w: resample.Array, counts: resample.Array, rho_min: float) -> resample.Array:
    """Return the gamma in (0, 4096] at which each row's ESS/n is rho_min.

    ESS falls in gamma for every sample (T8.3.b.fix), so that there is one, if any.
    """
    target = -math.log(rho_min)
    # The library's rule ends at 1; w^4096 has its root where w has it, over 4096.
    own = REACH * float(gamma_star(REACH * log_w, rho_min, method="exact"))
    grid = own * AROUND
    deficit = -resample.log_ess(log_w, counts, grid.tolist()).clip(None, -1e-300)
    found = [np.interp(math.log(target), np.log(row), np.log(grid)) for row in deficit]
    return np.minimum(REACH, np.exp(found))


def rate(log: Scored, counts: resample.Array, rho_min: float) -> Json:
    """Return gamma* by the length of a prefix, closed and exact, and its exponents of T."""
    lengths = prefix_lengths(log.length)
    columns = prefixes(log.tokens, lengths).T
    sigma2 = np.stack([resample.cumulants(column, counts)[:, 1] for column in columns], axis=1)
    closed = np.sqrt(-math.log(rho_min) / sigma2)
    exact = np.stack([roots(column, counts, rho_min) for column in columns], axis=1)
    return {
        "lengths": lengths,
        "closed": [resample.interval(row) for row in closed.T],
        "exact": [resample.interval(row) for row in exact.T],
        "exponents": {
            "closed": exponents(lengths, closed),
            "exact": exponents(lengths, exact),
        },
    }


def aggregations(log: Scored, counts: resample.Array, rho_min: float) -> Mapping[str, Json]:
    """Return ESS, the estimate of the reward and its error, and the way gone, by aggregation.

    `way` is (V - V_mu)/(V_pi - V_mu), V_pi by full self-normalised weights: 0 for no correction;
    None where the reward hardly moves, by less than two standard errors. `error` is the standard
    error of V for a single sequence, so that over sqrt(n) it is that of n of them.
    """
    log_w, reward = log.log_w, log.reward
    gamma = np.minimum(1.0, roots(log_w, counts, rho_min))
    exponents = {
        "none": np.zeros((1, 1)),
        "sum": np.ones((1, 1)),
        "mean": 1 / log.length[None],
        "rule": gamma[:, None],
    }
    values: dict[str, resample.Array] = {}
    shown: dict[str, Json] = {}
    for name, exponent in exponents.items():
        scaled = exponent * log_w
        own = np.exp(scaled - scaled.max(-1, keepdims=True))
        # The counts enter squares once: a sequence that was drawn twice is two sequences.
        powers, squares = counts * own, counts * own**2
        mass, total = powers.sum(-1), counts.sum(-1)
        values[name] = (powers * reward).sum(-1) / mass
        away2 = (reward - values[name][:, None]) ** 2
        shown[name] = {
            "ess": resample.interval(mass**2 / squares.sum(-1) / total),
            "value": resample.interval(values[name]),
            "error": resample.interval(np.sqrt((squares * away2).sum(-1) * total) / mass),
        }
    moved = values["sum"] - values["none"]
    # Rewards that are all alike move by rounding alone.
    clear = abs(moved[0]) > max(2 * moved[1:].std(), 1e-9)
    for name, value in values.items():
        way = resample.interval((value - values["none"]) / moved) if clear else None
        shown[name]["way"] = way
    gammas = {"sum": 1.0, "mean": float((1 / log.length).mean()), "rule": float(gamma[0])}
    for name, each in gammas.items():
        shown[name]["gamma"] = each
    return shown
