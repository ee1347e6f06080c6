"""Data layers on pictures, windows and records against what BVLC Caffe 1.0 gave, bit for bit.

`tests/fixtures/data_layers/` holds, for each case in `pictures.json`, a prototxt and, unless Caffe aborts, an
.npz: `out:BLOB@K` after forward pass K, `setup_shape:BLOB`, `feed:data` and `feed:label` for MemoryData.
Names in the prototxts are meant from that folder.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

FOLDER = FIXTURES / "data_layers"
CASES = json.loads((FOLDER / "pictures.json").read_text())
SUMS = {"ip"}  # an InnerProduct's top: its last bit depends on whether the CPU fuses products with sums


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch):
    monkeypatch.chdir(FOLDER)


def cases(*kinds):
    chosen = [case for case in CASES if case["kind"] in kinds]
    return pytest.mark.parametrize("case", chosen, ids=[case["name"] for case in chosen])


def compare(net, golden, k, shift=0):
    for key in golden.files:
        if key.startswith("out:") and key.endswith(f"@{k + shift}"):
            blob = key.removeprefix("out:").rpartition("@")[0]
            got = net.blobs[blob].data
            assert got.shape == golden[key].shape
            if blob in SUMS:
                np.testing.assert_allclose(got, golden[key], rtol=1e-6, atol=1e-6, err_msg=key)
            else:
                np.testing.assert_array_equal(got, golden[key], err_msg=key)


@cases("net")
def test_batches(case):
    golden = np.load(f"{case['name']}.npz")
    if "seed" in case:
        random.set_random_seed(case["seed"])
    for n in range(case["nets"]):
        net = Net(f"{case['name']}.prototxt", case["phase"])
        for key in golden.files:
            if key.startswith("setup_shape:"):
                assert net.blobs[key.partition(":")[2]].shape == tuple(golden[key])
        if case["feed"]:
            net.set_input_arrays(golden["feed:data"], golden["feed:label"])
        for k in range(case["forwards"]):
            net.forward()
            compare(net, golden, k, n * case["forwards"])


@cases("memory_datums")
def test_datums_added(case):
    golden = np.load(f"{case['name']}.npz")
    random.set_random_seed(case["seed"])
    net = Net(f"{case['name']}.prototxt", case["phase"])
    records = LmdbReader(FOLDER / case["source"]).read(case["count"])
    net.add_datum_vector([caffe_pb2.Datum.FromString(value) for _, value in records])
    for k in range(case["forwards"]):
        net.forward()
        compare(net, golden, k)


FATAL = {
    "data_fatal_16bit": (
        "(Data): record '0' of 'db/encoded_16bit_lmdb': it has 16 bits a value, which Caffe does not "
        "take as they are: set force_color or force_gray in transform_param"
    ),
    "data_fatal_undecodable": (
        "(Data): record '0' of 'db/encoded_broken_lmdb': its 13 bytes are not those of an image"
    ),
    "data_fatal_crop_too_big": (
        "(Data): crop_size 7 does not fit records of shape (1, 6, 6): make it 6 at most"
    ),
    "data_fatal_both_forces": "(Data): transform_param has both force_color and force_gray: leave one out",
    "transform_fatal_mean_shape": (
        "(Data): mean_file 'db/mean_raw.binaryproto' has shape (3, 8, 9), the records have (3, 14, "
        "12): make the mean of these records"
    ),
    "transform_fatal_mean_both": "(Data): transform_param has both mean_file and mean_value: leave one out",
    "transform_fatal_mean_count": (
        "(Data): 2 mean_values do not fit records of shape (3, 14, 12): give one, or 3"
    ),
    "transform_fatal_mean_missing": "(Data): no such file: 'db/none.binaryproto'",
    "image_fatal_missing_file": (
        "(ImageData): line 2 of 'images/list_missing.txt': no such file: 'images/none.png'"
    ),
    "image_fatal_broken_file": (
        "(ImageData): line 2 of 'images/list_broken.txt': picture 'images/broken.jpg': its 110 bytes "
        "are not those of an image"
    ),
    "image_fatal_empty_list": (
        "(ImageData): the list 'images/list_none.txt' is empty: write a line for each picture, its "
        "file and its label"
    ),
    "image_fatal_no_list": "(ImageData): no such file: 'images/no_list.txt'",
    "image_fatal_tab": (
        "(ImageData): line 1 of 'images/list_tab.txt': no such file: 'images/same0.png\\t3'; a space "
        "must stand before the label, not a tab"
    ),
    "image_fatal_empty_line": (
        "(ImageData): line 2 of 'images/list_empty_line.txt' names no picture: leave no line empty"
    ),
    "image_fatal_one_size": (
        "(ImageData): needs both image_data_param.new_height and new_width above 0, or neither, got 5 and 0"
    ),
    "image_fatal_batch_0": "(ImageData): needs image_data_param.batch_size > 0",
    "image_fatal_skip_too_far": (
        "(ImageData): rand_skip 1000000 leaves out the first 95845 pictures of "
        "'images/list_big.txt' this time, which has 1: make it 1 at most"
    ),
    "image_fatal_sizes_in_batch": (
        "(ImageData): line 2 of 'images/list_sizes.txt': picture 'images/size1.png' has shape (3, "
        "16, 23), 'images/size0.png' of the same batch has (3, 9, 7): give new_height and new_width, "
        "or crop_size, or batch_size 1"
    ),
    "window_fatal_no_crop": "(WindowData): needs transform_param.crop_size > 0, the size of the items",
    "window_fatal_no_file": "(WindowData): no such file: 'windows/none.txt'",
    "window_fatal_no_foreground": (
        "(WindowData): 'windows/list.txt' has no foreground window, none with an overlap of "
        "fg_threshold 1.5 or more: batches take both kinds"
    ),
    "memory_fatal_no_arrays": "(MemoryData): has no data: call net.set_input_arrays(items, labels) first",
    "memory_fatal_no_size": (
        "(MemoryData): needs batch_size, channels, height and width above 0, got (2, 2, 3, 0)"
    ),
}


def run(case):
    net = Net(f"{case['name']}.prototxt", case["phase"])
    for _ in range(case["forwards"]):
        net.forward()


@cases("fatal")
def test_where_caffe_aborts(case):
    """One clear line instead."""
    random.set_random_seed(1)
    with pytest.raises(PycaffeError) as raised:
        run(case)
    place, _, message = str(raised.value).partition(": layer 'data' ")
    assert place == f"{case['name']}.prototxt:2"
    assert message.partition(" (looked in ")[0] == FATAL[case["name"]]


def test_every_fatal_case_has_its_line():
    assert set(FATAL) == {case["name"] for case in CASES if case["kind"] == "fatal"}
