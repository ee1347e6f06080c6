import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "ContinuationIndicator" continuation_indicator_param'


def test_sequences_begin_at_the_first_step():
    rig = build_layer(f"{TYPE} {{ time_step: 3 batch_size: 2 }}", [])
    np.testing.assert_array_equal(rig.forward()[0], [[0, 0], [1, 1], [1, 1]])


def test_as_many_as_the_bottom_has():
    rig = build_layer(f"{TYPE} {{ time_step: 2 axis: 1 }}", [np.ones((4, 3))])
    np.testing.assert_array_equal(rig.forward()[0], [[0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(rig.forward([np.ones((4, 1))])[0], [[0], [1]])


def test_error():
    with pytest.raises(LayerError) as error:
        build_layer(f"{TYPE} {{ time_step: 3 }}", [])
    assert str(error.value) == (
        "layer 'layer' (ContinuationIndicator): needs time_step and batch_size of 1 or more, got 3 and 0"
    )
