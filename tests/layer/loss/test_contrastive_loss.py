import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "ContrastiveLoss"'


def pairs(N=8, C=3, axes=()):
    numbers = np.random.default_rng(0)
    return [0.6 * numbers.normal(size=(N, C, *axes)) for _ in range(2)]


def reference(margin=1.0, legacy=False):
    def compute(bottoms, blobs):
        a, b, similar = bottoms
        squares = ((a - b) ** 2).reshape(len(a), -1).sum(1)
        apart = np.maximum(margin - squares, 0) if legacy else np.maximum(margin - np.sqrt(squares), 0) ** 2
        return [np.where(similar.ravel().astype(int), squares, apart).sum() / (2 * len(a))]

    return compute


@pytest.mark.parametrize("axes", [(), (1, 1)])
@pytest.mark.parametrize("margin", [1.0, 2.5])
@pytest.mark.parametrize("legacy", [True, False])
def test_loss_and_gradients(axes, margin, legacy):
    check_layer(
        f"{TYPE} contrastive_loss_param {{ margin: {margin} legacy_version: {str(legacy).lower()} }}",
        [*pairs(axes=axes), [0, 1] * 4],
        reference(margin, legacy),
        gradients=(0, 1),
        threshold=1e-3,  # of the 1e-4 in the quotient
    )


def test_similarities_are_cut_to_whole_numbers():
    a, b = [[0.0]] * 4, [[2.0]] * 4
    rig = build_layer(TYPE, [a, b, [0.9, -0.9, 1.5, -2]])
    assert rig.forward()[0] == 2 * 4 / 8
    assert rig.backward([1.0], wanted=[0])[0][0].ravel().tolist() == [0, 0, -0.5, -0.5]


def test_equal_pairs_have_no_gradient():
    rig = build_layer(TYPE, [np.ones((2, 3)), np.ones((2, 3)), [0, 1]])
    assert rig.forward()[0] == 0.25
    assert not any(diff.any() for diff in rig.backward([1.0])[0][:2])


def error_of(*shapes):
    with pytest.raises(LayerError) as error:
        build_layer(TYPE, [np.ones(shape) for shape in shapes])
    return str(error.value).removeprefix("layer 'layer' (ContrastiveLoss): ")


def test_what_does_not_fit():
    said = "needs two bottoms of one shape (N, C), got shapes {} and {}"
    for shapes in (((2, 3), (2, 4)), ((2, 3, 2), (2, 3, 2)), ((2, 3), (2, 3, 1, 2))):
        assert error_of(*shapes, (2,)) == said.format(*shapes)
    assert error_of((2, 3), (2, 3), (3,)) == "needs 2 similarities, got shape (3,)"
    assert error_of((2, 3), (2, 3), (2, 2)) == "needs 2 similarities, got shape (2, 2)"
    assert error_of((2, 3), (2, 3)) == "takes exactly 3 bottoms, got 2"
    assert error_of((0, 3), (0, 3), (0,)) == "cannot take the mean of no records, got bottom shape (0, 3)"


def test_sizes_are_looked_at_again_in_each_pass():
    rig = build_layer(TYPE, [*pairs(), [0, 1] * 4])
    bottoms = [*pairs(N=5), [1, 0, 1, 0, 0]]
    assert np.array_equal(rig.forward(bottoms), build_layer(TYPE, bottoms).forward())
