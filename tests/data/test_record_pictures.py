import io

import numpy as np
import pytest
from listed import ListReader, datum
from PIL import Image

from pycaffe_lite.data.record_pictures import LIST_FILE, draw_sheet, export
from pycaffe_lite.errors import DataError

BGR = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
GREY = BGR[:1]
FLOATS = np.linspace(-1, 1, 20, dtype=np.float32).reshape(1, 4, 5)


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(file, "JPEG")
    return file.getvalue()


def exported(folder, *records):
    done = []
    export(ListReader(records), len(records), folder, lambda: done.append(1))
    assert len(done) == len(records)
    return (folder / LIST_FILE).read_text().splitlines()


def test_files_and_their_list(tmp_path):
    folder = tmp_path / "new" / "out"
    lines = exported(
        folder,
        (b"a", datum(BGR, 3)),
        (b"b", datum(GREY, 4)),
        (b"c", datum(FLOATS, 5)),
        (b"d.png", datum(jpeg(), -1)),
        (b"e", datum(BGR[:2], 6)),
    )
    assert lines == ["a.png 3", "b.png 4", "c.npy 5", "d.jpg -1", "e.npy 6"]
    np.testing.assert_array_equal(np.array(Image.open(folder / "a.png")), BGR[::-1].transpose(1, 2, 0))
    np.testing.assert_array_equal(np.array(Image.open(folder / "b.png")), GREY[0])
    np.testing.assert_array_equal(np.load(folder / "c.npy"), FLOATS, strict=True)
    assert (folder / "d.jpg").read_bytes() == jpeg()
    np.testing.assert_array_equal(np.load(folder / "e.npy"), BGR[:2], strict=True)


def test_names_of_files(tmp_path):
    keys = [b"00000000_cats/1.jpg", b"x.JPEG", b"x.png", b"x", b"../../etc", b"", b"\xff", b"y" * 500]
    lines = exported(tmp_path / "out", *((key, datum(GREY)) for key in keys))
    names = [line.removesuffix(" 0") for line in lines]
    assert names[:6] == [
        "00000000_cats_1.png",
        "x.png",
        "x_2.png",
        "x_3.png",
        "_.._etc.png",
        "record.png",
    ]
    assert names[7] == "y" * 200 + ".png"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*names, LIST_FILE])


def test_a_folder_with_something_in_it(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(DataError, match="there is something in it; name another folder"):
        exported(tmp_path, (b"a", datum(GREY)))


def test_a_record_that_cannot_be_read_is_named(tmp_path):
    for records in ([(b"a", b"\xff")], [(b"a", datum(GREY)), (b"b", datum(GREY)[:-3])]):
        with pytest.raises(DataError, match=r"^record '[ab]' of 'db': "):
            exported(tmp_path / f"out{len(records)}", *records)
    with pytest.raises(DataError, match=r"^record 'a' of 'db': "):
        draw_sheet(ListReader([(b"a", b"\xff")]), 1, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_shows_each_record_in_its_cell(tmp_path):
    black, white = np.zeros((1, 2, 2), np.uint8), np.full((1, 2, 2), 255, np.uint8)
    red = np.zeros((3, 2, 2), np.uint8)
    red[2] = 255
    items = [black, red, FLOATS, *[white] * 6]
    count = draw_sheet(
        ListReader((b"%d" % i, datum(item)) for i, item in enumerate(items)), 9, tmp_path / "s.png"
    )
    assert count == 9
    sheet = Image.open(tmp_path / "s.png")
    assert sheet.size == (8 * 118 + 6, 2 * 132 + 6)  # eight to a row

    def middle(column):
        return sheet.getpixel((6 + 118 * column + 56, 6 + 56))

    assert [middle(i) for i in (0, 1, 3)] == [(0, 0, 0), (255, 0, 0), (255, 255, 255)]
    assert middle(2) == (161,) * 3  # of floats, the least is black and the greatest white: 255 * 12 / 19
