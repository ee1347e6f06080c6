"""Layer types that prototxts name and that this package lacks: those of Caffe's forks.

A type that is registered counts as such, even if it is listed here; `tests/layer/test_registry.py` then asks
to take its entry out.
"""

from __future__ import annotations

from collections.abc import Iterable

from pycaffe_lite.proto.text_slips import nearest

_FORKS = {
    "MobileNet-YOLO": "YoloSeg",
    "Intel": "EvalDetection",
    "OpenVINO": "AnchorEmbeddingExtractor",
    "DeepLab and PSPNet": "MatRead UniqueLabel BiasChannel AdaptiveBiasChannel DomainTransform",
    "FlowNet": (
        "Accum CustomData DataAugmentation FLOReader FLOWriter GenerateAugmentationParameters ImgReader "
        "ImgWriter"
    ),
    "NVIDIA's Caffe": "L2Loss TRT",
    "MyCaffe": "Decode GELU LayerNorm TokenizedData TransformerBlock",
    "ChWick's Caffe": "CTCBeamSearchDecoder",
}
_YOUR_OWN = (
    "a type of your own can be a Python layer, or come from an installed package with an entry point "
    "pycaffe_lite.layers"
)
_FORK_OF = {name: fork for fork, names in _FORKS.items() for name in names.split()}


def why_missing(name: str, known: Iterable[str]) -> str:
    """The message about a layer type that is not registered: whose it is, or which one may be meant.

    Args:
        name: the type. known: the types that are registered.
    """
    if name in _FORK_OF:
        return (
            f"layer type '{name}' is not Caffe's own and not supported; it comes from {_FORK_OF[name]} "
            f"({_YOUR_OWN})"
        )
    if not name:
        return 'has no type: write type: "..." with a layer type'
    close = nearest(name, {*known, *_FORK_OF})
    meant, more = (f", did you mean '{close}'?", "") if close else ("", f"; {_YOUR_OWN}")
    return f"unknown layer type '{name}'{meant} ('pycaffe-lite layers' lists all known types{more})"


def missing_types() -> list[str]:
    """The types listed here as not supported."""
    return list(_FORK_OF)
