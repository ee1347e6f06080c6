"""convert-imageset beyond Caffe's own runs (test_golden_tools.py): stopped, taken up again, and bad input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite.data import image, leveldb_writer, lmdb_writer
from pycaffe_lite.data.database import open_any
from pycaffe_lite.data.new_database import _alone

COUNT = 10


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with pictures 0.png to 9.png, all of one size, and list.txt, labels 0 to 9."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).save(f"{i}.png")
    Path("list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(COUNT)))
    return tmp_path


@pytest.fixture
def stopped(monkeypatch):
    """stopped(n): the next conversion commits each 3 records, and Ctrl-C comes at the n-th picture."""
    read = image.read

    def stop(number):
        monkeypatch.setattr(lmdb_writer, "_RECORDS_PER_COMMIT", 3)
        monkeypatch.setattr(leveldb_writer, "_RECORDS_PER_COMMIT", 3)
        reads = iter(range(10**6))

        def read_or_stop(path, color=None):
            if next(reads) >= number:
                raise KeyboardInterrupt
            return read(path, color)

        monkeypatch.setattr(image, "read", read_or_stop)

    yield stop
    monkeypatch.setattr(image, "read", read)


def convert(run, *options):
    return run("convert-imageset", *options, "./", "list.txt", "db")


def records(path="db"):
    _, reader = open_any(Path(path))
    return reader.read(reader.count())


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
@pytest.mark.parametrize("shuffle", [[], ["--shuffle"]])
def test_it_is_taken_up_again(folder, run, stopped, monkeypatch, backend, shuffle):
    options = ["-backend", backend, *shuffle]
    with monkeypatch.context():
        stopped(8)
        result = convert(run, *options)
    assert result.code == 130
    assert result.err[-1] == "Interrupted: 'db' is unfinished; the same command with --resume goes on."
    assert not result.out
    assert json.loads(Path("db/CONVERSION").read_text())["records"] is None
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    result = convert(run, *options, "--resume")
    assert result.code == 0
    assert result.out == ["db: 10 records"]
    assert result.messages[-1] == "Processed 10 files."
    assert json.loads(Path("db/CONVERSION").read_text())["records"] == 10
    found = records()
    assert [key[:9] for key, _ in found] == [b"%08d_" % i for i in range(COUNT)]
    assert len({key[9:] for key, _ in found}) == COUNT
    if not shuffle:
        run("convert-imageset", "./", "list.txt", "whole")
        assert found == records("whole")


def test_an_unfinished_database_is_refused(folder, run, fails, stopped, monkeypatch):
    with monkeypatch.context():
        stopped(5)
        convert(run)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    refusal = (
        "Error: 'db' is unfinished: convert-imageset, which writes it, is at work or was stopped; run it "
        "again "
        "with --resume"
    )
    assert fails("compute-image-mean", "db", "mean.binaryproto") == refusal
    assert fails("db", "info", "db") == refusal
    assert fails("convert-imageset", "./", "list.txt", "db") == (
        "Error: cannot make 'db': it is there, unfinished; go on with it by --resume, or delete it"
    )
    assert fails("convert-imageset", "--resume", "--gray", "./", "list.txt", "db") == (
        "Error: cannot go on with 'db': it was begun with another gray; give the same, or delete it"
    )
    with _alone(Path("db")):
        message = fails("convert-imageset", "--resume", "./", "list.txt", "db")
    assert message == "Error: another process is writing 'db': wait for it, or end it"


def test_what_cannot_be_taken_up_again(folder, run, fails):
    convert(run)
    assert fails("convert-imageset", "--resume", "./", "list.txt", "db") == (
        "Error: 'db' is whole: it holds 10 records, and nothing is left to do"
    )
    Path("db/CONVERSION").unlink()
    assert fails("convert-imageset", "--resume", "./", "list.txt", "db") == (
        "Error: cannot go on with 'db': convert-imageset has not begun it; name another, or delete it"
    )


def test_another_root_is_another_conversion(folder, run, fails, stopped, monkeypatch):
    """ROOT is put before each name as it is: without its slash the rest would be skipped."""
    stopped(8)
    run("convert-imageset", f"{folder}/", "list.txt", "db")
    assert fails("convert-imageset", "--resume", f"{folder}", "list.txt", "db") == (
        "Error: cannot go on with 'db': it was begun with another root; give the same, or delete it"
    )
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert convert(run, "--resume").code == 0


def test_resuming_what_is_not_there_begins_it(folder, run):
    assert convert(run, "--resume").out == ["db: 10 records"]


def test_a_killed_process(folder, program, environment):
    """SIGKILL, while it converts: what is left is marked, and can be gone on with."""
    Path("long.txt").write_text("".join(f"{i % COUNT}.png {i}\n" for i in range(200_000)))
    command = [*program, "convert-imageset", "--backend", "leveldb", "./", "long.txt", "db"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        log_file, deadline = Path("db/000003.log"), time.monotonic() + 60
        # 1000 records, which are a batch, take about 80 KB.
        while not (log_file.exists() and log_file.stat().st_size > 200_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert json.loads(Path("db/CONVERSION").read_text())["records"] is None
    writer = leveldb_writer.LevelDbWriter(Path("db"))
    assert writer.records
    assert writer.records % 1000 == 0
    writer.close()


# ------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        ([], 3),
        (["--gray"], 1),
        (["-gray"], 1),
        (["--gray=true"], 1),
        (["-gray=1"], 1),
        (["--gray=false"], 3),
        (["--nogray"], 3),
        (["--gray", "--nogray"], 3),
    ],
)
def test_gflags_booleans(folder, run, options, channels):
    assert convert(run, *options).code == 0
    assert records()[0][1].startswith(bytes([8, channels, 16, 4, 24, 5]))


def test_other_values_for_a_boolean(folder, run):
    result = convert(run, "--gray=maybe")
    assert (result.code, result.err) == (2, ["Error: Option '--gray' does not take a value."])


def test_shuffling(folder, run):
    result = convert(run, "--shuffle")
    assert result.messages[:2] == ["Shuffling data", "A total of 10 images."]
    found = records()
    assert sorted(key[9:] for key, _ in found) == [b"%d.png" % i for i in range(COUNT)]


# ----------------------------------------------------------------------------------------------- bad input


def test_pictures_that_cannot_be_read(folder, run):
    Path("3.png").write_text("no picture")
    Path("5.png").unlink()
    result = convert(run)
    assert result.code == 0
    assert result.out == ["db: 8 records, 2 pictures skipped"]
    assert result.messages == [
        "A total of 10 images.",
        "Could not open or find file ./3.png",
        "picture '3.png': its 10 bytes are not those of an image",
        "Could not open or find file ./5.png",
        "Processed 8 files.",
    ]


def test_a_root_without_its_slash(folder, run):
    Path("pictures").mkdir()
    result = run("convert-imageset", "pictures", "list.txt", "db")
    assert result.code == 0
    assert result.out == [
        "db: 0 records, 10 pictures skipped",
        "ROOT is put before each name as it is: is it 'pictures/'?",
    ]


def test_a_missing_list(folder, run):
    result = run("convert-imageset", "./", "none.txt", "db")
    assert (result.code, result.out) == (0, ["db: 0 records"])
    assert result.messages[0] == "no such file: 'none.txt'; the database will be empty, as in Caffe"


def test_pictures_of_other_sizes(folder, fails):
    Image.new("RGB", (5, 5)).save("4.png")
    assert fails("convert-imageset", "--check_size", "./", "list.txt", "db") == (
        "Error: picture './4.png' gives 75 bytes, the first one 60 values: make all of one size, or leave "
        "out "
        "--check_size"
    )


def test_nothing_stays_where_nothing_was_saved(folder, fails, run):
    """So the same command can be given again with other options."""
    fails("convert-imageset", "--encode_type", "xyz", "./", "list.txt", "db")
    assert not Path("db").exists()
    assert convert(run).code == 0


def test_a_kind_of_file_that_cannot_be_written(folder, fails):
    assert fails("convert-imageset", "--encode_type", "xyz", "./", "list.txt", "db") == (
        "Error: picture './0.png' cannot be encoded as 'xyz': give an --encode_type out of jpg, jpeg, jpe, "
        "tif, "
        "tiff, png, bmp, webp"
    )


def test_a_place_that_is_not_there(folder, fails):
    assert fails("convert-imageset", "./", "list.txt", "a/db") == (
        "Error: cannot make 'a/db': No such file or directory"
    )


def test_too_many_pixels(folder, run):
    result = convert(run, "--max_pixels", "10")
    image._max_pixels = None
    assert result.out == ["db: 0 records, 10 pictures skipped"]
    assert result.messages[2] == (
        "picture '0.png': it has 5 x 4 pixels, more than 10; to read it all the same, give --max_pixels or "
        "set "
        "PYCAFFE_LITE_MAX_PIXELS"
    )


def test_a_full_disk(folder, fails, limited, monkeypatch):
    monkeypatch.setattr(leveldb_writer, "_RECORDS_PER_COMMIT", 300)
    Path("long.txt").write_text("".join(f"{i % COUNT}.png {i}\n" for i in range(2000)))
    line = fails("convert-imageset", "--backend", "leveldb", "./", "long.txt", "db")
    assert line == "Error: cannot write 'db': File too large"
    assert json.loads(Path("db/CONVERSION").read_text())["records"] is None


def test_without_pillow(folder, fails, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    line = fails("convert-imageset", "./", "list.txt", "db")
    assert line.startswith("Error: reading pictures needs Pillow, which is not installed; ")
    assert not Path("db").exists()
