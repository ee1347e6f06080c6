import pytest

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.utility.param_str import mapping_of


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("", {}),
        ("'feat_stride': 16", {"feat_stride": 16}),
        ("{'feat_stride': 16, 'scales': [1, 2.5]}", {"feat_stride": 16, "scales": [1, 2.5]}),
        ("feat_stride: 16", {"feat_stride": 16}),
        ("{feat_stride: 16, scales: [8, 16]}", {"feat_stride": 16, "scales": [8, 16]}),
        ("'feat_stride': 16\n'scales': [8]\n", {"feat_stride": 16, "scales": [8]}),
        (
            "'feat_stride': 16 \n'scales': !!python/tuple [4, 8]",
            {"feat_stride": 16, "scales": [4, 8]},
        ),
        ("{'name': '!!python/tuple [1]'}", {"name": "!!python/tuple [1]"}),
        ("a: true\nb: False,\n# a remark\n\nc: [null, ~]", {"a": True, "b": False, "c": [None, None]}),
        ("'name': 'true, or not'", {"name": "true, or not"}),
    ],
)
def test_what_a_text_means(text, mapping):
    assert mapping_of(text) == mapping


@pytest.mark.parametrize("text", ["16", "{'a': }", "a: b c", "{1: 2}", "[1, 2]", "a: __import__('os')"])
def test_what_means_no_mapping(text):
    with pytest.raises(ArgumentError) as error:
        mapping_of(text)
    assert str(error.value) == "needs names with values, \"'feat_stride': 16\" for example"
