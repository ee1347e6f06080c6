"""Large numbers and shapes in a few letters."""

from __future__ import annotations

from collections.abc import Sequence


def as_count(number: float) -> str:
    """A number in three digits or so: `431`, `61.0 M`, `1.58 G`."""
    return _short(number, 1000, ("", " k", " M", " G", " T", " P"))


def as_bytes(number: float) -> str:
    """A number of bytes: `431 B`, `27.1 MiB`."""
    return _short(number, 1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"))


def as_shape(shape: Sequence[int]) -> str:
    """A blob's shape, `64x20x24x24`; that of a single number without axes is `1`."""
    return "x".join(map(str, shape)) or "1"


def _short(number: float, step: int, units: Sequence[str]) -> str:
    unit = 0
    while number >= 999.5 and unit < len(units) - 1:
        number /= step
        unit += 1
    digits = 0 if unit == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}{units[unit]}"
