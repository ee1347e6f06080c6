"""What LSTM and RNN have in common: the unrolled net's numbers and draws, the state, and the checks."""

import logging

import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer
from unrolled import Unrolled

from pycaffe_lite import random
from pycaffe_lite.errors import LayerError

BOTH = pytest.mark.parametrize("type", ["LSTM", "RNN"])
STATES = {"LSTM": 2, "RNN": 1}
FILLERS = 'weight_filler { type: "uniform" min: -0.5 max: 0.5 } bias_filler { type: "gaussian" std: 0.3 }'


def prototxt(type, fields=FILLERS, D=3, tops=1):
    ends = " ".join(f'top: "y{i}"' for i in range(tops))
    return f'type: "{type}" {ends} recurrent_param {{ num_output: {D} {fields} }}'


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def begin_at(T, N, *begins):
    """Sequence indicators: 0 at the first step and at the steps (t, n) given."""
    cont = np.ones((T, N))
    cont[0] = 0
    for t, n in begins:
        cont[t, n] = 0
    return cont


@BOTH
@pytest.mark.parametrize("x_shape", [(4, 2, 3), (1, 3, 2), (3, 2, 2, 2)])
@pytest.mark.parametrize("static_shape", [None, (4,), (2, 3)])
def test_equals_the_unrolled_net(type, x_shape, static_shape):
    T, N = x_shape[:2]
    x, cont = values(*x_shape), np.random.default_rng(1).choice([0, 1, 1, 0.5], (T, N))
    static = None if static_shape is None else values(N, *static_shape, seed=2)
    fillers = FILLERS.split(" bias_filler")
    unrolled = Unrolled(type, x, cont, static, 3, (fillers[0], "bias_filler" + fillers[1]), seed=9)
    bottoms = [b for b in (x, cont, static) if b is not None]
    rig = build_layer(prototxt(type), bottoms, dtype=np.float64, seed=9)

    assert [b.shape for b in rig.layer.blobs] == [b.shape for b in unrolled.blobs]
    for mine, theirs in zip(rig.layer.blobs, unrolled.blobs, strict=True):
        assert np.array_equal(mine.data, theirs.data)
    # The stream is where the unrolled net leaves it, all copies of the weights drawn.
    random.set_random_seed(9)
    build_layer(prototxt(type), bottoms, dtype=np.float64, seed=9)
    assert random.stream().raw_array(5).tolist() == unrolled.after

    dy = values(T, N, 3, seed=3)
    y, inputs, blobs = unrolled.run(dy)
    assert np.allclose(rig.forward()[0], y, rtol=1e-12, atol=1e-14)
    bottom_diffs, blob_diffs = rig.backward([dy])
    del bottom_diffs[1]
    for mine, theirs in zip([*bottom_diffs, *blob_diffs], [*inputs, *blobs], strict=True):
        assert np.allclose(mine, theirs, rtol=1e-10, atol=1e-13)


@BOTH
@pytest.mark.parametrize("static", [False, True])
def test_gradients(type, static):
    def bottoms(N):
        return [values(3, N, 2), begin_at(3, N, (2, 0)), *([values(N, 2)] if static else [])]

    check_layer(
        prototxt(type, D=2),
        bottoms(2),
        gradients=(0, 2) if static else (0,),
        resized=bottoms(3),
        heeds_propagate_down=False,
    )


@BOTH
def test_the_state_goes_on_from_pass_to_pass(type):
    x, cont = values(6, 2, 3), np.ones((6, 2))
    whole = build_layer(prototxt(type), [x, cont], phase=TEST)
    half = build_layer(prototxt(type), [x[:3], cont[:3]], phase=TEST)
    for blob, other in zip(half.layer.blobs, whole.layer.blobs, strict=True):
        blob.data[...] = other.data
    parts = [half.forward([x[:3], cont[:3]])[0], half.forward([x[3:], cont[3:]])[0]]
    assert np.allclose(np.concatenate(parts), whole.forward()[0], atol=1e-6)
    # Another pass over the same goes on as well, and cont 0 begins anew.
    assert not np.allclose(half.forward([x[:3], cont[:3]])[0], parts[0], atol=1e-3)
    assert np.array_equal(half.forward([x[:3], begin_at(3, 2)])[0], parts[0])


@BOTH
def test_states_when_the_number_of_sequences_changes(type):
    x, cont = values(2, 3, 2), np.ones((2, 3))
    rig = build_layer(prototxt(type), [x, cont])
    rig.forward()
    state = [blob.data.copy() for blob in rig.layer.carried]
    rig.layer.reshape(*_resized(rig, 2))
    assert all(
        np.array_equal(blob.data, old[:, :2]) for blob, old in zip(rig.layer.carried, state, strict=True)
    )
    rig.layer.reshape(*_resized(rig, 9))
    assert not any(blob.data.any() for blob in rig.layer.carried)


def _resized(rig, N):
    rig.bottom[0].reshape(2, N, 2)
    rig.bottom[1].reshape(2, N)
    return rig.bottom, rig.top


@BOTH
def test_what_later_layers_write_into_the_top_changes_nothing(type):
    x, cont, dy = values(3, 2, 2), np.ones((3, 2)), values(3, 2, 3)
    results = []
    for overwrite in (False, True):
        rig = build_layer(prototxt(type), [x, cont])
        rig.forward()
        if overwrite:
            rig.top[0].data[...] = 5
        bottom_diffs, blob_diffs = rig.backward([dy])
        results.append([bottom_diffs[0], *blob_diffs, *rig.forward()])
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@BOTH
@pytest.mark.parametrize("static", [False, True])
def test_exposed_state(type, static):
    count = STATES[type]
    x, cont = values(4, 2, 3), np.ones((4, 2))
    extra = [values(2, 2, seed=5)] if static else []
    hidden = build_layer(prototxt(type), [x, cont, *extra])
    shown = build_layer(
        prototxt(type, "expose_hidden: true " + FILLERS, tops=1 + count),
        [x[:2], cont[:2], *extra, *[np.zeros((1, 2, 3))] * count],
        blobs=[blob.data for blob in hidden.layer.blobs],
    )
    (right,) = hidden.forward()
    y, *state = shown.forward()
    again, *last = shown.forward([x[2:], cont[2:], *extra, *state])
    assert np.allclose(np.concatenate([y, again]), right, atol=1e-6)
    assert [s.shape for s in last] == [(1, 2, 3)] * count
    assert all(np.allclose(s, c.data, atol=1e-6) for s, c in zip(last, hidden.layer.carried, strict=True))
    # The first state comes from the bottoms alone.
    assert np.array_equal(shown.forward()[0], again)


@BOTH
def test_no_gradient_through_exposed_states(type):
    count = STATES[type]
    text = prototxt(type, "expose_hidden: true " + FILLERS, tops=1 + count)
    bottoms = [values(2, 2, 3), np.ones((2, 2)), *[values(1, 2, 3)] * count]
    rig = build_layer(text, bottoms)
    assert [rig.layer.allow_force_backward(i) for i in range(2 + count)] == [True] + [False] * (1 + count)
    assert [rig.layer.allow_top_gradient(i) for i in range(1 + count)] == [True] + [False] * count
    rig.forward()
    dy = values(2, 2, 3, seed=1)
    diffs = [rig.backward([dy, *[np.full((1, 2, 3), g)] * count], bottom_fill=7) for g in (0, 100)]
    for (first, *_), (second, *_) in zip(*diffs, strict=True):
        assert np.array_equal(first, second)
    assert all((diff == 7).all() for diff in diffs[0][0][1:])
    check_layer(text, bottoms, resized=(), heeds_propagate_down=False)


@BOTH
def test_frozen_weights_get_their_gradient_all_the_same(type):
    rig = build_layer(f"{prototxt(type)} param {{ lr_mult: 0 }}", [values(3, 2, 2), np.ones((3, 2))])
    rig.forward()
    assert rig.backward([values(3, 2, 3)])[1][0].any()


@BOTH
def test_saved_state(type):
    x, cont = values(3, 2, 2), np.ones((3, 2))
    rig = build_layer(prototxt(type), [x, cont])
    rig.forward()
    state = rig.layer.state()
    (right,) = rig.forward()
    fresh = build_layer(prototxt(type), [x, cont])
    fresh.layer.set_state(state)
    assert np.array_equal(fresh.forward()[0], right)
    shown = prototxt(type, "expose_hidden: true", tops=1 + STATES[type])
    exposed = build_layer(shown, [x, cont, *[np.zeros((1, 2, 3))] * STATES[type]]).layer
    assert exposed.state() is None
    assert exposed.set_state(state) == "its hidden state comes from its bottoms"


@BOTH
@pytest.mark.parametrize(
    ("sequences", "more", "of"), [(5, 0, "5 sequences, now there are 2"), (0, 5, "another size")]
)
def test_a_saved_state_that_does_not_fit_starts_at_zero(type, sequences, more, of):
    x, cont = values(3, 2, 2), np.ones((3, 2))
    rig = build_layer(prototxt(type), [x, cont])
    (right,) = rig.forward()
    state = bytes(sequences * STATES[type] * 3 * 4 + more)
    assert rig.layer.set_state(state) == f"its hidden state starts at zero: the one saved is of {of}"
    assert np.array_equal(rig.forward()[0], right)


@BOTH
def test_blobs_in_the_prototxt_are_not_used(type, caplog):
    text = prototxt(type, "weight_filler { value: 2 }", D=1) + " blobs { shape { dim: 4 } data: 1 }"
    with caplog.at_level(logging.WARNING):
        rig = build_layer(text, [values(1, 1, 1), np.ones((1, 1))])
    assert caplog.messages == [f"layer 'layer' ({type}): its blobs in the prototxt are not used"]
    assert (rig.layer.blobs[0].data == 2).all()


def error_of(type, *shapes, fields=FILLERS, tops=1, D=3):
    with pytest.raises(LayerError) as error:
        build_layer(prototxt(type, fields, D, tops), [np.ones(shape) for shape in shapes])
    return str(error.value).removeprefix(f"layer 'layer' ({type}): ")


@BOTH
def test_what_does_not_fit(type):
    said = "needs a bottom of shape (T, N, ...) with at least 3 axes, got "
    assert error_of(type, (3, 2), (3, 2)) == said + "(3, 2)"
    assert error_of(type, (0, 2, 3), (0, 2)) == said + "(0, 2, 3)"
    for shape in ((3,), (2, 3), (3, 2, 1)):
        assert error_of(type, (3, 2, 4), shape) == f"needs sequence indicators of shape (3, 2), got {shape}"
    assert error_of(type, (3, 2, 4), (3, 2), (3, 4)) == (
        "needs a static input of shape (2, ...) with 4 values from axis 1 on, got (3, 4)"
    )
    assert error_of(type, (3, 2, 4), (3, 2), (2,)) == (
        "needs a static input of shape (2, ...) with 1 values from axis 1 on, got (2,)"
    )
    assert error_of(type, (3, 2, 4)) == "takes 2 or 3 bottoms, got 1"
    assert error_of(type, (3, 2, 4), (3, 2), tops=2) == "takes exactly 1 top, got 2"
    assert error_of(type, (3, 2, 4), (3, 2), D=0) == ("needs num_output of at least 1, got 0")
    exposed, count = "expose_hidden: true", STATES[type]
    assert error_of(type, (3, 2, 4), (3, 2), fields=exposed, tops=1 + count) == (
        f"takes {2 + count} or {3 + count} bottoms, got 2"
    )
    states = [(1, 2, 3)] * (count - 1) + [(2, 3)]
    assert error_of(type, (3, 2, 4), (3, 2), *states, fields=exposed, tops=1 + count) == (
        f"needs a state {'hc'[count - 1]} of shape (1, 2, 3), got (2, 3)"
    )


@BOTH
def test_does_not_work_in_place(type):
    with pytest.raises(LayerError) as error:
        build_layer(prototxt(type), [values(2, 3, 3), np.ones((2, 3))], in_place=True)
    assert str(error.value) == (
        f"layer 'layer' ({type}): does not work in place: give its top a name of its own"
    )


@BOTH
def test_sizes_that_change_after_setup(type):
    rig = build_layer(prototxt(type), [values(3, 2, 4), np.ones((3, 2))])
    for shape, said in (
        ((4, 2, 4), "needs 3 time steps on axis 0, as at setup, got bottom shape (4, 2, 4)"),
        ((3, 2, 5), "needs 4 values from axis 2 on, as at setup, got bottom shape (3, 2, 5)"),
    ):
        with pytest.raises(LayerError) as error:
            rig.forward([np.ones(shape), np.ones(shape[:2])])
        assert str(error.value) == f"layer 'layer' ({type}): {said}"


@BOTH
def test_no_gradient_for_sequence_indicators(type):
    rig = build_layer(prototxt(type), [values(3, 2, 4), np.ones((3, 2))])
    rig.forward()
    assert not rig.layer.allow_force_backward(1)
    with pytest.raises(LayerError) as error:
        rig.backward([values(3, 2, 3)], wanted=[1])
    assert str(error.value) == f"layer 'layer' ({type}): has no gradient for its sequence indicators"


@BOTH
def test_no_sequences(type):
    rig = build_layer(prototxt(type), [np.ones((2, 0, 4)), np.ones((2, 0)), np.ones((0, 2))])
    assert rig.forward()[0].shape == (2, 0, 3)
    assert not any(diff.any() for diff in rig.backward([np.ones((2, 0, 3))])[1])
