"""How a claim is written: a draft, decorators that hang evidence on it, and a last line.

    T8_2 = Draft("T8.2", section="8.1", ..., subject=formulas.ess_lognormal, expect=VERIFIED)

    @T8_2.symbolic(WHOLE)
    def _(ess_ratio):
        '''Both moments by integrating the Gaussian density.'''
        return symbolic.equal(integrated_ess(), ess_ratio(SIGMA2, GAMMA, Exact))

    @T8_2.wrong("gamma for gamma squared")
    def _(sigma2, gamma, m):
        return m.exp(-sigma2 * gamma)

    CLAIMS = frozen(T8_2)

The docstring of a check is its name, shown by `explain`; it also names the check's random stream,
so within a claim it must be unique.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from isr_theory.claim import (
    Answer,
    Assumption,
    Check,
    Claim,
    Kind,
    Margin,
    Need,
    PrintedProof,
    Route,
    Scope,
    Text,
    Variant,
    Verdict,
)

F = TypeVar("F", bound=Callable[..., Any])
Try = TypeVar("Try", bound=Callable[[Any, Any], Answer | None])


class Draft:
    """A claim while it is being written; `freeze` makes the `Claim`."""

    def __init__(
        self,
        id: str,
        *,
        section: str,
        kind: Kind,
        title: Text,
        finding: Text,
        statement: str,
        subject: Any,
        expect: Verdict,
        printed_proof: PrintedProof = PrintedProof.NONE,
        proof_remark: Text | None = None,
        assumes: tuple[Assumption, ...] = (),
        uses: tuple[str, ...] = (),
        amends: tuple[str, ...] = (),
        sharpens: tuple[str, ...] = (),
        source: str = "",
        reading: str = "",
        single_route: str = "",
        open_reason: str = "",
        predicted: Verdict | None = None,
    ) -> None:
        self._fields: dict[str, Any] = {
            key: value for key, value in locals().items() if key != "self"
        }
        self._checks: list[Check] = []
        self._wrong: list[Variant] = []
        self._right: list[Variant] = []
        self._needs: list[Need] = []
        self._margin: Margin | None = None
        self._numbers: list[tuple[str, Callable[[], str]]] = []

    def _add(
        self, route: Route, scope: Scope, resolution: float = 0.0, looks: int = 1
    ) -> Callable[[F], F]:
        def decorate(run: F) -> F:
            name = (run.__doc__ or "").strip().split("\n")[0].rstrip(".")
            if not name:
                raise ValueError(f"{self._fields['id']}: a {route} check needs a docstring")
            self._checks.append(Check(route, name, run, scope, resolution, looks))
            return run

        return decorate

    def symbolic(self, scope: Scope) -> Callable[[F], F]:
        """Add a check by algebra. It receives the subject."""
        return self._add(Route.SYMBOLIC, scope)

    def certified(self, scope: Scope) -> Callable[[F], F]:
        """Add a check by ball arithmetic. It receives the subject."""
        return self._add(Route.CERTIFIED, scope)

    def neural(self, scope: Scope) -> Callable[[F], F]:
        """Add a check by automatic differentiation. It receives the subject."""
        return self._add(Route.NEURAL, scope)

    def recorded(self, scope: Scope) -> Callable[[F], F]:
        """Add a check of committed results. It receives the subject, the summary of a run."""
        return self._add(Route.RECORDED, scope)

    def sampled(self, scope: Scope, *, resolution: float, looks: int = 1) -> Callable[[F], F]:
        """Add a Monte Carlo check. It receives the subject and a `Trial`.

        `resolution` is the smallest discrepancy that must be seen; `looks` is the number of
        means that the check estimates, among which its false-alarm rate is shared.
        """
        return self._add(Route.SAMPLED, scope, resolution, looks)

    def wrong(self, name: str) -> Callable[[F], F]:
        """Plant a wrong variant: the decorated function replaces the subject."""

        def decorate(subject: F) -> F:
            self.wrong_value(name, subject)
            return subject

        return decorate

    def wrong_value(self, name: str, subject: Any) -> None:
        """Plant a wrong variant whose subject is not a function written here."""
        self._wrong.append(Variant(name, subject))

    def right(self, name: str) -> Callable[[F], F]:
        """Plant what would be right in the place of a refuted subject."""

        def decorate(subject: F) -> F:
            self.right_value(name, subject)
            return subject

        return decorate

    def right_value(self, name: str, subject: Any) -> None:
        """Plant a right variant whose subject is not a function written here."""
        self._right.append(Variant(name, subject))

    def without(self, assumption: Assumption, *, on: tuple[Any, ...] = ()) -> Callable[[Try], Try]:
        """Show that an assumption is needed: try the statement on one of its instances.

        The decorated function receives the subject and an instance, in exact or ball arithmetic.
        It may not fail on the examples and what `draw` makes, and must fail on some violation;
        `on` are instances besides the assumption's own, of either sort.
        """

        def decorate(run: Try) -> Try:
            self._needs.append(Need(assumption.key, run, on))
            return run

        return decorate

    def meaningless_without(self, assumption: Assumption, why: str) -> None:
        """Say why nothing can be tried where an assumption does not hold."""
        self._needs.append(Need(assumption.key, None, why=why))

    def margin(self, *spaces: Any) -> Callable[[F], F]:
        """Give the margin that `verify search` minimises over some spaces, the smallest first.

        The decorated function receives the subject, a case and an arithmetic.
        """

        def decorate(run: F) -> F:
            self._margin = Margin(run, spaces)
            return run

        return decorate

    def number(self, name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
        """Name a value that prose may quote; the function returns its digits as text."""

        def decorate(value: Callable[[], str]) -> Callable[[], str]:
            self._numbers.append((name, value))
            return value

        return decorate

    def freeze(self) -> Claim:
        """Return the finished claim."""
        names = [(check.route, check.name) for check in self._checks]
        if len(set(names)) != len(names):
            raise ValueError(f"{self._fields['id']}: two checks of one route share a name")
        known = {assumption.key for assumption in self._fields["assumes"]}
        needed = [need.assumption for need in self._needs]
        if not set(needed) <= known or len(set(needed)) != len(needed):
            raise ValueError(f"{self._fields['id']}: needs {needed} of what it assumes, {known}")
        return Claim(
            **self._fields,
            checks=tuple(self._checks),
            wrong=tuple(self._wrong),
            right=tuple(self._right),
            needs=tuple(self._needs),
            margin=self._margin,
            numbers=tuple(self._numbers),
        )


def frozen(*drafts: Draft) -> tuple[Claim, ...]:
    """Freeze drafts in their order: the last line of a claims module."""
    return tuple(draft.freeze() for draft in drafts)


def prediction(
    id: str,
    *,
    title: Text,
    finding: Text,
    statement: str,
    subject: Any,
    uses: tuple[str, ...],
    expect: Verdict = Verdict.SUPPORTED,
    predicted: Verdict = Verdict.SUPPORTED,
    reading: str = "",
    open_reason: str = "",
    source: str = "",
) -> Draft:
    """Return the draft of what the theory says of a run, whose summary is the subject.

    `predicted` is set before the run, and stays; `expect` is what came of it.
    """
    given = dict(locals())
    return Draft(section="experiments", kind=Kind.PREDICTION, **given)
