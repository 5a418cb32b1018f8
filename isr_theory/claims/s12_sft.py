"""Sections 12.1 and 12.2, the trainer without rewards, and the usage example.

    E_mu[w^gamma s] / E_mu[w^gamma] = -grad D_(1-gamma)(mu || pi),   s = grad log pi

So with r = 1 the loss is that of SFT at gamma = 0 only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory import listings
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import UNIT_REWARD
from isr_theory.claims.batches import (
    NUDGE,
    POWERED,
    SCORE,
    SIZE,
    Batch,
    Descent,
    Generic,
    Row,
    Tabular,
    column,
    detach,
    each,
    equal_for_every_batch,
    length,
    prompts_and_answers,
    slope,
)
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.s06_3_2_at_zero import MU_IN_PI
from isr_theory.claims.s08_3_algorithm import RHO
from isr_theory.claims.s12_loss import (
    GAMMA,
    HALF,
    LOGITS,
    MU,
    along_in_balls,
    any_batch,
    logit_gradient,
    moved,
    policy,
    trainer_loss,
    trainer_step,
    weighted,
)
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import Finite, fractions

SFT = Draft(
    "LST12.1.sft",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("Without rewards the loss is 'pure SFT style'", "无奖励时的“纯 SFT 风格”"),
    finding=Text(
        "Only at γ = 0. Near the reference the rule sets γ = 1, where the step can point against"
        " that of SFT on the same batch.",
        "仅当 γ = 0 时成立。在参考模型附近规则取 γ = 1，此时更新方向可与同一批上 SFT 的方向相反。",
    ),
    statement=r"r \equiv 1:\quad \nabla\mathrm{loss} ="
    r" c\,\nabla\bigl(-\tfrac1n\sum_i\log\pi_i\bigr),\ c > 0",
    subject=trainer_step,
    expect=Verdict.REFUTED,
    assumes=(UNIT_REWARD,),
    uses=("LST12.1.loss", "A8.4.a"),
    reading="'style' is read as the direction of the step, its length left free",
)
# w is 4/3 on the first answer and 2/3 on the second, so S^2 = 3 (log 2)^2 / 10 and gamma is 1: the
# listing gives the first answer 3/4 of the weight, SFT gives it 3/5, and pi gives it 2/3.
COIN_ANSWERS = (0, 0, 0, 1, 1)
COIN = Witness.at(
    mu=(HALF, HALF), pi=fractions("2/3 1/3"), answers=COIN_ANSWERS, reward=1, rho_min=RHO
)


def _coin(logs: Any, m: Arithmetic) -> Batch:
    log_pi = logs[list(COIN_ANSWERS)] if m is Tensor else Row(tuple(logs[y] for y in COIN_ANSWERS))
    return Batch(log_pi, each(m.log, column([HALF] * len(COIN_ANSWERS), m)))


def _mean(given: Batch) -> Any:
    return -given.log_pi.sum() / length(given.log_pi)


@SFT.symbolic(Scope("the one batch of the witness"))
def _(loss: Any) -> Answer:
    """The product of the two slopes in the log-odds, exactly."""
    given = _coin(policy([sympy.log(2) + NUDGE, sympy.Integer(0)], Exact), Exact)
    ours, theirs = slope(loss(given, sympy.Rational(RHO), Exact)), slope(_mean(given))
    return symbolic.compare(sympy.simplify(ours * theirs), ">", 0, witness=COIN)


@SFT.certified(Scope("the one batch of the witness"))
def _(loss: Any) -> Answer:
    """The product of the two slopes, by truncated series."""

    def derivative(objective: Any) -> Any:
        def along(log_odds: Any) -> Any:
            return objective(_coin(policy([log_odds, Ball.number(0)], Jet), Jet))

        return certified.derivatives(along, Ball.log(Ball.number(2)), 1)[1]

    ours, theirs = derivative(lambda given: loss(given, Ball.number(RHO), Jet)), derivative(_mean)
    return certified.compare(ours * theirs, ">", 0, witness=COIN)


@SFT.neural(Scope("the one batch of the witness"))
def _(loss: Any) -> Answer:
    """The inner product of the two gradients in the logits, through the listing."""

    def gradient(objective: Any) -> Any:
        logits = neural.tensor([2, 1]).log()
        return neural.gradient(
            lambda z: objective(_coin(neural.torch().log_softmax(z, 0), Tensor)), logits
        )

    ours, theirs = gradient(lambda given: loss(given, float(RHO), Tensor)), gradient(_mean)
    return neural.compare((ours * theirs).sum(), ">", 0, witness=COIN)


@SFT.right("the listing's loss at gamma = 0")
def _(given: Batch, rho_min: Any, m: Any) -> Any:
    return trainer_loss(given, m.number(0), m)


SFT_FIX = Draft(
    "LST12.1.sft.fix",
    section="12.1",
    kind=Kind.IDENTITY,
    title=Text("What the loss without rewards descends", "无奖励损失所下降的目标"),
    finding=Text(
        "Over data from μ at a fixed 0 < γ < 1 it descends the Rényi divergence D_{1-γ}(μ‖π); at"
        " γ = 0 it is SFT.",
        "在来自 μ 的数据上、固定 0 < γ < 1 时，它使 Rényi 散度 D_{1-γ}(μ‖π) 下降；γ = 0 时即 SFT。",
    ),
    statement=r"\frac{E_\mu[w^\gamma\nabla\log\pi]}{E_\mu[w^\gamma]}"
    r" = -\nabla D_{1-\gamma}(\mu\Vert\pi)",
    subject=trainer_loss,
    expect=Verdict.VERIFIED,
    assumes=(MU_IN_PI, UNIT_REWARD),
    uses=("D6.1", "LST12.1.loss"),
    amends=("LST12.1.sft",),
    reading="the batch is the whole of mu, so that its mean is E_mu",
)
# Ten rows hold mu = (3/5, 3/10, 1/10) exactly.
POPULATION = (0, 0, 0, 0, 0, 0, 1, 1, 1, 2)
WHOLE_MU = Scope("mu = (3/5, 3/10, 1/10) in ten rows, a softmax policy, gamma = 1/4 and 3/4")
EXPONENTS = fractions("1/4 3/4")


def divergence(log_pi: Any, gamma: Any, m: Arithmetic, mu: Sequence[Fraction] = MU) -> Any:
    """D_alpha(mu || pi) = log(sum mu^alpha pi^(1-alpha)) / (alpha - 1) at alpha = 1 - gamma."""
    mass = sum(
        m.power(m.number(a), 1 - gamma) * m.exp(gamma * b) for a, b in zip(mu, log_pi, strict=True)
    )
    return m.log(mass) / ((1 - gamma) - 1)


def _population_at(gamma: Fraction) -> Witness:
    return Witness.at(mu=MU, logits=LOGITS, gamma=gamma)


@SFT_FIX.symbolic(
    Scope(
        "every mu, pi and direction: E_mu is linear, and the summand is general; of the listing,"
        " the arithmetic restated",
        whole=True,
    )
)
def _(loss: Any) -> Answer:
    """The derivative of -log E_mu[w^gamma] / gamma along a score; at gamma = 0 the mean score."""
    powered = Generic(POWERED * sympy.exp(GAMMA * NUDGE * SCORE))
    # mu^(1-gamma) pi^gamma is mu w^gamma, and (1 - gamma) - 1 is -gamma.
    renyi = sympy.log(powered.sum() / SIZE) / -GAMMA
    given = any_batch(None)
    at_zero = slope(loss(given, sympy.Integer(0), Exact))
    return all_of(
        [
            equal_for_every_batch(slope(loss(given, GAMMA, Exact)), slope(renyi)),
            equal_for_every_batch(at_zero, -Generic(SCORE).sum() / SIZE),
        ]
    )


@SFT_FIX.certified(WHOLE_MU)
def _(loss: Any) -> Answer:
    """Truncated series of the loss and of the divergence."""
    ours = [_loss_slope(loss, Ball.number(exponent)) for exponent in EXPONENTS]
    theirs = [_divergence_slope(Ball.number(exponent)) for exponent in EXPONENTS]
    return certified.agree(ours, theirs, witnesses=[_population_at(g) for g in EXPONENTS])


def _loss_slope(loss: Any, gamma: Any) -> Any:
    return along_in_balls(lambda given: loss(given, gamma, Jet), POPULATION)


def _divergence_slope(gamma: Any) -> Any:
    def along(t: Any) -> Any:
        return divergence(moved(t, Jet), gamma, Jet)

    return certified.derivatives(along, Ball.number(0), 1)[1]


@SFT_FIX.neural(WHOLE_MU)
def _(loss: Any) -> Answer:
    """Automatic differentiation of the listing and of the divergence over the three answers."""
    return all_of(
        neural.close(
            _loss_gradient(loss, float(exponent)),
            _divergence_gradient(float(exponent)),
            witness=_population_at(exponent),
        )
        for exponent in EXPONENTS
    )


def _loss_gradient(loss: Any, gamma: float) -> Any:
    return logit_gradient(lambda given: loss(given, gamma, Tensor), POPULATION)


def _divergence_gradient(gamma: float) -> Any:
    def of(logits: Any) -> Any:
        return divergence(neural.torch().log_softmax(logits, 0), gamma, Tensor)

    return neural.gradient(of, neural.tensor(LOGITS))


@SFT_FIX.without(UNIT_REWARD)
def _(loss: Any, law: Finite) -> Answer:
    gamma = Ball.number(HALF)
    size = math.lcm(*(mass.denominator for mass in law.mu))
    rows = [y for y, mass in enumerate(law.mu) for _ in range(int(mass * size))]
    log_mu, reward = (column([values[y] for y in rows], Ball) for values in (law.mu, law.reward))

    def along(objective: Any) -> Any:
        def of(t: Any) -> Any:
            level = [Ball.log(mass) for mass in law.numbers(Ball)[1]]
            return objective(policy([level[0] + t, *level[1:]], Jet))

        return certified.derivatives(of, Ball.number(0), 1)[1]

    def over_the_batch(log_pi: Any) -> Any:
        chosen = Row(tuple(log_pi[y] for y in rows))
        return loss(Batch(chosen, each(Ball.log, log_mu), reward), gamma, Jet)

    ours = along(over_the_batch)
    theirs = along(lambda log_pi: divergence(log_pi, gamma, Jet, law.mu))
    return certified.agree([ours], [theirs], witnesses=[witness_of(law, gamma=HALF)])


SFT_FIX.meaningless_without(
    MU_IN_PI,
    "where pi misses an outcome of mu there is no grad log pi, of which the left side is a mean",
)


@SFT_FIX.wrong("SFT, as printed")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return _mean(given)


@SFT_FIX.wrong("gamma dropped")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return weighted(given, detach(given.log_pi - given.log_mu), m)


@SFT_FIX.wrong("weights not detached")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return weighted(given, (given.log_pi - given.log_mu) * gamma, m)


@SFT_FIX.wrong("the divergence of order gamma")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return trainer_loss(given, gamma, m) * gamma / (1 - gamma)


@SFT_FIX.number("D_(1/2)(mu || pi), mu = (3/5, 3/10, 1/10), logits (3/10, -1/5, 1/2)")
def _() -> str:
    return certified.digits(divergence(moved(Ball.number(0), Ball), Ball.number(HALF), Ball))


EXAMPLE = Draft(
    "EX12.2",
    section="12.2",
    kind=Kind.ALGORITHM,
    title=Text("The usage example runs and trains", "使用示例可运行并训练"),
    finding=Text(
        "With and without rewards it prints its line, moves the policy and not the reference, and"
        " lowers the loss at that step's weights; the loss it logs can rise, as the weights move.",
        "有无奖励均能打印，只移动策略而不动参考模型，并降低以该步权重计的损失；因权重随之改变，"
        "所记录的损失仍可上升。",
    ),
    statement=r"\text{loss.backward(); optimizer.step(); print}(\gamma, \mathrm{ESS})",
    subject=listings.ISReshapeTrainer,
    expect=Verdict.SUPPORTED,
    uses=("LST12.1.loss", "LST12.1.freeze"),
    single_route="whether a printed loop runs shows only when it runs",
    reading="the policy has moved away from the reference; the weights of a step stay those of the"
    " batch before it",
)
LOOP = Scope("two batches of four, one of them without rewards, plain gradient descent")
LOOP_AT = Witness.at(prompts=(0, 1, 1, 0), answers=(2, 0, 1, 1), reward=(1, 0, 2, 1), rho_min=RHO)
PRINTED = re.compile(r"γ=[01]\.\d{3}, ESS=[01]\.\d{3}")


def _models() -> tuple[Tabular, Tabular]:
    policy_model, reference_model = Tabular(), Tabular()
    with neural.torch().no_grad():
        policy_model.table += neural.tensor([[1, 0, -1], [0, -2, 1]])
    return policy_model, reference_model


def _batches() -> list[dict[str, Any]]:
    x, y = prompts_and_answers()
    return [
        {"prompt": x, "response": y, "reward": neural.tensor([1, 0, 2, 1])},
        {"prompt": x, "response": y},
    ]


def _train(listing: Any, policy_model: Tabular, reference_model: Tabular) -> list[Any]:
    """The printed loop; its lines, and how far each step lowers the loss at that step's weights."""
    made = listing(model=policy_model, ref_model=reference_model, rho_min=0.3)
    optimiser = Descent(policy_model.parameters())
    records = []
    for given in _batches():
        x, y, rewards = given["prompt"], given["response"], given.get("reward", None)
        loss, metrics = made.compute_loss(x, y, rewards)
        with neural.torch().no_grad():
            before = policy_model.log_prob(y, x)
            log_w = before - reference_model.log_prob(y, x)
        optimiser.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimiser.step()
        # A metric that is missing prints as nan, which the pattern does not allow.
        gamma, ess = (metrics.get(name, float("nan")) for name in ("gamma", "ess_ratio"))
        weights = neural.torch().softmax(gamma * log_w, 0) * (1 if rewards is None else rewards)
        with neural.torch().no_grad():
            gain = (weights * (policy_model.log_prob(y, x) - before)).sum()
        records.append((f"γ={gamma:.3f}, ESS={ess:.3f}", float(gain)))
    return records


@EXAMPLE.neural(LOOP)
def _(listing: Any) -> Answer:
    """The lines that the loop prints."""
    lines = [line for line, _ in _train(listing, *_models())]
    matching = [float(PRINTED.fullmatch(line) is not None) for line in lines]
    return neural.close(matching, [1.0, 1.0], witness=LOOP_AT.showing("; ".join(lines)))


@EXAMPLE.neural(LOOP)
def _(listing: Any) -> Answer:
    """What each step gains at its own weights, and where the reference stands after."""
    policy_model, reference_model = _models()
    before = reference_model.numbers()
    gains = [gain for _, gain in _train(listing, policy_model, reference_model)]
    return all_of(
        [
            *(neural.compare(gain, ">", 0.001, witness=LOOP_AT) for gain in gains),
            neural.close(reference_model.numbers(), before, witness=LOOP_AT),
        ]
    )


@EXAMPLE.neural(Scope("the rewarded batch and a step of rate 1/20"))
def _(listing: Any) -> Answer:
    """The loss logged before and after a step on one batch, which rises by its moving weights."""
    policy_model, reference_model = _models()
    made = listing(policy_model, reference_model)
    optimiser = Descent(policy_model.parameters(), rate=0.05)
    x, y, rewards = _batches()[0].values()
    loss, _ = made.compute_loss(x, y, rewards)
    if loss.requires_grad:
        loss.backward()
    optimiser.step()
    again, _ = made.compute_loss(x, y, rewards)
    # Rewards and -log pi are positive here, so the size of the loss is the loss, whatever its sign.
    before, after = (abs(float(value.detach())) for value in (loss, again))
    return neural.compare(after, ">", before, witness=LOOP_AT)


class _Ascends(listings.ISReshapeTrainer):
    def compute_loss(self, x: Any, y: Any, rewards: Any = None) -> Any:
        loss, metrics = super().compute_loss(x, y, rewards)
        return -loss, metrics


class _LosesTheGraph(listings.ISReshapeTrainer):
    def compute_loss(self, x: Any, y: Any, rewards: Any = None) -> Any:
        loss, metrics = super().compute_loss(x, y, rewards)
        return loss.detach(), metrics


class _RenamesTheRatio(listings.ISReshapeTrainer):
    def compute_loss(self, x: Any, y: Any, rewards: Any = None) -> Any:
        loss, metrics = super().compute_loss(x, y, rewards)
        return loss, {"gamma": metrics["gamma"], "ess": metrics["ess_ratio"]}


EXAMPLE.wrong_value("the sign of the loss", _Ascends)
EXAMPLE.wrong_value("the loss cut from its graph", _LosesTheGraph)
EXAMPLE.wrong_value("the ratio under another name", _RenamesTheRatio)

CLAIMS = frozen(SFT, SFT_FIX, EXAMPLE)
