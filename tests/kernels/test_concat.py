import numpy as np
import pytest

from pycaffe_lite.kernels import concat
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield
    set_num_threads(before)


@pytest.mark.parametrize("widths", [(3, 1), (0, 4, 0), (2, 5, 40), (0, 0)])
@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("threads")
def test_parts_go_to_their_places_and_back(rows, widths, dtype):
    numbers = np.random.default_rng(0)
    parts = [numbers.normal(size=(rows, width)).astype(dtype) for width in widths]
    starts = np.cumsum([0, *widths[:-1]])
    whole = np.full((rows, sum(widths) + 2), 9, dtype)
    concat.join(parts, starts, whole)
    assert np.array_equal(whole[:, :-2], np.concatenate(parts, axis=1))
    assert (whole[:, -2:] == 9).all()

    back = [np.full_like(part, 9) for part in parts]
    concat.split(whole, starts[1:], back[1:])
    assert all(map(np.array_equal, back[1:], parts[1:]))
    assert (back[0] == 9).all()
