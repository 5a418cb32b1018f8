"""Log-weights as numpy arrays or torch tensors: checked once, then summed without leaving the log.

The functions of `weights`, `solver` and `diagnostics` are written over these few operations, so
that one text serves both libraries. A tensor stays on its device, and no gradient flows through it:
weights are constants to the policy gradient.
"""

from __future__ import annotations

import contextlib
import math
import sys
from typing import Any, Protocol

import numpy as np

Array = Any
"""A numpy array or a torch tensor; the two share no base class."""


class Shards(Protocol):
    """How the rest of each row is heard of, where a process holds only a part of the row."""

    def added(self, *parts: Array) -> tuple[Array, ...]:
        """Return sums over all parts of the rows, from those over this part."""

    def largest(self, part: Array) -> Array:
        """Return maxima over all parts of the rows, from those over this part."""


class Whole:
    """Rows that are all here."""

    def added(self, *parts: Array) -> tuple[Array, ...]:
        """Return the sums as they are."""
        return parts

    def largest(self, part: Array) -> Array:
        """Return the maxima as they are."""
        return part


WHOLE = Whole()


def namespace(values: Any) -> Any:
    """Return torch for a tensor and numpy for all else, without importing torch."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(values, torch.Tensor) else np


def quiet(values: Array) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which numpy does not warn; torch never does."""
    if isinstance(values, np.ndarray):
        return np.errstate(divide="ignore", invalid="ignore", over="ignore")
    return contextlib.nullcontext()


def checked_rows(log_w: Any, axis: int = -1, *, validate: bool = True) -> Array:
    """Return log-weights in their working precision with the axis last, or say what is wrong.

    Raises TypeError for what is not real numbers, ValueError for a missing or empty axis and, if
    `validate`, for NaN, +inf (with its index) or a row without any positive weight.
    """
    xp = namespace(log_w)
    values = _as_array(log_w) if xp is np else _as_tensor(log_w, xp)
    if values.ndim == 0:
        raise ValueError("log_w must have at least one axis, not a single number")
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be in [-{values.ndim}, {values.ndim}), not {axis}")
    if values.shape[axis] == 0:
        raise ValueError("log_w is empty along its axis: at least one weight is needed")
    # Often there is nothing to move, and for a short vector moving costs as much as looking.
    rows = values if axis in (-1, values.ndim - 1) else xp.moveaxis(values, axis, -1)
    if validate:
        # The largest of a row shows all three: it is NaN where one is, and +inf, and -inf.
        top = xp.amax(rows, -1)
        if not bool(xp.isfinite(top).all()):
            raise ValueError(_complaint(values, xp))
    return rows


def _as_array(log_w: Any) -> Array:
    if isinstance(log_w, np.ma.MaskedArray):
        raise TypeError("log_w must not be a masked array: log_w.filled(-inf) has weights of 0")
    values = np.asarray(log_w)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"log_w must be real numbers, not {values.dtype}")
    return values.astype(np.float64, copy=False)


def _as_tensor(log_w: Any, torch: Any) -> Array:
    if log_w.is_complex() or log_w.dtype is torch.bool:
        raise TypeError(f"log_w must be real numbers, not {log_w.dtype}")
    values = log_w.detach()
    if not values.is_floating_point():
        return values.to(torch.float64)
    return values.to(torch.float32) if values.dtype.itemsize < 4 else values


def _complaint(values: Array, xp: Any) -> str:
    bad = xp.isnan(values) | (values == math.inf)
    if not bool(bad.any()):
        return "log_w is -inf everywhere along its axis: some weight must be positive"
    on_host = bad if xp is np else bad.cpu()
    place = tuple(int(i) for i in np.argwhere(np.asarray(on_host))[0])
    where = place[0] if len(place) == 1 else place
    return f"log_w[{where}] is {float(values[place])}: finite numbers or -inf are allowed"


def on_host(rows: Any) -> bool:
    """Return whether rows are a tensor of float64 in the host's memory, which numpy can work on."""
    torch = namespace(rows)
    return torch is not np and rows.device.type == "cpu" and rows.dtype is torch.float64


def plain(values: Any) -> Any:
    """Return a float for a single numpy number; arrays and tensors as they are."""
    return values if namespace(values) is not np or values.ndim else float(values)


def row_max(rows: Array, over: Shards = WHOLE) -> Array:
    """Return the largest of each row; a part of a row may be empty where the whole is not."""
    xp = namespace(rows)
    if not rows.shape[-1]:
        return over.largest(rows.sum(-1) - math.inf)
    return over.largest(xp.amax(rows, -1))


def shifted(rows: Array, over: Shards = WHOLE) -> Array:
    """Return log-weights whose largest is 0: ratios stay the same and no power overflows.

    What is further below the largest than the largest float becomes a weight of 0.
    """
    with quiet(rows):
        return rows - row_max(rows, over)[..., None]


def scaled(rows: Array, exponent: Any) -> Array:
    """Return exponent * log w with log 0 = -inf kept at every exponent; NaN and +inf become NaN."""
    xp = namespace(rows)
    finite = xp.isfinite(rows)
    with quiet(rows):
        terms = xp.where(finite, exponent * xp.where(finite, rows, 0.0), -math.inf)
    return xp.where(xp.isnan(rows) | (rows == math.inf), math.nan, terms)


def log_sum_exp(terms: Array) -> Array:
    """Return log sum exp over the last axis, for terms of which some is finite."""
    xp = namespace(terms)
    top = xp.amax(terms, -1)
    with quiet(terms):
        return xp.log(xp.exp(terms - top[..., None]).sum(-1)) + top


def log_mean_power(rows: Array, alpha: float) -> Array:
    """Return log mean w^alpha by rows: +inf for alpha < 0 where some weight is 0."""
    xp = namespace(rows)
    # Less what is largest in w^alpha, so that only a result that is infinite overflows.
    level = xp.amax(rows, -1) if alpha >= 0 else xp.amin(rows, -1)
    with quiet(rows):
        terms = scaled(rows - level[..., None], alpha)
        mean = log_sum_exp(terms) + alpha * level - math.log(rows.shape[-1])
    if alpha < 0:
        mean = xp.where((rows == -math.inf).any(-1), math.inf, mean)
    return mean
