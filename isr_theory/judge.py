"""One claim before the judge: its checks, its variants, and what its assumptions are for.

What is judged depends on nothing but the claim and the root seed. The verdict comes from the checks
on the claim's own subject; everything else asks whether those checks can be believed:

* a wrong variant of what holds must make some check fail, and every check must see some variant;
* a right variant of what is refuted must make every refuting check stop failing;
* every assumption of what holds must be needed: the statement fails somewhere without it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isr_theory.claim import (
    Answer,
    Assumption,
    Check,
    Claim,
    Finding,
    Need,
    Outcome,
    Route,
    Scope,
    Strength,
    Verdict,
)
from isr_theory.combine import combine
from isr_theory.engines import certified, montecarlo, neural, recorded

SEED = 20260109
"""The default root seed. Any other gives other samples and must give the same verdicts."""
DRAWN = 2
"""Instances drawn for every assumption, besides its own examples."""

# A verdict that is only weaker than expected can be blamed on routes that did not run.
WEAKER = {
    Verdict.VERIFIED: {Verdict.SUPPORTED, Verdict.OPEN},
    Verdict.SUPPORTED: {Verdict.OPEN},
    Verdict.REFUTED: {Verdict.OPEN},
}
STANDS = (Verdict.VERIFIED, Verdict.SUPPORTED)


@dataclass(frozen=True)
class Options:
    """What to run: the routes, the root of all random streams, the error rate of sampled checks."""

    routes: frozenset[Route] = frozenset(Route)
    seed: int = SEED
    alpha: float = montecarlo.ALPHA
    falsify: bool = True


@dataclass(frozen=True)
class Kill:
    """What became of one wrong variant: the routes whose checks failed on it."""

    name: str
    killed_by: tuple[Route, ...]


@dataclass(frozen=True)
class Tried:
    """What became of one assumption: how the statement fails without it, or what is not right."""

    assumption: str
    without: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Result:
    """One judged claim; plain data that crosses process borders."""

    id: str
    expect: Verdict
    verdict: Verdict
    findings: tuple[Finding, ...]
    wrong: tuple[Kill, ...]
    hollow: tuple[str, ...]
    stubborn: tuple[str, ...]
    tried: tuple[Tried, ...]
    numbers: tuple[tuple[str, str], ...]

    @property
    def skipped(self) -> bool:
        """Whether some check did not run."""
        return any(finding.outcome is Outcome.SKIPPED for finding in self.findings)

    @property
    def incomplete(self) -> bool:
        """Whether it falls short only because checks were skipped."""
        weaker = self.verdict in WEAKER.get(self.expect, set())
        unkilled = any(not _decisive(kill) for kill in self.wrong)
        stands = self.verdict is self.expect and self.expect in STANDS
        return self.skipped and (weaker or (unkilled and stands))

    @property
    def survivors(self) -> tuple[str, ...]:
        """Wrong variants that no route but sampling kills.

        None while checks are skipped, and none of a claim whose own verdict is off: a check that
        does not hold on the true subject cannot kill.
        """
        if self.skipped or self.verdict is not self.expect:
            return ()
        return tuple(kill.name for kill in self.wrong if not _decisive(kill))

    @property
    def broken(self) -> tuple[str, ...]:
        """Reasons, in words, for which this result cannot be trusted at all."""
        reasons = [f"survives: {name}" for name in self.survivors]
        if self.verdict is self.expect:
            reasons += [f"kills no wrong variant: {name}" for name in self.hollow]
            reasons += [f"fails on every right variant too: {name}" for name in self.stubborn]
            reasons += [f"assumption {t.assumption}: {t.problem}" for t in self.tried if t.problem]
        reasons += [
            f"vacuous: {finding.detail}"
            for finding in self.findings
            if finding.outcome is Outcome.VACUOUS
        ]
        if self.verdict in (Verdict.ERROR, Verdict.CONFLICT):
            reasons.append(self.verdict.value)
        return tuple(reasons)

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the one that this project stands behind, and can be trusted."""
        return self.verdict is self.expect and not self.broken and not self.incomplete


def _decisive(kill: Kill) -> bool:
    return any(route is not Route.SAMPLED for route in kill.killed_by)


def _not_run(check: Check, subject: object, options: Options) -> str:
    """Return why a check does not run, or nothing."""
    if isinstance(subject, recorded.Missing):
        return f"no results are recorded for {subject.name}"
    if check.route not in options.routes:
        return "not asked for"
    if check.route is Route.NEURAL and not neural.available():
        return "torch is not installed"
    return ""


def _safely(run: Callable[..., Any], *arguments: Any) -> Any:
    """Run at the certified engine's precision; whatever is raised is an ERROR that says so."""
    try:
        with certified.precision():
            return run(*arguments)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
        return Answer(Outcome.ERROR, Strength.EMPIRICAL, detail=detail)


class Judge:
    """The checks of one claim, with the trials that its variants share."""

    def __init__(self, claim: Claim, options: Options) -> None:
        self.claim = claim
        self.options = options
        self.trials: dict[str, montecarlo.Trial] = {}

    def answer(self, check: Check, subject: object) -> Answer:
        """Run one check on a subject."""
        reason = _not_run(check, subject, self.options)
        if reason:
            return Answer(Outcome.SKIPPED, Strength.EMPIRICAL, detail=reason)
        more = (self._trial(check),) if check.route is Route.SAMPLED else ()
        said: Answer = _safely(check.run, subject, *more)
        return said

    def _trial(self, check: Check) -> montecarlo.Trial:
        if check.name not in self.trials:
            self.trials[check.name] = montecarlo.Trial(
                self.options.seed,
                self.claim.id,
                check.name,
                check.resolution,
                check.looks,
                self.options.alpha,
            )
        return self.trials[check.name].again()

    def findings(self) -> list[Finding]:
        """Run every check on the claim's own subject."""
        found = []
        for assumption in self.claim.assumes:
            satisfiable = _safely(assumption.satisfiable)
            if satisfiable is not True:
                found.append(_vacuous(assumption, satisfiable))
        for check in self.claim.checks:
            said = self.answer(check, self.claim.subject)
            stamp = (said.outcome, said.strength, check.scope, said.witness, said.detail)
            found.append(Finding(check.route, check.name, *stamp))
        return found

    def kills(self, findings: Sequence[Finding]) -> tuple[list[Kill], list[str]]:
        """Try every wrong variant on the checks that hold on the claim's own subject.

        Returns the kills, and the names of checks that failed on no variant.
        """
        checks = self._that(Outcome.HOLDS, findings)
        killers: set[tuple[Route, str]] = set()
        kills = []
        for wrong in self.claim.wrong:
            routes = set()
            for check in checks:
                if self.answer(check, wrong.subject).outcome is Outcome.FAILS:
                    routes.add(check.route)
                    killers.add((check.route, check.name))
            kills.append(Kill(wrong.name, tuple(route for route in Route if route in routes)))
        hollow = [c.name for c in checks if self.claim.wrong and (c.route, c.name) not in killers]
        return kills, hollow

    def stubborn(self, findings: Sequence[Finding]) -> list[str]:
        """Return the names of checks that refute the subject and every right variant as well."""
        if not self.claim.right:
            return []
        spared = (Outcome.HOLDS, Outcome.UNDECIDED)
        return [
            check.name
            for check in self._that(Outcome.FAILS, findings)
            if not any(self.answer(check, r.subject).outcome in spared for r in self.claim.right)
        ]

    def _that(self, outcome: Outcome, findings: Sequence[Finding]) -> list[Check]:
        said = {(f.route, f.check) for f in findings if f.outcome is outcome}
        return [check for check in self.claim.checks if (check.route, check.name) in said]

    def tried(self) -> list[Tried]:
        """Ask of every assumption whether the statement fails without it.

        Only of what is said to hold: a refuted statement fails within its assumptions.
        """
        if self.claim.expect not in STANDS:
            return []
        needs = {need.assumption: need for need in self.claim.needs}
        return [self._try(a, needs.get(a.key)) for a in self.claim.assumes]

    def _try(self, assumption: Assumption, need: Need | None) -> Tried:
        if need is None:
            return Tried(assumption.key, problem="nothing shows that it is needed")
        if need.run is None:
            return Tried(assumption.key, without=need.why)
        said = _safely(self._answers, assumption, need.run, need.on)
        if isinstance(said, Answer):
            return Tried(assumption.key, problem=said.detail)
        return _weighed(assumption.key, *said)

    def _answers(
        self, assumption: Assumption, run: Callable[[Any, Any], Any], on: tuple[Any, ...]
    ) -> tuple[list[Answer], list[Answer]]:
        """Try the statement where the assumption holds, and where it does not.

        Instances at which another assumption of the claim does not hold are left out, so that one
        assumption is not shown to be needed by what another excludes.
        """
        rng = montecarlo.stream(self.options.seed, self.claim.id, "assumption", assumption.key)
        drawn = [assumption.draw(rng) for _ in range(DRAWN)]
        others = [other for other in self.claim.assumes if other is not assumption]
        inside: list[Answer] = []
        outside: list[Answer] = []
        for instance in (*assumption.examples, *drawn, *assumption.violations, *on):
            if all(other.admits(instance) for other in others):
                answer = _safely(run, self.claim.subject, instance)
                if answer is not None:
                    (inside if assumption.holds(instance) else outside).append(answer)
        return inside, outside


def _weighed(key: str, inside: list[Answer], outside: list[Answer]) -> Tried:
    """Say what the answers within an assumption and beyond it come to."""
    for answer in (*inside, *outside):
        if answer.outcome is Outcome.ERROR:
            return Tried(key, problem=answer.detail)
    for answer in inside:
        if answer.outcome is Outcome.FAILS:
            return Tried(key, problem=f"the statement fails within it: {answer.witness}")
    if not any(answer.outcome is Outcome.HOLDS for answer in inside):
        return Tried(key, problem="the statement was not seen to hold within it")
    for answer in outside:
        if answer.outcome is Outcome.FAILS:
            return Tried(key, without=str(answer.witness))
    return Tried(key, problem="the statement does not fail without it")


def _vacuous(assumption: Assumption, said: Any) -> Finding:
    broke = said.detail if isinstance(said, Answer) else ""
    return Finding(
        Route.SYMBOLIC,
        f"assumption {assumption.key}",
        Outcome.ERROR if broke else Outcome.VACUOUS,
        Strength.EMPIRICAL,
        Scope("the assumption's own examples"),
        detail=broke or f"no example satisfies the assumption {assumption.key!r}",
    )


def judge(claim: Claim, options: Options) -> Result:
    """Judge one claim: findings, verdict, variants, assumptions, numbers."""
    judging = Judge(claim, options)
    findings = judging.findings()
    kills, hollow = judging.kills(findings) if options.falsify else ([], [])
    stubborn = judging.stubborn(findings) if options.falsify else []
    tried = judging.tried() if options.falsify else []
    numbers = []
    for name, value in claim.numbers:
        said = _safely(value)
        if isinstance(said, Answer):
            findings.append(_broken_number(name, said))
        else:
            numbers.append((name, said))
    return Result(
        claim.id,
        claim.expect,
        combine(findings),
        tuple(findings),
        tuple(kills),
        tuple(hollow),
        tuple(stubborn),
        tuple(tried),
        tuple(numbers),
    )


def _broken_number(name: str, said: Answer) -> Finding:
    scope = Scope("a number that prose may quote")
    return Finding(
        Route.CERTIFIED, f"number {name}", said.outcome, said.strength, scope, None, said.detail
    )
