"""A Python layer that fails on one rank, at one iteration, as the environment says."""

import os
import resource
import signal

import pycaffe_lite as caffe


class Failing(caffe.Layer):
    """Passes nothing on; FAIL is "rank iteration what"."""

    def setup(self, bottom, top):
        rank, iteration, self.what = os.environ.get("FAIL", "-1 0 -").split()
        self.countdown = int(iteration) if os.environ.get("PMI_RANK") == rank else -1

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.countdown -= 1
        top[0].data[...] = 0
        if self.countdown != 0:
            return
        if self.what == "raise":
            raise ValueError("record 17 is corrupt")
        if self.what == "nan":
            bottom[0].data[...] = float("nan")
        if self.what == "disk":  # it is full from now on
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))
        if self.what == "kill":
            os.kill(os.getpid(), 9)

    def backward(self, top, propagate_down, bottom):
        pass
