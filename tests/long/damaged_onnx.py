"""Damaged ONNX models: each is imported, or refused in one line, in bounded time and memory.

    python tests/long/damaged_onnx.py [--seed 0] [--files 2000]

Half of the files are cut off or have bytes turned; in the others attributes, shapes, names and values are
replaced. Nets that are not too large are run as well.
"""

import argparse
import contextlib
import glob
import logging
import random
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.export import from_onnx
from pycaffe_lite.export.importing import operators
from pycaffe_lite.export.importing.node import known_operators

MODELS = sorted(glob.glob(str(Path(__file__).parents[1] / "fixtures" / "onnx" / "*.onnx")))
NUMBERS = [0, -1, 1, 2, 3, -2, 7, 64, 1000, 2**31 - 1, 2**31, 2**62, -(2**62), 10**6]
FLOATS = [0, -1, float("nan"), float("inf"), 1e38, 1e-45]
MEMORY = 8 << 30
LARGE = 10**7


def with_damaged_bytes(content, chance):
    data = bytearray(content)
    kind = chance.randrange(3)
    if kind == 0:
        return data[: chance.randrange(len(data))]
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data) if kind == 1 else min(len(data), 6000))
        data[place] ^= 1 << chance.randrange(8)
    return data


def with_damaged_meaning(content, chance):
    model = onnx.ModelProto.FromString(content)
    for _ in range(chance.randint(1, 3)):
        replace_something(model.graph, chance)
    return model.SerializeToString()


def replace_something(graph, chance):
    node, kind = chance.choice(graph.node), chance.randrange(7)
    if kind == 0 and node.attribute:
        attribute = chance.choice(node.attribute)
        if attribute.ints:
            attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(NUMBERS)
        elif attribute.type == attribute.INT:
            attribute.i = chance.choice(NUMBERS)
        elif attribute.type == attribute.FLOAT:
            attribute.f = chance.choice(FLOATS)
        elif attribute.s:
            attribute.s = chance.choice([b"SAME_UPPER", b"x", b"linear", b"", b"reverse", b"\xff"])
    elif kind == 1 and node.input:
        names = [name for other in graph.node for name in other.input]
        node.input[chance.randrange(len(node.input))] = chance.choice(names)
    elif kind == 2:
        node.op_type = chance.choice(known_operators())
    elif kind == 3 and node.input:
        del node.input[-1]
    elif kind == 4 and graph.initializer:
        tensor = chance.choice(graph.initializer)
        if tensor.dims:
            tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice(NUMBERS)
    elif kind == 5 and graph.initializer:
        replace_value(chance.choice(graph.initializer), chance)
    elif kind == 6:
        dims = chance.choice(graph.input).type.tensor_type.shape.dim
        if dims:
            chance.choice(dims).dim_value = chance.choice(NUMBERS)


def replace_value(tensor, chance):
    try:
        values = numpy_helper.to_array(tensor).copy()
    except ValueError:  # damaged before
        return
    if values.size and values.dtype.kind in "if":
        numbers = NUMBERS if values.dtype.kind == "i" else FLOATS
        with np.errstate(over="ignore"), contextlib.suppress(ValueError, OverflowError):
            values.flat[chance.randrange(values.size)] = chance.choice(numbers)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=2000)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    operators.load_all()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    chance, contents = random.Random(options.seed), [Path(model).read_bytes() for model in MODELS]
    imported, refused, slowest = 0, [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "damaged.onnx"
        for _ in range(options.files):
            damage = chance.choice([with_damaged_bytes, with_damaged_meaning])
            file.write_bytes(damage(chance.choice(contents), chance))
            begin = time.perf_counter()
            try:
                net = from_onnx(file).net
                if sum(blob.count for blob in net.blobs.values()) < LARGE:
                    net.forward()
                imported += 1
            except PycaffeError as error:
                refused.append(str(error))
            slowest = max(slowest, time.perf_counter() - begin)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    assert not any("\n" in message for message in refused)
    print(
        f"{imported} imported, {len(refused)} refused; the slowest took {slowest:.1f} s; {memory} MB at most"
    )


if __name__ == "__main__":
    main()
