"""The shapes of data that is not there, as far as the layers that would read it say them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycaffe_lite.data.anchor_labels import grid_size
from pycaffe_lite.errors import FileLookupError, NetError
from pycaffe_lite.layer.data.video_data import is_of_video_caffe
from pycaffe_lite.net.state import PlacedLayer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve

Shape = tuple[int, ...]
# The messages of the layers that read a file or database named `source`.
_SOURCES = {
    "AnnotatedData": "data_param",
    "Data": "data_param",
    "DenseImageData": "dense_image_data_param",
    "DetectionData": "detection_data_param",
    "EvalData": "eval_data_param",
    "HDF5Data": "hdf5_data_param",
    "ImageData": "image_data_param",
    "ImageLabelmapData": "image_data_param",
    "ImageSegData": "image_data_param",
    "SegData": "seg_data_param",
    "VideoData": "video_data_param",
    "WindowData": "window_data_param",
}
# Those whose second top has a label for each pixel.
_OF_PIXELS = ("DenseImageData", "ImageLabelmapData", "ImageSegData")
# Labels of an item for Yolov3 as AnnotatedData makes them; values of a box; label maps of anchors.
_YOLO_ROWS, _YOLO_COLUMNS, _BOX_COLUMNS, _ANCHOR_LABELS = 300, 5, 8, 6


def reads_a_source(param: caffe_pb2.LayerParameter) -> bool:
    """Whether a layer reads a file or database that its field `source` names."""
    return param.type in _SOURCES


def data_is_missing(param: caffe_pb2.LayerParameter, file: Path | None) -> bool:
    """Whether a layer reads a file or database that is not there.

    Args:
        param: of the layer. file: the net's prototxt, beside which data is looked for, too.
    """
    if not reads_a_source(param):
        return False
    source = getattr(param, _SOURCES[param.type]).source
    try:
        return not resolve(source, file.parent if file else None).exists()
    except FileLookupError:
        return True


def shapes_in_place(layer: PlacedLayer, known: list[Shape | None]) -> list[Shape]:
    """The shapes of the tops of a data layer without data, as far as it says them.

    Args:
        layer: of a type that reads a `source`. known: the shapes of its tops that the user gave.

    Raises:
        NetError: the layer does not say the shape of its first top, and nobody gave it.
    """
    param = layer.param
    first = known[0] or _of_pictures(param)
    if first is None:
        top = param.top[0] if param.top else "data"
        source = getattr(param, _SOURCES[param.type]).source
        raise NetError(
            f"{layer.where}layer '{param.name}' ({param.type}): its source '{source}' is not there, "
            f"and the layer does not say what shape the data has: give it, --shape {top}=N,C,H,W"
        )
    return [first, *(shape or _of_top(param, i, first) for i, shape in enumerate(known[1:], 1))]


def _of_pictures(param: caffe_pb2.LayerParameter) -> Shape | None:
    """The shape of the first top; None if it depends on the data."""
    own: Any = getattr(param, _SOURCES[param.type])
    batch = own.batch_size if "batch_size" in own.DESCRIPTOR.fields_by_name else 0
    height, width = _size(param, own)
    if not (batch and height and width):
        return None
    if param.type != "VideoData":
        return batch, _channels(param, own), height, width
    if is_of_video_caffe(param):
        return batch, 3 if own.is_color else 1, own.new_length, height, width
    channels = 2 if own.modality == caffe_pb2.VideoDataParameter.FLOW else 1 if own.grayscale else 3
    return batch, own.num_segments * own.new_length * channels, height, width


def _size(param: caffe_pb2.LayerParameter, own: Any) -> tuple[int, int]:
    """Height and width after the last step that sets them; 0 and 0 if none does."""
    transform = param.transform_param
    crop = transform.crop_size or (own.crop_size if param.type == "WindowData" else 0)
    if crop or transform.crop_height:
        return transform.crop_height or crop, transform.crop_width or crop
    for resize in transform.resize_param:
        if resize.resize_mode != caffe_pb2.ResizeParameter.FIT_SMALL_SIZE:
            return resize.height, resize.width
    fields = own.DESCRIPTOR.fields_by_name
    for step in ("crop", "new", "resize"):
        height, width = f"{step}_height", f"{step}_width"
        if height in fields and getattr(own, height):
            return getattr(own, height), getattr(own, width)
    return 0, 0


def _channels(param: caffe_pb2.LayerParameter, own: Any) -> int:
    is_grey = param.transform_param.force_gray
    if "is_color" in own.DESCRIPTOR.fields_by_name:
        is_grey = is_grey or not own.is_color
    return 1 if is_grey else 3


def _of_top(param: caffe_pb2.LayerParameter, index: int, first: Shape) -> Shape:
    """The shape of the top of an index above 0, beside pictures of the shape `first`; labels are (N,)."""
    batch = first[0]
    if param.type in _OF_PIXELS:
        return (batch, 1, *first[2:]) if index == 1 else (batch, 1, 1, 2)
    if param.type == "AnnotatedData":
        is_yolo = param.annotated_data_param.yolo_data_type == 1
        return (batch, 1, _YOLO_ROWS, _YOLO_COLUMNS) if is_yolo else (1, 1, 1, _BOX_COLUMNS)
    if param.type == "EvalData":
        return (1, _BOX_COLUMNS, 1, 1) if index == 1 else (batch, 2, 1, 1)
    if param.type == "DetectionData":
        strides = param.detection_data_param.stride
        if index > len(strides):
            return (1, _BOX_COLUMNS, 1, 1)
        return (batch, _ANCHOR_LABELS, *grid_size((first[2], first[3]), strides[index - 1]))
    if param.type == "SegData":
        return (1, 1, *first[2:])
    if param.type == "VideoData" and not is_of_video_caffe(param):
        return batch, 1, 1, 1
    return (batch,)
