"""Bits as field elements, counted, and codes as one-hot bits, against what they are in the clear."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.convert import count, count_cost, demux, demux_cost, to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from tests.engine.harness import SHAPES, Party, revealed, run
from tests.engine.packed import numbers_of, sent, shared_planes

few = settings(max_examples=8, deadline=None)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")


def check_cost(parties: list[Party], expected: Cost) -> None:
    spent = sent(parties)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


def bit(values: list[int], place: int) -> list[int]:
    return [value >> place & 1 for value in values]


@shapes
@few
@given(values=st.lists(st.integers(0, 7), min_size=1, max_size=600))
def test_bits_become_field_elements(shape: Shape, values: list[int]) -> None:
    x, n = shared_planes(shape, values, 3), len(values)
    parties = run(shape, lambda rt: to_field(rt, x[rt.pid], n, "test"))
    assert revealed(parties, shape.t) == bit(values, 0) + bit(values, 1) + bit(values, 2)
    check_cost(parties, to_field_cost(shape, 3, n))


@shapes
@few
@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=600))
def test_bits_are_counted(shape: Shape, values: list[int]) -> None:
    x, n = shared_planes(shape, values, 2), len(values)
    parties = run(shape, lambda rt: count(rt, x[rt.pid], n, "test"))
    assert revealed(parties, shape.t) == [sum(bit(values, 0)), sum(bit(values, 1))]
    check_cost(parties, count_cost(shape, 2, n))


@shapes
def test_a_plane_alone_becomes_a_vector(shape: Shape) -> None:
    values = [1, 0, 0, 1, 1]
    x = [share[:, 0] for share in shared_planes(shape, values, 1)]
    assert revealed(run(shape, lambda rt: to_field(rt, x[rt.pid], 5, "test")), shape.t) == values
    assert revealed(run(shape, lambda rt: count(rt, x[rt.pid], 5, "test")), shape.t) == [3]


@shapes
def test_long_planes_go_in_blocks_in_the_rounds_of_one(shape: Shape) -> None:
    values = (np.arange(40_000) * 0x9E37_79B9 >> 7 & 3).tolist()
    x = shared_planes(shape, values, 2)
    parties = run(shape, lambda rt: to_field(rt, x[rt.pid], 40_000, "test"))
    assert np.array_equal(np.concatenate([bit(values, 0), bit(values, 1)]), revealed(parties, shape.t))
    check_cost(parties, to_field_cost(shape, 2, 40_000))
    parties = run(shape, lambda rt: count(rt, x[rt.pid], 40_000, "test"))
    assert revealed(parties, shape.t) == [sum(bit(values, 0)), sum(bit(values, 1))]
    check_cost(parties, count_cost(shape, 2, 40_000))


def test_three_parties_send_one_element_each_per_bit() -> None:
    n = 64 * 3 * 10
    assert to_field_cost(SHAPES[0], 4, n) == Cost(2, 3 * 4 * n, 4 * n * 2 // 3)
    assert count_cost(SHAPES[0], 4, n) == Cost(2, 4 * n + 3 * 4, 4 * n // 3)


@shapes
@few
@given(data=st.data())
def test_codes_become_one_hot(shape: Shape, data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 6))
    categories = data.draw(st.integers(1, 1 << bits))
    codes = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=100))
    x = shared_planes(shape, codes, bits)
    parties = run(shape, lambda rt: demux(rt, x[rt.pid], categories, "test"))
    assert numbers_of(parties, len(codes)) == [1 << code if code < categories else 0 for code in codes]
    check_cost(parties, demux_cost(shape, bits, len(codes)))


@shapes
def test_a_code_of_no_bits_has_one_value(shape: Shape) -> None:
    x = shared_planes(shape, [0, 0], 1)
    parties = run(shape, lambda rt: demux(rt, x[rt.pid][:, :0], 1, "test"))
    assert numbers_of(parties, 2) == [1, 1]


@shapes
def test_more_categories_than_codes_are_refused(shape: Shape) -> None:
    x = shared_planes(shape, [1], 2)
    with pytest.raises(ValueError, match="2 bits have no 5 values"):
        run(shape, lambda rt: demux(rt, x[rt.pid], 5, "test"))
