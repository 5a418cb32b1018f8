"""The tensors of a batch, checked and brought into their working precision.

    log w = sum over a sequence's tokens of log pi - log mu

Shapes and types are looked at always, since that costs no wait for a device; values where the
settings say `validate`. Log-probabilities that are NaN are no bad input but an accident of a run:
they pass through, so that the loss and the metric `finite` show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from isr_theory.training.atlas import View
from isr_theory.training.settings import Settings

Tensor = Any


@dataclass(frozen=True)
class Batch:
    """One batch: a row a sequence, and its tokens where the weight function looks at those."""

    log_pi: Tensor
    """(n,), of whole sequences, with its gradient."""
    log_mu: Tensor
    reward: Tensor
    prompt: Tensor
    """(n,), which group each sequence is of, in [0, n_groups)."""
    n_groups: int
    length: Tensor
    given: frozenset[str]
    """Which of rewards and groups were given."""
    tokens: tuple[Tensor, Tensor, Tensor] | None
    """log pi, log mu and mask, (n, t); padding is 0 in all three."""

    @property
    def log_w(self) -> Tensor:
        """Log pi - log mu of whole sequences, without its gradient."""
        return (self.log_pi - self.log_mu).detach()

    def view(self, reward: Tensor) -> View:
        """Return what a weight function sees, with a reward or advantage for each sequence."""
        if self.tokens is None:
            return View(self.log_pi, self.log_mu, reward, self.length)
        log_pi, log_mu, mask = self.tokens
        return View(log_pi, log_mu, reward[:, None], self.length[:, None], mask)


def prepare(
    settings: Settings,
    log_pi: Tensor,
    log_mu: Tensor,
    rewards: Tensor | None,
    mask: Tensor | None,
    groups: Tensor | None,
    n_groups: int | None,
    *,
    lengths: Tensor | None = None,
    may_be_empty: bool,
) -> Batch:
    """Return the batch, or raise ValueError or TypeError naming the argument that is wrong.

    Narrow floats are widened to float32. The gradient of `log_pi` goes on to the caller's tensor.
    """
    check_shapes(log_pi, log_mu, rewards, mask, groups, may_be_empty=may_be_empty)
    _same_shape("lengths", _real("lengths", lengths), log_pi.shape[:1])
    others = {"log_mu": log_mu, "rewards": rewards, "mask": mask, "groups": groups}
    _same_device(log_pi, {**others, "lengths": lengths})
    check_fit(settings, rewards, groups)
    check_lengths_fit(settings, log_pi, lengths)
    n = log_pi.shape[0]
    if n_groups is None:
        n_groups = 1 if groups is None else max(n, 1)
    if n_groups < 1:
        raise ValueError(f"n_groups must be at least 1, not {n_groups}")
    if settings.validate:
        check_values(settings, rewards, mask, groups, n_groups)
        if lengths is not None:
            bad = ~((lengths >= 1) & torch.isfinite(lengths))
            _refuse("lengths", lengths, bad, "at least one token is needed")
    dtype = torch.promote_types(log_pi.dtype, log_mu.dtype)
    dtype = torch.float32 if dtype.itemsize < 4 else dtype
    log_pi, log_mu = log_pi.to(dtype), log_mu.detach().to(dtype)
    tokens = None
    if log_pi.ndim == 2:
        tokens = masked(log_pi, log_mu, mask)
        log_pi, log_mu, length = (part.sum(-1) for part in tokens)
    else:
        length = torch.ones_like(log_mu) if lengths is None else lengths.to(dtype)
    reward = torch.ones_like(log_mu) if rewards is None else rewards.to(dtype)
    prompt = torch.zeros_like(log_mu, dtype=torch.long) if groups is None else groups.long()
    return Batch(
        log_pi=log_pi,
        log_mu=log_mu,
        reward=reward,
        prompt=prompt,
        n_groups=n_groups,
        length=length,
        given=named(rewards, groups),
        tokens=tokens if settings.entry.level == "token" else None,
    )


def named(rewards: Tensor | None, groups: Tensor | None) -> frozenset[str]:
    """Return which of the two were given."""
    parts = (("rewards", rewards), ("groups", groups))
    return frozenset(name for name, part in parts if part is not None)


def masked(log_pi: Tensor, log_mu: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return log pi, log mu and mask by rows of tokens, 0 in the padding, whatever stood there."""
    if mask is None:
        return log_pi, log_mu, torch.ones_like(log_mu)
    counts = mask != 0
    return torch.where(counts, log_pi, 0), torch.where(counts, log_mu, 0), counts.to(log_mu.dtype)


def check_shapes(
    log_pi: Tensor,
    log_mu: Tensor,
    rewards: Tensor | None,
    mask: Tensor | None,
    groups: Tensor | None,
    *,
    may_be_empty: bool = False,
) -> None:
    """Raise TypeError or ValueError for what shapes and types alone show to be wrong."""
    for name, given in (("log_pi", log_pi), ("log_mu", log_mu)):
        if not isinstance(given, torch.Tensor) or not given.is_floating_point():
            raise TypeError(f"{name} must be a tensor of floats, not {_kind(given)}")
    for name, given in (("rewards", rewards), ("mask", mask), ("groups", groups)):
        _real(name, given)
    if log_pi.ndim not in (1, 2):
        raise ValueError(f"log_pi must be (n,) or (n, tokens), not {tuple(log_pi.shape)}")
    if not log_pi.numel() and not (may_be_empty and not log_pi.shape[0]):
        raise ValueError(f"log_pi is empty, {tuple(log_pi.shape)}: one sequence at least is needed")
    if mask is not None and log_pi.ndim == 1:
        raise ValueError("mask goes with tokens: log_pi is (n,), one number a sequence")
    _same_shape("log_mu", log_mu, log_pi.shape)
    _same_shape("mask", mask, log_pi.shape)
    _same_shape("rewards", rewards, log_pi.shape[:1])
    _same_shape("groups", groups, log_pi.shape[:1])
    if groups is not None and (groups.is_floating_point() or groups.dtype is torch.bool):
        raise TypeError(f"groups must be integers, not {groups.dtype}")
    for name, given in (("log_mu", log_mu), ("rewards", rewards)):
        if given is not None and given.requires_grad:
            raise ValueError(
                f"{name} requires a gradient, but it is a constant of the loss: detach it"
            )


def check_fit(settings: Settings, rewards: Tensor | None, groups: Tensor | None) -> None:
    """Raise ValueError for what the settings cannot use."""
    if settings.rescale and rewards is not None:
        raise ValueError("rewards must be None with rescale=True: only r = 1 has that limit")
    if groups is not None and not settings.uses_groups:
        raise ValueError(
            f"groups must be None with normalisation={settings.normalised!r} and"
            f" baseline={settings.baseline!r}, where they do nothing"
        )


def check_values(
    settings: Settings,
    rewards: Tensor | None,
    mask: Tensor | None,
    groups: Tensor | None,
    n_groups: int,
) -> None:
    """Raise ValueError for values that are not allowed, naming the first of them."""
    if mask is not None:
        _refuse("mask", mask, (mask != 0) & (mask != 1), "0 and 1 are allowed")
        empty = (mask == 0).all(-1)
        if bool(empty.any()):
            raise ValueError(f"mask[{_first(empty)[0]}] leaves its row without a token")
    if rewards is not None:
        _refuse("rewards", rewards, ~torch.isfinite(rewards), "finite numbers are allowed")
        if settings.reward_normaliser:
            why = "with reward_normaliser=True they must be at least 0"
            _refuse("rewards", rewards, rewards < 0, why)
    if groups is not None:
        why = f"0 to {n_groups - 1} are allowed (torch.unique's inverse numbers any labels so)"
        _refuse("groups", groups, (groups < 0) | (groups >= n_groups), why)


def check_lengths_fit(settings: Settings, log_pi: Tensor, lengths: Tensor | None) -> None:
    """Raise ValueError for a weight function that is not told how many tokens there are."""
    entry = settings.entry
    if log_pi.ndim == 2:
        if lengths is not None:
            raise ValueError("lengths must be None where log_pi is (n, tokens): the mask counts")
        return
    if entry.level == "token":
        raise ValueError(
            f"log_pi must be (n, tokens) with weight={entry.key!r}, which weighs tokens, not"
            f" {tuple(log_pi.shape)}; actions that are one token are log_pi[:, None]"
        )
    if "length" in entry.needs and lengths is None:
        raise ValueError(
            f"lengths must be given with weight={entry.key!r}, which goes by the number of tokens,"
            " where log_pi is (n,)"
        )
    if "length" not in entry.needs and lengths is not None:
        raise ValueError(
            f"lengths must be None with weight={entry.key!r}, for which they do nothing"
        )


def _real(name: str, given: Any) -> Any:
    if given is not None and (not isinstance(given, torch.Tensor) or given.is_complex()):
        raise TypeError(f"{name} must be a tensor of real numbers or None, not {_kind(given)}")
    return given


def _refuse(name: str, values: Tensor, bad: Tensor, allowed: str) -> None:
    if bool(bad.any()):
        place = _first(bad)
        where = ", ".join(str(index) for index in place)
        raise ValueError(f"{name}[{where}] is {values[place].item()}: {allowed}")


def _first(bad: Tensor) -> tuple[int, ...]:
    return tuple(bad.nonzero()[0].tolist())


def _same_shape(name: str, given: Tensor | None, shape: tuple[int, ...]) -> None:
    if given is not None and given.shape != shape:
        raise ValueError(f"{name} must have the shape {tuple(shape)}, not {tuple(given.shape)}")


def _same_device(log_pi: Tensor, others: dict[str, Tensor | None]) -> None:
    for name, given in others.items():
        if given is not None and given.device != log_pi.device:
            raise ValueError(f"{name} must be on {log_pi.device} as log_pi is, not {given.device}")


def _kind(given: Any) -> str:
    return str(given.dtype) if isinstance(given, torch.Tensor) else type(given).__name__
