"""Where is the variance of the gradient least? Per-sample gradients of policies, over gamma.

    plain: mean w^gamma r s,     self-normalised: sum w^gamma r s / sum w^gamma,     s = grad log pi

The paper says 1/4 (Corollary 7.5). A shifted Gaussian says (d + 2)/(4 d + 6) for the plain one and
0 for the other (C7.5.c.fix, VAR.sngaussian); any other law, near mu, an end of [0, 1], on the side
that the correlation of log w with |r s|^2 points to (`_gradients`). Rewards are 1, the graded ones,
and those less their mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from experiments.lm import _gradients as gradients
from experiments.lm import _reading as reading
from experiments.lm import _resample as resample
from experiments.lm import _sketch as sketch
from experiments.lm import presets
from experiments.lm.recipes import Scores
from experiments.runs import Experiment, Json

ROOT_SEED = 20261128
SECONDS = 60.0
"""About how long a cell takes on one core."""


@dataclass(frozen=True)
class Settings:
    """The scored log; how many of its sequences; the sketch; how often prompts are resampled."""

    scores: Scores = presets.CPU
    sequences: int = 2048
    buckets: int = 1 << 15
    replicates: int = 200


def run(settings: Settings, policy: str) -> Json:
    """Return the variance over gamma under one policy, by estimator and reward."""
    log = reading.policy(settings.scores, policy)
    if log is None:
        return {"reached": False}
    size = min(settings.sequences, len(log.task))
    chosen = np.random.default_rng(ROOT_SEED).choice(len(log.task), size, replace=False)
    rows = np.sort(chosen)
    model = reading.model(settings.scores, policy)
    table = sketch.gram(
        model, reading.log_of(settings.scores).take(rows), settings.buckets, seed=ROOT_SEED
    )
    log_w, reward = log.log_w[rows], log.reward[rows]
    rewards = {"one": np.ones(size), "graded": reward, "centred": reward - reward.mean()}
    counts = resample.counts(log.prompt[rows], settings.replicates, seed=ROOT_SEED)
    sigma2 = float(log_w.var())
    return {
        "reached": True,
        "sigma2": sigma2,
        "kl": float(resample.divergence(log_w, np.ones((1, size)))[0]),
        "norms": _norms(np.diag(table), log_w),
        "gaussian": gradients.gaussian(table, sigma2),
        "measured": gradients.measure(table, log_w, rewards, counts),
    }


def _norms(norms: resample.Array, log_w: resample.Array) -> Json:
    """Return how the squared scores vary, and how they go with log w: what a Gaussian has not."""
    return {
        "cv": float(norms.std() / norms.mean()),
        "correlation": float(np.corrcoef(norms, log_w)[0, 1]),
    }


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return where each variance is least, without the curves."""
    rows = []
    for name, cell in reading.reached(settings, found):
        measured = {
            kind: {k: v for k, v in row.items() if k != "curve"}
            for kind, row in cell["measured"].items()
        }
        law = {k: v for k, v in cell["gaussian"].items() if k == "d"}
        law |= {kind: cell["gaussian"][kind]["least"] for kind in ("plain", "self")}
        kept = {k: cell[k] for k in ("sigma2", "kl", "norms")}
        rows.append({"policy": name, **kept, "gaussian": law, "measured": measured})
    return {"policies": rows}


EXPERIMENT = Experiment(
    name="lm_gradients",
    title="The variance of the gradient over gamma, plain and self-normalised",
    settings=Settings(),
    smoke=Settings(presets.SMOKE, sequences=24, buckets=256, replicates=20),
    cells=reading.cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
GPU = Settings(presets.GPU, sequences=2048)
GPU_REDUCED = replace(EXPERIMENT.smoke, scores=presets.GPU_REDUCED)
needs = reading.needs
seconds = reading.lasting(SECONDS)
