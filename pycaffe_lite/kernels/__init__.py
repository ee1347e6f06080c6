"""Compiled array functions: arrays and numbers in, arrays out; they know nothing of layers or blobs."""
