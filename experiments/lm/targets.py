"""Does a batch's gamma keep its ESS target elsewhere? Chosen from some prompts, judged on others.

Batches of 16 to 1,024 sequences are drawn from one random half of the prompts; the ESS/n of w^gamma
at each rule's gamma is that of all sequences of the other half (`_targets`). Only targets that the
policy misses at gamma = 1 by more than 5% on the log scale are asked for: for the others gamma = 1
is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from experiments.lm import _reading as reading
from experiments.lm import _targets as rules
from experiments.lm import presets
from experiments.lm._scored import ALL, Scored
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json
from isr_theory.weights import ess_ratio

ROOT_SEED = 20261128
SECONDS = 10.0
"""About how long a cell takes on one core."""


@dataclass(frozen=True)
class Settings:
    """The scored log, batch sizes, targets, random halves, and batches of each half and size."""

    scores: Scores = reading.LONGER
    sizes: tuple[int, ...] = (16, 64, 256, 1024)
    targets: tuple[float, ...] = (0.3, 0.5, 0.7)
    splits: int = 40
    batches: int = 40


def run(settings: Settings, policy: str) -> Json:
    """Return what each rule's gamma comes to, on all tasks together and on each."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    found: Json = {"reached": True, "scopes": {}}
    for name, rows in log.scopes():
        asked = [rho for rho in settings.targets if _missed(rows, rho)]
        sizes = [n for n in settings.sizes if n <= len(rows.task) // 2]
        row: Json = {"length": float(rows.length.mean()), "rows": []}
        if asked and sizes:
            row |= rules.measure(rows, sizes, asked, settings.splits, settings.batches, ROOT_SEED)
        found["scopes"][name] = row
    return found


def _missed(log: Scored, rho_min: float) -> bool:
    return -math.log(float(ess_ratio(log.log_w))) > -1.05 * math.log(rho_min)


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return the rows of the longest task."""
    policies = reading.reached(settings, found)
    if not policies:
        return {"rows": []}
    scopes = policies[0][1]["scopes"]
    task = reading.longest({k: v for k, v in scopes.items() if k != ALL})
    rows = [
        {
            "policy": name,
            **{k: row[k] for k in ("n", "rho_min", "rule", "met", "middle", "error")},
        }
        for name, cell in policies
        for row in cell["scopes"][task]["rows"]
    ]
    return {"task": task, "rows": rows}


EXPERIMENT = Experiment(
    name="lm_targets",
    title="ESS targets out of sample, by five rules for gamma",
    settings=Settings(),
    smoke=Settings(presets.SMOKE, sizes=(4, 8), targets=(0.9, 0.99), splits=2, batches=4),
    cells=reading.cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
GPU = Settings(presets.GPU)
GPU_REDUCED = replace(EXPERIMENT.smoke, scores=presets.GPU_REDUCED)
needs = reading.needs
seconds = reading.lasting(SECONDS)
