"""A layer explained: its equations with a net's shapes, and single values worked out from its numbers."""

from __future__ import annotations

from collections.abc import Callable

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.net.net import Net
from pycaffe_lite.printable import printable
from pycaffe_lite.view.explain import lstm, products, values
from pycaffe_lite.view.explain.observed import Observed, Values, observe
from pycaffe_lite.view.explain.worked import Explanation

_EXPLAINERS: dict[str, Callable[[Observed], Explanation]] = {
    "InnerProduct": products.inner_product,
    "Convolution": products.convolution,
    "Pooling": values.pooling,
    "ReLU": values.relu,
    "Softmax": values.softmax,
    "SoftmaxWithLoss": values.softmax_with_loss,
    "Scale": values.scale,
    "BatchNorm": values.batch_norm,
    "LSTM": lstm.lstm,
}


def explained_types() -> list[str]:
    """The layer types that can be explained."""
    return sorted(_EXPLAINERS)


def explain(net: Net, name: str, seed: int = 0, top_diff: Values | None = None) -> Explanation:
    """Explains a layer by a pass of its net.

    Args:
        net: with `force_backward`, its inputs filled. name: of the layer.
        seed: of the gradients that outputs get where there is no loss.
        top_diff: the gradient of the layer's first top, of its shape; None for what the net gives.

    Raises:
        ArgumentError: there is no such layer, its type is not explained, or top_diff has another shape.
    """
    if name not in net.layer_names:
        raise ArgumentError(f"the net has no layer '{name}'; it has {', '.join(net.layer_names)}")
    layer = net.layer_dict[name]
    if layer.type not in _EXPLAINERS:
        known = ", ".join(explained_types())
        raise ArgumentError(f"layers of type {printable(layer.type)} are not explained; these are: {known}")
    return _EXPLAINERS[layer.type](observe(net, name, seed, top_diff))
