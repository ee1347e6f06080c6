import re

import pytest

from pycaffe_lite.data.database import open_database
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import DataParameter


def test_lmdb(caffe_lmdb):
    assert open_database(caffe_lmdb, DataParameter.LMDB).key == b"00000000"


def refuses(message, *args):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        open_database(*args)


def test_leveldb_is_not_supported(tmp_path):
    (tmp_path / "CURRENT").touch()
    refuses(
        f"data_param.backend is LEVELDB, which is not supported: convert '{tmp_path}' to an LMDB and write "
        "'backend: LMDB'",
        tmp_path,
        DataParameter.LEVELDB,
    )
    refuses(
        f"'{tmp_path}' is a LevelDB, which is not supported: convert it to an LMDB",
        tmp_path,
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


@pytest.mark.parametrize("backend", [DataParameter.LMDB, DataParameter.LEVELDB])
def test_a_file_of_the_database_for_its_folder(caffe_lmdb, backend):
    file = caffe_lmdb / "data.mdb"
    message = f"'{file}' is not a database: name the folder '{caffe_lmdb}', not its data.mdb"
    refuses(message, file, backend)


def test_a_file_for_the_folder(tmp_path):
    (tmp_path / "train.txt").touch()
    message = f"'{tmp_path}/train.txt' is not a database: a database is a folder"
    refuses(message, tmp_path / "train.txt", DataParameter.LMDB)
