"""MemoryData: batches of arrays, around and around."""

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.errors import ArgumentError, LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

PARAM = "batch_size: 2 channels: 3 height: 4 width: 5"


def net(param=PARAM, more="", phase="TEST"):
    layer = f'name: "m" type: "MemoryData" top: "x" top: "t" memory_data_param {{ {param} }} {more}'
    text = f"state {{ phase: {phase} }} layer {{ {layer} }}"
    return Net.from_document(parse(text, caffe_pb2.NetParameter))


def arrays(count):
    items = np.random.default_rng(count).random((count, 3, 4, 5)).astype(np.float32)
    return items, np.arange(count, dtype=np.float32)


def test_batches_wrap_round():
    made = net()
    assert made.blobs["t"].shape == (2,)
    items, labels = arrays(6)
    made.set_input_arrays(items, labels)
    for start in (0, 2, 4, 0, 2):
        made.forward()
        np.testing.assert_array_equal(made.blobs["x"].data, items[start : start + 2])
        np.testing.assert_array_equal(made.blobs["t"].data.ravel(), labels[start : start + 2])
    assert made.blobs["t"].shape == (2, 1, 1, 1)


def test_the_array_is_used_and_not_copied():
    made = net()
    items, labels = arrays(2)
    made.set_input_arrays(items, labels.reshape(2, 1, 1, 1))
    items[0] = 7
    made.forward()
    assert (made.blobs["x"].data[0] == 7).all()


def test_new_arrays_begin_at_their_start():
    made = net()
    made.set_input_arrays(*arrays(4))
    made.forward()
    items, labels = arrays(6)
    made.set_input_arrays(items, labels)
    made.forward()
    np.testing.assert_array_equal(made.blobs["x"].data, items[:2])


def test_the_state_is_the_next_item():
    made, other = net(), net()
    for one in (made, other):
        one.set_input_arrays(*arrays(6))
    made.forward()
    other.layers[0].set_state(made.layers[0].state())
    made.forward()
    other.forward()
    np.testing.assert_array_equal(made.blobs["x"].data, other.blobs["x"].data)


def test_only_a_random_transform_takes_a_draw(caplog):
    draws = []
    for more in ("", "transform_param { scale: 2 }", "transform_param { mirror: true }"):
        random.set_random_seed(1)
        made = net(more=more)
        made.set_input_arrays(*arrays(2))
        draws.append(random.stream().raw())
    random.set_random_seed(1)
    first, second = random.stream().raw(), random.stream().raw()
    assert draws == [first, first, second]
    assert caplog.messages == ["layer 'm' (MemoryData): transform_param has no effect on arrays"] * 2


# ------------------------------------------------------------------------------------- Datums and pictures


TRANSFORM = "transform_param { crop_size: 4 mirror: true scale: 0.5 mean_value: 3 }"


def pictures(count, size=(6, 7)):
    return list(np.random.default_rng(count).integers(0, 256, (count, *size, 3), np.uint8))


def datums(pictures):
    planes = [picture.transpose(2, 0, 1) for picture in pictures]
    return [
        caffe_pb2.Datum(channels=3, height=p.shape[1], width=p.shape[2], data=p.tobytes(), label=i)
        for i, p in enumerate(planes)
    ]


def transformed(pictures, stream):
    for picture in pictures:
        mirror, row, column = stream.below(2), stream.below(3), stream.below(4)
        part = picture[row : row + 4, column : column + 4].transpose(2, 0, 1).astype(np.float32)
        yield (part[..., ::-1] if mirror else part) * np.float32(0.5) - np.float32(1.5)


@pytest.mark.parametrize("kind", ["datums", "pictures"])
def test_what_is_added_is_transformed(kind):
    random.set_random_seed(3)
    made = net("batch_size: 2 channels: 3 height: 4 width: 4", TRANSFORM, "TRAIN")
    wanted = list(transformed(pictures(4), random.RandomStream(random.RandomStream(3).raw())))
    if kind == "datums":
        made.add_datum_vector(datums(pictures(4)))
    else:
        made.add_mat_vector(pictures(4), [0, 1, 2, 3])
    for start in (0, 2, 0):
        made.forward()
        np.testing.assert_allclose(made.blobs["x"].data, wanted[start : start + 2], rtol=0, atol=1e-5)
        assert made.blobs["t"].data.ravel().tolist() == [start, start + 1]


def test_more_can_be_added_at_the_end():
    made = net("batch_size: 2 channels: 3 height: 6 width: 7")
    made.add_datum_vector(datums(pictures(4)))
    made.forward()
    message = "layer 'm' (MemoryData): still has items to come: run forward until the last of them"
    assert error_of(made.add_datum_vector, datums(pictures(2))) == message
    made.forward()
    made.add_mat_vector(pictures(2), [8, 9])
    made.forward()
    assert made.blobs["t"].data.ravel().tolist() == [8, 9]


def test_what_cannot_be_added():
    layer = "layer 'm' (MemoryData): "
    made = net("batch_size: 2 channels: 3 height: 4 width: 4", TRANSFORM)
    add = made.add_datum_vector
    assert error_of(add, datums(pictures(3))) == layer + "needs a multiple of its batch_size 2, got 3 items"
    assert error_of(add, []) == layer + "needs a multiple of its batch_size 2, got 0 items"
    assert error_of(add, datums(pictures(2, (3, 9)))) == (
        layer + "item 0: crop_size 4 does not fit records of shape (3, 3, 9): make it 3 at most"
    )
    broken = caffe_pb2.Datum(channels=3, height=1, width=1, data=b"x")
    assert error_of(add, [*datums(pictures(1)), broken]) == (
        layer + "item 1: says shape (3, 1, 1), but holds 1 values"
    )
    assert error_of(made.add_mat_vector, pictures(2), [1]) == (
        layer + "needs 2 labels, one for each picture, got an array of shape (1,)"
    )
    assert error_of(made.add_mat_vector, [np.zeros((4, 4, 3))] * 2, [1, 2]) == (
        layer + "needs pictures, (H, W, C) uint8, got an array of shape (4, 4, 3)"
    )
    made = net("batch_size: 1 channels: 3 height: 4 width: 4")
    assert error_of(made.add_datum_vector, datums(pictures(1))) == (
        layer + "needs items of shape (3, 4, 4), item 0 becomes (3, 6, 7)"
    )


def error_of(run, *args, kind=ArgumentError):
    with pytest.raises(kind) as caught:
        run(*args)
    return str(caught.value)


def test_errors():
    layer = "layer 'm' (MemoryData): "
    assert error_of(net, "batch_size: 2 channels: 3 height: 4", kind=LayerError) == (
        layer + "needs batch_size, channels, height and width above 0, got (2, 3, 4, 0)"
    )
    made = net()
    assert error_of(made.forward, kind=LayerError) == (
        layer + "has no data: call net.set_input_arrays(items, labels) first"
    )
    items, labels = arrays(4)
    assert error_of(made.set_input_arrays, items[:, :2], labels) == (
        layer + "needs items of shape (3, 4, 5), got an array of shape (4, 2, 4, 5)"
    )
    assert error_of(made.set_input_arrays, items, labels[:3]) == (
        layer + "needs 4 labels, one for each item, got an array of shape (3,)"
    )
    assert error_of(made.set_input_arrays, items[:3], labels[:3]) == (
        layer + "needs a multiple of its batch_size 2, got an array of shape (3, 3, 4, 5)"
    )
    made.set_input_arrays(items, labels)


def test_a_state_that_does_not_fit_starts_afresh():
    made = net()
    made.set_input_arrays(*arrays(4))
    layer, afresh = made.layers[0], "its first item comes next: the one saved "
    for state, problem in [
        (b"?", "was saved with another batch_size"),
        ((3).to_bytes(8, "little"), "was saved with another batch_size"),
        ((400).to_bytes(8, "little"), "was item 400, now there are 4"),
    ]:
        made.forward()
        assert layer.set_state(state) == afresh + problem
        assert layer.state() == bytes(8)
    assert layer.set_state((2).to_bytes(8, "little")) == ""


def test_nets_that_begin_with_another_layer():
    text = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 } } }'
    made = Net.from_document(parse(text, caffe_pb2.NetParameter))
    assert error_of(made.set_input_arrays, *arrays(2)) == (
        "set_input_arrays needs a net that begins with a MemoryData layer, not with layer 'in' (Input)"
    )
