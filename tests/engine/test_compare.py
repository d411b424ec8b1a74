"""Order, equality and zero of packed bits and bounded field elements, against what they are in the clear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.adders import sum_of, sum_of_cost
from connectors.engine.compare import (
    all_of,
    all_of_cost,
    equal,
    equal_cost,
    less,
    less_cost,
    less_field,
    negative,
    negative_cost,
    to_bits,
    to_bits_cost,
    zero_field,
    zero_field_cost,
)
from connectors.engine.cost import Cost, Shape
from gateway.rules.sharing import P
from tests.engine.harness import SHAPES, Party, run, shared
from tests.engine.packed import numbers_of, sent, shared_planes

few = settings(max_examples=8, deadline=None)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


def check_cost(parties: list[Party], expected: Cost) -> None:
    spent = sent(parties)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A width, and pairs of numbers of that width, some of them equal or neighbours."""
    bits = draw(st.integers(1, 64))
    top = (1 << bits) - 1
    number = st.one_of(st.sampled_from([0, top, top >> 1]), st.integers(0, top))
    close = number.flatmap(lambda x: st.tuples(st.just(x), st.sampled_from([x, min(x + 1, top), max(x - 1, 0)])))
    return bits, draw(st.lists(st.one_of(st.tuples(number, number), close), min_size=1, max_size=70))


@shapes
@few
@given(case=pairs())
def test_less_and_equal_on_bits(shape: Shape, case: tuple[int, list[tuple[int, int]]]) -> None:
    bits, values = case
    x, y = (shared_planes(shape, side, bits) for side in zip(*values, strict=True))
    parties = run(shape, lambda rt: less(rt, x[rt.pid], y[rt.pid], "test"))
    assert numbers_of(parties, len(values)) == [int(a < b) for a, b in values]
    check_cost(parties, less_cost(shape, bits, len(values)))
    assert parties[0].engine.rounds == 1 + 1 + (bits - 1).bit_length()
    parties = run(shape, lambda rt: equal(rt, x[rt.pid], y[rt.pid], "test"))
    assert numbers_of(parties, len(values)) == [int(a == b) for a, b in values]
    check_cost(parties, equal_cost(shape, bits, len(values)))


@shapes
@few
@given(case=pairs())
def test_sums_on_bits(shape: Shape, case: tuple[int, list[tuple[int, int]]]) -> None:
    bits, values = case
    x, y = (shared_planes(shape, side, bits) for side in zip(*values, strict=True))
    parties = run(shape, lambda rt: sum_of(rt, x[rt.pid], y[rt.pid], "test"))
    assert numbers_of(parties, len(values)) == [(a + b) % 2**bits for a, b in values]
    check_cost(parties, sum_of_cost(shape, bits, len(values)))


@shapes
def test_all_of(shape: Shape) -> None:
    values = [0b11111, 0b11110, 0b01111, 0b11011, 0]
    x = shared_planes(shape, values, 5)
    parties = run(shape, lambda rt: all_of(rt, x[rt.pid], "test"))
    assert numbers_of(parties, 5) == [1, 0, 0, 0, 0]
    check_cost(parties, all_of_cost(shape, 5, 5))


def edges(bits: int) -> list[int]:
    top = (1 << bits) - 1
    return [0, 1, -1, top, -top, top >> 1, -(top >> 1), top - 1, 1 - top]


@shapes
@pytest.mark.parametrize("bits", [1, 2, 3, 8, 17, 32, 58])
def test_zero_and_negative_within_a_bound(shape: Shape, bits: int) -> None:
    values = np.array(edges(bits) * 21, dtype=object)  # 189 rows, every edge under many sharings
    x = shared(shape, [int(v) % P for v in values])
    parties = run(shape, lambda rt: negative(rt, x[rt.pid], bits, "test"))
    assert numbers_of(parties, values.size) == [int(v < 0) for v in values]
    check_cost(parties, negative_cost(shape, bits, values.size))
    parties = run(shape, lambda rt: zero_field(rt, x[rt.pid], bits, "test"))
    assert numbers_of(parties, values.size) == [int(v == 0) for v in values]
    check_cost(parties, zero_field_cost(shape, bits, values.size))


@shapes
@pytest.mark.parametrize("bits", [1, 2, 31, 59])
def test_bits_of_field_elements(shape: Shape, bits: int) -> None:
    values = [abs(v) for v in edges(bits)] * 21
    x = shared(shape, values)
    parties = run(shape, lambda rt: to_bits(rt, x[rt.pid], bits, "test"))
    assert numbers_of(parties, len(values)) == values
    check_cost(parties, to_bits_cost(shape, bits, len(values)))


@shapes
def test_a_bound_that_does_not_fit_is_refused(shape: Shape) -> None:
    x = shared(shape, [1])
    with pytest.raises(ValueError, match="bits do not fit"):
        run(shape, lambda rt: to_bits(rt, x[rt.pid], 61, "test"))


@shapes
@few
@given(values=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=9))
def test_less_on_field_elements(shape: Shape, values: list[tuple[int, int]]) -> None:
    x, y = (shared(shape, side) for side in zip(*values, strict=True))
    parties = run(shape, lambda rt: less_field(rt, x[rt.pid], y[rt.pid], 32, "test"))
    assert numbers_of(parties, len(values)) == [int(a < b) for a, b in values]


@pytest.mark.parametrize(("bits", "rounds"), [(32, 6), (17, 6), (15, 5)])
def test_rounds_of_three_parties(bits: int, rounds: int) -> None:
    shape = SHAPES[0]
    assert negative_cost(shape, bits, 100).rounds == rounds
    x = shared(shape, [1] * 100)
    assert run(shape, lambda rt: negative(rt, x[rt.pid], bits, "test"))[0].engine.rounds == 1 + rounds


@shapes
def test_long_vectors_go_in_blocks_in_the_rounds_of_one(shape: Shape) -> None:
    values = np.arange(-40_000, 40_000)
    x = shared(shape, (values % P).astype(np.uint64))
    parties = run(shape, lambda rt: negative(rt, x[rt.pid], 17, "test"))
    assert numbers_of(parties, values.size) == [1] * 40_000 + [0] * 40_000
    check_cost(parties, negative_cost(shape, 17, values.size))
    parties = run(shape, lambda rt: zero_field(rt, x[rt.pid], 17, "test"))
    assert numbers_of(parties, values.size) == (values == 0).astype(int).tolist()
