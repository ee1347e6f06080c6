import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError


def scores(*rows):
    """Scores, (T, N, 5), whose best symbols these are."""
    best = np.array(rows).T
    x = np.full((*best.shape, 5), 0.1)
    for t, n in np.ndindex(*best.shape):
        x[t, n, best[t, n]] = 0.6 + 0.01 * t
    return x


X = scores([1, 1, 4, 1, 2, 2], [4, 3, 3, 0, 4, 4])
GOES_ON = np.array([[0, 0], [1, 1], [1, 1], [1, 1], [1, 0], [1, 1]])


def decode(options="", bottoms=(X, GOES_ON), tops=1):
    rig = build_layer(f'type: "CTCGreedyDecoder" ctc_decoder_param {{ {options} }}', bottoms, tops=tops)
    return rig.forward()


def test_symbols_without_blanks_and_repeats():
    (said,) = decode()
    assert said.shape == (2, 6, 1, 1)
    np.testing.assert_array_equal(said.reshape(2, 6), [[1, 1, 2, -1, -1, -1], [3, 0, -1, -1, -1, -1]])


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ("ctc_merge_repeated: false", [[1, 1, 1, 2, 2, -1], [3, 3, 0, -1, -1, -1]]),
        ("blank_index: 1", [[4, 2, -1, -1, -1, -1], [4, 3, 0, -1, -1, -1]]),
    ],
)
def test_options(options, right):
    np.testing.assert_array_equal(decode(options)[0].reshape(2, 6), right)


def test_scores_end_where_sequences_end():
    _, total = decode(tops=2)
    np.testing.assert_allclose(total.ravel(), [-(3.6 + 0.15), -(2.4 + 0.06)], rtol=1e-6)


@pytest.mark.parametrize(
    ("targets", "share"),
    [
        ([[1, 3], [1, 0], [2, -1]], 1),
        ([[1, 3], [1, 1], [-1, -1]], 0.5),  # the beginning is enough, in the fork too
        ([[2, 2], [1, 1], [2, -1]], 0),
    ],
)
def test_the_share_that_is_right(targets, share):
    *_, right = decode(bottoms=(X, GOES_ON, np.array(targets)), tops=3)
    assert right.shape == (1, 1, 1, 1)
    assert right.item() == share
    assert decode(bottoms=(X, GOES_ON, np.array(targets)), tops=2)[1].item() == share


@pytest.mark.parametrize(
    ("options", "bottoms", "tops", "message"),
    [
        ("", (X[0], GOES_ON), 1, "needs scores of shape (T, N, C), got (2, 5)"),
        ("", (X, GOES_ON[1:]), 1, "needs sequence indicators of shape (6, 2), got (5, 2)"),
        ("", (X, GOES_ON, GOES_ON[:, :1]), 2, "needs right symbols of 2 sequences"),
        ("", (X, GOES_ON), 3, "takes the right symbols as a third bottom for 3 tops"),
        ("blank_index: 5", (X, GOES_ON), 1, "needs a blank_index below 5, got 5"),
    ],
)
def test_errors(options, bottoms, tops, message):
    with pytest.raises(LayerError) as error:
        decode(options, bottoms, tops)
    assert message in str(error.value)


def test_there_is_no_gradient():
    rig = build_layer('type: "CTCGreedyDecoder"', [X, GOES_ON])
    with pytest.raises(LayerError, match="has no gradient"):
        rig.layer.backward(rig.top, [True, False], rig.bottom)
