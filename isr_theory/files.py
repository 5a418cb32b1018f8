"""Files written whole or not at all, and nothing but files written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def check_writable(paths: Sequence[Path]) -> None:
    """Raise OSError now if a file could not be written later, so that no long run is lost."""
    for path in paths:
        with tempfile.TemporaryFile(dir=_destination(path).parent):
            pass


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
    path = _destination(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        # mkstemp makes files private; give this one what a plain open would have given.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
