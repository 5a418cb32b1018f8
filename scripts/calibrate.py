"""Count how often the sampled checks of the ledger alarm falsely, at a family rate of 0.1.

Every sampled check that should hold runs under many root seeds, each at alpha = rate / checks, so
that a seed with any false alarm should be rarer than the rate. Exit code 1 where their number is
more than the binomial explains (with a chance of 1e-6 for being unlucky). `--narrow` shrinks
every interval on purpose: the count must then be far too high, or it shows nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from scipy.stats import binom

from isr_theory.claim import Check, Claim, Outcome, Route, Verdict
from isr_theory.claims import ledger
from isr_theory.engines import montecarlo
from isr_theory.judge import SEED, Judge, Options

STANDS = (Verdict.VERIFIED, Verdict.SUPPORTED)
LUCK = 1e-6


def family() -> list[tuple[Claim, Check]]:
    """Return the sampled checks of what is said to hold."""
    return [
        (claim, check)
        for claim in ledger()
        if claim.expect in STANDS
        for check in claim.checks
        if check.route is Route.SAMPLED
    ]


def alarms(seed: int, *, alpha: float, narrow: float) -> list[str]:
    """Return the checks that fail under one root seed."""
    true_half = montecarlo.half_width
    montecarlo.half_width = lambda *given: narrow * true_half(*given)
    try:
        options = Options(frozenset({Route.SAMPLED}), seed, alpha)
        return [
            f"{claim.id}: {check.name}"
            for claim, check in family()
            if Judge(claim, options).answer(check, claim.subject).outcome is Outcome.FAILS
        ]
    finally:
        montecarlo.half_width = true_half


def main() -> int:
    """Run the seeds, print the count; return 0 where the binomial explains it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=400, help="how many root seeds")
    parser.add_argument("--first", type=int, default=SEED, help="the first of them")
    parser.add_argument("--rate", type=float, default=0.1, help="family rate of false alarms")
    parser.add_argument("--narrow", type=float, default=1.0, help="shrink intervals on purpose")
    parser.add_argument("--jobs", type=int, default=None, help="processes (default: one a core)")
    given = parser.parse_args()
    count = len(family())
    one = partial(alarms, alpha=given.rate / count, narrow=given.narrow)
    seeds = range(given.first, given.first + given.seeds)
    found: list[list[str]] = []
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for failed in pool.map(one, seeds):
            found.append(failed)
            if sys.stderr.isatty():
                print(f"\r{len(found)} of {given.seeds} seeds", end="", file=sys.stderr)
    unlucky = sum(bool(failed) for failed in found)
    most = int(binom.ppf(1 - LUCK, given.seeds, given.rate))
    print(f"{count} sampled checks, each at alpha = {given.rate:g}/{count}")
    print(f"{unlucky} of {given.seeds} seeds with a false alarm, {unlucky / given.seeds:.3f}")
    for name, times in Counter(name for failed in found for name in failed).most_common():
        print(f"  {times} x {name}")
    if unlucky > most:
        print(f"more than {most}, which a rate of {given.rate:g} explains")
        return 1
    print(f"at most {most} is what a rate of {given.rate:g} explains")
    return 0


if __name__ == "__main__":
    sys.exit(main())
