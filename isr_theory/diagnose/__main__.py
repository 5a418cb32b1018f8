"""The command `python -m isr_theory.diagnose`: a log of log-ratios in, a report out.

Exit codes: 0 a report was made; 1 no row of the log could be used; 2 the log cannot be read, or the
options mean nothing; 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from isr_theory import __version__, files
from isr_theory.diagnose import page, plain, text
from isr_theory.diagnose.cluster import tally_log
from isr_theory.diagnose.diagnosis import Diagnosis
from isr_theory.diagnose.reading import Columns, Layout, LogError, Piece, pieces, resolve, skipped
from isr_theory.diagnose.report import Settings, diagnose
from isr_theory.diagnose.tally import Tally
from isr_theory.diagnose.words import LONGEST, counted, place, shown
from isr_theory.rule import METHODS

EPILOG = """\
A log is a Parquet, CSV or JSON-lines file, or a folder of them. It has the columns log_pi and
log_mu, or log_w = log_pi - log_mu: one number for each sequence, or a list with one for each token,
which are added up. Weights are taken as they are: log them before any clamp. If there, the columns
reward, length, step and mask (1 for the tokens that count) are used too.

examples:
  python -m isr_theory.diagnose run.parquet
  python -m isr_theory.diagnose run.jsonl --rho-min 0.5 --by length --by step --html report.html
  python -m isr_theory.diagnose logs/ --group prompt_id --jobs 8 --json report.json
  python -m isr_theory.diagnose /data/logs --scheduler tcp://10.0.0.1:8786
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isr_theory.diagnose",
        description="Say which gamma a log of log-ratios asks for, and what not to trust.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("log", nargs="+", metavar="LOG", help="a file, or a folder of files")
    parser.add_argument("--version", action="version", version=__version__)
    _add_rule(parser.add_argument_group("the rule"))
    _add_columns(parser.add_argument_group("columns"))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="PATH",
        help="write the report as JSON, to standard output if no PATH is given",
    )
    output.add_argument("--html", type=Path, metavar="OUT", help="write the report as one page")
    output.add_argument("--no-color", action="store_true", help="print without colours")
    where = parser.add_argument_group("where it runs").add_mutually_exclusive_group()
    where.add_argument(
        "--jobs", type=_positive, default=1, help="processes on this machine (default 1)"
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask cluster")
    return parser


def _add_rule(rule: argparse._ArgumentGroup) -> None:
    rule.add_argument("--rho-min", type=float, default=0.3, help="the ESS/n to keep (default 0.3)")
    rule.add_argument("--method", choices=METHODS, default="auto", help="how gamma is found")
    rule.add_argument("--gamma-min", type=float, default=0.0, help="least gamma (default 0)")
    rule.add_argument("--gamma-max", type=float, default=1.0, help="largest gamma (default 1)")
    rule.add_argument("--kl-max", type=float, help="most KL(nu_gamma||mu) allowed, in nats")
    rule.add_argument("--khat-max", type=float, help="most Pareto index of w^gamma allowed")


def _add_columns(columns: argparse._ArgumentGroup) -> None:
    columns.add_argument(
        "--group", metavar="COLUMN", help="rows with the same value are not independent"
    )
    columns.add_argument(
        "--by",
        metavar="COLUMN",
        action="append",
        default=[],
        help="report by the values of a column too, as length or step; may be given more than once",
    )
    for name in ("log_pi", "log_mu", "log_w", "reward", "length", "step", "mask"):
        option = f"--{name.replace('_', '-')}"
        columns.add_argument(option, metavar="COLUMN", help=f"the column that holds {name}")


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, not {text}")
    return number


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = _parser().parse_args(given)
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show must not end a long run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    console = Console(no_color=arguments.no_color)
    errors = Console(stderr=True, no_color=arguments.no_color)
    try:
        return _run(arguments, console, errors)
    except (LogError, ValueError, OSError) as error:
        _complain(errors, _message(error))
        return 2
    except MemoryError as error:
        _complain(errors, f"not enough memory: is one cell or one list very long? {error}".strip())
        return 2
    except KeyboardInterrupt:
        errors.print("interrupted: nothing was written", style="red")
        return 130


def _run(arguments: argparse.Namespace, console: Console, errors: Console) -> int:
    settings = _settings(arguments)
    found = pieces(arguments.log)
    outputs = [Path(arguments.json)] if arguments.json not in (None, "-") else []
    outputs += [arguments.html] if arguments.html else []
    files.check_apart(outputs, [Path(piece.path) for piece in found])
    files.check_writable(outputs)
    layout = resolve(found, _columns(arguments))
    tally = _tally(arguments, found, layout, errors)
    if not tally.whole.positive:
        _explain_nothing(tally, errors)
        return 1
    count = len({piece.path for piece in found})
    others = skipped(arguments.log)
    diagnosis = diagnose(tally, settings, layout, files=count, skipped=others)
    _show(arguments, diagnosis, console)
    return 0


def _complain(errors: Console, words: str) -> None:
    # Not wrapped, so that a path can be copied and a message searched for.
    text = f"error: {words}"
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{shown(str(error.filename), LONGEST)}: {error.strerror}"
    return shown(str(error), LONGEST)


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = Settings(
        rho_min=arguments.rho_min,
        method=arguments.method,
        gamma_min=arguments.gamma_min,
        gamma_max=arguments.gamma_max,
        kl_max=arguments.kl_max,
        khat_max=arguments.khat_max,
    )
    settings.check()
    return settings


def _columns(arguments: argparse.Namespace) -> Columns:
    names = ("log_pi", "log_mu", "log_w", "reward", "length", "step", "mask", "group")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    return Columns(**given, by=tuple(dict.fromkeys(arguments.by)))


def _tally(
    arguments: argparse.Namespace, found: list[Piece], layout: Layout, errors: Console
) -> Tally:
    """Read the log, showing how far it is by bytes."""
    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    read: dict[Piece, int] = {}
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("", total=sum(piece.size for piece in found))

        def progress(piece: Piece, done: int) -> None:
            # Pieces are read by two threads, each of them by one.
            bar.advance(task, max(0, done - read.get(piece, 0)))
            read[piece] = max(done, read.get(piece, 0))

        return tally_log(
            found,
            layout,
            jobs=arguments.jobs,
            scheduler=arguments.scheduler,
            progress=progress,
        )


def _explain_nothing(tally: Tally, errors: Console) -> None:
    if tally.whole.n:
        weights = counted(tally.whole.n, "weight")
        words = f"all {weights} are 0 (log_pi = -inf): there is nothing to weight"
    elif tally.read:
        words = f"none of {counted(tally.read, 'row')} could be used"
    else:
        words = "the log has no rows"
    _complain(errors, words)
    for row in tally.bad:
        line = f"  {place(row.where)}:{row.line}: {shown(row.reason, 100)}"
        errors.print(line, markup=False, highlight=False, soft_wrap=True)


def _show(arguments: argparse.Namespace, diagnosis: Diagnosis, console: Console) -> None:
    if arguments.html:
        files.write(arguments.html, page.html(diagnosis, f"Diagnosis of {arguments.log[0]}"))
    if arguments.json == "-":
        sys.stdout.write(plain.json_text(diagnosis))
        return
    if arguments.json:
        files.write(Path(arguments.json), plain.json_text(diagnosis))
    text.render(diagnosis, console)


if __name__ == "__main__":
    sys.exit(main())
