"""The registry: from the type string of a solver's prototxt to the class that runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto.text_slips import nearest
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.solver.settings import SolverSource, solver_document

S = TypeVar("S", bound=type[Solver])

_types: dict[str, type[Solver]] = {}


def register_solver(name: str) -> Callable[[S], S]:
    """Registers a class as the solver type `name`, as prototxt files write it."""

    def register(solver_class: S) -> S:
        if name in _types:
            raise ValueError(f"solver type {name!r} is registered twice")
        _types[name] = solver_class
        solver_class.type = name
        return solver_class

    return register


def solver_type_list() -> list[str]:
    """The known solver types, in alphabetical (byte) order."""
    return sorted(_types)


def get_solver(source: SolverSource, **options: Any) -> Solver:
    """The solver that a prototxt describes, of the class that its `type` names.

    Args:
        source: a solver prototxt, or its message or document.
        options: further keyword arguments of `Solver`.

    Raises:
        SolverError: no such type; the message lists those that there are.
    """
    document = solver_document(source, strict=options.pop("strict", False))
    solver_class = _types.get(document.message.type)
    if solver_class is None:
        name, known = document.message.type, solver_type_list()
        close = nearest(name, known)
        meant = f", did you mean '{close}'?" if close else ""
        where = document.where(("type",))
        raise SolverError(f"{where}unknown solver type '{name}'{meant} (known types: {', '.join(known)})")
    return solver_class(document, **options)
