from functools import reduce

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def arrays(count, shape=(3, 4)):
    numbers = np.random.default_rng(0)
    return [numbers.normal(size=shape) for _ in range(count)]


@pytest.mark.parametrize("coeffs", [None, [0.5, -2], [0.5, -2, 1], [0, 1, 0.25, -0.75]])
def test_weighted_sum(coeffs):
    options = "" if coeffs is None else " ".join(f"coeff: {c}" for c in coeffs)
    weights = coeffs or [1, 1]
    check_layer(
        f'type: "Eltwise" eltwise_param {{ {options} }}',
        arrays(len(weights)),
        lambda bottoms, blobs: [np.tensordot(weights, np.stack(bottoms), 1)],
        in_place=True,
    )


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("stable", ["true", "false"])
def test_product(count, stable):
    check_layer(
        f'type: "Eltwise" eltwise_param {{ operation: PROD stable_prod_grad: {stable} }}',
        arrays(count),
        lambda bottoms, blobs: [np.prod(bottoms, axis=0)],
    )


def test_only_the_stable_gradient_of_a_product_bears_zeros():
    gradients = {}
    for stable in ("true", "false"):
        options = f"operation: PROD stable_prod_grad: {stable}"
        rig = build_layer(f'type: "Eltwise" eltwise_param {{ {options} }}', [[0.0], [3.0]])
        rig.forward()
        gradients[stable] = rig.backward([[2.0]])[0][0]
    assert gradients["true"] == [6]
    assert np.isnan(gradients["false"])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_maximum(count):
    check_layer(
        'type: "Eltwise" eltwise_param { operation: MAX }',
        arrays(count),
        lambda bottoms, blobs: [reduce(np.maximum, bottoms)],
        in_place=True,
    )


def test_equal_maxima():
    rig = build_layer(
        'type: "Eltwise" eltwise_param { operation: MAX }',
        [[1.0, 5.0, 2.0], [1.0, 0.0, 2.0], [1.0, 5.0, 9.0]],
    )
    rig.forward()
    dx = rig.backward([[1.0, 1.0, 1.0]])[0]
    assert [d.tolist() for d in dx] == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_product_in_place_has_no_gradient():
    rig = build_layer('type: "Eltwise" eltwise_param { operation: PROD }', [[2.0], [3.0]], in_place=True)
    assert rig.forward()[0] == [6]
    with pytest.raises(LayerError) as error:
        rig.backward([[1.0]])
    assert str(error.value) == (
        "layer 'layer' (Eltwise): has no gradient for PROD in place: give its top a name of its own"
    )


def test_coeff_of_a_maximum_is_said_to_have_no_effect(caplog):
    rig = build_layer('type: "Eltwise" eltwise_param { operation: MAX coeff: 9 coeff: 1 }', [[1.0], [3.0]])
    assert rig.forward()[0] == [3]
    assert caplog.messages == ["layer 'layer' (Eltwise): coeff has no effect on MAX"]


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        (
            "",
            [(2, 3), (2, 3), (3, 2)],
            "needs bottoms of one shape, got (2, 3) for bottom 0 and (3, 2) for bottom 2",
        ),
        ("coeff: 2", [(2,), (2,)], "needs no coeff or one for each of its 2 bottoms, got 1"),
        ("operation: PROD coeff: 2 coeff: 2", [(2,), (2,)], "takes a coeff only for SUM, got operation PROD"),
        ("", [(2,)], "takes at least 2 bottoms, got 1"),
    ],
)
def test_errors(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Eltwise" eltwise_param {{ {options} }}', [np.ones(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (Eltwise): {message}"


@pytest.mark.parametrize("count", [2, 3, 4])
def test_difference(count):
    coeffs = [2.0, 0.5, -1.0, 3.0][:count]
    options = "operation: SUB " + " ".join(f"coeff: {c}" for c in coeffs)
    weights = [coeffs[0], *(-c for c in coeffs[1:])]
    check_layer(
        f'type: "Eltwise" eltwise_param {{ {options} }}',
        arrays(count),
        lambda bottoms, blobs: [np.tensordot(weights, np.stack(bottoms), 1)],
        in_place=True,
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_quotient(count):
    first, *others = arrays(count)
    check_layer(
        'type: "Eltwise" eltwise_param { operation: DIV }',
        [first, *(np.sign(x) * (1 + abs(x)) for x in others)],
        lambda bottoms, blobs: [bottoms[0] / np.prod(bottoms[1:], axis=0)],
        in_place=True,
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_minimum(count):
    check_layer(
        'type: "Eltwise" eltwise_param { operation: MIN }',
        arrays(count),
        lambda bottoms, blobs: [reduce(np.minimum, bottoms)],
        in_place=True,
    )


OPERATIONS = {
    "SUM": np.add,
    "SUB": np.subtract,
    "PROD": np.multiply,
    "DIV": np.divide,
    "MAX": np.maximum,
    "MIN": np.minimum,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_single_item_is_repeated_over_the_batch(operation):
    (x,), (one,) = arrays(1, (3, 2, 4)), arrays(1, (1, 2, 4))
    check_layer(
        f'type: "Eltwise" eltwise_param {{ operation: {operation} allow_single_batch_input: true }}',
        [x, 1 + abs(one)],
        lambda bottoms, blobs: [OPERATIONS[operation](*bottoms)],
        resized=[],
    )


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 2), (3, 2)], "needs a bottom 1 of one item, got (3, 2) for bottom 0 and (3, 2) for bottom 1"),
        ([(3, 2)] * 3, "takes 2 bottoms with allow_single_batch_input, got 3"),
    ],
)
def test_a_batch_where_a_single_item_is_needed(shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            'type: "Eltwise" eltwise_param { allow_single_batch_input: true }', [np.ones(s) for s in shapes]
        )
    assert str(error.value) == f"layer 'layer' (Eltwise): {message}"
