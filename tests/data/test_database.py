import re

import pytest
from paths import FIXTURES

from pycaffe_lite.data.conversion import Mark, write_mark
from pycaffe_lite.data.database import open_any, open_database
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import DataParameter

DB = FIXTURES / "data_layers" / "db"


def test_lmdb(caffe_lmdb):
    assert open_database(caffe_lmdb, DataParameter.LMDB).key == b"00000000"


def refuses(message, *args):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        open_database(*args)


def test_leveldb():
    assert open_database(DB / "raw_leveldb_log", DataParameter().backend).key == b"00000000"


def test_a_leveldb_as_an_lmdb():
    path = DB / "raw_leveldb_log"
    refuses(
        f"data_param.backend is LMDB, but '{path}' is a LevelDB: write 'backend: LEVELDB'",
        path,
        DataParameter.LMDB,
    )


def test_the_default_backend_on_an_lmdb(caffe_lmdb):
    refuses(
        f"data_param.backend is LEVELDB, its default, but '{caffe_lmdb}' is an LMDB: write 'backend: LMDB'",
        caffe_lmdb,
        DataParameter().backend,
    )


def test_no_database(tmp_path):
    refuses(f"'{tmp_path}' is not an LMDB: it holds no file data.mdb", tmp_path, DataParameter.LMDB)
    message = f"cannot read LevelDB '{tmp_path}': it holds no file CURRENT"
    refuses(message, tmp_path, DataParameter.LEVELDB)


@pytest.mark.parametrize("backend", [DataParameter.LMDB, DataParameter.LEVELDB])
def test_a_file_of_the_database_for_its_folder(caffe_lmdb, backend):
    file = caffe_lmdb / "data.mdb"
    message = f"'{file}' is not a database: name the folder '{caffe_lmdb}', not its data.mdb"
    refuses(message, file, backend)


def test_a_file_for_the_folder(tmp_path):
    (tmp_path / "train.txt").touch()
    message = f"'{tmp_path}/train.txt' is not a database: a database is a folder"
    refuses(message, tmp_path / "train.txt", DataParameter.LMDB)


def test_either_kind():
    for name, kind in (("raw_lmdb", "lmdb"), ("raw_leveldb_snappy", "leveldb")):
        for backend in (None, kind):
            found, reader = open_any(DB / name, backend)
            assert found == kind
            assert reader.count() == 7


@pytest.mark.parametrize(
    ("name", "backend", "message"),
    [
        ("raw_lmdb", "leveldb", "'{}' is an LMDB, not a LevelDB: give --backend lmdb"),
        ("raw_leveldb_log", "lmdb", "'{}' is a LevelDB, not an LMDB: give --backend leveldb"),
        ("no_db", None, "'{}' is not a database: there is nothing of this name"),
        (".", None, "'{}' is neither an LMDB nor a LevelDB: it holds no data.mdb and no CURRENT"),
    ],
)
def test_another_kind_than_wanted(name, backend, message):
    with pytest.raises(DataError) as raised:
        open_any(DB / name, backend)
    assert str(raised.value) == message.format(DB / name)


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [({"gray": False}, "run it again with --resume"), (None, "delete it and run it again")],
)
def test_a_database_that_is_not_finished(caffe_lmdb, settings, remedy):
    write_mark(caffe_lmdb, Mark("convert-imageset", settings))
    refuses(
        f"'{caffe_lmdb}' is unfinished: convert-imageset, which writes it, is at work or was stopped; "
        f"{remedy}",
        caffe_lmdb,
        DataParameter.LMDB,
    )
    write_mark(caffe_lmdb, Mark("convert-imageset", settings, records=200))
    assert open_database(caffe_lmdb, DataParameter.LMDB).count() == 200


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_mark(caffe_lmdb, content):
    (caffe_lmdb / "CONVERSION").write_text(content)
    refuses(f"'{caffe_lmdb}/CONVERSION' is damaged: make the database again", caffe_lmdb, DataParameter.LMDB)
