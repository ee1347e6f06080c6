"""The first images of MNIST, as records of a database."""

import gzip

from paths import ROOT

from pycaffe_lite.proto import caffe_pb2

MNIST = ROOT / "models" / "lenet" / "mnist"


def first_records(kind, count):
    """The keys and Datums of the first images of MNIST; kind: train or t10k."""
    pixels = gzip.decompress((MNIST / f"{kind}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((MNIST / f"{kind}-labels-idx1-ubyte.gz").read_bytes())[8:]
    for i in range(count):
        image = pixels[784 * i : 784 * (i + 1)]
        datum = caffe_pb2.Datum(channels=1, height=28, width=28, data=image, label=labels[i])
        yield b"%08d" % i, datum.SerializeToString()
