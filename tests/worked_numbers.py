"""The arithmetic that a page shows, worked out again.

A page that is worked by hand has lines such as

    y[0, 1] = −1·1 + 0.5·2 + 1 = 1

in blocks without a language, and spans of code such as `9 · 9 = 81`. Each side that can be worked out must be
what the others are. Numbers with four decimals or more are rounded: each must be a value that the page's own
program holds. Names mean what they do in that program, where y is what the package computed. What stands
behind three spaces is a remark. In tables, numbers behind the name of an array are its values.
"""

import math
import re
from typing import NamedTuple

import numpy as np

SIGNS = str.maketrans({"·": "*", "×": "*", "−": "-", "²": "**2", "√": "sqrt", "′": "_"})
NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")
FUNCTIONS = {
    "sqrt": math.sqrt,
    "ln": math.log,
    "e": math.e,
    "σ": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "max": max,
    "sum": np.sum,
}


class Equation(NamedTuple):
    """What a page says is equal: where, and the sides."""

    where: str
    sides: list[str]


def equations_of(page):
    """All equations of a page, and the rows of its tables that begin with a name."""
    in_block = shown = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        where = f"{page.name}:{number}"
        if line.startswith("```"):
            in_block, shown = not in_block, line == "```" and not in_block
        elif in_block:
            if shown:
                for part in re.split(r" {3,}|; ", line.strip()):
                    yield from equation(where, part)
        elif row := re.match(r"\| `([\w.]+)` \|(?:.*?\|)??((?: [-−]?\d[\d.]* \|)+)$", line):
            numbers = [cell.strip() for cell in row[2].strip(" |").split("|")]
            yield Equation(where, [row[1], f"[{', '.join(numbers)}]"])
        else:
            for code in re.findall(r"`([^`]+)`", line):
                yield from equation(where, code)


def equation(where, text):
    """The equation in a text, if there is one."""
    sides = [side.strip() for side in text.split(" = ")]
    if len(sides) > 1:
        yield Equation(where, sides)


def value_of(side, names):
    """The value of a side; None if it is not arithmetic of numbers and known names."""
    try:
        value = eval(side.translate(SIGNS).replace("^", "**"), {"__builtins__": {}}, {**FUNCTIONS, **names})
        return np.asarray(value, np.float64)
    except (SyntaxError, NameError, TypeError, ValueError, AttributeError):
        return None  # a formula, or words. That an index is out of range is an error of the page.


def error_of(side):
    """How far a side may be off: numbers with four decimals or more are rounded, others are exact."""
    rounded = [len(decimals) for decimals in NUMBER.findall(side) if len(decimals) > 3]
    return max(1e-6, 0.500001 * len(rounded) * 10.0 ** -min(rounded, default=7))


def rounded_values(names, decimals):
    """The sizes of all numbers that a page's program holds, as they are when they are rounded."""
    found = set()
    for value in names.values():
        if isinstance(value, (int, float, list, np.ndarray, np.number)):
            try:
                array = np.asarray(value, np.float64)
            except (TypeError, ValueError):
                continue
            found |= {f"{abs(number):.{decimals}f}" for number in array.ravel()}
    return found


def check(equation, names):
    """Checks an equation; whether it has numbers to check."""
    for side in equation.sides:
        for found in NUMBER.finditer(side):
            if found[1] and len(found[1]) > 3:
                known = rounded_values(names, len(found[1]))
                assert found[0].lstrip("-") in known, f"{equation.where}: the program has no {found[0]}"
    values = [(side, value) for side in equation.sides if (value := value_of(side, names)) is not None]
    if len(values) < 2:
        return False
    first, value = values[0]
    for side, other in values[1:]:
        allowed = error_of(first) + error_of(side)
        assert value.shape == other.shape, f"{equation.where}: {first} is {value}, {side} is {other}"
        assert np.allclose(value, other, rtol=0, atol=allowed), (
            f"{equation.where}: {first} is {value}, {side} is {other}"
        )
    return True
