import contextlib

import pytest

from pycaffe_lite.data.conversion import Mark, read_mark, write_mark
from pycaffe_lite.data.database import open_any
from pycaffe_lite.data.new_database import earlier_settings, growing_database, write_database
from pycaffe_lite.errors import DataError

BOTH = pytest.mark.parametrize("backend", ["lmdb", "leveldb"])


@BOTH
def test_at_once(tmp_path, backend):
    seen = []

    @contextlib.contextmanager
    def watch(name, count):
        seen.append((name, count))
        yield lambda: seen.append("done")

    records = [(b"a", b"1"), (b"b", b"2")]
    assert write_database(tmp_path / "db", records, backend, 2, watch) == 2
    assert seen == [("db", 2), "done", "done"]
    assert open_any(tmp_path / "db", backend)[1].count() == 2
    assert read_mark(tmp_path / "db") is None


def grow(path, backend="lmdb", settings=None, stop=False, keys=(b"a",), **options):
    """Grows a database by some records; with `stop`, it fails behind them."""
    with growing_database(path, backend, "tool", settings, **options) as writer:
        for key in keys:
            writer.put(key, b"value")
        if stop:
            writer.commit()
            raise KeyboardInterrupt
    return writer


@BOTH
def test_one_that_is_stopped_is_marked_and_can_be_gone_on_with(tmp_path, backend):
    path = tmp_path / "db"
    with pytest.raises(KeyboardInterrupt):
        grow(path, backend, {"n": 3}, stop=True)
    assert read_mark(path) == Mark("tool", {"n": 3})
    assert earlier_settings(path, "tool") == {"n": 3}
    writer = grow(path, backend, {"n": 3}, keys=(b"b", b"c"), resume=True)
    assert writer.records == 3
    assert read_mark(path) == Mark("tool", {"n": 3}, 3)
    assert open_any(path, backend)[1].count() == 3


def test_resuming_what_is_not_there_begins_it(tmp_path):
    assert earlier_settings(tmp_path / "db", "tool") is None
    assert grow(tmp_path / "db", settings={}, resume=True).records == 1
    (tmp_path / "empty").mkdir()
    assert grow(tmp_path / "empty", settings={}, resume=True).records == 1


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        (Mark("other", {}), "cannot go on with '.*': tool has not begun it; name another, or delete it"),
        (Mark("tool", None), "tool has not begun it"),
        (Mark("tool", {"n": 4}), "cannot go on with '.*': it was begun with another n; give the same"),
        (Mark("tool", {"n": 3}, 7), "is whole: it holds 7 records, and nothing is left to do"),
    ],
)
def test_what_cannot_be_gone_on_with(tmp_path, mark, says):
    (tmp_path / "db").mkdir()
    write_mark(tmp_path / "db", mark)
    with pytest.raises(DataError, match=says):
        grow(tmp_path / "db", settings={"n": 3}, resume=True)


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        (None, "it is there already; name another, or delete it"),
        (Mark("tool", {}), "it is there, unfinished; go on with it by --resume, or delete it"),
        (Mark("tool", None), "it is there already"),
    ],
)
def test_without_resume_nothing_is_touched(tmp_path, mark, says):
    (tmp_path / "db").mkdir()
    if mark:
        write_mark(tmp_path / "db", mark)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=rf"^cannot make '.*': {says}"):
        grow(tmp_path / "db")
    assert sorted(tmp_path.rglob("*")) == before


def test_one_writer_at_a_time(tmp_path):
    with (
        growing_database(tmp_path / "db", "lmdb", "tool", {}),
        pytest.raises(DataError, match=r"another process is writing '.*db': wait for it, or end it"),
    ):
        grow(tmp_path / "db", settings={}, resume=True)
