"""What `diagnose` costs beside a bare scan of the same two columns: `make bench`.

A Parquet file of 50 million rows is written (800 MB, under --folder), then read by a process
that only scans its two columns and by `python -m isr_theory.diagnose`, warm and after the file has
been dropped from the page cache. Whole processes are timed, so that imports count for both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from isr_theory import files

RESULTS = Path(__file__).parent / "results" / "diagnose.json"
SCAN = """
import sys, time
import pyarrow.parquet as pq
start = time.perf_counter()
rows = 0
for batch in pq.ParquetFile(sys.argv[1]).iter_batches(1 << 18, columns=["log_pi", "log_mu"]):
    rows += batch.num_rows
print(time.perf_counter() - start)
"""


def write_log(path: Path, rows: int, part: int = 1_000_000) -> None:
    """Write log-ratios with a variance of 4 and KL(mu||pi) = 2, part by part."""
    rng = np.random.default_rng(0)
    schema = pa.schema([("log_pi", pa.float64()), ("log_mu", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, part):
            size = min(part, rows - start)
            log_mu = -50 + 10 * rng.standard_normal(size)
            log_pi = log_mu + 2 * rng.standard_normal(size) - 2
            writer.write_table(pa.table({"log_pi": log_pi, "log_mu": log_mu}, schema=schema))


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def timed(command: list[str]) -> tuple[float, float, str]:
    """Run a process; return its seconds, its peak memory in MiB and its output."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:4])} ended with {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024, output


def measure(path: Path, repeats: int) -> list[dict[str, float | str]]:
    """Time both, cold and warm, one after the other in each repeat."""
    scan = [sys.executable, "-c", SCAN, str(path)]
    diagnose = [sys.executable, "-m", "isr_theory.diagnose", str(path), "--json"]
    rows = []
    for state in ("cold", "warm"):
        runs: dict[str, list[tuple[float, float, str]]] = {"scan": [], "diagnose": []}
        for _ in range(repeats):
            for name, command in (("scan", scan), ("diagnose", diagnose)):
                if state == "cold":
                    forget(path)
                runs[name].append(timed(command))
        seconds = {name: statistics.median(run[0] for run in found) for name, found in runs.items()}
        inside = statistics.median(float(run[2]) for run in runs["scan"])
        rows.append(
            {
                "state": state,
                "scan, s": seconds["scan"],
                "scan without start, s": inside,
                "diagnose, s": seconds["diagnose"],
                "ratio": seconds["diagnose"] / seconds["scan"],
                "peak MiB": max(run[1] for run in runs["diagnose"]),
                "gamma": json.loads(runs["diagnose"][0][2])["choice"]["gamma"],
            }
        )
    return rows


def main() -> None:
    """Write the file, measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "run.parquet"
        print(f"writing {arguments.rows:,} rows", flush=True)
        write_log(path, arguments.rows)
        rows = measure(path, arguments.repeats)
    table = Table(title=f"{arguments.rows:,} rows of two columns, medians of {arguments.repeats}")
    for name in rows[0]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=120).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    files.write(RESULTS, json.dumps({"rows": arguments.rows, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
