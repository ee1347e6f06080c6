"""Single values worked out term by term, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MOST_TERMS = 12


@dataclass(frozen=True)
class Term:
    """A part of a value: what it is, `w[3, 0] x[1, 0]`, its numbers, `0.5 × 2`, and what they give."""

    what: str
    numbers: str
    value: float


@dataclass(frozen=True)
class Worked:
    """A value worked out.

    Attributes:
        name: of the value, `y[0, 3]`. formula: what it is by the equation.
        terms: in the order of the equation. steps: how the terms lead to the result, a line each.
        result: what they give. held: what the blob holds.
        joins: whether the result begins with the sum of the terms, which is shown then.
    """

    name: str
    formula: str
    terms: Sequence[Term]
    result: float
    held: float
    steps: Sequence[str] = ()
    joins: bool = True

    def lines(self, most: int = MOST_TERMS) -> Iterator[str]:
        """The value as text.

        Args:
            most: terms that are shown; where there are more, those that are 0 are not.
        """
        yield f"{self.name} = {self.formula}"
        shown = list(self.terms)
        if len(shown) > most:
            shown = [term for term in shown if term.value][:most]
        for term in shown:
            yield f"    {term.what} = {term.numbers} = {term.value:.7g}"
        if rest := len(self.terms) - len(shown):
            together = f", together {total(self.terms) - total(shown):.7g}" if self.joins else ""
            yield f"    and {rest} more terms{together}"
        if self.joins and len(self.terms) > 1:
            yield f"    sum of {len(self.terms)} terms: {sum(term.value for term in self.terms):.7g}"
        yield from (f"    {step}" for step in self.steps)
        yield f"  = {self.result:.7g};  the blob holds {self.held:.7g}"


@dataclass(frozen=True)
class Explanation:
    """A layer explained: its equations with the net's shapes, and values worked out."""

    equations: Sequence[str]
    worked: Sequence[Worked] = field(default_factory=list)


def product(what: str, *factors: float) -> Term:
    """A term that is a product of numbers."""
    value = 1.0
    for factor in factors:
        value *= float(factor)
    return Term(what, " × ".join(number(factor) for factor in factors), value)


def number(value: float) -> str:
    """A number as it stands in a product: below 0 in parentheses."""
    text = f"{float(value):.6g}"
    return f"({text})" if text.startswith("-") else text


def at(name: str, index: Iterable[int]) -> str:
    """A value's name, `x[0, 3]`; `x` alone for a single number."""
    inside = ", ".join(str(i) for i in index)
    return f"{name}[{inside}]" if inside else name


def total(terms: Iterable[Term]) -> float:
    """The sum of terms."""
    return sum(term.value for term in terms)
