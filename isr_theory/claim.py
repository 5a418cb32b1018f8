"""The vocabulary of the project: what a claim is, what evidence says, what a verdict means.

A *claim* is one statement together with the checks that try it. A check runs on one *route* (an
engine) and gives an *answer*; the runner stamps the answer with its route and scope and calls it a
*finding*. `isr_theory.combine` turns findings into a *verdict*. Everything here is frozen data and
needs only the standard library, so that every other module can speak this language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple


class Route(StrEnum):
    """An independent way of finding out."""

    SYMBOLIC = "symbolic"
    """sympy: algebra under declared assumptions, exact rationals."""
    CERTIFIED = "certified"
    """FLINT balls: every number carries a rigorous error bound."""
    SAMPLED = "sampled"
    """Monte Carlo of bounded statistics with finite-sample bounds."""
    NEURAL = "neural"
    """torch float64: automatic differentiation against exact enumeration."""
    RECORDED = "recorded"
    """Committed results of a run, read against a prediction."""


class Outcome(StrEnum):
    """What one check came to. Only HOLDS speaks for a claim; only FAILS speaks against it."""

    HOLDS = "holds"
    """The relation was established to the finding's strength, within the finding's scope."""
    FAILS = "fails"
    """The relation is violated at the finding's witness."""
    UNDECIDED = "undecided"
    """The engine ran and could not tell. Never a pass."""
    VACUOUS = "vacuous"
    """Nothing satisfies the assumptions, so nothing was tested. Never a pass."""
    SKIPPED = "skipped"
    """The check did not run; the detail says why. Never a pass."""
    ERROR = "error"
    """The check broke. Nothing is known, and the run must say so."""


class Strength(StrEnum):
    """How much an outcome is worth."""

    PROOF = "proof"
    """Exact algebra or a rigorous enclosure, valid on the whole scope."""
    AGREEMENT = "agreement"
    """Equal at the stated points to the stated precision."""
    STATISTICAL = "statistical"
    """Inside a bound whose error rates are stated."""
    EMPIRICAL = "empirical"
    """An interval from recorded runs."""


class Verdict(StrEnum):
    """What all findings of a claim come to together."""

    VERIFIED = "VERIFIED"
    """A proof covers the whole statement and an independent route agrees."""
    SUPPORTED = "SUPPORTED"
    """Something speaks for it, nothing against it, and the above is not reached."""
    REFUTED = "REFUTED"
    """It fails at a witness that a second route re-evaluated."""
    OPEN = "OPEN"
    """Not settled: nothing decisive, or a failure that no second route has confirmed."""
    CONFLICT = "CONFLICT"
    """A proof covers a point at which another check fails: one of our engines is wrong."""
    ERROR = "ERROR"
    """A check broke."""


class Kind(StrEnum):
    """What sort of statement the paper makes."""

    DEFINITION = "definition"
    IDENTITY = "identity"
    INEQUALITY = "inequality"
    LIMIT = "limit"
    OPTIMUM = "optimum"
    HEURISTIC = "heuristic"
    ALGORITHM = "algorithm"
    REMARK = "remark"
    PREDICTION = "prediction"


class PrintedProof(StrEnum):
    """What we found of the proof as printed, which is a different matter from the statement."""

    COMPLETE = "complete"
    GAP = "gap"
    WRONG = "wrong"
    NONE = "none"


class Text(NamedTuple):
    """One sentence in the two languages of the project."""

    en: str
    zh: str


def _exact(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(_exact(item) for item in value) + ")"
    return str(value)


@dataclass(frozen=True)
class Witness:
    """An exact point at which a relation was evaluated.

    Two witnesses are equal when their points are; `shows` is the sentence for people, such as the
    two values that should have been equal. Values are exact: integers, fractions or tuples of
    them, kept as text so that they print and serialise alike everywhere.
    """

    point: tuple[tuple[str, str], ...]
    shows: str = field(default="", compare=False)

    @classmethod
    def at(cls, shows: str = "", **point: Any) -> Witness:
        """Build a witness from named exact values: `Witness.at(sigma2=1, gamma=Fraction(1, 2))`."""
        return cls(tuple((name, _exact(value)) for name, value in point.items()), shows)

    def showing(self, shows: str) -> Witness:
        """Return the same point with another sentence."""
        return Witness(self.point, shows)

    def number(self, name: str) -> Fraction | None:
        """Return the coordinate as a fraction, None where it is absent or not one number.

        `arms` is understood for every finite law: it is the number of entries of `mu`.
        """
        values = dict(self.point)
        if name == "arms" and name not in values and "mu" in values:
            return Fraction(values["mu"].count(",") + 1)
        try:
            return Fraction(values[name])
        except (KeyError, ValueError, ZeroDivisionError):
            return None

    def __str__(self) -> str:
        point = ", ".join(f"{name}={value}" for name, value in self.point)
        return f"{point}: {self.shows}" if self.shows else point


@dataclass(frozen=True)
class Scope:
    """Where a finding speaks: a text for people and a predicate over witnesses.

    `whole=True` means the whole statement under its assumptions. Otherwise `within` bounds named
    coordinates, `(("arms", 3, 3),)` for a proof about three arms, and a witness is covered only if
    it has every one of them inside its bounds.
    """

    text: str
    whole: bool = False
    within: tuple[tuple[str, Fraction | int, Fraction | int], ...] = ()

    def covers(self, witness: Witness | None) -> bool:
        """Say whether the witness lies in this scope; a failure without a point is anywhere."""
        if self.whole:
            return True
        if witness is None or not self.within:
            return False
        numbers = [(witness.number(name), low, high) for name, low, high in self.within]
        return all(number is not None and low <= number <= high for number, low, high in numbers)


@dataclass(frozen=True)
class Answer:
    """What an engine says about one check."""

    outcome: Outcome
    strength: Strength
    witness: Witness | None = None
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """An answer stamped with where it came from and how far it reaches."""

    route: Route
    check: str
    outcome: Outcome
    strength: Strength
    scope: Scope
    witness: Witness | None = None
    detail: str = ""


@dataclass(frozen=True)
class Assumption:
    """A condition that a claim needs: its words, a predicate over models, and instances.

    `examples` must satisfy the predicate (at least one, or the claim is vacuous) and `violations`
    must not. `draw` makes further models that satisfy it from a numpy random generator.
    """

    key: str
    text: Text
    holds: Callable[[Any], bool]
    examples: tuple[Any, ...]
    violations: tuple[Any, ...]
    draw: Callable[[Any], Any]

    def satisfiable(self) -> bool:
        """Say whether some example satisfies the predicate."""
        return any(self.holds(example) for example in self.examples)

    def admits(self, instance: Any) -> bool:
        """Say whether an instance satisfies it, or is of a kind of which it says nothing."""
        kinds = {type(example) for example in self.examples}
        return type(instance) not in kinds or self.holds(instance)


@dataclass(frozen=True)
class Need:
    """Why a claim needs an assumption.

    `run` receives the subject and one instance, and tries the statement there: it may not fail
    where the assumption holds and must fail somewhere where it does not. It returns None for an
    instance that it does not speak about. `on` are instances besides the assumption's own.
    Where the statement has no meaning without the assumption, so that nothing can be tried,
    `run` is None and `why` says so.
    """

    assumption: str
    run: Callable[[Any, Any], Answer | None] | None
    on: tuple[Any, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Check:
    """One attempt to find out, on one route. `run` receives the subject that it tests."""

    route: Route
    name: str
    run: Callable[..., Answer]
    scope: Scope
    resolution: float = 0.0
    looks: int = 1


@dataclass(frozen=True)
class Variant:
    """Something planted in the place of a claim's subject.

    A wrong variant of what is said to hold must make some check fail; a right variant of what is
    refuted must make the checks that refute it stop failing.
    """

    name: str
    subject: Any


@dataclass(frozen=True)
class Margin:
    """How far a statement is from failing at one case, and where to look for a failure.

    `run(subject, case, m)` is at least 0 where the statement holds and negative where it fails, in
    any arithmetic `m`. `spaces` are families of cases, the smallest first.
    """

    run: Callable[[Any, Any, Any], Any]
    spaces: tuple[Any, ...]


@dataclass(frozen=True)
class Claim:
    """One statement, what it needs, what it says and what tries it.

    `amends` names refuted statements that this one corrects; `sharpens` names statements of the
    paper that it makes exact, extends or explains; `source` cites where a statement that is not
    the paper's comes from, or says that it is new here. `proof_remark` says what a printed proof
    lacks that is wrong or has a gap. `predicted` is what the theory said of a prediction before it
    was run, and is never changed; `expect` is then what came of it.
    """

    id: str
    section: str
    kind: Kind
    title: Text
    finding: Text
    statement: str
    expect: Verdict
    printed_proof: PrintedProof
    subject: Any
    checks: tuple[Check, ...]
    wrong: tuple[Variant, ...] = ()
    right: tuple[Variant, ...] = ()
    assumes: tuple[Assumption, ...] = ()
    needs: tuple[Need, ...] = ()
    margin: Margin | None = None
    uses: tuple[str, ...] = ()
    amends: tuple[str, ...] = ()
    sharpens: tuple[str, ...] = ()
    source: str = ""
    reading: str = ""
    proof_remark: Text | None = None
    numbers: tuple[tuple[str, Callable[[], str]], ...] = ()
    single_route: str = ""
    open_reason: str = ""
    predicted: Verdict | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes that try this claim, in the order of `Route`."""
        return tuple(route for route in Route if any(check.route is route for check in self.checks))
