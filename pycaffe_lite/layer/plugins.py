"""Layer types that other installed packages bring: their entry points of the group `pycaffe_lite.layers`.

An entry point is named like the type and names the module, or the class in it, whose import registers the
type by `register_layer`.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

GROUP = "pycaffe_lite.layers"


def names() -> list[str]:
    """The types that installed packages bring."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def package_of(name: str) -> str:
    """The package that brings a type, in words."""
    return " and ".join(_package(point) for point in entry_points(group=GROUP, name=name))


def load(name: str) -> str | None:
    """Imports what brings a type.

    Returns:
        What is wrong with it, in words that say which package it is; None if nothing is, or if no package
        brings the type.
    """
    points = list(entry_points(group=GROUP, name=name))
    if len({point.value for point in points}) > 1:
        return f"several packages bring it, {package_of(name)}: uninstall all but one"
    for point in points[:1]:
        try:
            point.load()
        except Exception as error:  # whatever a stranger's module may raise
            return f"{_package(point)} brings it, but '{point.value}' fails: {type(error).__name__}: {error}"
    return None


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return f"the package {dist.name} {dist.version}" if dist else f"'{point.value}'"
