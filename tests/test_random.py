"""The random stream against numbers that Boost 1.74 gave (data/rng_vectors.tsv)."""

import collections
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.kernels import random_draws
from pycaffe_lite.random import RandomStream

VECTORS = FIXTURES / "rng_vectors.tsv"
SEEDS = (7, 1701)
UNIFORM, NORMAL = "uniform(-0.05,0.05)_hex", "normal(mean=0.1,std=0.01)_hex"
DRAWS = {
    "raw_u32": RandomStream.raw_array,
    UNIFORM: lambda stream, n: stream.uniform(n, -0.05, 0.05),
    NORMAL: lambda stream, n: stream.normal(n, 0.1, 0.01),
    "bernoulli_double(p=0.5)": lambda stream, n: stream.bernoulli(n, 0.5),
    "bernoulli_float(p=0.3)": lambda stream, n: stream.bernoulli(n, 0.3, np.float32),
    "shuffle_of_0..19": RandomStream.permutation,
}


def golden():
    table = collections.defaultdict(dict)
    for line in VECTORS.read_text().splitlines()[2:]:
        seed, name, index, value = line.split("\t")
        table[int(seed), name][index] = value
    return table


GOLDEN = golden()


def bits(values):
    return values.view(np.uint32) if values.dtype == np.float32 else values


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", DRAWS)
def test_values_are_boosts(name, seed):
    wanted = [
        int(v, 16 if name.endswith("hex") else 10) for i, v in GOLDEN[seed, name].items() if i.isdigit()
    ]
    assert bits(DRAWS[name](RandomStream(seed), len(wanted))).tolist() == wanted


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [UNIFORM, NORMAL])
def test_long_runs_are_boosts(name, seed):
    """200,000 values meet every branch of the ziggurat, its tail too; any fused operation shows."""
    stream = RandomStream(seed)
    total = int(bits(DRAWS[name](stream, 200_000)).sum(dtype=np.uint64)) % 2**32
    assert total == int(GOLDEN[seed, name]["sum_mod_2^32_of_first_200000_bit_patterns"])
    assert stream.raw() == int(GOLDEN[seed, name]["next_raw_u32_after_200000"])


@pytest.mark.parametrize("seed", [0, 1, 1701, 2**32 - 1])
def test_raw_draws_are_the_mersenne_twister(seed):
    wanted = np.random.RandomState(seed).randint(0, 2**32, 3000, np.uint32)
    np.testing.assert_array_equal(RandomStream(seed).raw_array(3000), wanted)


def test_seeds_are_taken_modulo_two_to_32():
    assert RandomStream(-1).raw() == RandomStream(2**32 - 1).raw() == RandomStream(2**33 - 1).raw()


def test_without_a_seed_streams_differ():
    assert RandomStream().raw_array(4).tolist() != RandomStream().raw_array(4).tolist()


@pytest.mark.parametrize("name", [name for name in DRAWS if not name.startswith("shuffle")])
def test_draws_in_pieces_are_the_same_draws(name):
    """Positions inside and across the engine's blocks of 624 are kept from call to call."""
    whole = DRAWS[name](RandomStream(3), 3000)
    stream = RandomStream(3)
    pieces = [DRAWS[name](stream, n) for n in (1, 0, 622, 1, 2, 1000, 1374)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_state_restores_the_exact_place():
    stream = RandomStream(5)
    stream.normal(1000, 0, 1)
    state = stream.state()
    wanted = [stream.uniform(700, 0, 1), stream.normal(700, 0, 1), stream.permutation(50)]
    other = RandomStream(6)
    other.set_state(state)
    for got, want in zip(
        [other.uniform(700, 0, 1), other.normal(700, 0, 1), other.permutation(50)], wanted, strict=True
    ):
        np.testing.assert_array_equal(got, want)
    assert other.state() == stream.state()
    assert len(state) == 2500


@pytest.mark.parametrize("state", [b"", b"\0" * 2499, b"\xff" * 2500], ids=len)
def test_other_bytes_are_no_state(state):
    with pytest.raises(ArgumentError, match=f"^{len(state)} bytes are not the state of a random stream$"):
        RandomStream(0).set_state(state)


def test_uniform_bounds():
    values = RandomStream(1).uniform(100_000, -2, 3)
    assert values.min() >= -2
    assert values.max() <= 3
    assert abs(values.mean() - 0.5) < 0.02
    np.testing.assert_array_equal(RandomStream(1).uniform(1000, 0.5, 0.5), np.float32(0.5))


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 0), (float("nan"), 1), (0, float("inf")), (-3.4e38, 3.4e38), (3.4028235e38, 3.4028235e38)],
)
def test_impossible_uniform_bounds(low, high):
    with pytest.raises(ArgumentError, match=re.escape(f"cannot draw uniform values of [{low:g}, {high:g}]")):
        RandomStream(0).uniform(1, low, high)


def test_normal_moments():
    values = RandomStream(2).normal(1_000_000, 0, 1).astype(np.float64)
    assert abs(values.mean()) < 0.005
    assert abs(values.std() - 1) < 0.005
    assert abs((values**4).mean() - 3) < 0.03
    assert np.abs(values).max() > 4  # the tail begins at 3.44


@pytest.mark.parametrize("std", [0, -1, float("nan"), 1e-60])
def test_normal_needs_a_deviation(std):
    message = f"cannot draw normal values with the standard deviation {std:g}"
    with pytest.raises(ArgumentError, match=f"^{message}$"):
        RandomStream(0).normal(1, 0, std)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.3, 0.5, 0.7, 1 - np.float64(np.float32(0.3)), 1e-9, 1e-12, 1.0])
def test_bernoulli_compares_in_the_given_type(p, dtype):
    draws = np.random.RandomState(9).randint(0, 2**32, 100_000, np.uint32)
    wanted = draws.astype(dtype) <= dtype(p) * dtype(2**32 - 1)
    np.testing.assert_array_equal(RandomStream(9).bernoulli(draws.size, p, dtype), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.1, 0.3, 1 / 3, 0.5, 0.999])
def test_bernoulli_at_its_edge(p, dtype):
    bound = dtype(p) * dtype(2**32 - 1)
    edge = random._largest_draw(p, np.dtype(dtype))
    assert dtype(edge) <= bound < dtype(edge + 1)


def test_bernoulli_of_zero_draws_nothing():
    stream = RandomStream(4)
    assert not stream.bernoulli(10, 0).any()
    assert stream.raw() == RandomStream(4).raw()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_bernoulli_needs_a_probability(p):
    with pytest.raises(
        ArgumentError, match=rf"^cannot draw with the probability {p:g}: it is outside of \[0, 1\]$"
    ):
        RandomStream(0).bernoulli(1, p)


def test_results_go_where_they_are_wanted():
    values, ones = np.empty(10, np.float32), np.empty(10, np.uint8)
    assert RandomStream(0).normal(10, 0, 1, values) is values
    np.testing.assert_array_equal(values, RandomStream(0).normal(10, 0, 1))
    assert RandomStream(0).uniform(10, 0, 1, values) is values
    np.testing.assert_array_equal(values, RandomStream(0).uniform(10, 0, 1))
    assert RandomStream(0).bernoulli(10, 0.5, out=ones) is ones
    with pytest.raises(ArgumentError, match=r"^needs 9 values of float32, got float32 of shape \(10,\)$"):
        RandomStream(0).normal(9, 0, 1, values)


def test_below_is_one_draw_modulo_n():
    stream, draws = RandomStream(8), RandomStream(8).raw_array(5)
    assert [stream.below(7) for _ in range(5)] == (draws % 7).tolist()


def test_shuffle_moves_a_list_in_place():
    items = [f"{i}.png" for i in range(20)]
    RandomStream(7).shuffle(items)
    assert items == [f"{i}.png" for i in GOLDEN[7, "shuffle_of_0..19"].values()]
    RandomStream(7).shuffle(empty := [])
    assert empty == []


def test_one_stream_for_the_process():
    random.set_random_seed(1701)
    assert random.stream().raw() == RandomStream(1701).raw()
    assert random.stream() is random.stream()


def test_a_thread_that_sets_a_seed_has_a_stream_of_its_own():
    random.set_random_seed(1)

    def draws(seed):
        random.set_random_seed(seed)
        return [random.stream().raw() for _ in range(100)]

    with ThreadPoolExecutor(4) as pool:
        for seed, drawn in enumerate(pool.map(draws, range(8))):
            assert drawn == RandomStream(seed).raw_array(100).tolist()
    assert random.stream().raw() == RandomStream(1).raw()


def test_threads_without_a_seed_share_the_process_s_stream():
    random.set_random_seed(5)
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda _: [random.stream().raw_array(5000) for _ in range(20)], range(8))
        drawn = np.concatenate([numbers for part in parts for numbers in part])
    assert np.array_equal(np.sort(drawn), np.sort(RandomStream(5).raw_array(drawn.size)))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(random.stream).result() is random.stream()


def test_import_draws_nothing_and_makes_no_tables():
    code = (
        "from pycaffe_lite import random; assert random._process_stream is None;"
        "assert not random._normal_layers.cache_info().currsize; random.stream().raw()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_layers_have_equal_areas():
    for layers in random._normal_layers(), random._exponential_layers():
        heights = np.r_[
            0.0, np.exp(-(layers.edge[1:] ** 2) / 2 if len(layers.edge) == 129 else -layers.edge[1:])
        ]
        np.testing.assert_allclose(layers.y, heights, rtol=1e-6)
        areas = layers.edge[:-1] * np.diff(heights)
        np.testing.assert_allclose(areas[1:], areas[1], rtol=1e-9)


@pytest.mark.parametrize("name", [UNIFORM, NORMAL, "bernoulli_double(p=0.5)", "shuffle_of_0..19"])
def test_compiled_code_does_what_the_source_says(name, monkeypatch):
    """The same kernels as plain Python, where no compiler can fuse anything."""
    wanted = DRAWS[name](RandomStream(11), 3000)
    for kernel in ("uniform", "normal", "bernoulli", "permute", "_draw_exponential", "_draw_unit"):
        monkeypatch.setattr(random_draws, kernel, getattr(random_draws, kernel).py_func)
    np.testing.assert_array_equal(bits(DRAWS[name](RandomStream(11), 3000)), bits(wanted))
