"""`diagnose` on real logged propensities: the Open Bandit Dataset's small logs.

10,000 impressions of each of three campaigns, logged by Bernoulli Thompson sampling with the
propensity of the item shown (Saito et al. 2021, CC BY 4.0). The policy to evaluate is the uniform
one, whose own log gives the truth up to its noise. The data are those of the experiments:
`python -m experiments.data open-bandit` fetches them, and so does this.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from experiments import data
from isr_theory import files

RESULTS = Path(__file__).parent / "results" / "open_bandit.json"
COLUMNS = ("position", "click", "propensity_score")


def write_log(campaign: str) -> Path:
    """Write a campaign's log as `diagnose` reads it: pi uniform over the items, mu the logger."""
    rows = data.table("bts", campaign, COLUMNS)
    log_mu = np.log(rows["propensity_score"].to_numpy())
    log = pa.table(
        {
            "log_pi": np.full(len(log_mu), -math.log(data.ITEMS[campaign])),
            "log_mu": log_mu,
            "reward": rows["click"].cast(pa.float64()),
            "position": rows["position"],
        }
    )
    path = data.FOLDER / f"{campaign}.parquet"
    pq.write_table(log, path)
    return path


def diagnose(path: Path) -> dict[str, object]:
    """Return the report of the command, as JSON."""
    command = [sys.executable, "-m", "isr_theory.diagnose", str(path), "--by", "position"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    report: dict[str, object] = json.loads(done.stdout)
    return report


def main() -> None:
    """Diagnose the three campaigns and print what was found beside the truth."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    table = Table(title="Open Bandit logs, uniform policy from the Thompson sampler's, rho_min 0.3")
    heads = ("campaign", "method", "gamma", "ESS/n", "closed form", "ESS/n there", "Pareto k")
    for head in (*heads, "plain ESS/n", "v at gamma", "v at 1", "truth"):
        table.add_column(head, justify="right")
    kept = {}
    data.install()
    for campaign in data.ITEMS:
        report = diagnose(write_log(campaign))
        clicks = data.table("random", campaign, COLUMNS)["click"].to_numpy()
        truth = f"{clicks.mean():.4f} ± {clicks.std() / math.sqrt(len(clicks)):.4f}"
        row = _row(report)
        kept[campaign] = {**row, "truth": truth}
        table.add_row(campaign, *row.values(), truth)
    Console(width=150).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    files.write(RESULTS, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def _row(report: dict[str, object]) -> dict[str, str]:
    choice, values = report["choice"], report["values"]
    closed = choice["by_method"]["lognormal"]
    # The report's curve has a point every fortieth.
    gammas, ess = zip(*report["curve"], strict=True)
    estimates = [f"{value['estimate']:.4f} ± {value['error']:.4f}" for value in values]
    return {
        "method": choice["method"],
        "gamma": f"{choice['gamma']:.3f}",
        "ESS/n": f"{choice['ess']:.3f}",
        "closed form": f"{closed:.3f}",
        "ESS/n there": f"{np.interp(closed, gammas, ess):.3f}",
        "Pareto k": f"{choice['khat']:.2f}",
        "plain ESS/n": f"{ess[-1]:.4f}",
        "v at gamma": estimates[1],
        "v at 1": estimates[-1],
    }


if __name__ == "__main__":
    main()
