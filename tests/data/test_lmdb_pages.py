"""Pages as LMDB itself writes them, and pages that cannot be."""

import struct

import lmdb
import pytest

from pycaffe_lite.data.lmdb_pages import META_BYTES, LmdbError, LongValue, Pages, key_text, read_meta

PAGE = 4096
RECORDS = {b"%04d" % i: b"value %d" % i * (i % 5) for i in range(400)}
RECORDS[b"long"] = b"x" * 10_000


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of LMDB's file."""
    path = tmp_path_factory.mktemp("lmdb") / "db"
    with lmdb.open(str(path), map_size=1 << 22) as environment, environment.begin(write=True) as writing:
        for key, value in RECORDS.items():
            writing.put(key, value)
    return (path / "data.mdb").read_bytes()


@pytest.fixture
def meta(content):
    return max((read_meta(content[i * PAGE :][:META_BYTES], i) for i in (0, 1)), key=lambda m: m.transaction)


def page(content, number):
    return content[number * PAGE : (number + 1) * PAGE]


def test_the_later_meta_page(meta):
    assert (meta.word, meta.page_size, meta.entries, meta.flags) == (8, PAGE, len(RECORDS), 0)
    assert meta.depth == 2
    assert 2 <= meta.root <= meta.last_page


def test_a_walk_through_the_tree_finds_all_records(content, meta):
    pages = Pages(meta)
    keys, children = pages.children(page(content, meta.root), meta.root)
    assert len(keys) == len(children) > 2
    data = b"".join(page(content, child) for child in children)
    keys, values, has_long = pages.records(data, children)
    assert has_long
    assert keys == sorted(RECORDS)
    long = values[keys.index(b"long")]
    assert (type(long), long.size) == (LongValue, 10_000)
    head = page(content, long.page)[: pages.header_bytes]
    pages.check_long(head, long)
    start = long.page * PAGE + pages.header_bytes
    values[keys.index(b"long")] = content[start : start + long.size]
    assert dict(zip(keys, values, strict=True)) == RECORDS


def test_a_page_of_another_kind_is_damaged(content, meta):
    pages = Pages(meta)
    _, (leaf, *_) = pages.children(page(content, meta.root), meta.root)
    with pytest.raises(LmdbError, match=f"^page {leaf} of data.mdb is damaged; copy or make it again$"):
        pages.children(page(content, leaf), leaf)
    with pytest.raises(LmdbError, match=f"page {meta.root} of"):
        pages.records(page(content, meta.root), [meta.root])
    with pytest.raises(LmdbError, match=f"page {leaf + 1} of"):
        pages.records(page(content, leaf), [leaf + 1])


def changed(data, place, number):
    return data[:place] + struct.pack("<H", number) + data[place + 2 :]


@pytest.mark.parametrize(
    ("place", "number"),
    [(12, 8), (12, 17), (12, 5000), (14, 5000), (14, 16), (16, 4095), (16, 17)],
)
def test_bounds_and_offsets_that_lead_out_of_the_page(content, meta, place, number):
    """Of a leaf page: `lower`, `upper` and the offset of the first node."""
    pages = Pages(meta)
    _, (leaf, *_) = pages.children(page(content, meta.root), meta.root)
    with pytest.raises(LmdbError, match="is damaged"):
        pages.records(changed(page(content, leaf), place, number), [leaf])


def test_a_long_value_that_its_pages_do_not_hold(content, meta):
    pages = Pages(meta)
    _, children = pages.children(page(content, meta.root), meta.root)
    _, values, _ = pages.records(b"".join(page(content, child) for child in children), children)
    (long,) = [value for value in values if isinstance(value, LongValue)]
    head = page(content, long.page)[: pages.header_bytes]
    for wrong in (long._replace(size=long.size + PAGE), long._replace(page=long.page + 1)):
        with pytest.raises(LmdbError, match=f"page {wrong.page} of data.mdb is damaged"):
            pages.check_long(head, wrong)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:100], "data.mdb is cut off"),
        (lambda data: b"no such thing" * 40, "data.mdb is not an LMDB file"),
        (lambda data: data[:20] + b"\2" + data[21:], "its format has version 2, only version 1 is read"),
        (lambda data: data[:16] + data[19:15:-1] + data[20:], "a machine of the other byte order made it"),
    ],
)
def test_files_of_something_else(content, change, says):
    with pytest.raises(LmdbError, match=says):
        read_meta(change(content[:META_BYTES]), 0)


def test_databases_of_other_kinds(meta):
    with pytest.raises(LmdbError, match="several values for a key"):
        Pages(meta._replace(flags=4))
    for wrong in ({"depth": 0}, {"root": 1}, {"root": meta.last_page + 1}, {"entries": 0}, {"depth": 33}):
        with pytest.raises(LmdbError, match=f"page {meta.page} of data.mdb is damaged"):
            Pages(meta._replace(**wrong))


@pytest.mark.parametrize(("flags", "order"), [(0, b"\1\2"), (2, b"\2\1"), (8, 0x0201)])
def test_what_a_key_is_ordered_by(meta, flags, order):
    assert Pages(meta._replace(flags=flags)).order(b"\1\2") == order


def test_keys_for_people():
    assert key_text(b"00000001") == "00000001"
    assert key_text("größe".encode()) == "größe"
    assert key_text(b"a\0\n\xff") == r"a\x00\n\xff"
    assert key_text(b"x" * 101) == "x" * 100 + "…"
