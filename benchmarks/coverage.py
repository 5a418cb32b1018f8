"""How often the 95% interval of `choose_gamma` holds the population's gamma: `make bench`.

For laws of log w whose cumulant generating function is known, so that the population's gamma is.
The interval is the delta method's where log w does not look normal, and covers chi-square's too
where it does: the table says how good that is, small and heavy-tailed batches included.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import brentq

from isr_theory import files
from isr_theory.diagnostics import choose_gamma

RESULTS = Path(__file__).parent / "results" / "coverage.json"
RHO = 0.3


@dataclass(frozen=True)
class Law:
    """A law of log w: how to draw it, and log E exp(t log w)."""

    name: str
    draw: Callable[[np.random.Generator, int], np.ndarray]
    log_moment: Callable[[float], float]
    order: float
    """The moments of w exist below this order."""

    def gamma(self) -> float:
        """Return the population's gamma."""

        def excess(gamma: float) -> float:
            return self.log_moment(2 * gamma) - 2 * self.log_moment(gamma) + math.log(RHO)

        end = min(1.0, self.order / 2 - 1e-9)
        return 1.0 if excess(end) < 0 else float(brentq(excess, 1e-9, end))


def normal(sigma: float) -> Law:
    """Log w ~ N(0, sigma^2)."""
    return Law(
        f"normal, sigma {sigma:g}",
        lambda rng, n: sigma * rng.standard_normal(n),
        lambda t: t * t * sigma * sigma / 2,
        math.inf,
    )


def exponential(scale: float) -> Law:
    """Log w = scale * Exp(1): a Pareto tail of index `scale`."""
    return Law(
        f"Pareto tail, k {scale:g}",
        lambda rng, n: scale * rng.standard_exponential(n),
        lambda t: -math.log1p(-scale * t),
        1 / scale,
    )


def left(scale: float) -> Law:
    """Log w = -scale * Exp(1): skewed to the left, w bounded."""
    return Law(
        f"left-skewed, scale {scale:g}",
        lambda rng, n: -scale * rng.standard_exponential(n),
        lambda t: -math.log1p(scale * t),
        math.inf,
    )


def uniform(reach: float) -> Law:
    """Log w uniform on (-reach, reach): no tail at all."""
    return Law(
        f"uniform, +-{reach:g}",
        lambda rng, n: rng.uniform(-reach, reach, n),
        lambda t: math.log(math.sinh(t * reach) / (t * reach)),
        math.inf,
    )


def laplace(scale: float) -> Law:
    """Log w ~ Laplace: a Pareto tail of index `scale` above, and one below."""
    return Law(
        f"Laplace, scale {scale:g}",
        lambda rng, n: scale * rng.laplace(size=n),
        lambda t: -math.log1p(-((scale * t) ** 2)),
        1 / scale,
    )


LAWS = [
    normal(1.5),
    normal(3),
    uniform(5),
    left(4),
    laplace(1.5),
    exponential(0.5),
    exponential(1),
]
SIZES = (16, 64, 256, 1024, 4096)


def coverage(law: Law, n: int, runs: int, method: str) -> tuple[float, float]:
    """Return how often the interval holds the population's gamma, and its median width."""
    held, widths = 0, []
    truth = law.gamma()
    for run in range(runs):
        rng = np.random.default_rng([run, n])
        low, high = choose_gamma(law.draw(rng, n), RHO, method=method).interval
        held += low <= truth <= high
        widths.append(high - low)
    return held / runs, float(np.median(widths))


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="batches a cell (default 1000)")
    runs = parser.parse_args().runs
    columns = {f"{method} {n:,}": (method, n) for method in ("auto", "exact") for n in SIZES}
    table = Table(title=f"95% intervals that hold the population's gamma, {runs} batches each")
    table.add_column("log w")
    for name in columns:
        table.add_column(name, justify="right")
    kept = {}
    for law in track(LAWS, description="laws", console=Console(stderr=True)):
        found = [coverage(law, n, runs, method) for method, n in columns.values()]
        kept[law.name] = [f"{held:.1%} ({width:.2f})" for held, width in found]
        table.add_row(law.name, *kept[law.name])
    Console(width=140).print(table)
    document = {"runs": runs, "columns": list(columns), "cells": kept}
    files.write(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
