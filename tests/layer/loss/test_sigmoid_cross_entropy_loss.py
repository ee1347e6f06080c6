import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "SigmoidCrossEntropyLoss"'


def values(*shape):
    return np.random.default_rng(0).normal(scale=2, size=shape)


def targets(*shape):
    return np.random.default_rng(1).uniform(size=shape)


def reference(normalization="BATCH_SIZE", ignore=None):
    def compute(bottoms, blobs):
        x, t = bottoms
        p = 1 / (1 + np.exp(-x))
        counts = np.ones(t.shape, bool) if ignore is None else np.trunc(t) != ignore
        total = -(t * np.log(p) + (1 - t) * np.log(1 - p))[counts].sum()
        Z = {"FULL": t.size, "VALID": counts.sum(), "BATCH_SIZE": len(t), "NONE": 1}[normalization]
        return [total / max(Z, 1)]

    return compute


@pytest.mark.parametrize("normalization", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, -1, 0])
def test_normalization(normalization, ignore):
    t = targets(3, 4, 2)
    t[0, 1] = [-1.5, 1]
    fields = f"normalization: {normalization}" + ("" if ignore is None else f" ignore_label: {ignore}")
    check_layer(f"{TYPE} loss_param {{ {fields} }}", [values(3, 4, 2), t], reference(normalization, ignore))


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ("", "BATCH_SIZE"),
        ("normalize: true", "VALID"),
        ("normalize: false", "BATCH_SIZE"),
        ("normalize: true normalization: FULL", "FULL"),
    ],
)
def test_what_normalizes_where_nothing_says_so(fields, meaning):
    t = targets(3, 4)
    t[1, 2] = 7
    check_layer(f"{TYPE} loss_param {{ ignore_label: 7 {fields} }}", [values(3, 4), t], reference(meaning, 7))


def test_targets_may_have_another_shape_than_scores():
    check_layer(
        TYPE,
        [values(3, 4, 2), targets(3, 8)],
        lambda b, blobs: reference()([b[0].reshape(3, 8), b[1]], blobs),
    )


def test_loss_weight_scales_the_gradient():
    bottoms = [values(3, 4), targets(3, 4)]
    once, twice = (build_layer(f"{TYPE} loss_weight: {weight}", bottoms) for weight in (1, 2))
    gradients = []
    for rig, weight in ((once, 1), (twice, 2)):
        assert rig.top[0].diff == weight
        rig.forward()
        gradients.append(rig.backward([rig.top[0].diff.copy()])[0][0])
    assert np.array_equal(2 * gradients[0], gradients[1])


def test_large_scores_neither_overflow_nor_cost_nothing():
    rig = build_layer(TYPE, [[[-1000.0, 1000.0, 200.0]], [[1.0, 0.0, 1.0]]])
    assert rig.forward()[0] == 2000
    assert rig.backward([1.0])[0][0].tolist() == [[-1, 1, 0]]


def test_everything_ignored():
    rig = build_layer(
        f"{TYPE} loss_param {{ ignore_label: 1 normalization: VALID }}", [values(2, 3), np.ones((2, 3))]
    )
    assert rig.forward()[0] == 0
    assert not rig.backward([1.0], bottom_fill=np.nan)[0][0].any()


def test_empty_batch():
    assert build_layer(TYPE, [np.ones((0, 3))] * 2).forward()[0] == 0


def test_bottoms_that_do_not_fit():
    for shapes, said in (
        (((2, 3), (3, 3)), "needs bottoms of one batch size, got shapes (2, 3) and (3, 3)"),
        (((2, 3), (2, 4)), "needs as many targets as scores, got shapes (2, 3) and (2, 4)"),
    ):
        with pytest.raises(LayerError) as error:
            build_layer(TYPE, [np.ones(shape) for shape in shapes])
        assert str(error.value) == f"layer 'layer' (SigmoidCrossEntropyLoss): {said}"


def test_no_gradient_for_targets():
    rig = build_layer(TYPE, [values(2, 3), targets(2, 3)])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([1.0], wanted=[0, 1])
    assert str(error.value) == "layer 'layer' (SigmoidCrossEntropyLoss): has no gradient for its targets"
