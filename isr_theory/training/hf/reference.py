"""Log mu where a log does not have it: looked up once, by a model that stands for mu, and kept.

    log mu(y_t) = log pi_ref(y_t | x, y_<t)

The file beside the checkpoints names what it was made of, rows and reference alike, so that a
resumed run reads what the first one wrote, and another log or another reference is scored anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import distributed

from isr_theory.training.distributed import processes
from isr_theory.training.hf.logprobs import response_log_probs
from isr_theory.training.hf.rows import Array, Responses, collate

FILE = "log_mu.safetensors"


def scored(
    rows: Responses,
    model: Any,
    *,
    batch_size: int = 8,
    device: Any = None,
    autocast: Callable[[], Any] = contextlib.nullcontext,
    folder: Path | None = None,
    frozen_only: bool = False,
) -> Responses:
    """Return the rows with log mu by `model`, which is put in eval mode meanwhile.

    Where a `folder` is given the numbers are kept there in log_mu.safetensors, and read from it if
    they are of the same rows, the same parameters and the same precision; of the parameters that do
    not train alone where `frozen_only`, as with an adapter that is switched off. On several ranks
    each scores a share, unless all of them can read. Raises OSError where the file cannot be
    written.
    """
    digest = _digest(rows, model, frozen_only, _precision(device, autocast))
    path = None if folder is None else Path(folder) / FILE
    kept = None if path is None else _read(path, digest, rows)
    everywhere = all(_gathered(kept is not None))
    # Ranks that do not see one another's files would wait for those that can read.
    if kept is None or not everywhere:
        with _evaluating(model):
            kept = _shared(
                rows, lambda mine: _score(rows, mine, model, batch_size, device, autocast)
            )
        if path is not None and _rank() == 0:
            _write(path, digest, kept)
    return rows.with_log_mu(kept)


def _score(
    rows: Responses,
    mine: list[int],
    model: Any,
    batch_size: int,
    device: Any,
    autocast: Callable[[], Any],
) -> dict[int, Array]:
    """Return log mu of some rows, those of like length together."""
    found: dict[int, Array] = {}
    mine = sorted(mine, key=lambda i: rows[i].length)
    for at in range(0, len(mine), batch_size):
        part = mine[at : at + batch_size]
        batch = {k: v.to(device) for k, v in collate([rows[i] for i in part]).items()}
        with torch.no_grad(), autocast():
            log_mu = response_log_probs(model, batch).double().cpu().numpy()
        mask = batch["mask"].cpu().numpy()
        found.update({i: log_mu[k][mask[k]] for k, i in enumerate(part)})
    return found


def _shared(rows: Responses, score: Callable[[list[int]], dict[int, Array]]) -> list[Array]:
    """Return what all ranks found, in the order of the rows."""
    found = _gathered(score(list(range(_rank(), len(rows), processes()))))
    joined = {i: own for piece in found for i, own in piece.items()}
    return [joined[i] for i in range(len(rows))]


def _gathered(own: Any) -> list[Any]:
    """Return what every rank has."""
    pieces = [own] * processes()
    if len(pieces) > 1:
        distributed.all_gather_object(pieces, own)
    return pieces


def _rank() -> int:
    return int(distributed.get_rank()) if processes() > 1 else 0


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def _precision(device: Any, autocast: Callable[[], Any]) -> str:
    """Return the type that the model is run in, where it is not that of its parameters."""
    kind = torch.device("cpu" if device is None else device).type
    with autocast():
        return str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else ""


def _digest(rows: Responses, model: Any, frozen_only: bool, precision: str) -> str:
    """Return a hash of the tokens, of the parameters that score them, and of the precision."""
    seen = hashlib.sha256(precision.encode())
    for row in rows.rows:
        for ids in (row.prompt_ids, row.response_ids):
            seen.update(len(ids).to_bytes(8, "little") + ids.tobytes())
    moving = {name for name, value in model.named_parameters() if value.requires_grad}
    for name, value in sorted(model.state_dict().items()):
        if frozen_only and name in moving:
            continue
        seen.update(name.encode())
        seen.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()


def _read(path: Path, digest: str, rows: Responses) -> list[Array] | None:
    """Return what was kept, None where it is of something else, or cut off."""
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("digest") != digest:
                return None
            flat = file.get_tensor("log_mu")
    except (FileNotFoundError, SafetensorError):
        return None
    ends = np.cumsum([len(row.response_ids) for row in rows.rows])
    return np.split(flat, ends[:-1])


def _write(path: Path, digest: str, log_mu: list[Array]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    try:
        save_file({"log_mu": np.concatenate(log_mu)}, beside, metadata={"digest": digest})
    except SafetensorError as error:
        beside.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written: {error}") from error
    os.replace(beside, path)
