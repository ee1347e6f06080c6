"""What the progress bar says of speed; `test_terminal.py` looks at the bar itself."""

import pytest

from pycaffe_lite.cli import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_images_and_waiting(clock):
    speed = progress._Speed(32)
    speed.note(10, 0.5)
    assert (speed.images_per_second, speed.waited_ms) == (0, 0)
    clock.now += 2
    speed.note(50, 0.7)
    assert speed.images_per_second == pytest.approx(40 * 32 / 2)
    assert speed.waited_ms == pytest.approx(200 / 40)


@pytest.mark.parametrize(("seconds", "waited"), [(0.9, 0.5), (2.0, 0.019)])
def test_short_waits_are_not_worth_a_word(clock, seconds, waited):
    speed = progress._Speed(32)
    speed.note(0, 0.0)
    clock.now += seconds
    speed.note(10, waited)
    assert speed.waited_ms == 0
