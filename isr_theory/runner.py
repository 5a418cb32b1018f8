"""From claims to results: run every check, combine, run the wrong variants, compare with `expect`.

One claim is one unit of work and depends on nothing but itself and the root seed, so any
selection, any order and any number of processes give the same results.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from isr_theory.claim import (
    Answer,
    Check,
    Claim,
    Finding,
    Outcome,
    Route,
    Scope,
    Strength,
    Verdict,
)
from isr_theory.combine import combine
from isr_theory.engines import certified, montecarlo, neural

SEED = 20260109
"""The default root seed. Any other gives other samples and must give the same verdicts."""

# A verdict that is only weaker than expected can be blamed on routes that did not run.
WEAKER = {
    Verdict.VERIFIED: {Verdict.SUPPORTED, Verdict.OPEN},
    Verdict.SUPPORTED: {Verdict.OPEN},
    Verdict.REFUTED: {Verdict.OPEN},
}


@dataclass(frozen=True)
class Options:
    """What to run: the routes, and the root of all random streams."""

    routes: frozenset[Route] = frozenset(Route)
    seed: int = SEED
    falsify: bool = True


@dataclass(frozen=True)
class Kill:
    """What became of one wrong variant: the routes whose checks failed on it."""

    name: str
    killed_by: tuple[Route, ...]


@dataclass(frozen=True)
class Result:
    """One judged claim; plain data that crosses process borders."""

    id: str
    expect: Verdict
    verdict: Verdict
    findings: tuple[Finding, ...]
    wrong: tuple[Kill, ...]
    hollow: tuple[str, ...]
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
        return self.skipped and (weaker or (unkilled and self.verdict is self.expect))

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


def _not_run(check: Check, options: Options) -> str:
    """Return why a check does not run, or nothing."""
    if check.route not in options.routes:
        return "not asked for"
    if check.route is Route.NEURAL and not neural.available():
        return "torch is not installed"
    return ""


class _Judge:
    """The checks of one claim, with the trials that its wrong variants share."""

    def __init__(self, claim: Claim, options: Options) -> None:
        self.claim = claim
        self.options = options
        self.trials: dict[str, montecarlo.Trial] = {}

    def answer(self, check: Check, subject: object) -> Answer:
        """Run one check on a subject; whatever it raises is an ERROR that says so."""
        reason = _not_run(check, self.options)
        if reason:
            return Answer(Outcome.SKIPPED, Strength.EMPIRICAL, detail=reason)
        try:
            with certified.precision():
                if check.route is Route.SAMPLED:
                    return check.run(subject, self._trial(check))
                return check.run(subject)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            detail = f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
            return Answer(Outcome.ERROR, Strength.EMPIRICAL, detail=detail)

    def _trial(self, check: Check) -> montecarlo.Trial:
        if check.name not in self.trials:
            self.trials[check.name] = montecarlo.Trial(
                self.options.seed, self.claim.id, check.name, check.resolution, check.looks
            )
        return self.trials[check.name].again()

    def findings(self) -> list[Finding]:
        """Run every check on the true subject."""
        found = [
            Finding(
                Route.SYMBOLIC,
                f"assumption {assumption.key}",
                Outcome.VACUOUS,
                Strength.PROOF,
                Scope("the assumption's own examples"),
                detail=f"no example satisfies the assumption {assumption.key!r}",
            )
            for assumption in self.claim.assumes
            if not assumption.satisfiable()
        ]
        for check in self.claim.checks:
            said = self.answer(check, self.claim.subject)
            found.append(
                Finding(
                    check.route,
                    check.name,
                    said.outcome,
                    said.strength,
                    check.scope,
                    said.witness,
                    said.detail,
                )
            )
        return found

    def kills(self, findings: Sequence[Finding]) -> tuple[list[Kill], list[str]]:
        """Try every wrong variant on the checks that hold on the true subject.

        Returns the kills, and the names of checks that failed on no variant.
        """
        sound = {(f.route, f.check) for f in findings if f.outcome is Outcome.HOLDS}
        checks = [check for check in self.claim.checks if (check.route, check.name) in sound]
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


def judge(claim: Claim, options: Options) -> Result:
    """Judge one claim: findings, verdict, wrong variants, numbers."""
    judging = _Judge(claim, options)
    findings = judging.findings()
    kills, hollow = judging.kills(findings) if options.falsify else ([], [])
    numbers = []
    for name, value in claim.numbers:
        try:
            with certified.precision():
                numbers.append((name, value()))
        except Exception as error:
            findings.append(_broken_number(name, error))
    return Result(
        claim.id,
        claim.expect,
        combine(findings),
        tuple(findings),
        tuple(kills),
        tuple(hollow),
        tuple(numbers),
    )


def _broken_number(name: str, error: Exception) -> Finding:
    detail = f"{type(error).__name__}: {error}"
    scope = Scope("a number that prose may quote")
    return Finding(
        Route.CERTIFIED, f"number {name}", Outcome.ERROR, Strength.EMPIRICAL, scope, None, detail
    )


Loader = Callable[[], Sequence[Claim]]
_worker_claims: dict[str, Claim] = {}


def _start_worker(load: Loader) -> None:
    # Ctrl-C reaches the whole process group; the parent alone answers it, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_claims.update({claim.id: claim for claim in load()})


def _judge_by_id(id: str, options: Options) -> Result:
    return judge(_worker_claims[id], options)


def run(
    claims: Sequence[Claim], options: Options, *, load: Loader, jobs: int = 1
) -> Iterator[Result]:
    """Yield results as they are ready. `load` lets a worker process find the claims by id.

    With one job, or one claim, everything runs in this process.
    """
    if jobs <= 1 or len(claims) <= 1:
        for claim in claims:
            yield judge(claim, options)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(claims)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(load,),
    )
    try:
        pending = [pool.submit(_judge_by_id, claim.id, options) for claim in claims]
        for done in as_completed(pending):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
