"""Features: what blobs of a net hold for one batch after another, as records of databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pycaffe_lite.errors import NetError
from pycaffe_lite.formats.wire import FIXED32, varint_field
from pycaffe_lite.net.net import Net

_AXES = 4
# A value of Datum's float_data, field 6, whose tag takes one byte.
_FLOAT_FIELD = np.dtype([("tag", "u1"), ("value", "<f4")])
_FLOAT_TAG = 6 << 3 | FIXED32


def check_features(net: Net, blobs: Sequence[str]) -> None:
    """Makes sure that blobs of a net can become records.

    Raises:
        NetError: there is no such blob, or one has more than 4 axes.
    """
    for name in blobs:
        if name not in net.blobs:
            raise NetError(f"the net has no blob '{name}'; it has {', '.join(net.blobs)}")
        shape = net.blobs[name].shape
        if len(shape) > _AXES:
            raise NetError(f"blob '{name}' has shape {shape}: records are of blobs of at most {_AXES} axes")


def features(net: Net, blobs: Sequence[str], batches: int) -> Iterator[list[list[bytes]]]:
    """Runs a net, and makes Datum messages of the items of some of its blobs.

    Args:
        net: with data of its own. blobs: names. batches: forward passes.

    Yields:
        After each pass, for each blob the messages of its items; a blob without axes, such as a loss, is one
        item.
    """
    for _ in range(batches):
        net.forward()
        yield [_messages(net, name) for name in blobs]


def _messages(net: Net, name: str) -> list[bytes]:
    blob = net.blobs[name]
    N, C, H, W = (*blob.shape, *[1] * (_AXES - len(blob.shape)))
    head = b"".join(varint_field(number, size) for number, size in enumerate((C, H, W), 1))
    fields = np.empty((N, C * H * W), _FLOAT_FIELD)
    fields["tag"], fields["value"] = _FLOAT_TAG, blob.data.reshape(N, -1)
    return [head + item.tobytes() for item in fields]
