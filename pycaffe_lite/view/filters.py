"""The weights of a layer, from a file, as pictures."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats import caffemodel, hdf5
from pycaffe_lite.view.numbers import as_shape
from pycaffe_lite.view.tiles import MOST_TILES, Section, filter_picture


def weight_sections(path: str | Path, layer: str) -> list[Section]:
    """A picture of each learnable blob of a layer.

    Args:
        path: a .caffemodel, or its .h5. layer: its name there.

    Raises:
        FileLookupError: no such file. WeightsError: it cannot be read, or has no such layer with blobs.
    """
    model = hdf5.read_model(path) if hdf5.is_hdf5(path) else caffemodel.read(path)
    if layer not in model:
        names = [stored.name for stored in model.layers if stored.blobs]
        near = difflib.get_close_matches(layer, names, n=1)
        meant = f" (did you mean '{near[0]}'?)" if near else f"; layers with weights: {', '.join(names)}"
        raise WeightsError(f"'{path}' has no layer '{layer}'{meant}")
    stored = model[layer]
    sections = []
    for i, blob in enumerate(stored.blobs):
        if blob is None:
            raise WeightsError(
                f"blob {i} of layer '{layer}' is shared: it stands with another layer in '{path}'"
            )
        values = np.asarray(blob.data)
        if blob.legacy and values.shape[:2] == (1, 1):
            values = values.reshape(values.shape[2:] if values.shape[2] > 1 else values.shape[3:])
        cut = values.ndim == 4 and max(values.shape[:2]) > MOST_TILES
        note = f", the first {MOST_TILES} of each" if cut else ""
        sections.append(Section(f"{layer} blob {i}: {as_shape(values.shape)}{note}", filter_picture(values)))
    if not sections:
        raise WeightsError(f"layer '{layer}' of '{path}' has no weights")
    return sections
