"""Every blob of one pass, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export.copies import net_for_export
from pycaffe_lite.export.inputs import checked_inputs
from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.net.graph import AUTO_TOP_NAME
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split


def all_blobs(net: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Runs a net layer by layer, nothing fused, and gives what each layer makes.

    Args:
        net: the net; it stays as it is.
        inputs: name → values, of the shapes of the net's inputs, or of one item of them.

    Raises:
        DataError: they are not the net's.

    Returns:
        Blob → values, in the order in which the layers run. Of layers that work in place one after another
        the last one's values have the blob's name, the others' have their layer's behind it, `conv1/conv1`:
        as in exported ONNX files.
    """
    copy = net_for_export(net)
    for name, values in checked_inputs(copy, inputs).items():
        copy.blobs[name].data[...] = values
    names = copy.graph.blob_names
    versions: dict[int, list[tuple[str, Array]]] = {}
    for node in copy.graph.nodes:
        node.reshape()
        node.layer.forward(node.bottom, node.top)
        if is_inserted_split(node.layer.layer_param):
            continue
        for i, blob in zip(node.top_ids, node.top, strict=True):
            versions.setdefault(i, []).append((node.layer.name, blob.data.copy()))
    given = set(copy.graph.inputs)
    found: dict[str, Array] = {}
    for i, made in versions.items():
        for k, (layer, values) in enumerate(made):
            own = layer if names[i] == AUTO_TOP_NAME else names[i]
            plain = k == 0 if i in given else k == len(made) - 1
            found[own if plain else f"{own}/{layer}"] = values
    return found


def write_blobs(file: Path, blobs: Mapping[str, Array]) -> None:
    """Writes arrays as .npz, whole or not at all.

    Raises:
        WeightsError: it cannot be written.
    """
    with atomic_write(file, error=WeightsError) as stream:
        np.savez(stream, **blobs)  # type: ignore[arg-type]
