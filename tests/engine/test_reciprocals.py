"""Reciprocals under MPC are those of the clear-text twin, and these are what they say, for every number."""

from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.reciprocals import FRACTION, MOST_BITS, reciprocals, reciprocals_clear, reciprocals_cost
from connectors.engine.runtime import Engine
from tests.engine.harness import SHAPES, revealed, run, shared


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
@settings(max_examples=4, deadline=None)
@given(data=st.data(), width=st.sampled_from([2, 3, 16, 23, MOST_BITS]))
def test_they_equal_the_twin_and_cost_what_is_said(shape: Shape, data: st.DataObject, width: int) -> None:
    edges = [1, 2, 3, 1 << width - 1, (1 << width) - 1]
    values = edges + data.draw(st.lists(st.integers(1, (1 << width) - 1), max_size=70))
    shares = shared(shape, values)
    parties = run(shape, lambda rt: reciprocals(rt, shares[rt.pid], width, "test"))
    assert revealed(parties, shape.t) == reciprocals_clear(values, width)
    cost = reciprocals_cost(shape, len(values), width)
    received = [elements.size for party in parties for _, _, elements in party.seen]
    assert parties[0].engine.rounds == 1 + cost.rounds
    assert (sum(received), max(received)) == (cost.elements, cost.largest)


@pytest.mark.parametrize("width", [*range(2, 12), 23])
def test_every_one_is_within_the_stated_factor(width: int) -> None:
    for start in range(1, 1 << width, 1 << 20):
        x = np.arange(start, min(start + (1 << 20), 1 << width))
        found = np.array(reciprocals_clear(cast(list[int], x), width), dtype=np.uint64)
        off = (found * x.astype(np.uint64)).astype(np.int64) - (1 << width + FRACTION)  # exact: at most 50 bits
        assert np.abs(off).max() <= 1 << width + FRACTION - 24


@given(st.lists(st.integers(1, 2**16 - 1), min_size=1))
def test_how_long_numbers_can_be_scales_them_and_changes_nothing_else(values: list[int]) -> None:
    longest = reciprocals_clear(values, MOST_BITS)
    assert [one << MOST_BITS - 16 for one in reciprocals_clear(values, 16)] == longest


def test_a_length_without_room_is_refused() -> None:
    async def program(rt: Engine) -> object:
        return await reciprocals(rt, np.ones(1, dtype=np.uint64), MOST_BITS + 1, "test")

    with pytest.raises(ValueError, match="2 to 27 bits"):
        run(SHAPES[0], program)
