"""Courses keep their ends, least and largest values, in bounded memory."""

import numpy as np
import pytest

from pycaffe_lite.view.dashboard import course as course_module
from pycaffe_lite.view.dashboard.course import Course, Points


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(course_module, "MOST_POINTS", 16)


def filled(values):
    course = Course()
    for i, value in enumerate(values):
        course.add(i, value)
    return course


def test_few_values_are_kept_as_they_are():
    points = filled([3.0, 1.0, 2.0]).points()
    assert points.x.tolist() == [0, 1, 2]
    assert points.mean.tolist() == [3, 1, 2]
    assert points.is_exact


@pytest.mark.parametrize("count", [16, 17, 31, 32, 100, 1000])
def test_many_values_are_taken_together(count):
    values = np.random.default_rng(count).normal(size=count)
    course = filled(values)
    points = course.points()
    width = course.width
    assert len(points) <= 16
    assert points.x[-1] == count - 1
    groups = [values[i : i + width] for i in range(0, count, width)]
    np.testing.assert_array_equal(points.low, [group.min() for group in groups])
    np.testing.assert_array_equal(points.high, [group.max() for group in groups])
    np.testing.assert_allclose(points.mean, [group.mean() for group in groups])


def test_values_that_are_not_finite_leave_the_others_alone():
    values = np.arange(64.0)
    values[5], values[32:40] = np.nan, np.nan
    points = filled(values).points()
    assert np.nanmax(points.high) == 63
    assert np.isnan(points.mean).sum() == 1  # the eight in a row
    assert points.mean[0] == np.nanmean(values[:8].reshape(4, 2), axis=1).mean()  # of pairs


def test_cut_and_go_on():
    course = filled(np.arange(100.0))
    course.cut(50)
    assert course.points().x[-1] <= 50
    course.add(51, 7.0)
    assert course.points().x[-1] == 51
    assert course.last == 7


def test_a_course_made_of_many_points():
    x = np.arange(1000.0)
    course = Course.of(Points(x, -x, x, 2 * x))
    points = course.points()
    assert len(points) < 16
    assert (points.x[-1], points.low.min(), points.high.max()) == (999, -999, 1998)


def test_part_of_the_points():
    x = np.arange(100.0)
    points = Points(x, x, x, x).between(10, 20)
    assert points.x.tolist() == list(range(9, 22))
    fewer = Points(x, x, x, x).at_most(7)
    assert len(fewer) == 7
    assert (fewer.low.min(), fewer.high.max(), fewer.x[-1]) == (0, 99, 99)
