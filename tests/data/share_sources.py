"""Sources of eleven records each, whose labels are 0 to 10."""

import h5py
import numpy as np
from PIL import Image

from pycaffe_lite.data.leveldb_writer import write_leveldb
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

COUNT = 11
KINDS = {
    "Data": 'name: "d" type: "Data" top: "data" top: "label" '
    'data_param { source: "FOLDER/lmdb" batch_size: 3 backend: LMDB }',
    "shuffled Data": 'name: "d" type: "Data" top: "data" top: "label" '
    'data_param { source: "FOLDER/lmdb" batch_size: 3 backend: LMDB shuffle: true }',
    "LevelDB": 'name: "d" type: "Data" top: "data" top: "label" '
    'data_param { source: "FOLDER/leveldb" batch_size: 3 }',
    "ImageData": 'name: "d" type: "ImageData" top: "data" top: "label" '
    'image_data_param { source: "FOLDER/list.txt" root_folder: "FOLDER/" batch_size: 3 }',
    "shuffled ImageData": 'name: "d" type: "ImageData" top: "data" top: "label" '
    'image_data_param { source: "FOLDER/list.txt" root_folder: "FOLDER/" batch_size: 3 shuffle: true }',
    "HDF5Data": 'name: "d" type: "HDF5Data" top: "data" top: "label" '
    'hdf5_data_param { source: "FOLDER/files.txt" batch_size: 3 }',
    "shuffled HDF5Data": 'name: "d" type: "HDF5Data" top: "data" top: "label" '
    'hdf5_data_param { source: "FOLDER/files.txt" batch_size: 3 shuffle: true }',
}


def write_sources(folder):
    """Writes a database of each kind, pictures with a list, and HDF5 files."""
    records = [
        (f"{i:04}".encode(), caffe_pb2.Datum(channels=1, height=2, width=2, data=b"abcd", label=i))
        for i in range(COUNT)
    ]
    stored = [(key, datum.SerializeToString()) for key, datum in records]
    write_lmdb(folder / "lmdb", stored)
    write_leveldb(folder / "leveldb", stored)
    for i in range(COUNT):
        Image.new("RGB", (2, 2), (i, i, i)).save(folder / f"{i}.png")
    (folder / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(COUNT)))
    for name, rows in (("a", np.arange(4)), ("b", np.arange(4, COUNT))):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"] = np.zeros((len(rows), 2), np.float32)
            file["label"] = rows.astype(np.float32)
    (folder / "files.txt").write_text(f"{folder}/a.h5\n{folder}/b.h5\n")
