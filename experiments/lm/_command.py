"""The command of the language-model experiments: presets, a plan, and what many of them need.

    python -m experiments.lm [NAME...] --preset smoke|cpu|gpu [--out DIR] [--dry-run]

What several experiments need is made first, in the workshop under --out, in this process and with
progress; then the cells run as those of any experiment do. `--dry-run` prints all of it, with sizes
and times, and does nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import command, runs
from experiments.command import OK, Refused
from experiments.lm import _plan, _prompts, tasks, workshop
from experiments.lm.recipes import Recipe

PACKAGE = "experiments.lm"
PRESETS = ("smoke", "cpu", "gpu")
# Freed tensors stay with the process instead of being fetched anew, page by page, for the next.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}


def with_room() -> None:
    """Begin this process again with what the allocator reads at its start, if that is not set.

    And let nothing be looked for in the network.
    """
    missing = {name: value for name, value in MALLOC.items() if name not in os.environ}
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if missing and sys.platform == "linux":
        os.environ.update(missing)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiments that are named, all if none is; return the exit code."""
    return command.guarded(lambda err: _main(arguments, err))


def _main(arguments: Sequence[str] | None, err: Console) -> int:
    import torch

    known = command.experiments_of(PACKAGE)
    parsed = _parser(known).parse_args(arguments)
    out = Console(soft_wrap=True, highlight=False)
    if parsed.list:
        command.tell(known, out)
        return OK
    names = command.wanted(parsed.names, known)
    chosen = {name: settings_of(known[name], parsed, named=bool(parsed.names)) for name in names}
    os.environ[workshop.VARIABLE] = str(_work(parsed))
    if parsed.prompts is not None:
        os.environ[tasks.VARIABLE] = str(parsed.prompts.resolve())
    if parsed.prepare is not None:
        needed = [one for name in names for one in needs_of(known[name], chosen[name])]
        more = [_prompts_of(known[name], chosen[name]) for name in names]
        _prompts.prepare(parsed.prepare, needed, out, more)
        return OK
    if parsed.dry_run:
        _plan.tell({known[name]: chosen[name] for name in names}, parsed.out, out)
        return OK
    if parsed.preset == "gpu" and not parsed.reduced and not torch.cuda.is_available():
        raise Refused("--preset gpu needs a CUDA device, there is none: --reduced needs none")
    # What is missing is said before hours are spent on the others.
    for name in names:
        check = getattr(importlib.import_module(known[name]), "check", None)
        if check is not None:
            check(chosen[name])
    # Sums of one thread are the same every time; the cells run on one each as well.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in names:
            _run(known[name], chosen[name], parsed, out, err)
    finally:
        torch.set_num_threads(before)
    return OK


def _run(
    module: str, settings: Any, parsed: argparse.Namespace, out: Console, err: Console
) -> None:
    since = time.monotonic()

    def say(said: str) -> None:
        gone = round(time.monotonic() - since)
        err.print(f"{gone // 60}:{gone % 60:02d} {said}", markup=False, highlight=False)

    def prepare() -> None:
        for recipe in needs_of(module, settings):
            workshop.Workshop(workshop.at().folder, say).make(recipe)

    # One card is not shared: there cells come one after the other.
    jobs = 1 if parsed.preset == "gpu" else parsed.jobs
    given: dict[str, Any] = {"where": parsed.out, "jobs": jobs, "fresh": parsed.fresh}
    command.run(module, settings, out, err, **given, prepare=prepare)


def needs_of(module: str, settings: Any) -> list[Recipe]:
    """Return what an experiment needs from the workshop, if it says so."""
    asked = getattr(importlib.import_module(module), "needs", None)
    return list(asked(settings)) if asked else []


def _prompts_of(module: str, settings: Any) -> dict[tuple[str, int], int]:
    """Return the prompts that an experiment draws itself: how many of which task and seed."""
    asked = getattr(importlib.import_module(module), "prompts", None)
    return dict(asked(settings)) if asked else {}


def settings_of(module: str, parsed: argparse.Namespace, *, named: bool) -> Any:
    """Return the settings that were asked for; raise Refused where they make no run."""
    source = importlib.import_module(module)
    experiment: runs.Experiment = source.EXPERIMENT
    settings = _of_preset(source, experiment, parsed)
    if parsed.model is not None:
        settings = _with_model(experiment, settings, parsed.model, named=named)
    seeds = parsed.seeds if named or hasattr(settings, "seeds") else None
    return command.adjusted(experiment, settings, seeds=seeds, where=parsed.out)


def _of_preset(source: Any, experiment: runs.Experiment, parsed: argparse.Namespace) -> Any:
    if parsed.reduced and parsed.preset != "gpu":
        raise Refused(f"--reduced is for --preset gpu, not {parsed.preset}")
    if parsed.preset == "cpu":
        return experiment.settings
    if parsed.preset == "smoke":
        return experiment.smoke
    wanted = "GPU_REDUCED" if parsed.reduced else "GPU"
    if not hasattr(source, wanted):
        raise Refused(f"{experiment.name} has no settings for --preset gpu: name others")
    return getattr(source, wanted)


def _with_model(experiment: runs.Experiment, settings: Any, model: Path, *, named: bool) -> Any:
    if hasattr(settings, "model"):
        return dataclasses.replace(settings, model=str(model.resolve()))
    if named:
        raise Refused(f"{experiment.name} takes no --model: it makes its own")
    return settings


def _work(parsed: argparse.Namespace) -> Path:
    if parsed.work is not None:
        return Path(parsed.work).resolve()
    return workshop.HERE if parsed.out is None else Path(parsed.out).resolve() / "work"


def _parser(known: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PACKAGE}", description=f"Run experiments: {', '.join(known)}."
    )
    command.add_common(parser)
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="cpu",
        help="sizes: smoke runs every line and says nothing, cpu made the committed results",
    )
    parser.add_argument(
        "--reduced", action="store_true", help="with --preset gpu: all of it, small, on a CPU"
    )
    parser.add_argument("--model", type=Path, metavar="PATH", help="a local model's folder")
    parser.add_argument(
        "--prepare", type=Path, metavar="DIR", help="only write the prompts that the run needs"
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="DIR", help="prompts that were prepared: no gym is needed"
    )
    parser.add_argument("--dry-run", action="store_true", help="print plan, sizes and times only")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"results ({runs.HERE}); all but cpu need it"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="models and logs (work, under --out)"
    )
    return parser
