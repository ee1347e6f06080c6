"""The operators of ONNX by what they do; each module registers how layers are made of some."""

from __future__ import annotations

from importlib import import_module

_MODULES = (
    "activation",
    "arithmetic",
    "attention",
    "comparison",
    "convolution",
    "layout",
    "linear",
    "normalization",
    "padding",
    "pooling",
    "recurrent",
    "reduction",
    "resizing",
    "selection",
)
# Operators that give something else each time, so that their results are no constants.
RANDOM = frozenset(
    ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
)


def load_all() -> None:
    """Has all operators registered."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
