import numpy as np
import pytest
from layer_check import TRAIN, build_layer
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net

RECORDED = FIXTURES / "fillers"

GAUSSIAN = 'data_filler { type: "gaussian" std: 2 }'
CONSTANT = 'data_filler { type: "constant" value: 3 }'


def build(fields, tops=1):
    return build_layer(f'name: "d" type: "DummyData" dummy_data_param {{ {fields} }}', [], tops=tops)


def error_of(fields, tops=1):
    with pytest.raises(LayerError) as error:
        build(fields, tops)
    return str(error.value)


def test_constants_are_there_from_the_start_and_stay():
    rig = build(f"shape {{ dim: 2 dim: 3 }} {CONSTANT}")
    assert (rig.top[0].data == 3).all()
    rig.top[0].data[...] = 4
    assert (rig.forward()[0] == 4).all()


def test_random_values_are_drawn_in_every_forward_from_zeros_before():
    rig = build(f"shape {{ dim: 2 dim: 3 }} {GAUSSIAN}")
    assert not rig.top[0].data.any()
    stream = random.RandomStream(1)
    assert np.array_equal(rig.forward()[0].ravel(), stream.normal(6, 0, 2))
    rig.layer.forward(rig.bottom, rig.top)
    assert np.array_equal(rig.top[0].data.ravel(), stream.normal(6, 0, 2))


def test_values_are_caffes():
    with np.load(RECORDED / "dummy_data.npz") as recorded:
        for seed in recorded["seeds"]:
            random.set_random_seed(int(seed))
            net = Net(RECORDED / "dummy_data.prototxt", TRAIN)
            for step in ("setup", "forward0", "forward1"):
                if step != "setup":
                    net.forward()
                for name in ("u", "g", "k"):
                    assert np.array_equal(net.blobs[name].data, recorded[f"seed{seed}:{step}:{name}"]), name


def test_zeros_without_a_filler():
    assert build("shape { dim: 2 }").forward()[0].tolist() == [0, 0]


def test_one_shape_and_filler_for_all_tops():
    a, b = build(f"shape {{ dim: 2 dim: 3 }} {GAUSSIAN}", tops=2).forward()
    assert a.shape == b.shape == (2, 3)
    assert (a != b).all()


def test_one_shape_and_filler_for_each_top():
    a, b = build(f"shape {{ dim: 2 }} shape {{ dim: 3 dim: 1 }} {CONSTANT} {GAUSSIAN}", tops=2).forward()
    assert a.tolist() == [3, 3]
    assert b.shape == (3, 1)
    assert b.all()


def test_shape_as_four_lengths():
    a, b = build("num: 2 num: 4 channels: 3 height: 5 width: 1", tops=2).forward()
    assert a.shape == (2, 3, 5, 1)
    assert b.shape == (4, 3, 5, 1)


def test_what_is_refused():
    assert (
        error_of("")
        == "layer 'd' (DummyData): needs shape once or once for each of its 1 tops, got it 0 times"
    )
    assert error_of("shape {} shape {}", tops=3) == (
        "layer 'd' (DummyData): needs shape once or once for each of its 3 tops, got it 2 times"
    )
    assert error_of("num: 1 channels: 1 height: 1") == (
        "layer 'd' (DummyData): needs width once or once for each of its 1 tops, got it 0 times"
    )
    assert error_of("num: 1 shape { dim: 1 }") == (
        "layer 'd' (DummyData): needs its shapes as shape or as num, channels, height and width, got both"
    )
    assert error_of(f"shape {{ dim: 1 }} {CONSTANT} {CONSTANT}") == (
        "layer 'd' (DummyData): needs data_filler once or once for each of its 1 tops, got it 2 times"
    )
    assert error_of("shape { dim: -1 }") == (
        "layer 'd' (DummyData): a blob cannot have the shape (-1,): a length is negative"
    )
