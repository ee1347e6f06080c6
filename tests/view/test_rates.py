"""How well layers use the machine."""

import pytest

from pycaffe_lite import TEST
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.timing import Timings
from pycaffe_lite.view.rates import Peak, layer_rates, machine_peak

NET = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 10 dim: 100 } } }
layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 50 } }
layer { name: "py" type: "Silence" bottom: "ip" }
"""


def test_rates():
    """Of two iterations: 50,000 multiply-adds in 1 ms, and 8,000 bytes in half of that."""
    net = Net.from_text(NET, TEST)
    timings = Timings(net.layer_names, [0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 3.0, 0.0])
    ip, relu, *rest = layer_rates(net, timings, 2, Peak(gflops=1.0, gbytes=0.032))
    assert (ip.name, ip.forward_ms, ip.backward_ms) == ("ip", 1.0, 1.5)
    assert ip.gflops == pytest.approx(2 * 50_000 / 1e-3 / 1e9)
    assert ip.gbytes == pytest.approx(4 * (1000 + 5050 + 500) / 1e-3 / 1e9)
    assert (ip.by, ip.share) == ("memory", pytest.approx(ip.gbytes / 0.032))
    assert relu.gflops == 0
    assert relu.gbytes == pytest.approx(8000 / 0.5e-3 / 1e9)
    assert [rate.name for rate in rest] == ["data", "py"]
    (best,) = (rate for rate in layer_rates(net, timings, 2, Peak(0.2, 100.0)) if rate.name == "ip")
    assert (best.by, best.share) == ("compute", pytest.approx(0.5))


def test_the_machine_can_do_something():
    peak = machine_peak()
    assert peak.gflops > 1
    assert peak.gbytes > 0.5
