"""Families of cases among which a counterexample is looked for.

A `Space` is a box of numbers and a way to build a case from them. Its coordinates are rationals, so
that whatever a search in floating point finds can be rounded, built again exactly and judged by
engines that make no rounding errors. Laws on finitely many outcomes have one coordinate a mass and
are normalised when they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from isr_theory.claim import Witness
from isr_theory.models import ExponentialRate, Finite, GaussianShift

Range = tuple[str, str]


@dataclass(frozen=True)
class Axis:
    """One coordinate: its name and where it may lie; a mass is relative to the masses beside it."""

    name: str
    low: Fraction
    high: Fraction
    mass: bool = False


@dataclass(frozen=True)
class Case:
    """One exact case: a model or none, further laws on its outcomes, and numbers by name."""

    model: Any
    numbers: Mapping[str, Fraction]
    laws: Mapping[str, tuple[Fraction, ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Fraction:
        return self.numbers[name]

    def witness(self) -> Witness:
        """Name the case exactly."""
        named: dict[str, Any] = {**_described(self.model), **self.laws, **self.numbers}
        return Witness.at(**named)

    def source(self) -> str:
        """Return Python that builds the case again, for a test to hold."""
        parts = [_source(self.model)] if self.model is not None else []
        parts += [f"{name} = fractions({_words(law)!r})" for name, law in self.laws.items()]
        parts += [f"{name} = Fraction({str(x)!r})" for name, x in self.numbers.items()]
        return "\n".join(parts)

    def complexity(self) -> int:
        """Return a size by which simpler cases are smaller: digits of all that is named."""
        return sum(len(value) for _, value in self.witness().point)


def _described(model: Any) -> dict[str, Any]:
    if model is None:
        return {}
    if isinstance(model, Finite):
        return {"mu": model.mu, "pi": model.pi, "reward": model.reward}
    if isinstance(model, GaussianShift):
        return {"sigma2": model.sigma2, "d": model.d}
    if isinstance(model, ExponentialRate):
        return {"mu": "Exp(1)", "pi": f"Exp({model.rate})"}
    raise TypeError(f"{model!r} is of no known family")


def _words(law: Sequence[Fraction]) -> str:
    return " ".join(map(str, law))


def _source(model: Any) -> str:
    if isinstance(model, Finite):
        laws = ", ".join(repr(_words(law)) for law in (model.mu, model.pi, model.reward))
        return f"model = Finite.of({laws})"
    if isinstance(model, GaussianShift):
        return f"model = GaussianShift(Fraction({str(model.sigma2)!r}), d={model.d})"
    return f"model = ExponentialRate(Fraction({str(model.rate)!r}))"


@dataclass(frozen=True)
class Space:
    """A family of cases: its name, its coordinates, and what they build."""

    name: str
    axes: tuple[Axis, ...]
    build: Callable[[Sequence[Fraction]], Case]


def _axes(ranges: Mapping[str, Range]) -> tuple[Axis, ...]:
    return tuple(Axis(name, Fraction(low), Fraction(high)) for name, (low, high) in ranges.items())


def _normalised(masses: Sequence[Fraction]) -> tuple[Fraction, ...]:
    total = sum(masses, Fraction(0))
    return tuple(mass / total for mass in masses)


def plain(**ranges: Range) -> Space:
    """Numbers alone."""

    def build(values: Sequence[Fraction]) -> Case:
        return Case(None, dict(zip(ranges, values, strict=True)))

    return Space("numbers", _axes(ranges), build)


def finite(
    arms: int, *, reward: Range | None = None, laws: Sequence[str] = (), **ranges: Range
) -> Space:
    """Laws on `arms` outcomes, all masses positive; the reward is 1 where no range is given.

    `laws` names further laws on the same outcomes, such as a target; `ranges` further numbers.
    """
    names = ("mu", "pi", *laws)
    masses = tuple(
        Axis(f"{name}{k}", Fraction(0), Fraction(1), mass=True)
        for name in names
        for k in range(arms)
    )
    rewards = _axes({f"reward{k}": reward for k in range(arms)} if reward else {})
    scalars = _axes(ranges)

    def build(values: Sequence[Fraction]) -> Case:
        starts = range(0, len(masses), arms)
        rows = {
            name: _normalised(values[i : i + arms]) for name, i in zip(names, starts, strict=True)
        }
        rest = values[len(masses) :]
        given = tuple(rest[: len(rewards)]) or (Fraction(1),) * arms
        numbers = dict(zip(ranges, rest[len(rewards) :], strict=True))
        model = Finite(rows.pop("mu"), rows.pop("pi"), given)
        return Case(model, numbers, rows)

    return Space(f"{arms} outcomes", masses + rewards + scalars, build)


def shifted_gaussian(*, sigma2: Range = ("1/20", "9"), d: int = 1, **ranges: Range) -> Space:
    """Gaussian policies a shift apart: log-normal weights."""

    def build(values: Sequence[Fraction]) -> Case:
        model = GaussianShift(values[0], d)
        return Case(model, dict(zip(ranges, values[1:], strict=True)))

    return Space(f"a shifted Gaussian, d = {d}", _axes({"sigma2": sigma2, **ranges}), build)


def exponential(*, rate: Range = ("1/20", "19/20"), **ranges: Range) -> Space:
    """Exponential laws: weights with a heavy tail where the rate is below 1."""

    def build(values: Sequence[Fraction]) -> Case:
        model = ExponentialRate(values[0])
        return Case(model, dict(zip(ranges, values[1:], strict=True)))

    return Space("exponential laws", _axes({"rate": rate, **ranges}), build)
