"""Where the time goes: each command from a cold start, and the dearest claims of the ledger.

    python benchmarks/cold_start.py [--runs 5]

Every figure is the median of whole processes. The page cache is warm after the first run: "cold"
means a new interpreter, not a new machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from isr_theory.claim import Route
from isr_theory.claims import ledger
from isr_theory.judge import Options, judge

VERIFY = [sys.executable, "-m", "isr_theory.verify"]
COMMANDS = {
    "import isr_theory": [sys.executable, "-c", "import isr_theory"],
    "verify list": [*VERIFY, "list"],
    "verify T7.4 --no-neural": [*VERIFY, "T7.4", "--no-neural"],
    "verify all": [*VERIFY, "all"],
    "verify all --jobs 1": [*VERIFY, "all", "--jobs", "1"],
}


def seconds(command: list[str]) -> float:
    """Return the wall time of one process; its failure is an error."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print the table of commands, then the time by route and the ten dearest claims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="processes per command (default 5)")
    runs = parser.parse_args().runs
    print(f"{'command':<28} {'median s':>9} {'min s':>9} {'max s':>9}   ({runs} runs)")
    for name, command in COMMANDS.items():
        times = [seconds(command) for _ in range(runs)]
        row = (statistics.median(times), min(times), max(times))
        print(f"{name:<28} " + " ".join(f"{value:9.2f}" for value in row), flush=True)

    print("\ntime by route in one process, wrong variants included")
    total = 0.0
    for route in (Route.SYMBOLIC, Route.CERTIFIED, Route.SAMPLED, Route.NEURAL):
        start = time.perf_counter()
        for claim in ledger():
            judge(claim, Options(routes=frozenset({route})))
        total += time.perf_counter() - start
        print(f"{route.value:<28} {time.perf_counter() - start:9.2f}", flush=True)
    print(f"{'together':<28} {total:9.2f}")

    # Shared left sides are cached by now, so these are the costs that caching cannot remove.
    dear = []
    for claim in ledger():
        start = time.perf_counter()
        judge(claim, Options())
        dear.append((time.perf_counter() - start, claim.id))
    print("\nthe ten dearest claims, caches warm")
    for cost, id in sorted(dear, reverse=True)[:10]:
        print(f"{id:<28} {cost:9.2f}")


if __name__ == "__main__":
    main()
