"""Net surgery: making one net of another, with its weights."""

from __future__ import annotations

from pycaffe_lite.blob import Array
from pycaffe_lite.coord_map import PASS_THROUGH_LAYERS
from pycaffe_lite.errors import NetError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document

__all__ = ["fully_convolutional"]

# Types that do at each place of a map what they did to a single vector: those that leave each pixel where it
# is, but for MVN, which looks at all of them.
_POINTWISE = {*PASS_THROUGH_LAYERS, "Softmax", "Concat", "Slice", "Silence", "Convolution", "Pooling", "Clip"}
_POINTWISE = _POINTWISE - {"MVN"} | {"ArgMax"}
# Those of them that work along an axis, which has to be that of the channels.
_AXES = {
    "Softmax": "softmax_param",
    "Concat": "concat_param",
    "Slice": "slice_param",
    "Scale": "scale_param",
    "Bias": "bias_param",
    "ArgMax": "argmax_param",
}


def fully_convolutional(net: Net) -> Net:
    """A net that slides a classifier over images of any size: its fully connected layers made convolutions.

    An InnerProduct layer reads the whole of its bottom, (N, C, H, W); as a Convolution with a kernel of H x W
    it gives the same numbers at a bottom of this size, and a map of them at a larger one. The weights are
    copied. Global pooling becomes pooling over the size that it had. Converted layers get the name
    `<name>-conv`, so that a file of the classifier's weights is not taken for one of these; blobs keep
    theirs.

        net = caffe.Net("deploy.prototxt", "net.caffemodel", caffe.TEST)
        sliding = pycaffe_lite.surgery.fully_convolutional(net)
        sliding.blobs["data"].reshape(1, 3, 451, 451)
        sliding.forward(data=image)["prob"]  # (1, classes, rows, columns)

    Without padding in the net, each place of the map is what the classifier gives for the part of the image
    below it, as long as its pooling windows lie wholly inside their maps. With padding it is so at the
    classifier's own size only: within a larger image there is image where the classifier sees padding.

    Args:
        net: a classifier; it stays as it is, and shares no memory with the new one.

    Raises:
        NetError: a layer cannot be made convolutional, or cannot follow one that is: the message names it.
    """
    message, converted = _converted(net)
    message.state.CopyFrom(net.state)
    result = Net.from_document(Document(message, net.file), dtype=net.dtype)
    for name, blobs in net.params.items():
        targets = result.params[converted.get(name, name)]
        is_transposed = name in converted and net.layer_dict[name].layer_param.inner_product_param.transpose
        for i, (source, target) in enumerate(zip(blobs, targets, strict=True)):
            values: Array = source.data.T if is_transposed and i == 0 else source.data
            target.data[...] = values.reshape(target.shape)
    return result


def _converted(net: Net) -> tuple[caffe_pb2.NetParameter, dict[str, str]]:
    """The new net's message, and the new names of the layers that are convolutions there."""
    message = caffe_pb2.NetParameter(name=net.name)
    converted: dict[str, str] = {}
    instead: dict[str, str] = {}  # of a blob that is no longer made: the one that stands for it
    shapes = {name: blob.shape for name, blob in net.blobs.items()}
    maps: set[str] = set()  # blobs that are maps now, and were none
    for layer in net.to_proto().layer:
        original = list(layer.bottom)
        for i, blob in enumerate(original):
            layer.bottom[i] = instead.get(blob, blob)
        for i, blob in enumerate(layer.top):
            if blob in instead and blob in original:  # in place
                layer.top[i] = instead[blob]
        if layer.type == "Split" and not layer.loss_weight:
            instead.update(dict.fromkeys(layer.top, layer.bottom[0]))  # the new net makes its own
        elif layer.type == "Flatten" and _flattens_maps(layer, len(shapes[original[0]])):
            instead[layer.top[0]] = layer.bottom[0]
            maps.update((layer.top[0], layer.bottom[0]))
        else:
            is_map = any(blob in maps for blob in (*layer.bottom, *original))
            if layer.type == "InnerProduct":
                converted[layer.name] = f"{layer.name}-conv"
                _make_convolution(layer, shapes[layer.bottom[0]], len(shapes[original[0]]))
                is_map = True
            elif layer.type == "Pooling" and layer.pooling_param.global_pooling:
                _make_local(layer, shapes[layer.bottom[0]])
                is_map = True
            elif is_map:
                _check_pointwise(layer)
            if is_map:
                maps.update(layer.top)
            message.layer.add().CopyFrom(layer)
    return message, converted


def _flattens_maps(layer: caffe_pb2.LayerParameter, axes: int) -> bool:
    """Whether a Flatten layer makes vectors of maps: the layer that reads these can read the maps."""
    p = layer.flatten_param
    return p.axis % axes == 1 and p.end_axis % axes == axes - 1


def _make_convolution(layer: caffe_pb2.LayerParameter, shape: tuple[int, ...], axes: int) -> None:
    """Turns an InnerProduct layer into the Convolution with the same numbers.

    Args:
        layer: its message. shape: of the maps that it reads now. axes: of what it used to read.
    """
    old = layer.inner_product_param
    if old.axis % axes != 1:
        raise _cannot(layer, f"works from axis {old.axis} on, only axis 1 can become a convolution")
    new = caffe_pb2.ConvolutionParameter(num_output=old.num_output, bias_term=old.bias_term)
    new.kernel_size.extend(shape[2:] or [1])
    for filler in ("weight_filler", "bias_filler"):
        if old.HasField(filler):
            getattr(new, filler).CopyFrom(getattr(old, filler))
    layer.ClearField("inner_product_param")
    layer.convolution_param.CopyFrom(new)
    layer.type = "Convolution"
    layer.name = f"{layer.name}-conv"


def _make_local(layer: caffe_pb2.LayerParameter, shape: tuple[int, ...]) -> None:
    """Turns global pooling into pooling over windows of the size that it had."""
    p = layer.pooling_param
    for name in ("global_pooling", "kernel_size", "pad", "pad_h", "pad_w", "stride_h", "stride_w"):
        p.ClearField(name)
    p.kernel_h, p.kernel_w = shape[2:]
    p.stride = 1


def _check_pointwise(layer: caffe_pb2.LayerParameter) -> None:
    """Raises where a layer that reads what has become a map does not do the same at each place of it."""
    if layer.type not in _POINTWISE:
        raise _cannot(layer, "cannot follow a convolution as it followed a fully connected layer")
    field = _AXES.get(layer.type)
    if field and getattr(layer, field).axis != 1:
        raise _cannot(layer, f"works along axis {getattr(layer, field).axis}, where maps have no channels")


def _cannot(layer: caffe_pb2.LayerParameter, why: str) -> NetError:
    return NetError(f"layer '{layer.name}' ({layer.type}) {why}")
