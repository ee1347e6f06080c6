import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

SHAPE = (2, 3, 4, 5)


def values(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def spread(part, x, axis):
    """The part's axes brought under those of x from `axis` on."""
    return part.reshape(part.shape + (1,) * (x.ndim - (axis % x.ndim) - part.ndim))


def reference(axis):
    def compute(bottoms, blobs):
        x, scale, *bias = *bottoms, *blobs
        return [x * spread(scale, x, axis) + (spread(bias[0], x, axis) if bias else 0)]

    return compute


@pytest.mark.parametrize("bias", ["", "bias_term: true"])
@pytest.mark.parametrize(
    ("fields", "axis", "shape"),
    [
        ("", 1, (3,)),
        ("axis: -1", -1, (5,)),
        ("axis: 1 num_axes: 2", 1, (3, 4)),
        ("axis: 2 num_axes: -1", 2, (4, 5)),
        ("axis: 3 num_axes: 0", 3, ()),
    ],
)
def test_learnt_scale(fields, axis, shape, bias):
    prototxt = f'type: "Scale" scale_param {{ {fields} {bias} }}'
    assert {blob.shape for blob in build_layer(prototxt, [values(*SHAPE)]).layer.blobs} == {shape}
    check_layer(prototxt, [values(*SHAPE)], reference(axis), in_place=True)


@pytest.mark.parametrize("bias", ["", "bias_term: true"])
@pytest.mark.parametrize(
    ("fields", "axis", "shape"),
    [("axis: 0", 0, (2,)), ("axis: 0 num_axes: 2", 0, (2, 3)), ("axis: 0 num_axes: -1", 0, SHAPE)],
)
def test_its_gradient_is_written_where_nothing_precedes_the_axis(fields, axis, shape, bias):
    prototxt = f'type: "Scale" scale_param {{ {fields} {bias} }}'
    check_layer(prototxt, [values(*SHAPE)], reference(axis), check_blobs=False, in_place=True, resized=())
    x, dy = values(*SHAPE), values(*SHAPE) + 1
    rig = build_layer(prototxt, [x])
    rig.forward()
    _, (dscale, *dbias) = rig.backward([dy], blob_fills=[3] * (2 if bias else 1))
    axes = tuple(range(len(shape), 4))
    assert np.allclose(dscale, (x * dy).sum(axes), atol=1e-5)
    assert all(np.allclose(diff, 3 + dy.sum(axes), atol=1e-5) for diff in dbias)


@pytest.mark.parametrize(("shape", "added"), [((1, 3, 2), False), ((1, 1, 2), True), ((2, 3, 2), True)])
def test_a_batch_of_one_is_written_too(shape, added):
    rig = build_layer('type: "Scale"', [values(*shape)])
    rig.forward()
    _, (dscale,) = rig.backward([np.zeros(shape)], blob_fills=[3])
    assert (dscale == (3 if added else 0)).all()


@pytest.mark.parametrize("bias", ["", "bias_term: true"])
@pytest.mark.parametrize(
    ("axis", "shape"), [(1, (3,)), (1, (3, 4)), (0, (2, 3)), (2, (4, 5)), (1, ()), (0, SHAPE), (-1, (5,))]
)
def test_scale_from_a_bottom(axis, shape, bias):
    check_layer(
        f'type: "Scale" scale_param {{ axis: {axis} {bias} }}',
        [values(*SHAPE), values(*shape)],
        reference(axis if shape else 0),
        in_place=True,
        resized=(),
    )


def test_a_scalar_scale_ignores_the_axis():
    rig = build_layer('type: "Scale" scale_param { axis: 7 }', [values(2, 3), 2.0])
    assert np.array_equal(rig.forward()[0], 2 * rig.bottom[0].data)


def test_fillers():
    def blobs(fields):
        rig = build_layer(f'type: "Scale" scale_param {{ bias_term: true {fields} }}', [values(2, 3)])
        return [blob.data.tolist() for blob in rig.layer.blobs]

    assert blobs("") == [[1, 1, 1], [0, 0, 0]]
    assert blobs("filler { value: 2 } bias_filler { value: 5 }") == [[2, 2, 2], [5, 5, 5]]
    assert blobs("filler { }") == [[0, 0, 0], [0, 0, 0]]


def test_only_wanted_gradients_are_computed():
    for frozen in (0, 1):
        params = "".join(f"param {{ lr_mult: {int(i != frozen)} }}" for i in range(2))
        rig = build_layer(f'type: "Scale" scale_param {{ bias_term: true }} {params}', [values(2, 3)])
        rig.forward()
        _, diffs = rig.backward([values(2, 3)])
        assert [diff.any() for diff in diffs] == [i != frozen for i in range(2)]


def error_of(fields, *bottoms):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Scale" scale_param {{ {fields} }}', bottoms)
    return str(error.value).removeprefix("layer 'layer' (Scale): ")


def test_what_does_not_fit():
    assert error_of("num_axes: -2", values(2, 3)) == "needs num_axes of at least -1, got -2"
    assert error_of("num_axes: 3", values(2, 3)) == "needs 3 axes from axis 1 on, got bottom shape (2, 3)"
    assert error_of("axis: 2", values(2, 3)) == "axis 2 is out of range for a blob of shape (2, 3)"
    said = "its scale of shape {} does not fit bottom shape (2, 3) from axis 1 on"
    assert error_of("", values(2, 3), values(2)) == said.format((2,))
    assert error_of("", values(2, 3), values(3, 1)) == said.format((3, 1))
    assert error_of("", *[values(2, 3)] * 3) == "takes at most 2 bottoms, got 3"
    rig = build_layer('type: "Scale"', [values(2, 3)])
    with pytest.raises(LayerError) as error:
        rig.forward([values(2, 4)])
    assert str(error.value) == (
        "layer 'layer' (Scale): its scale of shape (3,) does not fit bottom shape (2, 4) from axis 1 on"
    )


def test_nothing_is_kept_where_no_backward_pass_comes():
    x = values(2, 3)
    kept = []
    for need in (True, False):
        rig = build_layer('type: "Scale"', [x], in_place=True)
        rig.layer.need_backward = need
        rig.forward()
        kept.append(rig.layer.kept.data.any())
    assert kept == [True, False]
