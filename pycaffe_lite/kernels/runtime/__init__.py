"""The engine: compiling, the cache of compiled code, threads, and the recording of kernel calls."""
