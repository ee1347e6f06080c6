"""Data from databases, HDF5Data and HDF5Output against what BVLC Caffe 1.0 gave.

`tests/fixtures/data_layers/databases.json` lists the cases: nets, run several times (`out:BLOB@K` is a blob
after pass K), and nets in which Caffe ends the process (`fatal`), where ours says why in one line.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.data import c_rand
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.net.net import Net

FOLDER = FIXTURES / "data_layers"
CASES = json.loads((FOLDER / "databases.json").read_text())


def cases(kind):
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] == kind]


@pytest.fixture(autouse=True)
def folder(monkeypatch):
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("case", cases("net"))
def test_batches(case):
    if case["crand"]:
        c_rand.seed()
    if case["seed"] is not None:
        random.set_random_seed(case["seed"])
    with np.load(f"{case['name']}.npz") as golden:
        for n in range(case["nets"]):
            net = Net(f"{case['name']}.prototxt", case["phase"])
            check_shapes(net, golden)
            for k in range(case["forwards"]):
                net.forward()
                check_blobs(net, golden, f"@{n * case['forwards'] + k}")


def check_shapes(net, golden):
    for key in golden.files:
        kind, _, blob = key.partition(":")
        if kind == "setup_shape":
            assert net.blobs[blob].shape == tuple(golden[key])


def check_blobs(net, golden, end):
    for key in golden.files:
        if key.startswith("out:") and key.endswith(end):
            np.testing.assert_array_equal(net.blobs[key[4 : -len(end)]].data, golden[key])


@pytest.mark.parametrize("case", cases("hdf5_output"))
def test_what_hdf5_output_writes(case, tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    net_file = FOLDER / f"{case['name']}.prototxt"
    monkeypatch.chdir(tmp_path)
    with np.load(FOLDER / f"{case['name']}.npz") as golden:
        net = Net(net_file, case["phase"])
        for name in ("data", "label"):
            net.blobs[name].data[...] = golden[f"in:{name}"]
        net.forward()
        with h5py.File(case["file"]) as file:
            assert sorted(file) == ["data", "label"]
            for name in file:
                assert file[name].dtype == np.float32
                np.testing.assert_array_equal(file[name][...], golden[f"file:{name}"])


LOOKED_IN = f"(looked in {FOLDER}, {', '.join(map(str, FOLDER.parents))})"
FATAL = {
    "data_fatal_garbage": "record '0' of 'db/garbage_lmdb': not a Datum message: at byte 0: a number runs "
    "past "
    "the end",
    "data_fatal_lmdb_opened_as_leveldb": "data_param.backend is LEVELDB, its default, but 'db/raw_lmdb' is "
    "an "
    "LMDB: write 'backend: LMDB'",
    "data_fatal_missing_leveldb": f"no such file: 'db/no_such_leveldb' {LOOKED_IN}",
    "data_fatal_missing_source": f"no such file: 'db/no_such_lmdb' {LOOKED_IN}",
    "data_fatal_sizes_in_batch": "record '00000001' of 'db/sizes_lmdb' has shape (1, 4, 6), record "
    "'00000000' of "
    "the same batch has (1, 3, 7): make all records of one size, or batch_size 1",
    "hdf5_fatal_dataset": "'hdf5/onlydata.h5' has no data set 'label', which a top is named after; it has "
    "'data'",
    "hdf5_fatal_empty_list": "the list 'hdf5/none.txt' is empty: write the names of HDF5 files into it",
    "hdf5_fatal_later_file_missing": f"no such file: 'hdf5/zz.h5' {LOOKED_IN}",
    "hdf5_fatal_lengths": "the data sets of 'hdf5/lengths.h5' have different numbers of rows: 'data' 3, "
    "'label' 4",
    "hdf5_fatal_missing_file": f"no such file: 'hdf5/zz.h5' {LOOKED_IN}",
    "hdf5_fatal_no_list": f"no such file: 'hdf5/nolist.txt' {LOOKED_IN}",
    "hdf5_fatal_not_hdf5": "'hdf5/abc.txt' is not an HDF5 file",
    "hdf5_fatal_scalar": "data set 'data' of 'hdf5/scalar.h5' is one number without an axis: it needs rows",
    "hdf5_fatal_strings": "data set 'data' of 'hdf5/strings.h5' holds text: HDF5Data takes numbers",
    "hdf5_fatal_transform": "takes no transform_param: transform the values before they are written",
}


@pytest.mark.parametrize("case", cases("fatal"))
def test_where_caffe_ends_the_process(case):
    name = case["name"]
    with pytest.raises(PycaffeError) as raised:  # noqa: PT012 (some end only when they run)
        net = Net(f"{name}.prototxt", case["phase"])
        for _ in range(case["forwards"]):
            net.forward()
    kind = "HDF5Data" if name.startswith("hdf5") else "Data"
    assert str(raised.value) == f"{name}.prototxt:2: layer 'data' ({kind}): {FATAL[name]}"


def test_all_cases_are_there():
    assert sorted(FATAL) == sorted(case["name"] for case in CASES if case["kind"] == "fatal")
    assert len(CASES) == 88
