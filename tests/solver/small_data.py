"""A small database and a net that reads it with everything random, for tests of resuming."""

import numpy as np

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

RECORDS = 23

NET = """
    name: "random"
    layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
            transform_param { crop_size: 6 mirror: true scale: 0.0039 }
            data_param { source: "FOLDER/db" batch_size: 5 backend: LMDB } }
    layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST not_stage: "noise" }
            transform_param { crop_size: 6 mirror: true scale: 0.0039 }
            data_param { source: "FOLDER/db" batch_size: 3 backend: LMDB } }
    layer { name: "data" type: "DummyData" top: "data" top: "label" include { phase: TEST stage: "noise" }
            dummy_data_param { shape { dim: 3 dim: 1 dim: 6 dim: 6 } shape { dim: 3 }
                               data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" } } }
    layer { name: "drop" type: "Dropout" bottom: "data" top: "drop" dropout_param { dropout_ratio: 0.3 } }
    layer { name: "ip1" type: "InnerProduct" bottom: "drop" top: "h"
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "norm" type: "BatchNorm" bottom: "h" top: "h" }
    layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
    layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "score"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""

SOLVER = """
    type: "%(type)s" net: "%(folder)s/net.prototxt" snapshot_prefix: "%(folder)s/s" random_seed: 5
    base_lr: 0.01 lr_policy: "multistep" gamma: 0.5 stepvalue: 4 stepvalue: 9 momentum: %(momentum)s
    weight_decay: 0.001 average_loss: 4 iter_size: 2 max_iter: %(max_iter)d snapshot: %(snapshot)d
    test_iter: 2 test_iter: 3 test_interval: 3 test_state { } test_state { stage: "noise" } display: 4
"""


def write_database(folder, records=RECORDS, first=0, seed=1):
    """Writes the database `db` of random images; their keys count from `first`."""
    images = np.random.default_rng(seed).integers(0, 256, (records, 1, 8, 8), np.uint8)
    datums = [
        caffe_pb2.Datum(channels=1, height=8, width=8, data=image.tobytes(), label=i % 4)
        for i, image in enumerate(images)
    ]
    write_lmdb(
        folder / "db", [(f"{first + i:08}".encode(), d.SerializeToString()) for i, d in enumerate(datums)]
    )


def write_files(folder, **values):
    """Writes database, net and solver; returns the solver's path."""
    if not (folder / "db").exists():
        write_database(folder)
    (folder / "net.prototxt").write_text(NET.replace("FOLDER", str(folder)))
    values = {"type": "SGD", "max_iter": 12, "snapshot": 5, "folder": folder, **values}
    values["momentum"] = 0 if values["type"] in ("AdaGrad", "RMSProp") else 0.9
    path = folder / "solver.prototxt"
    path.write_text(SOLVER % values)
    return path
