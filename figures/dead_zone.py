"""The adaptive rule as a projection onto a ball, and the ball as its dead zone at r = 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = (
    *("DYN.projection", "DYN.imitation", "DYN.deadzone", "DYN.edge", "DYN.activation"),
    *("S9.2.b", "S9.2.b.fix"),
)
CAPTION = """
    rho = 0.3. Left: policies on three arms about mu = (0.5, 0.3, 0.2), as log w without its mean,
    in coordinates in which length is the standard deviation under mu. The rule takes log w (dots)
    to gamma* log w (arrow heads), the nearest point of the disc; what lies inside stays. Middle:
    the gradient at r = 1 for a shifted Gaussian: at the rule's gamma it is exactly 0 in the whole
    disc, at a fixed gamma only at pi = mu. Right: the rule's gamma by KL(mu || pi), log-normal
    weights: it is 1 up to -log(rho)/2 = 0.602 nats.
"""
SIZE = (style.PAGE, 2.5)
RHO = 0.3
MU = np.array((0.5, 0.3, 0.2))
OUTSIDE = 12


def plane() -> Any:
    """Return two functions on the arms, of mean 0 and variance 1 under mu, uncorrelated."""
    first = np.array((1.0, -1.0, 0.0))
    second = np.array((1.0, 1.0, -2.0))
    axes: list[Any] = []
    for function in (first, second):
        for other in (np.ones(3), *axes):
            function = function - (MU * function * other).sum() * other
        axes.append(function / (MU * function**2).sum() ** 0.5)
    return np.array(axes)


def data() -> Tables:
    """Return points and their projections, the gradient, and gamma by KL."""
    basis = plane()
    points: list[Row] = []
    for k in range(OUTSIDE):
        angle, length = 2 * np.pi * k / OUTSIDE, (1.5, 2.2, 0.7)[k % 3]
        at = length * np.array((np.cos(angle), np.sin(angle)))
        log_w = at @ basis
        variance = float((MU * log_w**2).sum() - (MU @ log_w) ** 2)
        gamma = float(formulas.gamma_lognormal(variance, RHO, Real))
        x, y = at.tolist()
        points.append({"x": x, "y": y, "gamma": gamma, "to_x": gamma * x, "to_y": gamma * y})
    edge = (-np.log(RHO)) ** 0.5
    thetas = np.sort([*np.linspace(-3, 3, 121), -edge, edge])
    pulls: list[Row] = []
    for theta in thetas.tolist():
        rule = float(formulas.gamma_lognormal(max(theta**2, 1e-12), RHO, Real))
        pulls.append(
            {
                "theta": theta,
                "rule": float(formulas.gradient_mean_gaussian(theta, rule, Real)) + 0.0,
                "half": float(formulas.gradient_mean_gaussian(theta, 0.5, Real)),
                "zero": float(formulas.gradient_mean_gaussian(theta, 0.0, Real)),
            }
        )
    # KL(mu || pi) is half of sigma^2.
    kls = np.sort([*np.geomspace(0.01, 10, 61), -np.log(RHO) / 2])
    gammas: list[Row] = [
        {"kl": kl, "gamma": float(formulas.gamma_lognormal(2 * kl, RHO, Real))}
        for kl in kls.tolist()
    ]
    return {"points": points, "pulls": pulls, "gammas": gammas, "edge": [{"sigma": float(edge)}]}


LOOK = {
    "zero": (style.BLACK, ":", r"$\gamma = 0$"),
    "half": (style.ORANGE, "--", r"$\gamma = 1/2$"),
    "rule": (style.BLUE, "-", r"$\gamma^*$"),
}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the disc, the pull of the gradient, and when the rule acts."""
    left, middle, right = figure.subplots(1, 3)
    radius = float(sheets["edge"][0]["sigma"])
    turn = np.linspace(0, 2 * np.pi, 201)
    left.fill(radius * np.cos(turn), radius * np.sin(turn), color=style.BLUE, alpha=0.15, lw=0)
    left.plot(0, 0, "+", color=style.BLACK)
    left.text(0.08, 0.06, r"$\mu$", size=8)
    for row in sheets["points"]:
        start, end = (row["x"], row["y"]), (row["to_x"], row["to_y"])
        if float(row["gamma"]) < 1:
            look = {"arrowstyle": "-|>", "lw": 0.7, "color": style.BLUE, "shrinkA": 0, "shrinkB": 0}
            left.annotate("", end, start, arrowprops={**look, "mutation_scale": 6})
        left.plot(*start, "o", color=style.BLACK, ms=2.8)
    left.text(0.5, 2.05, "disc: $\\gamma^* = 1$", size=7, color=style.BLUE)
    left.set(aspect="equal", xlim=(-2.4, 2.4), ylim=(-2.4, 2.4))
    left.set(xlabel=r"$\log w$, first coordinate", ylabel="second coordinate")
    thetas = tables.column(sheets["pulls"], "theta")
    for name, (color, dash, words) in LOOK.items():
        middle.plot(thetas, tables.column(sheets["pulls"], name), dash, color=color, label=words)
    middle.axvspan(-radius, radius, color=style.BLUE, alpha=0.15, lw=0)
    middle.legend(frameon=False, loc="upper right", handlelength=1.6, borderaxespad=0)
    middle.set(xlabel=r"$\theta$", ylabel=r"gradient, $r = 1$", xlim=(-3, 3), ylim=(-2.6, 2.6))
    kls, gammas = (tables.column(sheets["gammas"], k) for k in ("kl", "gamma"))
    right.semilogx(kls, gammas, color=style.BLUE)
    right.axvspan(0.01, radius**2 / 2, color=style.BLUE, alpha=0.15, lw=0)
    right.text(0.5, 0.1, "the rule is asleep", size=7, ha="right", color=style.BLUE)
    right.set(
        xlabel=r"KL$(\mu\,\|\,\pi)$, nats", ylabel=r"$\gamma^*$", xlim=(0.01, 10), ylim=(0, 1.05)
    )
