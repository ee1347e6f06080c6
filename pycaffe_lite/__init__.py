"""pycaffe-lite: Caffe's nets and solvers in pure Python. `import pycaffe_lite as caffe`."""
