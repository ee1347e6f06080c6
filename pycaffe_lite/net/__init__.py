"""Nets: choosing their layers, connecting them, and running them."""
