"""The bottom of the engine: compiling, the cache of compiled code, threads, and recorded calls of kernels."""
