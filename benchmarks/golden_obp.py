"""Write tests/golden/obp.json: obp's estimators, run by an environment of its own, `make peers`.

sb-obp is the maintained fork of obp; both write the module `obp`, the fork last, and what was
imported is told by the module's own version. DRos is asked without a reward model (q = 0), where it
is the mean of l w/(w^2 + l) r: the code's weight, while its documentation has one w too many.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
import obp.version
from obp import ope

OUT = Path(__file__).parent.parent / "tests" / "golden" / "obp.json"
CLIPS = (0.5, 2.0, 10.0)
SHARES = (0.0, 0.01, 0.3, 1.0)
SHRINKAGES = (0.5, 10.0, 1000.0)


def log_of(seed: int, n: int, spread: float) -> dict[str, np.ndarray]:
    """Return a seeded log of five actions, drawn as `tests/test_golden_estimators.py` draws it."""
    rng = np.random.default_rng(seed)
    mu = np.exp(spread * rng.standard_normal((n, 5)))
    mu /= mu.sum(axis=1, keepdims=True)
    pi = np.exp(rng.standard_normal((n, 5)))
    pi /= pi.sum(axis=1, keepdims=True)
    action = np.minimum((mu.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), 4)
    reward = rng.standard_exponential(n) * (rng.random(n) < 0.4)
    rows = np.arange(n)
    pscore = mu[rows, action]
    return {
        "reward": reward,
        "action": action,
        "pscore": pscore,
        "action_dist": pi[:, :, None],
        "position": np.zeros(n, dtype=int),
    }


def values_of(log: dict[str, np.ndarray]) -> dict[str, float]:
    """Return obp's estimates of one log, by name and parameter."""
    nothing = np.zeros_like(log["action_dist"])
    found = {
        "ipw": ope.InverseProbabilityWeighting().estimate_policy_value(**log),
        "snipw": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**log),
    }
    for clip in CLIPS:
        clipped = ope.InverseProbabilityWeighting(lambda_=clip)
        found[f"clipped {clip:g}"] = clipped.estimate_policy_value(**log)
    for share in SHARES:
        smooth = ope.SubGaussianInverseProbabilityWeighting(lambda_=share)
        found[f"sub_gaussian {share:g}"] = smooth.estimate_policy_value(**log)
    for scale in SHRINKAGES:
        shrunk = ope.DoublyRobustWithShrinkage(lambda_=scale)
        value = shrunk.estimate_policy_value(**log, estimated_rewards_by_reg_model=nothing)
        found[f"dros {scale:g}"] = value
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    """Write the estimates of seeded logs, and where they come from."""
    cases = [
        {"seed": seed, "n": n, "spread": spread, "values": values_of(log_of(seed, n, spread))}
        for seed, (n, spread) in enumerate([(50, 0.5), (1000, 1.0), (1000, 2.5), (10_000, 1.5)])
    ]
    provenance = {
        "package": "sb-obp",
        "version": importlib.metadata.version("sb-obp"),
        "module": f"obp {obp.version.__version__}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "make peers",
        "note": "DRos without a reward model",
    }
    document = {"provenance": provenance, "cases": cases}
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
