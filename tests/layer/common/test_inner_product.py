import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels.convolution import Epilogue


def values(*shape):
    return np.random.default_rng(0).normal(size=shape)


def reference(axis=1, transpose=False):
    def compute(bottoms, blobs):
        x, w = bottoms[0], blobs[0]
        rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
        y = rows @ (w if transpose else w.T)
        return [(y + blobs[1] if len(blobs) > 1 else y).reshape(*x.shape[:axis], -1)]

    return compute


@pytest.mark.parametrize("bias", ["true", "false"])
@pytest.mark.parametrize("transpose", ["true", "false"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 4), 1), ((2, 3, 2, 2), 1), ((2, 3, 4), 2), ((5,), 0)])
def test_options(shape, axis, transpose, bias):
    check_layer(
        f'type: "InnerProduct" inner_product_param {{ num_output: 6 axis: {axis} transpose: {transpose} '
        f"bias_term: {bias} }}",
        [values(*shape)],
        reference(axis, transpose == "true"),
        resized=() if axis == 0 else None,
    )


def test_negative_axis():
    check_layer(
        'type: "InnerProduct" inner_product_param { num_output: 2 axis: -2 }', [values(3, 2, 4)], reference(1)
    )


def test_sizes_beyond_a_tile():
    check_layer(
        'type: "InnerProduct" inner_product_param { num_output: 67 }',
        [values(35, 130)],
        reference(),
        gradients=(),
        check_blobs=False,
    )


def test_blobs_and_their_fillers():
    rig = build_layer(
        'type: "InnerProduct" inner_product_param { num_output: 2 '
        "weight_filler { value: 3 } bias_filler { value: 4 } }",
        [values(2, 3)],
    )
    weight, bias = rig.layer.blobs
    assert weight.data.tolist() == [[3] * 3] * 2
    assert bias.data.tolist() == [4, 4]


@pytest.mark.parametrize(("lr_mult", "changed"), [((0, 1), (False, True)), ((1, 0), (True, False))])
def test_no_gradient_is_computed_where_none_is_wanted(lr_mult, changed):
    specs = " ".join(f"param {{ lr_mult: {m} }}" for m in lr_mult)
    rig = build_layer(f'type: "InnerProduct" {specs} inner_product_param {{ num_output: 2 }}', [values(2, 3)])
    rig.forward()
    _, diffs = rig.backward([np.ones((2, 2))])
    assert tuple(bool(diff.any()) for diff in diffs) == changed


def test_epilogue():
    rig = build_layer('type: "InnerProduct" inner_product_param { num_output: 4 }', [values(3, 5)], blobs=[
        values(4, 5), values(4)])  # fmt: skip
    plain = rig.forward()[0]
    scale, shift = np.array([1, 2, -1, 0.5], np.float32), np.array([0, 1, 0, -1], np.float32)
    rig.layer.forward_with_epilogue(rig.bottom, rig.top, Epilogue(scale, shift, 0.25))
    right = plain * scale + shift
    assert np.allclose(rig.top[0].data, np.where(right > 0, right, 0.25 * right), atol=1e-6)
    assert rig.layer.takes_epilogue()
    other = build_layer(
        'type: "InnerProduct" inner_product_param { num_output: 4 axis: 2 }', [values(3, 5, 2)]
    )
    assert not other.layer.takes_epilogue()


def error_of(fields, shape, **options):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'name: "ip" type: "InnerProduct" inner_product_param {{ {fields} }}', [values(*shape)], **options
        )
    return str(error.value)


def test_what_is_refused():
    assert error_of("", (2, 3)) == "layer 'ip' (InnerProduct): needs num_output of at least 1, got 0"
    assert error_of("num_output: 3", (2, 3), in_place=True) == (
        "layer 'ip' (InnerProduct): cannot work in place"
    )
    assert error_of("num_output: 3 axis: 3", (2, 3)) == (
        "layer 'ip' (InnerProduct): axis 3 is out of range for a blob of shape (2, 3)"
    )
    rig = build_layer(
        'name: "ip" type: "InnerProduct" inner_product_param { num_output: 3 }', [values(2, 60)]
    )
    with pytest.raises(LayerError) as error:
        rig.forward([values(2, 3, 4, 6)])
    assert str(error.value) == (
        "layer 'ip' (InnerProduct): needs 60 values from axis 1 on, got bottom shape (2, 3, 4, 6)"
    )


def test_empty_batch():
    rig = build_layer('type: "InnerProduct" inner_product_param { num_output: 3 }', [values(0, 4)])
    assert rig.forward()[0].shape == (0, 3)
    assert not rig.backward([np.zeros((0, 3))])[1][0].any()


@pytest.mark.parametrize("slope", [0, 0.25])
@pytest.mark.parametrize("transpose", ["true", "false"])
def test_intels_rectifier(slope, transpose):
    x = np.random.default_rng(0).normal(size=(4, 3))
    weight = np.random.default_rng(1).normal(size=(3, 5))
    bias = np.random.default_rng(2).normal(size=5)

    def reference(bottoms, blobs):
        w = blobs[0] if transpose == "true" else blobs[0].T
        y = bottoms[0] @ w + blobs[1]
        return [np.where(y > 0, y, slope * y)]

    fields = f"num_output: 5 relu: true negative_slope: {slope} transpose: {transpose}"
    check_layer(
        f'type: "InnerProduct" inner_product_param {{ {fields} }}', [x], reference,
        blobs=[weight if transpose == "true" else weight.T, bias],
    )  # fmt: skip
