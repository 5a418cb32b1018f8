"""Past section 6: how Renyi divergence bends when its laws are mixed.

For pairs (pi_1, mu_1) and (pi_2, mu_2), mixed with the same t, D_alpha is at most

    log((1 - t) e^((alpha-1) D_1) + t e^((alpha-1) D_2)) / (alpha - 1),

which is reached where the pairs share no outcome. Up to order 1 this is below the mean of D_1 and
D_2, beyond it is not: D is jointly convex up to order 1 and for no order above, and jointly
quasi-convex for all. In mu alone it is convex at every order.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.general_law import GAMMA, LEVEL, NUDGE, C, General, U, slope_of, total
from isr_theory.claims.instances import moment
from isr_theory.claims.s06_1_1_renyi import at
from isr_theory.claims.x07_renyi import ABOVE, BELOW, SOURCE, logs_apart
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, UNIFORM_POLICY, Finite

A, M, N, P, X = sympy.symbols("a M N p x", positive=True)
T = 1 / (1 + X)
"""Any share in (0, 1), over a free x > 0."""


def mixed(first: Law, second: Law, t: Number) -> list[Number]:
    """(1 - t) first + t second."""
    return [(1 - t) * a + t * b for a, b in zip(first, second, strict=True)]


CONVEX = Draft(
    "REN.convex",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Jointly convex at every order", "任意阶均联合凸"),
    finding=Text(
        "False at order 2: midway between two pairs with divergences 0 and log 4 it is log(16/7), "
        "more than log 2.",
        "阶 2 时不成立：散度为 0 与 log 4 的两对分布的中点处为 log(16/7)，大于 log 2。",
    ),
    statement=r"D_\alpha(\pi_t\|\mu_t) \le (1-t) D_\alpha(\pi_1\|\mu_1)"
    r" + t D_\alpha(\pi_2\|\mu_2)\ \text{for every order }\alpha",
    subject=formulas.renyi,
    expect=Verdict.REFUTED,
    uses=("D6.1",),
    sharpens=("D6.1",),
    source="folklore, from KL, which is jointly convex",
    reading="the mixtures are pi_t = (1-t) pi_1 + t pi_2 and mu_t = (1-t) mu_1 + t mu_2",
)
# The first pair is one law twice. The second puts all of pi on an outcome that mu has 1 in 4 times.
PAIRS = Witness.at(mu1=(1, 0), pi1=(1, 0), mu2="(3/4, 1/4)", pi2=(0, 1), alpha=2, t="1/2")
SAME, RARE, SURE = ("1", "0"), ("3/4", "1/4"), ("0", "1")


def middle_and_mean(renyi: Any, m: Arithmetic) -> tuple[Number, Number]:
    """D_2 midway between the witness's pairs, and the mean of D_2 at both."""
    same, rare, sure = ([m.number(x) for x in law] for law in (SAME, RARE, SURE))
    half, two = m.number("1/2"), m.number(2)

    def divergence(mu: Law, pi: Law) -> Number:
        # E_mu[w^2], outcome by outcome; what mu misses, pi misses here too.
        rows = [(a, b) for a, b in zip(mu, pi, strict=True) if a != 0]
        return renyi(sum(b * b / a for a, b in rows), two, m)

    at_ends = divergence(same, same) + divergence(rare, sure)
    return divergence(mixed(same, rare, half), mixed(same, sure, half)), at_ends / 2


@CONVEX.symbolic(Scope("the witness"))
def _(renyi: Any) -> Answer:
    """Exact logarithms of rationals."""
    middle, mean = middle_and_mean(renyi, Exact)
    return symbolic.compare(middle, "<=", mean, witness=PAIRS)


@CONVEX.certified(Scope("the witness"))
def _(renyi: Any) -> Answer:
    """The same sums in balls."""
    middle, mean = middle_and_mean(renyi, Ball)
    return certified.compare(middle, "<=", mean, witness=PAIRS)


@CONVEX.margin(spaces.finite(2, laws=("mu2", "pi2"), t=("1/10", "9/10"), alpha=("3/2", "6")))
def _(renyi: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    other_mu, other_pi = ([m.number(x) for x in case.laws[name]] for name in ("mu2", "pi2"))
    t, alpha = m.number(case["t"]), m.number(case["alpha"])

    def divergence(p: Law, q: Law) -> Number:
        return renyi(formulas.moment(p, q, alpha, m), alpha, m)

    mean = (1 - t) * divergence(mu, pi) + t * divergence(other_mu, other_pi)
    return mean - divergence(mixed(mu, other_mu, t), mixed(pi, other_pi, t))


@CONVEX.right("without the logarithm, as Hellinger and Tsallis have it")
def _(moment: Any, alpha: Any, m: Any) -> Any:
    return (moment - 1) / (alpha - 1)


@CONVEX.number("D_2 midway between the pairs")
def _() -> str:
    return certified.digits(middle_and_mean(formulas.renyi, Ball)[0])


def mixture_bound(first: Number, second: Number, t: Number, alpha: Number, m: Arithmetic) -> Number:
    """The most that D_alpha can be between pairs of laws at which it is `first` and `second`.

    log((1-t) e^((alpha-1) first) + t e^((alpha-1) second)) / (alpha - 1).
    """
    low, high = m.exp((alpha - 1) * first), m.exp((alpha - 1) * second)
    return m.log((1 - t) * low + t * high) / (alpha - 1)


CONVEX_FIX = Draft(
    "REN.convex.fix",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("What mixing does to Renyi divergence", "混合对 Rényi 散度的确切影响"),
    finding=Text(
        "Between two pairs D_alpha is at most their log-mean-exp with factor alpha - 1, the best "
        "bound there is: jointly convex up to order 1, for no order above, quasi-convex at all.",
        "两对分布之间 D_α 不超过其因子为 α−1 的 log-mean-exp，且此界最优：阶 ≤ 1 时联合凸，"
        "阶 > 1 时均非联合凸，任意阶均联合拟凸。",
    ),
    statement=r"D_\alpha(\pi_t\|\mu_t) \le \tfrac{1}{\alpha-1}\log\bigl((1-t) e^{(\alpha-1) D_1}"
    r" + t e^{(\alpha-1) D_2}\bigr) \le \max(D_1, D_2),"
    r"\quad \ldots \le (1-t) D_1 + t D_2 \iff \alpha \le 1",
    subject=mixture_bound,
    expect=Verdict.VERIFIED,
    uses=("D6.1",),
    amends=("REN.convex",),
    source=f"{SOURCE}, for convexity up to order 1 and quasi-convexity; the bound, and that no "
    "order above 1 is convex, are derived here",
    reading="D is infinite where its moment is; at order 1 the bound is its limit, the mean",
)


@cache
def bends_by_order() -> tuple[Answer, ...]:
    """Prove that M is jointly concave below order 1, convex above, and how D goes with M.

    mu^(1-a) pi^a is homogeneous of degree 1, so that its Hessian has determinant 0 and the sign of
    its diagonal; D falls in M below order 1 and rises above. So D of a mixture is at most what the
    mean of both M gives. D(s M) = D(M) + D(s): one of two divergences may be taken to be 0.
    """
    answers = []
    for alpha, sign in ((BELOW, -1), (ABOVE, 1)):
        term = formulas.moment([A], [P], alpha, Exact)
        across = sympy.hessian(term, (A, P))
        slope = sympy.diff(formulas.renyi(M, alpha, Exact), M)
        product, one, other = (formulas.renyi(x, alpha, Exact) for x in (M * N, M, N))
        answers += [
            symbolic.equal(across.det(), 0),
            *(symbolic.positive(sympy.simplify(sign * across[k, k])) for k in (0, 1)),
            symbolic.positive(sympy.simplify(sign * slope)),
            # Pairs that share no outcome: their terms are t times what they were.
            symbolic.equal(formulas.moment([T * A], [T * P], alpha, Exact), T * term),
            symbolic.equal(product, one + other, reduce=logs_apart),
        ]
    return tuple(answers)


@CONVEX_FIX.symbolic(
    Scope("all pairs of laws, outcome by outcome; order 1 as a limit of orders below", whole=True)
)
def _(bound: Any) -> Answer:
    """The bound is D of the mean of both M; against the mean and the maximum of 0 and d > 0."""
    gap = sympy.symbols("d", positive=True)
    answers = [*bends_by_order()]
    for alpha, sign in ((BELOW, -1), (ABOVE, 1)):
        ends = (formulas.renyi(x, alpha, Exact) for x in (M, N))
        most = bound(sympy.S.Zero, gap, T, alpha, Exact)
        # Its slope in d is t at 0 and below 1; it falls with d below order 1 and rises above, so
        # that the bound is below t d or above it.
        slope = sympy.factor(sympy.diff(most, gap))
        answers += [
            symbolic.equal(
                bound(*ends, T, alpha, Exact), formulas.renyi((1 - T) * M + T * N, alpha, Exact)
            ),
            symbolic.equal(most.subs(gap, 0), 0),
            symbolic.equal(slope.subs(gap, 0), T),
            symbolic.positive(sympy.factor(1 - slope)),
            symbolic.positive(sympy.factor(sign * sympy.diff(slope, gap))),
        ]
    return all_of(answers)


FIRST, SECOND = THREE_ARMS, Finite.of("1/4 1/4 1/2", "1/2 2/5 1/10")
SHARE = Fraction(1, 3)


def divergence_of(mu: Law, pi: Law, alpha: Number, m: Arithmetic) -> Number:
    """D_alpha summed outcome by outcome, as mu e^(alpha log w)."""
    total = sum(a * m.exp(alpha * m.log(b / a)) for a, b in zip(mu, pi, strict=True))
    return m.log(total) / (alpha - 1)


@CONVEX_FIX.certified(Scope("two pairs of laws on three outcomes, t = 1/3, orders 1/2 and 3"))
def _(bound: Any) -> Answer:
    """Mixed on the same outcomes D is below the bound, on other outcomes equal; mean, maximum."""
    (mu1, pi1, _), (mu2, pi2, _) = FIRST.numbers(Ball), SECOND.numbers(Ball)
    t, answers = Ball.number(SHARE), []
    for order, relation in ((Fraction(1, 2), "<"), (Fraction(3), ">")):
        alpha = Ball.number(order)
        ends = [divergence_of(mu, pi, alpha, Ball) for mu, pi in ((mu1, pi1), (mu2, pi2))]
        most = bound(*ends, t, alpha, Ball)
        between = divergence_of(mixed(mu1, mu2, t), mixed(pi1, pi2, t), alpha, Ball)
        apart = [
            [*((1 - t) * x for x in one), *(t * x for x in two)]
            for one, two in ((mu1, mu2), (pi1, pi2))
        ]
        witness = Witness.at(
            mu1=FIRST.mu, pi1=FIRST.pi, mu2=SECOND.mu, pi2=SECOND.pi, alpha=order, t=SHARE
        )
        mean = (1 - t) * ends[0] + t * ends[1]
        answers += [
            certified.compare(between, "<", most, witness=witness),
            certified.agree(
                [divergence_of(apart[0], apart[1], alpha, Ball)], [most], witnesses=[witness]
            ),
            certified.compare(most, relation, mean, witness=witness),
            certified.compare(most, "<", -Ball.minimum(-ends[0], -ends[1]), witness=witness),
        ]
    return all_of(answers)


@CONVEX_FIX.neural(Scope("two pairs of laws on other outcomes, three shares, orders 1/2 and 3"))
def _(bound: Any) -> Answer:
    """The slope in t of D of the mixture, by autograd, is that of the bound."""
    (mu1, pi1), (mu2, pi2) = (
        (neural.tensor(law.mu), neural.tensor(law.pi)) for law in (FIRST, SECOND)
    )
    torch, answers = neural.torch(), []
    for order in (Fraction(1, 2), Fraction(3)):
        alpha = float(order)

        def apart(t: Any, alpha: float = alpha) -> Any:
            mu, pi = (torch.cat([(1 - t) * a, t * b]) for a, b in ((mu1, mu2), (pi1, pi2)))
            return (mu * (pi / mu) ** alpha).sum().log() / (alpha - 1)

        def most(t: Any, alpha: float = alpha) -> Any:
            ends = [(mu * (pi / mu) ** alpha).sum() for mu, pi in ((mu1, pi1), (mu2, pi2))]
            return bound(*(x.log() / (alpha - 1) for x in ends), t, alpha, Tensor)

        for t in (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)):
            slopes = [neural.gradient(side, neural.tensor(t)) for side in (apart, most)]
            answers.append(neural.close(*slopes, witness=Witness.at(alpha=order, t=t)))
    return all_of(answers)


@CONVEX_FIX.wrong("the mean at every order")
def _(first: Any, second: Any, t: Any, alpha: Any, m: Any) -> Any:
    return (1 - t) * first + t * second


@CONVEX_FIX.wrong("the shares exchanged")
def _(first: Any, second: Any, t: Any, alpha: Any, m: Any) -> Any:
    return mixture_bound(second, first, t, alpha, m)


@CONVEX_FIX.wrong("the factor alpha")
def _(first: Any, second: Any, t: Any, alpha: Any, m: Any) -> Any:
    return mixture_bound(first, second, t, alpha + 1, m)


@CONVEX_FIX.wrong("the sign of alpha - 1")
def _(first: Any, second: Any, t: Any, alpha: Any, m: Any) -> Any:
    return mixture_bound(first, second, t, 2 - alpha, m)


def curvature(mean: Number, square: Number, alpha: Number) -> Number:
    """D_alpha'' as mu moves by h: alpha Var_nu(h/mu) + E_nu[h/mu]^2, nu ~ mu^(1-alpha) pi^alpha.

    `mean` and `square` are E_nu[h/mu] and E_nu[(h/mu)^2].
    """
    return alpha * (square - mean * mean) + mean * mean


SECOND_ARGUMENT = Draft(
    "REN.second",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("Convex in the behaviour policy at every order", "任意阶关于 μ 均为凸"),
    finding=Text(
        "True: as mu moves by h, D_alpha bends by alpha Var_nu(h/mu) + E_nu[h/mu]^2, one formula "
        "for every order.",
        "成立：μ 沿 h 移动时 D_α 的二阶导为 α Var_ν(h/μ) + (E_ν[h/μ])²，一式适用于任意阶。",
    ),
    statement=r"\frac{d^2}{dt^2} D_\alpha(\pi\|\mu + t h) = \alpha\,\mathrm{Var}_{\nu}(h/\mu)"
    r" + \mathbb{E}_{\nu}[h/\mu]^2 \ge 0,\quad \nu \propto \mu^{1-\alpha}\pi^\alpha",
    subject=curvature,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D6.1", "C6.4.a"),
    sharpens=("D6.1",),
    source=f"{SOURCE}, for convexity; the second derivative in this form is derived here",
    reading="alpha > 0, between behaviour policies that cover pi, at t = 0 as at any t of a "
    "segment; at order 1, where D is KL, nu is pi",
)


@SECOND_ARGUMENT.symbolic(
    Scope("every law and direction, outcome by outcome; every order, order 1 apart", whole=True)
)
def _(bend: Any) -> Answer:
    """D of a moved mu, twice differentiated; KL of it; a sum of a variance and a square."""
    step = sympy.Function("x", real=True)(U, LEVEL)
    mass = sympy.exp(U + GAMMA * LEVEL)
    moved = sympy.log(0 + General(mass * (1 + NUDGE * step) ** (1 - GAMMA))) / (GAMMA - 1)
    mean, square = (total(mass * step**k) / total(mass) for k in (1, 2))
    kl = 0 + General(sympy.exp(U + LEVEL) * -sympy.log(1 + NUDGE * step))
    one, two = (total(sympy.exp(U + LEVEL) * step**k) for k in (1, 2))
    middle, variance = sympy.symbols("e", real=True), sympy.symbols("v", positive=True)
    stated = bend(middle, middle**2 + variance, ABOVE - 1)
    return all_of(
        [
            symbolic.equal(slope_of(moved, 2), bend(mean, square, GAMMA)),
            symbolic.equal(slope_of(kl, 2), bend(one, two, sympy.S.One)),
            symbolic.equal(stated, C * variance + middle**2),
        ]
    )


def step_moments(law: Finite, other: Law, alpha: Number) -> tuple[Number, Number]:
    """E_nu of x and x^2, x = (other - mu)/mu, in balls, where mu and pi are positive."""
    rows = [
        (Ball.number(a), Ball.number(b), (c - a) / a)
        for a, b, c in zip(law.mu, law.pi, other, strict=True)
        if a > 0 and b > 0
    ]
    nu = formulas.normalised([a * Ball.exp(alpha * Ball.log(b / a)) for a, b, _ in rows])
    steps = [Ball.number(x) for _, _, x in rows]
    mean = sum(p * x for p, x in zip(nu, steps, strict=True))
    return mean, sum(p * x * x for p, x in zip(nu, steps, strict=True))


MOVES = [
    (law, to.mu, Fraction(a))
    for law, to in ((THREE_ARMS, SECOND), (RARE_ARM, UNIFORM_POLICY))
    for a in ("1/4", "3")
]


@SECOND_ARGUMENT.certified(Scope("two laws, each moved towards another, at two orders"))
def _(bend: Any) -> Answer:
    """The second derivative along the segment, as a power series of the sum over outcomes."""
    found, stated = [], []
    for law, to, order in MOVES:
        alpha = Ball.number(order)
        mu, pi, _ = law.numbers(Ball)
        end = [Ball.number(x) for x in to]

        def along(t: Any, mu: Any = mu, pi: Any = pi, end: Any = end, alpha: Any = alpha) -> Any:
            return divergence_of(
                [a + t * (b - a) for a, b in zip(mu, end, strict=True)], pi, alpha, Jet
            )

        found.append(certified.derivatives(along, Ball.number(0), 2)[2])
        stated.append(bend(*step_moments(law, to, alpha), alpha))
    return certified.agree(found, stated, witnesses=[at(law, a) for law, _, a in MOVES])


@SECOND_ARGUMENT.neural(Scope("two laws, each moved towards another, at two orders, and KL"))
def _(bend: Any) -> Answer:
    """The Hessian of D in the masses of mu, along the same segments, by autograd."""
    answers = []
    for law, to, order in [*MOVES, (RARE_ARM, UNIFORM_POLICY.mu, Fraction(1))]:
        mu, pi, end = (neural.tensor(x) for x in (law.mu, law.pi, to))
        alpha, step = float(order), end - mu

        def divergence(q: Any, pi: Any = pi, alpha: float = alpha) -> Any:
            if alpha == 1:
                return (pi * (pi / q).log()).sum()
            return (q ** (1 - alpha) * pi**alpha).sum().log() / (alpha - 1)

        nu = mu ** (1 - alpha) * pi**alpha
        nu = nu / nu.sum()
        moments = [(nu * (step / mu) ** k).sum() for k in (1, 2)]
        found = step @ neural.hessian(divergence, mu) @ step
        stated = bend(*moments, alpha)
        answers.append(neural.close([found], [stated], witness=at(law, order)))
    return all_of(answers)


@SECOND_ARGUMENT.without(PI_IN_MU)
def _(bend: Any, law: Finite) -> Answer:
    # Between mu and the uniform law, at order 3. E_mu does not see mass that mu has not, so that
    # D is too small at that end.
    alpha, arms = Ball.number(3), len(law.mu)
    flat = (Fraction(1, arms),) * arms
    half = tuple((a + b) / 2 for a, b in zip(law.mu, flat, strict=True))
    low, middle, high = (
        formulas.renyi(moment(Finite(mu, law.pi, law.reward), alpha), alpha, Ball)
        for mu in (law.mu, half, flat)
    )
    witness = at(law, 3)
    return all_of(
        [
            certified.compare(
                bend(*step_moments(law, flat, alpha), alpha), ">=", 0, witness=witness
            ),
            certified.compare(middle, "<=", (low + high) / 2, witness=witness),
        ]
    )


@SECOND_ARGUMENT.wrong("the variance alone")
def _(mean: Any, square: Any, alpha: Any) -> Any:
    return alpha * (square - mean * mean)


@SECOND_ARGUMENT.wrong("no alpha")
def _(mean: Any, square: Any, alpha: Any) -> Any:
    return square


@SECOND_ARGUMENT.wrong("the second moment, alpha times")
def _(mean: Any, square: Any, alpha: Any) -> Any:
    return alpha * square


@SECOND_ARGUMENT.wrong("the square taken off")
def _(mean: Any, square: Any, alpha: Any) -> Any:
    return alpha * (square - mean * mean) - mean * mean


CLAIMS = frozen(CONVEX, CONVEX_FIX, SECOND_ARGUMENT)
