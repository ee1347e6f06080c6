"""Weights as a file holds them: layers by name, each with its blobs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class StoredBlob:
    """One learnable blob of a file.

    Attributes:
        data: its values, float32 or float64, in the file's shape; read-only, usually a view of the file's
            bytes that may lie unaligned: copy it to where it is needed.
        diff: the gradient, if the file holds one.
        legacy: whether the shape is an old file's num, channels, height and width, or that of
            clips of frames, which have a length as well.
    """

    data: Array
    diff: Array | None = None
    legacy: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes: four for a legacy blob, five for one of clips."""
        return self.data.shape

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a blob of `shape` takes these values.

        Shapes must be equal; a legacy one equals those that become it with ones put in front, so that
        1 x 1 x 1 x 10 fits a bias of shape (10).
        """
        if not self.legacy:
            return tuple(shape) == self.shape
        padding = len(self.shape) - len(shape)
        return padding >= 0 and (1,) * padding + tuple(shape) == self.shape


@dataclass(frozen=True)
class StoredLayer:
    """One layer of a file.

    Attributes:
        name, type, bottom, top: as stored; the type of an old (V0, V1) file is given by its present name.
        blobs: the learnable blobs. In an HDF5 file a blob that its layer shares is None: it stands with
            the layer that owns it.
        rest: all that the file says of the layer apart from its blobs, in protocol buffers' wire format:
            a LayerParameter, or a V1LayerParameter if `version` is 1 or 0.
        version: of the schema the layer is written in: 2, 1 or 0.
    """

    name: str
    type: str = ""
    bottom: tuple[str, ...] = ()
    top: tuple[str, ...] = ()
    blobs: tuple[StoredBlob | None, ...] = ()
    rest: bytes = b""
    version: int = 2


@dataclass(frozen=True)
class Model:
    """The weights that a file holds.

    Attributes:
        name: of the net. layers: in the file's order, those without blobs too.
        source: the file's name, for messages.
        format: of the file. HDF5 files leave out what is shared.
    """

    name: str
    layers: tuple[StoredLayer, ...]
    source: str = ""
    format: Literal["binaryproto", "hdf5"] = "binaryproto"
    _index: dict[str, StoredLayer] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for layer in self.layers:
            self._index.setdefault(layer.name, layer)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __getitem__(self, name: str) -> StoredLayer:
        return self._index[name]

    @property
    def count(self) -> int:
        """Number of values in all blobs."""
        return sum(math.prod(blob.shape) for layer in self.layers for blob in layer.blobs if blob)
