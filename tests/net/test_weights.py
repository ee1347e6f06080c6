"""Weights into a net: by name, with shapes checked, all or nothing."""

import gc

import numpy as np
import pytest

from pycaffe_lite.errors import FileLookupError, WeightsError
from pycaffe_lite.formats import caffemodel
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.weights import copy_from, fresh_in_all
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

NET = """
    name: 'small'
    layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }
    layer { name: 'ip1' type: 'InnerProduct' bottom: 'x' top: 'h'
            inner_product_param { num_output: 4 weight_filler { type: 'uniform' } } }
    layer { name: 'ip2' type: 'InnerProduct' bottom: 'h' top: 'y'
            inner_product_param { num_output: 2 weight_filler { type: 'uniform' } } }
"""


def build(text: str = NET) -> Net:
    return Net.from_document(parse(text, caffe_pb2.NetParameter))


def snapshot(net: Net) -> dict[str, list[np.ndarray]]:
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        for x, y in zip(a[name], b[name], strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("kind", ["binary", "hdf5"])
def test_save_and_load(tmp_path, kind):
    one, two = build(), build()
    path = tmp_path / "any.name"
    one.save(path) if kind == "binary" else one.save_hdf5(path)
    two.copy_from(path)
    assert_same(snapshot(one), snapshot(two))


def test_diffs_are_saved_when_asked_for(tmp_path):
    one, two = build(), build()
    one.params["ip1"][0].diff[...] = 7
    one.save(tmp_path / "m", write_diff=True)
    two.copy_from(tmp_path / "m")
    assert (two.params["ip1"][0].diff == 7).all()
    assert (two.params["ip2"][0].diff == 0).all()


def test_layers_are_matched_by_name(tmp_path, caplog):
    one = build(NET.replace("'ip2'", "'other'"))
    one.save(tmp_path / "m")
    two = build()
    before = snapshot(two)
    with caplog.at_level("INFO"):
        two.copy_from(tmp_path / "m")
    assert "Ignoring source layer other" in [record.getMessage() for record in caplog.records]
    np.testing.assert_array_equal(two.params["ip1"][0].data, one.params["ip1"][0].data)
    np.testing.assert_array_equal(two.params["ip2"][0].data, before["ip2"][0])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("num_output: 2", "num_output: 5"),
            "'{path}': layer 'ip2' (InnerProduct) has blob 0 of shape (5, 4) in the file, (2, 4) in the net; "
            "to learn this layer from scratch instead, rename it in the prototxt",
        ),
        (
            ("num_output: 2", "num_output: 2 bias_term: false"),
            "'{path}': layer 'ip2' (InnerProduct) has 1 blobs in the file, 2 in the net; "
            "to learn this layer from scratch instead, rename it in the prototxt",
        ),
    ],
)
def test_misfits_change_nothing(tmp_path, change, problem):
    path = tmp_path / "m.caffemodel"
    build(NET.replace(*change)).save(path)
    net = build()
    before = snapshot(net)
    with pytest.raises(WeightsError) as raised:
        net.copy_from(path)
    assert str(raised.value) == problem.format(path=path)
    assert_same(snapshot(net), before)


def test_what_became_of_a_file(tmp_path, caplog):
    one = build(NET.replace("'ip2'", "'other'"))
    one.save(tmp_path / "m")
    one.save_hdf5(tmp_path / "m.h5")
    for path in (tmp_path / "m", tmp_path / "m.h5"):
        loaded = copy_from(build(), path)
        assert loaded == (str(path), ["ip1"], ["other"], ["ip2"])
        again = copy_from(build(NET.replace("'ip1'", "'x'").replace("'ip2'", "'other'")), path)
        assert (again.layers, again.fresh) == (["other"], ["x"])
        assert fresh_in_all([loaded, again]) == []
        assert fresh_in_all([loaded, loaded]) == ["ip2"]
    assert fresh_in_all([]) == []
    assert caplog.messages == []


def test_a_layer_that_shares_its_weights_is_not_fresh(tmp_path):
    named = "bottom: 'x' top: 'h' param { name: 'w' } param { name: 'b' }"
    twice = (
        NET.replace("bottom: 'x' top: 'h'", named)
        .replace("bottom: 'h' top: 'y'", named.replace("top: 'h'", "top: 'y'"))
        .replace("num_output: 2", "num_output: 4")
    )
    net = build(twice)
    net.save_hdf5(tmp_path / "m.h5")
    assert copy_from(net, tmp_path / "m.h5").fresh == []


def test_a_file_of_another_net_is_said_to_have_nothing(tmp_path, caplog):
    build(NET.replace("'ip", "'fc")).save(tmp_path / "m")
    build().copy_from(tmp_path / "m")
    assert caplog.messages == [f"'{tmp_path / 'm'}' has no weights for any layer of this net"]


def test_followers_share_what_is_loaded(tmp_path):
    build().save(tmp_path / "m")
    net, follower, misfit = build(), build(), build(NET.replace("num_output: 2", "num_output: 5"))
    net.followers.update((follower, misfit))
    before = snapshot(misfit)
    net.copy_from(tmp_path / "m")
    assert np.shares_memory(follower.params["ip2"][0].data, net.params["ip2"][0].data)
    assert_same(snapshot(misfit), before)
    assert not np.shares_memory(misfit.params["ip1"][0].data, net.params["ip1"][0].data)
    del follower, misfit
    gc.collect()
    assert len(net.followers) == 0


def test_a_missing_file(tmp_path):
    with pytest.raises(FileLookupError) as raised:
        build().copy_from(tmp_path / "none.caffemodel")
    assert str(raised.value) == f"no such file: '{tmp_path / 'none.caffemodel'}'"


def test_sharing_is_of_data_alone():
    one, two = build(), build()
    two.share_with(one)
    one.params["ip1"][0].data[...] = 3
    one.params["ip1"][0].diff[...] = 5
    assert (two.params["ip1"][0].data == 3).all()
    assert (two.params["ip1"][0].diff == 0).all()


def test_sharing_needs_equal_shapes():
    with pytest.raises(WeightsError) as raised:
        build().share_with(build(NET.replace("num_output: 2", "num_output: 5")))
    assert str(raised.value) == (
        "layer 'ip2' (InnerProduct) cannot share weights: its blobs have shapes (2, 4), (2,) here, "
        "(5, 4), (5,) in the other net"
    )


BN = """
    name: 'bn'
    layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
    layer { name: 'bn' type: 'BN' bottom: 'x' top: 'y' bn_param { FORM } }
"""


@pytest.mark.parametrize(("form", "count"), [("momentum: 0.9", 4), ("bn_mode: INFERENCE", 2)])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 3, 1, 1)])
@pytest.mark.parametrize("kind", ["binary", "hdf5"])
def test_blobs_of_bn_are_matched_by_their_number_of_values(tmp_path, form, count, shape, kind):
    one = build(BN.replace("FORM", form))
    assert len(one.params["bn"]) == count
    for i, blob in enumerate(one.params["bn"]):
        blob.reshape(shape)
        blob.data.ravel()[...] = [i, i + 0.5, -i]
    one.save(tmp_path / "m") if kind == "binary" else one.save_hdf5(tmp_path / "m")
    two = build(BN.replace("FORM", form))
    two.copy_from(tmp_path / "m")
    for i, blob in enumerate(two.params["bn"]):
        assert blob.shape == (1, 3, 1, 1)
        np.testing.assert_array_equal(blob.data.ravel(), [i, i + 0.5, -i])


def test_blobs_of_bn_need_as_many_values(tmp_path):
    one, two = (build(BN.replace("dim: 3", f"dim: {n}").replace("FORM", "")) for n in (2, 3))
    one.save(tmp_path / "m")
    with pytest.raises(WeightsError) as raised:
        two.copy_from(tmp_path / "m")
    assert str(raised.value) == (
        f"'{tmp_path / 'm'}': layer 'bn' (BN) has blob 0 of shape (1, 2, 1, 1) in the file, (1, 3, 1, 1) in "
        "the net; to learn this layer from scratch instead, rename it in the prototxt"
    )


def test_blobs_of_the_other_form_of_bn(tmp_path):
    build(BN.replace("FORM", "bn_mode: LEARN")).save(tmp_path / "m")
    with pytest.raises(WeightsError) as raised:
        build(BN.replace("FORM", "")).copy_from(tmp_path / "m")
    assert str(raised.value) == (
        f"'{tmp_path / 'm'}': layer 'bn' (BN) has 2 blobs in the file, 4 in the net; the file may mean "
        "another layer of this name ('pycaffe-lite layers BN'); to learn this layer from scratch instead, "
        "rename it in the prototxt"
    )


def test_blobs_of_bn_in_the_prototxt_itself():
    vector = "blobs { shape { dim: 3 } data: 1 data: 2 data: 3 }"
    net = build(BN.replace("bn_param { FORM }", vector * 4))
    np.testing.assert_array_equal(net.params["bn"][0].data, np.reshape([1, 2, 3], (1, 3, 1, 1)))


def test_saved_for_a_fork(tmp_path):
    net = build(BN.replace("FORM", "frozen: true"))
    net.save(tmp_path / "m", fork="TSN")
    assert caffemodel.fork_of(caffemodel.read(tmp_path / "m")) == "TSN"
    net.save(tmp_path / "m")
    assert caffemodel.fork_of(caffemodel.read(tmp_path / "m")) == "PSPNet"
    with pytest.raises(WeightsError, match=r"^layer 'bn' \(BN\): SegNet's Caffe has no 'frozen' in BNParam"):
        net.save(tmp_path / "n", fork="SegNet")
    assert not (tmp_path / "n").exists()
