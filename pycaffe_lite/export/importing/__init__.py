"""From ONNX to Caffe: a model's nodes as layers, its constants as weights."""
