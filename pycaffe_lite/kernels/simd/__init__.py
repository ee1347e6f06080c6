"""Vector code: vector registers, copies, micro-kernels, and the tables through which kernels call these."""
