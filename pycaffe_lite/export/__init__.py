"""The way out to ONNX, and the way back."""

from pycaffe_lite.export.importing.translate import from_onnx

__all__ = ["from_onnx"]
