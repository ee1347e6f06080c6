"""Single values worked out term by term, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MOST_TERMS = 12


@dataclass(frozen=True)
class Term:
    """A part of a value: what it is, `w[3, 0] x[1, 0]`, its numbers, `0.5 × 2`, and what they give.

    A term of one number, `b[0]`, has no other numbers: "".
    """

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
            yield f"    {' = '.join(filter(None, (term.what, term.numbers, shown_value(term.value))))}"
        if rest := len(self.terms) - len(shown):
            together = f", together {shown_value(total(self.terms) - total(shown))}" if self.joins else ""
            yield f"    and {rest} more terms{together}"
        if self.joins and len(self.terms) > 1:
            yield f"    sum of {len(self.terms)} terms: {shown_value(total(self.terms))}"
        yield from (f"    {step}" for step in self.steps)
        yield f"  = {shown_value(self.result)};  the blob holds {shown_value(self.held)}"


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


def shown_value(value: float) -> str:
    """A value as it stands behind an equals sign: 0 without the sign that floats have."""
    return f"{value + 0.0:.7g}"


def number(value: float) -> str:
    """A number as it stands in a product: below 0 in parentheses."""
    text = f"{float(value) + 0.0:.6g}"
    return f"({text})" if text.startswith("-") else text


def at(name: str, index: Iterable[int]) -> str:
    """A value's name, `x[0, 3]`; `x` alone for a single number."""
    inside = ", ".join(str(i) for i in index)
    return f"{name}[{inside}]" if inside else name


def total(terms: Iterable[Term]) -> float:
    """The sum of terms."""
    return sum(term.value for term in terms)
