"""Caffe's files: weights, solver states, means; written whole or not at all."""
