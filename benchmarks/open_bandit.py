"""`diagnose` on real logged propensities: the Open Bandit Dataset's small logs.

10,000 impressions of each of three campaigns, logged by Bernoulli Thompson sampling with the
propensity of the item shown (Saito et al. 2021, CC BY 4.0, shipped inside the package obp). The
policy to evaluate is the uniform one, whose own log gives the truth up to its noise. The data are
fetched from the package index, kept outside the repository's history, and never committed.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from isr_theory import files

FOLDER = Path(__file__).parent.parent / ".peers" / "open-bandit"
RESULTS = Path(__file__).parent / "results" / "open_bandit.json"
WHEEL = "obp==0.4.1"
ITEMS = {"all": 80, "men": 34, "women": 46}


def fetch() -> Path:
    """Return the wheel that holds the data, downloaded once."""
    found = sorted(FOLDER.glob("obp-*.whl"))
    if not found:
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", WHEEL]
        subprocess.run([*command, "-d", str(FOLDER)], check=True)
        found = sorted(FOLDER.glob("obp-*.whl"))
    return found[0]


def read(policy: str, campaign: str) -> pa.Table:
    """Return one log's items, propensities and clicks."""
    name = f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"
    columns = ["position", "click", "propensity_score"]
    with zipfile.ZipFile(fetch()) as wheel, wheel.open(name) as file:
        return pc.read_csv(file, convert_options=pc.ConvertOptions(include_columns=columns))


def write_log(campaign: str) -> Path:
    """Write a campaign's log as `diagnose` reads it: pi uniform over the items, mu the logger."""
    rows = read("bts", campaign)
    log_mu = np.log(rows["propensity_score"].to_numpy())
    log = pa.table(
        {
            "log_pi": np.full(len(log_mu), -math.log(ITEMS[campaign])),
            "log_mu": log_mu,
            "reward": rows["click"].cast(pa.float64()),
            "position": rows["position"],
        }
    )
    path = FOLDER / f"{campaign}.parquet"
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
    for campaign in ITEMS:
        report = diagnose(write_log(campaign))
        clicks = read("random", campaign)["click"].to_numpy()
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
