"""Slips of the keyboard against names that forks of Caffe have added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of
from pycaffe_lite.proto.text_slips import nearest, one_edit_apart, slip_of

letters = st.text("abc", max_size=6)


def edits(word: str) -> set[str]:
    """Every word that is one edit away, by making them all."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    return {
        *(a + b[1:] for a, b in cuts if b),
        *(a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
        *(a + c + b[1:] for a, b in cuts if b for c in "abc"),
        *(a + c + b for a, b in cuts for c in "abc"),
    } - {word}


@given(letters, letters)
def test_one_edit_apart(a, b):
    assert one_edit_apart(a, b) == (b in edits(a))


@given(letters, st.data())
def test_each_edit_is_one(word, data):
    edited = data.draw(st.sampled_from(sorted(edits(word))))
    assert one_edit_apart(word, edited)
    assert one_edit_apart(edited, word)


@pytest.mark.parametrize(
    ("message", "name", "meant"),
    [
        ("ConvolutionParameter", "num_outputs", "num_output"),
        ("ConvolutionParameter", "num_ouptut", "num_output"),
        ("ConvolutionParameter", "kernal_size", "kernel_size"),
        ("ConvolutionParameter", "biasterm", "bias_term"),
        ("ConvolutionParameter", "Stride", "stride"),
        ("LayerParameter", "botom", "bottom"),
        ("FillerParameter", "sdt", "std"),
        ("SolverParameter", "max_iters", "max_iter"),
        # Not these: forks have them, or they are too short or too far.
        ("ConvolutionParameter", "kernel_d", None),
        ("ConvolutionParameter", "pad_l", None),
        ("LayerParameter", "relu6_param", None),
        ("LayerParameter", "elo_param", None),
        ("SolverParameter", "momentum3", None),
        ("LRNParameter", "n", None),
        ("PoolingParameter", "ceil_mode", None),
        ("BatchNormParameter", "scale_bias", None),
        ("ConvolutionParameter", "number_output", None),
        # A message: kept, as all unknown fields are.
        ("ConvolutionParameter", "weight_fillers", None),
    ],
)
def test_slip_of(message, name, meant):
    assert slip_of(name, fields_of(getattr(caffe_pb2, message).DESCRIPTOR).scalars) == meant


def test_nearest():
    values = ["MAX", "AVE", "STOCHASTIC"]
    assert [nearest(name, values) for name in ("max", "Stochastc", "AVG", "L2", "")] == [
        "MAX",
        "STOCHASTIC",
        None,
        None,
        None,
    ]
