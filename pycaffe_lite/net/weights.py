"""Weights of a net: from files, into files, and shared with another net."""
