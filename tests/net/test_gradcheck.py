"""The gradient checker: right gradients pass, wrong ones do not, corners are told from mistakes."""

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.gradcheck import check_layer_gradients, check_net
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

CONTEXT = LayerContext(dtype=np.dtype(np.float64))


class Cube(Layer):
    """y = x³ + b, whose gradients are `dx_scale` and `db_scale` times the right ones."""

    exact_bottoms = exact_tops = 1
    dx_scale = db_scale = 1.0

    def setup(self, bottom, top):
        self.add_blob((3,))

    def reshape(self, bottom, top):
        top[0].reshape_like(bottom[0])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data ** 3 + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += self.db_scale * top[0].diff.sum(0)
        if propagate_down[0]:
            bottom[0].diff[...] = self.dx_scale * 3 * bottom[0].data ** 2 * top[0].diff


def blob(values):
    b = Blob(np.shape(values), np.float64)
    b.data[...] = values
    return b


def set_up(layer, *bottoms, tops=1):
    bottom, top = [blob(values) for values in bottoms], [Blob(dtype=np.float64) for _ in range(tops)]
    layer.set_up(bottom, top)
    return layer, bottom, top


def cube(**attributes):
    layer = Cube(caffe_pb2.LayerParameter(name="c", type="Cube"), None, CONTEXT)
    vars(layer).update(attributes)
    return set_up(layer, np.random.default_rng(0).normal(size=(2, 3)))


def layer_of(text, *bottoms, tops=1):
    return set_up(create_layer(parse(text, caffe_pb2.LayerParameter).message, CONTEXT), *bottoms, tops=tops)


def test_right_gradients_pass():
    bottom, learnt = check_layer_gradients(*cube())
    assert bottom.passed
    assert learnt.passed
    assert (bottom.blob, bottom.checked) == ("bottom 0", 6)
    assert (learnt.blob, learnt.checked) == ("blob 0", 3)


@pytest.mark.parametrize("scale", [0, 0.999, 1.001, -1, np.nan, np.inf])
def test_wrong_gradients_do_not_pass(scale):
    bottom, learnt = check_layer_gradients(*cube(dx_scale=scale))
    assert not bottom.passed
    assert learnt.passed
    bottom, learnt = check_layer_gradients(*cube(db_scale=scale))
    assert bottom.passed
    assert not learnt.passed


def test_the_worst_element_is_reported():
    class OneWrong(Cube):
        def backward(self, top, propagate_down, bottom):
            super().backward(top, propagate_down, bottom)
            bottom[0].diff[1, 2] *= 2
            bottom[0].diff[0, 1] *= 1.01

    layer = OneWrong(caffe_pb2.LayerParameter(name="c", type="Cube"), None, CONTEXT)
    report = check_layer_gradients(*set_up(layer, np.ones((2, 3))))[0]
    assert report.index == (1, 2)
    assert np.isclose(report.analytic, 2 * report.numeric)
    assert np.isclose(report.error, 0.5, rtol=1e-3)


def test_a_report_is_a_line():
    right, _ = check_layer_gradients(*cube())
    wrong, _ = check_layer_gradients(*cube(dx_scale=2.0), seed=3)
    assert str(right).startswith("layer 'c' (Cube), bottom 0: ok, 6 elements, worst error ")
    assert str(wrong).startswith("layer 'c' (Cube), bottom 0: WRONG, 6 elements, worst error 0.5 at (")
    nothing = check_layer_gradients(*set_up(cube()[0], np.ones((0, 3))))[0]
    assert str(nothing) == "layer 'c' (Cube), bottom 0: nothing to check"


def test_what_to_check_can_be_chosen():
    assert [r.blob for r in check_layer_gradients(*cube(), bottoms=[])] == ["blob 0"]
    assert [r.blob for r in check_layer_gradients(*cube(), blobs=[])] == ["bottom 0"]
    layer, bottom, top = cube()
    layer.param_propagate_down = [False]
    assert [r.blob for r in check_layer_gradients(layer, bottom, top)] == ["bottom 0"]
    assert check_layer_gradients(*cube(), samples=2)[0].checked == 2


# --------------------------------------------------------------------------------------------- corners


def test_a_corner_hit_exactly_is_no_mistake():
    report = check_layer_gradients(*layer_of('type: "ReLU"', [[-1.0, 0.0, 1.0]]))[0]
    assert report.passed
    assert report.kinks == 1
    assert "ok, 3 elements, 1 at a kink" in str(report)


def test_a_corner_within_the_step_is_no_mistake():
    report = check_layer_gradients(*layer_of('type: "ReLU"', [[3e-6, -3e-6]]))[0]
    assert report.passed


def test_ties_of_several_windows_are_corners():
    report = check_layer_gradients(
        *layer_of('type: "Pooling" pooling_param { kernel_size: 3 }', np.ones((1, 1, 4, 5)))
    )[0]
    assert report.passed
    assert report.kinks > 0


def test_a_wrong_gradient_at_a_corner_is_a_mistake():
    layer, bottom, top = layer_of('type: "ReLU"', [[0.0]])
    layer.backward = lambda top, propagate_down, bottom: bottom[0].diff.fill(7)
    report = check_layer_gradients(layer, bottom, top)[0]
    assert not report.passed


def test_a_kink_named_by_the_caller_is_stepped_round():
    rig = layer_of('type: "ReLU"', [[-1.0, 0.0, 1e-3, 1.0]])
    report = check_layer_gradients(*rig, kink=(0, 0.01))[0]
    assert report.checked == 2


def test_a_nan_slope_is_not_a_corner():
    report = check_layer_gradients(*layer_of('type: "Power" power_param { power: 0.5 }', [[0.0]]))[0]
    assert not report.passed


# ---------------------------------------------------------------------------------- leaves things alone


def test_everything_is_left_as_it_was():
    layer, bottom, top = cube()
    random.set_random_seed(5)
    for b in (*bottom, *top, *layer.blobs):
        b.data[...] = 0.5
        b.diff[...] = 0.25
    state = random.stream().state()
    check_layer_gradients(layer, bottom, top)
    for b in (*bottom, *top, *layer.blobs):
        assert (b.data == 0.5).all()
        assert (b.diff == 0.25).all()
    assert random.stream().state() == state


def test_random_layers_draw_the_same_in_every_pass():
    random.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(20,))
    assert check_layer_gradients(*layer_of('type: "Dropout"', x))[0].passed


def test_a_layers_state_is_put_back():
    class Running(Cube):
        total = 0.0

        def forward(self, bottom, top):
            self.total += bottom[0].data.sum()
            top[0].data[...] = self.total * bottom[0].data

        def backward(self, top, propagate_down, bottom):
            bottom[0].diff[...] = self.total * top[0].diff + (bottom[0].data * top[0].diff).sum()

        def state(self):
            return np.float64(self.total).tobytes()

        def set_state(self, state):
            self.total = float(np.frombuffer(state)[0])

    layer = Running(caffe_pb2.LayerParameter(name="r", type="Running"), None, CONTEXT)
    rig = set_up(layer, np.ones((2, 3)))
    layer.total = 2.0
    assert check_layer_gradients(*rig, blobs=[])[0].passed
    assert layer.total == 2


def test_bottoms_that_share_memory_are_varied_together():
    layer, bottom, top = layer_of(
        'type: "Eltwise" eltwise_param { operation: PROD }', [[2.0, 3.0]], [[1.0, 1.0]]
    )
    bottom[1].share_data(bottom[0])
    reports = check_layer_gradients(layer, bottom, top)
    assert [report.blob for report in reports] == ["bottom 0+1"]
    assert reports[0].passed
    assert check_layer_gradients(layer, bottom, top, bottoms=[0]) == []


def test_float32_is_refused():
    message = parse('name: "r" type: "ReLU"', caffe_pb2.LayerParameter).message
    with pytest.raises(ArgumentError) as error:
        check_layer_gradients(create_layer(message, LayerContext()), [], [])
    assert str(error.value) == "a gradient check needs float64, layer 'r' has float32"


# ------------------------------------------------------------------------------------------------- nets

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "twice" type: "Eltwise" bottom: "ip" bottom: "ip" top: "twice" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "twice" bottom: "label" top: "loss" }
"""


def net(text=NET, **options):
    random.set_random_seed(1)
    made = Net.from_document(parse(text, caffe_pb2.NetParameter), dtype=np.float64, **options)
    made.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    made.blobs["label"].data[...] = [1, 3]
    return made


def test_every_layer_that_takes_part_is_checked_on_the_values_that_reach_it():
    reports = list(check_net(net()))
    assert all(report.passed for report in reports), [str(r) for r in reports if not r.passed]
    assert [(report.layer, report.blob) for report in reports] == [
        ("conv", "blob 0"),
        ("conv", "blob 1"),
        ("relu", "bottom 0"),
        ("pool", "bottom 0"),
        ("drop", "bottom 0"),
        ("ip", "bottom 0"),
        ("ip", "blob 0"),
        ("ip", "blob 1"),
        ("ip_ip_0_split", "bottom 0"),
        ("twice", "bottom 0+1"),
        ("loss", "bottom 0"),
    ]
    assert max(report.checked for report in reports) == 50


def test_force_backward_checks_the_inputs_too():
    reports = check_net(net("force_backward: true " + NET), samples=5)
    assert next(reports).blob == "bottom 0"


def test_the_net_has_run_forward_afterwards():
    checked, plain = net(), net()
    for _ in check_net(checked, samples=2):
        pass
    assert checked.blobs["loss"].data > 0
    assert np.array_equal(checked.blobs["conv"].data, plain.forward(blobs=["conv"])["conv"])


def test_a_mistake_in_a_net_is_found():
    broken = net()
    layer = broken.layer_dict["ip"]
    right = layer.backward

    def wrong(top, propagate_down, bottom):
        right(top, propagate_down, bottom)
        layer.blobs[1].diff[...] *= 2

    layer.backward = wrong
    assert [(r.layer, r.blob) for r in check_net(broken) if not r.passed] == [("ip", "blob 1")]
