"""An experiment as a list of cells, run in any order, kept one by one, and summed up at the end.

A cell is one setting with all its seeds: the least that is lost when a run is killed. Finished
cells stand as lines in `NAME.cells.jsonl`, below the versions that made them; a last line that was
cut short is left out. When all are there the run writes `NAME.json`, whole or not at all, with
settings, versions and the summary, and the summary alone to where the ledger reads it. The next
call goes on where the last one stopped; a file that other settings made is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import kept
from experiments.kept import Json as Json
from experiments.kept import Unusable
from isr_theory import files

HERE = Path(__file__).parent / "results"
LEDGER = Path(__file__).parent.parent / "isr_theory" / "results"
PACKAGES = ("isr-theory", "numpy", "scipy", "torch")


class OtherSettings(Unusable):
    """A results file is there that other settings made."""


@dataclass(frozen=True)
class Cell:
    """One setting: a key that names it in the results, and what `run` is called with."""

    key: str
    arguments: Json


def _no_data(settings: Any) -> Json:
    return {}


@dataclass(frozen=True)
class Experiment:
    """What is run: `cells(settings)` lists the cells, `run(settings, **arguments)` does one.

    `settings` is a frozen dataclass of plain values with the defaults of the committed results,
    `smoke` the same at the smallest size that still runs every line. `run` returns plain data and
    takes at most 20 s, with all seeds of its setting in one tensor. `summarise(settings, found)`
    makes of all cells, by key, what figures and predictions read. `data(settings)` names the real
    data that a run with these settings reads, with their digests. The generators of its draws start
    from `root_seed`, or at fixed distances from it; None where nothing is drawn. With fewer seeds
    than `least_seeds` there is nothing to sum up.
    """

    name: str
    title: str
    settings: Any
    smoke: Any
    cells: Callable[[Any], Sequence[Cell]]
    run: Callable[..., Json]
    summarise: Callable[[Any, Mapping[str, Json]], Json]
    data: Callable[[Any], Json] = _no_data
    root_seed: int | None = None
    least_seeds: int = 2


@dataclass(frozen=True)
class Store:
    """Where one experiment's results with one settings are kept."""

    experiment: Experiment
    settings: Any
    folder: Path = HERE

    @property
    def whole(self) -> Path:
        """The file of a finished run."""
        return self.folder / f"{self.experiment.name}.json"

    @property
    def parts(self) -> Path:
        """The cells of a run that has not finished."""
        return self.folder / f"{self.experiment.name}.cells.jsonl"

    @property
    def lock(self) -> Path:
        """The file that one run at a time holds."""
        return self.folder / f"{self.experiment.name}.lock"

    def head(self) -> Json:
        """Return what must be equal for results to belong together."""
        settings = json.loads(json.dumps(dataclasses.asdict(self.settings)))
        return {
            "experiment": self.experiment.name,
            "settings": settings,
            "root_seed": self.experiment.root_seed,
        }

    def begin_anew(self) -> None:
        """Drop the cells of a run that has not finished, and ignore a finished one from now on.

        Its file stays until there is another: `finish` replaces it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write(self.parts, json.dumps({**self.head(), "anew": True}) + "\n")

    def found(self) -> dict[str, Json]:
        """Return the cells that are kept; raise Unusable for a file that is torn or of others."""
        whole, lines = self._files()
        return {**_cells(whole, self.whole), **_cells_of_lines(lines, self.parts)}

    def _files(self) -> tuple[Json, list[Json]]:
        """Return the finished run, and the lines of one that has not finished, the head first."""
        lines = kept.lines(self.parts) or [self.head()]
        self._must_match(lines[0], self.parts)
        if lines[0].get("anew") or not self.whole.exists():
            return {**self.head(), "cells": {}}, lines
        whole = kept.document(self.whole)
        self._must_match(whole, self.whole)
        return whole, lines

    def _must_match(self, document: Json, path: Path) -> None:
        if document.get("experiment") != self.experiment.name:
            raise OtherSettings(f"{path} is of {document.get('experiment')!r}, not of this run")
        if not isinstance(document.get("settings"), dict):
            raise kept.unusable(path, "has no settings")
        mine, theirs = (
            {**head["settings"], "root_seed": head.get("root_seed")}
            for head in (self.head(), document)
        )
        differ = sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))
        if differ:
            name = differ[0]
            raise OtherSettings(
                f"{path} is of other settings ({name} is {theirs.get(name)!r} there and"
                f" {mine.get(name)!r} here): give another --out, or --fresh to begin anew"
            )

    def keep(self, key: str, result: Json) -> None:
        """Append one finished cell; what was there before stays, or is refused if of others."""
        lines = kept.lines(self.parts)
        if lines:
            self._must_match(lines[0], self.parts)
        head = [] if lines else [self.head()]
        if _versions_of(lines)[-1:] != [versions()]:
            head.append({"versions": versions()})
        self.folder.mkdir(parents=True, exist_ok=True)
        kept.append(self.parts, [*head, {"key": key, "result": result}])

    def made_with(self) -> Json | list[Json]:
        """Return the versions that the cells are of, a list where runs of several made them."""
        whole, lines = self._files()
        made = whole.get("versions", [])
        own = [*(made if isinstance(made, list) else [made]), *_versions_of(lines)]
        found = [item for i, item in enumerate(own) if item not in own[:i]] or [versions()]
        return found[0] if len(found) == 1 else found

    def finish(self, cells: Mapping[str, Json]) -> Json:
        """Write the whole run, cells in their order, and return it."""
        order = [cell.key for cell in self.experiment.cells(self.settings)]
        own = {key: cells[key] for key in order}
        document = {
            **self.head(),
            "title": self.experiment.title,
            "versions": self.made_with(),
            "data": self.experiment.data(self.settings),
            "summary": rounded(self.experiment.summarise(self.settings, own)),
            "cells": own,
        }
        files.write(self.whole, json.dumps(document, indent=1) + "\n")
        self.parts.unlink(missing_ok=True)
        return document


def publish(document: Json, folder: Path = LEDGER) -> Path:
    """Write the part of a run that the ledger reads: settings, versions, data and summary."""
    path = folder / f"{document['experiment']}.json"
    short = {key: value for key, value in document.items() if key != "cells"}
    cells = json.dumps(document["cells"], sort_keys=True).encode()
    short["cells_sha256"] = hashlib.sha256(cells).hexdigest()
    files.write(path, json.dumps(short, indent=1) + "\n")
    return path


def rounded(value: Any, digits: int = 6) -> Any:
    """Return plain data with its floats cut to so many digits; no NaN and no infinity in it.

    Raises ValueError where there is one: JSON has none, and a summary must not hide a failure.
    """
    if isinstance(value, Mapping):
        return {str(key): rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a summary holds {value}: finite numbers are allowed, or null")
        return float(f"{value:.{digits}g}")
    return value


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def missing(store: Store) -> tuple[dict[str, Json], list[Cell]]:
    """Return the cells that are kept, and those that are still to run."""
    found = store.found()
    cells = store.experiment.cells(store.settings)
    keys = [cell.key for cell in cells]
    if len(set(keys)) != len(keys):
        raise ValueError(f"{store.experiment.name} has two cells of one key")
    return found, [cell for cell in cells if cell.key not in found]


def _cells(document: Json, path: Path) -> dict[str, Json]:
    value = document.get("cells")
    if not isinstance(value, dict) or not all(isinstance(cell, dict) for cell in value.values()):
        raise kept.unusable(path, "has no cells")
    return value


def _cells_of_lines(lines: Sequence[Json], path: Path) -> dict[str, Json]:
    found = {}
    for number, line in enumerate(lines[1:], 2):
        if set(line) == {"key", "result"}:
            found[line["key"]] = line["result"]
        elif set(line) != {"versions"}:
            raise kept.unusable(f"{path}, line {number}", "is not a cell")
    return _cells({"cells": found}, path)


def _versions_of(lines: Sequence[Json]) -> list[Json]:
    return [line["versions"] for line in lines if "versions" in line]
