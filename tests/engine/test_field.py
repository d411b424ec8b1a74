"""F_p on uint64 arrays does what Python's integers do."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.engine import field
from connectors.engine.randomness import Stream, Streams
from gateway.rules.sharing import P

EDGES = [0, 1, 2, P - 1, P - 2, 2**32 - 1, 2**32, 2**29, 2**60, P >> 1, (P >> 1) + 1]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
vectors = st.lists(elements, min_size=1, max_size=40)


def vector(values: list[int]) -> field.Array:
    return np.array(values, dtype=np.uint64)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (field.add, lambda a, b: (a + b) % P),
        (field.sub, lambda a, b: (a - b) % P),
        (field.mul, lambda a, b: a * b % P),
    ],
)
@given(xs=vectors, ys=vectors)
def test_arithmetic_is_that_of_integers_mod_p(ours: Callable, theirs: Callable, xs: list[int], ys: list[int]) -> None:
    result = ours(vector(xs)[:, None], vector(ys)[None, :])
    assert [[int(v) for v in row] for row in result] == [[theirs(a, b) for b in ys] for a in xs]


@given(xs=vectors)
def test_sums_and_inner_products_are_those_of_integers(xs: list[int]) -> None:
    assert int(field.total(vector(xs))) == sum(xs) % P
    assert int(field.dot(vector(xs), vector(xs))) == sum(x * x for x in xs) % P


def test_long_products_are_computed_in_blocks_without_a_seam() -> None:
    x = Stream(bytes(32)).elements(20_001)
    assert [int(v) for v in field.mul(x, x)] == [int(v) ** 2 % P for v in x]
    assert [int(v) for v in field.mul(x, 12345)] == [int(v) * 12345 % P for v in x]


def test_sums_of_many_large_elements_do_not_overflow() -> None:
    x = np.full(100_000, P - 1, dtype=np.uint64)
    assert int(field.total(x)) == 100_000 * (P - 1) % P


def test_a_stream_is_handed_out_once_per_purpose_and_counter() -> None:
    streams = Streams(bytes(32))
    first, second = streams.at("deal", 1).elements(5), streams.at("pass", 1).elements(5)
    assert not np.array_equal(first, second)
    with pytest.raises(RuntimeError, match="already drawn"):
        streams.at("deal", 1)


def test_both_ends_of_a_stream_draw_the_same_and_the_whole_field() -> None:
    mine, theirs = Streams(bytes(range(32))).at("deal", 7), Streams(bytes(range(32))).at("deal", 7)
    x = mine.elements(100_000)
    assert np.array_equal(x, theirs.elements(100_000))
    assert field.in_field(x)
    assert abs(float(np.mean(x)) / P - 0.5) < 0.01
    assert sorted(mine.permutation(500)) == list(range(500))
