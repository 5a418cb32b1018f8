"""What is too long for every change: other seeds, more examples, the ledger's family rate.

The root seed rotates: it is today's date unless `--seed` names one, and it is printed, so that a
failure can be had again. Every step runs even where an earlier one failed; the exit code is 1 where
any did.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time

PROPERTIES = ("tests/test_properties.py", "tests/test_testing.py", "tests/test_weights.py")


def main() -> int:
    """Run the steps one after the other; say at the end which failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    today = int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d"))
    parser.add_argument("--seed", type=int, default=today, help="root seed (default: the date)")
    parser.add_argument("--seeds", type=int, default=400, help="seeds of the calibration")
    given = parser.parse_args()
    seed, python = str(given.seed), sys.executable
    steps = {
        "verdicts under another seed": [python, "-m", "isr_theory.verify", "all", "--seed", seed],
        "family rate of the ledger": [
            *(python, "scripts/calibrate.py", "--first", seed, "--seeds", str(given.seeds)),
        ],
        "properties, 100,000 examples each": [
            *(python, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"),
            *("--timeout", "0", f"--hypothesis-seed={seed}", *PROPERTIES),
        ],
    }
    print(f"root seed {seed}", flush=True)
    failed = []
    for name, command in steps.items():
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        environment = os.environ | {"ISR_PROFILE": "nightly"}
        if subprocess.run(command, env=environment, check=False).returncode:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"\nroot seed {seed}: {'failed: ' + ', '.join(failed) if failed else 'all as expected'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
