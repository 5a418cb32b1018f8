"""Off-policy evaluation on real logs: the uniform policy's value from a Thompson sampler's log.

    V = sum w^gamma r / sum w^gamma,     w = (1/items)/mu

Three campaigns of the Open Bandit Dataset (`experiments.data`). The truth is the click rate of the
log that was shown at random, 38 to 46 clicks of 10,000, so it has an error of its own, about as
large as that of the estimates: every difference is given with both, and no method can be seen to be
better than another by less than about two of them. Intervals come from resampling rows, with gamma
and thresholds fitted in each replicate anew; all methods see the same replicates.

How far these weights miss a target of 0.3 by the closed form, and the estimates at gamma* and 1,
had been measured before (`benchmarks/open_bandit.py`); their intervals, and the rest, had not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from experiments import data
from experiments.evaluation import (
    Array,
    Estimate,
    bootstrap,
    bootstrap_mean,
    estimators,
    flattened_error,
    interval,
    reached,
)
from experiments.runs import Cell, Experiment, Json

ROOT_SEED = 1
OURS = "gamma* exact"
FIXED = {"gamma 0": 0.0, "gamma 0.25": 0.25, "gamma 0.5": 0.5, "gamma 0.75": 0.75, "snips": 1.0}


@dataclass(frozen=True)
class Settings:
    """Campaigns, the ESS target and the bootstrap. `synthetic` rows, if any, stand for the logs."""

    campaigns: tuple[str, ...] = ("all", "men", "women")
    rho_min: float = 0.3
    replicates: int = 1000
    synthetic: int = 0


def cells(settings: Settings) -> list[Cell]:
    """One cell a campaign, so that all methods see the same replicates."""
    return [Cell(name, {"campaign": name}) for name in settings.campaigns]


def logs(settings: Any, campaign: str) -> data.Campaign:
    """Return a campaign's logs, or the synthetic ones that stand for them."""
    if settings.synthetic:
        return data.synthetic(settings.synthetic, seed=20260109)
    return data.open_bandit(campaign)


def run(settings: Settings, campaign: str) -> Json:
    """Evaluate by every method, on the log and on its replicates, beside the truth."""
    logged = logs(settings, campaign)
    log_w, reward = logged.log_w, logged.bts.click
    methods = estimators(settings.rho_min)
    found = bootstrap(methods, log_w, reward, settings.replicates, seed=ROOT_SEED)
    clicks = logged.random.click
    truth = (float(clicks.mean()), bootstrap_mean(clicks, settings.replicates, seed=ROOT_SEED + 1))
    whole = {name: method(log_w[None], reward[None]) for name, method in methods.items()}
    ours = (whole[OURS].value[0], found[OURS].value)
    return {
        "rows": len(log_w),
        "clicks": int(reward.sum()),
        "truth": {"value": interval(*truth), "error": float(truth[1].std())},
        "skewness": float(stats.skew(log_w)),
        "methods": {
            name: {
                **_beside_truth(whole[name], found[name], truth, ours),
                **_fitted(name, whole[name], found[name], log_w),
                **_delta_method(name, found[name], log_w, reward),
            }
            for name in methods
        },
    }


def _beside_truth(
    whole: Estimate, found: Estimate, truth: tuple[float, Array], ours: tuple[float, Array]
) -> Json:
    """Return the estimate, its distance from the truth, and how much farther it is than ours."""
    value, error = float(whole.value[0]), float(found.value.std())
    away, aways = value - truth[0], found.value - truth[1]
    gap = abs(away) - abs(ours[0] - truth[0])
    return {
        "value": interval(value, found.value),
        "error": error,
        "away": interval(away, aways),
        "z": away / float(np.hypot(error, truth[1].std())),
        "farther": interval(gap, np.abs(aways) - np.abs(ours[1] - truth[1])),
    }


def _fitted(name: str, whole: Estimate, found: Estimate, log_w: Array) -> Json:
    """Return what was fitted and, for a gamma, the ESS/n that it gives in the whole log."""
    if whole.fitted is None or found.fitted is None:
        return {}
    shown: Json = {"fitted": interval(float(whole.fitted[0]), found.fitted)}
    if name.startswith("gamma*"):
        at = np.array([float(reached(log_w, gamma)) for gamma in (*whole.fitted, *found.fitted)])
        shown["ess"] = interval(at[0], at[1:])
    return shown


def _delta_method(name: str, found: Estimate, log_w: Array, reward: Array) -> Json:
    if name not in FIXED:
        return {}
    return {"predicted_error": flattened_error(log_w, reward, FIXED[name])}


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return the campaigns as they were found: they are small."""
    return {"rho_min": settings.rho_min, "campaigns": dict(found)}


EXPERIMENT = Experiment(
    name="open_bandit",
    title="Off-policy evaluation of the uniform policy on the Open Bandit logs",
    settings=Settings(),
    smoke=Settings(campaigns=("all",), replicates=50, synthetic=500),
    cells=cells,
    run=run,
    summarise=summarise,
    data=lambda settings: {} if settings.synthetic else data.SOURCE,
    root_seed=ROOT_SEED,
)
