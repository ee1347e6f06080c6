import numpy as np
import pytest
from layer_check import check_layer, layer_message

from pycaffe_lite.layer.registry import type_of

A, B = np.random.default_rng(0).normal(size=(2, 2, 3))


@pytest.mark.parametrize("name", ["Gather", "Scatter"])
def test_one_process_has_all_there_is(name):
    check_layer(f'type: "{name}"', [A, B], lambda bottoms, _: bottoms, in_place=True)


def test_told_from_the_gather_of_another_fork():
    assert type_of(layer_message('type: "Gather"')).origin == "TSN"
    assert type_of(layer_message('type: "Gather" gather_param { indices: 1 }')).origin == "synopsys"
