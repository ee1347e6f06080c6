"""Why an operator has no layers, and what could be done instead."""

from __future__ import annotations

_CUT = "end the net before it (--output TENSOR) and do it in the program around the net"
_QUANTISED = "export the model as it was before it was quantised: Caffe computes in float32"
_UNROLLED = "export the model with fixed shapes, so that it is written out step by step"

_REASONS: tuple[tuple[str, str, str], ...] = (
    ("NonMaxSuppression NonZero RoiAlign MaxRoiPool Unique Compress", "Caffe has no layer for it", _CUT),
    (
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger "
        "MatMulInteger",
        "the model is quantised",
        _QUANTISED,
    ),
    ("Loop Scan If", "Caffe's nets have neither branches nor loops", _UNROLLED),
    (
        "Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Floor Ceil Round Mod Det CumSum IsNaN IsInf "
        "BitShift Hardmax ReduceProd",
        "Caffe has no layer that computes it",
        _CUT,
    ),
    (
        "GridSample AffineGrid DeformConv GatherND GatherElements ScatterND ScatterElements Scatter OneHot "
        "Trilu MaxUnpool",
        "Caffe has no layer that reads from or writes to places which are computed",
        _CUT,
    ),
    (
        "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial",
        "it draws random numbers",
        "export the model for inference",
    ),
    (
        "SequenceAt SequenceConstruct SequenceEmpty SequenceInsert SequenceLength SplitToSequence "
        "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceMap",
        "Caffe has blobs only, no sequences",
        _UNROLLED,
    ),
    (
        "STFT DFT MelWeightMatrix BlackmanWindow HannWindow HammingWindow",
        "Caffe has no layer for sounds",
        _CUT,
    ),
    (
        "StringNormalizer TfIdfVectorizer RegexFullMatch StringConcat StringSplit",
        "Caffe has no texts",
        _CUT,
    ),
)
_WHYS = {name: (why, instead) for names, why, instead in _REASONS for name in names.split()}


def why_not(domain: str, operator: str) -> tuple[str, str]:
    """Why there are no layers for an operator, and what could be done instead."""
    if domain.startswith("com.microsoft"):
        return (
            "it is an operator of ONNX Runtime's own",
            "import the model from before it was optimised by ONNX Runtime",
        )
    if domain not in ("", "ai.onnx"):
        return f"it is no operator of ONNX, but one of '{domain}'", "export the model with standard operators"
    return _WHYS.get(operator, ("there are no layers for this operator", _CUT))
