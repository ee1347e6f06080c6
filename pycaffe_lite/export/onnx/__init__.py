"""Nets to ONNX: a converter for each layer type, in files by Caffe's catalogue, and what they build on."""
