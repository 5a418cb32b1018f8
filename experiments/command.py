"""The command that a folder of experiments gets: `command.main("experiments.bandit")`.

Every module of the folder that has an EXPERIMENT is one; its module's name is its name.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import os
import pkgutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from experiments import kept, runs, workers
from experiments.data import MissingData
from isr_theory import files

OK, DIED, USAGE, STOPPED = 0, 1, 2, 130
KEPT = "the cells that had finished are kept: the same command goes on"


class Refused(Exception):
    """What was asked for makes no run."""


def experiments_of(package: str) -> dict[str, str]:
    """Return the name and the module of every experiment of a package."""
    path = importlib.import_module(package).__path__
    names = sorted(info.name for info in pkgutil.iter_modules(path))
    modules = {name: f"{package}.{name}" for name in names if not name.startswith("_")}
    return {
        name: m for name, m in modules.items() if hasattr(importlib.import_module(m), "EXPERIMENT")
    }


def main(package: str, arguments: Sequence[str] | None = None) -> int:
    """Run the experiments that are named, all if none is; return the exit code."""
    return guarded(lambda err: _main(package, arguments, err))


def guarded(command: Callable[[Console], int]) -> int:
    """Return a command's exit code; an error that a person can mend is one red line."""
    err = Console(stderr=True, soft_wrap=True)
    try:
        return command(err)
    except (Refused, kept.Unusable, MissingData, OSError) as error:
        err.print(str(error), style="red", markup=False)
        return USAGE
    except BrokenProcessPool:
        err.print("a process that ran cells has died, out of memory perhaps;", KEPT, style="red")
        return DIED
    except KeyboardInterrupt:
        err.print("stopped;", KEPT)
        return STOPPED


def _main(package: str, arguments: Sequence[str] | None, err: Console) -> int:
    known = experiments_of(package)
    parsed = _parser(package, known).parse_args(arguments)
    out = Console(soft_wrap=True, highlight=False)
    if parsed.list:
        tell(known, out)
        return OK
    names = wanted(parsed.names, known)
    chosen = {name: _settings(known[name], parsed) for name in names}
    for name in names:
        run(
            known[name],
            chosen[name],
            out,
            err,
            where=parsed.out,
            jobs=parsed.jobs,
            fresh=parsed.fresh,
        )
    return OK


def tell(known: Mapping[str, str], out: Console) -> None:
    """Print the experiments that there are."""
    width = max(map(len, known))
    for name, module in known.items():
        out.print(f"{name:<{width}} {importlib.import_module(module).EXPERIMENT.title}")


def wanted(names: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Return the experiments that were asked for, all if none was; raise Refused for others."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Refused(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    return list(names) or list(known)


def _parser(package: str, known: dict[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}", description=f"Run experiments: {', '.join(known)}."
    )
    add_common(parser)
    parser.add_argument("--smoke", action="store_true", help="the smallest size, for a look")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"results ({runs.HERE}); --smoke needs it"
    )
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every command of experiments has."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all if none is named")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--seeds", type=_positive, metavar="N", help="seeds of each setting")
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=_positive, default=cores, help=f"processes ({cores})")
    parser.add_argument("--fresh", action="store_true", help="do not use what is kept, begin anew")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _settings(module: str, parsed: argparse.Namespace) -> Any:
    """Return the settings that were asked for; raise Refused where they make no run."""
    experiment: runs.Experiment = importlib.import_module(module).EXPERIMENT
    settings = experiment.smoke if parsed.smoke else experiment.settings
    return adjusted(experiment, settings, seeds=parsed.seeds, where=parsed.out)


def adjusted(
    experiment: runs.Experiment, settings: Any, *, seeds: int | None, where: Path | None
) -> Any:
    """Return settings with so many seeds; raise Refused where they make no run."""
    name = experiment.name
    if seeds is not None:
        if not hasattr(settings, "seeds"):
            raise Refused(f"{name} has no seeds: name the experiments that --seeds is meant for")
        if seeds < experiment.least_seeds:
            raise Refused(f"--seeds is {seeds}: {name} needs at least {experiment.least_seeds}")
        settings = dataclasses.replace(settings, seeds=seeds)
    if where is None and settings != experiment.settings:
        raise Refused(f"{name}: other settings than those of the committed results need --out DIR")
    return settings


def run(
    module: str,
    settings: Any,
    out: Console,
    err: Console,
    *,
    where: Path | None,
    jobs: int,
    fresh: bool,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Run what is missing of one experiment, and write its results.

    `prepare` makes what its cells need, once it is sure that there are cells to run.
    """
    experiment: runs.Experiment = importlib.import_module(module).EXPERIMENT
    usual = where is None
    store = runs.Store(experiment, settings, where or runs.HERE)
    # Before the first cell, so that no run is lost to a place that cannot be written to.
    store.folder.mkdir(parents=True, exist_ok=True)
    summary = [runs.LEDGER / f"{experiment.name}.json"] if usual else []
    files.check_writable([store.whole, store.parts, *summary])
    with kept.alone(store.lock):
        if fresh:
            store.begin_anew()
        if runs.missing(store)[1]:
            prepare()
        found = _complete(store, module, jobs, err)
        document = store.finish(found)
        written = [str(store.whole)] + ([str(runs.publish(document))] if usual else [])
    out.print(f"{experiment.name}: {len(found)} cells, in {', '.join(written)}", markup=False)


def _complete(store: runs.Store, module: str, jobs: int, err: Console) -> dict[str, runs.Json]:
    """Run what is missing, and return all cells."""
    name = store.experiment.name
    found, cells = runs.missing(store)
    before, total, since = len(found), len(found) + len(cells), time.monotonic()
    with _progress(err) as progress:
        task = progress.add_task(name, total=total, completed=len(found))
        # Closed at once when it is left: what helps must not go on while an error is told.
        going = workers.run_cells(store, cells, module=module, jobs=jobs)
        with contextlib.closing(going):
            for key, result in going:
                found[key] = result
                progress.advance(task)
                if not err.is_terminal:
                    took = time.monotonic() - since
                    err.print(_line(name, len(found), total, len(found) - before, took))
    return found


def _line(name: str, found: int, total: int, run: int, took: float) -> str:
    """Return where a run stands: `run` of its cells took so many seconds, and so will the rest."""
    left = took / run * (total - found)
    return f"{name}: {found} of {total}, {_minutes(took)} gone, about {_minutes(left)} left"


def _minutes(seconds: float) -> str:
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
