"""Small nets with data of their own, for ranks to train."""

import numpy as np

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2
from tests.paths import ROOT

RECORDS = 53  # no multiple of what ranks read in an iteration
BATCH = 3

DATA = """
    layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.0039 }
            data_param { source: "FOLDER/db" batch_size: 3 backend: LMDB } }
"""
# The two towers share their weights; there are two losses, one of half the weight.
SHARED = (
    'name: "shared"'
    + DATA
    + """
    layer { name: "half" type: "Slice" bottom: "data" top: "a" top: "b" slice_param { axis: 2 } }
    layer { name: "ip_a" type: "InnerProduct" bottom: "a" top: "fa" param { name: "w" } param { name: "bias" }
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "tanh_a" type: "TanH" bottom: "fa" top: "fa" }
    layer { name: "ip_b" type: "InnerProduct" bottom: "b" top: "fb" param { name: "w" } param { name: "bias" }
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "tanh_b" type: "TanH" bottom: "fb" top: "fb" }
    layer { name: "score_a" type: "InnerProduct" bottom: "fa" top: "sa"
            param { lr_mult: 1 } param { lr_mult: 2 }
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "score_b" type: "InnerProduct" bottom: "fb" top: "sb"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss_a" type: "SoftmaxWithLoss" bottom: "sa" bottom: "label" top: "loss_a" }
    layer { name: "loss_b" type: "SoftmaxWithLoss" bottom: "sb" bottom: "label" top: "loss_b"
            loss_weight: 0.5 }
"""
)
RULES = {
    "SGD": 'type: "SGD" base_lr: 0.05 momentum: 0.9 weight_decay: 0.001',
    "Adam": 'type: "Adam" base_lr: 0.002 momentum: 0.9 momentum2: 0.99 delta: 0.001',
}
SOLVER = (
    'net: "FOLDER/%s.prototxt" lr_policy: "fixed" max_iter: 4 random_seed: 7 snapshot_after_train: false %s'
)


def lenet():
    """LeNet's prototxt without its test data."""
    text = (ROOT / "models" / "lenet" / "lenet_train_test.prototxt").read_text()
    return text.replace("mnist_train_lmdb", "FOLDER/images").replace("batch_size: 64", "batch_size: 3")


def write_nets(folder):
    """Writes nets and databases."""
    chance = np.random.default_rng(3)
    for name, size in (("db", 8), ("images", 28)):
        images = chance.integers(0, 256, (RECORDS, 1, size, size), np.uint8)
        records = [
            caffe_pb2.Datum(channels=1, height=size, width=size, data=image.tobytes(), label=i % 4)
            for i, image in enumerate(images)
        ]
        write_lmdb(
            folder / name, [(f"{i:08}".encode(), d.SerializeToString()) for i, d in enumerate(records)]
        )
    for name, text in (("shared", SHARED), ("lenet", lenet())):
        (folder / f"{name}.prototxt").write_text(text.replace("FOLDER", str(folder)))
