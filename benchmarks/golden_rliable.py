"""Write tests/golden/rliable.json: run by an environment of its own, `make peers`.

rliable 1.2.0 needs older pandas and arch than today's. The noise of its resamplings is allowed for
where its intervals are compared.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
from rliable import library, metrics

OUT = Path(__file__).parent.parent / "tests" / "golden" / "rliable.json"
REPLICATES = 5_000
SHAPES = ((20, 1), (20, 4), (25, 7))


def tables(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return two score tables of different laws, a row a seed and a column a setting."""
    rng = np.random.default_rng(seed)
    ours = np.arange(shape[1]) + rng.standard_normal(shape)
    theirs = np.arange(shape[1]) - 0.4 + rng.standard_exponential(shape)
    return ours, theirs


def intervals(scores: object, function: object, seed: int) -> tuple[float, list[float]]:
    """Return a statistic and the ends of its stratified bootstrap interval."""
    state = np.random.RandomState(seed)
    point, ends = library.get_interval_estimates(
        {"x": scores}, function, reps=REPLICATES, random_state=state
    )
    return float(np.ravel(point["x"])[0]), [float(x) for x in np.ravel(ends["x"])]


def iqm_of(scores: np.ndarray) -> np.ndarray:
    """Return the interquartile mean, as a vector of one."""
    return np.array([metrics.aggregate_iqm(scores)])


def improvement_of(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the probability of improvement, as a vector of one."""
    return np.array([metrics.probability_of_improvement(ours, theirs)])


def main() -> None:
    """Write statistics and interval ends of seeded tables, and where they come from."""
    cases = []
    for seed, shape in enumerate(SHAPES):
        ours, theirs = tables(seed, shape)
        iqm, iqm_ends = intervals(ours, iqm_of, seed)
        chance, chance_ends = intervals((ours, theirs), improvement_of, seed)
        case = {"seed": seed, "shape": shape, "iqm": iqm, "iqm_ends": iqm_ends}
        cases.append({**case, "improvement": chance, "improvement_ends": chance_ends})
    names = ("rliable", "arch", "pandas", "scipy")
    provenance = {
        "package": "rliable",
        "version": importlib.metadata.version("rliable"),
        "beside": {name: importlib.metadata.version(name) for name in names[1:]},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "make peers",
        "replicates": REPLICATES,
    }
    document = {"provenance": provenance, "cases": cases}
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
