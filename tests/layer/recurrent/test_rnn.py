import logging

import numpy as np
from layer_check import build_layer


def test_blobs_in_caffes_order():
    text = 'type: "RNN" recurrent_param { num_output: 2 }'
    shapes = [b.shape for b in build_layer(text, [np.ones((3, 4, 5)), np.ones((3, 4))]).layer.blobs]
    assert shapes == [(2, 5), (2,), (2, 2), (2, 2), (2,)]
    bottoms = [np.ones((3, 4, 5, 2)), np.ones((3, 4)), np.ones((4, 7))]
    shapes = [b.shape for b in build_layer(text, bottoms).layer.blobs]
    assert shapes == [(2, 10), (2,), (2, 7), (2, 2), (2, 2), (2,)]


def test_by_hand():
    text = 'type: "RNN" recurrent_param { num_output: 1 }'
    rig = build_layer(
        text, [[[[1.0]], [[2.0]]], [[0.0], [0.5]]], blobs=[[[0.3]], [0.1], [[0.7]], [[2]], [-0.2]]
    )
    h1 = np.tanh(0.3 + 0.1)
    h2 = np.tanh(0.6 + 0.1 + 0.7 * 0.5 * h1)
    assert np.allclose(rig.forward()[0].ravel(), np.tanh([2 * h1 - 0.2, 2 * h2 - 0.2]), atol=1e-6)


def test_debug_info_tells_each_step(caplog):
    text = 'name: "r" type: "RNN" recurrent_param { num_output: 1 debug_info: true }'
    rig = build_layer(text, [np.ones((2, 1, 1)), np.ones((2, 1))], blobs=[[[1]], [0], [[0]], [[0]], [50]])
    with caplog.at_level(logging.INFO, "pycaffe_lite.layer.recurrent.recurrent"):
        rig.forward()
        rig.backward([np.zeros((2, 1, 1))])
    assert caplog.messages == [
        "    [Forward] Layer r_h_neuron_1, top blob h_1 data: 0.761594",
        "    [Forward] Layer r_h_neuron_2, top blob h_2 data: 0.761594",
        "    [Forward] Layer r_o_neuron_1, top blob o_1 data: 1",
        "    [Forward] Layer r_o_neuron_2, top blob o_2 data: 1",
        "    [Backward] Layer r_h_neuron_2, bottom blob h_neuron_input_2 diff: 0",
        "    [Backward] Layer r_h_neuron_1, bottom blob h_neuron_input_1 diff: 0",
    ]
