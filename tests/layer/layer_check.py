"""One check for all layers: `check_layer`; and `build_layer`, to set a single layer up without a net.

A test of a layer gives its prototxt, its bottoms and what the tops should be, computed in NumPy float64 from
the definition:

    def test_negative_slope():
        x = np.linspace(-2, 2, 24).reshape(2, 3, 4)
        check_layer(
            'type: "ReLU" relu_param { negative_slope: 0.1 }',
            [x],
            lambda bottoms, blobs: [np.where(bottoms[0] > 0, bottoms[0], 0.1 * bottoms[0])],
            in_place=True,
        )

The rest is the same for every layer and done here:

* the tops' shapes and values, in float32 and float64, against the reference;
* the bottoms' data are as before afterwards (unless in place);
* the gradients of bottoms and learnable blobs against central differences, in float64
  (pycaffe_lite.net.gradcheck, corners included); those of float32 against those of float64;
* bottom diffs are overwritten, whatever was in them; blob diffs are added to;
* where propagate_down is false, a bottom's diff stays as it is, and the other gradients do not change;
* a layer that has seen another batch size gives, bit for bit, what a new one gives;
* in place, where asked for, values and gradients are bit for bit those of separate blobs;
* verbs that are `by_kernels` give bit for bit the same when they are replayed (`replay_check`).

Draws from the random stream start at the same seed before every pass.
"""

from dataclasses import dataclass

import numpy as np
from replay_check import check_replay
from tolerances import assert_gradient, assert_reference

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.gradcheck import check_layer_gradients
from pycaffe_lite.net.sharing import ParamTable
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


@dataclass
class Rig:
    """One layer with its blobs, ready to run.

    Attributes:
        layer: set up and shaped. bottom, top: its blobs; where it runs in place, top[0] is bottom[0].
        seed: where the random stream starts before each forward.
    """

    layer: Layer
    bottom: list[Blob]
    top: list[Blob]
    seed: int = 1

    def forward(self, bottoms=None):
        """Reshapes and runs forward, on new bottoms where given; returns copies of the tops' data."""
        if bottoms is not None:
            for blob, values in zip(self.bottom, bottoms, strict=True):
                blob.reshape(np.shape(values))
                blob.data[...] = values
        random.set_random_seed(self.seed)
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)
        return [blob.data.copy() for blob in self.top]

    def backward(self, top_diffs, wanted=None, bottom_fill=0.0, blob_fills=None):
        """Runs backward for the bottoms in `wanted` (None: all that have a gradient).

        `bottom_fill` is what the bottoms' diffs hold before, `blob_fills` what the blobs' hold (None: zeros).
        Returns copies of the diffs of the bottoms and of the blobs.
        """
        if wanted is None:
            wanted = gradient_bottoms(self.layer, self.bottom)
        for blob in self.bottom:
            blob.diff.fill(bottom_fill)
        for i, blob in enumerate(self.layer.blobs):
            blob.diff[...] = 0 if blob_fills is None else blob_fills[i]
        for blob, diff in zip(self.top, top_diffs, strict=True):
            blob.diff[...] = diff
        self.layer.backward(self.top, [i in wanted for i in range(len(self.bottom))], self.bottom)
        return [b.diff.copy() for b in self.bottom], [b.diff.copy() for b in self.layer.blobs]


def gradient_bottoms(layer, bottom):
    """Indices of the bottoms that can have a gradient."""
    return [i for i in range(len(bottom)) if layer.allow_force_backward(i)]


def layer_message(prototxt, phase=TRAIN):
    """The LayerParameter of a text: `layer { ... }`, or what would stand between the braces."""
    text = prototxt.strip()
    if text.startswith("layer") and text[len("layer") :].lstrip().startswith("{"):
        message = parse(text, caffe_pb2.NetParameter).message.layer[0]
    else:
        message = parse(text, caffe_pb2.LayerParameter).message
    if not message.HasField("name"):
        message.name = "layer"
    if not message.HasField("phase"):
        message.phase = phase
    return message


def build_layer(prototxt, bottoms, *, phase=TRAIN, dtype=F32, blobs=None, in_place=False, tops=None, seed=1):
    """Sets one layer up without a net; whatever it raises goes on to the caller.

    Args:
        prototxt: `layer { ... }` or what would stand between the braces; the name is `layer` where none is
            given. As many tops as it names; where it names none, as many as the type needs, at least one.
        bottoms: arrays, the values of the bottoms.
        phase: where the prototxt does not say it.
        dtype: float32 or float64.
        blobs: values for the learnable blobs; None: as the fillers left them.
        in_place: top 0 is bottom 0.
        tops: how many tops, instead of the above.
        seed: of the random stream, for fillers and draws.

    Returns:
        The rig.
    """
    message = layer_message(prototxt, phase)
    if not message.bottom:
        message.bottom.extend(f"bottom_{i}" for i in range(len(bottoms)))
    layer = create_layer(message, LayerContext(dtype=np.dtype(dtype)))
    bottom = []
    for values in bottoms:
        bottom.append(Blob(np.shape(values), dtype))
        bottom[-1].data[...] = values
    if tops is None:
        tops = len(message.top) or _default_tops(layer, len(bottom))
    if not message.top:
        message.top.extend(f"top_{i}" for i in range(tops))
    top = [Blob(dtype=dtype) for _ in range(tops)]
    if in_place:
        top[0] = bottom[0]
    random.set_random_seed(seed)
    layer.set_up(bottom, top)
    ParamTable().add_layer(layer)
    for blob, values in zip(layer.blobs, blobs or (), strict=bool(blobs)):
        blob.data[...] = values
    return Rig(layer, bottom, top, seed)


def _default_tops(layer, bottoms):
    if layer.equal_bottoms_tops:
        return bottoms
    if layer.exact_tops is not None:
        return layer.exact_tops
    return max(layer.min_tops or 0, 1)


def check_layer(
    prototxt,
    bottoms,
    reference=None,
    *,
    phase=TRAIN,
    blobs=None,
    gradients=None,
    check_blobs=True,
    kink=None,
    in_place=False,
    resized=None,
    adds_to_blob_diffs=True,
    heeds_propagate_down=True,
    threshold=1e-6,
    seed=1,
):
    """Checks a layer in every way that holds for all layers; see the top of this file.

    Args:
        prototxt: `layer { ... }` or what would stand between the braces.
        bottoms: an array for each bottom. Take small ones: the gradient check runs the layer twice for
            every element.
        reference: `(bottoms, blobs) -> list of tops`, in NumPy float64; what it gets are float64 copies.
            None leaves the values unchecked.
        phase: TRAIN or TEST, where the prototxt does not say it.
        blobs: an array for each learnable blob; None: normal random numbers (so that a zero filler hides
            nothing); `()`: as the fillers left them.
        gradients: indices of the bottoms whose gradient to check; None: all that can have one; `()`: none.
        check_blobs: whether to check the gradients of the learnable blobs that are wanted (lr_mult not 0).
            With `gradients=()` and this false, backward is never called.
        kink: (location, range): leave out elements x with | |x| - location | <= range, as Caffe's checker
            does. Corners that an element hits exactly are recognised without this.
        in_place: also run with top 0 being bottom 0.
        resized: bottoms of another batch size; None: one item more along axis 0 for all bottoms whose
            first axis is as long as bottom 0's; `()`: do not check this.
        adds_to_blob_diffs: false for layers that, as in Caffe, overwrite the diffs of their blobs.
        heeds_propagate_down: false for layers that, as in Caffe, write all bottom diffs regardless.
        threshold: of the gradient check, relative.
        seed: of all random numbers.
    """
    bottoms = [np.asarray(b, np.float32).astype(np.float64) for b in bottoms]
    blobs = _blob_values(prototxt, bottoms, phase, blobs, seed)
    spec = {"phase": phase, "blobs": blobs, "seed": seed}

    rigs = {dtype: build_layer(prototxt, bottoms, dtype=dtype, **spec) for dtype in (F32, F64)}
    for rig in rigs.values():
        _check_values(rig, bottoms, reference)
    if resized is None:
        resized = [np.concatenate([b, b[:1]]) if b.ndim and len(b) == len(bottoms[0]) else b for b in bottoms]
    if len(resized):
        _check_resized(prototxt, rigs[F32], bottoms, resized, spec)

    layer, bottom, top = rigs[F64].layer, rigs[F64].bottom, rigs[F64].top
    if gradients is None:
        gradients = gradient_bottoms(layer, bottom)
    wanted_blobs = [i for i, want in enumerate(layer.param_propagate_down) if want and check_blobs]
    if len(gradients) or wanted_blobs:
        random.set_random_seed(seed)
        rigs[F64].forward(bottoms)
        random.set_random_seed(seed)
        for report in check_layer_gradients(
            layer,
            bottom,
            top,
            bottoms=gradients,
            blobs=wanted_blobs,
            kink=kink,
            threshold=threshold,
            seed=seed,
        ):
            assert report.passed, str(report)
        _check_backward(
            rigs, bottoms, list(gradients), wanted_blobs, adds_to_blob_diffs, heeds_propagate_down
        )
    if in_place:
        _check_in_place(prototxt, rigs[F32], bottoms, list(gradients), bool(wanted_blobs), spec)

    def build(bottoms, blobs):
        return build_layer(prototxt, bottoms, phase=phase, blobs=blobs, seed=seed)

    check_replay(build, bottoms, blobs, list(gradients) if len(gradients) or wanted_blobs else [])


def _blob_values(prototxt, bottoms, phase, blobs, seed):
    """Rounded to float32, so that both types compute from the same values."""
    if blobs is None:
        rig = build_layer(prototxt, bottoms, phase=phase, seed=seed)
        numbers = np.random.default_rng(seed)
        blobs = [numbers.standard_normal(blob.shape) for blob in rig.layer.blobs]
    elif not len(blobs):
        rig = build_layer(prototxt, bottoms, phase=phase, seed=seed)
        blobs = [blob.data for blob in rig.layer.blobs]
    return [np.asarray(b, np.float32).astype(np.float64) for b in blobs]


def _check_values(rig, bottoms, reference):
    dtype = rig.layer.dtype
    blobs = [blob.data.astype(np.float64) for blob in rig.layer.blobs]
    tops = rig.forward(bottoms)
    for i, values in enumerate(bottoms):
        assert np.array_equal(rig.bottom[i].data, values, equal_nan=True), f"forward changes bottom {i}"
    if reference is None:
        return
    right = reference([b.copy() for b in bottoms], blobs)
    assert len(tops) == len(right), f"{len(tops)} tops, should be {len(right)}"
    for i, (got, expected) in enumerate(zip(tops, right, strict=True)):
        assert_reference(got, np.asarray(expected, np.float64), f"top {i} in {dtype}")


def _check_resized(prototxt, rig, bottoms, resized, spec):
    fresh = build_layer(prototxt, resized, **spec)
    for i, (got, right) in enumerate(zip(rig.forward(resized), fresh.forward(resized), strict=True)):
        assert np.array_equal(got, right, equal_nan=True), f"top {i} after a change of the batch size"
    fresh = build_layer(prototxt, bottoms, **spec)
    for i, (got, right) in enumerate(zip(rig.forward(bottoms), fresh.forward(bottoms), strict=True)):
        assert np.array_equal(got, right, equal_nan=True), f"top {i} back at the first batch size"


def _top_diffs(rig, seed=2):
    """Random gradients for the tops that take one."""
    numbers = np.random.default_rng(seed)
    draws = [numbers.standard_normal(blob.shape) for blob in rig.top]
    return [draw.astype(np.float32) * rig.layer.allow_top_gradient(i) for i, draw in enumerate(draws)]


def _check_backward(rigs, bottoms, gradients, wanted_blobs, adds_to_blob_diffs, heeds_propagate_down):
    results = {}
    for dtype, rig in rigs.items():
        rig.forward(bottoms)
        diffs = _top_diffs(rig)
        results[dtype] = bottom_diffs, blob_diffs = rig.backward(diffs, gradients)
        for i, values in enumerate(bottoms):
            assert np.array_equal(rig.bottom[i].data, values), f"backward changes the data of bottom {i}"

        rig.forward(bottoms)
        again, _ = rig.backward(diffs, gradients, bottom_fill=np.nan)
        for i in gradients:
            assert np.array_equal(again[i], bottom_diffs[i]), f"diff of bottom {i} is not overwritten"

        before = [np.full(blob.shape, 3.0) for blob in rig.layer.blobs]
        rig.forward(bottoms)
        _, added = rig.backward(diffs, gradients, blob_fills=before)
        for i in wanted_blobs:
            right = blob_diffs[i] + (before[i] if adds_to_blob_diffs else 0)
            assert_gradient(added[i], right, f"diff of blob {i}, added to 3")

        if heeds_propagate_down:
            for wanted in [[], *([i] for i in gradients if len(gradients) > 1)]:
                _check_propagate_down(rig, bottoms, diffs, wanted, bottom_diffs, blob_diffs, wanted_blobs)
    for i in gradients:
        assert_gradient(results[F32][0][i], results[F64][0][i], f"float32 diff of bottom {i}")
    for i in wanted_blobs:
        assert_gradient(results[F32][1][i], results[F64][1][i], f"float32 diff of blob {i}")


def _check_propagate_down(rig, bottoms, diffs, wanted, bottom_diffs, blob_diffs, wanted_blobs):
    rig.forward(bottoms)
    got_bottoms, got_blobs = rig.backward(diffs, wanted, bottom_fill=7.0)
    for i, blob in enumerate(rig.bottom):
        if any(np.shares_memory(blob.diff, top.diff) for top in rig.top):
            continue  # Flatten and its like: bottom and top have one gradient
        if i in wanted:
            assert_gradient(got_bottoms[i], bottom_diffs[i], f"diff of bottom {i}, alone")
        else:
            assert (got_bottoms[i] == 7.0).all(), f"diff of bottom {i} is written, propagate_down is false"
    for i in wanted_blobs:
        assert_gradient(got_blobs[i], blob_diffs[i], f"diff of blob {i}, propagate_down {wanted}")


def _check_in_place(prototxt, rig, bottoms, gradients, blobs_wanted, spec):
    inside = build_layer(prototxt, bottoms, in_place=True, **spec)
    apart_tops, inside_tops = rig.forward(bottoms), inside.forward(bottoms)
    for i, (got, right) in enumerate(zip(inside_tops, apart_tops, strict=True)):
        assert np.array_equal(got, right, equal_nan=True), f"top {i} in place"
    if not gradients and not blobs_wanted:
        return
    diffs = _top_diffs(rig)
    apart, inside_ = rig.backward(diffs, gradients), inside.backward(diffs, gradients)
    for i in gradients:
        assert np.array_equal(inside_[0][i], apart[0][i]), f"diff of bottom {i} in place"
    for i, (got, right) in enumerate(zip(inside_[1], apart[1], strict=True)):
        assert np.array_equal(got, right), f"diff of blob {i} in place"
