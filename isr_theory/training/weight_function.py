"""What a weight function is: its view of a batch, and what an entry of the atlas states.

    g = E_mu[f(w) r grad log pi],   w = pi/mu

Everything stays in the log domain. Where a weight passes the square root of the largest number of
its type it rests there, so that it, its square and its product with a log-probability are finite;
its gradient does not stop there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from isr_theory.training.ranges import ANY, Range, check_number

Tensor = Any
"""A torch tensor; torch ships no types that mypy follows here."""
Parameters = Mapping[str, float]
Level = Literal["sequence", "token"]
Need = Literal["batch", "length", "mu", "reward", "row"]
"""What f looks at besides w: the rest of the batch, the length, mu itself (so pi and mu), r, and,
where it weighs tokens, the other tokens of the row."""
Exponent = Callable[[Tensor, Parameters], Tensor]
Bound = Callable[[Parameters], float]


@dataclass(frozen=True)
class View:
    """What a weight function sees of a batch.

    At the level of sequences every tensor has one entry a row, and rows fill the last axis. At the
    level of tokens `log_pi`, `log_mu` and `mask` are rows of tokens, which fill the last two axes,
    and `reward` and `length` have a last axis of size 1. Axes before these are batches of their
    own, so that several seeds or settings go in one tensor.
    """

    log_pi: Tensor
    log_mu: Tensor
    reward: Tensor
    length: Tensor
    """How many tokens count in each sequence."""
    mask: Tensor | None = None
    """1 for the tokens that count, where there are tokens."""

    @property
    def log_w(self) -> Tensor:
        """Return log pi - log mu at this level."""
        return self.log_pi - self.log_mu

    def cleaned(self) -> View:
        """Return the view with w = pi = 1 for tokens that do not count, whatever stood there."""
        if self.mask is None:
            return self
        counts = self.mask != 0
        log_pi, log_mu = (torch.where(counts, x, 0.0) for x in (self.log_pi, self.log_mu))
        return replace(self, log_pi=log_pi, log_mu=log_mu)

    def log_count(self) -> Tensor:
        """Return the log of the number of rows, or of tokens that count, for each batch."""
        counted = torch.ones_like(self.log_w) if self.mask is None else (self.mask != 0)
        return counted.to(self.log_w.dtype).sum(self._axes, keepdim=True).log()

    def log_mean(self, log_x: Tensor) -> Tensor:
        """Return log mean x over each batch, a constant to the gradient; axes are kept."""
        if self.mask is not None:
            log_x = torch.where(self.mask != 0, log_x, -math.inf)
        return (torch.logsumexp(log_x, self._axes, keepdim=True) - self.log_count()).detach()

    @property
    def _axes(self) -> tuple[int, ...]:
        return (-1,) if self.mask is None else (-2, -1)


@dataclass(frozen=True)
class Branch:
    """The two coordinates of the atlas where r < 0, for a function that has another face there."""

    exponent: Exponent | None
    bound: Bound


@dataclass(frozen=True)
class WeightFunction:
    """One function f: its formula, what is differentiated, and what that comes to.

    `weight(view, parameters)` is the gradient weight on r grad log pi. What is differentiated in
    log pi, by rows or tokens, before the reward, is `surrogate(view, parameters)`; None where that
    is the detached weight times log pi. Both take a view whose masked tokens are `cleaned`, as
    the methods below see to.

    The coordinates of the atlas, for r >= 0 (`negative` has those for r < 0 where they differ):
    `exponent(log_w, parameters)` is d log f / d log w with mu, r and every statistic of the batch
    held, nan where f is 0, None where it is no function of w alone. `bound(parameters)` is the
    largest value that f takes, over all batches, lengths and rewards, inf where it has none.
    `gamma(length, parameters)` is the power of w that f is within its clip, where it goes by
    length.

    What f cannot say is said beside it, and None in most entries: `advantage(view, parameters)`
    takes the place of r, and `penalty(view, parameters)`, by rows or tokens, is added to the loss
    and averaged as the rest of it.
    """

    key: str
    title: str
    formula: str
    """TeX, for matplotlib too."""
    source: str
    weight: Callable[[View, Parameters], Tensor]
    parameters: Parameters = field(default_factory=dict, hash=False)
    ranges: Mapping[str, Range] = field(default_factory=dict, hash=False)
    """Where each parameter may lie; any number, where nothing is said."""
    level: Level = "sequence"
    surrogate: Callable[[View, Parameters], Tensor] | None = None
    exponent: Exponent | None = None
    bound: Bound = lambda _: math.inf
    note: str = ""
    needs: tuple[Need, ...] = ()
    negative: Branch | None = None
    gamma: Callable[[Tensor, Parameters], Tensor] | None = None
    advantage: Callable[[View, Parameters], Tensor] | None = None
    penalty: Callable[[View, Parameters], Tensor] | None = None

    def settings(self, **changes: float) -> Parameters:
        """Return the parameters with changes.

        Raises ValueError for a name that f does not have and for a number outside its range,
        TypeError for what is no number.
        """
        for name in changes:
            if name not in self.parameters:
                names = ", ".join(self.parameters) or "none"
                raise ValueError(f"{self.key} has no parameter {name!r}; it has: {names}")
        self.check({**self.parameters, **changes})
        return {**self.parameters, **changes}

    def check(self, parameters: Parameters) -> None:
        """Raise as `settings` does for a parameter that is no number or out of its range."""
        for name, value in parameters.items():
            check_number(f"{self.key}: {name}", value, self.ranges.get(name, ANY))

    def differentiated(self, view: View, parameters: Parameters) -> Tensor:
        """Return what the loss differentiates, by rows or tokens, before the reward.

        It is 0, and has no gradient, at tokens that do not count.
        """
        clean = view.cleaned()
        if self.surrogate is not None:
            value = self.surrogate(clean, parameters)
        else:
            value = held(self.weight(clean, parameters).detach(), clean.log_pi)
        return value if view.mask is None else torch.where(view.mask != 0, value, 0.0)

    def added(self, view: View, parameters: Parameters) -> Tensor | None:
        """Return the penalty, by rows or tokens, 0 at tokens that do not count; None without."""
        if self.penalty is None:
            return None
        value = self.penalty(view.cleaned(), parameters)
        return value if view.mask is None else torch.where(view.mask != 0, value, 0.0)

    def rewarded(self, view: View, parameters: Parameters) -> Tensor:
        """Return what f is multiplied by: the reward, or what the method puts in its place."""
        return view.reward if self.advantage is None else self.advantage(view, parameters)


def held(weight: Tensor, log_pi: Tensor) -> Tensor:
    """Return weight * log pi, where a weight of 0 asks nothing of log pi, which may be -inf."""
    return weight * torch.where(weight == 0, 0.0, log_pi)


def exp(log_x: Tensor) -> Tensor:
    """Return e^log_x, resting at the square root of the type's largest number.

    The gradient is the value everywhere: a ratio that rests still weighs its sample.
    """
    top = 0.5 * math.log(torch.finfo(log_x.dtype).max)
    small = log_x.clamp(max=top).exp()
    # The second form has the value e^top, and its gradient.
    return torch.where(log_x > top, math.exp(top) * (1 + (log_x - log_x.detach())), small)


def log(x: float) -> float:
    """Return log x of a parameter, -inf at 0; raises ValueError below."""
    if x < 0:
        raise ValueError(f"a parameter that must be at least 0 is {x}")
    return math.log(x) if x else -math.inf


def constant(value: float) -> Exponent:
    """Return the exponent of a power of w."""
    return lambda log_w, _: torch.full_like(log_w, value)


def inside(kept: Tensor, log_w: Tensor) -> Tensor:
    """Return the exponent of w cut to 0: 1 where it is kept, nan where f is 0."""
    return torch.where(kept, torch.ones_like(log_w), math.nan)


def by_sign(positive: Tensor, there: float, here: float, like: Tensor) -> Tensor:
    """Return one parameter where the reward is positive, another elsewhere, in a tensor's type."""
    # Two plain numbers would be rounded to the default type.
    return torch.where(positive, like.new_full((), there), like.new_full((), here))
