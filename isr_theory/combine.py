"""From findings to a verdict: seven rules, of which the first that applies decides.

The rules look at the set of findings only, never at their order, and a finding that is not HOLDS
or FAILS never makes a verdict stronger.
"""

from __future__ import annotations

from collections.abc import Iterable

from isr_theory.claim import Finding, Outcome, Route, Strength, Verdict


def _confirmed(failure: Finding, failures: list[Finding]) -> bool:
    """Say whether a second route fails at the same witness, or the failure is a recorded one."""
    if failure.route is Route.RECORDED:
        return True
    return failure.witness is not None and any(
        other.route is not failure.route and other.witness == failure.witness for other in failures
    )


def combine(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict of all findings of one claim.

    1. any ERROR: ERROR;
    2. a FAILS in the scope of a PROOF that holds: CONFLICT;
    3. a FAILS whose witness a second route confirms, or a recorded FAILS: REFUTED;
    4. any other FAILS: OPEN;
    5. a PROOF over the whole statement and a HOLDS of another route: VERIFIED;
    6. any HOLDS: SUPPORTED;
    7. else OPEN.
    """
    found = list(findings)
    holds = [finding for finding in found if finding.outcome is Outcome.HOLDS]
    fails = [finding for finding in found if finding.outcome is Outcome.FAILS]
    proofs = [finding for finding in holds if finding.strength is Strength.PROOF]
    if any(finding.outcome is Outcome.ERROR for finding in found):
        return Verdict.ERROR
    if any(proof.scope.covers(failure.witness) for proof in proofs for failure in fails):
        return Verdict.CONFLICT
    if any(_confirmed(failure, fails) for failure in fails):
        return Verdict.REFUTED
    if fails:
        return Verdict.OPEN
    if any(
        proof.scope.whole and any(other.route is not proof.route for other in holds)
        for proof in proofs
    ):
        return Verdict.VERIFIED
    return Verdict.SUPPORTED if holds else Verdict.OPEN
