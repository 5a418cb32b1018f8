"""Is log w of a sequence normal? Skewness, excess kurtosis and 2 KL/Var, by task, length, distance.

    skewness ~ T^(-1/2),   excess kurtosis ~ T^(-1),   2 KL(mu || pi)/Var(log w) near 1

The first two are what independent, equal tokens have (SEQ.exact); a language model's are neither,
and a log mixes prompts that are easy and hard. Lengths come from cutting one log's responses
(`_scored`), so that the sequences are the same at every length. The exponents are means over all
policies, whose replicates resample the same prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from experiments.lm import _normality as normality
from experiments.lm import _reading as reading
from experiments.lm import _resample as resample
from experiments.lm import presets
from experiments.lm._scored import ALL
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json

ROOT_SEED = 20261128
SECONDS = 3.0
"""About how long a cell takes on one core."""


@dataclass(frozen=True)
class Settings:
    """The scored log, and how often its prompts are resampled."""

    scores: Scores = reading.LONGER
    replicates: int = 200


def run(settings: Settings, policy: str) -> Json:
    """Return the shape of log w under one policy, by task, and by length in each task."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    found: Json = {"reached": True, "scopes": {}, "by_length": {}}
    for name, rows in log.scopes():
        counts = resample.counts(rows.prompt, settings.replicates, seed=ROOT_SEED)
        found["scopes"][name] = normality.whole(rows, counts)
        if name != ALL:
            found["by_length"][name] = normality.by_length(rows, counts)
    return found


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return what the ledger reads: all scopes whole, lengths and exponents of the longest task."""
    policies = reading.reached(settings, found)
    if not policies:
        return {"policies": []}
    task = _longest(policies[0][1])
    rows = [
        {
            "policy": name,
            "scopes": cell["scopes"],
            "by_length": {k: v for k, v in cell["by_length"][task].items() if k != "exponents"},
        }
        for name, cell in policies
    ]
    return {"task": task, "policies": rows, "exponents": _exponents(policies, task)}


def _longest(cell: Json) -> str:
    tasks = {name: row for name, row in cell["scopes"].items() if name != ALL}
    return reading.longest(tasks)


def _exponents(policies: list[tuple[str, Json]], task: str) -> Json:
    """Return each exponent's mean over policies; none where responses are too short to have one."""
    found: Json = {}
    for name in ("skewness", "kurtosis"):
        rows = [cell["by_length"][task]["exponents"][name] for _, cell in policies]
        if all(rows):
            found[name] = resample.interval(reading.pooled(rows))
            found[f"{name} by policy"] = [resample.interval(row) for row in rows]
    return found


EXPERIMENT = Experiment(
    name="lm_normality",
    title="How near to normal log w of sequences is",
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
