"""The gamma atlas: every weight function by its local exponent at w = 1 and its truncation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from figures import style
from figures.coordinates import place
from figures.tables import Row, Tables
from isr_theory.training.atlas import ATLAS, WeightFunction
from isr_theory.training.entries import lengths, powers, probabilities, ratios, shrunk, truncated

CLAIMS = ("D4.1", "FAM.differentiated", "FAM.exponent", "FAM.power", "FAM.dros", "FAM.vespo")
CAPTION = """
    The weight functions f of the field, by the power of w that they are at w = 1 and by how far
    above f(1) they go; those without a bound stand at the top. A line moves the parameter in
    brackets, its mark is the default. Filled: the weight is detached. Open: a ratio h(w) is
    differentiated, and f = w h'(w). A bar spans the two slopes at a kink. One row of 64 moves, the
    others have w = 1, |r| = 1 and length 100; functions of pi take f(1) at mu = 1/10 and their
    bound over all mu. Only the powers of w, at the top, keep their exponent at every w.
"""
SIZE = (style.PAGE, 4.7)

# Which parameter moves, over which values; "length" and "mu" are the view's.
CURVES: dict[str, tuple[str, Iterable[float]]] = {
    "power": ("gamma", np.linspace(0.02, 1, 25)),
    "tis": ("C", np.geomspace(1.02, 90, 25)),
    "luffy": ("c", np.geomspace(0.06, 5, 41)),
    "iw_sft": ("length", np.geomspace(1, 1000, 25)),
    "p_gspo": ("a", np.linspace(0, 1, 25)),
    "beyond_ll": ("a", np.linspace(0, 1, 25)),
    "chord_phi": ("mu", np.geomspace(0.004, 0.66, 31)),
    "power_mean": ("s", (*np.linspace(-0.16, -1, 15), -2, -4, -8, -16, -math.inf)),
    "sub_gaussian": ("l", np.geomspace(0.011, 1, 31)),
    "dros": ("l", np.geomspace(0.08, 5, 41)),
    "log_sum_exp": ("l", -np.geomspace(0.005, 1.2, 25)),
    "log_smoothing": ("a", np.linspace(0.01, 1.08, 25)),
}
COLORS = {
    "powers of w": style.BLACK,
    "truncated weights": style.BLUE,
    "differentiated ratios": style.RED,
    "by length": style.GREEN,
    "of probabilities": style.PINK,
    "shrunk weights": style.ORANGE,
}
GROUPS = (powers, truncated, ratios, lengths, probabilities, shrunk)
FAMILIES = {
    entry.key: family
    for family, group in zip(COLORS, GROUPS, strict=True)
    for entry in group.ENTRIES
}
TOP = 2.35
"""The height of infinity, in decades."""
Point = tuple[float, float]
# What is written, the point that it names by key and reward, where, and the side that faces it.
RIGHT = 1.13
NAMES: tuple[tuple[str, str, str, Point, str], ...] = (
    ("IS, Ionides, exponential\nsmoothing, PPO ($r < 0$)", "is", "any", (RIGHT, 2.31), "left"),
    ("self-normalised, $n$ = 64", "self_normalised", "any", (RIGHT, 1.81), "left"),
    ("IX", "ix", "any", (RIGHT, 1.33), "left"),
    ("DFT, Beyond-LL ($a$)", "dft", "any", (RIGHT, 1.10), "left"),
    ("log smoothing ($a$), $n$ = 64", "log_smoothing", "any", (RIGHT, 0.96), "left"),
    ("CISPO", "cispo", "any", (RIGHT, 0.74), "left"),
    ("log-sum-exp ($l$)", "log_sum_exp", "any", (RIGHT, 0.61), "left"),
    (r"CHORD-$\phi$ ($\mu$)", "chord_phi", "any", (RIGHT, 0.46), "left"),
    ("TIS ($C$), MIS", "tis", "any", (RIGHT, 0.32), "left"),
    ("SAPO ($r > 0$; $r < 0$)", "sapo", "+1", (RIGHT, 0.205), "left"),
    ("VESPO ($r < 0$)", "vespo", "-1", (RIGHT, 0.105), "left"),
    ("PPO ($r > 0$)", "ppo", "+1", (RIGHT, 0.015), "left"),
    ("P3O, TOPR ($r < 0$)", "p3o", "any", (RIGHT, -0.08), "left"),
    (r"IS Reshape $w^\gamma$ ($\gamma$)", "power", "any", (0.56, TOP + 0.14), "left"),
    ("P-GSPO ($a$)", "p_gspo", "+1", (0.14, TOP + 0.14), "left"),
    ("GSPO, GMPO ($r < 0$)", "gspo", "-1", (-0.06, TOP + 0.14), "right"),
    ("iw-SFT ($L$)", "iw_sft", "any", (-0.06, 1.30), "right"),
    (
        "SFT, AsymRE, DRos ($l$),\nTOPR, GSPO, GMPO ($r > 0$)",
        "sft",
        "any",
        (-0.16, -0.08),
        "right",
    ),
    ("LUFFY ($c$)", "luffy", "any", (-0.70, 0.56), "left"),
    ("VESPO ($r > 0$)", "vespo", "+1", (-1.05, -0.06), "left"),
    ("sub-Gaussian, RuLSIF ($l$),\npower mean ($s$)", "sub_gaussian", "any", (0.42, 0.62), "right"),
)


def data() -> Tables:
    """Return the points, one a function and sign of reward that differ, and the lines."""
    points = [row for entry in ATLAS.values() for row in _points(entry)]
    return {"points": points, "curves": [row for key in CURVES for row in _curve(key)]}


def _points(entry: WeightFunction) -> list[Row]:
    signs = (1.0, -1.0) if entry.negative else (1.0,)
    rows: list[Row] = []
    for sign in signs:
        here = place(entry, entry.parameters, sign)
        rows.append(
            {
                "key": entry.key,
                "reward": "any" if len(signs) == 1 else f"{sign:+.0f}",
                "differentiated": "yes" if entry.surrogate else "no",
                "exponent_low": here.low,
                "exponent_high": here.high,
                "truncation": here.truncation,
            }
        )
    return rows


def _curve(key: str) -> list[Row]:
    name, values = CURVES[key]
    entry, rows = ATLAS[key], list[Row]()
    for value in map(float, values):
        held = {name: value} if name in ("length", "mu") else {}
        p = entry.settings() if held else entry.settings(**{name: value})
        here = place(entry, p, 1.0, **held)
        rows.append(
            {
                "key": key,
                "parameter": name,
                "value": value,
                "exponent": (here.low + here.high) / 2,
                "truncation": here.truncation,
            }
        )
    return rows


def draw(tables: Tables, figure: Any) -> None:
    """Draw lines, points and their names; infinite truncations stand on a line of their own."""
    axes = figure.subplots()
    for key in CURVES:
        rows = [row for row in tables["curves"] if row["key"] == key]
        heights = [_height(row["truncation"]) for row in rows]
        color = COLORS[FAMILIES[key]]
        # P-GSPO runs along the powers of w, which must still be seen.
        dash = (0, (4, 4)) if key == "p_gspo" else "-"
        axes.plot([row["exponent"] for row in rows], heights, color=color, lw=0.8, ls=dash)
    # The first entries, SFT and IS, lie uppermost where several meet.
    for row in reversed(tables["points"]):
        _mark(axes, row)
    for words, (x, y), (dx, dy), side in _labels(tables["points"]):
        axes.annotate(
            words,
            (x, y),
            (dx, dy),
            size=7,
            ha=side,
            va="center",
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": style.GREY, "shrinkA": 1},
        )
    axes.text(-0.865, 0.33, "DRos", size=7, color=COLORS["shrunk weights"], ha="center")
    _frame(axes)


def _mark(axes: Any, row: Row) -> None:
    color, height = COLORS[FAMILIES[str(row["key"])]], _height(row["truncation"])
    low, high = row["exponent_low"], row["exponent_high"]
    face = "white" if row["differentiated"] == "yes" else color
    axes.plot([low, high], [height, height], color=color, lw=2.2, zorder=1)
    for x in {low, high}:
        axes.plot(x, height, "o", mfc=face, mec=color, mew=0.9, zorder=3, clip_on=False)


def _height(truncation: Any) -> float:
    return TOP if math.isinf(truncation) else math.log10(truncation)


def _labels(points: Sequence[Row]) -> Iterator[tuple[str, Point, Point, str]]:
    """Yield words, the point they name, where they stand, and which of their sides faces it."""
    at = {(row["key"], row["reward"]): row for row in points}
    for words, key, reward, where, side in NAMES:
        row = at[key, reward]
        height = _height(row["truncation"])
        yield words, (float(row["exponent_high"]), height), where, side


def _frame(axes: Any) -> None:
    axes.plot([-1.12, 1], [TOP, TOP], color=style.GREY, lw=0.4, zorder=0)
    axes.axvline(0, color=style.GREY, lw=0.4, zorder=0)
    ticks = [1, 2, 5, 10, 20, 50, 100]
    axes.set_yticks([*map(math.log10, ticks), TOP], [*map(str, ticks), r"$\infty$"])
    axes.set(xlim=(-1.12, 1.62), ylim=(-0.16, TOP + 0.22), xticks=np.linspace(-1, 1, 9))
    axes.set_xlabel(
        r"local exponent $\mathrm{d}\,\log f \,/\, \mathrm{d}\,\log w$ at $w = 1$", x=0.42
    )
    axes.set_ylabel(r"truncation $\max f\;/\;f(1)$")
    axes.spines["bottom"].set_bounds(-1.12, 1)
    for i, (family, color) in enumerate(COLORS.items()):
        axes.text(-1.08, 1.98 - 0.11 * i, family, color=color, size=7.5, va="center")
