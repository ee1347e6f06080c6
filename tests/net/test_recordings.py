import threading
from types import SimpleNamespace

import pytest

from pycaffe_lite.blob import Blob, Changes
from pycaffe_lite.net import recordings as module
from pycaffe_lite.net.recordings import PlainReplay, Recordings


def test_calls_stand_around_the_kernels():
    done = []

    def prepare():
        done.append("before")

    def finish(share):
        done.append("after")
        return share

    first = SimpleNamespace(before=[prepare], after=[lambda: finish(2.0)])
    second = SimpleNamespace(before=[prepare], after=[lambda: finish(0.5)])
    recording = SimpleNamespace(run=lambda: done.append("kernels"))
    replay = PlainReplay(recording, [first, second], 7)
    assert replay.end == 7
    assert replay.run(10.0) == 12.5
    assert done == ["before", "kernels", "after", "after"]  # what two parts share is called once


@pytest.fixture
def blob():
    return Blob((2, 3))


@pytest.fixture
def recordings(blob):
    changes = Changes()
    blob.count_changes_in(changes)
    made = Recordings([blob], changes)
    made.check()
    return made


def test_a_segments_shapes_are_kept_apart(recordings):
    two, three = recordings.of_shapes(0, 2), recordings.of_shapes(0, 3)
    two["key"] = "of two"
    assert recordings.current(0) is three
    assert recordings.of_shapes(0, 2) is two
    assert recordings.current(0) is two
    assert recordings.current(1) is None
    assert recordings.of_shapes(1, 2) == {}


def test_the_shapes_used_last_are_kept(recordings):
    kept = {shapes: recordings.of_shapes(0, shapes) for shapes in range(Recordings.MOST_SHAPES)}
    recordings.of_shapes(0, 0)
    recordings.of_shapes(0, "one more")
    assert recordings.of_shapes(0, 0) is kept[0]
    assert recordings.of_shapes(0, 2) is kept[2]
    assert recordings.of_shapes(0, 1) is not kept[1]  # the one that was not used for longest


def test_other_memory_drops_all(recordings, blob):
    recordings.of_shapes(0, 1)
    blob.reshape(1, 3)  # within its memory
    recordings.check()
    assert recordings.current(0) is not None
    blob.reshape(4, 3)
    recordings.check()
    assert recordings.current(0) is None


def test_another_number_of_threads_drops_all(recordings, monkeypatch):
    recordings.of_shapes(0, 1)
    number = module.get_num_threads()
    recordings.check()
    assert recordings.current(0) is not None
    monkeypatch.setattr(module, "get_num_threads", lambda: number + 1)
    recordings.check()
    assert recordings.current(0) is None


def test_another_of_pythons_threads_drops_all(recordings):
    recordings.of_shapes(0, 1)
    thread = threading.Thread(target=recordings.check)
    thread.start()
    thread.join()
    assert recordings.current(0) is None
