"""Sum, mean or gamma*? How gamma falls with length, and three ways to weigh one log's sequences.

    gamma* ~ T^(-1/2)   (SEQ.length),     sum: w,   mean: w^(1/T),   rule: w^gamma*

Whether a sequence's ratio is the product of its tokens' or their geometric mean is an open quarrel
of trainers. Both are powers of w; what each keeps of the ESS, how far it goes from mu's value of
the reward to pi's, and with what error, is measured by task: the tasks are the classes of length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from experiments.lm import _lengths as law
from experiments.lm import _reading as reading
from experiments.lm import _resample as resample
from experiments.lm import presets
from experiments.lm._scored import ALL
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json

ROOT_SEED = 20261128
SECONDS = 4.0
"""About how long a cell takes on one core."""


@dataclass(frozen=True)
class Settings:
    """The scored log, the target, and how often its prompts are resampled."""

    scores: Scores = reading.LONGER
    rho_min: float = 0.3
    replicates: int = 200


def run(settings: Settings, policy: str) -> Json:
    """Return gamma* by length and the aggregations under one policy, by task."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    found: Json = {"reached": True, "scopes": {}, "rate": {}}
    for name, rows in log.scopes():
        counts = resample.counts(rows.prompt, settings.replicates, seed=ROOT_SEED)
        found["scopes"][name] = {
            "length": float(rows.length.mean()),
            "kl": resample.interval(resample.divergence(rows.log_w, counts)),
            "methods": dict(law.aggregations(rows, counts, settings.rho_min)),
        }
        if name != ALL:
            found["rate"][name] = law.rate(rows, counts, settings.rho_min)
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return the aggregations, and gamma* by length in the longest task."""
    policies = reading.reached(settings, found)
    if not policies:
        return {"policies": []}
    scopes = policies[0][1]["scopes"]
    task = reading.longest({k: v for k, v in scopes.items() if k != ALL})
    rows = [{"policy": name, "scopes": cell["scopes"]} for name, cell in policies]
    exponents: Json = {}
    for kind in ("closed", "exact"):
        found_rows = [cell["rate"][task]["exponents"][kind] for _, cell in policies]
        if all(found_rows):
            exponents[kind] = resample.interval(reading.pooled(found_rows))
            exponents[f"{kind} by policy"] = [resample.interval(row) for row in found_rows]
    return {"task": task, "policies": rows, "exponents": exponents}


EXPERIMENT = Experiment(
    name="lm_lengths",
    title="gamma* by length; sum, mean and gamma* aggregation of one log",
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
