"""Writes the table of onnx.md: each layer type, and what it becomes in ONNX or why it cannot.

    python docs/onnx_types.py

What a type becomes is the docstring of its converter. tests/export/onnx/test_registry.py checks that the
page is up to date.
"""

from __future__ import annotations

from pathlib import Path

from pycaffe_lite.export.onnx import catalogue as catalogue
from pycaffe_lite.export.onnx.registry import Converter, converter_of, reason_of
from pycaffe_lite.layer.data.dummy_data import DummyDataLayer
from pycaffe_lite.layer.data.hdf5_output import HDF5OutputLayer
from pycaffe_lite.layer.registry import LayerType, forms_of, layer_types

PAGE = Path(__file__).with_name("onnx.md")
START, END = "<!-- table: made by docs/onnx_types.py -->", "<!-- end of table -->"


def becomes(form: LayerType) -> str:
    """What a form of a type becomes, as a cell of the table."""
    layer_class = form.layer_class
    is_data = layer_class.__module__.startswith("pycaffe_lite.layer.data.")
    if is_data and layer_class not in (DummyDataLayer, HDF5OutputLayer):
        return "inputs of the graph"
    converter = converter_of(layer_class, "onnxruntime")
    if converter is None:
        return f"cannot be exported: {reason_of(layer_class)}"
    own = converter_of(layer_class, "opencv5")
    return said(converter) if own is converter else f"{said(converter)}; for OpenCV: {said(own)}"


def said(converter: Converter | None) -> str:
    """A converter's docstring, as part of a sentence."""
    text = " ".join(((converter and converter.__doc__) or "").split()).removesuffix(".")
    return text if text.startswith("OpenCV") else text[:1].lower() + text[1:]


def table() -> list[str]:
    """The lines of the table."""
    lines = ["| type | of | in ONNX |", "| --- | --- | --- |"]
    for name in layer_types():
        forms = [form for form in forms_of(name) if form.layer_class.__module__.startswith("pycaffe_lite.")]
        lines += [f"| {name} | {form.origin} | {becomes(form)} |" for form in forms]
    return lines


def page(text: str) -> str:
    """The page's text with the table as it should be."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return "\n".join([f"{before}{START}", *table(), f"{END}{after}"])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
