"""Does ESS/n of w^gamma follow e^(-sigma^2 gamma^2)? And the cumulants' correction of it?

    -log(ESS/n) = kappa2 gamma^2 + kappa3 gamma^3 + (7/12) kappa4 gamma^4 + ...

On a grid of gamma, by task and distance from mu; the first term alone is Theorem 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from experiments.lm import _ess as ess
from experiments.lm import _reading as reading
from experiments.lm import _resample as resample
from experiments.lm import presets
from experiments.lm._scored import ALL
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json

ROOT_SEED = 20261128
SECONDS = 1.0
"""About how long a cell takes on one core."""
SHOWN = (0.25, 0.5, 0.75, 1.0)
OFF = 0.05
"""What the closed form must be off by for there to be something to correct."""


@dataclass(frozen=True)
class Settings:
    """The scored log, and how often its prompts are resampled."""

    scores: Scores = reading.LONGER
    replicates: int = 200


def run(settings: Settings, policy: str) -> Json:
    """Return -log(ESS/n) and its series under one policy, by task."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    found: Json = {"reached": True, "scopes": {}}
    for name, rows in log.scopes():
        counts = resample.counts(rows.prompt, settings.replicates, seed=ROOT_SEED)
        measured = ess.measure(rows, counts)
        found["scopes"][name] = {"length": float(rows.length.mean()), **measured}
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return how far each series is off, and the geometric mean of what the cumulants leave."""
    policies = reading.reached(settings, found)
    rows, left = [], []
    for name, cell in policies:
        shown = {}
        for scope, row in cell["scopes"].items():
            at = [row["gammas"].index(gamma) for gamma in SHOWN]
            ratio = [row["ratio"][i] if row["used"][i] else None for i in at]
            shown[scope] = {"off": row["off"], "ratio": ratio}
            if scope != ALL and row["off"]["closed"][0] > OFF:
                left.append(np.log(row["left"]).tolist())
        rows.append({"policy": name, "scopes": shown})
    whole: Json = {"policies": rows, "gammas": list(SHOWN), "settings": len(left)}
    if policies:
        scopes = policies[0][1]["scopes"]
        whole["task"] = reading.longest({k: v for k, v in scopes.items() if k != ALL})
    if left:
        whole["left"] = [float(x) for x in np.exp(resample.interval(reading.pooled(left)))]
    return whole


EXPERIMENT = Experiment(
    name="lm_ess_law",
    title="ESS/n over gamma, beside the closed form and the cumulants",
    settings=Settings(),
    smoke=Settings(presets.SMOKE, replicates=20),
    cells=reading.cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
GPU = Settings(presets.GPU)
GPU_REDUCED = replace(EXPERIMENT.smoke, scores=presets.GPU_REDUCED)
needs = reading.needs
seconds = reading.lasting(SECONDS)
