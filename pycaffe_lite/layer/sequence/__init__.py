"""Layers for sequences: texts and other rows of symbols."""
