"""What forks of Caffe have added to its schema: whose each field is, and the number that each fork gave it.

proto/forks.proto declares these fields; `fork_numbers.tsv` has a row for each. Forks gave one number several
meanings, and one field several numbers, so a file is read and written with the numbers of one fork.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("fork_numbers.tsv")


def is_fork_field(message: str, name: str) -> bool:
    """Whether a field of our schema is one that only forks have.

    Args:
        message: the name of the message's type, `PoolingParameter`. name: the field's.
    """
    return (message, name) in _numbers()


def numbers_of(message: str, name: str) -> dict[str, int]:
    """The number of a field in each fork that has it; empty for a field of Caffe's own.

    Args:
        message: the name of the message's type. name: the field's.
    """
    return _numbers().get((message, name), {})


def fork_fields_of_schema() -> list[tuple[str, str]]:
    """All fields that only forks have, as message and name."""
    return list(_numbers())


@cache
def _numbers() -> dict[tuple[str, str], dict[str, int]]:
    """By message and field, the number that each fork gave it."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return {(message, name): _by_fork(numbers) for message, name, numbers in rows}


def _by_fork(numbers: str) -> dict[str, int]:
    """Reads `45:SegNet+synopsys;137:TSN`."""
    pairs = (part.split(":") for part in numbers.split(";"))
    return {fork: int(number) for number, forks in pairs for fork in forks.split("+")}
