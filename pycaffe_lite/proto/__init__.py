"""Caffe's messages, and reading them from text."""
