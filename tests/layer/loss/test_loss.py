import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.loss.loss import BATCH_SIZE, LossLayer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


def build(text="", shapes=((4, 3), (4,)), kind=LossLayer):
    message = parse(f"name: 'l' type: 'Loss' {text}", caffe_pb2.LayerParameter).message
    layer, top = kind(message, None, LayerContext()), Blob((7,))
    layer.set_up([Blob(shape) for shape in shapes], [top])
    return layer, top


def test_the_loss_is_one_number_of_weight_1():
    layer, top = build()
    assert top.shape == ()
    assert layer.loss_weights == [1]
    assert top.diff == 1
    assert build("loss_weight: 0.5")[1].diff == 0.5


@pytest.mark.parametrize(
    ("fields", "divisor"),
    [
        ("", 20),  # VALID
        ("normalization: VALID", 20),
        ("normalization: FULL", 24),
        ("normalization: BATCH_SIZE", 4),
        ("normalization: NONE", 1),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 7", 7),
        ("normalize: true", 20),
        ("normalize: false", 4),
        ("normalization: FULL normalize: false", 24),
    ],
)
def test_the_divisor_for_4_items_of_6_places_of_which_20_count(fields, divisor):
    layer, _ = build(f"loss_param {{ {fields} }}")
    assert layer.normalizer(4, 6, 20) == divisor
    assert layer.fixed_normalizer(4, 6) == (0 if divisor == 20 else divisor)


@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE"])
def test_the_divisor_is_1_where_nothing_counts(normalization):
    layer, _ = build(f"loss_param {{ normalization: {normalization} }}")
    assert layer.normalizer(0, 5, 0) == 1


def test_a_type_may_have_another_default():
    class ByBatch(LossLayer):
        default_normalization = BATCH_SIZE

    layer, _ = build(kind=ByBatch)
    assert layer.normalizer(4, 6, 20) == 4
    layer, _ = build("loss_param { normalize: true }", kind=ByBatch)
    assert layer.normalizer(4, 6, 20) == 20


def test_the_label_to_ignore():
    assert build()[0].ignore_label is None
    assert build("loss_param { ignore_label: 0 }")[0].ignore_label == 0


def test_bottoms_of_different_batches():
    with pytest.raises(LayerError) as error:
        build(shapes=((4, 3), (3,)))
    assert str(error.value) == (
        "layer 'l' (Loss): needs bottoms of one batch size, got shapes (4, 3) and (3,)"
    )
    assert np.shape(build(shapes=((0, 3), (0,)))[1].data) == ()
