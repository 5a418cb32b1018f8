"""Files written whole or not at all, and nothing but files written."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def check_writable(paths: Sequence[Path]) -> None:
    """Raise OSError now if a file could not be written later, so that no long run is lost."""
    for path in paths:
        target = _destination(path)
        with _named(path), tempfile.TemporaryFile(dir=target.parent):
            pass


def check_apart(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise FileExistsError where writing one file would replace another of the same run."""
    known = [(path, "is part of what is read") for path in inputs]
    for path in outputs:
        for other, why in known:
            if _same(path, other):
                raise FileExistsError(errno.EEXIST, why, str(path))
        known.append((path, "is written twice"))


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an error name the file that was asked for, not the one that stands in for it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _destination(path: Path) -> Path:
    """Return where a path leads, or raise OSError where that is not a file or a place for one.

    Renaming onto a device or a pipe would put a file in its place: /dev/stdout would be gone.
    """
    target = path.resolve()
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return target


def write(path: Path, content: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed into place.

    A link is followed, so that what it leads to is replaced and not the link. Raises OSError for
    a folder, a device or a pipe.
    """
    target = _destination(path)
    with _named(path):
        _replace(target, content)


def _replace(target: Path, content: str) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        # mkstemp makes files private; give this one what a plain open would have given.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
