"""A `Diagnosis` in the terminal. What comes from a log is shown as data, never as markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from isr_theory.choice import GammaChoice
from isr_theory.choice import rows as choice_rows
from isr_theory.diagnose.diagnosis import Diagnosis, Stratum
from isr_theory.diagnose.words import LONGEST, counted, place, shown


def number(value: float | None) -> str:
    """Return a number in three digits, or a word where there is none."""
    if value is None:
        return "-"
    return "unknown" if value == math.inf else f"{value:.3g}"


def render(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis."""
    console.print(Group(*_parts(diagnosis)), markup=False, highlight=False)


def _parts(diagnosis: Diagnosis) -> Iterable[RenderableType]:
    yield Text(heading(diagnosis))
    yield _title("Verdict")
    for sentence in diagnosis.verdict:
        yield Padding(Text(f"- {shown(sentence, LONGEST)}"), (0, 0, 0, 2))
    yield _title("Gamma")
    yield _table(("", ""), gamma_rows(diagnosis.choice), left=2)
    yield _title("What is left of the sample, as a share of n")
    yield _table(EFFECTIVE, effective_rows(diagnosis))
    yield _title("Renyi divergence D_alpha(pi||mu), nats")
    yield _table(SPECTRUM, spectrum_rows(diagnosis))
    yield Text(f"  {spectrum_note(diagnosis)}")
    for name, strata in diagnosis.strata.items():
        yield _title(f"By {shown(name)}")
        yield _table(STRATA, [stratum_row(stratum) for stratum in strata])
    if diagnosis.strata:
        yield Text(f"  {strata_note(diagnosis)}", style="dim")
    if diagnosis.values:
        yield _title("Mean reward under pi, self-normalised")
        yield _table(VALUES, value_rows(diagnosis))
        yield Text(f"  {VALUES_NOTE}", style="dim")
    if diagnosis.bad:
        yield _title(bad_title(diagnosis))
        yield _table(BAD, bad_rows(diagnosis), left=3)


EFFECTIVE = ("weights", "gamma", "Kish", "perplexity", "largest weight")
# The order of the moment that chi-square is.
CHI_SQUARE = 2
SPECTRUM = ("alpha", "D", "low", "high", "seen")
# As narrow as can be, so that a table fits a terminal of 80 columns.
STRATA = ("part", "rows", "Var", "gamma", "interval", "ESS/n", "common", "2KL/Var", "k")
VALUES = ("gamma", "estimate", "standard error")
VALUES_NOTE = "gamma 0 is the plain mean; rows whose weight is 0 are in none of these"
BAD = ("file", "line", "why")


def heading(diagnosis: Diagnosis) -> str:
    """Return what was read, in a line."""
    read = counted(diagnosis.choice.n, "log-weight")
    return f"{read} from {counted(diagnosis.files, 'file')}, {shown(diagnosis.ratio, LONGEST)}"


def gamma_rows(choice: GammaChoice) -> list[tuple[str, str]]:
    """Return what the choice says, and up to which Pareto index so many weights can be trusted."""
    most = choice.khat_threshold
    words = "none for a single weight" if most is None else f"{most:.3g} for {choice.n:,} weights"
    return [*choice_rows(choice), ("Pareto threshold", f"{words}: above it no mean is reliable")]


def strata_note(diagnosis: Diagnosis) -> str:
    """Return what the columns of the strata hold."""
    return (
        f"Var: of log w; gamma and its interval: by the {diagnosis.strata_method} method in every"
        " part, caps left aside; ESS/n: at that gamma; common: ESS/n at the whole log's gamma;"
        " k: Pareto index of w"
    )


def bad_title(diagnosis: Diagnosis) -> str:
    """Return the title of the rows that could not be used, and how many of them are shown."""
    count, first = diagnosis.bad_count, len(diagnosis.bad)
    title = f"{counted(count, 'row')} that could not be used"
    return title if count == first else f"{title}, the first {first}"


def effective_rows(diagnosis: Diagnosis) -> list[tuple[str, ...]]:
    """Return the rows of the table of effective sample sizes."""
    return [
        (
            row.name,
            "1/length" if row.gamma is None else number(row.gamma),
            number(row.kish),
            number(row.perplexity),
            number(row.max_weight),
        )
        for row in diagnosis.effective
    ]


def spectrum_rows(diagnosis: Diagnosis) -> list[tuple[str, ...]]:
    """Return the rows of the Renyi spectrum, those beyond what can be seen marked."""
    found = diagnosis.spectrum
    columns = zip(found.orders, found.values, found.low, found.high, strict=True)
    return [
        (f"{order:g}", *map(number, row), "yes" if order <= found.seen else "no")
        for order, *row in columns
    ]


def spectrum_note(diagnosis: Diagnosis) -> str:
    """Return the chi-square divergence, and how far up the spectrum can be believed."""
    seen = diagnosis.spectrum.seen
    beyond = "" if seen >= CHI_SQUARE else ", which is beyond that"
    return (
        f"so many rows can see orders up to {seen:.3g}; beyond, the estimate is too small and the"
        f" band does not say so. chi-square, of order 2{beyond}: {diagnosis.chi_square:.4g}"
    )


def stratum_row(stratum: Stratum) -> tuple[str, ...]:
    """Return the row of one stratum."""
    low, high = stratum.interval
    return (
        shown(stratum.label),
        f"{stratum.n:,}",
        number(stratum.sigma2),
        number(stratum.gamma),
        f"{low:.2g} to {high:.2g}",
        number(stratum.ess_own),
        number(stratum.ess_shared),
        number(stratum.two_scalar),
        f"{stratum.khat:.2g}" if math.isfinite(stratum.khat) else "-",
    )


def value_rows(diagnosis: Diagnosis) -> list[tuple[str, ...]]:
    """Return the rows of the reward's estimates."""
    return [(number(v.gamma), f"{v.estimate:.5g}", f"{v.error:.2g}") for v in diagnosis.values]


def bad_rows(diagnosis: Diagnosis) -> list[tuple[str, ...]]:
    """Return the first rows that could not be used."""
    return [(place(row.where), f"{row.line:,}", shown(row.reason, 100)) for row in diagnosis.bad]


def _title(text: str) -> RenderableType:
    return Text(f"\n{text}", style="bold")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> RenderableType:
    """Return a plain table whose first `left` columns are text; numbers are never broken."""
    headed = any(heads)
    table = Table(box=None, show_header=headed, pad_edge=False, header_style="dim")
    for at, head in enumerate(heads):
        text = at < left
        table.add_column(
            head,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=headed and not text,
            min_width=10 if headed and text else None,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return Padding(table, (0, 0, 0, 2))
