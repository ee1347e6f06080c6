"""How nets are copied: by `copy.deepcopy`, and not by pickle."""

from __future__ import annotations

import copy
from typing import Any, NoReturn, SupportsIndex, TypeVar

from pycaffe_lite.errors import NetPicklingError

T = TypeVar("T", bound="Copies")


class Copies:
    """Lets `copy` copy an object that pickle refuses.

    A net holds locks, threads and open databases. A deep copy makes its own; in another process, there is
    nobody to make them.
    """

    def __copy__(self: T) -> T:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self: T, memo: dict[int, Any]) -> T:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise NetPicklingError(
            f"a {type(self).__name__} cannot be pickled: keep its prototxt and its weights, which save() "
            "writes, and make it anew where it is needed"
        )
