"""Two updates by a solver whose gradients are numbers that a reader chooses, to be redone by hand.

The loss of the net is w · x for an input x, so the gradient of w is x.
"""

import numpy as np
from small_solver import SETTINGS, solver

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "w" type: "InnerProduct" bottom: "x" top: "y" loss_weight: 1
        inner_product_param { num_output: 1 bias_term: false weight_filler { value: 1 } } }
"""
GRADIENTS = np.array([[1, -2, 0.5], [3, 0.25, -1]])
PLAIN = SETTINGS.replace("momentum: 0.9", "")


def two_updates(text):
    """w after each of two iterations, from w = 1, and the history; `text` gives the rule and its numbers."""
    made = solver(text, NET, feed=False, base=PLAIN)
    (w,) = made.net.params["w"]
    seen = []
    for g in GRADIENTS:
        made.net.blobs["x"].data[...] = g
        made.step(1)
        seen.append(w.data.ravel().copy())
    return np.array(seen), [values.ravel() for values in made.history]


def assert_near(got, right):
    np.testing.assert_allclose(got, right, rtol=2e-6)
