"""Answer and time questions for one package, in its own environment: `worker.py PACKAGE CASES`.

CASES is an npz file. A question is a line of JSON on standard input, {"task": ..., "case": ...,
"rho_min": ..., "loops": ...}; the answer is a line with the value and the seconds of one call, the
mean of so many. Every package is asked the same way, ours too, so that their runs can alternate.
Each function below takes a case and gives back a function of no arguments: what it prepares before
is not timed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

Call = Callable[[], object]
RISING = np.arange(41) / 40


def ours(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return this library's function."""
    import isr_theory

    if task == "torch batch":
        import torch

        tensor = torch.from_numpy(rows)
        torch.set_num_threads(_cores())
        return lambda: isr_theory.gamma_star(tensor, rho_min, method="exact")
    return {
        "exact": lambda: isr_theory.gamma_star(rows, rho_min, method="exact"),
        "batch": lambda: isr_theory.gamma_star(rows, rho_min, method="exact"),
        "closed form": lambda: isr_theory.gamma_star(rows, rho_min, method="lognormal"),
        "khat": lambda: isr_theory.pareto_khat(rows),
        "sweep": lambda: isr_theory.log_moments(rows, RISING[1], len(RISING)),
    }[task]


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def scipy(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return what a careful person would write with numpy and scipy alone."""
    return {
        "exact": lambda: brentq(rows, rho_min),
        "batch": lambda: [brentq(row, rho_min) for row in rows],
        "closed form": lambda: np.var(rows),
        "sweep": lambda: np.log([np.mean(np.exp(rows) ** order) for order in RISING]),
        "tuned sweep": lambda: np.log([np.exp(order * rows).mean() for order in RISING]),
    }[task]


def brentq(log_w: np.ndarray, rho_min: float) -> float:
    """Return the root of log ESS by Brent's method, shifted once, with our checks of the input."""
    from scipy import optimize

    log_w = np.asarray(log_w, dtype=np.float64)
    if not np.isfinite(log_w).all() and (np.isnan(log_w).any() or (log_w == np.inf).any()):
        raise ValueError("log_w has NaN or +inf")
    if not 0 < rho_min < 1:
        raise ValueError("rho_min must be in (0, 1)")
    shifted = log_w - log_w.max()
    goal = np.log(rho_min * len(log_w))

    def excess(gamma: float) -> float:
        powers = np.exp(gamma * shifted)
        return float(2 * np.log(powers.sum()) - np.log(powers @ powers) - goal)

    if excess(1.0) >= 0:
        return 1.0
    return float(optimize.brentq(excess, 1e-12, 1.0, xtol=1e-14))


def blackjax(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return BlackJAX's solver, compiled, in its own single precision."""
    import jax
    from blackjax.smc import ess, solver

    def solve(log_w: object) -> object:
        return ess.ess_solver(lambda x: x, log_w, rho_min, 1.0, solver.dichotomy)

    compiled, device = jax.jit(solve), jax.numpy.asarray(rows)
    compiled(device).block_until_ready()
    return lambda: compiled(device).block_until_ready()


def particles(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return the step of adaptive tempering, with what it updates beside the exponent left out."""
    from particles import smc_samplers

    class Step(smc_samplers.AdaptiveTempering):
        def __init__(self) -> None:
            self.ESSrmin = rho_min

        def logG_tempering(self, x: object, delta: float) -> float:
            return delta

    step = Step()

    def solve() -> float:
        shared = {"exponents": [0.0]}
        return step.logG(0, None, SimpleNamespace(N=len(rows), llik=rows, shared=shared))

    return solve


def pymc(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return the step of PyMC's sequential Monte Carlo that chooses the exponent."""
    from pymc.smc.kernels import SMC_KERNEL

    def solve() -> float:
        kernel = SimpleNamespace(
            iteration=0,
            beta=0.0,
            likelihood_logp=rows,
            threshold=rho_min,
            draws=len(rows),
            log_marginal_likelihood=0.0,
        )
        SMC_KERNEL.update_beta_and_weights(kernel)
        return kernel.beta

    return solve


def arviz(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return the Pareto index by arviz-stats, which negates what it is given."""
    from arviz_stats.base import array_stats

    return lambda: array_stats.psislw(-rows)[1]


def numba(task: str, rows: np.ndarray, rho_min: float) -> Call:
    """Return a fused kernel: powers by repeated products, sums in registers, on all cores."""
    from numba import njit, prange

    parts, orders = 64, len(RISING)

    @njit(parallel=True, fastmath=True)
    def sums(log_w: np.ndarray) -> np.ndarray:
        found = np.zeros((parts, orders))
        for part in prange(parts):
            own = np.zeros(orders)
            for i in range(part * len(log_w) // parts, (part + 1) * len(log_w) // parts):
                base = np.exp(log_w[i] / (orders - 1))
                power = 1.0
                for k in range(orders):
                    own[k] += power
                    power *= base
            found[part] = own
        return found

    return lambda: np.log(sums(rows).sum(axis=0) / len(rows))


PACKAGES = {
    "isr_theory": ours,
    "scipy": scipy,
    "blackjax": blackjax,
    "particles": particles,
    "pymc": pymc,
    "arviz": arviz,
    "numba": numba,
}


def answer(question: dict[str, object], cases: dict[str, np.ndarray], calls: dict) -> dict:
    """Return the value and the seconds of one call, or what went wrong."""
    key = (question["task"], question["case"], question["rho_min"])
    try:
        with np.errstate(all="ignore"):
            if key not in calls:
                rows = cases[str(question["case"])]
                calls[key] = PACKAGES[sys.argv[1]](str(key[0]), rows, question["rho_min"])
            call, loops = calls[key], int(question["loops"])
            start = time.perf_counter()
            for _ in range(loops):
                value = call()
            seconds = (time.perf_counter() - start) / loops
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if not question.get("keep", True):
        del calls[key]
    return {"value": np.asarray(value, dtype=np.float64).tolist(), "seconds": seconds}


def main() -> None:
    """Answer until the questions end."""
    with np.load(sys.argv[2]) as file:
        cases = dict(file)
    calls: dict = {}
    # What a package prints is not an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), cases, calls)), file=answers, flush=True)


if __name__ == "__main__":
    main()
