import csv

import pytest

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.forks import (
    FORKS,
    TABLE,
    fork_fields_of_schema,
    is_fork_field,
    numbers_of,
    params_of_type,
)


def test_whose_a_field_is():
    assert is_fork_field("LayerParameter", "bn_param")
    assert not is_fork_field("LayerParameter", "relu_param")
    assert not is_fork_field("PoolingParameter", "bn_param")


def test_numbers_by_fork():
    assert numbers_of("LayerParameter", "psroi_pooling_param")["R-FCN"] == 10001
    assert numbers_of("LayerParameter", "bn_param")["SegNet"] == 45
    assert numbers_of("LayerParameter", "bn_param")["PSPNet"] == 152
    assert numbers_of("LayerParameter", "convolution_param") == {}


def test_parameters_by_the_type_that_reads_them():
    assert params_of_type("BN") == ("bn_param",)
    assert params_of_type("Pooling") == ()


@pytest.mark.parametrize(("message", "name"), fork_fields_of_schema())
def test_each_field_is_in_the_schema_and_has_its_forks(message, name):
    assert name in caffe_pb2.DESCRIPTOR.message_types_by_name[message].fields_by_name
    assert numbers_of(message, name)
    assert set(numbers_of(message, name)) <= set(FORKS)


def test_the_table_names_each_field_once():
    with TABLE.open(newline="") as file:
        rows = [tuple(row[:2]) for row in csv.reader(file, delimiter="\t")][1:]
    assert rows == fork_fields_of_schema()


def test_a_fork_gives_a_number_once():
    taken = set()
    for message, name in fork_fields_of_schema():
        for fork, number in numbers_of(message, name).items():
            assert (message, fork, number) not in taken, (message, name)
            taken.add((message, fork, number))
