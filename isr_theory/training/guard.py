"""An optimiser step that a NaN cannot poison: made on the device, taken back on the device.

    parameter = where(all finite, stepped, kept),   likewise every tensor of the optimiser's state

Whether a loss and its gradients are finite is known to the device only, and asking for it would
stall every step. `UpdateGuard.step` therefore always steps, and puts back what was where it should
not have; `check`, called where numbers are logged anyway, asks once and raises. The price is a copy
of parameters and state during the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from isr_theory.logspace import WHOLE, Shards
from isr_theory.training.first_state import first_value

Tensor = Any


class NonFiniteUpdateError(ArithmeticError):
    """Some updates since the last check were not finite, and were not made."""


@dataclass(frozen=True)
class _Slot:
    """One tensor that a step may write to, and what it held."""

    tensor: Tensor
    held: Any


class UpdateGuard:
    """Steps an optimiser only where the loss and all gradients are finite.

    `over=Ranks()` asks all ranks, where a loss may be NaN on one of them. Buffers of a model, such
    as running means, are written by its forward pass and are not guarded. Raises ValueError for an
    optimiser with momentum and dampening, whose first step differs from all others, so that a
    first step taken back would leave a trace. Optimisers of torch are known (`first_state`), but
    LBFGS, which steps by closures, and SparseAdam, which counts on the host.
    """

    def __init__(self, optimizer: Any, *, over: Shards = WHOLE) -> None:
        for group in optimizer.param_groups:
            if group.get("momentum") and group.get("dampening"):
                raise ValueError(
                    f"optimizer has dampening={group['dampening']} with momentum: only 0 is allowed"
                )
        self.optimizer = optimizer
        self.over = over
        device = next(self._parameters()).device
        self._counts = torch.zeros(2, dtype=torch.long, device=device)
        self._steps = 0

    def step(self, finite: Tensor) -> Tensor:
        """Step where `finite`, the metric of the loss, and all gradients are; return whether.

        The answer is a tensor on the device. Where the optimiser raises, everything is put back;
        raises TypeError, likewise, where it keeps state that is not tensors, or makes state of
        which it is not known what it was before.
        """
        ok = self._all_finite(finite)
        kept = [_Slot(tensor, tensor.clone()) for tensor in self._tensors()]
        known = {id(slot.tensor) for slot in kept}
        replaced = dict(self._state_tensors())
        try:
            self.optimizer.step()
            self._check_state()
            made = [
                _Slot(tensor, replaced[key] if key in replaced else self._first(*key))
                for key, tensor in self._state_tensors()
                if id(tensor) not in known
            ]
        except BaseException:
            self._restore(torch.zeros_like(ok), kept)
            self._forget(replaced)
            raise
        self._restore(ok, [*kept, *made])
        self._steps += 1
        bad = (~ok).long()
        first = torch.where((self._counts[0] == 0) & ~ok, self._steps, self._counts[1])
        self._counts = torch.stack([self._counts[0] + bad, first])
        return ok

    def check(self) -> None:
        """Raise NonFiniteUpdateError if an update since the last check was not made.

        This waits for the device: call it where numbers are logged. The count starts anew.
        """
        skipped, first = self._counts.tolist()
        steps, self._steps = self._steps, 0
        self._counts = torch.zeros_like(self._counts)
        if skipped:
            raise NonFiniteUpdateError(
                f"{skipped} of {steps} updates were not finite, the first at step {first} since the"
                " last check; weights and optimiser state are those of the last finite one"
            )

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.optimizer.param_groups:
            yield from group["params"]

    def _state_tensors(self) -> Iterator[tuple[tuple[int, str], Tensor]]:
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, torch.Tensor):
                    yield (id(parameter), name), value

    def _check_state(self) -> None:
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if value is not None and not isinstance(value, torch.Tensor):
                    raise TypeError(
                        f"optimizer keeps {name!r} as {type(value).__name__}, which cannot be put"
                        " back on the device: only tensors are allowed"
                    )

    def _tensors(self) -> Iterator[Tensor]:
        yield from self._parameters()
        for _, tensor in self._state_tensors():
            yield tensor

    def _all_finite(self, finite: Tensor) -> Tensor:
        device = self._counts.device
        gradients = [p.grad for p in self._parameters() if p.grad is not None]
        flags = [torch.isfinite(g).all().to(device) for g in gradients]
        ok = torch.stack([finite.to(device).bool(), *flags]).all()
        return self.over.largest((~ok).float()) == 0

    def _first(self, parameter: int, name: str) -> Tensor:
        """Return what state made by this step was before it."""
        group = next(
            group
            for group in self.optimizer.param_groups
            if any(id(each) == parameter for each in group["params"])
        )
        return first_value(self.optimizer, group, name)

    def _forget(self, before: dict[tuple[int, str], Tensor]) -> None:
        """Put back which tensors the state has."""
        for parameter, state in list(self.optimizer.state.items()):
            for name in list(state):
                held = before.get((id(parameter), name))
                if held is None:
                    del state[name]
                else:
                    state[name] = held
            if not state:
                del self.optimizer.state[parameter]

    def _restore(self, ok: Tensor, slots: list[_Slot]) -> None:
        """Put back what was held, where not ok."""
        with torch.no_grad():
            for slot in slots:
                held, tensor = slot.held, slot.tensor
                if not isinstance(held, torch.Tensor):
                    held = tensor.new_full((), held)
                held = held.to(tensor)
                torch.where(ok.to(tensor.device), tensor, held, out=tensor)
