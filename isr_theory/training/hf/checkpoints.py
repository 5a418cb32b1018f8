"""Which checkpoints of transformers' Trainer are whole, so that a run can go on from them.

    weights (safetensors), optimizer.pt, scheduler.pt, rng_state*.pth, trainer_state.json

A run that was killed while it wrote leaves a folder that lacks files or has one cut off. The
Trainer would take the newest folder all the same, and where the optimiser's state is missing it
would begin with a fresh one and say nothing; so folders are looked through first. Every file says
where it ends: a safetensors file in its header, torch's files by the directory at the end of a zip.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

STATE = "trainer_state.json"
_NEEDED = ("optimizer.pt", "scheduler.pt")


class CheckpointError(ValueError):
    """A checkpoint that a run cannot go on from."""


def fault(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, None where it is whole."""
    if not folder.is_dir():
        return "is no folder"
    lacking = _lacking_shard(folder)
    if lacking is not None:
        return lacking
    weights = [*folder.glob("*.safetensors"), *folder.glob("*/adapter_model.safetensors")]
    if not weights:
        return "has no weights, no *.safetensors"
    for name in _NEEDED:
        if not (folder / name).is_file():
            return f"has no {name}, without which training would not go on as it was"
    states = sorted(folder.glob("rng_state*.pth"))
    if not states:
        return "has no rng_state.pth, without which training would not go on as it was"
    for path in weights:
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            return f"has a broken {path.name} ({error})"
    for path in (*(folder / name for name in _NEEDED), *states):
        broken = _broken_zip(path)
        if broken is not None:
            return f"has a broken {path.name} ({broken})"
    return _broken_state(folder / STATE)


def check(folder: Path) -> None:
    """Raise CheckpointError for a checkpoint that is not whole, naming others that are."""
    wrong = fault(folder)
    if wrong is None:
        return
    others = [path.name for path in _newest_first(folder.parent) if fault(path) is None]
    known = f"whole are {', '.join(others)}" if others else "there is no other that is whole"
    raise CheckpointError(f"checkpoint {folder} {wrong}; {known}")


def newest_whole(output: Path) -> Path | None:
    """Return the checkpoint with the most steps that is whole, None where there is none."""
    return next((path for path in _newest_first(output) if fault(path) is None), None)


def _newest_first(output: Path) -> list[Path]:
    found = [p for p in output.glob("checkpoint-*") if p.name.rsplit("-", 1)[1].isdigit()]
    return sorted(found, key=lambda path: -int(path.name.rsplit("-", 1)[1]))


def _lacking_shard(folder: Path) -> str | None:
    """Say which file of weights is not there, where they are in several by an index."""
    for index in folder.glob("*.safetensors.index.json"):
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return f"has a broken {index.name} ({error!r})"
        for name in sorted(names):
            if not (folder / name).is_file():
                return f"has no {name}, which {index.name} names"
    return None


def _broken_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as file:
            bad = file.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        return str(error)
    return None if bad is None else f"{bad} does not have its checksum"


def _broken_state(path: Path) -> str | None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"has no {STATE}, which is written last"
    except ValueError as error:
        return f"has a broken {STATE} ({error})"
    return None
