"""A log: sampled responses with what mu's log-probability of each token was when it was drawn.

    a row a sequence: task, prompt (its number), prompt_ids, response, log_mu, reward, exact

in Parquet, with lists of tokens, so that `python -m isr_theory.diagnose` reads the same file once a
column log_pi of a policy is beside log_mu. In memory prompts are padded on the left and responses
on the right. A log knows the vocabulary that its tokens are of.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.kept import Unusable

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
COLUMNS = ("task", "prompt", "prompt_ids", "response", "log_mu", "reward", "exact")


class Unreadable(Unusable):
    """A table is there that this run cannot use."""


@dataclass(frozen=True, eq=False)
class Log:
    """n sequences; P and T are the longest prompt and response."""

    task: Ints
    """(n,) places in `names`."""
    names: tuple[str, ...]
    prompt: Ints
    """(n,) which prompt, the same number for all responses to one."""
    prompt_ids: Ints
    """(n, P), padded on the left."""
    prompt_mask: Bools
    response: Ints
    """(n, T), padded on the right."""
    mask: Bools
    """(n, T), the tokens that were drawn, the end among them."""
    log_mu: Floats
    """(n, T), 0 in padding."""
    reward: Floats
    """(n,) graded, in [0, 1]."""
    exact: Floats
    """(n,) 0 or 1."""
    vocabulary: str = ""
    """The digest of the vocabulary that the tokens are of."""

    def __len__(self) -> int:
        return len(self.prompt)

    @property
    def lengths(self) -> Ints:
        """(n,) how many tokens each response has."""
        lengths: Ints = self.mask.sum(1).astype(np.int64)
        return lengths

    def take(self, rows: Any) -> Log:
        """Return some rows, by numbers or by a mask, as wide as before."""
        columns = {name: getattr(self, name)[rows] for name in _ROWS}
        return replace(self, **columns)


_ROWS = (
    "task",
    "prompt",
    "prompt_ids",
    "prompt_mask",
    "response",
    "mask",
    "log_mu",
    "reward",
    "exact",
)


def summed(values: Any, mask: Bools) -> NDArray[np.float64]:
    """Return log-probabilities of sequences (n,) from those of tokens (n, T), in float64."""
    total: NDArray[np.float64] = np.where(mask, np.asarray(values, np.float64), 0.0).sum(1)
    return total


def write(path: Path, log: Log, *, log_pi: Floats | None = None) -> None:
    """Write a log whole or not at all; with log_pi (n, T), ready to be diagnosed."""
    columns: dict[str, Any] = {
        "task": [log.names[i] for i in log.task],
        "prompt": log.prompt,
        "prompt_ids": _lists(log.prompt_ids, log.prompt_mask),
        "response": _lists(log.response, log.mask),
        "log_mu": _lists(log.log_mu, log.mask),
        "reward": log.reward,
        "exact": log.exact,
    }
    if log_pi is not None:
        columns["log_pi"] = _lists(np.asarray(log_pi, np.float32), log.mask)
    names = "\n".join(log.names)
    write_table(path, columns, {"kind": "log", "names": names, "vocabulary": log.vocabulary})


def read(path: Path) -> Log:
    """Return the log of a file; raise Unreadable, naming the file and what is wrong with it."""
    table, said = read_table(path, COLUMNS)
    names = tuple(said.get("names", "").split("\n"))
    rows = len(table["task"])
    if not rows:
        raise Unreadable(f"{path} holds no sequence")
    prompt_ids, prompt_mask = _padded(table["prompt_ids"], np.int64, left=True)
    response, mask = _padded(table["response"], np.int64)
    log_mu, told = _padded(table["log_mu"], np.float32)
    if told.shape != mask.shape or (told != mask).any():
        raise Unreadable(f"{path}: log_mu has not one number for each token of response")
    if not np.isfinite(log_mu).all():
        raise Unreadable(f"{path}: log_mu holds numbers that are not finite")
    try:
        task = np.array([names.index(name) for name in table["task"]], dtype=np.int64)
    except ValueError as error:
        raise Unreadable(f"{path}: task holds a name that is none of {names}") from error
    return Log(
        task,
        names,
        np.array(table["prompt"], dtype=np.int64),
        prompt_ids,
        prompt_mask,
        response,
        mask,
        log_mu,
        np.array(table["reward"], dtype=np.float32),
        np.array(table["exact"], dtype=np.float32),
        said.get("vocabulary", ""),
    )


def write_table(path: Path, columns: Mapping[str, Any], said: Mapping[str, str]) -> None:
    """Write columns as Parquet, whole or not at all, `said` beside them."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    arrays = {name: pa.array(values) for name, values in columns.items()}
    table = pa.table(arrays).replace_schema_metadata(dict(said))
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".")
    os.close(handle)
    try:
        parquet.write_table(table, beside)
        os.replace(beside, path)
    except OSError as error:
        # A full disk does not say for which file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        Path(beside).unlink(missing_ok=True)


def read_table(path: Path, needed: Sequence[str]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Return the columns that are needed, and what was said beside them.

    Raises Unreadable for a file that is no Parquet, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            missing = [name for name in needed if name not in there]
            if missing:
                raise Unreadable(
                    f"{path} has no column {missing[0]!r}: it has {', '.join(there) or 'none'}"
                )
            table = file.read(columns=list(needed))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"{path} cannot be read as Parquet: {error}") from error
    said = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    return {name: table.column(name).to_pylist() for name in needed}, said


def padded(rows: list[list[Any]], kind: Any, width: int) -> Any:
    """Return lists as an array (n, width), padded on the right with 0."""
    values = np.zeros((len(rows), width), dtype=kind)
    for i, row in enumerate(rows):
        values[i, : len(row)] = row
    return values


def _lists(values: Any, mask: Bools) -> list[Any]:
    return [row[kept] for row, kept in zip(values, mask, strict=True)]


def _padded(rows: list[list[Any]], kind: Any, *, left: bool = False) -> tuple[Any, Bools]:
    width = max(map(len, rows))
    values = np.zeros((len(rows), width), dtype=kind)
    mask = np.zeros((len(rows), width), dtype=np.bool_)
    for i, row in enumerate(rows):
        at = slice(width - len(row), width) if left else slice(0, len(row))
        values[i, at] = row
        mask[i, at] = True
    return values, mask
