import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import DataError, FileLookupError, LayerError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.net.net import Net

TYPE = 'type: "InfogainLoss"'


def values(*shape):
    return np.random.default_rng(0).normal(size=shape)


def labels(*shape, classes=4):
    return np.random.default_rng(1).integers(classes, size=shape)


def matrix(classes=4):
    return np.random.default_rng(2).uniform(size=(classes, classes))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def reference(axis=1, normalization="VALID", ignore=None):
    def compute(bottoms, blobs):
        x, label, H = bottoms
        p = np.moveaxis(softmax(x, axis), axis, -1).reshape(-1, x.shape[axis])
        label, counts = label.ravel().astype(int), label.ravel() != ignore
        total = -(H.reshape(p.shape[1], -1)[label] * np.log(p))[counts].sum()
        outer = np.prod(x.shape[:axis])
        Z = {"FULL": label.size, "VALID": counts.sum(), "BATCH_SIZE": outer, "NONE": 1}[normalization]
        return [total / max(Z, 1)]

    return compute


@pytest.mark.parametrize("normalization", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 2])
def test_normalization(normalization, ignore):
    fields = f"normalization: {normalization}" + ("" if ignore is None else f" ignore_label: {ignore}")
    check_layer(
        f"{TYPE} loss_param {{ {fields} }}",
        [values(2, 4, 3, 2), labels(2, 3, 2), matrix()],
        reference(1, normalization, ignore),
        resized=[values(3, 4, 3, 2), labels(3, 3, 2), matrix()],
    )


@pytest.mark.parametrize(("axis", "shape"), [(1, (5, 4)), (2, (2, 3, 4)), (-1, (2, 3, 4)), (0, (4, 4))])
def test_axes(axis, shape):
    count = shape[:axis] + shape[axis % len(shape) + 1 :]
    check_layer(
        f"{TYPE} infogain_loss_param {{ axis: {axis} }}",
        [values(*shape), labels(*count), matrix().reshape(2, 8)],
        reference(axis % len(shape)),
        resized=(),
    )


def test_the_identity_gives_the_softmax_loss():
    bottoms = [values(3, 4), labels(3)]
    infogain = build_layer(TYPE, [*bottoms, np.eye(4)])
    plain = build_layer('type: "SoftmaxWithLoss"', bottoms)
    assert np.allclose(infogain.forward(), plain.forward(), rtol=1e-6)
    gradients = (rig.backward([1.0], wanted=[0])[0][0] for rig in (infogain, plain))
    assert np.allclose(*gradients, atol=1e-7)


def test_second_top_is_the_softmax():
    x = values(2, 4, 3)
    rig = build_layer(f'{TYPE} top: "loss" top: "p"', [x, labels(2, 3), matrix()])
    assert rig.layer.loss_weights == [1, 0]
    assert np.allclose(rig.forward()[1], softmax(x, 1), atol=1e-6)


def test_a_probability_of_zero_costs_what_the_least_does():
    rig = build_layer(TYPE, [[[0.0, 1000.0]], [0.0], [[1.0, 0.0], [0.0, 1.0]]])
    assert np.allclose(rig.forward()[0], -np.log(1e-20))


NET = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 } } }
    layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
    layer { name: "loss" type: "InfogainLoss" bottom: "x" bottom: "label" top: "loss"
            infogain_loss_param { source: "weights/h.binaryproto" } }
"""


def test_matrix_from_a_file_beside_the_prototxt(tmp_path):
    (tmp_path / "weights").mkdir()
    binaryproto.write(tmp_path / "weights" / "h.binaryproto", matrix().astype(np.float32).reshape(1, 1, 4, 4))
    (tmp_path / "net.prototxt").write_text(NET)
    net = Net(tmp_path / "net.prototxt", 1)
    net.blobs["x"].data[...], net.blobs["label"].data[...] = values(2, 4), labels(2)
    right = reference()([values(2, 4), labels(2), matrix()], None)
    assert np.allclose(net.forward()["loss"], right, rtol=1e-5)


def error_of(prototxt, *bottoms, kind=LayerError):
    with pytest.raises(kind) as error:
        build_layer(prototxt, bottoms)
    return str(error.value).removeprefix("layer 'layer' (InfogainLoss): ")


def test_matrices_that_do_not_do(tmp_path):
    x, label = values(2, 4), labels(2)
    said = "needs its matrix H as a third bottom, or infogain_loss_param { source: ... }"
    assert error_of(TYPE, x, label) == said
    assert error_of(TYPE, x, label, matrix(3)) == "needs a matrix H of 4 x 4 numbers, got shape (3, 3)"
    file = tmp_path / "h.binaryproto"
    source = f'{TYPE} infogain_loss_param {{ source: "{file}" }}'
    assert error_of(source, x, label, kind=FileLookupError) == f"its source: no such file: '{file}'"
    binaryproto.write(file, matrix(3).astype(np.float32))
    assert error_of(source, x, label) == "needs a matrix H of 4 x 4 numbers, got shape (1, 1, 3, 3)"
    file.write_bytes(b"")
    assert error_of(source, x, label, kind=DataError) == f"its source: '{file}' is empty"


def test_old_normalize_is_refused():
    said = "takes loss_param { normalization: ... }, not the old normalize"
    for value in ("true", "false"):
        prototxt = f"{TYPE} loss_param {{ normalize: {value} }}"
        assert error_of(prototxt, values(2, 4), labels(2), matrix()) == said


def test_labels_that_do_not_fit():
    assert error_of(TYPE, values(2, 4, 3), labels(2, 4), matrix()) == (
        "needs 6 labels for scores of shape (2, 4, 3) with the classes on axis 1, got label shape (2, 4)"
    )
    rig = build_layer(f"{TYPE} loss_param {{ ignore_label: 9 }}", [values(2, 4), [4, 9], matrix()])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (InfogainLoss): label 4 at (0,) is out of range: 4 classes, 0 to 3; ignore_label is 9"
    )


def test_no_gradient_for_labels_and_matrix():
    rig = build_layer(TYPE, [values(2, 4), labels(2), matrix()])
    rig.forward()
    for bottom, said in ((1, "has no gradient for its labels"), (2, "has no gradient for its matrix H")):
        assert not rig.layer.allow_force_backward(bottom)
        with pytest.raises(LayerError) as error:
            rig.backward([1.0], wanted=[0, bottom])
        assert str(error.value) == f"layer 'layer' (InfogainLoss): {said}"
