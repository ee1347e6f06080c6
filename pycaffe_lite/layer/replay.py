"""Replay: what a layer type says of its verbs so that a net can run the kernels again without calling them.

All of it is optional. A verb that says nothing is called in every pass; so is one that a subclass overrides,
until the subclass says it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from pycaffe_lite.layer.base import Blobs, Layer

Verb = TypeVar("Verb", bound=Callable[..., object])
Condition = Callable[[Any], bool]


@overload
def by_kernels(verb: Verb, /) -> Verb: ...
@overload
def by_kernels(*, when: Condition = ..., fills_clear_diffs: bool = ...) -> Callable[[Verb], Verb]: ...
def by_kernels(verb: Any = None, /, *, when: Condition | None = None, fills_clear_diffs: bool = False) -> Any:
    """Marks a verb that leaves all work on values to kernels, so that a net may replay these without it.

    The values are those of bottoms, tops, learnable blobs and buffers. The kernels are worker kernels, the
    only ones that can be recorded. Verbs are forward and backward, and the fused forms of `layer.fusing`.
    Besides starting kernels, a verb may end with `check_bottoms` (see `ChecksBottoms`), and backward may ask
    learnable blobs for `diff` or `diff_to_add`.

    Args:
        when: called with the layer after setup, says whether the mark holds for its parameters.
        fills_clear_diffs: of a backward verb, whether it asks every learnable blob for `diff_to_add`, and
            overwrites the diffs that are clear; nobody writes zeros into these then.
    """
    if verb is None:
        return lambda verb: _marked(verb, when, fills_clear_diffs)
    return _marked(verb, when, fills_clear_diffs)


def _marked(verb: Verb, when: Condition | None, fills_clear_diffs: bool) -> Verb:
    verb.by_kernels = when or _always  # type: ignore[attr-defined]
    verb.fills_clear_diffs = fills_clear_diffs  # type: ignore[attr-defined]
    return verb


def _always(layer: Layer[Any]) -> bool:
    return True


def by_shapes(reshape: Verb) -> Verb:
    """Marks a `reshape` that depends on the shapes and the memory of the layer's blobs alone.

    A net leaves it out as long as none of these has changed. A reshape that reads values, or runs a user's
    code, does not say so.
    """
    reshape.by_shapes = True  # type: ignore[attr-defined]
    return reshape


class ChecksBottoms:
    """A layer whose kernels take note of values that cannot be, labels say, and leave the error to Python."""

    def check_bottoms(self, bottom: Blobs) -> None:
        """Raises the error that the kernels of the last forward or backward have found, if any."""
        raise NotImplementedError


# --------------------------------------------------------------------------------------- for the net's use


def is_by_kernels(layer: Layer[Any], verb: str) -> bool:
    """Whether a layer's verb, `forward` say, is marked as `by_kernels`, and the mark holds for the layer."""
    holds: Condition | None = getattr(getattr(layer, verb), "by_kernels", None)
    return holds is not None and holds(layer)


def is_by_shapes(layer: Layer[Any]) -> bool:
    """Whether a layer's reshape is marked as `by_shapes`."""
    return getattr(layer.reshape, "by_shapes", False)


def prepare_diffs(layer: Layer[Any]) -> None:
    """Does what backward does to the learnable blobs' diffs before it starts kernels.

    Diffs that are clear hold zeros afterwards, or anything if backward overwrites them.
    """
    fills: bool = getattr(layer.backward, "fills_clear_diffs", False)
    for blob, wanted in zip(layer.blobs, layer.param_propagate_down, strict=True):
        if wanted and fills:
            blob.diff_to_add()
        elif wanted:
            blob.finish_clearing()
