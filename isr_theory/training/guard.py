"""An optimiser step that a NaN cannot poison: made on the device, taken back on the device.

    parameter = where(all finite, stepped, kept),   likewise every tensor of the optimiser's state

Whether a loss and its gradients are finite is known to the device only, and asking for it would
stall every step. `UpdateGuard.step` therefore always steps, and puts back what was where it should
not have; `check`, called where numbers are logged anyway, asks once and raises. The price is a copy
of parameters and state during the step: with AdamW a step of ten million parameters takes about a
fifth longer, with SGD a tenth. Where the optimiser is one of torch's with `fused=True` its kernel
is told to leave everything alone instead, nothing is copied, and 2% to 7% are left, to look at the
gradients (`make bench` measures all three).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from isr_theory.logspace import WHOLE, Shards
from isr_theory.training.first_state import first_value

Tensor = Any
_Key = tuple[int, str]
"""Which parameter, by its id, and the name of its state."""
_SKIPPING = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad)
"""What has fused kernels, tested to leave everything as it was where they skip a step."""


class NonFiniteUpdateError(ArithmeticError):
    """Some updates since the last check were not finite, and were not made."""


@dataclass(frozen=True)
class _Slot:
    """One tensor that a step may write to, and what it held."""

    tensor: Tensor
    held: Any


class UpdateGuard:
    """Steps an optimiser only where the loss and all gradients are finite.

    With torch's GradScaler: unscale_, then this step in the place of the scaler's, then update.
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

    def step(self, finite: Tensor | bool) -> Tensor:
        """Step where `finite`, the metric of the loss, and all gradients are; return whether.

        With micro-batches `finite` is the plan's, `plan.metrics["finite"]`.

        The answer is a tensor on the device. Where an optimiser that is not fused raises,
        everything is put back;
        raises TypeError, likewise, where it keeps state that is not tensors, or makes state of
        which it is not known what it was before.
        """
        ok = self._all_finite(finite)
        before = dict(self._state_tensors())
        if self._skips():
            self._step_or_skip(ok, before)
        else:
            self._step_and_take_back(ok, before)
        self._steps += 1
        bad = (~ok).long()
        first = torch.where((self._counts[0] == 0) & ~ok, self._steps, self._counts[1])
        self._counts = torch.stack([self._counts[0] + bad, first])
        return ok

    def _skips(self) -> bool:
        """Whether the optimiser's own kernel leaves everything alone where it is told to."""
        optimizer = self.optimizer
        return (
            type(optimizer) in _SKIPPING
            and getattr(optimizer, "_step_supports_amp_scaling", False)
            and all(group.get("fused") for group in optimizer.param_groups)
        )

    def _step_or_skip(self, ok: Tensor, before: dict[_Key, Tensor]) -> None:
        """Step with the flag that torch's GradScaler sets, which the fused kernels look at."""
        self.optimizer.found_inf = (~ok).float()
        try:
            self.optimizer.step()
        finally:
            del self.optimizer.found_inf
        # A first step that is skipped leaves what memory held in the buffers that it made.
        self._restore(ok, self._made(before))

    def _step_and_take_back(self, ok: Tensor, before: dict[_Key, Tensor]) -> None:
        kept = [_Slot(tensor, tensor.clone()) for tensor in self._parameters()]
        kept += [_Slot(tensor, tensor.clone()) for tensor in before.values()]
        try:
            self.optimizer.step()
            self._check_state()
            made = self._made(before)
        except BaseException:
            self._restore(torch.zeros_like(ok), kept)
            self._forget(before)
            raise
        self._restore(ok, [*kept, *made])

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

    def _state_tensors(self) -> Iterator[tuple[_Key, Tensor]]:
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

    def _all_finite(self, finite: Any) -> Tensor:
        device = self._counts.device
        if isinstance(finite, bool):
            finite = torch.full((), finite, device=device)
        if not isinstance(finite, torch.Tensor):
            raise TypeError(f"finite must be a tensor or a bool, not {type(finite).__name__}")
        if finite.numel() != 1:
            raise ValueError(f"finite must be one number, not of shape {tuple(finite.shape)}")
        finite = finite.reshape(())
        gradients = [p.grad for p in self._parameters() if p.grad is not None]
        flags = [_is_finite(g).to(device) for g in gradients if g.numel()]
        ok = torch.stack([finite.to(device).bool(), *flags]).all()
        return self.over.largest((~ok).float()) == 0

    def _made(self, before: dict[_Key, Tensor]) -> list[_Slot]:
        """Return the tensors of the state that are new, with what they were made from."""
        return [
            _Slot(tensor, before[key] if key in before else self._first(*key))
            for key, tensor in self._state_tensors()
            if before.get(key) is not tensor
        ]

    def _first(self, parameter: int, name: str) -> Any:
        """Return what state made by this step was before it."""
        group = next(
            group
            for group in self.optimizer.param_groups
            if any(id(each) == parameter for each in group["params"])
        )
        return first_value(self.optimizer, group, name)

    def _forget(self, before: dict[_Key, Tensor]) -> None:
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


def _is_finite(gradient: Tensor) -> Tensor:
    """Return whether all numbers are finite, without a tensor of their size."""
    low, high = gradient.detach().aminmax()
    return torch.isfinite(low) & torch.isfinite(high)
