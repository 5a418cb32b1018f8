"""One style for all figures: a paper's widths, a palette for all eyes, the same bytes every time.

The palette is Okabe and Ito's, which people with any common colour blindness can tell apart; the
fonts ship with matplotlib, so that no machine draws with another.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

COLUMN = 3.35
"""Width of one column of a paper, in inches."""
PAGE = 6.9
"""Width of both."""
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK, GREY = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"),
)
SMALL = 6.0
SETTINGS: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    # Text as outlines reads the same everywhere; the salt fixes the names inside the file.
    "svg.fonttype": "path",
    "svg.hashsalt": "isr_theory",
}
# Each writer's own names for what it would put in by itself: the date, and the version.
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw in this style, whatever the caller's settings are, and give those back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def sheet(size: tuple[float, float], foot: str) -> Figure:
    """Return an empty figure of a size in inches with small print at its foot, a line or more."""
    # STIX at 6 points runs to 21 letters an inch, capitals included.
    lines = textwrap.wrap(foot, int(21 * size[0]), break_on_hyphens=False)
    # The layout keeps clear of what it knows; a strip is left for the foot.
    strip = (0.1 + 0.1 * len(lines)) / size[1]
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0, strip, 1, 1 - strip)))
    figure.text(
        *(0.01, 0.05 / size[1], "\n".join(lines)),
        size=SMALL,
        color=GREY,
        va="bottom",
        linespacing=1.1,
        in_layout=False,
    )
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write PDF, SVG and PNG of the printed size, and return their paths."""
    _settle(figure)
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in METADATA]
    for path, (kind, metadata) in zip(paths, METADATA.items(), strict=True):
        figure.savefig(path, format=kind, metadata=metadata)
    return paths


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and round.

    The solver of the layout differs in the last bit with where its variables lie in memory, and
    an SVG names the frame of each panel by a hash of every bit of it.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(x, 6) for x in axes.get_position(original=True).bounds)
        axes.set_position((left, bottom, width, height))
