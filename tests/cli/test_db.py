"""db info, head and export."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto.caffe_pb2 import Datum

DB = FIXTURES / "data_layers" / "db"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_info(run):
    assert run("db", "info", DB / "raw_leveldb_log", level=1) == (
        0,
        [
            "kind:     LevelDB",
            "records:  7, 0.00152 MiB",
            "keys:     '00000000' to '00000006'",
            "values:   bytes",
            "shapes:   3 x 8 x 9",
            "labels:   5, from 0 to 4",
            *[f"{label}  {count}  {'█' * (37 * count)}" for label, count in enumerate([2, 1, 1, 2, 1])],
        ],
        [],
    )


def test_info_of_records_of_all_kinds(run):
    out = run("db", "info", DB / "encoded_jpg_lmdb", level=1).out
    assert "kind:     LMDB" in out
    assert "values:   JPEG" in out
    out = run("db", "info", DB / "sizes_lmdb", level=1).out
    (shapes,) = [line for line in out if line.startswith("shapes:")]
    assert "1 x 3 x 7 (1 records)" in shapes
    out = run("db", "info", DB / "float_and_bytes_lmdb", level=1).out
    (values,) = [line for line in out if line.startswith("values:")]
    assert sorted(re.findall(r"[a-z]+(?= \()", values)) == ["bytes", "floats"]


def test_bars(run, tmp_path):
    Path("list.txt").write_text("".join(f"a.png {i % 3 + i // 9}\n" for i in range(12)))
    Image.new("RGB", (2, 2)).save("a.png")
    run("convert-imageset", "./", "list.txt", "many")
    bars = run("db", "info", "many").out[6:]
    assert [line[:4] for line in bars] == ["0  3", "1  4", "2  4", "3  1"]
    assert [line.count("█") for line in bars] == [55, 74, 74, 18]


def test_info_of_what_is_no_database(fails):
    assert fails("db", "info", "none") == "Error: 'none' is not a database: there is nothing of this name"
    message = "'0' of '{}': not a Datum message: Error parsing message with type 'caffe.Datum'"
    line = fails("db", "info", DB / "garbage_lmdb")
    assert line.startswith(f"Error: record {message.format(DB / 'garbage_lmdb')[:40]}")


def test_head(run):
    result = run("db", "head", DB / "encoded_odd_lmdb", "a.png", "--count", 4, level=1)
    assert result == (0, ["wrote a.png: 4 records"], [])
    with Image.open("a.png") as sheet:
        assert sheet.size == (4 * 118 + 6, 132 + 6)
        colors = np.asarray(sheet)
    assert (colors != 255).any()


def test_head_of_16_bits(run):
    """Which a net takes only in forced colours; a picture to look at is one all the same."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 200 * 257, np.uint16)).save(file, "PNG")
    write_lmdb(Path("db"), [(b"a", Datum(encoded=True, data=file.getvalue()).SerializeToString())])
    assert run("db", "head", "db", "a.png", level=1).code == 0
    with Image.open("a.png") as sheet:
        assert sheet.getpixel((60, 60)) == (200, 200, 200)


def test_head_of_floats_and_of_fewer_records(run):
    result = run("db", "head", DB / "float_lmdb", "a.png", level=1)
    assert result.out == ["wrote a.png: 4 records"]


@pytest.mark.parametrize("name", ["raw_lmdb", "encoded_png_lmdb"])
def test_what_is_exported_can_be_converted(run, name):
    count = int(run("db", "export", DB / name, "files", level=1).out[0].split()[2])
    assert sorted(path.suffix for path in Path("files").iterdir()) == sorted([".png"] * count + [".txt"])
    run("convert-imageset", "--encoded", "files/", "files/list.txt", "again")
    first = run("compute-image-mean", DB / name, level=1).out
    assert run("compute-image-mean", "again", level=1).out == first


def test_floats_are_exported_as_arrays(run):
    assert run("db", "export", DB / "float_lmdb", "files", "--count", 2, level=1).out == [
        "wrote files: 2 files and list.txt"
    ]
    arrays = [path for path in Path("files").iterdir() if path.suffix == ".npy"]
    assert len(arrays) == 2
    assert np.load(arrays[0]).dtype == np.float32


def test_a_folder_with_something_in_it(fails):
    Path("files").mkdir()
    Path("files/mine").touch()
    assert fails("db", "export", DB / "raw_lmdb", "files") == (
        "Error: cannot write into 'files': there is something in it; name another folder"
    )


def test_keys_with_slashes(run):
    Path("cat").mkdir()
    Image.new("RGB", (2, 2)).save("cat/a b.png")
    Path("list.txt").write_text("cat/a b.png 1\n")
    run("convert-imageset", "./", "list.txt", "db")
    run("db", "export", "db", "files")
    assert Path("files/list.txt").read_text() == "00000000_cat_a b.png 1\n"
    assert Path("files/00000000_cat_a b.png").exists()


def test_keys_of_one_file_name(run):
    datums = [(key, Datum(encoded=True, data=key, label=1)) for key in (b"a/b", b"a:b")]
    write_lmdb(Path("db"), [(key, datum.SerializeToString()) for key, datum in datums])
    run("db", "export", "db", "files")
    assert Path("files/list.txt").read_text() == "a_b.bin 1\na_b_2.bin 1\n"
    assert Path("files/a_b_2.bin").read_bytes() == b"a:b"


def test_without_pillow(fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    line = fails("db", "head", DB / "raw_lmdb", "a.png")
    assert line.startswith("Error: writing pictures needs Pillow, which is not installed; ")
