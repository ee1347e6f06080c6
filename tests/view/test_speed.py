"""The speed of a training; `test_terminal.py` looks at the progress bar that shows it."""

import pytest

from pycaffe_lite.view import speed as speed_module


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(speed_module, "time", clock)
    return clock


def test_images_and_waiting(clock):
    speed = speed_module.Speed(32)
    speed.note(10, 0.5)
    assert (speed.images_per_second, speed.waited_ms) == (0, 0)
    clock.now += 2
    speed.note(50, 0.7)
    assert speed.images_per_second == pytest.approx(40 * 32 / 2)
    assert speed.waited_ms == pytest.approx(200 / 40)


@pytest.mark.parametrize(("seconds", "waited"), [(0.9, 0.5), (2.0, 0.019)])
def test_short_waits_are_not_worth_a_word(clock, seconds, waited):
    speed = speed_module.Speed(32)
    speed.note(0, 0.0)
    clock.now += seconds
    speed.note(10, waited)
    assert speed.waited_ms == 0


def test_pace_keeps_to_its_share(clock):
    pace = speed_module.Pace(share=0.01, least_seconds=2)
    assert pace.is_due()
    pace.spent(0.05)
    clock.now += 4.9
    assert not pace.is_due()
    clock.now += 0.2
    assert pace.is_due()
    pace.spent(0.001)
    clock.now += 1.9
    assert not pace.is_due()
