"""Training with flattened importance weights, in torch: the weights that there are, and the loss.

    g = E_mu[f(w) r grad log pi],   w = pi/mu

`atlas` holds the weight functions f of the field, each with the gradient weight that it really has;
`loss` is the loss with any of them, `trainer` the paper's trainer around it, `distributed` what
makes a batch on many processes one batch, and `guard` a step that a NaN cannot poison.
"""

from isr_theory.training.atlas import ATLAS, View, WeightFunction
from isr_theory.training.distributed import Ranks
from isr_theory.training.guard import NonFiniteUpdateError, UpdateGuard
from isr_theory.training.loss import ISReshapeLoss
from isr_theory.training.settings import DifferentiatedPowerWarning
from isr_theory.training.trainer import ISReshapeTrainer, ReferenceNotFrozenError
from isr_theory.training.update import Plan

__all__ = [
    "ATLAS",
    "DifferentiatedPowerWarning",
    "ISReshapeLoss",
    "ISReshapeTrainer",
    "NonFiniteUpdateError",
    "Plan",
    "Ranks",
    "ReferenceNotFrozenError",
    "UpdateGuard",
    "View",
    "WeightFunction",
]
