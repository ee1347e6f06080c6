"""The nets that commands run."""

from __future__ import annotations

from pathlib import Path

from pycaffe_lite.cli.options import split_names
from pycaffe_lite.cli.shapes import Shapes
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import NetError, WeightsError
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.weights import copy_from, fresh_in_all
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.view.shaped import shaped_net


def load_net(
    model: str,
    phase: int,
    level: int,
    stage: str,
    weights: str | None,
    strict: bool,
    share: Share = WHOLE,
) -> Net:
    """A net as the options of a command say; see `Net`.

    Args:
        model, phase, level, stage, weights, strict: as for `Net`. share: which records its data layers take.

    Raises:
        PycaffeError: it cannot be built, or there is nothing to run.
    """
    if share is WHOLE:
        net = Net(model, phase, level, split_names(stage), weights or None, strict=strict)
    else:
        document = read_net(model, strict=strict)
        state = document.message.state
        state.phase = caffe_pb2.TEST if phase == caffe_pb2.TEST else caffe_pb2.TRAIN
        state.level = level
        state.stage.extend(split_names(stage))
        net = Net.from_document(document, share=share)
        for file in filter(None, (weights or "").split(",")):
            net.copy_from(file)
    check_layers(net, model)
    return net


def check_layers(net: Net, file: str) -> None:
    """Makes sure that there is something to run.

    Raises:
        NetError: the file is empty, or the net's rules leave no layer of it.
    """
    if not net.layers:
        raise NetError(f"{file}: the net has no layers in phase {caffe_pb2.Phase.Name(net.phase)}")


def shaped_with_weights(
    model: str, weights: str, level: int, stage: str, shapes: Shapes, *, strict: bool
) -> Net:
    """A net in TEST with its weights, whose data sets may be missing; see `view.shaped`.

    Args:
        weights: files, separated by commas. The others: as the options of a command say.

    Raises:
        PycaffeError: it cannot be built, or the weights do not fit.
        WeightsError: the weights leave a layer as it is.
    """
    net = shaped_net(model, caffe_pb2.TEST, level, split_names(stage), shapes, strict=strict).net
    loaded = [copy_from(net, Path(file)) for file in weights.split(",")]
    if fresh := fresh_in_all(loaded):
        raise WeightsError(f"'{weights}' has no weights for layer '{fresh[0]}' of '{model}'")
    return net
