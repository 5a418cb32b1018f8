"""What a batch's gamma keeps elsewhere: chosen from batches of some prompts, judged on others.

    lognormal    sqrt(L/S^2)                                L = -log rho_min       (Theorem 8.3)
    cumulant     the root of the series to kappa4                                  (GAM.cumulant)
    exact        the root of the batch's own ESS                                   (T8.3.b.fix)
    safe         sqrt(L chi2_(n-1, 5%)/(n S^2)): S^2 at its upper 95% bound        (GAM.upper)
    kantorovich  (2/R) arcosh(rho_min^(-1/2)), R the range of the batch            (GAM.kantorovich)

`lognormal`, as the library has it, takes the variance with divisor n, here as there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.lm import _resample as resample
from experiments.lm._scored import Scored
from experiments.runs import Json
from isr_theory.intervals import student_point
from isr_theory.weights import gamma_star

RULES = ("lognormal", "cumulant", "exact", "safe", "kantorovich")
MISS = 0.05
"""How often the safe rule may miss, where log w is normal."""
STEPS = 400
"""Gammas at which the other half's ESS is known; between them log ESS is a straight line."""


def gammas(batches: resample.Array, rho_min: float) -> Mapping[str, resample.Array]:
    """Return the gamma of each batch (a row of log w) by each rule, at most 1."""
    n, target = batches.shape[-1], -math.log(rho_min)
    found = {
        name: np.asarray(gamma_star(batches, rho_min, method=name))
        for name in ("lognormal", "cumulant", "exact")
    }
    squares = n * batches.var(-1)
    spread = np.ptp(batches, axis=-1)
    found["safe"] = _capped(target * _point(n - 1), squares) ** 0.5
    found["kantorovich"] = _capped(2 * math.acosh(rho_min**-0.5), spread)
    return found


def _capped(above: float, below: resample.Array) -> resample.Array:
    """Return above/below where that is less than 1, else 1."""
    capped: resample.Array = above / np.maximum(below, above)
    return capped


def _point(degrees: int) -> float:
    """Return what chi-square exceeds but in MISS of all cases."""
    from scipy.special import chdtri

    return float(chdtri(degrees, 1 - MISS))


class Judge:
    """log(ESS/n) of one set of sequences at any gamma in [0, 1]."""

    def __init__(self, log_w: resample.Array) -> None:
        self.grid = np.linspace(0.0, 1.0, STEPS + 1)
        self.log_ess = resample.log_ess(log_w, np.ones((1, len(log_w))), self.grid.tolist())[0]

    def __call__(self, gamma: resample.Array) -> resample.Array:
        """Return log(ESS/n) at each gamma."""
        found: resample.Array = np.interp(gamma, self.grid, self.log_ess)
        return found


def split(log: Scored, rng: np.random.Generator) -> tuple[resample.Array, resample.Array]:
    """Return log w of the sequences of one random half of the prompts, and of the other's."""
    groups, of = np.unique(log.prompt, return_inverse=True)
    first = rng.permutation(len(groups)) < len(groups) // 2
    return log.log_w[first[of]], log.log_w[~first[of]]


def measure(
    log: Scored,
    sizes: Sequence[int],
    targets: Sequence[float],
    splits: int,
    batches: int,
    seed: int,
) -> Json:
    """Return, by size, target and rule, what the other half's ESS/n comes to.

    `met` is the share of batches whose gamma keeps the target there, with its interval over
    splits; `deficit` the quartiles of log ESS/log rho_min, 1 where the target is just met, below it
    where gamma was too careful; `error` the root mean square of its logarithm.
    """
    table: dict[tuple[int, float, str], list[tuple[resample.Array, resample.Array]]] = {}
    for number in range(splits):
        rng = np.random.default_rng([seed, number])
        ours, theirs = split(log, rng)
        judge = Judge(theirs)
        for n in sizes:
            rows = np.stack([rng.choice(ours, n, replace=False) for _ in range(batches)])
            for rho_min in targets:
                for rule, found in gammas(rows, rho_min).items():
                    reached = judge(found) / math.log(rho_min)
                    table.setdefault((n, rho_min, rule), []).append((found, reached))
    return {
        "rows": [
            {"n": n, "rho_min": rho_min, "rule": rule, **_shown(pairs)}
            for (n, rho_min, rule), pairs in table.items()
        ]
    }


def _shown(pairs: Sequence[tuple[resample.Array, resample.Array]]) -> Json:
    found, reached = (np.stack(column) for column in zip(*pairs, strict=True))
    met = (reached <= 1).mean(-1)
    # Where every gamma is 0 nothing is lost, and the logarithm has no bound.
    logs = np.log(reached.clip(1e-6))
    return {
        "gamma": float(found.mean()),
        "acts": float((found < 1).mean()),
        "met": _mean(met),
        "deficit": [float(x) for x in np.quantile(reached, [0.25, 0.5, 0.75])],
        "middle": _mean(np.median(reached, axis=-1)),
        "error": float(np.sqrt((logs**2).mean())),
    }


def _mean(by_split: resample.Array) -> list[float]:
    """Return the mean over splits with Student's interval: halves of one log, drawn anew each."""
    mean, count = float(by_split.mean()), len(by_split)
    width = student_point(resample.LEVEL, count) * float(by_split.std(ddof=1)) / math.sqrt(count)
    return [mean, mean - width, mean + width]
