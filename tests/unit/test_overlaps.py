"""What an overlap table says as a whole, against lists of people."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.overlaps import overlaps
from gateway.domain.contract import Limits
from gateway.domain.result import Row, Table

EXACT = Limits(0, False, False)
PATTERNS = [pattern for pattern in product("01", repeat=3) if "1" in pattern]


def table(counts: list[int]) -> Table:
    rows = tuple(Row(codes, count) for codes, count in zip(PATTERNS, counts, strict=True))
    return Table(("a", "b", "c"), rows)


@given(st.lists(st.integers(0, 40), min_size=7, max_size=7))
def test_it_is_what_sets_of_people_say(counts: list[int]) -> None:
    lists: list[set[int]] = [set(), set(), set()]
    person = 0
    for pattern, count in zip(PATTERNS, counts, strict=True):
        for _ in range(count):
            person += 1
            for place, on in enumerate(pattern):
                if on == "1":
                    lists[place].add(person)
    found = overlaps(table(counts), EXACT)
    assert found is not None
    union, entries = len(set.union(*lists)), sum(map(len, lists))
    assert (found.union, found.entries) == (union, entries)
    assert found.double_counted == pytest.approx((entries - union) / entries if entries else 0.0)


def test_what_is_hidden_rounded_or_noised_adds_up_to_nothing() -> None:
    made = table([5] * 7)
    hidden = replace(made, rows=(replace(made.rows[0], count=None), *made.rows[1:]))
    assert overlaps(hidden, EXACT) is None
    assert overlaps(made, replace(EXACT, rounding=5)) is None
    assert overlaps(made, replace(EXACT, epsilon="1")) is None
