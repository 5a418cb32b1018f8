"""Time this library beside its peers, in one run: `python -m benchmarks.side_by_side`.

Every package is asked by a process of its own, in turn, so that a noisy machine is noisy for all;
what counts are ratios of medians. Writes benchmarks/results/side_by_side.json, from which
`python -m benchmarks.page` makes docs/benchmarks.md. Peers come by `make peers`; one that is
missing is shown as missing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.peers.ask import Worker, ready, save_cases, version
from benchmarks.peers.cases import hard_case, log_ess_share, root
from isr_theory import files

RESULTS = Path(__file__).parent / "results" / "side_by_side.json"
VECTORS = {"64": (64, 2.0), "1,000": (1000, 5.0), "100,000": (100_000, 2.0)}
HARD = 1000
RHO_MIN = 0.3
# A measurement lasts at least this long, so that the clock and the question cost nothing.
LEAST_SECONDS = 3e-3

PEERS = ("blackjax", "particles", "pymc")


def cases() -> dict[str, np.ndarray]:
    """Return the vectors and matrices that are timed, and the hard ones."""
    rng = np.random.default_rng(2026)
    found = {name: sigma * rng.standard_normal(n) for name, (n, sigma) in VECTORS.items()}
    found["1,024 x 256"] = 2 * rng.standard_normal((1024, 256))
    found["10,000,000"] = 2 * rng.standard_normal(10_000_000) - 2
    return found | {f"hard {seed}": hard_case(seed)[0] for seed in range(HARD)}


class Bench:
    """Workers that can be asked, and how often."""

    def __init__(self, workers: dict[str, Worker], rounds: int) -> None:
        self.workers, self.rounds = workers, rounds

    def race(self, task: str, case: str, names: list[str], rounds: int | None = None) -> Result:
        """Ask all the same in turn; return median seconds and the last value of each."""
        return self.race_tasks(case, dict.fromkeys(names, task), rounds)

    def race_tasks(self, case: str, tasks: dict[str, str], rounds: int | None = None) -> Result:
        """Ask each worker its own task, round after round."""
        loops = {}
        for name, task in tasks.items():
            first = self.workers[name].ask(task, case, RHO_MIN)
            again = self.workers[name].ask(task, case, RHO_MIN)
            seconds = again.get("seconds", math.inf)
            loops[name] = 0 if "error" in first else max(1, math.ceil(LEAST_SECONDS / seconds))
        found: dict[str, list[float]] = {name: [] for name in tasks if loops[name]}
        values: dict[str, Any] = {}
        for _ in range(rounds or self.rounds):
            for name, times in found.items():
                answer = self.workers[name].ask(tasks[name], case, RHO_MIN, loops[name])
                times.append(answer["seconds"])
                values[name] = answer["value"]
        return {name: (statistics.median(times), values[name]) for name, times in found.items()}


Result = dict[str, tuple[float, Any]]


def _row(what: str, ours: float, rival: str, theirs: float, bar: float | None) -> dict[str, Any]:
    """Return one line of the table: our seconds, a rival's, the ratio and the bar on it."""
    ratio = ours / theirs
    met = None if bar is None else ratio <= bar
    return {
        "what": what,
        "ours": ours,
        "rival": rival,
        "theirs": theirs,
        "ratio": ratio,
        "bar": bar,
        "met": met,
    }


def exact_rows(bench: Bench, some: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """One vector, one root: against Brent's method and the peers, each with its error."""
    for case, bar in (("64", 1.3), ("1,000", 0.8), ("100,000", 0.5)):
        names = [name for name in ("isr_theory", "scipy", *PEERS) if name in bench.workers]
        found = bench.race("exact", case, names)
        seconds, gamma = found.pop("isr_theory")
        truth = root(some[case], RHO_MIN, near=gamma)
        fastest = min((name for name in found if name != "scipy"), key=lambda k: found[k][0])
        for name, (theirs, value) in found.items():
            limit = bar if name == "scipy" else 0.5 if name == fastest else None
            row = _row(f"exact gamma, n = {case}", seconds, name, theirs, limit)
            yield row | {"our error": abs(gamma - truth), "their error": abs(value - truth)}


def closed_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The closed form: ten microseconds where n is small, one np.var where it is large."""
    for case in VECTORS:
        found = bench.race("closed form", case, ["isr_theory", "scipy"])
        ours, theirs = found["isr_theory"][0], found["scipy"][0]
        if case == "100,000":
            yield _row(f"closed form, n = {case}", ours, "np.var", theirs, 1.0)
        else:
            yield _row(f"closed form, n = {case}", ours, "10 us", 1e-5, 1.0)


def batch_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """1,024 vectors of 256 in one call, against a loop on one core."""
    case, rival = "1,024 x 256", "scipy on one core"
    for cores, bar in (("one core", 8), ("two cores", 12)):
        for task, kind in (("batch", "numpy"), ("torch batch", "torch")):
            name = f"isr_theory on {cores}"
            found = bench.race_tasks(case, {name: task, rival: "batch"})
            what = f"{case} roots, {kind} on {cores}"
            ours, theirs = found[name][0], found[rival][0]
            yield _row(what, ours, "a loop over brentq on one core", theirs, 1 / bar)


def khat_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """The Pareto index against arviz-stats."""
    for case in VECTORS:
        found = bench.race("khat", case, ["isr_theory", "arviz"])
        (ours, khat), (theirs, value) = found["isr_theory"], found["arviz"]
        row = _row(f"Pareto k, n = {case}", ours, "arviz-stats", theirs, 1 / 3)
        yield row | {"apart": abs(khat - value)}


def sweep_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """41 moments of ten million weights."""
    case, names = "10,000,000", [n for n in ("isr_theory", "scipy", "numba") if n in bench.workers]
    found = bench.race("sweep", case, names, rounds=5)
    tuned = bench.race("tuned sweep", case, ["scipy"], rounds=3)["scipy"]
    ours, value = found.pop("isr_theory")
    rivals = {"the naive numpy line": found.pop("scipy"), "an exponential for each": tuned}
    if "numba" in found:
        rivals["a fused numba kernel"] = found["numba"]
    for name, (theirs, other) in rivals.items():
        bar = 1 / 25 if name.startswith("the naive") else None
        row = _row("41 moments of 1e7 weights", ours, name, theirs, bar)
        apart = max(abs(math.expm1(a - b)) for a, b in zip(value, other, strict=True))
        yield row | {"apart": apart}


def hard_table(bench: Bench) -> dict[str, dict[str, int]]:
    """How each package does on vectors made to be hard."""
    names = [name for name in ("isr_theory", "scipy", *PEERS) if name in bench.workers]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for seed in track(range(HARD), "hard vectors"):
        log_w, rho_min = hard_case(seed)
        truth = root(log_w, rho_min)
        for name in names:
            answer = bench.workers[name].ask("exact", f"hard {seed}", rho_min, keep=False)
            counts[name][judged(answer, log_w, rho_min, truth)] += 1
    kinds = ("right", "to three digits", "wrong", "no number", "error")
    return {name: {kind: counts[name][kind] for kind in kinds} for name in names}


def judged(answer: dict[str, Any], log_w: np.ndarray, rho_min: float, truth: float) -> str:
    """Return how good an answer is: by the root itself, or by the ESS that it reaches."""
    if "error" in answer:
        return "error"
    gamma = answer["value"]
    if gamma is None or not math.isfinite(gamma):
        return "no number"
    if not 0 < gamma <= 1:
        return "wrong"
    import flint

    reached = float(log_ess_share(log_w, flint.arb(gamma)).mid())
    missed = abs(reached - math.log(rho_min)) if truth < 1 else math.inf
    off = min(abs(gamma / truth - 1), missed)
    return "right" if off <= 1e-9 else "to three digits" if off <= 1e-3 else "wrong"


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def main() -> None:
    """Ask everything, print progress, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="questions of each kind (20)")
    rounds = parser.parse_args().rounds
    console, some = Console(), cases()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = save_cases(Path(folder) / "cases.npz", some)
        packages = ready()
        workers = {name: stack.enter_context(Worker(name, path)) for name in packages}
        for name, cores in (("one core", 1), ("two cores", 2)):
            for package in ("isr_theory", "scipy"):
                worker = stack.enter_context(Worker(package, path, cores))
                workers[f"{package} on {name}"] = worker
        bench = Bench(workers, rounds)
        rows = []
        for part in (exact_rows(bench, some), closed_rows(bench), batch_rows(bench)):
            rows += _shown(part, console)
        if "arviz" in workers:
            rows += _shown(khat_rows(bench), console)
        rows += _shown(sweep_rows(bench), console)
        hard = hard_table(bench)
    document = {
        "machine": machine(),
        "versions": {name: version(name) for name in packages},
        "missing": sorted({*PEERS, "arviz", "numba"} - set(packages)),
        "rows": rows,
        "hard": hard,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    files.write(RESULTS, json.dumps(document, indent=1) + "\n")
    console.print(hard)


def _shown(rows: Iterator[dict[str, Any]], console: Console) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        line = f"{row['what']:40} {row['rival']:32} ratio {row['ratio']:.3g}"
        if row["bar"] is not None:
            line += f" bar {row['bar']:.3g} {'met' if row['met'] else 'MISSED'}"
        console.print(line)
        found.append(row)
    return found


if __name__ == "__main__":
    main()
