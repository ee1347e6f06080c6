"""Nets: which layers, how they hang together, and running them."""
