"""Verbs that say `@by_kernels`, recorded on some values and replayed on others, give what a plain pass gives.

A net replays such verbs without calling them (`net.passes`), so one that also computes with NumPy would go on
giving the results of the values that it was recorded on. `check_layer` calls `check_replay` for every layer.
"""

from functools import partial

import numpy as np

from pycaffe_lite.kernels import record
from pycaffe_lite.kernels.convolution import NO_EPILOGUE, Epilogue
from pycaffe_lite.layer.fusing import IsEpilogue, TakesEpilogue, TakesSlopeBack
from pycaffe_lite.layer.replay import is_by_kernels, prepare_diffs

SLOPE = 0.5


def check_replay(build, bottoms, blobs, gradients):
    """Checks all flagged verbs of a layer, in float32.

    Args:
        build: `(bottoms, blobs) -> Rig`, a new one each time.
        bottoms: an array for each bottom. The other values are the same numbers in reverse order: labels stay
            labels, and corners stay as far away.
        blobs: an array for each learnable blob.
        gradients: indices of the bottoms that have a gradient; none, and no blobs: backward is not called.
    """
    others = [np.flip(values) for values in bottoms], [np.flip(values) for values in blobs]
    for verb, forward in _forward_verbs(build(bottoms, blobs).layer).items():
        replayed, plain = build(bottoms, blobs), build(*others)
        recording = _record(verb, lambda rig=replayed, forward=forward: forward(rig))
        _put(replayed, *others)
        recording.run()
        forward(plain)
        for i, (got, right) in enumerate(zip(replayed.top, plain.top, strict=True)):
            _assert_same(got.data, right.data, f"{verb}: top {i}")
    _check_epilogues(build, bottoms, blobs, others)
    for verb, backward in _backward_verbs(build(bottoms, blobs).layer, gradients, blobs).items():
        for clear in (False, True):
            _check_backward(verb, backward, clear, build(bottoms, blobs), build(*others), others)


def _forward_verbs(layer):
    verbs = {"forward": lambda rig: rig.layer.forward(rig.bottom, rig.top)}
    if isinstance(layer, TakesEpilogue) and layer.takes_epilogue():
        slope = Epilogue(slope=SLOPE)
        verbs["forward_with_epilogue"] = lambda rig: rig.layer.forward_with_epilogue(
            rig.bottom, rig.top, slope
        )
    return {verb: call for verb, call in verbs.items() if is_by_kernels(layer, verb)}


def _backward_verbs(layer, gradients, blobs):
    wanted = [i in gradients for i in range(max(gradients, default=-1) + 1)] or [False]

    def padded(rig):
        return wanted + [False] * (len(rig.bottom) - len(wanted))

    verbs = {"backward": lambda rig: rig.layer.backward(rig.top, padded(rig), rig.bottom)}
    if isinstance(layer, TakesSlopeBack) and layer.takes_slope_back():
        verbs["backward_with_slope"] = lambda rig: rig.layer.backward_with_slope(
            rig.top, padded(rig), rig.bottom, SLOPE
        )
    has_gradient = any(wanted) or (blobs and any(layer.param_propagate_down))
    return {verb: call for verb, call in verbs.items() if has_gradient and is_by_kernels(layer, verb)}


def _check_epilogues(build, bottoms, blobs, others):
    """What `epilogue_before` makes of learnable blobs, in front of none and of one that has all parts."""
    replayed, plain = build(bottoms, blobs), build(*others)
    layer = replayed.layer
    if not isinstance(layer, IsEpilogue) or not layer.can_be_epilogue(replayed.top):
        return
    if not is_by_kernels(layer, "epilogue_before"):
        return
    channels = replayed.top[0].shape[1]
    some = np.linspace(1, 2, channels, dtype=layer.dtype)
    for epilogue in (NO_EPILOGUE, Epilogue(some, -some, SLOPE)):
        replayed, plain = build(bottoms, blobs), build(*others)
        made = []
        call = partial(replayed.layer.epilogue_before, epilogue)
        recording = _record("epilogue_before", lambda call=call, made=made: made.append(call()))
        _put(replayed, *others)
        recording.run()
        right = plain.layer.epilogue_before(epilogue)
        for part, got, expected in zip(Epilogue._fields, made[0], right, strict=True):
            if got is not None or expected is not None:
                _assert_same(np.asarray(got), np.asarray(expected), f"epilogue_before: {part}")


def _check_backward(verb, backward, clear, replayed, plain, others):
    _prepare(replayed, seed=3, clear=clear)
    recording = _record(verb, lambda: backward(replayed))
    _put(replayed, *others)
    for rig in (replayed, plain):
        _prepare(rig, seed=4, clear=clear)
    prepare_diffs(replayed.layer)
    recording.run()
    backward(plain)
    for kind, got, right in (
        ("bottom", replayed.bottom, plain.bottom),
        ("blob", replayed.layer.blobs, plain.layer.blobs),
    ):
        for i, (one, other) in enumerate(zip(got, right, strict=True)):
            _assert_same(one.diff, other.diff, f"{verb}: diff of {kind} {i}, cleared before: {clear}")


def _prepare(rig, seed, clear):
    """Runs forward, and sets all diffs, those of blobs to 3, or to zeros that are yet to be written."""
    rig.forward()  # draws start at the same seed
    numbers = np.random.default_rng(seed)
    for blob in rig.bottom:
        blob.diff.fill(7)
    for i, blob in enumerate(rig.top):
        blob.diff[...] = numbers.standard_normal(blob.shape) * rig.layer.allow_top_gradient(i)
    for blob in rig.layer.blobs:
        blob.diff.fill(3)
        if clear:
            blob.clear_diff()


def _put(rig, bottoms, blobs):
    for blob, values in (*zip(rig.bottom, bottoms, strict=True), *zip(rig.layer.blobs, blobs, strict=True)):
        blob.data[...] = values


def _record(verb, call):
    with record() as recording:
        call()
    assert recording.whole, f"{verb} says that it only starts kernels, but does what cannot be recorded"
    return recording


def _assert_same(got, right, what):
    assert np.array_equal(got, right, equal_nan=True), f"replayed {what} differs from that of a plain pass"
