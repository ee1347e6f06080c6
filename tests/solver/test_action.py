import pytest
from small_solver import solver

from pycaffe_lite.solver.action import Action, no_request


def test_nothing_is_requested_by_default():
    assert no_request() is Action.NONE
    made = solver("snapshot_after_train: false")
    made.solve()
    assert made.iter == 10


@pytest.mark.parametrize(("at", "done"), [(1, 1), (4, 4)])
def test_a_request_is_asked_for_after_each_update(at, done):
    asked = []

    def request():
        asked.append(made.iter)
        return Action.STOP if len(asked) == at else Action.NONE

    made = solver("snapshot_after_train: false", action_request=request)
    made.solve()
    assert made.iter == done
    assert asked == list(range(1, done + 1))
