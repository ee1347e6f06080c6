"""Records in a list, for tests of what is made of a database's."""

from pathlib import Path

from pycaffe_lite.proto import caffe_pb2


class ListReader:
    """Goes through a list of records as readers of databases do."""

    path = Path("db")

    def __init__(self, records):
        self.records = list(records)
        self.place = 0

    @property
    def key(self):
        return self.peek()[0]

    def peek(self):
        return self.records[self.place]

    def read(self, count):
        found = [self.records[(self.place + i) % len(self.records)] for i in range(count)]
        self.place = (self.place + count) % len(self.records)
        return found

    def count(self):
        return len(self.records)


def datum(values, label=0):
    """The message of an array, (C, H, W) uint8 or float32, or of a picture file's bytes."""
    if isinstance(values, bytes):
        return caffe_pb2.Datum(data=values, encoded=True, label=label).SerializeToString()
    message = caffe_pb2.Datum(label=label)
    message.channels, message.height, message.width = values.shape
    if values.dtype == "uint8":
        message.data = values.tobytes()
    else:
        message.float_data.extend(values.ravel().tolist())
    return message.SerializeToString()
