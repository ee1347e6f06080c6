import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.net.sharing import ParamTable
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


def layer(name, text, *shapes):
    """A layer with learnable blobs of these shapes, which hold 1, 2, ..."""
    message = parse(f"name: '{name}' type: 'T' {text}", caffe_pb2.LayerParameter).message
    made = Layer(message, None, LayerContext())
    for i, shape in enumerate(shapes):
        blob = Blob(shape)
        blob.data.fill(i + 1)
        made.blobs.append(blob)
    return made


def table_of(*layers):
    table = ParamTable()
    for made in layers:
        table.add_layer(made)
    return table


def test_params_come_in_the_order_of_their_making():
    a, b = layer("a", "param { name: 'w' }", (2, 3), (2,)), layer("b", "", (1, 2))
    table = table_of(a, b)
    assert table.learnable == [*a.blobs, *b.blobs]
    assert [(p.layer.name, p.index, p.owner, p.learnable) for p in table.params] == [
        ("a", 0, None, 0),
        ("a", 1, None, 1),
        ("b", 0, None, 2),
    ]
    assert [p.display_name for p in table.params] == ["w", "1", "0"]


def test_multipliers_that_no_layer_sets_are_unknown():
    table = table_of(layer("a", "param { lr_mult: 0 } param { decay_mult: 2.5 }", (2,), (2,), (2,)))
    assert table.lr_mult == [0, None, None]
    assert table.decay_mult == [None, 2.5, None]


def test_a_rate_of_0_asks_for_no_gradient():
    made = layer("a", "param { lr_mult: 0 } param { decay_mult: 0 }", (2,), (2,), (2,))
    table_of(made)
    assert made.param_propagate_down == [False, True, True]


def test_params_of_one_name_are_one():
    a = layer("a", "param { name: 'w' decay_mult: 3 }", (2, 3))
    b = layer("b", "param { } param { name: 'w' lr_mult: 2 }", (4,), (2, 3))
    table = table_of(a, b)
    assert table.learnable == [a.blobs[0], b.blobs[0]]
    assert [(p.owner, p.learnable) for p in table.params] == [(None, 0), (None, 1), (0, 0)]
    assert (table.lr_mult, table.decay_mult) == ([2, None], [3, None])
    table.share_memory()
    a.blobs[0].data[...] = 7
    b.blobs[1].diff[...] = 5
    assert (b.blobs[1].data == 7).all()
    assert (a.blobs[0].diff == 5).all()
    assert not np.shares_memory(a.blobs[0].data, b.blobs[0].data)


def test_owners_are_numbered_among_all_params():
    names = ("v", "v", "w", "w")
    table = table_of(*(layer(f"l{i}", f"param {{ name: '{name}' }}", (2,)) for i, name in enumerate(names)))
    assert [(p.owner, p.learnable) for p in table.params] == [(None, 0), (0, 0), (None, 1), (2, 1)]


def test_params_without_a_name_are_not_shared():
    table = table_of(layer("a", "param { name: '' }", (2,)), layer("b", "param { name: '' }", (2,)))
    assert len(table.learnable) == 2


def test_permissive_sharing_needs_as_many_values_only():
    a = layer("a", "param { name: 'w' }", (2, 3))
    b = layer("b", "param { name: 'w' share_mode: PERMISSIVE }", (6,))
    table_of(a, b).share_memory()
    a.blobs[0].data[1, 2] = 9
    assert b.blobs[0].data[5] == 9


@pytest.mark.parametrize(
    ("text", "shape", "says"),
    [
        ("param {} param {}", (2, 3), "has 2 param entries for 1 learnable blobs"),
        ("param { lr_mult: nan }", (2, 3), "needs a finite lr_mult, got nan"),
        (
            "param { name: 'w' }",
            (3, 2),
            r"shares param 'w' with layer 'a', which has shape \(2, 3\), got \(3, 2\) for blob 0",
        ),
        (
            "param { name: 'w' share_mode: PERMISSIVE }",
            (5,),
            "shares param 'w' with layer 'a', which has 6 values, got 5 for blob 0",
        ),
        ("param { name: 'w' lr_mult: 2 }", (2, 3), "which has lr_mult 1, got lr_mult 2"),
        ("param { name: 'w' decay_mult: 0 }", (2, 3), "which has decay_mult 1, got decay_mult 0"),
    ],
)
def test_what_does_not_fit(text, shape, says):
    table = table_of(layer("a", "param { name: 'w' lr_mult: 1 decay_mult: 1 }", (2, 3)))
    with pytest.raises(LayerError, match=rf"^layer 'b' \(T\): .*{says}$"):
        table.add_layer(layer("b", text, shape))
