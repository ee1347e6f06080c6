"""The command line: `pycaffe-lite train solver.prototxt`, and Caffe's own spelling of the same."""

from pycaffe_lite.cli.main import main

__all__ = ["main"]
