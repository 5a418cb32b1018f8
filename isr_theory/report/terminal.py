"""What a person reads on a terminal: a line a claim, the explanation of one, the kill matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from isr_theory.claim import Claim, Outcome, Route, Verdict, Witness
from isr_theory.judge import Result
from isr_theory.report.document import summary
from isr_theory.report.graph import arrows, resting_on_refuted
from isr_theory.search import Found, Nothing

STYLES = {
    Verdict.VERIFIED: "green",
    Verdict.SUPPORTED: "cyan",
    Verdict.REFUTED: "magenta",
    Verdict.OPEN: "yellow",
    Verdict.CONFLICT: "bold red",
    Verdict.ERROR: "bold red",
}
SHORT = {
    Route.SYMBOLIC: "sym",
    Route.CERTIFIED: "cert",
    Route.SAMPLED: "samp",
    Route.NEURAL: "neur",
    Route.RECORDED: "rec",
}
SPOKE = (Outcome.HOLDS, Outcome.FAILS)


def _emit(console: Console, line: Text) -> None:
    # On a terminal a claim has one line, cut at its edge; in a pipe nothing is cut.
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        console.print(line, soft_wrap=True)


def routes_that_spoke(result: Result) -> str:
    """Name the routes with a finding for or against, in the order of `Route`."""
    spoke = {finding.route for finding in result.findings if finding.outcome in SPOKE}
    return " ".join(SHORT[route] for route in Route if route in spoke)


def failing_witness(result: Result) -> Witness | None:
    """Return the first witness against the claim, None where nothing fails."""
    return next((f.witness for f in result.findings if f.outcome is Outcome.FAILS), None)


def remarks(result: Result) -> str:
    """Say what is not as it should be about a result, empty where all is well."""
    words = list(result.broken)
    if result.incomplete:
        reasons = sorted({f.detail for f in result.findings if f.outcome is Outcome.SKIPPED})
        words.append(f"incomplete: {'; '.join(reasons)}")
    elif result.verdict is not result.expect:
        words.append(f"expected {result.expect}")
    words += [f.detail for f in result.findings if f.outcome is Outcome.ERROR]
    return "; ".join(words)


def print_result(console: Console, claim: Claim, result: Result) -> None:
    """Print the line of one claim: id, verdict, routes, title, and a refuted one's witness."""
    line = Text(f"{claim.id:<18} ")
    line.append(f"{result.verdict.value:<10}", style=STYLES[result.verdict])
    line.append(f"{routes_that_spoke(result):<20} ", style="dim")
    problem = remarks(result)
    if problem:
        line.append(f"[{problem}] ", style="bold red")
    line.append(claim.title.en)
    witness = failing_witness(result)
    if witness is not None:
        line.append(f"  at {witness}", style="magenta")
    _emit(console, line)


def print_summary(console: Console, results: Sequence[Result], seconds: float) -> None:
    """Print the closing lines: counts by verdict, wrong variants killed by route, exceptions."""
    counts = summary(results)
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counts["verdicts"].items())
    noun = "claim" if counts["claims"] == 1 else "claims"
    console.print(f"\n{counts['claims']} {noun}: {verdicts}.", soft_wrap=True, highlight=False)
    if counts["wrong_variants"]:
        killed = ", ".join(f"{route} {n}" for route, n in counts["killed"].items()) or "none"
        line = f"{counts['wrong_variants']} wrong variants; killed by {killed}."
        console.print(line, soft_wrap=True, highlight=False)
    odd = [result.id for result in results if not result.as_expected]
    line = f"{counts['as_expected']} of {counts['claims']} as expected, {seconds:.1f} s."
    if odd:
        line += f" Not as expected: {', '.join(odd)}."
    console.print(line, soft_wrap=True, highlight=False, style="bold red" if odd else "green")


def print_list(console: Console, claims: Iterable[Claim]) -> None:
    """Print the ledger without running it."""
    for claim in claims:
        routes = " ".join(SHORT[route] for route in claim.routes)
        line = Text(f"{claim.id:<18} ")
        line.append(f"{claim.expect.value:<10}", style=STYLES[claim.expect])
        line.append(f"{routes:<20} {claim.title.en}")
        _emit(console, line)


def explain(console: Console, claim: Claim, result: Result, ledger: Sequence[Claim]) -> None:
    """Print everything there is to say about one claim."""

    def row(name: str, value: str, style: str = "") -> None:
        if value:
            console.print(Text(f"{name:<14} ").append(value, style=style), soft_wrap=True)

    row("", f"{claim.id}  {claim.title.en}  ·  {claim.title.zh}", "bold")
    row("section", f"{claim.section} ({claim.kind})")
    row("statement", claim.statement)
    row("reading", claim.reading)
    without = {tried.assumption: tried.without for tried in result.tried}
    for assumption in claim.assumes:
        row("assumes", f"{assumption.key}: {assumption.text.en}")
        row("  without it", without.get(assumption.key, ""))
    row("uses", ", ".join(claim.uses))
    row("rests on", ", ".join(resting_on_refuted(ledger).get(claim.id, ())), "magenta")
    row("predicted", claim.predicted.value if claim.predicted else "")
    row("verdict", result.verdict.value, STYLES[result.verdict])
    row("finding", claim.finding.en)
    row("", claim.finding.zh)
    row("problem", remarks(result), "bold red")
    for finding in result.findings:
        row("evidence", f"{finding.route} {finding.outcome} ({finding.strength}): {finding.check}")
        row(
            "  scope",
            finding.scope.text + (" (the whole statement)" if finding.scope.whole else ""),
        )
        row("  witness", str(finding.witness or ""))
        row("  detail", finding.detail)
    row("printed proof", claim.printed_proof.value)
    row("", claim.proof_remark.en if claim.proof_remark else "")
    row("one route", claim.single_route)
    row("open because", claim.open_reason)
    row("source", claim.source)
    row("amends", ", ".join(claim.amends))
    row("sharpens", ", ".join(claim.sharpens))
    row("amended by", ", ".join(other.id for other in ledger if claim.id in other.amends))
    for name, value in result.numbers:
        row("number", f"{name} = {value}")
    if result.wrong:
        print_kills(console, [result])


def print_searched(console: Console, claim: Claim) -> None:
    """Print the head of a search."""
    line = Text(f"{claim.id:<18} ").append(f"{claim.expect.value:<10}", STYLES[claim.expect])
    console.print(line.append(claim.title.en), soft_wrap=True)


def print_outcome(console: Console, outcome: Found | Nothing) -> None:
    """Print what a search of one family came to; a counterexample also as Python."""
    effort = f"  {outcome.space}, {outcome.evaluations:,} evaluations: "
    if isinstance(outcome, Nothing):
        words = f"nothing found; the least margin met is {outcome.least:.3g}"
        console.print(effort + words, soft_wrap=True, highlight=False)
        return
    agree = "balls and exact algebra agree" if outcome.confirmed else "not confirmed exactly"
    console.print(effort + f"a counterexample; {agree}", soft_wrap=True, highlight=False)
    line = f"    {outcome.balls.witness}"
    console.print(line, style="magenta", soft_wrap=True, highlight=False)
    for source in outcome.case.source().splitlines():
        console.print(f"      {source}", soft_wrap=True, highlight=False, markup=False)


def print_graph(console: Console, ledger: Sequence[Claim], path: Path) -> None:
    """Say what was drawn, and which claims rest on refuted ones."""
    drawn = arrows(ledger)
    amends = sum(arrow.amends for arrow in drawn)
    words = f"{path}: {len(ledger)} claims, {len(drawn) - amends} uses, {amends} amendments."
    console.print(words, soft_wrap=True, highlight=False)
    for id, on in resting_on_refuted(ledger).items():
        console.print(f"{id} rests on refuted {', '.join(on)}", soft_wrap=True, highlight=False)


def print_kills(console: Console, results: Sequence[Result]) -> None:
    """Print the kill matrix: which route fails on which wrong variant."""
    asked = [r for r in Route if any(f.route is r for result in results for f in result.findings)]
    table = Table(box=None, pad_edge=False)
    table.add_column("claim", no_wrap=True)
    table.add_column("wrong variant", overflow="fold")
    for route in asked:
        table.add_column(SHORT[route], justify="center", no_wrap=True)
    for result in results:
        tried = {f.route for f in result.findings if f.outcome is Outcome.HOLDS}
        for kill in result.wrong:
            cells = [
                "x" if route in kill.killed_by else ("." if route in tried else "")
                for route in asked
            ]
            style = "bold red" if kill.name in result.survivors else ""
            table.add_row(result.id, kill.name, *cells, style=style)
    console.print(table)
    total = sum(len(result.wrong) for result in results)
    alive = sum(len(result.survivors) for result in results)
    line = f"x killed; . holds and does not see it. {total} wrong variants, {alive} survive."
    console.print(line, soft_wrap=True, highlight=False)
