"""Files of results: read with an error that names what is wrong, added to line by line.

A line counts when its line break is there: a process may die while it writes the last one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Unusable(Exception):
    """A results file is there that this run cannot use."""


def document(path: Path) -> Json:
    """Return the object of a JSON file; raise Unusable, with its name, where that is none."""
    return _object(_text(path), str(path))


def lines(path: Path) -> list[Json]:
    """Return the objects of all whole lines; none where there is no file."""
    if not path.exists():
        return []
    text = _text(path)
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [_object(line, f"{path}, line {number}") for number, line in enumerate(whole, 1)]


def append(path: Path, objects: Sequence[Json]) -> None:
    """Add lines on the disk, in place of what a killed process left behind the last line break."""
    text = "".join(json.dumps(line) + "\n" for line in objects)
    _cut_torn_line(path)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # A full disk does not say for which file.
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file while the body runs; raise Unusable at once where another run holds it.

    The system lets go of it when the process ends, however it does.
    """
    handle = _locked(path)
    try:
        yield
    finally:
        # Removed while it is held: who opened it meanwhile finds that it is no longer the file.
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Unusable(f"another run is writing here: it holds {path}") from None
        except OSError as error:
            os.close(handle)
            raise OSError(error.errno, error.strerror, str(path)) from error
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        # Its last holder removed it between the two: what was locked is no file any more.
        os.close(handle)


def _cut_torn_line(path: Path) -> None:
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)


def _text(path: Path) -> str:
    # A torn line may end in the middle of a character; a whole one that does is not JSON either.
    return path.read_bytes().decode("utf-8", errors="replace")


def _object(text: str, where: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise unusable(where, f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise unusable(where, f"holds {type(value).__name__}, not an object")
    return value


def unusable(where: object, why: str) -> Unusable:
    """Return the error that says what is wrong where, and what can be done."""
    return Unusable(f"{where} {why}: give another --out, or --fresh to begin anew")
