"""Section 12.1, the trainer listing: what it freezes, and the gamma it uses.

    gamma = max(gamma_min, min(gamma_max, sqrt(-log rho_min / S^2)))

On tensors the listing itself runs; elsewhere its arithmetic, restated over an arithmetic.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas, listings
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    LEVEL,
    VARIANCE,
    Batch,
    Column,
    Descent,
    Generic,
    Given,
    Row,
    Tabular,
    column,
    equal_for_every_batch,
    prompts_and_answers,
    trainer,
)
from isr_theory.claims.s08_3_algorithm import (
    PLAIN_BATCH,
    RHO,
    C,
    Request,
    spread,
    unbiased_variance,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import drawn_fraction, fractions

D, G = sympy.symbols("d g", positive=True)
LOG_W = fractions("1/2 -1 3/2 -3/2")


FREEZE = Draft(
    "LST12.1.freeze",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("The reference model is frozen", "参考模型被冻结"),
    finding=Text(
        "No parameter of it asks for a gradient, and a step of an optimiser that holds both models"
        " moves the policy only.",
        "参考模型的参数均不再求梯度；即便优化器同时持有两个模型，一步也只移动策略。",
    ),
    statement=r"\partial\,\mathrm{loss}/\partial\,\theta_{\mathrm{ref}}\ \text{is never formed}",
    subject=listings.ISReshapeTrainer,
    expect=Verdict.SUPPORTED,
    single_route="what a constructor does to the objects it is given shows only when it runs",
    reading="the two models share no parameter; what they shared would be frozen in both",
)
BOTH_TABULAR = Scope("one policy and one reference with two tables of logits each")
START = Witness.at(prompts=(0, 1, 1, 0), answers=(2, 0, 1, 1))


@FREEZE.neural(BOTH_TABULAR)
def _(listing: Any) -> Answer:
    """Which parameters ask for a gradient once the trainer is made."""
    policy, reference = Tabular(), Tabular()
    listing(policy, reference)
    asks = [float(p.requires_grad) for model in (policy, reference) for p in model.parameters()]
    return neural.close(asks, [1.0, 1.0, 0.0, 0.0], witness=START)


@FREEZE.neural(BOTH_TABULAR)
def _(listing: Any) -> Answer:
    """One step of an optimiser over the parameters of both models."""
    policy, reference = Tabular(), Tabular()
    before = policy.numbers()
    both = [*policy.parameters(), *reference.parameters()]
    optimiser = Descent(both)
    loss, _ = listing(policy, reference).compute_loss(*prompts_and_answers())
    if loss.requires_grad:
        loss.backward()
    optimiser.step()
    moved = max(abs(a - b) for a, b in zip(policy.numbers(), before, strict=True))
    return all_of(
        [
            neural.close(reference.numbers(), before, witness=START),
            neural.compare(moved, ">", 0.001, witness=START),
        ]
    )


class _FreezesNothing(listings.ISReshapeTrainer):
    def __init__(self, model: Any, ref_model: Any, **settings: float) -> None:
        super().__init__(model, Given(()), **settings)
        self.ref_model = ref_model


class _FreezesThePolicy(listings.ISReshapeTrainer):
    def __init__(self, model: Any, ref_model: Any, **settings: float) -> None:
        super().__init__(ref_model, model, **settings)
        self.model, self.ref_model = model, ref_model


class _FreezesTheFirst(listings.ISReshapeTrainer):
    def __init__(self, model: Any, ref_model: Any, **settings: float) -> None:
        super().__init__(model, ref_model, **settings)
        for parameter in list(ref_model.parameters())[1:]:
            parameter.requires_grad = True


FREEZE.wrong_value("nothing frozen", _FreezesNothing)
FREEZE.wrong_value("the policy frozen in its place", _FreezesThePolicy)
FREEZE.wrong_value("only the first parameter frozen", _FreezesTheFirst)


def maximum(x: Number, y: Number, m: Arithmetic) -> Number:
    """The larger of two numbers."""
    return -m.minimum(-x, -y)


def trainer_gamma(
    log_w: Column, rho_min: Number, gamma_min: Number, gamma_max: Number, m: Arithmetic
) -> Number:
    """The trainer's gamma: the listing on tensors, its arithmetic elsewhere.

    A generic batch has S^2 >= 1e-8, below which the listing takes gamma_max.
    """
    if m is Tensor:
        bounds = {"gamma_min": float(gamma_min), "gamma_max": float(gamma_max)}
        made = trainer(Batch(log_w, log_w), rho_min=float(rho_min), **bounds)
        return made.compute_optimal_gamma(log_w)
    if isinstance(log_w, Row) and unbiased_variance(log_w) < m.number("1/100000000"):
        return gamma_max
    return maximum(gamma_min, m.minimum(gamma_max, _unclamped(log_w, rho_min, m)), m)


def _unclamped(log_w: Column, rho_min: Number, m: Arithmetic) -> Number:
    return m.sqrt(-m.log(rho_min) / unbiased_variance(log_w))


GAMMA_SET = Draft(
    "LST12.1.gamma",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("The trainer's gamma is set by the ESS constraint", "训练器的 γ 由 ESS 约束确定"),
    finding=Text(
        "A positive gamma_min overrides the constraint without a word, also on batches where the"
        " closed form alone meets it.",
        "正的 gamma_min 会静默地覆盖约束，即使闭式解本身满足约束也是如此。",
    ),
    statement=r"\mathrm{ESS}_\gamma/n \ge \rho_{\min}\ \text{at the}\ \gamma\ \text{in use}",
    subject=trainer_gamma,
    expect=Verdict.REFUTED,
    assumes=(PLAIN_BATCH,),
    uses=("D8.1", "A8.4.a"),
    reading="for every setting that the constructor takes; ESS/n is the batch's own",
)
OUTLIER = (0, 0, 0, 8)
FLOOR = Fraction(7, 10)
FLOORED = Witness.at(log_w=OUTLIER, rho_min=RHO, gamma_min=FLOOR, gamma_max=1)


def _sample_ess(gamma: Number, m: Arithmetic) -> Number:
    return formulas.kish_ess([m.exp(gamma * level) for level in OUTLIER]) / len(OUTLIER)


def _outlier_gamma(gamma_of: Any, gamma_min: Fraction | int, m: Arithmetic) -> Number:
    settings = (m.number(value) for value in (RHO, gamma_min, 1))
    return gamma_of(column(OUTLIER, m), *settings, m)


@GAMMA_SET.symbolic(Scope("the one batch of the witness"))
def _(gamma_of: Any) -> Answer:
    """Kish's ratio at the gamma in use; with gamma_min = 0 the target is met."""
    unfloored, floored = (
        symbolic.compare(
            _sample_ess(_outlier_gamma(gamma_of, floor, Exact), Exact),
            ">=",
            sympy.Rational(RHO),
            witness=FLOORED,
        )
        for floor in (0, FLOOR)
    )
    return given(unfloored, floored)


@GAMMA_SET.certified(Scope("the one batch of the witness"))
def _(gamma_of: Any) -> Answer:
    """Kish's ratio in balls."""
    ratio = _sample_ess(_outlier_gamma(gamma_of, FLOOR, Ball), Ball)
    return certified.compare(ratio, ">=", Ball.number(RHO), witness=FLOORED)


@GAMMA_SET.neural(Scope("the one batch of the witness"))
def _(gamma_of: Any) -> Answer:
    """The listing's gamma, and the ESS that the listing itself reports for it."""
    log_w = neural.tensor(OUTLIER)
    gamma = _outlier_gamma(gamma_of, FLOOR, Tensor)
    ratio = trainer(Batch(log_w, log_w)).compute_ess_ratio(log_w, gamma)
    return neural.compare(ratio, ">", float(RHO), witness=FLOORED)


@GAMMA_SET.right("no floor")
def _(log_w: Any, rho_min: Any, gamma_min: Any, gamma_max: Any, m: Any) -> Any:
    return trainer_gamma(log_w, rho_min, m.number(0), gamma_max, m)


@GAMMA_SET.number("log-normal ESS/n at sigma2 = 4, gamma_min = 7/10")
def _() -> str:
    return certified.digits(formulas.ess_lognormal(Ball.number(4), Ball.number(FLOOR), Ball))


NO_FLOOR = Assumption(
    "no_floor",
    Text("gamma_min = 0 and 0 <= gamma_max <= 1.", "gamma_min = 0 且 0 ≤ gamma_max ≤ 1。"),
    lambda bounds: bounds[0] == 0 and 0 <= bounds[1] <= 1,
    examples=((0, 1), (0, Fraction(1, 2))),
    violations=((FLOOR, 1), (0, 2)),
    draw=lambda rng: (0, drawn_fraction(rng, "0", "1")),
)
GAMMA_SET_FIX = Draft(
    "LST12.1.gamma.fix",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("Without a floor the clamp only lowers gamma", "不设下限时截断只会降低 γ"),
    finding=Text(
        "With gamma_min = 0 and gamma_max ≤ 1 the trainer's γ never exceeds the closed form, so the"
        " log-normal ESS stays at ρ_min or above.",
        "当 gamma_min = 0 且 gamma_max ≤ 1 时，γ 不超过闭式解，故对数正态 ESS 不低于 ρ_min。",
    ),
    statement=r"\gamma = \min(\gamma_{\max}, \gamma^*) \le \gamma^*,"
    r"\quad e^{-S^2\gamma^2} \ge \rho_{\min}",
    subject=trainer_gamma,
    expect=Verdict.VERIFIED,
    assumes=(PLAIN_BATCH, NO_FLOOR),
    uses=("A8.4.a", "T8.2"),
    amends=("LST12.1.gamma",),
)
# S^2 = 91/48; the closed form's gamma lies near 0.797.
CEILINGS = fractions("1 1/2 1/5")


def _ceiling(gamma_max: Fraction) -> Witness:
    return Witness.at(log_w=LOG_W, rho_min=RHO, gamma_min=0, gamma_max=gamma_max)


def _clamped(gamma_of: Any, gamma_max: Fraction, m: Arithmetic) -> Number:
    settings = (m.number(value) for value in (RHO, 0, gamma_max))
    return gamma_of(column(LOG_W, m), *settings, m)


@GAMMA_SET_FIX.symbolic(
    Scope(
        "every batch and gamma_max, by which of the two is smaller; of the listing, the arithmetic"
        " restated",
        whole=True,
    )
)
def _(gamma_of: Any) -> Answer:
    """With rho_min = e^(-S^2 c^2), gamma is gamma_max where that is below c, and c where not."""
    zero, log_w = sympy.Integer(0), Generic(LEVEL)

    def used(c: Any, gamma_max: Any) -> Any:
        return gamma_of(log_w, sympy.exp(-VARIANCE * c**2), zero, gamma_max, Exact)

    below, above = used(G + D, G), used(C, C + D)
    return all_of(
        [
            equal_for_every_batch(below, G),
            equal_for_every_batch(above, C),
            equal_for_every_batch(used(C, zero), zero),
            # What is left of the log of ESS over target where the clamp binds.
            symbolic.positive(VARIANCE * (G + D) ** 2 - VARIANCE * below**2),
        ]
    )


@GAMMA_SET_FIX.certified(Scope("one batch of four at three values of gamma_max"))
def _(gamma_of: Any) -> Answer:
    """The log-normal ESS at S^2 from pairs is the target where nothing binds, and else more."""
    variance, target = Ball.number(spread(LOG_W)), Ball.number(RHO)
    free, *bound = (_clamped(gamma_of, ceiling, Ball) for ceiling in CEILINGS)
    answers = [
        certified.agree(
            [Ball.exp(-variance * free * free)], [target], witnesses=[_ceiling(CEILINGS[0])]
        )
    ]
    for gamma, ceiling in zip(bound, CEILINGS[1:], strict=True):
        at = _ceiling(ceiling)
        answers.append(certified.agree([gamma], [Ball.number(ceiling)], witnesses=[at]))
        ess = Ball.exp(-variance * gamma * gamma)
        answers.append(certified.compare(ess, ">", target, witness=at))
    return all_of(answers)


@GAMMA_SET_FIX.neural(Scope("one batch of four at three values of gamma_max"))
def _(gamma_of: Any) -> Answer:
    """The listing against the smaller of gamma_max and Algorithm 8.4, and its restatement."""
    answers = []
    for ceiling in CEILINGS:
        used = float(_clamped(gamma_of, ceiling, Tensor))
        printed = listings.compute_optimal_gamma(neural.tensor(LOG_W), neural.tensor([0] * 4))
        expected = [min(float(ceiling), printed), _clamped(gamma_of, ceiling, Real)]
        answers.append(neural.close([used] * 2, expected, witness=_ceiling(ceiling)))
    # A floor that binds is outside this claim, but the restatement has to follow the listing there.
    floor, at = Fraction(9, 10), Witness.at(log_w=LOG_W, rho_min=RHO, gamma_min="9/10", gamma_max=1)
    floored = [
        float(gamma_of(column(LOG_W, m), m.number(RHO), m.number(floor), m.number(1), m))
        for m in (Tensor, Real)
    ]
    answers.append(neural.close(floored, [floor] * 2, witness=at))
    # So is a batch that does not vary enough.
    narrow = [
        float(gamma_of(column(NARROW.log_w, m), m.number(NARROW.rho_min), *bounds, m))
        for m, bounds in ((m, (m.number(0), m.number(1))) for m in (Tensor, Real))
    ]
    at = Witness.at(log_w=NARROW.log_w, rho_min=NARROW.rho_min, gamma_min=0, gamma_max=1)
    return all_of([*answers, neural.close(narrow, [1.0] * 2, witness=at)])


# S^2 = 2^-27 is too little for the listing, but the closed form is near 1/86.
NARROW = Request((0.0, 2.0**-13), 1 - Fraction(1, 10**12))
# Here the closed form is clipped at 1.
SLACK = fractions("0 1/2")


def against_the_closed_form(
    gamma_of: Any, log_w: tuple[Any, ...], rho_min: Fraction, bounds: tuple[Any, Any]
) -> Answer:
    """The gamma in use against the smaller of gamma_max and Theorem 8.3's, S^2 from pairs."""
    values = [Fraction(value) for value in log_w]
    target, low, high = (Ball.number(value) for value in (rho_min, *bounds))
    used = gamma_of(column(values, Ball), target, low, high, Ball)
    closed = formulas.gamma_lognormal(Ball.number(spread(values)), target, Ball)
    at = Witness.at(log_w=values, rho_min=rho_min, gamma_min=bounds[0], gamma_max=bounds[1])
    return certified.agree([used], [Ball.minimum(high, closed)], witnesses=[at])


@GAMMA_SET_FIX.without(PLAIN_BATCH, on=(NARROW,))
def _(gamma_of: Any, request: Request) -> Answer | None:
    if len(request.log_w) < 2 or not all(map(math.isfinite, request.log_w)):
        # S^2 is not a number there.
        return None
    return against_the_closed_form(gamma_of, request.log_w, request.rho_min, (0, 1))


@GAMMA_SET_FIX.without(NO_FLOOR)
def _(gamma_of: Any, bounds: tuple[Any, Any]) -> Answer:
    # A floor binds on the first batch, a ceiling above 1 on the second.
    return all_of(
        against_the_closed_form(gamma_of, log_w, RHO, bounds) for log_w in (OUTLIER, SLACK)
    )


@GAMMA_SET_FIX.wrong("a floor of 7/10")
def _(log_w: Any, rho_min: Any, gamma_min: Any, gamma_max: Any, m: Any) -> Any:
    return maximum(m.number(FLOOR), trainer_gamma(log_w, rho_min, gamma_min, gamma_max, m), m)


@GAMMA_SET_FIX.wrong("the bounds swapped")
def _(log_w: Any, rho_min: Any, gamma_min: Any, gamma_max: Any, m: Any) -> Any:
    return trainer_gamma(log_w, rho_min, gamma_max, gamma_min, m)


@GAMMA_SET_FIX.wrong("gamma_max as a floor")
def _(log_w: Any, rho_min: Any, gamma_min: Any, gamma_max: Any, m: Any) -> Any:
    return maximum(gamma_max, _unclamped(log_w, rho_min, m), m)


@GAMMA_SET_FIX.wrong("no upper bound")
def _(log_w: Any, rho_min: Any, gamma_min: Any, gamma_max: Any, m: Any) -> Any:
    return maximum(gamma_min, _unclamped(log_w, rho_min, m), m)


CLAIMS = frozen(FREEZE, GAMMA_SET, GAMMA_SET_FIX)
