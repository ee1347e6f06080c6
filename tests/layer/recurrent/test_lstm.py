import logging

import numpy as np
from layer_check import build_layer


def test_blobs_in_caffes_order():
    text = 'type: "LSTM" recurrent_param { num_output: 2 }'
    shapes = [b.shape for b in build_layer(text, [np.ones((3, 4, 5)), np.ones((3, 4))]).layer.blobs]
    assert shapes == [(8, 5), (8,), (8, 2)]
    bottoms = [np.ones((3, 4, 5, 2)), np.ones((3, 4)), np.ones((4, 7))]
    shapes = [b.shape for b in build_layer(text, bottoms).layer.blobs]
    assert shapes == [(8, 10), (8,), (8, 7), (8, 2)]


def test_weights_are_those_of_the_first_step_and_each_step_draws():
    def blobs(T):
        text = """type: "LSTM" recurrent_param { num_output: 2 weight_filler { type: "uniform" }
                  bias_filler { type: "uniform" } }"""
        return [b.data for b in build_layer(text, [np.ones((T, 1, 1)), np.ones((T, 1))]).layer.blobs]

    once, often = blobs(1), blobs(5)
    assert all(np.array_equal(a, b) for a, b in zip(once, often, strict=True))


def test_debug_info_tells_each_step(caplog):
    text = 'name: "l" type: "LSTM" recurrent_param { num_output: 1 debug_info: true }'
    rig = build_layer(
        text, [np.ones((2, 1, 1)), np.ones((2, 1))], blobs=[[[0]] * 4, [50, 0, 50, 50], [[0]] * 4]
    )
    with caplog.at_level(logging.INFO, "pycaffe_lite.layer.recurrent.recurrent"):
        rig.forward()
        rig.backward([np.zeros((2, 1, 1))])
    assert caplog.messages == [
        "    [Forward] Layer l_unit_1, top blob c_1 data: 1",
        "    [Forward] Layer l_unit_1, top blob h_1 data: 0.761594",
        "    [Forward] Layer l_unit_2, top blob c_2 data: 1.5",
        "    [Forward] Layer l_unit_2, top blob h_2 data: 0.905148",
        "    [Backward] Layer l_unit_2, bottom blob gate_input_2 diff: 0",
        "    [Backward] Layer l_unit_1, bottom blob gate_input_1 diff: 0",
    ]


def test_setup_says_the_sizes(caplog):
    with caplog.at_level(logging.INFO, "pycaffe_lite.layer.recurrent.recurrent"):
        build_layer('type: "LSTM" recurrent_param { num_output: 1 }', [np.ones((3, 2, 1)), np.ones((3, 2))])
    assert caplog.messages == [
        "Initializing recurrent layer: assuming input batch contains 3 timesteps of 2 independent streams."
    ]
