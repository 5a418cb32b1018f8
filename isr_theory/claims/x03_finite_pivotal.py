"""Past section 8: what the ESS of the batch says at the gamma that the batch has chosen.

At gamma = sqrt(-log rho_min)/S the rows w^gamma are, up to a factor, e^(sqrt(-log rho_min) t) with
t the standardised residuals of log w. So the batch's ESS does not move with sigma2; and with normal
log w it is independent of S^2, which decides whether the population meets the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL
from isr_theory.claims.batches import LEVEL, MEAN, SIZE, VARIANCE, Generic
from isr_theory.claims.instances import ess, named
from isr_theory.claims.s08_1_ess import GAMMA, SIGMA2, Entry, V, integrated_ess
from isr_theory.claims.x03_finite_plugin import chi2_tail
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import ExponentialRate, GaussianShift, fractions

RHO = Fraction(3, 10)


def unbiased_spread(rows: Sequence[Number]) -> Number:
    """S^2, with divisor n - 1."""
    mean = sum(rows) / len(rows)
    return sum((x - mean) * (x - mean) for x in rows) / (len(rows) - 1)


def plug_in(log_w: Sequence[Number], rho_min: Number, m: Arithmetic) -> Number:
    """The rule's gamma at S^2, without the clip at 1."""
    return m.sqrt(-m.log(rho_min) / unbiased_spread(log_w))


def shown(log_w: Sequence[Number], rho_min: Number, m: Arithmetic) -> Number:
    """ESS/n of e^(sqrt(-log rho_min) t), t = (log w - mean)/S."""
    mean, spread = sum(log_w) / len(log_w), m.sqrt(unbiased_spread(log_w))
    root = m.sqrt(-m.log(rho_min))
    powered = [m.exp(root * (x - mean) / spread) for x in log_w]
    return formulas.kish_ess(powered) / len(log_w)


def reported(log_w: Sequence[Number], sigma2: Number, rho_min: Number, m: Arithmetic) -> Number:
    """The batch's own ESS/n at its plug-in gamma, which is what a trainer logs."""
    gamma = plug_in(log_w, rho_min, m)
    return formulas.kish_ess([m.exp(gamma * x) for x in log_w]) / len(log_w)


MONITOR = Draft(
    "GAM.monitor",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text(
        "A batch that meets the target as a sign that the population does",
        "以批次 ESS 达标判断总体达标",
    ),
    finding=Text(
        "False: at ρ_min = 0.3 any two rows show an ESS/n of 0.70 at their γ, and the population's"
        " is 0.09 at the witness and meets the target in 32% of such batches.",
        "不成立：ρ_min = 0.3 时任意两行批次在其 γ 处都显示 ESS/n = 0.70，"
        "而总体在反例处仅 0.09，且只在 32% 的批次中达标。",
    ),
    statement=r"\frac{\mathrm{ESS}_{\hat\gamma}}{n}\text{ of the batch} \ge \rho_{\min}"
    r" \Rightarrow \frac{\mathrm{ESS}_{\hat\gamma}}{n}\text{ of the population} \ge \rho_{\min}",
    subject=reported,
    expect=Verdict.REFUTED,
    assumes=(LOGNORMAL,),
    uses=("GAM.coverage",),
    sharpens=("LST12.1.ess", "A8.4.a"),
    source="common practice: the ESS that a trainer logs is read as the constraint",
    reading="at the same batch's gamma = sqrt(-log rho_min)/S, which is below 1 at the witness; "
    "a report other than the batch's ESS takes its place in the premise",
)
# log w ~ N(-2, 4), and two rows of it with S^2 = 2.
TWO_ROWS = (-4, -2)
SHORT = Witness.at(log_w=TWO_ROWS, sigma2=4, rho_min=RHO)


@MONITOR.symbolic(Scope("the one batch of the witness"))
def _(report: Any) -> Answer:
    """Both from the exact gamma, sqrt(-log(3/10)/2); the population's is then (3/10)^2."""
    rows, rho_min = [sympy.Integer(x) for x in TWO_ROWS], sympy.Rational(RHO)
    gamma = plug_in(rows, rho_min, Exact)
    reached = integrated_ess().subs({SIGMA2: 4, GAMMA: gamma})
    says = symbolic.compare(
        report(rows, sympy.Integer(4), rho_min, Exact), ">=", rho_min, witness=SHORT
    )
    return given(says, symbolic.compare(reached, ">=", rho_min, witness=SHORT))


@MONITOR.certified(Scope("the one batch of the witness"))
def _(report: Any) -> Answer:
    """The population's ESS/n by rigorous quadrature."""
    rows, rho_min = [Ball.number(x) for x in TWO_ROWS], Ball.number(RHO)
    reached = ess(GaussianShift(Fraction(4)), plug_in(rows, rho_min, Ball))
    says = certified.compare(
        report(rows, Ball.number(4), rho_min, Ball), ">=", rho_min, witness=SHORT
    )
    return given(says, certified.compare(reached, ">=", rho_min, witness=SHORT))


@MONITOR.neural(Scope("the one batch of the witness"))
def _(report: Any) -> Answer:
    """Softmax weights of the batch; the population on a grid of 4000 points, of N(-2, 4)."""
    rows = neural.tensor(TWO_ROWS)
    spread = rows.var()
    gamma = (-math.log(RHO) / spread).sqrt()
    # 12 deviations to either side of both N(0, 1) and the tilted laws' means, at most 4 away.
    z = neural.torch().linspace(-16, 16, 4001, dtype=rows.dtype)
    law = (-(z**2) / 2).softmax(0)
    powered = (gamma * (2 * z - 2)).exp()
    reached = (law * powered).sum() ** 2 / (law * powered**2).sum()
    says = neural.compare(
        report(list(rows), neural.tensor(4), neural.tensor(RHO), Tensor),
        ">",
        float(RHO),
        witness=SHORT,
    )
    return given(says, neural.compare(reached, ">", float(RHO), witness=SHORT))


@MONITOR.right("the population's own ESS at that gamma")
def _(log_w: Any, sigma2: Any, rho_min: Any, m: Any) -> Any:
    return formulas.ess_lognormal(sigma2, plug_in(log_w, rho_min, m), m)


@MONITOR.number("ESS/n of any two rows at rho_min = 3/10")
def _() -> str:
    return certified.digits(
        reported([Ball.number(0), Ball.number(1)], None, Ball.number(RHO), Ball)
    )


@MONITOR.number("ESS/n of the population at the witness")
def _() -> str:
    return certified.digits(Ball.number(RHO) * Ball.number(RHO))


PIVOTAL = Draft(
    "GAM.pivotal",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The ESS of a batch at its own gamma is pivotal", "批次在自身 γ̂ 处的 ESS 是枢轴量"),
    finding=Text(
        "It is a function of the standardised residuals alone; for log-normal weights it is"
        " therefore independent of the population's ESS at that γ and tells nothing about it.",
        "它只是标准化残差的函数；故对数正态时它与该 γ 处的总体 ESS 相互独立，对后者毫无信息。",
    ),
    statement=r"\frac{\mathrm{ESS}_{\hat\gamma}}{n}\text{ of the batch}"
    r" = \frac{(\sum_i e^{\sqrt{L}\,t_i})^2}{n\sum_i e^{2\sqrt{L}\,t_i}},\ "
    r"t_i = \frac{l_i - \bar l}{S},\ L = -\log\rho_{\min};\quad"
    r"\text{independent of } \rho_{\min}^{\sigma^2/S^2}",
    subject=shown,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL,),
    uses=("GAM.coverage", "D8.1"),
    sharpens=("LST12.1.ess", "A8.4.a"),
    amends=("GAM.monitor",),
    source="new here; the independence of mean, S^2 and residuals is classical and an "
    "instance of Basu 1955",
    reading="gamma = sqrt(L)/S without the clip at 1, S^2 > 0 with divisor n - 1; the first half is"
    " an identity of every batch, the independence needs rows that are independent and normal",
)


@PIVOTAL.symbolic(
    Scope(
        "every batch, row by row; the density of independent normal rows depends on their distances"
        " from a point only, so the direction of the residuals is independent of mean and S^2",
        whole=True,
    )
)
def _(shown: Any) -> Answer:
    """The residuals of a + b l for any n; Kish's ratio under a factor; three rows written out."""
    a = sympy.symbols("a0", real=True)
    b, spent, factor = sympy.symbols("b L f", positive=True)
    moved = Generic(a + b * LEVEL)
    mean = moved.sum() / SIZE
    spread = ((moved - mean) * (moved - mean)).sum() / (SIZE - 1)
    residual = (moved - mean).entry / sympy.sqrt(sympy.factor(spread))
    scaled = formulas.kish_ess([Entry(factor * V)])
    rows = sympy.symbols("x y z", real=True)
    root = sympy.sqrt(spent / unbiased_spread(rows))
    powered = [sympy.exp(root * x) for x in rows]
    return all_of(
        [
            symbolic.equal(residual, (LEVEL - MEAN) / sympy.sqrt(VARIANCE)),
            symbolic.equal(scaled, formulas.kish_ess([Entry(V)])),
            symbolic.equal(shown(rows, sympy.exp(-spent), Exact), formulas.kish_ess(powered) / 3),
        ]
    )


@cache
def three_shapes() -> tuple[tuple[Fraction, ...], ...]:
    """Batches of three rows and of five."""
    return tuple(map(fractions, ("0 0 1", "0 1 1", "1/2 -1 3/2", "2 0 -1/3 1 5")))


def met_given(model: Any, shape: Sequence[Fraction]) -> Any:
    """Enclose P(S^2 >= Var log w) given the residuals of three rows.

    Given residuals t the density of (mean, S) is S prod f(mean + S t_i), f that of a row. For a
    normal row it leaves S e^(-S^2 sum t^2/(2 sigma2)), for an exponential one, from 0 on and of
    variance 1, S e^(-3 |min t| S).
    """
    rows = [Ball.number(x) for x in shape]
    mean, spread = sum(rows) / 3, Ball.sqrt(unbiased_spread(rows))
    residuals = [(x - mean) / spread for x in rows]
    if isinstance(model, GaussianShift):
        return Ball.exp(-sum(t * t for t in residuals) / 2)
    # log w rises with x where the rate is below 1, so the least row has the least log w.
    rate = 3 * -residuals[shape.index(min(shape))]
    return Ball.exp(-rate) * (1 + rate)


@PIVOTAL.certified(Scope("four batches, each moved and stretched; three rows of either shape"))
def _(shown: Any) -> Answer:
    """The batch's ESS at its plug-in gamma, from its powered rows; chances given residuals."""
    answers = []
    rho_min = Ball.number(RHO)
    for shape in three_shapes():
        stated = shown([Ball.number(x) for x in shape], rho_min, Ball)
        for move, stretch in fractions("0 1"), fractions("-2 3"), fractions("1/3 1/10"):
            rows = [Ball.number(move + stretch * x) for x in shape]
            at = Witness.at(log_w=shape, move=move, stretch=stretch, rho_min=RHO)
            found = reported(rows, None, rho_min, Ball)
            answers.append(certified.agree([found], [stated], witnesses=[at]))
    return all_of([*answers, independent(shown, GaussianShift(Fraction(4)))])


def independent(shown: Any, model: Any) -> Answer:
    """Try whether two shapes with different ESS leave the same chance of meeting the target."""
    first, second = three_shapes()[:2]
    rho_min, at = Ball.number(RHO), named(model, rows=(first, second))
    sizes = [shown([Ball.number(x) for x in shape], rho_min, Ball) for shape in (first, second)]
    chances = [met_given(model, shape) for shape in (first, second)]
    return all_of(
        [
            certified.compare(sizes[0], "!=", sizes[1], witness=at),
            certified.agree(chances[:1], chances[1:], witnesses=[at]),
        ]
    )


@PIVOTAL.neural(Scope("two batches"))
def _(shown: Any) -> Answer:
    """Autograd sees no slope of the batch's ESS in a move or a stretch of the rows; its value."""
    answers = []
    for shape in three_shapes()[2:]:
        rows, at = neural.tensor(shape), Witness.at(log_w=shape, rho_min=RHO)

        def size(moved: Any, rows: Any = rows) -> Any:
            log_w = moved[0] + moved[1] * rows
            gamma = (-math.log(RHO) / log_w.var()).sqrt()
            return 1 / (len(rows) * ((gamma * log_w).softmax(0) ** 2).sum())

        here = neural.tensor([1, 2])
        stated = shown(list(rows), neural.tensor(RHO), Tensor)
        answers += [
            neural.close(neural.gradient(size, here), [0, 0], witness=at),
            neural.close([size(here)], [stated], witness=at),
        ]
    return all_of(answers)


# Rows as columns of draws.
COLUMNS: Any = SimpleNamespace(exp=np.exp, log=np.log, sqrt=np.sqrt)


@PIVOTAL.sampled(Scope("four rows, sigma2 = 4, rho_min = 3/10"), resolution=0.05, looks=2)
def _(shown: Any, trial: Trial) -> Answer:
    """The mean ESS over batches that meet the target is that over all, times their share."""
    rho_min, sigma2 = float(RHO), 4.0

    def met(rng: np.random.Generator, n: int) -> Any:
        log_w = 2.0 * rng.standard_normal((n, 4)) - 2.0
        gamma = np.sqrt(-math.log(rho_min) / log_w.var(1, ddof=1))
        powered = np.exp(gamma[:, None] * log_w)
        size = powered.sum(1) ** 2 / (powered**2).sum(1) / 4
        return size * (np.exp(-sigma2 * gamma**2) >= rho_min)

    def free(rng: np.random.Generator, n: int) -> Any:
        return shown(list(rng.standard_normal((4, n))), rho_min, COLUMNS)

    example = shown([0.0, 1.0, 3.0, 4.0], rho_min, COLUMNS)
    jointly = trial.mean("ESS/n where met", met, 0.0, 1.0, resolution=0.02)
    alone = trial.mean(f"ESS/n, {example} at (0, 1, 3, 4)", free, 0.25, 1.0, resolution=0.02)
    gap = jointly - alone * float(chi2_tail(3, 3.0, Real))
    return trial.agrees(gap, 0.0, witness=Witness.at(n=4, sigma2=4, rho_min=RHO))


@PIVOTAL.without(LOGNORMAL)
def _(shown: Any, model: Any) -> Answer | None:
    # Three rows of a law on few outcomes have too few shapes to compare.
    return independent(shown, model) if isinstance(model, GaussianShift | ExponentialRate) else None


def standardised(log_w: Any, rho_min: Any, m: Any, divisor: Any, factor: Any) -> Any:
    """The subject with another divisor of the variance and another factor of the residuals."""
    n = len(log_w)
    spread = m.sqrt(unbiased_spread(log_w) * (n - 1) / (n - 1 + divisor))
    mean = sum(log_w) / n
    powered = [m.exp(factor(-m.log(rho_min), m) * (x - mean) / spread) for x in log_w]
    return formulas.kish_ess(powered) / n


@PIVOTAL.wrong("divisor n")
def _(log_w: Any, rho_min: Any, m: Any) -> Any:
    return standardised(log_w, rho_min, m, 1, lambda spent, m: m.sqrt(spent))


@PIVOTAL.wrong("L for its root")
def _(log_w: Any, rho_min: Any, m: Any) -> Any:
    return standardised(log_w, rho_min, m, 0, lambda spent, m: spent)


@PIVOTAL.wrong("the root of 2 L")
def _(log_w: Any, rho_min: Any, m: Any) -> Any:
    return standardised(log_w, rho_min, m, 0, lambda spent, m: m.sqrt(2 * spent))


@PIVOTAL.wrong("centred and not scaled")
def _(log_w: Any, rho_min: Any, m: Any) -> Any:
    root = m.sqrt(-m.log(rho_min))
    return formulas.kish_ess([m.exp(root * x) for x in log_w]) / len(log_w)


CLAIMS = frozen(MONITOR, PIVOTAL)
