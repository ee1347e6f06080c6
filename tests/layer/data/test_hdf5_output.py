"""HDF5Output: what it refuses; what it writes is in test_golden_databases.py."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.formats.hdf5_format import read_tree

PLACE = "layer 'layer' (HDF5Output): "


def make(name, data=(2, 3), label=(2,)):
    prototxt = f'type: "HDF5Output" hdf5_output_param {{ file_name: "{name}" }}'
    return build_layer(prototxt, [np.ones(data), np.ones(label)], tops=0)


def refuses(message, function, *args, kind=LayerError):
    with pytest.raises(kind) as raised:
        function(*args)
    assert str(raised.value) == PLACE + message


def test_the_file_is_there_after_the_pass(tmp_path):
    path = tmp_path / "out.h5"
    rig = make(path)
    assert not path.exists()
    rig.forward()
    tree = read_tree(np.fromfile(path, np.uint8))
    assert {name: values.shape for name, values in tree.items()} == {
        "data": (2, 3, 1, 1),
        "label": (2, 1, 1, 1),
    }


def test_a_second_pass(tmp_path):
    rig = make(tmp_path / "out.h5")
    rig.forward()
    message = (
        f"has written its batch to '{tmp_path}/out.h5', and a file holds one, as in Caffe: run one forward "
        "pass, "
        "or write net.blobs with h5py"
    )
    refuses(message, rig.forward)


def test_bad_settings(tmp_path):
    refuses("needs hdf5_output_param.file_name", make, "")
    refuses(f"cannot write '{tmp_path}/a/b': there is no folder '{tmp_path}/a'", make, tmp_path / "a" / "b")
    refuses("takes bottoms of at most 4 axes, got shape (1, 1, 1, 1, 1)", make, "x", [1] * 5)
    refuses("needs as many labels as items, got shapes (2, 3) and (3,)", make, "x", (2, 3), (3,))


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "out.h5").mkdir()
    rig = make(tmp_path / "out.h5")
    message = f"cannot write '{tmp_path}/out.h5': Is a directory"
    refuses(message, rig.forward, kind=DataError)
