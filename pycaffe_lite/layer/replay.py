"""Replay: marks on a layer type's verbs, so that a net can run their kernels again without calling them.

All of it is optional. A verb without a mark is called in every pass. A verb that a subclass overrides has no
mark until the subclass gives it one.
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
    """Marks a verb that leaves all work on values to kernels, which a net may replay without calling it.

    The verb may be forward, backward, or a fused form from `layer.fusing`; the values are those of bottoms,
    tops, learnable blobs and buffers; and the kernels have to be worker kernels, since others cannot be
    recorded. Besides starting kernels, a verb may end with `check_bottoms` (see `ChecksBottoms`), and
    backward may ask learnable blobs for `diff` or `diff_to_add`.

    Args:
        when: a condition on the layer, asked after setup; the mark holds only if it is true.
        fills_clear_diffs: for backward, whether it asks every learnable blob for `diff_to_add` and overwrites
            the diffs that are clear, so that no zeros need be written into them.
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
    """Marks a `reshape` that depends only on the shapes and the memory of the layer's blobs.

    A net leaves it out as long as none of these has changed. A reshape that reads values, or runs a user's
    code, must not have the mark.
    """
    reshape.by_shapes = True  # type: ignore[attr-defined]
    return reshape


class ChecksBottoms:
    """A layer whose kernels find bad values, labels that are no class say, of which Python raises errors."""

    def check_bottoms(self, bottom: Blobs) -> None:
        """Raises an error if the kernels of the last forward or backward have found a bad value."""
        raise NotImplementedError


# --------------------------------------------------------------------------------------- for the net's use


def is_by_kernels(layer: Layer[Any], verb: str) -> bool:
    """Whether a layer's verb, `forward` say, is marked `by_kernels`, and the mark holds for the layer."""
    holds: Condition | None = getattr(getattr(layer, verb), "by_kernels", None)
    return holds is not None and holds(layer)


def is_by_shapes(layer: Layer[Any]) -> bool:
    """Whether a layer's reshape is marked `by_shapes`."""
    return getattr(layer.reshape, "by_shapes", False)


def prepare_diffs(layer: Layer[Any]) -> None:
    """Prepares the learnable blobs' diffs as backward does before it starts kernels.

    Diffs that are clear hold zeros afterwards, or any values if backward overwrites them.
    """
    fills: bool = getattr(layer.backward, "fills_clear_diffs", False)
    for blob, wanted in zip(layer.blobs, layer.param_propagate_down, strict=True):
        if wanted and fills:
            blob.diff_to_add()
        elif wanted:
            blob.finish_clearing()
