"""Vector code: registers, copies, micro-kernels, and the tables through which kernels call them."""
