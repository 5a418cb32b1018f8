"""Write tests/golden/psis.json with arviz-stats: run by an environment of its own, `make peers`.

arviz-stats takes log *likelihoods* and negates them, so that log-weights go in with the other sign.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
from arviz_stats.base import array_stats

OUT = Path(__file__).parent.parent / "tests" / "golden" / "psis.json"
LAWS = {
    "normal": lambda rng, n: 2 * rng.standard_normal(n),
    "Pareto": lambda rng, n: 1.3 * rng.standard_exponential(n),
    "bounded": lambda rng, n: np.log(rng.random(n)),
    "narrow": lambda rng, n: 0.01 * rng.standard_normal(n),
}


def main() -> None:
    """Write index and largest smoothed log-weights of seeded cases, and where they come from."""
    cases = []
    for law, draw in LAWS.items():
        for n in (64, 225, 226, 1000, 20_000):
            log_w = draw(np.random.default_rng(n), n)
            smoothed, khat = array_stats.psislw(-log_w)
            largest = np.sort(np.asarray(smoothed))[-12:].tolist()
            cases.append({"law": law, "n": n, "seed": n, "khat": float(khat), "largest": largest})
    provenance = {
        "package": "arviz-stats",
        "version": importlib.metadata.version("arviz-stats"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "make peers",
        "note": "log-weights were negated, since psislw takes log likelihoods",
    }
    document = {"provenance": provenance, "cases": cases}
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
