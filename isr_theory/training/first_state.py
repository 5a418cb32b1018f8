"""What each tensor of an optimiser's state is before its first step.

    state before step 1:   0, but mu_product = 1 (NAdam), step_size = lr (Rprop), eta = lr (ASGD)

Optimisers of torch make their state in the first step that they take. Where that step is taken back
on the device, what it made has to be what it would have been made from, and only torch's own texts
say what that is: this is what they say, and what is not here cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

Tensor = Any

_LR = "lr"
_MOMENTS = {"step": 0.0, "exp_avg": 0.0, "exp_avg_sq": 0.0}
# A momentum buffer of SGD starts as a copy of the gradient, which a buffer of 0 becomes too while
# nothing dampens.
FIRST: Mapping[type, Mapping[str, float | str]] = MappingProxyType(
    {
        torch.optim.SGD: {"momentum_buffer": 0.0},
        torch.optim.Adam: {**_MOMENTS, "max_exp_avg_sq": 0.0},
        torch.optim.RAdam: _MOMENTS,
        torch.optim.NAdam: {**_MOMENTS, "mu_product": 1.0},
        torch.optim.Adamax: {"step": 0.0, "exp_avg": 0.0, "exp_inf": 0.0},
        torch.optim.Adadelta: {"step": 0.0, "square_avg": 0.0, "acc_delta": 0.0},
        # Its state is made with the optimiser.
        torch.optim.Adagrad: {},
        torch.optim.RMSprop: {
            "step": 0.0,
            "square_avg": 0.0,
            "momentum_buffer": 0.0,
            "grad_avg": 0.0,
        },
        torch.optim.Rprop: {"step": 0.0, "prev": 0.0, "step_size": _LR},
        torch.optim.ASGD: {"step": 0.0, "eta": _LR, "mu": 1.0, "ax": 0.0},
        torch.optim.Adafactor: {"step": 0.0, "row_var": 0.0, "col_var": 0.0, "variance": 0.0},
    }
)


def first_value(optimizer: Any, group: Mapping[str, Any], name: str) -> Any:
    """Return what the state `name` is before the first step of a parameter of `group`.

    A number or a tensor; TypeError names a state that is not known here, as those of optimisers
    that are not torch's are not.
    """
    for kind, values in FIRST.items():
        if isinstance(optimizer, kind) and name in values:
            value = values[name]
            return group["lr"] if value == _LR else value
    known = ", ".join(kind.__name__ for kind in FIRST)
    raise TypeError(
        f"optimizer is {type(optimizer).__name__}, whose first step makes {name!r} from a value"
        f" that is not known, so that it could not be taken back: allowed are {known}, and"
        " optimisers that have all of their state beforehand"
    )
