"""The rows of a log as the trainer takes them: checked once, padded batch by batch.

    prompt_ids, response_ids, reward, log_mu (one number a token of the response), group

What is wrong with a log is said here, before a model has run, with the row and the column that are
wrong. The padding stands to the right, where no earlier token of a causal model sees it, so that
batches need no attention mask, whose all-ones test would make the host wait for the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Array = NDArray[np.float64]
Tensor = Any

# The log-probability of a token is at most 0; so much may rounding in bfloat16 have put on top.
ROUNDING = 0.05
# Batches travel in float32, in which larger numbers would be infinite.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Row:
    """One response to one prompt."""

    prompt_ids: Ids
    response_ids: Ids
    reward: float | None
    log_mu: Array | None
    """One number a token of the response; None where a reference has to say it."""
    group: int | None
    """Which prompt, numbered from 0 over all rows; None where rows do not say."""

    @property
    def length(self) -> int:
        """How many tokens prompt and response have."""
        return len(self.prompt_ids) + len(self.response_ids)


@dataclass(frozen=True, eq=False)
class Responses:
    """A checked log, a data set for torch's loaders; see `Responses.of`."""

    rows: tuple[Row, ...]
    n_groups: int | None
    """None where the rows have no groups."""

    @classmethod
    def of(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        vocabulary: int | None = None,
        context: int | None = None,
        rewarded: bool = True,
    ) -> Responses:
        """Return rows checked: mappings with the columns above, `log_mu` and `group` optional.

        Other columns are left alone. `vocabulary` is how many ids the model knows, `context` how
        many tokens it takes; without `rewarded` there may be no rewards. Raises ValueError and
        TypeError naming row and column: a missing column, an empty prompt or response, an id that
        the model does not know, a log_mu of another length than the response, not finite or above
        0, a reward that is not finite, and columns that only some rows have.
        """
        checked = [_row(f"rows[{i}]", row, rewarded) for i, row in enumerate(rows)]
        if not checked:
            raise ValueError("rows is empty: one row at least is needed")
        for name in ("log_mu", "group"):
            has = [getattr(row, name) is not None for row in checked]
            if any(has) and not all(has):
                raise ValueError(
                    f"rows[{has.index(False)}] has no {name}, but rows[{has.index(True)}] does:"
                    " all rows must have it or none"
                )
        found = cls._numbered(checked)
        found.check_fit(vocabulary=vocabulary, context=context, rewarded=rewarded)
        return found

    @classmethod
    def _numbered(cls, rows: Sequence[Row]) -> Responses:
        """Return the rows with their groups numbered from 0."""
        if rows[0].group is None:
            return cls(tuple(rows), None)
        names, numbers = np.unique([row.group for row in rows], return_inverse=True)
        pairs = zip(rows, numbers.tolist(), strict=True)
        return cls(tuple(replace(row, group=number) for row, number in pairs), len(names))

    def check_fit(
        self, *, vocabulary: int | None = None, context: int | None = None, rewarded: bool = True
    ) -> None:
        """Raise ValueError for a row that a model or a loss cannot take; arguments as in `of`."""
        for i, row in enumerate(self.rows):
            for name in ("prompt_ids", "response_ids"):
                high = int(getattr(row, name).max())
                if vocabulary is not None and high >= vocabulary:
                    raise ValueError(
                        f"rows[{i}].{name} has the id {high}, but the model's vocabulary has"
                        f" {vocabulary} ids: the log was written with another vocabulary"
                    )
            if context is not None and row.length > context:
                parts = f"{len(row.prompt_ids)} + {len(row.response_ids)}"
                raise ValueError(
                    f"rows[{i}] has {parts} tokens of prompt and response, but the model takes"
                    f" {context}"
                )
            if rewarded != (row.reward is not None):
                raise ValueError(
                    f"rows[{i}] has {'no' if rewarded else 'a'} reward, and rescale=True is for"
                    " rows without, all else for rows with one"
                )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    @property
    def scored(self) -> bool:
        """Whether the rows have log mu."""
        return self.rows[0].log_mu is not None

    def with_log_mu(self, log_mu: Sequence[Array]) -> Responses:
        """Return the rows with log mu, checked as if it had been read."""
        pairs = list(zip(self.rows, log_mu, strict=True))
        filled = [
            replace(row, log_mu=_log_mu(f"rows[{i}]", own, len(row.response_ids)))
            for i, (row, own) in enumerate(pairs)
        ]
        return replace(self, rows=tuple(filled))


def collate(rows: Sequence[Row]) -> dict[str, Tensor]:
    """Return a batch: `input_ids` (n, width), and (n, k) of the last k positions of the input.

    Position j of the input predicts the token at j + 1, so the last token is no input. The last k
    positions are those that predict a token of some row's response: `targets` are these tokens,
    `mask` says which of them are the row's own response, `log_mu` is 0 elsewhere. `reward` and
    `group` (n,) are there if the rows have them.
    """
    n, width = len(rows), max(row.length for row in rows) - 1
    first = min(len(row.prompt_ids) for row in rows) - 1
    ids = np.zeros((n, width + 1), dtype=np.int64)
    mask = np.zeros((n, width), dtype=bool)
    log_mu = np.zeros((n, width), dtype=np.float32)
    for i, row in enumerate(rows):
        start, end = len(row.prompt_ids), row.length
        ids[i, :start], ids[i, start:end] = row.prompt_ids, row.response_ids
        mask[i, start - 1 : end - 1] = True
        if row.log_mu is not None:
            log_mu[i, start - 1 : end - 1] = row.log_mu
    batch = {
        "input_ids": torch.from_numpy(np.ascontiguousarray(ids[:, :-1])),
        "targets": torch.from_numpy(np.ascontiguousarray(ids[:, first + 1 :])),
        "mask": torch.from_numpy(np.ascontiguousarray(mask[:, first:])),
    }
    if rows[0].log_mu is not None:
        batch["log_mu"] = torch.from_numpy(np.ascontiguousarray(log_mu[:, first:]))
    if rows[0].reward is not None:
        batch["reward"] = torch.tensor([row.reward for row in rows], dtype=torch.float32)
    if rows[0].group is not None:
        batch["group"] = torch.tensor([row.group for row in rows], dtype=torch.long)
    return batch


def _row(where: str, row: Mapping[str, Any], rewarded: bool) -> Row:
    if not isinstance(row, Mapping):
        raise TypeError(f"{where} must be a mapping of columns, not {type(row).__name__}")
    prompt, response = (_ids(where, row, name) for name in ("prompt_ids", "response_ids"))
    given = row.get("log_mu")
    log_mu = None if given is None else _log_mu(where, given, len(response))
    return Row(prompt, response, _reward(where, row, rewarded), log_mu, _group(where, row))


def _ids(where: str, row: Mapping[str, Any], name: str) -> Ids:
    if row.get(name) is None:
        raise ValueError(f"{where} has no column {name!r}: found {', '.join(map(repr, row))}")
    try:
        ids = np.asarray(row[name])
    except ValueError as error:
        raise ValueError(f"{where}.{name} must be one list of ids: {error}") from error
    if ids.ndim != 1:
        raise ValueError(f"{where}.{name} must be one list of ids, not of shape {ids.shape}")
    if not ids.size:
        why = "a response without a token has no gradient"
        if name == "prompt_ids":
            why = "the first token of a response needs one before it, be it the start token"
        raise ValueError(f"{where}.{name} is empty: {why}")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{where}.{name} must be integers, not {ids.dtype}")
    if ids.min() < 0:
        raise ValueError(f"{where}.{name} has the id {ids.min()}: ids are 0 and above")
    return ids.astype(np.int64)


def _log_mu(where: str, given: Any, length: int) -> Array:
    try:
        log_mu = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}.log_mu must be numbers: {error}") from error
    if log_mu.shape != (length,):
        raise ValueError(
            f"{where}.log_mu must have one number a token of the response, {length}, not the shape"
            f" {log_mu.shape}"
        )
    for bad, why in (
        (~(np.abs(log_mu) <= LARGEST), "a token that was sampled has a finite log-probability"),
        (log_mu > ROUNDING, "a log-probability is at most 0"),
    ):
        if bad.any():
            at = int(bad.argmax())
            raise ValueError(f"{where}.log_mu[{at}] is {log_mu[at]}: {why}")
    return log_mu


def _reward(where: str, row: Mapping[str, Any], rewarded: bool) -> float | None:
    given = row.get("reward")
    if given is None:
        if rewarded:
            raise ValueError(f"{where} has no column 'reward': found {', '.join(map(repr, row))}")
        return None
    try:
        reward = float(given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}.reward must be a number: {error}") from error
    if not abs(reward) <= LARGEST:
        raise ValueError(f"{where}.reward is {reward}: finite numbers are allowed")
    return reward


def _group(where: str, row: Mapping[str, Any]) -> int | None:
    given = row.get("group")
    if given is None:
        return None
    try:
        number = int(given)
    except (TypeError, ValueError, OverflowError):
        number = None
    if isinstance(given, (bool, str)) or number is None or number != given:
        raise TypeError(f"{where}.group must be an integer, not {given!r}")
    return number
