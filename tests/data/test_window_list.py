import pytest

from pycaffe_lite.data.window_list import read_windows
from pycaffe_lite.errors import DataError

GOOD = """# 0
dog.jpg
3
100
200
4
1 0.9 1 2 3 4
2 0.5 5 6 7 8
3 0.4 9 10 11 12
0 0.1 13 14 15 16
# 1 cat.jpg 3 10 20 1
4 1.0 0 0 19 9
"""


@pytest.fixture
def read(tmp_path):
    def run(text, fg_threshold=0.5, bg_threshold=0.5):
        (tmp_path / "list.txt").write_text(text)
        return read_windows(tmp_path / "list.txt", fg_threshold, bg_threshold)

    return run


def test_kinds_of_windows(read):
    found = read(GOOD, bg_threshold=0.3)
    assert found.names == ["dog.jpg", "cat.jpg"]
    assert found.foreground.pictures.tolist() == [0, 0, 1]
    assert found.foreground.labels.tolist() == [1, 2, 4]
    assert found.foreground.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 19, 9]]
    assert found.background.pictures.tolist() == [0]
    assert found.background.labels.tolist() == [0]
    assert found.background.boxes.tolist() == [[13, 14, 15, 16]]


def test_background_has_label_0(read):
    assert read(GOOD).background.labels.tolist() == [0, 0]


def test_pictures_in_another_order(read):
    """The number of a block is that of the picture which its windows are of, wherever its file stands."""
    found = read(GOOD.replace("# 0", "# x").replace("# 1", "# 0").replace("# x", "# 1"))
    assert found.names == ["dog.jpg", "cat.jpg"]
    assert found.foreground.pictures.tolist() == [1, 1, 0]


def test_channels_of_the_last_picture_count(read):
    assert len(read(GOOD.replace("3\n100", "1\n100")).names) == 2


def test_thresholds_are_compared_in_float32(read):
    assert len(read(GOOD.replace("0.5 5", "0.7 5"), fg_threshold=0.7).foreground.labels) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# 1", "1", "line 11 of '{}': '#' and the number of a picture must come here, got '1'"),
        ("# 1", "# 2", "line 11 of '{}': there is no picture 2 in the list: number them 0, 1, 2, ..."),
        ("# 0", "# x", "line 1 of '{}': the number of a picture must be a whole number, got 'x'"),
        (
            "# 1",
            f"# {'9' * 30}",
            f"line 11 of '{{}}': the number of a picture must be a whole number, got '{'9' * 30}'",
        ),
        ("jpg 3", "jpg 1", "line 11 of '{}': 'cat.jpg' has 1 channels: pictures are read with 3, write 3"),
        ("200\n4", "200\n99999999999", "line 6 of '{}': the list is too short for so many windows"),
        ("0.9", "high", "line 7 of '{}': a window is 'class overlap x1 y1 x2 y2', got 'high'"),
        (
            "1 2 3 4",
            "1 2 3.5 4",
            "line 10 of '{}': the class and the corners of windows above this line must be whole numbers",
        ),
        ("4 1.0 0 0 19 9\n", "", "line 12 of '{}': the list ends where windows should be"),
        (
            "1 0.9",
            "0 0.9",
            "'{}': a window of picture 'dog.jpg' with an overlap of fg_threshold or more has class 0: "
            "classes of objects start at 1",
        ),
        (
            GOOD,
            "",
            "'{}' has no foreground window, none with an overlap of fg_threshold 0.5 or more: batches "
            "take both kinds",
        ),
        (
            GOOD,
            "# 0 a.png 3 9 9 1  1 0.9 0 0 4 4",
            "'{}' has no background window, none with an overlap below bg_threshold 0.5: batches "
            "take both kinds",
        ),
    ],
)
def test_lists_that_are_wrong(read, tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(DataError) as raised:
        read(GOOD.replace(old, new))
    assert str(raised.value) == message.format(tmp_path / "list.txt")
