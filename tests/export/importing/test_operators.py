"""Each operator, in the forms that exporters write, against ONNX Runtime."""

import numpy as np
import pytest
from imported_models import distance, imported, node, random, types

from pycaffe_lite.errors import OnnxError

X = (2, 6, 7, 9)
POSITIVE = np.abs(random(*X)) + 0.1
V = random(6, 1, 1, seed=1)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


def unary(operator, **attributes):
    return node(f"y = {operator} x", **attributes), {"x": X}


VALUE_BY_VALUE = [
    unary("Relu"),
    unary("LeakyRelu", alpha=0.3),
    unary("ThresholdedRelu", alpha=0.4),
    unary("Elu", alpha=0.7),
    unary("Celu", alpha=0.7),
    unary("Selu"),
    unary("Sigmoid"),
    unary("Tanh"),
    unary("Softplus"),
    unary("Softsign"),
    unary("HardSigmoid", alpha=0.3, beta=0.4),
    unary("HardSwish"),
    unary("Abs"),
    unary("Neg"),
    unary("Exp"),
    unary("Erf"),
    unary("Sign"),
    unary("Shrink", lambd=0.4, bias=0.2),
    unary("Identity"),
    unary("Dropout"),
    unary("Softmax", axis=1),
    unary("Softmax"),
    unary("LogSoftmax", axis=2),
    unary("LpNormalization", axis=1),
    unary("LpNormalization", axis=1, p=1),
    unary("MeanVarianceNormalization"),
    unary("LRN", size=3, alpha=0.1, beta=0.6, bias=1.5),
    (node("y = PRelu x s"), {"x": X}, {"s": np.abs(V)}),
    (node("y = PRelu x s"), {"x": X}, {"s": floats(0.2)}),
    (node("y = PRelu x s"), {"x": X}, {"s": random(1, 1, 7, 1)}),
    (node("y = Clip x a b"), {"x": X}, {"a": np.float32(-0.5), "b": np.float32(0.7)}),
    (node("y = Clip x a"), {"x": X}, {"a": np.float32(0)}),
    (node("y = Clip x _ b"), {"x": X}, {"b": np.float32(0.5)}),
]
ARITHMETIC = [
    (node("y = Add x c"), {"x": X}, {"c": np.float32(2)}),
    (node("y = Add c x"), {"x": X}, {"c": V}),
    (node("y = Add x c"), {"x": X}, {"c": random(7, 9)}),
    (node("y = Add x c"), {"x": X}, {"c": random(6, 1, 9)}),
    (node("y = Add x c"), {"x": X}, {"c": random(2, 1, 1, 1)}),
    (node("y = Add x c"), {"x": (1, 1, 1, 9)}, {"c": random(2, 3, 4, 1)}),
    (node("y = Sub c x"), {"x": X}, {"c": V}),
    (node("y = Sub x c"), {"x": X}, {"c": V}),
    (node("y = Mul x c"), {"x": X}, {"c": V}),
    (node("y = Mul x c"), {"x": X}, {"c": floats(3)}),
    (node("y = Div x c"), {"x": X}, {"c": np.abs(V) + 1}),
    (node("y = Div c p"), {"p": X}, {"c": V}),
    (node("y = Pow x c"), {"x": X}, {"c": floats(2)}),
    (node("y = Pow c x"), {"x": X}, {"c": floats(2)}),
    (node("y = Pow p c"), {"p": X}, {"c": floats(-1.5)}),
    (node("y = Sqrt p"), {"p": X}),
    (node("y = Log p"), {"p": X}),
    (node("y = Reciprocal p"), {"p": X}),
    (node("y = Add x z"), {"x": X, "z": X}),
    (node("y = Sub x z"), {"x": X, "z": X}),
    (node("y = Sub z x"), {"x": X, "z": (2, 6, 1, 1)}),
    (node("y = Mul x z"), {"x": X, "z": (2, 6, 1, 1)}),
    (node("y = Mul z x"), {"x": X, "z": (2, 1, 7, 9)}),
    (node("y = Mul x z"), {"x": (2, 6, 1, 1), "z": (2, 1, 7, 9)}),
    (node("y = Add x z"), {"x": X, "z": (9,)}),
    (node("y = Add x z"), {"x": X, "z": (6, 1, 9)}),
    (node("y = Div x p"), {"x": X, "p": X}),
    (node("y = Div x p"), {"x": X, "p": (2, 1, 1, 1)}),
    (node("y = Sum x z c"), {"x": X, "z": X}, {"c": V}),
    (node("y = Sum x z w"), {"x": X, "z": X, "w": X}),
    (node("y = Mean x z"), {"x": X, "z": (2, 6, 1, 1)}),
    (node("y = Max x z w"), {"x": X, "z": X, "w": (6, 1, 1)}),
    (node("y = Max x c"), {"x": X}, {"c": V}),
    (node("y = Min x c"), {"x": X}, {"c": V}),
    (node("y = Min x c"), {"x": X}, {"c": np.float32(0.1)}),
    (node("y = Min x z"), {"x": X, "z": X}),
    ([node("a = Mul x c"), node("b = Add a d"), node("y = Relu b")], {"x": X}, {"c": V, "d": V}),
    ([node("a = Greater x z"), node("y = Where a x z")], {"x": X, "z": X}),
    ([node("a = Less x c"), node("y = Where a c x")], {"x": X}, {"c": np.float32(0.2)}),
    ([node("a = LessOrEqual x z"), node("b = Not a"), node("y = Cast b", to=1)], {"x": X, "z": X}),
    (
        [
            node("a = GreaterOrEqual x c"),
            node("b = Less x d"),
            node("e = And a b"),
            node("f = Or e b"),
            node("y = Cast f", to=1),
        ],
        {"x": X},
        {"c": np.float32(0), "d": np.float32(0.5)},
    ),
    (node("y = Where c x z"), {"x": X, "z": X}, {"c": random(6, 1, 1) > 0}),
    ([node("a = Relu x"), node("b = Cast a", to=9), node("y = Cast b", to=1)], {"x": X}),
]
W = random(4, 6, 3, 3, seed=2)
CONVOLUTION = [
    (node("y = Conv x w"), {"x": X}, {"w": W}),
    (node("y = Conv x w b", pads=[1, 2, 1, 2], strides=[2, 1]), {"x": X}, {"w": W, "b": random(4)}),
    (node("y = Conv x w", pads=[0, 0, 1, 1], strides=[2, 2]), {"x": X}, {"w": W}),
    (node("y = Conv x w", pads=[2, 0, 0, 1], strides=[2, 2]), {"x": X}, {"w": W}),
    (node("y = Conv x w", pads=[0, 1, 3, 1], dilations=[2, 2]), {"x": X}, {"w": W}),
    (node("y = Conv x w", auto_pad="SAME_UPPER", strides=[2, 2]), {"x": (1, 6, 8, 9)}, {"w": W}),
    (node("y = Conv x w", auto_pad="SAME_LOWER", strides=[2, 2]), {"x": (1, 6, 8, 9)}, {"w": W}),
    (node("y = Conv x w", group=3), {"x": X}, {"w": random(6, 2, 3, 2)}),
    (
        node("y = Conv x w b", pads=[1, 0], strides=[2]),
        {"x": (2, 6, 9)},
        {"w": random(4, 6, 3), "b": random(4)},
    ),
    (node("y = Conv x w"), {"x": (1, 2, 4, 5, 6)}, {"w": random(3, 2, 2, 2, 2)}),
    ([node("a = Pad x p"), node("y = Conv a w")], {"x": X}, {"w": W, "p": ints(0, 0, 1, 0, 0, 0, 2, 1)}),
    (
        [node("a = Pad x p"), node("y = Conv a w", pads=[1, 1, 1, 1])],
        {"x": X},
        {"w": W, "p": ints(0, 0, 1, 0, 0, 0, 1, 0)},
    ),
    (node("y = ConvTranspose x w", strides=[2, 2]), {"x": X}, {"w": random(6, 4, 2, 2)}),
    (
        node("y = ConvTranspose x w b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
        {"x": X},
        {"w": random(6, 4, 3, 3), "b": random(4)},
    ),
    (
        node("y = ConvTranspose x w", strides=[3, 2], output_padding=[2, 1]),
        {"x": X},
        {"w": random(6, 4, 2, 2)},
    ),
    (
        node("y = ConvTranspose x w", strides=[2, 2], pads=[0, 1, 2, 0], group=2),
        {"x": X},
        {"w": random(6, 4, 4, 4)},
    ),
    (
        node("y = ConvTranspose x w", strides=[2, 2], auto_pad="SAME_UPPER"),
        {"x": X},
        {"w": random(6, 4, 3, 3)},
    ),
    (
        node("y = ConvTranspose x w", strides=[2, 2], auto_pad="SAME_LOWER"),
        {"x": X},
        {"w": random(6, 4, 3, 3)},
    ),
    (
        node("y = ConvTranspose x w", strides=[2, 2], output_shape=[15, 18]),
        {"x": X},
        {"w": random(6, 4, 3, 3)},
    ),
    (node("y = ConvTranspose x w", dilations=[2, 2], pads=[1, 1, 1, 1]), {"x": X}, {"w": random(6, 4, 3, 3)}),
    (node("y = ConvTranspose x w", strides=[2]), {"x": (1, 6, 5)}, {"w": random(6, 4, 3)}),
]
POOLING = [
    *[
        (node(f"y = {operator} x", kernel_shape=kernel, **attributes), {"x": X})
        for operator in ("MaxPool", "AveragePool")
        for kernel, attributes in [
            ([2, 2], {"strides": [2, 2]}),
            ([3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
            ([3, 2], {"strides": [2, 3], "pads": [1, 0, 0, 1]}),
            ([3, 3], {"strides": [2, 2], "ceil_mode": 1}),
            ([3, 3], {"strides": [1, 1], "pads": [1, 1, 1, 1]}),
            ([3, 3], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
            ([2, 2], {"auto_pad": "SAME_UPPER"}),
            ([2, 2], {"auto_pad": "SAME_LOWER"}),
            ([3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
            ([2, 2], {"strides": [3, 3]}),
            ([1, 1], {"strides": [2, 2]}),
        ]
    ],
    (
        node(
            "y = AveragePool x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1
        ),
        {"x": (2, 6, 8, 9)},
    ),
    (node("y = AveragePool x", kernel_shape=[3], strides=[2], pads=[1, 1]), {"x": (2, 6, 9)}),
    (node("y = MaxPool x", kernel_shape=[3], strides=[2]), {"x": (2, 6, 10)}),
    (node("y = LpPool x", kernel_shape=[2, 2], strides=[2, 2]), {"x": X}),
    (node("y = MaxPool x", kernel_shape=[2, 3, 2], strides=[2, 1, 2]), {"x": (1, 2, 5, 6, 7)}),
    (node("y = MaxPool x", kernel_shape=[1, 2, 2], strides=[1, 2, 2]), {"x": (1, 2, 5, 6, 7)}),
    (
        node("y = AveragePool x", kernel_shape=[3, 3, 3], strides=[2, 2, 2], pads=[1] * 6),
        {"x": (1, 2, 5, 6, 7)},
    ),
    (node("y = AveragePool x", kernel_shape=[5, 1, 1]), {"x": (1, 1, 8, 3, 4)}),  # LRN as PyTorch writes it
    (
        [node("a = Relu x"), node("b = Pad a p"), node("y = MaxPool b", kernel_shape=[3, 3], strides=[2, 2])],
        {"x": X},
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)},
    ),
    (
        [node("b = Pad x p"), node("y = MaxPool b", kernel_shape=[3, 3], strides=[2, 2])],
        {"x": X},
        {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)},
    ),
    (node("y = GlobalAveragePool x"), {"x": X}),
    (node("y = GlobalMaxPool x"), {"x": X}),
    (node("y = GlobalAveragePool x"), {"x": (2, 3, 8)}),
    *[
        (node(f"y = {operator} x", axes=axes, keepdims=keep), {"x": X})
        for operator in ("ReduceMean", "ReduceMax", "ReduceL2")
        for axes, keep in (([2, 3], 1), ([2, 3], 0), ([1], 1), ([-1], 0), ([1, 3], 1), ([0], 0))
    ],
    (node("y = ReduceSum x a", keepdims=0), {"x": X}, {"a": ints(1, 2)}),
    (node("y = ReduceSum x"), {"x": X}),
    (node("y = ReduceMin x", axes=[1]), {"x": X}),
    (node("y = ReduceL1 x", axes=[1]), {"x": X}),
    (node("y = ReduceSumSquare x", axes=[3]), {"x": X}),
    (node("y = ReduceLogSumExp x", axes=[1]), {"x": X}),
    (node("y = ReduceLogSum p", axes=[1]), {"p": X}),
]
SHAPES = [
    (node("y = Flatten x"), {"x": X}),
    (node("y = Flatten x", axis=2), {"x": X}),
    (node("y = Reshape x s"), {"x": X}, {"s": ints(0, -1)}),
    (node("y = Reshape x s"), {"x": X}, {"s": ints(2, 3, 2, 63)}),
    (node("y = Squeeze x a"), {"x": (2, 6, 1, 1)}, {"a": ints(2, 3)}),
    (node("y = Unsqueeze x a"), {"x": (2, 6)}, {"a": ints(1, -1)}),
    (
        node("y = Transpose x", perm=[0, 2, 3, 1]),
        {
            "x": X,
        },
    ),
    (node("y = Transpose x", perm=[3, 1, 0, 2]), {"x": X}),
    (node("y = Transpose x"), {"x": (3, 4)}),
    ([node("a = Transpose x", perm=[0, 2, 3, 1]), node("y = Reshape a s")], {"x": X}, {"s": ints(2, -1, 3)}),
    (
        [node("a = Reshape x s"), node("b = Transpose a", perm=[0, 2, 1, 3, 4]), node("y = Reshape b t")],
        {"x": X},
        {"s": ints(2, 3, 2, 7, 9), "t": ints(2, 6, 7, 9)},
    ),
    (node("y = Concat x z", axis=1), {"x": X, "z": (2, 3, 7, 9)}),
    (node("y = Concat x c", axis=-1), {"x": X}, {"c": random(2, 6, 7, 2)}),
    (node("y z = Split x", axis=1), {"x": X}, {}, "y z"),
    (node("y z = Split x s", axis=2), {"x": X}, {"s": ints(3, 4)}, "y z"),
    ([node("a b c = Split x", axis=1), node("y = Add a c")], {"x": X}),
    (node("y = Slice x a b"), {"x": X}, {"a": ints(0, 1), "b": ints(2, 4)}),
    (
        node("y = Slice x a b c d"),
        {"x": X},
        {"a": ints(1, -5), "b": ints(7, 99), "c": ints(2, -1), "d": ints(2, 3)},
    ),
    (node("y = Slice x a b c d"), {"x": X}, {"a": ints(-1), "b": ints(-99), "c": ints(1), "d": ints(-1)}),
    (node("y = Slice x a b c d"), {"x": X}, {"a": ints(1), "b": ints(6), "c": ints(1), "d": ints(2)}),
    (node("y = Gather x i", axis=1), {"x": X}, {"i": ints(3)}),
    (node("y = Gather x i", axis=1), {"x": X}, {"i": np.int64(2)}),
    (node("y = Gather x i", axis=2), {"x": X}, {"i": ints(6, 0, 1, -1)}),
    (node("y = Expand x s"), {"x": (2, 6, 1, 1)}, {"s": ints(2, 6, 3, 4)}),
    (node("y = Tile x s"), {"x": X}, {"s": ints(1, 2, 1, 3)}),
    (node("y = Pad x p"), {"x": X}, {"p": ints(0, 0, 1, 2, 0, 0, 3, 2)}),
    (node("y = Pad x p v"), {"x": X}, {"p": ints(0, 1, 0, 0, 0, 2, 0, 0), "v": np.float32(1.5)}),
    (node("y = Pad x p"), {"x": X}, {"p": ints(0, 0, -1, 2, 0, 0, 3, -2)}),
    (node("y = Pad x p", mode="reflect"), {"x": X}, {"p": ints(0, 0, 1, 2, 0, 0, 3, 2)}),
    (node("y = Pad x p", mode="edge"), {"x": X}, {"p": ints(0, 0, 1, 2, 0, 0, 3, 2)}),
    (node("y = DepthToSpace x", blocksize=2), {"x": (2, 12, 3, 4)}),
    (node("y = DepthToSpace x", blocksize=2, mode="CRD"), {"x": (2, 12, 3, 4)}),
    (node("y = SpaceToDepth x", blocksize=2), {"x": (2, 3, 6, 4)}),
    (node("y = ArgMax x", axis=1), {"x": X}),
    (node("y = ArgMin x", axis=-1, keepdims=0), {"x": X}),
    (node("y z = TopK x k", axis=1), {"x": X}, {"k": ints(3)}, "y z"),
    (node("y z = TopK x k", axis=-1, largest=0), {"x": X}, {"k": ints(2)}, "y z"),
    (
        [
            node("s = Shape x"),
            node("n = Gather s i", axis=0),
            node("m = Unsqueeze n z"),
            node("t = Concat m k", axis=0),
            node("y = Reshape x t"),
        ],
        {"x": X},
        {"i": np.int64(0), "z": ints(0), "k": ints(-1)},
    ),
]
RESIZING = [
    (node("y = Resize x _ s", **attributes), {"x": (2, 3, 4, 5)}, {"s": floats(1, 1, *scales)})
    for scales, attributes in [
        (
            (2, 2),
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        ),
        ((2, 3), {"mode": "nearest"}),
        (
            (1, 2),
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        ),
        ((0.5, 0.6), {"mode": "nearest"}),
        (
            (1.5, 2.2),
            {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        ),
        ((2, 2), {"mode": "linear"}),
        ((3, 3), {"mode": "linear"}),
        ((4, 4), {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}),
        ((2, 2), {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
        ((2, 2), {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}),
        ((1.7, 0.6), {"mode": "linear"}),
        ((2, 2), {"mode": "cubic", "cubic_coeff_a": -0.5}),
    ]
] + [
    (node("y = Resize x _ _ s", mode="linear"), {"x": (1, 3, 4, 5)}, {"s": ints(1, 3, 9, 10)}),
    (node("y = Upsample x s", mode="nearest"), {"x": (1, 3, 4, 5)}, {"s": floats(1, 1, 2, 2)}, "y", 9),
    (node("y = Upsample x s", mode="linear"), {"x": (1, 3, 4, 5)}, {"s": floats(1, 1, 2, 2)}, "y", 9),
]
M = random(9, 5)
LINEAR = [
    (node("y = Gemm x w b", transB=1), {"x": (2, 9)}, {"w": M.T.copy(), "b": random(5)}),
    (node("y = Gemm x w b", alpha=0.5, beta=2.0), {"x": (2, 9)}, {"w": M, "b": random(1, 5)}),
    (node("y = Gemm x w"), {"x": (2, 9)}, {"w": M}),
    (node("y = Gemm x w b", transA=1), {"x": (9, 2)}, {"w": M, "b": random(2, 5)}),
    (node("y = MatMul x w"), {"x": (2, 3, 9)}, {"w": M}),
    (node("y = MatMul w x"), {"x": (2, 5, 3)}, {"w": M}),
    (node("y = MatMul x w"), {"x": (2, 3, 9)}, {"w": random(9)}),
    ([node("a = MatMul x w"), node("y = Add a b")], {"x": (2, 3, 9)}, {"w": M, "b": random(5)}),
    (node("y = MatMul x z"), {"x": (2, 3, 4, 5), "z": (2, 3, 5, 6)}),
    (
        [node("t = Transpose z", perm=[0, 1, 3, 2]), node("y = MatMul x t")],
        {"x": (2, 3, 4, 5), "z": (2, 3, 6, 5)},
    ),
    (node("y = MatMul x w"), {"x": (2, 3, 9)}, {"w": random(2, 9, 4)}),
    (node("y = Einsum x w", equation="bhwc,kc->bkhw"), {"x": (2, 3, 4, 5)}, {"w": random(6, 5)}),
    (node("y = Einsum x z", equation="bid,bjd->bij"), {"x": (2, 3, 5), "z": (2, 4, 5)}),
    ([node("f = Flatten x"), node("y = Gemm f w")], {"x": (2, 3, 4, 2)}, {"w": random(24, 5)}),
    (
        [node("t = Transpose x", perm=[0, 2, 3, 1]), node("f = Flatten t"), node("y = Gemm f w")],
        {"x": (2, 3, 4, 2)},
        {"w": random(24, 5)},
    ),
    (node("y = Gather w i"), {"i": (2, 3)}, {"w": random(7, 4)}, "y", 17, {"i": "i"}),
    (node("y = Gather x i"), {"x": (4, 3), "i": (5,)}, {}, "y", 17, {"i": "i"}),
]
STATISTICS = {"g": random(6), "b": random(6), "m": random(6), "v": np.abs(random(6)) + 0.5}
NORMALIZATION = [
    (node("y = BatchNormalization x g b m v", epsilon=1e-3), {"x": X}, STATISTICS),
    (node("y = BatchNormalization x g b m v"), {"x": (2, 6)}, STATISTICS),
    (node("y = BatchNormalization x g b m v"), {"x": (2, 6, 5)}, STATISTICS),
    (node("y = InstanceNormalization x g b"), {"x": X}, {"g": random(6), "b": random(6)}),
    (node("y = LayerNormalization x g b", axis=-1), {"x": X}, {"g": random(9), "b": random(9)}),
    (node("y = LayerNormalization x g", axis=2), {"x": X}, {"g": random(7, 9)}),
    (
        [
            node("a = Reshape x s"),
            node("n = InstanceNormalization a g b"),
            node("h = Shape x"),
            node("y = Reshape n h"),
        ],
        {"x": X},
        {"s": ints(0, 2, -1), "g": random(2), "b": random(2)},
    ),
]
T, N, I, H = 5, 2, 3, 4


def recurrent(operator, gates, directions=1, outputs="y h", extra="", constants=None, **attributes):
    weights = {
        "w": 0.5 * random(directions, gates * H, I),
        "r": 0.5 * random(directions, gates * H, H),
        "b": random(directions, 2 * gates * H),
    }
    line = f"{outputs} = {operator} x w r b{extra}"
    return node(line, hidden_size=H, **attributes), {"x": (T, N, I)}, weights | (constants or {}), outputs


RECURRENT = [
    recurrent("LSTM", 4),
    recurrent("LSTM", 4, outputs="y h c"),
    recurrent("LSTM", 4, 2, outputs="y h c", direction="bidirectional"),
    recurrent("LSTM", 4, extra=" _ i j", constants={"i": random(1, N, H), "j": random(1, N, H)}),
    recurrent("LSTM", 4, direction="reverse"),
    recurrent("GRU", 3, linear_before_reset=1),
    recurrent("GRU", 3),
    recurrent("GRU", 3, 2, direction="bidirectional", linear_before_reset=1),
    recurrent("RNN", 1, extra=" _ i", constants={"i": random(1, N, H)}),
]
ALL = [
    *VALUE_BY_VALUE,
    *ARITHMETIC,
    *CONVOLUTION,
    *POOLING,
    *SHAPES,
    *RESIZING,
    *LINEAR,
    *NORMALIZATION,
    *RECURRENT,
]


def name_of(case):
    nodes = case[0] if isinstance(case[0], list) else [case[0]]
    return "+".join(part.op_type for part in nodes)


@pytest.mark.parametrize("case", ALL, ids=name_of)
def test_gives_what_onnx_runtime_gives(case):
    nodes, inputs, constants, outputs, opset, kinds = (*case, *({}, "y", 17, None)[len(case) - 2 :])
    net = imported(nodes, inputs, constants, outputs, opset, kinds)
    given = {"p": np.abs(random(*inputs["p"])) + 0.1} if "p" in inputs else {}
    assert distance(net, **given) < 1e-5


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("axis", [1, 3])
def test_the_place_of_equal_values(axis, last):
    """Caffe's ArgMax takes the last of them, ONNX's the first unless told otherwise."""
    net = imported(node("y = ArgMax x", axis=axis, select_last_index=last), {"x": X})
    x = np.round(random(*X))
    assert distance(net, x=x) == 0


def test_the_places_of_equal_values_among_the_greatest():
    net = imported(node("y z = TopK x k", axis=1), {"x": X}, {"k": ints(4)}, "y z")
    assert distance(net, x=np.round(random(*X))) == 0


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_pooling_of_all_sizes(operator):
    """Kernels, strides and paddings of one axis, the rest at random."""
    chance = random_integers(0)
    refused = []
    for kernel, stride, begin in ((k, s, p) for k in range(1, 5) for s in range(1, 4) for p in range(k)):
        attributes = {
            "kernel_shape": [kernel, 3],
            "strides": [stride, chance(1, 4)],
            "pads": [begin, 1, chance(0, kernel), chance(0, 2)],
        }
        if operator == "AveragePool":
            attributes["count_include_pad"] = chance(0, 2)
        try:
            net = imported(node(f"y = {operator} x", **attributes), {"x": (1, 2, chance(4, 9), 7)})
        except OnnxError as error:
            refused.append(str(error))
        else:
            assert distance(net) < 1e-5, attributes
    assert len(refused) < 5
    assert all("no padding of Caffe's has these windows" in line for line in refused)


def random_integers(seed):
    """chance(low, high): an integer from low to below high."""
    generator = np.random.default_rng(seed)
    return lambda low, high: int(generator.integers(low, high))


@pytest.mark.parametrize(("slope", "type"), [(np.abs(V), "PReLU"), (np.abs(V[:1]), "ReLU")])
def test_keras_prelu_is_one_layer(slope, type):
    nodes = [
        node("p = Relu x"),
        node("n = Neg x"),
        node("m = Relu n"),
        node("s = Mul m c"),
        node("y = Add p s"),
    ]
    net = imported(nodes, {"x": X}, {"c": -slope})
    assert types(net) == [type]
    assert distance(net) < 1e-6


def test_what_looks_like_keras_prelu_stays():
    nodes = [node("p = Relu x"), node("n = Neg x"), node("s = Mul n c"), node("y = Add p s")]
    net = imported(nodes, {"x": X}, {"c": V})
    assert "PReLU" not in types(net)
    assert distance(net) < 1e-6


ALLOWED = [
    ("HardSigmoid", *unary("HardSigmoid", alpha=0.3, beta=0.4)),
    ("HardSwish", *unary("HardSwish")),
    ("Mish", *unary("Mish")),
    ("SeLU", *unary("Selu")),
    ("ReLU6", node("y = Clip x a b"), {"x": X}, {"a": np.float32(0), "b": np.float32(6)}),
    ("Permute", node("y = Transpose x", perm=[0, 2, 3, 1]), {"x": X}),
    ("DepthwiseConvolution", node("y = Conv x w", group=6), {"x": X}, {"w": random(6, 1, 3, 3)}),
    ("Upsample", node("y = Resize x _ s", mode="nearest"), {"x": X}, {"s": floats(1, 1, 3, 3)}),
    (
        "Interp",
        node("y = Resize x _ s", mode="linear", coordinate_transformation_mode="align_corners"),
        {"x": X},
        {"s": floats(1, 1, 2, 3)},
    ),
]


@pytest.mark.parametrize("case", ALLOWED, ids=lambda case: case[0])
def test_types_of_forks_that_are_allowed(case):
    type, nodes, inputs, constants = (*case, {})[:4]
    net = imported(nodes, inputs, constants, allow=[type], opset=18)
    assert types(net) == [type]
    assert distance(net) < 1e-5


def test_outputs_that_are_others_of_the_net():
    nodes = [node("a = Relu x"), node("b = Reshape a s"), node("c = Identity b"), node("d = Identity x")]
    net = imported(nodes, {"x": X}, {"s": ints(2, -1)}, "a b c d")
    assert distance(net) == 0
    assert [place.blob for place in net.outputs] == ["a", "b", "c", "d"]


def test_a_slope_for_each_channel_as_older_versions_have_it():
    net = imported(node("y = PRelu x s"), {"x": X}, {"s": np.abs(random(6))}, opset=6)
    assert types(net) == ["PReLU"]
    assert net.message.layer[1].name == "PRelu_y"


@pytest.mark.parametrize("constant", [np.float32(2.5), np.int64(3)])
def test_a_constant_with_the_type_of_a_blob_stays_a_constant(constant):
    net = imported([node("z = CastLike c x"), node("y = Mul x z")], {"x": X}, {"c": constant})
    assert types(net) == ["Power"]
    assert distance(net) < 1e-6


def test_a_number_without_axes_can_be_an_output():
    net = imported([node("y = Identity c"), node("z = Relu x")], {"x": X}, {"c": floats(3)[0]}, outputs="y z")
    assert net.run(net.random_inputs())["y"].shape == ()


def test_unsigned_constants_do_not_wrap_round():
    x = np.array([[200, 3]], np.float32)
    for operator, expected in (("Max", [[200, 7]]), ("Sub", [[193, -4]])):
        net = imported(
            node(f"y = {operator} x b"), {"x": (1, 2)}, {"b": np.array([7, 7], np.uint8)}, kinds={"x": "u"}
        )
        np.testing.assert_array_equal(net.run({"x": x})["y"], expected)


def test_space_to_depth_in_either_order():
    x = random(1, 2, 4, 6)
    net = imported(node("y = SpaceToDepth x", blocksize=2, mode="CRD"), {"x": x.shape}, opset=28)
    expected = x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 3)
    np.testing.assert_array_equal(net.run({"x": x})["y"], expected)


@pytest.mark.parametrize("p", [1, 2])
def test_values_that_are_all_zero_stay_so_when_divided_by_their_norm(p):
    net = imported(node("y = LpNormalization x", axis=1, p=p), {"x": (1, 3)})
    assert not net.run({"x": np.zeros((1, 3), np.float32)})["y"].any()
