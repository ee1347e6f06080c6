"""extract-features: bad input; what it writes is in test_golden_tools.py."""

from pathlib import Path

import pytest
from paths import FIXTURES

from pycaffe_lite.data.database import open_any
from pycaffe_lite.proto import caffe_pb2

FOLDER = FIXTURES / "data_layers"
FILES = ("features.caffemodel", "features.prototxt")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("db", *FILES):
        (tmp_path / name).symlink_to(FOLDER / name)
    monkeypatch.chdir(tmp_path)


def test_results(run):
    result = run("extract_features", *FILES, "ip,conv", "a,b", 2, "lmdb", level=3)
    assert result == (0, ["a: 4 records", "b: 4 records"], [])


def test_a_loss_is_one_record_of_each_batch(run):
    """A blob without axes, whose missing axes count as 1."""
    loss = 'layer { name: "sum" type: "Reduction" bottom: "ip" top: "sum" }\n'
    Path("net.prototxt").write_text(Path(FILES[1]).read_text() + loss)
    assert run("extract-features", FILES[0], "net.prototxt", "sum", "a", 3, "lmdb", level=2).code == 0
    _, reader = open_any(Path("a"))
    datums = [caffe_pb2.Datum.FromString(value) for _, value in reader.read(reader.count())]
    assert [(d.channels, d.height, d.width, len(d.float_data)) for d in datums] == [(1, 1, 1, 1)] * 3


def test_an_unknown_blob(run):
    result = run("extract-features", *FILES, "nothing", "a", 1, "lmdb", level=2)
    assert result.code == 1
    names = "data, label, data_data_0_split_0, data_data_0_split_1, ip, conv, flat"
    assert result.err[-1] == f"Error: the net has no blob 'nothing'; it has {names}"
    assert not Path("a").exists()


def test_other_numbers_of_blobs_and_databases(run):
    result = run("extract-features", *FILES, "ip,conv", "a", 1, "lmdb")
    message = "Error: There are 2 blobs and 1 databases: give one database for each blob."
    assert (result.code, result.err[-1]) == (2, message)


def test_a_database_that_is_there(run):
    Path("a").mkdir()
    result = run("extract-features", *FILES, "ip", "a", 1, "lmdb", level=2)
    assert (result.code, result.err[-1]) == (
        1,
        "Error: cannot make 'a': it is there already; name another, or delete it",
    )


def test_an_interruption(run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pycaffe_lite.net.features._messages", stop)
    result = run("extract-features", *FILES, "ip", "a", 1, "lmdb", level=2)
    assert (result.code, result.err[-1]) == (130, "Interrupted.")
    monkeypatch.undo()


def test_gpu_is_said_to_be_ignored(run, monkeypatch):
    result = run("extract-features", *FILES, "ip", "a", 1, "lmdb", "GPU", 0, level=1)
    assert result.messages[0] == "There is no GPU support: GPU 0 is ignored"
