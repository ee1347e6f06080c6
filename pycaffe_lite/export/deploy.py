"""Nets that train, as nets to be used: data layers become inputs, losses the outputs that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pycaffe_lite.errors import NetError
from pycaffe_lite.export.copies import is_source
from pycaffe_lite.export.files import prototxt_of, without_fillers
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.common.margin_inner_product import MarginInnerProductLayer
from pycaffe_lite.layer.detection.multibox_loss import MultiBoxLossLayer
from pycaffe_lite.layer.loss.balanced_cross_entropy_loss import SigmoidCrossEntropyBalanceLossLayer
from pycaffe_lite.layer.loss.contrastive_loss import ContrastiveLossLayer
from pycaffe_lite.layer.loss.focal_loss import FocalLossLayer
from pycaffe_lite.layer.loss.infogain_loss import InfogainLossLayer
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.loss.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLossLayer
from pycaffe_lite.layer.loss.softmax_with_loss import SoftmaxWithLossLayer
from pycaffe_lite.layer.loss.triplet_loss import TripletLossLayer
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net, StrPath
from pycaffe_lite.net.splits import is_inserted_split
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.view.shaped import ShapedNet, shaped_document
from pycaffe_lite.view.stand_ins import reads_a_source

Shape = tuple[int, ...]
# The types that judge what a net gives, and give nothing themselves.
JUDGES = (
    *("Accuracy", "SegAccuracy", "LabelsequenceAccuracy", "DetectionEvaluate", "BboxAccuracy"),
    *("DetectionGroupAccuracy", "Silence", "HDF5Output"),
)
# SSD's own values, of its examples.
_SSD_NMS, _SSD_TOP_K, _SSD_KEEP, _SSD_LEAST = 0.45, 400, 200, 0.01
# The fields that only training reads.
_OF_TRAINING = ("include", "exclude", "phase", "loss_weight", "propagate_down", "blobs")


class Deployed(NamedTuple):
    """A net to be used.

    Attributes:
        message: its prototxt. remarks: what became of what, a sentence each.
    """

    message: caffe_pb2.NetParameter
    remarks: list[str]


def deploy(
    file: StrPath,
    batch: int | None = None,
    level: int = 0,
    stages: Iterable[str] = (),
    shapes: Mapping[str, Shape] | None = None,
    *,
    strict: bool = False,
) -> Deployed:
    """Makes a net that gives what the losses of a net in TEST are for.

    Args:
        file: a prototxt that trains.
        batch: of the inputs; None for 1 picture, and for other data as many items as the net has.
        level, stages, shapes, strict: as in `view.shaped.shaped_net`; data sets need not be there, and
            data of TRAIN serves where TEST has none.

    Raises:
        NetError: a layer needs labels to give anything, or nothing would be left; and as `Net`.
    """
    document = read_net(file, strict=strict)
    stages = list(stages)
    state = caffe_pb2.NetState(phase=caffe_pb2.TEST, level=level, stage=stages)
    transforms = _data_of_training_too(document.message, state)
    shaped = shaped_document(document, caffe_pb2.TEST, level, stages, shapes)
    deployment = _Deployment(shaped, batch, transforms)
    message = deployment.message()
    try:
        Net.from_proto(message, caffe_pb2.TEST)  # which says what does not fit
    except NetError as error:
        if batch is not None:
            raise
        raise NetError(f"{error}; if that is for the batch size, give the net's own by --batch") from None
    inputs = {top for layer in message.layer if layer.type == "Input" for top in layer.top}
    guesses = [remark for remark in shaped.remarks if any(f"blob '{name}'" in remark for name in inputs)]
    return Deployed(message, [*guesses, *deployment.remarks])


def _data_of_training_too(
    message: caffe_pb2.NetParameter, state: caffe_pb2.NetState
) -> dict[str, caffe_pb2.TransformationParameter]:
    """Lets a net that has data in TRAIN only have it in TEST; returns the layers' transformations by name."""
    own = caffe_pb2.NetState()
    own.CopyFrom(message.state)
    own.MergeFrom(state)
    kept = [layer.param for layer in filter_layers([PlacedLayer(p, "") for p in message.layer], own)]
    made = {top for param in kept for top in param.top}
    for param in message.layer:
        if reads_a_source(param) and not made.intersection(param.top):
            param.ClearField("include")
            param.ClearField("exclude")
            made.update(param.top)
            kept.append(param)
    found = {}
    for param in kept:
        found[param.name] = caffe_pb2.TransformationParameter()
        found[param.name].CopyFrom(param.transform_param)
    return found


class _Deployment:
    def __init__(
        self,
        shaped: ShapedNet,
        batch: int | None,
        transforms: Mapping[str, caffe_pb2.TransformationParameter],
    ) -> None:
        self._shaped, self._batch, self._transforms = shaped, batch, transforms
        self.remarks: list[str] = []
        self._layers = list(prototxt_of(shaped.net).layer)
        self._nodes = [n for n in shaped.net.graph.nodes if not is_inserted_split(n.layer.layer_param)]
        self._names = {layer.name for layer in self._layers} | {
            top for layer in self._layers for top in layer.top
        }

    def message(self) -> caffe_pb2.NetParameter:
        """The new net's message."""
        wanted, ends = self._ends()
        kept = self._needed(wanted)
        result = caffe_pb2.NetParameter(name=self._shaped.net.name)
        for i in kept:
            result.layer.append(self._deployed(self._layers[i], self._nodes[i]))
        result.layer.extend(ends)
        if not any(layer.type != "Input" for layer in result.layer):
            raise NetError("nothing would be left: no loss of the net, and no output, has a prediction")
        return result

    def _ends(self) -> tuple[list[tuple[int, str]], list[caffe_pb2.LayerParameter]]:
        """The blobs that the new net has to make, each before the layer of an index; and its last layers."""
        wanted: list[tuple[int, str]] = []
        ends: list[caffe_pb2.LayerParameter] = []
        losses = [node.layer for node in self._nodes if _probability(node.layer)]
        read = {name for layer in self._layers for name in layer.bottom}
        for i, (layer, node) in enumerate(zip(self._layers, self._nodes, strict=True)):
            if isinstance(node.layer, LossLayer | MultiBoxLossLayer):
                predictions = list(layer.bottom[: _predictions(node.layer)])
                wanted += [(i, name) for name in predictions]
                ends += self._instead_of(layer, node.layer, single=len(losses) == 1)
            elif layer.type not in JUDGES and not is_source(node):
                wanted += [(i + 1, top) for top in layer.top if top not in read]
        if not wanted:  # a net that is only judged
            judged = [(i, layer.bottom[0]) for i, layer in enumerate(self._layers) if layer.type in JUDGES]
            wanted = [(i, name) for i, name in judged if self._layers[i].type != "Silence"]
        return wanted, ends

    def _instead_of(
        self, param: caffe_pb2.LayerParameter, layer: Layer[Any], *, single: bool
    ) -> list[caffe_pb2.LayerParameter]:
        """What gives the prediction that a loss is for, in place of the loss."""
        if isinstance(layer, MultiBoxLossLayer):
            self.remarks.append(
                f"{_said(param)} becomes DetectionOutput, with the thresholds of SSD's examples."
            )
            return self._detection(param)
        kind = _probability(layer)
        if not kind:
            self.remarks.append(f"{_said(param)} is gone: its prediction '{param.bottom[0]}' is an output.")
            return []
        name = self._fresh("prob" if single else f"{param.name}/prob")
        end = caffe_pb2.LayerParameter(name=name, type=kind, bottom=[param.bottom[0]], top=[name])
        axis = _class_axis(param, layer)
        if kind == "Softmax" and axis != 1:
            end.softmax_param.axis = axis
        self.remarks.append(f"{_said(param)} becomes {kind} '{name}'.")
        return [end]

    def _detection(self, param: caffe_pb2.LayerParameter) -> list[caffe_pb2.LayerParameter]:
        """The layers of SSD's deploy nets: softmax over the classes, then DetectionOutput."""
        p, (offsets, scores, priors) = param.multibox_loss_param, param.bottom[:3]
        names = [self._fresh(f"{scores}_{end}") for end in ("reshape", "softmax", "flatten")]
        reshape = caffe_pb2.LayerParameter(name=names[0], type="Reshape", bottom=[scores], top=[names[0]])
        reshape.reshape_param.shape.dim.extend([0, -1, p.num_classes])
        kind = "Sigmoid" if p.conf_loss_type == p.LOGISTIC else "Softmax"
        softmax = caffe_pb2.LayerParameter(name=names[1], type=kind, bottom=[names[0]], top=[names[1]])
        if kind == "Softmax":
            softmax.softmax_param.axis = 2
        flatten = caffe_pb2.LayerParameter(name=names[2], type="Flatten", bottom=[names[1]], top=[names[2]])
        name = self._fresh("detection_out")
        output = caffe_pb2.LayerParameter(name=name, type="DetectionOutput", top=[name])
        output.bottom.extend([offsets, names[2], priors])
        own = output.detection_output_param
        own.num_classes, own.share_location = p.num_classes, p.share_location
        own.background_label_id, own.code_type = p.background_label_id, p.code_type
        own.variance_encoded_in_target = p.encode_variance_in_target
        own.nms_param.nms_threshold, own.nms_param.top_k = _SSD_NMS, _SSD_TOP_K
        own.keep_top_k, own.confidence_threshold = _SSD_KEEP, _SSD_LEAST
        return [reshape, softmax, flatten, output]

    def _needed(self, wanted: list[tuple[int, str]]) -> list[int]:
        """The indices of the layers on which blobs depend, in order."""
        todo, kept = list(wanted), set()
        while todo:
            before, name = todo.pop()
            makers = [i for i in range(before) if name in self._layers[i].top]
            if not makers or makers[-1] in kept:
                continue
            kept.add(makers[-1])
            todo += [(makers[-1], bottom) for bottom in self._layers[makers[-1]].bottom]
        return sorted(kept)

    def _deployed(self, layer: caffe_pb2.LayerParameter, node: Node) -> caffe_pb2.LayerParameter:
        """A layer without what only training reads; an Input layer in place of one of data."""
        if isinstance(node.layer, MarginInnerProductLayer):
            raise node.layer.error(
                "needs labels: replace it by InnerProduct and its weights by such of length 1"
            )
        if is_source(node):
            return self._input(layer, node)
        result = without_fillers(layer)
        for name in _OF_TRAINING:
            result.ClearField(name)
        if not any(spec.name for spec in result.param):
            result.ClearField("param")
        return result

    def _input(self, layer: caffe_pb2.LayerParameter, node: Node) -> caffe_pb2.LayerParameter:
        read = {name for other in self._layers for name in other.bottom}
        tops = [top for top in layer.top if top in read][:1] if self._is_labelled(node) else list(layer.top)
        result = caffe_pb2.LayerParameter(name=layer.name, type="Input", top=tops)
        for top, blob in zip(layer.top, node.top, strict=True):
            if top in tops:
                first = self._batch or (1 if len(blob.shape) == 4 else blob.shape[0])
                result.input_param.shape.add().dim.extend((first, *blob.shape[1:]))
        if what := _prepared(self._transforms[layer.name]):
            self.remarks.append(
                f"Input '{', '.join(tops)}' takes values {what}, as the data layer gave them."
            )
        return result

    def _is_labelled(self, node: Node) -> bool:
        """Whether a data layer's second top is a label, which nothing may need now."""
        return self._shaped.type_of(node) != "Input"

    def _fresh(self, hint: str) -> str:
        name, number = hint, 2
        while name in self._names:
            name, number = f"{hint}{number}", number + 1
        self._names.add(name)
        return name


def _said(param: caffe_pb2.LayerParameter) -> str:
    return f"{param.name} ({param.type})"


def _predictions(layer: Layer[Any]) -> int:
    """How many of a loss's bottoms, the first ones, are predictions."""
    if isinstance(layer, MultiBoxLossLayer):
        return 3
    if isinstance(layer, TripletLossLayer):
        return 3
    return 2 if isinstance(layer, ContrastiveLossLayer) else 1


def _probability(layer: Layer[Any]) -> str:
    """The type that makes probabilities of a loss's scores; empty where it has none."""
    if isinstance(layer, SoftmaxWithLossLayer | InfogainLossLayer | FocalLossLayer):
        return "Softmax"
    sigmoid = SigmoidCrossEntropyLossLayer | SigmoidCrossEntropyBalanceLossLayer
    return "Sigmoid" if isinstance(layer, sigmoid) else ""


def _class_axis(param: caffe_pb2.LayerParameter, layer: Layer[Any]) -> int:
    axis: int = (
        param.infogain_loss_param.axis if isinstance(layer, InfogainLossLayer) else param.softmax_param.axis
    )
    return axis


def _prepared(transform: caffe_pb2.TransformationParameter) -> str:
    """What a transformer does to values, in words."""
    parts = []
    if transform.mean_file:
        parts.append(f"less the mean in {transform.mean_file}")
    if transform.mean_value:
        parts.append(f"less {', '.join(f'{value:g}' for value in transform.mean_value)}")
    if transform.scale != 1:
        parts.append(f"times {transform.scale:g}")
    return ", ".join(parts)
