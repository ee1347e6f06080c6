"""Layer types that prototxts name and that this package lacks: types of Caffe's own, and of its forks.

A type that is registered counts as such, even if it is listed here; `tests/layer/test_registry.py` then asks
to take its entry out.
"""

from __future__ import annotations

from collections.abc import Iterable

from pycaffe_lite.proto.text_slips import nearest

# Caffe's own types, with what serves instead of them until they are supported.
_CAFFES = {
    "HDF5Data": "read the file with h5py and hand it to a MemoryData layer (net.set_input_arrays), or write "
    "batches into the blobs of an Input layer",
    "HDF5Output": "read the blobs with net.forward() or net.blobs[name].data and write them with h5py",
}

_FORKS = {
    "SSD": "VideoData",
    "Cascade R-CNN": "BboxAccuracy BoxGroupOutput DecodeBBox DetectionData DetectionGroupAccuracy "
    "DetectionGroupLoss EvalData FrcnnOutput HardMining ProposalTarget "
    "ScaleRoute",
    "several detectors": "Proposal ROIAlign",
    "Tiny-DSOD": "MultiBoxFocalLoss",
    "MobileNet": "ReLU6",
    "MobileNet-YOLO": "RegionLoss YoloSeg Yolov3 Yolov3DetectionOutput",
    "Intel": "EvalDetection",
    "OpenVINO": "CTCGreedyDecoder",
    "DeepLab and PSPNet": "DenseCRF",
    "CRF-RNN": "MultiStageMeanfield",
    "TSN": "SegData",
    "video-caffe": "NdConvolution NdPooling",
    "C3D": "Convolution3D Pooling3D",
    "warp-ctc": "CTCLoss",
    "SphereFace": "LargeMarginInnerProduct MarginInnerProduct",
    "FlowNet": "Correlation CustomData DataAugmentation FlowWarp Mean Resample",
    "NVIDIA's Caffe": "DetectNetTransformation L2Loss TRT",
    "MyCaffe": "GELU LayerNorm TokenizedData TransformerBlock",
    "synopsys": "HardSigmoid HardSwish Mish",
    "self-normalising nets": "SeLU SeLu",
    "HED": "ImageLabelmapData",
}
_FORK_OF = {name: fork for fork, names in _FORKS.items() for name in names.split()}


def why_missing(name: str, known: Iterable[str]) -> str:
    """The message about a layer type that is not registered: whose it is, or which one may be meant.

    Args:
        name: the type. known: the types that are registered.
    """
    if name in _CAFFES:
        return f"Caffe's layer type '{name}' is not supported yet: {_CAFFES[name]}"
    if name in _FORK_OF:
        return f"layer type '{name}' is not Caffe's own and not supported; it comes from {_FORK_OF[name]}"
    if not name:
        return 'has no type: write type: "..." with a layer type'
    close = nearest(name, {*known, *_CAFFES, *_FORK_OF})
    meant = f", did you mean '{close}'?" if close else ""
    return f"unknown layer type '{name}'{meant} ('pycaffe-lite layers' lists all known types)"


def missing_types() -> list[str]:
    """The types listed here as not supported, Caffe's own and those of its forks."""
    return [*_CAFFES, *_FORK_OF]
