"""Of every layer type: nothing in a prototxt is parsed and forgotten, and gradients are right.

Each field of the messages that a type reads is set to something other than its default, and what the layer
does is compared with what it does without: its shapes, values and gradients, what it raises, what it logs.

A type needs a row here only where it cannot be set up with `BOTTOM` as each of its bottoms and no parameters.
A field needs a value of its own only where the one that `other_values` thinks of shows nothing.
"""

import logging
import re
import shutil
import sys

import numpy as np
import pytest
from google.protobuf import text_format
from layer_check import build_layer, gradient_bottoms
from paths import FIXTURES
from PIL import Image

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.fillers import filler_types
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.formats.hdf5_format import file_parts
from pycaffe_lite.layer import engine
from pycaffe_lite.layer.registry import forms_of, layer_types
from pycaffe_lite.net.gradcheck import check_layer_gradients
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of

DATA = FIXTURES
NUMBERS = np.random.default_rng(0)
BOTTOM = NUMBERS.standard_normal((2, 4, 5, 5)).astype(np.float32)
IMAGE = BOTTOM
ROW = BOTTOM[:, :, 0, 0]
SCORES = NUMBERS.standard_normal((6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2.0])
PIXEL_LABELS = NUMBERS.integers(0, 4, (2, 5, 5))
SEQUENCE, CONT = NUMBERS.standard_normal((3, 2, 4)), np.array([[0, 0], [1, 1], [1, 0.0]])
FILL = '{ type: "uniform" min: -1 }'

CONVOLUTION = f"num_output: 4 kernel_size: 2 weight_filler {FILL}"
CONVOLUTION_2D = f"num_output: 4 kernel_h: 2 kernel_w: 2 stride_h: 1 stride_w: 1 weight_filler {FILL}"
POOLING_2D = "kernel_h: 2 kernel_w: 2 stride_h: 2 stride_w: 2 pad_h: 0 pad_w: 0"
RECURRENT = f"num_output: 2 weight_filler {FILL}"
LMDB = 'source: "mnist_200_lmdb" backend: LMDB batch_size: 8'
PICTURES = 'source: "list.txt" batch_size: 4'
WINDOWS = 'source: "windows.txt" batch_size: 6 fg_fraction: 0.5'
DUMMY_4D = "num: 1 channels: 1 height: 1 width: 1"
MEMORY = "batch_size: 2 channels: 3 height: 4 width: 5"

# Type → bottoms, its own parameters, number of tops (None: the least); several where fields exclude others.
ROWS = {
    "Accuracy": [([SCORES, LABELS], "", None)],
    "Clip": [([BOTTOM], "min: -0.5 max: 0.5", None)],
    "Concat": [([BOTTOM, BOTTOM], "", None)],
    "ContrastiveLoss": [([SCORES, SCORES + 0.1, LABELS], "", None)],
    "Convolution": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "Crop": [([IMAGE, IMAGE[:, :3, :3, :3]], "", None)],
    "AnnotatedData": [([], 'label_map_file: "map"', 2), ([], "yolo_data_type: 1 yolo_data_jitter: 0.2", 2)],
    "Data": [([], LMDB, 2)],
    "Deconvolution": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "DenseImageData": [([], 'source: "pairs.txt" batch_size: 3', 2)],
    "DummyData": [([], "shape { dim: 2 }", 1), ([], DUMMY_4D, 1)],
    "Eltwise": [
        ([ROW, ROW * [0, 1, 1, 1]], text, None) for text in ("", "operation: PROD stable_prod_grad: true")
    ],
    "Embed": [([LABELS], f"num_output: 2 input_dim: 3 weight_filler {FILL}", None)],
    "HDF5Data": [([], 'source: "rows.txt" batch_size: 2', 1)],
    "HashingLoss": [([SCORES, LABELS], "", None)],
    "SigmoidCrossEntropyBalanceLoss": [([ROW, (ROW > 0) * 1.0], "", None)],
    "MatWrite": [([ROW], 'prefix: "a" source: "names.txt"', 0)],
    "HDF5Output": [([ROW, LABELS[:2]], 'file_name: "a.h5"', 0)],
    "HingeLoss": [([SCORES, LABELS], "", None)],
    "Im2col": [([IMAGE], "kernel_size: 2", None), ([IMAGE], "kernel_h: 2 kernel_w: 2", None)],
    "ImageData": [([], PICTURES, 2), ([], PICTURES + " min_height: 30 min_width: 31", 2)],
    "ImageSegData": [([], 'source: "pairs.txt" batch_size: 3 label_type: PIXEL', 3)],
    "ImageLabelmapData": [([], 'source: "pairs.txt" batch_size: 3', 2)],
    "InfogainLoss": [([SCORES, LABELS], 'source: "H.binaryproto"', None)],
    "InnerProduct": [([ROW], f"num_output: 2 weight_filler {FILL}", None)],
    "Input": [([], "shape { dim: 2 }", 1)],
    "LSTM": [([SEQUENCE, CONT], RECURRENT, None)],
    "Log": [([np.abs(BOTTOM)], "", None)],
    "MemoryData": [([], MEMORY, 2)],
    "Parameter": [([], "shape { dim: 2 }", 1)],
    "Pooling": [
        ([IMAGE], "kernel_size: 2 stride: 2", None),
        ([IMAGE], POOLING_2D, None),
        ([IMAGE], "pool: AVE kernel_size: 2 pad_h: 1 pad_w: 1 avg_include_pad: true", None),
    ],
    "Python": [([BOTTOM], 'module: "every_field_module" layer: "Double"', 1)],
    "RNN": [([SEQUENCE, CONT], RECURRENT, None)],
    "Reshape": [([BOTTOM], "shape { dim: [2, -1] }", None)],
    "Scale": [([BOTTOM], "bias_term: true", None)],
    "SPP": [([IMAGE], "pyramid_height: 2", None)],
    "SigmoidCrossEntropyLoss": [([IMAGE, PIXEL_LABELS[:, None].repeat(4, 1) % 2], "", None)],
    "Slice": [([BOTTOM], "", 2)],
    "SoftmaxWithLoss": [([IMAGE, PIXEL_LABELS], "", None)],
    "Tile": [([BOTTOM], "tiles: 2", None)],
    "WindowData": [([], WINDOWS, 2)],
}
PRIORS = np.array(
    [
        [0.1, 0.1, 0.4, 0.4],
        [-0.05, 0.1, 0.4, 0.4],
        [0.3, 0.3, 0.9, 0.8],
        [0.35, 0.3, 0.8, 0.8],
        [0.5, 0.0, 0.9, 0.3],
        [0.1, 0.25, 0.4, 0.6],
    ]
)
PRIORS = np.stack([PRIORS, np.full((6, 4), 0.2)]).reshape(1, 2, 24)
PIXELS = "normalized: false input_width: 10 input_height: 20"
PIXEL_PRIORS = np.insert(PRIORS.reshape(2, 6, 4) * 10, 0, 0, axis=2).reshape(1, 2, 30)
OFFSETS, CLASSES = NUMBERS.standard_normal((2, 24)), NUMBERS.standard_normal((2, 18))
TRUTH = np.array([[0, 1, 0, 0.1, 0.1, 0.45, 0.4, 0], [1, 2, 0, 0.3, 0.3, 0.8, 0.8, 1]])
DETECTIONS = np.array([[0, 1, 0.9, 0.1, 0.1, 0.4, 0.4], [1, 2, 0.8, 0.3, 0.3, 0.9, 0.8]])
# YOLO's heads of two and three anchors, and their objects: two in one cell of the first image.
HEAD = NUMBERS.standard_normal((2, 21, 3, 3)) / 2
OBJECTS = np.array([[[1, 0.5, 0.5, 0.3, 0.3], [0, 0.52, 0.5, 0.31, 0.3]], [[0, 0.1, 0.9, 0.1, 0.2], [0] * 5]])
ANCHORS = " ".join(f"biases: {n}" for n in (1.1, 1, 0.9, 1.2, 3, 3, 1, 1, 2, 2))
YOLO_ANCHORS = " ".join(f"biases: {n}" for n in (28, 29, 31, 30, 40, 36))
YOLO = f"num_class: 2 num: 3 mask: 0 mask: 1 mask: 2 {YOLO_ANCHORS}"
YOLO_OUTPUT = (
    f"num_classes: 2 num_box: 3 mask: 0 mask: 1 mask: 2 {YOLO_ANCHORS} anchors_scale: 32 mask_group_num: 1"
)
# Cascade R-CNN's.
PIXEL_REGIONS = np.array([[0, 2, 3, 40, 50], [0, 5, 5, 40, 48], [0, 50, 50, 90, 95], [0, 30, 0, 70, 40.0]])
PIXEL_TRUTH = np.array([[0, 0, 0, 42, 52, 1, 0, 0], [0, 45, 52, 88, 95, 2, 0, 1.0]])
MATCHED = np.array([[1, 0, 0, 42, 52, 0.8], [1, 0, 0, 42, 52, 0.7], [2, 45, 52, 88, 95, 0.6], [0] * 6])
DELTAS_3, DELTAS_2 = NUMBERS.standard_normal((4, 12)) / 9, NUMBERS.standard_normal((4, 8)) / 9
CLASS_SCORES = NUMBERS.dirichlet(np.ones(3), 4)
GROUP = "cls_num: 3 field_w: 20 field_h: 16 stride: 8"
GROUP_SCORES, GROUP_DELTAS = NUMBERS.standard_normal((2, 3, 4, 5)), NUMBERS.standard_normal((2, 4, 4, 5))
GROUP_LABELS = NUMBERS.uniform(5, 30, (2, 6, 4, 5))
GROUP_LABELS[:, 0] = NUMBERS.choice([0, 0, 0, 1, 2], (2, 4, 5))
GROUP_LABELS[:, 5] = NUMBERS.uniform(0, 0.7, (2, 4, 5))
BOX_GROUP = "box_group_param { field_w: 20 field_h: 16 stride: 8 }"
FILM = NUMBERS.standard_normal((2, 2, 4, 5, 5))
KERNEL_SHAPE = "kernel_shape { dim: 2 dim: 2 dim: 2 }"
PROPOSAL = [
    NUMBERS.random((1, 18, 3, 4)),
    NUMBERS.standard_normal((1, 36, 3, 4)) / 4,
    np.array([[48, 64, 1.0]]),
]
REGIONS = np.array([[0, 0, 0, 3, 3], [1, 1, 1, 4, 4.0]])
MULTIBOX = "num_classes: 3 code_type: CENTER_SIZE"
DETECTOR = "num_classes: 3 code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 }"
STEPS = NUMBERS.standard_normal((4, 2, 5))
THETA = np.array([[0.9, 0.1, 0.2, 0.1, 0.8, -0.1], [1.1, 0, 0.1, -0.2, 0.9, 0.0]])
CRF = "max_iter: 2 pos_w: 1 pos_xy_std: 2 bi_w: 1 bi_xy_std: 3 bi_rgb_std: 30"
CHANGING = "bias_base: -0.3 bias_gamma: -0.1 bias_power: 2 bias_min: -9 bias_max: 0 iteration: 1"
UNPOOLINGS = (
    "kernel_size: 2 stride: 2 unpool_size: 4",
    "kernel_h: 2 kernel_w: 2 stride_h: 2 stride_w: 2 pad_h: 0 pad_w: 0 unpool_h: 4 unpool_w: 4",
)
GRID = "stride: 4 field_h: 12 field_w: 10 output_gt_boxes: true"
# The same of the types of forks; by origin where several layers have one name.
CLIPS = 'source: "clips.txt" batch_size: 4 new_length: 2'
BOX_ROWS = np.zeros((2, 1, 3, 16))
BOX_ROWS[:, 0, 0, :2] = 2, 16
BOX_ROWS[:, 0, 1:, :6] = [[4, 5, 18, 20, 0, 1], [-8, 15, 30, 20, 0, 1]]
ROWS |= {
    ("VideoData", "TSN"): [([], f"{CLIPS} modality: RGB", 2)],
    ("VideoData", "video-caffe and C3D"): [
        ([], CLIPS, 2),
        ([], f"{CLIPS} use_image: true sampling_rate: 1", 2),
    ],
    "SegData": [([], 'source: "pairs.txt"', 2)],
    "DetectNetTransformation": [
        ([NUMBERS.random((2, 3, 30, 40)) * 255, BOX_ROWS], f"image_size_x: 40 image_size_y: 30 {own}", 2)
        for own in ("gridbox_type: GRIDBOX_MAX", "gridbox_type: GRIDBOX_MIN min_cvg_len: 6")
    ],
    "EvalData": [([], 'source: "boxes.txt" batch_size: 1', 3)],
    "DetectionData": [
        ([], f'source: "boxes.txt" batch_size: 2 {GRID} {own}', 3)
        for own in (
            "",
            "resize_width: 28 resize_height: 28",
            "crop_width: 24 crop_height: 24",
            "short_size: 32 long_size: 64",
            "crop_short_size: 24 crop_long_size: 32",
            "min_scale: 8 max_scale: 9 multiscale_prob: 1",
            "low_scale_ratio: 0.5 high_scale_ratio: 0.6 multiscale_prob: 1",
            "low_scale_ratio: 0.5 high_scale_ratio: 0.6 multiscale_prob: 1 min_whaspect: 0.5 max_whaspect: 2",
            'shuffle: "random_mix_aspect" mix_group_size: 1',
        )
    ],
    "DataSequence": [([LABELS[:, None] + NUMBERS.random((6, 2)), LABELS], "", 3)],
    "BoxAnnotatorOHEM": [([REGIONS[[0, 0, 1]], LABELS[:3], LABELS[1:4], SCORES[:3]], "roi_per_img: 1", None)],
    "CenterLoss": [([SCORES, LABELS], f"num_output: 3 center_filler {FILL}", None)],
    "ContinuationIndicator": [
        ([], "time_step: 2 batch_size: 3", None),
        ([ROW], "time_step: 2 axis: 0", None),
    ],
    "ConvolutionDepthwise": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "CtcLoss": [([STEPS, LABELS[:4].reshape(2, 2)], "blank_label: 4", None)],
    "DepthwiseConvolution": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "DetectionEvaluate": [([DETECTIONS[None, None], TRUTH[None, None]], "num_classes: 3", None)],
    "DetectionOutput": [
        ([OFFSETS, CLASSES, PRIORS], DETECTOR, None),
        ([OFFSETS, CLASSES, PRIORS, np.full((2, 12), 0.1)], f"{DETECTOR} objectness_score: 0.01", None),
        ([OFFSETS, CLASSES, PIXEL_PRIORS], f"{DETECTOR} {PIXELS}", None),
    ],
    "FocalLoss": [([IMAGE, PIXEL_LABELS], "", None)],
    "Gather": [([BOTTOM], "indices: 1 indices: 0 shape: 2", None)],
    "Interp": [
        ([IMAGE], "height: 4 width: 6", None),
        ([IMAGE], "zoom_factor: 3", None),
        ([IMAGE], "shrink_factor: 3", None),
    ],
    "LabelsequenceAccuracy": [
        ([np.eye(5)[[[0, 4, 1, 1], [2, 2, 4, 0]]], np.array([[0, 1], [2, 0]])], "blank_label: 4", None)
    ],
    "MultiBoxLoss": [
        ([OFFSETS, CLASSES, PRIORS, TRUTH[None, None]], MULTIBOX, None),
        (
            [OFFSETS, CLASSES, PRIORS, TRUTH[None, None], np.full((2, 12), 0.1)],
            f"{MULTIBOX} objectness_score: 0.01",
            None,
        ),
    ],
    "PSROIPooling": [([IMAGE, REGIONS], "spatial_scale: 1 output_dim: 1 group_size: 2", None)],
    "PriorBox": [([IMAGE, BOTTOM.repeat(4, 2).repeat(4, 3)], "min_size: 8 aspect_ratio: 2", None)],
    "PriorBoxClustered": [([IMAGE, BOTTOM.repeat(4, 2).repeat(4, 3)], "width: 9 height: 8", None)],
    "ROIPooling": [([IMAGE, REGIONS], "pooled_h: 2 pooled_w: 2", None)],
    "Reorg": [([NUMBERS.standard_normal((1, 4, 4, 4))], "stride: 2", None)],
    "SegAccuracy": [([IMAGE, PIXEL_LABELS[:, None]], "", None)],
    "SoftmaxWithLossOHEM": [([IMAGE, PIXEL_LABELS], "", None)],
    ("SoftmaxWithLoss", "SegNet, R-FCN and Intel"): [([IMAGE, PIXEL_LABELS], "", None)],
    "SmoothL1LossOHEM": [([IMAGE, IMAGE * 3], "", 2)],
    ("SmoothL1Loss", "R-FCN"): [([IMAGE, IMAGE * 3, IMAGE], "", 2)],
    "ShuffleChannel": [([BOTTOM], "group: 2", None)],
    "Transpose": [([BOTTOM], "dim: 1 dim: 0 dim: 2 dim: 3", None)],
    ("Upsample", "SegNet"): [
        ([IMAGE[:, :, :2, :2], PIXEL_LABELS[:, None, :2, :2].repeat(4, 1)], text, None)
        for text in ("", "scale_h: 2 scale_w: 2", "upsample_h: 5 upsample_w: 5")
    ],
    ("Normalize", "happynear's Caffe"): [([IMAGE], "", 2)],
    "RegionLoss": [([HEAD[:, :14], OBJECTS], f"num_class: 2 num: 2 {ANCHORS}", None)],
    "Yolov3": [([HEAD, OBJECTS], YOLO, None)],
    "Yolov3DetectionOutput": [([HEAD], YOLO_OUTPUT, None)],
    "MarginInnerProduct": [([ROW, LABELS[1:3]], f"num_output: 3 weight_filler {FILL} type: DOUBLE", 2)],
    "ROIAlignment": [([IMAGE, REGIONS], "pooled_h: 2 pooled_w: 2", None)],
    ("ROIAlign", "synopsys"): [([IMAGE, REGIONS], "pooled_h: 2 pooled_w: 2", None)],
    ("ROIAlign", "Cascade R-CNN"): [([IMAGE, REGIONS], "pooled_h: 2 pooled_w: 2", None)],
    ("Proposal", "several detectors"): [(PROPOSAL, "min_size: 8", 2)],
    ("Proposal", "synopsys"): [(PROPOSAL, "anchor_ratio: 3 rpn_min_size: 8", 2)],
    "DecodeBBox": [([DELTAS_2, PIXEL_REGIONS, MATCHED], "", None)],
    "BboxAccuracy": [([DELTAS_3, PIXEL_REGIONS, MATCHED], "", 2)],
    "BoxGroupOutput": [([GROUP_SCORES.clip(0, 1), GROUP_DELTAS], f"{BOX_GROUP} min_size: 4", 2)],
    "HardMining": [([LABELS[:4], PIXEL_REGIONS], "num_image: 1 num_roi_per_image: 2", 1)],
    "ScaleRoute": [([PIXEL_REGIONS], "low_scale: 40 high_scale: 44", None)],
    "ProposalTarget": [
        (
            [PIXEL_REGIONS, PIXEL_TRUTH],
            "cls_num: 3 batch_size: 4 fg_thr: 0.6",
            7,
        ),
        ([np.zeros((0, 5)), np.full((1, 8), -1.0)], "cls_num: 3 img_width: 99 img_height: 99", 6),
    ],
    "DetectionGroupLoss": [([GROUP_SCORES, GROUP_DELTAS, GROUP_LABELS], GROUP, None)],
    "DetectionGroupAccuracy": [([GROUP_SCORES, GROUP_DELTAS, GROUP_LABELS], GROUP, 2)],
    "FrcnnOutput": [([CLASS_SCORES, DELTAS_3, PIXEL_REGIONS, np.array([[60, 70]])], "conf_thr: 0.1", None)],
    ("DetectionEvaluate", "Cascade R-CNN"): [
        (
            [
                np.array([[0, 0, 0, 40, 50, 1, 0.9], [0, 45, 52, 88, 95, 2, 0.4]]),
                PIXEL_TRUTH,
                np.array([[99, 99]]),
            ],
            'num_classes: 3 name_size_file: "names.txt"',
            None,
        )
    ],
    "Convolution3D": [([FILM], f"num_output: 4 kernel_size: 2 kernel_depth: 2 weight_filler {FILL}", None)],
    "NdConvolution": [([FILM], f"num_output: 4 {KERNEL_SHAPE} weight_filler {FILL}", None)],
    "Pooling3D": [([FILM], "kernel_size: 2 kernel_depth: 2 pool: AVE", None)],
    "NdPooling": [([FILM], KERNEL_SHAPE, None)],
    ("BN", "SegNet"): [([IMAGE], f"scale_filler {FILL}", None)],
    ("BatchNorm", "NVIDIA"): [([IMAGE], "scale_bias: true", None)],
    ("BatchNorm", "Intel"): [([IMAGE], "use_weight_bias: true", None)],
    ("BatchNorm", "PSPNet"): [([IMAGE], "use_global_stats: true update_global_stats: true", None)],
    ("Reshape", "Intel"): [([IMAGE], "pixelshuffler: 2", None)],
    ("Normalize", "SSD"): [([IMAGE], "across_spatial: true", None)],
    ("SmoothL1Loss", "Fast R-CNN and Faster R-CNN"): [([ROW, ROW * 3], "sigma: 1", None)],
    ("Pooling", "Intel"): [
        ([IMAGE], f"pool: AVE avg_include_pad: false {size}", None)
        for size in (POOLING_2D, "kernel_size: 4 stride: 2 pad_h: 1 pad_w: 1")
    ],
    ("Eltwise", "lisa-caffe"): [([ROW, ROW * 2, np.ones((2, 2))], "coeff_blob: true", None)],
    ("InnerProduct", "happynear's Caffe and OpenVINO"): [
        ([ROW], f"num_output: 2 normalize: true weight_filler {FILL}", None)
    ],
    ("Scale", "happynear's Caffe"): [([BOTTOM], "bias_term: true min_value: 0.5 max_value: 2", None)],
    ("L1Loss", "FlowNet"): [([IMAGE, IMAGE * 3], "epsilon: 0.01", None)],
    ("FocalLoss", "jolibrain and others"): [([IMAGE, PIXEL_LABELS], "axis: 1", None)],
    ("Gather", "TSN"): [([BOTTOM], "", None)],
    "CTCGreedyDecoder": [([NUMBERS.standard_normal((6, 2, 3)), np.ones((6, 2))], "", 1)],
    "CTCLoss": [
        ([NUMBERS.standard_normal((4, 2, 5)), np.ones((4, 2)), np.array([[1, 2], [1, 3]])], "", None)
    ],
    "ChannelNorm": [([IMAGE], "", None)],
    "Correlation": [([IMAGE, IMAGE[:, :, ::-1]], "kernel_size: 1 max_displacement: 1", None)],
    "Correlation1D": [([IMAGE, IMAGE[:, :, ::-1]], "kernel_size: 1 max_displacement: 2", None)],
    "DenseCRF": [([IMAGE, [[5, 5]] * np.ones((2, 1)), IMAGE[:, :3] * 20], CRF, None)],
    "Downsample": [([IMAGE], "top_height: 3 top_width: 3", None)],
    "FlowWarp": [([IMAGE, IMAGE[:, :2] * 2], "", None)],
    "LabelSpecificAdd": [([SCORES, LABELS], "bias: 1", 2), ([SCORES, LABELS], CHANGING, 2)],
    "LargeMarginInnerProduct": [
        ([ROW, LABELS[1:3]], f"num_output: 3 weight_filler {FILL} type: DOUBLE", None)
    ],
    "LpqLoss": [([IMAGE, IMAGE * 3], "pq_episode_starts_at_iter: 0 p: 1.5 q: 0.5", None)],
    **{
        name: [
            ([SEQUENCE, CONT], RECURRENT, None),
            ([SEQUENCE.reshape(6, 4)], f"{RECURRENT} batch_size: 2", None),
        ]
        for name in ("Lstm", "LstmJun")
    },
    "Mean": [
        ([IMAGE], "operation: SUBTRACT value: [1, 2]", None),
        ([IMAGE], 'operation: ADD file: "mean_5.binaryproto"', None),
    ],
    "MultiBoxFocalLoss": [
        ([OFFSETS, CLASSES, PRIORS, TRUTH[None, None]], MULTIBOX, None),
        (
            [OFFSETS, CLASSES, PRIORS, TRUTH[None, None], np.full((2, 12), 0.1)],
            f"{MULTIBOX} objectness_score: 0.01",
            None,
        ),
    ],
    "MultiStageMeanfield": [
        ([IMAGE, IMAGE * 2, IMAGE[:, :3] * 20], "num_iterations: 3 theta_alpha: 4 theta_beta: 60", None)
    ],
    "Resample": [([IMAGE], "height: 3 width: 3", None)],
    "ScaleFilter": [([IMAGE], "min_scale: 0.5 max_scale: 2", None)],
    "SpatialTransformer": [
        ([IMAGE, THETA], "", None),
        ([IMAGE, THETA[:, :5]], "theta_1_1: 0.9", None),
        *(([IMAGE, THETA[:, :5]], f"theta_{i}_{j}: 0.5", None) for i in (1, 2) for j in (1, 2, 3)),
    ],
    "Unpooling": [([IMAGE[:, :, :2, :2]], f"unpool: TILE {text}", None) for text in UNPOOLINGS],
}
# What a type needs of other messages.
NEEDS = {
    "WindowData": {"transform_param": "crop_size: 4"},
    "AnnotatedData": {"data_param": 'source: "annotated_raw_lmdb" backend: LMDB batch_size: 2'},
    "SoftmaxWithLossOHEM": {"loss_param": "weight_by_label_freqs: true class_weighting: [1, 2, 3, 4]"},
    ("SoftmaxWithLoss", "SegNet, R-FCN and Intel"): {
        "loss_param": "weight_by_label_freqs: true class_weighting: [1, 2, 3, 4]"
    },
}
# Fields of a message that several layers share and that are not for one of them.
NOT_FOR: dict[tuple[str, str], set[tuple[str, str]]] = {
    # These count beside fields that are refused there, or that arrays do not go through.
    ("AnnotatedData", "SSD"): {
        ("TransformationParameter", name) for name in ("scale_ratios", "max_distort", "more_fix_crop")
    },
    ("MemoryData", "Caffe"): {
        ("TransformationParameter", name)
        for name in (
            "scale_ratios",
            "max_distort",
            "more_fix_crop",
            "fix_crop",
            "multi_scale",
            "multi_scale_levels",
            "center_crop",
            "is_flow",
            "upper_height",
            "upper_width",
        )
    },
    # Records of the test have one channel.
    ("Data", "Caffe"): {("TransformationParameter", "flow")},
    # The pictures of the test are all squares.
    ("DetectionData", "Cascade R-CNN"): {("DetectionDataParameter", "mix_group_size")},
    # The labels of the test have many values.
    ("SegData", "TSN"): {("SegDataParameter", "balance")},
    # There is one only.
    ("DetectNetTransformation", "NVIDIA's Caffe"): {("DetectNetGroundTruthParameter", "coverage_type")},
    ("BN", "SegNet"): {
        ("BNParameter", name) for name in ("eps", "frozen", "slope_filler", "bias_filler", "momentum")
    },
    ("BN", "PSPNet and TSN"): {("BNParameter", name) for name in ("scale_filler", "shift_filler", "bn_mode")},
    ("Normalize", "SSD"): {
        ("NormalizeParameter", name) for name in ("normalize_type", "fix_gradient", "bp_norm")
    },
    ("Normalize", "happynear's Caffe"): {
        ("NormalizeParameter", name) for name in ("across_spatial", "scale_filler", "channel_shared", "eps")
    },
    ("Upsample", "MobileNet-YOLO"): {
        ("UpsampleParameter", name)
        for name in ("scale_h", "scale_w", "pad_out_h", "pad_out_w", "upsample_h", "upsample_w")
    },
    ("PriorBoxClustered", "OpenVINO"): {
        ("PriorBoxParameter", name) for name in ("min_size", "max_size", "aspect_ratio", "flip")
    },
    ("ConvolutionDepthwise", "Tiny-DSOD"): {
        ("ConvolutionParameter", name) for name in ("num_output", "group")
    },
    ("FocalLoss", "happynear's Caffe"): {("SoftmaxParameter", "engine")},
    ("Proposal", "several detectors"): {
        ("ProposalParameter", name)
        for name in (
            "anchor_base_size",
            "anchor_scale",
            "anchor_ratio",
            "max_rois",
            "rpn_min_size",
            "rpn_nms_thresh",
        )
    },
    ("Proposal", "synopsys"): {
        ("ProposalParameter", name)
        for name in ("base_size", "min_size", "ratio", "scale", "post_nms_topn", "nms_thresh")
    },
    ("DetectionEvaluate", "Cascade R-CNN"): {
        ("DetectionEvaluateParameter", name) for name in ("background_label_id", "resize_param")
    },
    **{
        (name, "Cascade R-CNN"): {("BBoxRegParameter", "cls_aware")}
        for name in ("DecodeBBox", "BoxGroupOutput", "DetectionGroupLoss", "DetectionGroupAccuracy")
    },
    # It counts with relu, which is refused.
    ("NdConvolution", "video-caffe"): {("ConvolutionParameter", "negative_slope")},
    # With use_global_stats, the layer is PSPNet's.
    ("BatchNorm", "Caffe"): {("BatchNormParameter", "update_global_stats")},
    # Statistics are averaged from the third pass on.
    ("BatchNorm", "NVIDIA"): {
        ("BatchNormParameter", name) for name in ("use_global_stats", "moving_average_fraction")
    },
    ("Reshape", "Intel"): {("ReshapeParameter", name) for name in ("shape", "axis", "num_axes")},
    # It is about TEST.
    ("Dropout", "Caffe"): {("DropoutParameter", "sample_weights_test")},
    # The same batch again does not change the shares.
    ("SegAccuracy", "DeepLab and PSPNet"): {("SegAccuracyParameter", "reset")},
    # Without them the layers are Caffe's, and the other is of sums only.
    ("Pooling", "Intel"): {("PoolingParameter", "avg_include_pad")},
    ("Eltwise", "lisa-caffe"): {("EltwiseParameter", name) for name in ("coeff_blob", "stable_prod_grad")},
    ("InnerProduct", "happynear's Caffe and OpenVINO"): {("InnerProductParameter", "normalize")},
    ("SoftmaxWithLoss", "SegNet, R-FCN and Intel"): {("LossParameter", "weight_by_label_freqs")},
    ("SoftmaxWithLossOHEM", "R-FCN"): {("LossParameter", "weight_by_label_freqs")},
}
# What has to stand beside a field for it to show.
BESIDE = {
    **{("L1LossParameter", name): "l2_per_location: true" for name in ("l2_prescale_by_channels", "epsilon")},
    ("LargeMarginInnerProductParameter", "power"): "gamma: 1",
    ("LargeMarginInnerProductParameter", "iteration"): "gamma: 1",
    ("DetectionDataParameter", "template_ratio"): "short_size: 32 long_size: 64",
    ("DetectionDataParameter", "pickup_iou_thr"): "fg_threshold: 0.98",
    **{
        ("TransformationParameter", name): "crop_size: 8"
        for name in ("fix_crop", "multi_scale", "multi_scale_levels", "center_crop")
    },
    **{
        ("TransformationParameter", name): "crop_size: 8 multi_scale: true"
        for name in ("scale_ratios", "max_distort")
    },
    ("TransformationParameter", "more_fix_crop"): "crop_size: 8 fix_crop: true",
    ("TransformationParameter", "is_flow"): "mirror: true",
    ("TransformationParameter", "upper_height"): "upper_width: 8",
    ("TransformationParameter", "upper_width"): "upper_height: 8",
    ("DataParameter", "cache"): "shuffle: true",
    ("AnnotatedDataParameter", "train_diffcult"): "yolo_data_type: 1 yolo_data_jitter: 0",
    ("DataSequenceParameter", "label_start"): "label_count: 4",
    **{
        ("DetectNetAugmentationParameter", name): f"{probability}_prob: 1"
        for name, probability in {
            "hue_rotation": "hue_rotation",
            "desaturation_max": "desaturation",
            "scale_min": "scale",
            "scale_max": "scale",
            "max_rotate_degree": "rotation",
        }.items()
    },
    ("LossParameter", "pre_fixed_normalizer"): "normalization: PRE_FIXED",
    ("ConvolutionParameter", "negative_slope"): "relu: true",
    ("InnerProductParameter", "negative_slope"): "relu: true",
    ("MultiBoxLossParameter", "sample_size"): "mining_type: HARD_EXAMPLE sample_size: 3",
    ("MultiBoxLossParameter", "mining_type"): "neg_pos_ratio: 0.25",
    (
        "MultiBoxLossParameter",
        "use_prior_for_nms",
    ): "mining_type: HARD_EXAMPLE nms_param { nms_threshold: 0.01 }",
    ("NormalizeParameter", "bp_norm"): "bp_norm: false",
    ("Yolov3Parameter", "object_scale"): "use_logic_gradient: true",
    ("Yolov3Parameter", "iou_normalizer"): "iou_loss: GIOU",
    ("Yolov3Parameter", "max_delta"): "iou_loss: GIOU",
    ("Yolov3Parameter", "accumulate"): "iou_loss: GIOU",
    ("MarginInnerProductParameter", "power"): "gamma: 1",
    ("MarginInnerProductParameter", "iteration"): "gamma: 1",
    ("BBoxRegParameter", "bbox_mean"): "bbox_std: [1, 1, 1, 1]",
    ("BBoxRegParameter", "bbox_std"): "bbox_mean: [0, 0, 0, 0]",
    ("DetectionGroupLossParameter", "neg_ranking_type"): 'neg_mining_type: "bootstrap" bg_multiple: 1',
    ("DetectionGroupLossParameter", "field_xyr"): "field_whr: 2",
    ("DetectionGroupLossParameter", "min_num_neg"): "bg_multiple: 0",
    ("ProposalTargetParameter", "bg_thr_hg"): "pickup_discard: false",
    ("ProposalTargetParameter", "bg_thr_lw"): "pickup_discard: false",
    ("ProposalTargetParameter", "pickup_discard"): "bg_thr_lw: 0.2",
    ("ProposalTargetParameter", "iou_weighted"): "fg_fraction: 0.5 append_gtbox: false",
    ("ProposalTargetParameter", "bbox_thr_lw"): "append_gtbox: false",
    ("DetectionGroupLossParameter", "field_whr"): "field_xyr: 2",
}
# Types that say that what has to stand beside other fields has no effect, or refuse it.
ALONE = {"DenseImageData", "WindowData"}
# Values that show, where those that `other_values` finds do not.
VALUES = {
    ("CorrelationParameter", "kernel_size"): ["3"],
    ("CorrelationParameter", "max_displacement"): ["2", "0"],
    ("DenseCRFParameter", "pos_xy_std"): ["5"],
    ("DetectionOutputParameter", "normalized"): ["true"],
    ("LabelSpecificAddParameter", "bias_max"): ["-2"],
    ("LabelSpecificAddParameter", "iteration"): ["5"],
    ("LargeMarginInnerProductParameter", "lambda_min"): ["5"],
    ("LstmParameter", "batch_size"): ["3"],
    ("MeanParameter", "operation"): ["ADD"],
    ("ScaleParameter", "min_value"): ["1.5"],
    ("UnpoolingParameter", "stride"): ["1"],
    ("DetectionDataParameter", "multiscale_prob"): ["0"],
    ("DetectionDataParameter", "output_gt_boxes"): ["false"],
    ("DetectionDataParameter", "template_ratio"): ["2"],
    **{("DetectionDataParameter", f"min_gt_{side}"): ["14"] for side in ("width", "height")},
    ("DetectionDataParameter", "anchor_ignore_iou_thr"): ["0.9"],
    ("DetectionDataParameter", "pickup_iou_thr"): ["0.99"],
    ("EvalDataParameter", "batch_size"): ["2"],
    ("TransformationParameter", "scale_ratios"): ["[0.5, 0.6]"],
    ("TransformationParameter", "multi_scale_levels"): ["0.5"],
    ("TransformationParameter", "max_distort"): ["0"],
    **{
        ("TransformationParameter", name): ["5"]
        for name in ("stride", "upper_size", "upper_height", "upper_width")
    },
    ("DataSequenceParameter", "k"): ["1"],
    ("DataSequenceParameter", "cache_size"): ["2"],
    ("DetectNetGroundTruthParameter", "object_class"): ["{ src: 8 dst: 0 }"],
    ("DetectNetGroundTruthParameter", "max_cvg_len"): ["6"],
    ("DetectNetGroundTruthParameter", "min_cvg_len"): ["16"],
    **{
        ("DetectNetAugmentationParameter", f"{name}_prob"): ["0", "1"]
        for name in ("crop", "scale", "flip", "rotation", "hue_rotation", "desaturation")
    },
    ("VideoDataParameter", "name_pattern"): ['"other%d"'],
    ("VideoDataParameter", "modality"): ["FLOW"],
    ("VideoDataParameter", "new_length"): ["1"],
    ("VideoDataParameter", "rand_skip"): ["1000"],
    ("VideoDataParameter", "use_image"): ["false"],
    ("BoxAnnotatorOHEMParameter", "roi_per_img"): ["2"],
    ("RegionLossParameter", "bias_match"): ["0"],
    ("RegionLossParameter", "rescore"): ["0"],
    ("RegionLossParameter", "thresh"): ["0.99"],
    ("Yolov3Parameter", "thresh"): ["0.99"],
    ("Yolov3Parameter", "iou_thresh"): ["0.99"],
    ("Yolov3Parameter", "max_delta"): ["0.001"],
    ("Yolov3DetectionOutputParameter", "nms_threshold"): ["0.05"],
    ("MarginInnerProductParameter", "lambda_min"): ["5"],
    ("DecodeBBoxParameter", "gt_iou_thr"): ["0.75"],
    ("BBoxRegParameter", "bbox_mean"): ["[1, 1, 1, 1]"],
    ("BBoxRegParameter", "bbox_std"): ["[2, 2, 2, 2]"],
    ("BoxGroupOutputParameter", "box_group_param"): ["{ field_w: 30 field_h: 16 stride: 8 }"],
    ("BoxGroupOutputParameter", "fg_thr"): ["0.9"],
    ("BoxGroupOutputParameter", "nms_type"): ['"IOFU"'],
    ("BoxGroupOutputParameter", "min_size"): ["19"],
    ("FrcnnOutputParameter", "conf_thr"): ["0.4"],
    ("FrcnnOutputParameter", "iou_thr"): ["0.01"],
    ("FrcnnOutputParameter", "nms_type"): ['"IOMU"', '"other"'],
    ("FrcnnOutputParameter", "save_output_param"): [
        '{ output_directory: "a" output_format: "VOC" label_map_file: "b" name_size_file: "c" }'
    ],
    ("ProposalParameter", "nms_thresh"): ["0.1"],
    ("ProposalParameter", "rpn_nms_thresh"): ["0.1"],
    ("ProposalParameter", "pre_nms_topn"): ["9"],
    ("ProposalParameter", "post_nms_topn"): ["2"],
    ("ProposalParameter", "max_rois"): ["2"],
    ("ProposalTargetParameter", "num_img_per_batch"): ["0"],
    ("ProposalTargetParameter", "bbox_thr_hg"): ["0.1"],
    ("ProposalTargetParameter", "bg_thr_hg"): ["0.05"],
    ("ProposalTargetParameter", "bbox_thr_lw"): ["0.99"],
    ("DetectionGroupLossParameter", "bg_multiple"): ["0"],
    ("Convolution3DParameter", "filter_group"): ["3"],
    ("ProposalTargetParameter", "img_width"): ["9"],
    ("ProposalTargetParameter", "img_height"): ["9"],
    **{
        (f"{kind}Parameter", f"{name}_shape"): [f"{{ dim: {n} dim: {n} dim: {n} }}" for n in (1, 3)]
        for kind in ("Convolution", "Pooling")
        for name in ("kernel", "pad", "stride")
    },
    ("GatherParameter", "shape"): ["[2, 1]"],
    ("PriorBoxParameter", "aspect_ratio"): ["3"],
    ("UpsampleParameter", "scale"): ["3"],
    ("DetectionEvaluateParameter", "name_size_file"): ['"sizes.txt"'],
    ("DetectionEvaluateParameter", "overlap_threshold"): ["0.99"],
    ("DetectionEvaluateParameter", "resize_param"): ["{ prob: 1 }"],
    ("DetectionOutputParameter", "nms_param"): ["{ nms_threshold: 0 }"],
    ("DetectionOutputParameter", "save_output_param"): [
        '{ output_directory: "a" output_format: "VOC" label_map_file: "b" name_size_file: "c" }'
    ],
    ("InterpParameter", "shrink_factor"): ["2"],
    ("MultiBoxLossParameter", "neg_overlap"): ["0.01"],
    ("MultiBoxLossParameter", "neg_pos_ratio"): ["0.5"],
    ("MultiBoxLossParameter", "nms_param"): ["{ nms_threshold: 0.01 }"],
    ("MultiBoxLossParameter", "objectness_score"): ["0.5"],
    ("DetectionOutputParameter", "objectness_score"): ["0.5"],
    ("PriorBoxParameter", "min_size"): ["9"],
    ("PriorBoxParameter", "max_size"): ["12"],
    ("PSROIPoolingParameter", "output_dim"): ["2"],
    ("ShuffleChannelParameter", "group"): ["4"],
    **{
        ("BatchNormParameter", name): ["true", "false"]
        for name in ("use_weight_bias", "scale_bias", "update_global_stats")
    },
    ("ReshapeParameter", "pixelshuffler"): ["2", "1"],
    ("ConvolutionParameter", "kernel_size"): ["3"],
    ("ConvolutionParameter", "stride_h"): ["2"],
    ("ConvolutionParameter", "stride_w"): ["2"],
    ("DataParameter", "backend"): ["LEVELDB"],
    ("DataParameter", "prefetch"): ["0"],
    ("EltwiseParameter", "coeff"): ["[2, 3]"],
    ("ExpParameter", "base"): ["2"],
    ("FlattenParameter", "end_axis"): ["2"],
    ("AnnotatedDataParameter", "anno_type"): ["BBOX"],
    ("AnnotatedDataParameter", "yolo_data_type"): ["0"],
    ("ImageDataParameter", "min_height"): ["40"],
    ("LogParameter", "base"): ["2"],
    ("PoolingParameter", "stride"): ["3"],
    ("PythonParameter", "layer"): ['"Triple"'],
    ("ScaleParameter", "bias_term"): ["false"],
    ("SliceParameter", "slice_point"): ["1"],
    ("TransformationParameter", "crop_size"): ["8"],
    ("WindowDataParameter", "bg_threshold"): ["0.05"],
    ("WindowDataParameter", "fg_fraction"): ["1"],
}
MODULE = """
import pycaffe_lite

class Double(pycaffe_lite.Layer):
    factor = 2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + len(self.param_str)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff

class Triple(Double):
    factor = 3
"""


def fields():
    """(type, origin, the field of LayerParameter, the field of its message) of everything that is to show."""
    for layer_type, form in ((name, form) for name in layer_types() for form in forms_of(name)):
        for param in filter(None, (form.param, *form.layer_class.also_reads)):
            message = getattr(caffe_pb2.LayerParameter(), param).DESCRIPTOR
            for field in message.fields:
                shared = NOT_FOR.get((layer_type, form.origin), ())
                # Where weights of classes are refused, the numbers beside that count no more than in Caffe.
                is_refused = field.name == "class_weighting" and not getattr(
                    form.layer_class, "weighs_classes", True
                )
                if (message.name, field.name) not in shared and not is_refused:
                    yield layer_type, form.origin, param, field.name


def other_values(message, name):
    """Texts of values that are not the field's default."""
    if values := VALUES.get((message.DESCRIPTOR.name, name)):
        return values
    field, descriptor = fields_of(message.DESCRIPTOR).by_name[name], message.DESCRIPTOR.fields_by_name[name]
    if field.kind == "message":
        return [
            '{ type: "constant" value: 3 }'
            if descriptor.message_type.name == "FillerParameter"
            else "{ dim: 5 }"
        ]
    if field.kind == "bool":
        return (
            ["true", "false"]
            if not descriptor.has_default_value
            else [str(not descriptor.default_value).lower()]
        )
    if field.kind == "enum":
        return [value for value, number in field.values.items() if number != descriptor.default_value]
    if field.kind == "string":
        return ['"other"']
    if field.repeated:
        return ["2"]
    return [str(descriptor.default_value + (1 if field.kind == "int" else 0.25))]


FIELDS = list(fields())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory: databases, matrices, a module."""
    for name in ("mnist_200_lmdb", "mean.binaryproto"):
        source = DATA / "db" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    for name in ("one.png", "two.png"):
        pixels = NUMBERS.integers(0, 256, (28, 28, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("one.png 3\ntwo.png 5\n")
    (tmp_path / "pairs.txt").write_text("one.png two.png\ntwo.png one.png\n")
    boxes = "2  1 0 0 2 3 13 15  2 0 1 9 8 27 20  1 0 0 12 14"
    (tmp_path / "boxes.txt").write_text(f"# 0 one.png 3 28 28 {boxes}\n# 1 two.png 3 28 28 {boxes}\n")
    (tmp_path / "clips.txt").write_text("film 2 3\nfilm 1 5\n")
    (tmp_path / "film").mkdir()
    for i in range(7):
        Image.fromarray(NUMBERS.integers(0, 256, (20, 20, 3), np.uint8)).save(
            tmp_path / "film" / f"{i:06}.jpg"
        )
        shutil.copy(tmp_path / "film" / f"{i:06}.jpg", tmp_path / "film" / f"image_{i:04}.jpg")
    shutil.copytree(DATA / "annotated" / "annotated_raw_lmdb", tmp_path / "annotated_raw_lmdb")
    (tmp_path / "windows.txt").write_text(
        "# 0 one.png 3 28 28 4  1 0.9 2 3 20 25  2 0.6 5 5 9 9  0 0.1 0 0 12 13  0 0.4 20 20 26 25\n"
    )
    for name, matrix in {"H": np.eye(3), "other": np.ones((3, 3))}.items():
        binaryproto.write(tmp_path / f"{name}.binaryproto", matrix[None, None])
    binaryproto.write(tmp_path / "mean_5.binaryproto", BOTTOM[:1])
    (tmp_path / "rows.h5").write_bytes(b"".join(map(bytes, file_parts({"top_0": np.arange(9.0)}))))
    (tmp_path / "rows.txt").write_text("rows.h5")
    (tmp_path / "names.txt").write_text("a 99 99")
    (tmp_path / "every_field_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "every_field_module", raising=False)
    return tmp_path


@pytest.fixture
def watch(folder, caplog):
    """watch(prototxt, bottoms, tops): all that a layer shows."""

    def run(prototxt, bottoms, tops):
        engine._said.clear()
        caplog.clear()
        with caplog.at_level(logging.INFO):
            shown = list(show(prototxt, bottoms, tops))
        return [
            *shown,
            [record.getMessage() for record in caplog.records if record.threadName == "MainThread"],
        ]

    return run


def show(prototxt, bottoms, tops):
    """Runs a layer forward and backward: shapes, values, gradients, and the error with which it ends."""
    try:
        rig = build_layer(prototxt, bottoms, tops=tops)
        yield [blob.shape for blob in (*rig.top, *rig.layer.blobs)]
        if rig.layer.type == "MemoryData":
            rig.layer.reset(np.arange(120.0).reshape(2, 3, 4, 5), [0, 1])
        yield rig.forward()
        yield rig.forward()
        yield [blob.data.copy() for blob in rig.layer.blobs]
        yield rig.backward([np.ones(blob.shape) for blob in rig.top])
    except PycaffeError as error:
        yield str(error)


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(type(x) is type(y) and same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def with_field(text, message_class, name, value):
    """The text of a message with one field set to another value."""
    message = message_class()
    text_format.Parse(text, message)
    message.ClearField(name)
    colon = "" if value.startswith("{") else ":"
    return f"{text_format.MessageToString(message, as_one_line=True)} {name}{colon} {value}"


@pytest.mark.parametrize(
    ("layer_type", "origin", "param", "name"), FIELDS, ids=[f"{t}-{f}" for t, _, _, f in FIELDS]
)
def test_shows(layer_type, origin, param, name, watch):
    entry = next(form for form in forms_of(layer_type) if form.origin == origin)
    message = getattr(caffe_pb2.LayerParameter(), param)
    bottoms = [BOTTOM] * (entry.layer_class.exact_bottoms or entry.layer_class.min_bottoms or 0)
    rows = ROWS.get((layer_type, origin)) or ROWS.get(layer_type, [(bottoms, "", None)])
    bottoms, own, tops = next((row for row in rows if re.search(rf"\b{name}\b", row[1])), rows[0])
    head = f'type: "{layer_type}" ' + (f"{entry.param} {{ {own} }} " if own else "")
    needs = NEEDS.get((layer_type, origin)) or NEEDS.get(layer_type, {})
    beside = BESIDE.get((message.DESCRIPTOR.name, name), "")
    if param == "transform_param" and layer_type in ALONE:
        beside = ""
    if param == entry.param:
        own = f"{own} {beside}"
        head = f'type: "{layer_type}" {param} {{ {own} }} '
    elif beside:
        needs = {**needs, param: f"{needs.get(param, '')} {beside}"}
    bare = head
    head += " ".join(f"{other} {{ {text} }}" for other, text in needs.items())
    before = watch(head, bottoms, tops)
    assert not isinstance(before[0], str), before[0]
    for value in other_values(message, name):
        if param == entry.param:
            text = f'type: "{layer_type}" {param} {{ {with_field(own, type(message), name, value)} }}'
            text += head.removeprefix(bare)
        elif param in needs:
            text = f"{bare} {param} {{ {with_field(needs[param], type(message), name, value)} }}"
        else:
            text = f"{head} {param} {{ {name}: {value} }}"
        if not same(watch(text, bottoms, tops), before):
            return
    pytest.fail(f"{param}.{name} of {layer_type} is parsed and forgotten")


FORMS = [(name, form) for name in layer_types() for form in forms_of(name)]
# Bottoms and parameters for which the gradient can be checked, where those of ROWS are not.
DISTINCT = NUMBERS.permutation(16).reshape(1, 1, 4, 4)[:, :, :2, :2].repeat(4, 1).repeat(2, 0)
FOR_GRADIENTS = {
    "Axpy": ([BOTTOM[:, :, :1, :1], BOTTOM, BOTTOM], ""),
    "BatchReindex": ([BOTTOM, [1, 0, 1]], ""),
    "CTCLoss": ([NUMBERS.standard_normal((4, 1, 5)), np.ones((4, 1)), [[1], [3]]], ""),
    "CtcLoss": ([STEPS[:, :1], [[1, 3]]], "blank_label: 4"),
    "Filter": ([BOTTOM, [1, 0]], ""),
    "LSTMUnit": ([SEQUENCE[:1, :, :2], NUMBERS.standard_normal((1, 2, 8)), [[1, 0]]], ""),
    "MarginInnerProduct": ([ROW, LABELS[1:3]], f"num_output: 3 weight_filler {FILL}"),
    "MultinomialLogisticLoss": ([NUMBERS.uniform(0.1, 0.9, (6, 3)), LABELS], ""),
    ("SmoothL1Loss", "R-FCN"): ([IMAGE, IMAGE * 3, IMAGE > 0], ""),
    "Unpooling": ([IMAGE], "kernel_size: 2 stride: 2 unpool_size: 10"),
    ("Upsample", "SegNet"): ([IMAGE[:, :, :2, :2], DISTINCT], ""),
}
# Whose gradient is another one than the slope of the output, in Caffe or in its fork; see their docstrings.
UNTRUE = {
    ("BatchNorm", "PSPNet"): {"bottom 0"},
    ("CTCLoss", "ChWick's Caffe"): {"bottom 0"},
    ("CenterLoss", "happynear's Caffe"): {"blob 0"},
    ("ContrastiveLoss", "Caffe"): {"bottom 0", "bottom 1"},
    ("DetectionGroupLoss", "Cascade R-CNN"): {"bottom 1"},
    ("HashingLoss", "deep supervised hashing (DSH)"): {"bottom 0"},
    ("InnerProduct", "happynear's Caffe and OpenVINO"): {"blob 0"},
    ("MarginInnerProduct", "SphereFace"): {"blob 0"},
    ("RegionLoss", "MobileNet-YOLO"): {"bottom 0"},
    ("Yolov3", "MobileNet-YOLO"): {"bottom 0"},
}
# Who have none.
FORWARD_ONLY = {
    "DataSequence", "DetectNetTransformation", "DetectionData", "EvalData", "SegData", "VideoData",
    "ImageLabelmapData",
    "Accuracy", "AnnotatedData", "ArgMax", "BboxAccuracy", "BoxAnnotatorOHEM", "BoxGroupOutput",
    "CTCGreedyDecoder", "ContinuationIndicator", "Data", "DecodeBBox", "DenseCRF", "DenseImageData",
    "DetectionEvaluate", "DetectionGroupAccuracy", "DetectionOutput", "Downsample", "DummyData",
    "FrcnnOutput", "HDF5Data", "HDF5Output", "HardMining", "ImageData", "ImageSegData", "Input",
    "LabelsequenceAccuracy", "MatWrite", "Mean", "MemoryData", "PriorBox", "PriorBoxClustered", "Proposal",
    "ProposalTarget", "Resample", "ScaleRoute", "SegAccuracy", "Threshold", "WindowData",
    "Yolov3DetectionOutput",
}  # fmt: skip


def example(layer_type, form, rows):
    """Bottoms, the text of a layer, and its number of tops."""
    count = form.layer_class.exact_bottoms or form.layer_class.min_bottoms or 0
    row = rows.get((layer_type, form.origin)) or rows.get(layer_type)
    bottoms, own, *tops = row or ([BOTTOM] * count, "")
    needs = NEEDS.get((layer_type, form.origin)) or NEEDS.get(layer_type, {})
    messages = {**({form.param: own} if own else {}), **needs}
    text = " ".join(f"{param} {{ {fields} }}" for param, fields in messages.items())
    return bottoms, f'type: "{layer_type}" {text}', *(tops or [None])


@pytest.mark.parametrize(("layer_type", "form"), FORMS, ids=[f"{name}-{form.origin}" for name, form in FORMS])
def test_the_right_layer_with_the_right_gradient(layer_type, form, folder):
    """Types of one name are told apart, and gradients are slopes."""
    first = {key: rows[0] for key, rows in ROWS.items()}
    bottoms, text, tops = example(layer_type, form, {**first, **FOR_GRADIENTS})
    rig = build_layer(text, bottoms, tops=tops, dtype=np.float64)
    assert type(rig.layer) is form.layer_class
    wanted = gradient_bottoms(rig.layer, rig.bottom)
    blobs = [i for i, want in enumerate(rig.layer.param_propagate_down) if want]
    if layer_type in FORWARD_ONLY:
        assert not blobs
        return
    assert wanted or blobs or form.origin == "synopsys", (
        "a layer without a gradient belongs into FORWARD_ONLY"
    )
    rig.forward()
    reports = check_layer_gradients(
        rig.layer, rig.bottom, rig.top, bottoms=wanted, blobs=blobs, samples=20, seed=1, threshold=1e-5
    )
    wrong = {report.blob for report in reports if not report.passed}
    assert wrong == UNTRUE.get((layer_type, form.origin), set()), [str(report) for report in reports]


@pytest.mark.parametrize("filler", filler_types())
@pytest.mark.parametrize("name", [field.name for field in caffe_pb2.FillerParameter.DESCRIPTOR.fields])
def test_fillers(filler, name, watch):
    def layer(text):
        param = f"num_output: 2 kernel_size: 3 weight_filler {{ {text} }}"
        return f'type: "Convolution" convolution_param {{ {param} }}'

    own = f'type: "{filler}"'
    before = watch(layer(own), [IMAGE], None)
    assert not isinstance(before[0], str), before[0]
    (value,) = other_values(caffe_pb2.FillerParameter(), name)[:1]
    text = with_field(own, caffe_pb2.FillerParameter, name, value)
    assert not same(watch(layer(text), [IMAGE], None), before)
