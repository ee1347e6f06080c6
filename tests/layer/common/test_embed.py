import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("shape", [(5,), (4, 3), ()])
@pytest.mark.parametrize("bias", ["true", "false"])
def test_vectors_of_the_indices(shape, bias):
    index = np.random.default_rng(0).integers(0, 6, shape)

    def reference(bottoms, blobs):
        one_hot = np.eye(6)[index]
        y = one_hot @ blobs[0]
        return [y + blobs[1] if bias == "true" else y]

    check_layer(
        f'type: "Embed" embed_param {{ num_output: 3 input_dim: 6 bias_term: {bias} }}',
        [index],
        reference,
        resized=(),
    )


def test_fractions_are_cut_off():
    rig = build_layer(
        'type: "Embed" embed_param { num_output: 1 input_dim: 3 bias_term: false }',
        [[1.9, -0.5, 2.5]],
        blobs=[[[10], [11], [12]]],
    )
    assert rig.forward()[0].ravel().tolist() == [11, 10, 12]


def test_fillers():
    text = """type: "Embed" embed_param { num_output: 1 input_dim: 2 weight_filler { value: 3 }
              bias_filler { value: 0.5 } }"""
    assert build_layer(text, [[1.0]]).forward()[0] == [3.5]


def test_rows_of_one_index_add_up_over_wide_vectors():
    rig = build_layer('type: "Embed" embed_param { num_output: 150 input_dim: 3 }', [[2, 0, 2, 2]])
    rig.forward()
    dw, db = rig.backward([np.arange(600.0).reshape(4, 150)])[1]
    rows = np.arange(600.0).reshape(4, 150)
    assert np.array_equal(dw, [rows[1], np.zeros(150), rows[0] + rows[2] + rows[3]])
    assert np.array_equal(db, rows.sum(0))


def test_no_gradients_are_computed_where_none_are_wanted():
    text = (
        'type: "Embed" param { lr_mult: 0 } param { lr_mult: 0 } embed_param { num_output: 2 input_dim: 2 }'
    )
    rig = build_layer(text, [[0, 1]])
    rig.forward()
    assert all((diff == 0).all() for diff in rig.backward([np.ones((2, 2))])[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("input_dim: 3", "needs embed_param { num_output: ... } of 1 or more, got 0"),
        ("num_output: 3", "needs embed_param { input_dim: ... } of 1 or more, got 0"),
        ("num_output: 2 input_dim: 5", "needs indices from 0 to 4, got 5"),
        ("num_output: 2 input_dim: 6", "needs indices from 0 to 5, got -1"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Embed" embed_param {{ {options} }}', [[4, 5, -1]]).forward()
    assert str(error.value) == f"layer 'layer' (Embed): {message}"


def test_gradient_of_the_indices_is_refused():
    rig = build_layer('type: "Embed" embed_param { num_output: 2 input_dim: 2 }', [[0, 1]])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((2, 2))], wanted=[0])
    assert str(error.value) == (
        "layer 'layer' (Embed): has no gradient to propagate down to its bottom, which holds indices"
    )
