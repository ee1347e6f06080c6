"""What Caffe's own cases (test_golden_tools.py) leave open."""

from pathlib import Path

import pytest
from paths import FIXTURES

DB = FIXTURES / "data_layers" / "db"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_either_kind_of_database(run):
    """The kind is found out."""
    names = "raw_lmdb", "raw_leveldb_log"
    lmdb, leveldb = (run("compute_image_mean", DB / name, "m.binaryproto") for name in names)
    assert lmdb.code == leveldb.code == 0
    assert lmdb.out == leveldb.out
    assert lmdb.out[0] == "mean_value channel [0]: 129.657"
    assert lmdb.out[-1] == "wrote m.binaryproto"


def test_the_other_kind(fails):
    assert fails("compute-image-mean", "-backend", "leveldb", DB / "raw_lmdb") == (
        f"Error: '{DB}/raw_lmdb' is an LMDB, not a LevelDB: give --backend lmdb"
    )


def test_records_of_other_sizes(fails):
    assert fails("compute-image-mean", DB / "sizes_lmdb", "m.binaryproto") == (
        f"Error: record '00000001' of '{DB}/sizes_lmdb' has shape (1, 4, 6), the first has (1, 3, 7): a mean "
        "needs "
        "records of one size; convert-imageset makes them with --resize_height and --resize_width"
    )
    assert not Path("m.binaryproto").exists()


def test_no_datum(fails):
    assert fails("compute-image-mean", DB / "garbage_lmdb") == (
        f"Error: record '0' of '{DB}/garbage_lmdb': not a Datum message: at byte 0: a number runs past the "
        "end"
    )


def test_without_a_file_the_means_of_channels_are_printed_alone(run):
    result = run("compute-image-mean", DB / "raw_lmdb", level=2)
    assert (result.code, result.err) == (0, [])
    assert [line.partition(":")[0] for line in result.out] == [f"mean_value channel [{c}]" for c in range(3)]
    assert not list(Path().iterdir())
