"""What is left of a count: without a provider's people, and without those of whom it says itself what they are."""

from __future__ import annotations

import pytest

from connectors.engine.counting import parts_of, parts_with
from connectors.engine.limits import Limits
from connectors.engine.programs import group_count
from connectors.engine.rows import InputRows
from tests.engine.harness import SHAPES, revealed
from tests.engine.test_programs import execute

PARAMETERS = {"columns": [{"name": "form", "codes": ["a", "b"]}], "minimum_cell": 3}


def provider(codes: dict[int, int]) -> InputRows:
    keys = sorted(codes)
    return InputRows(keys, [], [(codes[key],) for key in keys])


# The second provider has everybody. Of one person the first provider says something else, and that counts.
EVERYBODY = dict.fromkeys(range(1, 6), 0) | dict.fromkeys(range(11, 16), 1)


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ({}, [5, 5, 1, 1]),
        ({11: 0}, [0, 4, 0, 1]),  # six at a, five of whom the second provider put there: one is left
        ({11: 0, 12: 0, 13: 0}, [8, 0, 1, 0]),  # three are left, and two are too few at b
    ],
)
def test_nobody_learns_what_another_provider_says_of_one_of_its_own_people(
    first: dict[int, int], shown: list[int]
) -> None:
    rows = [provider(first or {99: 1}), provider(EVERYBODY)]
    if not first:
        rows = [provider(EVERYBODY), provider(EVERYBODY)]
    assert group_count.clear(PARAMETERS, rows) == shown
    parties = execute(group_count, PARAMETERS, rows, [10, 10], SHAPES[0])
    assert revealed(parties, SHAPES[0].t) == shown


def test_parts_are_each_providers_people_and_those_whose_word_it_is() -> None:
    assert [parts_of(p, Limits(11)) for p in (1, 2, 3)] == [1, 3, 5]
    assert parts_of(3, Limits(11), linked=False) == 3 and parts_of(3, Limits(0)) == 0
    assert [parts_with(person, 3) for person in ([0], [0, 2], [1], [1, 2], [2])] == [
        [0],
        [0, 2],
        [1, 3],
        [1, 2, 3],
        [2, 4],
    ]
