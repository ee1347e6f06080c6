"""Layers of which nothing is recorded, and batches that are left open, against our own nets."""

import numpy as np
import pytest
from onnx_runs import check, inputs_text, layer, run
from tolerances import assert_golden

import pycaffe_lite as caffe
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.export.onnx.model import Export

RANDOM = np.random.default_rng(1)
MAP = RANDOM.standard_normal((2, 4, 9, 11))
FILM = RANDOM.standard_normal((2, 3, 5, 7, 6))
REGIONS = np.array([[0, 2, 3, 30, 40], [1, 10.4, 0, 44, 30.5], [0, -8, -9, 5, 6], [1, 20, 20, 20, 20]])


def test_regions_that_are_made_larger():
    more = "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 pad_ratio: 0.3 }"
    check(layer("ROIPooling", "x r", more), {"x": MAP, "r": REGIONS})


def test_values_at_the_corners_of_bins():
    more = "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 pad_ratio: 0.1 }"
    check(layer("ROIAlign", "x r", more), {"x": MAP, "r": REGIONS})


def test_decoded_boxes():
    offsets = RANDOM.standard_normal((4, 8)) / 4
    more = (
        "bbox_reg_param { bbox_mean: 0.1 bbox_mean: 0 bbox_mean: 0 bbox_mean: 0.2 bbox_std: 0.5 bbox_std: 1 "
    )
    more += "bbox_std: 1 bbox_std: 2 }"
    check(layer("DecodeBBox", "d r", more), {"d": offsets, "r": REGIONS})


@pytest.mark.parametrize(
    "more", ["low_scale: 30", "high_scale: 30", "low_scale: 500", "low_scale: 20 high_scale: 34"]
)
def test_regions_by_size(more):
    features = RANDOM.standard_normal((4, 2, 1, 1))
    text = layer("ScaleRoute", "r f", f"scale_route_param {{ {more} }}", "y z")
    check(text, {"r": REGIONS, "f": features})


@pytest.mark.parametrize("aware", ["true", "false"])
@pytest.mark.parametrize("most", [-1, 3])
def test_detections_of_cascade_rcnn(aware, most):
    generator = np.random.default_rng(2)
    corners = generator.uniform(0, 60, (12, 2))
    regions = np.hstack([np.zeros((12, 1)), corners, corners + generator.uniform(5, 30, (12, 2))])
    scores = generator.dirichlet([1, 1, 1, 1], 12)
    offsets = generator.standard_normal((12, 16 if aware == "true" else 8)) / 8
    more = f"bbox_reg_param {{ cls_aware: {aware} }} frcnn_output_param {{ conf_thr: 0.1 iou_thr: 0.3 "
    more += f"max_det_num: {most} }}" if most > 0 else "}"
    inputs = {"p": scores, "d": offsets, "r": regions, "s": np.array([[70, 80]])}
    check(layer("FrcnnOutput", "p d r s", more), inputs)


@pytest.mark.parametrize("least", [0.4, 2.0])
def test_regions_of_cascades_first_stage(least):
    generator = np.random.default_rng(3)
    scores = generator.dirichlet([1, 1, 1], (4, 5, 6)).transpose(0, 3, 1, 2)
    offsets = generator.standard_normal((4, 4, 5, 6)) / 4
    more = (
        f"box_group_output_param {{ fg_thr: {least} iou_thr: 0.5 max_nms_num: 60 max_post_nms_num: 20 "
        "min_size: 3 field_xyr: 2 field_whr: 2 nms_type: 'IOU' box_group_param { field_w: 20 field_h: 20 "
        "field_w: 30 field_h: 15 stride: 8 } }"
    )
    check(layer("BoxGroupOutput", "p d", more, "y z"), {"p": scores, "d": offsets})


@pytest.mark.parametrize(
    "more",
    [
        "feat_stride: 8 base_size: 16 min_size: 6 ratio: 0.5 ratio: 1 scale: 1 scale: 2 pre_nms_topn: 60 "
        "post_nms_topn: 12 nms_thresh: 0.6",
        "feat_stride: 8 anchor_base_size: 2 anchor_scale: 3 anchor_ratio: 3 pre_nms_topn: 60 max_rois: 12 "
        "rpn_min_size: 6 rpn_nms_thresh: 0.6",
    ],
)
def test_proposals(more):
    generator = np.random.default_rng(4)
    is_numbered = "anchor_ratio" in more
    A, N = (9, 1) if is_numbered else (4, 2)
    inputs = {
        "p": generator.uniform(0.01, 1, (N, 2 * A, 5, 6)),
        "d": generator.standard_normal((N, 4 * A, 5, 6)) / 3,
        "i": np.array([[40, 48, 1.5]]),
    }
    check(layer("Proposal", "p d i", f"proposal_param {{ {more} }}", "y z"), inputs)


@pytest.mark.parametrize(
    ("type", "more"),
    [
        ("Convolution3D", "convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 2 pad: 1 }"),
        ("Pooling3D", "pooling3d_param { kernel_size: 3 kernel_depth: 2 stride: 2 temporal_stride: 2 }"),
        ("Pooling3D", "pooling3d_param { pool: AVE kernel_size: 3 kernel_depth: 2 stride: 2 pad: 1 }"),
        ("NdConvolution", "convolution_param { num_output: 4 kernel_shape { dim: [5, 3, 2] } }"),
        (
            "NdPooling",
            "pooling_param { kernel_shape { dim: [2, 3, 2] } stride_shape { dim: [2, 2, 3] } }",
        ),
        (
            "NdPooling",
            "pooling_param { pool: AVE kernel_shape { dim: [2, 3, 2] } pad_shape { dim: [1, 1, 1] } "
            "stride_shape { dim: [2, 2, 2] } }",
        ),
    ],
)  # fmt: skip
def test_films(type, more):
    check(layer(type, "x", more), {"x": FILM})


@pytest.mark.parametrize(
    ("type", "more"),
    [
        ("Reshape", "reshape_param { pixelshuffler: 2 }"),
        ("BatchNorm", "batch_norm_param { use_weight_bias: true bias_term: true relu: true }"),
        ("BatchNorm", "batch_norm_param { scale_bias: true }"),
        ("BN", "bn_param { bn_mode: INFERENCE scale_filler { value: 1 } }"),
        ("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }"),
        ("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 4 }"),
        ("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 5 }"),
        ("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
        ("Pooling", "pooling_param { pool: MAX global_pooling: true }"),
        ("Convolution", "convolution_param { num_output: 3 kernel_size: 3 relu: true negative_slope: 0.1 }"),
        ("InnerProduct", "inner_product_param { num_output: 3 axis: 2 }"),
        ("ELU", "elu_param { alpha: 0.7 lambda: 1.3 }"),
        ("Dropout", "dropout_param { scale_train: false }"),
    ],
)  # fmt: skip
def test_planes(type, more):
    check(layer(type, "x", more), {"x": np.abs(MAP) if "STOCHASTIC" in more else MAP})


@pytest.mark.parametrize("operation", ["SUB", "DIV", "MIN", "PROD"])
def test_eltwise(operation):
    more = f"eltwise_param {{ operation: {operation} }}"
    check(layer("Eltwise", "x x1 x2", more), {name: np.abs(MAP) + 0.5 for name in ("x", "x1", "x2")})


def test_eltwise_of_one_item():
    more = "eltwise_param { operation: SUM coeff: 2 coeff: -1 allow_single_batch_input: true }"
    check(layer("Eltwise", "x x1", more), {"x": MAP, "x1": MAP[:1]})


# A property: every pooling is Caffe's, whatever its sizes.
SIZES = [
    (H, kernel, stride, pad)
    for H in (5, 6, 7, 13)
    for kernel in (2, 3, 5)
    for stride in (1, 2, 3)
    for pad in (0, 1, 2)
    if pad < kernel
]


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_pooling_of_all_sizes(pool):
    text = "".join(
        f'layer {{ name: "p{i}" type: "Pooling" bottom: "x{H}" top: "p{i}" pooling_param {{ pool: {pool} '
        f"kernel_size: {kernel} stride: {stride} pad: {pad} }} }}\n"
        for i, (H, kernel, stride, pad) in enumerate(SIZES)
    )
    inputs = {f"x{H}": RANDOM.standard_normal((1, 2, H, H + 1)) for H in {size[0] for size in SIZES}}
    check(text, inputs)


# ----------------------------------------------------------------------------------- open batches


BODY = """
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 } }
layer { name: "shuffle" type: "ShuffleChannel" bottom: "pool" top: "shuffle"
  shuffle_channel_param { group: 2 } }
layer { name: "interp" type: "Interp" bottom: "shuffle" top: "interp" interp_param { zoom_factor: 2 } }
layer { name: "flat" type: "Reshape" bottom: "interp" top: "flat" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "best" type: "ArgMax" bottom: "ip" top: "best" argmax_param { top_k: 2 out_max_val: true } }
"""


def test_an_open_batch():
    x = RANDOM.standard_normal((3, 3, 9, 11)).astype(np.float32)
    net = caffe.Net.from_text(inputs_text({"x": x[:1]}) + BODY, caffe.TEST)
    export = Export(net, batch="dynamic")
    assert export.graph.inputs == {"x": ("batch", 3, 9, 11)}
    assert export.graph.outputs == {"best": ("batch", 2, 2)}
    net.blobs["x"].reshape(*x.shape)
    expected = net.forward(x=x)["best"]
    assert_golden(run(export, {"x": x})["best"], expected, "best")


def test_another_batch():
    x = RANDOM.standard_normal((5, 3, 9, 11))
    net = caffe.Net.from_text(inputs_text({"x": x[:1]}) + BODY, caffe.TEST)
    export = Export(net, batch=5)
    assert export.graph.outputs == {"best": (5, 2, 2)}
    assert net.blobs["best"].shape == (1, 2, 2)
    assert_golden(run(export, {"x": x.astype(np.float32)})["best"], export.run({"x": x})["best"], "best")


def test_an_open_batch_of_detections():
    priors = np.random.default_rng(5).uniform(0, 1, (1, 2, 24))
    inputs = {"l": RANDOM.standard_normal((1, 24)) / 9, "c": RANDOM.uniform(0, 1, (1, 18)), "q": priors}
    more = "num_classes: 3 keep_top_k: 4 confidence_threshold: 0.2 code_type: CENTER_SIZE"
    more = f"detection_output_param {{ {more} }}"
    text = layer("Parameter", "", "parameter_param { shape { dim: [1, 2, 24] } }", "q")
    text = text.replace('"test"', '"prior"')
    text = inputs_text({name: inputs[name] for name in "lc"}) + text + layer("DetectionOutput", "l c q", more)
    net = caffe.Net.from_text(text, caffe.TEST)
    net.params["prior"][0].data[...] = priors
    export = Export(net, batch="dynamic")
    for N in (1, 3):
        own = {name: np.repeat(inputs[name], N, axis=0).astype(np.float32) for name in "lc"}
        for name, values in own.items():
            values += np.arange(N).reshape(-1, 1) / 50
            net.blobs[name].reshape(*values.shape)
        assert_golden(run(export, own)["y"], net.forward(**own)["y"], f"{N} images")


def test_a_batch_that_a_layer_fixes():
    fixed = layer("Reshape", "x", "reshape_param { shape { dim: 2 dim: 4 dim: 99 } }")
    net = caffe.Net.from_text(inputs_text({"x": MAP}) + fixed, caffe.TEST)
    with pytest.raises(NetError, match="the batch size cannot be left open: with 3 items, layer 'test'"):
        Export(net, batch="dynamic")


# ------------------------------------------------------------------------------- weights and names


def test_shared_weights_are_there_once():
    twin = 'inner_product_param { num_output: 3 bias_term: false } param { name: "w" }'
    text = layer("InnerProduct", "x", twin, "a").replace('"test"', '"a"')
    text += layer("InnerProduct", "x", twin, "b").replace('"test"', '"b"')
    export = check(text, {"x": RANDOM.standard_normal((2, 5))})
    assert list(export.graph.constants) == ["a/weight"]


def test_a_net_of_float64():
    net = caffe.Net.from_text(inputs_text({"x": MAP[:1]}) + BODY, caffe.TEST, dtype="float64")
    export = Export(net)
    assert {array.dtype for array in export.graph.constants.values()} <= {np.dtype("f4"), np.dtype("i8")}


def test_random_numbers():
    text = inputs_text({"x": MAP}) + layer("Dropout", "x")
    with pytest.raises(LayerError, match="it draws random numbers; export the net's TEST phase"):
        Export(caffe.Net.from_text(text, caffe.TRAIN))


def test_names_of_layers_in_place():
    text = inputs_text({"x": MAP}) + (
        'layer { name: "a" type: "ReLU" bottom: "x" top: "x" }'
        'layer { name: "b" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }'
        'layer { name: "c" type: "Sigmoid" bottom: "y" top: "y" }'
        'layer { name: "d" type: "Dropout" bottom: "y" top: "y" }'
    )
    export = Export(caffe.Net.from_text(text, caffe.TEST))
    assert [(node.name, *node.input, *node.output) for node in export.graph.nodes] == [
        ("a", "x", "x/a"),
        ("b", "x/a", "b/floats", "y/b"),
        ("c", "y/b", "y"),
    ]
    assert list(export.graph.outputs) == ["y"]


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("more", ["top_k: 3", "", "top_k: 6000"])
def test_detections_whose_prior_boxes_are_as_many_as_the_data_says(more, opset):
    generator = np.random.default_rng(3)
    inputs = {
        "p": generator.uniform(0.01, 1, (1, 2, 3, 4)),
        "d": generator.standard_normal((1, 4, 3, 4)) / 3,
        "i": np.array([[40, 48, 1.5]]),
    }
    one_row = "reshape_param {{ shape {{ dim: 1 {} dim: -1 }} }}"
    text = "".join(
        part.replace('name: "test"', f'name: "{i}"')
        for i, part in enumerate((
            layer("Proposal", "p d i", "proposal_param { scale: 4 ratio: 1 }", "rois"),
            layer("Power", "rois", "power_param { scale: 0.01 }", "small"),
            layer("InnerProduct", "small", "inner_product_param { num_output: 2 }", "a"),
            layer("Softmax", "a", "", "b"),
            layer("InnerProduct", "small", "inner_product_param { num_output: 8 bias_term: false }", "e"),
            layer("Reshape", "e", one_row.format(""), "offsets"),
            layer("Reshape", "b", one_row.format(""), "scores"),
            layer("Reshape", "rois", one_row.format("dim: 1"), "priors"),
            layer(
                "DetectionOutput", "offsets scores priors",
                "detection_output_param { num_classes: 2 share_location: false normalized: false "
                "input_width: 48 input_height: 40 variance_encoded_in_target: true code_type: CENTER_SIZE "
                f"nms_param {{ nms_threshold: 0.6 {more} }} }}",
            ),
        ))
    )  # fmt: skip
    check(text, inputs, opset=opset)


def test_values_at_the_centres_of_bins():
    more = "roi_alignment_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 }"
    check(layer("ROIAlignment", "x r", more), {"x": MAP, "r": REGIONS})


def test_cross_entropy_in_balance():
    targets = np.array([[0, 1, 0, 0, 1], [0, 0, 2, 0, 0], [1, 0, 1, 1, 1]])
    scores = np.random.default_rng(4).standard_normal((3, 5))
    check(layer("SigmoidCrossEntropyBalanceLoss", "x t"), {"x": scores, "t": targets})


@pytest.mark.parametrize("labels", [[1, 0, 1, 2], [[1, 0], [0, 1], [1, 1], [0, 0]]])
def test_losses_of_codes(labels):
    codes = np.random.default_rng(5).standard_normal((4, 3))
    more = "hashing_loss_param { bi_margin: 6 tradeoff: 0.1 }"
    check(layer("HashingLoss", "x t", more), {"x": codes, "t": np.array(labels)})
