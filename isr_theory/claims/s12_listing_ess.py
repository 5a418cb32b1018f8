"""Section 12.1, the trainer listing: the ESS it reports.

    ESS/n = 1 / (n sum W^2),   W = softmax(gamma log w)

On tensors the listing itself runs; elsewhere its arithmetic, restated over an arithmetic.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    POWERED,
    SIZE,
    Batch,
    Column,
    Generic,
    column,
    each,
    equal_for_every_batch,
    largest,
    length,
    trainer,
)
from isr_theory.claims.s08_3_algorithm import RHO, WITH_ZEROS
from isr_theory.claims.s12_listing import trainer_gamma
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural
from isr_theory.models import fractions

GAMMA = sympy.Symbol("gamma", positive=True)


def trainer_ess(log_w: Column, gamma: Number, m: Arithmetic) -> Number:
    """The reported ESS/n: the listing on tensors, its arithmetic elsewhere."""
    if m is Tensor:
        return trainer(Batch(log_w, log_w)).compute_ess_ratio(log_w, float(gamma))
    scaled = log_w * gamma
    weights = each(m.exp, scaled - largest(scaled))
    weights = weights / weights.sum()
    return 1 / (weights * weights).sum() / length(log_w)


ESS = Draft(
    "LST12.1.ess",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("compute_ess_ratio is Kish's ESS/n", "compute_ess_ratio 即 Kish ESS/n"),
    finding=Text(
        "Exactly: the shift by the largest entry cancels, and only keeps exp in range.",
        "完全相等：减去最大值的平移相消，只为避免溢出。",
    ),
    statement=r"\frac{1}{n\sum_i W_i^2} = \frac{(\sum_i w_i^\gamma)^2}{n\sum_i w_i^{2\gamma}},"
    r"\quad W = \mathrm{softmax}(\gamma\log w)",
    subject=trainer_ess,
    expect=Verdict.VERIFIED,
    assumes=(WITH_ZEROS,),
    uses=("D8.1",),
    reading="gamma > 0 where a weight is 0; at gamma = 0 the listing multiplies 0 by infinity",
)
HALF = Fraction(1, 2)
ESS_BATCH = ((3, 1, 1, 7, 2), HALF)
ESS_AT = Witness.at(w=ESS_BATCH[0], gamma=HALF)


@ESS.symbolic(
    Scope(
        "every batch, by the sums of w^gamma and w^(2 gamma), to which a weight of 0 adds nothing;"
        " of the listing, the arithmetic restated",
        whole=True,
    )
)
def _(ess_ratio: Any) -> Answer:
    """With the largest entry any number M, the factor e^-M is gone."""
    first, second = Generic(POWERED).sum(), Generic(POWERED**2).sum()
    reported = ess_ratio(Generic(sympy.log(POWERED) / GAMMA), GAMMA, Exact)
    return equal_for_every_batch(reported, first**2 / (SIZE * second))


@ESS.certified(Scope("weights (3, 1, 1, 7, 2), gamma = 1/2"))
def _(ess_ratio: Any) -> Answer:
    """Kish's ratio from square roots of whole weights."""
    weights = [Ball.sqrt(Ball.number(w)) for w in ESS_BATCH[0]]
    log_w = each(Ball.log, column(ESS_BATCH[0], Ball))
    reported = ess_ratio(log_w, Ball.number(HALF), Ball)
    return certified.agree([reported], [formulas.kish_ess(weights) / 5], witnesses=[ESS_AT])


@ESS.neural(Scope("weights (3, 1, 1, 7, 2) and the same times e^2000, gamma = 1/2"))
def _(ess_ratio: Any) -> Answer:
    """The listing against Kish's ratio in plain floats, also far out of the range of exp."""
    powered = [float(w) ** 0.5 for w in ESS_BATCH[0]]
    log_w = neural.tensor(ESS_BATCH[0]).log()
    reported = [float(ess_ratio(log_w + shift, 0.5, Tensor)) for shift in (0, 2000)]
    return neural.close(reported, [formulas.kish_ess(powered) / 5] * 2, witness=ESS_AT)


@ESS.neural(Scope("weights (3, 0, 1, 7, 0), gamma = 1/2"))
def _(ess_ratio: Any) -> Answer:
    """The listing where weights are 0, against Kish's ratio in plain floats."""
    weights = (3, 0, 1, 7, 0)
    powered = [float(w) ** 0.5 for w in weights]
    reported = float(ess_ratio(neural.tensor(weights).log(), 0.5, Tensor))
    at = Witness.at(w=weights, gamma=HALF)
    return neural.close([reported], [formulas.kish_ess(powered) / 5], witness=at)


ESS.meaningless_without(
    WITH_ZEROS,
    "where every weight is 0 both sides are 0 divided by 0, and a weight below 0 has no logarithm",
)


@ESS.wrong("gamma dropped")
def _(log_w: Any, gamma: Any, m: Any) -> Any:
    return trainer_ess(log_w, gamma / gamma, m)


@ESS.wrong("not divided by n")
def _(log_w: Any, gamma: Any, m: Any) -> Any:
    return trainer_ess(log_w, gamma, m) * length(log_w)


@ESS.wrong("squares of unnormalised weights")
def _(log_w: Any, gamma: Any, m: Any) -> Any:
    weights = each(m.exp, log_w * gamma - largest(log_w * gamma))
    return 1 / (weights * weights).sum() / length(log_w)


@ESS.number("ESS/n at log w = (1/2, -1, 3/2, -1/2), rho_min = 3/10")
def _() -> str:
    log_w = column(fractions("1/2 -1 3/2 -1/2"), Ball)
    gamma = trainer_gamma(log_w, Ball.number(RHO), Ball.number(0), Ball.number(1), Ball)
    return certified.digits(trainer_ess(log_w, gamma, Ball))


CLAIMS = frozen(ESS)
