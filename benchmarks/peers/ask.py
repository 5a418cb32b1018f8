"""Ask packages questions, each in a process of its own environment; see `worker`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.peers.__main__ import PEERS, installed, python_of

WORKER = Path(__file__).with_name("worker.py")
# A package of ours has no environment of its own: it is in this one, beside scipy.
AT_HOME = ("isr_theory", "scipy")
# These write files that tests compare, and are not timed.
UNTIMED = ("obp", "rliable")
# Which distribution a package's version is asked of.
DISTRIBUTION = {"arviz": "arviz-stats", "isr_theory": "isr-theory"}


class Worker:
    """One package, ready to be asked; `cores` restricts the process to so many."""

    def __init__(self, package: str, cases: Path, cores: int | None = None) -> None:
        python = Path(sys.executable) if package in AT_HOME else python_of(package)
        allowed = sorted(os.sched_getaffinity(0))[:cores]
        self.process = subprocess.Popen(
            [str(python), str(WORKER), package, str(cases)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    def ask(
        self, task: str, case: str, rho_min: float = 0.3, loops: int = 1, keep: bool = True
    ) -> dict[str, Any]:
        """Return {"value", "seconds"} or {"error"}; not to `keep` forgets what was prepared."""
        question = {"task": task, "case": case, "rho_min": rho_min, "loops": loops, "keep": keep}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps(question), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"error": f"the process ended with {self.process.wait()}"}
        found: dict[str, Any] = json.loads(line)
        return found


def ready() -> list[str]:
    """Return the packages that can be asked."""
    return [*AT_HOME, *(name for name in PEERS if name not in UNTIMED and installed(name))]


def save_cases(path: Path, cases: Mapping[str, np.ndarray]) -> Path:
    """Write cases for workers to read."""
    np.savez(path, **dict(cases))
    return path


def version(package: str) -> str:
    """Return a package's version, as its own environment says."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    python = Path(sys.executable) if package in AT_HOME else python_of(package)
    name = DISTRIBUTION.get(package, package)
    done = subprocess.run([python, "-c", code, name], capture_output=True, text=True, check=True)
    return done.stdout.strip()
