"""When does the rule act? gamma < 1 only past KL(mu || pi) = -log(rho_min)/2 (DYN.activation).

By task and distance: KL, the target from which the rule acts, by the closed form and exactly, and
the share of batches in which it does at rho_min = 0.3. At the KL that PPO keeps to, about 0.02, the
target that acts should be e^(-0.04) = 0.961.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from experiments.lm import _activation as law
from experiments.lm import _reading as reading
from experiments.lm import _resample as resample
from experiments.lm import presets
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json

ROOT_SEED = 20261128
SECONDS = 1.0
"""About how long a cell takes on one core."""


@dataclass(frozen=True)
class Settings:
    """The scored log, the batches and the target, and how often prompts are resampled."""

    scores: Scores = reading.LONGER
    rho_min: float = 0.3
    size: int = 256
    batches: int = 200
    replicates: int = 200


def run(settings: Settings, policy: str) -> Json:
    """Return when the rule acts under one policy, by task."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    found: Json = {"reached": True, "scopes": {}}
    for name, rows in log.scopes():
        counts = resample.counts(rows.prompt, settings.replicates, seed=ROOT_SEED)
        size = min(settings.size, len(rows.task))
        found["scopes"][name] = law.measure(
            rows, counts, size, settings.batches, settings.rho_min, ROOT_SEED
        )
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return all of it: it is small."""
    rows = [
        {"policy": name, "scopes": cell["scopes"]}
        for name, cell in reading.reached(settings, found)
    ]
    return {"rho_min": settings.rho_min, "policies": rows}


EXPERIMENT = Experiment(
    name="lm_activation",
    title="The KL from which the rule acts, and the target that acts at a given KL",
    settings=Settings(),
    smoke=Settings(presets.SMOKE, size=8, batches=10, replicates=20),
    cells=reading.cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
GPU = Settings(presets.GPU)
GPU_REDUCED = replace(EXPERIMENT.smoke, scores=presets.GPU_REDUCED)
needs = reading.needs
seconds = reading.lasting(SECONDS)
