"""Convolution by Winograd's algorithms."""
