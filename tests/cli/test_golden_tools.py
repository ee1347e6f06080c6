"""The tools that make data against BVLC Caffe's own programs: their databases, mean files and log lines.

The cases, with command line, exit status, log lines and records, are those of kind `tool` in
`tests/fixtures/data_layers/databases.json`; pixels, features and means are in an .npz for each.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image

from pycaffe_lite.data.database import open_any
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.proto import caffe_pb2

FOLDER = FIXTURES / "data_layers"
CASES = [case for case in json.loads((FOLDER / "databases.json").read_text()) if case["kind"] == "tool"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("images", "db", "features.prototxt", "features.caffemodel"):
        (tmp_path / name).symlink_to(FOLDER / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_tool(case, run):
    result = run(*case["argv"])
    assert (result.code == 0) == (case["status"] == 0)
    if case["status"] == 0:
        messages = iter(result.messages)
        for wanted in case["messages"]:  # ours may say more in between
            assert wanted in messages
        for name, wanted in case.get("db", {}).items():
            check_database(name, wanted, arrays_of(case["name"]))
        if "blobproto" in case:
            check_mean(case)


def arrays_of(name):
    path = FOLDER / f"{name}.npz"
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files}


def check_database(name, wanted, arrays):
    if not wanted["records"]:
        assert Path(name).is_dir()
        return
    kind, reader = open_any(Path(name))
    assert kind == wanted["backend"]
    records = reader.read(reader.count())
    assert [key.decode("latin-1") for key, _ in records] == [record["key"] for record in wanted["records"]]
    for (_, value), record in zip(records, wanted["records"], strict=True):
        check_record(value, record, arrays.get(f"data:{name}:{record['key']}"))
        floats = arrays.get(f"float:{name}:{record['key']}")
        if floats is not None:
            found = caffe_pb2.Datum.FromString(value).float_data
            np.testing.assert_allclose(found, floats.ravel(), rtol=1e-5, atol=1e-6 * abs(floats).max())


def check_record(value, record, data):
    datum = caffe_pb2.Datum.FromString(value)
    fields = {field.name: content for field, content in datum.ListFields()}
    fields.pop("data", None)
    fields.pop("float_data", None)
    assert fields == record["fields"]
    if datum.encoded and data is not None:  # encoded anew: encoders may differ, the picture may not
        check_picture(datum.data, data.tobytes())
    elif not datum.float_data:
        assert hashlib.sha256(value).hexdigest()[:16] == record["sha256"]


def check_picture(found, wanted):
    difference = np.subtract(*(np.asarray(Image.open(io.BytesIO(x)), np.int64) for x in (found, wanted)))
    assert abs(difference).max() <= (0 if wanted.startswith(b"\x89PNG") else 8)


def check_mean(case):
    file = case["blobproto"]["file"]
    np.testing.assert_array_equal(binaryproto.read(file), arrays_of(case["name"])[f"blob:{file}"])
    message = caffe_pb2.BlobProto.FromString(Path(file).read_bytes())
    assert sorted(field.name for field, _ in message.ListFields()) == case["blobproto"]["fields"]


def test_all_cases_are_there():
    assert len(CASES) == 38
