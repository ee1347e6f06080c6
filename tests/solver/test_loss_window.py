import numpy as np
import pytest

from pycaffe_lite.solver.loss_window import LossWindow


def test_the_mean_is_of_the_last_losses():
    window = LossWindow(3, start=10)
    means = []
    for i, loss in enumerate([6, 2, 1, 3, 5]):
        window.add(loss, 10 + i)
        means.append(window.smoothed)
    assert means == [6, 4, 3, 2, 3]
    assert window.losses == [3, 5, 1]  # a ring


@pytest.mark.parametrize("outlier", [1e30, 1e308, np.inf, -np.inf, np.nan])
def test_a_loss_that_left_the_window_leaves_no_trace(outlier):
    window = LossWindow(3, start=10)
    means = []
    for i, loss in enumerate([3, 3, outlier, 3, 3.5, 4]):
        window.add(loss, 10 + i)
        means.append(window.smoothed)
    assert means[:2] == [3, 3]
    assert all(mean == outlier / 3 or not np.isfinite(mean) for mean in means[2:5])
    assert means[5] == 3.5


def test_means_of_windows_at_the_limits():
    assert LossWindow(2).smoothed == 0
    assert LossWindow(2, losses=[1.7e308, 1.7e308]).smoothed == 1.7e308
    assert np.isnan(LossWindow(2, losses=[np.inf, -np.inf]).smoothed)
