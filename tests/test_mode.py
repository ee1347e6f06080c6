import logging

import pytest

from pycaffe_lite.mode import set_device, set_mode_cpu, set_mode_gpu


@pytest.mark.parametrize(
    ("call", "messages"),
    [
        (set_mode_cpu, []),
        (set_mode_gpu, ["There is no GPU support: set_mode_gpu() is ignored"]),
        (lambda: set_device(2), ["There is no GPU support: set_device(2) is ignored"]),
    ],
)
def test_what_is_asked_of_a_gpu_is_said_to_be_ignored(caplog, call, messages):
    caplog.set_level(logging.INFO)
    assert call() is None
    assert caplog.messages == messages
    assert all(record.levelname == "WARNING" for record in caplog.records)
