"""The command `python -m isr_theory.verify`: judge the paper, or claims of one's own.

Exit codes: 0 all as expected; 1 a verdict differs, or `--check` finds the committed file stale;
2 usage; 3 an error, a conflict, a surviving wrong variant, a vacuous assumption or an uncovered id;
4 incomplete, because routes were skipped; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib.util
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isr_theory import __version__, claims, files, runner, search
from isr_theory.claim import Claim, Route, Verdict
from isr_theory.judge import SEED, Options, Result
from isr_theory.report import document, errata, graph, html, latex, markdown, terminal

VERDICTS = Path("docs/verdicts.json")
# What has tables made of them.
PAGES = ("docs/verdicts.md", "docs/bandits.md", "docs/lm.md", "docs/index.md", "README.md")
EPILOG = """\
what to do:
  all              judge every claim
  ID [ID ...]      judge some; T8.3 means T8.3 and all its parts
  list             show the ledger without running it
  explain ID       judge one and show all its evidence
  falsify [ID ...] the kill matrix of the planted wrong variants
  search [ID ...]  look for a counterexample (all claims that have a margin, if no id is given)
  graph            draw what rests on what: graph --svg FILE

examples:
  python -m isr_theory.verify all
  python -m isr_theory.verify C7.5 --no-neural
  python -m isr_theory.verify explain T9.1.a
  python -m isr_theory.verify all --ledger my_claims.py
"""


class UsageError(Exception):
    """What the caller asked for cannot be done; the message says what can."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m isr_theory.verify",
        description="Judge the statements of the paper from evidence computed here and now.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="+", metavar="WHAT", help="all, list, explain, falsify, search, graph or ids"
    )
    parser.add_argument(
        "--route",
        action="append",
        choices=[route.value for route in Route],
        help="use this route only; may be given more than once",
    )
    parser.add_argument("--no-neural", action="store_true", help="leave out torch")
    parser.add_argument("--seed", type=int, default=SEED, help="root of all random streams")
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=os.cpu_count() or 1,
        help="processes (default: one a core); never changes a result",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the whole run to a file")
    parser.add_argument(
        "--latex", type=Path, metavar="PATH", help="write macros and a table for LaTeX to a file"
    )
    parser.add_argument("--html", type=Path, metavar="DIR", help="write DIR/index.html, a page")
    parser.add_argument("--svg", type=Path, metavar="PATH", help="with graph: the file to write")
    parser.add_argument(
        "--budget",
        type=_positive,
        default=search.BUDGET,
        help=f"with search: evaluations by family of models (default: {search.BUDGET})",
    )
    parser.add_argument("--ledger", type=Path, metavar="FILE.py", help="judge claims of your own")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"with all: fail where {VERDICTS} is not what this run finds",
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help=f"with all: write {VERDICTS} and the tables made of it",
    )
    parser.add_argument("--version", action="version", version=f"isr_theory {__version__}")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def load_ledger(path: Path | None) -> tuple[Claim, ...]:
    """Return the paper's ledger, or the `CLAIMS` of a Python file.

    Raises UsageError where the file cannot be read or has no claims.
    """
    if path is None:
        return claims.ledger()
    spec = importlib.util.spec_from_file_location(f"isr_theory_ledger_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"--ledger {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"--ledger {path}: {type(error).__name__}: {error}") from error
    found = tuple(getattr(module, "CLAIMS", ()))
    if not found or not all(isinstance(claim, Claim) for claim in found):
        raise UsageError(f"--ledger {path}: it must end in a tuple CLAIMS of frozen claims")
    ids = [claim.id for claim in found]
    if len(set(ids)) != len(ids):
        raise UsageError(f"--ledger {path}: ids must be unique")
    return found


def select(ledger: Sequence[Claim], ids: Sequence[str]) -> list[Claim]:
    """Return the claims with these ids or parts of them, in the ledger's order.

    Raises UsageError naming the nearest ids for one that is unknown.
    """
    chosen: set[str] = set()
    for id in ids:
        found = {claim.id for claim in ledger if claim.id == id or claim.id.startswith(f"{id}.")}
        if not found:
            near = difflib.get_close_matches(id, [claim.id for claim in ledger], n=5, cutoff=0.4)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise UsageError(f"unknown id {id!r}{hint}")
        chosen |= found
    return [claim for claim in ledger if claim.id in chosen]


def _judge(
    chosen: Sequence[Claim], options: Options, arguments: argparse.Namespace, out: Console
) -> list[Result]:
    """Run the claims, printing each line as soon as all before it are there."""
    quiet = arguments.what[0] in ("explain", "falsify")
    err = Console(stderr=True)
    ready: dict[str, Result] = {}
    waiting = list(chosen)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # A bar and lines on the same terminal must share a console, or the bar is drawn over the lines.
    console = out if out.is_terminal else err
    with Progress(
        *columns, console=console, transient=True, disable=not err.is_terminal
    ) as progress:
        task = progress.add_task("judging", total=len(chosen))
        load = partial(load_ledger, arguments.ledger)
        # Closed at once when it is left: what helps must not go on while an error is told.
        with contextlib.closing(
            runner.run(chosen, options, load=load, jobs=arguments.jobs)
        ) as results:
            for result in results:
                ready[result.id] = result
                progress.advance(task)
                while waiting and waiting[0].id in ready:
                    claim = waiting.pop(0)
                    if not quiet:
                        terminal.print_result(out, claim, ready[claim.id])
    return [ready[claim.id] for claim in chosen]


def exit_code(results: Sequence[Result], uncovered: Sequence[str], stale: bool) -> int:
    """Return the code that the module's docstring lists; the gravest applies."""
    if uncovered or any(result.broken for result in results):
        return 3
    differs = [result for result in results if result.verdict is not result.expect]
    if stale or any(not result.incomplete for result in differs):
        return 1
    return 4 if any(result.incomplete for result in results) else 0


def _is_stale(fresh: document.Document, out: Console) -> bool:
    try:
        old = json.loads(VERDICTS.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        out.print(f"{VERDICTS} cannot be read: {error}", style="bold red", soft_wrap=True)
        return True
    lines = document.differences(old, fresh)
    for line in lines:
        out.print(f"{VERDICTS} is stale: {line}", style="bold red", soft_wrap=True, highlight=False)
    pages = errata.stale(VERDICTS.parent, fresh)
    for page in pages:
        out.print(f"{VERDICTS.parent / page} is stale", style="bold red", soft_wrap=True)
    return bool(lines or pages)


def _update(fresh: document.Document) -> None:
    files.write(VERDICTS, document.text(fresh))
    for page in map(Path, PAGES):
        if page.exists():
            files.write(page, markdown.insert(page.read_text(encoding="utf-8"), fresh))
    for name, text in errata.pages(fresh).items():
        files.write(VERDICTS.parent / name, text)


def _options(arguments: argparse.Namespace) -> Options:
    routes = frozenset(map(Route, arguments.route)) if arguments.route else frozenset(Route)
    if arguments.no_neural:
        routes -= {Route.NEURAL}
    return Options(routes, arguments.seed)


def _search(ledger: Sequence[Claim], arguments: argparse.Namespace, out: Console) -> int:
    """Search the margins of some claims; 1 where one that should hold has a counterexample."""
    ids = arguments.what[1:]
    asked = select(ledger, ids) if ids else ledger
    chosen = [claim for claim in asked if claim.margin]
    if not chosen:
        known = ", ".join(claim.id for claim in ledger if claim.margin) or "none"
        raise UsageError(f"no margin to search: {', '.join(ids)}; these have one: {known}")
    differs = False
    budget = arguments.budget
    with Console(stderr=True).status("searching") as status:

        def progress(space: str, n: int) -> None:
            status.update(f"{space}: {n:,} of about {budget:,} evaluations")

        for claim in chosen:
            terminal.print_searched(out, claim)
            outcomes = search.search(claim, budget=budget, seed=arguments.seed, progress=progress)
            for outcome in outcomes:
                terminal.print_outcome(out, outcome)
                found = isinstance(outcome, search.Found) and outcome.confirmed
                differs |= found and claim.expect is not Verdict.REFUTED
    return 1 if differs else 0


def _graph(ledger: Sequence[Claim], arguments: argparse.Namespace, out: Console) -> int:
    """Draw the graph of claims, and name those that rest on refuted ones."""
    if arguments.svg is None:
        raise UsageError("graph needs a file to write: graph --svg FILE")
    files.check_writable([arguments.svg])
    try:
        files.write(arguments.svg, graph.svg(ledger))
    except ModuleNotFoundError as error:
        raise UsageError("graph needs igraph: pip install 'isr-theory[graph]'") from error
    terminal.print_graph(out, ledger, arguments.svg)
    return 0


def _prepare_page(word: str, folder: Path) -> None:
    """See before a run that its page can be written."""
    if word in ("list", "search", "graph"):
        raise UsageError(f"--html shows a run, and {word!r} judges nothing")
    try:
        html.prepare(folder)
    except ModuleNotFoundError as error:
        raise UsageError("--html needs igraph: pip install 'isr-theory[graph]'") from error


def _run(arguments: argparse.Namespace, out: Console) -> int:
    word, ids = arguments.what[0], arguments.what[1:]
    ledger = load_ledger(arguments.ledger)
    whole_paper = word == "all" and arguments.ledger is None
    if word in ("all", "list", "graph") and ids:
        raise UsageError(f"{word!r} stands alone; to judge {' '.join(ids)}, leave {word!r} out")
    if word == "explain" and not ids:
        raise UsageError("explain needs an id, for example: explain T8.3.b")
    if (arguments.check or arguments.update) and not whole_paper:
        raise UsageError("--check and --update go with 'all' and the paper's own ledger")
    if arguments.html:
        _prepare_page(word, arguments.html)
    if word == "list":
        terminal.print_list(out, ledger)
        return 0
    if word == "search":
        return _search(ledger, arguments, out)
    if word == "graph":
        return _graph(ledger, arguments, out)
    if word in ("explain", "falsify"):
        chosen = select(ledger, ids) if ids else list(ledger)
    else:
        chosen = list(ledger) if word == "all" else select(ledger, arguments.what)
    asked = [path for path in (arguments.json, arguments.latex) if path]
    files.check_apart(asked, [VERDICTS])
    files.check_writable(asked + ([VERDICTS] if arguments.update else []))

    start = time.monotonic()
    results = _judge(chosen, _options(arguments), arguments, out)
    seconds = time.monotonic() - start
    uncovered: list[str] = []
    if whole_paper:
        uncovered = sorted(set(claims.listed_ids()) ^ {claim.id for claim in ledger})
    if word == "explain":
        for claim, result in zip(chosen, results, strict=True):
            terminal.explain(out, claim, result, ledger)
    elif word == "falsify":
        terminal.print_kills(out, results)
    else:
        terminal.print_summary(out, results, seconds)
    if uncovered:
        out.print(f"ids without a claim, or not listed: {', '.join(uncovered)}", style="bold red")
    full = document.document(chosen, results, seed=arguments.seed)
    if arguments.json:
        files.write(arguments.json, document.text(full))
    if arguments.latex:
        files.write(arguments.latex, latex.macros(document.committed(full)))
    if arguments.html:
        out.print(html.write(arguments.html, full), soft_wrap=True)
    stale = False
    if arguments.update:
        _update(document.committed(full))
    if arguments.check:
        stale = _is_stale(document.committed(full), out)
    return exit_code(results, uncovered, stale)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # Titles are bilingual; a terminal that cannot show them must not end the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        return _run(arguments, out)
    except (UsageError, OSError) as error:
        err.print(f"verify: {error}", style="red", soft_wrap=True, markup=False)
        return 2
    except KeyboardInterrupt:
        err.print("verify: interrupted; no file was written", style="red")
        return 130


if __name__ == "__main__":
    sys.exit(main())
